"""Point clouds of other programs: text in columns (TARDIS, Mosaic, spreadsheets) and STAR files.

Columns are known by their names where the first line has names, else by their order: x, y, z and, where
there are six, the normal; numbers of objects and contours, which IMOD puts first, are known by how they
count up, and one that may be either is asked about. How more columns than three were taken is told. A
unit in a name (``X [A]``, ``x_nm``) counts unless another is asked for.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats
from surfora.geometry.repair import Told
from surfora.geometry.star_tables import TOMOGRAM_NAMES, pixel_sizes_nm, star_numbers, star_tables
from surfora.geometry.surface import PointCloud
from tomocore.contract import InputError
from tomocore.side_files import MOST_CSV_BYTES, numbers_of, require_size, some_of
from tomocore.volumes.units import nm_per_unit

AXES = ("x", "y", "z")
PLACE = re.compile(r"(?:coord(?:inate)?s?|pos(?:ition)?|point|center|centre)?([xyz])")
NORMAL = re.compile(r"n(?:ormal)?s?([xyz])")
LengthUnit = Literal["nm", "angstrom", "um", "voxel"]
NM_PER: dict[str, float] = {"nm": 1.0, "angstrom": 0.1, "um": 1000.0}
NAPARI = {"axis-0": "z [voxel]", "axis-1": "y [voxel]", "axis-2": "x [voxel]"}
"""The columns of points and shapes that napari saved, and what they are of a volume."""
NUMBERS_FIRST = {4: ("contour",), 5: ("object", "contour")}
"""What the columns before x, y, z number, by how many there are in all."""
FEWEST_ROWS = 4  # of fewer, x may be whole by chance
DARKEST = 16  # whole numbers up to less than this may be a normal's, beyond it they are colours
VOXEL_UNITS = ("voxel", "voxels", "vx", "px", "pixel", "pixels")


def text_points(path: Path, told: Told | None = None) -> tuple[PointCloud, str]:
    """Points of a file of columns and the unit that its header names, or an empty text.

    Other columns of numbers become point data (``ID``); words are left out. ``told`` hears how columns
    without names were taken. Raises InputError where the file has no three columns of numbers, or a line of
    another length.
    """
    table = _table(path, told or Told())
    names = [str(name) for name in table.columns]
    roles = {name: _role(name) for name in names}
    place = _columns(roles, "place")
    if place is None:
        raise InputError(f"{path}: has columns {some_of(names)} and none named x, y, z; name them so")
    values = _numbers_of(table[place])
    if np.isnan(values).any():
        line = int(np.flatnonzero(np.isnan(values).any(axis=1))[0]) + 1
        raise InputError(f"{path}: point {line} has a coordinate that is no number; mend or drop that line")
    normal = _columns(roles, "normal")
    normals = None if normal is None else _numbers_of(table[normal])
    units = {unit for name in place if (unit := _unit_in(name))}
    if len(units) > 1:
        raise InputError(f"{path}: its columns name several units ({', '.join(sorted(units))}); use one")
    others = [name for name in names if name not in place and name not in (normal or ())]
    return PointCloud(values, normals, _data(table[others])), units.pop() if units else ""


def named_unit(said: str) -> LengthUnit:
    """The unit that a column's name carries, nm for none."""
    if said.lower() in VOXEL_UNITS:
        return "voxel"
    nm = nm_per_unit(said) if said else 1.0
    units: dict[float, LengthUnit] = {1.0: "nm", 0.1: "angstrom", 1000.0: "um"}
    if nm not in units:
        raise InputError(f"columns in {said}; write them in nm, Å, µm or voxels, or say which with --unit")
    return units[nm]


