"""Runs a project's steps as jobs, side by side here or on a cluster, and watches over Snakemake."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomocore.contract import NOBODY, Batch, InputError, NoRoomError, Watcher
from tomocore.files import unwritable, write_json
from tomocore.machine import available_memory_bytes
from tomocore.provenance import recorded_run
from tomosurf.cluster_settings import ClusterSettings
from tomosurf.project import Project
from tomosurf.run_record import write_run_record
from tomosurf.steps import OfTomogram, StepMaker
from tomosurf.training import DueRound, model_is_ready
from tomosurf.workflow import slurm
from tomosurf.workflow.gpus import require_gpus, visible_gpus
from tomosurf.workflow.job_folder import JobFolder, StepWord, job_folder
from tomosurf.workflow.jobs import PlannedJobs, jobs_of, training_jobs, write_plan
from tomosurf.workflow.sole_run import one_project_run

LOOK_S = 0.5
QUEUE_LOOK_S = 30.0
ENDS_S = 20.0
BEGUN = {True: "has been submitted with SLURM jobid", False: "Error in rule"}
"""By whether it is on Slurm, what Snakemake says once a job began that then left no word."""
SEE_CLUSTER = "see [cluster] in the project file"
FULL_BYTES = 1_000_000
"""Where less is free a job that left no word most likely could not write it."""


@dataclass(frozen=True)
class WorkflowRequest:
    """How a project is run as jobs: on so many CPU ``cores`` of this machine, or by ``slurm``."""

    cores: int = 1
    slurm: bool = False
    overwrite: bool = False
    retrain: bool = False


def run_workflow(project: Project, request: WorkflowRequest, watcher: Watcher = NOBODY) -> Batch:
    """Bring every tomogram of a project up to date by jobs; what was done and what failed, by tomogram.

    A training that is due is a job of its own, before all others are planned. The same files come of it as
    of `tomosurf.run.run_project`. Raises InputError where Snakemake or Slurm is not there, another run has
    the project, or nothing goes on any more; NoRoomError where the disk is full.
    """
    _require_snakemake(request.slurm)
    batch = Batch(watcher)
    with one_project_run(project, watcher), recorded_run("tomosurf run", project.settings) as record:

        def train(due: DueRound) -> None:
            jobs = [training_jobs(project, due.reason)]
            record.warnings += _run_jobs(project, jobs, request, batch)

        if model_is_ready(project, batch, request.retrain, train):
            for plan in project.plans:
                if plan.row.excluded:
                    batch.skip(plan.stem, f"left out: {plan.row.excluded}")
            jobs = jobs_of(project, StepMaker(project), request.overwrite, batch)
            if jobs:
                record.warnings += _run_jobs(project, jobs, request, batch)
        write_run_record(project, record, batch)
    return batch


def _require_snakemake(on_slurm: bool) -> None:
    needed = ["snakemake", "psutil", *(["snakemake_executor_plugin_slurm"] if on_slurm else [])]
    if any(importlib.util.find_spec(name) is None for name in needed):
        raise InputError("Snakemake is not installed: pip install 'tomorois-surfora[workflow]'")
    if on_slurm:
        slurm.require_slurm()


def _run_jobs(project: Project, jobs: list[PlannedJobs], request: WorkflowRequest, batch: Batch) -> list[str]:
    """Run all jobs to their end, told in ``batch``; the warnings of steps that failed."""
    if not request.slurm:
        require_gpus({step for one in jobs for step in one.reasons}, project.settings.cluster)
    folder = job_folder(project)
    shutil.rmtree(folder.path, ignore_errors=True)
    threads = _threads(request, project.settings.cluster, len(jobs))
    write_plan(folder, project, jobs, threads, request.overwrite, request.slurm)
    prefix = slurm.job_prefix(project.output) if request.slurm else ""
    write_json(folder.record, {"slurm": prefix})
    teller = _Teller(folder, jobs, batch.watcher)
    words = _words(folder, request, project.settings.cluster, prefix)
    with folder.log.open("wb") as log:
        engine = subprocess.Popen(
            [sys.executable, "-m", "tomosurf.workflow.snakemake_process", str(os.getpid()), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(folder, request),
            process_group=0,  # an interrupt from the keyboard comes to the run alone, which ends the others
        )
        with ExitStack() as ending:  # all of it, also where an interrupt comes in the midst
            ending.callback(shutil.rmtree, folder.path / ".snakemake", ignore_errors=True)
            if prefix:
                ending.callback(slurm.end_jobs, prefix)
            ending.callback(end_tree, engine)
            _watch(engine, teller, project, prefix)
    teller.look()
    _require_begun(folder, engine.returncode, teller, project, request.slurm)
    warnings = _told_in(batch, folder, jobs, teller.words)
    if not batch.failed:
        shutil.rmtree(folder.path, ignore_errors=True)
    return warnings


def _threads(request: WorkflowRequest, cluster: ClusterSettings, jobs: int) -> int:
    """Threads of a job: here few where many tomograms wait, since they run best side by side."""
    return cluster.threads if request.slurm else max(1, request.cores // max(1, jobs))


def _words(folder: JobFolder, request: WorkflowRequest, cluster: ClusterSettings, prefix: str) -> list[str]:
    """The words of Snakemake's command line."""
    words = ["--snakefile", str(Path(__file__).with_name("Snakefile")), "--directory", str(folder.path)]
    words += ["--nolock", "--ignore-incomplete", "--drop-metadata", "--rerun-triggers", "mtime"]
    words += ["--keep-going", "--scheduler", "greedy", "--nocolor", "--quiet", "progress"]
    if not request.slurm:
        resources = [f"mem_mb={round(available_memory_bytes() / 1e6)}"]
        gpus = max(cluster.prediction_gpus, cluster.training_gpus)
        resources += [f"gpu={len(visible_gpus())}"] if gpus else []
        return [*words, "--cores", str(request.cores), "--resources", *resources]
    words += ["--executor", "slurm", "--jobs", str(cluster.most_jobs), "--latency-wait", "60"]
    words += ["--seconds-between-status-checks", str(cluster.poll_seconds), "--slurm-no-requeue"]
    words += ["--slurm-init-seconds-before-status-checks", str(cluster.poll_seconds)]
    words += ["--slurm-status-command", slurm.status_command(), "--slurm-jobname-prefix", prefix]
    words += ["--slurm-logdir", str(folder.path.resolve() / "slurm"), "--slurm-keep-successful-logs"]
    return words + ([] if cluster.account else ["--slurm-no-account"])


