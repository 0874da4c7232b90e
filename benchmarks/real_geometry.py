"""How scores fall from drawn scenes to real geometry: trained on phantoms, tested on TE1's own membranes.

    python benchmarks/real_geometry.py [--labels te1_labels.mrc.gz] [--jobs N]

The network learns contacts from drawn phantoms alone: any two membranes within 40 nm. It is scored on drawn
phantoms never seen, and on synthetic tomograms whose membranes are those of a real segmentation, TE1: there
the outer membrane (1) runs along the inner one (2) everywhere, and meets the ER (3) once, at 31 nm. So the
scores are given for all pairs, which is what was taught, and for 1:3 with the voxels of other pairs not
judged; for a network that sees the tomogram alone, for one that also sees membranes which another network
drew, taught by the same drawn phantoms, and for that one refined on another place of TE1, where membranes 1
and 2 meet. ROIs are split by pairs of true membranes, so that the table shows the network and not the
splitting. Without the segmentation the benchmark says so and ends.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from tomocore.machine import use_threads
from tomocore.roiset import union_mask
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume
from tomorois.evaluation.evaluate import Evaluation, ScoredTomogram, evaluate
from tomorois.evaluation.settings import EvaluateSettings
from tomorois.instances.find import find_instances
from tomorois.instances.membrane_pairs import membrane_instances
from tomorois.instances.settings import ContactSettings, InstanceSettings
from tomorois.network.checkpoint import load_model
from tomorois.phantoms.from_labels import LabelPhantomSettings, phantom_from_labels
from tomorois.phantoms.phantom import IGNORE, Phantom, PhantomSettings, make_phantom
from tomorois.prediction.predict import predict_confidence
from tomorois.training.data import TrainingTomogram
from tomorois.training.settings import TrainSettings, with_membranes
from tomorois.training.train import train

DEFAULT_LABELS = Path(__file__).parents[2] / "shared" / "data" / "te1_labels.mrc.gz"
VOXEL_SIZE_NM = 1.244
BOX = (slice(150, 270), slice(550, 680), slice(410, 550))  # z, y, x about the only contact of the two
OTHER_BOX = (slice(120, 240), slice(715, 845), slice(280, 420))  # without label 3
PAIRS = [(1, 2), (1, 3), (2, 3)]
ASKED = "1:3"
LIMIT_NM = 40.0
DRAWN = PhantomSettings(
    shape_zyx=(64, 160, 160),
    voxel_size_nm=VOXEL_SIZE_NM,
    scene={"gap_nm": (10.0, 36.0), "contact_limit_nm": LIMIT_NM, "near_miss_nm": 46.0},
)
CONTACTS = ContactSettings(reach_nm=LIMIT_NM + 6.0)
TRAINING, UNSEEN, REAL = 8, 3, 1
TRAIN = TrainSettings(steps=1500, validation={"checks": 4}, device="cpu")
DRAW = TRAIN.model_copy(update={"bin_factor": 2})
REFINE = with_membranes(TRAIN).model_copy(update={"steps": 300})


def taught_by(
    phantoms: list[Phantom], membranes: list[Volume | None], name: str = "drawn"
) -> list[TrainingTomogram]:
    """Phantoms with their contacts, and membranes beside them or not."""
    return [
        TrainingTomogram(f"{name}{n}", phantom.tomogram, phantom.labels.data, membranes=beside)
        for n, (phantom, beside) in enumerate(zip(phantoms, membranes, strict=True))
    ]


def drawing_model(phantoms: list[Phantom], folder: Path) -> Path:
    """A network that draws membranes."""
    masks = [(phantom.membranes.data > 0).astype(np.uint8) for phantom in phantoms]
    samples = [
        TrainingTomogram(f"drawn{n}", phantom.tomogram, mask)
        for n, (phantom, mask) in enumerate(zip(phantoms, masks, strict=True))
    ]
    return train(samples, [], DRAW, folder / "membranes.safetensors").model_path


def drawn_in(phantoms: list[Phantom], drawing: Path | None) -> list[Volume | None]:
    """The membranes that the network draws in each phantom; none without a network."""
    if drawing is None:
        return [None] * len(phantoms)
    model, record = load_model(drawing)
    return [predict_confidence(model, record, phantom.tomogram) for phantom in phantoms]


def scored(model_path: Path, phantoms: list[Phantom], drawing: Path | None, asked: str = "") -> Evaluation:
    """Scores at the model's own threshold and over all; of one pair, the voxels of others are not judged."""
    model, record = load_model(model_path)
    instances = InstanceSettings(threshold=record.threshold, split="contacts", contacts=CONTACTS)
    tomograms = []
    for number, (phantom, beside) in enumerate(zip(phantoms, drawn_in(phantoms, drawing), strict=True)):
        confidence = predict_confidence(model, record, phantom.tomogram, membranes=beside)
        membranes = membrane_instances(phantom.membranes, CONTACTS)
        truth, ignored = phantom.rois, phantom.labels.data == IGNORE
        if asked:
            wanted = (truth.table["membranes"] == asked).to_numpy()
            others = union_mask(truth.at(~wanted)).data > 0
            truth = truth.at(wanted)
            ignored = ignored | (others & (union_mask(truth).data == 0))
        found = find_instances(confidence, instances, membranes)
        judged = confidence.with_data(ignored)
        tomograms.append(ScoredTomogram(str(number), found, truth, confidence, membranes, judged))
    return evaluate(tomograms, EvaluateSettings(), instances)


