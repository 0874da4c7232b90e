"""Which radius and order of fit each vertex takes: by the smallest predicted error, or by the published rule.

The published rule takes the smallest radius at which H stops changing; on surfaces from voxels two noisy
neighbours agree by chance, and its 95th percentile error is 20–50 %. The predicted error has two parts: noise
from the scatter of the fits over the mesh, bias from how far the orders 2 and 4 disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.measures.jets import (
    COUNT,
    DIFFERENCE,
    DIFFERENCE_VARIANCE,
    K1_X,
    K1_Z,
    MEAN,
    MEAN_VARIANCE,
    OFFSET,
    TWIST,
)

ORDERS = (2, 4)
EVENING_ROUNDS = 2
# Bias of order 4 over the squared relative disagreement of the orders: 0.12 on a sphere, 0.3 on the crests
# of a wavy sheet (measured on clean meshes at radii of 0.5 to 2 radian).
BIAS_FACTOR = 0.35
FLAT_PER_NM = 1e-3
# Noise of surfaces from voxels is correlated over 4 to 8 nm, which near radii share: at steps of 1.2 the next
# radius shows a quarter of its variance, the next but one half (nine medial surfaces, two isosurfaces).
RADII_APART = 2


@dataclass(frozen=True)
class Choice:
    """Which radius and order each vertex took (-1: none), and the standard error (n,) of its H in 1/nm.

    ``noise`` (n, 2) in 1/nm²: the variances of H and of the differences of k1 and k2 that are noise alone.
    """

    radius: Ints
    order: Ints
    error_per_nm: Floats
    noise: Floats


def noise_density(table: Floats, radii_nm: Floats, grows_on: bool = False) -> Floats:
    """Noise density (radii, orders) in nm⁴: variance of height × the area over which it is correlated.

    From the scatter between fits of order 4 at a radius and the next but one. Balls are nested, so without
    bias the variance of the difference is the difference of the variances (Hausman 1978). Noise from voxels
    is correlated, so its density grows with the scale; order 2 sees at r what order 4 sees at 1.6 r. At the
    largest radii, which none is next but one to, it stays what it was, or ``grows_on`` by its last factor.
    """
    apart = min(RADII_APART, len(radii_nm) - 1)
    inner, outer = table[:, : len(radii_nm) - apart, -1], table[:, apart:, -1]
    square = (inner - outer) ** 2
    variances = [MEAN_VARIANCE, DIFFERENCE_VARIANCE]
    fewer = inner[..., variances] - outer[..., variances]
    fewer[~(fewer > 0)] = np.nan  # a ball that holds no more than the other
    both = square[..., DIFFERENCE] + square[..., TWIST]
    # medians of χ² with one and with two degrees of freedom
    of_mean = _median_over_sources(square[..., MEAN] / fewer[..., 0]) / 0.455
    of_difference = _median_over_sources(both / fewer[..., 1]) / 1.386
    found = np.fmin(of_mean, of_difference)
    known = np.isfinite(found)
    if not known.any():
        return np.zeros((len(radii_nm), 2))
    at = np.log(radii_nm)
    spread = np.interp(at, at[: len(found)][known], found[known])
    last = int(np.flatnonzero(known)[-1])
    if grows_on and last > 0:
        factor = max(spread[last] / max(spread[last - 1], 1e-300), 1.0)
        spread[last + 1 :] = spread[last] * factor ** np.arange(1, len(at) - last)
    high = _growing_ever_slower(spread)
    return np.stack([np.interp(at + shift, at, high) for shift in (np.log(1.6), 0.0)], axis=1)


def _growing_ever_slower(density: Floats) -> Floats:
    """The density held down to growing by no larger factor than before: steeper growth is bias, not noise."""
    held = density.copy()
    largest = np.inf
    for at in range(1, len(held)):
        factor = min(density[at] / max(held[at - 1], 1e-300), largest)
        largest = factor if factor > 1.0 else largest
        held[at] = held[at - 1] * factor
    return held


def balanced_choice(
    table: Floats,
    radii_nm: Floats,
    density: Floats,
    order: Literal["auto", 2, 4],
    neighbours: csr_array | None = None,
) -> Choice:
    """The radius of the smallest predicted error at each vertex of a jet table of the orders 2 and 4.

    With ``neighbours`` (n, n) the radii are then evened out between neighbouring vertices, which errs less
    than their single choices. Order 2 is taken where it is asked for, and by ``"auto"`` where no ball can
    bear order 4.
    """
    bias, variance = predicted_errors(table, radii_nm, density)
    usable = np.isfinite(table[..., MEAN])
    if order == "auto":
        usable[:, :, 0] &= ~usable[:, :, 1].any(axis=1, keepdims=True)
    else:
        usable[:, :, 1 - ORDERS.index(order)] = False
    of_differences = 2.0 * table[..., DIFFERENCE_VARIANCE] * density
    risk = np.where(usable, bias**2 + variance + of_differences, np.inf)
    radius, kind = np.divmod(risk.reshape(len(risk), -1).argmin(axis=1), 2)
    at = np.arange(len(table))
    none = ~np.isfinite(risk[at, radius, kind])
    if neighbours is not None:
        even = _evened(np.where(none, np.nan, radius), neighbours)
        radius = np.where(none | ~usable[at, even, kind], radius, even)
    noise = np.stack([variance[at, radius, kind], of_differences[at, radius, kind]], axis=1)
    noise[none] = np.nan
    error = np.sqrt(bias[at, radius, kind] ** 2 + noise[:, 0])
    return Choice(np.where(none, -1, radius), np.where(none, -1, kind), error, noise)


def predicted_errors(table: Floats, radii_nm: Floats, density: Floats) -> tuple[Floats, Floats]:
    """Bias of the shape in 1/nm and variance of H in 1/nm², both (n, radii, orders), of a jet table.

    The bias of order 4 goes with the square of how far the orders disagree, less what noise explains, and
    is never more than that; once seen at one radius it is held for all larger ones. That of order 2 is
    their disagreement, or that of its series on a sphere.
    """
    shape = table[..., [MEAN, DIFFERENCE, TWIST]]
    noise = (table[:, :, 1, MEAN_VARIANCE] + 2.0 * table[:, :, 1, DIFFERENCE_VARIANCE]) * density[:, 1]
    size = np.linalg.norm(shape, axis=-1)
    apart = np.linalg.norm(shape[:, :, 1] - shape[:, :, 0], axis=-1) ** 2
    apart = np.maximum(apart - noise, 0.0)
    low = np.fmax(0.1 * (radii_nm * size[:, :, 0]) ** 2 * size[:, :, 0], np.sqrt(apart))
    whole = size[:, :, 1] + FLAT_PER_NM + BIAS_FACTOR * np.sqrt(apart)
    high = np.fmax.accumulate(BIAS_FACTOR * apart / whole, axis=1)
    return np.stack([low, high], axis=-1), table[..., MEAN_VARIANCE] * density


def _evened(index: Floats, neighbours: csr_array) -> Ints:
    """Indices (n,) after two rounds of means over each vertex and its neighbours; NaN has no say."""
    total, count = np.nan_to_num(index), np.isfinite(index).astype(float)
    for _ in range(EVENING_ROUNDS):
        total, count = total + neighbours @ total, count + neighbours @ count
    return np.rint(total / np.maximum(count, 1.0)).astype(np.int64)


def stable_choice(
    mean_curvature: Floats, tau_rel: float, tau_abs_per_nm: float, epsilon_per_nm: float
) -> tuple[Ints, Floats]:
    """The published rule on H (n, radii): the index of the radius (-1: none) and the change of H to the next.

    The smallest radius rᵢ at which |H(rᵢ₊₁) − H(rᵢ)| is both ≤ τ_rel (|H(rᵢ₊₁)| + |H(rᵢ)| + ε) and ≤ τ_abs;
    else the largest radius with a finite estimate.
    """
    finite = np.isfinite(mean_curvature)
    change = np.abs(np.diff(mean_curvature, axis=1))
    size = np.abs(mean_curvature)
    both = size[:, :-1] + size[:, 1:] + epsilon_per_nm
    steady = (change <= tau_rel * both) & (change <= tau_abs_per_nm)
    largest = np.where(finite.any(axis=1), finite.shape[1] - 1 - finite[:, ::-1].argmax(axis=1), -1)
    chosen = np.where(steady.any(axis=1), _first_true(steady), largest)
    if change.shape[1] == 0:
        return chosen, np.full(len(chosen), np.nan)
    return chosen, change[np.arange(len(chosen)), np.clip(chosen, 0, change.shape[1] - 1)]


def _first_true(mask: Mask) -> Ints:
    """Column (n,) of the first True in each row; 0 where there is none or no column."""
    return mask.argmax(axis=1) if mask.shape[1] else np.zeros(len(mask), dtype=np.int64)


def _median_over_sources(values: Floats) -> Floats:
    """Medians over the finite values of each column; NaN where there are none."""
    return np.array([np.median(v[np.isfinite(v)]) if np.isfinite(v).any() else np.nan for v in values.T])


@dataclass(frozen=True)
class Fits:
    """What the chosen fits tell of each vertex; NaN where there is none.

    mean_per_nm (n,): H; half_per_nm (n,): half of k1 − k2; k1_direction (n, 3); error_per_nm (n,): one
    standard error of H; noise (n, 2) of a `Choice`; radius_nm (n,); offset (n,): of a jet table; filling
    (n,): neighbours for each coefficient.
    """

    mean_per_nm: Floats
    half_per_nm: Floats
    k1_direction: Floats
    error_per_nm: Floats
    noise: Floats
    radius_nm: Floats
    offset: Floats
    filling: Floats

    @classmethod
    def none(cls, count: int) -> Fits:
        """No fit at any of ``count`` vertices."""
        lone, two, three = (np.full(shape, np.nan) for shape in (count, (count, 2), (count, 3)))
        return cls(lone, lone, three, lone, two, lone, lone, lone)


def fits_taken(table: Floats, choice: Choice, radii_nm: Floats) -> Fits:
    """The fits of a jet table (n, radii, orders, columns) that a choice takes."""
    fit = table[np.arange(len(table)), choice.radius, choice.order].astype(np.float64)
    fit[choice.radius < 0] = np.nan
    order = np.array(ORDERS)[choice.order]
    return Fits(
        fit[:, MEAN],
        np.hypot(fit[:, DIFFERENCE], fit[:, TWIST]),
        fit[:, K1_X : K1_Z + 1],
        choice.error_per_nm,
        choice.noise,
        np.where(choice.radius < 0, np.nan, radii_nm[choice.radius]),
        fit[:, OFFSET],
        fit[:, COUNT] / ((order + 1) * (order + 2) / 2),
    )


def joined(parts: Sequence[Fits], at: Ints, count: int) -> Fits:
    """Fits of parts, one after the other, as those of the vertices ``at`` (n,) of ``count``; else NaN."""
    whole = []
    for name in (field.name for field in fields(Fits)):
        values = np.concatenate([getattr(part, name) for part in parts])
        spread = np.full((count, *values.shape[1:]), np.nan)
        spread[at] = values
        whole.append(spread)
    return Fits(*whole)
