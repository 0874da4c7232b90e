"""Strokes: which voxels one gesture of a hand sets to which value, whatever drew it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cc3d
import edt
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import find_objects, gaussian_filter
from skimage.draw import polygon2mask

from tomocore.archive import MOST_DEFLATED
from tomocore.contract import InputError
from tomocore.roiset import LONGEST_AXIS
from tomocore.side_files import said_by

Bools = NDArray[np.bool_]
Box = tuple[slice, slice, slice]
Shape = tuple[int, int, int]
Point = tuple[float, float, float]

EMPTY, BACKGROUND, IGNORE = 0, 254, 255
"""What painted labels hold beside the classes 1, 2, …: nothing, "not an ROI", "judge nothing here"."""


@dataclass(frozen=True)
class Stroke:
    """Voxels of a box of the tomogram that begins at ``start`` (z, y, x), all set to one value."""

    start: tuple[int, int, int]
    mask: Bools
    value: int
    tool: str

    @property
    def box(self) -> Box:
        """The slices z, y, x that it lies in."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.mask.shape, strict=True))  # type: ignore[return-value]

    def within(self, allowed: Bools) -> Stroke:
        """The same stroke where ``allowed`` (the shape of its mask) holds."""
        return replace(self, mask=self.mask & allowed)


def stroke_record(stroke: Stroke) -> dict[str, Any]:
    """A stroke as plain values for a line of JSON: the voxels themselves, so that it replays for ever."""
    return {
        "do": "paint",
        "tool": stroke.tool,
        "value": stroke.value,
        "start": list(stroke.start),
        "size": list(stroke.mask.shape),
        "bits": packed(stroke.mask),
    }


def stroke_of_record(record: Mapping[str, Any]) -> Stroke:
    """The stroke of `stroke_record`. Raises InputError where the record is none."""
    try:
        z, y, x = (int(n) for n in record["start"])
        if min(z, y, x) < 0:
            raise ValueError(f"it begins at voxel {(z, y, x)}")
        mask = unpacked(record["bits"], record["size"])
        return Stroke((z, y, x), mask, int(record["value"]), str(record["tool"]))
    except (KeyError, TypeError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(f"a stroke that cannot be read ({said_by(error)})") from error


def packed(mask: Bools) -> str:
    """A mask's bits, compressed, as text."""
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 6)).decode("ascii")


def unpacked(text: str, size: Sequence[int]) -> Bools:
    """The mask of a size (z, y, x) whose bits `packed` wrote; ValueError where they are others."""
    z, y, x = (int(n) for n in size)
    if min(z, y, x) < 1 or max(z, y, x) > LONGEST_AXIS:
        raise ValueError(f"a mask of the size {(z, y, x)}")
    length = -(-z * y * x // 8)
    raw = base64.b64decode(text)
    whole = zlib.decompressobj().decompress(raw, length) if length <= MOST_DEFLATED * len(raw) else b""
    if len(whole) != length:
        raise ValueError(f"{len(whole)} bytes of a mask where {length} belong")
    return np.unpackbits(np.frombuffer(whole, np.uint8), count=z * y * x).astype(bool).reshape(z, y, x)


def line_stroke(
    shape: Shape, knots_zyx: ArrayLike, radius: float, value: int, plane_axis: int | None = None
) -> Stroke | None:
    """A round brush drawn along a line through knots (n, 3), in voxels; None where it misses the tomogram.

    One knot is a ball. With ``plane_axis`` (0, 1, 2) only the slice of the first knot along it is painted.
    ``radius`` is in voxels, ``shape`` the tomogram's, ``value`` what is painted.
    """
    knots = np.atleast_2d(np.asarray(knots_zyx, dtype=np.float64))
    low = np.maximum(np.floor(knots.min(axis=0) - radius).astype(int), 0)
    high = np.minimum(np.ceil(knots.max(axis=0) + radius).astype(int) + 1, shape)
    if plane_axis is not None:
        at = int(np.rint(knots[0, plane_axis]))
        low[plane_axis], high[plane_axis] = max(at, 0), min(at + 1, shape[plane_axis])
        knots = knots.copy()
        knots[:, plane_axis] = at
    if (low >= high).any():
        return None
    mask = np.zeros(high - low, dtype=bool)
    for start, end in _segments(knots):
        _add_capsule(mask, start - low, end - low, radius)
    tool = "brush" if plane_axis is not None else "sphere" if len(knots) == 1 else "tube"
    return _stroke(low, mask, value, tool) if mask.any() else None


def outline_stroke(
    shape: Shape, axis: int, index: int, corners: ArrayLike, value: int, tool: str = "lasso"
) -> Stroke | None:
    """The inside of an outline in one slice; None where it holds no voxel's centre.

    ``axis`` and ``index`` name the slice of a tomogram of ``shape``; ``corners`` (n, 2) are in voxels along
    the other two axes, in their order. ``value`` is painted, and ``tool`` is its name in the journal.
    """
    points = np.asarray(corners, dtype=np.float64)
    plane = tuple(n for k, n in enumerate(shape) if k != axis)
    if len(points) < 3 or not 0 <= index < shape[axis]:
        return None
    low = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, plane)
    if (low >= high).any():
        return None
    inside = polygon2mask(tuple(high - low), points - low)
    start = np.insert(low, axis, index)
    return _stroke(start, np.expand_dims(inside, axis), value, tool) if inside.any() else None


