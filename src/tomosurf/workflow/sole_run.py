"""One run of a project at a time, in one process or by jobs, once what earlier ones left is cleared away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tomocore.contract import NOBODY, InputError, Watcher
from tomocore.locks import clear_of_dead, one_run
from tomocore.side_files import read_json
from tomosurf.project import Project
from tomosurf.workflow.job_folder import job_folder
from tomosurf.workflow.job_process import command_of_jobs
from tomosurf.workflow.slurm import end_jobs

STEP_FOLDERS = ("models", "training", "drawn", "confidence", "rois", "steps", "workflow")
"""Folders of results that steps write into."""


@contextmanager
def one_project_run(project: Project, watcher: Watcher = NOBODY) -> Iterator[None]:
    """Hold a project's results for this run alone, once nothing of an earlier one works on them any more.

    Jobs that an earlier run left on a cluster are cancelled, and the folder that its jobs shared goes;
    before and after, so are locks and half-written files of processes that are no more. Raises InputError
    where another run has the project, or such jobs do not end.
    """
    with one_run(project.output):
        _end_earlier_jobs(project, watcher)
        try:
            yield
        finally:
            _clear_of_dead(project)


def _end_earlier_jobs(project: Project, watcher: Watcher) -> None:
    folder = job_folder(project)
    if not folder.path.is_dir():
        return
    try:
        prefix = str(read_json(folder.record, dict[str, Any]).get("slurm", ""))
    except (OSError, InputError):
        prefix = ""  # it was killed before it began a job
    if prefix:
        ended = end_jobs(prefix)
        if ended:
            watcher.say(f"cancelled {ended} jobs of an earlier run that was broken off")
    _clear_of_dead(project)
    shutil.rmtree(folder.path, ignore_errors=True)  # also where nothing is left to do, and so no job begins


def _clear_of_dead(project: Project) -> None:
    """Take away what steps that were killed left: their locks, and what they had half-written."""
    output = project.output
    gone = command_of_jobs(job_folder(project).path)
    for folder in (*(output / name for name in STEP_FOLDERS), *(output / "surfaces").glob("*")):
        if folder.is_dir():
            clear_of_dead(folder, gone)
