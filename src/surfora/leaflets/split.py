"""The two leaflets of a membrane: its isosurface cut where it changes side of the middle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.cut import cut_mesh
from surfora.geometry.nearest import nearest_places, surface_distance
from surfora.geometry.surface import (
    SurfaceMesh,
    boundary_vertices,
    edges_and_counts,
    face_areas_nm2,
    vertex_areas_nm2,
    vertex_normals,
)
from surfora.leaflets.proxy import MEMBRANE, membrane_numbers
from surfora.leaflets.settings import LeafletSettings
from tomocore.contract import InputError

DIRECTION, HEIGHT = "normal of the middle", "height over the middle"  # names of passing vertex arrays
INLAND_COSINE, USUAL_OF, MOST_INLAND = 0.9, 9, 20_000  # what the usual height over the middle is read from
STRAIGHT_THROUGH_DEG = 150.0  # from the middle's normal to the way across; less is round a rim


@dataclass(frozen=True)
class Leaflets:
    """The leaflet that the medial normals point away from (inner), and the one that they point to (outer).

    Both keep the membrane's sense: normals and winding to the side of the medial normals, so that curvature
    has one sign through the bilayer. Either may have no triangle. Vertex arrays: ``membrane``, as in the
    proxy, and ``bilayer_thickness_nm``, straight through to the other leaflet: NaN where there is
    none, and nearer to a rim than that distance, where the mask's edge is rounded.
    """

    inner: SurfaceMesh
    outer: SurfaceMesh


def split_leaflets(
    isosurface: SurfaceMesh,
    medial: SurfaceMesh,
    proxy: SurfaceMesh | None = None,
    settings: LeafletSettings = LeafletSettings(),
) -> Leaflets:
    """The isosurface cut into inner and outer leaflet, new vertices on the line of the cut.

    Every vertex belongs to the membrane (connected part of the medial mesh) nearest to it, and has a signed
    height over that membrane's part of the proxy, or over the medial mesh itself where no proxy is given.

    isosurface: closed round the membrane or open where the volume cuts it; medial: with oriented normals;
    proxy: of ``poisson_proxy(medial)``. Raises InputError where a mesh has no triangle.
    """
    if len(isosurface.faces) == 0 or len(medial.faces) == 0:
        raise InputError("splitting leaflets needs an isosurface and a medial mesh that have triangles")
    separators = _membranes(medial, proxy)
    number = _nearest_membrane(isosurface.vertices, medial)
    heights, directions = np.empty(len(number)), np.empty((len(number), 3))
    for membrane, separator in separators.items():
        own = number == membrane
        heights[own], directions[own] = heights_over(isosurface.vertices[own], separator)
    heights = _tidied(isosurface, heights, settings)
    marked = isosurface.with_data(**{MEMBRANE: number, DIRECTION: directions, HEIGHT: heights})
    cut, is_outer = cut_mesh(marked, heights)
    inner = _without_rim(cut.with_faces(cut.faces[~is_outer]), -1.0, settings)
    outer = _without_rim(cut.with_faces(cut.faces[is_outer]), 1.0, settings)
    return Leaflets(_turned(_with_thickness(inner, outer, -1.0)), _with_thickness(outer, inner, 1.0))


def _without_rim(leaflet: SurfaceMesh, side: float, settings: LeafletSettings) -> SurfaceMesh:
    """The leaflet without what, from its boundary inward, faces sideways from the membrane's middle."""
    normals = leaflet.normals
    if normals is None:
        normals = vertex_normals(leaflet.vertices, leaflet.faces)
    along = side * np.einsum("ij,ij->i", normals, leaflet.data[DIRECTION])
    sideways = np.cos(np.deg2rad(settings.rim_angle_deg)) - along
    if settings.rim_angle_deg < 180:
        sideways = np.maximum(sideways, settings.rim_height - _relative_heights(leaflet, along))
    edges, _ = edges_and_counts(leaflet.faces)
    turned = sideways > 0
    patch = _labels(edges[turned[edges].all(axis=1)], len(turned))
    at_boundary = np.unique(patch[boundary_vertices(leaflet.faces, len(turned)) & turned])
    trimmed = turned & np.isin(patch, at_boundary)
    kept, beyond = cut_mesh(leaflet, np.where(trimmed, sideways, -np.abs(sideways) - 1e-9))
    return _without_scraps(kept.with_faces(kept.faces[~beyond]), settings.smallest_piece_nm2)


def _without_scraps(mesh: SurfaceMesh, least_nm2: float) -> SurfaceMesh:
    """The mesh without separate pieces of less area, unless all are."""
    if len(mesh.faces) == 0:
        return mesh
    piece = membrane_numbers(mesh)[mesh.faces[:, 0]]
    area = np.bincount(piece, face_areas_nm2(mesh.vertices, mesh.faces))
    keep = area[piece] >= least_nm2
    return mesh.with_faces(mesh.faces[keep]) if keep.any() else mesh


