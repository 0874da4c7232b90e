"""TIFF stacks with OME or ImageJ metadata; their header is read without their voxels."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tomocore.contract import InputError
from tomocore.volumes.header import Geometry, Loader, Promised, Triple, VolumeHeader, checked_header
from tomocore.volumes.lazy import StoredArray
from tomocore.volumes.units import nm_per_unit, why_no_unit
from tomocore.volumes.volume import Volume

WITHOUT_IMAGECODECS = (1, 8, 32773, 32946)
"""Compression tags that tifffile reads by itself: none, deflate (two numbers) and packbits."""
MOST_PACKED = {1: 1, 8: 1032, 32946: 1032, 32773: 128}
"""How many times these compressions can shrink anything."""
MOST_XML_LETTERS = 2**26
MOST_TOLD = 4
CODEC_REMEDY = "pip install imagecodecs, or save the file without compression"
ISOTROPIC_NOTE = "gives no voxel size along z; taken as along x and y"


def open_tiff(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of a TIFF stack and what gives its voxels, left on disk where they are stored plainly."""
    _require_end_of_pages(path)
    try:
        with tifffile.TiffFile(path) as file:
            places, notes = _one_stack(path, file)
            series = file.series[places[0]]
            geometry = _geometry(path, file, notes)
            start = series.dataoffset if len(places) == 1 else None
            plain = start is not None and series.keyframe.is_memmappable
            _require_codec(path, series.keyframe)
            shape = tuple(series.shape) if len(series.shape) == 3 else (len(places), *series.shape)
            promised = Promised(shape, np.dtype(series.dtype))
            stored = np.dtype(series.dtype).newbyteorder(file.byteorder)
            offset, packing = start or 0, series.keyframe.compression
    except InputError:
        raise
    except Exception as error:  # tifffile raises whatever its decoders raise
        raise InputError(f"{path}: cannot be read as TIFF ({_said(error)}); {_remedy(error)}") from error
    header = checked_header(path, "TIFF", promised, geometry, on_disk=plain)
    _require_possible(path, header, offset if plain else 0, 1 if plain else MOST_PACKED.get(packing))

    def load() -> Any:
        if plain:
            return StoredArray(path, stored, offset, promised.shape)  # type: ignore[arg-type]
        return _decoded(path, places, promised)

    return header, load


def _require_end_of_pages(path: Path) -> None:
    """InputError where the chain of pages leads back into itself: tifffile would follow it for ever."""
    size, seen = path.stat().st_size, set()
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        if not order or len(head) < 16:
            return
        is_big = struct.unpack_from(order + "H", head, 2)[0] == 43
        count_kind, place_kind, tag_bytes = ("Q", "Q", 20) if is_big else ("H", "I", 12)
        (place,) = struct.unpack_from(order + place_kind, head, 8 if is_big else 4)
        while 0 < place < size:
            if place in seen:
                raise InputError(f"{path}: its planes follow each other in a circle; write it again")
            seen.add(place)
            file.seek(place)
            raw = file.read(struct.calcsize(count_kind))
            if len(raw) < struct.calcsize(count_kind):
                return
            (count,) = struct.unpack(order + count_kind, raw)
            after = place + len(raw) + count * tag_bytes
            if after >= size:
                return
            file.seek(after)
            raw = file.read(struct.calcsize(place_kind))
            place = (
                struct.unpack(order + place_kind, raw)[0] if len(raw) == struct.calcsize(place_kind) else 0
            )


def _require_possible(path: Path, header: VolumeHeader, offset: int, packed: int | None) -> None:
    """InputError where the file is too short for its voxels, however well they are packed."""
    size = path.stat().st_size
    most = header.nbytes if packed is None else packed * (size - offset)
    if header.nbytes > most:
        raise InputError(
            f"{path}: truncated, its header promises {header.nbytes:,} bytes of voxels and the file has "
            f"{size:,}; copy or write it again"
        )


def _decoded(path: Path, places: Sequence[int], promised: Promised) -> Any:
    try:
        with tifffile.TiffFile(path) as file:
            parts = [file.series[place].asarray() for place in places]
            data = parts[0] if parts[0].ndim == 3 else np.stack(parts)
            if data.shape != promised.shape or data.dtype != promised.dtype:
                raise ValueError(f"voxels of shape {data.shape} instead of {promised.shape}")
            return data
    except Exception as error:  # tifffile raises whatever its decoders raise
        raise InputError(f"{path}: cannot be decoded ({_said(error)}); {_remedy(error)}") from error


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _remedy(error: Exception) -> str:
    return CODEC_REMEDY if "imagecodecs" in str(error) else "copy or write it again"


def _one_stack(path: Path, file: tifffile.TiffFile) -> tuple[list[int], list[str]]:
    """Which series of the file are its planes, one or each a plane, and notes.

    Raises InputError for pictures, several stacks, and planes that differ.
    """
    stacks = [n for n, one in enumerate(file.series) if len(one.shape) == 3 and one.axes[-1] != "S"]
    if len(stacks) == 1:
        series = file.series[stacks[0]]
        what = {"T": "time points", "C": "channels"}.get(series.axes[0])
        return stacks, [f"its {series.shape[0]} planes are {what} by its metadata; read as z"] if what else []
    kinds = {(one.shape, one.dtype, one.axes) for one in file.series}
    if len(file.series) > 1 and len(kinds) == 1 and len(file.series[0].shape) == 2:
        return list(range(len(file.series))), []  # written plane by plane
    held = " and ".join(f"{_lengths(series)} ({series.axes})" for series in file.series[:MOST_TOLD])
    held += f" and {len(file.series) - MOST_TOLD} more" if len(file.series) > MOST_TOLD else ""
    reason = "give one grey stack of z, y, x a file"
    if not stacks and all(len(series.shape) == 2 for series in file.series):
        reason = "give the planes as one stack, all of one size and type"
    raise InputError(f"{path}: not one stack of planes but {held}; {reason}")


