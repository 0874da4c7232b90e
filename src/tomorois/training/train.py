"""Training of a network, from annotated tomograms to a model file."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from tomocore.contract import InputError, Progress, no_progress
from tomocore.provenance import file_hash
from tomocore.side_files import StoredRow, checked
from tomorois.network.checkpoint import ModelRecord, load_model, load_training_state, save_model
from tomorois.network.intensity import intensity_skewness
from tomorois.network.membrane_input import input_channels
from tomorois.network.msdnet.module import MSDNet
from tomorois.training.data import (
    DIFFERENT_VOXEL_SIZE,
    HASH_LETTERS,
    TrainingTomogram,
    common_voxel_size_nm,
    content_hash,
    require_rois,
    training_volume,
    warn_of_polarity,
)
from tomorois.training.loop import (
    LiveTraining,
    NotANumber,
    Observer,
    Training,
    TrainingState,
)
from tomorois.training.loss import put_flat
from tomorois.training.patches import TrainingVolume
from tomorois.training.settings import NOT_PART_OF_A_TRAINING, TrainSettings
from tomorois.training.validation import dice_at, held_out_count

log = logging.getLogger(__name__)

NOTEWORTHY = 0.01  # change of Dice that counts as better or worse
FEWEST_HELD_OUT = 3  # ROIs; from ten annotated ones, holding one out cost 0.04 of Dice on unseen tomograms


def nobody_watches(live: LiveTraining) -> None:
    """An observer that does nothing."""


@dataclass(frozen=True)
class TomogramScore:
    """Voxel Dice of a tomogram on the network's grid; ``dice_before`` is that of the model refined."""

    name: str
    held_out: bool
    rois: int
    dice: float
    dice_before: float | None = None

    @property
    def change(self) -> Literal["better", "worse", "the same", "new"]:
        """What refining the model did here; less than NOTEWORTHY of Dice either way is nothing."""
        if self.dice_before is None:
            return "new"
        gain = np.nan_to_num(self.dice - self.dice_before)
        return "the same" if abs(gain) < NOTEWORTHY else "better" if gain > 0 else "worse"


@dataclass(frozen=True)
class TrainingResult:
    """What a training left: the model file, its log, how it was chosen, and a score of each tomogram watched.

    ``dice`` is that of the tomograms held out if ``validated``, else of the ones trained on.
    """

    model_path: Path
    log_path: Path
    threshold: float
    dice: float
    validated: bool
    steps: int
    best_step: int
    seconds: float
    scores: tuple[TomogramScore, ...]


@dataclass(frozen=True)
class _Start:
    """The network a training begins with, the settings in force, and the record of the model it refines."""

    model: MSDNet
    settings: TrainSettings
    refined: ModelRecord | None = None
    refined_file: str = ""


def train(
    samples: Sequence[TrainingTomogram],
    validation: Sequence[TrainingTomogram],
    settings: TrainSettings,
    out_path: Path,
    init: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    progress: Progress = no_progress,
    observer: Observer = nobody_watches,
) -> TrainingResult:
    """Train a network on annotated tomograms and write it to ``out_path`` (.safetensors).

    The weights kept are the running average at the validation of highest Dice, and the threshold is the
    best one for all tomograms, held out or taught. Without ``validation`` tomograms, the last of three or
    more are held out. ``init`` trains a model further, on all samples given, and scores each tomogram before
    and after. ``resume`` goes on from the checkpoint beside ``out_path``, to the very bits of an
    uninterrupted training on the CPU. ``minutes`` overrules the settings' steps and minutes; compiling the
    kernels does not count.
    Beside the model lie ``<stem>.train.csv`` (step, seconds, loss, learning rate, Dice, threshold) and,
    until the training has ended, the checkpoint ``<stem>.training.safetensors``.

    Raises InputError for unusable samples, a checkpoint of another training, or a loss that is no number.
    """
    if minutes is not None:
        settings = settings.model_copy(update={"minutes": minutes, "steps": None})
    start = _start(settings, init)
    _require_channels(start.model, [*samples, *validation])
    voxel_size_nm = _network_voxel_size_nm([*samples, *validation], start)
    if start.refined:
        _tell_what_is_not_replayed(start, [*samples, *validation])
    taught, watched = _volumes(samples, validation, start.settings)
    warn_of_polarity([*taught, *watched], start.refined.skewness if start.refined else None)
    training = _training(start, taught, watched, out_path)
    if resume:
        _resume(training)
    record = _record(start, voxel_size_nm, samples, validation, taught, watched)
    try:
        training.run(progress, observer)
    except NotANumber as error:
        raise _diverged(training, record, out_path, error) from error
    return _finish(training, record, start, out_path)


