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


def way_to(mesh: SurfaceMesh, target: SurfaceMesh) -> Way:
    """Both ways from a mesh to another one. Raises InputError where either has no triangle."""
    return Way(surface_distance(mesh, target), np.abs(distance_along_normals(mesh, target)))


def surface_distance(mesh: SurfaceMesh, target: SurfaceMesh) -> SurfaceDistance:
    """Exact point-to-triangle distances from the vertices of a mesh to another mesh, in nm.

    Open3D's ray-casting scene finds the nearest triangle in single precision; the distance to it is
    then computed in double precision. Raises InputError where either mesh has no triangle.
    """
    for role, surface in (("the surface measured", mesh), ("the surface measured to", target)):
        if len(surface.faces) == 0:
            raise InputError(f"{role} has no triangles; make a mesh first with `surfora mesh`")
    centre = target.vertices.mean(axis=0)  # single precision is finest around the origin
    points = mesh.vertices - centre
    triangle, second_and_third = _nearest(points, target.vertices - centre, target.faces)
    closest = closest_points_on_triangles(points, (target.vertices - centre)[target.faces[triangle]])
    way = closest - points
    distance = np.linalg.norm(way, axis=1)
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    along = np.einsum("ij,ij->i", normals, way)
    cosine = np.divide(along, distance, out=np.ones_like(along), where=distance > 0)
    return SurfaceDistance(
        distance_nm=distance,
        side=np.where(along >= 0, 1, -1).astype(np.int8),
        facing_deg=np.degrees(np.arccos(np.clip(cosine, -1, 1))),
        is_seen=~_occluded(mesh, way, distance),
        triangle=triangle,
        shares=_with_first(second_and_third),
    )


def nearest_places(points: Floats, mesh: SurfaceMesh) -> tuple[Ints, Floats]:
    """Corners (n, 3) of the nearest triangle and the weights (n, 3) of its corners at the nearest place."""
    centre = mesh.vertices.mean(axis=0)
    triangle, second_and_third = _nearest(points - centre, mesh.vertices - centre, mesh.faces)
    return mesh.faces[triangle], _with_first(second_and_third)


def distance_along_normals(mesh: SurfaceMesh, target: SurfaceMesh) -> Floats:
    """Distance (n,) in nm from each vertex straight along its normal, to either side, to the first hit.

    Negative where the target was hit on the side that the normal points away from, NaN where both ways miss
    it. A vertex on the target itself has 0. Raises InputError where the target has no triangle.
    """
    if len(target.faces) == 0:
        raise InputError("the surface measured to has no triangles; make a mesh first with `surfora mesh`")
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    ahead, behind = hits_along(mesh.vertices, normals, target)
    found = np.where(ahead <= behind, ahead, -behind)
    return np.where(np.isfinite(found), found, np.nan)


def hits_along(points: Floats, ways: Floats, target: SurfaceMesh, begin_nm: float = 0.0) -> Floats:
    """Distances (2, n) in nm from points to the first hit of a mesh, along their ways and against them.

    Infinite where there is none. points, ways: (n, 3), ways of length 1; nearer than ``begin_nm`` is passed.
    """
    centre = target.vertices.mean(axis=0)
    scene = _scene(target.vertices - centre, target.faces)
    hits = []
    for way in (ways, -ways):
        rays = np.concatenate([points - centre + begin_nm * way, way], axis=1).astype(np.float32)
        hits.append(scene.cast_rays(rays)["t_hit"].numpy().astype(np.float64) + begin_nm)
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


def _scene(vertices: Floats, faces: Ints) -> Any:
    scene = import_open3d().t.geometry.RaycastingScene()
    scene.add_triangles(vertices.astype(np.float32), faces.astype(np.uint32))
    return scene


def _nearest(points: Floats, vertices: Floats, faces: Ints) -> tuple[Ints, Floats]:
    """Number (n,) of the triangle nearest to each point, and where in it (n, 2): shares of corners 2 and 3.

    In single precision, so that points and vertices are best given about the origin.
    """
    found = _scene(vertices, faces).compute_closest_points(points.astype(np.float32))
    return found["primitive_ids"].numpy().astype(np.int64), found["primitive_uvs"].numpy().astype(np.float64)


def _occluded(mesh: SurfaceMesh, way: Floats, distance: Floats) -> Mask:
    """Whether the mesh itself lies on the way from its vertices to where they look."""
    centre = mesh.vertices.mean(axis=0)
    vertices = mesh.vertices - centre
    edge_nm = float(np.linalg.norm(vertices[mesh.faces[:, 0]] - vertices[mesh.faces[:, 1]], axis=1).mean())
    # A ray begins half an edge away, past the triangles around its own vertex.
    start = np.divide(0.5 * edge_nm, distance, out=np.ones_like(distance), where=distance > 0.5 * edge_nm)
    begin = vertices + start[:, None] * way
    rays = np.concatenate([begin, (1 - start)[:, None] * way], axis=1).astype(np.float32)
    return np.asarray(_scene(vertices, mesh.faces).test_occlusions(rays, tnear=0.0, tfar=1.0).numpy(), bool)
