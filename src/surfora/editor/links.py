"""Which points are neighbours on a surface, and what follows from it: growing, shrinking, components."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Mask, Points
from surfora.geometry.surface import PointCloud, SurfaceMesh, edges_and_counts
from surfora.orientation.agreement import neighbour_graph

NEIGHBOURS = 8
LONGEST_LINK_SPACINGS = 4.0
STEEPEST_LINK = 0.7
"""Cosine between a link and the normal at either end from which it leaps between sheets."""


def surface_links(surface: PointCloud | SurfaceMesh) -> csr_array:
    """Symmetric matrix (n, n) of the lengths in nm of the links between neighbours on a surface.

    A mesh's edges; in a cloud the nearest neighbours, without links that stand steeply on the normals, so
    that two sheets close to each other stay apart.
    """
    if isinstance(surface, SurfaceMesh):
        edges, _ = edges_and_counts(surface.faces)
        steps = surface.vertices[edges[:, 0]] - surface.vertices[edges[:, 1]]
        return _symmetric(edges, np.linalg.norm(steps, axis=1), len(surface.vertices))
    count = len(surface.points)
    if count < NEIGHBOURS + 1:
        return csr_array((count, count))
    graph = neighbour_graph(surface.points, NEIGHBOURS, LONGEST_LINK_SPACINGS)
    if surface.normals is not None:
        along = [
            np.abs(np.einsum("ij,ij->i", surface.normals[ends], graph.direction))
            for ends in (graph.first, graph.second)
        ]
        graph = graph.at(~(np.maximum(*along) > STEEPEST_LINK))  # NaN normals keep their links
    return _symmetric(np.column_stack([graph.first, graph.second]), graph.length, count)


def _symmetric(edges: Ints, lengths: Floats, count: int) -> csr_array:
    rows, columns = np.concatenate([edges, edges[:, ::-1]]).T
    values = np.maximum(np.concatenate([lengths, lengths]), 1e-9)  # 0 would be no link
    return csr_array((values, (rows, columns)), shape=(count, count))


def joined_links(parts: list[csr_array]) -> csr_array:
    """Links of several surfaces in one matrix, none between them."""
    start = np.cumsum([0, *(part.shape[0] for part in parts)])
    count = int(start[-1])
    coordinates = [part.tocoo() for part in parts]
    rows = np.concatenate([c.coords[0] + s for c, s in zip(coordinates, start, strict=False)])
    columns = np.concatenate([c.coords[1] + s for c, s in zip(coordinates, start, strict=False)])
    lengths = np.concatenate([c.data for c in coordinates])
    return csr_array((lengths, (rows, columns)), shape=(count, count))


def component_numbers(links: csr_array, among: Mask) -> Ints:
    """Number (n,) from 0 of the connected piece of each point of those ``among`` (n,), −1 for the others."""
    number = np.full(len(among), -1, dtype=np.int64)
    inside = np.flatnonzero(among)
    number[inside] = connected_components(links[inside][:, inside], directed=False)[1]
    return number


def whole_components(component: Ints, chosen: Mask) -> Mask:
    """All points of the components that any chosen point lies in."""
    touched = np.zeros(int(component.max(initial=-1)) + 2, dtype=bool)
    touched[component[chosen]] = True
    touched[-1] = False  # where −1 points to
    return touched[component]


def mostly_chosen(component: Ints, chosen: Mask, among: Mask) -> Mask:
    """All points of the components of whose points ``among`` (those seen) at least half are chosen."""
    count = int(component.max(initial=-1)) + 1
    known = component >= 0
    seen = np.bincount(component[known & among], minlength=count)
    taken = np.bincount(component[known & among & chosen], minlength=count)
    taken_whole = np.append((taken > 0) & (2 * taken >= seen), False)
    return taken_whole[component]


def grown(links: csr_array, chosen: Mask, among: Mask, by_nm: float) -> Mask:
    """The chosen points and all ``among`` (n,) that a way along the surface of at most ``by_nm`` leads to."""
    if not chosen.any():
        return chosen.copy()
    inside = np.flatnonzero(among | chosen)
    own = links[inside][:, inside]
    at = chosen[inside]
    outward = _beside(own, at)
    result = chosen.copy()
    if outward.any():
        away = dijkstra(own, indices=np.flatnonzero(outward), min_only=True, limit=by_nm)
        result[inside[np.isfinite(away) & (away <= by_nm)]] = True
    return result


def shrunk(links: csr_array, chosen: Mask, among: Mask, by_nm: float) -> Mask:
    """The chosen points that lie farther than ``by_nm`` along the surface from all others ``among`` (n,).

    The border of an open surface is no edge of the selection: there it stays.
    """
    return chosen & ~grown(links, among & ~chosen, among, by_nm)


def _beside(links: csr_array, chosen: Mask) -> Mask:
    """The chosen points with a link to one that is not; they alone have anything to grow to."""
    apart = links @ (~chosen).astype(np.float64) > 0
    return chosen & np.asarray(apart)


def typical_spacing_nm(points: Points) -> float:
    """The distance in nm at which a point typically has four others, as on a lattice; 1 for too few."""
    if len(points) < 6:
        return 1.0
    some = points[:: max(1, len(points) // 1000)]
    away = cKDTree(points).query(some, k=5)[0][:, 1:]
    return float(np.median(away.mean(axis=1))) or 1.0


def signs_from_seed(points: Points, normals: Points, links: csr_array, seed: int) -> tuple[Ints, Floats]:
    """Points (m,) that hang together with the seed, and signs (m,) that turn their normals to its side."""
    from surfora.orientation.orient import consistent_normals
    from surfora.orientation.settings import OrientSettings

    linked = connected_components(links, directed=False)[1]
    usable = np.isfinite(normals).all(axis=1) & (np.linalg.norm(normals, axis=1) > 0)
    inside = np.flatnonzero((linked == linked[seed]) & usable)
    axes = normals[inside] / np.linalg.norm(normals[inside], axis=1, keepdims=True)
    settings = OrientSettings(smoothing=0.0, smoothing_rounds=0)
    agreed, label = consistent_normals(points[inside], axes, settings)
    signs = np.where(np.einsum("ij,ij->i", agreed, axes) < 0, -1.0, 1.0)
    at_seed = int(np.searchsorted(inside, seed))
    reached = label == label[at_seed]
    return inside[reached], signs[reached] * signs[at_seed]
