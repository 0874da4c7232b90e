"""The steps to be made as jobs: what each needs, takes and waits for, in a folder that all jobs read."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tomocore.contract import FAILURES, Batch
from tomocore.files import write_json
from tomosurf.cluster_settings import ClusterSettings
from tomosurf.project import STEPS, TRAINING, Project, ProjectSettings, TomogramPlan
from tomosurf.steps import OfTomogram, StepMaker
from tomosurf.workflow.job_folder import JobFolder
from tomosurf.workflow.memory import step_memory_bytes, training_memory_bytes

LOGIN_MB = 1000
"""Least memory of a job: the job's own Snakemake takes some."""


@dataclass(frozen=True)
class PlannedJobs:
    """Steps that are to be made one after the other, why each is, and bytes of memory that each takes.

    ``name`` is that of the jobs. They are those of a tomogram, or the training, whose ``plans`` are those of
    all tomograms; ``title`` is what they are called where something is told of them.
    """

    name: str
    title: str
    plans: tuple[TomogramPlan, ...]
    reasons: dict[str, str]
    memory_bytes: dict[str, float]


def training_jobs(project: Project, reason: str) -> PlannedJobs:
    """The job of a training, which sees all tomograms of the project, whatever is asked for.

    Raises InputError where a tomogram cannot be read.
    """
    need = training_memory_bytes(project)
    return PlannedJobs(
        f"00000-{TRAINING}",
        TRAINING,
        project.of_all,
        {TRAINING: reason},
        {TRAINING: need * project.settings.cluster.memory_factor},
    )


def jobs_of(project: Project, maker: StepMaker, overwrite: bool, batch: Batch) -> list[PlannedJobs]:
    """The jobs of all tomograms of which a step must be made, in the project's order.

    Results without records are kept by ``maker`` where nothing speaks against them, but not to ``overwrite``.
    Tomograms of which nothing must be made are skipped in ``batch``, and those fail whose files cannot be
    read, as they do in a run without jobs.
    """
    found = []

    def plan_jobs(numbered: tuple[int, TomogramPlan]) -> None:
        number, plan = numbered
        if not overwrite:
            maker.adopt_all(plan, OfTomogram(batch.watcher, plan.stem))
        reasons = dict.fromkeys(STEPS, "asked for anew") if overwrite else maker.reasons(plan)
        if not reasons:
            batch.skip(plan.stem, "nothing it is made from has changed")
            return
        factor = project.settings.cluster.memory_factor
        needs = {step: factor * step_memory_bytes(step, plan, project.settings, maker) for step in reasons}
        found.append(PlannedJobs(f"{number:05d}-{_plain(plan.stem)}", plan.stem, (plan,), reasons, needs))

    for numbered in enumerate(project.included, start=1):
        try:
            plan_jobs(numbered)
        except FAILURES as error:
            batch.fail(numbered[1].stem, error)
    return found


def _plain(stem: str) -> str:
    """What of a name a shell, a file system and Slurm read as it stands."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", stem)[:40]


def write_plan(
    folder: JobFolder,
    project: Project,
    jobs: list[PlannedJobs],
    threads: int,
    overwrite: bool,
    slurm: bool,
) -> None:
    """Write what Snakemake and the jobs read: settings as they are now, and the ``jobs`` by their names.

    Each job takes so many ``threads``; with ``slurm`` resources are those of the ``project``'s [cluster].
    ``overwrite`` is handed on to the steps in ``folder``.
    """
    (folder.path / "jobs").mkdir(parents=True, exist_ok=True)
    settings = project.settings
    told: dict[str, dict[str, Any]] = {}
    targets = []
    for one in jobs:
        write_json(folder.plans_of(one.name), {"plans": [asdict(plan) for plan in one.plans]})
        told[one.name] = {}
        before = ""
        for step in one.reasons:
            told[one.name][step] = {
                "needs": [before] if before else [],
                "threads": threads,
                "mem_mb": max(LOGIN_MB, round(one.memory_bytes[step] / 1e6)),
                "minutes": _minutes(step, settings),
            }
            before = f"jobs/{one.name}.{step}"
        targets.append(before)
    write_json(
        folder.path / "project.json",
        {
            "folder": str(project.folder),
            "settings": settings.model_dump(mode="json"),
            "working_folder": str(Path.cwd()),
            "overwrite": overwrite,
        },
    )
    gpus = settings.cluster.training_gpus, settings.cluster.prediction_gpus, 0
    kinds = zip((TRAINING, "prediction", "measures"), gpus, strict=True)
    resources = {kind: _resources(settings.cluster, count, slurm) for kind, count in kinds}
    plan = {"jobs": told, "targets": targets, "python": step_python(), "folder": str(folder.path.resolve())}
    write_json(folder.plan, plan | resources)


def _minutes(step: str, settings: ProjectSettings) -> int:
    """After how many minutes Slurm ends the job of a step; a training has twice those that it is given."""
    if step != TRAINING or settings.train.steps is not None:
        return settings.cluster.minutes
    return max(settings.cluster.minutes, round(2 * settings.train.minutes) + 10)


def step_python() -> str:
    """The Python that steps run in: this one, which every node of a cluster must see."""
    return sys.executable


def _resources(cluster: ClusterSettings, gpus: int, slurm: bool) -> dict[str, Any]:
    """What jobs with so many GPUs ask for beside memory and time."""
    gpu = {"gpu": gpus} if gpus else {}
    if not slurm:
        return gpu
    partition = (gpus and cluster.gpu_partition) or cluster.partition
    told = {"slurm_extra": cluster.options, "slurm_account": cluster.account, "slurm_partition": partition}
    return {name: value for name, value in told.items() if value} | gpu
