"""A run of a project in this process: every tomogram, step by step; what is made already is left alone."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from tomocore.contract import FAILURES, NOBODY, Batch, InputError, Watcher, about
from tomocore.locks import clear_of_dead, one_run
from tomocore.provenance import RunRecord, read_record, recorded_run
from tomocore.side_files import read_json
from tomosurf.project import STEPS, TRAINING, Project, TomogramPlan, step_record_path
from tomosurf.rounds import keep_ledger
from tomosurf.step_records import read_step_record
from tomosurf.steps import OfTomogram, StepMaker
from tomosurf.training import DueRound, advice_on_training, due_round
from tomosurf.workflow.job_folder import job_folder
from tomosurf.workflow.job_process import command_of_jobs
from tomosurf.workflow.slurm import end_jobs

log = logging.getLogger(__name__)

STEP_FOLDERS = ("models", "training", "drawn", "confidence", "rois", "steps", "workflow")
"""Folders of results that steps write into."""


def run_project(
    project: Project,
    jobs: int = 1,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
    retrain: bool = False,
) -> Batch:
    """Bring every tomogram of a project up to date; what was done and what failed, by tomogram.

    A step is made where its inputs, its settings or its version are others than when it was made, so that
    an interrupted run goes on where it stopped; ``overwrite`` makes all anew. Where the project trains its
    model, that comes first: where there is none yet, or with ``retrain`` where what it learned from has
    changed. The record of the run is written as run.json.
    """
    batch = Batch(watcher)

    def one(plan: TomogramPlan) -> None:
        if plan.row.excluded:
            batch.skip(plan.stem, f"left out: {plan.row.excluded}")
            return
        told = OfTomogram(watcher, plan.stem)
        with about(plan.stem):
            if not any([maker.make(step, plan, overwrite, told) for step in STEPS]):
                batch.skip(plan.stem, "nothing it is made from has changed")

    with one_project_run(project, watcher):
        with recorded_run("tomosurf run", project.settings) as record:
            if model_is_ready(project, batch, retrain, lambda due: _train_here(project, due, batch, jobs)):
                maker = StepMaker(project, jobs)
                batch.each(project.plans, one, lambda plan: plan.stem)
        write_run_record(project, record, batch)
    return batch


def train_project(
    project: Project, from_scratch: bool = False, jobs: int = 1, watcher: Watcher = NOBODY
) -> Batch:
    """Train the project's next round, with so many ``jobs`` threads; done, skipped or failed in the batch.

    It refines the last model, unless it is to begin ``from_scratch``, and is skipped where nothing that the
    last round learned from has changed. Raises InputError where a project trains no model.
    """
    if not project.trains:
        raise InputError(
            f"{project.folder}: trains no model; name the folder of labels as annotations in its project "
            "file, and no model"
        )
    batch = Batch(watcher)
    with one_project_run(project, watcher):
        due = due_round(project, retrain=True, from_scratch=from_scratch)
        if due is None:
            batch.skip(TRAINING, f"nothing that round {project.rounds_trained} learned from has changed")
        else:
            _train_here(project, due, batch, jobs)
    return batch


def _train_here(project: Project, due: DueRound, batch: Batch, jobs: int) -> None:
    from tomosurf.train_round import train_round

    batch.each([due], lambda due: train_round(project, due, jobs, batch.watcher), lambda _: TRAINING)


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


@contextmanager
def one_project_run(project: Project, watcher: Watcher = NOBODY) -> Iterator[None]:
    """Hold a project's results for this run alone, once nothing of an earlier one works on them any more.

    Jobs that an earlier run left on a cluster are cancelled, and the folder that its jobs shared goes;
    before and after, so are locks and half-written files of processes that are no more. Raises InputError
    where another run has the project, or such jobs do not end.
    """
    with one_run(project.output):
        _end_earlier_jobs(project, watcher)
        try:
            yield
        finally:
            _clear_of_dead(project)


def _end_earlier_jobs(project: Project, watcher: Watcher) -> None:
    folder = job_folder(project)
    if not folder.path.is_dir():
        return
    try:
        prefix = str(read_json(folder.record, dict[str, Any]).get("slurm", ""))
    except (OSError, InputError):
        prefix = ""  # it was killed before it began a job
    if prefix:
        ended = end_jobs(prefix)
        if ended:
            watcher.say(f"cancelled {ended} jobs of an earlier run that was broken off")
    _clear_of_dead(project)
    shutil.rmtree(folder.path, ignore_errors=True)  # also where nothing is left to do, and so no job begins


def _clear_of_dead(project: Project) -> None:
    """Take away what steps that were killed left: their locks, and what they had half-written."""
    output = project.output
    gone = command_of_jobs(job_folder(project).path)
    for folder in (*(output / name for name in STEP_FOLDERS), *(output / "surfaces").glob("*")):
        if folder.is_dir():
            clear_of_dead(folder, gone)


def write_run_record(project: Project, record: RunRecord, batch: Batch) -> None:
    """Write run.json: the models, and what failed, of tomograms that were not run this time last time.

    Where nothing was made, and nothing is told otherwise than it was, the record stays that of the last run.
    """
    # Also those of steps that were made earlier and are still what they were.
    paths = (step_record_path(project.output, stem, step) for stem in project.stems for step in STEPS)
    rounds = step_record_path(project.output, f"round_{project.rounds_trained:03d}", TRAINING)
    steps = (read_step_record(path) for path in (rounds, *paths))
    of_steps = [text for step in steps if step for text in step.warnings]
    record.warnings = list(dict.fromkeys([*record.warnings, *of_steps]))
    for model in filter(None, (project.model, project.membrane_model)):
        if model.is_file():  # also that of a training which failed
            record.add_input(model)
    keep_ledger(project)
    earlier = _earlier_record(project)
    others = set(project.stems) - {plan.stem for plan in project.plans}
    failures = {name: line for name, line in earlier.get("failures", {}).items() if name in others}
    record.failures = failures | batch.failed
    if batch.done or batch.failed or not _says_the_same(record, earlier):
        record.write(project.output / "run.json")


def _earlier_record(project: Project) -> dict[str, Any]:
    try:
        return read_record(project.output / "run.json") or {}
    except InputError:
        return {}


def _says_the_same(record: RunRecord, earlier: Mapping[str, Any]) -> bool:
    """Whether a record tells what an earlier one told, beside when and how it was called."""
    told = asdict(record)
    own = [{key: one[key] for key in ("path", "sha256")} for one in told.pop("inputs")]
    before = [{key: one[key] for key in ("path", "sha256")} for one in earlier.get("inputs", ())]
    same = all(told[key] == earlier.get(key) for key in ("settings", "failures", "versions"))
    return same and own == before and set(told["warnings"]) == set(earlier.get("warnings", ()))
