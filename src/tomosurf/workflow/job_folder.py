"""The folder in which a run and its jobs tell each other what is to be done and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from tomocore.side_files import StoredRow, read_json
from tomosurf.project import Project, ProjectSettings, TomogramPlan


class StepWord(StoredRow):
    """What a step's process says at its end: whether it made something, what failed, the lines it told."""

    made: bool = False
    failure: str = ""
    has_no_room: bool = False
    said: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class JobFolder:
    """The files of that folder."""

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

    def plans_of(self, name: str) -> Path:
        """The plans of the tomograms that jobs of a name work on."""
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


class _StoredProject(StoredRow):
    """The project as it was when the run began, whatever is edited meanwhile."""

    folder: Path
    settings: ProjectSettings
    working_folder: Path
    overwrite: bool


class _StoredPlans(StoredRow):
    """The tomograms that jobs of a name work on."""

    plans: tuple[TomogramPlan, ...]


def read_job(folder: JobFolder, name: str) -> tuple[Project, Path, bool]:
    """The project of the tomograms that a job works on, the working folder, and whether all is made anew."""
    stored: _StoredProject = read_json(folder.path / "project.json", _StoredProject)
    plans = read_json(folder.plans_of(name), _StoredPlans).plans
    stems = tuple(plan.stem for plan in plans)
    project = Project(stored.folder, stored.settings, plans, stems, of_all=plans)
    return project, stored.working_folder, stored.overwrite
