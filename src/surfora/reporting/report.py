"""report.html of a run: warnings first, then contacts, pictures, histograms, tables and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from surfora.geometry.arrays import Floats
from surfora.geometry.surface import SIGN_CONVENTION, SurfaceMesh, vertex_areas_nm2
from surfora.measures.pairs import MeasuredSurface, read_measured
from surfora.measures.wedge import area_shares
from surfora.reporting.pictures import (
    CURVATURE_COLOURS,
    DISTANCE_COLOURS,
    contact_rank_figure,
    evidence_figure,
    histogram_figure,
    histogram_span,
    low_limits,
    overview_figure,
    surface_figure,
    symmetric_limits,
)
from surfora.reporting.tables import COLUMN_MEANINGS, read_table
from tomocore.contract import InputError
from tomocore.page import Picture, Section, picture_of_figure, shown, table_of, write_page
from tomocore.provenance import read_record

EVIDENCE_COLUMNS = (
    "name",
    "kind",
    "area_nm2",
    "area_with_evidence_nm2",
    "extrapolated_area_share",
    "unsupported_area_share",
    "mean_curvature_median_per_nm",
    "mean_curvature_median_with_evidence_per_nm",
)
DISTANCE_EVIDENCE_COLUMNS = (
    "name",
    "kind",
    "target",
    "median_nm",
    "median_with_evidence_nm",
    "contact_area_nm2",
    "contact_area_with_evidence_nm2",
)

MOST_PICTURED = 24
"""Surfaces drawn in a report; a page with hundreds would not open."""
LEAST_PICTURED_SHARE = 0.03
"""Of a surface's area without evidence; a picture of less shows nothing but the surface."""


def write_run_report(folder: Path) -> Path:
    """Write ``report.html`` from the files of a run in a folder; its path.

    Raises InputError where the folder holds no run.
    """
    record = read_record(folder / "run.json")
    if record is None:
        raise InputError(f"{folder}: holds no run.json of `surfora run`; name the folder given with -o")
    path = folder / "report.html"
    write_page(path, *run_page(folder, record))
    return path


def run_page(
    folder: Path, record: Mapping[str, Any]
) -> tuple[str, str, list[str], list[tuple[str, str]], list[Section]]:
    """Title, subtitle, warnings, headline numbers and sections of the report of one run."""
    surfaces = read_table(folder / "surfaces.csv")
    distances = read_table(folder / "distances.csv")
    pictured = _pictured(folder, surfaces, distances)
    warnings = [f"FAILED {text}" for text in record["failures"].values()] + list(record["warnings"])
    if len(surfaces) > len(pictured):
        warnings.append(
            f"{len(pictured)} of {len(surfaces)} surfaces are pictured; the tables hold all of them"
        )
    inputs = ", ".join(Path(item["path"]).name for item in record["inputs"])
    subtitle = f"surfora run on {inputs or 'no usable input'}, {record['started']}, {record['seconds']:.0f} s"
    sections = [
        *_overview_sections(pictured),
        *_contact_sections(distances),
        *_curvature_sections(pictured),
        *_distance_sections(pictured),
        *_thickness_sections(pictured),
        *_evidence_sections(surfaces, distances, pictured),
        _table_section(surfaces),
        _provenance_section(record),
    ]
    return "Surfaces and distances", subtitle, warnings, _cards(surfaces, distances), sections


def _pictured(folder: Path, surfaces: pd.DataFrame, distances: pd.DataFrame) -> list[MeasuredSurface]:
    """The surfaces to draw: those in the closest contacts first, then the largest."""
    if surfaces.empty:
        return []
    closest = distances.set_index("name")["mean_nm"].groupby(level=0).min() if len(distances) else {}
    order = surfaces.assign(closest=surfaces["name"].map(closest)).sort_values(
        ["closest", "area_nm2"], ascending=[True, False], na_position="last"
    )
    paths = [folder / f"{row['name']}.{row['kind']}.vtp" for _, row in order.head(MOST_PICTURED).iterrows()]
    return [read_measured(path) for path in paths if path.exists()]


