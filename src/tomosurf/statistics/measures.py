"""What is compared: the measures that the tables hold, membrane by membrane, and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import OBJECT_COLUMNS
from surfora.reporting.contacts import contacts_of
from surfora.reporting.naming import natural_key
from tomocore.columns import ROI_COLUMNS, Column, column_of
from tomocore.contract import InputError
from tomosurf.statistics.hierarchy import TOMOGRAM
from tomosurf.statistics.tables import OTHER, Tables

DEFAULTS = {
    "contacts": (
        "contact_area_nm2",
        "gap_mean_nm",
        "gap_min_nm",
        "mean_curvature_inside_per_nm",
        "bilayer_thickness_inside_nm",
        "roughness_inside_nm",
    ),
    "distances": ("mean_nm", "contact_area_nm2", "contact_mean_nm"),
    "surfaces": (
        "area_nm2",
        "mean_curvature_median_per_nm",
        "bilayer_thickness_median_nm",
        "roughness_median_nm",
    ),
    "rois": ("volume_nm3",),
}
"""The measures that are compared of each kind of table where none are named."""
KIND_ORDER = ("medial", "isosurface", "inner", "outer")
"""Of several surfaces of one membrane, the first that has the measure stands for it."""
PATCHES = "patches"
"""The kind of the table that `tomosurf.statistics.patches` makes."""
PLACES = {
    "contacts": "contacts",
    "distances": "contacts",
    "surfaces": "surfaces",
    "rois": "ROIs",
    OTHER: "rows",
}
INSIDE, OUTSIDE = "_inside", "_outside"
AT_CONTACTS, AT_RANDOM, RANK = "_contact", "_random", "_rank"
HEADINGS = {"area_nm2": "membrane area", "contact_area_nm2": "area of a contact"}
"""Where a heading of its table would not be understood beside those of others."""
GAP, GAP_SD = "gap_mean_nm", "gap_sd_nm"
NM2_PER_UM2 = 1e6
COUNT, DENSITY = "count", "count_per_um2"
NOT_MEASURES = ("roi", "id", "contact", "vertices", "triangles", "patches", "components", "boundary_loops")
UNITS = (
    ("_per_nm2", "1/nm²"),
    ("_per_nm", "1/nm"),
    ("_per_um2", "1/µm²"),
    ("_nm3", "nm³"),
    ("_nm2", "nm²"),
    ("_nm", "nm"),
    ("_deg", "°"),
)
"""Ends of columns' names that tell the unit, for columns that no table of ours explains."""


@dataclass(frozen=True)
class Measure:
    """One measure of one kind of place: its rows (tomogram, condition, grid, ``key``) and what it is called.

    ``where`` says of which membranes; ``places`` what a row is; ``area`` the column that weights it, if any.
    """

    key: str
    column: Column
    kind: str
    where: str
    rows: pd.DataFrame
    area: str = ""

    @property
    def places(self) -> str:
        """What a row of the table is."""
        return "tomograms" if self.key in (COUNT, DENSITY) else PLACES.get(self.kind, "contacts")

    @property
    def name(self) -> str:
        """The measure and where, in words."""
        return self.column.heading + (f", {self.where}" if self.where else "")

    @property
    def label(self) -> str:
        """The name with its unit, for an axis."""
        return self.name + (f" ({self.column.unit})" if self.column.unit else "")

    @property
    def stem(self) -> str:
        """What files about it are called."""
        words = [self.kind, self.key, *self.where.replace("–", " ").split()]
        return "_".join("".join(c if c.isalnum() or c in "-_" else "-" for c in word) for word in words)

    @property
    def named(self) -> dict[str, str]:
        """The columns that name it in a table of comparisons."""
        return {
            "measure": self.key,
            "unit_of_measure": self.column.unit,
            "table": self.kind,
            "where": self.where,
            "places": self.places,
        }


def measures_of(tables: Tables, wanted: Sequence[str] = ()) -> list[Measure]:
    """The measures of all tables, counts first; those ``wanted`` alone, where any are named.

    Raises InputError for a wanted one that no table has.
    """
    found = [measure for kind in PLACES for measure in _of_kind(tables, kind, wanted)]
    missing = [key for key in wanted if key not in {measure.key for measure in found}]
    if DENSITY in missing and _is_within_rois(tables.of("surfaces")):
        raise InputError(
            f"{DENSITY}: surfaces were measured within ROIs alone, so that the area of all membranes is not "
            "known; measure whole membranes (surfora run without --rois), or leave this measure out"
        )
    if missing:
        known = sorted({str(c) for kind in PLACES for c in _numeric(tables.of(kind))} | {COUNT, DENSITY})
        raise InputError(f"{', '.join(missing)}: no table has such a measure; there are {', '.join(known)}")
    return found


