"""The report of a project: failures, tomograms, what differs, contacts, surfaces, methods, provenance."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from surfora.geometry.surface import SIGN_CONVENTION
from surfora.measures.distance_pairs import read_measured
from surfora.reporting.columns import COLUMNS, DISTANCE_COLUMNS, SURFACE_COLUMNS
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.contact_objects import contact_object_table
from surfora.reporting.contacts import contacts_of
from surfora.reporting.interval_columns import FILE as INTERVALS
from surfora.reporting.interval_columns import INTERVAL_COLUMNS
from surfora.reporting.interval_page import interval_sections
from surfora.reporting.naming import across_places, full_name, with_words
from surfora.reporting.report import contact_sections, curvature_picture, in_words, of_kind
from surfora.reporting.shown_tables import surface_table
from surfora.reporting.tables import read_table, write_table
from surfora.reporting.turning import contact_address
from tomocore.columns import ROI_COLUMNS, Column, column_of
from tomocore.contract import NOBODY, InputError, Watcher
from tomocore.files import writable_folder
from tomocore.locks import one_run
from tomocore.page import Cell, Page, Section, shown, table_of, write_page
from tomorois.evaluation.evaluate import Evaluation, write_evaluation
from tomorois.evaluation.files import EvaluateRequest, evaluate_files
from tomorois.evaluation.report import cautions, score_cards, score_section
from tomosurf.pages.methods import methods_section
from tomosurf.pages.numbers import FILE as NUMBERS
from tomosurf.pages.numbers import write_numbers
from tomosurf.pages.overview import PAGE as OVERVIEW
from tomosurf.pages.overview import names_of, tiles_of, write_overview_page
from tomosurf.pages.pictures import LEGEND
from tomosurf.pages.runs import (
    ProjectRuns,
    cautions_of_runs,
    rounds_trained,
    runs_of,
    trace_section,
    training_sections,
)
from tomosurf.pages.tomogram_page import page_link, page_path, roi_table, write_tomogram_page
from tomosurf.project import Project, TomogramPlan
from tomosurf.report_record import REPORT, recorded_report
from tomosurf.rounds import damaged_judgements, shown_path, shown_rois, stale_line
from tomosurf.statistics import summary_over_tomograms
from tomosurf.statistics.files import PAGE as COMPARISON_PAGE
from tomosurf.statistics.files import CompareRequest
from tomosurf.statistics.report_section import FOLDER as COMPARISON
from tomosurf.statistics.report_section import compared_project
from tomosurf.status import left_over, outdated

log = logging.getLogger(__name__)

POOLED = {
    "rois": ROI_COLUMNS,
    "surfaces": SURFACE_COLUMNS,
    "distances": DISTANCE_COLUMNS,
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
    intervals: pd.DataFrame


def write_project_report(project: Project, watcher: Watcher = NOBODY) -> Path:
    """Write report.html and all that it leads to; its path.

    These are a page a tomogram, overview.html, report.json, the pooled tables and, where truth is given,
    metrics.json. A tomogram's page that is there and made of the same is kept. Of a project of some tomograms
    all but these pages lie in a folder named after their list.
    """
    with one_run(project.output), writable_folder(project.report_folder), recorded_report(project) as written:
        path = _report_written(project, watcher)
        written += _files_of(project)
    return path


def _files_of(project: Project) -> list[Path]:
    """The files of the report, as far as each is there."""
    folder = project.report_folder
    names = [REPORT, OVERVIEW, NUMBERS, "metrics.json", f"{COMPARISON}/{COMPARISON_PAGE}"]
    tables = [folder / f"{name}.csv" for name in (*POOLED, "intervals")]
    pages = [page_path(project, plan) for plan in project.included]
    return [*(folder / name for name in names), *tables, *pages]


def _report_written(project: Project, watcher: Watcher) -> Path:
    tables = pooled_tables(project)
    written = _pooled_tables_written(project, tables)
    evaluation, unscored = _scored(project)
    runs = runs_of(project)
    failures = [*runs.damaged, *_failures(project, runs), *unscored]
    compared = compared_project(_comparison(project), watcher)
    warnings = [
        *_warnings(project, runs),
        *cautions_of_runs(runs, project),
        *stale_line(project),
        *outdated(project),
        *left_over(project),
        *compared.warnings,
        *([] if evaluation is None else cautions(evaluation)),
    ]
    warnings += _tomogram_pages(project, runs, watcher)
    tiles, without = tiles_of(project, watcher)
    warnings += [f"{name} has no picture: {line}" for name, line in without.items()]
    path = project.report_folder / REPORT
    summary = _summary(tables)
    rounds = rounds_trained(project)
    page = Page(
        f"Project {project.folder.resolve().name}",
        f"{_counted(project)}; ROIs found by {project.model.name}",
        failures,
        warnings,
        _cards(tables, evaluation),
        [
            Section("Tomograms", [f"Each leads to its page. {LEGEND}"], tiles=tiles),
            *compared.sections,
            *_contact_sections(project, tables.contacts),
            *contact_sections(tables.distances),
            *_surface_sections(project, tables.surfaces),
            *interval_sections(tables.intervals, has_table=False),
            *_summary_sections(summary),
            *([] if evaluation is None else [score_section(evaluation)]),
            *_rois_sections(tables.rois),
            *training_sections(rounds),
            methods_section(project, runs, _kinds(tables.surfaces), compared.methods),
            trace_section(runs, project),
        ],
        [("all tomograms in one picture each", OVERVIEW), ("all numbers as JSON", NUMBERS)],
    )
    write_numbers(
        project,
        runs,
        {name: getattr(tables, name) for name in written},
        (failures, warnings),
        {
            "rounds": rounds,
            "over_tomograms": summary.to_dict("records"),
            "scores": {} if evaluation is None else evaluation.scores,
            "comparisons": compared.rows,
        },
    )
    write_page(path, page)
    write_overview_page(project, tiles, without)
    return path


def _pooled_tables_written(project: Project, tables: PooledTables) -> list[str]:
    """Names of the tables that are written; a table of intervals that no run made any of is taken away."""
    folder = project.report_folder
    for name, columns in POOLED.items():
        write_table(folder / f"{name}.csv", getattr(tables, name).to_dict("records"), columns)
    if not len(tables.intervals):
        (folder / INTERVALS).unlink(missing_ok=True)
        return list(POOLED)
    write_table(folder / INTERVALS, tables.intervals.to_dict("records"), INTERVAL_COLUMNS)
    return [*POOLED, "intervals"]


def _failures(project: Project, runs: ProjectRuns) -> list[str]:
    """What failed last, of the tomograms that the report is of, and what was judged and is damaged."""
    failed: Mapping[str, str] = runs.project.get("failures", {})
    others = set(project.stems) - {plan.stem for plan in project.plans}
    last = [line for name, line in failed.items() if name not in others]
    return [*last, *(line for line in damaged_judgements(project) if line not in last)]


def _comparison(project: Project) -> CompareRequest:
    """How the tomograms' own tables are compared; of one where nothing was found, the pooled have no row."""
    folders = [plan.surfaces for plan in project.included if any(plan.surfaces.glob("*.csv"))]
    tables = [shown_path(plan).with_suffix(".csv") for plan in project.included]
    rois = [path for path in tables if path.is_file()]
    return CompareRequest(
        (*folders, *rois),
        project.report_folder / COMPARISON,
        project.table,
        project.settings.compare,
        () if project.only is None else tuple(plan.row.name for plan in project.plans),
        overwrite=True,
    )


