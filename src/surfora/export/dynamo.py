"""Particles in Dynamo tables and AV3 motive lists: fixed columns, places in voxels.

Both come from MATLAB, whose first voxel is number 1.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from surfora.export.particles import Particles
from surfora.export.poses import from_av3, from_dynamo, to_av3, to_dynamo
from surfora.geometry.arrays import Floats
from tomocore.contract import InputError, whole_number
from tomocore.files import written_beside
from tomocore.files_of_tomograms import volume_stem
from tomocore.side_files import MOST_CSV_BYTES, read_text, require_size

DYNAMO_COLUMNS, AV3_ROWS = 35, 20
FIRST_VOXEL = 1.0
EM_HEADER, EM_FLOAT = 512, 5


def dynamo_table(path: Path) -> Floats:
    """The numbers (n, 35 or more) of a Dynamo table. Raises InputError where it is none."""
    text = read_text(path, MOST_CSV_BYTES, "a Dynamo table")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without numbers, which is told below
            table = np.loadtxt(io.StringIO(text), ndmin=2, dtype=np.float64)
    except (ValueError, MemoryError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: is no Dynamo table ({said}); give a .tbl of numbers") from error
    if table.shape[1] < 26:
        raise InputError(f"{path}: has {table.shape[1]} columns; places of a Dynamo table are in 24 to 26")
    return table


def catalogue(path: Path) -> dict[int, str]:
    """Names of tomograms by their number, of a Dynamo catalogue's table map (a number and a path a line)."""
    found = {}
    for line in read_text(path, MOST_CSV_BYTES, "a catalogue of tomograms").splitlines():
        words = line.split(maxsplit=1)
        number = whole_number(words[0]) if len(words) == 2 else None
        if number is not None:
            found[number] = volume_stem(Path(words[1].strip()))
    if not found:
        raise InputError(f"{path}: names no tomograms; a line of a table map is a number and a path")
    return found


def dynamo_particles(table: Floats, voxel_size_nm: float, names: dict[int, str] | None = None) -> Particles:
    """The particles of a Dynamo table (n, 35): columns 24–26 and the shifts 4–6 in voxels, 7–9 the angles."""
    places = (table[:, 23:26] + table[:, 3:6] - FIRST_VOXEL) * voxel_size_nm
    return Particles(places, from_dynamo(table[:, 6:9]), _named(table[:, 19], names))


def av3_list(path: Path) -> Floats:
    """The numbers (20, n) of an EM motive list. Raises InputError where it is none."""
    require_size(path, MOST_CSV_BYTES)
    raw = path.read_bytes()
    if len(raw) < EM_HEADER or raw[3] != EM_FLOAT:
        raise InputError(f"{path}: is no EM file of single-precision numbers; write the motive list again")
    order = ">" if raw[0] in (0, 3, 5) else "<"
    x, y, z = np.frombuffer(raw, f"{order}i4", 3, 4)
    if x != AV3_ROWS or min(y, z) < 1 or len(raw) < EM_HEADER + 4 * int(x) * int(y) * int(z):
        raise InputError(f"{path}: holds {x} × {y} × {z} numbers; a motive list has 20 for each particle")
    values = np.frombuffer(raw, f"{order}f4", int(x) * int(y) * int(z), EM_HEADER)
    return values.astype(np.float64).reshape(-1, AV3_ROWS).T


def av3_particles(motives: Floats, voxel_size_nm: float, names: dict[int, str] | None = None) -> Particles:
    """The particles of a motive list (20, n): rows 8–10, shifts 11–13 in voxels, angles 17–19."""
    places = (motives[7:10] + motives[10:13] - FIRST_VOXEL).T * voxel_size_nm
    return Particles(places, from_av3(motives[[16, 18, 17]].T), _named(motives[4], names))


def _named(numbers: Floats, names: dict[int, str] | None) -> tuple[str, ...]:
    if names is None:
        several = len(np.unique(numbers)) > 1
        return tuple(f"{number:.0f}" if several else "" for number in numbers)
    return tuple(names.get(int(number), f"{number:.0f}") if np.isfinite(number) else "" for number in numbers)


def write_dynamo(path: Path, particles: Particles, voxel_size_nm: float) -> None:
    """Write particles as a Dynamo table, all of tomogram 1."""
    table = np.zeros((len(particles), DYNAMO_COLUMNS))
    table[:, 0] = np.arange(1, len(particles) + 1)
    table[:, 1], table[:, 2], table[:, 12], table[:, 19] = 1, 1, 1, 1
    table[:, 13:15] = (-60, 60)
    table[:, 23:26] = particles.places_nm / voxel_size_nm + FIRST_VOXEL
    if particles.poses is not None:
        table[:, 6:9] = to_dynamo(particles.poses)
    with written_beside(path) as beside:
        np.savetxt(beside, table, fmt="%.6g")


def write_av3(path: Path, particles: Particles, voxel_size_nm: float) -> None:
    """Write particles as an EM motive list (little-endian), all of tomogram 1."""
    motives = np.zeros((AV3_ROWS, len(particles)), dtype="<f4")
    motives[3], motives[4] = np.arange(1, len(particles) + 1), 1
    motives[7:10] = (particles.places_nm / voxel_size_nm + FIRST_VOXEL).T
    if particles.poses is not None:
        motives[[16, 18, 17]] = to_av3(particles.poses).T
    motives[19] = 1
    header = bytearray(EM_HEADER)
    header[0], header[3] = 6, EM_FLOAT  # a PC's byte order, single precision
    header[4:16] = np.array([AV3_ROWS, len(particles), 1], "<i4").tobytes()
    with written_beside(path) as beside:
        beside.write_bytes(bytes(header) + motives.T.tobytes())
