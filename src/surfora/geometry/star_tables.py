"""STAR files as tables: read with limits, by their library, and what is common to points and particles."""

from __future__ import annotations

import linecache
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from surfora.geometry.arrays import Floats
from tomocore.contract import InputError
from tomocore.files import existing
from tomocore.side_files import MOST_CSV_BYTES, numbers_of, read_text, some_of

PIXEL_SIZES = (
    "rlnTomoTiltSeriesPixelSize",
    "rlnMicrographOriginalPixelSize",
    "rlnMicrographPixelSize",
    "rlnPixelSize",
)
"""Columns of an optics table that tell the pixels in which coordinates count (Å), the surest first."""
TOMOGRAM_NAMES = ("rlnTomoName", "rlnMicrographName")
WARP_ENDING = ".tomostar"
WARP_PIXEL_SIZES = ("rlnPixelSize", "rlnImagePixelSize", *PIXEL_SIZES)
"""The same for files of Warp, which counts in the pixels of the images it exports, whatever else it tells."""


def star_blocks(path: Path) -> dict[str, Any]:
    """All blocks of a STAR file by name: tables, or dictionaries of single values.

    Raises InputError where it is none, and where a table has two columns of one name.
    """
    import starfile  # takes a second

    read_text(existing(path), MOST_CSV_BYTES, "a STAR file")
    linecache.checkcache(str(path))  # the library reads through it, and leaves it filled where it fails
    try:
        blocks = {str(name): block for name, block in starfile.read(path, always_dict=True).items()}
    except Exception as error:  # the library raises whatever its parsing stumbles on
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: cannot be read as STAR ({said}); write it again") from error
    for name, block in blocks.items():
        twice = block.columns[block.columns.duplicated()] if isinstance(block, pd.DataFrame) else ()
        if len(twice):
            raise InputError(
                f"{path}: its block {some_of([name])} has the column {some_of(twice)} twice; write it again"
            )
    return blocks


def star_tables(path: Path) -> dict[str, pd.DataFrame]:
    """The tables of a STAR file by the name of their block. Raises InputError where it is no such file."""
    return {name: block for name, block in star_blocks(path).items() if isinstance(block, pd.DataFrame)}


def as_table(block: Any) -> pd.DataFrame | None:
    """A block as a table, one of single values as that of one row; None for no block."""
    return pd.DataFrame([block]) if isinstance(block, dict) else block


def star_numbers(table: pd.DataFrame, *columns: str) -> Floats:
    """Columns (n, k) as numbers, NaN where one is none."""
    if not len(table):
        return np.empty((0, len(columns)))
    return np.column_stack([numbers_of(table[column]).to_numpy(np.float64) for column in columns])


def _pixel_size_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """The columns that may tell in which pixels (Å) particles count, the surest first.

    Warp is known by its tilt series (``.tomostar``) in the names of tomograms.
    """
    named = next((column for column in TOMOGRAM_NAMES if column in table), None)
    by_warp = named is not None and table[named].astype(str).str.endswith(WARP_ENDING).any()
    return WARP_PIXEL_SIZES if by_warp else PIXEL_SIZES


def pixel_sizes_nm(table: pd.DataFrame, blocks: Mapping[str, Any]) -> Floats | None:
    """Pixel size in nm of each row (n,), by a column of its own or its optics group; None where untold.

    NaN where a row's group is not in the block "optics", or its size is no number.
    """
    optics = as_table(blocks.get("optics"))
    for column in _pixel_size_columns(table):
        if column in table:
            return star_numbers(table, column)[:, 0] * 0.1
        if optics is None or column not in optics or len(optics) == 0:
            continue
        sizes = star_numbers(optics, column)[:, 0] * 0.1
        if len(optics) == 1 or "rlnOpticsGroup" not in table or "rlnOpticsGroup" not in optics:
            return np.full(len(table), sizes[0])
        by_group = dict(zip(optics["rlnOpticsGroup"], sizes, strict=True))
        return np.array([by_group.get(group, np.nan) for group in table["rlnOpticsGroup"]], np.float64)
    return None
