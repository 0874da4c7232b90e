"""Evaluation over tomograms, from arrays and from files, against counts made by hand."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.provenance import file_hash
from tomocore.roiset import RoiSet, labels_from_rois, rois_from_masks, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.evaluation.curves import orientation_figure, precision_recall_figure
from tomorois.evaluation.evaluate import (
    ScoredTomogram,
    as_dict,
    evaluate,
    write_evaluation,
)
from tomorois.evaluation.files import EvaluateRequest, evaluate_files, evaluate_to_file
from tomorois.evaluation.settings import EvaluateSettings
from tomorois.instances.settings import InstanceSettings
from tomorois.training.data import training_marks

SHAPE = (30, 30, 60)
EDGE_NM = 2.0
INSTANCES = InstanceSettings(closing_nm=0, min_volume_nm3=500)


def boxes(
    *starts_zyx: tuple[int, int, int], size=(10, 10, 10), confidence: list[float] | None = None
) -> RoiSet:
    masks = [np.ones(size, dtype=bool)] * len(starts_zyx)
    columns = {} if confidence is None else {"confidence_mean": confidence}
    return rois_from_masks(list(starts_zyx), masks, SHAPE, EDGE_NM, columns=columns)


def confidence_map(levels: dict[tuple[int, int, int], float]) -> Volume:
    values = np.zeros(SHAPE, np.float32)
    for (z, y, x), level in levels.items():
        values[z : z + 10, y : y + 10, x : x + 10] = level
    return Volume(values, EDGE_NM)


@pytest.fixture
def two_tomograms() -> list[ScoredTomogram]:
    """First: two found, one missed, one false. Second: one found at IoU 2/3."""
    first = ScoredTomogram(
        "first",
        boxes((2, 2, 2), (2, 2, 20), (18, 18, 45), confidence=[0.9, 0.8, 0.3]),
        boxes((2, 2, 2), (2, 2, 20), (18, 2, 2)),
        marks=("5ca1ab1e",),
    )
    second = ScoredTomogram("second", boxes((2, 4, 4), confidence=[0.6]), boxes((2, 2, 4)))
    return [first, second]


def test_counts_and_scores_over_two_tomograms(two_tomograms):
    result = evaluate(two_tomograms)
    counts = {"tomograms": 2, "predicted": 4, "truth": 4, "tp": 3, "fp": 1, "fn": 1}
    assert {name: result.counts[name] for name in counts} == counts
    assert result.scores["false_positive_rate"]["value"] == pytest.approx(1 / 4)
    assert result.scores["false_negative_rate"]["value"] == pytest.approx(1 / 4)
    assert result.scores["panoptic_quality"]["value"] == pytest.approx((1 + 1 + 2 / 3) / 4)
    assert result.scores["dice_pooled"]["value"] == pytest.approx(2 * 2800 / 8000)
    assert result.per_roi["iou_mean"] == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert result.per_roi["dice_sd"] == pytest.approx(np.std([1, 1, 0.8], ddof=1))
    first = result.tomograms[0]
    assert (first["false_positives"], first["missed"]) == ([3], [3])
    assert result.scores["recall"]["low"] <= 0.75 <= result.scores["recall"]["high"]


def test_ranked_curve_drops_the_least_sure_first(two_tomograms):
    curve = evaluate(two_tomograms).curve
    assert [row["threshold"] for row in curve] == pytest.approx([0.3, 0.6, 0.8, 0.9])
    assert [(row["tp"], row["fp"], row["fn"]) for row in curve] == [
        (3, 1, 1),
        (3, 0, 1),
        (2, 0, 2),
        (1, 0, 3),
    ]


def test_curve_over_thresholds_of_confidence_maps():
    truth = boxes((2, 2, 2), (2, 2, 20), (2, 2, 40))
    confidence = confidence_map({(2, 2, 2): 0.95, (2, 2, 20): 0.65, (2, 2, 40): 0.35, (18, 18, 2): 0.45})
    item = ScoredTomogram("a", boxes((2, 2, 2)), truth, confidence)
    settings = EvaluateSettings(thresholds=(0.9, 0.3, 0.4, 0.5))
    curve = evaluate([item], settings, INSTANCES).curve
    assert [row["threshold"] for row in curve] == [0.3, 0.4, 0.5, 0.9]
    assert [(row["tp"], row["fp"], row["fn"]) for row in curve] == [
        (3, 1, 0),
        (2, 1, 1),
        (2, 0, 1),
        (1, 0, 2),
    ]
    assert curve[2]["dice_pooled"] == pytest.approx(2 * 2000 / 5000)


def test_recall_by_orientation_tells_flat_lying_from_upright():
    truth = rois_from_masks(
        [(2, 2, 2), (2, 2, 20), (2, 2, 45)],
        [np.ones(size, dtype=bool) for size in ((3, 12, 12), (12, 3, 12), (9, 9, 9))],
        SHAPE,
        EDGE_NM,
    )
    result = evaluate([ScoredTomogram("a", truth.at([1]), truth)])
    rows = [(row["from_deg"], row["truth"], row["found"]) for row in result.orientation]
    assert rows[:3] == [(0.0, 1, 0), (30.0, 0, 0), (60.0, 1, 1)]
    assert (rows[3][1], rows[3][2]) == (1, 0)


def test_tomograms_trained_on_are_named(two_tomograms):
    assert evaluate(two_tomograms).trained_on is None
    assert evaluate(two_tomograms, trained_on=["other"]).trained_on == []
    for mark in ("first", "5ca1ab1e"):
        result = evaluate(two_tomograms, trained_on=[mark])
        assert result.trained_on == ["first"]
        assert [row["trained_on"] for row in result.tomograms] == [True, False]


def test_labels_trained_on_are_known_whatever_their_name(tmp_path, monkeypatch):
    write_volume(tmp_path / "new__labels.mrc", labels_from_rois(boxes((2, 2, 2), (2, 2, 20))))
    write_rois_archive(tmp_path / "new__rois.npz", boxes((2, 2, 2)))
    given = [tmp_path / "new__rois.npz"], [tmp_path / "new__labels.mrc"]
    told = f"old__labels.mrc {file_hash(given[1][0])[:12]}"
    assert evaluate_files(EvaluateRequest(*given)).trained_on is None
    for labels, seen in ((told, ["new"]), (told[:-1] + "x", [])):
        marks = training_marks({"tomograms": [{"name": "old", "held_out": True, "labels": labels}]})
        monkeypatch.setattr("tomorois.evaluation.files.marks_of_model", lambda _, known=marks: known)
        request = EvaluateRequest(*given, model=tmp_path / "model.safetensors")
        assert evaluate_files(request).trained_on == seen


def test_nothing_to_score_is_refused():
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate([])
    with pytest.raises(InputError, match="none of the tomograms has a true ROI"):
        evaluate([ScoredTomogram("a", boxes((2, 2, 2)), boxes())])


def test_a_tomogram_without_true_rois_still_counts_its_false_positives(two_tomograms):
    empty = ScoredTomogram("empty", boxes((2, 2, 2), confidence=[0.5]), boxes())
    assert evaluate([*two_tomograms, empty]).counts["fp"] == 2


def test_json_holds_rules_and_no_nan(two_tomograms, tmp_path):
    write_evaluation(tmp_path / "metrics.json", evaluate(two_tomograms[:1]))
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text
    stored = json.loads(text)
    assert stored["scores"]["recall"]["low"] is None
    assert stored["counts"]["tp"] == 2
    assert "Hungarian" in stored["rules"]["matching"]
    assert stored["settings"]["match"]["min_iou"] == 0.25
    assert stored == as_dict(evaluate(two_tomograms[:1]))


def test_files_give_what_arrays_give(tmp_path):
    confidence = confidence_map({(2, 2, 2): 0.95, (18, 18, 2): 0.85})
    truth = boxes((2, 2, 2), (2, 2, 20))
    write_volume(tmp_path / "t1__confidence.mrc", confidence)
    write_rois_archive(tmp_path / "t1__truth.npz", truth)
    write_rois_archive(tmp_path / "t0__rois.npz", boxes((2, 2, 2)))
    labels = np.zeros(SHAPE, np.int16)
    labels[2:12, 2:12, 2:12], labels[18:28, 18:28, 40:50] = 1, 255
    write_volume(tmp_path / "t0__labels.mrc", Volume(labels, EDGE_NM))
    predicted = [tmp_path / "t0__rois.npz", tmp_path / "t1__confidence.mrc"]
    true = [tmp_path / "t1__truth.npz", tmp_path / "t0__labels.mrc"]
    at_half = INSTANCES.model_copy(update={"threshold": 0.5})
    result = evaluate_files(EvaluateRequest(predicted, true), instances=at_half)
    assert {name: result.counts[name] for name in ("tp", "fp", "fn")} == {"tp": 2, "fp": 1, "fn": 1}
    assert [row["name"] for row in result.tomograms] == ["t0", "t1"]
    every_label = EvaluateSettings(ignore_value=None)
    again = evaluate_files(EvaluateRequest(predicted, true), every_label, at_half)
    assert again.counts["fn"] == 2  # 255 taken for an ROI


def test_a_map_is_cut_at_its_models_threshold_unless_one_is_given(tmp_path):
    write_volume(tmp_path / "t__confidence.mrc", confidence_map({(2, 2, 2): 0.95, (18, 18, 2): 0.85}))
    write_rois_archive(tmp_path / "t__truth.npz", boxes((2, 2, 2)))
    given = EvaluateRequest([tmp_path / "t__confidence.mrc"], [tmp_path / "t__truth.npz"])
    with pytest.raises(InputError, match=r"threshold of the model that made it is not known.*--threshold"):
        evaluate_files(given, instances=INSTANCES)
    (tmp_path / "t__confidence.json").write_text('{"threshold": 0.9}')
    assert evaluate_files(given, instances=INSTANCES).counts["predicted"] == 1
    at_half = INSTANCES.model_copy(update={"threshold": 0.5})
    assert evaluate_files(given, instances=at_half).counts["predicted"] == 2


def test_a_packed_map_finds_its_record(tmp_path):
    write_volume(tmp_path / "t__confidence.mrc.gz", confidence_map({(2, 2, 2): 0.95, (18, 18, 2): 0.85}))
    write_rois_archive(tmp_path / "t__truth.npz", boxes((2, 2, 2)))
    (tmp_path / "t__confidence.json").write_text('{"threshold": 0.9}')
    given = EvaluateRequest([tmp_path / "t__confidence.mrc.gz"], [tmp_path / "t__truth.npz"])
    assert evaluate_files(given, instances=INSTANCES).counts["predicted"] == 1


def test_a_mask_of_ones_is_rois_and_no_map_whatever_its_type(tmp_path):
    data = np.zeros(SHAPE, np.float32)
    data[2:12, 2:12, 2:12] = 1.0
    write_volume(tmp_path / "t__rois.mrc", Volume(data, EDGE_NM))
    write_rois_archive(tmp_path / "t__truth.npz", boxes((2, 2, 2)))
    given = EvaluateRequest([tmp_path / "t__rois.mrc"], [tmp_path / "t__truth.npz"])
    assert evaluate_files(given, instances=INSTANCES).counts["tp"] == 1


def test_scores_do_not_take_the_place_of_their_report(tmp_path):
    with pytest.raises(InputError, match=r"name it \*\.json"):
        evaluate_to_file(EvaluateRequest([], []), tmp_path / "m.html")


def test_each_prediction_needs_its_truth_and_truth_without_one_is_told(tmp_path, caplog):
    for name in ("a__rois", "a__truth", "b__truth"):
        write_rois_archive(tmp_path / f"{name}.npz", boxes((2, 2, 2)))
    truth = [tmp_path / "a__truth.npz", tmp_path / "b__truth.npz"]
    assert evaluate_files(EvaluateRequest([tmp_path / "a__rois.npz"], truth)).counts["truth"] == 1
    assert "of none of the tomograms, not used: b__truth.npz" in caplog.text
    with pytest.raises(InputError, match=r"no true ROI file of c__rois\.npz"):
        evaluate_files(EvaluateRequest([tmp_path / "a__rois.npz", tmp_path / "c__rois.npz"], truth))
    with pytest.raises(InputError, match="would be written under one name, a"):
        evaluate_files(EvaluateRequest([tmp_path / "a__rois.npz", tmp_path / "a__confidence.mrc"], truth))


def test_one_tomogram_is_held_at_a_time(two_tomograms):
    alive = []

    def one_by_one():
        for item in two_tomograms:
            copy = replace(item)
            alive.append(weakref.ref(copy))
            assert sum(ref() is not None for ref in alive) == 1
            yield copy
            del copy

    assert as_dict(evaluate(one_by_one(), count=2)) == as_dict(evaluate(two_tomograms))


def test_scores_that_exist_are_kept(tmp_path):
    write_rois_archive(tmp_path / "a__rois.npz", boxes((2, 2, 2)))
    write_rois_archive(tmp_path / "a__truth.npz", boxes((2, 2, 2)))
    request = EvaluateRequest([tmp_path / "a__rois.npz"], [tmp_path / "a__truth.npz"])
    target = tmp_path / "scores" / "metrics.json"
    assert evaluate_to_file(request, target).done == [str(target)]
    assert target.with_suffix(".html").exists()
    target.write_text("mine")
    assert list(evaluate_to_file(request, target).skipped) == [str(target)]
    assert target.read_text() == "mine"
    evaluate_to_file(request, target, overwrite=True)
    assert json.loads(target.read_text())["counts"]["tp"] == 1


def test_figures_show_the_numbers(two_tomograms, tmp_path):
    result = evaluate(two_tomograms)
    figure = precision_recall_figure(result.curve, chosen_threshold=0.5)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == pytest.approx([row["recall"] for row in result.curve])
    bars = orientation_figure(result.orientation).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([0.75])  # all are cubes, so "not flat"
    figure.savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000
