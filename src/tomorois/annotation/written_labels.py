"""From paint to what `train` reads: what is taught where nothing was painted."""

from __future__ import annotations

from typing import Any, Literal

import edt
import numpy as np
from numpy.typing import NDArray

from tomorois.annotation.strokes import BACKGROUND, IGNORE

Rest = Literal["background", "around", "ignore"]
"""What unpainted voxels teach: all are background, or those near an ROI are, or none teaches anything."""

REST_TOLD: dict[Rest, str] = {
    "around": "background close by: some places are painted",
    "background": "background everywhere: all are painted",
    "ignore": "nothing: background is painted by hand",
}


def training_labels(painted: NDArray[Any], rest: Rest, near_voxels: float) -> NDArray[np.uint16]:
    """Labels for training (0 background, 1… ROIs, 255 ignore) of paint as `Painting` holds it.

    ``rest`` says what voxels teach that nobody painted; with "around", those closer than ``near_voxels`` to
    an ROI are background.
    """
    labels = np.asarray(painted).astype(np.uint16)
    bare = labels == 0
    labels[labels == BACKGROUND] = 0
    if rest == "ignore":
        labels[bare] = IGNORE
    elif rest == "around":
        labels[bare & ~near_rois(painted, near_voxels)] = IGNORE
    return labels


def near_rois(painted: NDArray[Any], distance_voxels: float) -> NDArray[np.bool_]:
    """Voxels closer than a distance to a painted ROI; computed only about the ROIs."""
    rois = (np.asarray(painted) > 0) & (np.asarray(painted) < BACKGROUND)
    near = np.zeros(rois.shape, dtype=bool)
    margin = int(np.ceil(distance_voxels))
    box = []
    for axis in range(3):
        used = np.flatnonzero(rois.any(axis=tuple(k for k in range(3) if k != axis)))
        if len(used) == 0:
            return near
        box.append(slice(max(int(used[0]) - margin, 0), int(used[-1]) + 1 + margin))
    place = tuple(box)
    near[place] = edt.edt(~rois[place]) <= distance_voxels
    return near
