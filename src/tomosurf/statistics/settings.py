"""How conditions are compared, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings

Unit = Literal["auto", "tomogram", "grid"]


class CompareSettings(Settings):
    """How conditions are compared: by which column, in which measures, with what as independent."""

    by: str = Field("condition", description="Column of the table of tomograms that tells the conditions.")
    measures: tuple[str, ...] = Field(
        (), description="Columns to compare; unset: areas, gaps, curvature and the like."
    )
    reference: str | None = Field(
        None, description="Condition that all others are compared with; unset: each with each."
    )
    unit: Unit = Field(
        "auto", description="What counts as independent; auto takes grids where each holds one condition."
    )
    across_membranes: bool = Field(
        False, description="Compare named membranes within the same tomograms, too."
    )
    patches: int = Field(
        0,
        ge=0,
        le=10000,
        description="Random patches for each contact, of its area and on its membrane, that it is compared "
        "with; surfaces within ROIs need roi.dilation_nm that leaves room for them.",
    )
    seed: int = Field(0, ge=0, description="Number that resamples, assignments and patches follow from.")
