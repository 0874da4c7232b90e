"""The missing wedge, seen on a surface: which of its area was measured, and which only continued.

A tilt series up to ±α about an axis measures the Fourier components whose direction, turned about that
axis, lies within α of the specimen's plane. A membrane patch shows up by the component along its normal,
so patches whose normals point into the wedge leave no trace of their own: where a segmentation has them
all the same, they were extrapolated from their surroundings.
"""

from __future__ import annotations

import numpy as np

from surfora.geometry.arrays import Floats, Mask
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2, vertex_normals
from surfora.measures.settings import WedgeSettings
from surfora.measures.statistics import NoValues
from tomocore.volumes.volume import Volume

MEASURED, EXTRAPOLATED, UNSUPPORTED = 0, 1, 2
EVIDENCE = {MEASURED: "measured", EXTRAPOLATED: "extrapolated", UNSUPPORTED: "unsupported"}


def wedge_angle_deg(normals: Floats, settings: WedgeSettings = WedgeSettings()) -> Floats:
    """Angle (n,) in degrees from normals (n, 3) to the border of the missing wedge, about the tilt axis.

    Positive where the tilt series measured the patch, negative inside the wedge, in
    [max_tilt − 90, max_tilt]. A normal along the tilt axis was measured at every tilt.
    """
    across = normals[:, 0] if settings.tilt_axis == "y" else normals[:, 1]
    elevation = np.degrees(np.arctan2(np.abs(normals[:, 2]), np.abs(across)))
    along_axis = np.hypot(normals[:, 2], across) < 1e-9
    return np.where(along_axis, settings.max_tilt_deg, settings.max_tilt_deg - elevation)


def mesh_evidence(mesh: SurfaceMesh, mask: Volume, settings: WedgeSettings = WedgeSettings()) -> SurfaceMesh:
    """The mesh with ``wedge_angle_deg`` and ``evidence`` (0 measured, 1 extrapolated, 2 unsupported).

    ``mask`` (bool) is what the mesh was made from: where it has no voxel within reach, the surface was
    closed over a hole. Normals are made from the winding where there are none. Raises NoValues where no
    vertex has one, as of a mask from another place.
    """
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    angle = wedge_angle_deg(normals, settings)
    evidence = np.where(angle >= 0, MEASURED, EXTRAPOLATED).astype(np.uint8)
    supported = _supported(mesh.vertices, mask, settings.support_reach_voxels)
    if not supported.any():
        raise NoValues(
            f"evidence: no vertex has a voxel of the mask within {settings.support_reach_voxels:g} voxels; "
            "mesh and mask lie in different places, so check their origins, voxel size and unit"
        )
    evidence[~supported] = UNSUPPORTED
    return mesh.with_data(wedge_angle_deg=angle, evidence=evidence)


def area_shares(mesh: SurfaceMesh) -> dict[str, float]:
    """Share of the area that was measured, extrapolated and unsupported; they add up to 1."""
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    total = max(float(areas.sum()), np.finfo(float).tiny)
    return {
        f"{name}_area_share": float(areas[mesh.data["evidence"] == kind].sum()) / total
        for kind, name in EVIDENCE.items()
    }


def areas_with_evidence_nm2(mesh: SurfaceMesh) -> Floats:
    """Area (n,) in nm² that each vertex stands for; 0 where the membrane there was not measured."""
    return np.where(mesh.data["evidence"] == MEASURED, vertex_areas_nm2(mesh.vertices, mesh.faces), 0.0)


def _supported(points: Floats, mask: Volume, reach_voxels: float) -> Mask:
    """Whether the centre of a voxel of the mask lies within reach of each point."""
    at = mask.index(points)
    nearest = np.rint(at).astype(np.int64)
    reach = int(np.ceil(reach_voxels + 0.5))
    offsets = np.array(list(np.ndindex(*(2 * reach + 1,) * 3))) - reach
    supported = np.zeros(len(points), dtype=bool)
    # from the nearest voxel outward, of what is not supported yet: nearly all points are by the first few
    for offset in offsets[np.argsort(np.linalg.norm(offsets, axis=1), kind="stable")]:
        left = np.flatnonzero(~supported)
        if len(left) == 0:
            break
        voxel = nearest[left] + offset
        near = np.linalg.norm(voxel - at[left], axis=1) <= reach_voxels
        near &= np.all((voxel >= 0) & (voxel < mask.shape), axis=1)
        supported[left[near]] = np.asarray(mask.data)[tuple(voxel[near].T)] != 0
    return supported
