"""Volumes in and out: MRC (also gzipped), OME-Zarr and TIFF.

Headers lie often in this field, so every reader first collects what it read and what looks wrong with
it (`inspect_volume`), and `read_volume` refuses a voxel size that cannot be believed unless the user
gives one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomocore.contract import InputError
from tomocore.files import available_memory_bytes, written_beside
from tomocore.volumes.header import READABLE, Loader, VolumeHeader
from tomocore.volumes.mrc import MRC_ENDINGS, open_mrc, write_mrc, write_mrc_gz
from tomocore.volumes.omezarr import open_zarr, write_zarr
from tomocore.volumes.tiff import TIFF_ENDINGS, open_tiff, write_tiff
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)


def inspect_volume(path: Path) -> VolumeHeader:
    """The header of a volume file, without its voxels. Raises InputError where it is no volume."""
    return _open(Path(path))[0]


def read_volume(path: Path, voxel_size_nm: float | None = None, lazy: bool = False) -> Volume:
    """The volume in an MRC, OME-Zarr or TIFF file, in native byte order.

    ``voxel_size_nm`` overrides the header. ``lazy`` leaves the voxels on disk where the format
    allows it (memory map, Zarr array). Raises InputError where the file is missing, truncated, of
    another kind, too big for memory, or has a voxel size that cannot be believed.
    """
    header, load = _open(Path(path))
    edge_nm = _believed_voxel_size_nm(header, voxel_size_nm)
    for problem in header.problems:
        log.warning("%s: %s", header.path, problem)
    lazily_readable = lazy and header.kind in ("MRC", "OME-Zarr")
    if not lazily_readable:
        _require_memory(header)
    data = load()
    if not lazily_readable:
        data = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
    return Volume(data, edge_nm, header.origin_nm)


def write_volume(path: Path, volume: Volume) -> None:
    """Write MRC, OME-Zarr or TIFF by the name's ending, beside its name and renamed.

    Booleans become int8, wide integers the narrowest of int16 and uint16 that holds them, and
    float64 becomes float32. Raises InputError for labels beyond 65535 and for unknown endings.
    """
    path = Path(path)
    data = storable(np.asarray(volume.data), path)
    writers = {".mrc": write_mrc, ".gz": write_mrc_gz, ".zarr": write_zarr} | dict.fromkeys(
        TIFF_ENDINGS, write_tiff
    )
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path}: volumes are written as .mrc, .mrc.gz, .zarr or .tif; choose one of these")
    with written_beside(path) as beside:
        writer(beside, volume.with_data(data))


def storable(data: np.ndarray[Any, Any], path: Path) -> np.ndarray[Any, Any]:
    """The voxels in a type that an MRC file holds (int8, int16, uint16, float32)."""
    if data.dtype == bool:
        return data.astype(np.int8)
    if data.dtype.kind in "iu" and data.dtype not in (np.int8, np.int16, np.uint16):
        low, high = (int(data.min()), int(data.max())) if data.size else (0, 0)
        for kind in (np.int16, np.uint16):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return data.astype(kind)
        raise InputError(f"{path}: labels from {low} to {high} do not fit 16 bits; renumber them")
    return data.astype(np.float32) if data.dtype.kind == "f" else data


def volume_stem(path: Path) -> str:
    """The name of a volume file without its folder and endings (``.mrc``, ``.mrc.gz``, ``.ome.zarr`` ...)."""
    name = path.name
    for ending in (".gz", ".zarr", ".ome", *MRC_ENDINGS, *TIFF_ENDINGS):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def volume_files(paths: Sequence[Path], what: str = "") -> list[Path]:
    """The volume files among ``paths``, each folder replaced by its ``<stem>__<what>`` volumes.

    ``what`` = "" means tomograms: volumes without ``__`` in their stem. Files named outright are
    kept whatever they are called. Raises InputError for a folder without any such volume.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir() or path.suffix.lower() == ".zarr":
            files.append(path)
            continue
        inside = [file for file in sorted(path.iterdir()) if _is_volume_name(file) and _is_what(file, what)]
        if not inside:
            wanted = f"<name>__{what}.mrc files" if what else f"tomograms: {READABLE}"
            raise InputError(f"{path}: this folder holds no {wanted}; name the files themselves")
        files += inside
    return files


def _is_volume_name(path: Path) -> bool:
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return not path.name.startswith(".") and bare.suffix.lower() in (*MRC_ENDINGS, *TIFF_ENDINGS, ".zarr")


def _is_what(path: Path, what: str) -> bool:
    stem = volume_stem(path)
    return stem.endswith(f"__{what}") if what else "__" not in stem


def _open(path: Path) -> tuple[VolumeHeader, Loader]:
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    ending = bare.suffix.lower()
    if path.is_dir() or ending == ".zarr":
        return open_zarr(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; write or copy it again")
    if ending in TIFF_ENDINGS:
        return open_tiff(path)
    if ending in MRC_ENDINGS:
        return open_mrc(path)
    raise InputError(f"{path}: not a volume file by its name; {READABLE} can be read")


def _believed_voxel_size_nm(header: VolumeHeader, override_nm: float | None) -> float:
    if override_nm is not None:
        if not (np.isfinite(override_nm) and override_nm > 0):
            raise InputError(
                f"{header.path}: --voxel-size must be a positive number of nm; got {override_nm}"
            )
        return float(override_nm)
    if header.size_problem:
        raise InputError(f"{header.path}: {header.size_problem}; give the true edge in nm with --voxel-size")
    return float(np.mean(header.voxel_size_nm))


def _require_memory(header: VolumeHeader) -> None:
    available = available_memory_bytes()
    if header.nbytes > available:
        raise InputError(
            f"{header.path}: its voxels need {header.nbytes / 2**30:.1f} GiB and "
            f"{available / 2**30:.1f} GiB are free; crop or bin it, or use a machine with more memory"
        )
