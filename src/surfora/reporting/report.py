"""report.html of a run: warnings first, then contacts, tables, pictures, histograms and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from surfora.geometry.arrays import Floats
from surfora.geometry.surface import SIGN_CONVENTION, SurfaceMesh, vertex_areas_nm2
from surfora.measures.distance_pairs import SurfaceFile, read_measured, surface_file
from surfora.measures.wedge import area_shares
from surfora.reporting.contact_objects import contact_object_sections, contact_pictures
from surfora.reporting.contacts import contacts_of
from surfora.reporting.interval_page import interval_sections
from surfora.reporting.naming import (
    across_places,
    full_name,
    membrane_in_words,
    natural_key,
    surface_with_kind,
    with_words,
)
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
from surfora.reporting.shown_tables import contact_table, direction_table, surface_table
from surfora.reporting.tables import read_table
from surfora.reporting.turning import SmallerMeshes, contact_address, run_contacts, run_surfaces
from surfora.viewer.scene import MOST_BYTES, live_scene
from tomocore.columns import Column
from tomocore.contract import InputError, naming
from tomocore.page import Page, Picture, Section, mean_and_spread, picture_of, shown, table_of, write_page
from tomocore.provenance import read_record

EVIDENCE_COLUMNS = (
    "kind",
    "area_nm2",
    "area_with_evidence_nm2",
    "extrapolated_area_share",
    "unsupported_area_share",
    "mean_curvature_median_per_nm",
    "mean_curvature_median_with_evidence_per_nm",
)
DISTANCE_EVIDENCE_COLUMNS = (
    "kind",
    "median_nm",
    "median_with_evidence_nm",
    "contact_area_nm2",
    "contact_area_with_evidence_nm2",
)
PROVENANCE_COLUMNS = (
    Column("path", "file"),
    Column("bytes", "size", "bytes"),
    Column("voxel_size_nm", "voxel edge", "nm"),
    Column("sha256", "SHA-256 of its bytes"),
    Column("sum", "time", "s"),
    Column("count", "times"),
)

MOST_PICTURED = 24
"""Surfaces drawn in a report; a page with hundreds would not open."""
LEAST_PICTURED_SHARE = 0.03
"""Of a surface's area without evidence; a picture of less shows nothing but the surface."""
MOST_PAGE_BYTES, LEAST_TURNING_BYTES = 10_000_000, 1_000_000
"""Of a report, and of the surfaces that turn in it, whatever its pictures take."""
SEEN = "Seen along z and from the side"
CURVATURE_TEXT = f"{SIGN_CONVENTION}. Red bends outward, blue inward."
THICKNESS_TEXT = (
    "Straight through the membrane from the outer leaflet to the inner one: as thick as the mask is."
)


@dataclass(frozen=True)
class Pictured:
    """A surface to draw, what people call it, and its ways to others, by the NAME of the other."""

    file: SurfaceFile
    title: str
    ways: Mapping[str, str]

    @property
    def kind(self) -> str:
        """What of the membrane it is."""
        return self.file.facts.kind

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.file.path.name


@dataclass(frozen=True)
class Pictures:
    """The pictures of a report by what they show, each list in the order of the surfaces."""

    places: list[Picture] = field(default_factory=list)
    contacts: list[Picture] = field(default_factory=list)
    curvature: list[Picture] = field(default_factory=list)
    gaps: list[Picture] = field(default_factory=list)
    thickness: list[Picture] = field(default_factory=list)
    evidence: list[Picture] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """What they take of a page."""
        every = (self.places, self.contacts, self.curvature, self.gaps, self.thickness, self.evidence)
        return sum(len(png) for pictures in every for one in pictures for png in one.pngs)


def write_run_report(folder: Path) -> Path:
    """Write ``report.html`` from the files of a run in a folder; its path.

    Raises InputError where the folder holds no run.
    """
    record = read_record(folder / "run.json")
    if record is None:
        raise InputError(f"{folder}: holds no run.json of `surfora run`; name the folder given with -o")
    path = folder / "report.html"
    with naming(folder):
        write_page(path, run_page(folder, record))
    return path


