"""Draws evaluation.png: the figures of a report of scores, of a network that learned for a few seconds.

    python docs/gallery/evaluation.py [--output DIR]

Four small phantoms with buds are annotated, eight others scored; the true membranes are given. Each step
is the function that a command of `tomorois` calls: phantom, train, predict, evaluate.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave

from tomocore.files_of_tomograms import product_files, tomogram_files
from tomorois.evaluation.curves import interval_figure, orientation_figure, precision_recall_figure
from tomorois.evaluation.evaluate import Evaluation
from tomorois.evaluation.files import EvaluateRequest, evaluate_files
from tomorois.instances.settings import InstanceSettings
from tomorois.phantoms.files import PhantomRequest, make_phantom_files
from tomorois.phantoms.phantom import PhantomSettings
from tomorois.prediction.files import PredictRequest, predict_files
from tomorois.prediction.record import model_threshold
from tomorois.training.files import AnnotatedFiles, TrainRequest, train_on_files
from tomorois.training.settings import TrainSettings

PICTURES = Path(__file__).parents[1] / "pictures"
SMALL = PhantomSettings(shape_zyx=(40, 112, 112))
SHORT = TrainSettings(steps=250)
TAUGHT, UNSEEN = 4, 8
DPI = 80


def scored(folder: Path) -> tuple[Evaluation, float | None]:
    """The scores of what a network finds that learned from a few, and the threshold that it chose."""
    taught, unseen, model = folder / "taught", folder / "unseen", folder / "model.safetensors"
    make_phantom_files(PhantomRequest(taught, TAUGHT, seed=1), "invaginations", SMALL)
    make_phantom_files(PhantomRequest(unseen, UNSEEN, seed=2), "invaginations", SMALL)
    labels, membranes = product_files([taught], "labels"), product_files([taught], "membranes")
    train_on_files(TrainRequest(AnnotatedFiles(tomogram_files([taught]), labels, membranes), model), SHORT)
    beside = product_files([unseen], "membranes")
    predict_files(model, PredictRequest(tomogram_files([unseen]), folder / "maps", beside))
    maps, truth = product_files([folder / "maps"], "confidence"), product_files([unseen], "truth.npz")
    whole = InstanceSettings(split="none")  # a bud has a neck by nature
    return evaluate_files(EvaluateRequest(maps, truth), instances=whole), model_threshold(maps[0])


def picture_of(figure: Figure) -> np.ndarray:
    """A figure as pixels (y, x, rgba)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI)
    buffer.seek(0)
    return imread(buffer)


def side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures in a row, white below those that are less high."""
    highest = max(len(picture) for picture in pictures)
    padded = [np.pad(p, ((0, highest - len(p)), (0, 0), (0, 0)), constant_values=1.0) for p in pictures]
    return np.concatenate(padded, axis=1)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        result, threshold = scored(Path(scratch))
    figures = (
        interval_figure(result.scores, result.settings.interval),
        precision_recall_figure(result.curve, threshold),
        orientation_figure(result.orientation),
    )
    folder.mkdir(parents=True, exist_ok=True)
    imsave(folder / "evaluation.png", side_by_side([picture_of(figure) for figure in figures]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