def _cards(surfaces: pd.DataFrame, distances: pd.DataFrame) -> list[tuple[str, str]]:
    if surfaces.empty:
        return []
    once = _of_kind(surfaces, "medial", "isosurface")  # a membrane's leaflets would count it again
    cards = [
        ("surfaces", str(len(surfaces))),
        ("area (µm²)", shown(once["area_nm2"].sum() / 1e6)),
        ("median radius of curvature (nm)", shown(surfaces["radius_of_curvature_median_nm"].median())),
    ]
    if len(distances):
        nearest = _of_kind(distances, "medial")["median_nm"].min()
        cards.append(("distances measured", str(len(distances))))
        cards.append(("smallest median distance (nm)", shown(nearest)))
        middles = distances.loc[distances["kind"] == "medial", "contact_area_nm2"]
        if len(middles):  # each contact is there both ways
            cards.append(("area in contact (nm²)", shown(middles.sum() / 2)))
    return cards


def _of_kind(table: pd.DataFrame, *kinds: str) -> pd.DataFrame:
    """The rows of the first of these kinds that a table has, or all where it has none of them."""
    present = next((kind for kind in kinds if (table["kind"] == kind).any()), None)
    return table if present is None else table[table["kind"] == present]


def _overview_sections(pictured: list[MeasuredSurface]) -> list[Section]:
    """All membranes of each mask where they lie to each other: of each, its middle or else its boundary."""
    whole = [surface for surface in pictured if surface.facts.kind == "medial"]
    whole = whole or [surface for surface in pictured if surface.facts.kind == "isosurface"]
    figures = []
    for source in dict.fromkeys(surface.facts.source for surface in whole):
        own: dict[str, list[SurfaceMesh]] = {}
        for surface in (one for one in whole if one.facts.source == source):
            own.setdefault(surface.facts.label or surface.name, []).append(surface.mesh)
        if sum(map(len, own.values())) > 1:
            figures.append(
                picture_of_figure(overview_figure(sorted(own.items())), Path(source).name, broad=True)
            )
    return [Section("Where they lie", [], figures)] if figures else []


def _contact_sections(distances: pd.DataFrame) -> list[Section]:
    if distances.empty:
        return []
    rank = picture_of_figure(
        contact_rank_figure(distances),
        caption="Mean distance of each surface to its partner, closest first; the band is one standard "
        "deviation over the area.",
    )
    hidden = ("roi", "target_label") if distances["kind"].nunique() > 1 else ("kind", "target_kind", "roi")
    shown_columns = [column for column in distances.columns if column not in hidden]
    table = table_of(distances.sort_values("mean_nm")[shown_columns], COLUMN_MEANINGS)
    limit = shown(distances["contact_distance_nm"].iloc[0])
    text = (
        "Distances run from every point of a surface to the nearest point of its partner, weighted by "
        f"area. Contact means closer than {limit} nm. From A to B and from B to A differ where one is larger."
    )
    return [Section("Contacts", [text], [rank], [table], wide=True)]


def curvature_pictures(surface: MeasuredSurface) -> list[Picture]:
    """A surface coloured by mean curvature, and the histogram of it over the area."""
    values = surface.mesh.data["mean_curvature_per_nm"]
    title = f"{surface.name} {surface.facts.kind}"
    caption = "Seen along z and from the side; grey: no value (border)."
    limits = symmetric_limits(values)
    return _value_pictures(
        surface.mesh, values, "mean curvature (1/nm)", CURVATURE_COLOURS, limits, title, caption
    )


def _value_pictures(
    mesh: SurfaceMesh,
    values: Floats,
    quantity: str,
    colours: str,
    limits: tuple[float, float],
    title: str,
    caption: str,
) -> list[Picture]:
    """A surface coloured by vertex values within ``limits``, and their histogram over the area."""
    figure = surface_figure(mesh, values, quantity, colours, limits)
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    histogram = histogram_figure([("", values, areas)], quantity, histogram_span(values))
    return [
        picture_of_figure(figure, title, caption, broad=True),
        picture_of_figure(histogram, "", f"Share of the area against {quantity.split(' (')[0]}."),
    ]


def _curvature_sections(pictured: list[MeasuredSurface]) -> list[Section]:
    curved = [surface for surface in pictured if "mean_curvature_per_nm" in surface.mesh.data]
    figures = [picture for surface in curved for picture in curvature_pictures(surface)]
    text = f"{SIGN_CONVENTION}. Red bends outward, blue inward."
    return [Section("Mean curvature", [text], figures)] if figures else []


