"""Dice against brute force, and that sampled blocks keep the share of background."""

import numpy as np
import pytest

from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet
from tomorois.training.patches import TrainingVolume, group_voxels
from tomorois.training.settings import ValidationSettings
from tomorois.training.validation import (
    ConfidenceCounts,
    best_threshold,
    confidence_in,
    count_confidences,
    dice_at,
    dice_by_threshold,
    held_out_count,
    validation_blocks,
)


def volume(shape=(24, 40, 40), seed=0):
    rng = np.random.default_rng(seed)
    target = np.zeros(shape)
    target[4:8, 5:9, 6:12] = 1
    return TrainingVolume(
        "made",
        rng.normal(size=(1, *shape)).astype(np.float16),
        target.astype(np.float16),
        (rng.random(shape) > 0.2).astype(np.float16),
        group_voxels(target.astype(int)),
        group_voxels(np.zeros(shape, int)),
    )


@pytest.fixture
def network():
    network = MSDNet(MSDNetConfig(layers=3, dilations=(1, 2)), seed=2)
    network.output_weight.data[:] = 1.0
    network.output_bias.data[:] = -0.5
    return network.eval()


def test_dice_at_every_threshold_is_what_counting_gives(network):
    held = volume()
    blocks = validation_blocks([held], ValidationSettings(block_voxels=16, block_halo_voxels=5))
    counts = count_confidences(network, [held], blocks, halo=5)[0]
    whole = confidence_in(network, held, (slice(0, 24), slice(0, 40), slice(0, 40)), 0)
    counted, roi = held.weight > 0, held.target > 0
    for threshold in (0.2, 0.4, 0.5):
        called = (whole >= threshold) & counted
        expected = 2 * (called & roi).sum() / (called.sum() + (roi & counted).sum())
        assert dice_at(counts, threshold) == pytest.approx(expected, abs=0.01)


def test_best_threshold_is_the_best_of_all():
    roi, background = np.zeros(200), np.zeros(200)
    roi[[60, 100, 140]] = 5
    background[[10, 61, 90]] = [500, 4, 8]
    threshold, dice = best_threshold(ConfidenceCounts(roi, background))
    assert threshold == pytest.approx(91 / 200)
    assert dice == pytest.approx(2 * 10 / (10 + 15))
    assert np.nanmax(dice_by_threshold(ConfidenceCounts(roi, background))[1]) == pytest.approx(dice)


def test_without_rois_there_is_no_dice():
    threshold, dice = best_threshold(ConfidenceCounts(np.zeros(200), np.ones(200)))
    assert threshold == 0.5
    assert np.isnan(dice)


def test_small_volumes_are_looked_at_whole():
    volumes = [volume(), volume((20, 33, 41))]
    seen = [np.zeros(v.shape, int) for v in volumes]
    for block in validation_blocks(volumes, ValidationSettings(block_voxels=16)):
        seen[block.volume][block.box] += 1
        assert block.stands_for == 1
    assert all((s == 1).all() for s in seen)


def test_of_large_volumes_a_sample_stands_for_the_rest():
    volumes = [volume((64, 128, 128)), volume((64, 128, 128), seed=1)]
    settings = ValidationSettings(block_voxels=16, most_voxels=200_000)
    blocks = validation_blocks(volumes, settings)
    looked_at = sum(volumes[b.volume].target[b.box].size for b in blocks)
    stood_for = sum(volumes[b.volume].target[b.box].size * b.stands_for for b in blocks)
    assert looked_at <= 210_000
    assert stood_for == pytest.approx(sum(v.target.size for v in volumes), rel=0.02)
    rois = sum(volumes[b.volume].target[b.box].sum() * b.stands_for for b in blocks)
    assert rois == sum(v.target.sum() for v in volumes)


@pytest.mark.parametrize(("tomograms", "held_out"), [(1, 0), (2, 0), (3, 1), (10, 1), (20, 2)])
def test_one_tomogram_in_eight_is_held_out(tomograms, held_out):
    assert held_out_count(tomograms, 0.12) == held_out
    assert held_out_count(tomograms, 0.0) == 0
