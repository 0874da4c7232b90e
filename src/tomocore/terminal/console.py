"""Progress, messages, and what becomes of an error: one clear line and an exit status."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cyclopts
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from tomocore.contract import FAILURES, Batch, Progress, Watcher, one_line, with_subject
from tomocore.kernels import kernels_are_kept
from tomocore.machine import Terminated, signals_as_interrupts

# Without emoji: of the names in OMM:B:ER it would make a picture.
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


class _ConsoleHandler(logging.Handler):
    """Prints each warning as one line, however narrow the terminal, as errors and failures are, and once."""

    def __init__(self) -> None:
        super().__init__()
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        level, line = record.levelname.lower(), " ".join(record.getMessage().split())
        if line not in self.printed:
            self.printed.add(line)
            err.print(f"[yellow]{level}[/yellow] {escape(line)}", markup=True)


NOTED = ("tomocore.files_of_tomograms", "tomorois.prediction.predict")
"""Loggers whose notes are worth a line too: which files were left out, what memory a run will take."""


def log_to_console(verbose: bool = False) -> None:
    """Send warnings (and, if verbose, notes) of all four packages to standard error, a line each."""
    handler = _ConsoleHandler()
    handler.addFilter(with_subject)
    for package in ("tomocore", "tomorois", "surfora", "tomosurf"):
        logger = logging.getLogger(package)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO if verbose else logging.WARNING)
        logger.propagate = False
    for library in ("asyncio", "tifffile"):  # what they say of damaged files stands in our own line
        logging.getLogger(library).setLevel(logging.CRITICAL)
    for name in NOTED:
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Yield a progress callback that draws a bar on a terminal and stays silent in a pipe.

    Within another one it is a line below it.
    """
    with _bars() as bars:
        task = bars.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        try:
            yield advance
        finally:
            bars.remove_task(task)


_drawn: list[RichProgress] = []
"""The bars on the terminal, if there are any: it has room for one set of them."""


@contextmanager
def _bars() -> Iterator[RichProgress]:
    if _drawn:
        yield _drawn[0]
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        _drawn.append(bars)
        try:
            yield bars
        finally:
            _drawn.clear()


class Terminal(Watcher):
    """Prints what happens as lines and bars."""

    def say(self, line: str) -> None:
        """Print a line."""
        out.print(line, markup=False)

    def done(self, name: str, line: str) -> None:
        """Print what came of an item."""
        if line:
            out.print(line, markup=False)

    def skipped(self, name: str, reason: str) -> None:
        """Print why an item was left alone."""
        out.print(f"skipped {name}: {reason}", markup=False)

    def failed(self, line: str) -> None:
        """Print the line of a failure to standard error."""
        err.print(f"[red]failed[/red] {escape(line)}", markup=True)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Yield a callback that draws a bar on a terminal and stays silent in a pipe."""
        with progress_bar(title) as progress:
            yield progress


def say_first_use(package: str) -> None:
    """Print a line where the kernels of a package are not compiled yet: its first run takes longer."""
    if not kernels_are_kept(package):
        err.print("compiling the kernels, once for this installation: a few minutes", markup=False)


def status_of(batch: Batch) -> int:
    """Print the summary of a batch; 0 if nothing failed, else 1."""
    total = len(batch.done) + len(batch.skipped) + len(batch.failed)
    if total > 1 or batch.failed:
        out.print(
            f"{len(batch.done)} done, {len(batch.skipped)} skipped, {len(batch.failed)} failed", markup=False
        )
    return 1 if batch.failed else 0


def exit_status_of(command: Callable[[], int | None]) -> int:
    """Run a whole command: 0 done, 1 a user's input failed (one line), 2 wrong usage, 130 interrupted.

    Ended by SIGTERM it is 143, and 128 plus the number of any other signal.
    """
    try:
        return command() or 0
    except cyclopts.CycloptsError:  # cyclopts has printed what is wrong
        return 2
    except FAILURES as error:
        err.print(f"[red]error[/red] {escape(one_line(error))}", markup=True)
        return 1
    except Terminated as ending:
        err.print(f"ended by {signal.Signals(ending.number).name}; {_how_to_go_on(ending)}", markup=False)
        return 128 + ending.number
    except KeyboardInterrupt as interrupt:
        err.print(f"interrupted; {_how_to_go_on(interrupt)}", markup=False)
        return 130


def _how_to_go_on(interrupt: KeyboardInterrupt) -> str:
    """What the interrupted work noted on it (`BaseException.add_note`), else that what is there is kept."""
    notes: list[str] = getattr(interrupt, "__notes__", [])
    return notes[-1] if notes else "run the same command again to continue"


def leave(app: cyclopts.App) -> None:
    """Run an app on the command line's arguments and exit the process with its status."""
    log_to_console()
    app.suppress_keyboard_interrupt = False  # else it leaves with 130 and no word, whatever the signal
    with signals_as_interrupts():
        status = exit_status_of(
            lambda: app(exit_on_error=False, print_error=True, result_action="return_value")
        )
    sys.exit(status)
