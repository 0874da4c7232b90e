"""Where the density tells of a membrane, and where it cannot: wedge, rims, neighbours, borders."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Mask
from surfora.geometry.nearest import hits_along
from surfora.geometry.surface import SurfaceMesh
from surfora.measures.density.settings import DensitySettings
from surfora.measures.geodesics import boundary_distance_nm
from surfora.measures.settings import WedgeSettings
from surfora.measures.wedge import wedge_angle_deg

TOLD, IN_WEDGE, AT_RIM, BESIDE, AT_BORDER, NO_MEMBRANE = range(6)
DENSITY_EVIDENCE = {
    TOLD: "told",
    IN_WEDGE: "in the missing wedge",
    AT_RIM: "nearer to an open rim than the patch",
    BESIDE: "another membrane within the profile",
    AT_BORDER: "the tomogram or its valid region ends",
    NO_MEMBRANE: "no membrane in the density",
}
"""Values of the array ``density_evidence``; where several hold, the first."""
OWN_NM = 2.0
"""A hit of the surface itself nearer than this is the place that the ray began at."""
LEAST_LENGTH = 0.6
"""Share of a profile's half length that must be free of other membranes."""


def free_lengths_nm(mesh: SurfaceMesh, normals: Floats, beside: Iterable[SurfaceMesh]) -> Floats:
    """Distances (2, n) from each vertex, along its normal and against it, to the next membrane or fold.

    ``beside`` are other membranes. Infinite where nothing is hit.
    """
    found = hits_along(mesh.vertices, normals, mesh, OWN_NM)
    for other in beside:
        found = np.minimum(found, hits_along(mesh.vertices, normals, other))
    return found


def what_is_left_out(
    mesh: SurfaceMesh,
    normals: Floats,
    free_nm: Floats,
    ends: Mask,
    settings: DensitySettings,
    wedge: WedgeSettings,
) -> NDArray[np.uint8]:
    """A value of `DENSITY_EVIDENCE` (n,) for each vertex, before any profile is judged.

    normals: (n, 3); free_nm: (2, n) of `free_lengths_nm`; ends: (n,) whether the tomogram or its valid region
    ends within the profile.
    """
    evidence = np.full(len(normals), TOLD, np.uint8)
    window = free_nm.min(axis=0) - settings.clearance_nm
    evidence[ends] = AT_BORDER
    evidence[window < LEAST_LENGTH * settings.half_length_nm] = BESIDE
    evidence[boundary_distance_nm(mesh.vertices, mesh.faces) < settings.patch_radius_nm] = AT_RIM
    evidence[wedge_angle_deg(normals, wedge) < 0] = IN_WEDGE
    return evidence
