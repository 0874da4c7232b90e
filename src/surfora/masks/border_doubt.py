"""How sure a map of confidence is of a mask's border: where it falls off slowly, that may lie elsewhere.

A map p that is off by δp puts the border off by δp / |∇p|, across it. So the standard deviation of the
border's place is that of the map's own errors over its slope there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Ints
from surfora.masks.grids import Grid, differences, grid_of, lost_its_place
from surfora.masks.membranes import Membrane
from tomocore.contract import InputError, told_before
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)

SAMPLED = 4  # every so many voxels of a map are looked at before it is believed
LEAST_VOXELS = 12**-0.5  # standard deviation of a place of which only the voxel is known
MOST_VOXELS = 3.0  # standard deviation where a map is flat: it does not know where the border is


@dataclass(frozen=True)
class MapsOfConfidence:
    """The map of each mask, and the standard deviation ``error`` of a map's values at borders (0 to 1).

    ``voxel_size_nm`` and ``resample`` are as for the masks. Maps stay on disk but for what is looked up.
    """

    by_mask: Mapping[Path, Path]
    error: float
    voxel_size_nm: float | None = None
    resample: bool = False

    def require_fit(self, mask: Path) -> None:
        """Warn where the map of a mask is no higher within it than outside.

        Raises InputError where it lies on another grid, or holds anything but a confidence.
        """
        path = self.by_mask[mask]
        theirs = self._read(path)
        with told_before():  # the run itself says what is to be said of the mask
            ours = self._read(mask)
        _require_same_grid(path, grid_of(theirs), grid_of(ours))
        some = (slice(None, None, SAMPLED),) * 3
        values, inside = np.asarray(theirs.data[some]), np.asarray(ours.data[some]) != 0
        if not (values.min() >= 0.0 and values.max() <= 1.0):
            raise InputError(
                f"{path}: holds {values.min():.4g} to {values.max():.4g}, and a confidence is 0 to 1; give "
                "the map that `tomorois predict` wrote, or divide by its highest value"
            )
        if inside.any() and values[inside].mean() <= values[~inside].mean():
            log.warning(
                "%s: no surer within %s than outside, so it says nothing of its border; is it another map?",
                path,
                mask,
            )

    def of(self, membrane: Membrane) -> Callable[[Ints], Floats] | None:
        """What tells the border's standard deviation (n,) in voxels at voxels (n, 3) of a membrane's box.

        None where its mask has no map. Raises InputError where the map lies on another grid.
        """
        path = self.by_mask.get(membrane.source)
        if path is None:
            return None
        volume = self._read(path)
        _require_same_grid(path, grid_of(volume), membrane.grid)
        first = np.subtract(membrane.origin_nm, membrane.grid.origin_nm) / membrane.voxel_size_nm
        start = np.rint(first[::-1]).astype(np.int64)
        box = tuple(slice(a, a + n) for a, n in zip(start, membrane.mask.shape, strict=True))
        values = np.asarray(volume.data[box])

        def border_voxels(voxels: Ints) -> Floats:
            return np.clip(self.error / slopes_per_voxel(values, voxels), LEAST_VOXELS, MOST_VOXELS)

        return border_voxels

    def _read(self, path: Path) -> Volume:
        return read_volume(path, self.voxel_size_nm, lazy=True, resample=self.resample)


def slopes_per_voxel(values: NDArray[Any], voxels: Ints) -> Floats:
    """How steeply (n,) per voxel a map changes at voxels (n, 3), each way where it is steeper.

    So the face of a thin membrane counts, not its middle, where the steps to both sides are opposite.
    """
    last = np.array(values.shape) - 1

    def at(places: Ints) -> Floats:
        return values[tuple(np.clip(places, 0, last).T)].astype(np.float64)

    here = at(voxels)
    squares = np.zeros(len(voxels))
    for axis in range(3):
        steps = np.zeros((2, len(voxels)))
        for side, sign in enumerate((1, -1)):
            beside = voxels.copy()
            beside[:, axis] += sign
            steps[side] = np.abs(at(beside) - here)
        squares += steps.max(axis=0) ** 2
    return np.maximum(np.sqrt(squares), np.finfo(np.float32).tiny)


def _require_same_grid(path: Path, theirs: Grid, ours: Grid) -> None:
    """InputError where a map lies on another grid, but for a place that a program dropped."""
    found = [] if lost_its_place(theirs, ours) else differences(theirs, ours)
    if found:
        raise InputError(
            f"{path}: a map of {theirs}, but its mask has {ours}: another {' and '.join(found)}; "
            "give the map that the mask was made of, or --voxel-size where a header is wrong"
        )
