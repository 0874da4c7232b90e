"""tomograms/<stem>.html: a tomogram's surfaces that turn, its contacts, ROIs, numbers and what made them."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from surfora.reporting.contact_objects import contact_object_table
from surfora.reporting.interval_columns import FILE as INTERVALS
from surfora.reporting.interval_page import interval_sections
from surfora.reporting.report import in_words
from surfora.reporting.shown_tables import surface_table
from surfora.reporting.tables import read_table
from surfora.reporting.turning import contact_address, run_contacts, run_surfaces
from surfora.viewer.scene import SceneSurface, live_scene
from surfora.viewer.slices import Slices, slices_of
from tomocore.columns import ROI_COLUMNS
from tomocore.contract import InputError
from tomocore.files import writable_folder
from tomocore.page import Page, Section, Table, address_of, shown, table_of, write_page
from tomocore.volumes.formats import read_volume
from tomosurf.pages.runs import SOFTWARE, ProjectRuns, versions_text
from tomosurf.project import Project, TomogramPlan
from tomosurf.rounds import shown_path, shown_rois

FOLDER = "tomograms"
MADE_OF = "made-of"
VERSION = 2
"""Of what this file puts on a page; raise it, and pages are written anew."""
MARGIN_NM = 20.0
"""Of the slices below and above the surfaces."""


def page_path(project: Project, plan: TomogramPlan) -> Path:
    """Where a tomogram's page lies."""
    return project.output / FOLDER / f"{plan.stem}.html"


def page_link(project: Project, plan: TomogramPlan) -> str:
    """The way to a tomogram's page from the project's report."""
    return f"{project.way_to_output}{FOLDER}/{page_path(project, plan).name}"


def write_tomogram_page(
    project: Project, plan: TomogramPlan, runs: ProjectRuns, failure: str = ""
) -> list[str]:
    """Write the page of a tomogram, unless it is there and made of the same; what it lacks and why.

    ``failure`` is what ended its last run, if anything did.
    """
    path = page_path(project, plan)
    state = _state(project, plan, runs, failure)
    if path.exists() and _is_made_of(state, path):
        return []
    page, lacking = tomogram_page(project, plan, runs, failure)
    page.note = f"{MADE_OF} {state}"
    with writable_folder(path.parent):
        write_page(path, page)
    return lacking


def _is_made_of(state: str, path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 400, 0))
        return f"{MADE_OF} {state}".encode() in file.read()


def tomogram_page(
    project: Project, plan: TomogramPlan, runs: ProjectRuns, failure: str = ""
) -> tuple[Page, list[str]]:
    """The page of a tomogram, and what it lacks and why.

    ``runs`` are the project's records, ``failure`` what ended the tomogram's last run, if anything did.
    """
    surfaces, contacts = (read_table(plan.surfaces / f"{name}.csv") for name in ("surfaces", "contacts"))
    found = shown_rois(plan)
    rois = pd.DataFrame() if found is None else found.table
    record = runs.surfaces.get(plan.stem, {})
    warnings = [in_words(text, surfaces) for text in record.get("warnings", [])]
    lacking: list[str] = []
    sections = [
        *_turning_sections(project, plan, surfaces, contacts, lacking),
        *_contact_sections(contacts),
        *([Section("Surfaces", tables=[surface_table(surfaces)])] if len(surfaces) else []),
        *interval_sections(read_table(plan.surfaces / INTERVALS)),
        *([Section("Regions of interest", tables=[roi_table(rois)])] if len(rois) else []),
        _trace(plan, runs),
    ]
    told = ", ".join(word for word in (plan.row.condition, plan.row.grid) if word)
    page = Page(
        plan.stem,
        f"Tomogram of project {project.folder.resolve().name}" + (f": {told}" if told else ""),
        [failure] if failure else [],
        warnings + lacking,
        [
            ("ROIs", str(len(rois))),
            ("surfaces", str(len(surfaces))),
            ("contacts", str(len(contacts))),
            *_gap_card(contacts),
        ],
        sections,
        _links(project, plan),
    )
    return page, lacking


def roi_table(rois: pd.DataFrame, group: str | None = None) -> Table:
    """A row a region of interest, under its tomogram where ``group`` names that column.

    "1:2" of its membranes reads "1 and 2".
    """
    worded = rois.assign(membranes=[str(m).replace(":", " and ") for m in rois["membranes"].fillna("")])
    kept = [column for column in worded if column not in ("condition", "grid")]
    return table_of(worded[kept], ROI_COLUMNS, group=group)


