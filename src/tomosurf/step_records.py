"""What a step of a tomogram was made from: version, settings, inputs; whether that still holds, and why not.

One JSON a step, ``results/steps/<stem>__<step>.json``. It is written before the step begins ("begun") and
after its results are there ("done"), so that whatever ends a run, the next one knows what is whole and of
which making. Files are compared by size and time, and where these differ by their hash: a copy is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tomocore.contract import InputError, is_filled
from tomocore.files import write_json
from tomocore.provenance import file_hash
from tomocore.side_files import StoredRow, read_json, shortened

MOST_TOLD = 3
MOST_GLANCED_BYTES = 32 * 2**20  # of a file that is hashed at a glance: models, ROIs, no tomograms
DRAWN = "drawn"
"""The record of membranes that a model drew, by a training or by the first step."""
NOT_IN_THE_RESULT = {"max_memory_gib"}
"""Settings of [predict] that change how it is computed, not what comes of it."""


class FileMark(StoredRow):
    """A file as a step found it: size, time of its last change, and the hash that decides."""

    path: str
    bytes: int
    mtime_ns: int
    sha256: str


class StepRecord(StoredRow):
    """How a step was made; ``outputs`` are its files, relative to the folder of all results.

    ``replaces`` tells that what lay there before was of another making, so that a step that was broken off
    must not keep any of it; ``foreign`` are files in the step's own folder that are not of its making.
    ``left`` are marks of those outputs that something else may write again.
    """

    state: Literal["begun", "done"]
    version: int
    settings: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, FileMark] = Field(default_factory=dict)
    outputs: list[str] = Field(default_factory=list)
    foreign: list[str] = Field(default_factory=list)
    left: dict[str, FileMark] = Field(default_factory=dict)
    replaces: bool = False
    warnings: list[str] = Field(default_factory=list)
    seconds: float = Field(0.0, ge=0, le=1e9)


@dataclass(frozen=True)
class StepBasis:
    """What a step is to be made from: the version of what it computes, its settings, its inputs by role."""

    version: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, Path]
    folder: Path = field(default_factory=Path)

    def begun(self, replaces: bool, foreign: Sequence[str] = ()) -> StepRecord:
        """The record of a step that begins. Raises InputError where an input is missing."""
        marks = {role: mark_of(path) for role, path in self.inputs.items()}
        return StepRecord(
            state="begun",
            version=self.version,
            settings=dict(self.settings),
            inputs=marks,
            foreign=list(foreign),
            replaces=replaces,
        )


def read_step_record(path: Path) -> StepRecord | None:
    """The record in a file, or None where there is none, or none that can be read: the step is made anew."""
    try:
        record: StepRecord = read_json(path, StepRecord)
    except (OSError, InputError):
        return None
    return record


def write_step_record(path: Path, record: StepRecord) -> None:
    """Write a record, whole or not at all; its folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record.model_dump(mode="json"))


def reason_to_make(record: StepRecord | None, basis: StepBasis, at_a_glance: bool = False) -> str:
    """Why a step must be made, in words; empty where its record says what it is asked for now.

    ``at_a_glance`` no large file is hashed: one of another time is the same where its size is.
    """
    if record is None:
        return "not done yet"
    changes = changes_since(record, basis, at_a_glance)
    if changes:
        return told_changes(changes)
    if record.state == "begun":
        return "was not finished"
    gone = [name for name in record.outputs if not is_filled(basis.folder / name)]
    return f"{_listed(gone)} is gone" if gone else ""


def told_changes(changes: Sequence[str]) -> str:
    """The first of several changes in one line, and how many more there are."""
    more = len(changes) - MOST_TOLD
    return "; ".join(changes[:MOST_TOLD]) + (f"; and {more} more changes" if more > 0 else "")


def refreshed(record: StepRecord, basis: StepBasis) -> StepRecord | None:
    """A record that still holds, with the times of its inputs as they are; None where they are the same.

    So a file that was touched or copied is hashed once, not in each run.
    """
    moved = [
        role for role, path in basis.inputs.items() if _size_and_time(path)[1] != record.inputs[role].mtime_ns
    ]
    marks = record.inputs | {role: mark_of(basis.inputs[role]) for role in moved}
    return record.model_copy(update={"inputs": marks}) if moved else None


def changes_since(record: StepRecord, basis: StepBasis, at_a_glance: bool = False) -> list[str]:
    """What differs between what a step was made from and what it is asked for now, each in words."""
    changes = []
    if record.version != basis.version:
        changes.append(f"computes otherwise since version {basis.version} (made by {record.version})")
    before, now = _flat(record.settings), _flat(_plain(basis.settings))
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) != now.get(name):
            changes.append(f"{name} is {_told(now, name)}, was {_told(before, name)}")
    for role in dict.fromkeys((*record.inputs, *basis.inputs)):
        change = _input_change(role, record.inputs.get(role), basis.inputs.get(role), at_a_glance)
        if change:
            changes.append(change)
    return changes


def _input_change(role: str, before: FileMark | None, now: Path | None, at_a_glance: bool) -> str:
    if now is None:
        return f"is made without {role} now"
    if before is None:
        return f"is made with {role} now"
    if is_same(now, before, at_a_glance):
        return ""
    earlier = Path(before.path)
    if now.exists() and earlier.name != now.name:
        return f"{now.name} stands in place of {earlier.name}"
    if now.exists() and earlier.parent.name != now.parent.name:
        return f"{now.parent.name}/{now.name} stands in place of {earlier.parent.name}/{now.name}"
    return f"{now.name} changed" if now.exists() else f"{now.name} is gone"


def is_same(path: Path, mark: FileMark, at_a_glance: bool = False) -> bool:
    """Whether a file is the one that was marked: by size and time, else by its bytes, but not at a glance."""
    if not path.exists():
        return False
    size, mtime_ns = _size_and_time(path)
    if size != mark.bytes:
        return False
    if mtime_ns == mark.mtime_ns or (at_a_glance and size > MOST_GLANCED_BYTES):
        return True
    return _hash(path, size, mtime_ns) == mark.sha256


def mark_of(path: Path) -> FileMark:
    """The mark of a file. Raises InputError where there is none."""
    if not path.exists():
        raise InputError(f"{path}: no such file; put it there, or name another in the project file")
    size, mtime_ns = _size_and_time(path)
    return FileMark(path=str(path), bytes=size, mtime_ns=mtime_ns, sha256=_hash(path, size, mtime_ns))


def _size_and_time(path: Path) -> tuple[int, int]:
    """Bytes and the last change of a file, or of all files of a folder (OME-Zarr)."""
    parts: Sequence[Path] = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    stats = [part.stat() for part in parts]
    return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)


@lru_cache(maxsize=1024)
def _hash(path: Path, size: int, mtime_ns: int) -> str:
    """The hash of a file; the same model is an input of every tomogram, so it is kept."""
    return file_hash(path)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON gives them back: tuples as lists."""
    return {name: _plain_value(value) for name, value in settings.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    return [_plain_value(one) for one in value] if isinstance(value, list | tuple) else value


def _flat(settings: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Settings by their dotted names, so that a change is told as users write it."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{within}{name}.")
        else:
            found[f"{within}{name}"] = value
    return found


def _told(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return "unset" if value is None else shortened(value)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_TOLD
    return ", ".join(names[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
