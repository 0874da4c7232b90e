"""Normals of an unorganised point cloud by quadratic jets over nearest neighbours, their sign left open."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.frames import factorise, substitute, tangent_frame
from surfora.geometry.repair import equal_points
from tomocore.contract import InputError

DEFAULT_NEIGHBOURS = 36
"""A disc of about 3 spacings: averages 0.3 voxel of noise, tells two sheets 2 spacings apart."""

SUPPORT_REACH = 0.4  # of a spacing: what counts as lying on a plane when planes compete
ONE_SHEET = 0.85  # share of the neighbours on a plane above which no other plane is tried
TRIAL_NEIGHBOURS = 8
NEVER_SEPARATE = 1e-6  # second over first variance below which neighbours lie on a line


def jet_normals(points: Floats, neighbour_count: int = DEFAULT_NEIGHBOURS) -> Floats:
    """Unit normals (n, 3) whose sign is arbitrary; NaN where the neighbours lie on a line or a point.

    In the principal frame of its nearest neighbours the surface about a point is
    z = ½(a x² + 2b xy + c y²) + d x + e y + f; the normal is the frame's, tilted by the slope
    (d, e) at the point (Cazals and Pouget 2005, the jet of degree two). Neighbours off the point's own
    plane by more than a spacing weigh little, so that a second sheet close by does not pull.

    points: (n, 3) in any unit; equal ones count once. neighbour_count: neighbours besides the point
    itself, at least 6. Raises InputError for arrays of another shape, points that are not finite, or too
    few of them.
    """
    points = checked_points(points, at_least=4)
    if neighbour_count < 6:
        raise InputError(f"jet_normals needs at least 6 neighbours a point; got {neighbour_count}")
    first, group = equal_points(points)
    if len(first) < len(points):  # doubles crowd out the neighbours that tell the plane
        return jet_normals(points[first], neighbour_count)[group]
    distances, neighbours = nearest_neighbours(points, neighbour_count)
    reach = sheet_reach(distances)
    guesses = _first_guesses(points, neighbours, SUPPORT_REACH * reach)
    for _ in range(2):
        guesses = _best_of_neighbours(points, neighbours, SUPPORT_REACH * reach, guesses)
    return _jets(points, neighbours, reach, guesses)


def checked_points(points: Floats, at_least: int = 1) -> Floats:
    """The points as a contiguous float array; InputError unless (n, 3), finite and enough."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"points come as an (n, 3) array; got shape {points.shape}")
    if len(points) < at_least:
        raise InputError(
            f"at least {at_least} points in different places are needed; got {len(points)}, so take "
            "a larger region"
        )
    if not np.isfinite(points).all():
        raise InputError("points hold NaN or infinite coordinates; drop these points first")
    return points


def nearest_neighbours(points: Floats, count: int) -> tuple[Floats, Ints]:
    """Distances and indices (n, k) of the nearest neighbours, nearest first, the point itself left out."""
    count = min(count, len(points) - 1)
    distances, indices = cKDTree(points).query(points, k=count + 1, workers=-1)
    itself = indices == np.arange(len(points))[:, None]
    itself[:, -1] |= ~itself.any(axis=1)  # a duplicate came first: give up the farthest instead
    shape = (len(points), count)
    return distances[~itself].reshape(shape), indices[~itself].reshape(shape)


def sheet_reach(neighbour_distances: Floats) -> float:
    """How far off its plane a point's own sheet may lie: one spacing (the median distance to the 3rd)."""
    return float(np.median(neighbour_distances[:, min(2, neighbour_distances.shape[1] - 1)]))


@njit(cache=True, parallel=True, nogil=True)
def _first_guesses(points: Floats, neighbours: Ints, reach: float) -> Floats:
    """The principal normal, or the plane through a point and two neighbours that more neighbours lie on."""
    guesses = np.empty_like(points)
    for i in prange(len(points)):
        offsets = points[neighbours[i]] - points[i]
        normal = _principal_normal(offsets)
        best = _support(offsets, normal, reach)
        if best < ONE_SHEET * len(offsets):
            trial = np.empty(3)
            for a in range(1, min(len(offsets), TRIAL_NEIGHBOURS)):
                for b in range(a):
                    _cross_unit(offsets[a], offsets[b], trial)
                    support = _support(offsets, trial, reach)
                    if support > best:
                        best = support
                        normal[:] = trial
        guesses[i] = normal
    return guesses


