"""How the leaflets of a membrane are told apart, as settings."""

from __future__ import annotations

from pydantic import Field

from tomocore.settings import Settings


class ProxySettings(Settings):
    """Screened Poisson proxy (SurfORA, appendix E)."""

    cell_spacings: float = Field(
        2.0, gt=0.2, le=10, description="Edge of the finest octree cell in point spacings; sets the depth."
    )
    deepest: int = Field(10, ge=4, le=12, description="Greatest depth of the octree, whatever the sampling.")
    trimmed_share: float = Field(
        0.01,
        ge=0,
        lt=0.5,
        description="Share of the vertices, the most thinly sampled, trimmed.",
    )
    reach_nm: float = Field(
        15.0, gt=0, description="Parts of the proxy farther than this in nm from the membrane are cut off."
    )


class LeafletSettings(Settings):
    """Splitting an isosurface into leaflets (SurfORA, appendix F)."""

    smallest_piece_nm2: float = Field(
        200.0,
        ge=0,
        description="A patch on the wrong side of less area in nm² goes to the leaflet that it lies in; "
        "pieces of less that the cut leaves are dropped.",
    )
    closed_share: float = Field(
        0.97,
        gt=0.5,
        le=1,
        description="A part of the isosurface with at least this share of its area on one side is one whole "
        "leaflet, as the two shells of a closed membrane are.",
    )
    rim_angle_deg: float = Field(
        60.0,
        gt=0,
        le=180,
        description="Where an open membrane ends, what turns from the middle by more than this in degrees is "
        "the mask's edge, no leaflet, and cut off; 180 keeps it all.",
    )
    rim_height: float = Field(
        0.85,
        ge=0,
        lt=1,
        description="So is what, from the rim inward, is lower than this share of the height over the middle "
        "usual nearby: slanted edges, and the rounding of all edges, which would count as curvature.",
    )