def _kinds(surfaces: pd.DataFrame) -> list[str]:
    return list(surfaces["kind"].unique()) if len(surfaces) else []


def _tomogram_pages(project: Project, runs: ProjectRuns, watcher: Watcher) -> list[str]:
    """Write the page of each tomogram that counts; what pages lack."""
    lacking = []
    failed = runs.project.get("failures", {})
    with watcher.progress("pages of tomograms") as progress:
        for k, plan in enumerate(project.included):
            progress(k, len(project.included))
            found = write_tomogram_page(project, plan, runs, failed.get(plan.stem, ""))
            lacking += [f"{plan.stem}: {line}" for line in found]
    return lacking


def _counted(project: Project) -> str:
    """``12 tomograms, 2 left out``."""
    left_out = len(project.plans) - len(project.included)
    words = f"{len(project.included)} tomograms"
    if project.only is not None:
        words = f"{len(project.included)} of {len(project.stems)} tomograms, those in {project.only.name}"
    return words + (f", {left_out} left out" if left_out else "")


def pooled_tables(project: Project) -> PooledTables:
    """The tables of all tomograms that have results."""
    found = ((plan, shown_rois(plan)) for plan in project.included)
    rois = [_with_tomogram(one.table, plan) for plan, one in found if one is not None]
    parts = {
        name: _pooled(
            [_with_tomogram(read_table(plan.surfaces / f"{name}.csv"), plan) for plan in project.included]
        )
        for name in (*POOLED, "intervals")
        if name != "rois"
    }
    return PooledTables(rois=_pooled(rois), **parts)


