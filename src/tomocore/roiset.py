"""Regions of interest as objects that may overlap, the views of them, and their files."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cc3d
import edt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import find_objects

from tomocore.archive import Archive, opened_archive
from tomocore.contract import InputError, naming
from tomocore.files import existing, written_beside, written_together
from tomocore.files_of_tomograms import product_of
from tomocore.machine import available_memory_bytes
from tomocore.volumes import formats
from tomocore.volumes.volume import Volume, index_to_world

log = logging.getLogger(__name__)

Bools = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

COLUMNS = (
    "id",
    "centroid_x_nm",
    "centroid_y_nm",
    "centroid_z_nm",
    "volume_nm3",
    "confidence_mean",
    "confidence_max",
    "membranes",
    "status",
)
"""The first columns of every ROI table; more may follow."""
TEXT_COLUMNS = ("membranes", "status")

LONGEST_AXIS = 2**20
LABELS, UNSURE = "labels", 255
"""The product that is painted for training, and its value for what nobody is sure of, which is no ROI."""
VOXEL_BYTES = 4
"""Bytes that a voxel of an ROI's box takes while it is unpacked and looked at."""

HIGHEST_LISTED = 2**20
FILE_ENDINGS = ("__rois.mrc", "__rois.csv", "__rois.npz")


@dataclass(frozen=True)
class RoiSet:
    """ROIs of one tomogram as bounding boxes and bit masks, so that overlapping ROIs survive.

    ``boxes`` (n, 2, 3) are first and one-past-last voxel z, y, x; the mask of ROI ``k`` is
    ``np.packbits`` of its box, at bytes ``offsets[k]:offsets[k + 1]`` of ``bits``. ``table`` has a row
    an ROI in the same order: the columns of ``COLUMNS`` (NaN confidence where there was no map;
    membranes "1:3", "" where not known; status "predicted", "kept", "rejected", "truth", …).
    """

    boxes: NDArray[np.int64]
    bits: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    table: pd.DataFrame
    shape: tuple[int, int, int]
    voxel_size_nm: float
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The positive number of each ROI (n,)."""
        return self.table["id"].to_numpy(dtype=np.int64)

    def box(self, index: int) -> Box:
        """The slices z, y, x of one ROI, by its row."""
        start, stop = self.boxes[index]
        return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))  # type: ignore[return-value]

    def mask(self, index: int) -> Bools:
        """The voxels of one ROI within its box, by its row."""
        extent = np.diff(self.boxes[index], axis=0)[0]
        packed = self.bits[self.offsets[index] : self.offsets[index + 1]]
        return np.unpackbits(packed, count=int(extent.prod())).astype(bool).reshape(extent)

    def placed_masks(self) -> Iterator[tuple[Box, Bools]]:
        """Box and mask of every ROI in order."""
        for index in range(len(self)):
            yield self.box(index), self.mask(index)

    def at(self, rows: ArrayLike) -> RoiSet:
        """The ROIs at some rows (indices or a mask), in that order, with their ids."""
        picked = np.asarray(rows)
        chosen = np.arange(len(self))[picked if picked.size else np.empty(0, np.int64)]
        pieces = [self.bits[self.offsets[k] : self.offsets[k + 1]] for k in chosen]
        bits, offsets = _joined(pieces)
        table = self.table.iloc[chosen].reset_index(drop=True)
        return replace(self, boxes=self.boxes[chosen], bits=bits, offsets=offsets, table=table)

    def with_columns(self, **columns: ArrayLike) -> RoiSet:
        """The same ROIs with columns of the table added or replaced."""
        return replace(self, table=self.table.assign(**columns))


def rois_from_masks(
    starts_zyx: Sequence[ArrayLike],
    masks: Sequence[Bools],
    shape: tuple[int, int, int],
    voxel_size_nm: float,
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    columns: Mapping[str, ArrayLike] | None = None,
) -> RoiSet:
    """A RoiSet from one bool mask an ROI, each trimmed to its own bounding box.

    ``starts_zyx`` are the voxels where the masks' corners lie in a tomogram of ``shape``. ``columns``
    set or add table columns; ids are 1, 2, … unless given. Raises InputError for an empty mask, one
    that reaches outside the tomogram, or ids that are not positive and unique.
    """
    boxes, pieces = [], []
    for start, mask in zip(starts_zyx, masks, strict=True):
        box, bits = _trimmed(np.asarray(start, dtype=np.int64), np.asarray(mask, dtype=bool))
        boxes.append(box)
        pieces.append(bits)
    bits, offsets = _joined(pieces)
    placed = np.array(boxes, dtype=np.int64).reshape(-1, 2, 3)
    return _checked(placed, bits, offsets, dict(columns or {}), shape, voxel_size_nm, origin_nm)


def rois_from_labels(labels: Volume, ignore: Sequence[int] = ()) -> RoiSet:
    """One ROI for each label above zero that is not in ``ignore``; the label becomes its id."""
    data = _whole_numbers(np.asarray(labels.data))
    data = np.where((data > 0) & ~np.isin(data, list(ignore)), data, 0)
    names, numbers = _numbered(data)
    found = [(number, box) for number, box in enumerate(find_objects(numbers), start=1) if box is not None]
    starts = [[axis.start for axis in box] for _, box in found]
    masks = [numbers[box] == number for number, box in found]
    ids = np.array([number if names is None else names[number - 1] for number, _ in found], dtype=np.int64)
    return rois_from_masks(starts, masks, labels.shape, labels.voxel_size_nm, labels.origin_nm, {"id": ids})


def labels_from_rois(rois: RoiSet) -> Volume:
    """A label volume (int16, or uint16 above 32767) of the ids; where ROIs overlap the later id wins."""
    highest = int(rois.ids.max(initial=0))
    if highest > np.iinfo(np.uint16).max:
        raise InputError(f"ROI id {highest} does not fit a label volume (at most 65535); renumber the ROIs")
    _require_room(rois, 2)
    labels = np.zeros(rois.shape, np.int16 if highest <= np.iinfo(np.int16).max else np.uint16)
    for row in np.argsort(rois.ids):
        labels[rois.box(row)][rois.mask(row)] = rois.ids[row]
    return Volume(labels, rois.voxel_size_nm, rois.origin_nm)


def union_mask(rois: RoiSet) -> Volume:
    """The voxels (int8, 0 or 1) of any ROI."""
    _require_room(rois, 1)
    union = np.zeros(rois.shape, np.int8)
    for box, mask in rois.placed_masks():
        union[box] |= mask
    return Volume(union, rois.voxel_size_nm, rois.origin_nm)


def _require_room(rois: RoiSet, voxel_bytes: int) -> None:
    """InputError where a volume of the tomogram's shape does not fit into memory."""
    need, free = math.prod(rois.shape) * voxel_bytes, available_memory_bytes()
    if need > free:
        raise InputError(
            f"a volume of the ROIs' tomogram, of shape {rois.shape}, needs {need / 2**30:.1f} GiB and "
            f"{free / 2**30:.1f} GiB are free; use a machine with more memory"
        )


