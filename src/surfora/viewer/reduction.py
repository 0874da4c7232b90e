"""Meshes with fewer triangles, for the eye alone: no number of a table is ever taken from them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from surfora.geometry.surface import SurfaceMesh, face_areas_nm2, to_polydata

FEWEST_VERTICES = 200
"""A surface is never drawn with less, if it has as many."""
MERGED = 3
"""Vertices for each that is wanted, to which those of a larger mesh are merged first."""


def reduced_mesh(mesh: SurfaceMesh, vertices: int) -> SurfaceMesh:
    """The mesh with about so many vertices, merged where they change its shape least (quadric errors).

    Each takes the arrays of the original vertex nearest to it. Of many more, those that lie together are
    merged first, whatever their shape, which takes a sixth of the time: 95 % of the places then err by less
    than 0.33 nm instead of 0.05 (an isosurface of voxels of 1.24 nm, reduced to a tenth).
    """
    wanted = max(vertices, FEWEST_VERTICES)
    if len(mesh.vertices) <= wanted:
        return mesh
    bare = SurfaceMesh(mesh.vertices, mesh.faces)
    if len(mesh.vertices) > 1.5 * MERGED * wanted:
        bare = _merged_in_cells(bare, MERGED * wanted)
    smaller = to_polydata(bare).decimate(max(1 - wanted / len(bare.vertices), 0.0))
    points = np.asarray(smaller.points, np.float64)
    if len(points) == 0:
        return mesh
    _, nearest = cKDTree(mesh.vertices).query(points)
    faces = smaller.faces.reshape(-1, 4)[:, 1:].astype(np.int64)
    return SurfaceMesh(points, faces, None, {name: values[nearest] for name, values in mesh.data.items()})


def _merged_in_cells(mesh: SurfaceMesh, vertices: int) -> SurfaceMesh:
    """The mesh with about so many vertices: the mean of those in each cell of a grid."""
    edge = np.sqrt(face_areas_nm2(mesh.vertices, mesh.faces).sum() / vertices)
    cells = np.floor((mesh.vertices - mesh.vertices.min(axis=0)) / edge).astype(np.int64)
    _, y, z = cells.max(axis=0) + 1
    owner = np.unique((cells[:, 0] * y + cells[:, 1]) * z + cells[:, 2], return_inverse=True)[1]
    means = [np.bincount(owner, along) / np.bincount(owner) for along in mesh.vertices.T]
    faces = owner[mesh.faces]
    whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return SurfaceMesh(np.stack(means, axis=1), faces[whole])
