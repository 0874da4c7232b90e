"""Tomogram intensities as the network sees them: binned, robustly scaled, membranes dark.

Training and prediction both call `prepare_tomogram`, so a model meets the same numbers in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tomocore.contract import InputError
from tomocore.settings import Settings

Polarity = Literal["dark", "bright"]

MAD_TO_SD = 1.4826  # of a normal distribution
CLEAR_SKEWNESS = 0.1  # below it the sign may be chance or filtering
PLANES_TOGETHER = 64  # read at once: as many as a chunk of a Zarr file usually has
MOST_SAMPLES = 2_000_000  # voxels that the scale is estimated from; its own error is then below 0.1 %


class IntensitySettings(Settings):
    """How grey values become network input."""

    polarity: Polarity = Field(
        default="dark",
        description="How membranes look in the tomogram: dark (raw cryo-ET) or bright (inverted).",
    )
    clip_sd: float = Field(
        default=6.0, gt=0, description="Normalised values are clipped to plus or minus this many robust SDs."
    )


@dataclass(frozen=True)
class IntensityScale:
    """Centre and spread of a tomogram's grey values, in its own units."""

    centre: float
    spread: float


def prepare_tomogram(
    data: NDArray[Any], bin_factor: int, settings: IntensitySettings, name: str = "tomogram"
) -> NDArray[np.float32]:
    """The tomogram as network input: block means, then robust z-scores with membranes dark.

    Args:
        data: [z, y, x], any real type, may be a memory map (read a slab at a time).
        bin_factor: voxels a side averaged into one; the result has ceil(shape / bin_factor) voxels.
        settings: polarity of the tomogram and clipping.
        name: names the input in errors.

    Raises InputError where values are not finite or all the same.
    """
    return normalise_intensity(bin_volume(data, bin_factor), settings, name=name)


def normalise_intensity(
    data: NDArray[Any],
    settings: IntensitySettings,
    *,
    scale: IntensityScale | None = None,
    name: str = "tomogram",
) -> NDArray[np.float32]:
    """Robust z-scores (value − median) / (1.4826 MAD), flipped where membranes are bright, clipped.

    ``scale`` defaults to that of ``data`` itself; pass one to treat a part like its whole.
    Raises InputError where values are not finite or all the same.
    """
    require_finite(data, name)
    scale = scale or intensity_scale(data, name)
    sign = 1.0 if settings.polarity == "dark" else -1.0
    scores = np.subtract(data, np.float32(scale.centre), dtype=np.float32)
    scores *= np.float32(sign / scale.spread)
    return np.clip(scores, -settings.clip_sd, settings.clip_sd, out=scores)


def intensity_scale(data: NDArray[Any], name: str = "tomogram") -> IntensityScale:
    """Median and robust SD of a regular subsample (at most about two million voxels).

    Voxels equal to the commonest value are left out where they are more than a tenth: filled borders.
    Falls back on the plain SD where half the values are one. Raises InputError for a constant volume.
    """
    sample = _without_filling(_subsample(data).astype(np.float64))
    if sample.size == 0 or not np.all(np.isfinite(sample)):
        raise InputError(f"{name}: empty or not finite; check how the tomogram was written")
    centre = float(np.median(sample))
    spread = MAD_TO_SD * float(np.median(np.abs(sample - centre))) or float(sample.std())
    if spread <= 0:
        raise InputError(f"{name}: every voxel has the value {centre:g}; check that this is the tomogram")
    return IntensityScale(centre, spread)


def intensity_skewness(data: NDArray[Any]) -> float:
    """Skewness of the values (0 for symmetric); dense dark matter makes it negative, inversion flips it."""
    sample = _without_filling(_subsample(data).astype(np.float64))
    deviation = sample - sample.mean()
    spread = float(np.sqrt(np.mean(deviation**2)))
    return float(np.mean(deviation**3) / spread**3) if spread > 0 else 0.0


def looks_inverted(skewness: float, expected: float) -> bool:
    """Whether two skewnesses are of opposite sign, and both clearly so."""
    return skewness * expected < 0 and min(abs(skewness), abs(expected)) > CLEAR_SKEWNESS


def require_finite(data: NDArray[Any], name: str = "tomogram") -> None:
    """InputError naming how many voxels are NaN or infinite, a slab at a time."""
    if not np.issubdtype(data.dtype, np.inexact):
        return
    bad = sum(int(np.count_nonzero(~np.isfinite(plane))) for plane in data)
    if bad:
        raise InputError(
            f"{name}: {bad} of {data.size} voxels are NaN or infinite; "
            "replace them, for instance by the median, or crop them away"
        )


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


def _subsample(data: NDArray[Any]) -> NDArray[Any]:
    """Every n-th voxel along each axis, the smallest n that keeps at most MOST_SAMPLES."""
    step = 1
    while np.prod([-(-n // step) for n in data.shape]) > MOST_SAMPLES:
        step += 1
    return np.asarray(data[::step, ::step, ::step]).ravel()


def _without_filling(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sample less its commonest value where that is over a tenth of a many-valued sample."""
    values, counts = np.unique(sample, return_counts=True)
    if len(values) < 256 or counts.max() * 10 < sample.size:
        return sample
    return sample[sample != values[counts.argmax()]]
