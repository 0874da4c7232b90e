"""What profiles of density are taken of, and what is believed of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tomocore.settings import Settings


class DensitySettings(Settings):
    """Profiles of a tomogram along the normals of a membrane, and the two leaflets fitted to them."""

    patch_radius_nm: float = Field(
        6.0,
        gt=0,
        le=100,
        description="Radius (nm), along the surface, of the patch that a profile is the mean of.",
    )
    half_length_nm: float = Field(
        7.0, ge=4, le=30, description="Length (nm) of a profile to either side of the membrane."
    )
    offsets_nm: tuple[float, ...] = Field(
        (-10.0, -5.0, 0.0, 5.0, 10.0),
        description="Places along the normal (nm) whose density is stored, negative on the inner side.",
    )
    contrast: Literal["found", "dark", "bright"] = Field(
        "found",
        description="How membranes look in the tomogram; found: by the profiles, told, and refused where "
        "they disagree.",
    )
    thinnest_nm: float = Field(
        1.5, gt=0, description="Leaflets nearer to each other than this (nm) are none."
    )
    thickest_nm: float = Field(
        7.0, gt=0, description="Leaflets farther from each other than this (nm) are none."
    )
    largest_shift_nm: float = Field(
        3.0, gt=0, le=10, description="The membrane is looked for within this distance (nm) of the surface."
    )
    clearance_nm: float = Field(
        5.0,
        ge=0,
        description="Nearer to the middle of another membrane than this (nm), density counts as its own.",
    )
    least_quality: float = Field(
        0.5,
        ge=0,
        le=1,
        description="A profile of which the leaflets explain less than this share of its variance tells "
        "nothing.",
    )
    smoothing_nm: float = Field(
        1.5,
        gt=0,
        le=50,
        description="Length along the surface (nm) over which the middle found is smoothed, before it is "
        "followed.",
    )

    @model_validator(mode="after")
    def _thinnest_is_below_thickest(self) -> DensitySettings:
        if self.thickest_nm <= self.thinnest_nm:
            raise ValueError("thickest_nm must be above thinnest_nm")
        return self
