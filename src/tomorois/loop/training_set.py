"""What a person painted and judged, as the files that a training reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.files import require_writable_folder
from tomocore.files_of_tomograms import volume_stem
from tomocore.roiset import RoiSet, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomorois.annotation.curation import Curation
from tomorois.annotation.judged_roi import JudgedRoi, all_judged
from tomorois.annotation.painting import Painting
from tomorois.annotation.session import AnnotationSession
from tomorois.annotation.strokes import BACKGROUND, IGNORE
from tomorois.annotation.written_labels import near_rois
from tomorois.training.files import AnnotatedFiles

NOTHING_TO_LEARN = "nothing to learn from yet: paint a few places, or keep some ROIs"
FIRST_KEPT = 300
"""Label of the first kept ROI: beyond all classes and marks, so that touching ROIs stay apart."""


def taught_labels(painting: Painting, rois: Sequence[JudgedRoi] | None) -> NDArray[np.uint16]:
    """Labels for training (0 background, 1… ROIs, 255 ignored) of what was painted and judged on a tomogram.

    ``rois`` are all of its ROIs, where a person judged any, else None. Paint wins. Kept ROIs are ROIs;
    rejected ones are background; what nobody judged, or was not sure of, is ignored. Where every ROI is kept
    or rejected the rest of the tomogram is background, too; else only what is near a painted or kept ROI, as
    `Painting.near_nm` says.
    """
    labels: NDArray[np.uint16] = np.asarray(painting.taught().data)
    if rois is None:
        return labels
    free = painting.labels == 0
    if painting.is_empty:
        labels[...] = IGNORE
    near_voxels = painting.near_nm / painting.tomogram.voxel_size_nm
    if all_judged(rois) and painting.rest != "ignore":
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
    empty_training_folder(folder)
    tomograms, labels, penalties, rois = [], [], [], 0
    for tomogram in session.tomograms:
        stem = volume_stem(tomogram)
        painting = session.painting_of(tomogram)
        judged = curation is not None and stem in curation.stems and any(r.is_seen for r in curation.of(stem))
        if painting.is_empty and not judged:
            continue
        tomograms.append(tomogram)
        seen = curation.of(stem) if judged and curation is not None else None
        rejected = curation.rois_of(stem, "rejected") if judged and curation is not None else None
        taught = write_taught(folder, stem, painting, seen, rejected)
        rois += int(taught.has_rois)
        labels.append(taught.labels)
        penalties += [taught.penalty] if taught.penalty else []
    if not rois:
        raise InputError(NOTHING_TO_LEARN)
    return AnnotatedFiles(tomograms, labels, membranes, penalties, session.voxel_size_nm)


@dataclass(frozen=True)
class TaughtFiles:
    """What a tomogram teaches, as files: labels, rejected ROIs if any, and whether there is an ROI at all."""

    labels: Path
    penalty: Path | None
    has_rois: bool


def empty_training_folder(folder: Path) -> None:
    """Take away what an earlier round was taught by."""
    require_writable_folder(folder)
    for old in (*folder.glob("*__labels.mrc"), *folder.glob("*__rejected.npz")):
        old.unlink()


def write_taught(
    folder: Path,
    stem: str,
    painting: Painting,
    rois: Sequence[JudgedRoi] | None,
    rejected: RoiSet | None,
) -> TaughtFiles:
    """Write ``<stem>__labels.mrc`` and, of ``rejected`` ROIs, ``<stem>__rejected.npz`` to a folder.

    ``rois`` are all ROIs of the tomogram, where a person judged any, as `taught_labels` takes them beside
    the ``painting``.
    """
    taught = taught_labels(painting, rois)
    labels = folder / f"{stem}__labels.mrc"
    write_volume(labels, painting.tomogram.with_data(taught))
    penalty = folder / f"{stem}__rejected.npz" if rejected is not None and len(rejected) else None
    if penalty is not None and rejected is not None:
        write_rois_archive(penalty, rejected)
    return TaughtFiles(labels, penalty, has_rois(taught))


def has_rois(labels: NDArray[Any]) -> bool:
    """Whether labels for training hold any ROI."""
    return bool(((labels > 0) & (labels != IGNORE) & (labels != BACKGROUND)).any())