def mask_in_box(rois: RoiSet, row: int, box: Box) -> Bools:
    """The voxels of one ROI, by its row, within any box of the tomogram."""
    start = np.array([axis.start for axis in box])
    stop = np.array([axis.stop for axis in box])
    inside = np.zeros(stop - start, dtype=bool)
    first = np.maximum(rois.boxes[row, 0], start)
    last = np.minimum(rois.boxes[row, 1], stop)
    if (first < last).all():
        source = _slices(first - rois.boxes[row, 0], last - rois.boxes[row, 0])
        inside[_slices(first - start, last - start)] = rois.mask(row)[source]
    return inside


def box_with_margin(rois: RoiSet, row: int, margin_nm: float) -> Box:
    """The box of one ROI grown by a margin on every side, cut at the tomogram's edge."""
    margin = int(np.ceil(margin_nm / rois.voxel_size_nm - 1e-9))
    start = np.maximum(rois.boxes[row, 0] - margin, 0)
    stop = np.minimum(rois.boxes[row, 1] + margin, rois.shape)
    return _slices(start, stop)


def dilated_mask(rois: RoiSet, row: int, distance_nm: float) -> tuple[Box, Bools]:
    """Box and voxels of all within a distance of one ROI (voxel centre to voxel centre)."""
    box = box_with_margin(rois, row, distance_nm)
    mask = mask_in_box(rois, row, box)
    if distance_nm <= 0:
        return box, mask
    return box, edt.edt(~mask, anisotropy=(rois.voxel_size_nm,) * 3) <= distance_nm * (1 + 1e-6)


def write_rois(folder: Path, stem: str, rois: RoiSet, overwrite: bool = False) -> list[Path]:
    """Write ``<stem>__rois.mrc`` (labels), ``.csv`` (table) and ``.npz`` (everything); return their paths.

    Raises InputError where one of them exists and ``overwrite`` is not set.
    """
    paths = [folder / f"{stem}{ending}" for ending in FILE_ENDINGS]
    for path in paths:
        if path.exists() and not overwrite:
            raise InputError(f"{path}: exists already; pass --overwrite to replace it")
    labels, table, archive = paths
    with naming(archive), written_together(labels, table, archive) as besides:
        formats.write_volume(besides[0], labels_from_rois(rois))
        rois.table.to_csv(besides[1], index=False, float_format="%.6g")
        write_rois_archive(besides[2], rois)
    return paths


