"""The tables of a run as a page shows them: names in words, full names on hover, details on request."""

from __future__ import annotations

import pandas as pd

from surfora.reporting.columns import COLUMNS, CONTACT_COLUMNS, kind_in_words
from surfora.reporting.contacts import BETWEEN, contacts_of
from surfora.reporting.naming import full_name, with_words
from tomocore.columns import Column
from tomocore.page import Cell, Table, mean_and_spread, table_of

IN_THE_NAME = ("name", "label", "roi", "tomogram", "target", "target_label", "target_kind")
"""Columns that a row's words say already."""
WAY = Column("way", "from one membrane to the other")
IN_PROVENANCE = ("source", "provenance", "voxel_size_nm")


def surface_table(surfaces: pd.DataFrame, columns: tuple[str, ...] = (), caption: str = "") -> Table:
    """A row a surface, under the tomogram or mask where there are several; all columns, or those named."""
    worded = with_words(surfaces)
    named = [Cell(row["surface"], hover=full_name(row)) for row in worded.to_dict("records")]
    return _shown(worded, "name", named, columns or tuple(surfaces.columns), caption)


def direction_table(distances: pd.DataFrame, columns: tuple[str, ...] = (), caption: str = "") -> Table:
    """A row from each surface to its partner, closest first; all columns of distances.csv, or those named."""
    worded = with_words(distances).sort_values("mean_nm")
    named = [
        Cell(row["way"], hover=f"{full_name(row)} to {row['target']}.{row['target_kind']}")
        for row in worded.to_dict("records")
    ]
    return _shown(worded, "way", named, columns or tuple(distances.columns), caption)


def contact_table(distances: pd.DataFrame, caption: str = "") -> Table:
    """A row a contact, closest first, both ways joined: "contact 3: membranes 2 and 5", 22.6 ± 5.0 nm."""
    contacts = contacts_of(distances)
    rows = contacts.to_dict("records")
    frame = pd.DataFrame(
        {
            "contact": [Cell(row["contact"], hover=row["names"]) for row in rows],
            "between": [BETWEEN.get(row["kind"], row["kind"]) for row in rows],
            "gap": [mean_and_spread(row["mean_nm"], row["sd_nm"]) for row in rows],
            "min_nm": contacts["min_nm"],
            "contact_area_nm2": contacts["contact_area_nm2"],
            "contact_gap": [mean_and_spread(row["contact_mean_nm"], row["contact_sd_nm"]) for row in rows],
            "place": contacts["place"],
        }
    )
    if frame["between"].nunique() == 1:
        frame = frame.drop(columns="between")
    return table_of(frame, CONTACT_COLUMNS, caption, group="place")


def _shown(
    worded: pd.DataFrame, first: str, named: list[Cell], columns: tuple[str, ...], caption: str
) -> Table:
    left_out = {*IN_THE_NAME, *IN_PROVENANCE} | ({"kind"} if worded["kind"].nunique() == 1 else set())
    chosen = [column for column in columns if column in worded and column not in left_out]
    frame = worded[chosen].assign(place=worded["place"])
    if "kind" in chosen:
        frame["kind"] = frame["kind"].map(kind_in_words)
    frame.insert(0, first, pd.Series(named, frame.index))
    return table_of(frame, (*COLUMNS, WAY), caption, group="place")
