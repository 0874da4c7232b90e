"""One ROI under judgement, and the geometry of taking it apart, joining it and comparing it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import edt
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from tomocore.contract import InputError
from tomocore.roiset import RoiSet
from tomocore.side_files import said_by
from tomorois.annotation.files_of_annotation import JUDGED, Status
from tomorois.annotation.strokes import Bools, Box, packed, unpacked

STATUS_TOLD: dict[Status, str] = {
    "predicted": "not seen",
    "kept": "kept",
    "rejected": "rejected",
    "unsure": "not sure",
}
SAME_ROI = 0.8  # intersection over union from which an ROI found again is the one that was judged
RELATED_ROI = 0.2  # below it, it is another one
Key = tuple[str, int]
"""The tomogram's stem and the ROI's id."""


@dataclass(frozen=True, eq=False)
class JudgedRoi:
    """An ROI of a tomogram (``stem``): its voxels from ``start`` (z, y, x) on, and what was said of it.

    ``made_by`` is "network", or the edit that made it: split, merge, redraw, draw. ``changed`` tells that it
    is new or other than at the last look. Confidences are NaN where there is no map.
    """

    stem: str
    id: int
    start: tuple[int, int, int]
    mask: Bools
    status: Status = "predicted"
    confidence: float = float("nan")
    highest: float = float("nan")
    membranes: str = ""
    made_by: str = "network"
    changed: bool = False

    @property
    def key(self) -> Key:
        """Stem and id."""
        return self.stem, self.id

    @property
    def box(self) -> Box:
        """Its slices z, y, x."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.mask.shape, strict=True))  # type: ignore[return-value]

    @cached_property
    def voxels(self) -> int:
        """How many voxels it has."""
        return int(np.count_nonzero(self.mask))

    @property
    def is_seen(self) -> bool:
        """Whether somebody has judged it."""
        return self.status in JUDGED

    def centre(self) -> tuple[int, int, int]:
        """The voxel of it (z, y, x) that lies nearest to its centroid."""
        places = np.argwhere(self.mask)
        nearest = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
        z, y, x = (int(a + b) for a, b in zip(nearest, self.start, strict=True))
        return z, y, x

    @cached_property
    def tilt_deg(self) -> float:
        """Angle between its thinnest direction and z in degrees, 0 to 90: 0 lies flat in the slice."""
        places = np.argwhere(self.mask)
        if len(places) < 4:
            return float("nan")
        _, vectors = np.linalg.eigh(np.cov(places.T))
        return float(np.degrees(np.arccos(min(abs(float(vectors[0, 0])), 1.0))))