def write_rois_archive(path: Path, rois: RoiSet) -> None:
    """Write one ``.npz`` that holds the ROIs with their overlaps and their table, and no pickles."""
    arrays: dict[str, NDArray[Any]] = {
        "ids": rois.ids,
        "boxes": rois.boxes,
        "bits": rois.bits,
        "offsets": rois.offsets,
        "shape": np.array(rois.shape, dtype=np.int64),
        "voxel_size_nm": np.array(rois.voxel_size_nm, dtype=np.float64),
        "origin_nm": np.array(rois.origin_nm, dtype=np.float64),
    }
    for name in rois.table.columns:
        if name != "id" and not _is_geometry(str(name)):
            arrays[f"table_{name}"] = _plain(rois.table[name])
    with written_beside(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def is_readable(path: Path) -> bool:
    """Whether ROIs are there that can be read; a warning where they are there and damaged."""
    if not path.exists():
        return False
    try:
        read_rois(path)
    except InputError as error:
        log.warning("%s; it is made anew", error)
        return False
    return True


def read_rois(
    path: Path,
    voxel_size_nm: float | None = None,
    ignore: Sequence[int] | None = None,
    resample: bool = False,
) -> RoiSet:
    """Read ROIs from ``.npz`` (overlaps kept) or from a label volume; InputError where it cannot be used.

    ``voxel_size_nm`` overrides what the file says; ``resample`` brings label volumes of unequal voxel edges
    to one. Labels in ``ignore`` are no ROIs; where that is not said, 255 (not sure) of ``<stem>__labels``,
    which are painted for training, and that is told. A label volume with a single label in several pieces
    marks places without numbering them: each piece becomes an ROI, with a warning.
    """
    if existing(path).suffix.lower() == ".npz":
        rois = _read_archive(path)
        return rois if voxel_size_nm is None else _rescaled(rois, voxel_size_nm)
    labels = formats.read_volume(path, voxel_size_nm, resample=resample)
    if ignore is None and product_of(path) == LABELS and (labels.data == UNSURE).any():
        log.warning("%s: voxels of %d are those that nobody is sure of, and no ROI", path, UNSURE)
        ignore = (UNSURE,)
    try:
        rois = rois_from_labels(labels, ignore or ())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return _pieces_of_single(rois, path) if len(rois) == 1 else rois


def _pieces_of_single(rois: RoiSet, path: Path) -> RoiSet:
    # Within a border of nothing: cc3d fails on a single line of voxels of which every second is set.
    pieces, count = cc3d.connected_components(np.pad(rois.mask(0), 1), connectivity=26, return_N=True)
    if count == 1:
        return rois
    log.warning("%s: one label in %d separate pieces; each piece is taken as an ROI", path, count)
    whole = np.zeros(rois.shape, np.int32)
    whole[rois.box(0)] = pieces[1:-1, 1:-1, 1:-1]
    return rois_from_labels(Volume(whole, rois.voxel_size_nm, rois.origin_nm))


def _read_archive(path: Path) -> RoiSet:
    with opened_archive(path, "ROI file") as archive:
        missing = set(_Stored.__annotations__) - set(archive.names)
        if missing:
            raise InputError(
                f"{path}: not an ROI file, it lacks {', '.join(sorted(missing))}; write it again"
            )
        _require_kinds(archive)
        stored = _Stored(**{name: archive.array(name) for name in _Stored.__annotations__ if name != "bits"})
        try:
            boxes, offsets, shape = _placed_boxes(stored)
            _require_fitting(boxes, offsets, archive.shape_and_type("bits")[0][0])
            stored = replace(stored, bits=archive.array("bits"))
            columns: dict[str, ArrayLike] = {"id": stored.ids.astype(np.int64)}
            for name in archive.names:
                column = name.removeprefix("table_")
                if column not in (name, "id"):
                    columns[column] = _of_kind(column, archive.array(name))
            x, y, z = (float(n) for n in stored.origin_nm)
            edge_nm = float(stored.voxel_size_nm)
            return _checked(boxes, stored.bits, offsets, columns, shape, edge_nm, (x, y, z))
        except InputError as error:
            told = str(error).removeprefix(f"{path}: ")
            raise InputError(f"{path}: {told}") from error


@dataclass(frozen=True)
class _Stored:
    """The arrays of an ROI file but for those of its table."""

    ids: NDArray[Any]
    boxes: NDArray[Any]
    offsets: NDArray[Any]
    shape: NDArray[Any]
    voxel_size_nm: NDArray[Any]
    origin_nm: NDArray[Any]
    bits: NDArray[Any] = field(default_factory=lambda: np.empty(0, np.uint8))


def _of_kind(column: str, values: NDArray[Any]) -> NDArray[Any]:
    """A column of a stored table, as text where it holds names; InputError for text where numbers belong."""
    if column in TEXT_COLUMNS:
        return values.astype(np.str_).astype(object)
    if column in COLUMNS and len(values) and values.dtype.kind not in "iuf":
        raise InputError(f"its column {column} holds no numbers; write it again")
    return values


_KINDS = {"bits": "u", "voxel_size_nm": "iuf", "origin_nm": "iuf"}
"""Kinds of numbers of an ROI file's arrays, where they are not whole ones."""


def _require_kinds(archive: Archive) -> None:
    """InputError where an array of an ROI file has another type or shape than it must, before it is read."""
    rows = archive.shape_and_type("ids")[0]
    count = rows[0] if len(rows) == 1 else -1
    shapes = {"ids": (count,), "boxes": (count, 2, 3), "offsets": (count + 1,), "shape": (3,)}
    shapes |= {"voxel_size_nm": (), "origin_nm": (3,)}
    for name in archive.names:
        shape, kind = archive.shape_and_type(name)
        fits = kind.kind in _KINDS.get(name, "iu") and shape == shapes.get(name, shape[:1])
        if name in _Stored.__annotations__ and not (fits or (name == "boxes" and shape == (0,) == rows)):
            raise InputError(
                f"{archive.path}: its array {name} is of type {kind} and shape {shape}, as in no ROI file; "
                "write it again"
            )
        if name.startswith("table_") and shape != (count,):
            raise InputError(f"{archive.path}: its column {name[6:]} has not a value an ROI; write it again")
        if name == "bits" and kind.itemsize != 1:
            raise InputError(f"{archive.path}: its array bits holds no bytes; write it again")


def _placed_boxes(stored: _Stored) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int, int]]:
    """Boxes, offsets of the bit masks, and the tomogram's shape, once these are seen to fit together."""
    z, y, x = (int(n) for n in stored.shape)
    if min(z, y, x) < 1 or max(z, y, x) > LONGEST_AXIS:
        raise InputError(f"its tomogram's shape ({z}, {y}, {x}) is none; write it again")
    boxes = stored.boxes.astype(np.int64).reshape(-1, 2, 3)
    _require_inside(boxes, (z, y, x))
    voxels = int(np.diff(boxes, axis=1).prod(axis=2).max(initial=0))
    if VOXEL_BYTES * voxels > available_memory_bytes():
        raise InputError(
            f"the box of an ROI has {voxels:,} voxels, more than fit into memory; use a machine with more"
        )
    return boxes, stored.offsets.astype(np.int64), (z, y, x)


