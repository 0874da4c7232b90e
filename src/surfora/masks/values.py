"""What the voxels of a mask file say: a mask, labels, or scores that still want a threshold."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from surfora.masks.tally import Tally, tallied
from tomocore.contract import InputError
from tomocore.files_of_tomograms import volume_stem
from tomocore.volumes.volume import Volume, background_in_doubt

log = logging.getLogger(__name__)

IGNORED = -1
MANY_VALUES = 30  # distinct values from which on a file is looked at for being scores
LARGEST_LABEL = 2.0**53  # of those in real numbers, which tell all whole ones up to it
SPECK_VOXELS = 8  # scores fall into pieces of one value smaller than this, labels do not
SAMPLE = (64, 256, 256)  # voxels z, y, x that this is judged on


def labelled(volume: Volume, path: Path) -> Volume:
    """The volume of a mask file with whole numbers, none negative unless the mask is all of −1.

    Raises InputError for an empty mask, NaN, labels below −1, and scores: fractions, many negative numbers,
    or so many values scattered so finely that they are no labels. Voxels of −1 beside labels mean "ignore":
    left out, told. A warning where most voxels are of one label, as in an inverted mask.
    """
    return labelled_and_tallied(volume, path)[0]


def labelled_and_tallied(volume: Volume, path: Path) -> tuple[Volume, Tally]:
    """As `labelled`, with the number and the box of the voxels of each value."""
    data = volume.data
    if data.dtype.kind == "f":
        volume = volume.with_data(_whole_numbers(data, path))
    elif data.dtype.kind == "b":
        volume = volume.with_data(data.view(np.uint8))
    tally = tallied(volume.data)
    counts = {value: count for value, (count, _) in tally.items()}
    if set(counts) <= {0}:
        raise InputError(f"{path}: the mask is empty, every voxel is 0; check that the right file was given")
    doubt = background_in_doubt(counts)
    if doubt:
        log.warning("%s: %s", path, doubt)
    if set(counts) in ({0, -1}, {-1}):
        return volume, tally
    if min(counts) == IGNORED and len(counts) < MANY_VALUES:
        log.warning("%s: %d voxels are %d (ignore) and left out", path, counts[IGNORED], IGNORED)
        volume = volume.with_data(np.where(volume.data == IGNORED, volume.data.dtype.type(0), volume.data))
        del tally[IGNORED]
    elif min(counts) < 0 and len(counts) < MANY_VALUES:
        negative = some_of([value for value in counts if value < 0])
        raise InputError(
            f"{path}: has the labels {negative}, which are negative, as of unsigned numbers read as signed; "
            "write labels as 1, 2, …"
        )
    elif min(counts) < 0 or (len(counts) >= MANY_VALUES and _is_scattered(volume.data)):
        raise scores_refused(path, min(counts), max(counts), f"holds {len(counts)} values")
    return volume, tally


def scores_refused(path: Path, low: float, high: float, found: str) -> InputError:
    """The refusal of a map of scores, with the command that makes a mask of it."""
    threshold = 0.5 * (low + high)
    if low < 0 < high:
        threshold = 0.0
    elif low >= 0 and high <= 1:
        threshold = 0.5
    source, target = shlex.quote(str(path)), shlex.quote(f"{volume_stem(path)}_mask.mrc")
    return InputError(
        f"{path}: {found} from {low:.3g} to {high:.3g}, so it is a map of scores and no mask; threshold it "
        f"first: surfora clean {source} --threshold {threshold:.3g} -o {target}"
    )


def above_threshold(volume: Volume, threshold: float, path: Path) -> Volume:
    """The mask of the voxels of a map that reach a threshold. Raises InputError where none or all do."""
    data = volume.data
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        log.warning("%s: voxels that are NaN or infinite are taken as no membrane", path)
        data = np.where(np.isfinite(data), data, -np.inf)
    mask = data >= threshold
    if not mask.any() or mask.all():
        low, high = (volume.data[np.isfinite(volume.data)].min(), np.nanmax(volume.data))
        share = "every voxel" if mask.all() else "no voxel"
        raise InputError(
            f"{path}: {share} reaches --threshold {threshold:g}; its values run from {low:.3g} to "
            f"{high:.3g}, choose one between"
        )
    return volume.with_data(mask)


def some_of(values: Collection[object], most: int = 5) -> str:
    """The first few of many things, in words: "3, 4, 5, …"."""
    first = ", ".join(str(value) for value in list(values)[:most])
    return f"{first}, …" if len(values) > most else first


def _whole_numbers(data: NDArray[Any], path: Path) -> NDArray[np.int32] | NDArray[np.int64]:
    if not np.isfinite(data).all():
        raise InputError(
            f"{path}: has voxels that are NaN or infinite, so it is no mask; name the mask of it"
        )
    whole = np.rint(data)
    if (whole != data).any():
        raise scores_refused(path, float(data.min()), float(data.max()), "holds fractions")
    largest = max(-float(data.min()), float(data.max()))
    if largest > LARGEST_LABEL:
        raise scores_refused(path, float(data.min()), float(data.max()), "holds numbers that no label has")
    return whole.astype(np.int32 if largest < 2**31 else np.int64)


def _is_scattered(data: NDArray[Any]) -> bool:
    """Whether most voxels between the extremes lie in tiny pieces of one value, as scores do."""
    middle = np.argwhere(data[data.shape[0] // 2] != 0).mean(axis=0) if data[len(data) // 2].any() else None
    centre = [len(data) // 2, *(middle if middle is not None else np.array(data.shape[1:]) / 2)]
    box = tuple(
        slice(max(0, int(at) - size // 2), max(0, int(at) - size // 2) + size)
        for at, size in zip(centre, SAMPLE, strict=True)
    )
    part = np.ascontiguousarray(data[box]).astype(np.int64)
    between = (part != 0) & (part > part.min()) & (part < part.max())
    if not between.any():
        return False
    shifted = (part - part.min() + 1).astype(np.uint32)
    pieces = cc3d.connected_components(shifted, connectivity=26)
    tiny = np.bincount(pieces.ravel())[pieces[between]] < SPECK_VOXELS
    return bool(tiny.mean() > 0.5)
