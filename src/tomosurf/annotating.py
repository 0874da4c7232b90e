"""The loop of annotating, training and judging over a project's tomograms, for the window of TomoROIS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tomocore.contract import InputError
from tomosurf.project import Project

if TYPE_CHECKING:
    from tomorois.loop.state import LoopState


def loop_of_project(project: Project) -> LoopState:
    """The loop over the tomograms that a project's table does not exclude, in its folder of annotations.

    Membranes, voxel size and the settings of training (where the project trains), predicting and instances
    are the project's; ROIs and what is judged of them lie where `tomosurf run` leaves and looks for them.
    Raises InputError where no tomogram is left, or tomograms have voxel sizes of their own in the table.
    """
    from tomorois.loop.state import LoopState

    plans = project.included
    edges = {plan.voxel_size_nm for plan in plans}
    if not plans:
        raise InputError(f"{project.table}: all tomograms are excluded; give at least one of them back")
    if len(edges) > 1:
        raise InputError(
            f"{project.table}: tomograms have several voxel sizes, and a window has one; "
            "open those of one size, with --only"
        )
    settings = project.settings
    loop = LoopState(
        [plan.tomogram for plan in plans],
        project.annotations,
        edges.pop(),
        train=settings.train if project.trains else None,
        predict=settings.predict,
        instances=settings.instances,
        rois=plans[0].rois.parent,
    )
    loop.membranes = {plan.tomogram: plan.membranes for plan in plans if plan.membranes.exists()}
    return loop
