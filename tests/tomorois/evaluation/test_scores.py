"""Scores by hand, and intervals that cover as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binom

from tomorois.evaluation.scores import (
    SUMS,
    binomial_interval,
    bootstrap_intervals,
    rates,
    scores_with_intervals,
)
from tomorois.evaluation.settings import EvaluateSettings


def sums(**named: float) -> np.ndarray:
    return np.array([named.get(name, 0.0) for name in SUMS])


def test_rates_by_hand():
    values = rates(sums(tp=8, fp=2, fn=4, shared_nm3=30, predicted_nm3=50, truth_nm3=40, panoptic_iou=5.5))
    expected = {
        "false_positive_rate": 0.2,
        "false_negative_rate": 4 / 12,
        "precision": 0.8,
        "recall": 8 / 12,
        "f1": 16 / 22,
        "dice_pooled": 60 / 90,
        "iou_pooled": 30 / 60,
        "panoptic_quality": 5.5 / 11,
    }
    assert {name: float(value) for name, value in values.items()} == pytest.approx(expected)


def test_what_has_no_denominator_is_nan():
    values = rates(sums(fn=3, truth_nm3=10))
    assert np.isnan(values["precision"])
    assert values["recall"] == 0
    assert values["dice_pooled"] == 0


def test_pooling_is_of_sums_not_of_means():
    table = np.stack([sums(tp=1, fn=0), sums(tp=0, fn=9)])
    assert scores_with_intervals(table, EvaluateSettings())["recall"]["value"] == pytest.approx(0.1)


def test_one_tomogram_gives_no_interval_over_tomograms():
    scores = scores_with_intervals(sums(tp=9, fn=1)[None], EvaluateSettings())
    assert np.isnan(scores["recall"]["low"])
    assert scores["recall"]["roi_low"] == pytest.approx(0.555, abs=1e-3)  # tables of the exact interval
    assert scores["recall"]["roi_high"] == pytest.approx(0.9975, abs=1e-4)


def test_equal_tomograms_give_an_interval_of_no_width_and_seeds_repeat():
    same = np.stack([sums(tp=4, fn=1)] * 5)
    assert bootstrap_intervals(same, EvaluateSettings())["recall"] == pytest.approx((0.8, 0.8))
    mixed = np.stack([sums(tp=k, fn=5 - k) for k in range(6)])
    first, again = (bootstrap_intervals(mixed, EvaluateSettings(seed=3)) for _ in range(2))
    assert first["recall"] == again["recall"]
    assert first["recall"][0] < 0.5 < first["recall"][1]


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_promises():
    """30 tomograms that differ among themselves: ROIs of one tomogram are found or missed together."""
    rng = np.random.default_rng(5)
    settings = EvaluateSettings(resamples=400, interval=0.9)
    covered = 0
    for _ in range(200):
        truth = rng.integers(3, 9, 30)
        found = rng.binomial(truth, rng.beta(8, 2, 30))  # recall 0.8 on average
        table = np.stack([sums(tp=t, fn=n - t) for t, n in zip(found, truth, strict=True)])
        low, high = bootstrap_intervals(table, settings)["recall"]
        covered += low <= 0.8 <= high
    # 0.9 of 200, less four standard errors of the count and the known shortfall of percentiles
    assert 160 <= covered <= 198


def test_the_exact_interval_has_the_tails_it_promises():
    low, high = binomial_interval(17, 20, 0.95)
    assert binom.sf(16, 20, low) == pytest.approx(0.025)
    assert binom.cdf(17, 20, high) == pytest.approx(0.025)
    assert binomial_interval(0, 18, 0.95)[0] == 0
    assert binomial_interval(0, 18, 0.95)[1] == pytest.approx(1 - 0.025 ** (1 / 18))
    assert binomial_interval(18, 18, 0.95)[1] == 1
    assert np.isnan(binomial_interval(0, 0, 0.95)).all()


@pytest.mark.parametrize("wrong", [{"thresholds": (0.5, 1.0)}, {"tilt_edges_deg": (0, 60, 30)}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        EvaluateSettings(**wrong)
