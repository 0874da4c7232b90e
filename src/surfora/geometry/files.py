"""Files of surfaces: VTP with all arrays and facts, and the formats of other programs."""

from __future__ import annotations

import logging
import lzma
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkCommonCore import vtkObject
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from surfora.geometry.arrays import Floats
from surfora.geometry.clouds import NM_PER, LengthUnit, named_unit, star_points, text_points
from surfora.geometry.counts import require_possible_counts
from surfora.geometry.facts import SurfaceFacts, facts_text, parsed_facts
from surfora.geometry.glb import as_in_tomogram, is_our_scene
from surfora.geometry.repair import Told, is_sound, repaired, vertex_data
from surfora.geometry.stored import CELL_KINDS, Cells, StoredSurface, polydata_of
from surfora.geometry.surface import SIGN_CONVENTION, PointCloud, SurfaceMesh, to_polydata
from surfora.geometry.vtk_process import read_in_process
from surfora.geometry.vtp import NotPlain, read_vtp
from tomocore.contract import InputError, naming
from tomocore.files import existing, written_beside

log = logging.getLogger(__name__)

Surface: TypeAlias = PointCloud | SurfaceMesh

VTK_ENDINGS = (".vtp", ".ply", ".obj", ".stl", ".vtk", ".vtu", ".glb")
OR_SAID = ", pass --unit where they are not"
IN_ANGSTROM = (".obj", ".glb")
"""Endings of files whose lengths are Å unless one says else: those of ChimeraX, Blender and copick."""
_DAMAGES = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
    RecursionError,
    zlib.error,
    lzma.LZMAError,
)
COMPRESSION = 2  # of VTP by zlib; its usual 5 takes half as long again for 1 % of the bytes
SMALLEST_NM, LARGEST_NM = 1.0, 20_000.0  # what a surface of a tomogram may measure across


def write_surface(path: Path, surface: PointCloud | SurfaceMesh, facts: SurfaceFacts | None = None) -> None:
    """Write VTP (with all arrays), PLY, OBJ or STL by the name's ending, beside its name and renamed.

    ``facts`` become field data of a VTP, next to the units and the sign convention. OBJ is in Å, as
    ChimeraX and Blender users expect; PLY and STL are in nm.
    """
    suffix = surface_target(path).suffix.lower()
    poly = to_polydata(surface)
    if suffix == ".obj":
        poly.points = poly.points * 10.0
    elif suffix == ".vtp":
        _with_field_data(poly, facts)
    write_polydata(path, poly)


def surface_target(path: Path, with_values: bool = False) -> Path:
    """The path, where its ending is one that surfaces are written under; else InputError.

    ``with_values`` wants one that keeps normals of points and what is measured at vertices.
    """
    if with_values and path.suffix.lower() in (".ply", ".obj", ".stl"):
        raise InputError(
            f"{path}: would keep places alone, not the values at them; write .vtp, of which `surfora export` "
            "makes other formats"
        )
    if path.suffix.lower() not in (".vtp", ".ply", ".obj", ".stl"):
        raise InputError(
            f"{path}: surfaces are written as .vtp, .ply, .obj or .stl; choose one of these endings"
        )
    return path


def write_polydata(path: Path, poly: pv.PolyData, colours: str | None = None) -> None:
    """Write polydata as it is: VTP, PLY, OBJ or STL by the name's ending, beside its name and renamed.

    ``colours`` names an array (n, 3) from 0 to 255 that a PLY takes for the colours of its vertices. Raises
    OSError where the file came out short.
    """
    with written_beside(path) as beside:
        if path.suffix.lower() == ".vtp":
            beside.write_text(_vtp_text(poly), encoding="utf-8")
        else:
            _write_by_vtk(beside, poly, colours)


def _write_by_vtk(path: Path, poly: pv.PolyData, colours: str | None) -> None:
    """PLY, OBJ or STL, whole or not at all; endings in capitals, which not all of VTK's writers know, too."""
    known = path.with_suffix(path.suffix.lower())
    try:
        with _quiet_vtk():
            poly.save(known, texture=colours)
        _require_whole(known, poly.n_points, len(poly.regular_faces))
        known.replace(path)
    finally:
        if known != path:
            known.unlink(missing_ok=True)


