"""A run of a project in this process: every tomogram, step by step; what is made already is left alone."""

from __future__ import annotations

from tomocore.contract import NOBODY, Batch, InputError, Watcher, about
from tomocore.provenance import recorded_run
from tomosurf.project import STEPS, TRAINING, Project, TomogramPlan
from tomosurf.run_record import write_run_record
from tomosurf.steps import OfTomogram, StepMaker
from tomosurf.training import DueRound, due_round, model_is_ready
from tomosurf.workflow.sole_run import one_project_run


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