def _environment(folder: JobFolder, request: WorkflowRequest) -> dict[str, str]:
    """This process's, with an srun that finds a cluster whose configuration has no usual place."""
    environment = dict(os.environ)
    if request.slurm and "SLURM_CONF" in environment:
        shim = slurm.write_srun_shim(folder.path.resolve() / "bin", environment["SLURM_CONF"])
        environment["PATH"] = f"{shim}{os.pathsep}{environment.get('PATH', '')}"
    return environment


class _Teller:
    """Hears the words of steps as they come, tells them, and knows when the last one came."""

    def __init__(self, folder: JobFolder, jobs: list[PlannedJobs], watcher: Watcher) -> None:
        self.folder, self.watcher = folder, watcher
        self.left = {
            (one.name, step): (one.title, reason) for one in jobs for step, reason in one.reasons.items()
        }
        self.total = len(self.left)
        self.words: dict[tuple[str, str], StepWord] = {}
        self.changed = time.monotonic()
        self.waits_for = ""

    def look(self) -> None:
        """Take in the words that have come. Raises NoRoomError where one says that the disk is full."""
        there = {path.name for path in os.scandir(self.folder.path / "jobs")}
        for name, step in [key for key in self.left if f"{key[0]}.{key[1]}.json" in there]:
            word = self.folder.word_of(name, step)
            if word is None:
                continue
            stem, reason = self.left.pop((name, step))
            self.words[name, step] = word
            self.changed = time.monotonic()
            told = OfTomogram(self.watcher, f"{stem}, {step} ({reason})")
            for line in word.said:
                told.say(line)
            if word.has_no_room:
                raise NoRoomError(word.failure)


