"""The steps to be made as jobs: what each needs, takes and waits for, in a folder that all jobs read."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from tomocore.files import write_json
from tomocore.side_files import StoredRow, read_json
from tomosurf.project import STEPS, Project, ProjectSettings, TomogramPlan
from tomosurf.steps import StepMaker
from tomosurf.workflow.memory import step_memory_bytes
from tomosurf.workflow.settings import ClusterSettings

LOGIN_MB = 1000
"""Least memory of a job: the job's own Snakemake takes some."""


class StepWord(StoredRow):
    """What a step's process says at its end: whether it made something, what failed, the lines it told."""

    made: bool = False
    failure: str = ""
    has_no_room: bool = False
    said: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class TomogramJobs:
    """A tomogram's steps that are to be made, and why each is; ``name`` is that of its jobs."""

    name: str
    plan: TomogramPlan
    reasons: dict[str, str]


@dataclass(frozen=True)
class JobFolder:
    """Where a run and its jobs tell each other what is to be done and what came of it."""

    path: Path

    @property
    def plan(self) -> Path:
        """What Snakemake reads."""
        return self.path / "plan.json"

    @property
    def record(self) -> Path:
        """Where the jobs of a run were sent to, so that a later one can end them."""
        return self.path / "run.json"

    @property
    def log(self) -> Path:
        """What Snakemake says."""
        return self.path / "snakemake.log"

    def word(self, name: str, step: str) -> Path:
        """What the process of a step said at its end."""
        return self.path / "jobs" / f"{name}.{step}.json"

    def tomogram(self, name: str) -> Path:
        """The plan of a tomogram."""
        return self.path / "jobs" / f"{name}.json"

    def word_of(self, name: str, step: str) -> StepWord | None:
        """What the process of a step said, or None where it has not, or was killed while it did."""
        try:
            word: StepWord = read_json(self.word(name, step), StepWord)
        except (OSError, ValueError):
            return None
        return word


def job_folder(project: Project) -> JobFolder:
    """The folder of a project's jobs; it is there while a run goes on, and after one that failed."""
    return JobFolder(project.output / "workflow")


def jobs_of(project: Project, maker: StepMaker, overwrite: bool) -> list[TomogramJobs]:
    """The tomograms of which a step must be made, in the project's order."""
    found = []
    for number, plan in enumerate(project.included, start=1):
        reasons = dict.fromkeys(STEPS, "asked for anew") if overwrite else maker.reasons(plan)
        if reasons:
            found.append(TomogramJobs(f"{number:05d}-{_plain(plan.stem)}", plan, reasons))
    return found


def _plain(stem: str) -> str:
    """What of a name a shell, a file system and Slurm read as it stands."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", stem)[:40]


def write_plan(
    folder: JobFolder,
    project: Project,
    jobs: list[TomogramJobs],
    maker: StepMaker,
    threads: int,
    overwrite: bool,
    slurm: bool,
) -> None:
    """Write what Snakemake and the jobs read: settings as they are now, and each tomogram's ``jobs``.

    Each job takes so many ``threads`` and the memory that ``maker``'s models and the tomogram's size ask for;
    with ``slurm`` resources are those of the ``project``'s [cluster]. ``overwrite`` is handed on to the
    steps in ``folder``.
    """
    (folder.path / "jobs").mkdir(parents=True, exist_ok=True)
    settings = project.settings
    told: dict[str, dict[str, Any]] = {}
    targets = []
    for one in jobs:
        write_json(folder.tomogram(one.name), asdict(one.plan))
        told[one.name] = {}
        before = ""
        for step in one.reasons:
            finder = maker.finder if step == "confidence" else None
            need = step_memory_bytes(step, one.plan, settings, finder) * settings.cluster.memory_factor
            told[one.name][step] = {
                "needs": [before] if before else [],
                "threads": threads,
                "mem_mb": max(LOGIN_MB, round(need / 1e6)),
                "minutes": settings.cluster.minutes,
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
    prediction, measures = _resources(settings.cluster, slurm)
    plan = {"jobs": told, "targets": targets, "python": step_python(), "folder": str(folder.path.resolve())}
    write_json(folder.plan, plan | {"prediction": prediction, "measures": measures})


def step_python() -> str:
    """The Python that steps run in: this one, which every node of a cluster must see."""
    return sys.executable


def _resources(cluster: ClusterSettings, slurm: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the jobs of predictions and of measures ask for beside memory and time."""
    gpu = {"gpu": cluster.prediction_gpus} if cluster.prediction_gpus else {}
    if not slurm:
        return gpu, {}
    common: dict[str, Any] = {"slurm_extra": cluster.options} if cluster.options else {}
    common |= {"slurm_account": cluster.account} if cluster.account else {}
    measures = common | ({"slurm_partition": cluster.partition} if cluster.partition else {})
    partition = cluster.gpu_partition if cluster.prediction_gpus else ""
    return measures | gpu | ({"slurm_partition": partition} if partition else {}), measures


class _StoredProject(StoredRow):
    """The project as it was when the run began, whatever is edited meanwhile."""

    folder: Path
    settings: ProjectSettings
    working_folder: Path
    overwrite: bool


def read_job(folder: JobFolder, name: str) -> tuple[Project, Path, bool]:
    """The project of one tomogram that a job works on, the working folder, and whether all is made anew."""
    stored: _StoredProject = read_json(folder.path / "project.json", _StoredProject)
    plan: TomogramPlan = read_json(folder.tomogram(name), TomogramPlan)
    project = Project(stored.folder, stored.settings, (plan,), (plan.stem,))
    return project, stored.working_folder, stored.overwrite
