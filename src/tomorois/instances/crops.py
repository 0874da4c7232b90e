"""ROI subvolumes for outside tools, and their masks back in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.names import volume_stem
from tomocore.roiset import RoiSet, box_with_margin
from tomocore.settings import Settings
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.instances.restrict import require_same_grid

TABLE_ENDING = "__crops.csv"
TABLE_COLUMNS = ("file", "id", "start_z", "start_y", "start_x", "size_z", "size_y", "size_x")
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

    A mask belongs to the crop whose name its own begins with. Voxel size and origin in its header are
    not looked at. Raises InputError for a mask that is no crop of the table or has another shape.
    """
    try:
        table = pd.read_csv(table_path)
    except (OSError, ValueError) as error:
        raise InputError(f"{table_path}: not a table of crops ({error}); give the __crops.csv") from error
    if not set(TABLE_COLUMNS) <= set(table.columns):
        raise InputError(f"{table_path}: not a table of crops; give the __crops.csv that crop wrote")
    names = [volume_stem(Path(name)) for name in table["file"]]
    crops = []
    for path in masks:
        rows = [row for row, name in enumerate(names) if volume_stem(path).startswith(name)]
        if not rows:
            raise InputError(
                f"{path}: its name begins with none of the crops in {table_path.name}; rename it"
            )
        row = table.iloc[rows[0]]
        data = read_volume(path, like.voxel_size_nm).data
        expected = tuple(int(row[name]) for name in TABLE_COLUMNS[5:])
        if data.shape != expected:
            raise InputError(f"{path}: has {data.shape} voxels, its crop {expected}; keep size and binning")
        start = [[float(row[name]) for name in TABLE_COLUMNS[2:5]]]
        x, y, z = like.world(start)[0]
        crops.append((int(row["id"]), Volume(data, like.voxel_size_nm, (x, y, z))))
    return crops


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