def _distance_sections(pictured: list[MeasuredSurface]) -> list[Section]:
    figures: list[Picture] = []
    for surface in pictured:
        for array in [name for name in surface.mesh.data if name.startswith("distance_to_")]:
            target = array.removeprefix("distance_to_").removesuffix("_nm")
            values = surface.mesh.data[array]
            title = f"{surface.name} {surface.facts.kind} → {target}"
            caption = "Seen along z and from the side; close is bright."
            limits = low_limits(values)
            figures += _value_pictures(
                surface.mesh, values, "distance (nm)", DISTANCE_COLOURS, limits, title, caption
            )
    return [Section("Distance", [], figures)] if figures else []


def _thickness_sections(pictured: list[MeasuredSurface]) -> list[Section]:
    figures: list[Picture] = []
    for surface in pictured:
        values = surface.mesh.data.get("bilayer_thickness_nm", np.empty(0))
        if surface.facts.kind == "outer" and np.isfinite(values).any():
            limits = (float(np.nanquantile(values, 0.02)), float(np.nanquantile(values, 0.98)))
            caption = "Seen along z and from the side; grey: no value (beside a border)."
            figures += _value_pictures(
                surface.mesh, values, "thickness (nm)", "viridis", limits, surface.name, caption
            )
    text = "Straight through the membrane from the outer leaflet to the inner one: as thick as the mask is."
    return [Section("Thickness", [text], figures)] if figures else []


def _evidence_sections(
    surfaces: pd.DataFrame, distances: pd.DataFrame, pictured: list[MeasuredSurface]
) -> list[Section]:
    """What of the surfaces the tilt series saw, and the measures with and without the rest."""
    if "extrapolated_area_share" not in surfaces:
        return []
    figures = []
    for surface in pictured:
        if surface.facts.kind in ("medial", "outer") and _lacks_evidence(surface.mesh):
            figure = evidence_figure(surface.mesh, surface.mesh.data["evidence"])
            title = f"{surface.name} {surface.facts.kind}"
            figures.append(picture_of_figure(figure, title, "Seen along z and from the side.", broad=True))
    text = (
        "A tilt series leaves no trace of patches that face into its missing wedge (nearly along the beam): "
        "where a mask has them, they were extrapolated. Unsupported is what was closed over a hole of the "
        "mask. The tables give each measure over the whole surface and over what was measured alone."
    )
    if len(figures) < len(pictured):
        text += f" Surfaces of which less than {LEAST_PICTURED_SHARE:.0%} lacks evidence are not pictured."
    tables = [_present(surfaces, EVIDENCE_COLUMNS), _present(distances, DISTANCE_EVIDENCE_COLUMNS)]
    shown_tables = [table_of(table, COLUMN_MEANINGS) for table in tables if len(table)]
    return [Section("What was measured", [text], figures, shown_tables)]


def _lacks_evidence(mesh: SurfaceMesh) -> bool:
    """Whether enough of a surface was not measured for a picture to show where."""
    return "evidence" in mesh.data and area_shares(mesh)["measured_area_share"] <= 1 - LEAST_PICTURED_SHARE


def _present(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return table[[column for column in columns if column in table]]


def _table_section(surfaces: pd.DataFrame) -> Section:
    if surfaces.empty:
        return Section("All surfaces", ["No surface could be made; the warnings above say why."])
    hidden = ("source", "provenance", "voxel_size_nm")
    columns = [column for column in surfaces.columns if column not in hidden]
    return Section(
        "All surfaces",
        ["Hold the pointer over a column's head for its meaning. The same numbers are in surfaces.csv."],
        tables=[table_of(surfaces[columns].dropna(axis=1, how="all"), COLUMN_MEANINGS)],
    )


def _provenance_section(record: Mapping[str, Any]) -> Section:
    inputs = pd.DataFrame(record["inputs"])
    stages = pd.DataFrame(record["stages"])
    tables = [table_of(inputs)] if len(inputs) else []
    if len(stages):
        by_stage = stages.groupby("stage", sort=False)["seconds"].agg(["count", "sum"]).reset_index()
        tables.append(table_of(by_stage.rename(columns={"count": "times", "sum": "seconds"})))
    return Section(
        "Provenance",
        [f"Run {record['id']}: {record['command']}", f"{record['machine']}; {_versions(record)}"],
        tables=tables,
        details=[("settings of this run", json.dumps(record["settings"], indent=2))],
    )


def _versions(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in record["versions"].items())
