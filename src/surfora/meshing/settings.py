"""How points become a smooth mesh, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings


class MeshSettings(Settings):
    """Ball pivoting, the gap filter, and which holes are closed."""

    smallest_radius_spacings: float = Field(
        1.4,
        ge=0.6,
        le=4.0,
        description="First and smallest ball radius, in units of the local point spacing.",
    )
    largest_radius_spacings: float = Field(
        2.6, ge=0.6, le=6.0, description="Last and largest ball radius, in units of the local point spacing."
    )
    radius_count: int = Field(
        4,
        ge=1,
        le=12,
        description="Radii from smallest to largest; scanning ends early once no edge is open.",
    )
    normal_angle_deg: float = Field(
        72.0,
        gt=0.0,
        lt=90.0,
        description="Largest angle in degrees between a triangle and its points' normals.",
    )
    sheet_angle_deg: float = Field(
        45.0,
        gt=0.0,
        lt=90.0,
        description="Largest slope in degrees of the step between two points of one sheet, against their "
        "mean normal; keeps parallel sheets apart.",
    )
    gap_limit_voxels: float = Field(
        1.2,
        ge=0.5,
        le=3.5,
        description="A triangle is dropped where it comes farther than this from every voxel of the mask; "
        "1.2 voxels forbids bridges over two empty voxels.",
    )
    fill_loops_nm: float = Field(
        10.0,
        ge=0.0,
        description="Holes up to this diameter in nm are closed where the mask backs all of it; 0: none.",
    )
    pinhole_nm: float = Field(
        4.0,
        ge=0.0,
        description="Holes up to this diameter in nm, less than a membrane is thick, are closed even where "
        "the mask is up to 0.4 voxel farther than the gap limit; 0: none.",
    )
    smallest_component_nm2: float = Field(
        30.0, ge=0.0, description="Connected pieces of the mesh below this area in nm² are dropped."
    )


class SmoothSettings(Settings):
    """Smoothing of a mesh; the vertices on its rim never move."""

    method: Literal["damped", "plain", "bilateral"] = Field(
        "damped",
        description="Way of smoothing: damped, a Laplacian that gives curvature back, so nothing shrinks; "
        "plain, a Laplacian, which shrinks; bilateral, which keeps edges, on the triangles' normals.",
    )
    iterations: int = Field(5, ge=0, le=1000, description="Number of passes.")
    damping: float = Field(0.5, gt=0.0, le=0.8, description="Share of the full step taken in each pass.")
    edge_angle_deg: float = Field(
        25.0,
        gt=0.0,
        le=180.0,
        description="Method bilateral: triangles that turn by more than this in degrees count little.",
    )
