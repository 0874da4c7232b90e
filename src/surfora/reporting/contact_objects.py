"""Contacts one by one on a page: a sentence a pair, a row a contact, pictures, area against threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from surfora.geometry.surface import SurfaceMesh
from surfora.measures.contacts.contacts_of_pair import ID
from surfora.reporting.contact_columns import OBJECT_COLUMNS
from surfora.reporting.naming import across_places, is_number, membrane_in_words, with_words
from surfora.reporting.pictures import ACCENT, plain_text, two_views
from tomocore.columns import Column
from tomocore.contract import InputError
from tomocore.page import Cell, Picture, Section, Table, mean_and_spread, picture_of, shown, table_of

IN_THE_NAME = ("name", "label", "target", "target_label", "roi", "tomogram", "contact", "contact_distance_nm")
SHOWN_COLUMNS = (
    Column("contact", "contact", "", "number of the contact, the same on both membranes"),
    Column("gap", "gap, mean ± SD", "nm", "mean and standard deviation over the area of both sides"),
    *OBJECT_COLUMNS,
)
MOST_CURVES = 8
COLOURS = [matplotlib.colormaps["tab10"](k) for k in range(10) if k != 7]  # whose grey means no contact


def contact_pictures(mesh: SurfaceMesh, title: str, file: str) -> list[Picture]:
    """A surface with its contacts in colour, ``title`` over it, its file on hover; none without a contact."""
    if not (mesh.data.get(ID, np.zeros(1)) > 0).any():
        return []
    caption = "Each contact in its own colour; grey: no contact."
    return [picture_of(contact_figure(mesh), title, caption, file)]


def contact_object_sections(
    contacts: pd.DataFrame,
    curve: pd.DataFrame,
    figures: Sequence[Picture],
    address: Callable[[Mapping[str, Any]], str] = lambda row: "",
) -> list[Section]:
    """The section on contacts as objects; none where no surfaces were asked about.

    contacts, curve: the tables of contacts.csv and contact_curve.csv; figures: of `contact_pictures`;
    address: where a contact can be seen, as of `contact_object_table`.
    """
    if curve.empty:
        return []
    curves = picture_of(
        curve_figure(curve),
        "Area in contact against the threshold",
        "Solid: one membrane of a pair, dashed: the other. The line marks the threshold of the table.",
    )
    tables = [] if contacts.empty else [contact_object_table(contacts, address)]
    text = (
        "A contact is a connected area of one membrane nearer to the other one than the threshold, cut along "
        "that very line and closed over small holes, together with the area that faces it. Its gap is pooled "
        "over both sides by area."
    )
    return [
        Section(
            "Contacts one by one", [text, *contact_sentences(contacts, curve)], [*figures, curves], tables
        )
    ]


def contact_sentences(contacts: pd.DataFrame, curve: pd.DataFrame) -> list[str]:
    """A sentence for each pair of membranes that contacts were looked for between."""
    found = worded_contacts(contacts)
    lines = []
    for pair, rows in worded_contacts(curve).groupby("pair", sort=False):
        own = found[found["pair"] == pair] if len(found) else found
        lines.append(_sentence(str(pair), own, _threshold_nm(rows)))
    return lines


def _sentence(pair: str, own: pd.DataFrame, threshold_nm: float) -> str:
    limit = f"{shown(threshold_nm)} nm"
    if own.empty:
        return f"{pair}: no contact below {limit}."
    largest = own.loc[own["contact_area_nm2"].fillna(0).idxmax()]
    area = f"{shown(largest['contact_area_nm2'])} nm² of {_membrane(largest, '')}"
    if largest["name"] != largest["target"]:
        area += f" and {shown(largest['target_contact_area_nm2'])} nm² of {_membrane(largest, 'target_')}"
    gap = mean_and_spread(largest["gap_mean_nm"], largest["gap_sd_nm"]).text
    size = f"{shown(largest['length_nm'])} × {shown(largest['width_nm'])} nm"
    cut = f", cut by the border of the {largest['cut_by']}" if largest["cut_by"] else ""
    told = f"{area}, {size}, gap {gap} nm, smallest {shown(largest['gap_min_nm'])} nm{cut}"
    if len(own) == 1:
        return f"{pair}: one contact below {limit}: {told}."
    whole = shown(own["contact_area_nm2"].sum())
    where = f"{whole} nm² of {_membrane(largest, '')} in all"
    return f"{pair}: {len(own)} contacts below {limit}, {where}; the largest: {told}."


def contact_object_table(
    contacts: pd.DataFrame, address: Callable[[Mapping[str, Any]], str] = lambda row: ""
) -> Table:
    """A row a contact as a page shows it, under the tomogram or mask where there are several.

    ``address`` tells where a row's contact can be seen, "" for nowhere. It gets the row with its words, the
    contact's number as ``number``.
    """
    worded = worded_contacts(contacts)
    rows = worded.to_dict("records")
    named = [
        Cell(contact_in_words(row), order=row["number"], hover=_files(row), link=address(row)) for row in rows
    ]
    gaps = [mean_and_spread(row["gap_mean_nm"], row["gap_sd_nm"]) for row in rows]
    left_out = {*IN_THE_NAME, "gap_mean_nm", "gap_sd_nm", "kind", "target_kind"}
    kept = [column.key for column in OBJECT_COLUMNS if column.key in worded and column.key not in left_out]
    frame = worded[kept].assign(place=worded["place"])
    frame.insert(0, "gap", pd.Series(gaps, frame.index))
    frame.insert(0, "contact", pd.Series(named, frame.index))
    return table_of(frame, SHOWN_COLUMNS, group="place")


def curve_figure(curve: pd.DataFrame) -> Figure:
    """Area in contact of both membranes against the threshold, a colour a pair; the largest are named."""
    worded = worded_contacts(curve)
    largest = worded.groupby("pair", sort=False)["contact_area_nm2"].max().sort_values(ascending=False)
    matplotlib.rcParams["font.size"] = 9
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for k, pair in enumerate(largest.index[:MOST_CURVES]):
        rows = worded[worded["pair"] == pair].sort_values("contact_distance_nm")
        colour = matplotlib.colormaps["tab10"](k)
        x = np.append(0.0, rows["contact_distance_nm"])
        for key, line in (("contact_area_nm2", "-"), ("target_contact_area_nm2", "--")):
            name = plain_text(str(pair)) if line == "-" else None
            axes.plot(x, np.append(0.0, rows[key]) / 1000, line, color=colour, label=name, linewidth=1.5)
    axes.axvline(_threshold_nm(worded), color=ACCENT, linewidth=0.8)
    axes.set_xlabel("threshold (nm)")
    axes.set_ylabel("area in contact (1000 nm²)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _threshold_nm(curve: pd.DataFrame) -> float:
    """The threshold that contacts.csv has."""
    chosen = curve.loc[curve["is_chosen"].astype(str) == "True", "contact_distance_nm"]
    if chosen.empty:
        raise InputError("contact_curve.csv marks no threshold as chosen; run again with --overwrite")
    return float(chosen.iloc[0])


def contact_figure(mesh: SurfaceMesh) -> Figure:
    """A mesh from two sides, each of its contacts in its colour, the same on both membranes; else grey."""
    ids = mesh.data[ID]
    most = max(int(ids.max()), 1)
    colours = [COLOURS[k % len(COLOURS)] for k in range(most)]
    number = np.where(ids > 0, ids, np.nan)
    return two_views(mesh, number, matplotlib.colors.ListedColormap(colours), (0.5, most + 0.5))


def worded_contacts(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with ``place``, ``pair`` ("t1, OMM and ER, ROI 3") and ``pair_here`` (without the place)."""
    if table.empty:
        return table
    worded = with_words(table)
    here = [_pair_in_words(row) for row in worded.to_dict("records")]
    pairs = [across_places(place, words) for place, words in zip(worded["place"], here, strict=True)]
    numbers = table.get("contact", 0)  # `with_words` gives that name to both membranes
    return worded.assign(pair_here=here, pair=pairs, number=numbers)


def contact_in_words(row: Mapping[str, Any]) -> str:
    """``contact 3: membranes 2 and 5, ROI 3`` of a row of `worded_contacts`."""
    return f"contact {row['number']}: {row['pair_here']}"


def _pair_in_words(row: dict[str, object]) -> str:
    """``OMM and ER``, ``membranes 2 and 5, ROI 3`` or ``OMM with itself``."""
    roi = row["roi"]
    within = f", ROI {int(roi)}" if is_number(roi) else ""  # type: ignore[arg-type, call-overload]
    if row["name"] == row["target"]:
        return f"{row['membrane']} with itself{within}"
    return str(row["contact"]).removeprefix(f"contact {int(roi)}: " if within else "") + within  # type: ignore[call-overload]


def _membrane(row: pd.Series[Any], prefix: str) -> str:
    """A side of a contact, by its label or else its NAME."""
    return membrane_in_words(row[f"{prefix}label"], row["target" if prefix else "name"])


def _files(row: dict[str, object]) -> str:
    return f"{row['name']}.{row['kind']} and {row['target']}.{row['target_kind']}"
