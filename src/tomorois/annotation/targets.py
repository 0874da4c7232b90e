"""Annotation: label volumes, painted strokes and spheres, and what a network is taught by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomocore.contract import InputError
from tomocore.volumes.volume import Volume
from tomorois.annotation.settings import AnnotationSettings

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Targets:
    """What each voxel teaches: ``roi`` where it belongs to an ROI, ``counted`` where it teaches at all."""

    roi: Bools
    counted: Bools


def training_targets(labels: NDArray[Any], settings: AnnotationSettings, name: str = "labels") -> Targets:
    """ROI and counted voxels of labels (z, y, x); all labels above zero are ROIs, but for the special ones.

    Raises InputError for labels that are not whole numbers, or negative and not the ignore value.
    """
    labels = whole_numbers(labels, name)
    ignored = labels == settings.ignore_value
    if labels.min(initial=0) < 0 and (labels[~ignored] < 0).any():
        raise InputError(
            f"{name}: has label {int(labels[~ignored].min())}, but voxels to ignore are said to be "
            f"{settings.ignore_value}; set annotation.ignore_value to the number that was painted"
        )
    roi = (labels > 0) & ~ignored
    if settings.unlabelled == "ignore":
        roi &= labels != settings.background_value
        ignored |= labels == 0
    return Targets(roi, ~ignored)


def whole_numbers(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """The labels as integers (bool counts as 0 and 1); InputError where they are not whole numbers."""
    if labels.dtype == bool:
        return labels.astype(np.uint8)
    if np.issubdtype(labels.dtype, np.integer):
        return labels
    if not np.isfinite(labels).all() or (labels != np.rint(labels)).any():
        raise InputError(
            f"{name}: labels must be whole numbers (0 background, 1… ROI), but these have fractions or NaN; "
            "is this a tomogram or a confidence map?"
        )
    return labels.astype(np.int32)


def roi_components(labels: NDArray[Any], roi: Bools) -> NDArray[Any]:
    """Number 1, 2, … of each ROI voxel's ROI, 0 elsewhere: connected voxels (26) of one label."""
    numbered = np.where(roi, labels, 0).astype(np.uint32)
    return cc3d.connected_components(numbered, connectivity=26, out_dtype=np.uint32)


def blank_annotation(like: Volume, ignore_value: int) -> Volume:
    """Labels (int16) on a volume's grid in which nothing has been looked at: all voxels are to be ignored."""
    return like.with_data(np.full(like.shape, ignore_value, dtype=np.int16))


def paint_spheres(labels: Volume, centres_xyz_nm: ArrayLike, radius_nm: float, value: int) -> Volume:
    """Labels with balls of a radius about points (n, 3) set to ``value``; what reaches outside is cut."""
    painted = labels.data.copy()
    for centre in labels.index(np.atleast_2d(np.asarray(centres_xyz_nm, dtype=float))):
        _paint_capsule(painted, centre, centre, radius_nm / labels.voxel_size_nm, value)
    return labels.with_data(painted)


def paint_stroke(labels: Volume, points_xyz_nm: ArrayLike, radius_nm: float, value: int) -> Volume:
    """Labels with a round brush drawn along a line through points (n, 3), set to ``value``."""
    painted = labels.data.copy()
    knots = labels.index(np.atleast_2d(np.asarray(points_xyz_nm, dtype=float)))
    ends = knots[1:] if len(knots) > 1 else knots
    for start, end in zip(knots, ends, strict=False):
        _paint_capsule(painted, start, end, radius_nm / labels.voxel_size_nm, value)
    return labels.with_data(painted)


def _paint_capsule(
    labels: NDArray[Any], start: NDArray[np.float64], end: NDArray[np.float64], radius: float, value: int
) -> None:
    """Set every voxel within ``radius`` (voxels) of the segment from start to end (z, y, x)."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius).astype(int), 0)
    high = np.minimum(np.ceil(np.maximum(start, end) + radius).astype(int) + 1, labels.shape)
    if (low >= high).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offset = np.moveaxis(np.indices(high - low), 0, -1) + low - start
    along = end - start
    share = np.clip(offset @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    labels[box][np.linalg.norm(offset - share[..., None] * along, axis=-1) <= radius + 1e-9] = value
