"""The border of an ROI as a smooth surface, and meshes cut along it rather than from voxel to voxel."""

from __future__ import annotations

import numpy as np

from surfora.geometry.arrays import Floats, Mask
from surfora.geometry.cut import cut_mesh
from surfora.geometry.open3d_bridge import import_open3d
from surfora.geometry.surface import SurfaceMesh
from surfora.isosurface.boundary import isosurface
from surfora.isosurface.settings import IsosurfaceSettings
from surfora.masks.cleaning import mask_box
from surfora.masks.membranes import Box, Membrane
from tomocore.volumes.volume import world_to_index

CUT = "cut_by_roi"
"""Vertex array (bool): on the line along which an ROI cut the surface, where no membrane ends."""

SMOOTH = IsosurfaceSettings(smallest_part_nm2=0.0)
BEYOND = 8  # voxels that an ROI goes on beyond the edge of its array: more than a fit of its border reaches
RAYS = 3  # that tell inside from outside, by the most votes


def cut_to_roi(mesh: SurfaceMesh, membrane: Membrane) -> SurfaceMesh:
    """The part of a mesh within the membrane's ROI, cut along the ROI's border; the whole without an ROI.

    Arrays are interpolated at the vertices of the new border, which ``cut_by_roi`` marks.
    """
    if membrane.kept is None or len(mesh.faces) == 0:
        return mesh
    index = world_to_index(mesh.vertices, membrane.voxel_size_nm, membrane.origin_nm)
    distance_nm = distance_to_border(index, membrane.kept) * membrane.voxel_size_nm
    whole, beyond = cut_mesh(mesh, distance_nm, membrane.kept_beyond_nm)
    goes_on = np.zeros(len(whole.vertices), dtype=bool)
    goes_on[whole.faces[beyond]] = True
    return whole.with_data(**{CUT: goes_on}).with_faces(whole.faces[~beyond])


def distance_to_border(index: Floats, roi: Mask) -> Floats:
    """Distance (n,) in voxels from places (n, 3) z, y, x to the smooth border of an ROI, negative inside.

    roi: bool [z, y, x], not empty. The distance to its nearest voxel is wrong by up to half a voxel, that to
    its isosurface by a hundredth; a box is known exactly, to its corners. Where the array's edge cuts the
    ROI, it is taken to go on beyond.
    """
    box = mask_box(roi)
    return _distance_to_box(index, box, roi.shape) if roi[box].all() else _distance_to_surface(index, roi)


def _distance_to_box(index: Floats, box: Box, shape: tuple[int, ...]) -> Floats:
    """As `distance_to_border`, for a box of voxels."""
    low = np.array([span.start - 0.5 if span.start else -np.inf for span in box])
    high = np.array(
        [span.stop - 0.5 if span.stop < n else np.inf for span, n in zip(box, shape, strict=True)]
    )
    past = np.maximum(low - index, index - high)
    return np.linalg.norm(np.maximum(past, 0), axis=1) + np.minimum(past.max(axis=1), 0)


def _distance_to_surface(index: Floats, roi: Mask) -> Floats:
    """As `distance_to_border`, for any shape."""
    going_on = np.pad(np.pad(roi, BEYOND, mode="edge"), 1)
    corner = -(BEYOND + 1.0)
    border = isosurface(going_on, 1.0, (corner, corner, corner), SMOOTH)
    scene = import_open3d().t.geometry.RaycastingScene()
    scene.add_triangles(border.vertices.astype(np.float32), border.faces.astype(np.uint32))
    places = np.ascontiguousarray(index[:, ::-1], dtype=np.float32)
    return scene.compute_signed_distance(places, nsamples=RAYS).numpy().astype(np.float64)
