"""`surfora run`: many masks, labels and ROIs in parallel, then distances, tables, record and report."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surfora.masks.cleaning import TooSmallError, too_small_line
from surfora.masks.membranes import (
    Membrane,
    membranes_in,
    require_named,
    require_own_names,
    with_known_sides,
)
from surfora.measures.pairs import (
    MeasuredSurface,
    Pair,
    measured_distances,
    paired_surfaces,
    read_measured,
    require_common_place,
    unmatched_pairs,
)
from surfora.pipeline import SurfaceKind, SurforaSettings, measure_membrane
from surfora.reporting.report import write_run_report
from surfora.reporting.tables import surface_row, write_table
from tomocore.contract import FAILURES, NOBODY, Batch, InputError, Watcher, about, one_line
from tomocore.files import remove_leftovers, writable_folder
from tomocore.machine import use_threads
from tomocore.names import matched, require_match
from tomocore.provenance import RunRecord, recorded_run

log = logging.getLogger(__name__)

DIED = "its process was ended by the system, most likely for want of memory; use fewer --jobs, or crop it"


@dataclass(frozen=True)
class RunRequest:
    """What `surfora run` is asked for; ``kind`` None: the middle of sheets, the boundary of filled bodies."""

    masks: tuple[Path, ...]
    folder: Path
    labels: dict[int, str] | None = None
    rois: tuple[Path, ...] = ()
    pairs: tuple[Pair, ...] | None = None
    inside: tuple[Pair, ...] = ()
    lumens: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    kind: SurfaceKind | None = None
    voxel_size_nm: float | None = None
    resample: bool = False
    jobs: int = 1
    overwrite: bool = False


@dataclass
class RunOutcome(Batch):
    """What became of each membrane of a run, its tables, and where the report lies (None: nothing made)."""

    surfaces: list[dict[str, Any]] = field(default_factory=list)
    distances: list[dict[str, Any]] = field(default_factory=list)
    report: Path | None = None


@dataclass
class _Measured:
    """What became of one membrane, as it travels back from a worker process."""

    name: str
    record: RunRecord
    files: list[Path] = field(default_factory=list)
    failure: str = ""
    is_too_small: bool = False


def run_masks(request: RunRequest, settings: SurforaSettings, watcher: Watcher = NOBODY) -> RunOutcome:
    """Measure all membranes of all masks into one folder; what was done, skipped and failed, and the tables.

    A mask or membrane that fails is told and kept in the record, and the rest go on; where no surface
    comes of it, nothing is written. Raises InputError where the folder cannot be written, the ROI files
    do not match the masks, two membranes would have one name, or a name is asked for that no membrane has.
    """
    rois = matched(request.masks, request.rois, "ROI")
    if request.rois:
        require_match(request.masks, rois, "ROI")
    with writable_folder(request.folder):
        remove_leftovers(request.folder)
        return _run_in_folder(request, rois, settings, watcher)


def _run_in_folder(
    request: RunRequest, rois: Mapping[Path, Path], settings: SurforaSettings, watcher: Watcher
) -> RunOutcome:
    outcome = RunOutcome(watcher)
    with recorded_run("surfora run", settings) as record:
        membranes = _all_membranes(request, rois, settings, record, outcome)
        files = _measure_all(membranes, request, settings, record, outcome)
        if not files and outcome.failed:
            return outcome
        surfaces = [read_measured(path) for path in files]
        surfaces, outcome.distances = _all_distances(surfaces, request, settings, record, outcome)
        outcome.surfaces = [surface_row(surface.mesh, surface.facts) for surface in surfaces]
    record.failures = dict(outcome.failed)
    write_table(request.folder / "surfaces.csv", outcome.surfaces)
    write_table(request.folder / "distances.csv", outcome.distances)
    record.write(request.folder / "run.json")
    outcome.report = write_run_report(request.folder)
    return outcome


def _all_membranes(
    request: RunRequest,
    rois: Mapping[Path, Path],
    settings: SurforaSettings,
    record: RunRecord,
    outcome: RunOutcome,
) -> list[Membrane]:
    """The membranes of all masks that can be read, with what is known of their sides."""
    found: list[Membrane] = []
    for path in request.masks:
        try:
            own = membranes_in(
                path, request.labels, rois.get(path), request.voxel_size_nm, settings.roi, request.resample
            )
        except FAILURES as error:
            outcome.fail(str(path), error)
            continue
        record.add_input(path, **({"voxel_size_nm": own[0].voxel_size_nm} if own else {}))
        if path in rois:
            record.add_input(rois[path])
        found += own
    require_own_names(found)
    if not found and outcome.failed:
        return []
    if not outcome.failed:  # else a name may be that of a mask which could not be read
        absent = set((request.labels or {}).values())  # of which `membranes_in` has warned
        asked = {name for pair in request.pairs or () for name in pair}
        require_named(found, asked - absent, "--distances")
    return with_known_sides(found, request.inside, request.lumens)


def _measure_all(
    membranes: list[Membrane],
    request: RunRequest,
    settings: SurforaSettings,
    record: RunRecord,
    outcome: RunOutcome,
) -> list[Path]:
    """The files of all surfaces in the order of the membranes; failures are told and kept."""
    files: dict[str, list[Path]] = {}
    too_small: set[str] = set()
    with outcome.watcher.progress("membranes") as progress:
        for done, one in enumerate(_each_measured(membranes, request, settings, record.id), start=1):
            progress(done, len(membranes))
            record.take_in(one.record)
            if one.is_too_small:
                too_small.add(one.name)
            elif one.failure:
                outcome.fail(one.name, InputError(one.failure))
            elif one.record.stages:
                outcome.finish(one.name)
            else:
                outcome.skip(one.name, "its files exist; pass --overwrite to make them anew")
            files[one.name] = one.files
    _tell_too_small([membrane for membrane in membranes if membrane.name in too_small], outcome)
    return [path for membrane in membranes for path in files.get(membrane.name, [])]


def _tell_too_small(membranes: list[Membrane], outcome: RunOutcome) -> None:
    """A line a mask for its labels that are too small; a failure where nothing else was measured."""
    for source in dict.fromkeys(membrane.source for membrane in membranes):
        small = sorted({int(membrane.label) for membrane in membranes if membrane.source == source})
        if outcome.has_results:
            log.warning("%s: %s", source, too_small_line(small))
        else:
            outcome.fail(str(source), InputError(f"{source}: {too_small_line(small)}, so nothing is"))


def _each_measured(
    membranes: list[Membrane], request: RunRequest, settings: SurforaSettings, run_id: str
) -> Iterator[_Measured]:
    workers = min(request.jobs, len(membranes))
    if workers <= 1:
        use_threads(request.jobs)
        for membrane in membranes:
            yield _measured(membrane, request, settings, run_id)
        return
    largest_first = sorted(membranes, key=lambda membrane: -membrane.mask.sum())
    finished: set[str] = set()
    for one in _in_processes(largest_first, workers, request, settings, run_id):
        finished.add(one.name)
        yield one
    for membrane in largest_first:  # those that a process took with it when it died, each by itself
        if membrane.name not in finished:
            alone = list(_in_processes([membrane], 1, request, settings, run_id))
            yield alone[0] if alone else _Measured(membrane.name, RunRecord("", "", "", run_id), [], DIED)


def _in_processes(
    membranes: list[Membrane], workers: int, request: RunRequest, settings: SurforaSettings, run_id: str
) -> Iterator[_Measured]:
    """What worker processes make of membranes, as they finish; those of a process that dies are left out."""
    # Spawned, not forked: VTK, Open3D and numba's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    threads = max(request.jobs // workers, 1)
    with ProcessPoolExecutor(workers, context, use_threads, (threads,)) as pool:
        futures = [pool.submit(_measured, m, request, settings, run_id) for m in membranes]
        try:
            for future in as_completed(futures):
                if not isinstance(future.exception(), BrokenProcessPool):
                    yield _told(future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _told(future: Future[_Measured]) -> _Measured:
    """A worker's result, its warnings said here: a worker has no console, and its texts name the membrane."""
    one = future.result()
    for text in one.record.warnings:
        log.warning("%s", text, extra={"has_subject": True})
    return one


