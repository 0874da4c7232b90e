"""One mask of many membranes taken apart: connected pieces, and membranes that lie against each other.

What was tried to part membranes that touch, and how well it does, stands in `tomocore.fused`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cc3d
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from surfora.geometry.request import StageRequest
from surfora.masks.cleaning import fewest_voxels, mask_thickness_nm
from surfora.masks.settings import ComponentSettings
from surfora.masks.values import labelled
from tomocore.contract import NOBODY, Batch, InputError, Watcher, about
from tomocore.files import require_writable_folder, written_together
from tomocore.fused import Cut, part_fused
from tomocore.volumes.formats import is_whole, read_volume, volume_target, write_volume
from tomocore.volumes.volume import Volume

MOST_LABELS = int(np.iinfo(np.uint16).max)
COLUMNS = {
    "label": "number in the label volume, 1 for the largest",
    "name": "label, and where the middle of the piece lies, in nm",
    "of_label": "value in the mask that it was taken from",
    "voxels": "voxels of the mask",
    "volume_nm3": "their volume",
    "area_nm2": "about the area of its middle: volume by thickness, to some 20 %",
    "thickness_nm": "thickness of the sheet that the mask depicts, to some 20 %",
    "centroid_x_nm": "middle of its voxels",
    "centroid_y_nm": "middle of its voxels",
    "centroid_z_nm": "middle of its voxels",
    "touches": "labels that it was parted from, 2:5; empty for a connected piece of its own",
    "certainty": "1 for a piece of its own; else how well the worst cut runs along the membrane, 0 to 1",
}
"""The columns of the table of components, in order, and what they mean."""


@dataclass(frozen=True)
class Components:
    """Membranes as labels 1, 2, … by falling volume, their table (`COLUMNS`), and what was dropped."""

    labels: Volume
    table: pd.DataFrame
    dropped_pieces: int
    dropped_share: float


def mask_components(mask: Volume, settings: ComponentSettings = ComponentSettings()) -> Components:
    """The single membranes in a mask, or in each label of a label volume.

    Connected pieces (26 neighbours), and within a piece membranes that lie against each other, cut along
    their surfaces. Raises InputError where nothing is left, or for more membranes than labels can number.
    """
    data = np.asarray(mask.data)
    numbered = np.zeros(data.shape, np.int32)
    of_label: list[int] = [0]
    cuts: list[Cut] = []
    for value in (int(v) for v in np.unique(data) if v != 0):
        own = data == value
        fewest = fewest_voxels(own, mask.voxel_size_nm, settings.min_volume_nm3)
        least_nm3 = fewest * mask.voxel_size_nm**3
        parts, parted = part_fused(own, mask.voxel_size_nm, least_nm3, settings.fused)
        shift = len(of_label) - 1
        numbered[own] = np.where(parts[own] > 0, parts[own] + shift, 0)
        cuts += [Cut(cut.first + shift, cut.second + shift, cut.alignment) for cut in parted]
        of_label += [value] * int(parts.max())
    if len(of_label) == 1:
        raise InputError("no piece is large enough to be a membrane; lower components.min_volume_nm3")
    if len(of_label) > MOST_LABELS:
        raise InputError(
            f"{len(of_label) - 1} pieces are more than a label volume can number; "
            "raise components.min_volume_nm3"
        )
    return _by_size(mask, numbered, of_label, cuts)


def _by_size(mask: Volume, numbered: NDArray[np.int32], of_label: list[int], cuts: list[Cut]) -> Components:
    """The components numbered anew by falling volume, with their table and what was dropped."""
    voxels = np.bincount(numbered.ravel(), minlength=len(of_label))
    order = np.argsort(-voxels[1:], kind="stable") + 1
    rank = np.zeros(len(of_label), np.int32)
    rank[order] = np.arange(1, len(order) + 1)
    kind = np.int16 if len(order) <= np.iinfo(np.int16).max else np.uint16
    labels = mask.with_data(rank[numbered].astype(kind))
    ranked = [Cut(int(rank[cut.first]), int(rank[cut.second]), cut.alignment) for cut in cuts]
    rows = [
        _row(labels, label, box, of_label[order[label - 1]], ranked)
        for label, box in enumerate(find_objects(labels.data), start=1)
    ]
    lost = (np.asarray(mask.data) != 0) & (numbered == 0)
    return Components(
        labels,
        pd.DataFrame(rows, columns=list(COLUMNS)),
        int(cc3d.connected_components(lost, connectivity=26, return_N=True)[1]),
        float(np.count_nonzero(lost) / np.count_nonzero(mask.data)),
    )


def _row(
    labels: Volume, label: int, box: tuple[slice, slice, slice], of_label: int, cuts: list[Cut]
) -> dict[str, object]:
    own = np.pad(labels.data[box] == label, 1)
    count = int(np.count_nonzero(own))
    middle = np.argwhere(own).mean(axis=0) - 1 + [axis.start for axis in box]
    x, y, z = labels.world([middle])[0]
    thickness_nm = mask_thickness_nm(own, labels.voxel_size_nm)
    volume_nm3 = count * labels.voxel_size_nm**3
    beside = [cut for cut in cuts if label in (cut.first, cut.second)]
    touching = sorted({cut.first + cut.second - label for cut in beside})
    return {
        "label": label,
        "name": f"{label}_x{x:.0f}_y{y:.0f}_z{z:.0f}",
        "of_label": of_label,
        "voxels": count,
        "volume_nm3": volume_nm3,
        "area_nm2": volume_nm3 / thickness_nm,
        "thickness_nm": thickness_nm,
        "centroid_x_nm": x,
        "centroid_y_nm": y,
        "centroid_z_nm": z,
        "touches": ":".join(map(str, touching)),
        "certainty": min((cut.alignment for cut in beside), default=1.0),
    }


def components_file(
    request: StageRequest, settings: ComponentSettings = ComponentSettings(), watcher: Watcher = NOBODY
) -> Batch:
    """Take the membranes of a mask apart: labels by falling size, and their table (.csv) beside.

    ``settings`` say what is too small and how touching membranes are parted; the ``watcher`` hears what was
    found. Raises InputError for what is no mask.
    """
    batch = Batch(watcher)
    mask = request.source

    def one(path: Path) -> str:
        volume_target(path)
        with about(mask.name):
            volume = read_volume(mask, request.voxel_size_nm, resample=request.resample)
            volume = labelled(volume, mask)
            try:
                found = mask_components(volume, settings)
            except InputError as error:
                raise InputError(f"{mask}: {error}") from error
        require_writable_folder(path.parent)
        with written_together(table_path(path), path) as (table, labels):
            found.table.to_csv(table, index=False, float_format="%.6g")
            write_volume(labels, found.labels)
        for line in told(found, settings):
            watcher.say(line)
        return f"wrote {path} and {table_path(path)}"

    batch.make(request.target, request.overwrite, one, is_whole)
    return batch


def table_path(labels: Path) -> Path:
    """Where the table of a label volume of components is written: its name with .csv."""
    bare = labels.with_suffix("") if labels.suffix.lower() == ".gz" else labels
    return bare.with_suffix(".csv")


def told(found: Components, settings: ComponentSettings) -> list[str]:
    """How many membranes there are, which were parted and how surely, and what was dropped, a line each."""
    table = found.table
    parted = table[table["touches"] != ""]
    lines = [f"{len(table)} membranes, {len(table) - len(parted)} of them connected pieces of their own"]
    if len(parted):
        worst = parted["certainty"].min()
        lines.append(
            f"{len(parted)} were parted where they touch (certainty {worst:.2f} at worst, see the table): "
            + ", ".join(f"{row.label} from {row.touches}" for row in parted.head(8).itertuples())
        )
    if found.dropped_pieces:
        lines.append(
            f"{found.dropped_pieces} pieces, {100 * found.dropped_share:.2g} % of the mask, are below "
            f"components.min_volume_nm3 = {settings.min_volume_nm3:g} and left out"
        )
    return lines
