"""Tomogram intensities as the network sees them: binned, robustly scaled, membranes dark.

Training and prediction both call `prepare_tomogram`, so a model meets the same numbers in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomorois.network.gaps import binned_without_gaps
from tomorois.network.settings import IntensitySettings

MAD_TO_SD = 1.4826  # of a normal distribution
CLEAR_SKEWNESS = 0.1  # below it the sign may be chance or filtering
MANY_VALUES = 256  # fewer are those of labels, or of few bits
MOST_SAMPLES = 2_000_000  # voxels that the scale is estimated from; its own error is then below 0.1 %


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
        data: [z, y, x], any real type, may be left on disk (read a slab at a time).
        bin_factor: voxels a side averaged into one; the result has ceil(shape / bin_factor) voxels.
        settings: polarity of the tomogram and clipping.
        name: names the input in errors.

    Voxels that were never measured are filled and told (see `gaps`), and do not count in the scale.
    Raises InputError where no value is finite or all are the same.
    """
    binned, missing = binned_without_gaps(data, bin_factor, name)
    return normalise_intensity(binned, settings, missing=missing, name=name)


def normalise_intensity(
    data: NDArray[Any],
    settings: IntensitySettings,
    *,
    scale: IntensityScale | None = None,
    missing: NDArray[np.bool_] | None = None,
    name: str = "tomogram",
) -> NDArray[np.float32]:
    """Robust z-scores (value − median) / (1.4826 MAD), flipped where membranes are bright, clipped.

    ``scale`` defaults to that of ``data`` itself, less what was ``missing`` in it; pass one to treat a part
    like its whole. Raises InputError where values are not finite or all the same.
    """
    scale = scale or intensity_scale(data, name, missing)
    sign = 1.0 if settings.polarity == "dark" else -1.0
    scores = np.subtract(data, np.float32(scale.centre), dtype=np.float32)
    scores *= np.float32(sign / scale.spread)
    return np.clip(scores, -settings.clip_sd, settings.clip_sd, out=scores)


def intensity_scale(
    data: NDArray[Any], name: str = "tomogram", missing: NDArray[np.bool_] | None = None
) -> IntensityScale:
    """Median and robust SD of a regular subsample (at most about two million voxels), less those missing.

    Voxels equal to the commonest value are left out where they are more than a tenth: filled borders.
    Falls back on the plain SD where half the values are one. Raises InputError for a constant volume.
    """
    sample = _subsample(data).astype(np.float64)
    sample = _without_filling(sample if missing is None else sample[~_subsample(missing)])
    if sample.size == 0 or not np.all(np.isfinite(sample)):
        raise InputError(f"{name}: empty or not finite; check how the tomogram was written")
    centre = float(np.median(sample))
    spread = MAD_TO_SD * float(np.median(np.abs(sample - centre))) or float(sample.std())
    if spread <= 0:
        raise InputError(f"{name}: every voxel has the value {centre:g}; check that this is the tomogram")
    return IntensityScale(centre, spread)


def intensity_skewness(data: NDArray[Any]) -> float:
    """Skewness of the values (0 for symmetric); dense dark matter makes it negative, inversion flips it."""
    sample = _subsample(data).astype(np.float64)
    sample = _without_filling(sample[np.isfinite(sample)])
    deviation = sample - sample.mean()
    spread = float(np.sqrt(np.mean(deviation**2)))
    return float(np.mean(deviation**3) / spread**3) if spread > 0 else 0.0


def looks_inverted(skewness: float, expected: float) -> bool:
    """Whether two skewnesses are of opposite sign, and both clearly so."""
    return skewness * expected < 0 and min(abs(skewness), abs(expected)) > CLEAR_SKEWNESS


def _subsample(data: NDArray[Any]) -> NDArray[Any]:
    """Every n-th voxel along each axis, the smallest n that keeps at most MOST_SAMPLES."""
    step = 1
    while np.prod([-(-n // step) for n in data.shape]) > MOST_SAMPLES:
        step += 1
    return np.asarray(data[::step, ::step, ::step]).ravel()


def _without_filling(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sample less its commonest value where that is over a tenth of a many-valued sample."""
    values, counts = np.unique(sample, return_counts=True)
    if len(values) < MANY_VALUES or counts.max() * 10 < sample.size:
        return sample
    return sample[sample != values[counts.argmax()]]
