"""Volumes in and out: MRC (also packed), OME-Zarr and TIFF; HDF5 and Amira are read only.

Headers lie often in this field, so every reader first collects what it read and what looks wrong with
it (`inspect_volume`), and `read_volume` refuses a voxel size that cannot be believed unless the user
gives one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.files_of_tomograms import (
    AMIRA_ENDINGS,
    HDF5_ENDINGS,
    MRC_ENDINGS,
    PACKED_ENDINGS,
    READABLE,
    TIFF_ENDINGS,
    is_zarr_folder,
)
from tomocore.machine import available_memory_bytes
from tomocore.volumes.amira import open_amira
from tomocore.volumes.hdf5 import hdf5_file, open_hdf5
from tomocore.volumes.header import (
    ANGSTROM_PER_NM,
    BELIEVABLE_NM,
    SAME_EDGE_TOLERANCE,
    Loader,
    VolumeHeader,
)
from tomocore.volumes.mrc import open_mrc, write_mrc, write_mrc_gz
from tomocore.volumes.resampling import RESAMPLING_BYTES, resampled
from tomocore.volumes.tiff import open_tiff, write_tiff
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)

UNIT_SLIPS = {
    10.0: "ten times",
    0.1: "a tenth of",
    100.0: "a hundred times",
    0.01: "a hundredth of",
    1000.0: "a thousand times",
    0.001: "a thousandth of",
}
"""Factors between units that people mix up (Å, nm, µm)."""


def inspect_volume(path: Path) -> VolumeHeader:
    """The header of a volume file, without its voxels. Raises InputError where it is no volume."""
    return _open(Path(path))[0]


def is_whole(path: Path) -> bool:
    """Whether a volume is there as long as its header promises; a warning where it is there and damaged."""
    if not path.exists():
        return False
    try:
        inspect_volume(path)
    except InputError as error:
        log.warning("%s; it is made anew", error)
        return False
    return True


def inspect_voxels(path: Path) -> tuple[VolumeHeader, Any]:
    """The header of a volume file and its voxels as they are, whatever their edges, on disk where possible.

    Raises InputError where it is no volume or its voxels cannot be had.
    """
    header, load = _open(Path(path))
    if not header.on_disk:
        _require_memory(header)
    return header, load()


def read_volume(
    path: Path, voxel_size_nm: float | None = None, lazy: bool = False, resample: bool = False
) -> Volume:
    """The volume in an MRC, OME-Zarr, TIFF, HDF5 or Amira file, in native byte order.

    Args:
        path: the file, or the folder of an OME-Zarr image.
        voxel_size_nm: overrides the header; with ``resample`` and voxels of unequal edges, the edge wanted.
        lazy: leave the voxels on disk where the format allows it (plain files, Zarr, HDF5).
        resample: bring voxels whose edges differ to one edge, the shortest or ``voxel_size_nm``.

    Raises InputError where the file is missing, truncated, of another kind, too big for memory, or has a
    voxel size that cannot be believed, or unequal edges that are not to be resampled.
    """
    header, load = _open(Path(path))
    edge_nm = _edge_nm(header, voxel_size_nm, resample)
    for note in header.notes:
        log.warning("%s: %s", header.path, note)
    left_on_disk = lazy and header.on_disk and not header.anisotropic
    if not left_on_disk:
        _require_memory(header, edge_nm if header.anisotropic else None)
    data = load()
    if not left_on_disk:
        data = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
    if header.anisotropic:
        log.warning("%s: resampled from %s nm (x, y, z) to %.6g nm", header.path, _edges(header), edge_nm)
        return resampled(data, header.voxel_size_nm, edge_nm, header.origin_nm)
    return Volume(data, edge_nm, place_of_first_voxel_nm(header, edge_nm))


def write_volume(path: Path, volume: Volume) -> None:
    """Write MRC, OME-Zarr or TIFF by the name's ending, beside its name and renamed.

    Booleans become int8, wide integers the narrowest of int16 and uint16 that holds them, and
    float64 becomes float32. Raises InputError for labels beyond 65535 and for unknown endings.
    """
    path = volume_target(Path(path))
    data = storable(np.asarray(volume.data), path)
    with written_beside(path) as beside:
        _WRITERS[path.suffix.lower()](beside, volume.with_data(data))


def volume_target(path: Path) -> Path:
    """The path, where its ending is one that volumes are written under; else InputError."""
    packed = path.suffix.lower() == ".gz" and path.with_suffix("").suffix.lower() != ".mrc"
    if packed or path.suffix.lower() not in _WRITERS:
        raise InputError(f"{path}: volumes are written as .mrc, .mrc.gz, .zarr or .tif; choose one of these")
    return path


def _write_zarr(path: Path, volume: Volume) -> None:
    from tomocore.volumes.omezarr import write_zarr  # zarr takes a third of a second to load

    write_zarr(path, volume)


_WRITERS: dict[str, Callable[[Path, Volume], None]] = {
    ".mrc": write_mrc, ".gz": write_mrc_gz, ".zarr": _write_zarr, **dict.fromkeys(TIFF_ENDINGS, write_tiff)
}  # fmt: skip


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


def _open(path: Path) -> tuple[VolumeHeader, Loader]:
    if hdf5_file(path) is not None:
        return open_hdf5(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    bare = path.with_suffix("") if path.suffix.lower() in PACKED_ENDINGS else path
    ending = bare.suffix.lower()
    if path.is_dir() and not is_zarr_folder(path):
        raise InputError(f"{path}: is a folder, and no OME-Zarr image; name a file in it")
    if path.is_dir() or ending == ".zarr":
        from tomocore.volumes.omezarr import open_zarr

        return open_zarr(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; write or copy it again")
    if bare != path and ending in (*TIFF_ENDINGS, *AMIRA_ENDINGS, *HDF5_ENDINGS):
        raise InputError(f"{path}: read packed are MRC files alone; unpack it first")
    if ending in TIFF_ENDINGS:
        return open_tiff(path)
    if ending in MRC_ENDINGS:
        return open_mrc(path)
    if ending in AMIRA_ENDINGS:
        return open_amira(path)
    raise InputError(f"{path}: not a volume file by its name; {READABLE} can be read")


def _edge_nm(header: VolumeHeader, given_nm: float | None, resample: bool) -> float:
    """The edge of the voxels to be had. Raises InputError where it is not known, or voxels are not cubes."""
    if given_nm is not None and not (np.isfinite(given_nm) and given_nm > 0):
        raise InputError(f"{header.path}: --voxel-size must be a positive number of nm; got {given_nm}")
    if header.anisotropic and not resample:
        given = ", which --voxel-size alone cannot mend" if given_nm is not None else ""
        raise InputError(f"{header.path}: {header.size_problem}{given}; {header.remedy}")
    if given_nm is not None:
        _warn_of_unit(header, given_nm)
        return float(given_nm)
    if header.anisotropic:
        return min(header.voxel_size_nm)
    if header.size_problem:
        raise InputError(f"{header.path}: {header.size_problem}; {header.remedy}")
    return float(np.mean(header.voxel_size_nm))


def _warn_of_unit(header: VolumeHeader, given_nm: float) -> None:
    """A warning where a voxel size given is the header's in another unit, or one that no tomogram has."""
    if header.size_problem:
        if not BELIEVABLE_NM[0] <= given_nm <= BELIEVABLE_NM[1]:
            log.warning("%s: no tomogram has voxels of %g nm (--voxel-size is in nm)", header.path, given_nm)
        return
    read_nm = float(np.mean(header.voxel_size_nm))
    for factor, told in UNIT_SLIPS.items():
        if abs(given_nm / (read_nm * factor) - 1) <= SAME_EDGE_TOLERANCE:
            log.warning(
                "%s: the voxel size given, %g nm, is %s the header's %.6g Å; --voxel-size is in nm: %.6g?",
                *(header.path, given_nm, told, read_nm * ANGSTROM_PER_NM, read_nm),
            )


def place_of_first_voxel_nm(header: VolumeHeader, edge_nm: float) -> tuple[float, float, float]:
    """Where the first voxel lies; counted in voxels by the file, its place follows the edge believed."""
    if header.start_voxels is None:
        return header.origin_nm
    x, y, z = (start * edge_nm for start in header.start_voxels)
    return x, y, z


def _edges(header: VolumeHeader) -> str:
    return " × ".join(f"{edge:.6g}" for edge in header.voxel_size_nm)


def _require_memory(header: VolumeHeader, edge_nm: float | None = None) -> None:
    """InputError where the voxels, and their copies resampled to an edge, do not fit into free memory."""
    need, available = header.nbytes, available_memory_bytes()
    if edge_nm is not None:
        voxels = float(np.prod(header.shape)) * np.prod(np.divide(header.voxel_size_nm, edge_nm))
        need += int(voxels * (header.dtype.itemsize + RESAMPLING_BYTES))
    if need > available:
        raise InputError(
            f"{header.path}: its voxels need {need / 2**30:.1f} GiB and "
            f"{available / 2**30:.1f} GiB are free; crop or bin it, or use a machine with more memory"
        )
