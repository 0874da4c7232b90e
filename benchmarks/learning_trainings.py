"""Trainings of the learning study: phantoms, what is annotated in them, networks that learn from it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tomocore.roiset import RoiSet, read_rois, union_mask
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.network.binning import unbin_to_shape
from tomorois.network.checkpoint import load_model
from tomorois.network.intensity import prepare_tomogram
from tomorois.network.membrane_input import input_channels, membrane_channels
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet
from tomorois.network.settings import CHANNELS
from tomorois.phantoms.imaging import ImagingSettings, tilt_from_x_deg
from tomorois.phantoms.phantom import IGNORE, PhantomSettings, write_phantoms
from tomorois.prediction.predict import predict_confidence
from tomorois.prediction.settings import PredictSettings
from tomorois.training.augment import apply_to_image, apply_to_labels, draw_augmentation
from tomorois.training.data import TrainingTomogram, training_volume
from tomorois.training.loop import LiveTraining
from tomorois.training.loss import masked_loss
from tomorois.training.patches import PatchSampler, TrainingVolume, patch_shape
from tomorois.training.settings import TrainSettings, with_membranes
from tomorois.training.train import split_held_out, train
from tomorois.training.validation import CONFIDENCE_BINS, ConfidenceCounts, best_threshold

ANNOTATED, UNSEEN = 14, {"contacts": 12, "invaginations": 10}
RAW_UNSEEN = 10
TIMED_STEPS = 30
REFERENCE_PER_SECOND = 50  # reference steps that count as a processor second, about what an idle core does
REFERENCE_EVERY = 10  # steps of a training that is timed all along
SECONDS, DRAWING_SECONDS, DRAWING_BIN = 60.0, 120.0, 2
ORIENTATIONS = 4  # mirrored copies that are averaged
Beside = Literal["", "true", "seen", "drawn", "coarse"]
MembranesOf = Callable[["Unseen"], Volume | None]
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
    seconds: float = SECONDS  # of one thread of an idle core: REFERENCE_PER_SECOND reference steps each
    drawing_seconds: float = DRAWING_SECONDS  # of the network that draws membranes, where it is to
    seeds: int = 1
    membranes: Beside = ""
    learner: str = "msd"
    errors: bool = False
    spread: bool = False  # one annotated ROI in each tomogram, instead of all of a few tomograms
    refines: Case | None = None  # whose false ROIs elsewhere are rejected: `learning_curation`

    @property
    def budget_seconds(self) -> float:
        """Processor seconds of all its trainings."""
        if self.refines:
            return self.refines.budget_seconds + self.seconds
        drawing = self.drawing_seconds if self.membranes in ("drawn", "coarse") else 0.0
        return self.seconds * (2 if self.membranes == "coarse" else 1) + drawing

    def stem(self, seed: int) -> str:
        """A file name for one training."""
        parts = self.study, self.name, self.kind, f"{self.budget_seconds:g}s", f"seed{seed}"
        return "".join(letter if letter.isalnum() else "_" for letter in "_".join(parts))


@dataclass(frozen=True)
class Unseen:
    """A phantom with its truth, and the single membranes by which contacts are split."""

    sample: TrainingTomogram
    truth: RoiSet
    membranes: Volume


@dataclass(frozen=True)
class Learned:
    """What a training left: how to predict, the threshold it chose, what it took, and its model if stored."""

    predict: Predictor
    threshold: float
    steps: int
    seconds: float
    model: Path | None = None


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


def unseen_count(case: Case) -> int:
    return RAW_UNSEEN if case.noise == "raw" else UNSEEN[case.kind]


def annotated_count(case: Case) -> int:
    """Phantoms that hold the ROIs asked for, with some to spare."""
    return max(ANNOTATED, round(0.25 * case.rois))


def membranes_beside(
    case: Case, taught: Sequence[Unseen], seed: int, folder: Path
) -> tuple[MembranesOf, float]:
    """What gives a phantom's membranes for the network's input, and the processor seconds that it took."""
    if case.membranes == "drawn":
        parts = (
            case.kind,
            case.noise,
            f"{case.rois}rois{'_spread' * case.spread}",
            f"seed{seed}",
            f"{case.drawing_seconds:g}s",
        )
        return drawn_membranes(taught, seed, case.drawing_seconds, folder / "drawn" / "_".join(parts))
    if case.membranes == "coarse":
        return coarse_confidence(case, taught, seed, folder)
    return {"": lambda _: None, "true": true_membranes, "seen": seen_membranes}[case.membranes], 0.0


def coarse_confidence(
    case: Case, taught: Sequence[Unseen], seed: int, folder: Path
) -> tuple[MembranesOf, float]:
    """The confidence of a network with the default settings, for a second one to refine."""
    first = replace(case, name="first pass", settings={}, membranes="drawn")
    learned, _ = learn(first, seed, folder)
    maps: dict[str, Volume] = {}

    def confidence(item: Unseen) -> Volume:
        name = item.sample.name
        if name not in maps:
            maps[name] = learned.predict(item, ORIENTATIONS)
        return maps[name]

    return confidence, learned.seconds


def true_membranes(item: Unseen) -> Volume:
    """All membranes as a mask."""
    return item.membranes.with_data((np.asarray(item.membranes.data) > 0).astype(np.float32))


def seen_membranes(item: Unseen) -> Volume:
    """The membranes whose normals the tilts reach."""
    mask = np.asarray(true_membranes(item).data)
    return item.membranes.with_data(mask * seen_by_tilts(mask))


def drawn_membranes(
    taught: Sequence[Unseen], seed: int, seconds: float, folder: Path
) -> tuple[MembranesOf, float]:
    """Membranes as a network draws them that learned from those of the annotated phantoms; kept."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [
        replace(item.sample, labels=np.asarray(true_membranes(item).data, np.uint8)) for item in taught
    ]
    drawer = learn_msd(
        samples, TrainSettings(bin_factor=DRAWING_BIN, seed=seed), seconds, lambda _: None, folder / "model"
    )

    def draw(item: Unseen) -> Volume:
        path = folder / f"{item.sample.name}__membranes.mrc"
        if not path.is_file():
            write_volume(path, drawer.predict(item, ORIENTATIONS))
        return read_volume(path)

    return draw, drawer.seconds


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
    seen[tuple(places.T)] = tilt_from_x_deg(normals) <= most_deg
    return seen