def _table(path: Path, told: Told) -> pd.DataFrame:
    """The columns of a text file, with names x, y, z (nx, ny, nz) where it has none."""
    require_size(path, MOST_CSV_BYTES)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("//", ";"))]
    commented = [line.lstrip("#% ") for line in lines[:1] if line.startswith(("#", "%"))]
    lines = [line for line in lines if not line.startswith(("#", "%"))]
    if commented and {_role(name)[0] for name in re.split(r"[,;\s]+", commented[0])} >= {"place"}:
        lines = [*commented, *lines]
    if lines and lines[0] == str(len(lines) - 2):
        lines = lines[2:]  # the XYZ of molecules: a count, a comment, then an element and x, y, z
    if not lines:
        raise InputError(f"{path}: holds no points; the file is empty")
    separator, decimal = _dialect(lines)
    has_names = not any(_is_number(part, decimal) for part in re.split(separator, lines[0]))
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=separator,
            decimal=decimal,
            header=0 if has_names else None,
            skipinitialspace=True,
        )
    except (ValueError, pd.errors.ParserError, csv.Error, OverflowError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: its lines are no table ({said}); write as many columns in every line"
        ) from error
    if not has_names:
        return _with_names(table, path, told)
    if set(NAPARI) <= set(table) and "axis-3" not in table:
        told.sentences.append("napari's axis-0, axis-1, axis-2 are taken as z, y, x in voxels")
        return table.rename(columns=NAPARI)
    return table


def _dialect(lines: Sequence[str]) -> tuple[str, str]:
    """What parts the columns (a regular expression) and the decimal sign of a table's lines."""
    body = "\n".join(lines[1:] or lines)
    comma = "," if "," in body and "." not in body else "."
    for separator in (";", "\t"):
        if separator in lines[-1]:
            return separator, comma
    return (",", ".") if "," in lines[-1] else (r"\s+", ".")


def _is_number(text: str, decimal: str) -> bool:
    try:
        float(text.strip().strip('"').replace(decimal, "."))
    except ValueError:
        return False
    return True


def _with_names(table: pd.DataFrame, path: Path, told: Told) -> pd.DataFrame:
    """A table without names: x, y, z, then the normal if there are three more, then numbered columns.

    Before x, y, z there may be the numbers of objects and contours.
    """
    if len(table.columns) and not pd.api.types.is_numeric_dtype(table[table.columns[0]]):
        table = table.drop(columns=table.columns[0])  # the element of a molecule's atom
    count = len(table.columns)
    if count < 3:
        raise InputError(f"{path}: has {count} columns of numbers; points need x, y and z")
    _require_no_doubt(table, path)
    if count in NUMBERS_FIRST and _count_up(table.iloc[:, : count - 3]):
        names = [*NUMBERS_FIRST[count], *AXES]
    elif count == 6 and not _are_colours(table.iloc[:, 3:]):
        names = [*AXES, "nx", "ny", "nz"]
    else:
        names = [*AXES, *(f"column_{at + 1}" for at in range(3, count))]
    if count > 3:
        told.sentences.append(f"its {count} columns have no names and are taken as {', '.join(names)}")
    table.columns = pd.Index(names)
    return table


def _require_no_doubt(table: pd.DataFrame, path: Path) -> None:
    """InputError where the first of more than three columns may be x as well as the number of something."""
    count = len(table.columns)
    is_whole = [bool((values == values.round()).all()) for values in _numbers_of(table).T]
    if count == 3 or len(table) < FEWEST_ROWS or not is_whole[0]:
        return
    if count in NUMBERS_FIRST and _count_up(table.iloc[:, : count - 3]):
        last = _numbers_of(table)[:, -1]
        is_doubtful = not is_whole[-1] and bool((last >= 0).all() and (last <= 1).all())  # a score
    else:
        is_doubtful = not (is_whole[1] and is_whole[2])
    if is_doubtful:
        raise InputError(
            f"{path}: its first column holds whole numbers alone, which may be x or number contours or "
            "classes; write what its columns are into a first line, as x y z"
        )


