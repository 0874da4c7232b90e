"""Predicted ROIs against true ones over tomograms, with the rules stated; from arrays and from files."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError, Progress, no_progress
from tomocore.files import written_beside
from tomocore.provenance import file_hash
from tomocore.roiset import RoiSet, read_rois
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume
from tomorois.evaluation.curves import curve_row, ranked_curve
from tomorois.evaluation.matching import Comparison, compare
from tomorois.evaluation.scores import (
    RULES,
    SUMS,
    EvaluateSettings,
    rates,
    recall_by_tilt,
    scores_with_intervals,
    sums_of,
)
from tomorois.instances.find import InstanceSettings, find_instances, instances_and_remarks
from tomorois.instances.membrane_pairs import Membranes, membrane_instances
from tomorois.pairing import model_threshold, tomogram_stem
from tomorois.training.data import HASH_LETTERS

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
    tomograms: Sequence[ScoredTomogram],
    settings: EvaluateSettings = EvaluateSettings(),
    instances: InstanceSettings = InstanceSettings(),
    trained_on: Collection[str] | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """The scores of predicted ROIs over tomograms, by `tomorois.evaluation.scores.RULES`.

    ``instances`` are the settings with which confidence maps become ROIs along the curve. ``trained_on``
    are names or hashes of a model's training tomograms, as `tomorois.training.data.training_marks` says
    them (None: not known); those met here are named in the result. Raises InputError where there is
    nothing to score.
    """
    if not tomograms:
        raise InputError("nothing to evaluate; give predicted and true ROIs of at least one tomogram")
    if not any(len(item.truth) for item in tomograms):
        raise InputError("none of the tomograms has a true ROI; recall and Dice need at least one")
    comparisons = [
        compare(item.predicted, item.truth, settings.match, item.name, item.ignored) for item in tomograms
    ]
    seen = None if trained_on is None else _trained_on(tomograms, trained_on)
    sums = np.array([sums_of(comparison) for comparison in comparisons])
    if all(item.confidence is not None for item in tomograms):
        curve = threshold_curve(tomograms, settings, instances, progress)
    else:
        curve = ranked_curve(comparisons, settings.match.min_iou)
    return Evaluation(
        scores=scores_with_intervals(sums, settings),
        counts=_counts(comparisons, sums),
        per_roi=_per_roi(comparisons),
        tomograms=[_row(c, row, seen) for c, row in zip(comparisons, sums, strict=True)],
        curve=curve,
        orientation=recall_by_tilt(comparisons, settings),
        trained_on=seen,
        settings=settings,
    )


def threshold_curve(
    tomograms: Sequence[ScoredTomogram],
    settings: EvaluateSettings,
    instances: InstanceSettings,
    progress: Progress = no_progress,
) -> list[dict[str, float]]:
    """Counts and scores of the ROIs found in the confidence maps at each threshold."""
    sums = np.zeros((len(settings.thresholds), len(SUMS)))
    for row, threshold in enumerate(settings.thresholds):
        at_threshold = instances.model_copy(update={"threshold": threshold})
        for item in tomograms:
            assert item.confidence is not None
            rois, _ = instances_and_remarks(item.confidence, at_threshold, item.membranes)
            sums[row] += sums_of(compare(rois, item.truth, settings.match, item.name, item.ignored))
        progress(row + 1, len(settings.thresholds))
    return [curve_row(t, row) for t, row in zip(settings.thresholds, sums, strict=True)]


def evaluate_files(
    predicted: Sequence[Path],
    truth: Sequence[Path],
    settings: EvaluateSettings = EvaluateSettings(),
    instances: InstanceSettings = InstanceSettings(),
    membranes: Sequence[Path] = (),
    voxel_size_nm: float | None = None,
    trained_on: Collection[str] | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """The scores of files: ROIs (``.npz``, label volumes) or confidence maps against true ROIs.

    Files of one tomogram are found by the part of their names before "__" (or, where no name fits, by
    order, with a warning). Confidence maps become ROIs by ``instances``, at the threshold of the model
    that made the map unless another is set.
    """
    pairs = paired_files(predicted, truth, "true ROI")
    unscored = set(truth) - {partner for _, partner in pairs}
    if unscored:
        log.warning("not scored, for want of a prediction: %s", ", ".join(sorted(p.name for p in unscored)))
    sides = dict(paired_files(predicted, membranes, "membrane")) if membranes else {}
    tomograms = [
        _read_tomogram(
            path,
            partner,
            sides.get(path),
            settings,
            instances.unless_set(model_threshold(path)),
            voxel_size_nm,
        )
        for path, partner in pairs
    ]
    return evaluate(tomograms, settings, instances, trained_on, progress)


def paired_files(first: Sequence[Path], second: Sequence[Path], what: str) -> list[tuple[Path, Path]]:
    """Each of the first files with the second one of the same tomogram; second files may be left over.

    Where no name fits any other, files are paired by order, with a warning. Raises InputError where some
    have no partner, or two are of one tomogram.
    """
    names = [tomogram_stem(path) for path in first]
    partners = {tomogram_stem(path): path for path in second}
    missing = [name for name in names if name not in partners]
    if len(missing) == len(names) == len(second):
        pairs = list(zip(first, second, strict=True))
        told = ", ".join(f"{a.name} with {b.name}" for a, b in pairs)
        log.warning("files are paired by their order, since their names differ: %s", told)
        return pairs
    if missing:
        raise InputError(f"no {what} file of {', '.join(missing)}; give one of each tomogram, named after it")
    for files in (first, second):
        stems = [tomogram_stem(path) for path in files]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        if twice:
            raise InputError(f"several files of {', '.join(twice)}; name one of each tomogram")
    return [(path, partners[name]) for path, name in zip(first, names, strict=True)]


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


def _read_tomogram(
    path: Path,
    truth_path: Path,
    membrane_path: Path | None,
    settings: EvaluateSettings,
    instances: InstanceSettings,
    voxel_size_nm: float | None,
) -> ScoredTomogram:
    ignore = () if settings.ignore_value is None else (settings.ignore_value,)
    truth = read_rois(truth_path, voxel_size_nm, ignore)
    membranes = None
    if membrane_path:
        membranes = membrane_instances(read_volume(membrane_path, voxel_size_nm), instances.contacts)
    confidence = _read_confidence(path, voxel_size_nm)
    predicted = (
        find_instances(confidence, instances, membranes) if confidence else read_rois(path, voxel_size_nm)
    )
    ignored = None
    if ignore and truth_path.suffix.lower() != ".npz":
        labels = read_volume(truth_path, voxel_size_nm)
        ignored = labels.with_data(np.asarray(labels.data) == settings.ignore_value)
    marks = (file_hash(truth_path)[:HASH_LETTERS],)
    return ScoredTomogram(tomogram_stem(path), predicted, truth, confidence, membranes, ignored, marks)


def _read_confidence(path: Path, voxel_size_nm: float | None) -> Volume | None:
    """The confidence map in a file, or None where it holds ROIs (whole numbers, or an archive)."""
    if path.suffix.lower() == ".npz":
        return None
    volume = read_volume(path, voxel_size_nm)
    is_map = volume.data.dtype.kind == "f" and volume.data.max() <= 1
    return volume if is_map else None


def _trained_on(tomograms: Sequence[ScoredTomogram], marks: Collection[str]) -> list[str]:
    return [item.name for item in tomograms if {item.name, *item.marks} & set(marks)]


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
