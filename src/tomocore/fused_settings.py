"""When a membrane mask is two membranes stuck together, as settings."""

from __future__ import annotations

from pydantic import Field

from tomocore.settings import Settings


class FusedSettings(Settings):
    """When a membrane mask is two membranes stuck together."""

    separate: bool = Field(True, description="Tell membranes apart that touch each other in a mask.")
    width_nm: float = Field(
        5.0, gt=0, le=50, description="Scale in nm at which thickness is judged; about that of one membrane."
    )
    excess: float = Field(
        1.2, gt=1, le=3, description="Two membranes where the mask is denser at that scale by this factor."
    )
    min_alignment: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Cuts are kept that run along the membrane: mean cosine between their normals.",
    )
