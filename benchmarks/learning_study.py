"""What a network learns from a few annotated ROIs, and which settings win at equal processor time.

    python benchmarks/learning_study.py            prints the tables of the stored results
    python benchmarks/learning_study.py --quick    two short trainings, a few minutes
    python benchmarks/learning_study.py --train    trains what the stored results lack, first saying how long
    python benchmarks/learning_study.py --train --csv anew.csv [--only PART] [--data FOLDER]

Every training gets the same processor seconds (on one thread; the steps that fit are found by timing the
first ones), the same annotated phantoms of seed 1 and the same unseen ones of seed 2. The stored results are
`docs/tomorois/learning_study.csv`; with another ``--csv`` everything is trained anew.
Scores are of ROIs cut from the confidence map at the threshold that training chose, none of the unseen in
it: contacts split by membrane pairs, buds by watershed, ROIs under half the smallest annotated one dropped.
The U-Net is MONAI's where that is installed; its rows are left out where it is not.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # processor seconds of one thread are what is compared

import numpy as np
import torch
from learning_limits import error_shares
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tomocore.formats import read_volume
from tomocore.roiset import RoiSet, read_rois, union_mask
from tomocore.volume import Volume
from tomorois.augment import AugmentSettings, apply_to_image, apply_to_labels, draw_augmentation
from tomorois.checkpoint import load_model
from tomorois.contacts import membrane_instances
from tomorois.evaluate import Evaluation, ScoredTomogram, evaluate
from tomorois.imaging import ImagingSettings, wedge_angle_deg
from tomorois.instances import InstanceSettings, find_instances
from tomorois.intensity import prepare_tomogram, unbin_to_shape
from tomorois.loss import masked_loss
from tomorois.msdnet.network import MSDNetConfig
from tomorois.patches import PatchSampler, TrainingVolume, patch_shape
from tomorois.phantom import IGNORE, PhantomSettings, make_phantom, write_phantoms
from tomorois.predict import PredictSettings, predict_confidence
from tomorois.train import split_held_out, train
from tomorois.training_data import TrainingTomogram, training_volume
from tomorois.training_loop import LiveTraining, TrainSettings
from tomorois.validation import CONFIDENCE_BINS, ConfidenceCounts, best_threshold

CSV = Path(__file__).parents[1] / "docs" / "tomorois" / "learning_study.csv"
TARGETS = {"false_positives": 0.02, "missed": 0.01, "dice": 0.93}
PUBLISHED = {"false_positives": 0.17, "missed": 0.03, "dice": 0.89}
ANNOTATED, UNSEEN = 14, {"contacts": 12, "invaginations": 10}
RAW_UNSEEN = 10
TIMED_STEPS = 30
SECONDS, LONG_SECONDS = 60.0, 150.0
ROIS = "annotated ROIs"
OVERHEAD = 1.3  # scoring included
Maps = tuple[NDArray[Any], ...]
Predictor = Callable[["Unseen", int], Volume]


@dataclass(frozen=True)
class Case:
    """One line of a table: what is annotated, how it is learned, and for how many processor seconds."""

    study: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    kind: str = "contacts"
    noise: str = "denoised"
    rois: int = 50
    seconds: float = SECONDS
    seeds: int = 1
    maps: str = ""
    learner: str = "msd"
    errors: bool = False
    orientations: int = 1


@dataclass(frozen=True)
class Unseen:
    """A phantom with its truth, and the single membranes by which contacts are split."""

    sample: TrainingTomogram
    truth: RoiSet
    membranes: Volume


@dataclass(frozen=True)
class Learned:
    """What a training left: how to predict, the threshold it chose, and what it took."""

    predict: Predictor
    threshold: float
    steps: int
    seconds: float


def network(**changes: Any) -> dict[str, Any]:
    """Settings with another network."""
    return {"network": MSDNetConfig(**changes)}


def cases() -> list[Case]:
    """The whole study, in the order in which it is trained."""
    no_tone = {"contrast_spread": 0, "brightness_spread": 0, "noise_share": 0, "blur_share": 0}
    two_channels = network(input_channels=2)
    long: dict[str, Any] = {"seconds": LONG_SECONDS, "errors": True, "orientations": 4}
    return [
        Case(ROIS, "50 contacts", seeds=2, errors=True),
        Case("settings", "bin 2", {"bin_factor": 2}),
        Case("settings", "MONAI U-Net", learner="unet"),
        Case(ROIS, "10 contacts", rois=10),
        Case(ROIS, "50 buds", kind="invaginations"),
        Case("settings", "32 layers", network(layers=32)),
        Case("settings", "wedge-cut membrane map", two_channels, maps="seen"),
        Case(ROIS, "50 contacts, raw noise", noise="raw"),
        Case(ROIS, "25 contacts", rois=25),
        Case(ROIS, "10 buds", rois=10, kind="invaginations"),
        Case("settings", "true membrane map", two_channels, maps="membranes"),
        Case("settings", "dilations 1…10 (published)", network(dilations=tuple(range(1, 11)))),
        Case("settings", "dilations 1, 2, 4", network(dilations=(1, 2, 4))),
        Case("settings", "class weight 1", {"class_weight": 1.0}),
        Case("settings", "Dice term 0.5", {"dice_weight": 0.5}),
        Case("settings", "patch 24³", {"patch_voxels": 24}),
        Case("settings", "patch 48³", {"patch_voxels": 48}),
        Case("settings", "bin 4", {"bin_factor": 4}),
        Case("settings", "no augmentation", {"augmentation": AugmentSettings(flips=False, **no_tone)}),
        Case("settings", "flips alone", {"augmentation": AugmentSettings(**no_tone)}),
        Case(ROIS, "25 buds", rois=25, kind="invaginations"),
        Case("long", f"50 contacts, {LONG_SECONDS:g} CPU-s", **long),
        Case("long", "50 contacts and wedge-cut membrane map", two_channels, maps="seen", **long),
    ]


@cache
def phantoms(folder: Path, kind: str, noise: str, seed: int, count: int) -> list[Unseen]:
    """Phantoms with their truth, made where they are not there yet."""
    imaging = ImagingSettings(flavour="raw" if noise == "raw" else "denoised")
    paths = write_phantoms(folder / noise, kind, count, seed, PhantomSettings(imaging=imaging))  # type: ignore[arg-type]
    found = []
    for path in paths:
        beside = {what: path.with_name(f"{path.stem}__{what}.mrc") for what in ("labels", "membranes")}
        labels = read_volume(beside["labels"]).data
        sample = TrainingTomogram(path.stem, read_volume(path), labels)
        truth = read_rois(path.with_name(f"{path.stem}__truth.npz"))
        found.append(Unseen(sample, truth, read_volume(beside["membranes"])))
    return found


def annotated_count(case: Case) -> int:
    """Phantoms that hold the ROIs asked for, with some to spare."""
    return max(ANNOTATED, round(0.25 * case.rois))


def maps_of(item: Unseen, which: str) -> Maps:
    """Further input channels: none, the true membranes, or those whose normals the tilts reach."""
    if not which:
        return ()
    mask = (np.asarray(item.membranes.data) > 0).astype(np.float32)
    return (mask if which == "membranes" else mask * seen_by_tilts(mask),)


def seen_by_tilts(mask: NDArray[np.float32], sigma: float = 2.5, most_deg: float = 60.0) -> NDArray[np.bool_]:
    """Where a membrane's normal (first axis of the structure tensor) lies within the tilts about y."""
    slopes = np.gradient(gaussian_filter(mask, 1.0))
    products = {(a, b): gaussian_filter(slopes[a] * slopes[b], sigma) for a in range(3) for b in range(a, 3)}
    places = np.argwhere(mask > 0)
    tensor = np.empty((len(places), 3, 3))
    for (a, b), product in products.items():
        tensor[:, a, b] = tensor[:, b, a] = product[tuple(places.T)]
    normals = np.linalg.eigh(tensor)[1][:, ::-1, -1]  # z, y, x to x, y, z
    seen = np.zeros(mask.shape, dtype=bool)
    seen[tuple(places.T)] = wedge_angle_deg(normals) <= most_deg
    return seen


