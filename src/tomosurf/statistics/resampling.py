"""Hierarchical bootstrap, scaled to what few tomograms can tell.

Each resample draws units (tomograms, or grids and their tomograms) with replacement, and contacts within each
(Davison & Hinkley 1997, section 3.8; Saravanan, Berman & Sober 2020). Its percentiles as they are hold the
truth too seldom with few tomograms: they lack the factor n / (n - 1) of a variance and the width of the t
distribution. So the resamples give the form of the interval, and the spread of the units' means gives its
width, which is a bootstrap-adjusted t interval (Hesterberg 2015, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from tomosurf.statistics.hierarchy import Floats, Level, mean_of

RESAMPLES = 4000
LEVEL = 0.95
MOST_DRAWN = 2_000_000
"""Values drawn at once, which bounds the memory."""
NO_INTERVAL = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Spread:
    """Standard error of an estimate, and the degrees of freedom it is known with."""

    error: float
    freedom: float

    @property
    def reach(self) -> float:
        """Half the width of the 95 % interval of a t distribution."""
        return float(stdtrit(self.freedom, 0.5 + LEVEL / 2)) * self.error


def spread_of_mean(means: Floats) -> Spread:
    """Standard error of the mean of the units' means (n,), n - 1 degrees of freedom."""
    n = len(means)
    return Spread(float(means.std(ddof=1) / np.sqrt(n)), n - 1)


def spread_of_difference(first: Floats, second: Floats) -> Spread:
    """Standard error of the difference of two means, degrees of freedom after Welch and Satterthwaite."""
    a, b = (means.var(ddof=1) / len(means) for means in (first, second))
    if a + b == 0:
        return Spread(0.0, len(first) + len(second) - 2)
    return Spread(
        float(np.sqrt(a + b)), float((a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1)))
    )


def resampled_means(units: Sequence[Level], count: int, rng: np.random.Generator) -> Floats:
    """Means (count,) of as many hierarchical resamples of units."""
    return _resampled(tuple(units), count, rng)


def _resampled(level: Level, count: int, rng: np.random.Generator) -> Floats:
    if not isinstance(level, tuple):
        return _resampled_values(level, count, rng)
    chosen = rng.integers(len(level), size=(count, len(level)))
    drawn = np.empty(chosen.shape)
    for k, below in enumerate(level):
        hits = chosen == k
        drawn[hits] = _resampled(below, int(hits.sum()), rng)
    return np.asarray(drawn.mean(axis=1), np.float64)


def _resampled_values(values: Floats, count: int, rng: np.random.Generator) -> Floats:
    if len(values) == 1:
        return np.full(count, values[0])
    means = np.empty(count)
    step = max(1, MOST_DRAWN // len(values))
    for start in range(0, count, step):
        stop = min(start + step, count)
        means[start:stop] = values[rng.integers(len(values), size=(stop - start, len(values)))].mean(axis=1)
    return means


def scaled_interval(estimate: float, resamples: Floats, spread: Spread) -> tuple[float, float]:
    """The 95 % interval about an estimate: the form of its resamples, the width of its spread.

    The resamples' percentiles are stretched about the estimate so that their standard deviation becomes the
    standard error and the normal distribution's factor becomes that of t. Where resamples do not vary (a
    single contact in each of two tomograms that agree), the interval of t alone.
    """
    deviation = float(resamples.std())
    if not np.isfinite(spread.error) or spread.freedom <= 0:
        return NO_INTERVAL
    if deviation <= 1e-12 * max(abs(estimate), 1e-300):
        return estimate - spread.reach, estimate + spread.reach
    share = 0.5 + LEVEL / 2
    stretch = spread.reach / (float(ndtri(share)) * deviation)
    low, high = np.quantile(resamples, (1 - share, share)) - resamples.mean()
    return estimate + float(low) * stretch, estimate + float(high) * stretch


def interval_of_mean(
    units: Sequence[Level], rng: np.random.Generator, count: int = RESAMPLES
) -> tuple[float, float]:
    """The 95 % interval of the mean of units' means; NaN of fewer than two units."""
    if len(units) < 2:
        return NO_INTERVAL
    means = np.array([mean_of(unit) for unit in units])
    return scaled_interval(float(means.mean()), resampled_means(units, count, rng), spread_of_mean(means))


def interval_of_pairs(
    pairs: Sequence[tuple[Floats, Floats]], rng: np.random.Generator
) -> tuple[float, float]:
    """The 95 % interval of the mean over tomograms of the second's mean less the first's, of two at least."""
    differences = np.array([second.mean() - first.mean() for first, second in pairs])
    chosen = rng.integers(len(pairs), size=(RESAMPLES, len(pairs)))
    drawn = np.empty(chosen.shape)
    for k, (first, second) in enumerate(pairs):
        hits = chosen == k
        count = int(hits.sum())
        drawn[hits] = _resampled_values(second, count, rng) - _resampled_values(first, count, rng)
    return scaled_interval(float(differences.mean()), drawn.mean(axis=1), spread_of_mean(differences))


def percentiles(resamples: Floats) -> tuple[float, float]:
    """The 95 % interval of resamples as they are, to be compared with: too narrow where units are few."""
    low, high = np.quantile(resamples, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    return float(low), float(high)
