"""Which neighbours on a point cloud agree about the side of the surface, and how far they can be trusted."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.pieces import root_of
from surfora.orientation.jet_normals import nearest_neighbours, sheet_reach

SAME_SHEET_COSINE = 0.3  # |nᵢ·nⱼ| below which two neighbours say nothing about each other's side
STEEPEST_EDGE = 0.8  # |cosine| of edge and normal above which the edge leaps between sheets
UNSURE = 0.9  # of the median reliability: weaker links of the tree separate patches
LEAST_PATCH = 8  # points; smaller patches keep the sign of their strongest link


@dataclass(frozen=True)
class Graph:
    """Undirected edges of a nearest-neighbour graph: ends (e,), unit directions (e, 3), lengths (e,)."""

    first: Ints
    second: Ints
    direction: Floats
    length: Floats
    spacing: float
    point_count: int

    def at(self, keep: Mask) -> Graph:
        """The edges chosen by a mask."""
        edges = {name: getattr(self, name)[keep] for name in ("first", "second", "direction", "length")}
        return replace(self, **edges)

    def matrix(self, weights: Floats) -> csr_array:
        """Symmetric sparse matrix (n, n) of one weight an edge."""
        rows = np.concatenate([self.first, self.second])
        columns = np.concatenate([self.second, self.first])
        shape = (self.point_count, self.point_count)
        return csr_array((np.concatenate([weights, weights]), (rows, columns)), shape=shape)


@dataclass(frozen=True)
class Agreement:
    """What each edge says: +1 if its normals point to one side, −1 if not, and how reliable that is (0–1)."""

    graph: Graph
    sign: Floats
    reliability: Floats

    def within(self, inside: Mask) -> Agreement:
        """The edges among the points of a mask (n,), these points renumbered."""
        keep = inside[self.graph.first] & inside[self.graph.second]
        number = np.cumsum(inside) - 1
        kept = self.graph.at(keep)
        graph = replace(
            kept, first=number[kept.first], second=number[kept.second], point_count=int(inside.sum())
        )
        return Agreement(graph, self.sign[keep], self.reliability[keep])


@dataclass(frozen=True)
class Tree:
    """Maximum-reliability spanning forest in the order grown; roots have parent −1.

    All arrays (n,): ``sign`` against the root's, ``component``, ``link`` the reliability of the edge
    to the parent (1 at a root).
    """

    order: Ints
    parent: Ints
    link: Floats
    sign: Floats
    component: Ints


def neighbour_graph(points: Floats, neighbour_count: int, longest_spacings: float) -> Graph:
    """The k-nearest-neighbour graph without edges longer than so many spacings."""
    distances, neighbours = nearest_neighbours(points, neighbour_count)
    spacing = sheet_reach(distances)
    near = (distances <= longest_spacings * spacing) & (distances > 0)
    one = np.repeat(np.arange(len(points)), near.sum(axis=1))
    other = neighbours[near]
    pairs = np.unique(np.minimum(one, other) * len(points) + np.maximum(one, other))
    first, second = np.divmod(pairs, len(points))
    step = points[second] - points[first]
    length = np.linalg.norm(step, axis=1)
    return Graph(first, second, step / length[:, None], length, spacing, len(points))


def agreement(graph: Graph, normals: Floats, geodesic: Floats | None = None) -> Agreement:
    """Sign and reliability of every edge that is fit to compare its two normals.

    The sign is that of nᵢ against nⱼ mirrored in the plane halfway between the points: exact on a
    circular arc however sharply it turns, so that normals across the fold of a sheet come out opposite.
    Reliability rises with |nᵢ·nⱼ|, falls where the edge leaves the tangent planes, where its surroundings
    are unreliable, and where the geodesic distance (n,) steps further than the edge is long.
    """
    one, other = normals[graph.first], normals[graph.second]
    cosine = np.einsum("ij,ij->i", one, other)
    along_one = np.einsum("ij,ij->i", one, graph.direction)
    along_other = np.einsum("ij,ij->i", other, graph.direction)
    mirrored = cosine - 2 * along_one * along_other
    steep = np.maximum(np.abs(along_one), np.abs(along_other))
    reliability = np.minimum(np.abs(mirrored), np.abs(cosine)) * np.maximum(1 - steep**2, 0)
    if geodesic is not None:
        stepped = np.abs(geodesic[graph.first] - geodesic[graph.second])
        reliability *= np.exp(-np.maximum(stepped / graph.length - 1, 0))
    surroundings = _mean_at_points(graph, reliability)
    reliability *= surroundings[graph.first] * surroundings[graph.second]
    fit = (np.abs(cosine) > SAME_SHEET_COSINE) & (steep < STEEPEST_EDGE)
    fit |= _stray_links(graph, fit, reliability)
    sign = np.where(mirrored < 0, -1.0, 1.0)
    return Agreement(graph.at(fit), sign[fit], reliability[fit])


def _stray_links(graph: Graph, fit: Mask, reliability: Floats) -> Mask:
    """Of the unfit edges, the best one that ties each handful of stray points to a real patch."""
    _, component = connected_components(graph.at(fit).matrix(np.ones(int(fit.sum()))), directed=False)
    is_stray = np.bincount(component)[component] < LEAST_PATCH
    one_stray, other_stray = is_stray[graph.first], is_stray[graph.second]
    ties = np.flatnonzero(~fit & (one_stray != other_stray))
    stray = np.where(one_stray[ties], component[graph.first[ties]], component[graph.second[ties]])
    best_first = np.lexsort((-reliability[ties], stray))
    _, chosen = np.unique(stray[best_first], return_index=True)
    links = np.zeros(len(fit), dtype=bool)
    links[ties[best_first[chosen]]] = True
    return links


def plain_agreement(graph: Graph, normals: Floats) -> Agreement:
    """Sign and size of nᵢ·nⱼ: tangent-plane propagation (Hoppe 1992), for comparison."""
    cosine = np.einsum("ij,ij->i", normals[graph.first], normals[graph.second])
    return Agreement(graph, np.where(cosine < 0, -1.0, 1.0), np.abs(cosine))


def spanning_tree(agreed: Agreement, seeds: Ints) -> Tree:
    """Grow the most reliable links first, from each seed in turn that no earlier tree has reached."""
    graph, edges = agreed.graph, np.arange(len(agreed.sign))
    ends = np.concatenate([graph.first, graph.second])
    by_end = np.argsort(ends, kind="stable")
    start = np.searchsorted(ends[by_end], np.arange(graph.point_count + 1))
    neighbour = np.concatenate([graph.second, graph.first])[by_end]
    edge = np.concatenate([edges, edges])[by_end]
    return Tree(*_grow(start, neighbour, agreed.reliability[edge], agreed.sign[edge], seeds))


@njit(cache=True, nogil=True)
def _grow(
    start: Ints, neighbour: Ints, reliability: Floats, sign: Floats, seeds: Ints
) -> tuple[Ints, Ints, Floats, Floats, Ints]:
    count = len(start) - 1
    order = np.empty(count, np.int64)
    parent = np.full(count, -1)
    component = np.full(count, -1)
    link = np.ones(count)
    signs = np.ones(count)
    grown = 0
    trees = 0
    for seed in seeds:
        if component[seed] >= 0:
            continue
        frontier = [(-1.0, np.int64(-1), np.int64(seed), 1.0)]
        while len(frontier) > 0:
            negative_link, source, point, point_sign = heapq.heappop(frontier)
            if component[point] >= 0:
                continue
            component[point] = trees
            parent[point] = source
            link[point] = -negative_link
            signs[point] = point_sign
            order[grown] = point
            grown += 1
            for e in range(start[point], start[point + 1]):
                if component[neighbour[e]] < 0:
                    offer = (-reliability[e], point, neighbour[e], point_sign * sign[e])
                    heapq.heappush(frontier, offer)
        trees += 1
    return order, parent, link, signs, component


def patches(tree: Tree) -> Ints:
    """Label (n,) of the patches left when the tree's unsure links are cut; none smaller than a few points."""
    linked = tree.parent >= 0
    unsure = linked & (tree.link < UNSURE * np.median(tree.link[linked])) if linked.any() else linked
    labels = _cut(tree.order, tree.parent, unsure)
    weakest_last = np.flatnonzero(unsure)[np.argsort(-tree.link[unsure], kind="stable")]
    _absorb_small(labels, tree.parent, weakest_last, LEAST_PATCH)
    return np.unique(labels, return_inverse=True)[1]