def _start(settings: TrainSettings, init: Path | None) -> _Start:
    """A fresh network, or the one in a model file, whose binning and grey values then hold."""
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if init is None:
        return _Start(MSDNet(settings.network, seed=settings.seed).to(device), settings)
    model, record = load_model(init)
    kept = {
        "network": model.config,
        "bin_factor": record.bin_factor,
        "intensity": record.intensity,
        "membranes": record.membranes,
    }
    for name, value in kept.items():
        if getattr(settings, name) != value:
            log.warning("%s: its %s (%s) is kept, not the settings'", init.name, name, value)
    settings = settings.model_copy(update=kept)
    return _Start(model.to(device), settings, record, f"{init.name} {file_hash(init)[:HASH_LETTERS]}")


def _require_channels(model: MSDNet, samples: Sequence[TrainingTomogram]) -> None:
    for sample in samples:
        has, wanted = input_channels(sample.membranes), model.config.input_channels
        if has != wanted:
            raise InputError(
                f"{sample.name}: with its membranes, if any, it has {has} channel(s), the network takes "
                f"{wanted}; give --membranes for all trainings of a model or for none"
            )


def _tell_what_is_not_replayed(start: _Start, samples: Sequence[TrainingTomogram]) -> None:
    """A warning that names tomograms the model learned from and that are not given again."""
    assert start.refined is not None
    given = {sample.name for sample in samples}
    absent = [
        item["name"] for item in start.refined.training.get("tomograms", []) if item["name"] not in given
    ]
    if absent:
        log.warning(
            "%s learned from %s too, which is not given now: what it learned there may fade; "
            "give all curated tomograms together",
            start.refined_file.split()[0],
            ", ".join(absent),
        )


def _network_voxel_size_nm(samples: Sequence[TrainingTomogram], start: _Start) -> float:
    """The voxel size that the network sees; InputError where it is not that of the model refined."""
    size_nm = common_voxel_size_nm(samples) * start.settings.bin_factor
    if start.refined and abs(size_nm / start.refined.voxel_size_nm - 1) > DIFFERENT_VOXEL_SIZE:
        raise InputError(
            f"{start.refined_file.split()[0]}: trained at {start.refined.voxel_size_nm:g} nm a voxel after "
            f"binning; these tomograms give {size_nm:g} nm; rescale them, or train without --init"
        )
    return size_nm


def _volumes(
    samples: Sequence[TrainingTomogram], validation: Sequence[TrainingTomogram], settings: TrainSettings
) -> tuple[list[TrainingVolume], list[TrainingVolume]]:
    """What is taught and what is held out, as the network sees it."""
    if not samples:
        raise InputError("no tomogram to train on; give some with --tomograms and their --labels")
    taught, held_out = ([_volume(sample, settings) for sample in some] for some in (samples, validation))
    require_rois(taught, samples)
    if not validation:
        taught, held_out = split_held_out(taught, settings.validation.held_out_fraction)
        _tell_of_few_held_out(held_out)
    both = {volume.name for volume in taught} & {volume.name for volume in held_out}
    if both:
        log.warning("%s: trained on and validated on; scores are optimistic", ", ".join(sorted(both)))
    if held_out and not any(len(volume.rois) for volume in held_out):
        log.warning("no ROI in the tomograms held out; the threshold comes from training data")
        held_out = []
    return taught, held_out


