"""Files written beside their name and renamed, so that no run leaves one half-written, whatever ends it.

What is written is checked before it gets its name: a full disk, a quota, a folder that is gone end in one
`UnwritableError` that says what to free, and the name stays as it was.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from tomocore.contract import InputError, NoRoomError, UnwritableError, whole_number
from tomocore.machine import ProcessMark, is_alive, this_process

LEFTOVER_PREFIX = ".part-"
LONGEST_NAME_BYTES = 100  # of a name within that of its file beside, which must stay below 255 bytes
ABANDONED_S = 24 * 3600.0  # after which a leftover of a machine that cannot be asked is deleted

_counter = count()


def existing(path: Path) -> Path:
    """The path, where it leads to a file; else InputError."""
    if not os.path.isfile(path):  # Path.is_file raises where a name is too long for any file
        told = "is a folder; name a file in it" if os.path.isdir(path) else "no such file; check the path"
        raise InputError(f"{path}: {told}")
    return path


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that is renamed onto it on success and removed on failure.

    Raises UnwritableError where it cannot be written, or an empty file came of it.
    """
    with written_together(path) as (beside,):
        yield beside


@contextmanager
def written_together(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Yield temporary paths beside those of files that belong together, renamed on success.

    The last one is the sign that all are there: an old one goes first and the new one comes last, so that
    no run that is killed leaves files of two makings under the sign. Raises UnwritableError where one
    cannot be written, or is empty; then none has its name.
    """
    beside = tuple(_beside(path) for path in paths)
    try:
        yield beside
        for one in beside:
            _require_written(one)
        if len(paths) > 1 and paths[-1].exists():
            _remove(paths[-1])
        for one, path in zip(beside, paths, strict=True):
            _put(one, path)
        _sync_folder(paths[-1].parent)
    except OSError as error:
        at = _written_by(error, paths, beside)
        if at is None:
            raise
        raise unwritable(at, error) from error
    finally:
        for one in beside:
            with suppress(OSError):
                _remove(one)


def _beside(path: Path) -> Path:
    """A name that begins with whose it is and ends as that of the path, by which writers know its kind."""
    name = os.fsencode(path.name)[-LONGEST_NAME_BYTES:].decode(errors="ignore")
    return path.with_name(f"{leftover_prefix(this_process())}{next(_counter)}-{name}")


def leftover_prefix(owner: ProcessMark) -> str:
    """How the names of all files that a process has not finished begin."""
    return f"{LEFTOVER_PREFIX}{owner.place}-{owner.number}-{owner.start}-"


def final_name(path: Path) -> str:
    """The name that a temporary path beside it will get, or at least its end; else the path's own."""
    name = path.name
    while name.startswith(LEFTOVER_PREFIX) and name.count("-") >= 5:
        name = name.split("-", 5)[-1]
    return name


def _require_written(path: Path) -> None:
    """OSError where a file has not reached the disk whole: libraries in C often tell nobody."""
    if path.is_dir():
        return  # of chunks, which Python has written and closed
    if not path.exists() or path.stat().st_size == 0:
        code = errno.ENOSPC if _free_bytes(path) < 4096 else errno.EIO
        raise OSError(code, os.strerror(code), str(path))
    with path.open("rb+") as file:
        os.fsync(file.fileno())  # a quota of a network file system is told only here


def _put(beside: Path, path: Path) -> None:
    if beside.is_dir() and path.is_dir():
        old = _beside(path)
        os.replace(path, old)
        os.replace(beside, path)
        _remove(old)
    else:
        os.replace(beside, path)


def _sync_folder(folder: Path) -> None:
    """Make names last over a power cut, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_OF_WRITING = (*_NO_ROOM, errno.EFBIG, errno.EROFS)


def _written_by(error: OSError, paths: tuple[Path, ...], beside: tuple[Path, ...]) -> Path | None:
    """Which of the files written an error is about, or None where it is about a file that was read."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    if named is not None:
        for path, one in zip(paths, beside, strict=True):
            if named in (path, one) or one in named.parents:
                return path
    nameless = named is None and (error.errno is None or error.errno in (*_OF_WRITING, errno.EIO))
    return paths[-1] if nameless or error.errno in _OF_WRITING else None


def unwritable(path: Path, error: OSError) -> UnwritableError:
    """One line on why a file cannot be written, and what to free or to choose."""
    again = "then run the same command again"
    path = path.with_name(final_name(path))  # where it is part of something larger that is written beside
    if error.errno in _NO_ROOM or error.errno is None:
        what = "the quota is used up" if error.errno == _NO_ROOM[1] != _NO_ROOM[0] else "no space left"
        what = what if error.errno else "only a part of it could be written"
        return NoRoomError(f"{path}: {what}{_room_at(path)}; free some there, {again}")
    if not path.parent.is_dir():
        return UnwritableError(f"{path}: its folder is gone; make {path.parent} again, {again}")
    reason = (error.strerror or str(error)).lower()
    if error.errno in _REFUSED:
        return UnwritableError(f"{path}: cannot be written ({reason}); choose another place with -o")
    if error.errno == errno.EFBIG:
        return UnwritableError(f"{path}: cannot be written ({reason}); raise the limit (ulimit -f), {again}")
    return UnwritableError(f"{path}: cannot be written ({reason}); check the disk, {again}")


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(_disk_of(path)).free
    except OSError:
        return 0


def _room_at(path: Path) -> str:
    """Where a file's disk is mounted and how much of it is free, in words."""
    try:
        disk = _disk_of(path)
        usage = shutil.disk_usage(disk)
    except OSError:
        return ""
    return f" on the disk at {disk} ({_in_words(usage.free)} of {_in_words(usage.total)} are free)"


def _disk_of(path: Path) -> Path:
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    while not os.path.ismount(folder):
        folder = folder.parent
    return folder


def _in_words(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as JSON, whole or not at all; what JSON does not know is written as text."""
    write_text(path, json.dumps(values, indent=2, default=str) + "\n")


def remove_leftovers(folder: Path, gone: ProcessMark | None = None) -> None:
    """Delete what processes that are no more left half-written in a folder (see `written_beside`).

    Where it cannot be asked whether one still runs, on another machine, what it has not touched for a day is
    deleted, and at once what ``gone`` left, a process known to be no more.
    """
    with suppress(OSError):
        for path in folder.glob(f"{LEFTOVER_PREFIX}*"):
            owner = _owner(path.name)
            if owner is not None and (_is_abandoned(path, owner) or _is_of(path, gone)):
                with suppress(OSError):
                    _remove(path)


def _is_of(path: Path, owner: ProcessMark | None) -> bool:
    return owner is not None and path.name.startswith(leftover_prefix(owner))


def _owner(name: str) -> ProcessMark | None:
    parts = name.removeprefix(LEFTOVER_PREFIX).split("-", 3)
    number = whole_number(parts[1]) if len(parts) == 4 else None
    return None if number is None else ProcessMark(place=parts[0], number=number, start=parts[2])


def _is_abandoned(path: Path, owner: ProcessMark) -> bool:
    alive = is_alive(owner)
    return not alive if alive is not None else time.time() - path.stat().st_mtime > ABANDONED_S


def require_writable_folder(folder: Path) -> Path:
    """Return ``folder``, made if missing; InputError where nothing can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = _beside(folder / "probe")
        try:
            probe.touch()
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise unwritable(folder / "results", error) from error
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