@njit(cache=True, nogil=True)
def _cut(order: Ints, parent: Ints, unsure: Mask) -> Ints:
    labels = np.arange(len(parent))
    for point in order:
        if parent[point] >= 0 and not unsure[point]:
            labels[point] = labels[parent[point]]
    return labels


@njit(cache=True, nogil=True)
def _absorb_small(labels: Ints, parent: Ints, links: Ints, least: int) -> None:
    """Join patches across the links given, best first, while one side is smaller than ``least``."""
    count = len(labels)
    root = np.arange(count)
    size = np.zeros(count, np.int64)
    for label in labels:
        size[label] += 1
    for point in links:
        one, other = root_of(root, labels[point]), root_of(root, labels[parent[point]])
        if one != other and min(size[one], size[other]) < least:
            root[one] = other
            size[other] += size[one]
    for point in range(count):
        labels[point] = root_of(root, labels[point])


def smoothed_axes(graph: Graph, normals: Floats) -> Floats:
    """Sign-free normals averaged with their neighbours on the same sheet: axis of the mean of n nᵀ."""
    weights = _same_sheet_weights(graph, normals)
    tensors = np.einsum("ij,ik->ijk", normals, normals).reshape(-1, 9)
    tensors = tensors + graph.matrix(weights) @ tensors
    return np.linalg.eigh(tensors.reshape(-1, 3, 3))[1][:, :, 2]


