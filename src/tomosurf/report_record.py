"""What the report of a project was made from, kept beside its steps, and what it would be made from now."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomocore.contract import is_filled
from tomosurf.project import STEPS, Project
from tomosurf.step_records import StepBasis, write_step_record

VERSION = 1
"""Raised by one where the report shows otherwise what it showed before."""
REPORT = "report.html"
SOFTWARE = "tomorois-surfora"


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
