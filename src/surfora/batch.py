"""`surfora run`: many masks, labels and ROIs in parallel, then distances, tables, record and report."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from surfora.distances_and_contacts import measured_tables
from surfora.earlier_run import RECORD, REPORT, Row, earlier_run, without_rows
from surfora.masks.cleaning import TooSmallError, too_small_line
from surfora.masks.membranes import Membrane
from surfora.masks.perturbed import perturbed
from surfora.masks.values import some_of
from surfora.measures.beside_masks import BesideMasks
from surfora.measures.distance_pairs import SurfaceFile
from surfora.pipeline import measure_membrane
from surfora.planning import (
    MaskReader,
    PlannedMembrane,
    RunRequest,
    beside_masks,
    planned_membranes,
    surface_of,
    warn_of_kept,
)
from surfora.reporting.interval_columns import FILE as INTERVALS
from surfora.settings import SurforaSettings
from tomocore.contract import (
    FAILURES,
    NOBODY,
    Batch,
    InputError,
    NoRoomError,
    Progress,
    Watcher,
    about,
    no_progress,
    one_line,
)
from tomocore.locks import one_run
from tomocore.machine import WorkerPool, load_for_workers, use_threads
from tomocore.provenance import RunRecord, recorded_run

log = logging.getLogger(__name__)

DIED = "its process was ended by the system, most likely for want of memory; use fewer --jobs, or crop it"


@dataclass
class RunOutcome(Batch):
    """What became of each membrane of a run, its tables, and where the report lies (None: nothing made)."""

    surfaces: list[Row] = field(default_factory=list)
    distances: list[Row] = field(default_factory=list)
    contacts: list[Row] = field(default_factory=list)
    report: Path | None = None


VOXELS_OF_A_PROCESS = 40_000
"""Measured in about the time (some seconds) that processes take to begin: for fewer none is begun."""
LARGE_BYTES = 2**25
"""Of masks on the disk: in so many there are membranes enough for processes."""
OF_WORKERS = ("surfora.pipeline", "surfora.batch")
"""What worker processes load."""


@dataclass
class _Measured:
    """What became of one membrane, as it travels back from a worker process."""

    name: str
    record: RunRecord
    files: list[Path] = field(default_factory=list)
    failure: str = ""
    is_too_small: bool = False
    has_no_room: bool = False
    is_lost: bool = False


def run_masks(request: RunRequest, settings: SurforaSettings, watcher: Watcher = NOBODY) -> RunOutcome:
    """Measure all membranes of all masks into one folder; what was done, skipped and failed, and the tables.

    Masks are read one at a time to know all names, and those of which something is to be measured once more,
    so that one is in memory, and with several jobs no more than these. Of the measured meshes only those that
    are measured to each other are in memory at once. Where the folder holds all of it already, nothing is
    measured or written. A mask or membrane that fails is told
    and kept in the record, and the rest go on; where no surface comes of it, nothing is written. Raises
    InputError where the folder cannot be written or another run writes into it, the ROI files do not match
    the masks, two membranes would have one name, or a name is asked for that no membrane has; NoRoomError,
    with no more tried, where the disk is full.
    """
    masks, beside = MaskReader(request, settings.roi), beside_masks(request)
    with one_run(request.folder):
        if _wants_processes(request):
            load_for_workers(OF_WORKERS)  # while the masks are read
        return _run_in_folder(request, masks, beside, settings, watcher)


def _wants_processes(request: RunRequest) -> bool:
    """Whether a run will most likely have its membranes measured by several processes."""
    is_new = request.overwrite or not (request.folder / RECORD).exists()
    bytes_of_masks = sum(path.stat().st_size for path in request.masks if path.is_file())
    return request.jobs > 1 and is_new and bytes_of_masks >= LARGE_BYTES


def _run_in_folder(
    request: RunRequest, masks: MaskReader, beside: BesideMasks, settings: SurforaSettings, watcher: Watcher
) -> RunOutcome:
    outcome = RunOutcome(watcher)
    with recorded_run("surfora run", settings) as record:
        planned = planned_membranes(request, masks, settings, record, outcome)
        beside.note(record)
        earlier = earlier_run(request.folder, record)
        surfaces = _measure_all(planned, masks, request, settings, record, outcome)
        if not surfaces and outcome.failed:
            return outcome
        tables = measured_tables(surfaces, request.pairs, settings, record, outcome, earlier, beside)
        _tell_without_rows(request.folder, surfaces)
    record.failures = dict(outcome.failed)
    outcome.surfaces, outcome.distances = tables.surfaces, tables.distances
    outcome.contacts = tables.contacts
    if earlier is None or not earlier.says_all(record, tables):
        (request.folder / REPORT).unlink(missing_ok=True)
        record.add_outputs([*(one.path for one in surfaces), *tables.write(request.folder)])
        record.write(request.folder / RECORD)
        (request.folder / INTERVALS).unlink(missing_ok=True)  # of an earlier run: not of these values
    if request.perturbation is None:
        outcome.report = request.folder / REPORT
        if not outcome.report.exists():
            from surfora.reporting.report import write_run_report  # worker processes do without

            write_run_report(request.folder)
    return outcome


def _tell_without_rows(folder: Path, surfaces: Sequence[SurfaceFile]) -> None:
    """Warn of surfaces that the tables of an earlier run told of, and those of this one will not."""
    left = without_rows(folder, [one.path for one in surfaces])
    if left:
        log.warning(
            "%s: the tables are of this run alone, without %s of an earlier one; name all masks, labels and "
            "ROIs in one call (what is there is kept), or give each run a -o of its own",
            folder,
            some_of(left),
        )


def _measure_all(
    planned: list[PlannedMembrane],
    masks: MaskReader,
    request: RunRequest,
    settings: SurforaSettings,
    record: RunRecord,
    outcome: RunOutcome,
) -> list[SurfaceFile]:
    """All surfaces in the order of the membranes; failures are told and kept."""
    files = {one.name: list(one.kept) for one in planned}
    for one in (one for one in planned if one.kept):
        warn_of_kept(one)
        outcome.skip(one.name, "its files exist; pass --overwrite to make them anew")
    wanted = [one for one in planned if not one.kept]
    too_small: set[str] = set()
    if wanted:  # what is there of an earlier report and its tables will not be of one making with these
        (request.folder / REPORT).unlink(missing_ok=True)
    with (
        outcome.watcher.progress("membranes") as progress,
        closing(_each_measured(wanted, masks, request, settings, record.id, outcome.watcher)) as measured,
    ):
        for done, made in enumerate(measured, start=1 + len(planned) - len(wanted)):
            progress(done, len(planned))
            record.take_in(made.record)
            if made.has_no_room:
                raise NoRoomError(made.failure)
            if made.is_too_small:
                too_small.add(made.name)
            elif made.failure:
                outcome.fail(made.name, InputError(made.failure))
            else:
                outcome.finish(made.name)
            files[made.name] = made.files
    _tell_too_small([one for one in planned if one.name in too_small], outcome)
    surfaces = [surface_of(one, path) for one in planned for path in files[one.name]]
    record.add_warnings(text for one in surfaces for text in one.facts.warnings.splitlines())
    return surfaces


def _tell_too_small(membranes: list[PlannedMembrane], outcome: RunOutcome) -> None:
    """A line a mask for its labels that are too small; a failure where nothing else was measured."""
    for source in dict.fromkeys(membrane.source for membrane in membranes):
        small = sorted({int(membrane.label) for membrane in membranes if membrane.source == source})
        if outcome.has_results:
            log.warning("%s: %s", source, too_small_line(small))
        else:
            outcome.fail(str(source), InputError(f"{source}: {too_small_line(small)}, so nothing is"))


def _each_measured(
    wanted: list[PlannedMembrane],
    masks: MaskReader,
    request: RunRequest,
    settings: SurforaSettings,
    run_id: str,
    watcher: Watcher,
) -> Generator[_Measured]:
    """What becomes of each membrane, here or in worker processes, as they finish."""
    worth = sum(one.voxels for one in wanted) // VOXELS_OF_A_PROCESS
    workers = min(request.jobs, len(wanted), worth)
    if workers <= 1:
        use_threads(request.jobs)
        for one in wanted:
            yield _measured_here(one, masks, request, settings, run_id, watcher)
        return
    left = {one.name: one for one in _largest_first(wanted)}
    while left:
        lost = []
        for made in _in_processes(list(left.values()), workers, masks, request, settings, run_id):
            one = left.pop(made.name)
            if made.is_lost:
                lost.append(one)
            else:
                yield made
        for one in lost:  # those that a process took with it when it died, each by itself
            yield from _in_processes([one], 1, masks, request, settings, run_id)


def _largest_first(membranes: list[PlannedMembrane]) -> list[PlannedMembrane]:
    """Masks by their largest membrane and the membranes of each by size, so that workers end together."""
    largest: dict[Path, int] = {}
    for one in membranes:
        largest[one.source] = max(largest.get(one.source, 0), one.voxels)
    return sorted(membranes, key=lambda one: (-largest[one.source], str(one.source), -one.voxels))


def _in_processes(
    membranes: Sequence[PlannedMembrane],
    workers: int,
    masks: MaskReader,
    request: RunRequest,
    settings: SurforaSettings,
    run_id: str,
) -> Iterator[_Measured]:
    """What worker processes make of membranes, as they finish.

    Where a process dies, those under way are told to be lost, and those not yet begun are left out.
    """
    under_way: dict[Future[_Measured], PlannedMembrane] = {}
    with WorkerPool(workers, modules=OF_WORKERS) as pool:
        for rank, one in enumerate(membranes):
            threads = max(request.jobs // _together(rank, len(membranes), workers), 1)
            while not _has_room(under_way.values(), one, workers):
                yield from _finished(under_way)
            try:
                future = pool.submit(_measured_by, threads, masks.membrane(one), request, settings, run_id)
            except BrokenProcessPool:
                break
            except FAILURES as error:
                yield _failed(one, error, run_id)
            else:
                under_way[future] = one
        while under_way:
            yield from _finished(under_way)


def _together(rank: int, membranes: int, workers: int) -> int:
    """How many membranes are at work beside the one of this rank, itself among them: the last are fewer."""
    last = membranes % workers
    return last if last and rank >= membranes - last else workers


def _has_room(under_way: Collection[PlannedMembrane], one: PlannedMembrane, workers: int) -> bool:
    """Whether a membrane may be handed out: one waits beyond those at work, of no more masks than workers."""
    return len(under_way) <= workers and len({other.source for other in (*under_way, one)}) <= workers


def _finished(under_way: dict[Future[_Measured], PlannedMembrane]) -> Iterator[_Measured]:
    """Wait for membranes under way, take away those that are finished, and yield what became of them."""
    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
        one = under_way.pop(future)
        if isinstance(future.exception(), BrokenProcessPool):
            yield _Measured(one.name, RunRecord("", "", "", ""), failure=DIED, is_lost=True)
        else:
            yield _told(future)


def _told(future: Future[_Measured]) -> _Measured:
    """A worker's result, its warnings said here: a worker has no console, and its texts name the membrane."""
    one = future.result()
    for text in one.record.warnings:
        log.warning("%s", text, extra={"has_subject": True})
    return one


