"""What SurfORA measured of a surface or a contact: its rows in a run's tables, with headings in words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomocore.columns import Column, column_of
from tomocore.page import shown

Floats = NDArray[np.float64]

TABLES = {"surfaces.csv": "Surface", "contacts.csv": "Contact", "distances.csv": "Distance"}
LEFT_OUT = ("source", "provenance")
DISTANCE, NEAREST = "distance_to_", "distance_to_nearest_nm"
"""Names of SurfORA's arrays of distances: to a surface, and to whichever is nearest."""
CONTACT = "contact_id"
MOST_TARGETS = 6
"""Distances, each to another surface, that are offered one by one."""
ASK = """
import json, sys
from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import OBJECT_COLUMNS
from surfora.viewer.measures import LEFT_OUT, array_column
left_out = (*LEFT_OUT, "cut_by_roi")
tables = {"surfaces.csv": COLUMNS, "distances.csv": COLUMNS, "contacts.csv": OBJECT_COLUMNS}
tables["arrays"] = [array_column(n) for n in sys.argv[1:] if n not in left_out and "along_normal" not in n]
print(json.dumps({name: [vars(column) for column in columns] for name, columns in tables.items()}))
"""

Headings = Mapping[str, tuple[Column, ...]]
"""The columns of each table by its file name, and under "arrays" those of the meshes that colour them."""


@dataclass(frozen=True)
class MeasuredValue:
    """One value of a surface: its heading with the unit, the value, and the meaning. A title has no value."""

    heading: str
    value: str = ""
    meaning: str = ""


@cache
def told_headings(arrays: tuple[str, ...]) -> Headings:
    """What SurfORA calls the columns of its tables and these arrays; asked of a process, as it is run in one.

    Empty where SurfORA does not answer: columns are then called by their keys.
    """
    answer = subprocess.run([sys.executable, "-c", ASK, *arrays], capture_output=True, text=True)
    if answer.returncode:
        return {}
    told = json.loads(answer.stdout)
    return {name: tuple(Column(**column) for column in columns) for name, columns in told.items()}


def array_headings(arrays: Sequence[str], headings: Headings) -> dict[str, str]:
    """What each array that surfaces can be coloured by is called, with its unit; the best known first."""
    known = headings.get("arrays")
    columns = [column_of(name, ()) for name in arrays] if known is None else known
    return {column.key: with_unit(column) for column in columns}


def with_unit(column: Column) -> str:
    """A column's heading, with its unit in brackets."""
    return f"{column.heading} ({column.unit})" if column.unit else column.heading


def measured_of(folder: Path, surface: str, headings: Headings) -> list[MeasuredValue]:
    """All that the tables in a run's ``folder`` say of a ``surface``, a title before each row.

    ``headings`` are those of `told_headings`.
    """
    values: list[MeasuredValue] = []
    for name, title in TABLES.items():
        path = folder / name
        if path.exists():
            values += _of_table(pd.read_csv(path), surface, title, headings.get(name, ()))
    return values


def contact_of(folder: Path, contact: int, headings: Headings) -> list[MeasuredValue]:
    """The row of a contact in the table of a run's ``folder``, under a title; nothing where there is none."""
    path = folder / "contacts.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["contact"])
    row = table[table["contact"] == contact]
    return _values_of(row, f"Contact {contact}", headings.get(path.name, ()))


def nearest_distance(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Of a surface's arrays a further one: the distance to whichever of several others is nearest."""
    own = [arrays[name] for name in _distances(arrays)]
    return {NEAREST: np.fmin.reduce(own)} if len(own) > 1 else {}


def offered_arrays(arrays: Sequence[str]) -> tuple[str, ...]:
    """Those of surfaces' arrays offered as colours: no numbers of contacts, of many distances one."""
    distances = _distances(arrays)
    left_out = {CONTACT, *(distances if len(distances) > MOST_TARGETS else ())}
    return tuple(name for name in dict.fromkeys(arrays) if name not in left_out)


def nearest_hit(
    surfaces: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], start_nm: Floats, way: Floats
) -> tuple[str, int] | None:
    """Which surface a line from ``start_nm`` along ``way`` (3,) meets first, and the nearest vertex there.

    surfaces: vertices (n, 3) x, y, z in nm and triangles (m, 3), by name. Method: Möller and Trumbore 1997.
    """
    found: list[tuple[float, str, int]] = []
    for name, (vertices, faces) in surfaces.items():
        corners = np.asarray(vertices, dtype=np.float64)[faces]
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        across, from_corner = np.cross(way, second), start_nm - corners[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            over = 1 / (first * across).sum(axis=1)
            u = over * (from_corner * across).sum(axis=1)
            turned = np.cross(from_corner, first)
            v, along = over * (turned @ way), over * (turned * second).sum(axis=1)
        met = np.flatnonzero((u >= 0) & (v >= 0) & (u + v <= 1) & (along >= 0))
        if len(met):
            face = met[np.argmin(along[met])]
            away = np.linalg.norm(corners[face] - (start_nm + along[face] * way), axis=1)
            found.append((float(along[face]), name, int(faces[face][np.argmin(away)])))
    return min(found)[1:] if found else None


def _distances(arrays: Iterable[str]) -> list[str]:
    return [name for name in arrays if name.startswith(DISTANCE) and name != NEAREST]


def _of_table(
    table: pd.DataFrame, surface: str, title: str, columns: tuple[Column, ...]
) -> list[MeasuredValue]:
    text = table.select_dtypes(exclude="number").astype(str)
    mine = table[(text == surface).any(axis=1)] if len(text.columns) else table
    return _values_of(mine, title, columns)


def _values_of(rows: pd.DataFrame, title: str, columns: tuple[Column, ...]) -> list[MeasuredValue]:
    values = []
    for row in rows.to_dict("records"):
        values.append(MeasuredValue(title))
        for key, value in row.items():
            if key not in LEFT_OUT and not pd.isna(value):
                values.append(_measured(column_of(str(key), columns), value))
    return values


def _measured(column: Column, value: object) -> MeasuredValue:
    if column.unit == "%" and isinstance(value, int | float):  # a column of ones comes back as whole numbers
        value = 100 * value
    return MeasuredValue(with_unit(column), shown(value), column.explanation)
