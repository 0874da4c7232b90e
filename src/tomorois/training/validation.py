"""Scores on held-out tomograms while a network trains: Dice against every threshold, from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tomorois.network.msdnet.module import MSDNet, infer
from tomorois.training.patches import TrainingVolume
from tomorois.training.settings import ValidationSettings

Box = tuple[slice, slice, slice]
CONFIDENCE_BINS = 200
MOST_WATCHED = 12  # regions of a kind whose confidence is followed through a training
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.05, 0.95


@dataclass(frozen=True)
class Block:
    """A part of a volume to score, and how many such parts it stands for."""

    volume: int
    box: Box
    stands_for: float


@dataclass(frozen=True)
class ConfidenceCounts:
    """Voxels by confidence (CONFIDENCE_BINS equal bins from 0 to 1), of ROIs and of background."""

    roi: NDArray[np.floating[Any]]
    background: NDArray[np.floating[Any]]

    def __add__(self, other: ConfidenceCounts) -> ConfidenceCounts:
        return ConfidenceCounts(self.roi + other.roi, self.background + other.background)


def no_counts() -> ConfidenceCounts:
    """Nothing counted yet."""
    return ConfidenceCounts(np.zeros(CONFIDENCE_BINS), np.zeros(CONFIDENCE_BINS))


def held_out_count(tomograms: int, fraction: float) -> int:
    """How many of the tomograms to hold out: none of fewer than three."""
    return max(1, round(fraction * tomograms)) if tomograms >= 3 and fraction > 0 else 0


def validation_blocks(
    volumes: Sequence[TrainingVolume], settings: ValidationSettings, seed: int = 0
) -> list[Block]:
    """The parts to score: everything, or, of large volumes, parts with ROIs first and some of the rest.

    A sampled part counts for those left out, so that false positives keep their share.
    """
    blocks = [
        Block(k, box, 1.0)
        for k, volume in enumerate(volumes)
        for box in _grid(volume.shape, settings.block_voxels)
    ]
    if sum(volume.target.size for volume in volumes) <= settings.most_voxels:
        return blocks
    room = max(settings.most_voxels // settings.block_voxels**3, 2)
    with_roi = [block for block in blocks if (volumes[block.volume].target[block.box] > 0).any()]
    without = [block for block in blocks if not (volumes[block.volume].target[block.box] > 0).any()]
    rng = np.random.default_rng(seed)
    kept = _sample(with_roi, max(room // 2, room - len(without)), rng)
    return kept + _sample(without, room - len(kept), rng)


def _sample(blocks: list[Block], count: int, rng: np.random.Generator) -> list[Block]:
    if len(blocks) <= count:
        return blocks
    chosen = rng.choice(len(blocks), max(count, 1), replace=False)
    share = len(blocks) / len(chosen)
    return [Block(blocks[k].volume, blocks[k].box, share) for k in np.sort(chosen)]


def _grid(shape: Sequence[int], edge: int) -> list[Box]:
    counts = [max(1, round(n / edge)) for n in shape]
    cuts = [np.linspace(0, n, count + 1).astype(int) for n, count in zip(shape, counts, strict=True)]
    spans = [[slice(int(a), int(b)) for a, b in pairwise(cut)] for cut in cuts]
    return [(z, y, x) for z in spans[0] for y in spans[1] for x in spans[2]]


def count_confidences(
    model: MSDNet, volumes: Sequence[TrainingVolume], blocks: Sequence[Block], halo: int
) -> list[ConfidenceCounts]:
    """Counts of each volume, from the network's confidences in its blocks."""
    counts = [no_counts() for _ in volumes]
    for block in blocks:
        volume = volumes[block.volume]
        confidence = confidence_in(model, volume, block.box, halo)
        counts[block.volume] += _counts(confidence, volume, block)
    return counts


def confidence_in(model: MSDNet, volume: TrainingVolume, box: Box, halo: int) -> NDArray[np.float32]:
    """The network's confidence in a box, predicted with a halo of context, no wider than it sees."""
    wide = tuple(
        slice(max(side.start - min(halo, seen), 0), min(side.stop + min(halo, seen), n))
        for side, n, seen in zip(box, volume.shape, model.config.halo_zyx, strict=True)
    )
    inner = tuple(
        slice(side.start - around.start, side.stop - around.start)
        for side, around in zip(box, wide, strict=True)
    )
    return infer(model, volume.image[(slice(None), *wide)].astype(np.float32))[inner]


def mean_confidence_in_groups(
    model: MSDNet, volumes: Sequence[TrainingVolume], kind: Literal["rois", "penalties"], halo: int
) -> float:
    """Mean over regions of the network's mean confidence in each, of at most MOST_WATCHED; NaN of none."""
    places = [(volume, k) for volume in volumes for k in range(len(getattr(volume, kind)))]
    step = -(-len(places) // MOST_WATCHED)
    means = []
    for volume, k in places[:: max(step, 1)]:
        voxels = getattr(volume, kind).of(k)
        first, last = voxels.min(axis=0), voxels.max(axis=0) + 1
        z, y, x = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        means.append(confidence_in(model, volume, (z, y, x), halo)[tuple((voxels - first).T)].mean())
    return float(np.mean(means)) if means else float("nan")


def _counts(confidence: NDArray[np.float32], volume: TrainingVolume, block: Block) -> ConfidenceCounts:
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    counted, roi = volume.weight[block.box] > 0, volume.target[block.box] >= 0.5
    of_roi = np.bincount(bins[counted & roi], minlength=CONFIDENCE_BINS) * block.stands_for
    of_background = np.bincount(bins[counted & ~roi], minlength=CONFIDENCE_BINS) * block.stands_for
    return ConfidenceCounts(of_roi, of_background)


def dice_by_threshold(counts: ConfidenceCounts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thresholds (the bins' lower edges) and the Dice of calling everything at or above each an ROI.

    NaN where there is neither an ROI nor a voxel called one.
    """
    true = np.cumsum(counts.roi[::-1])[::-1]
    false = np.cumsum(counts.background[::-1])[::-1]
    called_or_roi = true + false + counts.roi.sum()
    dice = np.divide(2 * true, called_or_roi, out=np.full(len(true), np.nan), where=called_or_roi > 0)
    return np.arange(CONFIDENCE_BINS) / CONFIDENCE_BINS, dice


def best_threshold(counts: ConfidenceCounts) -> tuple[float, float]:
    """The threshold (0.05 to 0.95) of highest Dice, and that Dice; (0.5, NaN) where there are no ROIs."""
    thresholds, dice = dice_by_threshold(counts)
    allowed = (thresholds >= LOWEST_THRESHOLD) & (thresholds <= HIGHEST_THRESHOLD)
    if counts.roi.sum() == 0:
        return 0.5, float("nan")
    best = int(np.nanargmax(np.where(allowed, dice, -1.0)))
    return float(thresholds[best]), float(dice[best])


def dice_at(counts: ConfidenceCounts, threshold: float) -> float:
    """The Dice at one threshold (to the nearest bin edge)."""
    _, dice = dice_by_threshold(counts)
    return float(dice[min(round(threshold * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)])