def _measured_here(
    one: PlannedMembrane,
    masks: MaskReader,
    request: RunRequest,
    settings: SurforaSettings,
    run_id: str,
    watcher: Watcher,
) -> _Measured:
    try:
        membrane = masks.membrane(one)
    except FAILURES as error:
        return _failed(one, error, run_id)
    with watcher.progress(one.name) as progress:
        return _measured(membrane, request, settings, run_id, progress)


def _measured_by(
    threads: int, membrane: Membrane, request: RunRequest, settings: SurforaSettings, run_id: str
) -> _Measured:
    """Measure one membrane in a worker process, by so many threads."""
    use_threads(threads)
    return _measured(membrane, request, settings, run_id)


def _failed(one: PlannedMembrane, error: BaseException, run_id: str) -> _Measured:
    """A membrane whose mask cannot be read again."""
    return _Measured(one.name, RunRecord("", "", "", run_id), failure=f"{one.name}: {one_line(error)}")


def _measured(
    membrane: Membrane,
    request: RunRequest,
    settings: SurforaSettings,
    run_id: str,
    progress: Progress = no_progress,
) -> _Measured:
    """Measure one membrane, here or in a worker process; whatever goes wrong ends this one alone."""
    with about(membrane.name), recorded_run("surfora run") as record:
        record.id = run_id
        one = _Measured(membrane.name, record)
        try:
            if request.perturbation is not None:
                membrane = perturbed(membrane, request.perturbation)
            one.files = measure_membrane(membrane, request.folder, request.kind, settings, record, progress)
        except FAILURES as error:
            one.is_too_small = isinstance(error, TooSmallError) and _is_unasked(membrane, request)
            one.has_no_room = isinstance(error, NoRoomError)
            line, subject = one_line(error), f"{membrane.name}: "
            one.failure = line if one.has_no_room or line.startswith(subject) else subject + line
        except Exception as error:
            log.debug("failed", exc_info=True)
            what = f"{type(error).__name__}: {one_line(error)}"
            one.failure = f"{membrane.name}: {what}; this is a fault of the program, please report the mask"
    return one


def _is_unasked(membrane: Membrane, request: RunRequest) -> bool:
    """Whether a membrane is one label of many that nobody named, as connected components are."""
    return request.labels is None and membrane.label != ""
