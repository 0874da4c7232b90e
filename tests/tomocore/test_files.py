"""Results are whole or absent, whatever ends their writing."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_disk import small_disk

from surfora.geometry.files import write_surface
from surfora.geometry.surface import SurfaceMesh
from tomocore import files
from tomocore.contract import Batch, InputError, NoRoomError, UnwritableError
from tomocore.files import (
    leftover_prefix,
    remove_leftovers,
    require_writable_folder,
    write_text,
    written_beside,
    written_together,
)
from tomocore.machine import ProcessMark, this_process
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), written_beside(tmp_path / "a.txt") as beside:
        beside.write_text("ne" + str(1 / beside.write_text("")))
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("written", [Path.touch, lambda path: None])
def test_an_empty_file_gets_no_name(tmp_path, written):
    with pytest.raises(UnwritableError, match=r"a\.vtp"), written_beside(tmp_path / "a.vtp") as beside:
        written(beside)
    assert names(tmp_path) == []


def test_a_file_that_cannot_be_read_meanwhile_is_not_taken_for_one_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"input\.csv"), written_beside(tmp_path / "a") as beside:
        beside.write_text((tmp_path / "input.csv").read_text())


def test_a_folder_that_is_gone_is_said(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    with (
        pytest.raises(UnwritableError, match=r"a\.txt: its folder is gone"),
        written_beside(folder / "a.txt"),
    ):
        shutil.rmtree(folder)


def test_the_sign_of_a_group_goes_first_and_comes_last(tmp_path, monkeypatch):
    part, sign = tmp_path / "part", tmp_path / "sign"
    for path in (part, sign):
        path.write_text("old")
    seen = []
    replace = os.replace

    def watched(source, target):
        seen.append((os.path.basename(target), sign.exists()))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", watched)
    with written_together(part, sign) as besides:
        for beside in besides:
            beside.write_text("new")
    assert seen == [("part", False), ("sign", False)]
    assert part.read_text() == sign.read_text() == "new"
    assert names(tmp_path) == ["part", "sign"]


def test_names_of_the_greatest_length_can_be_written(tmp_path):
    path = tmp_path / ("é" * 125 + ".txt")
    write_text(path, "text")
    assert path.read_text() == "text"


def _dead_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    return ProcessMark(this_process().place, child.pid, "1")


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    me = this_process()
    elsewhere = ProcessMark("0123abcd", me.number, me.start)
    reborn = ProcessMark(me.place, me.number, "1")  # our number, but begun at another time
    for owner, name in ((_dead_process(), "dead"), (reborn, "reborn"), (me, "ours"), (elsewhere, "fresh")):
        (tmp_path / f"{leftover_prefix(owner)}0-{name}").touch()
    old = tmp_path / f"{leftover_prefix(elsewhere)}0-abandoned"
    old.mkdir()
    (tmp_path / ".part-of-something-else").touch()
    os.utime(old, (time.time() - 2 * files.ABANDONED_S,) * 2)
    remove_leftovers(tmp_path)
    assert [name.rpartition("-")[2] for name in names(tmp_path)] == ["fresh", "ours", "else"]
    remove_leftovers(tmp_path, gone=elsewhere)
    assert [name.rpartition("-")[2] for name in names(tmp_path)] == ["ours", "else"]


def test_asking_whether_a_folder_can_be_written_leaves_nothing(tmp_path):
    require_writable_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


def test_a_full_disk_ends_a_batch_and_another_failure_does_not():
    batch = Batch()

    def work(item):
        raise {"bad": InputError("bad"), "full": NoRoomError("full")}[item]

    batch.each(["bad"], work)
    with pytest.raises(NoRoomError, match="full"):
        batch.each(["full", "bad"], work)
    assert list(batch.failed) == ["bad"]


def test_an_empty_target_is_made_anew(tmp_path):
    (tmp_path / "a.mrc").touch()
    batch = Batch()
    batch.make(tmp_path / "a.mrc", False, lambda path: str(path.write_bytes(b"content")))
    batch.make(tmp_path / "a.mrc", False, lambda path: pytest.fail("made again"))
    assert len(batch.done) == len(batch.skipped) == 1


def _volume(path):
    noise = np.random.default_rng(0).normal(size=(50, 50, 50)).astype(np.float32)
    write_volume(path, Volume(noise, 1.0, (0.0, 0.0, 0.0)))


def _surface(path):
    points = np.random.default_rng(0).normal(size=(6000, 3))
    write_surface(path, SurfaceMesh(points, np.arange(6000).reshape(-1, 3)))


@pytest.mark.parametrize(
    ("ending", "write"),
    [(ending, _surface) for ending in ("vtp", "ply", "stl", "obj")]
    + [(ending, _volume) for ending in ("mrc", "mrc.gz", "zarr", "tif")],
)
def test_on_a_full_disk_no_writer_leaves_a_file_and_one_line_says_what_to_free(tmp_path, ending, write):
    with small_disk(tmp_path / "disk", 48) as disk:
        with pytest.raises(NoRoomError) as refused:
            write(disk / f"a.{ending}")
        assert names(disk) == []
        line = str(refused.value)
    assert re.fullmatch(rf"{disk}/a\.{ending}: .* at {disk} \(.* of .* are free\); free some there, .*", line)
    write(tmp_path / f"a.{ending}")  # it fits elsewhere
