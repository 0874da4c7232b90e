"""How many tomograms would show an effect, and how small an effect these can show.

Power is that of Welch's t test of the tomograms' means, by the non-central t distribution; the permutation
test of the same statistic has it nearly (docs/tomosurf/statistics.md shows how nearly). Tomograms, not
contacts, are counted: more contacts in each make its mean surer, but not the tomograms more alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

SIGNIFICANCE = 0.05
FEWEST = 4
"""Of three and three the smallest p of an exact test is 0.1, so that no effect can be shown."""
MOST = 10_000


def power_of(difference: float, deviations: tuple[float, float], counts: tuple[float, float]) -> float:
    """Chance (0 to 1) that a true difference is called at p < 0.05.

    ``deviations`` are the standard deviations between units of either condition, ``counts`` how many units
    there are.
    """
    a, b = (sd**2 / n for sd, n in zip(deviations, counts, strict=True))
    if a + b == 0:
        return 1.0 if difference else SIGNIFICANCE
    freedom = (a + b) ** 2 / (a**2 / (counts[0] - 1) + b**2 / (counts[1] - 1))
    return _chance(abs(difference) / math.sqrt(a + b), freedom)


def power_of_pairs(difference: float, deviation: float, count: float) -> float:
    """Chance that a true mean of paired differences is called, of so many tomograms."""
    if deviation == 0:
        return 1.0 if difference else SIGNIFICANCE
    return _chance(abs(difference) / deviation * math.sqrt(count), count - 1)


def _chance(centre: float, freedom: float) -> float:
    limit = float(stdtrit(freedom, 1 - SIGNIFICANCE / 2))
    if centre > 30:  # certain, and computed no more
        return 1.0
    wrong_way = float(nctdtr(freedom, centre, -limit)) if centre < 3 else 0.0
    return 1.0 - float(nctdtr(freedom, centre, limit)) + wrong_way


def needed_units(difference: float, deviations: tuple[float, float], power: float = 0.8) -> float:
    """The fewest units a condition, as many in both, that show a difference; NaN past `MOST` or of none."""
    return _fewest(lambda n: power_of(difference, deviations, (n, n)), power, difference)


def needed_pairs(difference: float, deviation: float, power: float = 0.8) -> float:
    """The fewest tomograms that show a mean of paired differences; at least 6, whose smallest p is 0.03."""
    return _fewest(lambda n: power_of_pairs(difference, deviation, n), power, difference, fewest=6)


def _fewest(chance: Callable[[float], float], power: float, difference: float, fewest: int = FEWEST) -> float:
    if not np.isfinite(difference) or difference == 0 or chance(MOST) < power:
        return float("nan")
    low, high = fewest - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        if chance(middle) >= power:
            high = middle
        else:
            low = middle
    return float(high)


def detectable_difference(
    deviations: tuple[float, float], counts: tuple[int, int], power: float = 0.8
) -> float:
    """The smallest true difference that so many units would show with that power; 0 if nothing scatters."""
    error = math.sqrt(sum(sd**2 / n for sd, n in zip(deviations, counts, strict=True)))
    if error == 0:
        return 0.0
    return float(
        brentq(lambda d: power_of(d, deviations, counts) - power, 0.0, 40 * error, xtol=1e-6 * error)
    )
