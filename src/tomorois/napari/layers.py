"""Volumes as napari layers: scale and place in nm, contrast from the data, large ones by levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import Progress, no_progress
from tomocore.volumes.volume import Volume

UNITS = ("nm", "nm", "nm")
SAMPLED_PLANES, SAMPLED_EDGE = 5, 512
"""Contrast comes from the middle of so few slices: of a file in chunks each whole one would be unpacked."""
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


class Planes:
    """Voxels on the disk whose last planes are kept whole: napari reads each several times, at two levels.

    Indexed by three slices.
    """

    KEPT = 3

    def __init__(self, data: Any) -> None:
        self.data = data
        self.shape, self.dtype = data.shape, np.dtype(data.dtype)
        self._kept: dict[tuple[int, int], NDArray[Any]] = {}

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        places = [range(n)[part] for n, part in zip(self.shape, key, strict=True)]
        thin = next((axis for axis, at in enumerate(places) if len(at) == 1), None)
        if thin is None:
            return np.asarray(self.data[key])
        rest = tuple(part for axis, part in enumerate(key) if axis != thin)
        return np.expand_dims(self._plane(thin, places[thin][0])[rest], thin)

    def _plane(self, axis: int, index: int) -> NDArray[Any]:
        if (axis, index) not in self._kept:
            if len(self._kept) == self.KEPT:
                del self._kept[next(iter(self._kept))]
            key: list[Any] = [slice(None)] * 3
            key[axis] = index
            self._kept[axis, index] = np.asarray(self.data[tuple(key)])
        return self._kept[axis, index]


class Coarser:
    """Every n-th voxel of a volume, read when asked for; in space block means, kept in memory.

    Where ``meanwhile`` is a value, space is filled with it until `make` was called: it takes seconds, for a
    worker. Else the means are made as they are first asked for.
    """

    def __init__(self, data: Any, step: int, meanwhile: float | None = None) -> None:
        self.data, self.step, self.meanwhile = data, step, meanwhile
        self.means: NDArray[Any] | None = None
        self.shape = tuple(-(-n // step) for n in data.shape)
        self.dtype = np.dtype(data.dtype)
        self.ndim = 3
        self.size = int(np.prod(self.shape))

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        counts = [len(range(n)[part]) for n, part in zip(self.shape, key, strict=True)]
        if min(counts) <= 1:
            return np.asarray(self.data[tuple(self._finer(part) for part in key)])
        if self.means is None and self.meanwhile is not None:
            return np.full(counts, self.meanwhile, self.dtype)
        return self.make()[key]

    def _finer(self, part: slice) -> slice:
        """Of ``part`` (as `Unread` writes it: a start, a stop, a step of one) the voxels of the whole."""
        return slice(part.start * self.step, part.stop * self.step, self.step)

    def make(self, progress: Progress = no_progress) -> NDArray[Any]:
        """Means of blocks, plane by plane of the coarse grid; what does not fill a block is left out."""
        if self.means is None:
            step = self.step
            z, y, x = (n // step for n in self.data.shape)
            means = np.zeros(self.shape, np.float32)
            for plane in range(z):
                progress(plane, z)
                block = np.asarray(self.data[plane * step : (plane + 1) * step, : y * step, : x * step])
                means[plane, :y, :x] = block.reshape(step, y, step, x, step).mean(axis=(0, 2, 4))
            self.means = means.astype(self.dtype)
        return self.means


def place_of(volume: Volume) -> dict[str, Any]:
    """Scale, translation (z, y, x in nm) and units of a layer on a volume's grid."""
    x, y, z = volume.origin_nm
    return {"scale": (volume.voxel_size_nm,) * 3, "translate": (z, y, x), "units": UNITS}


def tomogram_layer(volume: Volume, by_worker: bool = False) -> tuple[Any, dict[str, Any]]:
    """Data and arguments of an image layer; a large volume comes with a coarser level for 3D.

    ``by_worker``: the means of that level are left to a worker (see `Coarser`), and space is dark until then.
    """
    limits = contrast_limits(volume.data)
    arguments = {"contrast_limits": limits, "colormap": "gray", **place_of(volume)}
    levels = levels_of(volume.data, limits[0] if by_worker else None)
    return levels, {**arguments, "multiscale": isinstance(levels, list)}


def levels_of(data: Any, meanwhile: float | None = None) -> Any:
    """Grey values or confidence (z, y, x); of many a list of them and of a coarser level (see `Coarser`)."""
    step = _step_of_coarser(data.shape)
    if step == 1:
        return data
    kept = data if isinstance(data, np.ndarray) else Planes(data)
    coarser = Unread(Coarser(kept, step, meanwhile))
    return [kept if isinstance(kept, np.ndarray) else Unread(kept), coarser]


def levels_of_labels(data: NDArray[Any]) -> Any:
    """Whole numbers that lie over a tomogram; of many a list of them and of every n-th."""
    step = _step_of_coarser(data.shape)
    return data if step == 1 else [data, data[::step, ::step, ::step]]


def _step_of_coarser(shape: tuple[int, ...]) -> int:
    """How many voxels of a volume are one of its coarser level; 1 where it has none."""
    size = int(np.prod(shape))
    return 1 if size <= LARGE_VOXELS else 2 if size <= 8 * LARGE_VOXELS else 4


def coarser_of(levels: Any) -> Coarser | None:
    """The coarser level of `levels_of`, where there is one."""
    last = None if isinstance(levels, np.ndarray) else levels[-1]  # napari has a list type of its own
    return last.data if isinstance(last, Unread) and isinstance(last.data, Coarser) else None


def contrast_limits(data: Any, edge: int = SAMPLED_EDGE) -> tuple[float, float]:
    """The 0.5 and 99.5 percent quantiles of a few slices, so that gold beads do not decide.

    Of each slice at most ``edge`` voxels in y and x, about its middle, are read.
    """
    depth, *sides = data.shape
    planes = np.unique(np.linspace(0.1 * depth, 0.9 * depth, SAMPLED_PLANES).astype(int).clip(0, depth - 1))
    step = max(int(np.sqrt(np.prod([min(side, edge) for side in sides]) / 250_000)), 1)
    y, x = (slice((n - min(n, edge)) // 2, (n + min(n, edge)) // 2, step) for n in sides)
    sample = np.concatenate([np.asarray(data[int(z), y, x]).ravel() for z in planes])
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
