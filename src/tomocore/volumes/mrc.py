"""MRC files: every mode that holds a volume of numbers, either byte order, packed or memory-mapped."""

from __future__ import annotations

import bz2
import gzip
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.machine import available_memory_bytes
from tomocore.volumes.header import ANGSTROM_PER_NM, Loader, VolumeHeader, checked_header
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
UNPACKING_ERRORS = (OSError, EOFError, zlib.error)


def open_mrc(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of an MRC file and what loads its voxels z, y, x (a memory map, unless packed)."""
    head = _read_header(path)
    mode = _known_mode(path, head)
    require_one_volume(path, head)
    places = zyx_places_of(path, head)
    dtype = np.dtype(KINDS[mode]).newbyteorder(head.mode.dtype.byteorder)
    shape, offset = file_shape(head), HEADER_BYTES + int(head.nsymbt)
    length = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    packed = _unpacker(path) is not None
    if not packed:
        _require_length(path, path.stat().st_size, offset + length)

    @cache
    def raw() -> NDArray[np.uint8]:
        return _unpacked(path, offset, length) if packed else np.memmap(path, np.uint8, "r", offset, length)

    notes: list[str] = []
    if mode == 0 and (not packed or length < available_memory_bytes()):
        dtype, notes = byte_kind(head, raw)

    def load() -> NDArray[Any]:
        return raw().view(dtype).reshape(shape).transpose(places)

    blank = np.lib.stride_tricks.as_strided(np.zeros(1, dtype), [shape[place] for place in places], (0, 0, 0))
    geometry = mrc_geometry(head, blank.shape, notes)
    return checked_header(path, "MRC", blank, geometry, on_disk=not packed), load


def _read_header(path: Path) -> Any:
    """The header in the byte order that makes sense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of them is said by mrc_geometry, in our words
        try:
            with mrcfile.open(path, permissive=True, header_only=True) as file:
                head = file.header.copy()
        except (ValueError, *UNPACKING_ERRORS) as error:
            raise InputError(f"{path}: not an MRC file ({error}); check what wrote it") from error
    other_order = head.view(head.dtype.newbyteorder())
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


def _unpacked(path: Path, offset: int, length: int) -> NDArray[np.uint8]:
    """The bytes of the voxels in a packed file. Raises InputError where they end too early."""
    try:
        with _unpacker(path)(path, "rb") as file:
            file.seek(offset)
            raw = file.read(length)
    except UNPACKING_ERRORS as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); copy or write it again") from error
    _require_length(path, offset + len(raw), offset + length)
    return np.frombuffer(raw, np.uint8)


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