@contextmanager
def _quiet_vtk() -> Iterator[None]:
    """Within it VTK writes nothing past Python to the terminal; what it wrote then shows what went wrong."""
    loud = vtkObject.GetGlobalWarningDisplay()
    vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtkObject.SetGlobalWarningDisplay(loud)


def _vtp_text(poly: pv.PolyData) -> str:
    """A VTP file, written in memory: onto a full disk VTK writes nothing and says nothing."""
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(poly)
    writer.SetDataModeToBinary()
    writer.SetCompressionLevel(COMPRESSION)
    writer.WriteToOutputStringOn()
    writer.Write()
    return str(writer.GetOutputString())


def _require_whole(path: Path, points: int, triangles: int) -> None:
    """OSError where the file that VTK wrote is cut short, which it tells nobody."""
    content = path.read_bytes() if path.is_file() else b""
    if path.suffix == ".stl":
        whole = len(content) == 84 + 50 * triangles
    elif path.suffix == ".ply":
        header = content.find(b"end_header\n") + len(b"end_header\n")
        corner = 4 * content[:header].count(b"property float") + content[:header].count(b"property uchar")
        whole = len(content) == header + corner * points + 13 * triangles
    else:
        counts = (content.count(b"\nv "), content.count(b"\nf "))
        whole = content.endswith(b"\n") and counts == (points, triangles)
    if not whole:
        raise OSError(None, f"written in part, {len(content)} bytes", str(path))


def _with_field_data(poly: pv.PolyData, facts: SurfaceFacts | None) -> None:
    """Add units, sign convention and facts; make the names of arrays fit for the XML that VTK writes."""
    notes = {"units": "nm", "sign_convention": SIGN_CONVENTION}
    if facts is not None:
        notes |= {"provenance": facts.provenance, "facts": facts_text(facts)}
    for name, text in notes.items():
        poly.add_field_data([text], name)
    for index in range(poly.GetPointData().GetNumberOfArrays()):
        array = poly.GetPointData().GetAbstractArray(index)  # VTK writes names as they are, < and & too
        printable = "".join(letter if letter.isprintable() else "_" for letter in array.GetName())
        array.SetName(escape(printable, {'"': "&quot;"}))


def read_surface(
    path: Path, unit: LengthUnit | None = None, voxel_size_nm: float | None = None
) -> PointCloud | SurfaceMesh:
    """Read a mesh or points of any program, in nm and fit to be measured; a warning says what was changed.

    unit: of a file's lengths, where it is no file of `surfora`; else that of its columns' names or optics
    table, or nm (OBJ and GLB: Å). voxel_size_nm: the edge of a voxel, for unit "voxel". Raises InputError
    where the file cannot be used, with the reason (see `repair`).
    """
    suffix = existing(path).suffix.lower()
    told, sound = Told(), False
    if suffix in (".xyz", ".csv", ".tsv", ".txt", ".star"):
        surface = _in_nm(*_columns_of(path, unit, told), path, voxel_size_nm)
    elif suffix in VTK_ENDINGS:
        poly = _polydata(path, told)
        is_scene = suffix == ".glb" and is_our_scene(path)
        if is_scene:
            poly.points = as_in_tomogram(np.asarray(poly.points))
        ours = is_scene or "sign_convention" in poly.field_data
        own_unit: LengthUnit = "angstrom" if suffix in IN_ANGSTROM and not is_scene else "nm"
        with _refused(path):
            found = from_polydata(poly, told)
        surface = _in_nm(found, own_unit if ours else unit or own_unit, path, voxel_size_nm)
        if not ours and unit is None:
            told.sentences.append(f"lengths taken as {'Å' if own_unit == 'angstrom' else 'nm'}{OR_SAID}")
        sound = ours and isinstance(surface, SurfaceMesh) and is_sound(surface)
    else:
        raise InputError(
            f"{path}: not a surface file; {', '.join(VTK_ENDINGS)} can be read, and points of "
            ".xyz, .csv, .tsv, .txt and .star"
        )
    with naming(path):
        surface = surface if sound else repaired(surface, told)
    if told.sentences:
        log.warning("%s: %s", path, "; ".join(told.sentences))
    _require_points_of_size(path, surface)
    return surface


