"""Two leaflets fitted to a profile: a Gaussian each, of one width, over a sloping background.

Levenberg and Marquardt's method on seven numbers, from the best of several beginnings; in parallel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from surfora.geometry.arrays import Floats
from surfora.geometry.frames import factorise, substitute

BASE, SLOPE, INNER, OUTER, MIDDLE, SPACING, SIGMA = range(7)
"""Columns of the numbers fitted: grey value of the background at the surface, its slope per nm; heights of
the leaflets over it; place of the middle along the normal, distance of the peaks, SD of a leaflet in nm."""
NUMBERS = 7
STEPS = 60
LEAST_GAIN = 1e-5
LEAST_DIP = 0.01  # of the lower peak, below which a surface's mean profile shows one peak and not two


@njit(cache=True, nogil=True, error_model="numpy")
def _rest_and_slopes(x: Any, t: float, value: float, slopes: Any) -> float:
    """What the model at t leaves of a value, and the model's derivatives by the seven numbers."""
    s = x[SIGMA]
    u, v = (t - x[MIDDLE] + 0.5 * x[SPACING]) / s, (t - x[MIDDLE] - 0.5 * x[SPACING]) / s
    e, f = np.exp(-0.5 * u * u), np.exp(-0.5 * v * v)
    p, q = x[INNER] * e, x[OUTER] * f
    slopes[BASE], slopes[SLOPE], slopes[INNER], slopes[OUTER] = 1.0, t, e, f
    slopes[MIDDLE] = (p * u + q * v) / s
    slopes[SPACING] = 0.5 * (q * v - p * u) / s
    slopes[SIGMA] = (p * u * u + q * v * v) / s
    return value - (x[BASE] + x[SLOPE] * t + p + q)


@njit(cache=True, nogil=True, error_model="numpy")
def _clamp(x: Any, low: Any, high: Any) -> None:
    for k in range(NUMBERS):
        x[k] = min(max(x[k], low[k]), high[k])


@njit(cache=True, nogil=True, error_model="numpy")
def _error(x: Any, offsets: Any, profile: Any, weight: Any) -> float:
    """The weighted squared error of the model, to which a leaflet adds nothing beyond five SD of it."""
    total, scale = 0.0, 1.0 / x[SIGMA]
    for at in range(len(offsets)):
        if weight[at] > 0.0:
            t = offsets[at]
            rest = profile[at] - x[BASE] - x[SLOPE] * t
            u = (t - x[MIDDLE] + 0.5 * x[SPACING]) * scale
            v = (t - x[MIDDLE] - 0.5 * x[SPACING]) * scale
            if abs(u) < 5.0:
                rest -= x[INNER] * np.exp(-0.5 * u * u)
            if abs(v) < 5.0:
                rest -= x[OUTER] * np.exp(-0.5 * v * v)
            total += weight[at] * rest * rest
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _system(x: Any, offsets: Any, profile: Any, weight: Any, free: Any, normal: Any, move: Any) -> None:
    """The normal equations at ``x``: matrix (lower triangle) and right side; rows not free are the unit's."""
    slopes = np.empty(NUMBERS)
    normal[:] = 0.0
    move[:] = 0.0
    for at in range(len(offsets)):
        if weight[at] > 0.0:
            rest = _rest_and_slopes(x, offsets[at], profile[at], slopes)
            for i in range(NUMBERS):
                move[i] += weight[at] * slopes[i] * rest
                for j in range(i + 1):
                    normal[i, j] += weight[at] * slopes[i] * slopes[j]
    for i in range(NUMBERS):
        if not free[i]:
            normal[i, :i] = 0.0
            normal[i + 1 :, i] = 0.0
            normal[i, i], move[i] = 1.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _fit(offsets: Any, profile: Any, weight: Any, x: Any, low: Any, high: Any, free: Any) -> float:
    """Bring the seven numbers ``x`` to the least weighted squared error, which is returned."""
    move = np.empty(NUMBERS)
    normal, system = np.empty((NUMBERS, NUMBERS)), np.empty((NUMBERS + 1, NUMBERS))
    _clamp(x, low, high)
    error, damping = _error(x, offsets, profile, weight), 1e-2
    _system(x, offsets, profile, weight, free, normal, move)
    for _ in range(STEPS):
        system[:NUMBERS] = normal
        for i in range(NUMBERS):
            system[i, i] = normal[i, i] * (1.0 + damping) + 1e-12
        trial = move.copy()
        found = np.inf
        if factorise(system, NUMBERS):
            substitute(system, trial, NUMBERS)
            trial += x
            _clamp(trial, low, high)
            found = _error(trial, offsets, profile, weight)
        if found < error:
            gained, error = error - found, found
            x[:] = trial
            damping = max(damping * 0.2, 1e-9)
            if gained <= LEAST_GAIN * error:
                break
            _system(x, offsets, profile, weight, free, normal, move)
        else:
            damping *= 10.0
            if damping > 1e6:
                break
    return error


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def fitted_leaflets(
    offsets: Any, profiles: Any, weights: Any, begins: Any, low: Any, high: Any, free: Any
) -> tuple[Floats, Floats]:
    """The numbers (n, 7) of each profile (n, m), and the share (n,) of its variance that they leave.

    offsets: (m,) in nm; weights: (n, m), 0 where nothing is known; begins: (b, 7) numbers, of which the
    best is begun from; low, high: (7,) bounds; free: (7,) whether a number is fitted or stays.
    """
    n = len(profiles)
    numbers, left = np.full((n, NUMBERS), np.nan), np.full(n, np.nan)
    for v in prange(n):
        x, weight = np.empty(NUMBERS), np.where(np.isnan(profiles[v]), 0.0, weights[v])
        total = weight.sum()
        if total <= 0.0:
            continue
        mean, spread = 0.0, 0.0
        for at in range(len(offsets)):
            if weight[at] > 0.0:
                mean += weight[at] * profiles[v, at] / total
        for at in range(len(offsets)):
            if weight[at] > 0.0:
                spread += weight[at] * (profiles[v, at] - mean) ** 2
        best = np.inf
        for b in range(len(begins)):
            error = _error(begins[b], offsets, profiles[v], weight)
            if error < best:
                best = error
                x[:] = begins[b]
        left[v] = _fit(offsets, profiles[v], weight, x, low, high, free) / max(spread, 1e-300)
        numbers[v] = x
    return numbers, left


def has_two_peaks(numbers: Floats) -> bool:
    """Whether two fitted leaflets are told apart: their sum has a dip between two peaks."""
    offsets = np.linspace(-0.5, 0.5, 101) * numbers[SPACING]
    apart = numbers[SPACING] / numbers[SIGMA]
    sums = numbers[INNER] * np.exp(-0.5 * (apart * (offsets / numbers[SPACING] + 0.5)) ** 2)
    sums += numbers[OUTER] * np.exp(-0.5 * (apart * (offsets / numbers[SPACING] - 0.5)) ** 2)
    lowest = int(np.argmin(sums))
    higher = min(sums[:lowest].max(initial=0.0), sums[lowest + 1 :].max(initial=0.0))
    return bool(sums[lowest] < (1.0 - LEAST_DIP) * higher)
