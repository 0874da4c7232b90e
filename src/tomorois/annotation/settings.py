"""What the numbers in a label volume mean, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings


class AnnotationSettings(Settings):
    """What the numbers in a label volume mean."""

    ignore_value: int = Field(
        255,
        ge=-1,
        le=65535,
        description="Label of voxels that teach nothing, neither ROI nor background (int16: often -1).",
    )
    unlabelled: Literal["background", "ignore"] = Field(
        "background",
        description="What label 0 means: background, or (sparse annotation) not looked at and so ignored.",
    )
    background_value: int = Field(
        254, ge=1, le=65535, description="Label painted for background where 0 is to be ignored."
    )
