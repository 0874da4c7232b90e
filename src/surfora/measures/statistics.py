"""Statistics weighted by area, since a mesh's vertices stand for different amounts of membrane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfora.geometry.arrays import Floats
from tomocore.contract import InputError


class NoValues(InputError):
    """A measure that no vertex of a surface could be given: why, and what to change."""


def require_values(values: Floats, why: str) -> None:
    """Raise NoValues with the reason where there is no finite value."""
    if not np.isfinite(values).any():
        raise NoValues(why)


def weighted_mean(values: ArrayLike, weights: ArrayLike) -> float:
    """Weighted mean of the finite values; NaN where there is none."""
    kept, weight = _finite(values, weights)
    return float(np.average(kept, weights=weight)) if len(kept) else float("nan")


def weighted_standard_deviation(values: ArrayLike, weights: ArrayLike) -> float:
    """Square root of the weighted mean squared deviation of the finite values; NaN where there is none."""
    kept, weight = _finite(values, weights)
    if len(kept) == 0:
        return float("nan")
    return float(np.sqrt(np.average((kept - np.average(kept, weights=weight)) ** 2, weights=weight)))


def weighted_quantiles(values: ArrayLike, weights: ArrayLike, shares: Sequence[float]) -> Floats:
    """The values (k,) below which the given shares (0 to 1) of the weight lie; NaN where none is finite.

    Each value sits in the middle of its own weight, with linear interpolation between; equal weights
    give the quantiles of Hazen (1914).
    """
    kept, weight = _finite(values, weights)
    if len(kept) == 0:
        return np.full(len(shares), np.nan)
    order = np.argsort(kept, kind="stable")
    cumulative = np.cumsum(weight[order])
    middle = (cumulative - 0.5 * weight[order]) / cumulative[-1]
    return np.interp(shares, middle, kept[order])


def weighted_histogram(values: ArrayLike, weights: ArrayLike, edges: Floats) -> Floats:
    """Share (k,) of the finite values' weight in each bin (k + 1 edges); values outside count as none."""
    kept, weight = _finite(values, weights)
    counts, _ = np.histogram(kept, bins=edges, weights=weight)
    return counts / max(float(weight.sum()), np.finfo(float).tiny)


def _finite(values: ArrayLike, weights: ArrayLike) -> tuple[NDArray[Any], Floats]:
    """The finite values of positive weight, and their weights."""
    value, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    kept = np.isfinite(value) & (weight > 0)
    return value[kept], weight[kept]
