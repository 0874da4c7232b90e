"""Long work beside the window: in a thread, with progress, words and a way to stop it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

from tomocore.contract import FAILURES, Progress, Watcher, one_line, with_subject

PACKAGES = ("tomocore", "tomorois")


class Stopped(Exception):
    """A person stopped the work."""


class JobWatcher(Watcher):
    """What file-level functions report to; hands it on to the window and stops the work where asked to."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def say(self, line: str) -> None:
        """A line for the window."""
        self.job.said.emit(line)

    def done(self, name: str, line: str) -> None:
        """An item is finished."""
        self.job.item_done.emit(name)
        if line:
            self.job.said.emit(line)

    def skipped(self, name: str, reason: str) -> None:
        """An item was left alone."""
        self.job.item_done.emit(name)

    def failed(self, line: str) -> None:
        """An item failed."""
        self.job.complained.emit(line)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Yield what moves the bar; it raises `Stopped` where the work is to end."""

        def advance(done: int, total: int) -> None:
            self.job.stop_if_asked()
            self.job.progressed.emit(done, total, title)

        yield advance


class Job(QObject):
    """One piece of work in a thread of its own; its signals arrive in the window's thread.

    ``quiet`` work moves no bar: nobody waits for it.
    """

    progressed = Signal(int, int, str)
    said = Signal(str)
    complained = Signal(str)
    item_done = Signal(str)
    told = Signal(object)
    succeeded = Signal(object)
    failed = Signal(str)
    stopped = Signal()
    ended = Signal()

    def __init__(self, title: str, work: Callable[[Job], Any], quiet: bool = False) -> None:
        super().__init__()
        self.title = title
        self.quiet = quiet
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tomorois {title}", daemon=True)

    @property
    def watcher(self) -> JobWatcher:
        """What the work reports to."""
        return JobWatcher(self)

    @property
    def is_running(self) -> bool:
        """Whether its thread is alive."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the work to end at its next report."""
        self._stop.set()

    def stop_if_asked(self) -> None:
        """Raise `Stopped` where a person asked for it; for work that reports no progress."""
        if self._stop.is_set():
            raise Stopped

    def wait(self, seconds: float = 60.0) -> None:
        """Wait for the thread."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            result = self._work(self)
        except Stopped:
            self.stopped.emit()
        except FAILURES as error:
            self.failed.emit(one_line(error))
        except Exception as error:
            logging.getLogger(__name__).exception("unexpected")
            self.failed.emit(f"{type(error).__name__}: {one_line(error)}; please report this")
        else:
            self.succeeded.emit(result)
        finally:
            self.ended.emit()


class Jobs(QObject):
    """All work that runs beside a window; one of a kind at a time."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[str, Job] = {}
        self._ended: list[Job] = []

    def start(self, kind: str, job: Job) -> bool:
        """Start a job, unless one of its kind runs; whether it was started."""
        if kind in self._running:
            return False
        self._running[kind] = job
        job.ended.connect(lambda: self._forget(kind, job), Qt.ConnectionType.QueuedConnection)
        job.start()
        self.changed.emit()
        return True

    def job(self, kind: str) -> Job | None:
        """The running job of a kind."""
        return self._running.get(kind)

    def running(self) -> list[Job]:
        """The running jobs that somebody waits for."""
        return [job for job in self._running.values() if not job.quiet]

    def stop_all(self) -> None:
        """Ask all to end, and wait for them."""
        for job in self._running.values():
            job.stop()
        for job in self._running.values():
            job.wait()
        self._running.clear()

    def _forget(self, kind: str, job: Job) -> None:
        job.wait()
        if self._running.get(kind) is job:
            del self._running[kind]
        self.changed.emit()


def without_options(line: str) -> str:
    """A warning without what it says of options of a command, which a window does not have."""
    parts = [part for part in line.split("; ") if "--" not in part]
    return "; ".join(parts) or line


class _Emitter(QObject):
    logged = Signal(str)


class WarningsShown(logging.Handler):
    """Hands warnings of the packages to a window; to be closed with it."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._emitter = _Emitter()
        self._emitter.logged.connect(show, Qt.ConnectionType.QueuedConnection)
        self.addFilter(with_subject)
        for package in PACKAGES:
            logging.getLogger(package).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one warning on."""
        self._emitter.logged.emit(without_options(" ".join(record.getMessage().split())))

    def close(self) -> None:
        """Hear no more."""
        for package in PACKAGES:
            logging.getLogger(package).removeHandler(self)
        super().close()
