"""`learning-curve` at the level of files: annotated tomograms in, points, picture and answer out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tomocore.contract import NOBODY, Watcher
from tomocore.files import write_text, written_beside
from tomocore.locks import one_run
from tomorois.guidance.learning_curve import (
    CurvePoint,
    learning_curve,
    learning_curve_figure,
    split_unseen,
    verdict,
    with_truth,
)
from tomorois.guidance.settings import LearningCurveSettings
from tomorois.instances.settings import InstanceSettings
from tomorois.training.files import AnnotatedFiles
from tomorois.training.settings import TrainSettings, with_membranes


@dataclass(frozen=True)
class CurveRequest:
    """Annotated tomograms, those of them scored on (``unseen``; a quarter where none), their true ROIs."""

    files: AnnotatedFiles
    folder: Path
    unseen: Sequence[Path] = ()
    truth: Sequence[Path] = ()
    minutes: float | None = None


def learning_curve_of_files(
    request: CurveRequest,
    settings: TrainSettings = TrainSettings(),
    curve: LearningCurveSettings = LearningCurveSettings(),
    instances: InstanceSettings = InstanceSettings(),
    watcher: Watcher = NOBODY,
) -> tuple[list[CurvePoint], str]:
    """The points of a learning curve and the answer in words; ``folder/learning_curve.csv``, .png and .txt.

    ``settings`` train each network, ``curve`` says on how many ROIs, ``instances`` how its maps become
    ROIs. Points that are there already are not trained again. Raises InputError for files that do not fit
    together.
    """
    with one_run(request.folder):
        return _curve(request, settings, curve, instances, watcher)


def _curve(
    request: CurveRequest,
    settings: TrainSettings,
    curve: LearningCurveSettings,
    instances: InstanceSettings,
    watcher: Watcher,
) -> tuple[list[CurvePoint], str]:
    if request.minutes is not None:
        settings = settings.model_copy(update={"minutes": request.minutes, "steps": None})
    if request.files.membranes:
        settings = with_membranes(settings)
    held = set(request.unseen)
    taught, ahead = ([t for t in request.files.tomograms if (t in held) == out] for out in (False, True))
    samples, unseen = request.files.read(taught, ahead, ignore_value=settings.annotation.ignore_value)
    if not unseen:
        samples, unseen = split_unseen(samples, settings.annotation)
        names = ", ".join(sample.name for sample in unseen)
        watcher.say(f"scored on {names}, trained on the others")
    with watcher.progress("learning curve") as progress:
        points = learning_curve(
            samples,
            with_truth(unseen, request.truth, settings.annotation),
            settings,
            request.folder,
            curve,
            instances,
            progress,
        )
    answer = verdict(points)
    with written_beside(request.folder / "learning_curve.png") as beside:
        learning_curve_figure(points).savefig(beside, dpi=120, format="png")
    write_text(request.folder / "learning_curve.txt", answer + "\n")
    return points, answer
