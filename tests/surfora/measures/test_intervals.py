"""Intervals from repeats: what they hold, which way they lean, and what each repeat draws."""

import numpy as np
import pytest

from surfora.measures.intervals import drawn, interval_of
from surfora.measures.settings import IntervalSettings


def coverage(bias, spread, repeats=6, cases=1500, seed=0):
    """How often the interval of a value off by one error holds the truth (0), repeats being off by two."""
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(cases):
        value = bias + spread * rng.normal()
        found = interval_of(value, value + bias + spread * rng.normal(size=repeats))
        held += found.low <= 0 <= found.high
    return held / cases


@pytest.mark.parametrize("repeats", [3, 6, 20])
def test_the_interval_of_pure_chance_holds_the_truth_as_often_as_it_says(repeats):
    assert 0.93 <= coverage(0.0, 1.0, repeats) <= 0.995


@pytest.mark.parametrize("bias", [-2.0, 1.0, 3.0])
def test_what_noise_pushes_by_is_within(bias):
    assert coverage(bias, 1.0) >= 0.94


def test_ends_follow_the_repeats_and_stop_at_zero():
    found = interval_of(10.0, [12.0, 12.0, 12.0])
    assert (found.low, found.high, found.spread) == (8.0, 10.0, 0.0)
    wide = interval_of(1.0, [0.0, 2.0, 1.0, 3.0], lowest=0.0)
    assert wide.low == 0.0
    assert wide.high > 3.0
    assert wide.spread == pytest.approx(np.std([0, 2, 1, 3], ddof=1))


def test_few_repeats_give_no_interval():
    found = interval_of(3.0, [3.1, np.nan])
    assert found.repeats == 1
    assert np.isnan([found.low, found.high, found.spread]).all()
    assert np.isnan(interval_of(np.nan, [1.0, 2.0, 3.0]).low)


def test_draws_are_the_same_for_a_seed_and_stay_within_their_shares():
    settings = IntervalSettings(repeats=40, threshold_share=0.1)
    draws = drawn(settings)
    assert draws == drawn(settings)
    assert draws != drawn(settings.model_copy(update={"seed": 1}))
    assert len({draw.seed for draw in draws}) == 40
    scale = np.array([draw.curvature_factor for draw in draws])
    assert scale.max() <= 1.15
    assert scale.min() >= 1 / 1.15
    assert scale.max() / scale.min() > 1.25
    assert all(1 / 1.1 <= draw.threshold_factor <= 1.1 for draw in draws)
    assert {draw.voxel_factor for draw in draws} == {1.0}
    unsure = drawn(settings.model_copy(update={"voxel_size_share": 0.02}))
    assert np.std([draw.voxel_factor for draw in unsure]) == pytest.approx(0.02, rel=0.4)
