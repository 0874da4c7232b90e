"""ROIs counted at all thresholds at once, against each threshold for itself."""

import time

import cc3d
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tomorois.loop.threshold_preview import LEVELS, mask_at, threshold_preview
from tomorois.prediction.doubt import expected_dice_of_map


def blobs(shape=(30, 44, 57), seed=3):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 2.0)
    return (1 / (1 + np.exp(-(field / field.std() - 2.0) * 3))).astype(np.float32)


@pytest.mark.parametrize("least", [1, 12])
def test_counts_are_those_of_each_threshold_alone(least):
    confidence = blobs()
    preview = threshold_preview(confidence, least)
    for threshold in (0.1, 0.3, 0.5, 0.72, 0.9):
        parts = cc3d.connected_components(mask_at(confidence, threshold), connectivity=26)
        sizes = np.bincount(parts.ravel())[1:]
        assert preview.count(threshold) == np.count_nonzero(sizes >= least)
        assert preview.share[preview.level(threshold)] == pytest.approx((confidence >= threshold).mean())


def test_the_proposal_has_the_highest_dice_to_expect():
    confidence = blobs(seed=8)
    preview = threshold_preview(confidence)
    thresholds = np.arange(10, LEVELS - 10, 5) / LEVELS
    best = max(preview.expected_dice[preview.level(t)] for t in thresholds)
    assert preview.expected_dice[preview.level(preview.proposal())] >= best
    told = expected_dice_of_map(confidence, 0.5)
    assert preview.expected_dice[preview.level(0.5)] == pytest.approx(told, abs=0.01)


def test_an_empty_map_has_no_roi():
    preview = threshold_preview(np.zeros((5, 6, 7), np.float32))
    assert preview.count(0.5) == 0
    assert preview.proposal() == 0.5


@pytest.mark.slow
def test_a_threshold_on_a_large_map_takes_less_than_a_fifth_of_a_second():
    confidence = np.kron(blobs((64, 128, 128)), np.ones((4, 4, 4), np.float32))
    started = time.perf_counter()
    preview = threshold_preview(confidence, 50)
    counted = time.perf_counter() - started
    started = time.perf_counter()
    for threshold in np.linspace(0.05, 0.95, 10):
        preview.count(threshold)
        mask_at(confidence[128], threshold)
    assert (time.perf_counter() - started) / 10 < 0.2
    assert counted < 60, counted
