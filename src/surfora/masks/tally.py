"""How many voxels each value of a volume has and which box they fill, in one pass over its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from surfora.geometry.arrays import Ints

Box = tuple[slice, slice, slice]
Tally = dict[int, tuple[int, Box]]

SPAN = 32  # voxels of a row that are looked at together, for whether all of them go on as before

WIDEST_RANGE = 1 << 20
"""Between the lowest and the highest value; beyond it the values are sorted instead."""


def tallied(data: NDArray[Any]) -> Tally:
    """Number and bounding box of the voxels of each value, by value in rising order.

    ``data`` holds whole numbers [z, y, x] and at least one voxel.
    """
    low, high = int(data.min()), int(data.max())
    if high - low >= WIDEST_RANGE:
        return _tallied_by_sorting(data)
    counts = np.zeros(high - low + 1, np.int64)
    boxes = np.empty((high - low + 1, 6), np.int64)
    boxes[:, :3], boxes[:, 3:] = data.shape, 0
    _tally_runs(np.ascontiguousarray(data), low, counts, boxes)
    return {low + int(k): (int(counts[k]), _box(boxes[k])) for k in np.flatnonzero(counts)}


def _tallied_by_sorting(data: NDArray[Any]) -> Tally:
    values, ranks, counts = np.unique(data, return_inverse=True, return_counts=True)
    boxes = find_objects(ranks.reshape(data.shape) + 1)
    return {int(value): (int(count), box) for value, count, box in zip(values, counts, boxes, strict=True)}


def _box(corners: Ints) -> Box:
    z, y, x = (slice(int(corners[axis]), int(corners[axis + 3])) for axis in range(3))
    return z, y, x


@njit(cache=True, nogil=True)
def _tally_runs(data: NDArray[Any], low: int, counts: Ints, boxes: Ints) -> None:
    """Add runs of one value along x to ``counts`` (n,) and widen ``boxes`` (n, 6: first and last + 1)."""
    nz, ny, nx = data.shape
    for z in range(nz):
        for y in range(ny):
            row, start, x = data[z, y], 0, 0
            while start < nx:
                value = row[start]
                while x + SPAN <= nx:
                    others = 0
                    for k in range(x, x + SPAN):
                        others |= row[k] ^ value
                    if others:
                        break
                    x += SPAN
                while x < nx and row[x] == value:
                    x += 1
                k = int(value) - low
                counts[k] += x - start
                box = boxes[k]
                box[0], box[3] = min(box[0], z), max(box[3], z + 1)
                box[1], box[4] = min(box[1], y), max(box[4], y + 1)
                box[2], box[5] = min(box[2], start), max(box[5], x)
                start = x