def with_annotated(pool: Sequence[Unseen], count: int, seed: int) -> list[Unseen]:
    """Phantoms in a drawn order until they hold so many ROIs; those too many in the last are ignored.

    Unlike `tomorois.learning_curve`, ROIs that touch count as they are in the truth, not as one place.
    """
    chosen: list[Unseen] = []
    for index in np.random.default_rng(seed).permutation(len(pool)):
        item = pool[index]
        truth = item.truth
        if len(truth) > count:
            kept = union_mask(truth.at(np.arange(len(truth)) < count)).data != 0
            labels = np.asarray(item.sample.labels).copy()
            labels[(labels == 1) & ~kept] = IGNORE
            truth = truth.at(np.arange(len(truth)) < count)
            item = replace(item, sample=replace(item.sample, labels=labels), truth=truth)
        chosen.append(item)
        count -= len(truth)
        if count == 0:
            return chosen
    raise ValueError(f"the phantoms hold {count} ROIs too few")


def learn(case: Case, seed: int, folder: Path) -> tuple[Learned, list[Unseen]]:
    """Train on the annotated part of the phantoms; also that part."""
    pool = phantoms(folder, case.kind, case.noise, 1, annotated_count(case))
    settings = TrainSettings(**{**case.settings, "seed": seed})
    taught = with_annotated(pool, case.rois, seed)
    samples = [replace(item.sample, maps=maps_of(item, case.maps)) for item in taught]
    if case.learner == "unet":
        return learn_unet(samples, settings, case.seconds), taught
    return learn_msd(samples, settings, case), taught


