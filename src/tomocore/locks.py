"""One writer at a time: a lock file beside what is written, which outlives no writer for long.

The lock is made as a new file, which is one act on local and on network file systems (NFS from version 3 on),
names its holder, and is touched every few seconds. A holder of this machine that is no more is found by its
number and start; one of another machine by its silence. What this cannot do: two machines whose file system
shows each other's new files late, or does not keep "new" in one act (some SMB shares), may both begin.
"""

from __future__ import annotations

import _thread
import itertools
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from tomocore.contract import InputError
from tomocore.files import leftover_prefix, remove_leftovers, require_writable_folder, unwritable
from tomocore.machine import ProcessMark, is_alive, this_process
from tomocore.side_files import read_json

BEAT_S = 20.0
"""Seconds between two signs of life of a holder."""

SILENT_S = 600.0
"""Seconds of silence after which a holder on another machine counts as gone."""

GUARD_S = 60.0
"""Seconds after which a process that was taking a lock away counts as gone; it takes milliseconds."""

TRIES = 100
_holds = itertools.count(1)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    mark: ProcessMark
    machine: str
    command: str
    since: str
    hold: int = 0  # which of its process, that none takes another's for its own

    def __str__(self) -> str:
        return f"`{self.command}`, process {self.mark.number} on {self.machine}, since {self.since}"


class LockedError(InputError):
    """Another process writes there."""


def folder_lock(folder: Path) -> Path:
    """The lock of a folder that one run at a time writes into."""
    return folder / ".run.lock"


def file_lock(path: Path) -> Path:
    """The lock of one result, for folders that several processes write different results into."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def one_run(folder: Path) -> Iterator[Path]:
    """Yield ``folder``, made if missing, for this run alone; what dead runs left half-written is deleted.

    Where nothing was put into a new folder it is taken away again. Raises InputError where nothing can be
    written in it, LockedError where another run holds it.
    """
    missing = not folder.exists()
    try:
        with held(folder_lock(require_writable_folder(folder)), str(folder)):
            remove_leftovers(folder)
            try:
                yield folder
            finally:
                remove_leftovers(folder)  # of workers that died
    finally:
        if missing and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def one_writer(path: Path, wait_s: float = 0.0) -> Iterator[Path]:
    """Yield ``path`` for this process alone to write, with all that belongs to it.

    Its folder must exist. Raises LockedError where another process is writing it, after ``wait_s`` seconds.
    """
    with held(file_lock(path), str(path), wait_s):
        yield path


@contextmanager
def held(lock: Path, what: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a lock file; LockedError with its holder where another process has it for ``wait_s`` seconds.

    A holder that is gone is replaced. Where this process was silent for so long (a suspended machine) that
    another took the lock, it ends with LockedError as well.
    """
    me = _me()
    until = time.monotonic() + wait_s
    beating: _Beat | None = None
    try:  # from here on, as a signal may come as soon as the lock is there
        while True:
            try:
                _take(lock, me, what)
                break
            except LockedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        beating = _Beat(lock, me)
        beating.start()
        yield
    except KeyboardInterrupt:
        if beating is not None and beating.is_lost:
            raise _taken_over(lock, what) from None
        raise
    finally:
        if beating is not None:
            beating.stop()
        if _holder(lock) == me:
            with suppress(OSError):
                lock.unlink()
    if beating.is_lost:
        raise _taken_over(lock, what)


def _me() -> Holder:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    since = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
    return Holder(this_process(), platform.node(), command, since, next(_holds))


def _take(lock: Path, me: Holder, what: str) -> None:
    for _ in range(TRIES):
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            _require_gone(lock, what)
            _take_away(lock, what)
            continue
        except OSError as error:
            raise unwritable(lock, error) from error
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(me), file)
        except BaseException as error:
            lock.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise unwritable(lock, error) from error
            raise
        return
    raise _refusal(lock, what, _holder(lock), None)


