"""What a training of a project learns from: what was painted and judged, as files; what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tomocore.contract import FAILURES, InputError, Watcher, one_line
from tomocore.roiset import RoiSet, read_rois
from tomocore.volumes.formats import inspect_volume, read_volume
from tomorois.annotation.judged_roi import judged_rois
from tomorois.annotation.painting import Painting
from tomorois.annotation.targets import training_targets
from tomorois.loop.folder import model_facts
from tomorois.loop.training_set import (
    NOTHING_TO_LEARN,
    TaughtFiles,
    empty_training_folder,
    has_rois,
    taught_labels,
    write_taught,
)
from tomorois.prediction.files import read_predictor
from tomorois.training.files import AnnotatedFiles
from tomosurf.maps import draw_membranes
from tomosurf.project import Project, TomogramPlan
from tomosurf.rounds import has_judgements
from tomosurf.taught import painting_of, problems_of_choice, taught_plans


def training_files(
    project: Project, folder: Path, plans: Sequence[TomogramPlan], watcher: Watcher
) -> AnnotatedFiles:
    """Write what was painted and judged on tomograms to a folder, and name all that belongs to them."""
    empty_training_folder(folder)
    taught = [_taught_files(project, plan, folder) for plan in plans]
    return AnnotatedFiles(
        [plan.tomogram for plan in plans],
        [one.labels for one in taught],
        _membranes_seen(project, plans, watcher),
        [one.penalty for one in taught if one.penalty],
        plans[0].voxel_size_nm,
        project.settings.resample,
    )


def _taught_files(project: Project, plan: TomogramPlan, folder: Path) -> TaughtFiles:
    """What a tomogram teaches: its labels as they are, or with what was painted and judged since."""
    annotation = _annotation_of(project, plan)
    if annotation is None:
        assert plan.labels is not None
        return TaughtFiles(plan.labels, None, has_rois=True)
    painting, rois = annotation
    judged = judged_rois(plan.stem, rois) if rois is not None else None
    rejected = rois.at((rois.table["status"] == "rejected").to_numpy()) if rois is not None else None
    return write_taught(folder, plan.stem, painting, judged, rejected)


def _annotation_of(project: Project, plan: TomogramPlan) -> tuple[Painting, RoiSet | None] | None:
    """A tomogram's painting and its ROIs where a person judged any; None where its labels say it all."""
    files = painting_of(project, plan)
    is_judged = has_judgements(plan)
    if not (is_judged or files.journal.exists()):
        return None
    tomogram = read_volume(plan.tomogram, plan.voxel_size_nm, lazy=True, resample=project.settings.resample)
    rois = read_rois(plan.curated, tomogram.voxel_size_nm) if is_judged else None
    return Painting(tomogram, files, is_read_only=True), rois


def _membranes_seen(project: Project, plans: Sequence[TomogramPlan], watcher: Watcher) -> list[Path]:
    """The membranes that the network sees beside the tomograms, drawn first where a model draws them."""
    if not project.settings.learn_membranes:
        return []
    if project.membrane_model is None:
        return [plan.membranes for plan in plans]
    drawer = read_predictor(project.membrane_model)
    for plan in plans:
        assert plan.drawn is not None
        draw_membranes(project, plan, drawer, watcher)
    return [plan.drawn for plan in plans if plan.drawn is not None]


def problems_of_training(project: Project) -> list[str]:
    """Everything that a training of this project would trip over, a line each; empty where all is well."""
    problems = list(problems_of_choice(project))
    first = project.folder / project.settings.first_model if project.settings.first_model else None
    if first is not None:
        problems += _problems_of_first_model(project, first)
    rois = 0
    for plan in [] if problems else taught_plans(project):
        try:
            rois += _rois_taught(project, plan)
        except FAILURES as error:
            problems.append(one_line(error))
    return problems if problems or rois else [f"{project.annotations}: {NOTHING_TO_LEARN}"]


def _problems_of_first_model(project: Project, first: Path) -> Iterator[str]:
    try:
        sees = model_facts(first).sees_membranes
    except InputError as error:
        yield str(error)
        return
    if sees != project.settings.learn_membranes:
        told = "with" if sees else "without"
        yield f"{first}: was trained {told} membranes; set learn_membranes = {str(sees).lower()}"


def _rois_taught(project: Project, plan: TomogramPlan) -> bool:
    """Whether a tomogram teaches any ROI. InputError where its labels cannot be used."""
    annotation = _annotation_of(project, plan)
    tomogram = inspect_volume(plan.tomogram)
    if annotation is not None:
        painting, rois = annotation
        if rois is not None and rois.shape != painting.labels.shape:
            raise InputError(
                f"{plan.curated}: ROIs of shape {rois.shape} (z, y, x), the tomogram has "
                f"{painting.labels.shape}; find and judge them again"
            )
        return has_rois(taught_labels(painting, None if rois is None else judged_rois(plan.stem, rois)))
    assert plan.labels is not None
    labels = read_volume(plan.labels, plan.voxel_size_nm, resample=project.settings.resample)
    if not project.settings.resample and labels.shape != tuple(tomogram.shape):
        raise InputError(
            f"{plan.labels}: labels of shape {labels.shape} (z, y, x), the tomogram has "
            f"{tuple(tomogram.shape)}; give those of this tomogram"
        )
    targets = training_targets(np.asarray(labels.data), project.settings.train.annotation, str(plan.labels))
    return bool((targets.roi & targets.counted).any())
