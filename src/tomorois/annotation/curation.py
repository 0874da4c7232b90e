"""Judging ROIs one by one over all tomograms: decisions, edits, undo, and what is saved at every key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomocore.contract import InputError, naming
from tomocore.files_of_tomograms import tomogram_stem
from tomocore.provenance import file_hash
from tomocore.roiset import RoiSet, read_rois, rois_from_masks, write_rois
from tomorois.annotation.files_of_annotation import CURATED_FOLDER, JOURNAL_NAME, Status, judged_marks
from tomorois.annotation.journal import Journal, replayed
from tomorois.annotation.judged_roi import (
    JudgedRoi,
    Key,
    carried_over,
    cut_by_plane,
    cut_by_seeds,
    grown,
    joined,
    judged_rois,
    overlap,
    roi_of_record,
    roi_record,
    trimmed,
)
from tomorois.annotation.strokes import Stroke

Order = Literal["least sure", "tomogram", "largest", "smallest"]
ConfidenceOf = Callable[[str], "NDArray[Any] | None"]
"""The confidence map of a tomogram by its stem, or None where there is none."""


@dataclass(frozen=True)
class Edit:
    """ROIs of one tomogram that gave way to others, and where the eye was before."""

    gone: tuple[JudgedRoi, ...]
    new: tuple[JudgedRoi, ...]
    before: Key | None


@dataclass(frozen=True)
class _Grid:
    shape: tuple[int, int, int]
    voxel_size_nm: float
    origin_nm: tuple[float, float, float]


def no_map(stem: str) -> NDArray[Any] | None:
    """No confidence map of any tomogram."""
    return None


class Curation:
    """ROIs of all tomograms in a folder, the one in view, and every judgement since the folder was made.

    What ``instances`` wrote is never changed: judged ROIs are written to ``curated/`` in the same folder, and
    every key is on the disk at once in the journal there. Where ROIs were found again by another model,
    judgements of those that stayed the same are kept, and those that changed come first.
    """

    def __init__(self, folder: Path, confidence_of: ConfidenceOf = no_map) -> None:
        self.folder = folder
        self.curated = folder / CURATED_FOLDER
        self.confidence_of = confidence_of
        self.journal = Journal(self.curated / JOURNAL_NAME)
        self.order_by: Order = "least sure"
        self.current: Key | None = None
        self.changes = 0
        self.written_changes = 0
        self._grids: dict[str, _Grid] = {}
        self._rois: dict[Key, JudgedRoi] = {}
        self._next_ids: dict[str, int] = {}
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self._not_begun: list[dict[str, Any]] = []
        self._open()

    @property
    def stems(self) -> list[str]:
        """The tomograms, by their stems."""
        return list(self._grids)

    @property
    def roi(self) -> JudgedRoi | None:
        """The ROI in view."""
        return self._rois.get(self.current) if self.current else None

    @property
    def can_undo(self) -> bool:
        """Whether there is a judgement to take back."""
        return bool(self._done)

    def voxel_size_nm(self, stem: str) -> float:
        """The voxel edge of a tomogram."""
        return self._grids[stem].voxel_size_nm

    def shape(self, stem: str) -> tuple[int, int, int]:
        """Voxels of a tomogram along z, y, x."""
        return self._grids[stem].shape

    def ordered(self) -> list[JudgedRoi]:
        """All ROIs in the order in which they are looked at: those that changed first."""
        return sorted(self._rois.values(), key=lambda roi: (not roi.changed, *self._rank(roi), roi.key))

    def of(self, stem: str) -> list[JudgedRoi]:
        """The ROIs of one tomogram by id."""
        return sorted((roi for roi in self._rois.values() if roi.stem == stem), key=lambda roi: roi.id)

    def seen(self) -> tuple[int, int]:
        """How many ROIs are judged, and how many there are."""
        return sum(roi.is_seen for roi in self._rois.values()), len(self._rois)

    def counts(self) -> dict[str, int]:
        """How many ROIs have each status."""
        statuses = [roi.status for roi in self._rois.values()]
        return {status: statuses.count(status) for status in ("kept", "rejected", "unsure", "predicted")}

    def look_at(self, key: Key | None) -> JudgedRoi | None:
        """Bring an ROI into view."""
        if key is None or key in self._rois:
            self.current = key
        return self.roi

    def next(self) -> JudgedRoi | None:
        """The next ROI in order; the last one stays."""
        return self._step(1)

    def previous(self) -> JudgedRoi | None:
        """The ROI before in order; the first one stays."""
        return self._step(-1)

    def next_unseen(self) -> JudgedRoi | None:
        """The next ROI that nobody has judged, from here on and then from the start; else this one."""
        rois = self.ordered()
        at = self._place(rois)
        for roi in [*rois[at + 1 :], *rois[: at + 1]]:
            if not roi.is_seen:
                return self.look_at(roi.key)
        return self.roi

    def judge(self, status: Status, go_on: bool = True) -> JudgedRoi | None:
        """Say what the ROI in view is, and go on to the next that nobody has judged; the one then in view."""
        roi = self.roi
        if roi is None:
            return None
        following = self._following(roi.key)
        if roi.status != status or roi.changed:
            self._do((roi,), (replace(roi, status=status, changed=False),))
        if go_on:
            self.look_at(following if following in self._rois else roi.key)
        return self.roi

    def split_by_cut(self, axis: int, line: ArrayLike) -> tuple[JudgedRoi, ...]:
        """Take the ROI in view apart along a line drawn in a slice (see `cut_by_plane`); its parts."""
        return self._split(cut_by_plane(self._viewed(), axis, line))

    def split_by_seeds(self, seeds_zyx: ArrayLike) -> tuple[JudgedRoi, ...]:
        """Take the ROI in view apart about seeds (see `cut_by_seeds`); its parts."""
        return self._split(cut_by_seeds(self._viewed(), seeds_zyx))

    def merge(self, others: Sequence[Key]) -> JudgedRoi:
        """Join other ROIs of the same tomogram to the one in view. Raises InputError where there is none."""
        roi = self._viewed()
        rois = [roi, *(self._rois[key] for key in others if key in self._rois and key != roi.key)]
        if len(rois) < 2 or len({one.stem for one in rois}) > 1:
            raise InputError("merging needs another ROI of the same tomogram; click on it")
        start, mask = joined(rois)
        made = self._measured(replace(roi, start=start, mask=mask, made_by="merge", changed=False))
        self._do(tuple(rois), (made,))
        return made

    def neighbours(self, reach_voxels: int = 2) -> list[Key]:
        """ROIs of the same tomogram that touch the one in view, or nearly do."""
        roi = self._viewed()
        near = grown(roi, reach_voxels)
        return [one.key for one in self.of(roi.stem) if one.key != roi.key and overlap(near, one) > 0]

    def redraw(self, stroke: Stroke | None, add: bool) -> JudgedRoi:
        """Add the voxels of a stroke to the ROI in view, or take them away."""
        roi = self._viewed()
        if stroke is None:
            return roi
        drawn = JudgedRoi(roi.stem, roi.id, stroke.start, stroke.mask)
        start, mask = joined([roi, drawn])
        if not add:
            place = tuple(
                slice(a - o, a - o + n)
                for a, o, n in zip(stroke.start, start, stroke.mask.shape, strict=True)
            )
            mask[place] &= ~stroke.mask
        made = self._measured(trimmed(replace(roi, start=start, mask=mask, made_by="redraw")))
        self._do((roi,), (made,))
        return made

    def draw(self, stem: str, stroke: Stroke | None) -> JudgedRoi | None:
        """A new ROI, kept, that the network has missed; it comes into view."""
        if stroke is None:
            return None
        roi = JudgedRoi(stem, self._new_id(stem), stroke.start, stroke.mask, "kept", made_by="draw")
        made = self._measured(trimmed(roi))
        self._do((), (made,))
        return made

    def undo(self) -> JudgedRoi | None:
        """Take the last judgement or edit back and look at its ROI again."""
        if self._done:
            self.journal.append({"do": "undo"})
            self._take_back()
        return self.roi

    def redo(self) -> JudgedRoi | None:
        """Do again what was taken back last."""
        if self._undone:
            self.journal.append({"do": "redo"})
            self._put(self._undone.pop())
        return self.roi

    def rois_of(self, stem: str, *statuses: str) -> RoiSet:
        """The ROIs of a tomogram as they stand, those of some statuses or all, with their table."""
        rois = [roi for roi in self.of(stem) if not statuses or roi.status in statuses]
        grid = self._grids[stem]
        columns: dict[str, ArrayLike] = {
            "id": np.array([roi.id for roi in rois], dtype=np.int64),
            "confidence_mean": np.array([roi.confidence for roi in rois], dtype=np.float64),
            "confidence_max": np.array([roi.highest for roi in rois], dtype=np.float64),
            "membranes": np.array([roi.membranes for roi in rois], dtype=object),
            "status": np.array([roi.status for roi in rois], dtype=object),
            "made_by": np.array([roi.made_by for roi in rois], dtype=object),
        }
        starts, masks = [roi.start for roi in rois], [roi.mask for roi in rois]
        with naming(self.journal.path):  # which may hold a place of another tomogram
            return rois_from_masks(starts, masks, grid.shape, grid.voxel_size_nm, grid.origin_nm, columns)

    def write(self) -> list[Path]:
        """Write the judged ROIs of every tomogram to ``curated/``; the .npz files."""
        if self.changes != self.written_changes or not self.curated.exists():
            self.curated.mkdir(parents=True, exist_ok=True)
            for stem in self.stems:
                write_rois(self.curated, stem, self.rois_of(stem), overwrite=True)
            self.written_changes = self.changes
        return [self.curated / f"{stem}__rois.npz" for stem in self.stems]

    def close(self) -> None:
        """Write everything and give the journal back."""
        if self._done or self.changes != self.written_changes:
            self.write()
        self.journal.close()

    def _open(self) -> None:
        files = {tomogram_stem(path): path for path in sorted(self.folder.glob("*__rois.npz"))}
        if not files:
            raise InputError(f"{self.folder}: holds no <name>__rois.npz; make ROIs first: tomorois instances")
        records = self.journal.read()
        marks = judged_marks(self.curated)
        found = {stem: read_rois(path) for stem, path in files.items()}
        for stem, rois in found.items():
            self._grids[stem] = _Grid(rois.shape, rois.voxel_size_nm, rois.origin_nm)
            self._next_ids[stem] = int(rois.ids.max(initial=0)) + 1
        hashes = {stem: file_hash(path) for stem, path in files.items()}
        kept = {stem for stem in files if marks.get(stem) == hashes[stem]}
        for stem in kept:
            self._take(judged_rois(stem, found[stem]))
        with replayed(self.journal.path):
            self._replay(records, kept)
        for stem in files.keys() - kept:
            self._begin(stem, found[stem], hashes[stem], stem in marks)
        self.look_at(next((roi.key for roi in self.ordered()), None))
        if any(not roi.is_seen for roi in self._rois.values()) and self.roi and self.roi.is_seen:
            self.next_unseen()

    def _begin(self, stem: str, rois: RoiSet, sha256: str, judged_before: bool) -> None:
        """Take ROIs in that are new, with what was said of those that they replace."""
        fresh = judged_rois(stem, rois)
        earlier = self.curated / f"{stem}__rois.npz"
        if judged_before and earlier.exists():
            fresh = carried_over(judged_rois(stem, read_rois(earlier)), fresh, self._next_ids[stem])
            self.journal.append({"do": "begin", "stem": stem, "sha256": sha256})
            self.journal.append({"do": "carry", "stem": stem, "rois": [roi_record(roi) for roi in fresh]})
            self.changes += 1
        else:
            self._not_begun.append({"do": "begin", "stem": stem, "sha256": sha256})
        self._take(fresh)

    def _replay(self, records: Sequence[dict[str, Any]], kept: set[str]) -> None:
        """Everything that was done to ROIs that are the same as then; of others only the order counts."""
        begun = {record["stem"]: n for n, record in enumerate(records) if record.get("do") == "begin"}
        done: list[bool] = []
        undone: list[bool] = []
        for number, record in enumerate(records):
            what, stem = record.get("do"), record.get("stem", "")
            holds = stem in kept and number >= begun.get(stem, 0)
            if what == "carry" and holds:
                for roi in self.of(stem):
                    del self._rois[roi.key]
                self._take([roi_of_record(stem, item) for item in record["rois"]])
            elif what == "edit":
                done.append(holds)
                undone.clear()
                if holds:
                    gone = tuple(self._rois[stem, int(one)] for one in record["gone"])
                    self._put(Edit(gone, self._made(stem, gone, record), gone[0].key if gone else None))
                    self._undone.clear()
            elif what == "undo" and done:
                undone.append(done.pop())
                if undone[-1]:
                    self._take_back()
            elif what == "redo" and undone:
                done.append(undone.pop())
                if done[-1]:
                    self._put(self._undone.pop())

    def _made(self, stem: str, gone: Sequence[JudgedRoi], record: dict[str, Any]) -> tuple[JudgedRoi, ...]:
        if "status" in record:
            return (replace(gone[0], status=record["status"], changed=False),)
        return tuple(roi_of_record(stem, item) for item in record["new"])

    def _do(self, gone: tuple[JudgedRoi, ...], new: tuple[JudgedRoi, ...]) -> None:
        """An edit, once the disk has it."""
        for begin in self._not_begun:
            self.journal.append(begin)
        self._not_begun.clear()
        record: dict[str, Any] = {
            "do": "edit",
            "stem": (new or gone)[0].stem,
            "gone": [roi.id for roi in gone],
        }
        if len(gone) == len(new) == 1 and new[0].mask is gone[0].mask:
            record["status"] = new[0].status
        else:
            record["new"] = [roi_record(roi) for roi in new]
        self.journal.append(record)
        self._put(Edit(gone, new, self.current))
        self._undone.clear()

    def _put(self, edit: Edit) -> None:
        for roi in edit.gone:
            del self._rois[roi.key]
        self._take(edit.new)
        self._done.append(edit)
        self.changes += 1
        self.current = edit.new[0].key if edit.new else self.current

    def _take_back(self) -> None:
        if not self._done:
            return
        edit = self._done.pop()
        for roi in edit.new:
            del self._rois[roi.key]
        self._take(edit.gone)
        self._undone.append(edit)
        self.changes += 1
        self.current = edit.gone[0].key if edit.gone else edit.before

    def _take(self, rois: Sequence[JudgedRoi]) -> None:
        for roi in rois:
            self._rois[roi.key] = roi
            self._next_ids[roi.stem] = max(self._next_ids.get(roi.stem, 1), roi.id + 1)

    def _split(self, parts: Sequence[NDArray[np.bool_]]) -> tuple[JudgedRoi, ...]:
        roi = self._viewed()
        first = self._new_id(roi.stem)
        made = tuple(
            self._measured(
                trimmed(replace(roi, id=first + n, mask=part, status="predicted", made_by="split"))
            )
            for n, part in enumerate(parts)
        )
        self._do((roi,), made)
        return made

    def _measured(self, roi: JudgedRoi) -> JudgedRoi:
        confidence = self.confidence_of(roi.stem)
        if confidence is None:
            return replace(roi, confidence=float("nan"), highest=float("nan"))
        inside = np.asarray(confidence[roi.box])[roi.mask]
        return replace(roi, confidence=float(inside.mean()), highest=float(inside.max()))

    def _viewed(self) -> JudgedRoi:
        if self.roi is None:
            raise InputError("no ROI is in view; choose one in the table")
        return self.roi

    def _new_id(self, stem: str) -> int:
        return self._next_ids[stem]

    def _rank(self, roi: JudgedRoi) -> tuple[Any, ...]:
        if self.order_by == "tomogram":
            return (roi.stem, roi.id)
        if self.order_by == "least sure":
            return (float(np.nan_to_num(roi.confidence, nan=2.0)),)
        size = roi.voxels * self.voxel_size_nm(roi.stem) ** 3
        return (-size if self.order_by == "largest" else size,)

    def _place(self, rois: Sequence[JudgedRoi]) -> int:
        return next((n for n, roi in enumerate(rois) if roi.key == self.current), -1)

    def _step(self, by: int) -> JudgedRoi | None:
        rois = self.ordered()
        if rois:
            self.look_at(rois[min(max(self._place(rois) + by, 0), len(rois) - 1)].key)
        return self.roi

    def _following(self, key: Key) -> Key:
        """The next unseen ROI behind one, then from the start; else the next one in order; else itself."""
        rois = self.ordered()
        at = next(n for n, roi in enumerate(rois) if roi.key == key)
        around = [*rois[at + 1 :], *rois[:at]]
        unseen = [roi.key for roi in around if not roi.is_seen]
        return unseen[0] if unseen else rois[min(at + 1, len(rois) - 1)].key
