"""What is painted on one tomogram: labels, undo without limit, and the journal that survives a crash."""

from __future__ import annotations

import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cc3d
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tomocore.archive import opened_archive
from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.side_files import StoredRow, checked, shortened
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.files_of_annotation import PaintingFiles
from tomorois.annotation.journal import Journal, replayed
from tomorois.annotation.strokes import (
    BACKGROUND,
    EMPTY,
    IGNORE,
    Box,
    Stroke,
    stroke_of_record,
    stroke_record,
)
from tomorois.annotation.targets import whole_numbers
from tomorois.annotation.written_labels import Rest, training_labels

JOURNAL_FORMAT = "tomorois-strokes"
COUNTED_VOXELS = 2**26
"""In larger boxes ROIs are counted on every second voxel along an axis."""
AWAY = "move the file away to begin anew"
MOST_IDS = BACKGROUND - 1  # of ROIs that came with a label file; more share numbers


class _Head(StoredRow):
    """How a journal begins."""

    format: str = ""
    shape: tuple[int, ...] = ()
    base: bool = False


class _Unpainted(StoredRow):
    """What unpainted voxels teach, as the journal says it."""

    rest: Rest
    near_nm: float = Field(ge=0, allow_inf_nan=False)


@dataclass
class _Done:
    """A stroke and what was under it, so that it can be taken back."""

    stroke: Stroke
    under: bytes


