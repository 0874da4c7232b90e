"""Draws penalty.png: a recurring mistake is unlearned over rounds of fine-tuning, true places are kept.

    python docs/gallery/penalty.py [--output DIR]

Small tomograms with dark balls (the ROIs) and equally dark shells with a bright core (which are none). The
first network is taught without a word about the shells and takes them for balls. Then a user rejects them in
the tomograms trained on, and the model is refined in rounds, with the penalty and, for comparison, without.
Confidences are those in four tomograms that the network never saw.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tomocore.volumes.volume import Volume
from tomorois.network.checkpoint import load_model
from tomorois.prediction.predict import predict_confidence
from tomorois.training.data import TrainingTomogram
from tomorois.training.settings import TrainSettings
from tomorois.training.train import train

PICTURES = Path(__file__).parents[1] / "pictures"
SHAPE = (18, 36, 36)
IGNORE = 255
ROUNDS = 4
FIRST = TrainSettings(
    bin_factor=1,
    patch_voxels=16,
    steps=150,
    learning_rate=0.01,
    network={"layers": 8, "dilations": (1, 2)},
    validation={"checks": 1},
    device="cpu",
)
ROUND = FIRST.model_copy(update={"fine_tune_rate": 1.0})


def ball(rng: np.random.Generator, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The voxels of a ball at a random place, and of its core of half the radius."""
    centre = rng.uniform(5, np.array(SHAPE) - 5)
    distance = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - centre, axis=-1)
    return distance <= radius, distance <= radius / 2


def tomogram(seed: int) -> tuple[TrainingTomogram, np.ndarray]:
    """Balls labelled, shells not looked at (to be ignored), and the voxels of the shells."""
    rng = np.random.default_rng(seed)
    data, labels = rng.normal(size=SHAPE), np.zeros(SHAPE, np.int16)
    mistake = np.zeros(SHAPE, bool)
    for number in range(1, 5):
        whole, core = ball(rng, 4.2)
        free = whole & (labels == 0) & ~mistake
        if number < 4:
            data[free] -= 3
            labels[free] = number
        else:
            data[free] -= 3
            data[free & core] += 6
            mistake |= free
    labels[mistake] = IGNORE
    return TrainingTomogram(f"t{seed}", Volume(data.astype(np.float32), 1.0), labels), mistake


def confidences(model: Path, unseen: list[tuple[TrainingTomogram, np.ndarray]]) -> tuple[float, float]:
    """Mean confidence in the mistakes and in the ROIs of tomograms never seen."""
    network, record = load_model(model)
    maps = [predict_confidence(network, record, sample.tomogram).data for sample, _ in unseen]
    mistakes = [m[mistake].mean() for m, (_, mistake) in zip(maps, unseen, strict=True)]
    rois = [m[(s.labels > 0) & (s.labels < IGNORE)].mean() for m, (s, _) in zip(maps, unseen, strict=True)]
    return float(np.mean(mistakes)), float(np.mean(rois))


def rounds(folder: Path, first: Path, samples: list[TrainingTomogram], unseen: list) -> np.ndarray:
    """Confidences (rounds + 1, 2) in mistakes and ROIs, from the first model through every round."""
    found, model = [confidences(first, unseen)], first
    for number in range(1, ROUNDS + 1):
        settings = ROUND.model_copy(update={"seed": number})
        model = train(samples, [], settings, folder / f"round{number}.safetensors", init=model).model_path
        found.append(confidences(model, unseen))
    return np.array(found)


def figure(penalised: np.ndarray, unpenalised: np.ndarray) -> Figure:
    """Both curves of both ways."""
    picture = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = picture.subplots()
    for found, line, way in ((penalised, "-", "with the penalty"), (unpenalised, ":", "without")):
        axes.plot(found[:, 1], "o" + line, color="#1f5a7a", ms=4, label=f"true places, {way}")
        axes.plot(found[:, 0], "o" + line, color="#b3541e", ms=4, label=f"recurring mistake, {way}")
    axes.set(xlabel="round of fine-tuning", ylabel="mean confidence, unseen tomograms", ylim=(0, 1))
    axes.set_xticks(range(ROUNDS + 1))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=PICTURES)
    output = parser.parse_args().output
    made = [tomogram(seed) for seed in range(4)]
    unseen = [tomogram(seed) for seed in (20, 21, 22, 23)]
    unaware = [sample for sample, _ in made]
    aware = [replace(sample, rejected=mistake) for sample, mistake in made]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "plain").mkdir()
        first = train(unaware, [], FIRST, folder / "first.safetensors").model_path
        penalised = rounds(folder, first, aware, unseen)
        unpenalised = rounds(folder / "plain", first, unaware, unseen)
    print("round  mistake  true places | without: mistake  true places")
    for number, (with_it, without) in enumerate(zip(penalised, unpenalised, strict=True)):
        print(f"{number:5d}  {with_it[0]:7.2f}  {with_it[1]:11.2f} | {without[0]:16.2f}  {without[1]:11.2f}")
    output.mkdir(parents=True, exist_ok=True)
    figure(penalised, unpenalised).savefig(output / "penalty.png", dpi=110)


if __name__ == "__main__":
    main()