def learn_msd(samples: Sequence[TrainingTomogram], settings: TrainSettings, case: Case) -> Learned:
    """Train with as many steps as fit into the processor seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        model_path = Path(scratch) / "model.safetensors"
        clock: list[float] = []
        twice = settings.validation.model_copy(update={"checks": 2})
        first = settings.model_copy(update={"steps": TIMED_STEPS, "validation": twice})

        def watch(live: LiveTraining) -> None:
            clock.append(time.process_time())

        train(samples, [], first, model_path, observer=watch)
        paces = np.diff(clock)
        pace = float(np.median(paces[5:-1]))
        checks = (float(paces[-1]) - pace) * settings.validation.checks
        steps = max(TIMED_STEPS, int((case.seconds - checks) / pace))
        start = time.process_time()
        result = train(samples, [], settings.model_copy(update={"steps": steps}), model_path)
        seconds = time.process_time() - start
        model, record = load_model(model_path)

    def predict(item: Unseen, orientations: int) -> Volume:
        maps = [item.sample.tomogram.with_data(channel) for channel in maps_of(item, case.maps)]
        ways = PredictSettings(orientations=orientations)  # type: ignore[arg-type]
        return predict_confidence(model, record, item.sample.tomogram, ways, maps=maps)

    return Learned(predict, result.threshold, steps, seconds)


def learn_unet(samples: Sequence[TrainingTomogram], settings: TrainSettings, seconds: float) -> Learned:
    """MONAI's U-Net on the same patches, loss and validation, for the same processor seconds."""
    from monai.networks.nets import UNet

    volumes = [
        training_volume(
            s, settings.bin_factor, settings.penalty.weight, settings.annotation, settings.intensity
        )
        for s in samples
    ]
    taught, watched = split_held_out(volumes, settings.validation.held_out_fraction)
    torch.manual_seed(settings.seed)
    net = UNet(3, 1, 1, channels=(16, 32, 64), strides=(2, 2), num_res_units=1, norm="instance")
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    )
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    sampler = PatchSampler(
        taught, patch_shape(taught, settings.patch_voxels), settings.roi_fraction, seed=settings.seed
    )
    start, steps = time.process_time(), 0
    while (share := (time.process_time() - start) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 2e-3 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * share)))
        image, target, weight = batch_of(sampler, taught, settings, steps)
        loss = masked_loss(
            unet_logits(net, image), target, weight, settings.class_weight, settings.dice_weight
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), settings.gradient_clip)
        optimiser.step()
        average.update_parameters(net)
        steps += 1
    used = time.process_time() - start
    average.eval()
    threshold = unet_threshold(average, watched or taught)

    def predict(item: Unseen, orientations: int) -> Volume:
        tomogram = item.sample.tomogram
        image = prepare_tomogram(tomogram.data, settings.bin_factor, settings.intensity)
        confidence = unet_confidence(average, image[None])
        return tomogram.with_data(unbin_to_shape(confidence, settings.bin_factor, tomogram.shape))

    return Learned(predict, threshold, steps, used)


def batch_of(
    sampler: PatchSampler, volumes: Sequence[TrainingVolume], settings: TrainSettings, step: int
) -> tuple[torch.Tensor, ...]:
    """Images, targets and weights of one step, varied as `train` does."""
    parts: list[tuple[NDArray[np.float32], ...]] = []
    for place, rng in sampler.places(step, settings.batch):
        volume, varied = volumes[place.volume], draw_augmentation(rng, settings.augmentation)
        image = apply_to_image(varied, volume.image[(slice(None), *place.box)].astype(np.float32))
        labels = [
            apply_to_labels(varied, array[place.box].astype(np.float32))
            for array in (volume.target, volume.weight)
        ]
        parts.append((image, *labels))
    return tuple(torch.from_numpy(np.stack(arrays)) for arrays in zip(*parts, strict=True))