def row(name: str, seen: str, evaluation: Evaluation) -> dict[str, str]:
    """A line of the table."""
    counts, scores = evaluation.counts, evaluation.scores
    best = max(evaluation.curve, key=lambda point: point["dice_pooled"])
    return {
        "tested on": name,
        "the network sees": seen,
        "tomograms": str(counts["tomograms"]),
        "found": f"{counts['tp']} of {counts['truth']}",
        "false positives": str(counts["fp"]),
        "Dice": f"{scores['dice_pooled']['value']:.2f}",
        "best Dice (threshold)": f"{best['dice_pooled']:.2f} ({best['threshold']:.1f})",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--labels", type=Path, default=DEFAULT_LABELS)
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    if not chosen.labels.exists():
        print(f"skipped: no {chosen.labels.name} beside the project; name a segmentation with --labels")
        sys.exit(0)
    use_threads(chosen.jobs)
    labels = read_volume(chosen.labels, VOXEL_SIZE_NM)
    real_settings = LabelPhantomSettings(contact_limit_nm=LIMIT_NM, margin_nm=0.0)
    taught = [make_phantom("contacts", 1, DRAWN, i) for i in range(TRAINING)]
    unseen = [make_phantom("contacts", 2, DRAWN, i) for i in range(UNSEEN)]
    real = [phantom_from_labels(labels.crop(BOX), PAIRS, seed, real_settings) for seed in range(REAL)]
    other = phantom_from_labels(labels.crop(OTHER_BOX), PAIRS[:1], REAL, real_settings)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        drawing = drawing_model(taught, folder)
        samples = taught_by(taught, drawn_in(taught, drawing))
        alone = train(taught_by(taught, [None] * TRAINING), [], TRAIN, folder / "alone.safetensors")
        first = train(samples, [], with_membranes(TRAIN), folder / "first.safetensors")
        # first, since the last tomogram is held out
        samples = [*taught_by([other], drawn_in([other], drawing), "elsewhere"), *samples]
        refined = train(samples, [], REFINE, folder / "refined.safetensors", init=first.model_path)
        for seen, result, drawer in (
            ("tomogram", alone, None),
            ("drawn membranes too", first, drawing),
            ("the same, refined", refined, drawing),
        ):
            model = result.model_path
            rows += [
                row("drawn phantoms, all pairs", seen, scored(model, unseen, drawer)),
                row("TE1's membranes, all pairs", seen, scored(model, real, drawer)),
                row(f"TE1's membranes, {ASKED} alone", seen, scored(model, real, drawer, ASKED)),
            ]
    columns = list(pd.DataFrame(rows).columns)
    lines = [columns, ["---"] * len(columns), *([line[c] for c in columns] for line in rows)]
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))


if __name__ == "__main__":
    main()
