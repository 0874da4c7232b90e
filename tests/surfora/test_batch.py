"""`surfora run` on many masks: what is known before the first is measured, what memory holds meanwhile."""

import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import mrcfile
import numpy as np
import pytest

import surfora.batch
import surfora.planning
import surfora.reporting.report
import tomocore.volumes.formats
from surfora.batch import run_masks
from surfora.geometry.files import read_facts
from surfora.masks.membranes import KnownSide, cut_out, open_mask, sampled_points
from surfora.planning import MaskReader, RunRequest, planned_membranes
from surfora.settings import SurforaSettings
from tomocore.contract import Batch, InputError, Watcher
from tomocore.provenance import recorded_run
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

EDGE_NM = 2.0
SETTINGS = SurforaSettings()


def write_sheets(path, *labels):
    """A mask of parallel sheets, one a label, of which those of higher labels lie higher."""
    data = np.zeros((8 * len(labels) + 6, 20, 20), np.int16)
    for number, label in enumerate(labels):
        data[8 * number + 5 : 8 * number + 7, 2:18, 2:18] = label
    path.parent.mkdir(exist_ok=True)
    write_volume(path, Volume(data, EDGE_NM))
    return path


class Listener(Watcher):
    """Keeps what it hears."""

    def __init__(self):
        self.lines = []

    def failed(self, line):
        self.lines.append(line)

    def skipped(self, name, reason):
        self.lines.append(f"{name} is kept")


@pytest.fixture
def alive(monkeypatch):
    """Every mask that was read and membrane that was cut out: its file, and whether it is still in memory."""
    seen = []

    def kept(function):
        def wrapped(*words):
            made = function(*words)
            path = getattr(made, "path", None) or made.source
            array = made.volume.data if hasattr(made, "volume") else made.mask
            seen.append((path, weakref.ref(array)))
            return made

        return wrapped

    for name in ("open_mask", "cut_out"):
        monkeypatch.setattr(surfora.planning, name, kept(getattr(surfora.planning, name)))
    return lambda: {path for path, array in seen if array() is not None}


@pytest.fixture
def measured(monkeypatch, alive):
    """Measuring replaced by counting, in threads in place of processes: how many masks each membrane saw."""
    held = []

    def count(membrane, *_):
        time.sleep(0.02)  # for whoever handed it out to read on
        held.append((membrane.name, len(alive())))
        raise InputError("counted only")

    monkeypatch.setattr(surfora.batch, "measure_membrane", count)
    monkeypatch.setattr(surfora.batch, "WorkerPool", lambda workers, *_, **__: ThreadPoolExecutor(workers))
    monkeypatch.setattr(surfora.batch, "VOXELS_OF_A_PROCESS", 1)
    return held


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_no_more_masks_are_in_memory_than_jobs(tmp_path, measured, alive, jobs):
    masks = tuple(write_sheets(tmp_path / f"m{number}.mrc", 1, 2) for number in range(6))
    gc.disable()  # what is let go is let go at once, without its help
    try:
        outcome = run_masks(RunRequest(masks, tmp_path / "out", jobs=jobs), SETTINGS)
        left = alive()
    finally:
        gc.enable()
    assert len(measured) == len(outcome.failed) == 12
    counts = [count for _, count in measured]
    assert max(counts) == jobs
    assert not left


@pytest.mark.parametrize(
    ("count", "jobs", "threads"),
    [
        (3, 2, [1, 1, 2]),
        (4, 2, [1, 1, 1, 1]),
        (5, 8, [1, 1, 1, 1, 1]),
        (2, 8, [4, 4]),
        (5, 3, [1, 1, 1, 1, 1]),
    ],
)
def test_membranes_of_a_last_round_that_is_not_full_share_all_cores(
    tmp_path, measured, monkeypatch, count, jobs, threads
):
    used = []
    monkeypatch.setattr(surfora.batch, "use_threads", used.append)
    masks = tuple(write_sheets(tmp_path / f"m{number}.mrc", 1) for number in range(count))
    run_masks(RunRequest(masks, tmp_path / "out", jobs=jobs), SETTINGS)
    assert len(measured) == count
    assert sorted(used) == sorted(threads)


@pytest.mark.parametrize(("least", "jobs", "begun"), [(1, 2, 1), (1, 1, 0), (10**9, 2, 0)])
def test_what_workers_load_is_loaded_beside_the_masks_where_these_are_large(
    tmp_path, measured, monkeypatch, least, jobs, begun
):
    loading = []
    monkeypatch.setattr(surfora.batch, "load_for_workers", loading.append)
    monkeypatch.setattr(surfora.batch, "LARGE_BYTES", least)
    mask = write_sheets(tmp_path / "m.mrc", 1, 2)
    run_masks(RunRequest((mask,), tmp_path / "out", jobs=jobs), SETTINGS)
    assert loading == [surfora.batch.OF_WORKERS] * begun