def _require_fitting(boxes: NDArray[np.int64], offsets: NDArray[np.int64], count: int) -> None:
    """InputError where the bit masks at some offsets among ``count`` bytes are not those of the boxes."""
    needed = (np.diff(boxes, axis=1)[:, 0].prod(axis=1) + 7) // 8
    if len(offsets) != len(boxes) + 1 or offsets[-1] != count or not np.array_equal(np.diff(offsets), needed):
        raise InputError("ROI boxes and bit masks do not fit together; the file is damaged, write it again")


def _require_inside(boxes: NDArray[np.int64], shape: tuple[int, int, int]) -> None:
    if len(boxes) and ((boxes[:, 0] < 0).any() or (boxes[:, 1] > np.array(shape)).any()):
        raise InputError(f"an ROI reaches outside its tomogram of shape {shape}; is it another's?")
    if len(boxes) and (boxes[:, 0] >= boxes[:, 1]).any():
        raise InputError(
            "the box of an ROI ends where it begins, or before; the file is damaged, write it again"
        )


def _checked(
    boxes: NDArray[np.int64],
    bits: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    columns: dict[str, ArrayLike],
    shape: tuple[int, int, int],
    voxel_size_nm: float,
    origin_nm: tuple[float, float, float],
) -> RoiSet:
    """The RoiSet with its table, once boxes, bits and ids are seen to fit together."""
    ids = np.asarray(columns.get("id", np.arange(1, len(boxes) + 1)), dtype=np.int64)
    if not (np.isfinite(voxel_size_nm) and voxel_size_nm > 0):
        raise InputError(f"voxel size must be a positive number of nm; got {voxel_size_nm}")
    if len(ids) != len(boxes) or len(np.unique(ids)) != len(ids) or (ids <= 0).any():
        raise InputError("ROI ids must be positive and each used once; renumber them")
    if not np.isfinite(origin_nm).all():
        raise InputError(f"the origin must be three numbers in nm; got {origin_nm}")
    _require_inside(boxes, shape)
    _require_fitting(boxes, offsets, len(bits))
    bare = RoiSet(boxes, bits, offsets, pd.DataFrame({"id": ids}), shape, voxel_size_nm, origin_nm)
    return replace(bare, table=_table(bare, columns))