def with_annotated(pool: Sequence[Unseen], count: int, seed: int) -> list[Unseen]:
    """Phantoms in a drawn order until they hold so many ROIs; those too many in the last are ignored.

    Unlike in `tomorois.guidance.learning_curve`, ROIs that touch count as in the truth, not as one place.
    """
    chosen: list[Unseen] = []
    for index in np.random.default_rng(seed).permutation(len(pool)):
        item = pool[index]
        if len(item.truth) > count:
            item = with_some(item, np.arange(len(item.truth)) < count)
        chosen.append(item)
        count -= len(item.truth)
        if count == 0:
            return chosen
    raise ValueError(f"the phantoms hold {count} ROIs too few")


def with_one_each(pool: Sequence[Unseen], count: int, seed: int) -> list[Unseen]:
    """One drawn ROI annotated in each of so many phantoms, the others to be ignored."""
    rng = np.random.default_rng(seed)
    with_rois = [index for index in rng.permutation(len(pool)) if len(pool[index].truth)]
    if len(with_rois) < count:
        raise ValueError(f"{len(with_rois)} phantoms hold ROIs; {count} are asked for")
    sizes = [(index, len(pool[index].truth)) for index in with_rois[:count]]
    return [with_some(pool[index], np.arange(size) == rng.integers(size)) for index, size in sizes]


def with_some(item: Unseen, chosen: NDArray[np.bool_]) -> Unseen:
    """The phantom with some of its ROIs annotated and the others to be ignored."""
    truth = item.truth.at(chosen)
    labels = np.asarray(item.sample.labels).copy()
    labels[(labels == 1) & (union_mask(truth).data == 0)] = IGNORE
    return replace(item, sample=replace(item.sample, labels=labels), truth=truth)


def learn(case: Case, seed: int, folder: Path) -> tuple[Learned, list[Unseen]]:
    """Train on the annotated part of the phantoms; also that part."""
    pool = phantoms(folder, case.kind, case.noise, 1, annotated_count(case))
    settings = TrainSettings(**{**case.settings, "seed": seed})
    taught = (with_one_each if case.spread else with_annotated)(pool, case.rois, seed)
    beside, drawing_seconds = membranes_beside(case, taught, seed, folder)
    samples = [replace(item.sample, membranes=beside(item)) for item in taught]
    if case.membranes:
        settings = with_membranes(settings)
    if case.learner == "unet":
        learned = learn_unet(samples, settings, case.seconds, beside)
    else:
        learned = learn_msd(samples, settings, case.seconds, beside, folder / "trained" / case.stem(seed))
    return replace(learned, seconds=learned.seconds + drawing_seconds), taught


