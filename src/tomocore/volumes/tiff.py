"""TIFF stacks with OME or ImageJ metadata."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import tifffile

from tomocore.contract import InputError
from tomocore.volumes.header import NM_PER_UNIT, Loader, VolumeHeader, checked_header
from tomocore.volumes.volume import Volume

TIFF_ENDINGS = (".tif", ".tiff")


def open_tiff(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of a TIFF stack and what gives its voxels."""
    try:
        with tifffile.TiffFile(path) as file:
            array = file.asarray()
            size, origin, why = _tiff_geometry(file)
    except InputError:
        raise
    except Exception as error:  # tifffile raises whatever its decoders raise
        raise InputError(f"{path}: cannot be read as TIFF ({error}); copy or write it again") from error
    return checked_header(path, "TIFF", array, size, origin, [], why), lambda: array


def _tiff_geometry(file: tifffile.TiffFile) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Voxel size and origin in nm (x, y, z) from OME-XML or ImageJ metadata."""
    if file.ome_metadata:
        return *_ome_geometry(file.ome_metadata), ""
    meta = file.imagej_metadata or {}
    unit = NM_PER_UNIT.get(str(meta.get("unit", "")).replace("\\u00B5", "µ").lower(), 0.0)
    tags = file.pages[0].tags  # type: ignore[union-attr]
    per_unit = [tags[name].value if name in tags else (0, 1) for name in ("XResolution", "YResolution")]
    x, y = (unit * below / above if above else 0.0 for above, below in per_unit)
    why = "" if unit else "because it has neither OME nor ImageJ metadata with a unit of length"
    return (x, y, unit * float(meta.get("spacing", 0.0))), (0.0, 0.0, 0.0), why


def _ome_geometry(xml: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    pixels = next(e for e in ElementTree.fromstring(xml).iter() if e.tag.endswith("Pixels"))
    plane = next((e for e in pixels.iter() if e.tag.endswith("Plane")), None)

    def length_nm(element: ElementTree.Element | None, name: str) -> float:
        if element is None or name not in element.attrib:
            return 0.0
        unit = element.get(f"{name}Unit", "µm").lower()
        return float(element.get(name, 0)) * NM_PER_UNIT.get(unit, 0.0)

    size = tuple(length_nm(pixels, f"PhysicalSize{axis}") for axis in "XYZ")
    return size, tuple(length_nm(plane, f"Position{axis}") for axis in "XYZ")


def write_tiff(path: Path, volume: Volume) -> None:
    """Write an OME-TIFF at exactly this path."""
    edge, planes = volume.voxel_size_nm, len(volume.data)
    metadata: dict[str, Any] = {"axes": "ZYX", "Plane": {}}
    for axis, at_nm in zip("XYZ", volume.origin_nm, strict=True):
        metadata |= {f"PhysicalSize{axis}": edge, f"PhysicalSize{axis}Unit": "nm"}
        metadata["Plane"] |= {f"Position{axis}": [at_nm] * planes, f"Position{axis}Unit": ["nm"] * planes}
    tifffile.imwrite(path, volume.data, ome=True, metadata=metadata)
