"""How far a project is: which steps of which tomograms are done, when, and what keeps the others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from tomocore.contract import InputError, is_filled
from tomocore.provenance import read_record
from tomocore.side_files import some_of
from tomorois.annotation.files_of_annotation import CURATED_FOLDER
from tomosurf.project import STEPS, Project, TomogramPlan
from tomosurf.step_records import read_step_record
from tomosurf.steps import StepMaker, foreign_rois

MADE_AGAIN = "a run makes"
TOLD_ELSEWHERE = re.compile(r": (predict|instances|surfora)\.")


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
    try:
        maker = StepMaker(project)
    except InputError:  # no model yet, which a run tells
        maker = None
    return [_status(plan, failures.get(plan.stem, ""), maker) for plan in project.plans]


def _status(plan: TomogramPlan, failure: str, maker: StepMaker | None) -> TomogramStatus:
    done = {step: _when(plan, step) for step in STEPS}
    remark = f"left out: {plan.row.excluded}" if plan.row.excluded else failure
    found = TomogramStatus(plan.stem, plan.row.condition, done, remark)
    return replace(found, remark=_made_again(plan, maker)) if found.is_done else found


def _made_again(plan: TomogramPlan, maker: StepMaker | None) -> str:
    """What the next run makes again of a tomogram that is done, and why, or that its ROIs are not a run's."""
    if maker is None or plan.row.excluded:
        return ""
    for step in STEPS:
        is_recorded = read_step_record(plan.record_of(step)) is not None
        try:
            reason = maker.reason(step, plan, at_a_glance=True) if is_recorded else ""
        except InputError as error:  # judged ROIs that are damaged
            reason = str(error)
        if reason:
            return f"{MADE_AGAIN} {step} again: {reason}"
    return foreign_rois(plan)


def _when(plan: TomogramPlan, step: str) -> datetime | None:
    """When a step was done: by its record, which also tells of steps that found nothing, or by its result."""
    record, result = read_step_record(plan.record_of(step)), plan.results[step]
    if record is not None and record.state == "begun":
        return None
    if is_filled(result):
        return datetime.fromtimestamp(result.stat().st_mtime)
    nothing_to_measure = record is not None and not record.outputs
    return datetime.fromtimestamp(plan.record_of(step).stat().st_mtime) if nothing_to_measure else None


def outdated(project: Project) -> list[str]:
    """A line for each reason why tomograms that are done are made again by the next run.

    Settings of the tools are not among them: `pages.runs.cautions_of_runs` says what they were.
    """
    stems: dict[str, list[str]] = {}
    for one in status_of_project(project):
        if one.is_done and one.remark.startswith(MADE_AGAIN) and not TOLD_ELSEWHERE.search(one.remark):
            stems.setdefault(one.remark, []).append(one.name)
    return [f"{some_of(names)}: {remark}" for remark, names in stems.items()]


def left_over(project: Project) -> list[str]:
    """A line where results lie there of tomograms that the project no longer has: renamed, or taken away."""
    folder = project.output / "steps"
    stems = {
        path.name.removesuffix(f"__{step}.json") for step in STEPS for path in folder.glob(f"*__{step}.json")
    }
    gone = sorted(stems - set(project.stems))
    if not gone:
        return []
    judged = [
        stem for stem in gone if (project.output / "rois" / CURATED_FOLDER / f"{stem}__rois.npz").exists()
    ]
    lost = f" (judged are ROIs of {some_of(judged)})" if judged else ""
    return [
        f"{some_of(gone)}: no such tomogram any more, but results{lost}, which count nowhere; rename it "
        f"back, or delete what is named so in {project.output}"
    ]
