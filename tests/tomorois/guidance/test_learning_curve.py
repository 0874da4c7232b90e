"""The learning curve: exactly so many ROIs, points kept on disk, scores on tomograms not trained on."""

from dataclasses import replace

import numpy as np
import pytest
from blobs import blob_tomogram

from tomocore.contract import InputError
from tomocore.roiset import rois_from_labels, rois_from_masks, write_rois_archive
from tomocore.volumes.volume import Volume
from tomorois.annotation.targets import training_targets
from tomorois.guidance.learning_curve import (
    CurvePoint,
    UnseenTomogram,
    learning_curve,
    learning_curve_figure,
    read_points,
    roi_steps,
    split_unseen,
    verdict,
    with_roi_count,
    with_truth,
)
from tomorois.guidance.settings import LearningCurveSettings
from tomorois.instances.settings import InstanceSettings
from tomorois.training.data import training_volume
from tomorois.training.settings import TrainSettings

pytestmark = pytest.mark.slow

SETTINGS = TrainSettings(
    bin_factor=1,
    patch_voxels=14,
    steps=60,
    network={"layers": 5, "dilations": (1, 2)},
    validation={"checks": 2},
    device="cpu",
)
INSTANCES = InstanceSettings(min_volume_nm3=60, closing_nm=0, split="none")


@pytest.fixture(scope="module")
def samples():
    return [blob_tomogram(seed) for seed in range(4)]


def unseen(seed):
    sample = blob_tomogram(seed)
    return UnseenTomogram(sample, rois_from_labels(Volume(sample.labels, 1.0)))


@pytest.mark.parametrize("count", [1, 4, 6, 15])
def test_exactly_so_many_rois_teach(samples, count):
    part = with_roi_count(samples, count, SETTINGS, seed=3)
    volumes = [training_volume(sample, 1, 1.0, SETTINGS.annotation, SETTINGS.intensity) for sample in part]
    assert sum(len(volume.rois) for volume in volumes) == count
    for sample, whole in ((s, next(w for w in samples if w.name == s.name)) for s in part):
        ignored = ~training_targets(sample.labels, SETTINGS.annotation).counted
        assert np.array_equal(sample.labels[~ignored], whole.labels[~ignored])


def test_other_repeats_take_other_tomograms(samples):
    drawn = {with_roi_count(samples, 2, SETTINGS, seed)[0].name for seed in range(12)}
    assert len(drawn) > 2


def test_too_few_rois_are_told(samples):
    with pytest.raises(InputError, match="50 ROIs are asked for, but the labels hold 16"):
        with_roi_count(samples, 50, SETTINGS)


def test_points_are_scored_on_unseen_tomograms_and_kept(samples, tmp_path):
    curve = LearningCurveSettings(rois=(3, 12))
    ahead = [unseen(20), unseen(21)]
    points = learning_curve(samples, ahead, SETTINGS, tmp_path, curve, INSTANCES)
    assert [(point.rois, point.tomograms) for point in points] == [(3, 1), (12, 3)]
    assert points[1].dice_pooled > 0.7
    assert points[1].false_negative_rate < 0.5
    assert read_points(tmp_path / "learning_curve.csv") == points
    for model in tmp_path.glob("*.safetensors"):
        model.unlink()
    assert learning_curve(samples, ahead, SETTINGS, tmp_path, curve, INSTANCES) == points
    assert not list(tmp_path.glob("*.safetensors"))
    learning_curve_figure(points).savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_points_of_other_labels_or_settings_are_not_taken_for_these(samples, tmp_path, caplog):
    curve, ahead = LearningCurveSettings(rois=(3,), repeats=1), [unseen(20)]
    short = SETTINGS.model_copy(update={"steps": 2})
    points = learning_curve(samples, ahead, short, tmp_path, curve, INSTANCES)
    for model in tmp_path.glob("*.safetensors"):
        model.unlink()
    assert len(learning_curve(samples, ahead, short, tmp_path, curve, INSTANCES)) == len(points) == 1
    with pytest.raises(InputError, match=r"of other labels or settings \(settings.steps changed\)"):
        learning_curve(samples, ahead, SETTINGS, tmp_path, curve, INSTANCES)
    painted = [replace(sample, labels=np.roll(sample.labels, 1, 0)) for sample in samples]
    with pytest.raises(InputError, match="label values changed"):
        learning_curve(painted, ahead, short, tmp_path, curve, INSTANCES)
    with pytest.raises(InputError, match=r"scored on\."):
        learning_curve(samples, [unseen(21)], short, tmp_path, curve, INSTANCES)
    (tmp_path / "learning_curve.json").unlink()  # of an earlier version
    learning_curve(samples, ahead, short, tmp_path, curve, INSTANCES)
    assert not list(tmp_path.glob("*.safetensors"))
    assert "does not tell what its points were made from" in caplog.text


def point(rois, dice, repeat=0):
    return CurvePoint(rois, 3, repeat, dice, 0.1, 0.1, 0.5, 100, 1.0)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([point(10, 0.5), point(20, 0.7)], "worth it; 40 ROIs may give up to 0.90"),
        (
            [point(5, 0.5), point(20, 0.7)],
            "+0.10 a doubling (one training each): more annotation is worth it",
        ),
        ([point(10, 0.7), point(20, 0.705)], "hardly help"),
        ([point(10, 0.9), point(20, 0.8)], "hardly help"),
        ([point(10, 0.6), point(10, 0.7, 1), point(20, 0.6), point(20, 0.8, 1)], "repeat more often"),
        ([point(10, 0.6), point(10, 0.61, 1), point(20, 0.7), point(20, 0.71, 1)], "worth it"),
        ([point(10, 0.6)], "give several with --rois"),
    ],
)
def test_the_answer_in_words_weighs_the_gain_of_a_doubling_against_repeats(points, said):
    assert said in verdict(points)


def test_a_quarter_of_the_tomograms_is_kept_unseen_and_rois_rise_to_all(samples):
    blank = replace(samples[0], name="blank", labels=np.zeros_like(samples[0].labels))
    taught, unseen_ones = split_unseen([*samples, blank], SETTINGS.annotation)
    assert [sample.name for sample in unseen_ones] == ["blobs_3"]
    assert [sample.name for sample in taught] == ["blobs_0", "blobs_1", "blobs_2", "blank"]
    assert roi_steps(taught, SETTINGS.annotation) == [3, 6, 12]
    with pytest.raises(InputError, match="two tomograms"):
        split_unseen([samples[0], blank], SETTINGS.annotation)
    with pytest.raises(InputError, match="no ROI"):
        roi_steps([blank], SETTINGS.annotation)


def test_true_rois_come_from_the_file_of_that_name_or_from_the_labels(samples, tmp_path):
    overlapping = rois_from_masks([(0, 0, 0), (1, 1, 1)], [np.ones((4, 4, 4), bool)] * 2, (18, 36, 36), 1.0)
    write_rois_archive(tmp_path / "blobs_1__truth.npz", overlapping)
    from_labels, from_file = with_truth(samples[:2], [tmp_path], SETTINGS.annotation)
    assert len(from_file.truth) == 2
    assert from_file.truth.table["volume_nm3"].tolist() == [64, 64]
    assert len(from_labels.truth) == 4