def _lengths(series: Any) -> str:
    return " × ".join(str(n) for n in series.shape)


def _require_codec(path: Path, page: Any) -> None:
    if page.compression not in WITHOUT_IMAGECODECS and find_spec("imagecodecs") is None:
        name = getattr(page.compression, "name", page.compression)
        raise InputError(f"{path}: its {name} compression needs a further package; {CODEC_REMEDY}")


def _geometry(path: Path, file: tifffile.TiffFile, notes: list[str]) -> Geometry:
    """Voxel size and place in nm from OME-XML or ImageJ metadata, and why there is none."""
    if file.ome_metadata:
        return _ome_geometry(path, file.ome_metadata, notes)
    if file.imagej_metadata is None:
        display = ", its resolution is meant for printing" if _is_for_printing(file) else ""
        return Geometry(notes=tuple(notes), why=f"because it has neither OME nor ImageJ metadata{display}")
    return _imagej_geometry(file, file.imagej_metadata, notes)


def _imagej_geometry(file: tifffile.TiffFile, meta: dict[str, Any], notes: list[str]) -> Geometry:
    unit = meta.get("unit")
    nm = nm_per_unit(unit)
    if not nm:
        return Geometry(notes=tuple(notes), why=why_no_unit(unit, "its ImageJ metadata"))
    x, y = (nm / per_unit if per_unit else 0.0 for per_unit in _per_unit(file))
    return _with_depth((x, y, nm * abs(float(meta.get("spacing") or 0.0))), Geometry(notes=tuple(notes)))


def _is_for_printing(file: tifffile.TiffFile) -> bool:
    """Whether pixels are counted per inch or cm."""
    unit = file.pages[0].tags.get("ResolutionUnit")  # type: ignore[union-attr]
    return unit is not None and int(unit.value) in (2, 3) and _per_unit(file)[0] > 1


def _per_unit(file: tifffile.TiffFile) -> tuple[float, float]:
    """Pixels per unit of length along x and y, or zeros."""
    tags = file.pages[0].tags  # type: ignore[union-attr]
    x, y = (tags[name].value if name in tags else (0, 1) for name in ("XResolution", "YResolution"))
    return (x[0] / x[1] if x[1] else 0.0), (y[0] / y[1] if y[1] else 0.0)


def _ome_geometry(path: Path, xml: str, notes: list[str]) -> Geometry:
    if len(xml) > MOST_XML_LETTERS:
        raise InputError(f"{path}: its OME metadata are {len(xml):,} letters long; write it again")
    pixels = next((e for e in ElementTree.fromstring(xml).iter() if e.tag.endswith("Pixels")), None)
    if pixels is None:
        raise InputError(f"{path}: its OME metadata tell of no pixels; write it again")
    plane = next((e for e in pixels.iter() if e.tag.endswith("Plane")), None)
    size = _ome_lengths(pixels, "PhysicalSize")
    if not any(size):
        units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XYZ"]
        unknown = next((unit for unit in units if not nm_per_unit(unit)), None)
        why = "because its OME metadata give no physical size"
        return Geometry(
            notes=tuple(notes), why=why_no_unit(unknown, "its OME metadata") if unknown is not None else why
        )
    return _with_depth(size, Geometry(origin_nm=_ome_lengths(plane, "Position"), notes=tuple(notes)))


def _ome_lengths(element: ElementTree.Element | None, name: str) -> Triple:
    """Lengths ``{name}X`` to ``{name}Z`` in nm; in µm where no unit is given, as OME has it."""
    if element is None:
        return 0.0, 0.0, 0.0
    x, y, z = (
        float(element.get(f"{name}{axis}", 0)) * nm_per_unit(element.get(f"{name}{axis}Unit", "µm"))
        for axis in "XYZ"
    )
    return x, y, z


def _with_depth(size_nm: Triple, rest: Geometry) -> Geometry:
    """The voxel size, with the depth of planes that is not given taken as their voxels' edge, and noted."""
    x, y, z = size_nm
    if z == 0 and x > 0 and y > 0:
        return Geometry((x, y, (x + y) / 2), rest.origin_nm, notes=(*rest.notes, ISOTROPIC_NOTE))
    return Geometry(size_nm, rest.origin_nm, notes=rest.notes)


def write_tiff(path: Path, volume: Volume) -> None:
    """Write an OME-TIFF at exactly this path."""
    edge, planes = volume.voxel_size_nm, len(volume.data)
    metadata: dict[str, Any] = {"axes": "ZYX", "Plane": {}}
    for axis, at_nm in zip("XYZ", volume.origin_nm, strict=True):
        metadata |= {f"PhysicalSize{axis}": edge, f"PhysicalSize{axis}Unit": "nm"}
        metadata["Plane"] |= {f"Position{axis}": [at_nm] * planes, f"Position{axis}Unit": ["nm"] * planes}
    tifffile.imwrite(path, volume.data, ome=True, metadata=metadata)
