"""IMOD's models (.mod): points of contours in, points and meshes out.

The binary format is public (bio3d.colorado.edu/imod/doc/binspec.html), big-endian whatever the machine. A
model counts in voxels of the volume it was drawn on: along x and y from the edge of the first one, so that
its centre is 0.5, along z from its centre, since points are drawn on slices.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surfora.export.particles import Particles, believable
from surfora.geometry.arrays import Faces, Floats
from tomocore.contract import InputError, naming
from tomocore.files import written_beside
from tomocore.machine import available_memory_bytes
from tomocore.side_files import require_size

HEADER, OBJECT = 240, 176
FIRST_CENTRE = np.array([0.5, 0.5, 0.0])
UNIT_NM, ANGSTROM_NM, MODEL_UNITS = (
    -9,
    0.1,
    {3: 1e12, 1: 1e9, -2: 1e7, -3: 1e6, -6: 1e3, -9: 1.0, -10: 0.1, -12: 1e-3},
)
Z_FROM_CENTRE, NEW_TO_3DMOD = 1 << 10, 1 << 11
SCATTERED, FILLED, DRAWN_AS_MESH, WITHOUT_LINES, TWO_SIDED = 1 << 9, 1 << 8, 1 << 10, 1 << 11, 1 << 19
POLYGONS, END_OF_POLYGONS, END_OF_LIST = -25, -22, -1


@dataclass(frozen=True)
class ImodObject:
    """An object of a model: scattered points, or a mesh (vertices, normals, faces), all in voxels from the
    first one's centre; its colour from 0 to 1."""

    name: str
    colour: tuple[float, float, float]
    places: Floats
    normals: Floats | None = None
    faces: Faces | None = None


@dataclass(frozen=True)
class ImodPoints:
    """Points (n, 3) x, y, z of all contours, in voxels from the first's centre; the voxel's nm if told."""

    places: Floats
    voxel_size_nm: float | None


