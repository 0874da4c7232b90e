"""A process that makes one step of one tomogram and leaves a word on what came of it; a job is of these."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tomocore.contract import Watcher
from tomocore.machine import end_with_parent, signals_as_interrupts, use_threads

if TYPE_CHECKING:
    from tomosurf.project import Project


def main() -> None:
    """Do the step that the words name: folder of jobs, name of the job, step, threads, parent process.

    Ends with status 0 where the step is done, 1 where it failed, and 130 where it was interrupted.
    """
    folder, name, step, threads, parent = sys.argv[1:]
    end_with_parent(int(parent))
    try:
        with signals_as_interrupts():
            status = make_step(Path(folder), name, step, int(threads))
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def command_of_jobs(folder: Path) -> str:
    """How the lock of a job names its command, as far as all jobs of a folder have it in common."""
    return f"{Path(__file__).name} {folder.resolve()}"


def make_step(path: Path, name: str, step: str, threads: int) -> int:
    """Do a step of the tomogram that a job names, or the training; write the word on it; the status."""
    from tomocore.contract import FAILURES, NoRoomError, about, one_line
    from tomocore.files import write_json
    from tomocore.provenance import recorded_run
    from tomosurf.project import TRAINING
    from tomosurf.steps import StepMaker
    from tomosurf.workflow.gpus import own_gpus
    from tomosurf.workflow.job_folder import JobFolder, StepWord, read_job

    folder = JobFolder(path)
    project, working_folder, overwrite = read_job(folder, name)
    os.chdir(working_folder)
    told = _Told()
    cluster = project.settings.cluster
    gpus = {TRAINING: cluster.training_gpus, "confidence": cluster.prediction_gpus}.get(step, 0)
    with ExitStack() as stack:
        record = stack.enter_context(recorded_run(f"tomosurf {step}"))
        if step != TRAINING:
            stack.enter_context(about(project.plans[0].stem))
        try:
            stack.enter_context(own_gpus(gpus, path))
            if step == TRAINING:
                made = _trained(project, threads, told)
            else:
                use_threads(threads)
                made = StepMaker(project, threads).make(step, project.plans[0], overwrite, told)
            word = StepWord(made=made, said=told.lines)
        except FAILURES as error:
            word = StepWord(
                failure=one_line(error), has_no_room=isinstance(error, NoRoomError), said=told.lines
            )
    write_json(folder.word(name, step), word.model_dump() | {"warnings": record.warnings})
    return 1 if word.failure else 0


def _trained(project: Project, threads: int, watcher: Watcher) -> bool:
    """Train the round that is due, on so many threads; whether there was one."""
    from tomosurf.train_round import train_round
    from tomosurf.training import due_round

    due = due_round(project, retrain=True)
    if due is not None:
        watcher.say(train_round(project, due, threads, watcher))
    return due is not None


class _Told(Watcher):
    """Keeps what a step tells, for the run to tell."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)

    def done(self, name: str, line: str) -> None:
        """Keep what came of the step."""
        if line:
            self.lines.append(line)


if __name__ == "__main__":
    main()
