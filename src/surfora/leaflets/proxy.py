"""A smooth surface through the middle of a membrane that tells its two sides apart; never measured."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.open3d_bridge import import_open3d, without_chatter
from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.leaflets.settings import ProxySettings
from surfora.orientation.jet_normals import nearest_neighbours
from tomocore.contract import InputError

MEMBRANE = "membrane"  # name of the vertex array that numbers the separate membranes
FEWEST_POINTS = 30  # a piece with fewer vertices is its own proxy


def poisson_proxy(mesh: SurfaceMesh, settings: ProxySettings = ProxySettings()) -> SurfaceMesh:
    """Screened Poisson surface (Kazhdan 2013) through a medial mesh, a membrane at a time.

    Open rims are carried on a little way, so that an isosurface round them has a side everywhere. The octree
    spans each membrane's own box, so neither the field of view nor a neighbour changes it. Vertex array
    ``membrane``: which connected part of the medial mesh it belongs to. Normals point to their side.

    mesh: vertices in nm with oriented normals (made from the winding where absent). Raises InputError
    where it has no triangle.
    """
    if len(mesh.faces) == 0:
        raise InputError("the medial mesh has no triangle; make one with `surfora mesh` first")
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    number = membrane_numbers(mesh)
    parts = []
    for membrane in np.unique(number[number >= 0]):
        own = number == membrane
        vertices, faces = _poisson(mesh.vertices[own], normals[own], settings)
        if len(faces) == 0:
            part = mesh.with_faces(mesh.faces[own[mesh.faces[:, 0]]])
            vertices, faces = part.vertices, part.faces
        parts.append((vertices, faces, np.full(len(vertices), membrane)))
    return _joined(parts)


def membrane_numbers(mesh: SurfaceMesh) -> Ints:
    """Connected part of the mesh (n,) that each vertex is in, largest first; −1 where in no triangle."""
    ends = (mesh.faces[:, :2].ravel(), mesh.faces[:, 1:].ravel())
    count = len(mesh.vertices)
    links = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(count, count))
    label = connected_components(links, directed=False)[1]
    used = np.zeros(count, dtype=bool)
    used[mesh.faces.ravel()] = True
    size = np.bincount(label[used], minlength=label.max() + 1)
    rank = np.empty(len(size), dtype=np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(len(size))
    return np.where(used, rank[label], -1)


def _poisson(points: Floats, normals: Floats, settings: ProxySettings) -> tuple[Floats, Ints]:
    """Vertices and faces of one membrane's proxy; no faces where there are too few points."""
    usable = np.isfinite(normals).all(axis=1) & (np.abs(normals).sum(axis=1) > 0)
    nothing = np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)
    if usable.sum() < FEWEST_POINTS:
        return nothing
    points, normals = points[usable], normals[usable]
    centre = points.mean(axis=0)
    open3d = import_open3d()
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points - centre))
    cloud.normals = open3d.utility.Vector3dVector(normals)
    with without_chatter():
        found, density = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
            cloud,
            depth=octree_depth(points, settings),
            n_threads=1,  # with more, vertices come in a random order
        )
    vertices = np.asarray(found.vertices) + centre
    faces = np.asarray(found.triangles, dtype=np.int64)
    if len(faces) == 0:
        return nothing
    keep = np.asarray(density) >= np.quantile(density, settings.trimmed_share)
    keep &= np.isfinite(cKDTree(points).query(vertices, distance_upper_bound=settings.reach_nm)[0])
    return _largest_part(vertices, faces[keep[faces].all(axis=1)])


def octree_depth(points: Floats, settings: ProxySettings) -> int:
    """Depth at which a cell of the octree over the points' own box is about as wide as their spacing."""
    distances, _ = nearest_neighbours(points, 3)
    cell = settings.cell_spacings * float(np.median(distances))
    box = 1.1 * float(np.ptp(points, axis=0).max())  # Open3D's own margin
    return int(np.clip(math.ceil(math.log2(max(box / cell, 1.0))), 4, settings.deepest))


def _largest_part(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    mesh = SurfaceMesh(vertices, faces)
    if len(faces):
        number = membrane_numbers(mesh)
        mesh = mesh.with_faces(faces[number[faces[:, 0]] == 0])
    return mesh.vertices, mesh.faces


def _joined(parts: list[tuple[Floats, Ints, Ints]]) -> SurfaceMesh:
    first = np.cumsum([0] + [len(vertices) for vertices, _, _ in parts])
    vertices = np.concatenate([vertices for vertices, _, _ in parts])
    faces = np.concatenate([faces + start for (_, faces, _), start in zip(parts, first, strict=False)])
    number = np.concatenate([number for _, _, number in parts])
    return SurfaceMesh(vertices, faces, vertex_normals(vertices, faces), {MEMBRANE: number})
