"""Promised power against tables and against simulated studies."""

import numpy as np
import pytest

from tomosurf.statistics.permutation import permutation_test
from tomosurf.statistics.power import (
    attained_level,
    chance_to_show,
    detectable_difference,
    needed_pairs,
    needed_units,
    power_of,
    power_of_pairs,
)


@pytest.mark.parametrize(("effect", "n"), [(0.5, 64), (0.8, 26), (1.0, 17), (1.5, 9)])
def test_the_numbers_of_the_tables(effect, n):
    """Cohen (1988), two means, 80 %, two-sided 0.05."""
    assert needed_units(effect, (1.0, 1.0)) == n
    assert needed_units(-10 * effect, (10.0, 10.0)) == n


def test_more_power_and_more_scatter_need_more():
    assert needed_units(1.0, (1.0, 1.0), 0.9) == 23
    assert needed_units(1.0, (1.0, 2.0)) > needed_units(1.0, (1.0, 1.0))


def test_never_fewer_than_an_exact_test_can_call_and_never_a_number_for_no_effect():
    assert needed_units(50.0, (1.0, 1.0)) == 4
    assert np.isnan(needed_units(0.0, (1.0, 1.0)))
    assert np.isnan(needed_units(np.nan, (1.0, 1.0)))
    assert np.isnan(needed_units(1e-4, (1.0, 1.0)))
    assert needed_pairs(50.0, 1.0) == 6


def test_the_level_that_an_exact_test_attains():
    assert attained_level(20) == 0
    assert attained_level(70) == pytest.approx(2 / 70)
    assert attained_level(252) == pytest.approx(12 / 252)
    assert attained_level(2**6) == pytest.approx(2 / 64)
    assert chance_to_show(100.0, (1.0, 1.0), 3) == 0
    assert chance_to_show(100.0, (1.0, 1.0), 4) == 1


def test_pairs():
    assert needed_pairs(0.5, 1.0) == 34  # Cohen's one-sample table
    assert power_of_pairs(0.5, 1.0, 34) == pytest.approx(0.80, abs=0.01)


def test_what_can_be_shown_is_shown_as_often_as_said():
    d = detectable_difference((1.0, 3.0), (5, 9))
    assert power_of(d, (1.0, 3.0), (5, 9)) == pytest.approx(0.8, abs=1e-4)
    assert detectable_difference((0.0, 0.0), (5, 9)) == 0
    assert power_of(0.0, (1.0, 1.0), (6, 6)) == pytest.approx(0.05)
    assert power_of(1e6, (1.0, 1.0), (6, 6)) == 1.0


def test_simulated_studies_show_the_effect_as_often_as_promised():
    rng = np.random.default_rng(0)
    n = int(needed_units(1.5, (1.0, 1.0)))
    is_second = np.arange(2 * n) >= n
    shown = 0
    for _ in range(200):
        values = rng.normal(size=2 * n) + 1.5 * is_second
        shown += permutation_test(values, is_second, [""] * (2 * n), rng).p <= 0.05
    assert 0.71 <= shown / 200 <= 0.88
