"""Meshes with fewer triangles, for the eye alone: no number of a table is ever taken from them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from surfora.geometry.surface import SurfaceMesh, to_polydata

FEWEST_VERTICES = 200
"""A surface is never drawn with less, if it has as many."""


def reduced_mesh(mesh: SurfaceMesh, vertices: int) -> SurfaceMesh:
    """The mesh with about so many vertices, merged where they change its shape least (quadric errors).

    Each takes the arrays of the original vertex nearest to it.
    """
    wanted = max(vertices, FEWEST_VERTICES)
    if len(mesh.vertices) <= wanted:
        return mesh
    bare = to_polydata(SurfaceMesh(mesh.vertices, mesh.faces))
    smaller = bare.decimate(1 - wanted / len(mesh.vertices))
    points = np.asarray(smaller.points, np.float64)
    if len(points) == 0:
        return mesh
    _, nearest = cKDTree(mesh.vertices).query(points)
    faces = smaller.faces.reshape(-1, 4)[:, 1:].astype(np.int64)
    return SurfaceMesh(points, faces, None, {name: values[nearest] for name, values in mesh.data.items()})