def run_page(folder: Path, record: Mapping[str, Any]) -> Page:
    """The report of one run, from its tables, its surfaces' files and its record."""
    surfaces = read_table(folder / "surfaces.csv")
    distances = read_table(folder / "distances.csv")
    contacts, curve = read_table(folder / "contacts.csv"), read_table(folder / "contact_curve.csv")
    pictured = _pictured(folder, surfaces, distances)
    smaller = SmallerMeshes(surfaces)
    pictures = pictures_of(pictured, smaller)
    turning = _turning_sections(folder, surfaces, contacts, pictures.bytes, smaller)
    warnings = [in_words(text, surfaces) for text in record["warnings"]]
    if len(surfaces) > len(pictured):
        warnings.append(
            f"{len(pictured)} of {len(surfaces)} surfaces are pictured; the tables hold all of them"
        )
    return Page(
        "Membrane surfaces" + (" and their distances" if len(distances) else ""),
        _subtitle(record),
        [in_words(text, surfaces) for text in record["failures"].values()],
        warnings,
        _cards(surfaces, distances),
        [
            *contact_sections(distances),
            *contact_object_sections(contacts, curve, pictures.contacts, contact_address),
            *interval_sections(read_table(folder / "intervals.csv")),
            *turning,
            *_pictured_section("Where they lie", "", pictures.places),
            _surface_section(surfaces),
            *_pictured_section("Mean curvature", CURVATURE_TEXT, pictures.curvature),
            *_pictured_section("Gaps", "", pictures.gaps),
            *_pictured_section("Thickness", THICKNESS_TEXT, pictures.thickness),
            *_evidence_sections(surfaces, distances, pictures.evidence, len(pictured)),
            _provenance_section(record),
        ],
    )


def _turning_sections(
    folder: Path,
    surfaces: pd.DataFrame,
    contacts: pd.DataFrame,
    pictures_bytes: int,
    smaller: SmallerMeshes,
) -> list[Section]:
    """The surfaces that turn, in what room the pictures leave on the page; none without a surface."""
    found = run_surfaces(folder, surfaces, smaller)
    if not found:
        return []
    room = max(MOST_PAGE_BYTES - LEAST_TURNING_BYTES - pictures_bytes, LEAST_TURNING_BYTES)
    texts = ["A click on a contact in the table above turns them to it."] if len(contacts) else []
    live = live_scene(found, run_contacts(contacts), most_bytes=min(room, MOST_BYTES))
    return [Section("Surfaces that turn", texts, live=live)]


def in_words(text: str, surfaces: pd.DataFrame) -> str:
    """A warning about a surface, which begins with its NAME, with what people call the surface instead."""
    subject, colon, rest = text.partition(": ")
    if not colon or surfaces.empty:
        return text
    own = with_words(surfaces[surfaces["name"] == subject])
    return text if own.empty else f"{own['surface'].iloc[0]}: {rest}"


def _subtitle(record: Mapping[str, Any]) -> str:
    inputs = ", ".join(Path(item["path"]).name for item in record["inputs"]) or "no usable input"
    started = datetime.fromisoformat(record["started"])
    return f"Measured by SurfORA from {inputs} on {started:%-d %B %Y, %H:%M} UTC in {record['seconds']:.0f} s"


def _pictured(folder: Path, surfaces: pd.DataFrame, distances: pd.DataFrame) -> list[Pictured]:
    """The surfaces to draw: those in the closest contacts first, then the largest."""
    if surfaces.empty:
        return []
    closest = distances.set_index("name")["mean_nm"].groupby(level=0).min() if len(distances) else {}
    order = surfaces.assign(closest=surfaces["name"].map(closest)).sort_values(
        ["closest", "area_nm2"], ascending=[True, False], na_position="last"
    )
    several = surfaces["kind"].nunique() > 1
    words = with_words(surfaces).loc[order.index].to_dict("records")
    ways = with_words(distances).to_dict("records") if len(distances) else []
    found = []
    for row in words[:MOST_PICTURED]:
        path = folder / f"{full_name(row)}.vtp"
        if path.exists():
            title = surface_with_kind(across_places(row["place"], row["surface"]), row["kind"], several)
            own = {w["target"]: w["way"] for w in ways if full_name(w) == full_name(row)}
            found.append(Pictured(surface_file(path), title, own))
    return found


def pictures_of(pictured: Sequence[Pictured], smaller: SmallerMeshes) -> Pictures:
    """All pictures of the surfaces, drawn mask by mask: the meshes of one mask are in memory at a time.

    ``smaller`` takes what is left of them for the page.
    """
    drawn: dict[int, Pictures] = {}
    places: list[Picture] = []
    by_mask: dict[str, list[int]] = {}
    for rank, one in enumerate(pictured):
        by_mask.setdefault(one.file.facts.source, []).append(rank)
    for source, ranks in by_mask.items():
        together = {rank: _mesh_of(pictured[rank].file.path, smaller) for rank in ranks}
        drawn |= {rank: _drawn(pictured[rank], mesh) for rank, mesh in together.items()}
        places += _overview(Path(source).name, [(pictured[rank], mesh) for rank, mesh in together.items()])
        del together
    found = Pictures(places)
    for rank in sorted(drawn):
        for what in ("contacts", "curvature", "gaps", "thickness", "evidence"):
            getattr(found, what).extend(getattr(drawn[rank], what))
    return found


