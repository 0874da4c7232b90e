"""Predicted ROIs against true ones over tomograms, with the rules stated; from arrays and from files."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError, Progress, no_progress
from tomocore.files import written_beside
from tomocore.roiset import RoiSet
from tomocore.volumes.volume import Volume
from tomorois.evaluation.curves import curve_row, ranked_curve
from tomorois.evaluation.matching import Comparison, compare
from tomorois.evaluation.scores import RULES, SUMS, rates, recall_by_tilt, scores_with_intervals, sums_of
from tomorois.evaluation.settings import EvaluateSettings
from tomorois.instances.find import instances_and_remarks
from tomorois.instances.membrane_pairs import Membranes
from tomorois.instances.settings import InstanceSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredTomogram:
    """What is compared in one tomogram.

    With ``confidence`` the curve is over thresholds of the map; without it, over the mean confidences
    of the predicted ROIs. ``ignored`` (bool) marks voxels that are not judged. ``marks`` are names or
    hashes of its files, by which a model's training tomograms are recognised.
    """

    name: str
    predicted: RoiSet
    truth: RoiSet
    confidence: Volume | None = None
    membranes: Membranes | None = None
    ignored: Volume | None = None
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Scores over tomograms; `as_dict` is what the JSON file holds.

    ``scores`` maps a name to value, low and high (interval over tomograms), and for the rates roi_low
    and roi_high. ``curve`` has a row a threshold, ``orientation`` a row a bin of tilt, ``tomograms`` a
    row a tomogram with its matches. ``trained_on`` names those that took part in a model's training,
    learned from or held out to choose its threshold, or is None where that is not known.
    """

    scores: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, int]
    per_roi: Mapping[str, float]
    tomograms: Sequence[Mapping[str, Any]]
    curve: Sequence[dict[str, float]]
    orientation: Sequence[dict[str, float]]
    trained_on: Sequence[str] | None
    settings: EvaluateSettings


def evaluate(
    tomograms: Iterable[ScoredTomogram],
    settings: EvaluateSettings = EvaluateSettings(),
    instances: InstanceSettings = InstanceSettings(),
    trained_on: Collection[str] | None = None,
    progress: Progress = no_progress,
    count: int | None = None,
) -> Evaluation:
    """The scores of predicted ROIs over tomograms, by `tomorois.evaluation.scores.RULES`.

    ``tomograms`` may be made one by one (``count`` of them): none is held after it is scored. ``instances``
    are the settings with which confidence maps become ROIs along the curve. ``trained_on`` are names or
    hashes of a model's training tomograms, as `tomorois.training.data.training_marks` says them (None: not
    known); those met here are named in the result. Raises InputError where there is nothing to score.
    """
    comparisons: list[Comparison] = []
    at_thresholds: list[NDArray[np.float64] | None] = []
    seen: list[str] = []
    total = count if count is not None else len(tomograms) if isinstance(tomograms, Sequence) else 0
    for item in tomograms:
        progress(len(comparisons), total)
        comparisons.append(compare(item.predicted, item.truth, settings.match, item.name, item.ignored))
        at_thresholds.append(_sums_at_thresholds(item, settings, instances))
        seen += [item.name] if {item.name, *item.marks} & set(trained_on or ()) else []
        del item  # before the next one is made
    _require_truth(comparisons)
    progress(len(comparisons), total)
    sums = np.array([sums_of(comparison) for comparison in comparisons])
    known = None if trained_on is None else seen
    return Evaluation(
        scores=scores_with_intervals(sums, settings),
        counts=_counts(comparisons, sums),
        per_roi=_per_roi(comparisons),
        tomograms=[_row(c, row, known) for c, row in zip(comparisons, sums, strict=True)],
        curve=_curve(comparisons, at_thresholds, settings),
        orientation=recall_by_tilt(comparisons, settings),
        trained_on=known,
        settings=settings,
    )


def _require_truth(comparisons: Sequence[Comparison]) -> None:
    if not comparisons:
        raise InputError("nothing to evaluate; give predicted and true ROIs of at least one tomogram")
    if not any(len(comparison.truth_ids) for comparison in comparisons):
        raise InputError("none of the tomograms has a true ROI; recall and Dice need at least one")


