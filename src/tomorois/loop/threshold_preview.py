"""Thresholds of a confidence map: at each one the ROIs that there are, all counted beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tomorois.prediction.doubt import POSSIBLE

LEVELS = 200
"""Steps of the confidence (0 to 1) at which ROIs are counted."""
MOST_VOXELS = 16_000_000
"""Of larger maps ROIs are counted on every second voxel along an axis; the network's own grid is coarser."""


@dataclass(frozen=True)
class ThresholdPreview:
    """The number of ROIs of a map, the share of its voxels, and the Dice to expect, for each threshold.

    All three hold a value for each of ``LEVELS`` thresholds, evenly from 0 to 1; places smaller than
    ``min_voxels`` are not counted.
    """

    rois: NDArray[np.int64]
    share: NDArray[np.float64]
    expected_dice: NDArray[np.float64]
    min_voxels: int

    def level(self, threshold: float) -> int:
        """The step of a threshold (0 to 1)."""
        return min(max(round(threshold * LEVELS), 0), LEVELS - 1)

    def count(self, threshold: float) -> int:
        """How many ROIs there are at a threshold."""
        return int(self.rois[self.level(threshold)])

    def proposal(self) -> float:
        """The threshold with the highest Dice to expect, were confidences probabilities."""
        if not np.isfinite(self.expected_dice).any():
            return 0.5
        return float(np.nanargmax(self.expected_dice)) / LEVELS


def threshold_preview(confidence: NDArray[Any], min_voxels: int = 1) -> ThresholdPreview:
    """Count the ROIs (26 neighbours, at least ``min_voxels``) of a map (z, y, x; 0 to 1) at all thresholds.

    One pass from the most confident voxel down, joining neighbours as they appear (the component tree of
    Najman and Couprie 2006): the cost of one threshold, not of two hundred.
    """
    if confidence.size > MOST_VOXELS:
        confidence, min_voxels = confidence[::2, ::2, ::2], max(min_voxels // 8, 1)
    steps = np.clip(np.asarray(confidence, dtype=np.float32) * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    voxels = np.bincount(steps.ravel(), minlength=LEVELS)
    middles = (np.arange(LEVELS) + 0.5) / LEVELS
    lowest = int(np.searchsorted(np.cumsum(voxels[::-1]), 0.35 * voxels.sum()))
    first = max(LEVELS - 1 - lowest, 2)  # below it a third of the tomogram is above the threshold
    order = _descending(steps, first)
    rois = _counted(steps, order, min_voxels, first)
    share = np.cumsum(voxels[::-1])[::-1] / voxels.sum()
    return ThresholdPreview(rois, share, _expected(middles, voxels), min_voxels)


def mask_at(confidence: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """The voxels of a map, or of a slice of it, that reach a threshold."""
    return np.asarray(confidence) >= threshold


def _expected(middles: NDArray[np.float64], voxels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Expected Dice at each threshold, of confidences as they are, from their histogram."""
    possible = middles >= POSSIBLE
    weighed = np.where(possible, middles * voxels, 0.0)
    called = np.cumsum(weighed[::-1])[::-1]
    either = np.cumsum(np.where(possible, voxels, 0)[::-1])[::-1] + weighed.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        dice = np.where(called > 0, 2 * called / either, np.nan)
    return np.asarray(dice)


def _descending(steps: NDArray[np.uint8], first: int) -> NDArray[np.int64]:
    """Flat places of the voxels from step ``first`` on, the highest step first."""
    flat = steps.ravel()
    places = np.flatnonzero(flat >= first)
    return places[np.argsort(LEVELS - flat[places].astype(np.int16), kind="stable")]


@numba.njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@numba.njit(cache=True, nogil=True)
def _joined_counts(
    steps: NDArray[np.uint8],
    order: NDArray[np.int64],
    rank: NDArray[np.int32],
    min_voxels: int,
    levels: int,
) -> NDArray[np.int64]:
    """Number of components of at least ``min_voxels`` once all voxels of each step have appeared."""
    nz, ny, nx = steps.shape
    parent = np.arange(len(order)).astype(np.int32)
    size = np.ones(len(order), np.int32)
    counts = np.zeros(levels, np.int64)
    large, flat = 0, steps.ravel()
    level = levels - 1
    for number in range(len(order)):
        place = order[number]
        while level > flat[place]:
            counts[level] = large
            level -= 1
        z, y, x = place // (ny * nx), (place // nx) % ny, place % nx
        root = number
        if min_voxels <= 1:
            large += 1
        for dz in range(-1, 2):
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    a, b, c = z + dz, y + dy, x + dx
                    if a < 0 or b < 0 or c < 0 or a >= nz or b >= ny or c >= nx:
                        continue
                    near = rank[(a * ny + b) * nx + c]
                    if near < 0 or near >= number:
                        continue
                    other = _root(parent, near)
                    if other == root:
                        continue
                    before = (size[root] >= min_voxels) + (size[other] >= min_voxels)
                    if size[root] < size[other]:
                        root, other = other, root
                    parent[other] = root
                    size[root] += size[other]
                    large += (size[root] >= min_voxels) - before
    while level >= 0:
        counts[level] = large
        level -= 1
    return counts


def _counted(
    steps: NDArray[np.uint8], order: NDArray[np.int64], min_voxels: int, first: int
) -> NDArray[np.int64]:
    rank = np.full(steps.size, -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    counts = _joined_counts(np.ascontiguousarray(steps), order, rank, min_voxels, LEVELS)
    counts[:first] = counts[first]
    return np.asarray(counts)
