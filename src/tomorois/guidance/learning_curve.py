"""Is more annotation worth it: networks trained on ever more ROIs, scored on the same unseen tomograms."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.figure import Figure
from pydantic import Field

from tomocore.contract import InputError, Progress, no_progress
from tomocore.files import write_json, written_beside
from tomocore.files_of_tomograms import product_files, tomogram_stem
from tomocore.roiset import RoiSet, read_rois, rois_from_labels
from tomocore.side_files import read_json, read_rows, some_of
from tomorois.annotation.settings import AnnotationSettings
from tomorois.annotation.targets import roi_components, training_targets
from tomorois.evaluation.evaluate import Evaluation, ScoredTomogram, evaluate
from tomorois.evaluation.settings import EvaluateSettings
from tomorois.guidance.settings import LearningCurveSettings
from tomorois.instances.find import find_instances
from tomorois.instances.membrane_pairs import Membranes, membrane_instances
from tomorois.instances.settings import InstanceSettings
from tomorois.network.checkpoint import load_model
from tomorois.prediction.predict import predict_confidence
from tomorois.training.data import HASH_LETTERS, TrainingTomogram
from tomorois.training.settings import NOT_PART_OF_A_TRAINING, TrainSettings
from tomorois.training.train import differences, train

log = logging.getLogger(__name__)

SMALL_GAIN = 0.02  # of Dice for twice the annotation, below which it is not worth it
SCORES = {"dice_pooled": "Dice", "false_positive_rate": "false positives", "false_negative_rate": "missed"}


@dataclass(frozen=True)
class UnseenTomogram:
    """A tomogram to be scored on, with its true ROIs."""

    sample: TrainingTomogram
    truth: RoiSet


@dataclass(frozen=True)
class CurvePoint:
    """One training: what it was given, and its scores on the unseen tomograms."""

    rois: Annotated[int, Field(ge=1, le=10**9)]
    tomograms: int
    repeat: int
    dice_pooled: float
    false_positive_rate: float
    false_negative_rate: float
    threshold: float
    steps: int
    seconds: float


def learning_curve(
    samples: Sequence[TrainingTomogram],
    unseen: Sequence[UnseenTomogram],
    settings: TrainSettings,
    folder: Path,
    curve: LearningCurveSettings = LearningCurveSettings(),
    instances: InstanceSettings = InstanceSettings(),
    progress: Progress = no_progress,
) -> list[CurvePoint]:
    """A point for each number of ROIs and repeat, from networks trained alike on parts of the samples.

    Every network is trained by ``settings`` (its seed moves with the repeat) on ROIs drawn from ``samples``,
    and chooses its threshold as `train` does, without the ``unseen`` tomograms; these are then scored with
    ROIs found by ``instances`` at that threshold. ``curve`` says how many ROIs and how often. Models and
    points are written into ``folder``, the points to ``learning_curve.csv`` one by one, and those that are
    there already are not trained again. ``progress`` counts trainings. Raises InputError where there are
    fewer ROIs than asked for, and where the points in ``folder`` are of other labels or settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "learning_curve.csv"
    points = read_points(path)
    _require_same_basis(path, bool(points), _basis(samples, unseen, settings, instances))
    counts = curve.rois or roi_steps(samples, settings.annotation)
    wanted = [(count, repeat) for count in counts for repeat in range(curve.repeats)]
    for done, (count, repeat) in enumerate(wanted):
        progress(done, len(wanted))
        if not any((point.rois, point.repeat) == (count, repeat) for point in points):
            part = with_roi_count(samples, count, settings, repeat)
            points.append(_point(part, unseen, settings, folder, count, repeat, instances))
            write_points(path, points)
    progress(len(wanted), len(wanted))
    return [point for point in points if (point.rois, point.repeat) in wanted]


def _basis(
    samples: Sequence[TrainingTomogram],
    unseen: Sequence[UnseenTomogram],
    settings: TrainSettings,
    instances: InstanceSettings,
) -> dict[str, Any]:
    """What the points of a curve follow from, but for their numbers of ROIs and repeats."""
    return {
        "settings": settings.model_dump(mode="json", exclude=NOT_PART_OF_A_TRAINING),
        "instances": instances.model_dump(mode="json"),
        "trained on": {sample.name: _marks(sample) for sample in samples},
        "scored on": {
            one.sample.name: _marks(one.sample) | {"truth": _hash(one.truth.table.to_csv().encode())}
            for one in unseen
        },
    }


def _marks(sample: TrainingTomogram) -> dict[str, str]:
    return {**sample.files, "label values": _hash(np.ascontiguousarray(sample.labels).data)}


