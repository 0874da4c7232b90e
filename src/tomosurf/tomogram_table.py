"""The table of a project's tomograms: condition, grid, voxel size, split, and which are left out and why."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tomocore.contract import InputError
from tomocore.files import write_text
from tomocore.files_of_tomograms import owner_of
from tomocore.side_files import MOST_CSV_BYTES, read_table_text, read_text, some_of

Split = Literal["train", "validation", "test"]

COLUMNS = ("name", "condition", "grid", "voxel_size_nm", "split", "exclude")
"""The columns of a new table; any other may be added."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""What a network learns from, what chooses its weights and threshold, and what it never sees."""
NAMES_OF_NAME = ("name", "tomogram")
"""What the column of names may be called."""
NOT_EXCLUDED = ("", "no", "false", "0")
NO_REASON = ("yes", "true", "1", "x")


@dataclass(frozen=True)
class TomogramRow:
    """What the table says of one tomogram; ``excluded`` is why it is left out, empty where it counts.

    A ``split`` that is not told is "train".
    """

    name: str
    condition: str = ""
    grid: str = ""
    voxel_size_nm: float | None = None
    excluded: str = ""
    split: Split = "train"


@dataclass(frozen=True)
class TomogramTable:
    """The rows of a table by tomogram, and the names in it that no tomogram has."""

    rows: Mapping[str, TomogramRow] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def read_tomogram_table(path: Path, tomograms: Sequence[str]) -> TomogramTable:
    """What the table (CSV) says of the ``tomograms``, which its names belong to by the rule of all files.

    Raises InputError for a table without names, a tomogram that stands twice, and a voxel size or a split
    that is none.
    """
    columns, lines = read_text_rows(path)
    heading = next((column for column in NAMES_OF_NAME if column in columns), None)
    if heading is None:
        raise InputError(f"{path}: no column name, only {some_of(columns)}; add it, with a tomogram a row")
    rows: dict[str, TomogramRow] = {}
    unknown = []
    for cells in (dict(zip(columns, line, strict=True)) for line in lines):
        name = cells[heading]
        tomogram = name if name in tomograms else owner_of(name, tomograms)
        if name and tomogram is None:
            unknown.append(name)
        elif tomogram in rows:
            raise InputError(f"{path}: {rows[tomogram].name} and {name} are both {tomogram}; keep one row")
        elif tomogram is not None:
            rows[tomogram] = _row(path, name, cells)
    return TomogramTable(rows, tuple(unknown))


def read_text_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Heading and lines of a table, without blanks about its cells; commas, semicolons or tabs part them.

    It is whichever of these the first line has most of. Raises InputError where there is no such file, and
    where a line has another number of cells than the heading.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a table with columns name, condition and grid")
    lines = read_table_text(path).splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator) if any(row)]
    uneven = next((k + 1 for k, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if uneven:
        raise InputError(f"{path}: line {uneven} has another number of cells than the heading; mend it")
    return (rows[0], rows[1:]) if rows else ([], [])


def _row(path: Path, name: str, cells: Mapping[str, str]) -> TomogramRow:
    excluded = cells.get("exclude", "")
    if excluded.lower() in NOT_EXCLUDED:
        excluded = ""
    elif excluded.lower() in NO_REASON:
        excluded = "the table says so"
    size = cells.get("voxel_size_nm", "")
    try:
        edge_nm = float(size) if size else None
    except ValueError:
        edge_nm = math.nan
    if edge_nm is not None and not (math.isfinite(edge_nm) and edge_nm > 0):
        raise InputError(f"{path}: voxel_size_nm of {name} is {size}; give a positive number of nm, or none")
    told = cells.get("split", "").lower() or "train"
    split = next((one for one in SPLITS if one == told), None)
    if split is None:
        raise InputError(f"{path}: split of {name} is {told}; write {', '.join(SPLITS)}, or nothing")
    return TomogramRow(name, cells.get("condition", ""), cells.get("grid", ""), edge_nm, excluded, split)


def write_tomogram_table(path: Path, tomograms: Collection[str]) -> None:
    """Write a table with a row a tomogram, all else to be filled in."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([name, *[""] * (len(COLUMNS) - 1)] for name in tomograms)
    write_text(path, text.getvalue())


def names_listed(path: Path, tomograms: Sequence[str]) -> list[str]:
    """The tomograms that a text file lists, a name a line; what follows a # is not read.

    Raises InputError where there is no such file, it lists none, or a name is that of no tomogram.
    """
    try:
        lines = read_text(path, MOST_CSV_BYTES, "a list of names").splitlines()
    except OSError as error:
        told = f"{path}: cannot be read as text ({error}); give a list of names, one a line"
        raise InputError(told) from error
    asked = [name for name in (line.split("#")[0].strip() for line in lines) if name]
    found = {name: name if name in tomograms else owner_of(name, tomograms) for name in asked}
    unknown = [name for name, tomogram in found.items() if tomogram is None]
    if unknown:
        raise InputError(f"{path}: {some_of(unknown)}: no such tomogram in the project; check the names")
    if not asked:
        raise InputError(f"{path}: lists no tomogram; write their names, one a line")
    return [name for name in tomograms if name in found.values()]