def from_polydata(poly: pv.PolyData, told: Told) -> PointCloud | SurfaceMesh:
    """A mesh of all strips and polygons as triangles, or a cloud of all points where there are none."""
    data = {name: np.asarray(poly.point_data[name]) for name in poly.point_data.keys()}  # noqa: SIM118
    normals = data.pop("Normals", None)
    points = np.asarray(poly.points, dtype=np.float64)
    told(poly.n_lines, "lines left out")
    if poly.n_strips == 0 and poly.faces.size == 0:
        return PointCloud(points, _as_normals(normals, points), _numeric(data))
    told(poly.n_verts, "lone points left out")
    poly = _polygons_of(poly)
    triangles = poly if poly.is_all_triangles else poly.triangulate()
    faces = np.asarray(triangles.faces, dtype=np.int64).reshape(-1, 4)[:, 1:]
    if len(faces) == 0:
        raise InputError("none of its polygons has three corners; write the mesh again")
    cells = {name: np.asarray(triangles.cell_data[name]) for name in triangles.cell_data.keys()}  # noqa: SIM118
    cells = {name: values for name, values in _numeric(cells).items() if len(values) == len(faces)}
    averaged = vertex_data({n: v for n, v in cells.items() if n not in data}, faces, len(points))
    of_triangles = averaged.pop("Normals", None)
    told(len(averaged), f"arrays of triangles averaged onto their corners ({', '.join(sorted(averaged))})")
    normals = of_triangles if normals is None else normals
    return SurfaceMesh(points, faces, _as_normals(normals, points), _numeric(data) | averaged)


def _polygons_of(poly: pv.PolyData) -> pv.PolyData:
    """The strips and polygons alone, with their own rows of the arrays of cells: lone points, lines first."""
    first = poly.n_verts + poly.n_lines
    if first == 0:
        return poly
    alone = pv.PolyData()
    alone.SetPoints(poly.GetPoints())
    alone.SetPolys(poly.GetPolys())
    alone.SetStrips(poly.GetStrips())
    for name in poly.cell_data.keys():  # noqa: SIM118
        alone.cell_data[name] = np.asarray(poly.cell_data[name])[first:]
    return alone


def _numeric(data: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: values for name, values in data.items() if values.dtype.kind in "biuf"}


def _as_normals(values: NDArray[Any] | None, points: Floats) -> Floats | None:
    return None if values is None or values.shape != points.shape else np.asarray(values, np.float64)


def _columns_of(path: Path, unit: LengthUnit | None, told: Told) -> tuple[PointCloud, LengthUnit | Floats]:
    """Points of columns, and their unit: as asked, else as the file says; for STAR the nm of each pixel."""
    if path.suffix.lower() != ".star":
        cloud, said = text_points(path, told)
        if not (unit or said):
            told.sentences.append(f"lengths taken as nm{OR_SAID}")
        with _refused(path):
            return cloud, unit or named_unit(said)
    cloud, pixel_nm = star_points(path)
    if unit is not None:
        return cloud, unit
    if pixel_nm is None or not (np.isfinite(pixel_nm).all() and (pixel_nm > 0).all()):
        raise InputError(
            f"{path}: tells no pixel size (as rlnTomoTiltSeriesPixelSize in its optics table)"
            "; pass --unit voxel --voxel-size NM"
        )
    return cloud, pixel_nm


def _in_nm(
    surface: Surface, unit: LengthUnit | Floats, path: Path, voxel_size_nm: float | None
) -> PointCloud | SurfaceMesh:
    """The surface with its places times the nm that the unit is, one for all or one a point."""
    if isinstance(unit, str):
        if unit == "voxel" and voxel_size_nm is None:
            raise InputError(f"{path}: its lengths are voxels; pass --voxel-size NM as well")
        nm: Any = voxel_size_nm if unit == "voxel" else NM_PER[unit]
    else:
        nm = unit[:, None]
    if isinstance(surface, SurfaceMesh):
        return replace(surface, vertices=surface.vertices * nm)
    return replace(surface, points=surface.points * nm)


