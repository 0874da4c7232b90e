"""How much of a voxel mask is at any place between its voxel centres."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Ints, Mask


def set_voxels(mask: Mask) -> Ints:
    """The places (n, 3) z, y, x of the voxels set, rising; `numpy.argwhere` takes ten times as long."""
    return np.column_stack(np.unravel_index(np.flatnonzero(mask), mask.shape))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def share_at(mask: NDArray[Any], z: float, y: float, x: float) -> float:
    """The mask [z, y, x] at a place in voxels, trilinear between voxel centres, 0 beyond the array."""
    share = 0.0
    low_z, low_y, low_x = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
    for corner in range(8):
        c, b, a = low_z + (corner >> 2), low_y + (corner >> 1 & 1), low_x + (corner & 1)
        within = 0 <= a < mask.shape[2] and 0 <= b < mask.shape[1] and 0 <= c < mask.shape[0]
        if within and mask[c, b, a]:
            share += (1 - abs(x - a)) * (1 - abs(y - b)) * (1 - abs(z - c))
    return share


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def occupancy(mask: NDArray[Any], points: Floats) -> Floats:
    """The mask [z, y, x] at points (n, 3) x, y, z in voxels, as `share_at` gives it."""
    share = np.zeros(len(points))
    for i in prange(len(points)):
        share[i] = share_at(mask, points[i, 2], points[i, 1], points[i, 0])
    return share