def test_masks_of_unequal_edges_are_resampled_once_and_no_more_are_in_memory(tmp_path, monkeypatch, alive):
    masks = tuple(write_sheets(tmp_path / f"m{number}.mrc", 1, 2) for number in range(3))
    for path in masks:
        with mrcfile.open(path, "r+") as file:
            file.voxel_size = (20.0, 20.0, 40.0)
    resampled, counts = [], []
    usual = tomocore.volumes.formats.resampled
    monkeypatch.setattr(
        tomocore.volumes.formats, "resampled", lambda *words: resampled.append(1) or usual(*words)
    )
    request = RunRequest(masks, tmp_path, resample=True)
    reader = MaskReader(request, SETTINGS.roi)
    with recorded_run("test") as record:
        planned = planned_membranes(request, reader, SETTINGS, record, Batch())
    expected = {path: open_mask(path, resample=True) for path in masks}
    resampled.clear()
    for one in planned:
        found = reader.membrane(one)
        counts.append(len(alive()))
        np.testing.assert_array_equal(found.mask, cut_out(expected[one.source], one.place).mask)
    assert len(planned) == 6
    assert not resampled
    assert max(counts) == 1


def test_masks_are_let_go_while_the_run_is_planned(tmp_path, alive):
    masks = tuple(write_sheets(tmp_path / f"m{number}.mrc", 1, 2) for number in range(4))
    request = RunRequest(masks, tmp_path, inside=(("1", "2"),))
    reader = MaskReader(request, SETTINGS.roi)
    with recorded_run("test") as record:
        planned = planned_membranes(request, reader, SETTINGS, record, Batch())
    assert [one.name for one in planned] == [f"m{number}_{label}" for number in range(4) for label in (1, 2)]
    assert alive() == {masks[-1]}


def test_partners_decide_sides_as_if_all_masks_were_in_memory(tmp_path):
    masks = tuple(write_sheets(tmp_path / f"m{number}.mrc", 1, 2) for number in range(2))
    request = RunRequest(masks, tmp_path, inside=(("1", "2"),))
    reader = MaskReader(request, SETTINGS.roi)
    with recorded_run("test") as record:
        planned = {one.name: one for one in planned_membranes(request, reader, SETTINGS, record, Batch())}
    for mask in ("m0", "m1"):
        inner, outer = (reader.membrane(planned[f"{mask}_{label}"]) for label in (1, 2))
        for own, partner, side in ((inner, outer, "partner_toward"), (outer, inner, "partner_away")):
            expected = KnownSide(side, partner_points=sampled_points(partner))
            assert own.known_side.side == expected.side
            np.testing.assert_array_equal(own.known_side.partner_points, expected.partner_points)


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (("a/cell.mrc", 1), ("b/cell.mrc", 1), "cell"),
        (("a/cell.mrc", 1), ("b/CELL.mrc", 1), "CELL"),
        (("cell.mrc", 1, 2), ("cell_2.mrc", 1), "cell_2"),
    ],
)
def test_two_membranes_of_one_name_are_refused_before_any_is_measured(
    tmp_path, measured, first, second, name
):
    masks = tuple(write_sheets(tmp_path / file, *labels) for file, *labels in (first, second))
    with pytest.raises(InputError, match=f"both would be written as {name}; rename one") as refusal:
        run_masks(RunRequest(masks, tmp_path / "out"), SETTINGS)
    assert all(str(mask) in str(refusal.value) for mask in masks)
    assert not measured
    assert not (tmp_path / "out").exists()


def test_scores_in_whole_numbers_are_refused_with_the_command_that_thresholds_them(tmp_path, measured):
    z = np.indices((24, 24, 24))[0]
    noise = np.random.default_rng(5).normal(0, 20, z.shape)
    scores = np.clip(200 * np.exp(-(((z - 12) / 4.0) ** 2)) + noise, 0, 255).astype(np.uint8)
    write_volume(tmp_path / "scores.mrc", Volume(scores.astype(np.int16), EDGE_NM))
    outcome = run_masks(RunRequest((tmp_path / "scores.mrc",), tmp_path / "out"), SETTINGS)
    (line,) = outcome.failed.values()
    assert "map of scores and no mask" in line
    assert f"surfora clean {tmp_path / 'scores.mrc'} --threshold" in line
    assert not measured


def test_an_inverted_mask_is_warned_of(tmp_path, measured, caplog):
    path = write_sheets(tmp_path / "m.mrc", 1)
    volume = read_volume(path)
    run_masks(RunRequest((path,), tmp_path / "out"), SETTINGS)
    assert "is it the background?" not in caplog.text
    write_volume(path, volume.with_data(1 - volume.data))
    run_masks(RunRequest((path,), tmp_path / "out"), SETTINGS)
    share = 100 * np.mean(volume.data == 0)
    assert f"{path}: label 1 fills {share:.0f}% of the volume: is it the background?" in caplog.text


