"""OME-Zarr images, versions 0.4 and 0.5: one z, y, x volume a file, in any unit of length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tomocore.contract import InputError
from tomocore.volumes.header import NM_PER_UNIT, READABLE, Loader, VolumeHeader, checked_header
from tomocore.volumes.volume import Volume


def open_zarr(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of an OME-Zarr image and what gives its finest level, still on disk."""
    try:
        group = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        image = attributes.get("ome", attributes)["multiscales"][0]  # 0.5, else 0.4
        level = image["datasets"][0]
        array = group[level["path"]]
        assert isinstance(array, zarr.Array)
    except Exception as error:  # zarr raises whatever its stores raise
        raise InputError(
            f"{path}: not an OME-Zarr image ({type(error).__name__}: {error}); {READABLE} can be read"
        ) from error
    axes = image["axes"][-3:]
    leading = array.ndim - 3
    if [axis["name"] for axis in axes] != ["z", "y", "x"] or any(n != 1 for n in array.shape[:leading]):
        raise InputError(
            f"{path}: its axes are not one z, y, x volume; give one channel and time point a file"
        )
    unit = [NM_PER_UNIT.get(str(axis.get("unit", "")).lower(), 0.0) for axis in axes]
    scale, shift = _zarr_transforms(level, image)
    size = tuple(s * u for s, u in zip(scale[-3:], unit, strict=True))[::-1]
    origin = tuple(s * u for s, u in zip(shift[-3:], unit, strict=True))[::-1]
    why = "" if all(unit) else "because its axes have no unit of length"
    view = _ZarrVolume(array)
    return checked_header(path, "OME-Zarr", view, size, origin, [], why), lambda: view if leading else array


def _zarr_transforms(level: dict[str, Any], image: dict[str, Any]) -> tuple[list[float], list[float]]:
    scale, shift = [0.0] * 3, [0.0] * 3
    for transform in level.get("coordinateTransformations", []):
        if transform["type"] == "scale":
            scale = [float(v) for v in transform["scale"][-3:]]
        elif transform["type"] == "translation":
            shift = [float(v) for v in transform["translation"][-3:]]
    for transform in image.get("coordinateTransformations", []):
        if transform["type"] == "scale":
            scale = [a * float(b) for a, b in zip(scale, transform["scale"][-3:], strict=True)]
    return scale, shift


class _ZarrVolume:
    """The last three axes of a Zarr array whose leading axes are single, still lazy."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self.array = array
        self.shape = array.shape[-3:]
        self.dtype = array.dtype
        self.ndim = 3

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        inner = key if isinstance(key, tuple) else (key,)
        return np.asarray(self.array[(0,) * (len(self.array.shape) - 3) + inner])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype=dtype)


def write_zarr(path: Path, volume: Volume) -> None:
    """Write an OME-Zarr image at exactly this path."""
    data = np.ascontiguousarray(volume.data)
    new_zarr(path, volume, data.dtype, (64, 64, 64))[:] = data


def new_zarr(path: Path, like: Volume, dtype: Any, chunks: tuple[int, int, int]) -> zarr.Array[Any]:
    """An OME-Zarr image at exactly this path, on the grid of another volume, to be filled slab by slab."""
    group = zarr.open_group(path, mode="w", zarr_format=2)  # OME-Zarr 0.4, which every viewer reads
    fitting = tuple(min(wanted, n) for wanted, n in zip(chunks, like.shape, strict=True))
    array = group.create_array("0", shape=like.shape, dtype=dtype, chunks=fitting)
    edge = like.voxel_size_nm
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "name": path.stem,
            "axes": [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [edge] * 3},
                        {"type": "translation", "translation": list(like.origin_nm[::-1])},
                    ],
                }
            ],
        }
    ]
    return array
