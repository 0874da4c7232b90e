"""How the middle of a membrane is found, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings


class MedialSettings(Settings):
    """Points on the middle of a membrane."""

    spacing_nm: float | None = Field(
        None, gt=0, description="Widest spacing of the points in nm; unset: 1.25 voxels."
    )
    min_spacing_nm: float | None = Field(
        None,
        gt=0,
        description="Narrowest spacing in nm, where the membrane bends most; unset: 0.8 voxels, in masks one "
        "voxel thick 0.4.",
    )
    turn_deg: float | None = Field(
        None,
        gt=0,
        le=60,
        description="Angle in degrees the membrane may turn between neighbouring points; unset: 12, in masks "
        "one voxel thick 5.",
    )
    radius_thicknesses: float = Field(
        1.75, ge=1, le=5, description="Radius of the neighbourhood of a fit, in membrane thicknesses."
    )
    fit: Literal["faces", "cylinder", "ball"] = Field(
        "faces",
        description="Fit both faces of the mask, or its voxel centres with cylinder or ball weights.",
    )
    projections: int = Field(3, ge=1, le=20, description="How often each point is projected before thinning.")
    min_area_nm2: float = Field(
        100.0, ge=0, description="Pieces of the surface with less area than this in nm² are removed."
    )
    seed: int = Field(0, ge=0, description="Seed of the order in which points are thinned.")