def trimmed(roi: JudgedRoi) -> JudgedRoi:
    """The same ROI in the smallest box. Raises InputError where no voxel is left."""
    places = np.argwhere(roi.mask)
    if len(places) == 0:
        raise InputError("nothing of this ROI would be left; reject it instead")
    low, high = places.min(axis=0), places.max(axis=0) + 1
    z, y, x = (int(a + b) for a, b in zip(roi.start, low, strict=True))
    mask = np.ascontiguousarray(roi.mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
    return replace(roi, start=(z, y, x), mask=mask)


def cut_by_plane(roi: JudgedRoi, axis: int, line: ArrayLike) -> list[Bools]:
    """Masks (in its box) of both sides of a cut: along a line in a slice, and straight down ``axis``.

    ``line`` (2, 2) holds the ends of the line in voxels along the other two axes, in their order. Raises
    InputError where all of it lies on one side.
    """
    first, second = np.asarray(line, dtype=np.float64)
    others = [k for k in range(3) if k != axis]
    a, b = (
        np.arange(roi.mask.shape[k]).reshape([-1 if j == k else 1 for j in range(3)]) + roi.start[k]
        for k in others
    )
    side = (second[0] - first[0]) * (b - first[1]) - (second[1] - first[1]) * (a - first[0]) >= 0
    return _both([roi.mask & side, roi.mask & ~side])


def cut_by_seeds(roi: JudgedRoi, seeds_zyx: ArrayLike) -> list[Bools]:
    """A part for each seed (n, 3; voxels), cut where it is thinnest between them, as masks of its box.

    Raises InputError for fewer than two seeds in different places of the ROI.
    """
    places = np.argwhere(roi.mask)
    markers = np.zeros(roi.mask.shape, np.int32)
    for number, seed in enumerate(np.atleast_2d(np.asarray(seeds_zyx, dtype=np.float64)), start=1):
        nearest = places[np.argmin(((places + roi.start - seed) ** 2).sum(axis=1))]
        markers[tuple(nearest)] = number
    depth = edt.edt(np.pad(roi.mask, 1))[1:-1, 1:-1, 1:-1]
    parts = watershed(-depth, markers, mask=roi.mask)
    return _both([parts == number for number in np.unique(markers[markers > 0])])


def joined(rois: Sequence[JudgedRoi]) -> tuple[tuple[int, int, int], Bools]:
    """Start and mask of all voxels of several ROIs of one tomogram."""
    low = np.min([roi.start for roi in rois], axis=0)
    high = np.max([np.add(roi.start, roi.mask.shape) for roi in rois], axis=0)
    mask = np.zeros(high - low, dtype=bool)
    for roi in rois:
        mask[
            tuple(slice(a - o, a - o + n) for a, o, n in zip(roi.start, low, roi.mask.shape, strict=True))
        ] |= roi.mask
    z, y, x = (int(n) for n in low)
    return (z, y, x), mask


def overlap(first: JudgedRoi, second: JudgedRoi) -> float:
    """Intersection over union (0 to 1) of two ROIs of one tomogram."""
    low = np.maximum(first.start, second.start)
    high = np.minimum(np.add(first.start, first.mask.shape), np.add(second.start, second.mask.shape))
    if (low >= high).any():
        return 0.0
    shared = np.count_nonzero(_window(first, low, high) & _window(second, low, high))
    return shared / (first.voxels + second.voxels - shared)


def carried_over(judged: Sequence[JudgedRoi], found: Sequence[JudgedRoi], first_id: int) -> list[JudgedRoi]:
    """ROIs found anew with what was said of the ones before: the same keep it, others count as changed.

    Those that were judged and not found again stay, with new ids, and so do those drawn by hand: what a
    person said is not lost by a new model.
    """
    result, matched = [], set()
    for roi in found:
        shares = [(overlap(roi, old), old) for old in judged]
        share, best = max(shares, key=lambda pair: pair[0], default=(0.0, None))
        if best is not None and share >= SAME_ROI:
            result.append(replace(roi, status=best.status))
            matched.add(best.key)
        else:
            result.append(replace(roi, changed=True))
            matched |= {old.key for part, old in shares if part >= RELATED_ROI and old.made_by == "network"}
    lost = [old for old in judged if old.key not in matched and old.status in ("kept", "rejected")]
    return result + [replace(old, id=first_id + n) for n, old in enumerate(lost)]


def all_judged(rois: Sequence[JudgedRoi]) -> bool:
    """Whether there are ROIs and every one is kept or rejected."""
    return bool(rois) and all(roi.status in ("kept", "rejected") for roi in rois)


def judged_rois(stem: str, rois: RoiSet) -> list[JudgedRoi]:
    """The ROIs of a file, with what it says of them."""
    table = rois.table
    judged = []
    for row, (box, mask) in enumerate(rois.placed_masks()):
        values = table.iloc[row]
        status: Status = values["status"] if values["status"] in JUDGED else "predicted"
        judged.append(
            JudgedRoi(
                stem,
                int(values["id"]),
                (box[0].start, box[1].start, box[2].start),
                mask,
                status,
                float(values["confidence_mean"]),
                float(values["confidence_max"]),
                str(values["membranes"]),
                str(values.get("made_by", "network")),
            )
        )
    return judged


def grown(roi: JudgedRoi, voxels: int) -> JudgedRoi:
    """The ROI with so many voxels more on every side, along the axes in turn; cut where indices begin."""
    padded = np.pad(roi.mask, [(min(voxels, a), voxels) for a in roi.start])
    z, y, x = (a - min(voxels, a) for a in roi.start)
    reach = ndimage.generate_binary_structure(3, 1)
    return replace(roi, start=(z, y, x), mask=ndimage.binary_dilation(padded, reach, iterations=voxels))


def roi_record(roi: JudgedRoi) -> dict[str, Any]:
    """An ROI as plain values for a line of JSON."""
    return {
        "id": roi.id,
        "start": list(roi.start),
        "size": list(roi.mask.shape),
        "bits": packed(roi.mask),
        "status": roi.status,
        "confidence": _number(roi.confidence),
        "highest": _number(roi.highest),
        "membranes": roi.membranes,
        "made_by": roi.made_by,
        "changed": roi.changed,
    }


def roi_of_record(stem: str, record: Mapping[str, Any]) -> JudgedRoi:
    """The ROI of `roi_record`. Raises InputError where the record is none."""
    try:
        z, y, x = (int(n) for n in record["start"])
        return JudgedRoi(
            stem,
            int(record["id"]),
            (z, y, x),
            unpacked(record["bits"], record["size"]),
            record["status"],
            float("nan") if record["confidence"] is None else float(record["confidence"]),
            float("nan") if record["highest"] is None else float(record["highest"]),
            str(record["membranes"]),
            str(record["made_by"]),
            bool(record["changed"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(f"an ROI that cannot be read ({said_by(error)})") from error


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _both(parts: list[Bools]) -> list[Bools]:
    parts = [part for part in parts if part.any()]
    if len(parts) < 2:
        raise InputError("this does not take the ROI apart; cut across it, or set seeds in two of its parts")
    return parts


def _window(roi: JudgedRoi, low: NDArray[np.int64], high: NDArray[np.int64]) -> Bools:
    return roi.mask[
        tuple(slice(int(a - s), int(b - s)) for a, b, s in zip(low, high, roi.start, strict=True))
    ]
