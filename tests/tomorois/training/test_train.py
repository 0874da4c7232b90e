"""Training learns, is replayed bit for bit, survives kill -9, and says what is wrong."""

import csv
import errno
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from blobs import blob_tomogram, distance_to

from tomocore.contract import InputError, NoRoomError
from tomorois.network.checkpoint import load_model, load_training_state
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet, infer
from tomorois.training.loop import Training, TrainingClock
from tomorois.training.loss import masked_loss
from tomorois.training.patches import TrainingVolume, group_voxels
from tomorois.training.settings import TrainSettings, ValidationSettings
from tomorois.training.train import train

pytestmark = pytest.mark.slow

EIGHT_LAYERS = {"layers": 8, "dilations": (1, 2)}
TINY = MSDNetConfig(layers=3, dilations=(1, 2))
FAST = TrainSettings(
    bin_factor=1,
    patch_voxels=12,
    steps=8,
    warmup_steps=2,
    network=TINY,
    validation=ValidationSettings(checks=2),
    device="cpu",
)


@pytest.fixture(scope="module")
def samples():
    return [blob_tomogram(seed) for seed in range(4)]


def settings(**changes):
    return TrainSettings.model_validate({**FAST.model_dump(), **changes})


def test_it_learns_and_scores_a_tomogram_it_has_not_seen(samples, tmp_path):
    lives = []
    learning = settings(steps=90, patch_voxels=16, network={"layers": 5, "dilations": (1, 2)})
    result = train(samples, [], learning, tmp_path / "model.safetensors", observer=lives.append)
    assert result.validated
    assert [(score.name, score.held_out) for score in result.scores] == [("blobs_3", True)]
    assert result.dice == pytest.approx(result.scores[0].dice, abs=0.02)
    assert result.dice > 0.8
    assert lives[-1].step == lives[-1].planned_steps == 90
    losses = [live.loss for live in lives]
    assert np.mean(losses[-20:]) < 0.6 * np.mean(losses[:20])
    model, record = load_model(result.model_path)
    assert (record.threshold, record.voxel_size_nm, record.bin_factor) == (result.threshold, 1.0, 1)
    assert record.training["best_step"] == result.best_step
    held_out = [t["name"] for t in record.training["tomograms"] if t["held_out"]]
    assert held_out == ["blobs_3"]
    unseen = blob_tomogram(50)
    data = unseen.tomogram.data
    image = (data - np.median(data)) / (1.4826 * np.median(np.abs(data - np.median(data))))
    called, roi = infer(model, image) >= record.threshold, unseen.labels > 0
    assert 2 * (called & roi).sum() / (called.sum() + roi.sum()) > 0.75


