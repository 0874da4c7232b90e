"""What a person painted and judged, as the files that a training reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.files import require_writable_folder
from tomocore.files_of_tomograms import volume_stem
from tomocore.roiset import write_rois_archive
from tomocore.volumes.formats import write_volume
from tomorois.annotation.curation import Curation
from tomorois.annotation.painting import Painting
from tomorois.annotation.session import AnnotationSession
from tomorois.annotation.strokes import BACKGROUND, IGNORE
from tomorois.annotation.written_labels import near_rois
from tomorois.training.files import AnnotatedFiles

FIRST_KEPT = 300
"""Label of the first kept ROI: beyond all classes and marks, so that touching ROIs stay apart."""


def taught_labels(painting: Painting, curation: Curation | None, stem: str) -> NDArray[np.uint16]:
    """Labels for training (0 background, 1… ROIs, 255 ignored) of what was painted and judged on a tomogram.

    Paint wins. Kept ROIs are ROIs; rejected ones are background; what nobody judged, or was not sure of, is
    ignored. Where every ROI is kept or rejected the rest of the tomogram is background, too; else only what
    is near a painted or kept ROI, as `Painting.near_nm` says.
    """
    labels: NDArray[np.uint16] = np.asarray(painting.taught().data)
    if curation is None or stem not in curation.stems:
        return labels
    free = painting.labels == 0
    if painting.is_empty:
        labels[...] = IGNORE
    near_voxels = painting.near_nm / painting.tomogram.voxel_size_nm
    rois = curation.of(stem)
    if curation.is_complete(stem) and painting.rest != "ignore":
        labels[free] = 0
    else:
        kept = np.zeros(labels.shape, np.uint8)
        for roi in rois:
            if roi.status == "kept":
                kept[roi.box][roi.mask] = 1
        if kept.any():
            labels[free & near_rois(kept, near_voxels)] = 0
    for status, value in (("predicted", IGNORE), ("unsure", IGNORE), ("rejected", 0)):
        for roi in rois:
            if roi.status == status:
                labels[roi.box][roi.mask & free[roi.box]] = value
    for number, roi in enumerate(roi for roi in rois if roi.status == "kept"):
        labels[roi.box][roi.mask & free[roi.box]] = FIRST_KEPT + number
    return labels


def write_training_set(
    session: AnnotationSession,
    curation: Curation | None,
    folder: Path,
    membranes: Sequence[Path] = (),
) -> AnnotatedFiles:
    """Write ``<stem>__labels.mrc`` and ``<stem>__rejected.npz`` of all that was painted or judged.

    Of the tomograms of a ``session`` those without either are left out; ``membranes`` become further input.
    All goes to ``folder``, where an earlier round is replaced. Raises InputError where there is no ROI.
    """
    require_writable_folder(folder)
    for old in (*folder.glob("*__labels.mrc"), *folder.glob("*__rejected.npz")):
        old.unlink()
    tomograms, labels, penalties, rois = [], [], [], 0
    for tomogram in session.tomograms:
        stem = volume_stem(tomogram)
        painting = session.painting_of(tomogram)
        judged = curation is not None and stem in curation.stems and any(r.is_seen for r in curation.of(stem))
        if painting.is_empty and not judged:
            continue
        tomograms.append(tomogram)
        taught = taught_labels(painting, curation if judged else None, stem)
        rois += int(_has_rois(taught))
        labels.append(folder / f"{stem}__labels.mrc")
        write_volume(labels[-1], painting.tomogram.with_data(taught))
        rejected = curation.rois_of(stem, "rejected") if judged and curation is not None else None
        if rejected is not None and len(rejected):
            penalties.append(folder / f"{stem}__rejected.npz")
            write_rois_archive(penalties[-1], rejected)
    if not rois:
        raise InputError("nothing to learn from yet: paint a few places, or keep some ROIs")
    return AnnotatedFiles(tomograms, labels, membranes, penalties, session.voxel_size_nm)


def _has_rois(labels: NDArray[Any]) -> bool:
    return bool(((labels > 0) & (labels != IGNORE) & (labels != BACKGROUND)).any())
