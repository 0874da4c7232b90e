"""What a training made better and worse: the judged ROIs of each tomogram in the old map and in the new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomorois.annotation.judged_roi import JudgedRoi

FOUND_SHARE = 0.5  # of an ROI's voxels above the threshold, from which it counts as found


@dataclass(frozen=True)
class TomogramChange:
    """Of a tomogram's kept ROIs and of its rejected ones, how many a map finds; None without a map."""

    name: str
    kept: int
    kept_found: int
    kept_found_before: int | None
    rejected: int
    rejected_found: int
    rejected_found_before: int | None

    @property
    def verdict(self) -> str:
        """Better, worse, both or the same; "new" where there was no map before."""
        if self.kept_found_before is None or self.rejected_found_before is None:
            return "new"
        gains = (self.kept_found - self.kept_found_before, self.rejected_found_before - self.rejected_found)
        if max(gains) > 0 and min(gains) < 0:
            return "better and worse"
        return "better" if max(gains) > 0 else "worse" if min(gains) < 0 else "the same"

    def line(self) -> str:
        """One line for a list."""
        kept = _of(self.kept_found_before, self.kept_found, self.kept)
        rejected = _of(self.rejected_found_before, self.rejected_found, self.rejected)
        return f"{self.name}: {self.verdict}; kept ROIs found {kept}, rejected ones still found {rejected}"


def change_of(
    name: str,
    judged: Sequence[JudgedRoi],
    after: tuple[NDArray[Any], float],
    before: tuple[NDArray[Any], float] | None = None,
) -> TomogramChange:
    """How many judged ROIs of a tomogram (``name``) a map finds; maps come with their thresholds."""
    kept = [roi for roi in judged if roi.status == "kept"]
    rejected = [roi for roi in judged if roi.status == "rejected"]
    return TomogramChange(
        name,
        len(kept),
        _found(kept, after),
        None if before is None else _found(kept, before),
        len(rejected),
        _found(rejected, after),
        None if before is None else _found(rejected, before),
    )


def _found(rois: Sequence[JudgedRoi], map_and_threshold: tuple[NDArray[Any], float]) -> int:
    confidence, threshold = map_and_threshold
    shares = [(np.asarray(confidence[roi.box])[roi.mask] >= threshold).mean() for roi in rois]
    return sum(share >= FOUND_SHARE for share in shares)


def _of(before: int | None, after: int, total: int) -> str:
    return f"{after} of {total}" if before is None else f"{before} → {after} of {total}"
