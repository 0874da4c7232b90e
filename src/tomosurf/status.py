"""How far a project is: which steps of which tomograms are done, when, and what keeps the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tomocore.contract import InputError, is_filled
from tomocore.provenance import read_record
from tomosurf.project import STEPS, Project, TomogramPlan
from tomosurf.step_records import read_step_record


@dataclass(frozen=True)
class TomogramStatus:
    """When each step of a tomogram was done (None: not yet), and why it is left out or what failed last."""

    name: str
    condition: str
    done: Mapping[str, datetime | None]
    remark: str

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return all(when is not None for when in self.done.values())


def status_of_project(project: Project) -> list[TomogramStatus]:
    """The status of each tomogram, in the project's order; of a damaged record of the last run, its fault."""
    try:
        record = read_record(project.output / "run.json") or {}
        failures = {str(name): str(line) for name, line in record.get("failures", {}).items()}
    except InputError as error:
        failures = {plan.stem: str(error) for plan in project.plans}
    return [_status(plan, failures.get(plan.stem, "")) for plan in project.plans]


def _status(plan: TomogramPlan, failure: str) -> TomogramStatus:
    done = {step: _when(plan, step) for step in STEPS}
    remark = f"left out: {plan.row.excluded}" if plan.row.excluded else failure
    found = TomogramStatus(plan.stem, plan.row.condition, done, remark)
    return TomogramStatus(plan.stem, plan.row.condition, done, "") if found.is_done else found


def _when(plan: TomogramPlan, step: str) -> datetime | None:
    """When a step was done: by its record, which also tells of steps that found nothing, or by its result."""
    record, result = read_step_record(plan.record_of(step)), plan.results[step]
    if record is not None and record.state == "begun":
        return None
    if is_filled(result):
        return datetime.fromtimestamp(result.stat().st_mtime)
    nothing_to_measure = record is not None and not record.outputs
    return datetime.fromtimestamp(plan.record_of(step).stat().st_mtime) if nothing_to_measure else None
