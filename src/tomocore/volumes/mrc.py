"""MRC files: every mode that holds a volume of numbers, either byte order, gzipped or memory-mapped."""

from __future__ import annotations

import gzip
import warnings
import zlib
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from tomocore.contract import InputError
from tomocore.volumes.header import ANGSTROM_PER_NM, Loader, VolumeHeader, checked_header
from tomocore.volumes.volume import Volume

MRC_ENDINGS = (".mrc", ".rec", ".map", ".st", ".ali", ".mrcs")
IMOD_STAMP = 1146047817
UNSTAMPED = "lacks the MAP stamp of an MRC file"


def open_mrc(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of an MRC file and what loads its voxels (a memory map, unless gzipped)."""
    zipped = path.suffix.lower() == ".gz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of them is said by _mrc_notes, in our words
        try:
            with mrcfile.open(path, permissive=True, header_only=True) as file:
                head = file.header.copy()
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: not an MRC file ({error}); check what wrote it") from error
    other_order = head.view(head.dtype.newbyteorder())
    if not _is_plausible(head) and _is_plausible(other_order):
        head = other_order  # mode 0 reads the same either way, so only the lengths tell
    shape = (int(head.nz), int(head.ny), int(head.nx))
    dtype = _mrc_dtype(path, head, shape)
    offset = 1024 + int(head.nsymbt)
    if not zipped:
        _require_length(
            path, path.stat().st_size, offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        )

    def load() -> np.ndarray[Any, Any]:
        if zipped:
            return _gunzipped(path, offset, dtype, shape)
        return np.memmap(path, dtype, "r", offset, shape)

    size_a, origin_a, notes, why = _mrc_geometry(head, shape)
    in_nm = (
        tuple(edge / ANGSTROM_PER_NM for edge in size_a),
        tuple(edge / ANGSTROM_PER_NM for edge in origin_a),
    )
    blank = np.lib.stride_tricks.as_strided(np.zeros(1, dtype), shape, (0, 0, 0))
    return checked_header(path, "MRC", blank, *in_nm, notes, why), load


def _is_plausible(head: Any) -> bool:
    lengths = [int(head[f"n{axis}"]) for axis in "xyz"]
    return min(lengths) >= 1 and max(lengths) <= 2**20 and int(head.nsymbt) >= 0


def _mrc_dtype(path: Path, head: Any, shape: tuple[int, int, int]) -> np.dtype[Any]:
    mode = int(head.mode)
    if not _is_plausible(head):
        stamp = "" if bytes(head.map)[:3] == b"MAP" else f", and it {UNSTAMPED}"
        raise InputError(
            f"{path}: not an MRC file (its header says {shape} voxels along z, y, x{stamp}); "
            "check what wrote it"
        )
    kinds = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
    if mode not in kinds:
        raise InputError(
            f"{path}: MRC mode {mode} is not a volume of numbers this program reads (0, 1, 2, 6 and 12 are); "
            "convert it, for example to mode 2"
        )
    if mode == 0 and _imod_unsigned(head):
        return np.dtype(np.uint8)
    return np.dtype(kinds[mode]).newbyteorder(head.mode.dtype.byteorder)


def _imod_unsigned(head: Any) -> bool:
    """Whether IMOD says that mode 0 holds unsigned bytes (its stamp, then bit 0 of its flags unset)."""
    extra = np.frombuffer(bytes(head.extra2), head.mode.dtype)
    stamp_at, flags_at = 10, 11  # bytes 152 and 156 of the header; extra2 starts at 112
    return int(extra[stamp_at]) == IMOD_STAMP and not int(extra[flags_at]) & 1


def _require_length(path: Path, found: int, expected: int) -> None:
    if found < expected:
        raise InputError(
            f"{path}: truncated, its header promises {expected:,} bytes and there are {found:,}; "
            "copy or write it again"
        )


def _gunzipped(
    path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, int, int]
) -> np.ndarray[Any, Any]:
    length = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    try:
        with gzip.open(path, "rb") as file:
            file.seek(offset)
            raw = file.read(length)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); copy or write it again") from error
    _require_length(path, offset + len(raw), offset + length)
    return np.frombuffer(raw, dtype).reshape(shape)


def _mrc_geometry(
    head: Any, shape: tuple[int, int, int]
) -> tuple[tuple[float, ...], tuple[float, ...], list[str], str]:
    """Voxel size and origin in Å (x, y, z), notes on the header, and why its voxel size may be wrong."""
    axes = ("x", "y", "z")
    cell = [float(head.cella[axis]) for axis in axes]
    sampling = [int(head[f"m{axis}"]) for axis in axes]
    starts = [int(head[f"n{axis}start"]) for axis in axes]
    size = tuple(edge / count if count > 0 else 0.0 for edge, count in zip(cell, sampling, strict=True))
    why = [
        f"m{axis} = {count} while n{axis} = {voxels} (cell / n{axis} = {edge / voxels:.6g} Å)"
        for axis, edge, count, voxels in zip(axes, cell, sampling, shape[::-1], strict=True)
        if count != voxels and edge > 0
    ]
    notes = []
    if bytes(head.map)[:3] != b"MAP":
        notes.append(f"{UNSTAMPED}; read as one because the rest of its header makes sense")
    order = (int(head.mapc), int(head.mapr), int(head.maps))
    if order not in ((1, 2, 3), (0, 0, 0)):
        notes.append(f"its header orders the axes {order} instead of (1, 2, 3); read as x, y, z all the same")
    origin = [float(head.origin[axis]) for axis in axes]
    if any(starts) and any(size):
        notes.append(f"its header starts at voxel {tuple(starts)} (nxstart ...); added to the origin")
        origin = [at + start * edge for at, start, edge in zip(origin, starts, size, strict=True)]
    return size, tuple(origin), notes, "because " + ", ".join(why) if why else ""


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
    """Write voxel size and origin (nm) into the header of an open mrcfile, in Å."""
    file.voxel_size = voxel_size_nm * ANGSTROM_PER_NM
    for axis, at_nm in zip("xyz", origin_nm, strict=True):
        file.header.origin[axis] = at_nm * ANGSTROM_PER_NM
