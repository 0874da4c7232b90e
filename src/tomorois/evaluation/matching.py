"""Which predicted ROI is which true one: overlaps, one-to-one matching, splits and merges, orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tomocore.contract import InputError
from tomocore.roiset import Bools, RoiSet, mask_in_box, union_mask
from tomocore.volumes.volume import Volume
from tomorois.evaluation.settings import MatchSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOSTLY = 0.5  # an ROI lies in another where more than this share of its voxels does


@dataclass(frozen=True)
class Comparison:
    """One tomogram's predicted ROIs against its true ones, by row.

    ``matched`` (k, 2) are rows of predicted and true ROIs, with ``iou`` and ``dice`` (k,) of each pair.
    ``false`` and ``missed`` are the rows that count as false positives and negatives, ``forgiven`` how
    many do not count (cut by the edge, or in an ignore region). ``splits`` are true rows found in
    several pieces, ``merges`` predicted rows that hold several true ROIs. Volumes are of the unions.
    ``tilt_deg`` (t,) is the angle of each true ROI's flat normal to z: 0 lies in XY, 90 stands
    upright; NaN for one that is not flat.
    """

    name: str
    predicted_ids: Ints
    truth_ids: Ints
    confidence: Floats
    overlap_iou: Floats
    matched: Ints
    iou: Floats
    dice: Floats
    false: Ints
    missed: Ints
    forgiven: int
    splits: Ints
    merges: Ints
    shared_nm3: float
    predicted_nm3: float
    truth_nm3: float
    tilt_deg: Floats


def compare(
    predicted: RoiSet,
    truth: RoiSet,
    settings: MatchSettings = MatchSettings(),
    name: str = "",
    ignored: Volume | None = None,
) -> Comparison:
    """The comparison of one tomogram's ``predicted`` with its ``truth`` ROIs, both on one grid.

    Matching is one to one: of all ways to pair predicted with true ROIs of at least ``settings.min_iou``, the
    one with the greatest sum of IoU (Hungarian method). Rejected predictions are left out. Voxels of
    ``ignored`` (other than 0, on the same grid) are not judged, nor are unmatched ROIs that lie mostly there;
    None: all are. ``name`` is the tomogram's, for messages and tables. Raises InputError where the two are
    not on the same grid.
    """
    _refuse_other_grid(predicted, truth, name)
    predicted = predicted.at(predicted.table["status"].to_numpy() != "rejected")
    shared = shared_voxels(predicted, truth)
    sizes, truth_sizes = roi_voxels(predicted), roi_voxels(truth)
    iou = shared / (sizes[:, None] + truth_sizes[None, :] - shared)
    matched = match_by_iou(iou, settings.min_iou)
    unmatched = np.setdiff1d(np.arange(len(predicted)), matched[:, 0])
    unfound = np.setdiff1d(np.arange(len(truth)), matched[:, 1])
    false = unmatched[~_forgiven(predicted, settings, ignored)[unmatched]]
    missed = unfound[~_forgiven(truth, settings, ignored)[unfound]]
    pair_iou = iou[matched[:, 0], matched[:, 1]]
    splits, merges = _splits_and_merges(shared, sizes, truth_sizes, unmatched, unfound)
    volumes = _union_volumes_nm3(predicted, truth, ignored)
    return Comparison(
        name=name,
        predicted_ids=predicted.ids,
        truth_ids=truth.ids,
        confidence=predicted.table["confidence_mean"].to_numpy(dtype=np.float64),
        overlap_iou=iou,
        matched=matched,
        iou=pair_iou,
        dice=2 * pair_iou / (1 + pair_iou),
        false=false,
        missed=missed,
        forgiven=len(unmatched) - len(false) + len(unfound) - len(missed),
        splits=splits,
        merges=merges,
        shared_nm3=volumes[0],
        predicted_nm3=volumes[1],
        truth_nm3=volumes[2],
        tilt_deg=tilt_deg(truth, settings.min_flatness),
    )


def match_by_iou(iou: Floats, min_iou: float) -> Ints:
    """Rows and columns (k, 2) of the one-to-one pairing with the greatest sum of IoU of those allowed."""
    allowed = np.where(iou >= min_iou, iou, 0.0)
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    real = allowed[rows, columns] > 0
    return np.stack([rows[real], columns[real]], axis=1).astype(np.int64).reshape(-1, 2)


def shared_voxels(predicted: RoiSet, truth: RoiSet) -> Floats:
    """Voxels (p, t) that each predicted ROI shares with each true one."""
    shared = np.zeros((len(predicted), len(truth)))
    for row in range(len(predicted)):
        first = np.maximum(predicted.boxes[row, 0], truth.boxes[:, 0])
        last = np.minimum(predicted.boxes[row, 1], truth.boxes[:, 1])
        near = np.flatnonzero((first < last).all(axis=1))
        if len(near) == 0:
            continue
        mask = predicted.mask(row)
        for column in near:
            other = mask_in_box(truth, int(column), predicted.box(row))
            shared[row, column] = np.count_nonzero(mask & other)
    return shared


def roi_voxels(rois: RoiSet) -> Floats:
    """Voxels (n,) of each ROI."""
    return np.array([np.count_nonzero(mask) for _, mask in rois.placed_masks()], dtype=np.float64)


def tilt_deg(rois: RoiSet, min_flatness: float = 0.0) -> Floats:
    """Angle (n,) in degrees, 0 to 90, between each ROI's thinnest principal axis and z; NaN if not flat."""
    angles = np.full(len(rois), np.nan)
    for row, (_, mask) in enumerate(rois.placed_masks()):
        voxels = np.argwhere(mask)
        if len(voxels) < 4:
            continue
        # a voxel's own extent (1/12 along each axis) keeps a plane of voxels from having none
        extents, axes = np.linalg.eigh(np.cov(voxels.T) + np.eye(3) / 12)
        if np.sqrt(extents[0] / extents[1]) <= 1 - min_flatness:
            angles[row] = np.degrees(np.arccos(min(abs(axes[0, 0]), 1.0)))
    return angles


