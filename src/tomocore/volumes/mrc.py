"""MRC files: every mode that holds a volume of numbers, either byte order, packed or left on disk."""

from __future__ import annotations

import bz2
import gzip
import math
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.volumes.header import ANGSTROM_PER_NM, Loader, Promised, VolumeHeader, checked_header
from tomocore.volumes.lazy import BLOCK_BYTES, OrderedView, StoredArray
from tomocore.volumes.mrc_header import (
    UNSTAMPED,
    byte_kind,
    file_shape,
    is_plausible,
    mrc_geometry,
    require_one_volume,
    zyx_places_of,
)
from tomocore.volumes.volume import Volume

WRITTEN_BY = "TomoROIS-SurfORA"
HEADER_BYTES = 1024
KINDS: dict[int, Any] = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
MRC_MODES = (0, 1, 2, 3, 4, 6, 12, 101)
MOST_PACKED = {gzip.open: 1032, bz2.open: 2**21}
"""How many times a packer can shrink anything."""
UNPACKING_ERRORS = (OSError, EOFError, zlib.error)


def open_mrc(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of an MRC file and what gives its voxels z, y, x (left on disk, unless packed)."""
    head = _read_header(path)
    mode = _known_mode(path, head)
    require_one_volume(path, head)
    places = zyx_places_of(path, head)
    dtype = np.dtype(KINDS[mode]).newbyteorder(head.mode.dtype.byteorder)
    shape, offset = file_shape(head), HEADER_BYTES + int(head.nsymbt)
    length = math.prod(shape) * dtype.itemsize
    unpacker = _unpacker(path)
    size = path.stat().st_size
    _require_length(path, size * MOST_PACKED.get(unpacker, 1), offset + length)

    def blocks() -> Iterator[NDArray[np.uint8]]:
        if unpacker is None:
            return StoredArray(path, np.uint8, offset, shape).blocks()
        return _unpacked(path, offset, length)

    notes: list[str] = []
    if mode == 0:
        dtype, notes = byte_kind(head, blocks)

    def load() -> Any:
        if unpacker is None:
            stored: Any = StoredArray(path, dtype, offset, shape)
            return stored if places == (0, 1, 2) else OrderedView(stored, places, path)
        return _joined(path, blocks(), length).view(dtype).reshape(shape).transpose(places)

    promised = Promised(tuple(shape[place] for place in places), dtype)
    geometry = mrc_geometry(head, promised.shape, notes)
    return checked_header(path, "MRC", promised, geometry, on_disk=unpacker is None), load


def _read_header(path: Path) -> Any:
    """The header in the byte order that makes sense; what extends it is not read."""
    try:
        with (_unpacker(path) or open)(path, "rb") as file:
            raw = file.read(HEADER_BYTES)
    except UNPACKING_ERRORS as error:
        raise InputError(f"{path}: not an MRC file ({error}); check what wrote it") from error
    if len(raw) < HEADER_BYTES:
        raise InputError(
            f"{path}: not an MRC file (it has {len(raw)} bytes, its header alone 1024); check what wrote it"
        )
    head = np.frombuffer(raw, HEADER_DTYPE)[0:1].reshape(()).view(np.recarray)
    stamped_big = bytes(head.machst)[:2] == b"\x11\x11"
    head = head.view(head.dtype.newbyteorder(">" if stamped_big else "<"))
    other_order = head.view(head.dtype.newbyteorder())
    if int(head.mode) not in MRC_MODES and int(other_order.mode) in MRC_MODES:
        head, other_order = other_order, head
    if not is_plausible(head) and is_plausible(other_order):
        return other_order  # mode 0 reads the same either way, so only the lengths tell
    return head


def _known_mode(path: Path, head: Any) -> int:
    mode = int(head.mode)
    if not is_plausible(head):
        stamp = "" if bytes(head.map)[:3] == b"MAP" else f", and it {UNSTAMPED}"
        raise InputError(
            f"{path}: not an MRC file (its header says {file_shape(head)} voxels along z, y, x{stamp}); "
            "check what wrote it"
        )
    if mode not in KINDS:
        raise InputError(
            f"{path}: MRC mode {mode} is not a volume of numbers this program reads (0, 1, 2, 6 and 12 are); "
            "convert it, for example to mode 2"
        )
    return mode


def _unpacker(path: Path) -> Any:
    """What opens a packed file, by its first bytes; None for a plain one."""
    with path.open("rb") as file:
        start = file.read(212)
    if start[208:211] == b"MAP":
        return None
    return gzip.open if start[:2] == b"\x1f\x8b" else bz2.open if start[:3] == b"BZh" else None


def _unpacked(path: Path, offset: int, length: int) -> Iterator[NDArray[np.uint8]]:
    """The voxels' bytes in a packed file, block by block. Raises InputError where they end too early."""
    found = 0
    try:
        with _unpacker(path)(path, "rb") as file:
            file.seek(offset)
            while found < length and (block := file.read(min(BLOCK_BYTES, length - found))):
                found += len(block)
                yield np.frombuffer(block, np.uint8)
    except UNPACKING_ERRORS as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); copy or write it again") from error
    _require_length(path, offset + found, offset + length)


def _joined(path: Path, blocks: Iterator[NDArray[np.uint8]], length: int) -> NDArray[np.uint8]:
    try:
        whole = np.empty(length, np.uint8)
    except MemoryError as error:
        raise InputError(f"{path}: its voxels need {length:,} bytes, more than are free") from error
    start = 0
    for block in blocks:
        whole[start : start + len(block)] = block
        start += len(block)
    return whole


def _require_length(path: Path, found: int, expected: int) -> None:
    if found < expected:
        raise InputError(
            f"{path}: truncated, its header promises {expected:,} bytes and there are {found:,}; "
            "copy or write it again"
        )


def write_mrc(path: Path, volume: Volume) -> None:
    """Write an MRC file at exactly this path."""
    with mrcfile.new(path, overwrite=True) as file:
        _fill_mrc(file, volume)


def write_mrc_gz(path: Path, volume: Volume) -> None:
    """Write a gzipped MRC file at exactly this path."""
    with mrcfile.new(path, compression="gzip", overwrite=True) as file:
        _fill_mrc(file, volume)


def _fill_mrc(file: Any, volume: Volume) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # confidence may hold NaN statistics of nothing
        file.set_data(volume.data)
        file.set_volume()
        stamp_mrc_geometry(file, volume.voxel_size_nm, volume.origin_nm)


def stamp_mrc_geometry(file: Any, voxel_size_nm: float, origin_nm: tuple[float, float, float]) -> None:
    """Write voxel size and origin (nm) into the header of an open mrcfile, in Å, and who wrote it.

    mrcfile's own label holds the time, which would make equal volumes unequal files.
    """
    file.header.label[0] = WRITTEN_BY
    file.voxel_size = voxel_size_nm * ANGSTROM_PER_NM
    for axis, at_nm in zip("xyz", origin_nm, strict=True):
        file.header.origin[axis] = at_nm * ANGSTROM_PER_NM
