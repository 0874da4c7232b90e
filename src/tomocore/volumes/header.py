"""What a volume file says of itself, and why its voxel size may not be believed; where Å meets nm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tomocore.contract import InputError

ANGSTROM_PER_NM = 10.0
BELIEVABLE_NM = (0.08, 20.0)
"""Voxel edges outside this range are a factor of 10 or 1000 wrong in every header seen."""
SAME_EDGE_TOLERANCE = 0.02

Loader = Callable[[], Any]
"""Reads the voxels of a file whose header has been read, lazily where the format allows."""
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Geometry:
    """Where a file says its voxels lie, x, y, z: their edges and the centre of the first, in nm.

    Zeros stand for edges that it does not tell. ``start_voxels`` is the place of the first voxel where the
    file counts it in voxels, so that it follows whatever edge is believed. ``notes`` are for the user, and
    ``why`` is added to what is wrong with the voxel size, if anything is.
    """

    size_nm: Triple = (0.0, 0.0, 0.0)
    origin_nm: Triple = (0.0, 0.0, 0.0)
    start_voxels: Triple | None = None
    notes: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Promised:
    """The shape and type of voxels that a header promises, before any of them is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class VolumeHeader:
    """What a volume file says of itself, and what looks wrong with it.

    ``shape`` is z, y, x; ``voxel_size_nm`` is per axis x, y, z as read; ``origin_nm`` x, y, z.
    ``notes`` tell what was concluded. ``size_problem`` says why the voxel size cannot be taken as it is, or
    is "", and ``remedy`` what to do then. ``anisotropic`` means edges that can be believed one by one and
    differ. ``on_disk`` tells that voxels can be left there. ``start_voxels`` as in `Geometry`.
    """

    path: Path
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    voxel_size_nm: Triple
    origin_nm: Triple
    notes: tuple[str, ...]
    size_problem: str
    anisotropic: bool = False
    on_disk: bool = True
    start_voxels: Triple | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def remedy(self) -> str:
        """What to do where the voxel size cannot be taken as it is."""
        if self.anisotropic:
            return "bring them to one edge with --resample"
        return "give the true edge in nm with --voxel-size"


def checked_header(
    path: Path, kind: str, array: Any, geometry: Geometry, on_disk: bool = True
) -> VolumeHeader:
    """The header of a volume file, checked; its readers call this before they load anything.

    ``array`` needs no voxels, only the ``shape`` (z, y, x) and ``dtype`` that they will have. ``kind`` is the
    format as users call it ("MRC"). ``geometry`` is what the file says of itself, believed or not: what is
    wrong with its voxel size is told in the header and raised only where the size is used. ``on_disk`` is
    False where voxels must be decoded into memory (packed files). ``path`` is for messages. Raises InputError
    where the array has other than three axes, or no voxels.
    """
    if len(array.shape) != 3:
        raise InputError(
            f"{path}: holds an array of shape {tuple(array.shape)}, not a volume with three axes (z, y, x); "
            "give one volume a file"
        )
    if min(array.shape) < 1:
        raise InputError(f"{path}: holds no voxels (shape {tuple(array.shape)}); write or copy it again")
    geometry = _with_finite_place(geometry)
    problem, anisotropic = _size_problem(geometry)
    return VolumeHeader(
        path,
        kind,
        tuple(array.shape),
        np.dtype(array.dtype),
        geometry.size_nm,
        geometry.origin_nm,
        geometry.notes,
        problem,
        anisotropic,
        on_disk,
        geometry.start_voxels,
    )


def _with_finite_place(geometry: Geometry) -> Geometry:
    """The geometry with its place taken as 0, and a note, where the file gives no number for it."""
    place = geometry.start_voxels or geometry.origin_nm
    if np.isfinite(place).all():
        return geometry
    notes = (*geometry.notes, "its origin is no number; taken as 0")
    return replace(geometry, origin_nm=(0.0, 0.0, 0.0), start_voxels=None, notes=notes)


def _size_problem(geometry: Geometry) -> tuple[str, bool]:
    """Why the voxel size cannot be taken as it is ("" if it can), and whether only since its axes differ."""
    size_nm = geometry.size_nm
    low, high = min(size_nm), max(size_nm)
    because = f", {geometry.why}" if geometry.why else ""
    angstrom = " × ".join(f"{edge * ANGSTROM_PER_NM:.6g}" for edge in size_nm)
    read = f"the header's voxel size reads {angstrom} Å (x, y, z)"
    if not any(size_nm):
        return f"the voxel size was never set{because}", False
    if not np.isfinite(size_nm).all():
        return f"{read}: {_edge_problem(float('nan'))}{because}", False
    problem = _edge_problem(low) or _edge_problem(high)
    if high > low * (1 + SAME_EDGE_TOLERANCE) and low > 0:
        beside = f", and {problem}" if problem else ""
        told = f"{read}: the axes disagree by a factor of {high / low:.3g}{beside}{because}"
        return told, not problem and not geometry.why
    return (f"{read}: {problem}{because}" if problem else ""), False


def _edge_problem(edge_nm: float) -> str:
    if not np.isfinite(edge_nm) or edge_nm <= 0:
        return "it was never set"
    if abs(edge_nm * ANGSTROM_PER_NM - 1.0) < 1e-4:
        return "exactly 1 Å is what programs write that do not know it"
    if not BELIEVABLE_NM[0] <= edge_nm <= BELIEVABLE_NM[1]:
        return "no tomogram has such voxels, a unit is wrong"
    return ""
