"""From a confidence map to ROIs: threshold, clean in nm, split what fused, number by confidence."""

from __future__ import annotations

import logging

import cc3d
import edt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from tomocore.contract import InputError, Progress, no_progress
from tomocore.roiset import Bools, Box, RoiSet, rois_from_masks
from tomocore.volumes.volume import Volume
from tomorois.instances.membrane_pairs import Membranes, contact_pairs, membrane_instances
from tomorois.instances.settings import InstanceSettings
from tomorois.prediction.doubt import DOUBTFUL_DICE, expected_dice_of_map

log = logging.getLogger(__name__)

TOLD_UNPAIRED = 0.05
"""Share of ROI voxels without a pair of membranes from which it is worth a warning."""

Piece = tuple[Box, Bools]
"""An ROI on its way: a box of the tomogram and the voxels within it."""


def find_instances(
    confidence: Volume,
    settings: InstanceSettings = InstanceSettings(),
    membranes: Volume | Membranes | None = None,
    progress: Progress = no_progress,
) -> RoiSet:
    """The ROIs of one confidence map (0 to 1), the most confident first, numbered from 1.

    Where ``membranes`` (a mask or labels on the same grid) are given, ROIs are contacts of two of them and
    may overlap, unless ``settings.split`` says otherwise; what their pairs refer to is
    `tomorois.instances.membrane_pairs.membrane_instances` of them. Where nothing is left, the cause is
    logged as a warning. Raises InputError for a map that is not a confidence, or membranes that are missing
    or of another shape.
    """
    rois, remarks = instances_and_remarks(confidence, settings, membranes, progress)
    for remark in remarks:
        log.warning(remark)
    return rois


def instances_and_remarks(
    confidence: Volume,
    settings: InstanceSettings = InstanceSettings(),
    membranes: Volume | Membranes | None = None,
    progress: Progress = no_progress,
) -> tuple[RoiSet, list[str]]:
    """What `find_instances` returns, and what it warns of: why nothing was found, what was left out."""
    settings = settings.model_copy(update={"split": settings.chosen_split(membranes is not None)})
    _refuse_unusable(confidence, settings, membranes)
    mask, corner = _confident_mask(confidence, settings)
    progress(1, 3)
    pieces, names, remarks = _pieces(mask, confidence.voxel_size_nm, membranes, corner, settings)
    progress(2, 3)
    found = _measured(confidence, pieces, names, corner)
    keep = (found["volume_nm3"] >= settings.min_volume_nm3) & (found["confidence_max"] >= settings.min_peak)
    if not keep.any():
        remarks = [f"no ROI: {_cause(confidence, mask, found, settings)}"]
    else:
        remarks += _doubt_told(confidence, settings.least_confidence)
    order = found[keep].sort_values(["confidence_mean", "volume_nm3"], ascending=False, kind="stable").index
    rois = rois_from_masks(
        [corner + [axis.start for axis in pieces[k][0]] for k in order],
        [pieces[k][1] for k in order],
        confidence.shape,
        confidence.voxel_size_nm,
        confidence.origin_nm,
        {name: found.loc[order, name].to_numpy() for name in found if name != "volume_nm3"},
    )
    progress(3, 3)
    return rois, remarks


def clean_places(mask: Bools, voxel_size_nm: float, settings: InstanceSettings) -> Bools:
    """The mask opened, closed, its small holes filled; all by distances and volumes in nm."""
    for radius_nm, first, second in (
        (settings.opening_nm, _eroded, _dilated),
        (settings.closing_nm, _dilated, _eroded),
    ):
        if radius_nm >= voxel_size_nm and mask.any():
            mask = second(first(mask, voxel_size_nm, radius_nm), voxel_size_nm, radius_nm)
    return _without_holes(mask, settings.max_hole_nm3 / voxel_size_nm**3) if settings.max_hole_nm3 else mask


def split_mask(mask: Bools, voxel_size_nm: float, settings: InstanceSettings) -> list[Piece]:
    """Connected places (26 neighbours), each cut at its necks where the settings ask for watershed."""
    places = cc3d.connected_components(mask, connectivity=26).astype(np.int32)
    voxels = np.bincount(places.ravel())
    pieces: list[Piece] = []
    for label, box in enumerate(find_objects(places), start=1):
        place = places[box] == label
        if (
            settings.chosen_split(False) == "watershed"
            and voxels[label] * voxel_size_nm**3 >= settings.min_volume_nm3
        ):
            parts = split_at_necks(place, voxel_size_nm, settings)
            pieces += [(box, parts == part) for part in range(1, int(parts.max()) + 1)]
        else:
            pieces.append((box, place))
    return pieces


