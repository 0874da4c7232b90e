"""The nearest place of a mesh: exact distances with side and line of sight, and weights of its corners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.open3d_bridge import import_open3d
from surfora.geometry.surface import SurfaceMesh, vertex_normals
from tomocore.contract import InputError


@dataclass(frozen=True)
class SurfaceDistance:
    """From each vertex (n,) of a surface to the nearest point of another.

    ``distance_nm``; ``side`` +1 where the other lies on the side that the normal points to, else −1;
    ``facing_deg`` 0–180 between the normal and the way there; ``is_seen`` where nothing of its own
    surface lies in between; ``triangle`` the number of the other's nearest one, and ``shares`` (n, 3) the
    weights of its corners at the nearest point.
    """

    distance_nm: Floats
    side: NDArray[np.int8]
    facing_deg: Floats
    is_seen: Mask
    triangle: Ints
    shares: Floats


@dataclass(frozen=True)
class Way:
    """The ways from each vertex (n,) of a surface to another one.

    ``nearest``: to its nearest point; ``along_nm``: straight along the normal, to either side, to the first
    hit, NaN where both miss it.
    """

    nearest: SurfaceDistance
    along_nm: Floats


@dataclass(frozen=True)
class _Traced:
    """A mesh's arrays, the middle (3,) of its vertices, and its scene about that: where floats are finest."""

    vertices: Floats
    faces: Ints
    middle: Floats
    scene: Any


class Scenes:
    """Open3D's ray-casting scenes of the meshes asked for last, each made once.

    To make that of a leaflet takes half as long as to find the nearest points of it.
    """

    MOST = 4

    def __init__(self) -> None:
        self._made: list[_Traced] = []

    def of(self, mesh: SurfaceMesh) -> _Traced:
        """The scene of a mesh, whatever arrays it has at its vertices."""
        for one in self._made:
            if one.vertices is mesh.vertices and one.faces is mesh.faces:
                return one
        middle = mesh.vertices.mean(axis=0)
        scene = import_open3d().t.geometry.RaycastingScene()
        scene.add_triangles((mesh.vertices - middle).astype(np.float32), mesh.faces.astype(np.uint32))
        made = _Traced(mesh.vertices, mesh.faces, middle, scene)
        self._made = [made, *self._made[: self.MOST - 1]]
        return made


def way_to(mesh: SurfaceMesh, target: SurfaceMesh, scenes: Scenes | None = None) -> Way:
    """Both ways from a mesh to another one. Raises InputError where either has no triangle.

    ``scenes`` are kept by who asks about the same meshes again.
    """
    scenes = scenes or Scenes()
    nearest = surface_distance(mesh, target, scenes)
    return Way(nearest, np.abs(distance_along_normals(mesh, target, scenes)))


def surface_distance(mesh: SurfaceMesh, target: SurfaceMesh, scenes: Scenes | None = None) -> SurfaceDistance:
    """Exact point-to-triangle distances from the vertices of a mesh to another mesh, in nm.

    Open3D's ray-casting scene finds the nearest triangle in single precision; the distance to it is
    then computed in double precision. Raises InputError where either mesh has no triangle.
    """
    scenes = scenes or Scenes()
    for role, surface in (("the surface measured", mesh), ("the surface measured to", target)):
        if len(surface.faces) == 0:
            raise InputError(f"{role} has no triangles; make a mesh first with `surfora mesh`")
    there = scenes.of(target)
    points = mesh.vertices - there.middle
    triangle, second_and_third = _nearest(points, there)
    closest = closest_points_on_triangles(points, (target.vertices - there.middle)[target.faces[triangle]])
    way = closest - points
    distance = np.linalg.norm(way, axis=1)
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    along = np.einsum("ij,ij->i", normals, way)
    cosine = np.divide(along, distance, out=np.ones_like(along), where=distance > 0)
    return SurfaceDistance(
        distance_nm=distance,
        side=np.where(along >= 0, 1, -1).astype(np.int8),
        facing_deg=np.degrees(np.arccos(np.clip(cosine, -1, 1))),
        is_seen=~_occluded(scenes.of(mesh), way, distance),
        triangle=triangle,
        shares=_with_first(second_and_third),
    )


def nearest_places(points: Floats, mesh: SurfaceMesh) -> tuple[Ints, Floats]:
    """Corners (n, 3) of the nearest triangle and the weights (n, 3) of its corners at the nearest place."""
    there = Scenes().of(mesh)
    triangle, second_and_third = _nearest(points - there.middle, there)
    return mesh.faces[triangle], _with_first(second_and_third)


