"""A run of a project in this process: every tomogram, step by step; what is made already is left alone."""

from __future__ import annotations

from tomocore.contract import NOBODY, Batch, InputError, Watcher, about
from tomocore.locks import one_run
from tomocore.provenance import RunRecord, read_record, recorded_run
from tomosurf.project import STEPS, Project, TomogramPlan, step_record_path
from tomosurf.step_records import read_step_record
from tomosurf.steps import OfTomogram, StepMaker


def run_project(project: Project, jobs: int = 1, overwrite: bool = False, watcher: Watcher = NOBODY) -> Batch:
    """Bring every tomogram of a project up to date; what was done and what failed, by tomogram.

    A step is made where its inputs, its settings or its version are others than when it was made, so that
    an interrupted run goes on where it stopped; ``overwrite`` makes all anew. The record of the run is
    written as run.json.
    """
    maker = StepMaker(project, jobs)
    batch = Batch(watcher)

    def one(plan: TomogramPlan) -> None:
        if plan.row.excluded:
            batch.skip(plan.stem, f"left out: {plan.row.excluded}")
            return
        told = OfTomogram(watcher, plan.stem)
        with about(plan.stem):
            if not any([maker.make(step, plan, overwrite, told) for step in STEPS]):
                batch.skip(plan.stem, "nothing it is made from has changed")

    with one_run(project.output):
        with recorded_run("tomosurf run", project.settings) as record:
            batch.each(project.plans, one, lambda plan: plan.stem)
        write_run_record(project, record, batch)
    return batch


def write_run_record(project: Project, record: RunRecord, batch: Batch) -> None:
    """Write run.json: the models, and what failed, of tomograms that were not run this time last time."""
    # Also those of steps that were made earlier and are still what they were.
    paths = (step_record_path(project.output, stem, step) for stem in project.stems for step in STEPS)
    steps = (read_step_record(path) for path in paths)
    of_steps = [text for step in steps if step for text in step.warnings]
    record.warnings = list(dict.fromkeys([*record.warnings, *of_steps]))
    for model in filter(None, (project.model, project.membrane_model)):
        record.add_input(model)
    record.failures = _earlier_failures(project) | batch.failed
    record.write(project.output / "run.json")


def _earlier_failures(project: Project) -> dict[str, str]:
    try:
        record = read_record(project.output / "run.json") or {}
    except InputError:
        return {}
    others = set(project.stems) - {plan.stem for plan in project.plans}
    return {name: line for name, line in record.get("failures", {}).items() if name in others}
