"""What a run asks Slurm beside Snakemake: which jobs of it there are, how states are known; to end jobs."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tomocore.contract import InputError
from tomocore.files import write_text

ENDS_S = 120.0
"""Seconds within which jobs that were cancelled must have left the queue."""
QUIET_POLLS = 2
"""So many times in a row no job must be seen: one that was just being submitted comes late."""


def job_prefix(results: Path) -> str:
    """How the names of all jobs begin that work on a folder of results."""
    return f"tomosurf-{hashlib.sha256(str(results.resolve()).encode()).hexdigest()[:10]}"


def require_slurm() -> None:
    """InputError where this machine has no Slurm, or it does not answer."""
    if shutil.which("sbatch") is None:
        raise InputError(
            "--slurm: this machine has no sbatch; log in where jobs are submitted, or leave it out"
        )
    _asked("squeue", "--me", "--noheader", "--format=%A")


@dataclass(frozen=True)
class QueuedJob:
    """A job in the queue: its number, its state, and why it waits, both as Slurm says it."""

    number: str
    state: str
    reason: str


def jobs_in_queue(prefix: str) -> list[QueuedJob]:
    """The jobs that wait, run or are ending, whose names begin so."""
    lines = _asked("squeue", "--me", "--noheader", "--format=%A|%j|%T|%r").splitlines()
    found = [line.split("|", 3) for line in lines if line.count("|") >= 3]
    return [QueuedJob(number, state, why) for number, name, state, why in found if name.startswith(prefix)]


def end_jobs(prefix: str) -> int:
    """Cancel all jobs whose names begin so, and wait until none is left; how many there were.

    Raises InputError where they do not end, or Slurm does not answer.
    """
    ended: set[str] = set()
    quiet, until = 0, time.monotonic() + ENDS_S
    while quiet < QUIET_POLLS:
        jobs = [job.number for job in jobs_in_queue(prefix)]
        quiet = 0 if jobs else quiet + 1
        if jobs:
            if time.monotonic() > until:
                raise InputError(
                    f"Slurm does not end the jobs {', '.join(jobs)}; run again when they are gone"
                )
            ended.update(jobs)
            _asked("scancel", *jobs)
        time.sleep(0.5)
    return len(ended)


def refusal(log: str) -> str:
    """What Slurm said where it did not take a job, as Snakemake's ``log`` has it; empty where it took all."""
    found = re.search(r"sbatch failed\. The error message was '(?:sbatch: error: )?([^'\n]*)", log)
    return found[1] if found else ""


def status_command() -> str:
    """The command that tells what became of a job: sacct, where the cluster keeps accounts, else squeue."""
    try:
        _asked("sacct", "--noheader", "--allocations", "--format=JobID", "--starttime=now")
    except InputError:
        return "squeue"
    return "sacct"


def write_srun_shim(folder: Path, configuration: str) -> Path:
    """A folder with an ``srun`` that knows where Slurm's configuration lies; its path.

    Snakemake's job step takes all variables of Slurm from its environment, ``SLURM_CONF`` too, without which
    srun finds no cluster where that file has no usual place.
    """
    srun = shutil.which("srun") or "srun"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "srun", f"#!/bin/sh\nSLURM_CONF='{configuration}' exec '{srun}' \"$@\"\n")
    (folder / "srun").chmod(0o755)
    return folder


def _asked(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"Slurm does not answer ({words[0]}: {error}); try again when it does") from error
    if done.returncode != 0 and "Invalid job id" not in done.stderr:
        said = " ".join(done.stderr.split())[:200] or f"status {done.returncode}"
        raise InputError(f"Slurm does not answer ({words[0]}: {said}); try again when it does")
    return done.stdout
