"""`surfora run` on full disks, in folders of other runs, over damaged files, and ended by signals."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command
from filling_disk import FillingDisk
from small_disk import small_disk

import surfora.pipeline
import surfora.reporting.report
from surfora.batch import run_masks
from surfora.geometry.files import read_facts, read_mesh
from surfora.planning import RunRequest
from surfora.settings import SurforaSettings
from tomocore.contract import NoRoomError
from tomocore.locks import LockedError, folder_lock, one_run
from tomocore.page import Page
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

SETTINGS = SurforaSettings()


@pytest.fixture
def no_pictures(monkeypatch):
    """Reports without pictures, which take most of the time of a small run."""
    monkeypatch.setattr(
        surfora.reporting.report, "run_page", lambda folder, record: Page("run", record["id"])
    )


def write_sheets(path, count):
    """A mask of parallel sheets 16 nm apart, a label each."""
    data = np.zeros((8 * count + 6, 16, 16), np.int16)
    for number in range(count):
        data[8 * number + 5 : 8 * number + 7, 2:14, 2:14] = number + 1
    write_volume(path, Volume(data, 2.0))
    return path


@pytest.fixture(scope="module")
def mask(tmp_path_factory):
    return write_sheets(tmp_path_factory.mktemp("mask") / "a.mrc", 1)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def results_of(folder):
    """All that a run made but for its provenance: arrays of the surfaces, and the tables."""
    arrays = {}
    for path in sorted(folder.glob("*.medial.vtp")):
        mesh = read_mesh(path)
        arrays |= {(path.name, name): values.tobytes() for name, values in mesh.data.items()}
        arrays[path.name] = mesh.vertices.tobytes() + mesh.faces.tobytes()
    tables = [pd.read_csv(folder / f"{name}.csv") for name in ("surfaces",)]
    return arrays, [table.drop(columns=["provenance"], errors="ignore").to_csv() for table in tables]


@pytest.mark.slow
def test_full_at_any_write_a_run_says_so_in_one_line_leaves_no_half_file_and_goes_on_later(
    mask, tmp_path, monkeypatch, no_pictures
):
    whole = tmp_path / "whole"
    disk = FillingDisk(whole, monkeypatch)
    run_masks(RunRequest((mask,), whole), SETTINGS)
    assert disk.count > 12
    monkeypatch.undo()
    for room in range(disk.count):
        folder = tmp_path / f"room{room}"
        with monkeypatch.context() as patch:
            patch.setattr(surfora.reporting.report, "run_page", lambda folder, record: Page("run", "x"))
            FillingDisk(folder, patch, room)
            with pytest.raises(NoRoomError, match=rf"^{folder}/\S+: no space left .*; free some there"):
                run_masks(RunRequest((mask,), folder), SETTINGS)
            left = names(folder)
            assert not [name for name in left if name.startswith(".")], (room, left)
            run_again = {path: path.stat().st_mtime_ns for path in folder.glob("*.vtp")}
            for path in run_again:
                read_facts(path)
        with monkeypatch.context() as patch:
            patch.setattr(surfora.reporting.report, "run_page", lambda folder, record: Page("run", "x"))
            run_masks(RunRequest((mask,), folder), SETTINGS)
        assert names(folder) == names(whole)
        assert results_of(folder) == results_of(whole)
        kept = folder / "a.medial.vtp"
        assert kept not in run_again or kept.stat().st_mtime_ns == run_again[kept]


@pytest.mark.parametrize("kilobytes", [8, 16, 24, 32])
def test_on_a_real_full_disk_what_has_its_name_is_whole_and_with_room_the_rest_is_made(
    mask, tmp_path, no_pictures, kilobytes
):
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        folder = disk / "out"
        with pytest.raises(NoRoomError, match=rf"at {disk} \(.* free\)"):
            run_masks(RunRequest((mask,), folder), SETTINGS)
        assert not [name for name in names(folder) if name.startswith(".") or name == "report.html"]
        for path in folder.glob("*.vtp"):
            assert read_facts(path).name == "a"
        subprocess.run(["mount", "-o", "remount,size=4096k", disk], check=True)
        run_masks(RunRequest((mask,), folder), SETTINGS)
        assert (folder / "report.html").exists()


def test_a_second_run_in_a_folder_is_refused_and_changes_nothing(mask, tmp_path):
    with one_run(tmp_path / "out"):
        with pytest.raises(LockedError, match=rf"process {os.getpid()} on .*, since 20"):
            run_masks(RunRequest((mask,), tmp_path / "out", overwrite=True), SETTINGS)
        assert names(tmp_path / "out") == [".run.lock"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_surface_that_cannot_be_read_is_made_anew(mask, tmp_path, no_pictures, caplog, damage):
    folder = tmp_path / "out"
    run_masks(RunRequest((mask,), folder), SETTINGS)
    surface = folder / "a.medial.vtp"
    whole, before = surface.read_bytes(), results_of(folder)
    surface.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"no surface"}[damage])
    assert run_masks(RunRequest((mask,), folder), SETTINGS).done == ["a"]
    assert "a.medial.vtp" in caplog.text
    assert "made anew" in caplog.text
    assert results_of(folder) == before
    assert run_masks(RunRequest((mask,), folder), SETTINGS).done == []


def test_an_overwriting_run_that_ends_half_way_leaves_no_files_of_two_makings(
    mask, tmp_path, monkeypatch, no_pictures
):
    folder = tmp_path / "out"
    run_masks(RunRequest((mask,), folder, kind="both"), SETTINGS)
    others = SETTINGS.model_copy(
        update={"smooth": SETTINGS.smooth.model_copy(update={"iterations": SETTINGS.smooth.iterations + 5})}
    )
    usual = surfora.pipeline.write_surface

    def end_at_the_second(path, *words):
        if path.name == "a.isosurface.vtp":
            raise KeyboardInterrupt
        usual(path, *words)

    with monkeypatch.context() as patch:
        patch.setattr(surfora.pipeline, "write_surface", end_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run_masks(RunRequest((mask,), folder, kind="both", overwrite=True), others)
    assert not (folder / "report.html").exists()
    again = run_masks(RunRequest((mask,), folder, kind="both"), others)
    assert again.done == ["a"]
    made = {path: read_facts(path).identity for path in folder.glob("a.*.vtp")}
    assert len(made) == 6
    assert len(set(made.values())) == 1


def _started(folder, *words):
    """A run whose workers are at work: one more surface's points are there than before."""
    there = len(list(folder.glob("[!.]*.points.vtp")))  # and not those that are being written
    code = (
        "import surfora.batch, surfora.cli.app; surfora.batch.VOXELS_OF_A_PROCESS = 1; surfora.cli.app.main()"
    )
    command = [sys.executable, "-c", code, *map(str, words)]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 240
    while len(list(folder.glob("[!.]*.points.vtp"))) <= there:
        assert time.monotonic() < deadline
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    return run