def _hash(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_LETTERS]


def _require_same_basis(path: Path, has_points: bool, basis: dict[str, Any]) -> None:
    """Keep beside the points what they follow from; InputError where those there follow from other files."""
    record = path.with_suffix(".json")
    if has_points and record.is_file():
        changed = differences(read_json(record, dict[str, Any], "remove it or choose another folder"), basis)
        if changed:
            raise InputError(
                f"{path}: its points are of other labels or settings ({some_of(changed)} changed); choose "
                "another folder, or remove this one"
            )
    elif has_points:
        log.warning("%s: does not tell what its points were made from; they are kept as they are", path)
    write_json(record, basis)


def roi_steps(samples: Sequence[TrainingTomogram], annotation: AnnotationSettings) -> list[int]:
    """A quarter, half and all of the ROIs that the samples hold; InputError where they hold none."""
    total = sum(_roi_count(sample, annotation) for sample in samples)
    if total == 0:
        raise InputError(
            "the tomograms to train on hold no ROI; check the labels and annotation.ignore_value"
        )
    return sorted({max(1, total // 4), max(1, total // 2), total})


def split_unseen(
    samples: Sequence[TrainingTomogram], annotation: AnnotationSettings
) -> tuple[list[TrainingTomogram], list[TrainingTomogram]]:
    """Tomograms to train on, and a quarter of those with ROIs, the last, to score on.

    Raises InputError where fewer than two tomograms have ROIs.
    """
    with_rois = [k for k, sample in enumerate(samples) if _roi_count(sample, annotation)]
    if len(with_rois) < 2:
        raise InputError("a learning curve needs two tomograms with ROIs at least; annotate another one")
    held = set(with_rois[-max(1, len(with_rois) // 4) :])
    return (
        [sample for k, sample in enumerate(samples) if k not in held],
        [samples[k] for k in sorted(held)],
    )


def with_truth(
    samples: Sequence[TrainingTomogram], truth: Sequence[Path], annotation: AnnotationSettings
) -> list[UnseenTomogram]:
    """The samples with their true ROIs: of the file of their name, else each connected label an ROI."""
    by_name = {tomogram_stem(path): path for path in product_files(truth, "truth.npz")}
    unseen = []
    for sample in samples:
        if sample.name in by_name:
            rois = read_rois(by_name[sample.name], sample.tomogram.voxel_size_nm)
        else:
            roi = training_targets(sample.labels, annotation, sample.name).roi
            rois = rois_from_labels(sample.tomogram.with_data(roi_components(sample.labels, roi)))
        unseen.append(UnseenTomogram(sample, rois))
    return unseen


def _roi_count(sample: TrainingTomogram, annotation: AnnotationSettings) -> int:
    roi = training_targets(sample.labels, annotation, sample.name).roi
    return int(roi_components(sample.labels, roi).max(initial=0))


def verdict(points: Sequence[CurvePoint]) -> str:
    """One sentence on whether more annotation is worth it, from the last two numbers of ROIs.

    What counts is the pooled Dice gained for each doubling, beside how much repeats differ.
    """
    counts = sorted({point.rois for point in points})
    if len(counts) < 2:
        return "One number of ROIs says nothing about more of them; give several with --rois."
    fewer, most = counts[-2:]
    (before, doubt_before), (now, doubt_now) = (_mean_and_doubt(points, n) for n in (fewer, most))
    doubt = float(np.hypot(doubt_before, doubt_now))
    gain, doubt = ((value / np.log2(most / fewer)) for value in (now - before, doubt))
    told = f"From {fewer} to {most} ROIs, Dice on unseen tomograms went from {before:.2f} to {now:.2f}, "
    told += f"{gain:+.2f} a doubling" + (f" (±{doubt:.2f})" if doubt == doubt else " (one training each)")
    if doubt == doubt and abs(gain) < 2 * doubt > SMALL_GAIN:
        return f"{told}: no more than repeated trainings differ; repeat more often before you annotate more."
    if gain < SMALL_GAIN:
        return f"{told}: more of the same would hardly help; train longer, or look at what is still wrong."
    return f"{told}: more annotation is worth it; {2 * most} ROIs may give up to {min(1.0, now + gain):.2f}."


def _mean_and_doubt(points: Sequence[CurvePoint], rois: int) -> tuple[float, float]:
    """Mean Dice of the trainings with so many ROIs, and its standard error; NaN of a single one."""
    dice = [point.dice_pooled for point in points if point.rois == rois]
    error = np.std(dice, ddof=1) / np.sqrt(len(dice)) if len(dice) > 1 else np.nan
    return float(np.mean(dice)), float(error)


def with_roi_count(
    samples: Sequence[TrainingTomogram], count: int, settings: TrainSettings, seed: int = 0
) -> list[TrainingTomogram]:
    """Tomograms in a drawn order until they hold ``count`` ROIs; those too many in the last are ignored."""
    chosen: list[TrainingTomogram] = []
    left = count
    for index in np.random.default_rng(seed).permutation(len(samples)):
        targets = training_targets(samples[index].labels, settings.annotation, samples[index].name)
        numbered = roi_components(samples[index].labels, targets.roi)
        found = int(numbered.max(initial=0))
        if found > left:
            labels = samples[index].labels.astype(np.int32)
            labels[numbered > left] = settings.annotation.ignore_value
            chosen.append(replace(samples[index], labels=labels))
        elif found:
            chosen.append(samples[index])
        left -= min(found, left)
        if left == 0:
            return chosen
    raise InputError(
        f"{count} ROIs are asked for, but the labels hold {count - left}; annotate more, or ask for fewer"
    )


def score_model(
    model_path: Path,
    unseen: Sequence[UnseenTomogram],
    annotation: AnnotationSettings = AnnotationSettings(),
    instances: InstanceSettings = InstanceSettings(),
) -> Evaluation:
    """The scores of a model's ROIs, at its own threshold, on tomograms that it has not seen."""
    model, record = load_model(model_path)
    at_threshold = instances.model_copy(update={"threshold": record.threshold})
    scored = []
    for item in unseen:
        name, tomogram = item.sample.name, item.sample.tomogram
        confidence = predict_confidence(model, record, tomogram, membranes=item.sample.membranes)
        membranes = _membrane_instances(item.sample, at_threshold)
        counted = training_targets(item.sample.labels, annotation, name).counted
        found = find_instances(confidence, at_threshold, membranes)
        scored.append(
            ScoredTomogram(name, found, item.truth, confidence, membranes, tomogram.with_data(~counted))
        )
    return evaluate(scored, EvaluateSettings(thresholds=(record.threshold,)), at_threshold)


def _membrane_instances(sample: TrainingTomogram, settings: InstanceSettings) -> Membranes | None:
    """The membranes beside a tomogram as instances, where its ROIs are told apart by them."""
    if sample.membranes is None or settings.chosen_split(True) != "contacts":
        return None
    return membrane_instances(sample.membranes, settings.contacts)


def _point(
    part: Sequence[TrainingTomogram],
    unseen: Sequence[UnseenTomogram],
    settings: TrainSettings,
    folder: Path,
    count: int,
    repeat: int,
    instances: InstanceSettings,
) -> CurvePoint:
    seeded = settings.model_copy(update={"seed": settings.seed + repeat})
    result = train(part, [], seeded, folder / f"rois{count}_repeat{repeat}.safetensors", resume=True)
    scores = score_model(result.model_path, unseen, settings.annotation, instances).scores
    return CurvePoint(
        rois=count,
        tomograms=len(part),
        repeat=repeat,
        dice_pooled=scores["dice_pooled"]["value"],
        false_positive_rate=scores["false_positive_rate"]["value"],
        false_negative_rate=scores["false_negative_rate"]["value"],
        threshold=result.threshold,
        steps=result.steps,
        seconds=round(result.seconds, 1),
    )


def write_points(path: Path, points: Sequence[CurvePoint]) -> None:
    """Write the points as CSV, one a row."""
    with written_beside(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [part.name for part in fields(CurvePoint)])
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)


def read_points(path: Path) -> list[CurvePoint]:
    """The points of a CSV written by ``write_points``; none where there is no file."""
    if not path.is_file():
        return []
    return read_rows(path, CurvePoint, "the points of a curve", "remove it or choose another folder")


def learning_curve_figure(points: Sequence[CurvePoint]) -> Figure:
    """Each score against the number of annotated ROIs: every training a dot, their means a line."""
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    counts = sorted({point.rois for point in points})
    for axes, (name, title) in zip(figure.subplots(1, len(SCORES)), SCORES.items(), strict=True):
        values = {n: [getattr(point, name) for point in points if point.rois == n] for n in counts}
        for n in counts:
            axes.plot([n] * len(values[n]), values[n], "o", color="0.6", markersize=4)
        axes.plot(counts, [np.nanmean(values[n]) for n in counts], "-o", color="tab:blue")
        axes.set(xlabel="annotated ROIs", ylabel=title, ylim=(0, 1), xscale="log")
        axes.set_xticks(counts, [str(n) for n in counts])
        axes.grid(alpha=0.3)
    return figure
