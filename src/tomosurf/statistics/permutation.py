"""Permutation tests over tomograms, exact where they are few, and what many tests at once make of them.

If a condition does nothing, its tomograms could as well have stood under the other name: p is the share of
all assignments of names whose difference is at least as large as the one seen. Nothing is assumed of how the
values are distributed. The statistic is Welch's t, which keeps the error right also where the conditions
scatter differently (Janssen 1997; Chung & Romano 2013); with grids as blocks, the difference within grids.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomosurf.statistics.hierarchy import Floats

MOST_ENUMERATED = 20_000
"""So many assignments are all tried; of more, as many as `DRAWN` are drawn at random."""
DRAWN = 9_999
TIE = 1e-9
"""Statistics whose relative difference is less are the same but for rounding."""

Masks: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Permuted:
    """A two-sided p, the smallest that this design could have given, and over how many assignments."""

    p: float
    smallest: float
    assignments: int
    is_exact: bool


def permutation_test(
    values: Floats, is_second: Masks, blocks: Sequence[str], rng: np.random.Generator
) -> Permuted:
    """Test of two conditions by the units' means ``values`` (n,), of which ``is_second`` (n,) the other's.

    Names are exchanged within ``blocks`` (n,) only, such as grids that hold both conditions; one block is the
    free exchange. Raises ValueError where no block holds both.
    """
    names = np.asarray(blocks)
    of_blocks = [np.flatnonzero(names == name) for name in dict.fromkeys(blocks)]
    if len(of_blocks) == 1:
        statistic = welch_statistics(values, _with_own(is_second, of_blocks, rng))
    else:
        centred = values.copy()
        for members in of_blocks:
            centred[members] -= values[members].mean()
        statistic = np.abs(_with_own(is_second, of_blocks, rng) @ centred)
    return _permuted(statistic, assignment_count(is_second, of_blocks) <= MOST_ENUMERATED)


def sign_test(differences: Floats, rng: np.random.Generator) -> Permuted:
    """Test of paired differences (n,), one a tomogram: without an effect each could have the other sign."""
    n = len(differences)
    is_exact = 2**n <= MOST_ENUMERATED if n < 64 else False
    if is_exact:
        flipped = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    else:
        flipped = np.concatenate([np.zeros((1, n), bool), rng.random((DRAWN, n)) < 0.5])
    return _permuted(np.abs(np.where(flipped, -1.0, 1.0) @ differences), is_exact)


def assignment_count(is_second: Masks, of_blocks: Sequence[NDArray[np.intp]]) -> int:
    """How many ways there are to give the names out within the blocks."""
    return math.prod(math.comb(len(members), int(is_second[members].sum())) for members in of_blocks)


def welch_statistics(values: Floats, masks: Masks) -> Floats:
    """|t| (m,) of Welch for every assignment (m, n); infinite where neither side scatters but they differ."""
    centred = values - values.mean()
    second = masks.astype(np.float64)
    sums, squares = second @ centred, second @ centred**2
    n_second = second.sum(axis=1)
    n_first = len(values) - n_second
    mean_first, mean_second = (centred.sum() - sums) / n_first, sums / n_second
    var_second = np.maximum(squares / n_second - mean_second**2, 0.0) / (n_second - 1)
    var_first = np.maximum(((centred**2).sum() - squares) / n_first - mean_first**2, 0.0) / (n_first - 1)
    difference = np.abs(mean_second - mean_first)
    error = np.sqrt(var_first + var_second)
    scale = float(np.abs(centred).max(initial=0.0)) * TIE
    sure = np.where(difference > scale, np.inf, 0.0)
    return np.divide(difference, error, out=sure, where=error > scale)


def holm(p: Floats) -> Floats:
    """p (m,) corrected so that the chance of any false positive among all m stays below 5 % (Holm 1979).

    NaN stands for a test that was not made, and is not counted.
    """
    return _stepped(p, lambda ordered, m: np.maximum.accumulate(ordered * np.arange(m, 0, -1)))


def benjamini_hochberg(p: Floats) -> Floats:
    """p (m,) corrected so that of effects called, 5 % are false on average (Benjamini & Hochberg 1995)."""
    return _stepped(
        p, lambda ordered, m: np.minimum.accumulate((ordered * m / np.arange(1, m + 1))[::-1])[::-1]
    )


def _stepped(p: Floats, step: Callable[[Floats, int], Floats]) -> Floats:
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    corrected[order] = np.minimum(step(p[order], len(order)), 1.0)
    return corrected


def _permuted(statistic: Floats, is_exact: bool) -> Permuted:
    """The p of the first statistic, the design's own, among all."""
    highest = float(statistic.max())
    m = len(statistic)
    return Permuted(
        p=float((statistic >= _but_for_rounding(float(statistic[0]))).sum()) / m,
        smallest=float((statistic >= _but_for_rounding(highest)).sum()) / m if is_exact else 1 / m,
        assignments=m,
        is_exact=is_exact,
    )


def _but_for_rounding(value: float) -> float:
    return value if math.isinf(value) else value * (1 - TIE)


def _with_own(is_second: Masks, of_blocks: Sequence[NDArray[np.intp]], rng: np.random.Generator) -> Masks:
    """Assignments (m, n), the design's own first: all of them, or as many as are drawn, and the own."""
    if assignment_count(is_second, of_blocks) > MOST_ENUMERATED:
        drawn = np.zeros((DRAWN, len(is_second)), bool)
        for members in of_blocks:
            drawn[:, members] = rng.permuted(np.tile(is_second[members], (DRAWN, 1)), axis=1)
        return np.concatenate([is_second[None], drawn])
    masks = np.zeros((1, len(is_second)), bool)
    for members in of_blocks:
        chosen = np.array(list(combinations(members, int(is_second[members].sum()))), np.intp)
        inside = np.zeros((len(chosen), len(is_second)), bool)
        inside[np.arange(len(chosen))[:, None], chosen] = True
        masks = (masks[:, None] | inside).reshape(-1, len(is_second))
    own = (masks == is_second).all(axis=1)
    return np.concatenate([masks[own], masks[~own]])
