"""The network's grid: block means of a tomogram, and trilinear interpolation back onto its own grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANES_TOGETHER = 64  # read at once: as many as a chunk of a Zarr file usually has


def bin_volume(data: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Block means over ``factor``³ voxels; ceil(shape / factor) voxels, those at the edge of what there is.

    Voxel i of the result is centred at index i × factor + (factor − 1) / 2 of the input.
    """
    if factor == 1:
        return np.asarray(data, dtype=np.float32)
    shape = binned_shape(data.shape, factor)
    binned = np.empty(shape, dtype=np.float32)
    together = max(1, PLANES_TOGETHER // factor)
    for start in range(0, shape[0], together):
        planes = np.asarray(data[start * factor : (start + together) * factor])
        for z in range(-(-len(planes) // factor)):
            plane = np.asarray(np.mean(planes[z * factor : (z + 1) * factor], axis=0, dtype=np.float32))
            binned[start + z] = _block_mean(_block_mean(plane, 0, factor), 1, factor)
    return binned


def binned_shape(shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
    """Voxels along each axis after binning."""
    return tuple(-(-n // factor) for n in shape)


def unbin_to_shape(
    binned: NDArray[np.float32], factor: int, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Trilinear interpolation of a binned volume back onto its full grid."""
    if factor == 1:
        return binned
    return unbin_planes(binned, factor, shape, 0, shape[0])


def unbin_planes(
    binned: NDArray[np.float32], factor: float, shape: tuple[int, int, int], z_start: int, z_stop: int
) -> NDArray[np.float32]:
    """Planes z_start to z_stop of the full grid of ``shape``, interpolated from the binned volume.

    ``factor`` may be any positive ratio of voxel sizes; beyond the outermost centres the edge value holds.
    """
    full = np.empty((z_stop - z_start, *shape[1:]), dtype=np.float32)
    lower, upper, share = _between(np.arange(z_start, z_stop), factor, binned.shape[0])
    for n, (low, high, t) in enumerate(zip(lower, upper, share, strict=True)):
        plane = binned[low] * (1 - t) + binned[high] * t
        full[n] = _stretch(_stretch(plane, 0, factor, shape[1]), 1, factor, shape[2])
    return full


def _stretch(plane: NDArray[np.float32], axis: int, factor: float, size: int) -> NDArray[np.float32]:
    lower, upper, share = _between(np.arange(size), factor, plane.shape[axis])
    share = share[:, None] if axis == 0 else share
    return np.take(plane, lower, axis) * (1 - share) + np.take(plane, upper, axis) * share


def _between(
    index: NDArray[np.int64], factor: float, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Binned neighbours below and above each full-grid index, and the share of the upper one."""
    place = np.clip((index - (factor - 1) / 2) / factor, 0, size - 1)
    lower = np.floor(place).astype(np.int64)
    return lower, np.minimum(lower + 1, size - 1), (place - lower).astype(np.float32)


def _block_mean(plane: NDArray[np.float32], axis: int, factor: int) -> NDArray[np.float32]:
    starts = np.arange(0, plane.shape[axis], factor)
    counts = np.diff(np.append(starts, plane.shape[axis])).astype(np.float32)
    sums: NDArray[np.float32] = np.add.reduceat(plane, starts, axis=axis)
    sums /= counts[:, None] if axis == 0 else counts
    return sums