def _sums_at_thresholds(
    item: ScoredTomogram, settings: EvaluateSettings, instances: InstanceSettings
) -> NDArray[np.float64] | None:
    """Counts (thresholds, SUMS) of the ROIs found in a map at each threshold; None without a map."""
    if item.confidence is None:
        return None
    rows = []
    for threshold in settings.thresholds:
        at_threshold = instances.model_copy(update={"threshold": threshold})
        rois, _ = instances_and_remarks(item.confidence, at_threshold, item.membranes)
        rows.append(sums_of(compare(rois, item.truth, settings.match, item.name, item.ignored)))
    return np.array(rows).reshape(-1, len(SUMS))


def _curve(
    comparisons: Sequence[Comparison],
    at_thresholds: Sequence[NDArray[np.float64] | None],
    settings: EvaluateSettings,
) -> list[dict[str, float]]:
    """Scores at each threshold where every tomogram has a map, else along the ROIs' mean confidences."""
    known = [sums for sums in at_thresholds if sums is not None]
    if len(known) < len(comparisons):
        return ranked_curve(comparisons, settings.match.min_iou)
    summed = np.sum(known, axis=0)
    return [curve_row(t, row) for t, row in zip(settings.thresholds, summed, strict=True)]


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write the scores as JSON, what is not defined as null."""
    with written_beside(path) as beside:
        beside.write_text(json.dumps(as_dict(evaluation), indent=2) + "\n", encoding="utf-8")


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as plain values for JSON; what is not defined is None."""
    plain: dict[str, Any] = _plain(
        {
            "rules": RULES,
            "scores": evaluation.scores,
            "counts": evaluation.counts,
            "per_roi": evaluation.per_roi,
            "orientation": evaluation.orientation,
            "precision_recall": evaluation.curve,
            "tomograms": evaluation.tomograms,
            "tomograms_trained_on": evaluation.trained_on,
            "settings": evaluation.settings.model_dump(),
        }
    )
    return plain


def _counts(comparisons: Sequence[Comparison], sums: NDArray[np.float64]) -> dict[str, int]:
    total = dict(zip(SUMS, sums.sum(axis=0), strict=True))
    return {
        "tomograms": len(comparisons),
        "predicted": sum(len(c.predicted_ids) for c in comparisons),
        "truth": sum(len(c.truth_ids) for c in comparisons),
        **{name: int(total[name]) for name in ("tp", "fp", "fn", "splits", "merges")},
        "forgiven": sum(c.forgiven for c in comparisons),
    }


def _per_roi(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Mean and SD (n − 1) of Dice and IoU over the matched pairs."""
    summary: dict[str, float] = {"matched": sum(len(c.matched) for c in comparisons)}
    for name in ("dice", "iou"):
        values = np.concatenate([getattr(c, name) for c in comparisons])
        summary[f"{name}_mean"] = float(values.mean()) if len(values) else np.nan
        summary[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return summary


def _row(comparison: Comparison, sums: NDArray[np.float64], seen: Sequence[str] | None) -> dict[str, Any]:
    predicted, truth = comparison.predicted_ids, comparison.truth_ids
    pairs = zip(comparison.matched, comparison.iou, comparison.dice, strict=True)
    return {
        "name": comparison.name,
        "trained_on": None if seen is None else comparison.name in seen,
        **{name: int(value) for name, value in zip(SUMS[:3], sums[:3], strict=True)},
        **{name: float(value) for name, value in rates(sums).items()},
        "forgiven": comparison.forgiven,
        "matched": [
            {"predicted": int(predicted[p]), "truth": int(truth[t]), "iou": float(iou), "dice": float(dice)}
            for (p, t), iou, dice in pairs
        ],
        "false_positives": predicted[comparison.false].tolist(),
        "missed": truth[comparison.missed].tolist(),
        "splits": truth[comparison.splits].tolist(),
        "merges": predicted[comparison.merges].tolist(),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
