"""A report as one HTML file that opens offline: warnings first, then pictures, tables and provenance."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from tomocore.files import written_beside

FIGURE_DPI = 110


@dataclass(frozen=True)
class Picture:
    """A PNG with a title and a caption; a broad one takes the room of two."""

    base64: str
    title: str = ""
    caption: str = ""
    broad: bool = False


@dataclass(frozen=True)
class Cell:
    text: str
    is_text: bool


@dataclass(frozen=True)
class Table:
    """Columns, formatted rows, and the sentence shown over each column's head."""

    columns: list[str]
    rows: list[list[Cell]]
    meanings: Mapping[str, str]


@dataclass
class Section:
    """A headed part of the page: texts, then pictures, then tables, then folded details."""

    title: str
    texts: list[str] = field(default_factory=list)
    figures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    details: list[tuple[str, str]] = field(default_factory=list)
    wide: bool = False


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    warnings: Sequence[str],
    cards: Sequence[tuple[str, str]],
    sections: Iterable[Section],
) -> None:
    """Write the report, beside its name and renamed; texts are escaped, nothing is loaded from outside."""
    environment = Environment(loader=PackageLoader("tomocore", "."), autoescape=True)
    html = environment.get_template("page.html").render(
        title=title, subtitle=subtitle, warnings=warnings, cards=cards, sections=list(sections)
    )
    with written_beside(path) as beside:
        beside.write_text(html, encoding="utf-8")


def picture_of_figure(figure: Figure, title: str = "", caption: str = "", broad: bool = False) -> Picture:
    """A matplotlib figure as an embedded picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=FIGURE_DPI)
    return Picture(base64.b64encode(buffer.getvalue()).decode("ascii"), title, caption, broad)


def table_of(frame: pd.DataFrame, meanings: Mapping[str, str] | None = None) -> Table:
    """A data frame for the page: three significant digits, blanks for missing values, units in the heads."""
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return Table([str(column) for column in frame.columns], rows, meanings or {})


def shown(value: Any) -> str:
    """A number as people write it (three significant digits, no exponent where it can be helped)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return "" if value is None or np.isnan(value) else str(value)
    if isinstance(value, int | np.integer) or float(value).is_integer():
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cell(value: Any) -> Cell:
    return Cell(shown(value), isinstance(value, str))
