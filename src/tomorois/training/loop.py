"""The loop of a training: every step follows from the settings, the data and the step's number alone."""

from __future__ import annotations

import csv
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from tomocore.contract import Progress, UnwritableError
from tomocore.files import written_beside
from tomocore.side_files import StoredRow, read_rows
from tomorois.network.checkpoint import checkpoint_beside, save_training_state
from tomorois.network.msdnet.module import MSDNet
from tomorois.training.augment import apply_to_image, apply_to_labels, draw_augmentation
from tomorois.training.loss import Adam, clipped, flat, masked_loss, put_flat
from tomorois.training.patches import PatchSampler, TrainingVolume, patch_shape
from tomorois.training.settings import TrainSettings
from tomorois.training.validation import (
    ConfidenceCounts,
    best_threshold,
    count_confidences,
    dice_at,
    mean_confidence_in_groups,
    no_counts,
    validation_blocks,
)

log = logging.getLogger(__name__)

TIMED_SHARE = 0.03  # of the minutes given, after which the number of steps is planned
TIMED_STEPS = 10
LOGGED_EVERY = 10  # steps between rows of the log
LoggedNumber = Annotated[str, Field(pattern=r"^([-+]?\d+(\.\d*)?(e[-+]?\d+)?|nan|[-+]?inf)?$")]


class LogRow(StoredRow):
    """A row of the log of a training; numbers as they are written, empty where there is none."""

    step: int
    seconds: LoggedNumber
    loss: LoggedNumber
    learning_rate: LoggedNumber
    validation_dice: LoggedNumber
    threshold: LoggedNumber
    roi_confidence: LoggedNumber
    rejected_confidence: LoggedNumber


LOG_COLUMNS = tuple(LogRow.model_fields)
"""Of the log; the last two are mean confidences in annotated and in rejected regions trained on, if any."""
LOWEST_RATE = 0.01  # of the highest learning rate, reached at the end


@dataclass(frozen=True)
class LiveTraining:
    """Where a training stands, for whoever watches."""

    step: int
    planned_steps: int  # 0 until known
    seconds: float
    loss: float
    learning_rate: float
    dice: float  # of the last validation; NaN before the first
    threshold: float
    is_held_out: bool  # whether the Dice is of tomograms that are not learned from


Observer = Callable[[LiveTraining], None]


def log_beside(model_path: Path) -> Path:
    """Where the training of a model keeps its log."""
    return model_path.with_name(f"{model_path.stem}.train.csv")


class NotANumber(ArithmeticError):
    """The loss or the gradient stopped being a number."""


@dataclass
class TrainingState:
    """All that decides how a training goes on: vectors and numbers, so that a checkpoint holds it exactly.

    ``phase`` runs from 0 to 1 and sets the learning rate; each step moves it by its share of what is left
    of the plan, so that a new plan never makes the rate jump.
    """

    parameters: Tensor
    average: Tensor
    best: Tensor
    first_moment: Tensor
    second_moment: Tensor
    step: int = 0
    phase: float = 0.0
    planned_steps: int = 0
    checks: int = 0
    checks_since_best: int = 0
    best_step: int = 0
    best_dice: float = -1.0
    best_threshold: float = 0.5
    dice: float = math.nan
    threshold: float = 0.5
    seconds: float = 0.0

    def tensors(self) -> dict[str, Tensor]:
        """The vectors by name."""
        return {name: value for name, value in self._items() if isinstance(value, Tensor)}

    def numbers(self) -> dict[str, Any]:
        """Everything else by name."""
        return {name: value for name, value in self._items() if not isinstance(value, Tensor)}

    def _items(self) -> list[tuple[str, Any]]:
        return [(part.name, getattr(self, part.name)) for part in fields(self)]


def fresh_state(parameters: Tensor) -> TrainingState:
    """The state before the first step."""
    zeros = torch.zeros_like(parameters)
    return TrainingState(parameters.clone(), parameters.clone(), parameters.clone(), zeros, zeros.clone())


