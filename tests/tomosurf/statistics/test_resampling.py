"""Intervals by hierarchical bootstrap: their width, their form, and how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_ind

from tomosurf.statistics.hierarchy import GRID, TOMOGRAM, Sample, TomogramValues, mean_of
from tomosurf.statistics.resampling import (
    interval_of_mean,
    interval_of_pairs,
    percentiles,
    resampled_means,
    scaled_interval,
    spread_of_difference,
    spread_of_mean,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_each_level_counts_once_whatever_lies_below():
    level = ((np.array([1.0] * 50), np.array([3.0])), (np.array([8.0]),))
    assert mean_of(level) == 5.0


def test_units_are_tomograms_or_the_grids_that_hold_them():
    tomograms = [TomogramValues(n, np.array([v]), g) for n, v, g in (("a", 1.0, "x"), ("b", 3.0, "x"))]
    sample = Sample("wt", (*tomograms, TomogramValues("c", np.array([5.0, 7.0]), "y")))
    assert [mean_of(u) for u in sample.units(TOMOGRAM)] == [1, 3, 6]
    assert [mean_of(u) for u in sample.units(GRID)] == [2, 6]
    assert sample.places == 4


def test_resamples_scatter_as_levels_do():
    """Of one contact a tomogram: the variance of the mean, short of the factor (n - 1) / n."""
    values = rng(1).normal(size=8)
    means = resampled_means([np.array([v]) for v in values], 40_000, rng())
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.var() == pytest.approx(values.var() / 8, rel=0.03)
    contacts = rng(2).normal(size=5)
    within = resampled_means([contacts], 40_000, rng())
    assert within.var() == pytest.approx(contacts.var() / 5, rel=0.03)


def test_grids_that_differ_make_the_mean_less_sure_than_their_tomograms_would():
    tomograms = [np.array([10.0 * grid + k]) for grid in range(3) for k in range(4)]
    nested = [tuple(tomograms[4 * g : 4 * g + 4]) for g in range(3)]
    assert resampled_means(nested, 4000, rng()).std() > 1.7 * resampled_means(tomograms, 4000, rng()).std()


def test_the_interval_is_that_of_t_where_resamples_are_even_and_leans_where_they_are_skewed():
    even = rng().normal(size=200_000)
    spread = spread_of_mean(np.array([1.0, 2.0, 3.0, 4.0]))
    low, high = scaled_interval(2.5, even, spread)
    reach = student.ppf(0.975, 3) * np.std([1, 2, 3, 4], ddof=1) / 2
    assert (low, high) == pytest.approx((2.5 - reach, 2.5 + reach), rel=0.02)
    low, high = scaled_interval(2.5, np.exp(even), spread)
    assert high - 2.5 > 1.5 * (2.5 - low)
    assert scaled_interval(2.5, np.full(10, 2.5), spread) == pytest.approx((2.5 - reach, 2.5 + reach))


def test_spreads_are_welchs():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 9.0, 13.0])
    spread = spread_of_difference(a, b)
    known = ttest_ind(b, a, equal_var=False).confidence_interval()
    assert (b.mean() - a.mean() - spread.reach, b.mean() - a.mean() + spread.reach) == pytest.approx(
        (known.low, known.high)
    )
    assert spread_of_difference(np.ones(3), np.ones(4)).error == 0


@pytest.mark.parametrize("n", [3, 12])
def test_the_interval_holds_the_truth_as_often_as_it_says_and_plain_percentiles_do_not(n):
    held = np.zeros(2)
    draws = rng(n)
    times = 300
    for _ in range(times):
        units = [draws.normal(10 + draws.normal(), 0.5, size=1 + draws.poisson(5)) for _ in range(n)]
        means = np.array([unit.mean() for unit in units])
        resamples = resampled_means(units, 500, draws)
        for k, (low, high) in enumerate(
            (scaled_interval(float(means.mean()), resamples, spread_of_mean(means)), percentiles(resamples))
        ):
            held[k] += low <= 10 <= high
    assert 0.91 * times <= held[0] <= 0.985 * times
    if n == 3:
        assert held[1] < 0.85 * times


def test_one_unit_has_no_interval():
    assert np.isnan(interval_of_mean([np.array([1.0, 2.0])], rng())).all()


def test_an_interval_of_pairs_leaves_out_what_tomograms_differ_in():
    tomograms = [100.0, 200.0, 300.0, 400.0]
    pairs = [(np.array([t, t + 1]), np.array([t + 5 + 0.1 * k, t + 6])) for k, t in enumerate(tomograms)]
    low, high = interval_of_pairs(pairs, rng())
    assert 4 < low < 5.1 < high < 6.2


def test_the_same_seed_gives_the_same_interval():
    units = [np.array([1.0, 4.0]), np.array([2.0]), np.array([7.0, 3.0, 1.0])]
    assert interval_of_mean(units, rng(4)) == interval_of_mean(units, rng(4))
