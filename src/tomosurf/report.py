"""The report of a project: ROIs found and their scores, surfaces and distances pooled over tomograms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from surfora.geometry.surface import SIGN_CONVENTION
from surfora.measures.pairs import read_measured
from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.contact_objects import contact_object_table
from surfora.reporting.contacts import contacts_of
from surfora.reporting.naming import across_places, full_name, with_words
from surfora.reporting.report import contact_sections, curvature_picture, in_words, of_kind
from surfora.reporting.shown_tables import surface_table
from surfora.reporting.tables import read_table, write_table
from tomocore.columns import ROI_COLUMNS, Column, column_of
from tomocore.contract import InputError
from tomocore.locks import one_run
from tomocore.page import Cell, Page, Section, Table, picture_of, shown, table_of, write_page
from tomocore.provenance import read_record
from tomocore.roiset import read_rois, union_mask
from tomocore.volumes.formats import read_volume
from tomorois.evaluation.evaluate import Evaluation, write_evaluation
from tomorois.evaluation.files import EvaluateRequest, evaluate_files
from tomorois.evaluation.report import cautions, score_cards, score_section
from tomosurf.project import Project, TomogramPlan
from tomosurf.statistics import summary_over_tomograms
from tomosurf.statistics.report_section import compared_project

POOLED = {
    "rois": ROI_COLUMNS,
    "surfaces": COLUMNS,
    "distances": COLUMNS,
    "contacts": OBJECT_COLUMNS,
    "contact_curve": CURVE_COLUMNS,
}
"""The tables of tomograms that are pooled, and the columns whose order they take."""
MOST_PICTURED = 8
SUMMARISED = ("mean_nm", "min_nm", "contact_area_nm2", "contact_mean_nm")
SUMMARISED_SURFACES = ("area_nm2", "mean_curvature_median_per_nm", "roughness_median_nm")
SUMMARY_COLUMNS = (
    Column("measure", "measure"),
    Column("unit", "unit"),
    Column("places", "rows", meaning="ways between surfaces, or surfaces, that were measured"),
    Column("tomograms", "tomograms"),
    Column("mean", "mean", meaning="mean of the tomograms' means"),
    Column("low", "95 % interval from", meaning="lower end of the 95 % interval"),
    Column("high", "to", meaning="upper end of the 95 % interval"),
)


@dataclass(frozen=True)
class PooledTables:
    """The ROIs, surfaces, distances and contacts of all tomograms, each with a column "tomogram"."""

    rois: pd.DataFrame
    surfaces: pd.DataFrame
    distances: pd.DataFrame
    contacts: pd.DataFrame
    contact_curve: pd.DataFrame


def write_project_report(project: Project) -> Path:
    """Write report.html, the pooled tables and, where truth is given, metrics.json; the report's path."""
    with one_run(project.output):
        return _report_written(project)


def _report_written(project: Project) -> Path:
    tables = pooled_tables(project)
    for name, columns in POOLED.items():
        write_table(project.output / f"{name}.csv", getattr(tables, name).to_dict("records"), columns)
    evaluation = evaluate_project(project)
    if evaluation is not None:
        write_evaluation(project.output / "metrics.json", evaluation)
    failures, warnings = _failures_and_warnings(project)
    compared = compared_project(project.output, project.table)
    page = Page(
        f"Project {project.folder.resolve().name}",
        f"{_counted(project)}; ROIs found by {Path(project.settings.model).name}",
        failures,
        [*warnings, *compared.warnings, *([] if evaluation is None else cautions(evaluation))],
        _cards(tables, evaluation),
        [
            _rois_section(project, tables.rois),
            *([] if evaluation is None else [score_section(evaluation)]),
            *_contact_sections(tables.contacts),
            *contact_sections(tables.distances),
            *_surface_sections(project, tables.surfaces),
            *compared.sections,
            *_summary_sections(tables),
        ],
    )
    path = project.output / "report.html"
    write_page(path, page)
    return path