def pairs_of(tables: Tables, measures: Sequence[Measure]) -> list[tuple[Measure, Measure]]:
    """Pairs that are compared within tomograms: at contacts and outside of them, of the same membranes."""
    table = tables.of("contacts")
    pairs = []
    for measure in measures:
        other = measure.key.replace(INSIDE, OUTSIDE)
        if INSIDE in measure.key and other in table and measure.kind == "contacts":
            rows = table.loc[measure.rows.index, [TOMOGRAM, tables.by, "grid", other]]
            pairs.append((Measure(other, _column(other), measure.kind, measure.where, rows), measure))
    return pairs


def patch_pairs(tables: Tables) -> list[tuple[Measure, Measure]]:
    """Random patches and contacts of the same membranes, of each array that both have."""
    table = tables.of(PATCHES)
    pairs = []
    for key in [str(c).removesuffix(AT_CONTACTS) for c in table if str(c).endswith(AT_CONTACTS)]:
        column = _column(key)
        for where, rows in _strata(table, key + AT_CONTACTS):
            random, own = (
                Measure(key + end, column, PATCHES, where, rows[[TOMOGRAM, tables.by, "grid", key + end]])
                for end in (AT_RANDOM, AT_CONTACTS)
            )
            pairs.append((random, own))
    return pairs


def membrane_pairs(measures: Sequence[Measure]) -> list[tuple[Measure, Measure]]:
    """Pairs of one measure at two named membranes of the same tomograms."""
    surfaces = [m for m in measures if m.kind == "surfaces" and m.where and m.key not in (COUNT, DENSITY)]
    return [(a, b) for k, a in enumerate(surfaces) for b in surfaces[k + 1 :] if a.key == b.key]


def membrane_area_um2(surfaces: pd.DataFrame) -> pd.Series[float]:
    """Area of all membranes of each tomogram in µm², each membrane by one of its surfaces."""
    if "kind" not in surfaces:
        return surfaces.groupby(TOMOGRAM)["area_nm2"].sum() / NM2_PER_UM2
    ranks = surfaces["kind"].map({kind: rank for rank, kind in enumerate(KIND_ORDER)}).fillna(len(KIND_ORDER))
    membranes = surfaces.assign(_rank=ranks).sort_values("_rank").drop_duplicates([TOMOGRAM, "name"])
    return membranes.groupby(TOMOGRAM)["area_nm2"].sum() / NM2_PER_UM2


def _is_within_rois(surfaces: pd.DataFrame) -> bool:
    """Whether surfaces are pieces within ROIs, whose area says nothing about that of their membranes."""
    return "roi" in surfaces and bool(surfaces["roi"].notna().any())


def gaps_of(tables: Tables) -> pd.DataFrame:
    """A row a contact with its gap's mean and standard deviation (`GAP`, `GAP_SD`); empty where unknown."""
    for kind, mean, spread in (("contacts", GAP, GAP_SD), ("distances", "mean_nm", "sd_nm")):
        table = _places_of(tables, kind)
        if mean in table and spread in table:
            return _of_one_kind(table, mean).rename(columns={mean: GAP, spread: GAP_SD})
    return pd.DataFrame()


def _of_kind(tables: Tables, kind: str, wanted: Sequence[str]) -> Iterator[Measure]:
    if kind not in tables.rows or (kind == "distances" and "contacts" in tables.rows):
        return
    table = _places_of(tables, kind)
    if kind in ("contacts", "rois", "distances"):
        yield from (m for m in _counts(tables, kind, table) if not wanted or m.key in wanted)
    keys = wanted or DEFAULTS.get(kind) or _numeric(table)
    for key in keys:
        if key in table and key not in (COUNT, DENSITY):
            for where, rows in _strata(table, key):
                columns = [TOMOGRAM, tables.by, "grid", key]
                area = next((a for a in ("contact_area_nm2", "area_nm2") if a in rows and a != key), "")
                kept = rows[columns + ([area] if area else [])]
                yield Measure(
                    key, _column(key), kind, where, kept.assign(**{key: _as_numbers(kept[key])}), area
                )