def _relative_heights(leaflet: SurfaceMesh, along: Floats) -> Floats:
    """Height (n,) over the middle in units of what is usual nearby, away from the rims: 1 on a leaflet.

    Infinite farther from the rim than the bilayer is thick, where lower places are no slanted edge.
    """
    height, rim = np.abs(leaflet.data[HEIGHT]), _rim_distance(leaflet)
    inland = np.flatnonzero((along > INLAND_COSINE) & (rim > 2 * np.median(height)))
    if len(inland) < USUAL_OF:
        return np.full(len(height), np.inf)
    every = len(inland) // MOST_INLAND
    if every > 1:  # by place, so that it does not matter in which order the vertices come
        inland = inland[np.lexsort(leaflet.vertices[inland].T)][::every]
    nearest = cKDTree(leaflet.vertices[inland]).query(leaflet.vertices, k=USUAL_OF, workers=-1)[1]
    usual = np.maximum(np.median(height[inland][nearest], axis=1), 1e-12)
    return np.where(rim <= 2 * usual, height / usual, np.inf)


def _turned(mesh: SurfaceMesh) -> SurfaceMesh:
    normals = None if mesh.normals is None else -mesh.normals
    return replace(mesh, faces=mesh.faces[:, ::-1], normals=normals)


def heights_over(points: Floats, separator: SurfaceMesh) -> tuple[Floats, Floats]:
    """Height (n,) in nm over the nearest place of a mesh, and the mesh's unit normal (n, 3) there."""
    corners, weights = nearest_places(points, separator)
    normals = separator.normals
    if normals is None:
        normals = vertex_normals(separator.vertices, separator.faces)
    feet = np.einsum("nk,nkj->nj", weights, separator.vertices[corners])
    directions = np.einsum("nk,nkj->nj", weights, normals[corners])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True) + 1e-300
    return np.einsum("ij,ij->i", points - feet, directions), directions


def _membranes(medial: SurfaceMesh, proxy: SurfaceMesh | None) -> dict[int, SurfaceMesh]:
    """What tells the sides of each membrane apart: its part of the proxy, else the whole, else its middle."""
    number = membrane_numbers(medial)
    separators = {}
    for membrane in range(number.max() + 1):
        separator = medial.with_faces(medial.faces[number[medial.faces[:, 0]] == membrane])
        if proxy is not None and len(proxy.faces):
            own = proxy.data.get(MEMBRANE, np.full(len(proxy.vertices), membrane)) == membrane
            faces = proxy.faces[own[proxy.faces].all(axis=1)]
            separator = proxy.with_faces(faces) if len(faces) else separator
        separators[membrane] = separator
    return separators


def _nearest_membrane(points: Floats, medial: SurfaceMesh) -> Ints:
    corners, _ = nearest_places(points, medial)
    return membrane_numbers(medial)[corners[:, 0]]


def _tidied(mesh: SurfaceMesh, heights: Floats, settings: LeafletSettings) -> Floats:
    """Heights with the sign of a part's whole where it is all but one leaflet, and of no small patches."""
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    edges, _ = edges_and_counts(mesh.faces)
    part = _labels(edges, len(heights))
    share = np.bincount(part, areas * (heights >= 0)) / np.maximum(np.bincount(part, areas), 1e-300)
    tidy = np.where(share[part] >= settings.closed_share, np.abs(heights), heights)
    tidy = np.where(share[part] <= 1 - settings.closed_share, -np.abs(tidy) - 1e-9, tidy)
    same = (tidy[edges[:, 0]] >= 0) == (tidy[edges[:, 1]] >= 0)
    patch = _labels(edges[same], len(heights))
    small = np.bincount(patch, areas)[patch] < settings.smallest_piece_nm2
    enclosed = np.bincount(part, areas)[part] >= 2 * settings.smallest_piece_nm2
    return np.where(small & enclosed, np.where(tidy >= 0, -1e-9, 1e-9), tidy)


def _labels(edges: Ints, count: int) -> Ints:
    links = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _with_thickness(leaflet: SurfaceMesh, other: SurfaceMesh, side: float) -> SurfaceMesh:
    """The leaflet with the distance straight through its own membrane to the other leaflet."""
    data = dict(leaflet.data)
    outward = replace(leaflet, normals=side * data.pop(DIRECTION))
    data.pop(HEIGHT)
    thickness = np.full(len(leaflet.vertices), np.nan)
    rim = _rim_distance(leaflet)
    for membrane in np.unique(leaflet.data[MEMBRANE]):
        own = leaflet.faces[leaflet.data[MEMBRANE][leaflet.faces[:, 0]] == membrane]
        across = other.faces[other.data[MEMBRANE][other.faces[:, 0]] == membrane]
        if len(own) and len(across):
            own_vertices = np.unique(own)
            through = surface_distance(outward.with_faces(own), other.with_faces(across))
            whole = (through.facing_deg >= STRAIGHT_THROUGH_DEG) & (rim[own_vertices] >= through.distance_nm)
            thickness[own_vertices] = np.where(whole, through.distance_nm, np.nan)
    return replace(leaflet, data=data).with_data(bilayer_thickness_nm=thickness)


def _rim_distance(mesh: SurfaceMesh) -> Floats:
    """Straight distance (n,) to the nearest boundary vertex; infinite where there is none."""
    at_rim = mesh.vertices[boundary_vertices(mesh.faces, len(mesh.vertices))]
    if len(at_rim) == 0:
        return np.full(len(mesh.vertices), np.inf)
    return cKDTree(at_rim).query(mesh.vertices, workers=-1)[0]