def _of_group(number):
    """Commands of the living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(text[3]) == number and text[0] not in "ZX":
            found.append(stat.parent.name)
    return found


ENDINGS = (
    (signal.SIGTERM, 143, "ended by SIGTERM; run the same command again to continue"),
    (signal.SIGINT, 130, "interrupted; run the same command again to continue"),
    (signal.SIGKILL, -9, None),
)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="counts processes by /proc")
def test_a_run_with_workers_that_is_ended_leaves_no_process_and_the_next_one_goes_on(tmp_path, no_pictures):
    mask, folder = write_sheets(tmp_path / "m.mrc", 9), tmp_path / "out"
    for number, status, line in ENDINGS:
        run = _started(folder, "run", mask, "-o", folder, "-j", 2)
        (os.kill if number == signal.SIGKILL else os.killpg)(run.pid, number)
        _, told = run.communicate(timeout=60)
        assert run.returncode == status
        if line:
            assert told.splitlines()[-1] == line
            assert "Traceback" not in told
            assert [name for name in names(folder) if name.startswith(".")] == []
        deadline = time.monotonic() + 15
        while _of_group(run.pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    made = run_masks(RunRequest((mask,), folder), SETTINGS)
    assert len(made.skipped) > 0
    assert len(made.surfaces) == 9
    assert [name for name in names(folder) if name.startswith(".")] == []


def test_a_locked_folder_is_one_line_and_status_one(mask, tmp_path):
    (tmp_path / "out").mkdir()
    with one_run(tmp_path / "out"):
        result = run_command("surfora", "run", mask, "-o", tmp_path / "out")
    assert re.search(r"out: is being written by `.*`, process \d+ on", refusal_of(result))
    assert not folder_lock(tmp_path / "out").exists()
