"""HDF5 volumes of ilastik, EMAN2, Fiji and `h5py`: read only, the one stack of planes in a file.

Several stacks in a file are told apart by their name behind the file's, as in ``cell.h5/labels/er``. Voxel
sizes come from EMAN2's ``EMAN.apix_x`` (Å) or the attribute ``element_size_um`` (z, y, x) of Fiji's plugin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tomocore.contract import InputError
from tomocore.files_of_tomograms import HDF5_ENDINGS
from tomocore.machine import available_memory_bytes
from tomocore.side_files import StoredRow, parsed_json
from tomocore.volumes.hdf5_chunks import WholeChunks
from tomocore.volumes.hdf5_process import require_sound
from tomocore.volumes.header import ANGSTROM_PER_NM, Geometry, Loader, VolumeHeader, checked_header
from tomocore.volumes.lazy import OrderedView, axes_in_words, zyx_places

MOST_NAMED = 8
NM_PER_UM = 1e3


class _Axis(StoredRow):
    key: str


class _AxisTags(StoredRow):
    """What ilastik says of the axes."""

    axes: list[_Axis]


def hdf5_file(path: Path) -> Path | None:
    """The HDF5 file that a path is or leads into (``cell.h5/labels/er``); None where there is none."""
    for part in (path, *path.parents):
        if part.suffix.lower() in HDF5_ENDINGS and part.is_file():
            return part
    return None


def open_hdf5(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of the one volume at a path, and what gives it, still on disk."""
    file_path = hdf5_file(path)
    assert file_path is not None
    import h5py  # a tenth of a second that other formats need not wait for

    require_sound(file_path)
    try:
        file = h5py.File(file_path, "r")
        array, notes = _one_stack(path, file, "/".join(path.relative_to(file_path).parts))
        _require_own_voxels(path, array)
        names = _axis_names(path, array)
        geometry = _geometry(array, notes)
    except InputError:
        raise
    except Exception as error:  # the library raises whatever a damaged file makes it stumble on
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{file_path}: cannot be read as HDF5 ({said}); copy or write it again") from error
    places = zyx_places(names, array.shape)
    if places is None:
        raise InputError(
            f"{path}: its axes are not one z, y, x volume ({axes_in_words(names, array.shape)}); "
            "export one channel and time point a file"
        )
    view = OrderedView(WholeChunks(array, path), places, path)
    return checked_header(path, "HDF5", view, geometry), lambda: view


def _require_own_voxels(path: Path, array: Any) -> None:
    """InputError where the voxels are no numbers, lie in other files, or come in parts beyond memory."""
    if array.dtype.kind not in "iufb":
        raise InputError(
            f"{path}: holds values of type {array.dtype}, no numbers; give a grey or label volume"
        )
    if array.external or array.is_virtual:
        raise InputError(f"{path}: its voxels lie in other files; give these, or copy it into one file")
    part = math.prod(array.chunks or (1,)) * array.dtype.itemsize
    if part > available_memory_bytes():
        raise InputError(
            f"{path}: comes in parts of {part / 2**30:.1f} GiB, more than is free; write it in smaller chunks"
        )


def _one_stack(path: Path, file: Any, inside: str) -> tuple[Any, list[str]]:
    """The only dataset with three axes or more below a name, and a note on which it is."""
    if inside and inside not in file:
        raise InputError(f"{path}: its file holds no {inside} but {_named(_stacks(file))}; give one of these")
    below = file[inside] if inside else file
    if hasattr(below, "dtype"):
        return below, []
    found = _stacks(below)
    if not found:
        raise InputError(f"{path}: holds no stack of numbers; give an HDF5 file with a z, y, x volume")
    if len(found) > 1:
        example = path / next(iter(found))
        raise InputError(f"{path}: holds {len(found)} stacks ({_named(found)}); give one, such as {example}")
    name, array = next(iter(found.items()))
    return array, [f"read from its dataset {name}"]


def _named(found: Mapping[str, Any]) -> str:
    listed = ", ".join(list(found)[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")
    return listed or "no stack of numbers"


def _stacks(group: Any) -> dict[str, Any]:
    """Datasets of numbers with three axes or more, by their names within a group."""
    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if getattr(item, "ndim", 0) >= 3 and item.dtype.kind in "iufb":
            found[name] = item

    group.visititems(keep)
    return found


def _axis_names(path: Path, array: Any) -> list[str]:
    """Axes as ilastik's tags or the dimensions' labels name them, else z, y, x beside single ones."""
    tags = array.attrs.get("axistags")
    if tags is not None:
        text = tags.decode() if isinstance(tags, bytes) else str(tags)
        told: _AxisTags = parsed_json(text, _AxisTags, f"{path}: its axistags")
        return [axis.key for axis in told.axes]
    labels = [str(dimension.label) for dimension in array.dims]
    if all(labels):
        return labels
    places = _longer_axes(array.shape)
    return ["zyx"[places.index(n)] if n in places else "c" for n in range(array.ndim)]


def _longer_axes(shape: tuple[int, ...]) -> list[int]:
    """Up to three axes that may be z, y, x: those longer than one, and where these are few the last ones."""
    longer = [n for n, length in enumerate(shape) if length > 1]
    single = [n for n, length in enumerate(shape) if length == 1]
    return sorted((longer + single[::-1])[:3]) if len(longer) < 3 else longer[:3]


def _geometry(array: Any, notes: list[str]) -> Geometry:
    edges_um = array.attrs.get("element_size_um")
    if edges_um is not None and np.size(edges_um) == 3:
        z, y, x = (float(edge) * NM_PER_UM for edge in np.ravel(edges_um))
        return Geometry((x, y, z), notes=tuple(notes))
    sampled = [array.parent.attrs.get(f"EMAN.apix_{axis}") for axis in "xyz"]
    if all(edge is not None for edge in sampled):
        x, y, z = (float(np.ravel(edge)[0]) / ANGSTROM_PER_NM for edge in sampled)
        return Geometry((x, y, z), notes=tuple(notes))
    return Geometry(notes=tuple(notes), why="because it has no attribute element_size_um")