def fill_stroke(labels: NDArray[Any], at_zyx: Point, value: int, axis: int | None = None) -> Stroke | None:
    """The hole about a voxel, closed on all sides by other labels; None where it is open to the border.

    In the slice along ``axis`` through the voxel, or in all three directions where ``axis`` is None.
    """
    at = tuple(int(np.rint(c)) for c in at_zyx)
    if any(not 0 <= c < n for c, n in zip(at, labels.shape, strict=True)):
        return None
    view = labels if axis is None else labels[_slice_of(axis, at[axis])]
    here = at if axis is None else tuple(0 if k == axis else c for k, c in enumerate(at))
    same = view == view[here]
    parts = cc3d.connected_components(same, connectivity=6)
    hole = parts == parts[here]
    box = find_objects(hole.astype(np.uint8))[0]
    for k, part in enumerate(box):
        if k != axis and (part.start == 0 or part.stop == view.shape[k]):
            return None
    start = np.array([part.start for part in box])
    if axis is not None:
        start[axis] = at[axis]
    return _stroke(start, hole[box], value, "fill")


def interpolated_strokes(
    labels: NDArray[Any], axis: int, index: int, value: int, farthest: int = 60
) -> list[Stroke]:
    """What lies between the slice ``index`` along ``axis`` and the next painted one, as a stroke a slice.

    Both slices hold outlines of ``value``; between them the signed distance changes evenly (Raya and Udupa
    1990). The next painted slice is looked for on both sides, up to ``farthest`` slices away, the nearer
    first; what lies directly beside the slice is no gap. Empty where there is none.
    """
    here = np.asarray(labels[_slice_of(axis, index)] == value)
    if not here.any():
        return []
    for step in range(2, farthest + 1):
        for other in (index - step, index + step):
            if not 0 <= other < labels.shape[axis]:
                continue
            between = [index + np.sign(other - index) * k for k in range(1, step)]
            there = _touching(np.asarray(labels[_slice_of(axis, other)] == value), here)
            if there.any() and not any(_has(labels, axis, k, value, here) for k in between):
                return _between(here, there, axis, index, other, value)
    return []


def joined_stroke(strokes: Sequence[Stroke]) -> Stroke:
    """Several strokes of one value as one, so that they are undone together."""
    low = np.min([stroke.start for stroke in strokes], axis=0)
    high = np.max([np.add(stroke.start, stroke.mask.shape) for stroke in strokes], axis=0)
    mask = np.zeros(high - low, dtype=bool)
    for stroke in strokes:
        place = tuple(slice(s.start - int(a), s.stop - int(a)) for s, a in zip(stroke.box, low, strict=True))
        mask[place] |= stroke.mask
    return _stroke(low, mask, strokes[0].value, strokes[0].tool)