def unet_logits(net: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Logits (B, Z, Y, X) of images (B, C, Z, Y, X), padded to what the strides need."""
    depth, height, width = image.shape[2:]
    ends = [pad for n in (width, height, depth) for pad in (0, -n % 4)]
    logits: torch.Tensor = net(torch.nn.functional.pad(image, ends, mode="replicate"))
    return logits[:, 0, :depth, :height, :width]


def unet_confidence(net: torch.nn.Module, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Confidences (z, y, x) of a whole binned volume (channels, z, y, x)."""
    with torch.no_grad():
        return torch.sigmoid(unet_logits(net, torch.from_numpy(image[None])))[0].numpy()


def unet_threshold(net: torch.nn.Module, volumes: Sequence[TrainingVolume]) -> float:
    """The threshold of highest Dice on volumes, as `train` finds it."""
    counts = np.zeros((2, CONFIDENCE_BINS))
    for volume in volumes:
        confidence = unet_confidence(net, volume.image.astype(np.float32))
        for row, chosen in enumerate((volume.target >= 0.5, volume.target < 0.5)):
            counts[row] += np.histogram(confidence[chosen], CONFIDENCE_BINS, (0, 1))[0]
    return best_threshold(ConfidenceCounts(*counts))[0]


def scored(case: Case, learned: Learned, taught: Sequence[Unseen], folder: Path) -> dict[str, float]:
    """Scores on the unseen phantoms; Dice of the bare map there, mirrored copies averaged, and taught."""
    unseen = phantoms(folder, case.kind, case.noise, 2, unseen_count(case))
    smallest = min(float(item.truth.table["volume_nm3"].min()) for item in taught)
    instances = InstanceSettings(
        threshold=learned.threshold,
        split="contacts" if case.kind == "contacts" else "watershed",
        min_volume_nm3=0.5 * smallest,
    )
    results, confidences = [], []
    for item in unseen:
        confidence = learned.predict(item, case.orientations)
        confidences.append(confidence if case.orientations == 1 else learned.predict(item, 1))
        membranes = membrane_instances(item.membranes) if case.kind == "contacts" else None
        found = find_instances(confidence, instances, membranes)
        results.append(ScoredTomogram(item.sample.name, found, item.truth, ignored=ignored(item)))
    bare = [dice_of_map(c, item, learned.threshold) for c, item in zip(confidences, unseen, strict=True)]
    seen = [dice_of_map(learned.predict(item, 1), item, learned.threshold) for item in taught]
    row = numbers_of(evaluate(results))
    row |= {"dice_map": pooled(bare), "dice_training": pooled(seen)}
    if case.orientations > 1:
        turned = [
            dice_of_map(learned.predict(item, case.orientations), item, learned.threshold) for item in unseen
        ]
        row["dice_map_mirrored"] = pooled(turned)
    return row


def unseen_count(case: Case) -> int:
    return RAW_UNSEEN if case.noise == "raw" else UNSEEN[case.kind]


def ignored(item: Unseen) -> Volume:
    """Places that are not judged: contacts too small to count."""
    return item.membranes.with_data(np.asarray(item.sample.labels) == 255)


def dice_of_map(confidence: Volume, item: Unseen, threshold: float) -> NDArray[np.float64]:
    """Shared, called and true voxels of the map at a threshold, no ROIs formed."""
    judged = np.asarray(item.sample.labels) != 255
    called, true = (confidence.data >= threshold) & judged, union_mask(item.truth).data != 0
    return np.array(
        [np.count_nonzero(called & true), np.count_nonzero(called), np.count_nonzero(true & judged)]
    )


def pooled(counts: Sequence[NDArray[np.float64]]) -> float:
    """Dice over all tomograms together."""
    shared, called, true = np.sum(counts, axis=0)
    return float(2 * shared / (called + true))


def numbers_of(evaluation: Evaluation) -> dict[str, float]:
    """The columns of the CSV that come from an evaluation."""
    scores, counts = evaluation.scores, evaluation.counts
    row = {name: counts[name] for name in ("truth", "tp", "fp", "fn")}
    row |= {"dice": scores["dice_pooled"]["value"], "dice_low": scores["dice_pooled"]["low"]}
    row |= {"dice_high": scores["dice_pooled"]["high"], "roi_dice": evaluation.per_roi["dice_mean"]}
    for name, tilts in zip(("xy", "oblique", "upright", "round"), evaluation.orientation, strict=True):
        row |= {f"{name}_found": tilts["found"], f"{name}_truth": tilts["truth"]}
    return row


ERROR_PHANTOMS, ERROR_COLUMNS = 4, ("training", "error", "share")
IDENTITY = ("study", "name", "kind", "noise", "learner", "rois", "seed", "budget_s")
RESULTS = (
    "cpu_s",
    "steps",
    "threshold",
    "truth",
    "tp",
    "fp",
    "fn",
    "dice",
    "dice_low",
    "dice_high",
    "roi_dice",
)
RESULTS += ("dice_map", "dice_map_mirrored", "dice_training")
RESULTS += tuple(
    f"{name}_{what}" for name in ("xy", "oblique", "upright", "round") for what in ("found", "truth")
)


def identity(case: Case, seed: int) -> dict[str, str]:
    """What tells one training from the others, as the CSV has it."""
    values = (
        case.study,
        case.name,
        case.kind,
        case.noise,
        case.learner,
        case.rois,
        seed,
        f"{case.seconds:g}",
    )
    return dict(zip(IDENTITY, map(str, values), strict=True))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The trainings made so far."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Add lines to a CSV."""
    new = not path.is_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        if new:
            writer.writeheader()
        writer.writerows(as_text(row) for row in rows)


def run(case: Case, seed: int, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One training and its scores; where its errors lie, if the case asks for it (first seed)."""
    learned, taught = learn(case, seed, folder)
    found = {"cpu_s": learned.seconds, "steps": learned.steps, "threshold": learned.threshold}
    row = {**identity(case, seed), **found, **scored(case, learned, taught, folder)}
    return row, errors_of(case, learned, folder) if case.errors and seed == 0 else []


def errors_of(case: Case, learned: Learned, folder: Path) -> list[dict[str, Any]]:
    """Voxels of each kind of error, as shares of the true ones, in the first unseen phantoms."""
    totals: dict[str, float] = {}
    for index, item in enumerate(
        phantoms(folder, case.kind, case.noise, 2, unseen_count(case))[:ERROR_PHANTOMS]
    ):
        phantom = make_phantom(case.kind, 2, PhantomSettings(), index)  # type: ignore[arg-type]
        found = error_shares(learned.predict(item, 1), learned.threshold, phantom)
        totals = {name: totals.get(name, 0.0) + count for name, count in found.items()}
    true = totals.pop("true")
    name = f"{case.name.split(',')[0]}, {case.seconds:g} CPU-s"
    return [{"training": name, "error": error, "share": count / true} for error, count in totals.items()]


def share(row: dict[str, str], part: str, *whole: str) -> float:
    """A rate from counts in the CSV; NaN of nothing."""
    total = sum(float(row[name]) for name in whole)
    return float(row[part]) / total if total else float("nan")


VALUES: dict[str, Callable[[dict[str, str]], float]] = {
    "steps": lambda row: float(row["steps"]),
    "CPU-s": lambda row: float(row["cpu_s"]),
    "false positives": lambda row: share(row, "fp", "tp", "fp"),
    "missed": lambda row: share(row, "fn", "tp", "fn"),
    "Dice": lambda row: float(row["dice"]),
    "Dice of each ROI found": lambda row: float(row["roi_dice"]),
    "map alone": lambda row: float(row["dice_map"]),
    "…mirrored": lambda row: float(row.get("dice_map_mirrored") or "nan"),
    "…in training": lambda row: float(row["dice_training"]),
}
ORIENTATIONS = {"lying in XY (0–30°)": "xy", "oblique (30–60°)": "oblique", "upright (60–90°)": "upright"}


def shown(name: str, values: Sequence[float]) -> str:
    """The mean of several trainings, and how far the extremes lie apart."""
    if name in ("steps", "CPU-s"):
        return f"{np.mean(values):.0f}"
    if name in ("false positives", "missed"):
        return f"{np.mean(values):.1%}"
    if np.isnan(values).any():
        return "–"
    spread = f" ± {(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def lines_of(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """The trainings of each line of a table, by the line's name."""
    lines: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        lines.setdefault(row["name"], []).append(row)
    return lines


def table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table, a line for each name, means over its trainings."""
    text = ["| | trainings | " + " | ".join(VALUES) + " |", "|---" * (len(VALUES) + 2) + "|"]
    for name, same in lines_of(rows).items():
        cells = [shown(title, [value(row) for row in same]) for title, value in VALUES.items()]
        text.append(f"| {name} | {len(same)} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def orientation_table(rows: Sequence[dict[str, str]]) -> str:
    """Recall by how the ROI lies, all trainings of a study together."""
    text = ["| contact | true | found | recall |", "|---|---|---|---|"]
    for title, name in ORIENTATIONS.items():
        found, truth = (sum(int(row[f"{name}_{what}"]) for row in rows) for what in ("found", "truth"))
        text.append(f"| {title} | {truth} | {found} | {found / max(truth, 1):.1%} |")
    return "\n".join(text)


def verdicts(rows: Sequence[dict[str, str]]) -> list[str]:
    """Each target beside what was reached, misses marked."""
    told = []
    for name, same in lines_of(rows).items():
        wanted = PUBLISHED if same[0]["rois"] == "10" else TARGETS
        for score, target in wanted.items():
            title = {"false_positives": "false positives", "missed": "missed", "dice": "Dice"}[score]
            reached = float(np.mean([VALUES[title](row) for row in same]))
            met = reached >= target if score == "dice" else reached <= target
            sign = "≥" if score == "dice" else "≤"
            told.append(
                f"| {name} | {title} | {sign} {target:g} | {reached:.3f} | {'met' if met else 'MISS'} |"
            )
    return told


def print_tables(rows: Sequence[dict[str, str]]) -> None:
    """Every study's table, then the targets."""
    for study in dict.fromkeys(row["study"] for row in rows):
        kept = [row for row in rows if row["study"] == study]
        if study == "settings":
            kept = [row for row in rows if (row["study"], row["name"]) == (ROIS, "50 contacts")] + kept
        print(f"\n{study}\n\n{table(kept)}")
    by_study = [row for row in rows if row["study"] in (ROIS, "long")]
    contacts = [row for row in by_study if row["kind"] == "contacts" and row["noise"] == "denoised"]
    print(f"\nrecall by orientation, contacts of the last two studies\n\n{orientation_table(contacts)}")
    print("\n| trained on | score | target | reached | |\n|---|---|---|---|---|")
    print("\n".join(verdicts([row for row in by_study if row["rois"] != "25"])))


def main() -> None:
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csv", type=Path, default=CSV, help="results, read and added to")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "learning_study")
    parser.add_argument("--only", default="", help="part of a study's or a line's name")
    parser.add_argument("--train", action="store_true", help="train what the results lack")
    parser.add_argument("--quick", action="store_true", help="two short trainings, stored nowhere")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        quick = [Case("quick", f"{n} contacts, 15 CPU-s", rois=n, seconds=15.0, seeds=1) for n in (10, 25)]
        return print_tables([as_text(run(case, 0, options.data)[0]) for case in quick])
    chosen = [case for case in cases() if options.only in f"{case.study}: {case.name}"]
    missing = missing_of(chosen, read_rows(options.csv))
    minutes = OVERHEAD * sum(case.seconds for case, _ in missing) / 60
    print(f"{len(missing)} trainings to do, about {minutes:.0f} minutes of processor time", flush=True)
    for case, seed in missing if options.train else []:
        if case.learner == "unet" and importlib.util.find_spec("monai") is None:
            print(f"{case.name}: left out, MONAI is not installed")
            continue
        row, errors = run(case, seed, options.data)
        append_rows(options.csv, IDENTITY + RESULTS, [row])
        append_rows(options.csv.with_name("learning_errors.csv"), ERROR_COLUMNS, errors)
        print(f"{case.study}: {case.name}, seed {seed}: done", flush=True)
    print_tables(read_rows(options.csv))


def missing_of(chosen: Sequence[Case], rows: Sequence[dict[str, str]]) -> list[tuple[Case, int]]:
    """The trainings that have no row yet, every case's first seed before any second."""
    done = [{name: row[name] for name in IDENTITY} for row in rows]
    seeds = range(max((case.seeds for case in chosen), default=0))
    wanted = [(case, seed) for seed in seeds for case in chosen if seed < case.seeds]
    return [(case, seed) for case, seed in wanted if identity(case, seed) not in done]


def as_text(row: dict[str, Any]) -> dict[str, str]:
    """A row as the CSV has it."""
    return {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items()}


if __name__ == "__main__":
    main()