def _tell_of_few_held_out(held_out: Sequence[TrainingVolume]) -> None:
    """A warning where so few ROIs are held out that which weights do best on them is luck."""
    rois = sum(len(volume.rois) for volume in held_out)
    if 0 < rois < FEWEST_HELD_OUT:
        log.warning(
            "%d ROI(s) held out, in %s: too few to tell which weights are best; annotate more, or learn from "
            "all with validation.held_out_fraction = 0",
            rois,
            ", ".join(volume.name for volume in held_out),
        )


def _volume(sample: TrainingTomogram, settings: TrainSettings) -> TrainingVolume:
    return training_volume(
        sample,
        settings.bin_factor,
        settings.penalty.weight,
        settings.annotation,
        settings.intensity,
        settings.membranes,
    )


def split_held_out(
    volumes: Sequence[TrainingVolume], fraction: float
) -> tuple[list[TrainingVolume], list[TrainingVolume]]:
    """The volumes to train on and those to hold out: the last with ROIs, if three or more have any."""
    with_rois = [k for k, volume in enumerate(volumes) if len(volume.rois)]
    count = held_out_count(len(with_rois), fraction)
    if count == 0:
        why = "as set" if fraction == 0 else f"three with ROIs are needed, there are {len(with_rois)}"
        log.warning(
            "no tomogram is held out (%s): the threshold comes from training data and scores are optimistic; "
            "name others with --validation",
            why,
        )
    held_out = set(with_rois[len(with_rois) - count :])
    return (
        [volume for k, volume in enumerate(volumes) if k not in held_out],
        [volumes[k] for k in sorted(held_out)],
    )


def _training(
    start: _Start, taught: list[TrainingVolume], watched: list[TrainingVolume], out_path: Path
) -> Training:
    fingerprint = {
        "settings": start.settings.model_dump(mode="json", exclude=NOT_PART_OF_A_TRAINING),
        "data": content_hash([*taught, *watched]),
        "init": start.refined_file,
    }
    watched = watched or taught
    return Training(
        start.model, taught, watched, start.settings, out_path, fingerprint, start.refined is not None
    )


class StateInfo(StoredRow):
    """The values beside the tensors of a training state: what the training is, and its numbers."""

    fingerprint: dict[str, Any]
    numbers: dict[str, int | float]
    losses: list[float] = Field(default_factory=list)


def _resume(training: Training) -> None:
    """Put the training where its checkpoint left it; InputError where that is another training's."""
    path = training.checkpoint_path
    if not path.is_file():
        log.warning("%s: no checkpoint there; training starts from the beginning", path)
        return
    try:
        tensors, values = load_training_state(path)
    except InputError as error:
        log.warning("%s; training starts from the beginning", error)
        return
    info = checked(values, StateInfo, f"{path}: its values", "remove it, or train anew without --resume")
    changed = differences(info.fingerprint, training.fingerprint)
    if changed:
        raise InputError(
            f"{path}: belongs to another training ({', '.join(changed)} changed); restore that, "
            "or train anew without --resume"
        )
    _require_fitting(path, tensors, info.numbers, training.state)
    device = training.weights[0].device
    vectors: dict[str, Any] = {name: vector.to(device) for name, vector in tensors.items()}
    training.state = TrainingState(**vectors, **info.numbers)
    training.losses = info.losses


def _require_fitting(
    path: Path, tensors: dict[str, torch.Tensor], numbers: dict[str, Any], fresh: TrainingState
) -> None:
    """InputError where what a checkpoint holds is not what this training's state is made of."""
    shapes = {name: (vector.shape, vector.dtype) for name, vector in tensors.items()}
    kinds = {name: type(number) for name, number in numbers.items()}
    if shapes != {
        name: (vector.shape, vector.dtype) for name, vector in fresh.tensors().items()
    } or kinds != {name: type(number) for name, number in fresh.numbers().items()}:
        raise InputError(
            f"{path}: is damaged, its vectors or numbers are not this training's; "
            "remove it, or train anew without --resume"
        )


def differences(then: dict[str, Any], now: dict[str, Any], place: str = "") -> list[str]:
    """Dotted names of what differs between two nested records."""
    found = []
    for name in sorted(then.keys() | now.keys()):
        before, after = then.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{place}{name}.")
        elif before != after:
            found.append(f"{place}{name}")
    return found