@njit(cache=True, parallel=True, nogil=True)
def _best_of_neighbours(points: Floats, neighbours: Ints, reach: float, guesses: Floats) -> Floats:
    chosen = guesses.copy()
    for i in prange(len(points)):
        offsets = points[neighbours[i]] - points[i]
        best = _support(offsets, guesses[i], reach)
        if best < ONE_SHEET * len(offsets):
            for n in range(min(len(offsets), TRIAL_NEIGHBOURS)):
                support = _support(offsets, guesses[neighbours[i, n]], reach)
                if support > best:
                    best = support
                    chosen[i] = guesses[neighbours[i, n]]
    return chosen


@njit(cache=True, parallel=True, nogil=True)
def _jets(points: Floats, neighbours: Ints, reach: float, guesses: Floats) -> Floats:
    normals = guesses.copy()
    for i in prange(len(points)):
        offsets = points[neighbours[i]] - points[i]
        system, right = np.empty((7, 6)), np.empty(6)
        for _ in range(2):
            _tilt_by_jet(offsets, reach, system, right, normals[i])
    return normals


@njit(cache=True, nogil=True)
def _principal_normal(offsets: Floats) -> Floats:
    """The direction of least variance; NaN where the neighbours lie on a line or a point."""
    mean = np.zeros(3)
    scatter = np.zeros((3, 3))
    for n in range(len(offsets)):
        mean += offsets[n] / (len(offsets) + 1)
    for row in range(3):
        for column in range(3):
            scatter[row, column] = mean[row] * mean[column]
            for n in range(len(offsets)):
                scatter[row, column] += (offsets[n, row] - mean[row]) * (offsets[n, column] - mean[column])
    variances, axes = np.linalg.eigh(scatter)
    normal = axes[:, 0].copy()
    if not variances[1] > NEVER_SEPARATE * variances[2]:
        normal[:] = math.nan
    return normal


@njit(cache=True, nogil=True)
def _cross_unit(a: Floats, b: Floats, out: Floats) -> None:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]
    out /= math.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2) + 1e-300


@njit(cache=True, nogil=True)
def _support(offsets: Floats, normal: Floats, reach: float) -> float:
    """How many neighbours lie within about the reach of the plane through the point."""
    total = 0.0
    for n in range(len(offsets)):
        height = offsets[n, 0] * normal[0] + offsets[n, 1] * normal[1] + offsets[n, 2] * normal[2]
        squared = (height / reach) ** 2
        total += 1.0 / (1.0 + squared * squared)
    return total


@njit(cache=True, nogil=True)
def _tilt_by_jet(offsets: Floats, reach: float, system: Floats, right: Floats, normal: Floats) -> None:
    """Fit the jet in the normal's frame and tilt the normal by its slope, in place."""
    frame = tangent_frame(normal[0], normal[1], normal[2])
    scale = math.sqrt((offsets[-1] ** 2).sum())  # the farthest: keeps the six unknowns of one size
    system[:], right[:] = 0.0, 0.0
    system[2, 2] = 1.0  # the point itself, at (0, 0, 0)
    for n in range(len(offsets)):
        x = y = height = 0.0
        for axis in range(3):
            x += frame[axis] * offsets[n, axis] / scale
            y += frame[3 + axis] * offsets[n, axis] / scale
            height += normal[axis] * offsets[n, axis]
        row = (x, y, 1.0, 0.5 * x * x, x * y, 0.5 * y * y)
        squared = (height / reach) ** 2
        weight = 1.0 / (1.0 + squared * squared)
        for a in range(6):
            right[a] += weight * row[a] * height / scale
            for b in range(a + 1):
                system[a, b] += weight * row[a] * row[b]
    if factorise(system, 6):
        substitute(system, right, 6)
        for axis in range(3):
            normal[axis] -= right[0] * frame[axis] + right[1] * frame[3 + axis]
        normal /= math.sqrt((normal * normal).sum())
