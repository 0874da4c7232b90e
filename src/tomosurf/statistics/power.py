"""How many tomograms would show an effect, and how small an effect these can show.

Power is that of Welch's t test of the tomograms' means, by the non-central t distribution, at the level that
the exact permutation test attains; docs/tomosurf/statistics.md shows how nearly that test has it. Tomograms,
not contacts, are counted: more contacts in each make its mean surer, but not the tomograms more alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

from tomosurf.statistics.permutation import MOST_ENUMERATED

SIGNIFICANCE = 0.05
MOST = 10_000
MANY = 20
"""Units whose assignments are too many for any step of p to matter."""


def attained_level(assignments: int) -> float:
    """The largest two-sided p up to 0.05 that an exact test over so many assignments can give.

    It calls no more than this share of true nothings, and has the less power: 0.029 of four and four units,
    and none at all of three and three, whose smallest p is 0.1.
    """
    if assignments > MOST_ENUMERATED:
        return SIGNIFICANCE
    return 2 * math.floor(SIGNIFICANCE * assignments / 2 + 1e-9) / assignments


def chance_to_show(difference: float, deviations: tuple[float, float], count: int) -> float:
    """Chance (0 to 1) that the exact test of ``count`` units a condition calls a true difference."""
    few = min(count, MANY)
    level = attained_level(math.comb(2 * few, few))
    return power_of(difference, deviations, (count, count), level) if level else 0.0


def chance_of_pairs(difference: float, deviation: float, count: int) -> float:
    """Chance that the exact test of signs calls a true mean of paired differences, of so many tomograms."""
    level = attained_level(2 ** min(count, MANY))
    return power_of_pairs(difference, deviation, count, level) if level else 0.0


def power_of(
    difference: float,
    deviations: tuple[float, float],
    counts: tuple[float, float],
    level: float = SIGNIFICANCE,
) -> float:
    """Chance (0 to 1) that a t test at a ``level`` of significance calls a true ``difference``.

    ``deviations`` are the standard deviations between units of either condition, ``counts`` how many units
    there are.
    """
    a, b = (sd**2 / n for sd, n in zip(deviations, counts, strict=True))
    if a + b == 0:
        return 1.0 if difference else level
    freedom = (a + b) ** 2 / (a**2 / (counts[0] - 1) + b**2 / (counts[1] - 1))
    return _chance(abs(difference) / math.sqrt(a + b), freedom, level)


def power_of_pairs(difference: float, deviation: float, count: float, level: float = SIGNIFICANCE) -> float:
    """Chance that a t test calls a true mean of paired differences, of so many tomograms."""
    if deviation == 0:
        return 1.0 if difference else level
    return _chance(abs(difference) / deviation * math.sqrt(count), count - 1, level)


def _chance(centre: float, freedom: float, level: float) -> float:
    limit = float(stdtrit(freedom, 1 - level / 2))
    if centre > 30:  # certain, and computed no more
        return 1.0
    wrong_way = float(nctdtr(freedom, centre, -limit)) if centre < 3 else 0.0
    return 1.0 - float(nctdtr(freedom, centre, limit)) + wrong_way


def needed_units(difference: float, deviations: tuple[float, float], power: float = 0.8) -> float:
    """The fewest units a condition, as many in both, that show a difference; NaN past `MOST` or of none."""
    return _fewest(lambda n: chance_to_show(difference, deviations, n), power, difference)


def needed_pairs(difference: float, deviation: float, power: float = 0.8) -> float:
    """The fewest tomograms that show a mean of paired differences; NaN past `MOST` or of none."""
    return _fewest(lambda n: chance_of_pairs(difference, deviation, n), power, difference)


def _fewest(chance: Callable[[int], float], power: float, difference: float) -> float:
    if not np.isfinite(difference) or difference == 0 or chance(MOST) < power:
        return float("nan")
    low, high = 2, MOST
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
    """The smallest true difference that a t test of so many units would show; 0 if nothing scatters."""
    error = math.sqrt(sum(sd**2 / n for sd, n in zip(deviations, counts, strict=True)))
    if error == 0:
        return 0.0
    return float(
        brentq(lambda d: power_of(d, deviations, counts) - power, 0.0, 40 * error, xtol=1e-6 * error)
    )
