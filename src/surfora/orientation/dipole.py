"""Oriented points as dipoles: their potential tells inside from outside, their field orients neighbours."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from surfora.geometry.arrays import Floats, Ints
from surfora.orientation.agreement import Agreement, Tree, patches
from surfora.orientation.jet_normals import nearest_neighbours

AREA_NEIGHBOURS = 18
FIELD_SAMPLES = 512
PATCH_POINTS = 64
MOST_PATCHES = 2000
FAR = 1.5  # sums of two patches' radii beyond which each acts as one dipole


def point_areas(points: Floats) -> Floats:
    """Area (n,) that each point stands for, from the mean squared distance of its 18 nearest neighbours."""
    distances, _ = nearest_neighbours(points, AREA_NEIGHBOURS)
    return 2 * math.pi / (distances.shape[1] + 1) * (distances**2).mean(axis=1)


def winding(targets: Floats, points: Floats, moments: Floats, labels: Ints, softening: float) -> Floats:
    """Winding number (t, l) at each target of each labelled patch of dipoles (moment = area × normal).

    A closed surface that is oriented outward has 1 inside, 0 outside and ½ on itself; an endless plane has
    ½ behind it and −½ before it (Jacobson 2013; Barill 2018). Dipoles are blunted within ``softening``.

    targets: (t, 3); points, moments: (n, 3); labels: (n,) from 0; softening: a length in the points' unit.
    """
    targets = np.ascontiguousarray(targets)  # for any other layout the kernel is compiled once more
    return _winding(targets, points, moments, labels, int(labels.max()) + 1, softening**2)


@njit(cache=True, parallel=True, nogil=True, fastmath=True)
def _winding(
    targets: Floats, points: Floats, moments: Floats, labels: Ints, count: int, softening2: float
) -> Floats:
    total = np.zeros((len(targets), count))
    for t in prange(len(targets)):
        for j in range(len(points)):
            x = points[j, 0] - targets[t, 0]
            y = points[j, 1] - targets[t, 1]
            z = points[j, 2] - targets[t, 2]
            squared = x * x + y * y + z * z + softening2
            flux = moments[j, 0] * x + moments[j, 1] * y + moments[j, 2] * z
            total[t, labels[j]] += flux / (squared * math.sqrt(squared))
    return total / (4 * math.pi)


def settle_patches(points: Floats, moments: Floats, labels: Ints, agreed: Agreement, signs: Floats) -> Floats:
    """Sign (l,) of each patch: as its borders agree, and so that the winding number is ½ on the surface.

    Where two sheets are joined by an edge too sharp for its sampling, the edge alone says nothing
    reliable, but only opposite normals leave ½ on both sheets. Minimises Σ (w − ½)² over the points less the
    agreement of the edges between patches, by flipping patches and branches of patches while it falls.

    points, moments: (n, 3); labels: patch (n,) of each point, from 0; agreed: the links among these points;
    signs: (n,) of the points as the tree left them.
    """
    count = int(labels.max()) + 1
    if count == 1:
        return np.ones(1)
    step = max(1, len(points) // FIELD_SAMPLES)
    fields = winding(points[::step], points, moments, labels, 0.5 * agreed.graph.spacing)
    borders = _border_agreement(labels, agreed, signs)
    moves = np.unique(np.column_stack([np.eye(count), _branches(borders)]), axis=1)
    settled = np.ones(count)
    lowest = _discord(fields, borders, settled[:, None], step)[0]
    while True:
        tried = settled[:, None] * (1 - 2 * moves)
        discord = _discord(fields, borders, tried, step)
        best = int(np.argmin(discord))
        if discord[best] > lowest - 1e-9:
            return settled
        settled, lowest = tried[:, best], discord[best]


def _border_agreement(labels: Ints, agreed: Agreement, signs: Floats) -> Floats:
    """Symmetric matrix (l, l): what the edges between two patches say, +1 a fully reliable edge."""
    one, other = agreed.graph.first, agreed.graph.second
    says = agreed.reliability * agreed.sign * signs[one] * signs[other]
    count = int(labels.max()) + 1
    borders = coo_array((says, (labels[one], labels[other])), shape=(count, count)).toarray()
    np.fill_diagonal(borders, 0)
    return borders + borders.T


def _branches(borders: Floats) -> Floats:
    """Columns (l, b): the patches beyond each link of the spanning tree of the strongest borders."""
    cost = np.where(borders != 0, 1 / (1e-9 + np.abs(borders)), 0)
    tree = minimum_spanning_tree(cost)
    order, parent = breadth_first_order(tree, 0, directed=False)
    beyond = np.eye(len(borders))
    for patch in order[:0:-1]:
        beyond[:, parent[patch]] += beyond[:, patch]
    return beyond


def _discord(fields: Floats, borders: Floats, signs: Floats, step: int) -> Floats:
    """What settle_patches minimises, for each column of signs (l, c); blind to a flip of everything."""
    total = fields @ signs
    misfit = np.minimum(((total - 0.5) ** 2).sum(axis=0), ((total + 0.5) ** 2).sum(axis=0))
    return step * misfit - 0.5 * np.einsum("lc,lc->c", signs, borders @ signs)


def dipole_signs(points: Floats, axes: Floats, areas_nm2: Floats, tree: Tree) -> Floats:
    """Signs (n,) of the axes by dipole propagation (after Metzer 2021, without its network).

    Patches of about 64 points along the tree's reliable links; within a patch the point that feels the
    strongest field of those already oriented is oriented by it; then the patches likewise, one against all
    oriented ones; at last patches and branches of patches flip while that strengthens the whole. The field
    opposes normals across a thin gap, so two layers come out opposite.

    areas_nm2: area (n,) of each point.
    """
    size = max(PATCH_POINTS, len(points) // MOST_PATCHES)
    sure = patches(tree)
    parent = np.where(sure == sure[tree.parent], tree.parent, -1)
    labels = np.unique(_pieces(tree.order, parent, size), return_inverse=True)[1]
    by_patch = np.argsort(labels, kind="stable")
    start = np.searchsorted(labels[by_patch], np.arange(labels.max() + 2))
    nearest2 = float(np.median(areas_nm2))
    signs = np.ones(len(points))
    _orient_within(points, axes, areas_nm2, by_patch, start, nearest2, signs)
    mutual = _mutual_fields(points, axes * (signs * areas_nm2)[:, None], by_patch, start, nearest2)
    of_patches = _flip_branches(mutual, _orient_patches(mutual, np.diff(start)))
    return signs * of_patches[labels]


def _flip_branches(mutual: Floats, signs: Floats) -> Floats:
    """Flip whole branches of the tree of strongest influences while that strengthens the whole."""
    branches = _branches(mutual)
    while len(signs) > 1:
        agree = mutual * np.outer(signs, signs)
        across = np.einsum("lb,lb->b", branches, agree @ (1 - branches))
        worst = int(np.argmin(across))
        if across[worst] >= -1e-9 * np.abs(mutual).sum():
            break
        signs = signs * (1 - 2 * branches[:, worst])
    return signs


@njit(cache=True, nogil=True)
def _pieces(order: Ints, parent: Ints, size: int) -> Ints:
    """Connected pieces of the tree of at least ``size`` points each, but for what is left at the roots."""
    weight = np.ones(len(parent), np.int64)
    labels = np.arange(len(parent))
    is_root = parent < 0
    for n in range(len(order) - 1, -1, -1):
        point = order[n]
        if weight[point] >= size or is_root[point]:
            is_root[point] = True
        else:
            weight[parent[point]] += weight[point]
    for point in order:
        if not is_root[point]:
            labels[point] = labels[parent[point]]
    return labels


@njit(cache=True, nogil=True)
def _influence(points: Floats, moments: Floats, i: int, j: int, nearest2: float) -> float:
    """mᵢ·(mⱼ − 3 (mⱼ·r) r / r²) / r³: positive where two dipoles of one surface agree.

    Nearer than √nearest2 they act as if at that distance. Blunting all distances instead, r² + ε², gives an
    endless sheet a field that favours equal normals across a gap, and so turns one of two layers over.
    """
    x = points[j, 0] - points[i, 0]
    y = points[j, 1] - points[i, 1]
    z = points[j, 2] - points[i, 2]
    squared = max(x * x + y * y + z * z, nearest2)
    along_i = moments[i, 0] * x + moments[i, 1] * y + moments[i, 2] * z
    along_j = moments[j, 0] * x + moments[j, 1] * y + moments[j, 2] * z
    cosine = moments[i, 0] * moments[j, 0] + moments[i, 1] * moments[j, 1] + moments[i, 2] * moments[j, 2]
    return (cosine - 3 * along_i * along_j / squared) / (squared * math.sqrt(squared))


@njit(cache=True, parallel=True, nogil=True)
def _orient_within(
    points: Floats,
    axes: Floats,
    areas: Floats,
    by_patch: Ints,
    start: Ints,
    nearest2: float,
    signs: Floats,
) -> None:
    for patch in prange(len(start) - 1):
        members = by_patch[start[patch] : start[patch + 1]]
        field = np.zeros(len(members))
        waiting = np.ones(len(members), np.bool_)
        newest = 0
        for _ in range(len(members)):
            waiting[newest] = False
            signs[members[newest]] = -1.0 if field[newest] < 0 else 1.0
            strongest = -1
            for m in range(len(members)):
                if waiting[m]:
                    push = _influence(points, axes, members[m], members[newest], nearest2)
                    field[m] += push * signs[members[newest]] * areas[members[newest]]
                    if strongest < 0 or abs(field[m]) > abs(field[strongest]):
                        strongest = m
            newest = strongest


@njit(cache=True, nogil=True)
def _apart(points: Floats, one: int, others: Floats, other: int) -> float:
    """Distance between a point and another one."""
    x, y, z = (
        points[one, 0] - others[other, 0],
        points[one, 1] - others[other, 1],
        points[one, 2] - others[other, 2],
    )
    return math.sqrt(x * x + y * y + z * z)


@njit(cache=True, nogil=True)
def _patch_dipoles(
    points: Floats, moments: Floats, by_patch: Ints, start: Ints
) -> tuple[Floats, Floats, Floats]:
    """Centre (l, 3), summed moment (l, 3) and radius (l,) of each patch."""
    count = len(start) - 1
    centres, sums, radii = np.zeros((count, 3)), np.zeros((count, 3)), np.zeros(count)
    for patch in range(count):
        members = by_patch[start[patch] : start[patch + 1]]
        for m in members:
            for axis in range(3):
                centres[patch, axis] += points[m, axis] / len(members)
                sums[patch, axis] += moments[m, axis]
        for m in members:
            radii[patch] = max(radii[patch], _apart(points, m, centres, patch))
    return centres, sums, radii


@njit(cache=True, parallel=True, nogil=True)
def _mutual_fields(points: Floats, moments: Floats, by_patch: Ints, start: Ints, nearest2: float) -> Floats:
    """Symmetric matrix (l, l) of the influence between patches, far patches taken as one dipole each."""
    centres, sums, radii = _patch_dipoles(points, moments, by_patch, start)
    count = len(start) - 1
    mutual = np.zeros((count, count))
    for one in prange(count):
        for other in range(one):
            distance = _apart(centres, one, centres, other)
            total = 0.0
            if distance > FAR * (radii[one] + radii[other]):
                total = _influence(centres, sums, one, other, nearest2)
            else:
                for m in range(start[one], start[one + 1]):
                    for n in range(start[other], start[other + 1]):
                        total += _influence(points, moments, by_patch[m], by_patch[n], nearest2)
            mutual[one, other] = total
    return mutual + mutual.T


@njit(cache=True, nogil=True)
def _orient_patches(mutual: Floats, sizes: Ints) -> Floats:
    count = len(mutual)
    signs = np.zeros(count)
    field = np.zeros(count)
    newest = int(np.argmax(sizes))
    for _ in range(count):
        signs[newest] = -1.0 if field[newest] < 0 else 1.0
        field += signs[newest] * mutual[newest]
        strongest = -1
        for patch in range(count):
            waits = signs[patch] == 0
            if waits and (strongest < 0 or abs(field[patch]) > abs(field[strongest])):
                strongest = patch
        newest = strongest
    for _ in range(10 * count):
        worst = int(np.argmin(signs * field))
        if signs[worst] * field[worst] >= 0:
            break
        signs[worst] *= -1.0
        field += 2 * signs[worst] * mutual[worst]
    return signs