def split_at_necks(place: Bools, voxel_size_nm: float, settings: InstanceSettings) -> NDArray[np.int32]:
    """One connected place as parts 1, 2, … by watershed on its distance map; one part if it has no neck.

    A part is a maximum of the distance map whose way to a higher one leads through a saddle below
    ``neck`` times its own height (and at least a voxel lower): h-maxima with a height that grows with
    the part (Soille 2003, ch. 6). So a blob of any size stays whole however rough its outline.
    """
    # the border of a crop is no border of the place: without a frame it would read as deep inside
    depth = edt.edt(np.pad(place, 1), anisotropy=(voxel_size_nm,) * 3)[1:-1, 1:-1, 1:-1]
    lowered = np.minimum(settings.neck * depth, np.maximum(depth - voxel_size_nm, 0))
    hills = reconstruction(lowered, depth, footprint=np.ones((3, 3, 3)))
    peaks = cc3d.connected_components(local_maxima(hills, connectivity=3) & place, connectivity=26)
    seeds = _merged_seeds(peaks.astype(np.int32), voxel_size_nm, settings.seed_distance_nm)
    parts = watershed(-depth, seeds, mask=place).astype(np.int32)
    large = np.bincount(parts.ravel())[1:] * voxel_size_nm**3 >= settings.min_volume_nm3
    if not large.any():
        return place.astype(np.int32)
    if not large.all():
        # a part too small to stand alone goes to its neighbours, not to nothing
        renumbered = np.concatenate([[0], np.where(large, np.cumsum(large), 0)]).astype(np.int32)
        parts = watershed(-depth, renumbered[seeds], mask=place).astype(np.int32)
    return parts


def _merged_seeds(seeds: NDArray[np.int32], voxel_size_nm: float, distance_nm: float) -> NDArray[np.int32]:
    """Seeds renumbered so that those with centres closer than a distance share a number."""
    count = int(seeds.max())
    if count < 2:
        return seeds
    voxels = np.argwhere(seeds)
    owner = seeds[seeds > 0] - 1
    weight = np.bincount(owner, minlength=count)[:, None]
    centres = np.stack([np.bincount(owner, voxels[:, k], count) for k in range(3)], axis=1) / weight
    near = cKDTree(centres * voxel_size_nm).query_pairs(distance_nm, output_type="ndarray")
    graph = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    return np.concatenate([[0], group + 1]).astype(np.int32)[seeds]


def _refuse_unusable(
    confidence: Volume, settings: InstanceSettings, membranes: Volume | Membranes | None
) -> None:
    lowest, highest = float(np.min(confidence.data)), float(np.max(confidence.data))
    if not np.isfinite([lowest, highest]).all():
        raise InputError("the confidence map holds NaN or infinite values; predict it again")
    if lowest < -1e-3 or highest > 1 + 1e-3:
        raise InputError(
            f"a confidence map lies in 0 to 1, this one in {lowest:.3g} to {highest:.3g}; is it a tomogram, "
            "or logits that still need a sigmoid?"
        )
    if settings.split == "contacts" and membranes is None:
        raise InputError("splitting by contacts needs the membranes; give their labels with --membranes")
    labels = membranes.labels if isinstance(membranes, Membranes) else membranes
    if labels is not None and labels.shape != confidence.shape:
        raise InputError(
            f"membranes of shape {labels.shape} do not fit a confidence map of shape {confidence.shape}; "
            "give labels of the same tomogram at the same binning"
        )