def _require_points_of_size(path: Path, surface: Surface) -> None:
    places = surface.vertices if isinstance(surface, SurfaceMesh) else surface.points
    if len(places) == 0:
        raise InputError(f"{path}: holds no points; the file is empty or cut short, write it again")
    extent_nm = float(np.ptp(places, axis=0).max())
    if len(places) > 1 and not SMALLEST_NM <= extent_nm <= LARGEST_NM:
        log.warning(
            "%s: is %.4g nm across, which no membrane of a tomogram is; if its lengths are no nm, say what "
            "they are with --unit angstrom, um or voxel",
            path,
            extent_nm,
        )


def _polydata(path: Path, told: Told) -> pv.PolyData:
    """The points and cells in a file as polydata, also those of other grids; InputError where it has none."""
    with _refused(path):
        stored = _stored(path, told)
        poly = polydata_of(stored, told)
    if poly.n_points == 0:
        raise InputError(f"{path}: holds no points; the file is empty or cut short, write it again")
    return poly


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Within it whatever reading a damaged file raises becomes an InputError."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise InputError(f"{path}: {error}") from error
    except _DAMAGES as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: cannot be read as a surface ({said}); write it again") from error


def _stored(path: Path, told: Told) -> StoredSurface:
    """What a file of one of `VTK_ENDINGS` holds, read without VTK or by it in a process of its own."""
    if path.suffix.lower() == ".vtp":
        try:
            return read_vtp(path)
        except NotPlain:
            pass
    require_possible_counts(path)
    facts, arrays = read_in_process(path)
    if facts["kind"] != "vtkPolyData":
        raise InputError(f"{path}: holds a {facts['kind']}, no surface; write it as polydata (.vtp)")
    told(facts["solids"], "cells with a volume, of which the outer faces were taken")
    cells = {
        kind: Cells(arrays[f"offsets:{kind}"], arrays[f"corners:{kind}"])
        for kind in CELL_KINDS
        if f"offsets:{kind}" in arrays
    }
    of = {
        what: {name.removeprefix(what): values for name, values in arrays.items() if name.startswith(what)}
        for what in ("point:", "cell:", "field:")
    }
    fields = {**of["field:"], **facts["texts"]}
    return StoredSurface(arrays.get("points", np.empty((0, 3))), cells, of["point:"], of["cell:"], fields)


def read_facts(path: Path) -> SurfaceFacts | None:
    """What a surface of `surfora run` knows of itself, or None for a file of another kind or program.

    Raises InputError where the file cannot be read or the facts are garbled.
    """
    if path.suffix.lower() != ".vtp":
        return None
    with _refused(path):
        try:
            fields = read_vtp(path, fields_only=True).field_data
        except NotPlain:
            fields = _stored(path, Told()).field_data
        texts = fields.get("facts")
    if not isinstance(texts, list) or not texts:
        return None
    return parsed_facts(texts[0], path)


def read_mesh(path: Path, unit: LengthUnit | None = None, voxel_size_nm: float | None = None) -> SurfaceMesh:
    """Read a mesh as `read_surface` does; InputError where the file holds points without triangles."""
    surface = read_surface(path, unit, voxel_size_nm)
    if isinstance(surface, PointCloud):
        raise InputError(f"{path}: holds points but no triangles; make a mesh first with `surfora mesh`")
    return surface


def read_points(path: Path, unit: LengthUnit | None = None, voxel_size_nm: float | None = None) -> PointCloud:
    """Read points, or the vertices of a mesh, as `read_surface` does."""
    surface = read_surface(path, unit, voxel_size_nm)
    if isinstance(surface, SurfaceMesh):
        return PointCloud(surface.vertices, surface.normals, surface.data)
    return surface
