"""Writes the tables of columns into formats.md, from the code that names them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.interval_columns import INTERVAL_COLUMNS
from tomocore.columns import ROI_COLUMNS, Column

PAGE = Path(__file__).parent / "formats.md"
TABLES = {
    "rois": ROI_COLUMNS,
    "surfaces": COLUMNS,
    "contacts": OBJECT_COLUMNS,
    "curve": CURVE_COLUMNS,
    "intervals": INTERVAL_COLUMNS,
}


def table_of_columns(columns: Iterable[Column]) -> str:
    """Column, unit and meaning, a row each; shares are shown as % and stored as shares of 1."""
    rows = ["| column | unit | what it is |", "|---|---|---|"]
    for column in columns:
        unit = "share of 1" if column.unit == "%" else column.unit
        rows.append(f"| `{column.key}` | {unit} | {column.meaning or column.heading} |")
    return "\n".join(rows)


def page_with_tables(text: str) -> str:
    """The page with each table between its marks."""
    for name, columns in TABLES.items():
        table = f"<!-- {name} -->\n{table_of_columns(columns)}\n<!-- /{name} -->"
        text = re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, new=table: new, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
