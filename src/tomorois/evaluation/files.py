"""`evaluate` at the level of files: predicted and true ROIs in, scores as JSON and a report out."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tomocore.contract import NOBODY, Batch, InputError, Progress, Watcher, no_progress
from tomocore.files import require_writable_folder, written_together
from tomocore.files_of_tomograms import matched, product_of, require_match, require_own_names, tomogram_stem
from tomocore.provenance import file_hash
from tomocore.roiset import read_rois
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume
from tomorois.evaluation.evaluate import Evaluation, ScoredTomogram, evaluate, write_evaluation
from tomorois.evaluation.report import cautions, score_lines, write_score_report
from tomorois.evaluation.settings import EvaluateSettings
from tomorois.instances.find import find_instances
from tomorois.instances.membrane_pairs import membrane_instances
from tomorois.instances.settings import InstanceSettings
from tomorois.prediction.record import threshold_in_force
from tomorois.training.data import HASH_LETTERS, marks_of_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateRequest:
    """What is scored against what: ROIs or confidence maps against true ROIs, of the same tomograms.

    ``membranes`` serve maps whose ROIs are contacts; of ``model`` the tomograms that it learned from are
    told. ``resample`` brings volumes of unequal voxel edges to one. ``edges_nm`` are voxel sizes of single
    predicted files and all that belongs to them, which overrule ``voxel_size_nm``.
    """

    predicted: Sequence[Path]
    truth: Sequence[Path]
    membranes: Sequence[Path] = ()
    model: Path | None = None
    voxel_size_nm: float | None = None
    resample: bool = False
    edges_nm: Mapping[Path, float] = field(default_factory=dict)

    def edge_nm(self, predicted: Path) -> float | None:
        """The voxel size that overrules the headers of a predicted file and its truth, if any."""
        return self.edges_nm.get(predicted, self.voxel_size_nm)


def evaluate_to_file(
    request: EvaluateRequest,
    target: Path,
    settings: EvaluateSettings = EvaluateSettings(),
    instances: InstanceSettings = InstanceSettings(),
    *,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Score the files of ``request``; write ``target`` (JSON) and its report (.html) unless it is there.

    ``settings`` say what counts as found, ``instances`` how confidence maps become ROIs first (files of ROIs
    are taken as they are). With ``overwrite`` existing results are replaced. The ``watcher`` hears the scores
    line by line; cautions are logged. Raises InputError as `evaluate_files` does, and for a target that is
    called as the report would be.
    """
    if target == target.with_suffix(".html"):
        raise InputError(f"{target}: scores are written as JSON, their report beside; name it *.json")
    batch = Batch(watcher)

    def one(path: Path) -> str:
        require_writable_folder(path.parent)
        with watcher.progress("evaluate") as progress:
            evaluation = evaluate_files(request, settings, instances, progress)
        report = path.with_suffix(".html")
        with written_together(report, path) as (page, scores):
            write_score_report(page, evaluation)
            write_evaluation(scores, evaluation)
        for caution in cautions(evaluation):
            log.warning(caution)
        for line in score_lines(evaluation):
            watcher.say(line)
        return f"wrote {path} and {report}"

    batch.make(target, overwrite, one)
    return batch


def evaluate_files(
    request: EvaluateRequest,
    settings: EvaluateSettings = EvaluateSettings(),
    instances: InstanceSettings = InstanceSettings(),
    progress: Progress = no_progress,
) -> Evaluation:
    """The scores of files: ROIs (``.npz``, label volumes) or confidence maps against true ROIs.

    Files of one tomogram are found by `matched` and read one tomogram at a time. Confidence
    maps become ROIs by ``instances``, at the threshold of the model that made the map unless another is set.
    Raises InputError for predictions without a true file, and for maps whose threshold nobody knows.
    """
    for files in (request.predicted, request.truth):
        require_own_names(files)
    truth = matched(request.predicted, request.truth, "true ROI")
    require_match(request.predicted, truth, "true ROI")
    membranes = matched(request.predicted, request.membranes, "membrane")
    seen = marks_of(request.model)

    def tomograms() -> Iterator[ScoredTomogram]:
        for path in request.predicted:
            sides = membranes.get(path)
            yield _read_tomogram(path, truth[path], sides, settings, instances, request)

    return evaluate(tomograms(), settings, instances, seen, progress, len(request.predicted))


def marks_of(model: Path | None) -> Collection[str] | None:
    """Names and hashes of the files that a model learned from; None where that cannot be known here."""
    has_torch = importlib.util.find_spec("torch") is not None  # without it a report can still be made
    return marks_of_model(model) if model is not None and has_torch else None


def _read_tomogram(
    path: Path,
    truth_path: Path,
    membrane_path: Path | None,
    settings: EvaluateSettings,
    instances: InstanceSettings,
    request: EvaluateRequest,
) -> ScoredTomogram:
    ignore = () if settings.ignore_value is None else (settings.ignore_value,)
    edge_nm, resample = request.edge_nm(path), request.resample
    truth = read_rois(truth_path, edge_nm, ignore, resample)
    membranes = None
    if membrane_path:
        sides = read_volume(membrane_path, edge_nm, resample=resample)
        membranes = membrane_instances(sides, instances.contacts)
    confidence = _read_confidence(path, request)
    if confidence:
        threshold = threshold_in_force(path, instances.threshold)
        chosen = instances.model_copy(update={"threshold": threshold})
        predicted = find_instances(confidence, chosen, membranes)
    else:
        predicted = read_rois(path, edge_nm, resample=resample)
    ignored = None
    if ignore and truth_path.suffix.lower() != ".npz":
        labels = read_volume(truth_path, edge_nm, resample=resample)
        ignored = labels.with_data(np.asarray(labels.data) == settings.ignore_value)
    marks = (file_hash(truth_path)[:HASH_LETTERS],)
    return ScoredTomogram(tomogram_stem(path), predicted, truth, confidence, membranes, ignored, marks)


def _read_confidence(path: Path, request: EvaluateRequest) -> Volume | None:
    """The confidence map in a file, or None where it holds ROIs: an archive, or whole numbers of any type."""
    if path.suffix.lower() == ".npz":
        return None
    volume = read_volume(path, request.edge_nm(path), resample=request.resample)
    data = volume.data
    if data.dtype.kind != "f" or data.max() > 1:
        return None
    is_labels = product_of(path) != "confidence" and bool((data == np.rint(data)).all())
    return None if is_labels else volume