def _measured(membrane: Membrane, request: RunRequest, settings: SurforaSettings, run_id: str) -> _Measured:
    """Measure one membrane, here or in a worker process; whatever goes wrong ends this one alone."""
    with about(membrane.name), recorded_run("surfora run") as record:
        record.id = run_id
        one = _Measured(membrane.name, record)
        try:
            one.files = measure_membrane(
                membrane, request.folder, request.kind, settings, record, request.overwrite
            )
        except FAILURES as error:
            one.is_too_small = isinstance(error, TooSmallError) and _is_unasked(membrane, request)
            one.failure = f"{membrane.name}: {one_line(error)}"
        except Exception as error:
            log.debug("failed", exc_info=True)
            what = f"{type(error).__name__}: {one_line(error)}"
            one.failure = f"{membrane.name}: {what}; this is a fault of the program, please report the mask"
    return one


def _is_unasked(membrane: Membrane, request: RunRequest) -> bool:
    """Whether a membrane is one label of many that nobody named, as connected components are."""
    return request.labels is None and membrane.label != ""


def _all_distances(
    surfaces: list[MeasuredSurface],
    request: RunRequest,
    settings: SurforaSettings,
    record: RunRecord,
    outcome: RunOutcome,
) -> tuple[list[MeasuredSurface], list[dict[str, Any]]]:
    """The surfaces with their distance arrays, and the rows of distances.csv (both ways for a pair)."""
    unmatched = unmatched_pairs(surfaces, request.pairs or ())
    if unmatched:
        known = sorted({str(surface.facts.label or surface.name) for surface in surfaces})
        said = (
            f"--distances {' '.join(unmatched)}: no two such surfaces; there are {', '.join(known) or 'none'}"
        )
        outcome.fail("distances", InputError(said))
    latest = {surface.path: surface for surface in surfaces}
    rows = []
    for source, target in paired_surfaces(surfaces, request.pairs):
        both = " to ".join(sorted((source.name, target.name)))
        try:
            _tell_place(source, target, outcome)
            measured, row = measured_distances(latest[source.path], target, settings.distance, record)
        except FAILURES as error:
            if both not in outcome.failed:
                outcome.fail(both, error)
            continue
        latest[source.path] = measured
        rows.append(row)
    return [latest[surface.path] for surface in surfaces], rows


def _tell_place(source: MeasuredSurface, target: MeasuredSurface, outcome: RunOutcome) -> None:
    """Tell once a pair where the grids of its masks lie if they are not one; InputError where unknown."""
    line = require_common_place(*sorted((source, target), key=lambda surface: surface.name))
    if line and source.name < target.name:
        outcome.watcher.say(line)