def _watch(engine: subprocess.Popen[bytes], teller: _Teller, project: Project, prefix: str) -> None:
    """Wait for Snakemake's end. InputError where for long no job is there, neither at work nor waiting."""
    limit_s = 60 * project.settings.cluster.stall_minutes
    looked = 0.0
    with teller.watcher.progress("steps") as progress:
        while engine.poll() is None:
            time.sleep(LOOK_S)
            teller.look()
            progress(len(teller.words), teller.total)
            now = time.monotonic()
            if now - looked > min(QUEUE_LOOK_S, limit_s / 2):
                looked = now
                if _is_at_work(engine, teller, prefix):
                    teller.changed = now
                elif now - teller.changed > limit_s:
                    raise InputError(
                        f"{project.output}: no job for {limit_s / 60:g} minutes, and "
                        f"{len(teller.left)} steps are left; see {teller.folder.log}, then run again"
                    )


def _is_at_work(engine: subprocess.Popen[bytes], teller: _Teller, prefix: str) -> bool:
    """Whether there is a job, waiting or at work; what those in a queue wait for is told when it changes."""
    if not prefix:
        return bool(processes_below(engine.pid))
    queue = slurm.jobs_in_queue(prefix)
    reasons = {job.reason for job in queue if job.state == "PENDING"}
    waits_for = "" if any(job.state != "PENDING" for job in queue) else ", ".join(sorted(reasons))
    if waits_for and waits_for != teller.waits_for:
        teller.watcher.say(f"{len(queue)} jobs wait in Slurm's queue: {waits_for}")
    teller.waits_for = waits_for
    return bool(queue)


def processes_below(pid: int) -> list[Any]:
    """The processes that a process has begun, and theirs."""
    import psutil

    with suppress(psutil.Error):
        return list(psutil.Process(pid).children(recursive=True))
    return []


def end_tree(engine: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has begun, at once: what is half-written is never taken for whole."""
    import psutil

    below = processes_below(engine.pid)
    if engine.poll() is None:
        engine.kill()
    engine.wait()
    for process in below:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(below, timeout=ENDS_S)


def _require_begun(
    folder: JobFolder, status: int | None, teller: _Teller, project: Project, on_slurm: bool
) -> None:
    """InputError where Snakemake ended before any job began; NoRoomError where that is for want of room.

    Where all jobs were lost, as with their node, there is no word of any either: that is told of each.
    """
    if not teller.left:
        return
    if shutil.disk_usage(project.output).free < FULL_BYTES:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise unwritable(project.output / "results", error)
    text = folder.log.read_text(errors="replace")
    if not teller.words and slurm.refusal(text):
        raise InputError(f"Slurm takes no job: {slurm.refusal(text)}; {SEE_CLUSTER}, and {folder.log}")
    if not teller.words and BEGUN[on_slurm] not in text:
        if on_slurm and "Error in group" in text:  # of which Snakemake does not say why
            raise InputError(f"Slurm takes no job; {SEE_CLUSTER}, and {folder.log}")
        lines = [line for line in text.splitlines() if line.strip()]
        last = next((line.strip() for line in reversed(lines) if "rror" in line), (lines or ["nothing"])[-1])
        raise InputError(
            f"Snakemake ended with status {status} before any step did: {last}; see {folder.log}"
        )


def _told_in(
    batch: Batch, folder: JobFolder, jobs: list[PlannedJobs], words: dict[tuple[str, str], StepWord]
) -> list[str]:
    """Tell in ``batch`` what became of each tomogram; the warnings of steps that failed."""
    warnings: list[str] = []
    for one in jobs:
        found = {step: words.get((one.name, step)) for step in one.reasons}
        failed = next((word for word in found.values() if word is not None and word.failure), None)
        silent = next((step for step, word in found.items() if word is None), "")
        if failed is not None:
            warnings += failed.warnings
            batch.fail(one.title, InputError(failed.failure))
        elif silent:
            batch.fail(one.title, InputError(f"{one.title}: {_why_silent(silent, folder)}, then run again"))
        elif any(word is not None and word.made for word in found.values()):
            batch.finish(one.title)
        else:
            batch.skip(one.title, "nothing it is made from has changed")
    return warnings


def _why_silent(step: str, folder: JobFolder) -> str:
    """What most likely became of the job of a step that left no word."""
    refused = slurm.refusal(folder.log.read_text(errors="replace"))
    if refused:
        return f"Slurm did not take the job of {step}: {refused}; {SEE_CLUSTER}, and {folder.log}"
    return (
        f"the job of {step} ended without a word, so it was killed, by want of memory or time, or with its "
        f"node; see {folder.log}"
    )