def _scored(project: Project) -> tuple[Evaluation | None, list[str]]:
    """The scores, written to metrics.json, and why there are none where truth cannot be used."""
    path = project.report_folder / "metrics.json"
    try:
        evaluation = evaluate_project(project)
    except InputError as error:
        log.warning("ROIs are not scored: %s", error)
        path.unlink(missing_ok=True)  # of a report that had scores
        return None, [f"ROIs are not scored: {error}"]
    if evaluation is not None:
        write_evaluation(path, evaluation)
    return evaluation, []


def evaluate_project(project: Project) -> Evaluation | None:
    """Scores of the ROIs against the truth, over the tomograms that have both; None where none has."""
    plans = [plan for plan in project.included if plan.truth and plan.truth.exists() and plan.rois.exists()]
    if not plans:
        return None
    request = EvaluateRequest(
        predicted=[plan.rois for plan in plans],
        truth=[plan.truth for plan in plans if plan.truth],
        model=project.model if project.model.is_file() else None,
        resample=project.settings.resample,
        edges_nm={plan.rois: plan.voxel_size_nm for plan in plans if plan.voxel_size_nm},
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


def _warnings(project: Project, runs: ProjectRuns) -> list[str]:
    """Each warning of the last run and of the tomograms' own runs, once."""
    warnings = list(dict.fromkeys(runs.project.get("warnings", [])))
    for stem, record in runs.surfaces.items():
        folder = next(plan.surfaces for plan in project.included if plan.stem == stem)
        surfaces = read_table(folder / "surfaces.csv")
        for text in record["warnings"]:
            words = f"{stem}: {in_words(text, surfaces)}"
            if text not in warnings and words not in warnings:
                warnings.append(words)
    return warnings


def _cards(tables: PooledTables, evaluation: Evaluation | None) -> list[tuple[str, str]]:
    cards = [("ROIs found", str(len(tables.rois))), ("surfaces measured", str(len(tables.surfaces)))]
    if len(tables.distances):
        gaps = of_kind(contacts_of(tables.distances), "medial")["mean_nm"]
        cards.append(("gap of a contact, median", f"{shown(gaps.median())} nm"))
    return cards + ([] if evaluation is None else score_cards(evaluation))


def _rois_sections(rois: pd.DataFrame) -> list[Section]:
    """A row a region of interest of all tomograms."""
    return [Section("Regions of interest", tables=[roi_table(rois, "tomogram")])] if len(rois) else []


def _contact_sections(project: Project, contacts: pd.DataFrame) -> list[Section]:
    """A row a contact of all tomograms, to be searched, sorted and filtered, each a link to the place."""
    if contacts.empty:
        return []
    text = (
        "A contact is a connected area of one membrane nearer to the other one than the threshold, together "
        "with the area that faces it. Click one to see it in its tomogram. Find by words and numbers: "
        "wt gap<20 area>1000."
    )
    pages = {plan.stem: page_link(project, plan) for plan in project.included}
    table = contact_object_table(contacts, lambda row: contact_address(row, pages[row["tomogram"]]))
    titles = {plan.stem: ", ".join((plan.stem, *names_of(plan))) for plan in project.included}
    groups = [replace(group, title=titles[group.title]) for group in table.groups]
    table = replace(table, groups=groups)
    return [Section("Contacts of all tomograms", [text], tables=[table])]


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
        f"Mean curvature of the largest, {len(figures)} of {len(surfaces)}; the pages of "
        f"tomograms show all of them. {SIGN_CONVENTION}."
    )
    return [Section("Surfaces of all tomograms", [text], figures, [surface_table(surfaces)])]


def _summary(tables: PooledTables) -> pd.DataFrame:
    """A row a measure: its mean over tomograms with an interval; empty where nothing was measured."""
    parts: list[Any] = []
    for table, measures in ((tables.distances, SUMMARISED), (tables.surfaces, SUMMARISED_SURFACES)):
        known = [measure for measure in measures if measure in table]
        if known:
            parts.append(summary_over_tomograms(table, known))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _summary_sections(summary: pd.DataFrame) -> list[Section]:
    if summary.empty:
        return []
    text = (
        "Mean of the tomograms' means, with a 95 % interval from resampling tomograms and the places within "
        "them; places of one tomogram are not independent."
    )
    told = [column_of(key, COLUMNS) for key in summary["measure"]]
    worded = summary.assign(measure=[Cell(c.heading, hover=c.explanation) for c in told])
    worded.insert(1, "unit", [column.unit for column in told])
    return [Section("Over tomograms", [text], tables=[table_of(worded, SUMMARY_COLUMNS)])]
