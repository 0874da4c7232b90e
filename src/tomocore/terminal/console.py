"""Progress, messages, and what becomes of an error: one clear line and an exit status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cyclopts
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

Progress = Callable[[int, int], None]
"""Called by long functions as ``progress(done, total)``; raising in it stops the work."""

Item = TypeVar("Item")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
log = logging.getLogger(__name__)


class InputError(ValueError):
    """A user's input that cannot be used: one line saying what, where, and the remedy."""


def no_progress(done: int, total: int) -> None:
    """Progress for nobody."""


class _ConsoleHandler(logging.Handler):
    """Prints each warning as one line, however narrow the terminal, as errors and failures are."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        err.print(f"[yellow]{level}[/yellow] {escape(' '.join(record.getMessage().split()))}", markup=True)


def log_to_console(verbose: bool = False) -> None:
    """Send warnings (and, if verbose, notes) of all four packages to standard error, a line each."""
    handler = _ConsoleHandler()
    handler.addFilter(with_subject)
    for package in ("tomocore", "tomorois", "surfora", "tomosurf"):
        logger = logging.getLogger(package)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO if verbose else logging.WARNING)
        logger.propagate = False


_subject: ContextVar[str] = ContextVar("subject", default="")


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Warnings logged inside begin with what they are about (the name of a file or a surface)."""
    token = _subject.set(subject)
    try:
        yield
    finally:
        _subject.reset(token)


def with_subject(record: logging.LogRecord) -> bool:
    """Logging filter that puts the subject of `about` before a message, once."""
    subject = _subject.get()
    if subject and not getattr(record, "has_subject", False):
        record.msg = f"{subject}: {record.getMessage()}"
        record.args = None
        record.has_subject = True
    return True


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Yield a progress callback that draws a bar on a terminal and stays silent in a pipe."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


@dataclass
class Batch:
    """What became of each item of a command that takes many: done, skipped, failed."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def each(
        self, items: Iterable[Item], work: Callable[[Item], object], name: Callable[[Item], str] = str
    ) -> None:
        """Do ``work`` on every item; a failed one is told and kept, and the rest go on.

        Work that finds nothing to do says so with `skip` under the same name.
        """
        for item in items:
            try:
                work(item)
            except (InputError, OSError, MemoryError) as error:
                self.fail(name(item), error)
            else:
                if name(item) not in self.skipped:
                    self.done.append(name(item))

    def fail(self, name: str, error: BaseException) -> None:
        """Keep one failure and print its line."""
        line = one_line(error)
        self.failed[name] = line if Path(name).name in line else f"{name}: {line}"
        err.print(f"[red]failed[/red] {escape(self.failed[name])}", markup=True)

    def skip(self, name: str, reason: str) -> None:
        """Keep and print why an item was left alone."""
        self.skipped.append(name)
        out.print(f"skipped {name}: {reason}", markup=False)

    @property
    def has_results(self) -> bool:
        """Whether anything was done, now or before."""
        return bool(self.done or self.skipped)

    def exit_status(self) -> int:
        """Print the summary; 0 if nothing failed, else 1."""
        total = len(self.done) + len(self.skipped) + len(self.failed)
        if total > 1 or self.failed:
            out.print(
                f"{len(self.done)} done, {len(self.skipped)} skipped, {len(self.failed)} failed", markup=False
            )
        return 1 if self.failed else 0


def one_line(error: BaseException) -> str:
    """The message of an error on one line, with the file where the system names one."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror.lower()}; check the path, its permissions and the space on the disk"
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); crop or bin the volume, or use a machine with more"
    return " ".join(str(error).split())


def require_writable_folder(folder: Path) -> Path:
    """Return ``folder``, made if missing; InputError where nothing can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{folder}: cannot write there ({reason}); choose another output folder with -o"
        ) from error
    return folder


@contextmanager
def writable_folder(folder: Path) -> Iterator[Path]:
    """Yield ``folder``, made if missing, and take it away again where nothing was put into it.

    Raises InputError where nothing can be written in it.
    """
    missing = not folder.exists()
    try:
        yield require_writable_folder(folder)
    finally:
        if missing and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def exit_status_of(command: Callable[[], int | None]) -> int:
    """Run a whole command: 0 done, 1 a user's input failed (one line), 2 wrong usage, 130 interrupted."""
    try:
        return command() or 0
    except cyclopts.CycloptsError:  # cyclopts has printed what is wrong
        return 2
    except (InputError, OSError, MemoryError) as error:
        err.print(f"[red]error[/red] {escape(one_line(error))}", markup=True)
        return 1
    except KeyboardInterrupt:
        err.print("interrupted; run the same command again to continue")
        return 130


def leave(app: cyclopts.App) -> None:
    """Run an app on the command line's arguments and exit the process with its status."""
    log_to_console()
    sys.exit(exit_status_of(lambda: app(exit_on_error=False, print_error=True, result_action="return_value")))