def model_points(path: Path) -> ImodPoints:
    """The points of all contours of a model. InputError where it is none, is cut short, or has none."""
    require_size(path, available_memory_bytes() // 4)
    raw = path.read_bytes()
    if raw[:4] != b"IMOD" or len(raw) < HEADER:
        raise InputError(f"{path}: is no model of IMOD; give a binary .mod file")
    found: list[Floats] = []
    shift, edge_nm, at = np.zeros(3), _told_edge_nm(raw), HEADER
    try:
        while (kind := raw[at : at + 4]) != b"IEOF":
            at += 4
            if kind == b"OBJT":
                at += OBJECT
            elif kind == b"CONT":
                (count,) = _counts(raw, at, 1)
                found.append(np.frombuffer(raw, ">f4", 3 * count, at + 16).astype(np.float64).reshape(-1, 3))
                at += 16 + 12 * count
            elif kind == b"MESH":
                vertices, indices = _counts(raw, at, 2)
                at += 16 + 12 * vertices + 4 * indices
            else:
                if kind == b"MINX":
                    _, old, _, scale, current, _ = np.frombuffer(raw, ">f4", 18, at + 4).reshape(6, 3)
                    shift = np.asarray((old - current) / np.where(scale > 0, scale, 1.0), np.float64)
                    if edge_nm is None and scale[0] > 0 and abs(scale[0] - 1) > 1e-6:
                        edge_nm = float(scale[0]) * ANGSTROM_NM
                at += 4 + struct.unpack_from(">I", raw, at)[0]
    except (ValueError, struct.error):
        raise InputError(f"{path}: ends before its data do; save the model again in 3dmod") from None
    places = np.concatenate([np.empty((0, 3)), *found])
    if len(places) == 0:
        raise InputError(f"{path}: has no points in its contours; mark particles as points in 3dmod")
    if not np.isfinite(places).all():
        raise InputError(f"{path}: some of its points are no numbers; delete those")
    return ImodPoints(places + shift - FIRST_CENTRE, edge_nm)


def _counts(raw: bytes, at: int, how_many: int) -> tuple[int, ...]:
    """Counts at a place of a model; ValueError where one is none, which would lead backwards."""
    found = struct.unpack_from(f">{how_many}i", raw, at)
    if min(found) < 0:
        raise ValueError
    return found


def _told_edge_nm(raw: bytes) -> float | None:
    """The voxel's edge in a model's header, in nm; None where it counts in pixels."""
    pixel, unit = struct.unpack_from(">fi", raw, 8 + 208)
    return float(pixel) * MODEL_UNITS[unit] if unit in MODEL_UNITS and pixel > 0 else None


def imod_particles(path: Path, voxel_size_nm: float | None) -> Particles:
    """The points of a model as particles without angles, of the tomogram that the file is named after.

    voxel_size_nm: whatever the model says. Raises InputError where neither tells it.
    """
    found = model_points(path)
    edge = found.voxel_size_nm if voxel_size_nm is None else voxel_size_nm
    if edge is None:
        raise InputError(f"{path}: counts in voxels of a size that it does not tell; pass --pixel-size NM")
    with naming(path):
        return believable(Particles(found.places * edge, None, (path.stem,) * len(found.places)))


def write_model(
    path: Path, objects: Sequence[ImodObject], size: tuple[int, int, int], voxel_size_nm: float
) -> None:
    """Write a model for a volume of ``size`` (x, y, z) voxels.

    Nothing in it ties it to a place of its volume (no MINX), so that 3dmod takes its voxels as those of the
    volume that it is opened on.
    """
    parts = [
        struct.pack(">4s4s128s", b"IMOD", b"V1.2", path.stem.encode()[:127]),
        struct.pack(">4iI4i", *size, len(objects), Z_FROM_CENTRE | NEW_TO_3DMOD, 1, 1, 0, 255),
        struct.pack(">6f5i", 0, 0, 0, 1, 1, 1, 0, 0, -1, 3, 128),
        struct.pack(">fii3f", voxel_size_nm, UNIT_NM, 0, 0, 0, 0),
        *(_object(one) for one in objects),
        b"IEOF",
    ]
    with written_beside(path) as beside:
        beside.write_bytes(b"".join(parts))


def write_points(path: Path, particles: Particles, voxel_size_nm: float) -> None:
    """Write particles as scattered points of a model; it has no room for their angles."""
    places = particles.places_nm / voxel_size_nm
    x, y, z = (int(value) for value in np.maximum(np.ceil(places.max(axis=0)) + 1, 1))
    write_model(path, [ImodObject("particles", (1.0, 0.6, 0.0), places)], (x, y, z), voxel_size_nm)


def _object(one: ImodObject) -> bytes:
    is_mesh = one.faces is not None
    flags = FILLED | DRAWN_AS_MESH | WITHOUT_LINES | TWO_SIDED if is_mesh else SCATTERED
    head = struct.pack(">4s64s64x", b"OBJT", one.name.encode()[:63])
    head += struct.pack(">iIii3fi", 0 if is_mesh else 1, flags, 0, 1, *one.colour, 0 if is_mesh else 5)
    head += struct.pack(">8B2i", 1, 3, 1, 1, 0, 0, 0, 0, 1 if is_mesh else 0, 0)
    places = (one.places + FIRST_CENTRE).astype(">f4")
    if one.faces is None:
        return head + struct.pack(">4siIii", b"CONT", len(places), 0, 0, 0) + places.tobytes()
    normals = np.zeros_like(places) if one.normals is None else one.normals
    both = np.stack([places, normals], axis=1).astype(">f4")  # a vertex, then its normal, so that both follow
    corners = np.concatenate([[POLYGONS], 2 * one.faces.ravel(), [END_OF_POLYGONS, END_OF_LIST]]).astype(
        ">i4"
    )
    counts = struct.pack(">4siiIhh", b"MESH", 2 * len(places), len(corners), 0, 0, 0)
    return head + counts + both.tobytes() + corners.tobytes()
