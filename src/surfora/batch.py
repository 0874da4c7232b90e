"""`surfora run`: many masks, labels and ROIs in parallel, then distances, tables, record and report."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surfora.masks.membranes import Membrane, membranes_in, require_named, with_known_sides
from surfora.measures.pairs import (
    MeasuredSurface,
    Pair,
    measured_distances,
    paired_surfaces,
    read_measured,
    unmatched_pairs,
)
from surfora.pipeline import SurfaceKind, SurforaSettings, measure_membrane
from surfora.reporting.report import write_run_report
from surfora.reporting.tables import surface_row, write_table
from tomocore.contract import Batch, InputError, about, one_line
from tomocore.files import remove_leftovers, writable_folder
from tomocore.machine import use_threads
from tomocore.page import shown
from tomocore.provenance import RunRecord, recorded_run
from tomocore.terminal.console import Terminal, out, progress_bar
from tomocore.terminal.options import next_hint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRequest:
    """What `surfora run` is asked for."""

    masks: tuple[Path, ...]
    folder: Path
    labels: dict[int, str] | None = None
    rois: tuple[Path, ...] = ()
    pairs: tuple[Pair, ...] | None = None
    inside: tuple[Pair, ...] = ()
    lumens: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    kind: SurfaceKind = "medial"
    voxel_size_nm: float | None = None
    jobs: int = 1
    overwrite: bool = False


@dataclass
class _Outcome:
    """What became of one membrane, as it travels back from a worker process."""

    name: str
    record: RunRecord
    files: list[Path] = field(default_factory=list)
    failure: str = ""


def run_masks(request: RunRequest, settings: SurforaSettings) -> Batch:
    """Measure all membranes of all masks into one folder; what was done, skipped and failed.

    A mask or membrane that fails is told and kept in the record, and the rest go on; where no surface
    comes of it, nothing is written. Raises InputError where the folder cannot be written, the ROI files
    do not match the masks, or a name is asked for that no membrane has.
    """
    if request.rois and len(request.rois) != len(request.masks):
        raise InputError(
            f"--rois names {len(request.rois)} files for {len(request.masks)} masks; "
            "give one a mask, in the same order"
        )
    with writable_folder(request.folder):
        remove_leftovers(request.folder)
        return _run_in_folder(request, settings)


def _run_in_folder(request: RunRequest, settings: SurforaSettings) -> Batch:
    batch = Batch(Terminal())
    with recorded_run("surfora run", settings) as record:
        found = _all_membranes(request, settings, record, batch)
        if not found and batch.failed:
            return batch
        if not batch.failed:  # else a name may be that of a mask which could not be read
            absent = set((request.labels or {}).values())  # of which `membranes_in` has warned
            asked = {name for pair in request.pairs or () for name in pair}
            require_named(found, asked - absent, "--distances")
        membranes = with_known_sides(found, request.inside, request.lumens)
        files = _measure_all(membranes, request, settings, record, batch)
        if not files and batch.failed:
            return batch
        surfaces = [read_measured(path) for path in files]
        surfaces, distances = _all_distances(surfaces, request, settings, record, batch)
        rows = [surface_row(surface.mesh, surface.facts) for surface in surfaces]
    record.failures = dict(batch.failed)
    write_table(request.folder / "surfaces.csv", rows)
    write_table(request.folder / "distances.csv", distances)
    record.write(request.folder / "run.json")
    report = write_run_report(request.folder)
    _say_headlines(rows, distances)
    out.print(f"report: {report}", markup=False)
    next_hint(f"open {report} in a browser, or the .vtp files in ParaView")
    return batch


def _all_membranes(
    request: RunRequest, settings: SurforaSettings, record: RunRecord, batch: Batch
) -> list[Membrane]:
    membranes: list[Membrane] = []
    for index, path in enumerate(request.masks):
        rois = request.rois[index] if request.rois else None
        try:
            found = membranes_in(path, request.labels, rois, request.voxel_size_nm, settings.roi)
        except (InputError, OSError, MemoryError) as error:
            batch.fail(str(path), error)
            continue
        facts = {"voxel_size_nm": found[0].voxel_size_nm} if found else {}
        record.add_input(path, **facts)
        if rois is not None:
            record.add_input(rois)
        membranes += found
    return membranes


def _measure_all(
    membranes: list[Membrane],
    request: RunRequest,
    settings: SurforaSettings,
    record: RunRecord,
    batch: Batch,
) -> list[Path]:
    """The files of all surfaces in the order of the membranes; failures are told and kept."""
    files: dict[str, list[Path]] = {}
    with progress_bar("membranes") as progress:
        for done, outcome in enumerate(_outcomes(membranes, request, settings, record.id), start=1):
            progress(done, len(membranes))
            record.take_in(outcome.record)
            if outcome.failure:
                batch.fail(outcome.name, InputError(outcome.failure))
                continue
            files[outcome.name] = outcome.files
            if outcome.record.stages:
                batch.done.append(outcome.name)
            else:
                batch.skip(outcome.name, "its files exist; pass --overwrite to make them anew")
    return [path for membrane in membranes for path in files.get(membrane.name, [])]


def _outcomes(
    membranes: list[Membrane], request: RunRequest, settings: SurforaSettings, run_id: str
) -> Iterator[_Outcome]:
    workers = min(request.jobs, len(membranes))
    if workers <= 1:
        use_threads(request.jobs)
        for membrane in membranes:
            yield _outcome(membrane, request, settings, run_id)
        return
    # Spawned, not forked: VTK, Open3D and numba's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    threads = max(request.jobs // workers, 1)
    with ProcessPoolExecutor(workers, context, use_threads, (threads,)) as pool:
        largest_first = sorted(membranes, key=lambda membrane: -membrane.mask.sum())
        futures = [pool.submit(_outcome, m, request, settings, run_id) for m in largest_first]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                for text in outcome.record.warnings:  # a worker has no console; its texts name the membrane
                    log.warning("%s", text, extra={"has_subject": True})
                yield outcome
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _outcome(membrane: Membrane, request: RunRequest, settings: SurforaSettings, run_id: str) -> _Outcome:
    """Measure one membrane, here or in a worker process."""
    with about(membrane.name), recorded_run("surfora run") as record:
        record.id = run_id
        outcome = _Outcome(membrane.name, record)
        try:
            outcome.files = measure_membrane(
                membrane, request.folder, request.kind, settings, record, request.overwrite
            )
        except (InputError, OSError, MemoryError) as error:
            outcome.failure = f"{membrane.name}: {one_line(error)}"
    return outcome


def _all_distances(
    surfaces: list[MeasuredSurface],
    request: RunRequest,
    settings: SurforaSettings,
    record: RunRecord,
    batch: Batch,
) -> tuple[list[MeasuredSurface], list[dict[str, Any]]]:
    """The surfaces with their distance arrays, and the rows of distances.csv (both ways for a pair)."""
    unmatched = unmatched_pairs(surfaces, request.pairs or ())
    if unmatched:
        known = sorted({str(surface.facts.label or surface.name) for surface in surfaces})
        said = (
            f"--distances {' '.join(unmatched)}: no two such surfaces; there are {', '.join(known) or 'none'}"
        )
        batch.fail("distances", InputError(said))
    pairs = paired_surfaces(surfaces, request.pairs)
    latest = {surface.path: surface for surface in surfaces}
    rows = []
    for source, target in pairs:
        measured, row = measured_distances(latest[source.path], target, settings.distance, record)
        latest[source.path] = measured
        rows.append(row)
    return [latest[surface.path] for surface in surfaces], rows


def _say_headlines(rows: list[dict[str, Any]], distances: list[dict[str, Any]]) -> None:
    """The numbers that people look for first, a line a surface and a line a pair."""
    for row in rows:
        parts = [f"area {shown(row['area_nm2'])} nm²"]
        if "mean_curvature_median_per_nm" in row:
            parts.append(f"mean curvature {shown(row['mean_curvature_median_per_nm'])} per nm (median)")
        parts.append("closed" if row["is_closed"] else "open")
        out.print(f"{row['name']} {row['kind']}: {', '.join(parts)}", markup=False)
    for row in distances:
        out.print(
            f"{row['name']} {row['kind']} to {row['target']} {row['target_kind']}: "
            f"median {shown(row['median_nm'])} nm, "
            f"quartiles {shown(row['q25_nm'])} and {shown(row['q75_nm'])} nm",
            markup=False,
        )
