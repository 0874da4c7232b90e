"""`train` at the level of files: annotated tomograms in, a model file with its curves out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tomocore.contract import NOBODY, InputError, Watcher
from tomocore.files import require_writable_folder, written_beside
from tomocore.files_of_tomograms import matched
from tomocore.locks import one_writer
from tomorois.network.checkpoint import checkpoint_beside, load_model
from tomorois.training.data import TrainingTomogram, read_training_tomograms
from tomorois.training.figure import training_figure
from tomorois.training.loop import Observer, log_beside
from tomorois.training.settings import TrainSettings, with_membranes
from tomorois.training.train import TrainingResult, nobody_watches, train

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnnotatedFiles:
    """Tomograms and what belongs to them by name: labels, membranes, rejected ROIs (``penalties``)."""

    tomograms: Sequence[Path]
    labels: Sequence[Path]
    membranes: Sequence[Path] = ()
    penalties: Sequence[Path] = ()
    voxel_size_nm: float | None = None
    resample: bool = False

    def read(self, *groups: Sequence[Path], ignore_value: int) -> list[list[TrainingTomogram]]:
        """Groups of the tomograms, each with what belongs to it; those without an annotation are refused."""
        whats = {"label": self.labels, "penalty": self.penalties, "membrane": self.membranes}
        pairs = [matched(self.tomograms, files, what) for what, files in whats.items()]

        def read_group(group: Sequence[Path]) -> list[TrainingTomogram]:
            labels, penalties, membranes = ([own[t] for t in group if t in own] for own in pairs)
            return read_training_tomograms(
                group, labels, penalties, self.voxel_size_nm, membranes, ignore_value, self.resample
            )

        return [read_group(group) if group else [] for group in groups]


@dataclass(frozen=True)
class TrainRequest:
    """What is learned from which files into which model; ``validation`` tomograms are held out."""

    files: AnnotatedFiles
    model: Path
    validation: Sequence[Path] = ()
    init: Path | None = None
    resume: bool = False
    minutes: float | None = None
    overwrite: bool = False


def train_on_files(
    request: TrainRequest,
    settings: TrainSettings = TrainSettings(),
    watcher: Watcher = NOBODY,
    observer: Observer = nobody_watches,
) -> TrainingResult | None:
    """Train ``request.model`` and draw its curves beside it; None where it has been trained to its end.

    Membranes make a network that sees them. Raises InputError where the model exists and neither
    ``overwrite`` nor ``resume`` is set, and for files that do not fit together.
    """
    with one_writer(require_writable_folder(request.model.parent) / request.model.name):
        if is_whole_model(request.model) and not request.overwrite:
            if not request.resume:
                raise InputError(
                    f"{request.model}: exists already; --overwrite trains anew; or name another with -o"
                )
            if not checkpoint_beside(request.model).exists():
                watcher.skipped(str(request.model), "it has been trained to its end")
                if not curves_path(request.model).exists():  # ended just before they were drawn
                    _draw_curves(request.model)
                return None
        return _trained(request, settings, watcher, observer)


def _trained(
    request: TrainRequest, settings: TrainSettings, watcher: Watcher, observer: Observer
) -> TrainingResult:
    left = checkpoint_beside(request.model)
    if left.exists() and not request.resume:
        log.warning("%s: of a training that did not end; begun anew, since --resume is not given", left)
    chosen = with_membranes(settings) if request.files.membranes else settings
    held = set(request.validation)
    taught, watched = ([t for t in request.files.tomograms if (t in held) == out] for out in (False, True))
    samples, held_out = request.files.read(taught, watched, ignore_value=chosen.annotation.ignore_value)
    with watcher.progress("training") as progress:
        result = train(
            samples,
            held_out,
            chosen,
            request.model,
            init=request.init,
            resume=request.resume,
            minutes=request.minutes,
            progress=progress,
            observer=observer,
        )
    _draw_curves(request.model)
    return result


def is_whole_model(path: Path) -> bool:
    """Whether a model is there that can be read; a warning where it is there and damaged."""
    if not path.exists():
        return False
    try:
        load_model(path)
    except InputError as error:
        log.warning("%s; it is made anew", error)
        return False
    return True


def _draw_curves(model: Path) -> None:
    with written_beside(curves_path(model)) as beside:
        training_figure(pd.read_csv(log_beside(model))).savefig(beside, dpi=110, format="png")


def curves_path(model: Path) -> Path:
    """The picture of a training's curves: <stem>.train.png beside the model."""
    return log_beside(model).with_suffix(".png")
