"""Points of a model drawn in IMOD (.mod).

The binary format is public (bio3d.colorado.edu/imod/doc/binspec.html), big-endian whatever the machine. A
model counts in voxels of the volume it was drawn on: along x and y from the edge of the first one, so that
its centre is 0.5, along z from its centre, since points are drawn on slices.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surfora.geometry.arrays import Floats
from tomocore.contract import InputError
from tomocore.machine import available_memory_bytes
from tomocore.side_files import require_size

HEADER, OBJECT = 240, 176
FIRST_CENTRE = np.array([0.5, 0.5, 0.0])
ANGSTROM_NM = 0.1
MODEL_UNITS = {3: 1e12, 1: 1e9, -2: 1e7, -3: 1e6, -6: 1e3, -9: 1.0, -10: 0.1, -12: 1e-3}


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
        raise InputError(f"{path}: has no points in its contours; mark points in 3dmod")
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
