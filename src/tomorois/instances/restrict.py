"""The membrane within ROIs: one label volume for looking, and ROI by ROI where overlaps must survive."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import edt
import numpy as np
from pydantic import Field

from tomocore.contract import InputError, Progress, no_progress
from tomocore.roiset import RoiSet, box_with_margin, dilated_mask, mask_in_box
from tomocore.settings import Settings
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)


class RestrictSettings(Settings):
    """How ROIs cut out membranes."""

    dilation_nm: float = Field(
        5.0, ge=0, le=500, description="ROIs are grown by this many nm before they cut out membrane."
    )


def restrict_mask(mask: Volume, rois: RoiSet, dilation_nm: float, progress: Progress = no_progress) -> Volume:
    """The membrane voxels (``mask`` > 0) within the grown ROIs, labelled (int16, else uint16) by ROI id.

    A voxel within several ROIs gets the nearest one (within several: the lowest id); `membranes_by_roi`
    keeps it in all of them. ROIs that hold no membrane are named in a warning. Raises InputError where
    mask and ROIs are on different grids.
    """
    require_same_grid(mask, rois)
    highest = int(rois.ids.max(initial=0))
    labels = np.zeros(rois.shape, np.int16 if highest <= np.iinfo(np.int16).max else np.uint16)
    nearest = np.full(rois.shape, np.inf, np.float32)
    without = []
    for done, row in enumerate(np.argsort(rois.ids), start=1):
        box, distance = _distance_nm(rois, int(row), dilation_nm)
        within = (np.asarray(mask.data[box]) > 0) & (distance <= dilation_nm * (1 + 1e-6))
        if not within.any():
            without.append(str(rois.ids[row]))
        closer = within & (distance < nearest[box])
        labels[box][closer] = rois.ids[row]
        nearest[box][closer] = distance[closer]
        progress(done, len(rois))
    _tell_without(without, len(rois))
    return Volume(labels, mask.voxel_size_nm, mask.origin_nm)


def membranes_by_roi(mask: Volume, rois: RoiSet, dilation_nm: float) -> Iterator[tuple[int, Volume]]:
    """Id and membrane of each ROI in order: the mask's values within the grown ROI, in its box.

    Overlaps survive: a voxel comes up in every ROI that holds it, with the value it has in ``mask``.
    """
    require_same_grid(mask, rois)
    for row, roi_id in enumerate(rois.ids):
        box, within = dilated_mask(rois, row, dilation_nm)
        crop = mask.crop(box)
        yield int(roi_id), crop.with_data(np.where(within, np.asarray(crop.data), 0).astype(crop.data.dtype))


def require_mask(volume: Volume, path: Path, or_map: bool = False) -> Volume:
    """The volume, where it is a mask or labels, -1 for what is ignored, ``or_map`` a map from 0 to 1.

    Raises InputError, naming the file, for a tomogram and a map of scores.
    """
    data = np.asarray(volume.data)
    low, high = (float(data.min()), float(data.max())) if data.size else (0.0, 0.0)
    is_whole = data.dtype.kind in "iub" or bool((data == np.rint(data)).all())
    is_map = or_map and 0 <= low <= high <= 1
    if not (is_map or (is_whole and low >= -1)):
        held = "" if is_whole else "fractions "
        raise InputError(
            f"{path}: holds {held}from {low:.3g} to {high:.3g}, so it is no mask; give the mask, or "
            "threshold a map of scores first (surfora clean MAP --threshold T -o MASK)"
        )
    return volume


def require_same_grid(volume: Volume, rois: RoiSet) -> None:
    """InputError where a volume and ROIs differ in shape, or in voxel size by more than 1 %."""
    if volume.shape != rois.shape:
        raise InputError(
            f"the volume has {volume.shape} voxels (z, y, x) and the ROIs' tomogram {rois.shape}; give files "
            "of the same tomogram at the same binning"
        )
    if abs(volume.voxel_size_nm / rois.voxel_size_nm - 1) > 0.01:
        raise InputError(
            f"the volume has voxels of {volume.voxel_size_nm:.4g} nm and the ROIs of "
            f"{rois.voxel_size_nm:.4g} nm; give the right one with --voxel-size"
        )


def _distance_nm(rois: RoiSet, row: int, dilation_nm: float) -> tuple[tuple[slice, slice, slice], np.ndarray]:
    box = box_with_margin(rois, row, dilation_nm)
    inside = mask_in_box(rois, row, box)
    return box, edt.edt(~inside, anisotropy=(rois.voxel_size_nm,) * 3)


def _tell_without(ids: list[str], count: int) -> None:
    if ids and len(ids) == count:
        log.warning("no ROI holds any membrane: do mask and ROIs belong to the same tomogram?")
    elif ids:
        log.warning("%d of %d ROIs hold no membrane: %s", len(ids), count, ", ".join(ids))
