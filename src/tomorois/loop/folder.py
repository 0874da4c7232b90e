"""Where the files of a loop lie, so that nobody needs to name one."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tomocore.contract import InputError, one_line
from tomocore.files import write_json
from tomocore.files_of_tomograms import product_of, tomogram_files, tomogram_stem, volume_stem
from tomocore.settings import S, Settings
from tomocore.side_files import StoredRow, read_json
from tomocore.tensor_files import tensor_metadata

log = logging.getLogger(__name__)

SESSION_NAME = "tomorois_session.json"
MODEL_ENDING = ".safetensors"
STATE_ENDING = ".training.safetensors"


class _Session(StoredRow):
    tomograms: list[str] = Field(default_factory=list)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True)
class LoopFolder:
    """The folders of a loop below ``root``, made when first written to; ROIs may lie elsewhere."""

    root: Path
    rois_elsewhere: Path | None = None

    @property
    def models(self) -> Path:
        """Model files, numbered."""
        return self.root / "models"

    @property
    def training(self) -> Path:
        """Labels and rejected ROIs as they were last taught."""
        return self.root / "training"

    @property
    def predictions(self) -> Path:
        """Confidence maps, in a folder for each model."""
        return self.root / "predictions"

    @property
    def rois(self) -> Path:
        """ROIs of the maps in use; what was judged lies in ``curated`` there."""
        return self.rois_elsewhere or self.root / "rois"

    @property
    def surfaces(self) -> Path:
        """What SurfORA measured, in a folder for each tomogram."""
        return self.root / "surfaces"

    def next_model(self) -> Path:
        """The first number for which there is neither a model nor a training that was stopped."""
        taken = [int(n[1]) for p in self.models.glob("model_*") if (n := re.match(r"model_(\d+)", p.name))]
        return self.models / f"model_{max(taken, default=0) + 1:03d}{MODEL_ENDING}"

    def model_files(self) -> list[Path]:
        """The models that are there, the newest last."""
        files = [p for p in self.models.glob(f"*{MODEL_ENDING}") if not p.name.endswith(STATE_ENDING)]
        files = [p for p in files if not p.name.startswith(".")]
        return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def stopped_training(self) -> Path | None:
        """The model whose training was stopped before its end and can go on, the newest."""
        states = sorted(self.models.glob(f"*{STATE_ENDING}"), key=lambda path: path.stat().st_mtime_ns)
        states = [path for path in states if not path.name.startswith(".")]
        if not states:
            return None
        return states[-1].with_name(states[-1].name.removesuffix(STATE_ENDING) + MODEL_ENDING)

    def maps_of(self, model: Path) -> Path:
        """The folder of the maps that a model predicts."""
        return self.predictions / model.stem

    def map_of(self, tomogram: Path, model: Path) -> Path:
        """The confidence map of a tomogram by a model."""
        return self.maps_of(model) / f"{volume_stem(tomogram)}__confidence.mrc"

    def rois_of(self, tomogram: Path) -> Path:
        """The ROIs of a tomogram."""
        return self.rois / f"{volume_stem(tomogram)}__rois.npz"

    def remember(self, tomograms: Sequence[Path], settings: Mapping[str, Settings]) -> None:
        """Write which tomograms belong to this loop and its settings by section, for windows to come."""
        places = [os.path.relpath(path, self.root) for path in tomograms]
        chosen = {section: one.model_dump(mode="json") for section, one in settings.items()}
        write_json(self.root / SESSION_NAME, {"tomograms": places, "settings": chosen})

    def remembered(self) -> list[Path]:
        """The tomograms that `remember` wrote and that are still there."""
        try:
            paths = [self.root / place for place in self._session().tomograms]
            return [Path(os.path.normpath(path)) for path in paths if path.exists()]
        except (OSError, ValueError):  # also names that no file can have
            return []

    def remembered_settings(self, section: str, kind: type[S]) -> S | None:
        """The settings of a section that `remember` wrote; None where there are none, or of another time."""
        told = self._session().settings.get(section)
        if told is None:
            return None
        try:
            return kind.model_validate(told)
        except ValidationError:
            log.warning("%s: settings of %r do not fit this version; begun anew", self.root, section)
            return None

    def _session(self) -> _Session:
        try:
            told: _Session = read_json(self.root / SESSION_NAME, _Session)
            return told
        except (OSError, ValueError):
            return _Session()


def loop_of(folder: Path, tomograms: Sequence[Path] = ()) -> tuple[LoopFolder, list[Path]]:
    """The loop that a folder of ROIs (or of the loop itself) belongs to, and its tomograms.

    Tomograms are those given; else those that the loop remembers; else the volumes in the folder and the
    one above whose stems the ROIs have. Raises InputError where there are no ROIs, or no tomogram is found.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one with the ROIs of `tomorois instances`")
    rois = folder if list(folder.glob("*__rois.npz")) else folder / "rois"
    stems = {tomogram_stem(path) for path in rois.glob("*__rois.npz")}
    if not stems:
        raise InputError(f"{folder}: holds no <name>__rois.npz; make ROIs first: tomorois instances")
    root = rois.parent if rois.name == "rois" else rois
    loop = LoopFolder(root, rois)
    found = list(tomograms) or loop.remembered() or _tomograms_about(rois, stems)
    if not found:
        raise InputError(f"{folder}: the tomograms of these ROIs are not near; name them with --tomograms")
    return loop, found


