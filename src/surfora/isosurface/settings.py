"""How the boundary of a mask becomes a mesh, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings


class IsosurfaceSettings(Settings):
    """Surface of a mask's boundary (SurfORA, appendix B)."""

    scheme: Literal["surface", "published", "tube"] = Field(
        "surface",
        description="How voxel steps are smoothed away: by quadric fits along the surface, which neither "
        "shrink it nor reach over gaps; or by mean-curvature flow of the distance field, held by the "
        "published obstacle (thins membranes) or within a two-sided tube.",
    )
    supersampling: int = Field(1, ge=1, le=4, description="Grid points per voxel edge.")
    gaussian_voxels: float = Field(
        0.0,
        ge=0,
        le=5,
        description="Sigma in voxels of a Gaussian over the distance field; 1 closes a gap of one voxel.",
    )
    flow_steps: int = Field(
        10,
        ge=0,
        le=500,
        description="Steps of mean-curvature flow, each 1/8 voxel² long; not for 'surface'.",
    )
    fit_radius_voxels: float = Field(
        5.5, ge=2, le=20, description="Radius in voxels of the patches that quadrics are fitted to."
    )
    fit_rounds: int = Field(3, ge=0, le=20, description="Rounds of moving onto the fits ('surface' only).")
    tube_voxels: float = Field(
        1.25, gt=0, le=2, description="Farthest in voxels that the surface may leave the mask's boundary."
    )
    smallest_part_nm2: float = Field(
        60.0, ge=0, description="Separate parts of less area in nm² are specks or cavities, and dropped."
    )
