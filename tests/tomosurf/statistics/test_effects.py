"""Effect sizes against closed forms and other programs' values, with intervals that hold the truth."""

import numpy as np
import pytest
from scipy.stats import nct, norm

from tomosurf.statistics.effects import cliffs_delta, difference, hedges_g, ratio, standardised_mean
from tomosurf.statistics.resampling import resampled_means, spread_of_difference

A, B = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 5.0, 6.0, 8.0, 9.0])


def resampled(a, b, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(resampled_means([np.array([v]) for v in values], 2000, rng) for values in (a, b))


def test_difference_and_ratio():
    spread = spread_of_difference(A, B)
    shift = difference(A, B, resampled(A, B), spread)
    assert shift.value == pytest.approx(3.7)
    assert shift.low < 3.7 - 0.7 * spread.reach
    times = ratio(A, B, resampled(A, B), spread)
    assert times.value == pytest.approx(6.2 / 2.5)
    assert 1.0 < times.low < times.value < times.high < 6.0


def test_a_ratio_is_the_same_in_any_unit_and_its_inverse_the_other_way():
    spread = spread_of_difference(A, B)
    times = ratio(A, B, resampled(A, B), spread)
    small = ratio(A / 1e3, B / 1e3, resampled(A / 1e3, B / 1e3), spread_of_difference(A / 1e3, B / 1e3))
    assert (small.low, small.high) == pytest.approx((times.low, times.high))
    back = ratio(B, A, resampled(A, B)[::-1], spread)
    assert back.value == pytest.approx(1 / times.value)
    assert back.low == pytest.approx(1 / times.high, rel=0.02)


def test_what_changes_its_sign_has_no_ratio():
    assert not ratio(A - 2, B, resampled(A - 2, B), spread_of_difference(A - 2, B)).is_known


def test_counts_of_zero_have_a_ratio():
    a, b = np.array([0.0, 0.0, 3.0]), np.array([2.0, 4.0, 5.0])
    times = ratio(a, b, resampled(a, b), spread_of_difference(a, b))
    assert times.value == pytest.approx(11 / 3)
    assert 0 < times.low < times.value < times.high


def test_g_is_unbiased_and_its_ends_are_those_of_the_non_central_t():
    n, m = len(A), len(B)
    pooled = np.sqrt((A.var(ddof=1) * 3 + B.var(ddof=1) * 4) / 7)
    g = hedges_g(A, B)
    assert g.value == pytest.approx(3.7 / pooled * (1 - 3 / (4 * 7 - 1)), rel=2e-3)
    t = 3.7 / pooled * np.sqrt(n * m / (n + m))
    unscaled = g.value / (3.7 / pooled) / np.sqrt(n * m / (n + m))
    assert nct.sf(t, 7, g.low / unscaled) == pytest.approx(0.025, abs=1e-4)
    assert nct.cdf(t, 7, g.high / unscaled) == pytest.approx(0.025, abs=1e-4)


def test_g_of_far_apart_and_of_alike():
    assert not hedges_g(np.ones(3), np.ones(3) * 2).is_known
    far = hedges_g(np.array([0.0, 0.001, 0.002]), np.array([10.0, 10.001, 10.002]))
    assert np.isfinite(far.value)


def test_standardised_mean_of_pairs():
    d = np.array([1.0, 2.0, 3.0, 2.0, 2.0])
    found = standardised_mean(d)
    assert found.value == pytest.approx(2 / d.std(ddof=1) * (1 - 3 / (4 * 4 - 1)), rel=5e-3)
    assert 0 < found.low < found.value < found.high


def test_delta_counts_pairs():
    found = cliffs_delta(A, B)
    assert found.value == pytest.approx((18 - 1) / 20)
    assert cliffs_delta(A, A).value == 0
    assert cliffs_delta(B, A).value == pytest.approx(-found.value)
    assert cliffs_delta(B, A).low == pytest.approx(-found.high)


def test_delta_without_overlap_still_has_a_width():
    found = cliffs_delta(np.arange(3.0), np.arange(3.0) + 10)
    assert (found.value, found.high) == (1.0, 1.0)
    assert -0.1 < found.low < 0.5
    surer = cliffs_delta(np.arange(20.0), np.arange(20.0) + 100)
    assert surer.low > 0.7


@pytest.mark.parametrize("n", [3, 6])
def test_intervals_of_g_and_delta_hold_the_truth(n):
    rng = np.random.default_rng(n)
    held = np.zeros(2)
    true_delta = 2 * norm.cdf(1 / np.sqrt(2)) - 1
    for _ in range(400):
        a, b = rng.normal(0, 1, n), rng.normal(1, 1, n)
        for k, (found, truth) in enumerate(((hedges_g(a, b), 1.0), (cliffs_delta(a, b), true_delta))):
            held[k] += found.low <= truth <= found.high
    assert (held >= 0.92 * 400).all()
    assert held[0] <= 0.98 * 400
