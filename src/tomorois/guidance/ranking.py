"""What to look at next: tomograms and places ordered by how unsure the network is of them.

A network is least sure where its confidence is near the threshold. So confidences are first shifted (in
log-odds) until the threshold lies at one half. The binary entropy of that is the uncertainty of a voxel,
1 bit at the threshold, 0 where the network has no doubt either way. Of a scouting network's places on
phantoms, the entropy told false from true ones better (area under the curve 0.88) than the standard
deviation over mirrored copies (0.54).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
import pandas as pd
from scipy.ndimage import find_objects

from tomocore.contract import InputError
from tomocore.files import written_together
from tomocore.roiset import Bools, Box, RoiSet, union_mask
from tomocore.volumes.volume import Volume
from tomorois.guidance.settings import RankSettings
from tomorois.instances.restrict import require_same_grid
from tomorois.prediction.doubt import Floats, entropy_bits, expected_dice, shifted_confidence

RULE = (
    "places by the mean entropy of their voxels in bits (1 at the threshold, 0 without doubt), tomograms by "
    "the Dice that the network expects of itself; both from confidences shifted so that the threshold is 0.5"
)
"""How the ranking is made, for whoever reads it."""
PLACE_COLUMNS = (
    "rank",
    "tomogram",
    "kind",
    "id",
    "entropy_bits",
    "near_threshold_share",
    "spread",
    "confidence_mean",
    "volume_nm3",
    "centroid_x_nm",
    "centroid_y_nm",
    "centroid_z_nm",
)
TOMOGRAM_COLUMNS = (
    "rank",
    "tomogram",
    "expected_dice",
    "entropy_bits",
    "near_threshold_share",
    "spread",
    "rois",
    "below_threshold",
    "possible_nm3",
    "confidence_max",
)


@dataclass(frozen=True)
class RankedTomogram:
    """A tomogram's confidence map with what was found in it; ``spread`` is the map's SD over orientations."""

    name: str
    confidence: Volume
    threshold: float
    rois: RoiSet | None = None
    spread: Volume | None = None


def rank(
    tomograms: Iterable[RankedTomogram], settings: RankSettings = RankSettings()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables, the least sure first: a row a tomogram, and a row a place, by `RULE`.

    Places are the ROIs, or where none are given what lies above the threshold (kind "roi"), and what
    nearly reached it (kind "below": perhaps missed; ids count from 1). ``spread`` is the mean SD over
    orientations, NaN without such a map. Raises InputError for maps and ROIs on different grids.
    """
    rows: list[dict[str, Any]] = []
    places: list[dict[str, Any]] = []
    for item in tomograms:
        doubt = _doubt(item)
        found = [*_rois(doubt, settings), *_below_threshold(doubt, settings)]
        rows.append(_tomogram_row(doubt, found, settings))
        places += found
    if not rows:
        raise InputError("nothing to rank; give confidence maps of `tomorois predict`")
    return (
        _ordered(rows, TOMOGRAM_COLUMNS, "expected_dice", rising=True),
        _ordered(places, PLACE_COLUMNS, "entropy_bits", rising=False),
    )


def write_ranking(path: Path, tomograms: pd.DataFrame, places: pd.DataFrame) -> list[Path]:
    """Write the places to ``path`` and the tomograms to ``<stem>__tomograms.csv`` beside it; their paths."""
    other = path.with_name(f"{path.stem}__tomograms.csv")
    with written_together(other, path) as besides:
        for beside, table in zip(besides, (tomograms, places), strict=True):
            table.to_csv(beside, index=False, float_format="%.5g")
    return [path, other]


@dataclass(frozen=True)
class _Doubt:
    """A tomogram with its shifted confidence and the entropy of that (z, y, x)."""

    item: RankedTomogram
    shifted: Floats
    entropy: Floats


def _doubt(item: RankedTomogram) -> _Doubt:
    if item.rois is not None:
        require_same_grid(item.confidence, item.rois)
    if item.spread is not None and item.spread.shape != item.confidence.shape:
        raise InputError(
            f"{item.name}: the uncertainty has shape {item.spread.shape}, the confidence "
            f"{item.confidence.shape}; predict both in one run with --uncertainty"
        )
    shifted = shifted_confidence(np.asarray(item.confidence.data, dtype=np.float32), item.threshold)
    return _Doubt(item, shifted, entropy_bits(shifted))