def _mesh_of(path: Path, smaller: SmallerMeshes) -> SurfaceMesh:
    """The mesh of a file, of which is taken what the page will turn."""
    mesh = read_measured(path).mesh
    smaller.take(path, mesh)
    return mesh


def _drawn(one: Pictured, mesh: SurfaceMesh) -> Pictures:
    """The pictures of one surface alone."""
    curved = [curvature_picture(mesh, one.title, one.name)] if "mean_curvature_per_nm" in mesh.data else []
    return Pictures(
        [],
        contact_pictures(mesh, one.title, one.name),
        curved,
        _gap_pictures(one, mesh),
        _thickness_pictures(one, mesh),
        _evidence_pictures(one, mesh),
    )


def _cards(surfaces: pd.DataFrame, distances: pd.DataFrame) -> list[tuple[str, str]]:
    if surfaces.empty:
        return []
    once = of_kind(surfaces, "medial", "isosurface")  # a membrane's leaflets would count it again
    cards = [("surfaces", str(len(surfaces))), ("area of all", f"{shown(once['area_nm2'].sum() / 1e6)} µm²")]
    radius = surfaces.get("radius_of_curvature_median_nm", pd.Series(dtype=float)).median()
    if np.isfinite(radius):
        cards.append(("radius of curvature, median", f"{shown(radius)} nm"))
    if len(distances):
        contacts = of_kind(contacts_of(distances), "medial")
        closest = contacts.iloc[0]
        gap = mean_and_spread(closest["mean_nm"], closest["sd_nm"]).text
        cards.append(("pairs of membranes measured", str(len(contacts))))
        cards.append((f"closest: {closest['contact']}", f"{gap} nm"))
        cards.append(("area in contact", f"{shown(contacts['contact_area_nm2'].sum())} nm²"))
    return cards


def of_kind(table: pd.DataFrame, *kinds: str) -> pd.DataFrame:
    """The rows of the first of these kinds that a table has, or all where it has none of them."""
    present = next((kind for kind in kinds if (table["kind"] == kind).any()), None)
    return table if present is None else table[table["kind"] == present]


def _overview(mask: str, together: Sequence[tuple[Pictured, SurfaceMesh]]) -> list[Picture]:
    """The membranes of a mask where they lie to each other: of each its middle, or else its boundary."""
    whole = [(one, mesh) for one, mesh in together if one.kind == "medial"]
    whole = whole or [(one, mesh) for one, mesh in together if one.kind == "isosurface"]
    own: dict[str, list[SurfaceMesh]] = {}
    for one, mesh in whole:
        own.setdefault(membrane_in_words(one.file.facts.label, one.title), []).append(mesh)
    if len(whole) < 2:
        return []
    ordered = sorted(own.items(), key=lambda item: natural_key(item[0]))
    return [picture_of(overview_figure(ordered), mask, f"{SEEN}.", broad=True)]


def _pictured_section(title: str, text: str, pictures: list[Picture]) -> list[Section]:
    return [Section(title, [text] if text else [], pictures)] if pictures else []


def contact_sections(distances: pd.DataFrame) -> list[Section]:
    """Contacts ranked, in a picture and in tables: both ways joined, and each way for itself."""
    if distances.empty:
        return []
    rank = picture_of(
        contact_rank_figure(distances),
        "Contacts, closest first",
        "Mean gap between the two membranes; the band is one standard deviation over their area.",
        broad=True,
    )
    limit = shown(distances["contact_distance_nm"].iloc[0])
    text = (
        "A gap runs from a point of a membrane to the nearest point of its partner; points count by their "
        f"area. In contact is what lies closer than {limit} nm. From one membrane to the other and back "
        "differ where one is larger."
    )
    tables = [contact_table(distances), direction_table(distances, caption="Each way for itself")]
    return [Section("Contacts", [text], [rank], tables)]


def curvature_picture(mesh: SurfaceMesh, title: str, hover: str = "") -> Picture:
    """A surface coloured by mean curvature, and the histogram of it over the area."""
    values = mesh.data["mean_curvature_per_nm"]
    figures = value_figures(
        mesh, values, "mean curvature (1/nm)", CURVATURE_COLOURS, symmetric_limits(values)
    )
    caption = f"{SEEN}; grey: no value (border). Right: share of the area."
    return picture_of(figures, title, caption, hover, broad=True)


def value_figures(
    mesh: SurfaceMesh, values: Floats, quantity: str, colours: str, limits: tuple[float, float]
) -> list[Any]:
    """A mesh coloured by vertex ``values`` (n,) within ``limits``, and their histogram over the area.

    ``quantity`` names them, with their unit; ``colours`` is a matplotlib colour map.
    """
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    return [
        surface_figure(mesh, values, quantity, colours, limits),
        histogram_figure(values, areas, quantity, histogram_span(values)),
    ]