def membrane_voxels(
    membranes: NDArray[Any] | None, tomogram: NDArray[Any], box: Box, dark: bool = True
) -> Bools:
    """Where membrane is within a box: in a mask or a map of it, else where the tomogram is dense.

    ``membranes`` counts from 0.5 on. Without it (None) a voxel of the ``tomogram``, smoothed by a voxel, is
    membrane where it is darker (``dark``; else brighter) than the box's mean by half a standard deviation.
    """
    if membranes is not None:
        return np.asarray(membranes[box]) >= 0.5
    grey = gaussian_filter(np.asarray(tomogram[box], dtype=np.float32), 1.0)
    grey = -grey if dark else grey
    return np.asarray(grey > grey.mean() + 0.5 * grey.std())


def mask_stroke(start: Sequence[int], mask: Bools, value: int, tool: str) -> Stroke | None:
    """A stroke of a mask whose first voxel is ``start``, trimmed to what it holds; None where it is empty."""
    return _stroke(np.asarray(start), mask, value, tool) if mask.any() else None


def _stroke(start: NDArray[Any], mask: Bools, value: int, tool: str) -> Stroke:
    box = find_objects(mask.astype(np.uint8))[0]
    z, y, x = (int(a) + part.start for a, part in zip(start, box, strict=True))
    return Stroke((z, y, x), np.ascontiguousarray(mask[box]), int(value), tool)


def _segments(knots: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    ends = knots[1:] if len(knots) > 1 else knots
    return list(zip(knots, ends, strict=False))


def _add_capsule(mask: Bools, start: NDArray[np.float64], end: NDArray[np.float64], radius: float) -> None:
    """Set every voxel within ``radius`` (voxels) of the segment from start to end (z, y, x)."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius).astype(int), 0)
    high = np.minimum(np.ceil(np.maximum(start, end) + radius).astype(int) + 1, mask.shape)
    if (low >= high).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offset = [
        axis + first - from_
        for axis, first, from_ in zip(
            np.ogrid[tuple(slice(0, n) for n in high - low)], low, start, strict=True
        )
    ]
    along = end - start
    share = np.clip(
        sum(o * a for o, a in zip(offset, along, strict=True)) / max(float(along @ along), 1e-12), 0.0, 1.0
    )
    square = sum((o - share * a) ** 2 for o, a in zip(offset, along, strict=True))
    mask[box] |= square <= (radius + 1e-9) ** 2


def _slice_of(axis: int, index: int) -> Box:
    whole = [slice(None)] * 3
    whole[axis] = slice(index, index + 1)
    return whole[0], whole[1], whole[2]


def _touching(there: Bools, here: Bools) -> Bools:
    """The pieces of one slice's outlines that lie over the other's, both one voxel thick."""
    pieces = cc3d.connected_components(there, connectivity=26)
    over = np.unique(pieces[here])
    return np.isin(pieces, over[over > 0])


def _has(labels: NDArray[Any], axis: int, index: int, value: int, here: Bools) -> bool:
    return bool((np.asarray(labels[_slice_of(axis, index)] == value) & here).any())


def _between(here: Bools, there: Bools, axis: int, index: int, other: int, value: int) -> list[Stroke]:
    here = _touching(here, there)
    first, last = (_signed_distance(np.squeeze(mask, axis)) for mask in (here, there))
    strokes = []
    step = 1 if other > index else -1
    for at in range(index + step, other, step):
        share = (at - index) / (other - index)
        inside = (1 - share) * first + share * last > 0
        stroke = mask_stroke(
            [int(n) for n in np.insert([0, 0], axis, at)],
            np.expand_dims(inside, axis),
            value,
            "interpolation",
        )
        if stroke is not None:
            strokes.append(stroke)
    return strokes


def _signed_distance(mask: Bools) -> NDArray[np.float32]:
    """Distance to the outline in voxels, positive inside."""
    return np.asarray(edt.edt(mask) - edt.edt(~mask), dtype=np.float32)
