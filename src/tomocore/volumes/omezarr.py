"""OME-Zarr images, versions 0.1 to 0.5: one z, y, x volume, its finest level, in any unit of length.

A path may lead to an image, to labels inside an image (``image.zarr/labels/membrane``), to a folder of
which one member is an image, to one level of an image, or to a plain Zarr array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from pydantic import Field
from zarr.storage import LocalStore

from tomocore.contract import InputError
from tomocore.files import final_name
from tomocore.machine import available_memory_bytes
from tomocore.side_files import StoredRow, checked
from tomocore.volumes.blosc_chunks import check_blosc_chunks
from tomocore.volumes.header import Geometry, Loader, Triple, VolumeHeader, checked_header
from tomocore.volumes.lazy import OrderedView, axes_in_words, zyx_places
from tomocore.volumes.units import nm_per_unit, why_no_unit
from tomocore.volumes.volume import Volume

DEFAULT_AXES = "tczyx"  # of versions 0.1 and 0.2, which name none
MOST_NAMED = 8
DEEPEST_GROUPS = 8


class _Transform(StoredRow):
    """A step from voxels to the world: its numbers by axis, or where an array of them lies."""

    type: str
    scale: list[float] | None = None
    translation: list[float] | None = None
    path: str | None = None


class _Axis(StoredRow):
    name: str
    unit: str | None = None


class _Dataset(StoredRow):
    path: str
    coordinateTransformations: list[_Transform] | None = None


class _Image(StoredRow):
    """An entry of "multiscales": an image, its axes and its levels."""

    datasets: list[_Dataset] = Field(min_length=1)
    axes: list[_Axis] | list[str] | None = None
    coordinateTransformations: list[_Transform] | None = None


class _Attributes(StoredRow):
    multiscales: list[_Image] = Field(default_factory=list)


@dataclass(frozen=True)
class _Level:
    """An array with what is said of it; ``image`` is its entry in "multiscales", ``dataset`` that therein."""

    array: Any
    group: Any = None
    image: _Image | None = None
    dataset: _Dataset | None = None
    notes: tuple[str, ...] = ()


check_blosc_chunks()


class _Files(LocalStore):
    """Files of a folder, and no pipes or devices, which would be waited on for ever."""

    async def get(self, key: str, *words: Any, **options: Any) -> Any:
        """The bytes under a key, as of the library. Raises InputError where there is something else."""
        path = self.root / key
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: is no file; give a folder of an OME-Zarr image")
        return await super().get(key, *words, **options)


def _opened(path: Path) -> _Files:
    return _Files(path, read_only=True)


def open_zarr(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of an OME-Zarr image and what gives its finest level, still on disk."""
    try:
        level = _level(path, zarr.open(_opened(path), mode="r"))
        _require_readable(path, level.array)
        names, units = _axes(level)
        places = zyx_places(names, level.array.shape)
        geometry = None if places is None else _geometry(path, level, places, units)
    except InputError:
        raise
    except Exception as error:  # zarr raises whatever its stores raise
        raise InputError(
            f"{path}: not an OME-Zarr image ({type(error).__name__}: {_short(error)}); "
            "give the folder that holds its .zattrs or zarr.json"
        ) from error
    if places is None or geometry is None:
        raise InputError(
            f"{path}: its axes are not one z, y, x volume ({axes_in_words(names, level.array.shape)}); "
            "give one channel and time point a file"
        )
    view = OrderedView(level.array, places, path)
    return checked_header(path, "OME-Zarr", view, geometry), lambda: view


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _require_readable(path: Path, array: Any) -> None:
    """InputError where the voxels are no numbers, or come in chunks that memory cannot hold."""
    if np.dtype(array.dtype).kind not in "iufb":
        raise InputError(
            f"{path}: holds values of type {array.dtype}, no numbers; give a grey or label volume"
        )
    chunks = getattr(array, "shards", None) or array.chunks
    part = math.prod(chunks) * np.dtype(array.dtype).itemsize
    if min(chunks, default=1) < 1:
        raise InputError(f"{path}: comes in chunks of no voxels ({chunks}); write the image again")
    if part > available_memory_bytes():
        raise InputError(
            f"{path}: comes in chunks of {'×'.join(map(str, chunks))} voxels, which memory cannot hold; "
            "write it in smaller ones"
        )


def _level(path: Path, node: Any) -> _Level:
    """The finest level of the image in a Zarr array or group. InputError for several images or none."""
    if isinstance(node, zarr.Array):
        return _level_of_parent(path, node)
    images = _multiscales(path, node)
    if images:
        dataset = images[0].datasets[0]
        notes = (f"holds {len(images)} multiscale images; the first is taken",) if len(images) > 1 else ()
        return _Level(_array(path, node, dataset.path), node, images[0], dataset, notes)
    inside = _members(path, node)
    if not inside:
        raise InputError(f"{path}: holds no OME-Zarr image; give the folder of its .zattrs or zarr.json")
    name, member = next(iter(inside.items()))
    if len(inside) > 1:
        held = ", ".join(list(inside)[:MOST_NAMED]) + (", …" if len(inside) > MOST_NAMED else "")
        raise InputError(f"{path}: holds {len(inside)} images ({held}); give one, for example {path / name}")
    found = _level(path / name, member)
    return replace(found, notes=(*found.notes, f"read from its {name}"))


def _array(path: Path, group: Any, name: str) -> Any:
    """The array of a name in a group; InputError where there is none."""
    found = group.get(name)
    if not isinstance(found, zarr.Array):
        raise InputError(f"{path}: its metadata name an array {name}, and it holds none; write it again")
    return found


