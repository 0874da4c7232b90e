"""Voxels of a tomogram that were never measured: NaN, and padding of one value. They are filled, and told.

Rotated, cropped and half-filled reconstructions have them at their borders. Filled from what lies about
them, at the finest scale that reaches across, they show the network neither a step nor a hole.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomorois.network.binning import PLANES_TOGETHER, bin_volume, binned_shape, unbin_to_shape

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Missing = NDArray[np.bool_]

GREY_VALUES = 32  # a volume of fewer beside its padding is no tomogram
LEAST_PADDING = 0.002  # of all voxels
LEAST_MEASURED = 0.5  # of a block's voxels: fewer make a noisy mean
FILLING_STEP = 4  # from one scale of means to the next: over 4³ voxels noise is an eighth
HALO = 4  # planes about a slab that decide on padding in it


@dataclass(frozen=True)
class _Measured:
    """Block means of what was measured, the share of each block that was, and what was not."""

    means: Floats
    share: Floats
    holes: list[int]  # voxels of each plane that are no numbers
    padded: int  # voxels of padding

    @property
    def missing(self) -> Missing:
        """Blocks of which less than half was measured."""
        return np.asarray(self.share < LEAST_MEASURED)


def binned_without_gaps(
    data: NDArray[Any], factor: int, name: str = "tomogram"
) -> tuple[Floats, Missing | None]:
    """Block means over ``factor``³ voxels with all gaps filled, and which were gaps (None where none).

    Args:
        data: [z, y, x], any real type, may be left on disk (read a slab at a time).
        factor: voxels a side averaged into one; a block measured by less than half is a gap.
        name: names the tomogram in what is logged.

    Raises InputError where no voxel is finite.
    """
    binned, value = bin_volume(data, factor), _padding_value(data)
    if value is None and np.isfinite(binned).all():
        return binned, None
    found = _measured(data, factor, value)
    if found.padded and not _is_padded(found.means[~found.missing], found.padded / data.size):
        found = _measured(data, factor, None)
    if found.share.min() == 1:
        return binned, None
    if found.share.max() == 0:
        raise InputError(f"{name}: all voxels are NaN or infinite; check how the tomogram was written")
    _tell(found, data.shape, value, name)
    return filled_from_about(found.means, found.share), found.missing


def _tell(found: _Measured, shape: tuple[int, ...], value: float | None, name: str) -> None:
    if any(found.holes):
        told = holes_told(found.holes, shape)
        log.warning("%s: %s; filled from what lies about them", name, told)
    if found.padded:
        told = f"{100 * found.padded / np.prod(shape):.2g} % of the voxels are padding of the value {value:g}"
        log.warning("%s: %s; filled from what lies about them", name, told)


def holes_told(per_plane: Sequence[int], shape: tuple[int, ...]) -> str:
    """How many voxels are no numbers, and which planes wholly, as in ``2 of 14 planes (z 0 to 1) ...``."""
    total, plane = int(np.sum(per_plane)), int(np.prod(shape[1:]))
    share = 100 * total / (plane * shape[0])
    told = f"{total} voxels ({share:.2g} %) are NaN or infinite"
    empty = np.flatnonzero(np.asarray(per_plane) == plane)
    if not len(empty):
        return told
    runs = np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1)
    named = ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:4])
    more = ", …" if len(runs) > 4 else ""
    return f"{told}, {len(empty)} of {shape[0]} planes wholly (z {named}{more})"


def padding_of(data: NDArray[Any]) -> tuple[float, float]:
    """The share of padding in a volume, and its value; 0, 0 where there is none.

    Padding is one value in blocks of 3³ voxels at least, which reach a corner or the middle of an edge or a
    face. Nothing is padding in a volume of few values, such as labels.
    """
    value = _padding_value(data)
    if value is None:
        return 0.0, 0.0
    padding = _padding(data, value)
    share = float(padding.mean())
    return (share, value) if _is_padded(data[~padding], share) else (0.0, 0.0)


def _padding_value(data: NDArray[Any]) -> float | None:
    """The value that most corners and middles of edges and faces share with all their neighbours."""
    found: list[float] = []
    middle = tuple(n // 2 for n in data.shape)
    for place in product(*((0, n // 2, n - 1) for n in data.shape)):
        about = np.asarray(data[tuple(slice(max(0, at - 1), at + 2) for at in place)])
        first = about.flat[0]
        if place != middle and np.isfinite(first) and (about == first).all():
            found.append(float(first))
    return max(found, key=found.count, default=None)


def _padding(data: NDArray[Any], value: float) -> Missing:
    """Where a value fills blocks of 3³ voxels, and its voxels about them."""
    same = np.asarray(data == value)
    return same & _grown(_grown(_grown(_shrunk(same))))


def _is_padded(rest: NDArray[Any], share: float) -> bool:
    """Whether so much padding counts, beside grey values that are left."""
    sample = rest[np.isfinite(rest)][:: max(1, rest.size // 100_000)]
    return share >= LEAST_PADDING and len(np.unique(sample)) >= GREY_VALUES


def _shrunk(mask: Missing) -> Missing:
    """The mask less what is not 3 voxels wide along each axis; beyond the volume it goes on."""
    for axis in range(mask.ndim):
        wide = np.pad(mask, [(1, 1) if n == axis else (0, 0) for n in range(mask.ndim)], constant_values=True)
        before, here, after = _neighbours(wide, axis)
        mask = before & here & after
    return mask


def _grown(mask: Missing) -> Missing:
    """The mask and all voxels that touch it, by faces, edges or corners."""
    for axis in range(mask.ndim):
        wide = np.pad(mask, [(1, 1) if n == axis else (0, 0) for n in range(mask.ndim)])
        before, here, after = _neighbours(wide, axis)
        mask = before | here | after
    return mask


def _neighbours(wide: Missing, axis: int) -> tuple[Missing, Missing, Missing]:
    along = np.moveaxis(wide, axis, 0)
    before, here, after = (np.moveaxis(part, 0, axis) for part in (along[:-2], along[1:-1], along[2:]))
    return before, here, after


def filled_from_about(means: Floats, share: Floats) -> Floats:
    """The means with what was not measured of each taken from the finest scale that reaches across the gap.

    ``share`` (0 to 1) of each was measured, and of some one more than 0 (Gortler et al. 1996, pull and push).
    """
    weight = bin_volume(share, FILLING_STEP)
    sums = bin_volume(means * share, FILLING_STEP)
    coarse: Floats = np.divide(sums, np.maximum(weight, 1e-9), dtype=np.float32)
    if weight.min() == 0:
        coarse = filled_from_about(coarse, weight)
    z, y, x = means.shape
    about = unbin_to_shape(coarse, FILLING_STEP, (z, y, x))
    return np.where(share == 1, means, share * means + (1 - share) * about)


def _measured(data: NDArray[Any], factor: int, value: float | None) -> _Measured:
    """Block means without what is not finite and padding of a value, a slab at a time."""
    shape = binned_shape(data.shape, factor)
    means, share = np.empty(shape, np.float32), np.empty(shape, np.float32)
    holes, padded = [], 0
    together = max(1, PLANES_TOGETHER // factor)
    for start in range(0, shape[0], together):
        first, last = start * factor, min(len(data), (start + together) * factor)
        about = np.asarray(data[max(0, first - HALO) : last + HALO])
        planes = about[min(first, HALO) :][: last - first]
        known = np.isfinite(planes)
        holes += [int(plane.size - np.count_nonzero(plane)) for plane in known]
        if value is not None:
            padding = _padding(about, value)[min(first, HALO) :][: last - first]
            padded += int(np.count_nonzero(padding))
            known &= ~padding
        here = slice(start, start + together)
        share[here], sums = bin_volume(known, factor), bin_volume(np.where(known, planes, 0), factor)
        means[here] = sums / np.maximum(share[here], np.float32(1e-9))
    return _Measured(means, share, holes, padded)
