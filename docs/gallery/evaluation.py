"""Draws evaluation.png: the figures of a report of scores, of a network that learned for a few seconds.

    python docs/gallery/evaluation.py [--output DIR]

Four small phantoms with buds are annotated, eight others scored; the true membranes are given. The
commands are those that a user types.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave

from tomorois.evaluation.curves import interval_figure, orientation_figure, precision_recall_figure
from tomorois.evaluation.evaluate import Evaluation
from tomorois.evaluation.files import EvaluateRequest, evaluate_files
from tomorois.instances.find import InstanceSettings
from tomorois.prediction.record import model_threshold

PICTURES = Path(__file__).parents[1] / "pictures"
SETTINGS = """\
[phantom]
shape_zyx = [40, 112, 112]
[train]
steps = 250
"""
COMMANDS = (
    "phantom --kind invaginations --seed 1 --count 4 -o taught -s small.toml",
    "phantom --kind invaginations --seed 2 --count 8 -o unseen -s small.toml",
    "train --tomograms taught --labels taught --membranes taught -o model.safetensors -s small.toml",
    "predict model.safetensors unseen --membranes unseen -o maps",
)
DPI = 80


def scored(folder: Path) -> tuple[Evaluation, float | None]:
    """The evaluation that the commands lead to, and the threshold that training chose."""
    tool = Path(sys.executable).parent / "tomorois"
    (folder / "small.toml").write_text(SETTINGS, encoding="utf-8")
    for command in COMMANDS:
        subprocess.run([tool, *command.split()], cwd=folder, check=True)
    maps = sorted((folder / "maps").glob("*__confidence.mrc"))
    truth = sorted((folder / "unseen").glob("*__truth.npz"))
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
