"""IMOD's models (.mod) as particles, and surfaces as models; `masks.imod_model` tells the format."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surfora.export.particles import Particles, believable
from surfora.geometry.arrays import Faces, Floats
from surfora.masks.imod_model import FIRST_CENTRE, model_points
from tomocore.contract import InputError, naming
from tomocore.files import written_beside

UNIT_NM = -9
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
        struct.pack(">4s4s128s", b"IMOD", b"V1.2", _name(path.stem, 127)),
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


def _name(text: str, most: int) -> bytes:
    """A name as models hold it: other letters than ASCII end the readers of some programs."""
    return text.encode("ascii", "replace")[:most]


def _object(one: ImodObject) -> bytes:
    is_mesh = one.faces is not None
    flags = FILLED | DRAWN_AS_MESH | WITHOUT_LINES | TWO_SIDED if is_mesh else SCATTERED
    head = struct.pack(">4s64s64x", b"OBJT", _name(one.name, 63))
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
