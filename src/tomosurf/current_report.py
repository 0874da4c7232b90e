"""The report of a project as it is now: not drawn again where it is made of what is there."""

from __future__ import annotations

from pathlib import Path

from tomocore.contract import NOBODY, Watcher
from tomosurf.project import Project
from tomosurf.report_record import REPORT, report_basis, report_record
from tomosurf.step_records import read_step_record, reason_to_make, refreshed, write_step_record


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