def _gap_pictures(one: Pictured, mesh: SurfaceMesh) -> list[Picture]:
    figures: list[Picture] = []
    for target, way in one.ways.items():
        values = mesh.data.get(f"distance_to_{target}_nm")
        if values is None:
            continue
        title = surface_with_kind(way, one.kind, one.kind != "medial")
        parts = value_figures(mesh, values, "gap (nm)", DISTANCE_COLOURS, low_limits(values))
        caption = f"{SEEN}; close is bright. Right: share of the area."
        figures.append(picture_of(parts, title, caption, f"{one.name} to {target}", broad=True))
    return figures


def _thickness_pictures(one: Pictured, mesh: SurfaceMesh) -> list[Picture]:
    values = mesh.data.get("bilayer_thickness_nm", np.empty(0))
    if one.kind != "outer" or not np.isfinite(values).any():
        return []
    limits = (float(np.nanquantile(values, 0.02)), float(np.nanquantile(values, 0.98)))
    parts = value_figures(mesh, values, "thickness (nm)", "viridis", limits)
    caption = f"{SEEN}; grey: no value (beside a border). Right: share of the area."
    return [picture_of(parts, one.title, caption, one.name, broad=True)]


def _evidence_pictures(one: Pictured, mesh: SurfaceMesh) -> list[Picture]:
    """Where a middle or an outer leaflet was not measured, if that is enough of it to be seen."""
    if one.kind not in ("medial", "outer") or not _lacks_evidence(mesh):
        return []
    return [picture_of(evidence_figure(mesh, mesh.data["evidence"]), one.title, f"{SEEN}.", one.name)]


def _evidence_sections(
    surfaces: pd.DataFrame, distances: pd.DataFrame, figures: list[Picture], pictured: int
) -> list[Section]:
    """What of the surfaces the tilt series saw, and the measures with and without the rest."""
    if "extrapolated_area_share" not in surfaces:
        return []
    text = (
        "A tilt series leaves no trace of patches that face into its missing wedge (nearly along the beam): "
        "where a mask has them, they were extrapolated. Without voxels is what was closed over a hole of the "
        "mask. The tables give each measure over the whole surface and over what was measured alone."
    )
    if len(figures) < pictured:
        text += f" Surfaces of which less than {LEAST_PICTURED_SHARE:.0%} lacks evidence are not pictured."
    tables = [surface_table(surfaces, EVIDENCE_COLUMNS)]
    if "median_with_evidence_nm" in distances:
        tables.append(direction_table(distances, DISTANCE_EVIDENCE_COLUMNS))
    return [Section("What was measured", [text], figures, tables)]


def _lacks_evidence(mesh: SurfaceMesh) -> bool:
    """Whether enough of a surface was not measured for a picture to show where."""
    return "evidence" in mesh.data and area_shares(mesh)["measured_area_share"] <= 1 - LEAST_PICTURED_SHARE


def _surface_section(surfaces: pd.DataFrame) -> Section:
    if surfaces.empty:
        return Section("Surfaces", ["No surface could be made; what stands above says why."])
    return Section(
        "Surfaces",
        [
            "Point at a heading for its meaning, click it to sort. All numbers are in surfaces.csv.",
            *filled_in_words(surfaces),
        ],
        tables=[surface_table(surfaces)],
    )


def filled_in_words(surfaces: pd.DataFrame) -> list[str]:
    """A sentence on the surfaces that are boundaries of filled bodies; none where all are sheets."""
    if "filled" not in surfaces:
        return []
    filled = with_words(surfaces[surfaces["filled"].astype(str) == "True"])
    if filled.empty:
        return []
    names = [across_places(row["place"], row["surface"]) for row in filled.to_dict("records")]
    return [f"Measured by the boundary, since the mask is filled and no thin sheet: {'; '.join(names)}."]


def _provenance_section(record: Mapping[str, Any]) -> Section:
    inputs, stages = pd.DataFrame(record["inputs"]), pd.DataFrame(record["stages"])
    tables = [table_of(inputs, PROVENANCE_COLUMNS, "Files measured")] if len(inputs) else []
    if len(stages):
        by_stage = stages.groupby("stage", sort=False)["seconds"].agg(["count", "sum"]).reset_index()
        tables.append(table_of(by_stage, PROVENANCE_COLUMNS, "Time spent"))
    return Section(
        "Provenance: files, versions, settings and times",
        [f"Run {record['id']}: {record['command']}", f"{record['machine']}; {_versions(record)}"],
        tables=tables,
        details=[("Settings of this run", json.dumps(record["settings"], indent=2))],
        folded=True,
    )


def _versions(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in record["versions"].items())
