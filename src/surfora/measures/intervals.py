"""Intervals of measured values, from measuring the same membranes again with what is uncertain drawn anew.

A value measured on a mask is off by the mask's errors once; one measured on a mask disturbed again is off by
them twice. So the spread of the repeats tells how far chance moves the value, and their mean, less the value,
how far noise pushes it to one side. The interval reaches from where the value is to where it would be without
that push, and beyond both by the spread times Student's factor for so few repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from surfora.geometry.arrays import Floats
from surfora.measures.settings import IntervalSettings

SHARE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, the spread of the repeats (SD), and how many of them had a value."""

    value: float
    low: float
    high: float
    spread: float
    repeats: int


def interval_of(value: float, repeats: Sequence[float], lowest: float = -np.inf) -> Interval:
    """The 95 % interval of a value, from the same value of each repeat; NaN where fewer than two have one.

    value, repeats: in any one unit. lowest: what the quantity cannot fall below (0 for areas and lengths).
    """
    known = np.asarray([one for one in repeats if np.isfinite(one)], dtype=np.float64)
    if len(known) < 2 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan, np.nan, len(known))
    spread = float(known.std(ddof=1))
    pushed = 2 * value - float(known.mean())  # the value less what noise pushed it by
    reach = float(stdtrit(len(known) - 1, 0.5 + SHARE / 2)) * spread
    low, high = min(value, pushed) - reach, max(value, pushed) + reach
    return Interval(value, max(low, lowest), max(high, lowest), spread, len(known))


def drawn(settings: IntervalSettings) -> list[Draw]:
    """What each repeat draws, the same for the same seed."""
    random = np.random.default_rng(settings.seed)
    seeds = random.integers(2**31, size=settings.repeats)
    curvature = _within(random, settings.curvature_scale_share, settings.repeats)
    threshold = _within(random, settings.threshold_share, settings.repeats)
    voxel = np.maximum(1 + settings.voxel_size_share * random.normal(size=settings.repeats), 0.1)
    return [
        Draw(int(seed), float(c), float(t), float(v))
        for seed, c, t, v in zip(seeds, curvature, threshold, voxel, strict=True)
    ]


@dataclass(frozen=True)
class Draw:
    """One repeat: the seed of its borders, and factors of curvature's scales, of threshold and voxel edge."""

    seed: int
    curvature_factor: float
    threshold_factor: float
    voxel_factor: float


def _within(random: np.random.Generator, share: float, count: int) -> Floats:
    """Factors (count,) within a share up and down, evenly in their logarithm, spread evenly over it."""
    strata = (random.permutation(count) + random.random(count)) / count
    return np.exp((2 * strata - 1) * np.log1p(share))
