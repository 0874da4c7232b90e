"""VTP files written without VTK, whose own writer spends most of its time on packing what hardly shrinks."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pyvista as pv
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkStringArray

from surfora.geometry.vtp import KINDS, SECTIONS

TYPES = {kind: name for name, kind in KINDS.items() if name != "String"}
BLOCK_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 14
HARDLY = 0.85
"""An array is packed where a sample of it shrinks to less; coordinates and curvatures shrink by a tenth."""


def vtp_bytes(poly: pv.PolyData) -> bytes:
    """The VTP file of polydata: arrays in base64, in blocks of zlib; names of arrays stand as they are."""
    counts = {section: getattr(poly, f"GetNumberOf{section}")() for section in SECTIONS}
    told = "".join(f' NumberOf{section}="{count}"' for section, count in counts.items())
    cells = {section: getattr(poly, f"Get{section}")() for section in SECTIONS}
    lines = [
        '<?xml version="1.0"?>',
        '<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian" header_type="UInt32" '
        'compressor="vtkZLibDataCompressor">',
        "<PolyData>",
        *_section("FieldData", _arrays_of(poly.GetFieldData()), with_counts=True),
        f'<Piece NumberOfPoints="{poly.GetNumberOfPoints()}"{told}>',
        *_section(f"PointData{_active(poly.GetPointData())}", _arrays_of(poly.GetPointData())),
        *_section(f"CellData{_active(poly.GetCellData())}", _arrays_of(poly.GetCellData())),
        *_section("Points", {"Points": np.asarray(poly.points)}),
    ]
    for section, some in cells.items():
        lines += _section(section, _cells(some))
    return "\n".join([*lines, "</Piece>", "</PolyData>", "</VTKFile>", ""]).encode()


def _arrays_of(data: Any) -> dict[str, Any]:
    """Arrays of numbers, or lists of texts, by name."""
    found = {}
    for index in range(data.GetNumberOfArrays()):
        array = data.GetAbstractArray(index)
        is_text = isinstance(array, vtkStringArray)
        found[array.GetName()] = (
            [array.GetValue(k) for k in range(array.GetNumberOfValues())] if is_text else vtk_to_numpy(array)
        )
    return found


def _active(data: Any) -> str:
    """What a section says of the arrays that VTK takes for scalars and for normals."""
    active = {"Scalars": data.GetScalars(), "Normals": data.GetNormals()}
    return "".join(f' {role}="{array.GetName()}"' for role, array in active.items() if array is not None)


def _cells(cells: Any) -> dict[str, Any]:
    """The points of all cells one after the other, and where each cell ends among them."""
    if cells is None or cells.GetNumberOfCells() == 0:
        return {"connectivity": np.empty(0, np.int64), "offsets": np.empty(0, np.int64)}
    ends = np.asarray(vtk_to_numpy(cells.GetOffsetsArray()))[1:]
    return {"connectivity": vtk_to_numpy(cells.GetConnectivityArray()), "offsets": ends}


def _section(head: str, arrays: dict[str, Any], with_counts: bool = False) -> list[str]:
    """The lines of a section; ``with_counts`` tells how many values each array has, as field data must."""
    lines = [f"<{head}>"]
    for name, values in arrays.items():
        count = f' NumberOfTuples="{len(values)}"' if with_counts else ""
        if isinstance(values, list):
            element, kind, width = "Array", "String", 1
            values = np.frombuffer(b"".join(text.encode() + b"\0" for text in values), np.int8)
        else:
            values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            element, kind, width = "DataArray", TYPES[values.dtype.str[1:]], values[:1].size
        wide = f' NumberOfComponents="{width}"' if width > 1 else ""
        lines.append(f'<{element} type="{kind}" Name="{name}"{wide}{count} format="binary">')
        lines += [_packed(values.tobytes()), f"</{element}>"]
    return [*lines, f"</{head.split()[0]}>"]


def _packed(values: bytes) -> str:
    """Bytes as VTK keeps them: sizes of the blocks, then the blocks."""
    middle = max(0, len(values) - SAMPLE_BYTES) // 2
    sample = values[middle : middle + SAMPLE_BYTES]
    level = 1 if len(zlib.compress(sample, 1)) < HARDLY * len(sample) else 0
    blocks = [zlib.compress(values[k : k + BLOCK_BYTES], level) for k in range(0, len(values), BLOCK_BYTES)]
    sizes = [len(blocks), BLOCK_BYTES, len(values) % BLOCK_BYTES, *map(len, blocks)]
    both = base64.b64encode(np.array(sizes, "<u4").tobytes()), base64.b64encode(b"".join(blocks))
    return b"".join(both).decode("ascii")
