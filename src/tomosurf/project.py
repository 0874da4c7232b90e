"""A project: many tomograms, one model, the membranes beside them, and one settings file for all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from surfora.pipeline import SurforaSettings
from tomocore.contract import InputError, is_filled
from tomocore.files import write_text
from tomocore.names import matched, product_files, require_own_names, tomogram_files, volume_stem
from tomocore.settings import Settings, load_settings, settings_template
from tomorois.evaluation.scores import EvaluateSettings
from tomorois.instances.find import InstanceSettings
from tomorois.prediction.settings import PredictSettings

PROJECT_FILE = "project.toml"

STEPS = ("confidence", "rois", "surfaces")


class ProjectSettings(Settings):
    """A project of tomograms; paths are relative to the project file."""

    tomograms: tuple[str, ...] = Field(("tomograms",), description="Tomograms, or folders of them.")
    membranes: str = Field(
        "membranes", description="Folder of <tomogram>__membranes volumes (masks or labels)."
    )
    truth: str | None = Field(
        None, description="Folder of <tomogram>__truth.npz, where the true ROIs are known."
    )
    model: str = Field("model.safetensors", description="Model of `tomorois train`, which finds the ROIs.")
    membrane_model: str | None = Field(
        None, description="Model that draws membranes for the first one to see, else it sees those given."
    )
    output: str = Field("results", description="Folder that everything is written to.")
    voxel_size_nm: float | None = Field(None, gt=0, description="Voxel edge (nm), whatever the headers say.")
    resample: bool = Field(
        False, description="Bring volumes of unequal voxel edges to one edge first, the smallest."
    )
    predict: PredictSettings = PredictSettings()
    instances: InstanceSettings = InstanceSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    surfora: SurforaSettings = SurforaSettings()


@dataclass(frozen=True)
class TomogramPlan:
    """The files of one tomogram in a project, those that are there and those to be made."""

    stem: str
    tomogram: Path
    membranes: Path
    truth: Path | None
    drawn: Path | None
    confidence: Path
    rois: Path
    surfaces: Path

    def done(self) -> dict[str, bool]:
        """Which of the steps have their result."""
        results = {
            "confidence": self.confidence,
            "rois": self.rois,
            "surfaces": self.surfaces / "report.html",
        }
        return {step: is_filled(results[step]) for step in STEPS}


@dataclass(frozen=True)
class Project:
    """A project's settings and the plan of each of its tomograms."""

    folder: Path
    settings: ProjectSettings
    plans: tuple[TomogramPlan, ...]

    @property
    def model(self) -> Path:
        """The model file."""
        return self.folder / self.settings.model

    @property
    def membrane_model(self) -> Path | None:
        """The file of the model that draws membranes, if there is one."""
        return self.folder / self.settings.membrane_model if self.settings.membrane_model else None

    @property
    def output(self) -> Path:
        """The folder of all results."""
        return self.folder / self.settings.output


def new_project(folder: Path) -> Path:
    """Write a project file with every setting and its meaning; its path. InputError where one exists."""
    path = folder / PROJECT_FILE
    if path.exists():
        raise InputError(f"{path}: exists already; edit it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, settings_template(ProjectSettings))
    return path


def read_project(path: Path) -> Project:
    """The project in a file, or in a folder's project.toml; InputError with all that is wrong in it."""
    path = path / PROJECT_FILE if path.is_dir() else path
    settings = load_settings(ProjectSettings, path)
    folder = path.parent
    tomograms = tomogram_files([folder / name for name in settings.tomograms])
    require_own_names(tomograms, volume_stem)
    membranes = _matched_in(folder / settings.membranes, tomograms, "membranes", "membranes")
    truth = _matched_in(folder / settings.truth, tomograms, "truth.npz", "truth") if settings.truth else None
    plans = tuple(_plan(tomogram, folder, settings, membranes, truth) for tomogram in tomograms)
    return Project(folder, settings, plans)


def _plan(
    tomogram: Path,
    folder: Path,
    settings: ProjectSettings,
    membranes: Mapping[Path, Path],
    truth: Mapping[Path, Path] | None,
) -> TomogramPlan:
    stem = volume_stem(tomogram)
    output = folder / settings.output
    expected = folder / settings.membranes / f"{stem}__membranes.mrc"
    return TomogramPlan(
        stem=stem,
        tomogram=tomogram,
        membranes=membranes.get(tomogram, expected),
        truth=None if truth is None else truth.get(tomogram, folder / f"{settings.truth}/{stem}__truth.npz"),
        drawn=output / "drawn" / f"{stem}__membranes.mrc" if settings.membrane_model else None,
        confidence=output / "confidence" / f"{stem}__confidence.mrc",
        rois=output / "rois" / f"{stem}__rois.npz",
        surfaces=output / "surfaces" / stem,
    )


def _matched_in(folder: Path, tomograms: Sequence[Path], kind: str, what: str) -> dict[Path, Path]:
    """The files of a folder by the tomogram they belong to; none where there is no such folder or file."""
    try:
        files = product_files([folder], kind, of_others="." not in kind) if folder.is_dir() else []
    except InputError:
        files = []
    return matched(tomograms, files, what)
