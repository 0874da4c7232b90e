"""How large a difference is: in its unit, as a ratio, in standard deviations, and as an order.

Intervals of the difference and the ratio come from the hierarchical bootstrap. Those of Hedges' g and Cliff's
delta do not: of three tomograms a resample is often three times the same one, where neither is defined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, nctdtr, ndtri

from tomosurf.statistics.hierarchy import Floats
from tomosurf.statistics.resampling import LEVEL, NO_INTERVAL, Spread, scaled_interval

FARTHEST = 60.0
"""Non-centralities beyond are not looked for."""
NEAR = 1e-9


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return bool(np.isfinite(self.value))


UNKNOWN = Estimate(float("nan"), *NO_INTERVAL)


def difference(first: Floats, second: Floats, resampled: tuple[Floats, Floats], spread: Spread) -> Estimate:
    """Second minus first mean, with the interval that its resamples and its spread give."""
    value = float(second.mean() - first.mean())
    return Estimate(value, *scaled_interval(value, resampled[1] - resampled[0], spread))


def ratio(first: Floats, second: Floats, resampled: tuple[Floats, Floats], spread: Spread) -> Estimate:
    """Second over first mean, its interval on the logarithm; unknown where a mean is not clearly positive.

    A measure that changes its sign, such as a curvature, has no ratio. ``spread`` is that of the difference,
    whose degrees of freedom are taken.
    """
    a, b = float(first.mean()), float(second.mean())
    if min(first.min(), second.min()) < 0 or min(a, b) <= 0:
        return UNKNOWN
    errors = [float(values.std(ddof=1) / np.sqrt(len(values))) / values.mean() for values in (first, second)]
    logarithm = float(np.log(b / a))
    error = Spread(float(np.hypot(*errors)), spread.freedom)
    if min(resampled[0].min(), resampled[1].min()) <= 0:  # a resample of tomograms without any contact
        return Estimate(b / a, *np.exp((logarithm - error.reach, logarithm + error.reach)).tolist())
    logarithms = np.log(resampled[1]) - np.log(resampled[0])
    return Estimate(b / a, *np.exp(scaled_interval(logarithm, logarithms, error)).tolist())


def hedges_g(first: Floats, second: Floats) -> Estimate:
    """The difference in standard deviations between units, without the bias of few (Hedges 1981).

    The interval is that of the non-central t distribution (Steiger & Fouladi 1997).
    """
    n, m = len(first), len(second)
    freedom = n + m - 2
    deviation = np.sqrt(((n - 1) * first.var(ddof=1) + (m - 1) * second.var(ddof=1)) / freedom)
    return _standardised(float(second.mean() - first.mean()), float(deviation), n * m / (n + m), freedom)


def standardised_mean(differences: Floats) -> Estimate:
    """The mean of paired differences in their standard deviations, corrected like Hedges' g."""
    n = len(differences)
    return _standardised(float(differences.mean()), float(differences.std(ddof=1)), n, n - 1)


def _standardised(shift: float, deviation: float, weight: float, freedom: int) -> Estimate:
    if deviation <= 0:
        return UNKNOWN
    unbiased = float(np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2))
    t = shift / deviation * np.sqrt(weight)
    low, high = (_non_centrality(t, freedom, share) for share in (0.5 + LEVEL / 2, 0.5 - LEVEL / 2))
    factor = unbiased / np.sqrt(weight)
    return Estimate(float(t * factor), float(low * factor), float(high * factor))


def _non_centrality(t: float, freedom: int, share: float) -> float:
    """The non-centrality of which ``share`` of the distribution lies below t."""

    def excess(centre: float) -> float:
        below = float(nctdtr(freedom, centre, t))
        return (below if np.isfinite(below) else float(centre < t)) - share  # far out SciPy gives NaN

    return _root(excess, t - FARTHEST, t + FARTHEST)


def cliffs_delta(first: Floats, second: Floats) -> Estimate:
    """The chance that a unit of the second is larger than one of the first, minus that it is smaller.

    −1 to 1; the interval is method 5 of Newcombe (2006), which also holds where the two do not overlap.
    """
    n, m = len(first), len(second)
    delta = float(np.sign(second[:, None] - first[None, :]).mean())
    above = 0.5 + delta / 2
    half = (n + m) / 2 - 1
    z = float(ndtri(0.5 + LEVEL / 2))

    def excess(theta: float) -> float:
        tails = 1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (theta - above) ** 2 - z**2 * theta * (1 - theta) * tails / (n * m)

    low = 0.0 if above <= 0 else _root(excess, 0.0, above - NEAR)
    high = 1.0 if above >= 1 else _root(excess, above + NEAR, 1.0)
    return Estimate(delta, 2 * low - 1, 2 * high - 1)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    if np.sign(function(low)) == np.sign(function(high)):
        return float("nan")
    return float(brentq(function, low, high, xtol=1e-6))
