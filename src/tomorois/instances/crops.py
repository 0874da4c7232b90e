"""ROI subvolumes for outside tools, and their masks back in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.files_of_tomograms import volume_stem
from tomocore.roiset import RoiSet, box_with_margin
from tomocore.settings import Settings
from tomocore.side_files import StoredRow, read_rows
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.instances.restrict import require_mask, require_same_grid

TABLE_ENDING = "__crops.csv"
WHOLE = Field(ge=0, le=2**20)


class CropRow(StoredRow):
    """A row of the table of crops: the crop's file and ROI, its first voxel and its voxels along z, y, x."""

    file: str = Field(min_length=1)
    id: int = Field(ge=1, le=2**31)
    start_z: int = WHOLE
    start_y: int = WHOLE
    start_x: int = WHOLE
    size_z: int = WHOLE
    size_y: int = WHOLE
    size_x: int = WHOLE

    @property
    def start(self) -> tuple[int, int, int]:
        """The first voxel z, y, x."""
        return self.start_z, self.start_y, self.start_x

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        return self.size_z, self.size_y, self.size_x


TABLE_COLUMNS = tuple(CropRow.model_fields)
OFF_GRID = 0.1  # voxels that a crop's origin may lie off the grid it is pasted on


class CropSettings(Settings):
    """How ROI subvolumes are cut."""

    margin_nm: float = Field(20.0, ge=0, le=1000, description="Margin in nm around an ROI's box.")


def crop_rois(volume: Volume, rois: RoiSet, margin_nm: float) -> list[tuple[int, Volume]]:
    """Id and subvolume of each ROI: its box with a margin, cut at the edge, at its place in the world."""
    require_same_grid(volume, rois)
    return [
        (int(roi_id), volume.crop(box_with_margin(rois, row, margin_nm)))
        for row, roi_id in enumerate(rois.ids)
    ]


def paste_masks(crops: Sequence[tuple[int, Volume]], like: Volume) -> Volume:
    """The crops' values at their places on the grid of ``like``, the highest where they overlap.

    Ids are for messages only. Raises InputError where a crop has another voxel size, lies between the
    grid's voxels, or reaches outside.
    """
    kind = np.result_type(np.int8, *(np.asarray(crop.data).dtype for _, crop in crops))
    whole = np.zeros(like.shape, kind)
    for roi_id, crop in crops:
        start = _start_on_grid(roi_id, crop, like)
        place = tuple(slice(int(a), int(a) + n) for a, n in zip(start, crop.shape, strict=True))
        np.maximum(whole[place], crop.data, out=whole[place])
    return like.with_data(whole)


def crops_table(folder: Path, stem: str) -> Path:
    """Where `write_crops` writes the places of the crops of a volume."""
    return folder / f"{stem}{TABLE_ENDING}"


def write_crops(folder: Path, stem: str, volume: Volume, rois: RoiSet, margin_nm: float) -> list[Path]:
    """The paths of ``<stem>__roi007.mrc``, one an ROI, and of ``<stem>__crops.csv`` with their places.

    ``volume`` and ``rois`` lie on one grid, the volume perhaps on disk: only the boxes are read, each with
    ``margin_nm`` about its ROI, cut at the edge. ``folder`` must exist; files of these names are replaced.
    The table serves `read_crops` where an outside tool loses the origin from the header. Raises InputError
    where the grids differ.
    """
    table = crops_table(folder, stem)
    table.unlink(missing_ok=True)  # the sign that all are there comes last
    rows, paths = [], []
    for roi_id, crop in crop_rois(volume, rois, margin_nm):
        path = folder / f"{stem}__roi{roi_id:03d}.mrc"
        write_volume(path, crop)
        start = np.rint(volume.index([crop.origin_nm])[0]).astype(int)
        rows.append((path.name, roi_id, *start, *crop.shape))
        paths.append(path)
    with written_beside(table) as beside:
        pd.DataFrame(rows, columns=TABLE_COLUMNS).to_csv(beside, index=False)
    return [*paths, table]


def read_crops(masks: Sequence[Path], table_path: Path, like: Volume) -> list[tuple[int, Volume]]:
    """Id and mask of each crop that an outside tool segmented, placed by the table of `write_crops`.

    A mask belongs to the crop whose name its own begins with, the longest. Voxel size and origin in its
    header are not looked at. Raises InputError for a mask that is no crop of the table, no mask, of another
    shape, or the second of its crop.
    """
    rows = read_rows(table_path, CropRow, "a table of crops", "give the __crops.csv that crop wrote")
    crops, seen = [], dict[str, Path]()
    for path in masks:
        row = _row_of(path, rows)
        if row is None:
            raise InputError(
                f"{path}: its name begins with none of the crops in {table_path.name}; rename it"
            )
        if row.file in seen:
            raise InputError(
                f"{seen[row.file]} and {path} are both of the crop {row.file}; give one of them, the mask"
            )
        seen[row.file] = path
        data = require_mask(read_volume(path, like.voxel_size_nm), path, or_map=True).data
        if data.shape != row.size:
            raise InputError(f"{path}: has {data.shape} voxels, its crop {row.size}; keep size and binning")
        x, y, z = like.world([row.start])[0]
        crops.append((row.id, Volume(data, like.voxel_size_nm, (x, y, z))))
    return crops


def _row_of(mask: Path, rows: Sequence[CropRow]) -> CropRow | None:
    """The crop that a mask is named after: ``t__roi1000_seg`` is none of ``t__roi100``."""
    name = volume_stem(mask)
    stems = {volume_stem(Path(row.file)): row for row in rows}
    begun = [s for s in stems if name.startswith(s) and not name[len(s) : len(s) + 1].isdigit()]
    return stems[max(begun, key=len)] if begun else None


def _start_on_grid(roi_id: int, crop: Volume, like: Volume) -> np.ndarray:
    if abs(crop.voxel_size_nm / like.voxel_size_nm - 1) > 0.01:
        raise InputError(
            f"ROI {roi_id}: the crop has voxels of {crop.voxel_size_nm:.4g} nm, the whole of "
            f"{like.voxel_size_nm:.4g} nm; segment at the same binning"
        )
    exact = like.index([crop.origin_nm])[0]
    start = np.rint(exact).astype(np.int64)
    if np.abs(exact - start).max() > OFF_GRID:
        raise InputError(f"ROI {roi_id}: the crop lies between the whole's voxels; keep the crop's origin")
    if (start < 0).any() or (start + crop.shape > like.shape).any():
        raise InputError(f"ROI {roi_id}: the crop reaches outside the whole; do they belong together?")
    return start
