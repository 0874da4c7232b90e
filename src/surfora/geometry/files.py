"""Files of surfaces: VTP with all arrays and facts, and the formats of other programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyvista as pv
from vtkmodules.vtkCommonCore import vtkObject

from surfora.geometry.facts import SurfaceFacts, facts_text, parsed_facts
from surfora.geometry.surface import SIGN_CONVENTION, PointCloud, SurfaceMesh, to_polydata
from tomocore.contract import InputError
from tomocore.files import written_beside


def from_polydata(poly: pv.PolyData) -> PointCloud | SurfaceMesh:
    """A mesh where the polydata has triangles, else a point cloud."""
    data = {name: np.asarray(poly.point_data[name]) for name in poly.point_data.keys()}  # noqa: SIM118
    normals = data.pop("Normals", None)
    if normals is not None:
        normals = np.asarray(normals, dtype=np.float64)
    points = np.asarray(poly.points, dtype=np.float64)
    if poly.n_cells == 0 or poly.faces.size == 0:
        return PointCloud(points, normals, data)
    faces = np.asarray(poly.triangulate().regular_faces, dtype=np.int64)
    return SurfaceMesh(points, faces, normals, data)


def write_surface(path: Path, surface: PointCloud | SurfaceMesh, facts: SurfaceFacts | None = None) -> None:
    """Write VTP (with all arrays), PLY, OBJ or STL by the name's ending, beside its name and renamed.

    ``facts`` become field data of a VTP, next to the units and the sign convention. OBJ is in Å, as
    ChimeraX and Blender users expect; PLY and STL are in nm.
    """
    poly = to_polydata(surface)
    suffix = path.suffix.lower()
    if suffix == ".obj":
        poly.points = poly.points * 10.0
    elif suffix == ".vtp":
        _with_field_data(poly, facts)
    elif suffix not in (".ply", ".stl"):
        raise InputError(
            f"{path}: surfaces are written as .vtp, .ply, .obj or .stl; choose one of these endings"
        )
    with written_beside(path) as beside:
        poly.save(beside)


def _with_field_data(poly: pv.PolyData, facts: SurfaceFacts | None) -> None:
    """Add units, sign convention and facts; make the names of arrays fit for the XML that VTK writes."""
    notes = {"units": "nm", "sign_convention": SIGN_CONVENTION}
    if facts is not None:
        notes |= {"provenance": facts.provenance, "facts": facts_text(facts)}
    for name, text in notes.items():
        poly.add_field_data([text], name)
    for index in range(poly.GetPointData().GetNumberOfArrays()):
        array = poly.GetPointData().GetAbstractArray(index)  # VTK writes names as they are, < and & too
        array.SetName(escape(array.GetName(), {'"': "&quot;"}))


def read_surface(path: Path) -> PointCloud | SurfaceMesh:
    """Read a VTP, PLY, OBJ or STL in nm (OBJ: Å). Raises InputError where it cannot be used."""
    poly = _polydata(path)
    if poly.n_points == 0:
        raise InputError(f"{path}: holds no points; the file is empty or cut short, write it again")
    if not np.isfinite(poly.points).all():
        raise InputError(f"{path}: has points that are not numbers (NaN or infinite); write it again")
    if path.suffix.lower() == ".obj":
        poly.points = poly.points / 10.0
    return from_polydata(poly)


def _polydata(path: Path) -> pv.PolyData:
    """What VTK reads from a file, its own messages held back."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if path.suffix.lower() not in (".vtp", ".ply", ".obj", ".stl"):
        raise InputError(f"{path}: not a surface file; .vtp, .ply, .obj and .stl can be read")
    try:
        with _quiet_vtk():
            poly = pv.read(path)
    except Exception as error:  # VTK raises whatever its readers raise
        raise InputError(f"{path}: cannot be read as a surface ({error}); write it again") from error
    if not isinstance(poly, pv.PolyData):
        raise InputError(f"{path}: holds no surface; write it again as polydata")
    return poly


@contextmanager
def _quiet_vtk() -> Iterator[None]:
    """Within it VTK writes nothing past Python to the terminal; what it reads then shows what went wrong."""
    loud = vtkObject.GetGlobalWarningDisplay()
    vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtkObject.SetGlobalWarningDisplay(loud)


def read_facts(path: Path) -> SurfaceFacts | None:
    """What a surface of `surfora run` knows of itself, or None for a file of another kind or program.

    Raises InputError where the file cannot be read or the facts are garbled.
    """
    if path.suffix.lower() != ".vtp":
        return None
    fields: Any = _polydata(path).field_data
    if "facts" not in fields or len(fields["facts"]) == 0:
        return None
    return parsed_facts(str(fields["facts"][0]), path)


def read_mesh(path: Path) -> SurfaceMesh:
    """Read a mesh; InputError where the file holds points without triangles."""
    surface = read_surface(path)
    if isinstance(surface, PointCloud):
        raise InputError(f"{path}: holds points but no triangles; make a mesh first with `surfora mesh`")
    return surface


def read_points(path: Path) -> PointCloud:
    """Read a point cloud, or the vertices of a mesh."""
    surface = read_surface(path)
    if isinstance(surface, SurfaceMesh):
        return PointCloud(surface.vertices, surface.normals, surface.data)
    return surface
