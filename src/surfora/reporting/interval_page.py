"""Intervals on a page: whiskers of the measures that people compare, and a table of all of them."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from surfora.reporting.interval_columns import INTERVAL_COLUMNS, measure_column
from surfora.reporting.naming import across_places, surface_with_kind, with_words
from surfora.reporting.pictures import ACCENT, plain_text
from tomocore.columns import Column
from tomocore.page import Cell, Section, Table, picture_of, shown, table_of

DRAWN = (
    ("surfaces", "area_nm2"),
    ("surfaces", "mean_curvature_median_per_nm"),
    ("surfaces", "bilayer_thickness_median_nm"),
    ("surfaces", "thickness_nm"),
    ("distances", "mean_nm"),
    ("contacts", "contact_area_nm2"),
    ("contacts", "gap_mean_nm"),
)
"""What is drawn with whiskers, where a run has it."""
MOST_ROWS = 14
SHOWN_COLUMNS = (
    Column("of", "of", "", "the surface, the way to another one, or the contact"),
    Column("what", "measure", "", "what was measured"),
    *INTERVAL_COLUMNS,
)


def interval_sections(intervals: pd.DataFrame, has_table: bool = True) -> list[Section]:
    """The section on intervals, of the rows of intervals.csv; none where a run was made without.

    Without ``has_table`` it has the whiskers alone, where rows are those of many runs.
    """
    if intervals.empty:
        return []
    worded = _worded(intervals)
    repeats = worded["repeats"].max()
    often = f"{repeats:.0f} times more" if repeats > 0 else "again"
    text = (
        f"Everything was measured {often}, on masks with borders moved at random. Whiskers "
        "are 95 % intervals: the spread of the repeats by Student's factor, and what noise pushes a "
        "value by. They hold what the mask leaves open; what all masks of a tomogram have in common, as "
        "a wrong voxel size, is not in them unless intervals.voxel_size_share says so."
    )
    figures = [
        picture_of(whisker_figure(rows, measure_column(*which)), _title(*which))
        for which in DRAWN
        if len(rows := worded[(worded["table"] == which[0]) & (worded["measure"] == which[1])])
    ]
    return [Section("Intervals", [text], figures, [interval_table(worded)] if has_table else [])]


def whisker_figure(rows: pd.DataFrame, column: Column) -> Figure:
    """A measure of several surfaces or contacts, each with its interval as a whisker.

    rows: ``of`` (its name), ``value``, ``low`` and ``high``; the first are drawn where they are many.
    column: of the measure, for the axis.
    """
    rows = rows.head(MOST_ROWS)
    matplotlib.rcParams["font.size"] = 9
    figure = Figure(figsize=(6.4, 0.9 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    value = rows["value"].to_numpy(float)
    reach = np.vstack([value - rows["low"], rows["high"] - value])
    place = np.arange(len(rows))
    axes.errorbar(
        value, place, xerr=np.nan_to_num(reach).clip(min=0), fmt="o", color=ACCENT, capsize=3, elinewidth=1.4
    )
    axes.set_yticks(place, [plain_text(str(name)) for name in rows["of"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"{column.heading} ({column.unit})" if column.unit else column.heading)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def interval_table(worded: pd.DataFrame) -> Table:
    """A row a value, with its interval, in the units of its table."""
    rows = worded.to_dict("records")
    frame = pd.DataFrame(
        {
            "of": [Cell(str(row["of"])) for row in rows],
            "what": [_measure(row) for row in rows],
            **{key: [_cell(row[key]) for row in rows] for key in ("value", "low", "high", "spread")},
            "repeats": worded["repeats"].to_numpy(),
        }
    )
    return table_of(frame, SHOWN_COLUMNS, "All values with their 95 % intervals")


def _cell(value: float) -> Cell:
    return Cell(shown(value), float(value)) if np.isfinite(value) else Cell("")


def _measure(row: dict[str, Any]) -> Cell:
    column = measure_column(row["table"], row["measure"])
    unit = "share" if column.unit == "%" else column.unit
    return Cell(f"{column.heading} ({unit})" if unit else column.heading, hover=row["measure"])


def _title(table: str, measure: str) -> str:
    heading = measure_column(table, measure).heading
    return f"{heading[:1].upper()}{heading[1:]}{' of the contacts' if table == 'contacts' else ''}"


def _worded(intervals: pd.DataFrame) -> pd.DataFrame:
    """The rows with ``of``: the surface, the way, or the contact that a value is of."""
    parts = []
    for table, rows in intervals.groupby("table", sort=False):
        kept = rows if table != "surfaces" else rows.drop(columns=["target", "target_kind", "target_label"])
        words = with_words(kept)
        several = words["kind"].nunique() > 1
        names = []
        for row, number in zip(words.to_dict("records"), rows["contact"], strict=True):
            name = (
                row["surface"] if table == "surfaces" else row["way" if table == "distances" else "contact"]
            )
            name = f"contact {int(number)}: {name}" if table == "contacts" else name
            names.append(across_places(row["place"], surface_with_kind(name, row["kind"], several)))
        parts.append(rows.assign(of=names))
    return pd.concat(parts)