def _splits_and_merges(
    shared: Floats, sizes: Floats, truth_sizes: Floats, unmatched: Ints, unfound: Ints
) -> tuple[Ints, Ints]:
    """True rows in which several predictions lie, one of them spare; predicted rows holding several true
    ROIs, one of them without its own prediction. So ROIs that overlap by nature are no error."""
    within_truth = shared > MOSTLY * sizes[:, None]
    within_predicted = shared > MOSTLY * truth_sizes[None, :]
    splits = (within_truth.sum(axis=0) > 1) & within_truth[unmatched].any(axis=0)
    merges = (within_predicted.sum(axis=1) > 1) & within_predicted[:, unfound].any(axis=1)
    return np.flatnonzero(splits), np.flatnonzero(merges)


def _forgiven(rois: RoiSet, settings: MatchSettings, ignored: Volume | None) -> Bools:
    forgiven = np.zeros(len(rois), dtype=bool)
    if settings.edge == "forgive":
        margin = settings.edge_nm / rois.voxel_size_nm
        cut = (rois.boxes[:, 0] <= margin) | (rois.boxes[:, 1] >= np.array(rois.shape) - margin)
        forgiven |= cut.any(axis=1)
    if ignored is not None:
        outside = np.array([np.count_nonzero(ignored.data[box] & mask) for box, mask in rois.placed_masks()])
        forgiven |= outside > MOSTLY * roi_voxels(rois)
    return forgiven


def _union_volumes_nm3(
    predicted: RoiSet, truth: RoiSet, ignored: Volume | None
) -> tuple[float, float, float]:
    found = np.asarray(union_mask(predicted).data, dtype=bool)
    true = np.asarray(union_mask(truth).data, dtype=bool)
    if ignored is not None:
        judged = ~np.asarray(ignored.data, dtype=bool)
        found, true = found & judged, true & judged
    voxel = truth.voxel_size_nm**3
    counts: tuple[Any, ...] = (found & true, found, true)
    shared, predicted_count, truth_count = (float(np.count_nonzero(part)) * voxel for part in counts)
    return shared, predicted_count, truth_count


def _refuse_other_grid(predicted: RoiSet, truth: RoiSet, name: str) -> None:
    if predicted.shape != truth.shape:
        raise InputError(
            f"{name}: predicted ROIs are on a grid of {predicted.shape}, the true ones on {truth.shape}; "
            "compare ROIs of the same tomogram at the same binning"
        )
    if abs(predicted.voxel_size_nm / truth.voxel_size_nm - 1) > 0.01:
        raise InputError(
            f"{name}: predicted ROIs have voxels of {predicted.voxel_size_nm:.4g} nm, the true ones of "
            f"{truth.voxel_size_nm:.4g} nm; give the right one with --voxel-size"
        )