class Training:
    """A network in training: patches drawn, steps taken, validations made, checkpoints and log written."""

    def __init__(
        self,
        model: MSDNet,
        taught: Sequence[TrainingVolume],
        watched: Sequence[TrainingVolume],
        settings: TrainSettings,
        model_path: Path,
        fingerprint: dict[str, Any],
        refined: bool = False,
    ) -> None:
        self.model, self.taught, self.watched = model, taught, watched
        self.settings, self.fingerprint = settings, fingerprint
        self.weights: list[Tensor] = list(model.parameters())
        self.initial = flat(self.weights)
        self.state = fresh_state(self.initial)
        self.highest_rate = settings.learning_rate * (settings.fine_tune_rate if refined else 1.0)
        self.sampler = PatchSampler(
            taught,
            patch_shape(taught, settings.patch_voxels),
            settings.roi_fraction,
            settings.penalty.fraction,
            settings.seed,
        )
        self.blocks = validation_blocks(watched, settings.validation, settings.seed)
        self.checkpoint_path = checkpoint_beside(model_path)
        self.log_path = log_beside(model_path)
        self.planned_at = (0, 0.0)
        self.losses: list[float] = []  # since the last row of the log
        self.unwritten: list[list[str | float]] = []  # rows of the log for which there was no room

    def run(self, progress: Progress, observer: Observer) -> None:
        """Train until the plan is fulfilled, or until no validation has been better for long."""
        self._start_log()
        clock = TrainingClock(self.state.seconds)
        whole = self._whole()
        try:
            while not self._ended():
                loss = self._step()
                self.state.seconds = clock.read()
                checked = self._advance()
                self._log(loss, checked)
                if clock.is_due(self.settings.checkpoint_seconds):
                    self.save()
                whole = self._whole()
                observer(self._live(loss))
                progress(self.state.step, max(self.state.planned_steps, self.state.step + 1))
            self._settle_threshold()
        except KeyboardInterrupt as interrupt:
            self.state, self.losses = whole  # as after the last whole step
            self.save()
            interrupt.add_note(f"go on from step {self.state.step} with the same command and --resume")
            raise

    def _whole(self) -> tuple[TrainingState, list[float]]:
        """A copy of all that a checkpoint holds."""
        return deepcopy(self.state), list(self.losses)

    def save(self) -> None:
        """Write the checkpoint; a full disk costs the checkpoint, not the training."""
        info = {
            "numbers": self.state.numbers(),
            "losses": self.losses,
            "fingerprint": self.fingerprint,
        }
        try:
            save_training_state(self.checkpoint_path, self.state.tensors(), info)
        except UnwritableError as error:
            log.warning(
                "%s: no checkpoint written (%s); training goes on", self.checkpoint_path, error.__cause__
            )

    def counts(self, parameters: Tensor, volumes: Sequence[TrainingVolume]) -> list[ConfidenceCounts]:
        """Confidences of the network with these parameters, counted in each volume."""
        put_flat(self.weights, parameters)
        held = self.settings.validation
        blocks = (
            self.blocks if volumes is self.watched else validation_blocks(volumes, held, self.settings.seed)
        )
        return count_confidences(self.model, volumes, blocks, held.block_halo_voxels)

    def _ended(self) -> bool:
        patience = self.settings.validation.patience
        return self.state.phase >= 1 or 0 < patience <= self.state.checks_since_best

    def _step(self) -> float:
        """One step along the gradient of one batch; the loss before it."""
        state = self.state
        image, target, weight = self._batch(state.step)
        put_flat(self.weights, state.parameters)
        logits = self.model(image)[:, 0]
        loss = masked_loss(logits, target, weight, self.settings.class_weight, self.settings.dice_weight)
        gradient = flat(list(torch.autograd.grad(loss, self.weights)))
        value, length = float(loss.detach()), float(gradient.norm())
        if not (math.isfinite(value) and math.isfinite(length)):
            raise NotANumber(f"the loss at step {state.step + 1} is {value}, its gradient {length} long")
        adam = Adam(state.first_moment, state.second_moment, state.step, *self.model.weight.flatten(1).shape)
        adam.step(state.parameters, clipped(gradient, self.settings.gradient_clip), self.learning_rate)
        state.step += 1
        decay = min(self.settings.average_decay, (1 + state.step) / (10 + state.step))
        state.average.lerp_(state.parameters, 1 - decay)
        return value

    @property
    def learning_rate(self) -> float:
        """The rate of the next step: a linear rise, then a cosine down to LOWEST_RATE of the highest."""
        warmup = self.settings.warmup_steps
        rise = min(1.0, (self.state.step + 1) / warmup) if warmup else 1.0
        fall = LOWEST_RATE + (1 - LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * self.state.phase))
        return self.highest_rate * rise * fall

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, C, Z, Y, X), targets and weights (B, Z, Y, X) of one step."""
        images, targets, weights = [], [], []
        for place, rng in self.sampler.places(step, self.settings.batch):
            volume = self.taught[place.volume]
            square = place.shape[1] == place.shape[2]
            varied = draw_augmentation(rng, self.settings.augmentation, square)
            image = volume.image[(slice(None), *place.box)].astype(np.float32)
            images.append(apply_to_image(varied, image))
            targets.append(apply_to_labels(varied, volume.target[place.box].astype(np.float32)))
            weights.append(apply_to_labels(varied, volume.weight[place.box].astype(np.float32)))
        device = self.weights[0].device
        stacked = [torch.from_numpy(np.stack(arrays)).to(device) for arrays in (images, targets, weights)]
        return stacked[0], stacked[1], stacked[2]

    def _advance(self) -> bool:
        """Move the phase by one step of the plan; whether a validation was due and done."""
        state = self.state
        if state.planned_steps == 0:
            self._plan()
        if state.planned_steps == 0:
            return False
        left = state.planned_steps - state.step
        state.phase = 1.0 if left <= 0 else state.phase + (1 - state.phase) / (left + 1)
        due = state.phase * self.settings.validation.checks >= state.checks + 1 - 1e-9
        if due:
            self._check()
            if self.settings.steps is None:
                self._plan()
        return due

    def _plan(self) -> None:
        """Set the number of steps: as the settings say, or from the pace since the last plan."""
        state, (step_then, seconds_then) = self.state, self.planned_at
        if self.settings.steps is not None:
            state.planned_steps = self.settings.steps
            return
        budget = 60 * self.settings.minutes
        taken = state.step - step_then
        if taken < TIMED_STEPS or state.seconds - seconds_then < TIMED_SHARE * budget:
            return
        pace = (state.seconds - seconds_then) / taken
        state.planned_steps = state.step + max(1, int((budget - state.seconds) / pace))
        self.planned_at = (state.step, state.seconds)
        log.info("at this pace %d steps fit into %g minutes", state.planned_steps, self.settings.minutes)

    def _check(self) -> None:
        """Score the averaged weights on the watched volumes and keep them if they are the best so far."""
        state = self.state
        counts = sum(self.counts(state.average, self.watched), no_counts())
        state.threshold, state.dice = best_threshold(counts)
        state.checks += 1
        state.checks_since_best += 1
        if not state.dice <= state.best_dice:
            state.best.copy_(state.average)
            state.best_dice, state.best_threshold = state.dice, state.threshold
            state.best_step, state.checks_since_best = state.step, 0

    def _settle_threshold(self) -> None:
        """Choose the best weights' threshold on the watched and the taught volumes together.

        On one held-out tomogram of two ROIs it once came out at 0.80, and the mean Dice of twelve unseen
        tomograms at 0.49; at 0.5 that was 0.66.
        """
        watched = sum(self.counts(self.state.best, self.watched), no_counts())
        others = [volume for volume in self.taught if not any(volume is w for w in self.watched)]
        taught = sum(self.counts(self.state.best, others), no_counts())
        self.state.best_threshold, _ = best_threshold(watched + taught)
        self.state.best_dice = dice_at(watched, self.state.best_threshold)

    def _live(self, loss: float) -> LiveTraining:
        state = self.state
        return LiveTraining(
            state.step,
            state.planned_steps,
            state.seconds,
            loss,
            self.learning_rate,
            state.dice,
            state.threshold,
            not any(volume is watched for volume in self.taught for watched in self.watched),
        )

    def _start_log(self) -> None:
        """Begin the log, with where confidences stand if regions are rejected, or cut it back to the step
        that is gone on from."""
        kept: list[dict[str, Any]] = []
        if self.state.step and self.log_path.is_file():
            _cut_to_whole_lines(self.log_path)
            remedy = "remove it, and the training goes on without its beginning"
            rows = read_rows(self.log_path, LogRow, "the log of a training", remedy)
            kept = [row.model_dump() for row in rows if row.step <= self.state.step]
        with (
            written_beside(self.log_path) as beside,
            beside.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, LOG_COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        if self.state.step == 0 and self.sampler.penalties:
            self._write_row([0, 0.0, "", self.learning_rate, "", "", *self._watched_confidences()])

    def _watched_confidences(self) -> list[float | str]:
        """Mean confidences of the averaged weights in ROIs and in rejected regions, if there are such."""
        if not self.sampler.penalties:
            return ["", ""]
        put_flat(self.weights, self.state.average)
        halo = self.settings.validation.block_halo_voxels
        return [
            mean_confidence_in_groups(self.model, self.taught, kind, halo) for kind in ("rois", "penalties")
        ]

    def _log(self, loss: float, checked: bool) -> None:
        """Every LOGGED_EVERY steps and at validations: a row with the mean loss since the last one."""
        self.losses.append(loss)
        if not checked and self.state.step % LOGGED_EVERY:
            return
        state = self.state
        row: list[float | str] = [
            state.step,
            round(state.seconds, 2),
            float(np.mean(self.losses)),
            self.learning_rate,
        ]
        row += [state.dice, state.threshold, *self._watched_confidences()] if checked else [""] * 4
        self.losses = []
        self._write_row(row)

    def _write_row(self, row: Sequence[float | str]) -> None:
        """Append a row; on a full disk it waits for the next one, and the training goes on."""
        self.unwritten.append([f"{v:.5g}" if isinstance(v, float) else v for v in row])
        try:
            _append(self.log_path, self.unwritten)
        except OSError as error:
            if len(self.unwritten) == 1:
                log.warning("%s: nothing logged (%s); training goes on", self.log_path, error)
        else:
            self.unwritten.clear()


def _append(path: Path, rows: Sequence[Sequence[float | str]]) -> None:
    """Append rows to a CSV file, all or none."""
    size = path.stat().st_size
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    except OSError:
        with suppress(OSError):
            os.truncate(path, size)
        raise


def _cut_to_whole_lines(path: Path) -> None:
    """Leave out a last line without an end, which a full disk or a power cut left."""
    text = path.read_bytes()
    if not text.endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)


class TrainingClock:
    """Seconds of training: those of earlier runs and those since the first step, which compiles kernels."""

    def __init__(self, seconds_before: float) -> None:
        self.before = seconds_before
        self.started = self.marked = 0.0

    def read(self) -> float:
        """Seconds so far; the first reading starts the clock."""
        if not self.started:
            self.started = self.marked = time.monotonic()
        return self.before + time.monotonic() - self.started

    def is_due(self, every_seconds: float) -> bool:
        """Whether so many seconds have passed since it last said so."""
        due = time.monotonic() - self.marked >= every_seconds
        if due:
            self.marked = time.monotonic()
        return due
