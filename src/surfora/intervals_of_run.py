"""`surfora run --intervals`: all measured again on disturbed masks, and so an interval for each value."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from surfora.batch import RunOutcome, run_masks
from surfora.masks.border_doubt import MapsOfConfidence
from surfora.masks.perturbed import Perturbation
from surfora.measures.intervals import Draw, drawn, interval_of
from surfora.planning import RunRequest, confidence_maps
from surfora.reporting.interval_columns import FILE, INTERVAL_COLUMNS, KEYS, TABLES, lowest, takes_interval
from surfora.reporting.report import write_run_report
from surfora.reporting.tables import write_table
from surfora.settings import SurforaSettings
from tomocore.contract import NOBODY, InputError, Progress, Watcher, no_progress, told_before

Row = Mapping[str, Any]


def run_with_intervals(
    request: RunRequest, settings: SurforaSettings, watcher: Watcher = NOBODY
) -> RunOutcome:
    """A run as `run_masks` does it, and ``intervals.csv``: a 95 % interval for each value of its tables.

    All masks are measured ``settings.intervals.repeats`` times more, each time with their borders moved and
    all else that is uncertain drawn anew, in a folder that is deleted again. A membrane that fails then, or a
    contact that is not found, leaves that repeat out. Raises InputError as `run_masks` does, and for a map of
    confidence that is none, or is not of its mask.
    """
    maps = confidence_maps(request, settings.intervals.confidence_error)
    for mask in maps.by_mask:
        maps.require_fit(mask)
    outcome = run_masks(request, settings, watcher)
    if outcome.report is None:
        return outcome
    with watcher.progress("intervals") as progress:
        rows = intervals_of(outcome, request, settings, progress)
    write_table(request.folder / FILE, rows, INTERVAL_COLUMNS)
    outcome.report = write_run_report(request.folder)
    return outcome


def intervals_of(
    outcome: RunOutcome, request: RunRequest, settings: SurforaSettings, progress: Progress = no_progress
) -> list[dict[str, Any]]:
    """The rows of intervals.csv: one for each value in the tables of a run.

    ``outcome`` is what the run of ``request`` with ``settings`` gave; ``progress`` is told of the repeats.
    """
    draws = drawn(settings.intervals)
    maps = confidence_maps(request, settings.intervals.confidence_error)
    repeats = []
    for done, draw in enumerate(draws, start=1):
        repeats.append(_repeated(request, settings, draw, maps))
        progress(done, len(draws))
    return [row for table in TABLES for row in _interval_rows(table, outcome, repeats)]


def _repeated(
    request: RunRequest, settings: SurforaSettings, draw: Draw, maps: MapsOfConfidence
) -> dict[str, list[Row]]:
    """The tables of one repeat, by name; places are scaled back to the voxel edge of the run."""
    chosen = settings.intervals
    how = Perturbation(draw.seed, chosen.border_voxels, chosen.correlation_voxels, draw.voxel_factor, maps)
    with tempfile.TemporaryDirectory(prefix="surfora-intervals-") as folder, told_before():
        asked = replace(request, folder=Path(folder), overwrite=True, perturbation=how)
        try:
            made = run_masks(asked, _redrawn(settings, draw))
        except InputError:
            return {table: [] for table in TABLES}
    tables: dict[str, list[Row]] = {table: getattr(made, table) for table in TABLES}
    tables["contacts"] = [_scaled_back(row, draw.voxel_factor) for row in tables["contacts"]]
    return tables


def _redrawn(settings: SurforaSettings, draw: Draw) -> SurforaSettings:
    """The settings with scales of curvature and threshold as drawn."""
    curvature, distance = settings.curvature, settings.distance
    radii = {
        "smallest_radius_nm": curvature.smallest_radius_nm * draw.curvature_factor,
        "largest_radius_nm": curvature.largest_radius_nm * draw.curvature_factor,
        "radii_nm": tuple(radius * draw.curvature_factor for radius in curvature.radii_nm),
    }
    limit = {"contact_distance_nm": distance.contact_distance_nm * draw.threshold_factor}
    return settings.model_copy(
        update={
            "curvature": curvature.model_copy(update=radii),
            "distance": distance.model_copy(update=limit),
        }
    )


def _scaled_back(row: Row, factor: float) -> Row:
    return {**row, **{f"centre_{axis}_nm": row[f"centre_{axis}_nm"] / factor for axis in "xyz"}}


def _interval_rows(
    table: str, outcome: RunOutcome, repeats: Sequence[Mapping[str, list[Row]]]
) -> list[dict[str, Any]]:
    """The intervals of one table: a row a value."""
    own: list[Row] = getattr(outcome, table)
    match = _same_contacts if table == "contacts" else _same_rows
    found = [match(own, repeat[table]) for repeat in repeats]
    rows = []
    for place, row in enumerate(own):
        others = [one[place] for one in found]
        keys = {"table": table, **{key: row.get(key) for key in KEYS}}
        for column, value in row.items():
            if takes_interval(column, value):
                known = [float(other.get(column, np.nan)) for other in others if other is not None]
                one = interval_of(float(value), known, lowest(column))
                told = {"low": one.low, "high": one.high, "spread": one.spread, "repeats": one.repeats}
                rows.append({**keys, "measure": column, "value": one.value, **told})
    return rows


def _same_rows(own: Sequence[Row], others: Sequence[Row]) -> list[Row | None]:
    """Of each row the one of the same surface (and target) in another run, None where there is none."""
    by_key = {_identity(row): row for row in others}
    return [by_key.get(_identity(row)) for row in own]


def _identity(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(key) for key in ("name", "kind", "target", "target_kind"))


def _same_contacts(own: Sequence[Row], others: Sequence[Row]) -> list[Row | None]:
    """Of each contact the one of the same membranes in another run whose centre is nearest, each once.

    None where there is none nearer than the contact is long.
    """
    places = [
        np.array([[row[f"centre_{axis}_nm"] for axis in "xyz"] for row in rows]) for rows in (own, others)
    ]
    found: list[Row | None] = [None] * len(own)
    if not len(own) or not len(others):
        return found
    apart = np.linalg.norm(places[0][:, None] - places[1], axis=2)
    for k, row in enumerate(own):
        for n, other in enumerate(others):
            if _identity(row) != _identity(other) or apart[k, n] > row["length_nm"]:
                apart[k, n] = np.inf
    while np.isfinite(apart).any():
        k, n = divmod(int(np.argmin(apart)), len(others))
        found[k] = others[n]
        apart[k], apart[:, n] = np.inf, np.inf
    return found
