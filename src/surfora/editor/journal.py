"""The file of edits: a line is added and brought to the disk with every edit, so that a crash loses none."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from surfora.editor.edits import (
    ENTRIES,
    EditEntry,
    Header,
    RemadeEntry,
    SavedEntry,
    SourceEntry,
    StepEntry,
)
from surfora.editor.layers import Scale
from surfora.geometry.facts import KINDS
from tomocore.contract import InputError
from tomocore.side_files import problems_of

log = logging.getLogger(__name__)

ENDING = ".edits.jsonl"
AnyEntry = Header | SourceEntry | EditEntry | StepEntry | RemadeEntry | SavedEntry


def journal_path(surface: Path) -> Path:
    """Where the edits of a surface are kept: ``NAME.medial.edits.jsonl`` beside ``NAME.medial.vtp``."""
    return surface.with_name(surface.name.removesuffix(surface.suffix) + ENDING)


def edited_path(surface: Path, folder: Path | None = None) -> Path:
    """Name of an edited surface: ``NAME.edited.medial.vtp`` of ``NAME.medial.vtp``; VTP where not PLY."""
    suffix = surface.suffix if surface.suffix.lower() in (".vtp", ".ply") else ".vtp"
    stem = surface.name.removesuffix(surface.suffix)
    kind = next((f".{kind}" for kind in KINDS if stem.endswith(f".{kind}")), "")
    name = f"{stem.removesuffix(kind)}.edited{kind}{suffix}"
    return (folder or surface.parent) / name


def now() -> str:
    """The time as it is written into edits."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_journal(path: Path) -> list[AnyEntry]:
    """The entries of a file of edits. Raises InputError naming the line that is none.

    A last line that was cut short, as by a crash in the middle of writing it, is left out with a warning.
    """
    lines, cut = _lines_of(path)
    if cut:
        log.warning("%s: its last line was cut short and is left out", path)
    entries = [_parsed(line, path, number) for number, line in enumerate(lines, start=1) if line.strip()]
    if not entries or not isinstance(entries[0], Header):
        raise InputError(f"{path}: is no file of edits; these are made by `surfora edit` (NAME{ENDING})")
    return entries


def _lines_of(path: Path) -> tuple[list[str], bool]:
    """The whole lines of a file, and whether a last one was cut short."""
    if not path.is_file():
        raise InputError(f"{path}: no such file of edits; check the path")
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no file of edits; these are text (NAME{ENDING})") from error
    return lines[:-1], bool(lines[-1].strip())


def _parsed(line: str, path: Path, number: int) -> AnyEntry:
    try:
        return ENTRIES.validate_python(json.loads(line))
    except ValidationError as error:
        raise InputError(
            f"{path}: line {number} is no edit ({problems_of(error)}); mend the line or take it out"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: line {number} is no JSON; mend the line or take it out") from error


def standing_edits(entries: Sequence[AnyEntry]) -> tuple[list[EditEntry], list[EditEntry]]:
    """The edits that stand after all undoing and redoing, in order, and those to be redone, next first.

    Raises InputError where more was undone or redone than there was.
    """
    done: list[EditEntry] = []
    undone: list[EditEntry] = []
    for entry in entries:
        if isinstance(entry, EditEntry):
            done.append(entry)
            undone.clear()
        elif isinstance(entry, StepEntry):
            source, target = (done, undone) if entry.entry == "undo" else (undone, done)
            if not source:
                raise InputError(
                    f"the file of edits says {entry.entry} where there is nothing to {entry.entry}"
                )
            target.append(source.pop())
    return done, undone[::-1]


class Journal:
    """A file of edits that this process alone writes to, line by line."""

    def __init__(self, path: Path) -> None:
        """Open or begin the file. Raises InputError where it cannot be written or another window has it."""
        self.path = path
        self.sources: list[SourceEntry] = []
        try:
            cut = path.exists() and _lines_of(path)[1]
            self._file: IO[bytes] = path.open("ab")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(
                f"{path}: edits cannot be kept there ({reason}); name a place with --edits"
            ) from error
        self._lock()
        if cut:
            self._drop_cut_line()
        if path.stat().st_size == 0:
            self.append(Header(created=now()))

    def append(self, entry: AnyEntry) -> None:
        """Add one entry; it is on the disk when this returns."""
        self._file.write(entry.model_dump_json().encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def append_step(self, what: Literal["undo", "redo"]) -> None:
        """Note that the last edit was undone, or the one undone last done again."""
        self.append(StepEntry(entry=what))

    def append_remade(self, path: Path, of: Path) -> None:
        """Note that ``path`` was made of the surface of another file, so that it is shown again next time."""
        folder = self.path.parent
        self.append(RemadeEntry(path=written_path(path, folder), of=written_path(of, folder)))

    def source_of(self, path: Path, count: int, digest: str, scale: Scale = Scale()) -> int:
        """The number that edits refer to a surface by, noted at its first edit.

        path: of its file; count and digest: of its points; scale: by which they were read.
        """
        written = written_path(path, self.path.parent)
        for source in self.sources:
            if (source.path, source.digest) == (written, digest):
                return source.number
        number = max((source.number for source in self.sources), default=-1) + 1
        self.sources.append(
            SourceEntry(
                number=number,
                path=written,
                count=count,
                digest=digest,
                unit=scale.unit,
                voxel_size_nm=scale.voxel_size_nm,
            )
        )
        self.append(self.sources[-1])
        return number

    def close(self) -> None:
        """Close the file, and delete it where nothing was edited or made."""
        if self._file.closed:
            return
        self._file.close()
        entries = [e for e in read_journal(self.path) if isinstance(e, EditEntry | RemadeEntry)]
        if not entries:
            self.path.unlink()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # where files have no such locks, two windows are not kept apart
            return
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise InputError(
                f"{self.path}: another window has these edits open; close it, or name others with --edits"
            ) from error
        except OSError:  # a file system without locks
            return

    def _drop_cut_line(self) -> None:
        whole = self.path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(whole)


def written_path(path: Path, folder: Path) -> str:
    """A file's path as it is written down: from the folder where that holds it, so that both can be moved."""
    whole, base = path.resolve(), folder.resolve()
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else whole.as_posix()


def put_aside(path: Path) -> Path:
    """Rename a file of edits to the next free ``NAME.1.edits.jsonl``; the new name."""
    stem = path.name.removesuffix(ENDING)
    number = 1
    while (aside := path.with_name(f"{stem}.{number}{ENDING}")).exists():
        number += 1
    path.rename(aside)
    return aside
