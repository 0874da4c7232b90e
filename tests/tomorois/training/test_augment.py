"""Augmentations replay exactly, keep labels exact and never take z for x or y."""

import json

import numpy as np
import pytest

from tomorois.training.augment import (
    Augmentation,
    apply_to_image,
    apply_to_labels,
    augmentation_from_record,
    cut_wedge,
    draw_augmentation,
)
from tomorois.training.settings import AugmentSettings

EVERYTHING = AugmentSettings(
    noise_share=1.0, blur_share=1.0, wedge_share=1.0, quarter_turns=True, contrast_spread=0.3
)


@pytest.fixture
def image():
    return np.random.default_rng(5).normal(size=(2, 9, 12, 12)).astype(np.float32)


def test_the_record_replays_the_same_voxels(image):
    for seed in range(5):
        drawn = draw_augmentation(np.random.default_rng(seed), EVERYTHING)
        replayed = augmentation_from_record(json.loads(json.dumps(drawn.record())))
        assert replayed == drawn
        assert np.array_equal(apply_to_image(replayed, image), apply_to_image(drawn, image))


def test_different_draws_differ(image):
    drawn = [draw_augmentation(np.random.default_rng(seed), EVERYTHING) for seed in range(20)]
    assert len(set(drawn)) == 20
    assert len({one.mirrored_zyx for one in drawn}) > 4
    assert {one.quarter_turns for one in drawn} == {0, 1, 2, 3}


def test_the_number_of_draws_does_not_depend_on_the_settings():
    rngs = [np.random.default_rng(3), np.random.default_rng(3)]
    draw_augmentation(rngs[0], EVERYTHING)
    draw_augmentation(rngs[1], AugmentSettings(flips=False, noise_share=0, blur_share=0))
    assert rngs[0].random() == rngs[1].random()


def test_mirroring_twice_gives_the_labels_back(image):
    labels = np.arange(9 * 12 * 12).reshape(9, 12, 12)
    for seed in range(8):
        drawn = draw_augmentation(np.random.default_rng(seed), AugmentSettings(quarter_turns=False))
        turned = apply_to_labels(drawn, labels)
        assert np.array_equal(np.sort(turned, axis=None), np.sort(labels, axis=None))
        assert np.array_equal(apply_to_labels(drawn, turned), labels)


def test_image_and_labels_move_together(image):
    """Without a change of tone, the image's voxels stay on their labels."""
    settings = AugmentSettings(contrast_spread=0, brightness_spread=0, noise_share=0, blur_share=0)
    for seed in range(8):
        drawn = draw_augmentation(np.random.default_rng(seed), settings)
        moved = apply_to_image(drawn, image)
        assert np.array_equal(moved[1], apply_to_labels(drawn, image[1]))
        assert np.array_equal(moved[0], apply_to_labels(drawn, image[0]))


@pytest.mark.parametrize("settings", [AugmentSettings(), EVERYTHING])
def test_z_never_changes_places_with_x_or_y(settings):
    """A ramp along z stays a ramp along z, whatever is drawn."""
    ramp = np.broadcast_to(np.arange(8)[:, None, None], (8, 8, 8))
    for seed in range(40):
        turned = apply_to_labels(draw_augmentation(np.random.default_rng(seed), settings), ramp)
        assert (turned == turned[:, :1, :1]).all()


def test_x_and_y_change_places_only_where_quarter_turns_are_allowed():
    ramp = np.broadcast_to(np.arange(8), (8, 8, 8))
    settings = AugmentSettings(quarter_turns=False)
    for seed in range(20):
        turned = apply_to_labels(draw_augmentation(np.random.default_rng(seed), settings), ramp)
        assert (turned == turned[:1, :1]).all()
    assert not (apply_to_labels(Augmentation(quarter_turns=1), ramp) == ramp).all()


def test_patches_that_are_not_square_keep_their_shape_and_the_tilt_axis_turns_along():
    drawn = [draw_augmentation(np.random.default_rng(n), AugmentSettings(), square=False) for n in range(30)]
    assert {one.quarter_turns for one in drawn} == {0, 2}
    assert {one.tilt_axis for one in drawn} == {"y"}
    assert apply_to_labels(drawn[0], np.zeros((3, 4, 5))).shape == (3, 4, 5)
    drawn = [draw_augmentation(np.random.default_rng(n), AugmentSettings()) for n in range(30)]
    assert {(one.quarter_turns % 2, one.tilt_axis) for one in drawn} == {(0, "y"), (1, "x")}


def test_only_the_tomogram_changes_in_tone(image):
    toned = Augmentation(contrast=2.0, brightness=0.5)
    varied = apply_to_image(toned, image)
    assert varied[0] == pytest.approx(2 * image[0] + 0.5, abs=1e-5)
    assert np.array_equal(varied[1], image[1])


def test_noise_and_blur_have_their_sizes():
    flat = np.zeros((1, 32, 32, 32), np.float32)
    noisy = apply_to_image(Augmentation(noise=0.4, noise_seed=1), flat)
    assert noisy.std() == pytest.approx(0.4, rel=0.02)
    point = flat.copy()
    point[0, 16, 16, 16] = 1
    blurred = apply_to_image(Augmentation(blur_voxels=1.5), point)[0]
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    assert (blurred * (np.arange(32)[:, None, None] - 16) ** 2).sum() == pytest.approx(1.5**2, rel=0.03)


@pytest.mark.parametrize("tilt_axis", ["x", "y"])
def test_the_wedge_takes_waves_near_z_and_keeps_the_others(tilt_axis):
    z, y, x = np.meshgrid(*[np.arange(32)] * 3, indexing="ij")
    across = x if tilt_axis == "y" else y
    along = y if tilt_axis == "y" else x
    steep, shallow, in_plane = (
        np.cos(2 * np.pi * (a * z + b * across + c * along) / 32).astype(np.float32)
        for a, b, c in [(6, 1, 0), (1, 6, 0), (0, 0, 5)]
    )
    assert np.abs(cut_wedge(steep, 60, tilt_axis)).max() < 1e-4
    assert cut_wedge(shallow, 60, tilt_axis) == pytest.approx(shallow, abs=1e-4)
    assert cut_wedge(in_plane, 60, tilt_axis) == pytest.approx(in_plane, abs=1e-4)
