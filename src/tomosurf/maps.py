"""What models make of a tomogram: its confidence map, and membranes that the network of another one sees.

Training and prediction ask for the same membranes, whichever comes first: they are drawn where their own
record does not say that the same model drew them in the same tomogram.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomocore.contract import Watcher, is_filled
from tomorois.prediction.files import Predictor, PredictRequest, predict_files
from tomosurf.project import Project, TomogramPlan
from tomosurf.step_records import (
    DRAWN,
    NOT_IN_THE_RESULT,
    StepBasis,
    changes_since,
    read_step_record,
    reason_to_make,
    write_step_record,
)

VERSION = 1
"""Raised by one where membranes are drawn otherwise than before from the same inputs and settings."""


def predict_map(
    project: Project,
    target: Path,
    plan: TomogramPlan,
    model: Predictor,
    beside: Sequence[Path],
    overwrite: bool,
    watcher: Watcher,
) -> None:
    """Write to ``target`` what a ``model`` makes of a ``plan``'s tomogram, beside membranes if it sees such.

    ``target`` is the plan's confidence map or its drawn membranes; ``beside`` are files of membranes. Raises
    InputError where it fails.
    """
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
    predict_files(model, request, project.settings.predict, watcher).require_done()


def draw_membranes(project: Project, plan: TomogramPlan, drawer: Predictor, watcher: Watcher) -> None:
    """Draw the membranes of a ``plan``'s tomogram by the model ``drawer``, unless that was done already."""
    assert plan.drawn is not None
    settings = project.settings
    told = {
        "predict": settings.predict.model_dump(exclude=NOT_IN_THE_RESULT),
        "voxel_size_nm": plan.voxel_size_nm,
        "resample": settings.resample,
    }
    inputs = {"tomogram": plan.tomogram, "membrane model": drawer.path}
    path, basis = plan.record_of(DRAWN), StepBasis(VERSION, told, inputs, project.output)
    record = read_step_record(path)
    if not reason_to_make(record, basis):
        return
    goes_on = record is not None and record.state == "begun" and not changes_since(record, basis)
    replaces = record.replaces if record is not None and goes_on else is_filled(plan.drawn)
    begun = basis.begun(replaces)
    write_step_record(path, begun)
    predict_map(project, plan.drawn, plan, drawer, (), replaces, watcher)
    outputs = [plan.drawn.relative_to(project.output).as_posix()]
    write_step_record(path, begun.model_copy(update={"state": "done", "outputs": outputs, "replaces": False}))