def _counted(project: Project) -> str:
    """``12 tomograms, 2 left out``."""
    left_out = len(project.plans) - len(project.included)
    return f"{len(project.included)} tomograms" + (f", {left_out} left out" if left_out else "")


def pooled_tables(project: Project) -> PooledTables:
    """The tables of all tomograms that have results."""
    rois = [
        _with_tomogram(read_rois(plan.rois).table, plan) for plan in project.included if plan.rois.exists()
    ]
    parts = {
        name: _pooled(
            [_with_tomogram(read_table(plan.surfaces / f"{name}.csv"), plan) for plan in project.included]
        )
        for name in POOLED
        if name != "rois"
    }
    return PooledTables(rois=_pooled(rois), **parts)


def evaluate_project(project: Project) -> Evaluation | None:
    """Scores of the ROIs against the truth, over the tomograms that have both; None where none has."""
    plans = [plan for plan in project.included if plan.truth and plan.truth.exists() and plan.rois.exists()]
    if not plans:
        return None
    sizes = {plan.voxel_size_nm for plan in plans}
    request = EvaluateRequest(
        predicted=[plan.rois for plan in plans],
        truth=[plan.truth for plan in plans if plan.truth],
        model=project.model if project.model.is_file() else None,
        voxel_size_nm=sizes.pop() if len(sizes) == 1 else None,
        resample=project.settings.resample,
    )
    return evaluate_files(request, project.settings.evaluate, project.settings.instances)


def _with_tomogram(table: pd.DataFrame, plan: TomogramPlan) -> pd.DataFrame:
    """The table with its tomogram in front, and the condition and grid that the project's table gives it."""
    told = {"condition": plan.row.condition, "grid": plan.row.grid}
    known = {"tomogram": plan.stem} | {name: value for name, value in told.items() if value}
    return table.assign(**known)[[*known, *table.columns]]


