"""What would make a project's run fail, found before anything runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from surfora.masks.border_doubt import MapsOfConfidence
from surfora.masks.grids import Grid, differences
from surfora.masks.membranes import open_mask
from tomocore.contract import FAILURES, InputError, one_line
from tomocore.roiset import read_rois
from tomocore.volumes.formats import inspect_volume
from tomocore.volumes.header import VolumeHeader
from tomocore.volumes.resampling import resampled_grid
from tomosurf.project import Project, TomogramPlan


def problems_of(project: Project) -> list[str]:
    """Everything that would make `run` fail, a line each; empty where all is well.

    Of the models (missing, no models, trained with other inputs or at another voxel size), of what one is to
    be trained from (no labels, none of a tomogram held out, labels of another shape), and of each
    tomogram that is not excluded: files that cannot be read, voxel sizes that cannot be believed, membranes
    and truth on another grid, membranes that are no mask; and names in the table that no tomogram has.
    """
    problems = list(_model_problems(project))
    if project.trains:
        from tomosurf.training_files import problems_of_training

        problems += problems_of_training(project)
    edges_nm: dict[str, float] = {}
    problems += [f"{project.table}: {name}: no such tomogram; check the name" for name in project.unknown]
    for plan in project.included:
        headers = {path: _header(path, plan, project, problems) for path in (plan.tomogram, plan.membranes)}
        grids = {path: _grid(header, plan) for path, header in headers.items() if header is not None}
        if plan.tomogram in grids:
            edges_nm[plan.stem] = grids[plan.tomogram].voxel_size_nm
        problems += _grid_problems(plan, grids, project)
        if not any(str(plan.membranes) in problem for problem in problems):
            problems += _mask_problems(plan, project)
            problems += _confidence_problems(plan, project)
    problems += _scale_problems(project, edges_nm)
    if project.settings.membrane_confidence and not project.settings.intervals:
        problems.append("membrane_confidence says how wide intervals are; set intervals = true, or unset it")
    return problems


def _model_problems(project: Project) -> Iterator[str]:
    models = [model for model in (project.model, project.membrane_model) if model is not None]
    if project.trains and not project.rounds_trained:
        models.remove(project.model)  # the run trains it
    missing = [model for model in models if not model.is_file()]
    yield from (f"{model}: no such model; train one first" for model in missing)
    if importlib.util.find_spec("torch") is None:
        yield "PyTorch is not installed, which prediction needs: pip install 'tomorois-surfora[rois]'"
        return
    from tomorois.prediction.files import read_predictor

    for model in set(models) - set(missing):
        try:
            predictor = read_predictor(model)
        except InputError as error:
            yield str(error)
            continue
        if model == project.model and project.membrane_model and not predictor.sees_membranes:
            yield f"{model}: was trained without membranes; unset membrane_model in the project"


def _header(path: Path, plan: TomogramPlan, project: Project, problems: list[str]) -> VolumeHeader | None:
    """The header of a volume; what is wrong with it is added to the problems."""
    try:
        header = inspect_volume(path)
    except InputError as error:
        problems.append(str(error))
        return None
    if header.anisotropic and not project.settings.resample:
        problems.append(f"{path}: {header.size_problem}; set resample = true in the project file")
    elif header.size_problem and not header.anisotropic and plan.voxel_size_nm is None:
        problems.append(f"{path}: {header.size_problem}; set voxel_size_nm in the project file")
    return header


def _grid(header: VolumeHeader, plan: TomogramPlan) -> Grid:
    """The grid on which a volume is worked on."""
    given_nm = plan.voxel_size_nm
    z, y, x = header.shape
    if header.anisotropic:
        edge_nm = given_nm or min(header.voxel_size_nm)
        shape, origin_nm, _ = resampled_grid((z, y, x), header.voxel_size_nm, edge_nm, header.origin_nm)
        return Grid(shape, edge_nm, origin_nm)
    return Grid((z, y, x), given_nm or float(np.mean(header.voxel_size_nm)), header.origin_nm)


def _grid_problems(plan: TomogramPlan, grids: dict[Path, Grid], project: Project) -> Iterator[str]:
    """Membranes and truth that do not lie on the tomogram's grid."""
    if plan.truth is not None:
        try:
            rois = read_rois(plan.truth, plan.voxel_size_nm, resample=project.settings.resample)
            grids = {**grids, plan.truth: Grid(rois.shape, rois.voxel_size_nm, rois.origin_nm)}
        except InputError as error:
            yield f"{error} (or unset `truth`)" if not plan.truth.is_file() else str(error)
    own = grids.get(plan.tomogram)
    for path, grid in grids.items():
        others = [what for what in differences(own, grid) if what != "place"] if own else []
        if others:
            yield (
                f"{path}: {grid} differ from the tomogram's {own} in {' and '.join(others)}; "
                "bring both to one binning"
            )


def _mask_problems(plan: TomogramPlan, project: Project) -> Iterator[str]:
    """What `surfora run` would refuse of the membranes' voxels: nothing there, scores, NaN."""
    try:
        open_mask(plan.membranes, None, None, plan.voxel_size_nm, resample=project.settings.resample)
    except FAILURES as error:
        yield one_line(error)


def _confidence_problems(plan: TomogramPlan, project: Project) -> Iterator[str]:
    """A map of confidence that is missing, none, or not of its membranes, where intervals need it."""
    if not project.settings.intervals or plan.membrane_confidence is None:
        return
    settings, mask = project.settings, plan.membranes
    error = settings.surfora.intervals.confidence_error
    maps = {mask: plan.membrane_confidence}
    try:
        MapsOfConfidence(maps, error, plan.voxel_size_nm, settings.resample).require_fit(mask)
    except FAILURES as error_of_map:
        yield one_line(error_of_map)


def _scale_problems(project: Project, edges_nm: dict[str, float]) -> Iterator[str]:
    """Tomograms whose voxels are so far from those trained on that the model cannot mean anything."""
    if not project.model.is_file() or importlib.util.find_spec("torch") is None:
        return
    from tomorois.network.checkpoint import load_model
    from tomorois.prediction.predict import network_ratio

    try:
        record = load_model(project.model)[1]
    except InputError:
        return  # told with the models
    for stem, edge in edges_nm.items():
        try:
            network_ratio(record, edge)
        except InputError as error:
            yield f"{stem}: {error}"