def test_the_log_has_a_row_for_each_validation_and_the_checkpoint_is_gone(samples, tmp_path):
    train(samples, [], settings(checkpoint_seconds=0), tmp_path / "model.safetensors")
    with (tmp_path / "model.train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [4, 8]
    assert all(0 <= float(row["validation_dice"]) <= 1 for row in rows)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors", "model.train.csv"]


KILLED = """
import os, signal, sys
from pathlib import Path
from blobs import blob_tomogram
from tomorois.training.train import train
from tomorois.training.settings import TrainSettings

def kill(live):
    if live.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

settings = TrainSettings.model_validate_json(sys.argv[1])
train([blob_tomogram(seed) for seed in range(4)], [], settings, Path(sys.argv[2]), observer=kill)
"""


def test_killed_and_resumed_it_gives_the_very_file_of_an_uninterrupted_training(samples, tmp_path):
    checkpointing = settings(checkpoint_seconds=0)
    (tmp_path / "a").mkdir()
    whole = train(samples, [], checkpointing, tmp_path / "a" / "model.safetensors").model_path
    path = tmp_path / "model.safetensors"
    command = [sys.executable, "-c", KILLED, checkpointing.model_dump_json(), str(path)]
    threads = str(torch.get_num_threads())  # sums of several are of other bits than one thread's
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin", "OMP_NUM_THREADS": threads}
    killed = subprocess.run(command, env={**environment, "NUMBA_NUM_THREADS": str(numba.get_num_threads())})
    assert killed.returncode == -9
    assert not path.exists()
    _, info = load_training_state(tmp_path / "model.training.safetensors")
    assert info["numbers"]["step"] in (4, 5)
    resumed = train(samples, [], checkpointing, path, resume=True)
    assert resumed.steps == 8
    assert path.read_bytes() == whole.read_bytes()
    with (tmp_path / "model.train.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [4, 8]


def test_resuming_another_training_is_refused_naming_the_difference(samples, tmp_path):
    path = tmp_path / "model.safetensors"

    def stop(live):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(samples, [], settings(checkpoint_seconds=0), path, observer=stop)
    with pytest.raises(InputError, match=r"settings\.augmentation\.noise_highest changed"):
        train(samples, [], settings(augmentation={"noise_highest": 1.0}), path, resume=True)
    with pytest.raises(InputError, match="data changed"):
        train(samples[1:], [], FAST, path, resume=True)


def test_resuming_without_a_checkpoint_starts_anew_and_says_so(samples, tmp_path, caplog):
    result = train(samples, [], FAST, tmp_path / "model.safetensors", resume=True)
    assert result.steps == 8
    assert "starts from the beginning" in caplog.text


def hand_made(target):
    """A training volume whose right half is ignored."""
    rng = np.random.default_rng(1)
    weight = np.ones((12, 14, 20))
    weight[..., 10:] = 0
    rois = np.zeros((12, 14, 20), int)
    rois[4:8, 4:8, 6:14] = 1
    image = rng.normal(size=(1, 12, 14, 20)).astype(np.float16)
    nothing = group_voxels(np.zeros_like(rois))
    return TrainingVolume(
        "half", image, target.astype(np.float16), weight.astype(np.float16), group_voxels(rois), nothing
    )


def trained_parameters(volume, tmp_path, **changes):
    chosen = settings(**changes)
    training = Training(MSDNet(TINY), [volume], [volume], chosen, tmp_path / "m.safetensors", {})
    training.run(lambda done, total: None, lambda live: None)
    return training.state.parameters


def test_what_labels_say_where_they_are_ignored_changes_no_weight(tmp_path):
    left = np.zeros((12, 14, 20))
    left[4:8, 4:8, 6:10] = 1
    both, nan = left.copy(), left.copy()
    both[4:8, 4:8, 10:14] = 1
    nan[..., 10:] = np.nan
    plain = trained_parameters(hand_made(left), tmp_path)
    assert torch.equal(plain, trained_parameters(hand_made(both), tmp_path))
    assert torch.equal(plain, trained_parameters(hand_made(nan), tmp_path))
    moved = np.roll(left, 3, axis=0)
    assert not torch.equal(plain, trained_parameters(hand_made(moved), tmp_path))


def test_a_penalty_lowers_the_confidence_there_and_the_rois_keep_theirs(samples, tmp_path):
    """Fine-tuned with a rejected false positive and without: the mistake goes, true places stay."""
    first = tmp_path / "first.safetensors"
    longer = {"steps": 150, "patch_voxels": 16, "learning_rate": 0.01, "network": EIGHT_LAYERS}
    ringed = [with_mistake(sample) for sample in samples]
    unaware = [replace(sample, labels=np.where(mistake, 255, sample.labels)) for sample, mistake in ringed]
    train(unaware, [], settings(**longer), first)
    penalised = [
        replace(sample, rejected=mistake) for sample, (_, mistake) in zip(unaware, ringed, strict=True)
    ]
    tuned = {**longer, "steps": 300, "fine_tune_rate": 1.0}
    result = train(penalised, [], settings(**tuned), tmp_path / "tuned.safetensors", init=first)
    place, roi = ringed[0][1], (unaware[0].labels > 0) & ~ringed[0][1]
    before, after = (mean_confidences(path, unaware[0], place, roi) for path in (first, result.model_path))
    assert before[0] > 0.5
    assert after[0] < 0.4 * before[0]
    assert after[1] > 0.75 * before[1]
    assert all(score.dice_before is not None for score in result.scores)
    assert {score.name for score in result.scores} == {sample.name for sample in samples}
    assert {score.change for score in result.scores} <= {"better", "worse", "the same"}
    with result.log_path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["rejected_confidence"]]
    assert [int(row["step"]) for row in rows] == [0, 150, 300]
    rejected, kept = (
        [float(row[name]) for row in rows] for name in ("rejected_confidence", "roi_confidence")
    )
    assert rejected[-1] < 0.4 * rejected[0]
    assert kept[-1] > 0.75 * kept[0] > 0.3


def with_mistake(sample):
    """A ball as dark as an ROI, but with a bright core, that is no ROI."""
    distance = distance_to((9, 18, 18), sample.labels.shape)
    ball, core = distance <= 4.2, distance <= 2.2
    data = sample.tomogram.data - 3 * (ball & (sample.labels == 0)) + 3 * core
    labels = np.where(ball, 0, sample.labels)
    return replace(sample, tomogram=sample.tomogram.with_data(data.astype(np.float32)), labels=labels), ball


def mean_confidences(path, sample, *places):
    model, _ = load_model(path)
    data = sample.tomogram.data
    image = (data - np.median(data)) / (1.4826 * np.median(np.abs(data - np.median(data))))
    confidence = infer(model, image)
    return [float(confidence[place].mean()) for place in places]


def test_minutes_become_steps_by_the_pace_measured(samples, tmp_path, monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr(TrainingClock, "read", lambda self: 0.2 * next(ticks))
    result = train(samples, [], settings(steps=None), tmp_path / "m.safetensors", minutes=0.2)
    assert 55 <= result.steps <= 62
    assert result.seconds == pytest.approx(12, abs=0.6)


def test_a_training_without_progress_ends_early(samples, tmp_path):
    patient = settings(
        steps=100, learning_rate=1e-9, average_decay=0.0, validation={"checks": 50, "patience": 3}
    )
    assert train(samples, [], patient, tmp_path / "m.safetensors").steps <= 30


def test_a_diverging_training_is_told_and_the_last_good_model_kept(samples, tmp_path, monkeypatch):
    def diverging(logits, *others):
        calls.append(1)
        return masked_loss(logits, *others) * (math.nan if len(calls) == 7 else 1.0)

    calls, path = [], tmp_path / "model.safetensors"
    monkeypatch.setattr("tomorois.training.loop.masked_loss", diverging)
    with pytest.raises(InputError, match=r"step 7 is nan.*model of step 4.*is kept.*lower learning_rate"):
        train(samples, [], FAST, path)
    model, record = load_model(path)
    assert record.training["best_step"] == 4
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_a_full_disk_costs_no_training(samples, tmp_path, monkeypatch, caplog):
    """Checkpoints that cannot be written are told of; a model that cannot be leaves the checkpoint."""

    def full(path, content):
        if full_for(path):
            path.touch()
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write_bytes(path, content)

    write_bytes, often = Path.write_bytes, settings(checkpoint_seconds=0)
    monkeypatch.setattr(Path, "write_bytes", full)
    full_for = lambda path: "training" in path.name  # noqa: E731
    whole = train(samples, [], often, tmp_path / "a.safetensors").model_path
    assert "no checkpoint written" in caplog.text
    assert "No space left" in caplog.text
    path = tmp_path / "b.safetensors"
    full_for = lambda path: "training" not in path.name  # noqa: E731
    with pytest.raises(NoRoomError, match="no space left"):
        train(samples, [], often, path)
    full_for = lambda path: False  # noqa: E731
    left = {"a.safetensors", "a.train.csv", "b.train.csv", "b.training.safetensors"}
    assert {p.name for p in tmp_path.iterdir()} == left
    train(samples, [], often, path, resume=True)
    assert path.read_bytes() == whole.read_bytes()


def test_two_tomograms_are_too_few_to_hold_one_out_and_that_is_said(samples, tmp_path, caplog):
    result = train(samples[:2], [], FAST, tmp_path / "m.safetensors")
    assert not result.validated
    assert "threshold comes from training data" in " ".join(caplog.text.split())
    assert [score.held_out for score in result.scores] == [False, False]


def test_fine_tuning_at_another_voxel_size_is_refused(samples, tmp_path):
    first = train(samples, [], FAST, tmp_path / "first.safetensors").model_path
    coarse = [blob_tomogram(seed, voxel_size_nm=2.0) for seed in range(3)]
    with pytest.raises(InputError, match=r"first.safetensors: trained at 1 nm.*give 2 nm"):
        train(coarse, [], FAST, tmp_path / "second.safetensors", init=first)


def test_fine_tuning_keeps_the_models_network_and_names_it_and_what_is_not_given_again(
    samples, tmp_path, caplog
):
    first = train(samples, [], FAST, tmp_path / "first.safetensors").model_path
    other = settings(network={"layers": 7})
    second = train(samples[1:], [], other, tmp_path / "second.safetensors", init=first).model_path
    model, record = load_model(second)
    assert model.config.layers == 3
    assert "learned from blobs_0 too" in caplog.text
    assert record.training["refined_from"].startswith("first.safetensors ")
    assert "network" in caplog.text


def test_the_record_is_plain_json_without_a_clock(samples, tmp_path):
    _, record = load_model(train(samples, [], FAST, tmp_path / "m.safetensors").model_path)
    told = json.loads(json.dumps(record.training))
    assert told["settings"]["class_weight"] == FAST.class_weight
    assert told["validated"] is True
    assert "seconds" not in json.dumps(told).replace("checkpoint_seconds", "")


def test_too_few_rois_held_out_are_told(samples, tmp_path, caplog):
    sample = samples[3]
    lone = replace(sample, labels=np.where(sample.labels == 1, 1, 0).astype(np.int16))
    train([*samples[:3], lone], [], FAST, tmp_path / "model.safetensors")
    assert "1 ROI(s) held out, in blobs_3" in caplog.text