def _rois(doubt: _Doubt, settings: RankSettings) -> list[dict[str, Any]]:
    rois = doubt.item.rois
    if rois is None:
        return _pieces(doubt, "roi", doubt.shifted >= 0.5, settings)
    return [
        _place(doubt, "roi", int(roi_id), box, mask, settings)
        for roi_id, (box, mask) in zip(rois.ids, rois.placed_masks(), strict=True)
    ]


def _below_threshold(doubt: _Doubt, settings: RankSettings) -> list[dict[str, Any]]:
    """Places that nearly reached the threshold, and touch neither an ROI nor anything above it."""
    nearly = cc3d.connected_components(doubt.shifted >= settings.below, connectivity=26)
    known = doubt.shifted >= 0.5
    if doubt.item.rois is not None:
        known |= np.asarray(union_mask(doubt.item.rois).data) > 0
    touching = np.unique(nearly[known])
    return _pieces(doubt, "below", (nearly > 0) & ~np.isin(nearly, touching), settings)


def _pieces(doubt: _Doubt, kind: str, mask: Bools, settings: RankSettings) -> list[dict[str, Any]]:
    """A row for each connected place (26 neighbours) of at least the least volume."""
    numbered = cc3d.connected_components(mask, connectivity=26).astype(np.int32)
    voxels = np.bincount(numbered.ravel())
    least = settings.min_volume_nm3 / doubt.item.confidence.voxel_size_nm**3
    large = [
        (box, numbered[box] == label)
        for label, box in enumerate(find_objects(numbered), start=1)
        if voxels[label] >= least
    ]
    return [_place(doubt, kind, n, box, piece, settings) for n, (box, piece) in enumerate(large, start=1)]


def _place(
    doubt: _Doubt, kind: str, number: int, box: Box, mask: Bools, settings: RankSettings
) -> dict[str, Any]:
    confidence = doubt.item.confidence
    first = np.array([axis.start for axis in box])
    centroid = confidence.world([np.argwhere(mask).mean(axis=0) + first])[0]
    return {
        "tomogram": doubt.item.name,
        "kind": kind,
        "id": number,
        **_measures(doubt, box, mask, settings),
        "confidence_mean": float(np.asarray(confidence.data[box])[mask].mean(dtype=np.float64)),
        "volume_nm3": np.count_nonzero(mask) * confidence.voxel_size_nm**3,
        **dict(zip(("centroid_x_nm", "centroid_y_nm", "centroid_z_nm"), centroid, strict=True)),
    }


def _tomogram_row(doubt: _Doubt, found: list[dict[str, Any]], settings: RankSettings) -> dict[str, Any]:
    confidence = doubt.item.confidence
    whole: Box = tuple(slice(0, n) for n in confidence.shape)  # type: ignore[assignment]
    possible = doubt.shifted >= settings.possible
    kinds = [row["kind"] for row in found]
    return {
        "tomogram": doubt.item.name,
        "expected_dice": expected_dice(doubt.shifted[possible]),
        **_measures(doubt, whole, possible, settings),
        "rois": kinds.count("roi"),
        "below_threshold": kinds.count("below"),
        "possible_nm3": np.count_nonzero(possible) * confidence.voxel_size_nm**3,
        "confidence_max": float(np.max(confidence.data)),
    }


def _measures(doubt: _Doubt, box: Box, mask: Bools, settings: RankSettings) -> dict[str, float]:
    """Mean entropy, share near the threshold and mean SD over orientations of some voxels; NaN of none."""
    if not mask.any():
        return {"entropy_bits": np.nan, "near_threshold_share": np.nan, "spread": np.nan}
    shifted, spread = doubt.shifted[box][mask], doubt.item.spread
    near = (shifted >= settings.near[0]) & (shifted <= settings.near[1])
    return {
        "entropy_bits": float(doubt.entropy[box][mask].mean(dtype=np.float64)),
        "near_threshold_share": float(near.mean()),
        "spread": float(np.asarray(spread.data[box])[mask].mean(dtype=np.float64)) if spread else np.nan,
    }


def _ordered(rows: list[dict[str, Any]], columns: tuple[str, ...], by: str, rising: bool) -> pd.DataFrame:
    """The rows with rank 1, 2, … in the order of one column; those without a value at the end."""
    table = pd.DataFrame(rows, columns=columns[1:])
    table = table.sort_values(by, ascending=rising, kind="stable", ignore_index=True)
    table.insert(0, columns[0], np.arange(1, len(table) + 1))
    return table