def learn_msd(
    samples: Sequence[TrainingTomogram],
    settings: TrainSettings,
    seconds: float,
    beside: MembranesOf,
    path: Path,
    init: Path | None = None,
) -> Learned:
    """Train (``init`` further) with as many steps as fit into so much work; a model that is there is kept."""
    told = hashlib.blake2b(f"{settings.model_dump_json()} {seconds}".encode(), digest_size=4).hexdigest()
    path = path.with_name(f"{path.name}_{told}.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        steps = steps_that_fit(samples, settings, seconds, path.with_name(f"{path.stem}_timed.safetensors"))
        start = time.process_time()
        train(samples, [], settings.model_copy(update={"steps": steps}), path, init=init)
        used = {"steps": steps, "seconds": time.process_time() - start}
        path.with_suffix(".json").write_text(json.dumps(used), encoding="utf-8")
    model, record = load_model(path)
    used = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))

    def predict(item: Unseen, orientations: int) -> Volume:
        ways = PredictSettings(orientations=orientations)  # type: ignore[arg-type]
        return predict_confidence(model, record, item.sample.tomogram, ways, membranes=beside(item))

    return Learned(predict, record.threshold, int(used["steps"]), used["seconds"], path)


def steps_that_fit(
    samples: Sequence[TrainingTomogram], settings: TrainSettings, seconds: float, path: Path
) -> int:
    """Steps that a training can take within its share of work, as the first ones and a validation tell."""
    costs: list[float] = []
    twice = settings.validation.model_copy(update={"checks": 2})
    first = settings.model_copy(update={"steps": TIMED_STEPS, "validation": twice})
    reference = ReferenceStep()
    start = time.process_time()

    def watch(live: LiveTraining) -> None:
        nonlocal start
        costs.append((time.process_time() - start) / reference.seconds())
        start = time.process_time()

    train(samples, [], first, path, observer=watch)
    cost = float(np.median(costs[5:-1]))
    checks = (costs[-1] - cost) * settings.validation.checks
    return max(TIMED_STEPS, int((seconds * REFERENCE_PER_SECOND - checks) / cost))


class ReferenceStep:
    """Forward and back through the default network with membranes, on one patch: the unit of work.

    Whatever else a machine does slows it down as it does the training timed beside it.
    """

    def __init__(self) -> None:
        self.model = MSDNet(MSDNetConfig(input_channels=1 + CHANNELS), seed=0)
        self.patch = torch.from_numpy(
            np.random.default_rng(0).random((1, 1 + CHANNELS, 32, 32, 32), np.float32)
        )
        self.seconds()  # compiles

    def seconds(self) -> float:
        """Processor seconds that it takes now."""
        start = time.process_time()
        self.model(self.patch).mean().backward()
        return time.process_time() - start


def learn_unet(
    samples: Sequence[TrainingTomogram], settings: TrainSettings, seconds: float, beside: MembranesOf
) -> Learned:
    """MONAI's U-Net on the same patches, loss and validation, for the same share of work."""
    from monai.networks.nets import UNet

    volumes = [
        training_volume(
            s, settings.bin_factor, settings.penalty.weight, settings.annotation, settings.intensity
        )
        for s in samples
    ]
    taught, watched = split_held_out(volumes, settings.validation.held_out_fraction)
    torch.manual_seed(settings.seed)
    channels = input_channels(samples[0].membranes)
    net = UNet(3, channels, 1, channels=(16, 32, 64), strides=(2, 2), num_res_units=1, norm="instance")
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    )
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    sampler = PatchSampler(
        taught, patch_shape(taught, settings.patch_voxels), settings.roi_fraction, seed=settings.seed
    )
    reference, steps, share, used = ReferenceStep(), 0, 0.0, 0.0
    unit = reference.seconds()
    while share < 1:
        begun = time.process_time()
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
        spent = time.process_time() - begun
        used += spent
        share += spent / unit / (seconds * REFERENCE_PER_SECOND)
        if steps % REFERENCE_EVERY == 0:
            unit = reference.seconds()
    average.eval()
    threshold = unet_threshold(average, watched or taught)

    def predict(item: Unseen, orientations: int) -> Volume:
        tomogram = item.sample.tomogram
        image = [prepare_tomogram(tomogram.data, settings.bin_factor, settings.intensity)]
        if (membranes := beside(item)) is not None:
            image += [*membrane_channels(membranes, settings.bin_factor, settings.membranes)]
        confidence = unet_confidence(average, np.stack(image))
        return tomogram.with_data(unbin_to_shape(confidence, settings.bin_factor, tomogram.shape))

    return Learned(predict, threshold, steps, used)


def batch_of(
    sampler: PatchSampler, volumes: Sequence[TrainingVolume], settings: TrainSettings, step: int
) -> tuple[torch.Tensor, ...]:
    """Images, targets and weights of one step, varied as `train` does."""
    parts: list[tuple[NDArray[np.float32], ...]] = []
    for place, rng in sampler.places(step, settings.batch):
        volume = volumes[place.volume]
        varied = draw_augmentation(rng, settings.augmentation, place.shape[1] == place.shape[2])
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
