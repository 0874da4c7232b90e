"""A volume on a regular grid, and the only way between voxel indices and the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomocore.contract import InputError


@dataclass(frozen=True)
class Volume:
    """Voxels ``data[z, y, x]``, their edge in nm, and the world position of voxel (0, 0, 0).

    World coordinates are x, y, z in nm; world = origin + index × voxel size, so voxel *centres*
    lie at integer indices. ``data`` may be lazy (left on disk).
    """

    data: NDArray[Any]
    voxel_size_nm: float
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if self.data.ndim != 3:
            raise InputError(f"a volume has three axes (z, y, x); got an array of shape {self.data.shape}")
        if not (np.isfinite(self.voxel_size_nm) and self.voxel_size_nm > 0):
            raise InputError(f"voxel size must be a positive number of nm; got {self.voxel_size_nm}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        z, y, x = self.data.shape
        return z, y, x

    @property
    def size_nm(self) -> tuple[float, float, float]:
        """Edge lengths along x, y, z in nm."""
        z, y, x = self.shape
        return x * self.voxel_size_nm, y * self.voxel_size_nm, z * self.voxel_size_nm

    def with_data(self, data: NDArray[Any]) -> Volume:
        """The same grid with other voxels."""
        return replace(self, data=data)

    def world(self, indices_zyx: ArrayLike) -> NDArray[np.float64]:
        """World points (n, 3) x, y, z in nm of voxel indices (n, 3) z, y, x."""
        return index_to_world(indices_zyx, self.voxel_size_nm, self.origin_nm)

    def index(self, points_xyz_nm: ArrayLike) -> NDArray[np.float64]:
        """Fractional voxel indices (n, 3) z, y, x of world points (n, 3) x, y, z in nm."""
        return world_to_index(points_xyz_nm, self.voxel_size_nm, self.origin_nm)

    def crop(self, box: tuple[slice, slice, slice]) -> Volume:
        """The part inside a box of slices (z, y, x, non-negative starts), at the same place in the world."""
        start = [[axis.start or 0 for axis in box]]
        origin = self.world(start)[0]
        return replace(self, data=self.data[box], origin_nm=(origin[0], origin[1], origin[2]))


def index_to_world(
    indices_zyx: ArrayLike, voxel_size_nm: float, origin_nm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """World points (n, 3) x, y, z in nm of voxel indices (n, 3) z, y, x."""
    indices = np.asarray(indices_zyx, dtype=np.float64)
    return np.ascontiguousarray(indices[..., ::-1]) * voxel_size_nm + np.asarray(origin_nm)


def world_to_index(
    points_xyz_nm: ArrayLike, voxel_size_nm: float, origin_nm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Fractional voxel indices (n, 3) z, y, x of world points (n, 3) x, y, z in nm."""
    points = np.asarray(points_xyz_nm, dtype=np.float64)
    return np.ascontiguousarray(((points - np.asarray(origin_nm)) / voxel_size_nm)[..., ::-1])


def background_in_doubt(counts: Mapping[int, int]) -> str:
    """A line where most voxels of a mask or of labels are not 0, as in an inverted mask; else "".

    counts: voxels of each value, of the whole volume or of an even sample.
    """
    most = max(counts, key=counts.__getitem__, default=0)
    share = counts.get(most, 0) / max(sum(counts.values()), 1)
    if most == 0 or share <= 0.5:
        return ""
    return f"label {most:g} fills {share:.0%} of the volume: is it the background? Write that as 0"