def _require_gone(lock: Path, what: str) -> Holder | None:
    """Whose the lock was, if anyone's; LockedError where the holder runs, or may run."""
    holder, silent_s = _holder(lock), _silent_s(lock)
    alive = None if holder is None else is_alive(holder.mark)
    if silent_s is not None and (alive or (alive is None and silent_s < SILENT_S)):
        raise _refusal(lock, what, holder, silent_s if alive is None else None)
    return holder


def _take_away(lock: Path, what: str) -> None:
    """Delete the lock of a holder that is gone, unless another process is doing so.

    One at a time, and with a second look: else the lock of one that was faster would be deleted.
    """
    guard = lock.with_name(f"{lock.name}.taken")
    try:
        os.close(os.open(guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        if (_silent_s(guard) or 0.0) > GUARD_S:  # its process died within the next lines
            guard.unlink(missing_ok=True)
        time.sleep(0.02)
        return
    try:
        holder = _require_gone(lock, what)
        lock.unlink(missing_ok=True)
        if holder is not None:
            remove_leftovers(lock.parent, gone=holder.mark)
    finally:
        guard.unlink(missing_ok=True)


def clear_of_dead(folder: Path, commands_gone: str = "") -> None:
    """Delete the locks in a folder whose holders are no more, and what these left half-written.

    ``commands_gone``: locks of processes on other machines that ran this are deleted, too, where the caller
    knows that all of them have ended.
    """
    for lock in folder.glob(".*.lock"):
        holder = _holder(lock)
        alive = None if holder is None else is_alive(holder.mark)
        if holder is not None and (alive is False or (alive is None and holder.command == commands_gone)):
            lock.unlink(missing_ok=True)
            remove_leftovers(folder, gone=holder.mark)
    remove_leftovers(folder)


def _holder(lock: Path) -> Holder | None:
    """Who a lock names, or None where it cannot be read, as when its holder has only just made it."""
    try:
        holder: Holder = read_json(lock, Holder)
    except (OSError, InputError):
        return None
    return holder if 0 < holder.mark.number < 2**31 else None  # else a group of processes


def _silent_s(lock: Path) -> float | None:
    """Seconds since the last sign of life, by the clock of the file system; None where the lock is gone."""
    probe = lock.with_name(f"{leftover_prefix(this_process())}now{threading.get_ident()}")
    try:
        probe.touch()
        now = probe.stat().st_mtime
    except OSError:
        now = time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    try:
        return max(0.0, now - lock.stat().st_mtime)
    except OSError:
        return None


def _refusal(lock: Path, what: str, holder: Holder | None, silent_s: float | None) -> LockedError:
    by = f"by {holder}" if holder else f"by a process that {lock.name} does not name"
    remedy = "wait for it, or choose another place with -o"
    if silent_s is not None:
        remedy += (
            f"; last heard of {silent_s:.0f} s ago, it counts as gone after {SILENT_S:.0f} s "
            f"(or delete {lock}, if you know that it is)"
        )
    return LockedError(f"{what}: is being written {by}; {remedy}")


def _taken_over(lock: Path, what: str) -> LockedError:
    return LockedError(
        f"{what}: this run was silent for so long that another one took its place "
        f"({_holder(lock) or 'which has ended'}); look at what it made, then run the same command again"
    )


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):  # which ends waiting, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


class _Beat(threading.Thread):
    """Touches a lock until it is stopped; finds out whether the lock is another's meanwhile."""

    def __init__(self, lock: Path, me: Holder) -> None:
        super().__init__(name=f"lock {lock}", daemon=True)
        self.lock, self.me = lock, me
        self.is_lost = False
        self._stopped = threading.Event()
        self._by_main = threading.current_thread() is threading.main_thread()

    def run(self) -> None:
        """Beat until stopped or lost; a lost lock interrupts the work that it was held for."""
        while not self._stopped.wait(BEAT_S):
            holder = _holder(self.lock)
            if holder == self.me:
                with suppress(OSError):
                    os.utime(self.lock)
            elif holder is not None:
                self.is_lost = True
                if self._by_main:
                    _interrupt_main()
                return

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=5.0)  # a network file system may hang