def test_a_mask_that_is_replaced_meanwhile_fails_alone(tmp_path, monkeypatch, measured):
    masks = tuple(write_sheets(tmp_path / f"m{number}.mrc", 1, 2) for number in range(2))
    plan = surfora.batch.planned_membranes

    def and_replaced(*words):
        planned = plan(*words)
        write_sheets(masks[0], 5)
        masks[1].unlink()
        return planned

    monkeypatch.setattr(surfora.batch, "planned_membranes", and_replaced)
    watcher = Listener()
    run_masks(RunRequest(masks, tmp_path / "out"), SETTINGS, watcher)
    for number, told in enumerate(("was changed while the run went on", "no such file")):
        lines = [line for line in watcher.lines if line.startswith(f"m{number}_")]
        assert len(lines) == 2
        assert all(f"m{number}.mrc: {told}" in line for line in lines)
    assert not measured


@pytest.mark.slow
def test_what_exists_is_kept_without_a_worker_and_the_rest_is_made(tmp_path, monkeypatch):
    masks = (write_sheets(tmp_path / "a.mrc", 1, 2), write_sheets(tmp_path / "b.mrc", 1))
    first = RunRequest(masks[:1], tmp_path / "out")
    assert sorted(run_masks(first, SETTINGS).done) == ["a_1", "a_2"]
    made = read_facts(tmp_path / "out" / "a_1.medial.vtp").identity
    watcher = Listener()
    second = run_masks(RunRequest(masks, tmp_path / "out"), SETTINGS, watcher)
    assert (second.done, list(second.skipped)) == (["b"], ["a_1", "a_2"])
    assert [row["name"] for row in second.surfaces] == ["a_1", "a_2", "b"]
    monkeypatch.setattr(surfora.batch, "WorkerPool", None)  # spawning one would raise
    third = run_masks(RunRequest(masks, tmp_path / "out", jobs=2), SETTINGS, watcher)
    assert list(third.skipped) == ["a_1", "a_2", "b"]
    assert read_facts(tmp_path / "out" / "a_1.medial.vtp").identity == made


@pytest.mark.slow
def test_kept_files_of_other_settings_are_warned_of(tmp_path, caplog):
    mask = write_sheets(tmp_path / "a.mrc", 1)
    run_masks(RunRequest((mask,), tmp_path / "out"), SETTINGS)
    run_masks(RunRequest((mask,), tmp_path / "out"), SETTINGS)
    nearer = SETTINGS.model_copy(
        update={"distance": SETTINGS.distance.model_copy(update={"contact_distance_nm": 9.0})}
    )
    run_masks(RunRequest((mask,), tmp_path / "out"), nearer)  # measured again, on the same surface
    assert "made with other settings" not in caplog.text
    other = SETTINGS.model_copy(update={"wedge": SETTINGS.wedge.model_copy(update={"max_tilt_deg": 50.0})})
    run_masks(RunRequest((mask,), tmp_path / "out"), other)
    assert "a.medial.vtp: kept, but made with other settings" in caplog.text


def test_a_surface_that_no_scale_of_curvature_fits_is_a_failure_in_one_line(tmp_path):
    wide = SETTINGS.model_copy(
        update={"curvature": SETTINGS.curvature.model_copy(update={"radii_nm": (500.0,)})}
    )
    outcome = run_masks(RunRequest((write_sheets(tmp_path / "a.mrc", 1),), tmp_path / "out"), wide)
    (line,) = outcome.failed.values()
    assert line.startswith("a: its medial surface of ")
    assert "to measure a curvature anywhere" in line


@pytest.mark.parametrize(("voxels", "workers"), [(1, [3]), (10**9, [])])
def test_little_work_is_done_without_processes(tmp_path, measured, monkeypatch, voxels, workers):
    begun = []
    monkeypatch.setattr(surfora.batch, "VOXELS_OF_A_PROCESS", voxels)
    monkeypatch.setattr(
        surfora.batch, "WorkerPool", lambda count, *_, **__: begun.append(count) or ThreadPoolExecutor(count)
    )
    mask = write_sheets(tmp_path / "m.mrc", 1, 2, 3)
    run_masks(RunRequest((mask,), tmp_path / "out", jobs=4), SETTINGS)
    assert len(measured) == 3
    assert begun == workers


def test_a_membrane_measured_here_tells_how_far_it_is(tmp_path, monkeypatch):
    titles, told = [], []

    class Follower(Watcher):
        @contextmanager
        def progress(self, title):
            titles.append(title)
            yield lambda done, total: told.append((title, done, total))

    monkeypatch.setattr(surfora.reporting.report, "write_run_report", lambda folder: None)
    run_masks(RunRequest((write_sheets(tmp_path / "m.mrc", 1),), tmp_path / "out"), SETTINGS, Follower())
    assert titles[:2] == ["membranes", "m"]
    assert len([one for one in told if one[0] == "m"]) > 5