def _confident_mask(confidence: Volume, settings: InstanceSettings) -> tuple[Bools, NDArray[np.int64]]:
    """The clean mask above the threshold, cropped to what it holds, and the crop's first voxel."""
    values = np.asarray(confidence.data)
    spacing = confidence.voxel_size_nm
    if settings.smoothing_nm:
        values = gaussian_filter(values, settings.smoothing_nm / spacing, output=np.float32, truncate=3)
    mask = values >= settings.least_confidence
    margin_nm = max(settings.closing_nm, settings.contacts.reach_nm if settings.split == "contacts" else 0)
    first, last = _extent(mask, int(np.ceil(margin_nm / spacing)) + 1)
    cropped = mask[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    return clean_places(cropped, spacing, settings), first


def _pieces(
    mask: Bools,
    voxel_size_nm: float,
    membranes: Volume | Membranes | None,
    corner: NDArray[np.int64],
    settings: InstanceSettings,
) -> tuple[list[Piece], list[str], list[str]]:
    """The mask's pieces, the membranes of each, and remarks."""
    if not mask.any():
        return [], [], []
    if settings.split != "contacts" or membranes is None:
        pieces = split_mask(mask, voxel_size_nm, settings)
        return pieces, [""] * len(pieces), []
    if isinstance(membranes, Volume):
        membranes = membrane_instances(membranes, settings.contacts)
    around = membranes.crop(_shifted(corner, mask.shape))
    pieces, names, unpaired = contact_pairs(mask, around, settings.contacts)
    left_out = f"{unpaired:.0%} of the ROI voxels lie between no pair of membranes and are left out"
    return pieces, names, [left_out] if unpaired > TOLD_UNPAIRED else []


def _measured(
    confidence: Volume, pieces: list[Piece], names: list[str], corner: NDArray[np.int64]
) -> pd.DataFrame:
    """Volume, mean and highest confidence, and membranes of each piece."""
    rows = []
    for (box, mask), name in zip(pieces, names, strict=True):
        place = _shifted(corner + [axis.start for axis in box], mask.shape)
        inside = np.asarray(confidence.data[place])[mask]
        rows.append(
            (len(inside) * confidence.voxel_size_nm**3, inside.mean(dtype=np.float64), inside.max(), name)
        )
    return pd.DataFrame(rows, columns=["volume_nm3", "confidence_mean", "confidence_max", "membranes"])


def _cause(confidence: Volume, mask: Bools, found: pd.DataFrame, settings: InstanceSettings) -> str:
    """Why no ROI was found, and what would change that."""
    highest = float(np.max(confidence.data))
    least = settings.least_confidence
    if highest < least:
        return (
            f"the highest confidence is {highest:.4g}, below the threshold {least:.4g}; lower "
            "it, or check the tomogram's polarity and voxel size"
        )
    if not mask.any():
        return "smoothing and opening removed every voxel above the threshold; smooth and open by fewer nm"
    if len(found) == 0:
        return (
            "no voxel above the threshold lies between two membranes; check the membrane labels, or raise "
            f"contacts.reach_nm ({settings.contacts.reach_nm:.3g})"
        )
    largest = float(found["volume_nm3"].max())
    if largest < settings.min_volume_nm3:
        return (
            f"the largest of {len(found)} places has {largest:.4g} nm³, below min_volume_nm3 = "
            f"{settings.min_volume_nm3:.4g}; lower it"
        )
    return f"none of {len(found)} places is large enough and reaches min_peak = {settings.min_peak:.3g}"


def _doubt_told(confidence: Volume, threshold: float) -> list[str]:
    """A remark where the network expects little of its own map, as on a specimen unlike those it learned."""
    expected = expected_dice_of_map(np.asarray(confidence.data, dtype=np.float32), threshold)
    if not expected < DOUBTFUL_DICE:
        return []
    return [
        f"the network is unsure here (it expects a Dice of {expected:.2f} at the threshold {threshold:.3g}): "
        "ROIs may be missing or cut short; look at the map, lower --threshold, or annotate some ROIs of this "
        "tomogram and refine the model with --init"
    ]


def _extent(mask: Bools, margin: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one-past-last voxel of what a mask holds, with a margin; nothing where it is empty."""
    first, last = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        used = np.flatnonzero(mask.any(axis=others))
        if len(used):
            first[axis] = max(used[0] - margin, 0)
            last[axis] = min(used[-1] + 1 + margin, mask.shape[axis])
    return first, last


def _eroded(mask: Bools, voxel_size_nm: float, radius_nm: float) -> Bools:
    return edt.edt(mask, anisotropy=(voxel_size_nm,) * 3) > radius_nm * (1 + 1e-6)


def _dilated(mask: Bools, voxel_size_nm: float, radius_nm: float) -> Bools:
    if not mask.any():
        return mask
    return edt.edt(~mask, anisotropy=(voxel_size_nm,) * 3) <= radius_nm * (1 + 1e-6)


def _without_holes(mask: Bools, max_voxels: float) -> Bools:
    """The mask with its enclosed background of at most so many voxels each filled."""
    if mask.size == 0:
        return mask
    outside, count = cc3d.connected_components(~mask, connectivity=6, return_N=True)
    hole = np.bincount(outside.ravel(), minlength=count + 1) <= max_voxels
    hole[0] = False
    for axis in range(3):
        for end in (0, -1):
            hole[np.unique(np.take(outside, end, axis=axis))] = False
    return mask | hole[outside]


def _shifted(corner: NDArray[np.int64], shape: tuple[int, ...]) -> Box:
    return tuple(slice(int(a), int(a) + n) for a, n in zip(corner, shape, strict=True))  # type: ignore[return-value]