def _pooled(tables: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _failures_and_warnings(project: Project) -> tuple[list[str], list[str]]:
    """Failures of the last run; each warning of it and of the tomograms' own runs, once."""
    failures: list[str] = []
    record = _record(project.output / "run.json", failures)
    failures += record.get("failures", {}).values()
    warnings = list(dict.fromkeys(record.get("warnings", [])))
    for plan in project.included:
        surfaces = read_table(plan.surfaces / "surfaces.csv")
        for text in _record(plan.surfaces / "run.json", failures).get("warnings", []):
            words = f"{plan.stem}: {in_words(text, surfaces)}"
            if text not in warnings and words not in warnings:
                warnings.append(words)
    return failures, warnings


def _record(path: Path, failures: list[str]) -> dict[str, Any]:
    """The record of a run, empty where there is none; one that is damaged is told among the failures."""
    try:
        return read_record(path) or {}
    except InputError as error:
        failures.append(str(error))
        return {}


def _cards(tables: PooledTables, evaluation: Evaluation | None) -> list[tuple[str, str]]:
    cards = [("ROIs found", str(len(tables.rois))), ("surfaces measured", str(len(tables.surfaces)))]
    if len(tables.distances):
        gaps = of_kind(contacts_of(tables.distances), "medial")["mean_nm"]
        cards.append(("gap of a contact, median", f"{shown(gaps.median())} nm"))
    return cards + ([] if evaluation is None else score_cards(evaluation))


def _rois_section(project: Project, rois: pd.DataFrame) -> Section:
    plans = [plan for plan in project.included if plan.rois.exists()][:MOST_PICTURED]
    figures = [picture_of(slice_figure(plan, project), plan.stem) for plan in plans]
    text = "Each tomogram's slice with most ROI voxels. Orange: ROIs found; dashed blue: true ROIs, if known."
    tables = [roi_table(rois)] if len(rois) else []
    return Section("Regions of interest", [text], figures, tables)


def roi_table(rois: pd.DataFrame) -> Table:
    """A row a region of interest under its tomogram; "1:2" of its membranes reads "1 and 2"."""
    worded = rois.assign(membranes=[str(m).replace(":", " and ") for m in rois["membranes"].fillna("")])
    return table_of(worded, ROI_COLUMNS, group="tomogram")


def slice_figure(plan: TomogramPlan, project: Project) -> Figure:
    """The tomogram's slice with most ROI voxels, with the outlines of ROIs and truth."""
    edge_nm, resample = plan.voxel_size_nm, project.settings.resample
    tomogram = read_volume(plan.tomogram, edge_nm, lazy=True, resample=resample)
    found = union_mask(read_rois(plan.rois)).data
    known = None
    if plan.truth and plan.truth.exists():
        known = union_mask(read_rois(plan.truth, edge_nm, resample=resample)).data
    counted = found if found.any() or known is None else known
    at = int(np.argmax(counted.sum(axis=(1, 2))))
    grey = np.asarray(tomogram.data[at], dtype=np.float32)
    x_nm, y_nm, _ = tomogram.size_nm
    extent = (0.0, x_nm, 0.0, y_nm)
    figure = Figure(figsize=(4.6, 4.6 * y_nm / x_nm), layout="constrained")
    axes = figure.subplots()
    low, high = np.quantile(grey, (0.01, 0.99))
    axes.imshow(grey, cmap="gray", vmin=low, vmax=high, extent=extent, origin="lower")
    for mask, colour, style in ((known, "#3aa0ff", "dashed"), (found, "#ff8c1a", "solid")):
        if mask is not None and mask[at].any():
            axes.contour(mask[at], [0.5], colors=colour, linestyles=style, linewidths=1.3, extent=extent)
    axes.set_xlabel("x (nm)")
    axes.set_ylabel("y (nm)")
    axes.set_title(f"slice {at}", fontsize=9)
    return figure


def _contact_sections(contacts: pd.DataFrame) -> list[Section]:
    """A row a contact of all tomograms, to be searched, sorted and filtered."""
    if contacts.empty:
        return []
    text = (
        "A contact is a connected area of one membrane nearer to the other one than the threshold, together "
        "with the area that faces it. Find rows by words and by numbers: t1 gap<20 area>1000."
    )
    return [Section("Contacts of all tomograms", [text], tables=[contact_object_table(contacts)])]


def _surface_sections(project: Project, surfaces: pd.DataFrame) -> list[Section]:
    if surfaces.empty:
        return []
    figures = []
    worded = with_words(surfaces).sort_values("area_nm2", ascending=False)
    for row in worded.head(MOST_PICTURED).to_dict("records"):
        folder = next(plan.surfaces for plan in project.included if plan.stem == row["tomogram"])
        surface = read_measured(folder / f"{full_name(row)}.vtp")
        if "mean_curvature_per_nm" in surface.mesh.data:
            title = across_places(row["place"], row["surface"])
            figures.append(curvature_picture(surface.mesh, title, surface.path.name))
    text = (
        f"Mean curvature of the largest, {len(figures)} of {len(surfaces)}; the reports in surfaces/ show "
        f"the others. {SIGN_CONVENTION}."
    )
    return [Section("Surfaces of all tomograms", [text], figures, [surface_table(surfaces)])]


def _summary_sections(tables: PooledTables) -> list[Section]:
    parts: list[Any] = []
    for table, measures in ((tables.distances, SUMMARISED), (tables.surfaces, SUMMARISED_SURFACES)):
        known = [measure for measure in measures if measure in table]
        if known:
            parts.append(summary_over_tomograms(table, known))
    if not parts:
        return []
    text = (
        "Mean of the tomograms' means, with a 95 % interval from resampling tomograms and the places within "
        "them; places of one tomogram are not independent."
    )
    summary = pd.concat(parts, ignore_index=True)
    told = [column_of(key, COLUMNS) for key in summary["measure"]]
    summary["measure"] = [Cell(c.heading, hover=c.explanation) for c in told]
    summary.insert(1, "unit", [column.unit for column in told])
    return [Section("Over tomograms", [text], tables=[table_of(summary, SUMMARY_COLUMNS)])]
