"""How normals are oriented, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings


class OrientSettings(Settings):
    """Orientation of normals (SurfORA, appendix C)."""

    method: Literal["winding", "geodesic", "dipole", "tangent_plane"] = Field(
        "winding",
        description="How neighbours come to agree: a tree of reliable links whose doubtful links the winding "
        "number settles; the published tree weighted by heat-method geodesic distance; dipole fields; or "
        "Hoppe's tangent-plane tree, for comparison.",
    )
    neighbours: int = Field(8, ge=6, le=64, description="Nearest neighbours that a point is linked to.")
    longest_link_spacings: float = Field(
        4.0, ge=1.5, le=20, description="Links longer than this many point spacings are cut."
    )
    vote_rounds: int = Field(5, ge=0, le=50, description="Rounds of sign votes among neighbours.")
    smoothing: float = Field(
        0.3, ge=0, le=1, description="Share of the neighbours' mean in each round of normal smoothing."
    )
    smoothing_rounds: int = Field(2, ge=0, le=50, description="Rounds of normal smoothing.")
    side: Literal["convex", "lumen", "partner_toward", "partner_away", "layers"] = Field(
        "convex",
        description="Where the normals of an open membrane point: to its convex side, away from a lumen "
        "point, toward or away from a partner, or away from the layer it faces. Closed and nearly closed "
        "membranes always point outward.",
    )
    closed_share: float = Field(
        0.75, gt=0, le=1, description="Share of a sphere from which a membrane counts as nearly closed."
    )
    layer_reach_nm: float = Field(
        8.0, gt=0, description="Largest distance in nm at which two components face each other as layers."
    )
    seed: int = Field(0, ge=0, description="Seed of the starting points and of the votes.")
