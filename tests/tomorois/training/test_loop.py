"""The loop of a training, where it is not covered by whole trainings."""

import numpy as np
import pytest

from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet
from tomorois.training.loop import Training
from tomorois.training.patches import TrainingVolume, group_voxels
from tomorois.training.settings import TrainSettings
from tomorois.training.validation import best_threshold, dice_at


def volume(name, seed, noise):
    rng = np.random.default_rng(seed)
    target = np.zeros((16, 20, 24))
    target[5:11, 6:14, 7:15] = 1
    image = 2 * target - 1 + noise * rng.normal(size=target.shape)
    weight = np.ones(target.shape, dtype=np.float16)
    empty = group_voxels(np.zeros(target.shape, dtype=np.int32))
    return TrainingVolume(
        name,
        image[None].astype(np.float16),
        target.astype(np.float16),
        weight,
        group_voxels(target.astype(np.int32)),
        empty,
    )


@pytest.fixture
def training(tmp_path):
    network = MSDNetConfig(layers=4, dilations=(1, 2))
    settings = TrainSettings(steps=25, patch_voxels=16, network=network)
    taught = [volume("a", 0, 1.0), volume("b", 1, 1.0)]
    return Training(
        MSDNet(network), taught, [volume("c", 2, 3.0)], settings, tmp_path / "model.safetensors", {}
    )


def test_the_threshold_is_the_best_for_held_out_and_taught_tomograms_together(training):
    training.run(lambda done, total: None, lambda live: None)
    state = training.state
    watched = training.counts(state.best, training.watched)[0]
    together = sum(training.counts(state.best, training.taught), watched)
    assert state.best_threshold == best_threshold(together)[0]
    assert state.best_threshold != best_threshold(watched)[0]
    assert state.best_dice == dice_at(watched, state.best_threshold)


def test_a_tomogram_watched_and_taught_counts_once(training):
    training.watched = training.taught
    training.settings = training.settings.model_copy(update={"steps": 10})
    training.run(lambda done, total: None, lambda live: None)
    counts = training.counts(training.state.best, training.taught)
    assert training.state.best_threshold == best_threshold(counts[0] + counts[1])[0]
