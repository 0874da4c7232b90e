"""What every function may raise and report to, whoever calls it: a command, a window, a workflow.

Functions at the level of files print nothing. They raise `InputError` for what a user can mend, call a
`Progress` where they take long, and return a `Batch` where they do many things; a `Watcher` hears of it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

Progress = Callable[[int, int], None]
"""Called by long functions as ``progress(done, total)``; raising in it stops the work."""

Item = TypeVar("Item")


_TOO_LONG = re.compile(r"[^\s/;:]{300,}")
MOST_DIGITS = 18  # of a number that a file or a person may type, which fits into 64 bits


class InputError(ValueError):
    """A user's input that cannot be used: one line saying what, where, and the remedy.

    Values too long for any name of a file, which damaged files hold, are cut in the message.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_TOO_LONG.sub(lambda value: value[0][:60] + "…", message))


class UnwritableError(InputError):
    """A result that cannot be written; nothing has its name."""


class NoRoomError(UnwritableError):
    """The disk or the quota is full, so that all that comes after would fail too: it ends a batch."""


FAILURES = (InputError, OSError, MemoryError)
"""What ends one item of a batch and leaves its neighbours alone."""


def no_progress(done: int, total: int) -> None:
    """Progress for nobody."""


def one_line(error: BaseException) -> str:
    """The message of an error on one line, with the file where the system names one."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror.lower()}; check the path, its permissions and the space on the disk"
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); crop or bin the volume, or use a machine with more"
    return " ".join(str(error).split())


def whole_number(text: str) -> int | None:
    """The number that a text is, of at most 18 digits 0 to 9; None where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within it the message of an InputError that does not name a file begins with this one."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def is_filled(path: Path) -> bool:
    """Whether something lies there that is no empty file."""
    return path.is_dir() or (path.is_file() and path.stat().st_size > 0)


class Watcher:
    """Whoever follows a verb while it works. This one is nobody; a terminal prints, a window draws."""

    def say(self, line: str) -> None:
        """A line worth reading that is no result: what was matched, what was chosen."""

    def done(self, name: str, line: str) -> None:
        """An item is finished; ``line`` says what came of it, or is empty."""

    def skipped(self, name: str, reason: str) -> None:
        """An item was left alone, and why."""

    def failed(self, line: str) -> None:
        """An item failed; the line names it."""

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Yield what a long piece of work reports its progress to."""
        yield no_progress


NOBODY = Watcher()


@dataclass
class Batch:
    """What became of each item of a verb that takes many: done, skipped (the reason), failed (a line)."""

    watcher: Watcher = NOBODY
    done: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def each(
        self, items: Iterable[Item], work: Callable[[Item], str | None], name: Callable[[Item], str] = str
    ) -> None:
        """Do ``work`` on every item; a failed one is told and kept, and the rest go on.

        Work returns a line on what came of it, or None. Where it finds nothing to do it calls `skip` under
        the same name.
        """
        for item in items:
            try:
                line = work(item)
            except FAILURES as error:
                self.fail(name(item), error)
            else:
                if name(item) not in self.skipped:
                    self.finish(name(item), line or "")

    def make(
        self,
        target: Path,
        overwrite: bool,
        work: Callable[[Path], str | None],
        is_whole: Callable[[Path], bool] = is_filled,
    ) -> None:
        """Do the ``work`` that writes ``target``, or skip it where that exists; what fails is raised.

        A target that is not ``is_whole``, damaged or empty, is made anew. Raises InputError for a folder.
        """
        if target.is_dir() and target.suffix.lower() != ".zarr":  # a volume that is a folder
            raise InputError(
                f"{target}: is a folder, and one file is to be written; name a file in it with -o"
            )
        if target.exists() and not overwrite and is_whole(target):
            self.skip(str(target), "it exists; pass --overwrite to replace it")
        else:
            self.finish(str(target), work(target) or "")

    def finish(self, name: str, line: str = "") -> None:
        """Keep and tell that an item is done."""
        self.done.append(name)
        self.watcher.done(name, line)

    def fail(self, name: str, error: BaseException) -> None:
        """Keep and tell one failure; a full disk is raised, as the next item would find it full too."""
        if isinstance(error, NoRoomError):
            raise error
        line = one_line(error)
        self.failed[name] = line if Path(name).name in line else f"{name}: {line}"
        self.watcher.failed(self.failed[name])

    def skip(self, name: str, reason: str) -> None:
        """Keep and tell why an item was left alone."""
        self.skipped[name] = reason
        self.watcher.skipped(name, reason)

    def require_done(self) -> None:
        """InputError with the line of what failed first, where anything did."""
        for line in self.failed.values():
            raise InputError(line)

    @property
    def has_results(self) -> bool:
        """Whether anything was done, now or before."""
        return bool(self.done or self.skipped)


_subject: ContextVar[str] = ContextVar("subject", default="")


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Warnings logged inside begin with what they are about (the name of a file or a surface)."""
    token = _subject.set(subject)
    try:
        yield
    finally:
        _subject.reset(token)


_is_told: ContextVar[bool] = ContextVar("is_told", default=False)


@contextmanager
def told_before() -> Iterator[None]:
    """Warnings logged inside go nowhere, since the same work has given them before."""
    token = _is_told.set(True)
    try:
        yield
    finally:
        _is_told.reset(token)


def with_subject(record: logging.LogRecord) -> bool:
    """Logging filter that puts the subject of `about` before a message, once; nothing of `told_before`."""
    if _is_told.get():
        return False
    subject = _subject.get()
    if subject and not getattr(record, "has_subject", False):
        record.msg = f"{subject}: {record.getMessage()}"
        record.args = None
        record.has_subject = True
    return True
