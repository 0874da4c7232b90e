"""What a volume file says of itself, and why its voxel size may not be believed; where Å meets nm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomocore.contract import InputError

ANGSTROM_PER_NM = 10.0
NM_PER_UNIT = {
    "angstrom": 0.1,
    "å": 0.1,
    "nanometer": 1.0,
    "nm": 1.0,
    "micrometer": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "micron": 1e3,
    "millimeter": 1e6,
    "mm": 1e6,
    "meter": 1e9,
}
BELIEVABLE_NM = (0.08, 20.0)
"""Voxel edges outside this range are a factor of 10 or 1000 wrong in every header seen."""
SAME_EDGE_TOLERANCE = 0.02
READABLE = "MRC (.mrc, .rec, .map, also .gz), OME-Zarr (.zarr) and TIFF (.tif)"

Loader = Callable[[], Any]
"""Reads the voxels of a file whose header has been read, lazily where the format allows."""


@dataclass(frozen=True)
class VolumeHeader:
    """What a volume file says of itself, and what looks wrong with it.

    ``shape`` is z, y, x; ``voxel_size_nm`` is per axis x, y, z as read; ``origin_nm`` x, y, z.
    ``problems`` are notes; ``size_problem`` says why the voxel size cannot be believed, or is "".
    """

    path: Path
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    voxel_size_nm: tuple[float, float, float]
    origin_nm: tuple[float, float, float]
    problems: tuple[str, ...]
    size_problem: str

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def checked_header(
    path: Path,
    kind: str,
    array: Any,
    size_nm: tuple[float, ...],
    origin_nm: tuple[float, ...],
    notes: list[str],
    why: str,
) -> VolumeHeader:
    """The header of a file, checked. Raises InputError where it does not describe one volume.

    ``array`` has the file's shape and dtype, ``size_nm`` and ``origin_nm`` are x, y, z; ``why`` is added
    to what is wrong with the voxel size, if anything is.
    """
    if len(array.shape) != 3:
        raise InputError(
            f"{path}: holds an array of shape {tuple(array.shape)}, not a volume with three axes (z, y, x); "
            "give one volume a file"
        )
    if 0 in array.shape:
        raise InputError(f"{path}: holds no voxels (shape {tuple(array.shape)}); write or copy it again")
    x, y, z = size_nm
    ox, oy, oz = origin_nm
    problem = _size_problem((x, y, z)) or ""
    if problem and why:
        problem += f", {why}"
    return VolumeHeader(
        path, kind, tuple(array.shape), np.dtype(array.dtype), (x, y, z), (ox, oy, oz), tuple(notes), problem
    )


def _size_problem(size_nm: tuple[float, float, float]) -> str | None:
    angstrom = " × ".join(f"{edge * ANGSTROM_PER_NM:.6g}" for edge in size_nm)
    read = f"the header's voxel size reads {angstrom} Å (x, y, z)"
    low, high = min(size_nm), max(size_nm)
    if not np.isfinite(size_nm).all() or low <= 0:
        return f"{read}: it was never set"
    if high > low * (1 + SAME_EDGE_TOLERANCE):
        return f"{read}: the axes disagree by a factor of {high / low:.3g}"
    if abs(low * ANGSTROM_PER_NM - 1.0) < 1e-4:
        return f"{read}: exactly 1 Å is what programs write that do not know it"
    if not BELIEVABLE_NM[0] <= low <= BELIEVABLE_NM[1]:
        return f"{read}: no tomogram has such voxels, a unit is wrong"
    return None
