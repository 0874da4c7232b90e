"""Files written beside their name and renamed, so that a killed run leaves none half-written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tomocore.contract import InputError


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that is renamed onto it on success and removed on failure."""
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield beside
        if beside.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(beside, path)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        else:
            beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as JSON, whole or not at all; what JSON does not know is written as text."""
    write_text(path, json.dumps(values, indent=2, default=str) + "\n")


def remove_leftovers(folder: Path) -> None:
    """Delete what processes that are no more left half-written in a folder (see `written_beside`)."""
    for path in folder.glob(".*-*"):
        owner = path.name[1:].split("-")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            path.unlink() if path.is_file() else shutil.rmtree(path)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
