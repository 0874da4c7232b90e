"""Volumes as napari layers: scale and place in nm, contrast from the data, large ones by levels."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.volumes.volume import Volume

UNITS = ("nm", "nm", "nm")
SAMPLED_PLANES = 9
LARGE_VOXELS = 32_000_000
"""From here on the 3D view shows a coarser level."""

TOMOGRAM, PAINT, CONFIDENCE, MASK, ROIS, DRAWING, FOUND = (
    "tomogram",
    "painted",
    "confidence",
    "above threshold",
    "ROIs",
    "hand",
    "preview of ROIs",
)
"""Names of the layers that the window makes."""

# Okabe and Ito's colours, told apart with any colour vision.
BLUE, SKY, GREEN, YELLOW, ORANGE, RED, PURPLE = (
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#e69f00",
    "#d55e00",
    "#cc79a7",
)
CLASS_COLOURS = (ORANGE, SKY, GREEN, YELLOW, BLUE, PURPLE, RED, "#999999", "#000000")
STATUS_COLOURS = {"predicted": SKY, "kept": GREEN, "rejected": RED, "unsure": YELLOW}
IN_VIEW_COLOUR = PURPLE


class Unread:
    """Voxels on the disk (z, y, x) that slicing does not read: only indices and `numpy.asarray` do.

    napari slices a level to what is in view before it takes the one plane of it that it shows.
    """

    def __init__(self, data: Any, places: tuple[range, ...] | None = None) -> None:
        self.data = data
        self.places = places or tuple(range(n) for n in data.shape)
        self.shape = tuple(len(part) for part in self.places)
        self.dtype = np.dtype(data.dtype)
        self.ndim = 3
        self.size = int(np.prod(self.shape))

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        parts = (*parts, *[slice(None)] * (3 - len(parts)))
        if all(isinstance(part, slice) for part in parts):
            return Unread(self.data, tuple(at[part] for at, part in zip(self.places, parts, strict=True)))
        kept = tuple(slice(None) if isinstance(part, slice) else 0 for part in parts)
        places = (at[part] for at, part in zip(self.places, parts, strict=True))
        thin = tuple(at if isinstance(at, range) else range(at, at + 1) for at in places)
        return np.asarray(Unread(self.data, thin))[kept]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        parts = tuple(slice(at.start, at.stop, at.step) for at in self.places)
        return np.asarray(self.data[parts], dtype=dtype)


class Coarser:
    """Every n-th voxel of a volume, read when asked for; in space block means, kept in memory."""

    def __init__(self, data: Any, step: int) -> None:
        self.data, self.step = data, step
        self.shape = tuple(-(-n // step) for n in data.shape)
        self.dtype = np.dtype(data.dtype)
        self.ndim = 3
        self.size = int(np.prod(self.shape))

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        if all(len(range(n)[part]) > 1 for n, part in zip(self.shape, key, strict=True)):
            return self.means[key]
        return np.asarray(self.data[tuple(self._finer(part) for part in key)])

    def _finer(self, part: slice) -> slice:
        """Of ``part`` (as `Unread` writes it: a start, a stop, a step of one) the voxels of the whole."""
        return slice(part.start * self.step, part.stop * self.step, self.step)

    @cached_property
    def means(self) -> NDArray[Any]:
        """Means of blocks, plane by plane of the coarse grid; what does not fill a block is left out."""
        step = self.step
        z, y, x = (n // step for n in self.data.shape)
        means = np.zeros(self.shape, np.float32)
        for plane in range(z):
            block = np.asarray(self.data[plane * step : (plane + 1) * step, : y * step, : x * step])
            means[plane, :y, :x] = block.reshape(step, y, step, x, step).mean(axis=(0, 2, 4))
        return means.astype(self.dtype)


def place_of(volume: Volume) -> dict[str, Any]:
    """Scale, translation (z, y, x in nm) and units of a layer on a volume's grid."""
    x, y, z = volume.origin_nm
    return {"scale": (volume.voxel_size_nm,) * 3, "translate": (z, y, x), "units": UNITS}


def tomogram_layer(volume: Volume) -> tuple[Any, dict[str, Any]]:
    """Data and arguments of an image layer; a large volume comes with a coarser level for 3D."""
    arguments = {"contrast_limits": contrast_limits(volume.data), "colormap": "gray", **place_of(volume)}
    return tomogram_levels(volume), {**arguments, "multiscale": int(np.prod(volume.shape)) > LARGE_VOXELS}


def tomogram_levels(volume: Volume) -> Any:
    """The voxels of a volume; of a large one a list of them and of a coarser level."""
    size = int(np.prod(volume.shape))
    if size <= LARGE_VOXELS:
        return volume.data
    coarser = Coarser(volume.data, 2 if size <= 8 * LARGE_VOXELS else 4)
    if isinstance(volume.data, np.ndarray):
        return [volume.data, Unread(coarser)]
    return [Unread(volume.data), Unread(coarser)]


def prepared_levels(volume: Volume) -> Any:
    """As `tomogram_levels`, with the means made that are shown in space: it takes seconds, for a worker."""
    levels = tomogram_levels(volume)
    if isinstance(levels, list):
        levels[1].data.means  # noqa: B018  it is kept
    return levels


def contrast_limits(data: Any) -> tuple[float, float]:
    """The 0.5 and 99.5 percent quantiles of a few slices, which keep gold beads from deciding."""
    depth = data.shape[0]
    planes = np.unique(np.linspace(0.1 * depth, 0.9 * depth, SAMPLED_PLANES).astype(int).clip(0, depth - 1))
    step = max(int(np.sqrt(data.shape[1] * data.shape[2] / 250_000)), 1)
    sample = np.concatenate([np.asarray(data[int(z), ::step, ::step]).ravel() for z in planes])
    sample = sample.astype(np.float32)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = np.quantile(sample, [0.005, 0.995])
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)


def slice_picture(
    plane: NDArray[Any], limits: tuple[float, float], mask: NDArray[np.bool_] | None, colour: str
) -> NDArray[np.uint8]:
    """A slice (n, m) as RGB (n, m, 3), with the outline of a mask in a colour (#rrggbb)."""
    low, high = limits
    grey = np.clip((plane.astype(np.float32) - low) / max(high - low, 1e-9), 0, 1) * 255
    picture = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if mask is not None and mask.any():
        inner = mask.copy()
        for axis, by in ((0, 1), (0, -1), (1, 1), (1, -1)):
            inner &= np.roll(mask, by, axis)
        picture[mask & ~inner] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return picture