def _places_of(tables: Tables, kind: str) -> pd.DataFrame:
    """A row a place of a kind: of distances.csv a row a contact, unless contacts.csv is there."""
    table = tables.of(kind)
    if kind == "distances":
        if table.empty or "contacts" in tables.rows:
            return pd.DataFrame()
        contacts = contacts_of(table.assign(roi=table.get("roi", np.nan)))
        of_tomogram = tables.tomograms[[TOMOGRAM, tables.by, "grid"]]
        return contacts.rename(columns={"place": TOMOGRAM}).merge(of_tomogram, on=TOMOGRAM)
    if kind == "rois" and "status" in table:
        return table[table["status"] != "rejected"]
    return table


def _counts(tables: Tables, kind: str, table: pd.DataFrame) -> Iterator[Measure]:
    """How many places each measured tomogram has, also none, and per area of membrane where that is known."""
    places = PLACES[kind]
    tomograms = tables.tomograms[[TOMOGRAM, tables.by, "grid"]]
    if kind != "rois":
        tomograms = tomograms[~tomograms[TOMOGRAM].isin(tables.unmeasured)]
    if "kind" in table and len(table):
        table = table[table["kind"] == _first_kind(table["kind"])]
    counts = table.groupby(TOMOGRAM).size() if len(table) else pd.Series(dtype=float)
    counted = tomograms.assign(**{COUNT: tomograms[TOMOGRAM].map(counts).fillna(0).astype(float)})
    column = Column(COUNT, f"{places} a tomogram", "", f"{places} found in a tomogram")
    yield Measure(COUNT, column, kind, "", counted)
    surfaces = tables.of("surfaces")
    if "area_nm2" in surfaces and not _is_within_rois(surfaces):
        areas = counted[TOMOGRAM].map(membrane_area_um2(surfaces))
        per_area = counted.assign(**{DENSITY: counted[COUNT] / areas.where(areas > 0)})
        column = Column(
            DENSITY, f"{places} per membrane area", "1/µm²", f"{places} per area of all membranes"
        )
        yield Measure(DENSITY, column, kind, "", per_area.drop(columns=COUNT))


def _strata(table: pd.DataFrame, key: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows by named membranes, of each the first kind of surface that has the measure.

    Labels that are numbers mean other membranes in each tomogram, and are taken together.
    """
    if "label" not in table:
        yield "", _of_one_kind(table, key)
        return
    words = _membranes_in_words(table)
    for where in sorted(words.unique(), key=natural_key):
        yield where, _of_one_kind(table[words == where], key)


def _membranes_in_words(table: pd.DataFrame) -> pd.Series[str]:
    """``OMM`` of a surface, ``ER–OMM`` of a contact, "" where labels are no names."""
    labels = table["label"].fillna("").astype(str)
    others = (
        table["target_label"].fillna("").astype(str)
        if "target_label" in table
        else pd.Series("", table.index)
    )
    words = []
    for own, other in zip(labels, others, strict=True):
        names = sorted({name for name in (own, other) if name and not name.isdigit()}, key=natural_key)
        words.append("–".join(names if len(names) != 1 or not other or own != other else names * 2))
    return pd.Series(words, table.index, dtype=str)


def _of_one_kind(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    if "kind" not in rows:
        return rows
    if not len(rows):
        return rows
    known = rows[np.isfinite(_as_numbers(rows[key]))]
    return rows[rows["kind"] == _first_kind(known["kind"] if len(known) else rows["kind"])]


def _first_kind(kinds: pd.Series[str]) -> str:
    present = set(kinds)
    return next((kind for kind in KIND_ORDER if kind in present), str(kinds.iloc[0]))


def _numeric(table: pd.DataFrame) -> list[str]:
    numbers = table.select_dtypes("number") if len(table) else pd.DataFrame()
    return [str(column) for column in numbers if column not in NOT_MEASURES]


def _as_numbers(values: pd.Series[float]) -> pd.Series[float]:
    return pd.to_numeric(values, errors="coerce").astype(float)


def _column(key: str) -> Column:
    """What a column is called, with its unit by the end of its name where no table explains it."""
    known = column_of(key, (*COLUMNS, *OBJECT_COLUMNS, *ROI_COLUMNS))
    if known.meaning:
        return replace(known, heading=HEADINGS.get(key, known.heading))
    unit = next((unit for end, unit in UNITS if key.endswith(end)), "")
    ending = next((end for end, _ in UNITS if key.endswith(end)), "")
    return Column(key, key.removesuffix(ending).replace("_", " "), unit)
