"""Workers end with their parent, whatever ends it, and signals end a command with one line."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tomocore.machine import (
    ProcessMark,
    Terminated,
    is_alive,
    signals_as_interrupts,
    signals_held,
    this_process,
)

PARENT = """
import sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tomocore import machine
from tomocore.locks import one_run
from tomocore.files import written_beside
from tomocore.terminal.console import exit_status_of
from tomocore.machine import WorkerPool, signals_as_interrupts

def work(folder, number):
    with written_beside(folder / f"{number}.vtp") as beside:
        beside.write_text("half")
        time.sleep(600)

def watched_by_a_thread_alone():
    threading.Thread(target=machine._end_when_parent_has, daemon=True).start()

def pool():
    if sys.argv[2] == "thread":
        return ProcessPoolExecutor(2, get_context("spawn"), watched_by_a_thread_alone)
    return WorkerPool(2)

def command():
    with one_run(Path(sys.argv[1])) as folder, pool() as workers:
        waited = [workers.submit(work, folder, number) for number in range(3)]
        for one in waited:
            one.result()

if __name__ == "__main__":
    with signals_as_interrupts():
        sys.exit(exit_status_of(command))
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def _started(tmp_path, folder, kind="pool"):
    """A parent whose two workers are in the middle of a file, and the workers' marks."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(folder), kind],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(halves := list(folder.glob(".part-*.vtp"))) < 2:
        assert time.monotonic() < deadline
        assert parent.poll() is None, parent.stderr.read()
        time.sleep(0.05)
    parts = [path.name.split("-") for path in halves]
    return parent, [ProcessMark(part[1], int(part[2]), part[3]) for part in parts]


def _all_gone(marks, seconds=10):
    deadline = time.monotonic() + seconds
    while any(is_alive(mark) for mark in marks):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("kind", ["pool", "thread"])
def test_a_parent_that_is_killed_takes_its_workers_along(tmp_path, folder, kind):
    parent, workers = _started(tmp_path, folder, kind)
    assert all(is_alive(mark) for mark in workers)
    parent.kill()
    parent.communicate()
    assert _all_gone(workers)


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [
        (signal.SIGINT, 130, "interrupted; run the same command again to continue"),
        (signal.SIGTERM, 143, "ended by SIGTERM; run the same command again to continue"),
    ],
)
@pytest.mark.parametrize("whom", ["the parent", "all"])
def test_a_signal_ends_parent_and_workers_with_one_line_and_no_leftover(
    tmp_path, folder, number, status, line, whom
):
    parent, workers = _started(tmp_path, folder)
    (os.kill if whom == "the parent" else os.killpg)(parent.pid, number)  # Ctrl-C reaches all of a group
    assert parent.wait(30) == status
    assert parent.stderr.read().splitlines() == [line]
    assert _all_gone(workers)
    assert not folder.exists()


def _end_this_process():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def test_a_signal_raises_once_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with signals_as_interrupts():
        with pytest.raises(Terminated) as ending:
            _end_this_process()
        assert ending.value.number == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)  # a batch queue sends it to a whole group, and again
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_process_is_known_by_its_start_and_place_too():
    me = this_process()
    assert is_alive(me) is True
    assert is_alive(ProcessMark(me.place, me.number, "1")) is False
    assert is_alive(ProcessMark(me.place, 2**30, "1")) is False
    assert is_alive(ProcessMark("0123abcd", me.number, me.start)) is None


def test_an_interrupt_while_a_command_loads_is_one_line(tmp_path):
    (tmp_path / "cyclopts.py").write_text("raise KeyboardInterrupt\n")
    environment = {**os.environ, "PYTHONPATH": ":".join([str(tmp_path), *sys.path])}
    for tool in ("surfora", "tomorois", "tomosurf"):
        script = Path(sys.executable).parent / tool
        result = subprocess.run([script, "--help"], capture_output=True, text=True, env=environment)
        assert result.stderr.splitlines() == ["interrupted"]
        assert result.returncode in (130, -signal.SIGINT)


@pytest.mark.parametrize("package", ["tomorois", "surfora"])
@pytest.mark.parametrize("own", [None, "active"])
def test_threads_wait_asleep_unless_told_otherwise(package, own):
    before = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    told = before if own is None else {**before, "OMP_WAIT_POLICY": own}
    asked = f"import os, {package}; print(os.environ['OMP_WAIT_POLICY'])"
    said = subprocess.run([sys.executable, "-c", asked], env=told, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == (own or "passive")


def test_signals_are_held_though_another_thread_takes_them():
    """As PyTorch's threads do, which do not block them; two that came are both told, after the work."""
    over = threading.Event()
    threading.Thread(target=over.wait, args=(60,), daemon=True).start()
    done, told = [], []

    def work_under(number):
        with signals_held():
            os.kill(os.getpid(), number)
            time.sleep(0.2)
            done.append(list(told))

    try:
        with pytest.raises(KeyboardInterrupt):
            work_under(signal.SIGINT)
        before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
        try:
            work_under(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)
    finally:
        over.set()
    assert done == [[], []]
    assert told == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