def vote(agreed: Agreement, signs: Floats, rounds: int, seed: int) -> Floats:
    """Signs (n,) after rounds in which a point outvoted by its neighbours, weighted by reliability, flips."""
    random = np.random.default_rng(seed)
    ballots = agreed.graph.matrix(agreed.reliability * agreed.sign)
    signs = signs.copy()
    for _ in range(rounds):
        outvoted = signs * (ballots @ signs) < 0
        if not outvoted.any():
            break
        signs[outvoted & (random.random(len(signs)) < 0.5)] *= -1  # half at a time: no endless swapping
    return signs


def smoothed_normals(graph: Graph, normals: Floats, strength: float, rounds: int) -> Floats:
    """Oriented normals after rounds of nᵢ ← (1−λ) nᵢ + λ Σ wᵢⱼ nⱼ / Σ wᵢⱼ over same-sheet neighbours."""
    for _ in range(rounds if strength > 0 else 0):
        cosine = np.einsum("ij,ij->i", normals[graph.first], normals[graph.second])
        weights = graph.matrix(_same_sheet_weights(graph, normals) * (cosine > 0))
        total = np.asarray(weights.sum(axis=1)).reshape(-1, 1)
        mean = np.divide(weights @ normals, total, out=normals.copy(), where=total > 0)
        normals = (1 - strength) * normals + strength * mean
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return normals


def _same_sheet_weights(graph: Graph, normals: Floats) -> Floats:
    one, other = normals[graph.first], normals[graph.second]
    steep = np.maximum(
        np.abs(np.einsum("ij,ij->i", one, graph.direction)),
        np.abs(np.einsum("ij,ij->i", other, graph.direction)),
    )
    alike = np.abs(np.einsum("ij,ij->i", one, other)) - SAME_SHEET_COSINE
    return np.maximum(alike, 0) * np.maximum(1 - (steep / STEEPEST_EDGE) ** 2, 0)


def _mean_at_points(graph: Graph, values: Floats) -> Floats:
    ends = np.concatenate([graph.first, graph.second])
    total = np.bincount(ends, np.concatenate([values, values]), graph.point_count)
    return total / np.maximum(np.bincount(ends, minlength=graph.point_count), 1)
