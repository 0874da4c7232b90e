"""The loop of annotating, training and judging over a project's tomograms, for the window of TomoROIS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tomocore.contract import InputError
from tomosurf.project import Project
from tomosurf.report_record import REPORT

if TYPE_CHECKING:
    from tomorois.loop.plan import LoopPlan
    from tomorois.loop.state import LoopState


def loop_of_project(project: Project) -> LoopState:
    """The loop of `plan_of_project`, open."""
    from tomorois.loop.state import loop_of_plan

    return loop_of_plan(plan_of_project(project))


def plan_of_project(project: Project) -> LoopPlan:
    """The loop over the tomograms that a project's table does not exclude, in its folder of annotations.

    Membranes, voxel size and the settings of training (where the project trains), predicting and instances
    are the project's; ROIs and what is judged of them lie where `tomosurf run` leaves and looks for them.
    Raises InputError where no tomogram is left, or tomograms have voxel sizes of their own in the table.
    """
    from tomorois.loop.plan import LoopPlan

    plans, settings = project.included, project.settings
    edges = {plan.voxel_size_nm for plan in plans}
    if not plans:
        raise InputError(f"{project.table}: all tomograms are excluded; give at least one of them back")
    if len(edges) > 1:
        raise InputError(
            f"{project.table}: tomograms have several voxel sizes, and a window has one; "
            "open those of one size, with --only"
        )
    return LoopPlan(
        tomograms=[plan.tomogram for plan in plans],
        folder=project.annotations,
        rois=plans[0].rois.parent,
        membranes={plan.tomogram: plan.membranes for plan in plans if plan.membranes.exists()},
        report=project.report_folder / REPORT,
        voxel_size_nm=edges.pop(),
        train=settings.train if project.trains else None,
        predict=settings.predict,
        instances=settings.instances,
    )
