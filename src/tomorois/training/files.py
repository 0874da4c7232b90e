"""`train` at the level of files: annotated tomograms in, a model file with its curves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tomocore.contract import NOBODY, InputError, Watcher
from tomocore.files import require_writable_folder, written_beside
from tomocore.names import matched
from tomorois.network.checkpoint import checkpoint_beside
from tomorois.training.data import TrainingTomogram, read_training_tomograms
from tomorois.training.figure import training_figure
from tomorois.training.loop import Observer
from tomorois.training.settings import TrainSettings, with_membranes
from tomorois.training.train import TrainingResult, nobody_watches, train


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
    if request.model.exists() and not request.overwrite:
        if not request.resume:
            raise InputError(
                f"{request.model}: exists already; pass --overwrite to train anew, or another name with -o"
            )
        if not checkpoint_beside(request.model).exists():
            watcher.skipped(str(request.model), "it has been trained to its end")
            return None
    require_writable_folder(request.model.parent)
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
    with written_beside(curves_path(result)) as beside:
        training_figure(pd.read_csv(result.log_path)).savefig(beside, dpi=110, format="png")
    return result


def curves_path(result: TrainingResult) -> Path:
    """The picture of a training's curves: <stem>.train.png beside the model."""
    return result.log_path.with_suffix(".png")
