"""Whether the report of a project is made of what is there now: then it is not drawn again."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomocore.contract import NOBODY, Watcher, is_filled
from tomosurf.project import STEPS, Project
from tomosurf.step_records import StepBasis, read_step_record, reason_to_make, refreshed, write_step_record

VERSION = 1
"""Raised by one where the report shows otherwise what it showed before."""
REPORT = "report.html"
SOFTWARE = "tomorois-surfora"


def bring_report_up_to_date(project: Project, watcher: Watcher = NOBODY) -> tuple[Path, bool]:
    """The report of a project, and whether it was written: not where all it is made of is the same."""
    path, basis = report_record(project), report_basis(project)
    record = read_step_record(path)
    if not reason_to_make(record, basis):
        newer = None if record is None else refreshed(record, basis)
        if newer is not None:
            write_step_record(path, newer)
        return project.report_folder / REPORT, False
    from tomosurf.report import write_project_report

    return write_project_report(project, watcher), True


def report_record(project: Project) -> Path:
    """Where it is kept what the report of all tomograms was made from."""
    return project.output / "steps" / "report.json"


def report_basis(project: Project) -> StepBasis:
    """What the report is made from: settings and the records of the last run and of all steps.

    These hold the hashes of what a step was made from, so that no volume is read.
    """
    inputs = {"table of tomograms": project.table, "last run": project.output / "run.json"}
    for plan in project.plans:
        inputs |= {f"{step} of {plan.stem}": plan.record_of(step) for step in STEPS}
        inputs |= {f"truth of {plan.stem}": plan.truth} if plan.truth else {}
    there = {role: path for role, path in inputs.items() if path.exists()}
    told = {"software": importlib.metadata.version(SOFTWARE), "stems": list(project.stems)}
    return StepBasis(VERSION, project.settings.model_dump(mode="json") | told, there, project.output)


@contextmanager
def recorded_report(project: Project) -> Iterator[list[Path]]:
    """Keep a record of the report that is written within; the yielded list takes its files.

    Where it is not written to its end the next run writes it anew; one of some tomograms is not recorded.
    """
    written: list[Path] = []
    if project.only is not None:
        yield written
        return
    begun = report_basis(project).begun(replaces=False)
    write_step_record(report_record(project), begun)
    yield written
    names = [path.relative_to(project.output).as_posix() for path in written if is_filled(path)]
    done = begun.model_copy(update={"state": "done", "outputs": names})
    write_step_record(report_record(project), done)