class Painting:
    """Painted labels of one tomogram (uint8: 0 nothing, 1… classes, 254 background, 255 ignore).

    Every stroke is on the disk before `paint` returns; a painting opened again holds them all, and they can
    still be undone. ``rest`` and ``near_nm`` say what is taught where nothing is painted. `write` may run in
    another thread than the hand: what is painted meanwhile is not written yet, and `is_written` says so.
    One that ``is_read_only`` writes nothing as it is opened, since a window may be painting it.
    """

    def __init__(self, tomogram: Volume, files: PaintingFiles, is_read_only: bool = False) -> None:
        self.files = files
        self.is_read_only = is_read_only
        self.tomogram = tomogram
        self.labels: NDArray[np.uint8] = np.zeros(tomogram.shape, np.uint8)
        self.journal = Journal(files.journal)
        self.rest: Rest = "around"
        self.near_nm = 40.0
        self.changes = 0
        self.written_changes = 0
        self._done: list[_Done] = []
        self._undone: list[Stroke] = []
        self._painted: list[Box] = []
        self._sizes: tuple[int, NDArray[np.float64]] = (-1, np.empty(0))
        self._boxes = threading.Lock()
        self._writing = threading.Lock()
        self._open()

    @property
    def can_undo(self) -> bool:
        """Whether there is a stroke to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether a stroke was taken back and none painted since."""
        return bool(self._undone)

    @property
    def strokes(self) -> int:
        """How many strokes hold now."""
        return len(self._done)

    def paint(self, stroke: Stroke | None) -> bool:
        """Paint a stroke, once the disk has it; whether it changed a voxel."""
        if stroke is None or not ((self.labels[stroke.box] != stroke.value) & stroke.mask).any():
            return False
        self._write(stroke_record(stroke))
        self._put(stroke)
        self._undone.clear()
        return True

    def undo(self) -> Stroke | None:
        """Take the last stroke back, in whatever slice it was; the stroke, or None where there is none."""
        if not self._done:
            return None
        self._write({"do": "undo"})
        return self._take_back()

    def redo(self) -> Stroke | None:
        """Paint again what was taken back last; the stroke, or None where there is none."""
        if not self._undone:
            return None
        self._write({"do": "redo"})
        return self._put_again()

    def set_rest(self, rest: Rest, near_nm: float | None = None) -> None:
        """Say what unpainted voxels teach: all background, none, or background near (nm) what is painted."""
        near_nm = self.near_nm if near_nm is None else near_nm
        if (rest, near_nm) != (self.rest, self.near_nm):
            self._write({"do": "rest", "rest": rest, "near_nm": near_nm})
            self._set_rest(rest, near_nm)

    def roi_count(self) -> int:
        """How many ROIs are painted: connected voxels (26) of one class."""
        return len(self.roi_diameters_nm())

    def roi_diameters_nm(self) -> NDArray[np.float64]:
        """Diameter in nm, for each painted ROI, of the ball that has its volume."""
        if self._sizes[0] != self.changes:
            changes, box = self.changes, self.painted_box()
            painted = self.labels[box] if box else np.zeros((1, 1, 1), np.uint8)
            edge_nm = self.tomogram.voxel_size_nm
            if painted.size > COUNTED_VOXELS:
                painted, edge_nm = painted[::2, ::2, ::2], 2 * edge_nm
            rois = np.where(painted < BACKGROUND, painted, 0)
            voxels = cc3d.statistics(cc3d.connected_components(rois))["voxel_counts"][1:]
            self._sizes = changes, np.cbrt(6 / np.pi * voxels.astype(np.float64)) * edge_nm
        return self._sizes[1]

    def painted_box(self) -> Box | None:
        """A box about all that was ever painted, or None."""
        with self._boxes:
            if not self._painted:
                return None
            low = np.min([[part.start for part in box] for box in self._painted], axis=0)
            high = np.max([[part.stop for part in box] for box in self._painted], axis=0)
            z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            self._painted = [(z, y, x)]
        return z, y, x

    @property
    def is_empty(self) -> bool:
        """Whether nothing is painted at all."""
        box = self.painted_box()
        return box is None or not self.labels[box].any()

    @property
    def is_written(self) -> bool:
        """Whether the label file holds what is painted now."""
        return self.changes == self.written_changes and (self.is_empty or self.files.labels.exists())

    def taught(self) -> Volume:
        """The labels as `train` reads them: 0 background, 1… ROIs, 255 to be ignored."""
        labels = training_labels(self.labels, self.rest, self.near_nm / self.tomogram.voxel_size_nm)
        return self.tomogram.with_data(labels)

    def write(self) -> Path | None:
        """Write the label file that `train` reads; None where nothing is painted and nothing was there.

        A label file of another program that lies there is kept as ``….mrc.before``.
        """
        with self._writing:
            there = self.files.labels
            if self.is_written:
                return there if there.exists() else None
            if there.exists() and _mark_of(there) not in self._written:
                kept = there.with_name(there.name + ".before")
                if not kept.exists():
                    os.replace(there, kept)
            changes = self.changes
            write_volume(there, self.taught())
            self.journal.append({"do": "wrote", **_mark_of(there), "changes": changes})
            self._written.append(_mark_of(there))
            self.written_changes = changes
            return there

    def close(self) -> None:
        """Write what is painted and give the journal back."""
        self.write()
        self.journal.close()

    def _open(self) -> None:
        """Replay the journal, or begin one with the labels that lie there."""
        records = self.journal.read(mend=not self.is_read_only)
        written = [r for r in records if r.get("do") == "wrote"]
        self._written = [_plain_mark(r) for r in written if not r.get("foreign")]
        self._taken_over = [_plain_mark(r) for r in written if r.get("foreign")]
        head = checked(records[0], _Head, str(self.files.journal), AWAY) if records else None
        if head:
            self._require_grid(head)
        if self.files.labels.exists() and not self._knows_labels():
            self._begin_with(self.files.labels, bool(records))
            return
        if head and head.base:
            self.labels[...] = _read_base(self.files.before, self.labels.shape)
            self._painted.append(_whole(self.labels.shape))
        with replayed(self.files.journal):
            for record in records:
                self._replay(record)

    def _begin_with(self, labels: Path, had_journal: bool) -> None:
        """Take over labels that another program wrote; an older journal is put aside."""
        self.labels[...] = _taken_over(
            read_volume(labels, self.tomogram.voxel_size_nm), labels, self.labels.shape
        )
        self.rest = "background"
        self._painted.append(_whole(self.labels.shape))
        if self.is_read_only:
            return
        if had_journal:
            os.replace(self.files.journal, self.files.journal.with_suffix(".before.jsonl"))
        with written_beside(self.files.before) as beside, beside.open("wb") as file:
            np.savez_compressed(file, labels=self.labels)
        self._written, self._taken_over = [], [_mark_of(labels)]
        self.journal.append(self._head(base=True))
        self.journal.append({"do": "rest", "rest": self.rest, "near_nm": self.near_nm})
        self.journal.append({"do": "wrote", **_mark_of(labels), "foreign": True})
        self.changes = self.written_changes = 1  # as those records give when they are replayed

    def _replay(self, record: dict[str, Any]) -> None:
        what = record.get("do")
        if what == "paint":
            stroke = stroke_of_record(record)
            if any(stop > n for stop, n in zip((s.stop for s in stroke.box), self.labels.shape, strict=True)):
                raise InputError(
                    f"{self.files.journal}: a stroke lies outside the tomogram; is it another's?"
                )
            self._put(stroke)
            self._undone.clear()
        elif what == "undo":
            self._take_back()
        elif what == "redo":
            self._put_again()
        elif what == "rest":
            told: _Unpainted = checked(record, _Unpainted, str(self.files.journal), AWAY)
            self._set_rest(told.rest, told.near_nm)
        elif what == "wrote":
            self.written_changes = int(record.get("changes", self.changes))

    def _head(self, base: bool) -> dict[str, Any]:
        return {"do": "begin", "format": JOURNAL_FORMAT, "shape": list(self.labels.shape), "base": base}

    def _write(self, record: dict[str, Any]) -> None:
        if not self.files.journal.exists():
            self.journal.append(self._head(base=False))
        self.journal.append(record)

    def _require_grid(self, head: _Head) -> None:
        if head.format != JOURNAL_FORMAT or head.shape != self.labels.shape:
            raise InputError(
                f"{self.files.journal}: strokes of a tomogram of shape {shortened(head.shape)} (z, y, x), "
                f"this one has {self.labels.shape}; {AWAY}"
            )

    def _knows_labels(self) -> bool:
        """Whether the label file is as we wrote it, or as we took it over."""
        return _mark_of(self.files.labels) in [*self._written, *self._taken_over]

    def _put(self, stroke: Stroke) -> None:
        view = self.labels[stroke.box]
        with self._boxes:
            self._painted.append(stroke.box)
        self._done.append(_Done(stroke, zlib.compress(view[stroke.mask].tobytes(), 1)))
        view[stroke.mask] = stroke.value
        self.changes += 1

    def _take_back(self) -> Stroke | None:
        if not self._done:
            return None
        done = self._done.pop()
        under = np.frombuffer(zlib.decompress(done.under), np.uint8)
        self.labels[done.stroke.box][done.stroke.mask] = under
        self._undone.append(done.stroke)
        self.changes += 1
        return done.stroke

    def _put_again(self) -> Stroke | None:
        if not self._undone:
            return None
        stroke = self._undone.pop()
        self._put(stroke)
        return stroke

    def _set_rest(self, rest: Rest, near_nm: float) -> None:
        self.rest, self.near_nm = rest, near_nm
        self.changes += 1


