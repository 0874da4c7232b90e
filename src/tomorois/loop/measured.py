"""What SurfORA measured of one surface: the rows about it in the tables of a run, with headings in words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from tomocore.columns import Column, column_of
from tomocore.page import shown

TABLES = {"surfaces.csv": "Surface", "contacts.csv": "Contact", "distances.csv": "Distance"}
LEFT_OUT = ("source", "provenance")
ASK = """
import json
from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import OBJECT_COLUMNS
tables = {"surfaces.csv": COLUMNS, "distances.csv": COLUMNS, "contacts.csv": OBJECT_COLUMNS}
print(json.dumps({name: [vars(column) for column in columns] for name, columns in tables.items()}))
"""

Headings = Mapping[str, tuple[Column, ...]]
"""The columns of each table by its file name."""


@dataclass(frozen=True)
class MeasuredValue:
    """One value of a surface: its heading with the unit, the value, and the meaning. A title has no value."""

    heading: str
    value: str = ""
    meaning: str = ""


@cache
def table_headings() -> Headings:
    """What SurfORA's reports call the columns of its tables; asked of a process, as SurfORA is run in one.

    Empty where SurfORA does not answer: columns are then called by their keys.
    """
    answer = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True)
    if answer.returncode:
        return {}
    told = json.loads(answer.stdout)
    return {name: tuple(Column(**column) for column in columns) for name, columns in told.items()}


def measured_of(folder: Path, surface: str, headings: Headings) -> list[MeasuredValue]:
    """All that the tables in a run's ``folder`` say of a ``surface``, a title before each row.

    ``headings`` are those of `table_headings`.
    """
    values: list[MeasuredValue] = []
    for name, title in TABLES.items():
        path = folder / name
        if path.exists():
            values += _of_table(pd.read_csv(path), surface, title, headings.get(name, ()))
    return values


def _of_table(
    table: pd.DataFrame, surface: str, title: str, columns: tuple[Column, ...]
) -> list[MeasuredValue]:
    text = table.select_dtypes(exclude="number").astype(str)
    mine = table[(text == surface).any(axis=1)] if len(text.columns) else table
    values = []
    for row in mine.to_dict("records"):
        values.append(MeasuredValue(title))
        for key, value in row.items():
            if key not in LEFT_OUT and not pd.isna(value):
                values.append(_measured(column_of(str(key), columns), value))
    return values


def _measured(column: Column, value: object) -> MeasuredValue:
    if column.unit == "%" and isinstance(value, float | np.floating):
        value = 100 * value
    unit = f" ({column.unit})" if column.unit else ""
    return MeasuredValue(f"{column.heading}{unit}", shown(value), column.explanation)