def _members(path: Path, group: Any, depth: int = 0) -> dict[str, Any]:
    """Images, else folders of images, else arrays with three axes or more in a group, by name."""
    if depth > DEEPEST_GROUPS:
        return {}
    members = dict(sorted(group.members()))
    groups = {name: member for name, member in members.items() if isinstance(member, zarr.Group)}
    images = {name: member for name, member in groups.items() if _multiscales(path / name, member)}
    arrays = {name: member for name, member in members.items() if name not in groups and member.ndim >= 3}
    outer = {}
    if not images:
        outer = {name: one for name, one in groups.items() if _members(path / name, one, depth + 1)}
    return images or arrays or outer


def _multiscales(path: Path, group: Any) -> list[_Image]:
    """The images that a group's metadata tell of; InputError where these are garbled."""
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes)  # 0.5, else before
    told: _Attributes = checked(found, _Attributes, f"{path}: its OME-Zarr metadata", "write the image again")
    return told.multiscales


def _level_of_parent(path: Path, array: Any) -> _Level:
    """A level named outright, with what its image says of it; a plain array where no image holds it."""
    try:
        parent = zarr.open_group(_opened(path.parent), mode="r")
        for image in _multiscales(path.parent, parent):
            for dataset in image.datasets:
                if dataset.path == path.name:
                    return _Level(array, parent, image, dataset)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return _Level(array)


def _axes(level: _Level) -> tuple[list[str], list[str | None]]:
    """Names and units of the axes: named with units (0.4 on), as letters (0.3), or not at all (before)."""
    axes = (level.image.axes if level.image else None) or list(DEFAULT_AXES[-level.array.ndim :])
    names = [axis if isinstance(axis, str) else axis.name for axis in axes]
    return names, [None if isinstance(axis, str) else axis.unit for axis in axes]


def _geometry(path: Path, level: _Level, places: tuple[int, int, int], units: list[Any]) -> Geometry:
    scale, shift = _scale_and_shift(path, level)
    xyz = places[::-1]
    unit = [nm_per_unit(units[place]) for place in xyz]
    if scale is None:
        why = "its metadata give no scale" if level.image else "it is a plain Zarr array without a scale"
        return Geometry(notes=level.notes, why=f"because {why}")
    if not all(unit):
        why = why_no_unit(next(units[p] for p, nm in zip(xyz, unit, strict=True) if not nm), "its axes")
        told = " × ".join(f"{scale[place]:.6g}" for place in xyz)
        start = _triple(shift[place] / scale[place] if scale[place] else 0.0 for place in xyz)
        return Geometry(
            notes=level.notes, start_voxels=start, why=f"{why} (they are scaled by {told}, x, y, z)"
        )
    size = _triple(scale[place] * nm for place, nm in zip(xyz, unit, strict=True))
    origin = _triple(shift[place] * nm for place, nm in zip(xyz, unit, strict=True))
    return Geometry(size, origin, notes=level.notes)


def _triple(values: Any) -> Triple:
    x, y, z = values
    return x, y, z


def _scale_and_shift(path: Path, level: _Level) -> tuple[list[float] | None, list[float]]:
    """Voxel edges and the place of the first voxel by axis: the level's transforms, then the image's.

    A scale scales what came before, translations too. The scale is None where none is given.
    """
    dimensions = len(level.array.shape)
    scale, shift, scaled = np.ones(dimensions), np.zeros(dimensions), False
    for owner in (level.dataset, level.image):
        for transform in (owner.coordinateTransformations if owner else None) or []:
            if transform.type == "scale":
                factor, scaled = _values(path, level, transform, transform.scale, 1.0), True
                scale, shift = scale * factor, shift * factor
            elif transform.type == "translation":
                shift = shift + _values(path, level, transform, transform.translation, 0.0)
            elif transform.type != "identity":
                raise InputError(
                    f"{path}: its transform {transform.type!r} is none of scale, translation and identity, "
                    "which this program reads; write the image with these"
                )
    return (scale.tolist() if scaled else None), shift.tolist()


def _values(
    path: Path, level: _Level, transform: _Transform, given: list[float] | None, missing: float
) -> NDArray[np.float64]:
    """The numbers of a transform, from its list or from the array that its path names, for every axis."""
    dimensions = len(level.array.shape)
    if given is None and transform.path is not None and level.group is not None:
        array = _array(path, level.group, transform.path)
        given = np.asarray(array[...], np.float64).ravel().tolist() if array.size <= dimensions else None
    if given is None:
        raise InputError(f"{path}: its {transform.type} has no numbers by axis; write the image again")
    values = np.asarray(given, dtype=np.float64)[-dimensions:]
    return np.concatenate([np.full(dimensions - len(values), missing), values])


def write_zarr(path: Path, volume: Volume) -> None:
    """Write an OME-Zarr image at exactly this path."""
    data = np.ascontiguousarray(volume.data)
    new_zarr(path, volume, data.dtype, (64, 64, 64))[:] = data


def new_zarr(path: Path, like: Volume, dtype: Any, chunks: tuple[int, int, int]) -> zarr.Array[Any]:
    """An OME-Zarr image at exactly this path, on the grid of another volume, to be filled slab by slab."""
    group = zarr.open_group(path, mode="w", zarr_format=2)  # OME-Zarr 0.4, which every viewer reads
    fitting = tuple(min(wanted, n) for wanted, n in zip(chunks, like.shape, strict=True))
    nested: Any = {"name": "v2", "separator": "/"}  # as OME-Zarr wants it; copick reads zeros otherwise
    array = group.create_array("0", shape=like.shape, dtype=dtype, chunks=fitting, chunk_key_encoding=nested)
    edge = like.voxel_size_nm
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "name": Path(final_name(path)).stem,
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