def _table(rois: RoiSet, columns: dict[str, ArrayLike]) -> pd.DataFrame:
    centroids, voxels = np.zeros((len(rois), 3)), np.zeros(len(rois))
    for row, (_, mask) in enumerate(rois.placed_masks()):
        voxels[row] = np.count_nonzero(mask)
        if voxels[row] == 0:
            raise InputError(f"ROI {rois.ids[row]} has no voxel; leave it out")
        centroids[row] = _mean_index(mask) + rois.boxes[row, 0]
    world = index_to_world(centroids, rois.voxel_size_nm, rois.origin_nm)
    table = {
        "id": rois.ids,
        "centroid_x_nm": world[:, 0],
        "centroid_y_nm": world[:, 1],
        "centroid_z_nm": world[:, 2],
        "volume_nm3": voxels * rois.voxel_size_nm**3,
        "confidence_mean": np.full(len(rois), np.nan),
        "confidence_max": np.full(len(rois), np.nan),
        "membranes": np.full(len(rois), "", dtype=object),
        "status": np.full(len(rois), "predicted", dtype=object),
    }
    table.update({name: _typed(name, values) for name, values in columns.items() if not _is_geometry(name)})
    return pd.DataFrame(table)


def _typed(column: str, values: ArrayLike) -> NDArray[Any]:
    """A column's values; numbers stay numbers where there are none, as in a tomogram without an ROI."""
    return np.asarray(values, dtype=np.float64 if column.startswith("confidence_") else None)


def _mean_index(mask: Bools) -> NDArray[np.float64]:
    """Mean index z, y, x of the voxels of a mask, from their counts along each axis."""
    counts = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return np.array([np.average(np.arange(len(along)), weights=along) for along in counts])


def _whole_numbers(data: NDArray[Any]) -> NDArray[Any]:
    if np.issubdtype(data.dtype, np.integer):
        return data
    if data.dtype != bool and not (data == np.rint(data)).all():
        raise InputError(
            "a label volume holds whole numbers; these are not, make ROIs of a confidence map with "
            "`tomorois instances` first"
        )
    return data.astype(np.int32)


def _numbered(data: NDArray[Any]) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """High labels in rising order, and their numbers from 1 in their place; low ones as they are.

    `find_objects` lists every number up to the highest, of which a label may be beyond all memory.
    """
    if data.max(initial=0) <= HIGHEST_LISTED:
        return None, data
    names = np.unique(data[data > 0])
    return names, np.where(data > 0, np.searchsorted(names, data) + 1, 0)


def _trimmed(start: NDArray[np.int64], mask: Bools) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Bounding box (2, 3) of a placed mask, and its bits."""
    occupied = find_objects(mask.astype(np.uint8))
    if not occupied:
        raise InputError("an ROI mask has no voxel; leave it out")
    first = np.array([axis.start for axis in occupied[0]])
    last = np.array([axis.stop for axis in occupied[0]])
    return np.stack([start + first, start + last]), np.packbits(mask[occupied[0]])


def _joined(pieces: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint8), offsets


def _rescaled(rois: RoiSet, voxel_size_nm: float) -> RoiSet:
    scaled = replace(rois, voxel_size_nm=voxel_size_nm)
    return replace(scaled, table=_table(scaled, {str(k): v.to_numpy() for k, v in rois.table.items()}))


def _is_geometry(column: str) -> bool:
    return column.startswith("centroid_") or column == "volume_nm3"


def _plain(column: pd.Series) -> NDArray[Any]:
    """Numbers as they are, anything else as text, so that no pickle is needed."""
    values = column.to_numpy()
    return values if values.dtype.kind in "iufb" else np.array([str(v) for v in values], dtype=np.str_)


def _slices(start: NDArray[np.int64], stop: NDArray[np.int64]) -> Box:
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))  # type: ignore[return-value]