def _links(project: Project, plan: TomogramPlan) -> list[tuple[str, str]]:
    links = [("report of the project", "../report.html"), ("all tomograms", "../overview.html")]
    report = plan.surfaces / "report.html"
    if report.exists():
        own = Path("..") / report.relative_to(project.output)
        links.append(("pictures and histograms of its surfaces", address_of(own.as_posix())))
    return links


def _gap_card(contacts: pd.DataFrame) -> list[tuple[str, str]]:
    if contacts.empty:
        return []
    return [("gap of a contact, median", f"{shown(contacts['gap_mean_nm'].median())} nm")]


def _turning_sections(
    project: Project,
    plan: TomogramPlan,
    surfaces: pd.DataFrame,
    contacts: pd.DataFrame,
    lacking: list[str],
) -> list[Section]:
    """The surfaces within the tomogram's slices; what cannot be read is told in ``lacking``."""
    found = run_surfaces(plan.surfaces, surfaces) if len(surfaces) else []
    if not found:
        return []
    slices = None
    try:
        slices = _slices(project, plan, found)
    except InputError as error:
        lacking.append(f"no slices are shown: {error}")
    return [Section("Surfaces in the tomogram", live=live_scene(found, run_contacts(contacts), slices))]


def _slices(project: Project, plan: TomogramPlan, surfaces: Sequence[SceneSurface]) -> Slices:
    """Slices of the tomogram about the surfaces, where the membranes' header puts these."""
    edge_nm, resample = plan.voxel_size_nm, project.settings.resample
    tomogram = read_volume(plan.tomogram, edge_nm, lazy=True, resample=resample)
    membranes = read_volume(plan.membranes, edge_nm, lazy=True, resample=resample)
    placed = replace(tomogram, origin_nm=membranes.origin_nm)
    z_nm = [(one.mesh.vertices[:, 2].min(), one.mesh.vertices[:, 2].max()) for one in surfaces]
    low, high = np.min(z_nm, axis=0)[0], np.max(z_nm, axis=0)[1]
    return slices_of(placed, float(low) - MARGIN_NM, float(high) + MARGIN_NM)


def _contact_sections(contacts: pd.DataFrame) -> list[Section]:
    if contacts.empty:
        return []
    text = "Click a contact: the surfaces turn to it. Find rows by words and by numbers: gap<20 area>1000."
    return [Section("Contacts", [text], tables=[contact_object_table(contacts, contact_address)])]


def _trace(plan: TomogramPlan, runs: ProjectRuns) -> Section:
    """What this tomogram's numbers come from."""
    record: Mapping[str, object] = runs.surfaces.get(plan.stem, {})
    made_by = runs.maps.get(plan.stem, {})
    texts = [f"Tomogram {plan.tomogram}", f"Membranes {plan.membranes}"]
    details = []
    if record:
        texts.append(f"Surfaces: run {record['id']}, {record['started']}: {record['command']}")
        texts.append(versions_text(record["versions"]))  # type: ignore[arg-type]
        inputs = "\n".join(f"{i['path']}  {i['sha256']}" for i in record["inputs"])  # type: ignore[attr-defined]
        details = [("Inputs, with SHA-256", inputs), ("Settings", _lines(record["settings"]))]  # type: ignore[arg-type]
    if made_by:
        details.append(("Confidence map", _lines(made_by)))
    return Section("Inputs, settings, versions", texts, details=details, folded=True)


def _lines(values: Mapping[str, object]) -> str:
    return "\n".join(f"{key} = {value}" for key, value in values.items())


def _state(project: Project, plan: TomogramPlan, runs: ProjectRuns, failure: str) -> str:
    """A hash of all that a page is made of, by the times and sizes of files."""
    files = [
        plan.tomogram,
        plan.membranes,
        shown_path(plan),
        plan.surfaces / "run.json",
        plan.surfaces / "contacts.csv",
        plan.surfaces / INTERVALS,
    ]
    stamps = [(str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files if f.is_file()]
    told = [stamps, failure, plan.row, project.folder.resolve().name, runs.maps.get(plan.stem), VERSION]
    return hashlib.sha256(repr([*told, importlib.metadata.version(SOFTWARE)]).encode()).hexdigest()