def _numbers_of(table: pd.DataFrame) -> Floats:
    return table.apply(numbers_of).to_numpy(np.float64)


def _count_up(numbers: pd.DataFrame) -> bool:
    """Whether columns number objects and their contours: from 0 or 1 on by ones, anew in each object."""
    values = _numbers_of(numbers)
    if not (values == np.rint(values)).all() or values[0].max() > 1 or values.min() < 0:
        return False
    steps = np.diff(values, axis=0)
    is_new = np.zeros(len(steps), dtype=bool)  # a number before this one went up
    for step in steps.T:
        if not (np.isin(step, (0, 1)) | is_new).all():
            return False
        is_new |= step == 1
    return True


def _are_colours(last: pd.DataFrame) -> bool:
    """Whether three columns are red, green and blue, from 0 to 255, and no normals."""
    values = _numbers_of(last)
    is_byte = (values == np.rint(values)).all() and values.min() >= 0
    return bool(is_byte and DARKEST <= values.max() <= 255)


def _role(name: str) -> tuple[str, str]:
    """What a column is by its name: place or normal and the axis, or neither."""
    bare = re.sub(r"[\[(].*?[\])]", "", name).strip().strip('"').lower()
    unit = _unit_in(name)
    if unit and bare.endswith(f"_{unit.lower()}"):
        bare = bare[: -len(unit) - 1]
    bare = re.sub(r"[\s_\-.]", "", bare)
    for role, pattern in (("place", PLACE), ("normal", NORMAL)):
        found = pattern.fullmatch(bare)
        if found:
            return role, found[1]
    return "", ""


def _columns(roles: Mapping[str, tuple[str, str]], role: str) -> list[str] | None:
    """The columns of the three axes in a role, or None where one is missing."""
    named = {axis: name for name, (of, axis) in reversed(list(roles.items())) if of == role}
    return [named[axis] for axis in AXES] if len(named) == 3 else None


def _unit_in(name: str) -> str:
    """The unit that a column's name carries, as ``X [A]``, ``x (nm)`` or ``x_nm``; else empty."""
    found = re.search(r"[\[(]\s*(.+?)\s*[\])]", name)
    unit = found[1] if found else name.rpartition("_")[2] if "_" in name else ""
    known = unit.lower() in VOXEL_UNITS or nm_per_unit(unit) > 0
    return unit if known and (found or len(unit) > 1) else ""


def _data(table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """The columns of numbers as arrays."""
    numbers = table.select_dtypes(include="number")
    return {str(name): numbers[name].to_numpy() for name in numbers.columns}


def star_points(path: Path) -> tuple[PointCloud, Floats | None]:
    """Points of a STAR file in pixels, and how many nm a pixel of each (n,) is, or None if it does not say.

    Raises InputError where it has no coordinates, those of several tomograms, or coordinates that count
    from the tomogram's centre, whose place only the tomogram tells.
    """
    tables = star_tables(path)
    particles = next((table for table in tables.values() if "rlnCoordinateX" in table), None)
    if particles is None:
        centred = any("rlnCenteredCoordinateXAngst" in table for table in tables.values())
        raise InputError(
            f"{path}: its coordinates count from the tomogram's centre (rlnCenteredCoordinateXAngst), whose "
            "place this file does not tell; write rlnCoordinateX, Y, Z in pixels"
            if centred
            else f"{path}: has no columns rlnCoordinateX, Y, Z; points cannot be read from it"
        )
    for column in TOMOGRAM_NAMES:
        if column in particles and particles[column].nunique() > 1:
            held = some_of(particles[column].unique(), 3)
            raise InputError(f"{path}: holds points of several tomograms ({held}); keep those of one")
    names = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    missing = [name for name in names if name not in particles]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}; a point needs all three")
    cloud = PointCloud(star_numbers(particles, *names), None, _data(particles.drop(columns=names)))
    return cloud, pixel_sizes_nm(particles, tables)
