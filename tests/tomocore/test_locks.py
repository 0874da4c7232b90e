"""One writer at a time, and none that is gone keeps others out."""

import json
import os
import platform
import subprocess
import sys
import threading
import time

import pytest

from tomocore import locks
from tomocore.files import leftover_prefix
from tomocore.locks import LockedError, file_lock, folder_lock, one_run, one_writer
from tomocore.machine import ProcessMark, this_process

HOLDING = """
import sys, time
from pathlib import Path
from tomocore.files import written_beside
from tomocore.locks import one_run
with one_run(Path(sys.argv[1])) as folder, written_beside(folder / "a.vtp") as beside:
    beside.write_text("half")
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder and is in the middle of a file."""
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_with_the_holder_and_a_dead_one_is_replaced(tmp_path, holder):
    with pytest.raises(LockedError) as refused, one_run(tmp_path):
        pytest.fail("two runs in one folder")
    line = str(refused.value)
    assert line.startswith(f"{tmp_path}: is being written by")
    assert f"process {holder.pid} on {platform.node()}, since 20" in line
    holder.kill()
    holder.wait()
    assert list(tmp_path.glob(".part-*a.vtp"))
    with one_run(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".run.lock"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["start", "__init__"])
def test_interrupted_as_soon_as_it_has_the_lock_a_run_gives_it_back(tmp_path, monkeypatch, where):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(locks._Beat, where, interrupt)
    with pytest.raises(KeyboardInterrupt), one_run(tmp_path / "out"):
        pytest.fail("it was interrupted before")
    assert not (tmp_path / "out").exists()


def test_interrupted_while_it_writes_the_lock_a_run_leaves_none(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(locks.json, "dump", interrupt)
    with pytest.raises(KeyboardInterrupt), one_run(tmp_path / "out"):
        pytest.fail("it was interrupted before")
    assert not (tmp_path / "out").exists()


def test_a_folder_made_for_a_run_that_wrote_nothing_is_taken_away(tmp_path):
    with pytest.raises(ZeroDivisionError), one_run(tmp_path / "out"):
        raise ZeroDivisionError
    assert not (tmp_path / "out").exists()


def test_writers_of_different_files_of_a_folder_do_not_hinder_each_other(tmp_path):
    with one_writer(tmp_path / "a"), one_writer(tmp_path / "b"):
        with pytest.raises(LockedError, match="a: is being written"), one_writer(tmp_path / "a"):
            pass
        assert file_lock(tmp_path / "a").exists()
    assert list(tmp_path.iterdir()) == []


def _lock_of_another_machine(folder, silent_s):
    mark = {"place": "0123abcd", "number": 17, "start": "5"}
    text = json.dumps(
        {"mark": mark, "machine": "node7", "command": "surfora run", "since": "2026-01-02 03:04:05"}
    )
    lock = folder_lock(folder)
    lock.write_text(text)
    os.utime(lock, (time.time() - silent_s,) * 2)
    return ProcessMark(**mark)


def test_a_run_on_another_machine_is_believed_while_it_gives_signs_of_life(tmp_path):
    gone = _lock_of_another_machine(tmp_path, silent_s=300)
    half = tmp_path / f"{leftover_prefix(gone)}0-a.vtp"
    half.touch()
    told = r"`surfora run`, process 17 on node7, since 2026-01-02 03:04:05.*last heard of 30\d s ago"
    with pytest.raises(LockedError, match=told), one_run(tmp_path):
        pass
    _lock_of_another_machine(tmp_path, silent_s=700)
    with one_run(tmp_path):
        assert json.loads(folder_lock(tmp_path).read_text())["mark"]["number"] == os.getpid()
        assert not half.exists()


OF_NO_PROCESS = (
    '{"mark": {"place": "0123abcd", "number": %s, "start": "5"}, '
    '"machine": "n", "command": "c", "since": "s"}'
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"mark": 1}',
        *(OF_NO_PROCESS % number for number in ("NaN", "[[1]]", "-1", "0", "1e30")),
    ],
)
def test_a_lock_that_names_nobody_holds_for_a_while_too(tmp_path, text):
    lock = folder_lock(tmp_path)
    lock.write_text(text)
    with pytest.raises(LockedError, match=r"a process that \.run\.lock does not name"), one_run(tmp_path):
        pass
    os.utime(lock, (time.time() - 700,) * 2)
    with one_run(tmp_path):
        pass


def test_a_run_that_slept_while_another_took_over_ends_and_leaves_the_others_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_S", 0.01)

    def sleep_while_another_takes_over():
        with one_run(tmp_path):
            _lock_of_another_machine(tmp_path, silent_s=0)
            time.sleep(30)  # interrupted long before

    with pytest.raises(LockedError, match=r"silent for so long.*process 17 on node7"):
        sleep_while_another_takes_over()
    assert "node7" in folder_lock(tmp_path).read_text()


def test_the_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_S", 0.01)
    with one_run(tmp_path):
        os.utime(folder_lock(tmp_path), (0, 0))
        deadline = time.monotonic() + 10
        while folder_lock(tmp_path).stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_of_many_that_find_a_dead_holder_one_at_a_time_gets_in(tmp_path):
    inside, most, got_in = [], [], []
    start = threading.Barrier(8)

    def enter():
        start.wait()
        try:
            with one_writer(tmp_path / "a"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.02)
                inside.pop()
                got_in.append(1)
        except LockedError:
            pass

    for _ in range(20):
        dead = {"mark": {"place": this_process().place, "number": 2**30, "start": "1"}}
        text = json.dumps({**dead, "machine": "here", "command": "x", "since": "x"})
        file_lock(tmp_path / "a").write_text(text)
        threads = [threading.Thread(target=enter) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert max(most) == 1
    assert len(got_in) >= 20
