"""Permutation tests against assignments counted by hand, and the share of false positives they promise."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ttest_ind

from tomosurf.statistics.permutation import (
    DRAWN,
    benjamini_hochberg,
    holm,
    permutation_test,
    sign_test,
    welch_statistics,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def free(values, n, seed=0):
    """Test of the first n values against the others, in one block."""
    return permutation_test(
        np.asarray(values, float), np.arange(len(values)) >= n, [""] * len(values), rng(seed)
    )


def test_three_and_three_that_do_not_overlap():
    found = free([1, 2, 3, 10, 11, 12], 3)
    assert (found.p, found.smallest, found.assignments, found.is_exact) == (0.1, 0.1, 20, True)


def test_p_is_the_share_of_assignments_counted_one_by_one():
    values = rng(3).normal(size=9)
    values[5:] += 1.0
    own = abs(ttest_ind(values[5:], values[:5], equal_var=False).statistic)
    as_large = 0
    for second in combinations(range(9), 4):
        first = [k for k in range(9) if k not in second]
        t = abs(ttest_ind(values[list(second)], values[first], equal_var=False).statistic)
        as_large += t >= own * (1 - 1e-9)
    assert free(values, 5).p == pytest.approx(as_large / 126)


def test_many_assignments_are_drawn_and_agree_with_the_exact_share():
    values = np.concatenate([rng(1).normal(0, 1, 12), rng(2).normal(1, 1, 12)])
    found = free(values, 12)
    assert not found.is_exact
    assert found.assignments == DRAWN + 1
    assert found.p == pytest.approx(ttest_ind(values[12:], values[:12], equal_var=False).pvalue, abs=0.01)
    assert found.smallest == 1 / (DRAWN + 1)


def test_neither_order_nor_unit_nor_sign_matter():
    values = rng(5).normal(size=10)
    p = free(values, 4).p
    assert free(-3 * values + 7, 4).p == pytest.approx(p)
    assert permutation_test(values, np.arange(10) < 4, [""] * 10, rng()).p == pytest.approx(p)


def test_all_alike_gives_one():
    assert free([2.0] * 8, 4).p == 1.0


def test_no_scatter_but_a_difference_is_the_largest_there_is():
    statistic = welch_statistics(np.array([1.0, 1.0, 2.0, 2.0]), np.array([[0, 0, 1, 1], [0, 1, 0, 1]], bool))
    assert np.isinf(statistic[0])
    assert statistic[1] == 0


def test_names_are_exchanged_within_blocks_only():
    """Grids that differ by 100 hide an effect of 1 from the free test, not from that within grids."""
    grids = np.repeat(["a", "b", "c"], 4)
    is_second = np.tile([False, False, True, True], 3)
    values = 100.0 * (grids == "b") + 1.0 * is_second + 0.1 * rng(2).normal(size=12)
    within = permutation_test(values, is_second, list(grids), rng())
    assert within.assignments == 6**3
    assert within.p == within.smallest == 2 / 6**3
    assert permutation_test(values, is_second, [""] * 12, rng()).p > 0.5


def test_many_blocks_are_drawn():
    grids = [str(k) for k in range(20) for _ in range(4)]
    is_second = np.tile([False, False, True, True], 20)
    values = rng(1).normal(size=80) + 2.0 * is_second
    found = permutation_test(values, is_second, grids, rng())
    assert not found.is_exact
    assert found.p == found.smallest == 1 / (DRAWN + 1)


@pytest.mark.parametrize("skewed", [False, True])
def test_false_positives_are_as_many_as_promised(skewed):
    """Splits of one condition: of 6 and 6 the largest p an exact test calls is 0.0498."""
    draws = rng(11)
    values = draws.normal(size=40)
    pool = np.exp(values) if skewed else values
    p = np.array([free(pool[draws.permutation(40)[:12]], 6).p for _ in range(600)])
    assert 0.03 <= (p <= 0.05).mean() <= 0.07
    assert 0.45 <= (p <= 0.5).mean() <= 0.55


def test_signs_of_pairs():
    found = sign_test(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), rng())
    assert (found.p, found.smallest, found.assignments) == (2 / 64, 2 / 64, 64)
    assert sign_test(np.array([1.0, -1.0, 2.0, -2.0]), rng()).p == 1.0
    many = sign_test(rng(1).normal(0.1, 1.0, 30), rng())
    assert many.assignments == DRAWN + 1


def test_corrections():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.5])
    known = np.isfinite(p)
    assert benjamini_hochberg(p)[known] == pytest.approx(false_discovery_control(p[known]))
    assert holm(p)[known] == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert np.isnan(holm(p)[2])
    assert np.isnan(benjamini_hochberg(p)[2])
    assert len(holm(np.array([]))) == 0
