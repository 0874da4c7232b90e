"""The steps of a project, tomogram by tomogram: confidence, ROIs, surfaces; what is there is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from surfora.batch import RunRequest, run_masks
from tomocore.contract import NOBODY, Batch, InputError, Progress, Watcher, about
from tomocore.locks import one_run
from tomocore.provenance import read_record, recorded_run
from tomocore.roiset import read_rois
from tomorois.instances.files import find_instances_in_files
from tomosurf.project import Project, TomogramPlan

if TYPE_CHECKING:
    from tomorois.prediction.files import Predictor


@dataclass(frozen=True)
class _Models:
    """What finds the ROIs, and what draws the membranes that it sees, if there is such a model."""

    finder: Predictor
    drawer: Predictor | None


def run_project(project: Project, jobs: int = 1, overwrite: bool = False, watcher: Watcher = NOBODY) -> Batch:
    """Bring every tomogram of a project up to date; what was done and what failed, by tomogram.

    Each step is the function at the level of files that the tools' own commands call, and skips what is
    there already, so that an interrupted run goes on where it stopped. The record of the run is written as
    run.json.
    """
    models = _read_models(project)
    batch = Batch(watcher)

    def one(plan: TomogramPlan) -> None:
        if plan.row.excluded:
            batch.skip(plan.stem, f"left out: {plan.row.excluded}")
            return
        watcher.say(f"{plan.stem}:")
        with about(plan.stem):
            _predict(plan, project, models, overwrite, watcher)
            _find_rois(plan, project, overwrite, watcher)
            _measure(plan, project, jobs, overwrite, watcher)

    with one_run(project.output):
        with recorded_run("tomosurf run", project.settings) as record:
            for model in filter(None, (project.model, project.membrane_model)):
                record.add_input(model)
            batch.each(project.plans, one, lambda plan: plan.stem)
        record.failures = _earlier_failures(project) | batch.failed
        record.write(project.output / "run.json")
    return batch


def _earlier_failures(project: Project) -> dict[str, str]:
    """What failed last time of tomograms that are not run this time."""
    try:
        record = read_record(project.output / "run.json") or {}
    except InputError:
        return {}
    others = set(project.stems) - {plan.stem for plan in project.plans}
    return {name: line for name, line in record.get("failures", {}).items() if name in others}


def _read_models(project: Project) -> _Models:
    from tomorois.prediction.files import read_predictor

    drawer = read_predictor(project.membrane_model) if project.membrane_model else None
    models = _Models(read_predictor(project.model), drawer)
    if drawer and not models.finder.sees_membranes:
        raise InputError(
            f"{project.model}: was trained without membranes; unset membrane_model in the project"
        )
    return models


def _predict(
    plan: TomogramPlan, project: Project, models: _Models, overwrite: bool, watcher: Watcher
) -> None:
    """The confidence map, and before it the membranes that its model sees, where another model draws them."""
    if plan.drawn and models.drawer:
        _map(plan.drawn, plan, project, models.drawer, (), overwrite, watcher)
    beside = ((plan.drawn or plan.membranes),) if models.finder.sees_membranes else ()
    _map(plan.confidence, plan, project, models.finder, beside, overwrite, watcher)


def _map(
    target: Path,
    plan: TomogramPlan,
    project: Project,
    model: Predictor,
    beside: Sequence[Path],
    overwrite: bool,
    watcher: Watcher,
) -> None:
    """What a model makes of the tomogram, with the membranes beside it if it sees such."""
    from tomorois.prediction.files import PredictRequest, predict_files

    request = PredictRequest(
        tomograms=[plan.tomogram],
        folder=target.parent,
        membranes=beside,
        what="membranes" if target == plan.drawn else "confidence",
        voxel_size_nm=plan.voxel_size_nm,
        resample=project.settings.resample,
        overwrite=overwrite,
    )
    assert request.target(plan.tomogram) == target
    _require_done(predict_files(model, request, project.settings.predict, _OneStep(watcher)))


def _find_rois(plan: TomogramPlan, project: Project, overwrite: bool, watcher: Watcher) -> None:
    _require_done(
        find_instances_in_files(
            [plan.confidence],
            plan.rois.parent,
            project.settings.instances,
            membranes=[plan.membranes],
            voxel_size_nm=plan.voxel_size_nm,
            resample=project.settings.resample,
            overwrite=overwrite,
            watcher=_OneStep(watcher),
        )
    )


def _measure(plan: TomogramPlan, project: Project, jobs: int, overwrite: bool, watcher: Watcher) -> None:
    if plan.done()["surfaces"] and not overwrite:
        return
    if len(read_rois(plan.rois)) == 0:
        watcher.say("  no ROI, so no surface is measured")
        return
    request = RunRequest(
        masks=(plan.membranes,),
        folder=plan.surfaces,
        rois=(plan.rois,),
        voxel_size_nm=plan.voxel_size_nm,
        resample=project.settings.resample,
        jobs=jobs,
        overwrite=overwrite,
    )
    inner = run_masks(request, project.settings.surfora, _OneStep(watcher))
    if inner.failed:
        first = next(iter(inner.failed.values()))
        raise InputError(f"{plan.stem}: {len(inner.failed)} surfaces failed, the first: {first}")


class _OneStep(Watcher):
    """Tells what a step made, indented; what is kept or fails is told once, for the whole tomogram."""

    def __init__(self, outer: Watcher) -> None:
        self.outer = outer

    def say(self, line: str) -> None:
        """Pass on a line."""
        self.outer.say(f"  {line}")

    def done(self, name: str, line: str) -> None:
        """Pass on what came of the step."""
        if line:
            self.outer.say(f"  {line}")

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Pass on the step's progress."""
        with self.outer.progress(title) as progress:
            yield progress


def _require_done(batch: Batch) -> None:
    """InputError with the line of what failed, so that the tomogram's later steps do not run."""
    if batch.failed:
        raise InputError(next(iter(batch.failed.values())))
