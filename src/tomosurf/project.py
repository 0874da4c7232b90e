"""A project: many tomograms, one model, the membranes beside them, and one settings file for all of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from surfora.settings import SurforaSettings
from tomocore.contract import InputError
from tomocore.files import write_text
from tomocore.files_of_tomograms import matched, product_files, require_own_names, tomogram_files, volume_stem
from tomocore.settings import Settings, load_settings, settings_template
from tomorois.annotation.files_of_annotation import CURATED_FOLDER
from tomorois.evaluation.settings import EvaluateSettings
from tomorois.instances.settings import InstanceSettings
from tomorois.prediction.settings import PredictSettings
from tomorois.training.settings import TrainSettings
from tomosurf.cluster_settings import ClusterSettings
from tomosurf.sources import lists_in, segmentations_of, tomograms_of
from tomosurf.statistics.settings import CompareSettings
from tomosurf.tomogram_table import (
    TomogramRow,
    TomogramTable,
    names_listed,
    read_tomogram_table,
    write_tomogram_table,
)

PROJECT_FILE = "project.toml"
TABLE_FILE = "tomograms.csv"
TOMOGRAMS, MEMBRANES, RESULTS = "tomograms", "membranes", "results"
"""Folders of a project, where nothing else is set."""
ANNOTATIONS, MODELS = "annotations", "models"
"""Folders of what is painted, where nothing else is set, and in the results of the models trained on it."""
MODEL = "model.safetensors"
"""The model, where neither one is set nor annotations are."""
REPORTS = "reports"
"""Folder in the results for reports of some tomograms."""

STEPS = ("confidence", "rois", "surfaces")
TRAINING = "training"
"""The step before those of tomograms, and the folder of what it is taught by."""


PATHS = (
    *("tomograms", "table", "membranes", "truth", "annotations", "model", "first_model", "membrane_model"),
    *("output", "membrane_confidence"),
)
"""The settings of a project that name files or folders."""


class ProjectSettings(Settings):
    """A project of tomograms; paths are relative to the project file, and may begin with ~ or $VARIABLE."""

    tomograms: tuple[str, ...] = Field(
        (TOMOGRAMS,),
        description="Tomograms, folders of them, or lists (tomograms.star, optimisation set, copick.json).",
    )
    table: str = Field(
        TABLE_FILE,
        description="Table of tomograms, if any: name, condition, grid, voxel_size_nm, split, exclude.",
    )
    membranes: str = Field(
        MEMBRANES,
        description="Folder of <tomogram>__membranes volumes (masks or labels), or copick.json:OBJECT.",
    )
    truth: str | None = Field(
        None, description="Folder of <tomogram>__truth.npz, where the true ROIs of some are known."
    )
    annotations: str | None = Field(
        None,
        description="Folder of <tomogram>__labels volumes to train the model on, where no model is set.",
    )
    model: str | None = Field(
        None,
        description="Model that finds the ROIs; unset: the project's last one, or model.safetensors.",
    )
    first_model: str | None = Field(
        None, description="Model that the project's first training refines, else it begins from scratch."
    )
    learn_membranes: bool = Field(
        True, description="Show a network that is trained here the membranes beside the tomogram."
    )
    membrane_model: str | None = Field(
        None, description="Model that draws membranes for the first one to see, else it sees those given."
    )
    output: str = Field(RESULTS, description="Folder that everything is written to.")
    voxel_size_nm: float | None = Field(None, gt=0, description="Voxel edge (nm), whatever the headers say.")
    resample: bool = Field(
        False, description="Bring volumes of unequal voxel edges to one edge first, the smallest."
    )
    density: bool = Field(
        False, description="Measure membranes in the density of the tomograms too: thickness peak to peak."
    )
    intervals: bool = Field(
        False,
        description="A 95 % interval for each value, by measuring again with moved borders; 7 times as long.",
    )
    membrane_confidence: str | None = Field(
        None, description="Folder of <tomogram>__confidence maps of the membranes, for intervals."
    )
    train: TrainSettings = TrainSettings()
    predict: PredictSettings = PredictSettings()
    instances: InstanceSettings = InstanceSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    surfora: SurforaSettings = SurforaSettings()
    compare: CompareSettings = CompareSettings()
    cluster: ClusterSettings = ClusterSettings()

    @field_validator(*PATHS)
    @classmethod
    def _as_a_shell_reads_it(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        """A path, or each of several, with ``~`` and variables of the environment filled in."""
        if isinstance(value, tuple):
            return tuple(_filled_in(path) for path in value)
        return value if value is None else _filled_in(value)


def _filled_in(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))


@dataclass(frozen=True)
class TomogramPlan:
    """The files of one tomogram in a project, those that are there and those to be made.

    ``row`` is what the table says of it, ``voxel_size_nm`` the edge that overrules headers, if any,
    ``labels`` those in the folder of annotations, ``membrane_confidence`` how sure the membranes are, and
    ``listed`` what a list of another program calls it, where it comes from one.
    """

    stem: str
    row: TomogramRow
    voxel_size_nm: float | None
    tomogram: Path
    membranes: Path
    truth: Path | None
    drawn: Path | None
    confidence: Path
    rois: Path
    surfaces: Path
    labels: Path | None = None
    membrane_confidence: Path | None = None
    listed: str = ""

    @property
    def curated(self) -> Path:
        """Where `tomorois curate` leaves the ROIs that a person judged."""
        return self.rois.parent / CURATED_FOLDER / self.rois.name

    @property
    def results(self) -> dict[str, Path]:
        """What each step leaves when it is done."""
        return dict(zip(STEPS, (self.confidence, self.rois, self.surfaces / "report.html"), strict=True))

    def marks_of(self, step: str) -> tuple[Path, ...]:
        """The last files that a step writes, which are there when all of it is."""
        drawn = (self.drawn,) if step == "confidence" and self.drawn is not None else ()
        return (*drawn, self.results[step])

    def files_of(self, step: str) -> tuple[Path, ...]:
        """All files of a step that names tell: maps with their records, ROIs with their tables."""
        marks = self.marks_of(step)
        if step == "confidence":
            return tuple(path.with_suffix(ending) for path in marks for ending in (".json", ".mrc"))
        if step == "rois":
            return tuple(self.rois.with_suffix(ending) for ending in (".mrc", ".csv", ".npz"))
        return marks

    def record_of(self, step: str) -> Path:
        """The record of how a step was made."""
        return step_record_path(self.confidence.parent.parent, self.stem, step)


@dataclass(frozen=True)
class Project:
    """A project's settings and the plan of each of its tomograms, or of those asked for.

    ``stems`` are all tomograms of the project, ``unknown`` the names in its table that none of them has,
    ``only`` the list of those asked for, where not all are, and ``of_all`` the plans of all, since the model
    is the whole project's.
    """

    folder: Path
    settings: ProjectSettings
    plans: tuple[TomogramPlan, ...]
    stems: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    only: Path | None = None
    of_all: tuple[TomogramPlan, ...] = ()

    @property
    def included(self) -> tuple[TomogramPlan, ...]:
        """The plans of tomograms that the table does not exclude."""
        return tuple(plan for plan in self.plans if not plan.row.excluded)

    @property
    def table(self) -> Path:
        """The table of tomograms, whether there is one or not."""
        return self.folder / self.settings.table

    @property
    def trains(self) -> bool:
        """Whether its model is trained here, from its annotations."""
        return self.settings.annotations is not None and self.settings.model is None

    @property
    def annotations(self) -> Path:
        """The folder of what is painted."""
        return self.folder / (self.settings.annotations or ANNOTATIONS)

    @property
    def model(self) -> Path:
        """The model file; where it is trained here, that of the last round, or where the first will be."""
        if self.trains:
            return self.round_model(max(self.rounds_trained, 1))
        return self.folder / (self.settings.model or MODEL)

    def round_model(self, number: int) -> Path:
        """The model that a round of training leaves; rounds are counted from 1."""
        return self.output / MODELS / f"round_{number:03d}.safetensors"

    @property
    def rounds_trained(self) -> int:
        """The number of the last round that left a model; 0 before the first."""
        names = (path.name for path in (self.output / MODELS).glob("round_*.safetensors"))
        numbers = (re.fullmatch(r"round_(\d{3,6})\.safetensors", name) for name in names)
        return max((int(number[1]) for number in numbers if number), default=0)

    @property
    def membrane_model(self) -> Path | None:
        """The file of the model that draws membranes, if there is one."""
        return self.folder / self.settings.membrane_model if self.settings.membrane_model else None

    @property
    def output(self) -> Path:
        """The folder of all results."""
        return self.folder / self.settings.output

    @property
    def report_folder(self) -> Path:
        """The folder of the report: that of all results, or of some tomograms one named after their list."""
        return self.output if self.only is None else self.output / REPORTS / self.only.stem

    @property
    def way_to_output(self) -> str:
        """The way from the report to the folder of all results, as the beginning of an address."""
        return "" if self.only is None else "../../"


def step_record_path(results: Path, stem: str, step: str) -> Path:
    """Where it is kept how a step of a tomogram was made."""
    return results / "steps" / f"{stem}__{step}.json"


def new_project(folder: Path) -> Path:
    """Write a project file with every setting, its meaning and what lies in the folder; its path.

    Where neither a model nor labels lie there, it names the folder that labels will be painted to. The table
    of tomograms is written beside it, unless there is one. Raises InputError where a project file exists.
    """
    path = folder / PROJECT_FILE
    if path.exists():
        raise InputError(f"{path}: exists already; edit it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    found = inputs_in(folder)
    begun = {} if "model" in found else {"annotations": ANNOTATIONS}  # what is painted will be learned from
    write_text(path, settings_template(ProjectSettings, values=begun | found))
    if "tomograms" in found and not (folder / TABLE_FILE).exists():
        files = tomograms_of(folder, found["tomograms"])
        write_tomogram_table(folder / TABLE_FILE, [volume_stem(file) for file in files])
    return path


def inputs_in(folder: Path) -> dict[str, Any]:
    """The settings of a project that tell what lies in a folder and in the folders in it.

    Truth, labels and a model are known by their names, and so are membranes, or by their folder's; every
    other folder of volumes holds tomograms, where none is called so. Labels are named where no model lies.
    """
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    places = [folder, *(path for path in inside if path.name != RESULTS)]
    found: dict[str, Any] = {}
    for key, kind in (("membranes", "membranes"), ("truth", "truth.npz")):
        holders = [place for place in places if _products_in(place, kind)]
        if holders:
            found[key] = _relative(holders[0], folder)
    holders = [place for place in places if place.name != MEMBRANES and _tomograms_in(place)]
    named = [place for place in holders if place.name == TOMOGRAMS]
    lists = [] if holders else lists_in(folder)[:1]
    if holders or lists:
        found["tomograms"] = tuple(_relative(place, folder) for place in named or holders) or tuple(lists)
    models = [path for place in places for path in sorted(place.glob("*.safetensors"))]
    labelled = [place for place in places if _products_in(place, "labels")]
    if models:
        found["model"] = _relative(models[0], folder)
    elif labelled:
        found["annotations"] = _relative(labelled[0], folder)
    return found


def _products_in(place: Path, kind: str) -> list[Path]:
    try:
        return product_files([place], kind)
    except InputError:
        return []


def _tomograms_in(place: Path) -> list[Path]:
    try:
        return tomogram_files([place])
    except InputError:
        return []


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def read_project(path: Path, only: Path | None = None) -> Project:
    """The project in a file, or in a folder's project.toml; InputError with all that is wrong in it.

    ``only`` is a text file that lists the tomograms to plan for, a name a line.
    """
    path = path / PROJECT_FILE if path.is_dir() else path
    settings = load_settings(ProjectSettings, path)
    folder = path.parent
    listed = tomograms_of(folder, settings.tomograms)
    tomograms = list(listed)
    require_own_names(tomograms, volume_stem)
    masks = segmentations_of(folder, settings.membranes)
    if masks is None:
        membranes = _matched_in(folder / settings.membranes, tomograms, "membranes", "membranes")
    else:
        membranes = matched(tomograms, masks, "membranes")
    truth = _matched_in(folder / settings.truth, tomograms, "truth.npz", "truth") if settings.truth else None
    labels = _labels_of(folder, settings, tomograms)
    sure = _confidence_of(folder, settings, tomograms)
    stems = tuple(volume_stem(tomogram) for tomogram in tomograms)
    table = _table(folder / settings.table, stems)
    asked = stems if only is None else names_listed(only, stems)
    of_all = tuple(
        replace(
            _plan(tomogram, table.rows.get(stem, TomogramRow(stem)), folder, settings, membranes, truth),
            labels=labels.get(tomogram),
            membrane_confidence=sure.get(tomogram),
            listed=listed[tomogram],
        )
        for tomogram, stem in zip(tomograms, stems, strict=True)
    )
    plans = tuple(plan for plan in of_all if plan.stem in asked)
    return Project(folder, settings, plans, stems, table.unknown, only, of_all)


def _labels_of(folder: Path, settings: ProjectSettings, tomograms: Sequence[Path]) -> dict[Path, Path]:
    """The labels to learn from, none before the first is painted; no tomogram is taken for labels."""
    if settings.annotations is None:
        return {}
    found = _matched_in(folder / settings.annotations, tomograms, "labels", "labels")
    own = {os.path.realpath(tomogram) for tomogram in tomograms}
    return {tomogram: path for tomogram, path in found.items() if os.path.realpath(path) not in own}


def _confidence_of(folder: Path, settings: ProjectSettings, tomograms: Sequence[Path]) -> dict[Path, Path]:
    """Where the map of each tomogram's membranes lies, or should; none where none is asked for."""
    if settings.membrane_confidence is None:
        return {}
    place = folder / settings.membrane_confidence
    expected = {tomogram: place / f"{volume_stem(tomogram)}__confidence.mrc" for tomogram in tomograms}
    try:
        files = product_files([place], "confidence", "membranes")
    except InputError:  # none there yet, as where a model of this project draws them
        files = []
    return expected | matched(tomograms, files, "confidence")


def _table(path: Path, stems: Sequence[str]) -> TomogramTable:
    """What the table says, an empty one where it has the usual name and is not there."""
    if path.name == TABLE_FILE and not path.exists():
        return TomogramTable()
    return read_tomogram_table(path, stems)


def _plan(
    tomogram: Path,
    row: TomogramRow,
    folder: Path,
    settings: ProjectSettings,
    membranes: Mapping[Path, Path],
    truth: Mapping[Path, Path] | None,
) -> TomogramPlan:
    stem = volume_stem(tomogram)
    output = folder / settings.output
    expected = folder / settings.membranes / f"{stem}__membranes.mrc"
    # Truth may be known of some; where it is of none, a missing file is what `validate` tells.
    true_rois = truth.get(tomogram) if truth else folder / f"{settings.truth}/{stem}__truth.npz"
    return TomogramPlan(
        stem=stem,
        row=row,
        voxel_size_nm=row.voxel_size_nm or settings.voxel_size_nm,
        tomogram=tomogram,
        membranes=membranes.get(tomogram, expected),
        truth=None if truth is None else true_rois,
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
