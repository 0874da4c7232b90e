"""The steps of a project, tomogram by tomogram: confidence, ROIs, surfaces; what is there is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from surfora.batch import RunRequest, run_masks
from tomocore.contract import Batch, InputError, about
from tomocore.files import remove_leftovers, require_writable_folder
from tomocore.provenance import recorded_run
from tomocore.roiset import read_rois, write_rois
from tomocore.terminal.console import Terminal, out, progress_bar
from tomocore.terminal.options import use_threads
from tomocore.volumes.formats import read_volume
from tomorois.instances.find import find_instances
from tomosurf.project import Project, TomogramPlan

if TYPE_CHECKING:
    from tomorois.network.checkpoint import ModelRecord
    from tomorois.network.msdnet.module import MSDNet


@dataclass(frozen=True)
class _Model:
    network: MSDNet
    record: ModelRecord

    @property
    def sees_membranes(self) -> bool:
        """Whether it takes membranes beside the tomogram."""
        return self.network.config.input_channels > 1


@dataclass(frozen=True)
class _Models:
    """What finds the ROIs, and what draws the membranes that it sees, if there is such a model."""

    finder: _Model
    drawer: _Model | None


def run_project(project: Project, jobs: int = 1, overwrite: bool = False) -> Batch:
    """Bring every tomogram of a project up to date; what was done and what failed, by tomogram.

    Each step skips what is there already, so that an interrupted run goes on where it stopped. The
    record of the run is written as run.json.
    """
    from tomorois.network.checkpoint import load_model

    drawer = _Model(*load_model(project.membrane_model)) if project.membrane_model else None
    models = _Models(_Model(*load_model(project.model)), drawer)
    if drawer and not models.finder.sees_membranes:
        raise InputError(
            f"{project.model}: was trained without membranes; unset membrane_model in the project"
        )
    remove_leftovers(require_writable_folder(project.output))
    use_threads(jobs)
    batch = Batch(Terminal())

    def one(plan: TomogramPlan) -> None:
        out.print(f"{plan.stem}:", markup=False)
        with about(plan.stem):
            _predict(plan, project, models, overwrite)
            _find_rois(plan, project, models.finder, overwrite)
            _measure(plan, project, jobs, overwrite)

    with recorded_run("tomosurf run", project.settings) as record:
        for model in filter(None, (project.model, project.membrane_model)):
            record.add_input(model)
        batch.each(project.plans, one, lambda plan: plan.stem)
    record.failures = dict(batch.failed)
    record.write(project.output / "run.json")
    return batch


def _predict(plan: TomogramPlan, project: Project, models: _Models, overwrite: bool) -> None:
    """The confidence map, and before it the membranes that its model sees, where another model draws them."""
    if plan.drawn and models.drawer:
        _map(plan.drawn, plan, project, models.drawer, None, overwrite)
    beside = (plan.drawn or plan.membranes) if models.finder.sees_membranes else None
    _map(plan.confidence, plan, project, models.finder, beside, overwrite)


def _map(
    target: Path, plan: TomogramPlan, project: Project, model: _Model, beside: Path | None, overwrite: bool
) -> None:
    """Write what a model makes of the tomogram, with the membranes beside it if it sees such."""
    from tomorois.prediction.predict import predict_to_file

    if target.exists() and not overwrite:
        return
    require_writable_folder(target.parent)
    edge = project.settings.voxel_size_nm
    volume = read_volume(plan.tomogram, edge, lazy=True)
    membranes = read_volume(beside, edge, lazy=True) if beside else None
    with progress_bar(target.parent.name) as progress:
        predict_to_file(model.network, model.record, volume, target, progress=progress, membranes=membranes)


def _find_rois(plan: TomogramPlan, project: Project, model: _Model, overwrite: bool) -> None:
    if plan.rois.exists() and not overwrite:
        return
    settings = project.settings.instances.unless_set(model.record.threshold)
    edge = project.settings.voxel_size_nm
    membranes = read_volume(plan.membranes, edge) if settings.split == "contacts" else None
    rois = find_instances(read_volume(plan.confidence, edge), settings, membranes)
    require_writable_folder(plan.rois.parent)
    write_rois(plan.rois.parent, plan.stem, rois, overwrite=True)
    out.print(f"  {len(rois)} ROIs", markup=False)


def _measure(plan: TomogramPlan, project: Project, jobs: int, overwrite: bool) -> None:
    if plan.done()["surfaces"] and not overwrite:
        return
    if len(read_rois(plan.rois)) == 0:
        out.print("  no ROI, so no surface is measured", markup=False)
        return
    request = RunRequest(
        masks=(plan.membranes,),
        folder=plan.surfaces,
        rois=(plan.rois,),
        voxel_size_nm=project.settings.voxel_size_nm,
        jobs=jobs,
        overwrite=overwrite,
    )
    inner = run_masks(request, project.settings.surfora)
    if inner.failed:
        first = next(iter(inner.failed.values()))
        raise InputError(f"{plan.stem}: {len(inner.failed)} surfaces failed, the first: {first}")