def membranes_beside(tomograms: Sequence[Path], folder: Path | None = None) -> dict[Path, Path]:
    """The membranes (``<stem>__membranes.*``) of tomograms that lie beside them or in a folder."""
    places = [folder] if folder is not None else sorted({path.parent for path in tomograms})
    there = [path for place in places for path in sorted(place.glob("*__membranes.*"))]
    endings = (".mrc", ".zarr", ".gz", ".tif", ".h5")
    volumes = [p for p in there if product_of(p) == "membranes" and p.suffix.lower() in endings]
    by_stem = {tomogram_stem(path): path for path in volumes}
    return {path: by_stem[volume_stem(path)] for path in tomograms if volume_stem(path) in by_stem}


@dataclass(frozen=True)
class ModelFacts:
    """What a model file says of itself: threshold, Dice, which ROIs of which tomograms it learned from."""

    path: Path
    threshold: float
    dice: float | None
    validated: bool
    learned: tuple[tuple[str, int], ...]
    held_out: tuple[str, ...]
    refined_from: str
    sees_membranes: bool

    def line(self) -> str:
        """One line for a list."""
        rois = sum(count for _, count in self.learned)
        score = "no score" if self.dice is None else f"Dice {self.dice:.2f}"
        where = "held out" if self.validated else "on what it learned"
        before = f", from {self.refined_from.split()[0]}" if self.refined_from else ""
        tomograms = f"{len(self.learned)} tomogram{'' if len(self.learned) == 1 else 's'}"
        return f"{self.path.stem}: {score} {where}, {rois} ROIs of {tomograms}{before}"

    def told(self) -> str:
        """All of it in a few lines."""
        where = "on tomograms held out" if self.validated else "on what it learned from"
        score = "no score" if self.dice is None else f"Dice {self.dice:.3f} {where}"
        lines = [f"{self.path.stem}: {score}, threshold {self.threshold:.2f}"]
        lines.append("learned from " + ", ".join(f"{name} ({count} ROIs)" for name, count in self.learned))
        lines += [f"held out: {', '.join(self.held_out)}"] if self.held_out else []
        lines += [f"refined from {self.refined_from}"] if self.refined_from else []
        return "\n".join(lines)


class _Learned(StoredRow):
    """A tomogram in the training record of a model."""

    name: str
    rois: int
    held_out: bool


class _Training(StoredRow):
    tomograms: list[_Learned] = Field(default_factory=list)
    dice: float | None = None
    validated: bool = False
    refined_from: str | None = None


class _Record(StoredRow):
    threshold: float = 0.5
    training: _Training = _Training()


class _Config(StoredRow):
    input_channels: int = 1


class _ModelHead(StoredRow):
    """What the head of a model file says, as far as a list of models shows it."""

    record: _Record
    config: _Config


def model_facts(path: Path) -> ModelFacts:
    """What the header of a model file says, without PyTorch. Raises InputError where it is no model."""
    try:
        head: _ModelHead = tensor_metadata(path, "tomorois", _ModelHead, "copy it again")
    except (InputError, OSError) as error:
        said = one_line(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: no model file of TomoROIS ({said})") from error
    training = head.record.training
    return ModelFacts(
        path=path,
        threshold=head.record.threshold,
        dice=training.dice,
        validated=training.validated,
        learned=tuple((item.name, item.rois) for item in training.tomograms if not item.held_out),
        held_out=tuple(item.name for item in training.tomograms if item.held_out),
        refined_from=training.refined_from or "",
        sees_membranes=head.config.input_channels > 1,
    )


def _tomograms_about(rois: Path, stems: set[str]) -> list[Path]:
    found: dict[str, Path] = {}
    for place in (rois, rois.parent):
        try:
            volumes = tomogram_files([place])
        except InputError:
            continue
        for path in volumes:
            if volume_stem(path) in stems:
                found.setdefault(volume_stem(path), path)
    return [found[stem] for stem in sorted(found)]
