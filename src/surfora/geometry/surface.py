"""Point clouds and triangle meshes in nm, and the quantities every stage derives from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from surfora.geometry.arrays import Faces, Floats, Ints, Mask, Points

SIGN_CONVENTION = "H > 0 where the surface bends outward along its normal; a sphere of radius r has H = +1/r"


@dataclass(frozen=True)
class PointCloud:
    """Points (n, 3) x, y, z in nm, unit normals (n, 3) or None, and named arrays of length n."""

    points: Points
    normals: Points | None = None
    data: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def with_data(self, **arrays: NDArray[Any]) -> PointCloud:
        """The same points with more named arrays."""
        return replace(self, data={**self.data, **arrays})

    def at(self, keep: NDArray[Any]) -> PointCloud:
        """The points chosen by a mask or by indices, with their normals and arrays."""
        normals = None if self.normals is None else self.normals[keep]
        return PointCloud(self.points[keep], normals, {k: v[keep] for k, v in self.data.items()})


@dataclass(frozen=True)
class SurfaceMesh:
    """Vertices (n, 3) x, y, z in nm, triangles (m, 3), unit normals (n, 3) or None, named vertex arrays.

    Triangles wind counter-clockwise seen from the side their normals point to.
    """

    vertices: Points
    faces: Faces
    normals: Points | None = None
    data: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def with_data(self, **arrays: NDArray[Any]) -> SurfaceMesh:
        """The same mesh with more named vertex arrays."""
        return replace(self, data={**self.data, **arrays})

    def with_faces(self, faces: Faces) -> SurfaceMesh:
        """The same vertices with other triangles; vertices that no triangle uses are dropped."""
        used, renumbered = np.unique(faces, return_inverse=True)
        normals = None if self.normals is None else self.normals[used]
        data = {name: values[used] for name, values in self.data.items()}
        return SurfaceMesh(self.vertices[used], renumbered.reshape(-1, 3), normals, data)

    @property
    def is_closed(self) -> bool:
        """Whether every edge belongs to exactly two triangles."""
        return len(self.faces) > 0 and len(boundary_edges(self.faces)) == 0


def face_cross_products(vertices: Points, faces: Faces) -> Floats:
    """Cross products (m, 3) of the triangles: along the winding's normal, of length 2 × area."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    return np.cross(b - a, c - a)


def face_areas_nm2(vertices: Points, faces: Faces) -> Floats:
    """Areas (m,) of the triangles in nm²."""
    return np.asarray(0.5 * np.linalg.norm(face_cross_products(vertices, faces), axis=1), np.float64)


def vertex_areas_nm2(vertices: Points, faces: Faces) -> Floats:
    """Area (n,) that each vertex stands for: a third of its triangles, in nm²."""
    thirds = np.repeat(face_areas_nm2(vertices, faces) / 3.0, 3)
    return np.bincount(faces.ravel(), weights=thirds, minlength=len(vertices)).astype(np.float64)


def vertex_normals(vertices: Points, faces: Faces) -> Floats:
    """Unit normals (n, 3): area-weighted means of the triangles' normals; zero where no triangle is."""
    cross = face_cross_products(vertices, faces)
    normals = np.column_stack(
        [
            np.bincount(faces.ravel(), weights=np.repeat(cross[:, axis], 3), minlength=len(vertices))
            for axis in range(3)
        ]
    )
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)


def edges_and_counts(faces: Faces) -> tuple[Ints, Ints]:
    """Undirected edges (e, 2), lower vertex first, and how many triangles use each (e,)."""
    if len(faces) == 0:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    starts, ends = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    span = int(faces.max()) + 1  # one key an edge, sorted as a number
    keys = np.sort(np.minimum(starts, ends).astype(np.int64) * span + np.maximum(starts, ends))
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return np.column_stack(np.divmod(keys[first], span)), np.diff(first, append=len(keys))


def boundary_edges(faces: Faces) -> Ints:
    """Edges (e, 2) that belong to one triangle only."""
    edges, counts = edges_and_counts(faces)
    return edges[counts == 1]


def boundary_vertices(faces: Faces, vertex_count: int) -> Mask:
    """Mask (n,) of the vertices on a boundary edge."""
    on_boundary = np.zeros(vertex_count, dtype=bool)
    on_boundary[boundary_edges(faces).ravel()] = True
    return on_boundary


def enclosed_volume_nm3(vertices: Points, faces: Faces) -> float:
    """Signed volume in nm³ by the divergence theorem: positive where a closed mesh winds outward."""
    centred = vertices - vertices.mean(axis=0)
    a, b, c = centred[faces[:, 0]], centred[faces[:, 1]], centred[faces[:, 2]]
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)


def to_polydata(surface: PointCloud | SurfaceMesh) -> pv.PolyData:
    """PyVista's view of a surface, named arrays and normals included."""
    if isinstance(surface, SurfaceMesh):
        faces: Any = surface.faces
        poly = pv.PolyData.from_regular_faces(surface.vertices, faces)
    else:
        poly = pv.PolyData(surface.points)
    for name, values in surface.data.items():
        poly.point_data[name] = values.astype(np.uint8) if values.dtype == bool else values
    if surface.normals is not None:
        poly.point_data["Normals"] = surface.normals
        poly.point_data.active_normals_name = "Normals"
    return poly
