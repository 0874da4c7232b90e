"""The penalty for recurring mistakes: ROIs that a person rejected, as background that weighs more.

How much more, and how often they are drawn, is `settings.PenaltySettings`; `patches` draws them, and the
weights are those of the loss.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.roiset import RoiSet, read_rois, union_mask
from tomocore.volumes.volume import Volume
from tomorois.annotation.targets import Bools, Targets

CURATED = ("kept", "rejected")  # statuses that a person gives an ROI


def rejected_mask(rois: RoiSet) -> NDArray[np.bool_]:
    """The voxels of the ROIs with status "rejected", or of all where nobody has curated them."""
    status = rois.table["status"]
    if status.isin(CURATED).any():
        rois = rois.at((status == "rejected").to_numpy())
    return np.asarray(union_mask(rois).data, dtype=bool)


def read_rejected(path: Path, tomogram: Volume) -> NDArray[np.bool_]:
    """The rejected voxels of a tomogram, from labels or ROIs; InputError where they are of another shape."""
    rejected = rejected_mask(read_rois(path, tomogram.voxel_size_nm))
    if rejected.shape != tomogram.shape:
        raise InputError(
            f"{path}: has shape {rejected.shape}, its tomogram {tomogram.shape}; give the penalty file "
            "made from this tomogram"
        )
    return rejected


def with_rejected(targets: Targets, rejected: Bools) -> tuple[Targets, Bools]:
    """Targets in which rejected voxels are background, and the voxels this holds for.

    A voxel annotated as ROI stays one: a rejected region may have run into a true one.
    """
    penalised = rejected & ~(targets.roi & targets.counted)
    return Targets(targets.roi & ~penalised, targets.counted | penalised), penalised
