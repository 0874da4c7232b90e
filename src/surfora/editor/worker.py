"""Long work beside a window: in a thread, with progress and cancel, its result brought back to the window."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from tomocore.contract import FAILURES, Progress, one_line

log = logging.getLogger(__name__)


class Cancelled(Exception):
    """Raised within work that its window has cancelled."""


class Job(QObject):
    """One piece of work in a thread of its own. Its signals come in the window's thread."""

    progressed = Signal(int, int)
    succeeded = Signal(object)
    failed = Signal(str)
    cancelled = Signal()

    def __init__(self, work: Callable[[Progress], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = work
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="surfora-editor-work", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop the work at its next progress."""
        self._is_cancelled.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the thread has ended; whether it has."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _progress(self, done: int, total: int) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled
        self.progressed.emit(done, total)

    def _run(self) -> None:
        try:
            result = self._work(self._progress)
            self._progress(1, 1)  # cancelled at the very end, it is cancelled still
        except Cancelled:
            self.cancelled.emit()
        except FAILURES as error:
            self.failed.emit(one_line(error))
        except Exception as error:
            log.debug("failed", exc_info=True)
            self.failed.emit(f"{type(error).__name__}: {one_line(error)}; this is a fault of the program")
        else:
            self.succeeded.emit(result)