def distance_along_normals(mesh: SurfaceMesh, target: SurfaceMesh, scenes: Scenes | None = None) -> Floats:
    """Distance (n,) in nm from each vertex straight along its normal, to either side, to the first hit.

    Negative where the target was hit on the side that the normal points away from, NaN where both ways miss
    it. A vertex on the target itself has 0. Raises InputError where the target has no triangle.
    """
    if len(target.faces) == 0:
        raise InputError("the surface measured to has no triangles; make a mesh first with `surfora mesh`")
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    ahead, behind = hits_along(mesh.vertices, normals, target, scenes=scenes)
    found = np.where(ahead <= behind, ahead, -behind)
    return np.where(np.isfinite(found), found, np.nan)


def hits_along(
    points: Floats,
    ways: Floats,
    target: SurfaceMesh,
    begin_nm: float = 0.0,
    scenes: Scenes | None = None,
) -> Floats:
    """Distances (2, n) in nm from points to the first hit of a mesh, along their ways and against them.

    Infinite where there is none. points, ways: (n, 3), ways of length 1; nearer than ``begin_nm`` is passed.
    """
    there = (scenes or Scenes()).of(target)
    hits = []
    for way in (ways, -ways):
        rays = np.concatenate([points - there.middle + begin_nm * way, way], axis=1).astype(np.float32)
        hits.append(there.scene.cast_rays(rays)["t_hit"].numpy().astype(np.float64) + begin_nm)
    return np.array(hits)


def closest_points_on_triangles(points: Floats, corners: Floats) -> Floats:
    """The point (n, 3) of each triangle (n, 3 corners, 3) that is nearest to its own query point (n, 3).

    Ericson, Real-Time Collision Detection (2005), section 5.1.5: by the Voronoi region of the query.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    d1, d2 = _dots(ab, ac, points - a)
    d3, d4 = _dots(ab, ac, points - b)
    d5, d6 = _dots(ab, ac, points - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    total = va + vb + vc
    with np.errstate(divide="ignore", invalid="ignore"):
        v, w = vb / total, vc / total  # inside, unless one of the regions below has it
        regions: list[tuple[Any, Any, Any]] = [
            ((d1 <= 0) & (d2 <= 0), 0.0, 0.0),
            ((d3 >= 0) & (d4 <= d3), 1.0, 0.0),
            ((d6 >= 0) & (d5 <= d6), 0.0, 1.0),
            ((vc <= 0) & (d1 >= 0) & (d3 <= 0), d1 / (d1 - d3), 0.0),
            ((vb <= 0) & (d2 >= 0) & (d6 <= 0), 0.0, d2 / (d2 - d6)),
            (
                (va <= 0) & (d4 - d3 >= 0) & (d5 - d6 >= 0),
                (d5 - d6) / ((d4 - d3) + (d5 - d6)),
                (d4 - d3) / ((d4 - d3) + (d5 - d6)),
            ),
        ]
        conditions = [region[0] for region in regions]
        v = np.select(conditions, [region[1] for region in regions], v)
        w = np.select(conditions, [region[2] for region in regions], w)
    return a + np.nan_to_num(v)[:, None] * ab + np.nan_to_num(w)[:, None] * ac


def _dots(ab: Floats, ac: Floats, way: Floats) -> tuple[Floats, Floats]:
    return np.einsum("ij,ij->i", ab, way), np.einsum("ij,ij->i", ac, way)


def _with_first(second_and_third: Floats) -> Floats:
    return np.hstack([1 - second_and_third.sum(axis=1, keepdims=True), second_and_third])


def _nearest(points: Floats, there: _Traced) -> tuple[Ints, Floats]:
    """Number (n,) of the triangle nearest to each point, and where in it (n, 2): shares of corners 2 and 3.

    Points (n, 3) are given about the mesh's middle.
    """
    found = there.scene.compute_closest_points(points.astype(np.float32))
    return found["primitive_ids"].numpy().astype(np.int64), found["primitive_uvs"].numpy().astype(np.float64)


def _occluded(mesh: _Traced, way: Floats, distance: Floats) -> Mask:
    """Whether the mesh itself lies on the way from its vertices to where they look."""
    vertices = mesh.vertices - mesh.middle
    edge_nm = float(np.linalg.norm(vertices[mesh.faces[:, 0]] - vertices[mesh.faces[:, 1]], axis=1).mean())
    # A ray begins half an edge away, past the triangles around its own vertex.
    start = np.divide(0.5 * edge_nm, distance, out=np.ones_like(distance), where=distance > 0.5 * edge_nm)
    begin = vertices + start[:, None] * way
    rays = np.concatenate([begin, (1 - start)[:, None] * way], axis=1).astype(np.float32)
    return np.asarray(mesh.scene.test_occlusions(rays, tnear=0.0, tfar=1.0).numpy(), bool)
