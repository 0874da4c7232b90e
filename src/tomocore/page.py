"""A report as one HTML file that opens offline: failures and warnings first, then pictures and tables."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from tomocore.columns import Column, column_of
from tomocore.files import written_beside

if TYPE_CHECKING:  # a second that commands which only print a number need not wait for
    import pandas as pd
    from matplotlib.figure import Figure

FIGURE_DPI = 130
LONG_LETTERS = 40
FEW_ROWS = 10
"""A table of more rows can be searched."""
NUMBERS = (int, float, np.number, np.bool_)
TALL_ROWS = 30
"""A table of more rows scrolls within a box of its own."""


@dataclass(frozen=True)
class Picture:
    """PNGs that belong together, the first one the broadest, with a title, what it is of, and a caption."""

    pngs: tuple[str, ...]
    title: str = ""
    hover: str = ""
    caption: str = ""
    broad: bool = False


@dataclass(frozen=True)
class Cell:
    """What is read in a table, the number that it is sorted by (else its text), and what tells more.

    ``link`` is an address, made with `address_of` where names are in it.
    """

    text: str
    order: float | None = None
    hover: str = ""
    link: str = ""

    @property
    def is_long(self) -> bool:
        """Whether the text may be broken over lines."""
        return len(self.text) > LONG_LETTERS


@dataclass(frozen=True)
class Group:
    """Rows under a common head, such as the tomogram they are of."""

    title: str
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Table:
    """Columns, and rows of as many cells in groups; ``is_text`` tells the columns that hold words."""

    caption: str
    columns: list[Column]
    groups: list[Group]
    is_text: list[bool]

    @property
    def is_tall(self) -> bool:
        """Whether the table needs a box to scroll in."""
        return sum(len(group.rows) for group in self.groups) > TALL_ROWS

    @property
    def is_searchable(self) -> bool:
        """Whether the table has so many rows that one looks for some."""
        return sum(len(group.rows) for group in self.groups) > FEW_ROWS

    @property
    def has_details(self) -> bool:
        """Whether some columns are shown on request only."""
        return any(column.detail for column in self.columns)


@dataclass(frozen=True)
class Tile:
    """A small picture with a title and lines of text, all of it a link; ``picture`` is a data address.

    ``state`` is "failed" or "left" (out) where it is to look so.
    """

    title: str
    lines: tuple[str, ...] = ()
    picture: str = ""
    alt: str = ""
    link: str = ""
    state: str = ""


@dataclass(frozen=True)
class Live:
    """What scripts draw: its markup, which holds no word of a user, the scripts, and the data they read.

    The data stand in the page as JSON under ``id``.
    """

    id: str
    markup: str
    scripts: str
    data: Any

    @property
    def json(self) -> str:
        """The data as JSON that ends no script, whatever names are in it."""
        text = json.dumps(self.data, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@dataclass
class Section:
    """A headed part of the page.

    Its texts, pictures, what is live, tiles, tables, folded details, and a text to paste.
    """

    title: str
    texts: list[str] = field(default_factory=list)
    figures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    details: list[tuple[str, str]] = field(default_factory=list)
    folded: bool = False
    live: Live | None = None
    tiles: list[Tile] = field(default_factory=list)
    pasted: list[str] = field(default_factory=list)


@dataclass
class Page:
    """All that a report says; ``cards`` are headline numbers, each a label and a value with its unit.

    ``links`` lead to other pages, each a word and an address. ``note`` stands at the end of the file, unseen.
    """

    title: str
    subtitle: str
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cards: list[tuple[str, str]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    @property
    def explained_columns(self) -> list[Column]:
        """The columns of all tables that have a meaning, once each."""
        tables = [table for section in self.sections for table in section.tables]
        found = {(c.key, c.heading): c for table in tables for c in table.columns if c.meaning}
        return list(found.values())


def write_page(path: Path, page: Page) -> None:
    """Write the report to ``path``, beside its name and renamed; nothing is loaded from outside.

    ``title`` and ``subtitle`` head the page, then come the ``warnings`` (a green "No warnings." where there
    are none) and the ``cards``: pairs of a label and its value, already formatted (see `shown`). ``sections``
    follow in their order. All texts are plain and escaped.
    """
    environment = Environment(
        loader=PackageLoader("tomocore", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    live = {section.live.scripts: None for section in page.sections if section.live}  # once, in their order
    scripts = "\n".join([files("tomocore").joinpath("page.js").read_text(encoding="utf-8"), *live])
    html = environment.get_template("page.html").render(page=page, scripts=Markup(scripts))
    with written_beside(path) as beside:
        beside.write_text(html, encoding="utf-8")


def address_of(path: str, **asked: object) -> str:
    """A path relative to the page as an address, whatever signs its names have; ``asked`` is its fragment."""
    fragment = "&".join(f"{name}={quote(str(value))}" for name, value in asked.items())
    return quote(path) + (f"#{fragment}" if fragment else "")


def picture_of(
    figures: Figure | Sequence[Figure],
    title: str = "",
    caption: str = "",
    hover: str = "",
    broad: bool = False,
) -> Picture:
    """One or more matplotlib ``figures`` as an embedded picture with ``title`` and ``caption``.

    ``hover`` is shown over the title; a ``broad`` picture takes the page's width.
    """
    chosen = figures if isinstance(figures, Sequence) else [figures]
    return Picture(tuple(_png(figure) for figure in chosen), title, hover, caption, broad)


def _png(figure: Figure) -> str:
    """The figure as base64. Its words are shown as they are: a dollar in a typed name is no formula."""
    import matplotlib
    from matplotlib.text import Text

    buffer = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # type: ignore[attr-defined]
    figure.set_dpi(FIGURE_DPI)
    with matplotlib.rc_context({"text.parse_math": False}):  # of ticks, which are made as it is drawn
        layout = figure.get_layout_engine()
        if layout is not None:  # here, since savefig would draw the whole figure once more for it
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(buffer, format="png", dpi=FIGURE_DPI)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def table_of(
    frame: pd.DataFrame, known: Iterable[Column] = (), caption: str = "", group: str | None = None
) -> Table:
    """A data frame for the page: three significant digits, blanks for missing values, headings in words.

    The first column names the rows. ``known`` tells headings, units and meanings; columns without any value
    are left out. Rows are put under heads by their value in the column ``group``, if one is named.
    Values may be of `Cell`, where text and order differ.
    """
    columns = tuple(known)
    filled = [key for key in frame.columns if key != group and any(_is_filled(v) for v in frame[key])]
    shown_columns = [column_of(str(key), columns) for key in filled]
    if shown_columns and shown_columns[0].detail:
        raise ValueError(f"{filled[0]}: the column that names the rows is always shown")
    parts = [("", frame)] if group is None else list(frame.groupby(group, sort=False))
    whole = {key: _are_whole(frame[key]) for key in filled}
    groups = [
        Group(
            str(title),
            [
                [_cell(value, c, whole[c.key]) for value, c in zip(row, shown_columns, strict=True)]
                for row in part[filled].itertuples(index=False)
            ],
        )
        for title, part in parts
    ]
    return Table(caption, shown_columns, groups, [_is_text(frame[key]) for key in filled])


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


def mean_and_spread(mean: float, spread: float) -> Cell:
    """``22.6 ± 5.0`` of a mean and a standard deviation, with as many decimals each; sorted by the mean."""
    if not np.isfinite(mean):
        return Cell("")
    decimals = min(max(2 - int(np.floor(np.log10(abs(mean) or 1.0))), 0), 6)
    return Cell(f"{mean:.{decimals}f} ± {spread:.{decimals}f}", float(mean))


def _cell(value: Any, column: Column, is_whole: bool) -> Cell:
    if isinstance(value, Cell):
        return value
    if not _is_filled(value):
        return Cell("")
    if not isinstance(value, int | float | np.number | np.bool_):
        return Cell(str(value))
    if column.unit == "%":
        return Cell(f"{100 * value:.1f}", float(value))
    if is_whole or abs(float(value)) >= 1000 or isinstance(value, bool | np.bool_):
        return Cell(shown(value), float(value))
    return Cell(f"{value:#.3g}".removesuffix("."), float(value))


def _are_whole(values: pd.Series[Any]) -> bool:
    """Whether all numbers of a column are whole, so that no decimals are read."""
    return all(float(v).is_integer() for v in values if _is_filled(v) and isinstance(v, NUMBERS))


def _is_filled(value: Any) -> bool:
    if isinstance(value, Cell):
        return bool(value.text)
    if isinstance(value, NUMBERS):
        return bool(value == value)
    return value is not None and str(value) != ""


def _is_text(values: pd.Series[Any]) -> bool:
    """Whether a column holds words: its first filled cell does."""
    first = next((value for value in values if _is_filled(value)), "")
    return first.order is None if isinstance(first, Cell) else isinstance(first, str | bool | np.bool_)
