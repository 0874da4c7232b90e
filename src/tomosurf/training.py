"""Training as a step of a project: what the next round learns from, and whether it must be made.

A round is a model in ``results/models``, trained by the function behind `tomorois train` on what was painted
and judged. The first is trained where there is no model yet. A further one is only made where it is asked
for, since it takes long and all results follow from it; that something has changed is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tomocore.contract import FAILURES, Batch, InputError
from tomorois.loop.folder import model_facts
from tomorois.training.settings import NOT_PART_OF_A_TRAINING
from tomosurf.project import TRAINING, Project, step_record_path
from tomosurf.step_records import (
    StepBasis,
    changes_since,
    read_step_record,
    told_changes,
)
from tomosurf.taught import sources_of, taught_plans

log = logging.getLogger(__name__)

VERSION = 1
"""Raised by one where a training computes otherwise than before from the same inputs and settings."""
REFINED = "model refined"
"""The role of the model that a round begins with."""


@dataclass(frozen=True)
class DueRound:
    """A round of training that is to be made, and why; ``init`` is the model that it refines."""

    number: int
    reason: str
    init: Path | None = None


def due_round(project: Project, retrain: bool = False, from_scratch: bool = False) -> DueRound | None:
    """The round that must be trained now, or None.

    The first one must be where there is no model; a further one only where ``retrain`` asks for it and what
    is learned from has changed, or where it is to begin ``from_scratch``. InputError where judged ROIs are
    damaged.
    """
    if not project.trains:
        return None
    last = project.rounds_trained
    first = project.folder / project.settings.first_model if project.settings.first_model else None
    if last == 0:
        return DueRound(1, "no model yet", None if from_scratch else first)
    unfinished = _almost_done(project, last)
    if unfinished:
        return unfinished
    changes = changes_of_last_round(project)
    if from_scratch and retrain:
        return DueRound(last + 1, "asked for from scratch")
    return DueRound(last + 1, told_changes(changes), project.model) if changes and retrain else None


def model_is_ready(
    project: Project, batch: Batch, retrain: bool, train: Callable[[DueRound], object]
) -> bool:
    """Let ``train`` make the round that is due, as it tells in ``batch``; whether tomograms can go on.

    They cannot where it failed: all that is there stays as it is. Where annotations changed and nobody asked
    to ``retrain``, that is a warning.
    """
    if not project.trains:
        return True
    try:
        due = due_round(project, retrain)
        if due is not None:
            train(due)
    except FAILURES as error:
        batch.fail(TRAINING, error)
    if TRAINING in batch.failed:
        for plan in project.included:
            batch.skip(plan.stem, "waits for the model")
        return False
    with suppress(InputError):  # judged ROIs that are damaged fail their own tomogram
        advice = advice_on_training(project)
        if advice:
            log.warning("%s", advice)
    return True


def _almost_done(project: Project, number: int) -> DueRound | None:
    """A round whose model is there, and which was ended before its curves and its record were."""
    record = read_step_record(record_of_round(project, number))
    if record is None or record.state == "done":
        return None
    init = Path(record.inputs[REFINED].path) if REFINED in record.inputs else None
    basis = training_basis(project, init)
    return None if changes_since(record, basis) else DueRound(number, "was not finished", init)


def changes_of_last_round(project: Project) -> list[str]:
    """What differs between what the last round learned from and what is there now, each in words."""
    number = project.rounds_trained
    record = read_step_record(record_of_round(project, number))
    if record is None:
        return [f"there is no record of what round {number} learned from"]
    inputs = {role: mark for role, mark in record.inputs.items() if role != REFINED}
    return changes_since(record.model_copy(update={"inputs": inputs}), training_basis(project))


def advice_on_training(project: Project) -> str:
    """A line where another round would learn from something else, or was broken off; else empty."""
    if not project.trains or project.rounds_trained == 0:
        return ""
    number = project.rounds_trained
    following = read_step_record(record_of_round(project, number + 1))
    if following is not None and following.state == "begun":  # done: its model was taken away since
        return (
            f"round {number + 1} was not trained to its end; tomosurf train {project.folder} goes on, until "
            f"then round {number} is used"
        )
    changes = changes_of_last_round(project)
    if not changes:
        return ""
    return (
        f"annotations or settings changed since round {number} was trained ({told_changes(changes)}); its "
        f"model is used until the next is made: tomosurf train {project.folder}"
    )


def training_told(project: Project) -> str:
    """How far the training of a project is: what the last round learned from, or what there is to learn."""
    number = project.rounds_trained
    try:
        if number:
            when = datetime.fromtimestamp(project.model.stat().st_mtime)
            told = f"round {number}, done {when:%Y-%m-%d %H:%M}, {model_facts(project.model).line()}"
            return "\n".join(filter(None, [f"training: {told}", advice_on_training(project)]))
        plans = taught_plans(project)
    except InputError as error:
        return f"training: {error}"
    held_out = sum(plan.row.split == "validation" for plan in plans)
    begun = "broken off" if read_step_record(record_of_round(project, 1)) else "not trained yet"
    return f"training: {begun}; annotated are {len(plans)} tomograms, {held_out} of them held out"


def record_of_round(project: Project, number: int) -> Path:
    """The record of how a round was made."""
    return step_record_path(project.output, f"round_{number:03d}", TRAINING)


def training_basis(project: Project, init: Path | None = None) -> StepBasis:
    """What a round is to be made from, beginning with the model ``init``."""
    settings = project.settings
    inputs: dict[str, Path] = {}
    plans = taught_plans(project)
    for plan in plans:
        inputs[f"tomogram {plan.stem}"] = plan.tomogram
        inputs |= sources_of(project, plan)
        if settings.learn_membranes and project.membrane_model is None:
            inputs[f"membranes of {plan.stem}"] = plan.membranes
    if settings.learn_membranes and project.membrane_model is not None:
        inputs["membrane model"] = project.membrane_model
    told: dict[str, Any] = {
        "train": settings.train.model_dump(exclude=NOT_PART_OF_A_TRAINING),
        "learn_membranes": settings.learn_membranes,
        "voxel_size_nm": {plan.stem: plan.voxel_size_nm for plan in plans},
        "split": {plan.stem: plan.row.split for plan in plans},
        "resample": settings.resample,
    }
    return StepBasis(VERSION, told, inputs | ({REFINED: init} if init else {}), project.output)
