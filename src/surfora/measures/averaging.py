"""Curvature averaged along the surface as far as it says the same, which errs less than any one fit.

The noise of a fitted curvature is correlated over little more than the fit's radius, and falls with the third
power of the radius that it is averaged over, as it does with that of the fit itself. But while a larger fit
must follow the surface in space, a larger average must only follow its curvature, which is constant on
spheres, tubes and minimal surfaces however strongly they bend, and varies slowly on most others. So the fits
stay small, and H, and the differences of k1 and k2 as a tensor carried along the surface, are averaged over
balls of several sizes: as a constant, and as a quadric of the place, which follows crests and troughs.

Whether an average may be believed is seen from step to step: how far the quadric of one ball differs from
that of the next smaller one, and the constant from the quadric, as a mean over neighbours, is taken for bias.
Nothing is taken off for noise, which would hide as much bias as there is noise. All averages are then joined
by a power of their predicted errors, since a choice of the best one alone speckles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.frames import factorise, substitute, tangent_frame, tangents
from surfora.measures.curvature_scales import Fits
from surfora.measures.geodesics import Fans, new_front
from surfora.measures.jets import PORTION, TASKS, arc_ball
from tomocore.contract import Progress, no_progress

REACHES = (1 / 4, 3 / 8, 1 / 2, 2 / 3, 5 / 6)
"""Radii of the averages, as shares of the largest radius."""
NEIGHBOUR_ROUNDS = 8  # of means over neighbours that differences are pooled over: some 2.5 edges
# Squared bias over the squared difference that is seen: 1 flattens waves, 2 smooths tubes too little.
STEP_TO_BIAS = 1.5
SHARPNESS = 8  # power of the predicted squared error by which averages are weighed against each other
LEAST_ERROR = 1e-7  # 1/nm, below which no fit is better than another
FEWEST = 12  # vertices that bear a quadric
# Variance of an average over ρ of fits over r, in that of the fits, measured on medial surfaces of spheres,
# cylinders and vesicles: (1 + a (ρ/r)^b)^−3 for constants and quadrics.
CONSTANT_FALLS, QUADRIC_FALLS = (1.2, 2.0), (0.35, 2.5)
# Weight of the middle of a quadric over that of a constant, for the kernel (1 − u²)² on a whole disc.
QUADRIC_AT_MIDDLE = 8.0 / 3.0
TERMS, MOMENTS = 6, 15


def averaged(
    fits: Fits,
    vertices: Floats,
    normals: Floats,
    areas_nm2: Floats,
    fans: Fans,
    largest_nm: float,
    neighbours: csr_array,
    progress: Progress = no_progress,
) -> Fits:
    """The fits with H, the differences of k1 and k2, the error of H and the radius (nm) of their averages.

    vertices, normals: (n, 3); areas_nm2: (n,) that weigh them; fans: their edges; largest_nm: of which
    `REACHES` are shares; neighbours: (n, n) of ones where two vertices share an edge. The radius of a vertex
    is that of its fit or of the average of most weight, whichever is larger.
    """
    at = np.flatnonzero(np.isfinite(fits.mean_per_nm))
    reaches = largest_nm * np.array(REACHES)
    certainty = 1.0 / (fits.error_per_nm**2 + LEAST_ERROR**2)
    parts = []
    for begin in range(0, len(at), PORTION):
        sources = at[begin : begin + PORTION]
        parts.append(_averages(
            min(TASKS, len(sources)), sources, reaches, fits.mean_per_nm, fits.half_per_nm, fits.k1_direction,
            certainty, areas_nm2, vertices, normals, fans.start, fans.corner,
        ))  # fmt: skip
        progress(begin + len(sources), len(at))
    table = np.concatenate(parts)
    few = csr_array(neighbours[at][:, at])
    bias = np.maximum(fits.error_per_nm[at] ** 2 - fits.noise[at, 0], 0.0)
    own = table[:, 0, 0]
    mean = _joined(own[:, :1], table[:, 1:, :, :1], table[:, 1:, :, 3], bias, fits, 0, at, reaches, few)
    half = _joined(own[:, 1:3], table[:, 1:, :, 1:3], table[:, 1:, :, 3], bias, fits, 1, at, reaches, few)
    e, f = tangents(normals[at])
    angle = 0.5 * np.arctan2(half.value[:, 1], half.value[:, 0])[:, None]
    return replace(
        fits,
        mean_per_nm=_with(fits.mean_per_nm, at, mean.value[:, 0]),
        half_per_nm=_with(fits.half_per_nm, at, np.hypot(half.value[:, 0], half.value[:, 1])),
        k1_direction=_with(fits.k1_direction, at, np.cos(angle) * e + np.sin(angle) * f),
        error_per_nm=_with(fits.error_per_nm, at, mean.error),
        radius_nm=_with(fits.radius_nm, at, np.maximum(fits.radius_nm[at], mean.reach_nm)),
    )


@dataclass(frozen=True)
class _Joined:
    """Averages (n, k) joined, their error (n,), and the reach (n,) of that of most weight (0: the fit)."""

    value: Floats
    error: Floats
    reach_nm: Floats


def _joined(
    own: Floats,
    averages: Floats,
    thinness: Floats,
    bias_squared: Floats,
    fits: Fits,
    kind: int,
    at: Ints,
    reaches_nm: Floats,
    neighbours: csr_array,
) -> _Joined:
    """What all averages say together.

    own: (n, k), of the vertices ``at`` alone; averages: (n, reaches, 2, k), as constants and as quadrics;
    thinness: (n, reaches, 2), their variance over that of whole balls; bias_squared: (n,) of the fits; kind:
    column of the noise of ``fits``; neighbours: (n, n).
    """
    noise, radius = fits.noise[at, kind], fits.radius_nm[at]
    vote = _Vote(own, bias_squared + noise + LEAST_ERROR**2)
    before, seen = own, np.zeros(len(own))
    for level, reach in enumerate(reaches_nm):
        constant, quadric = averages[:, level, 0], averages[:, level, 1]
        there = np.isfinite(quadric[:, 0])
        of_constant, of_quadric = (
            noise * np.maximum(thinness[:, level, which], 1.0) / (1.0 + a * (reach / radius) ** b) ** 3
            for which, (a, b) in enumerate((CONSTANT_FALLS, QUADRIC_FALLS))
        )
        seen = np.fmax(seen, STEP_TO_BIAS * _pooled(quadric - before, neighbours))
        before = np.where(there[:, None], quadric, before)
        flat = STEP_TO_BIAS * _pooled(constant - before, neighbours)
        rest = bias_squared + LEAST_ERROR**2 + seen
        vote.take(quadric, rest + np.minimum(of_quadric, 3.0 * noise), reach)
        vote.take(constant, rest + flat + np.minimum(of_constant, noise), reach)
    return vote.outcome()


class _Vote:
    """Sums of values (n, k) weighed by their predicted squared errors (n,)."""

    def __init__(self, value: Floats, squared_error: Floats) -> None:
        self.least, self.reach = squared_error.copy(), np.zeros(len(value))
        weight = squared_error**-SHARPNESS
        self.weights = weight.copy()
        self.sums = weight[:, None] * value
        self.squares = weight * np.sum(value**2, axis=1)

    def take(self, value: Floats, squared_error: Floats, reach_nm: float) -> None:
        """Add values; those that are not finite have no say."""
        there = np.isfinite(value[:, 0]) & np.isfinite(squared_error)
        weight = np.where(there, np.where(there, squared_error, 1.0) ** -SHARPNESS, 0.0)
        value = np.where(there[:, None], value, 0.0)
        best = there & (squared_error < self.least)
        self.least = np.where(best, squared_error, self.least)
        self.reach = np.where(best, reach_nm, self.reach)
        self.weights += weight
        self.sums += weight[:, None] * value
        self.squares += weight * np.sum(value**2, axis=1)

    def outcome(self) -> _Joined:
        """Weighted means; their error is the least predicted one and the spread of what was joined."""
        mean = self.sums / self.weights[:, None]
        spread = np.maximum(self.squares / self.weights - np.sum(mean**2, axis=1), 0.0)
        return _Joined(mean, np.sqrt(self.least + spread), self.reach)


def _pooled(difference: Floats, neighbours: csr_array) -> Floats:
    """Squared differences (n,) of vectors (n, k) as means over neighbours; what is not finite has no say."""
    there = np.isfinite(difference[:, 0])
    total = np.where(there, np.sum(np.where(there[:, None], difference, 0.0) ** 2, axis=1), 0.0)
    count = there.astype(np.float64)
    for _ in range(NEIGHBOUR_ROUNDS):
        total, count = total + neighbours @ total, count + neighbours @ count
    return total / np.maximum(count, 1e-300)


def _with(whole: Floats, at: Ints, values: Floats) -> Floats:
    changed = whole.copy()
    changed[at] = values
    return changed


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def _averages(
    tasks: int, sources: Any, reaches: Any, mean: Any, half: Any, direction: Any, certainty: Any, areas: Any,
    vertices: Any, normals: Any, start: Any, corner: Any,
) -> Any:  # fmt: skip
    """Averages about the sources: (sources, 1 + reaches, 2, 4), first what the source has itself: of H and of
    both parts of the differences in its tangent frame, as constants and as quadrics; last their thinness."""
    table = np.full((len(sources), 1 + len(reaches), 2, 4), np.nan)
    for task in prange(tasks):
        front = new_front(len(vertices))
        moments = np.empty((len(reaches), MOMENTS))
        values = np.empty((len(reaches), 3, TERMS))
        system = np.empty((TERMS + 1, TERMS))
        rights = np.empty((4, TERMS))
        members = np.empty(len(reaches), np.int64)
        for at in range(task * len(sources) // tasks, (task + 1) * len(sources) // tasks):
            source = sources[at]
            count = arc_ball(front, source, reaches[-1], vertices, normals, start, corner)
            _add_members(
                front, count, reaches, mean, half, direction, certainty, areas, normals,
                moments, values, members, table[at, 0],
            )  # fmt: skip
            for level in range(len(reaches)):
                whole = np.pi / 3.0 * reaches[level] ** 2 * certainty[source]
                row = table[at, 1 + level]
                if moments[level, 0] > 0.0:
                    for k in range(3):
                        row[0, k] = values[level, k, 0] / moments[level, 0]
                    row[0, 3] = whole / moments[level, 0]
                if members[level] >= FEWEST:
                    _solve_quadric(moments[level], values[level], whole, system, rights, row[1])
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def _add_members(
    front: Any, count: int, reaches: Any, mean: Any, half: Any, direction: Any, certainty: Any, areas: Any,
    normals: Any, moments: Any, values: Any, members: Any, own: Any,
) -> None:  # fmt: skip
    """Sums over a ball, for each reach: of w uⁱ vʲ to the fourth degree, and of these times the values to the
    second; u, v in largest reaches. Differences come to the source by the least turn of their normals."""
    member, distance, way = front[1], front[2], front[3]
    source = member[0]
    n0, n1, n2 = normals[source, 0], normals[source, 1], normals[source, 2]
    e0, e1, e2, f0, f1, f2 = tangent_frame(n0, n1, n2)
    largest = reaches[-1]
    moments[:] = 0.0
    values[:] = 0.0
    members[:] = 0
    powers = np.empty(MOMENTS)
    value = np.empty(3)
    for slot in range(count):
        v = member[slot]
        if not np.isfinite(mean[v]) or distance[slot] >= largest:
            continue
        m0, m1, m2 = n0 + normals[v, 0], n1 + normals[v, 1], n2 + normals[v, 2]
        d0, d1, d2 = direction[v, 0], direction[v, 1], direction[v, 2]
        turn = (d0 * n0 + d1 * n1 + d2 * n2) / (0.5 * (m0 * m0 + m1 * m1 + m2 * m2))
        d0, d1, d2 = d0 - turn * m0, d1 - turn * m1, d2 - turn * m2
        x, y = d0 * e0 + d1 * e1 + d2 * e2, d0 * f0 + d1 * f1 + d2 * f2
        size = half[v] / (x * x + y * y + 1e-300)
        value[0], value[1], value[2] = mean[v], size * (x * x - y * y), size * 2.0 * x * y
        if slot == 0:
            for k in range(3):
                own[0, k] = own[1, k] = value[k]
        _powers(distance[slot] / largest * way[slot, 0], distance[slot] / largest * way[slot, 1], powers)
        for level in range(len(reaches)):
            part = distance[slot] / reaches[level]
            if part >= 1.0:
                continue
            weight = (1.0 - part * part) ** 2 * areas[v] * certainty[v]
            members[level] += 1
            for term in range(MOMENTS):
                moments[level, term] += weight * powers[term]
            for k in range(3):
                times = weight * value[k]
                for term in range(TERMS):
                    values[level, k, term] += times * powers[term]


@njit(cache=True, nogil=True, error_model="numpy")
def _powers(u: float, v: float, powers: Any) -> None:
    """Monomials of u and v to the fourth degree: 1, u, v, u², uv, v², …"""
    powers[0] = 1.0
    term = 1
    for degree in range(1, 5):
        for _ in range(degree):
            powers[term] = powers[term - degree] * u
            term += 1
        powers[term] = powers[term - degree - 1] * v
        term += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_quadric(moments: Any, values: Any, whole: float, system: Any, rights: Any, row: Any) -> None:
    """The values of the quadrics at their middle, and their thinness; NaN where there is no one solution."""
    at = 0
    for degree in range(3):
        for j in range(degree + 1):
            column = 0
            for other in range(degree + 1):
                base = (degree + other) * (degree + other + 1) // 2 + j
                for k in range(other + 1):
                    system[at, column] = moments[base + k]
                    column += 1
            for k in range(3):
                rights[k, at] = values[k, at]
            rights[3, at] = 1.0 if at == 0 else 0.0
            at += 1
    if not factorise(system, TERMS):
        return
    for k in range(4):
        substitute(system, rights[k], TERMS)
    for k in range(3):
        row[k] = rights[k, 0]
    row[3] = rights[3, 0] * whole / QUADRIC_AT_MIDDLE