Kind = Literal["roi", "background", "ignore", "erase"]
"""What a hand paints: an ROI of some class, "not an ROI", "judge nothing here", or nothing again."""


def painted_value(kind: Kind, roi_class: int = 1) -> int:
    """The value that a kind of paint is in the labels; ``roi_class`` is 1 to 9."""
    return {"roi": roi_class, "background": BACKGROUND, "ignore": IGNORE, "erase": EMPTY}[kind]


def _whole(shape: tuple[int, ...]) -> Box:
    z, y, x = (slice(0, n) for n in shape)
    return z, y, x


def _mark_of(path: Path) -> dict[str, int]:
    """What tells that nobody has written a file since: its length and time."""
    status = path.stat()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _plain_mark(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record.get(name) for name in ("bytes", "mtime_ns")}


def _taken_over(labels: Volume, path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Labels of another program in our values: ignored 255 (or −1), ROIs from 1."""
    if labels.shape != shape:
        raise InputError(
            f"{path}: labels of shape {labels.shape} (z, y, x), the tomogram has {shape}; give the "
            "labels of this tomogram, or another folder with -o"
        )
    data = whole_numbers(np.asarray(labels.data), str(path)).astype(np.int32)
    ignored = (data == IGNORE) | (data == -1)
    if (data[~ignored] < 0).any():
        raise InputError(f"{path}: has negative labels; 0 is background, 1… ROIs, 255 or -1 ignored")
    numbers = np.where(ignored, 0, data)
    wrapped = np.where(numbers > 0, (numbers - 1) % MOST_IDS + 1, 0)
    return np.where(ignored, IGNORE, wrapped).astype(np.uint8)


def _read_base(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    with opened_archive(path, "file of the labels before the strokes") as archive:
        found = archive.shape_and_type("labels") if "labels" in archive.names else ((), np.dtype(float))
        if found != (tuple(shape), np.dtype(np.uint8)):
            raise InputError(
                f"{path}: belongs to a tomogram of shape {found[0]}, not {tuple(shape)}; move it away"
            )
        return archive.array("labels")
