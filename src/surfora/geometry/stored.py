"""Points and cells as a file holds them, checked against each other before any library walks along them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonDataModel import vtkCellArray

from surfora.geometry.arrays import Ints
from surfora.geometry.repair import Told

LEAST_CORNERS = {"verts": 1, "lines": 2, "strips": 3, "polys": 3}
CELL_KINDS = tuple(LEAST_CORNERS)


@dataclass(frozen=True)
class Cells:
    """Cells of one kind: cell k has the points ``connectivity[offsets[k]:offsets[k + 1]]``."""

    offsets: Ints
    connectivity: Ints


@dataclass(frozen=True)
class StoredSurface:
    """Points (n, 3), cells by kind (`CELL_KINDS`), and arrays by name of points, cells and the whole.

    Field data are arrays, or lists of texts.
    """

    points: NDArray[Any]
    cells: Mapping[str, Cells]
    point_data: Mapping[str, NDArray[Any]]
    cell_data: Mapping[str, NDArray[Any]]
    field_data: Mapping[str, Any]


def polydata_of(stored: StoredSurface, told: Told) -> pv.PolyData:
    """The surface as PyVista has it. Raises ValueError where cells name points that do not exist.

    ``told`` is told of cells with fewer corners than their kind has, which are left out.
    """
    count = len(stored.points)
    for kind, cells in stored.cells.items():
        _require_fitting(kind, cells, count)
    whole = {kind: _with_corners(kind, cells) for kind, cells in stored.cells.items()}
    told(_count(stored.cells) - _count(whole), "lines or polygons with too few corners left out")
    stored = replace(stored, cells=whole)
    poly = pv.PolyData()
    poly.points = np.asarray(stored.points, dtype=np.float64 if stored.points.dtype.kind in "iu" else None)
    setters = {
        "verts": poly.SetVerts,
        "lines": poly.SetLines,
        "strips": poly.SetStrips,
        "polys": poly.SetPolys,
    }
    for kind, cells in stored.cells.items():
        if len(cells.offsets) > 1:
            setters[kind](_cell_array(cells))
    for name, values in stored.point_data.items():
        if len(values) == count:
            poly.point_data[name] = values
    cell_count = _count(stored.cells)
    for name, values in stored.cell_data.items():
        if len(values) == cell_count:
            poly.cell_data[name] = values
    for name, values in stored.field_data.items():
        if len(values):
            poly.add_field_data(values, name)
    return poly


def _count(cells: Mapping[str, Cells]) -> int:
    return sum(len(one.offsets) - 1 for one in cells.values())


def _require_fitting(kind: str, cells: Cells, count: int) -> None:
    """ValueError where cells have no order, or use points that are not there."""
    offsets, points = cells.offsets, cells.connectivity
    if len(offsets) == 0 or offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(points):
        raise ValueError(f"the counts and the corners of its {kind} do not fit together")
    if len(points) and (points.min() < 0 or points.max() >= count):
        wrong = int(points.max() if points.max() >= count else points.min())
        raise ValueError(f"its {kind} use point {wrong}, and there are {count:,} (counted from 0)")


def _with_corners(kind: str, cells: Cells) -> Cells:
    """The cells that have as many corners as their kind needs."""
    sizes = np.diff(cells.offsets)
    enough = sizes >= LEAST_CORNERS[kind]
    if enough.all():
        return cells
    kept = np.repeat(enough, sizes)
    return Cells(np.concatenate([[0], np.cumsum(sizes[enough])]), cells.connectivity[kept])


def _cell_array(cells: Cells) -> vtkCellArray:
    array = vtkCellArray()
    array.SetData(
        numpy_to_vtkIdTypeArray(np.ascontiguousarray(cells.offsets, np.int64), deep=True),
        numpy_to_vtkIdTypeArray(np.ascontiguousarray(cells.connectivity, np.int64), deep=True),
    )
    return array