def _record(
    start: _Start,
    voxel_size_nm: float,
    samples: Sequence[TrainingTomogram],
    validation: Sequence[TrainingTomogram],
    taught: Sequence[TrainingVolume],
    watched: Sequence[TrainingVolume],
) -> ModelRecord:
    """The model's record but for what the training is still to find; nothing in it depends on the clock."""
    files = {sample.name: dict(sample.files) for sample in (*samples, *validation)}
    tomograms = [
        {"name": v.name, "rois": len(v.rois), "held_out": any(v is w for w in watched), **files[v.name]}
        for v in (*taught, *watched)
    ]
    skewness = float(np.mean([intensity_skewness(v.image[0].astype(np.float32)) for v in taught]))
    return ModelRecord(
        voxel_size_nm=voxel_size_nm,
        bin_factor=start.settings.bin_factor,
        intensity=start.settings.intensity,
        membranes=start.settings.membranes,
        skewness=skewness,
        training={
            "tomograms": tomograms,
            "validated": bool(watched),
            "refined_from": start.refined_file,
            "settings": start.settings.model_dump(mode="json", exclude=NOT_PART_OF_A_TRAINING),
            "versions": {name: importlib.metadata.version(name) for name in ("tomorois-surfora", "torch")},
        },
    )


def _finish(training: Training, record: ModelRecord, start: _Start, out_path: Path) -> TrainingResult:
    """Write the best model with its threshold and scores, and remove the checkpoint."""
    state = training.state
    scores = _scores(training, start.refined, bool(record.training["validated"]))
    _write_model(training, record, state.best, scores, out_path)
    training.checkpoint_path.unlink(missing_ok=True)
    return TrainingResult(
        model_path=out_path,
        log_path=training.log_path,
        threshold=state.best_threshold,
        dice=state.best_dice,
        validated=bool(record.training["validated"]),
        steps=state.step,
        best_step=state.best_step,
        seconds=state.seconds,
        scores=scores,
    )


def _scores(training: Training, refined: ModelRecord | None, validated: bool) -> tuple[TomogramScore, ...]:
    """Each watched volume's Dice; when a model was refined, every volume's, before and after."""
    state = training.state
    groups = [(training.watched, validated)]
    if refined and validated:
        groups.insert(0, (training.taught, False))
    scores = []
    for volumes, held_out in groups:
        after = [dice_at(c, state.best_threshold) for c in training.counts(state.best, volumes)]
        before: list[float | None] = [None] * len(volumes)
        if refined:
            before = [dice_at(c, refined.threshold) for c in training.counts(training.initial, volumes)]
        scores += [
            TomogramScore(volume.name, held_out, len(volume.rois), dice, dice_before)
            for volume, dice, dice_before in zip(volumes, after, before, strict=True)
        ]
    return tuple(scores)


def _write_model(
    training: Training,
    record: ModelRecord,
    parameters: torch.Tensor,
    scores: Sequence[TomogramScore],
    out_path: Path,
) -> None:
    state = training.state
    found = {
        "steps": state.step,
        "planned_steps": state.planned_steps,
        "best_step": state.best_step,
        "dice": state.best_dice,
        "dice_by_tomogram": {score.name: round(score.dice, 4) for score in scores},
    }
    put_flat(training.weights, parameters)
    update = {"threshold": state.best_threshold, "training": {**record.training, **found}}
    save_model(out_path, training.model, record.model_copy(update=update))


def _diverged(training: Training, record: ModelRecord, out_path: Path, error: NotANumber) -> InputError:
    """What to tell when the loss is no number any more; the last good weights are written first."""
    state = training.state
    kept = "no model is kept, none was validated before"
    if state.best_step:
        _write_model(training, record, state.best, (), out_path)
        kept = f"the model of step {state.best_step} (Dice {state.best_dice:.3f}) is kept in {out_path}"
    return InputError(
        f"training diverged: {error}; {kept}; lower learning_rate (now {training.highest_rate:g})"
    )
