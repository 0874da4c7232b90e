"""Thinning of point clouds to an even spacing, uniform or graded (Poisson-disc sampling)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from surfora.geometry.arrays import Floats, Ints, Mask
from tomocore.contract import InputError


def poisson_disc(points: Floats, radius_nm: ArrayLike, order: ArrayLike | None = None, seed: int = 0) -> Ints:
    """Indices, ascending, of the points kept so that no two lie closer than their radii allow.

    points: (n, 3) in nm (any unit, the radii in the same). radius_nm: one number, or one for each point
    (n,); two points keep the mean of their radii between them. order: priorities (n,), highest first, ties
    at random by ``seed``; None: all at random. Every point left out lies nearer than that to a kept one.
    Raises InputError where a radius is not positive. Greedy dart throwing (Cook 1986) on a hashed grid.
    """
    points = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
    radius = np.broadcast_to(np.asarray(radius_nm, dtype=np.float64), (len(points),))
    if len(points) == 0:
        return np.empty(0, dtype=np.int64)
    if not (np.isfinite(radius).all() and radius.min() > 0):
        raise InputError(
            f"sampling radius must be a positive number of nm; got {radius.min()}; choose a larger one"
        )
    turn = np.random.default_rng(seed).permutation(len(points))
    if order is not None:
        turn = turn[np.argsort(-np.asarray(order, dtype=np.float64)[turn], kind="stable")]
    keys = _cell_keys(points, radius.max())
    by_cell = np.argsort(keys, kind="stable")  # neighbours in space become neighbours in memory
    first = np.concatenate([[True], np.diff(keys[by_cell]) > 0])
    place = np.empty_like(by_cell)
    place[by_cell] = np.arange(len(points))
    near = _adjacent(keys[by_cell][first])
    kept = _throw(points[by_cell], radius[by_cell], place[turn], np.cumsum(first) - 1, near)
    return np.sort(by_cell[kept])


def _cell_keys(points: Floats, width: float) -> Ints:
    """One number for the grid cell of each point: 21 bits an axis, x lowest, all neighbours positive."""
    cell = np.floor((points - points.min(axis=0)) / width).astype(np.int64) + 1
    return (cell[:, 2] << 42) | (cell[:, 1] << 21) | cell[:, 0]


@njit(cache=True, nogil=True)
def _adjacent(cells: Ints) -> Ints:
    """For each occupied cell (ascending keys) its up to 27 occupied neighbours, itself first, then -1."""
    n = len(cells)
    near = np.full((n, 27), -1, dtype=np.int64)
    filled = np.ones(n, dtype=np.int64)
    for i in range(n):
        near[i, 0] = i
    for dz in range(-1, 2):
        for dy in range(-1, 2):
            shift = (np.int64(dz) << 42) + (np.int64(dy) << 21)
            j = 0
            for i in range(n):  # the keys ascend, so the wanted ones do too: one sweep for each row
                while j < n and cells[j] < cells[i] + shift - 1:
                    j += 1
                k = j
                while k < n and cells[k] <= cells[i] + shift + 1:
                    if k != i:
                        near[i, filled[i]] = k
                        filled[i] += 1
                    k += 1
    return near


@njit(cache=True, nogil=True)
def _crowded(points: Floats, radius: Floats, i: int, j: int, following: Ints) -> bool:
    """Whether point i lies too near any point of the list that starts at j."""
    while j >= 0:
        x, y, z = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1], points[i, 2] - points[j, 2]
        limit = 0.5 * (radius[i] + radius[j])
        if x * x + y * y + z * z < limit * limit:
            return True
        j = following[j]
    return False


@njit(cache=True, nogil=True)
def _throw(points: Floats, radius: Floats, turn: Ints, cell: Ints, near: Ints) -> Mask:
    """Mask of the points kept, taken in turn; cells are as wide as the largest radius."""
    head = np.full(len(near), -1, dtype=np.int64)
    following = np.full(len(points), -1, dtype=np.int64)
    kept = np.zeros(len(points), dtype=np.bool_)
    for i in turn:
        own, free = cell[i], True
        for other in near[own]:
            if other < 0 or not free:
                break
            free = not _crowded(points, radius, i, head[other], following)
        if free:
            following[i], head[own], kept[i] = head[own], i, True
    return kept
