"""Meshes and points of every format, and the journal of their edits."""

from pathlib import Path

import numpy as np
from fuzz import mutations
from fuzz.format import BYTES, TEXT, Format, text

GRID = "6 9 8 1.5 1.0 2.0 3.0"


def a_surface():
    from surfora.geometry.surface import SurfaceMesh, vertex_normals

    points = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 9, 9]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 4], [1, 4, 3], [2, 3, 4]])
    curvature = np.linspace(-0.1, 0.1, 5)
    return SurfaceMesh(points, faces, vertex_normals(points, faces), {"mean_curvature_per_nm": curvature})


def make_surface(path: Path) -> None:
    from surfora.geometry.facts import SurfaceFacts
    from surfora.geometry.files import write_surface

    facts = SurfaceFacts(
        "m_OMM", "medial", "OMM", source="m.mrc", provenance="1", voxel_size_nm=1.5, grid=GRID
    )
    write_surface(path, a_surface(), facts)


def _make_by_vtk(path: Path) -> None:
    from surfora.geometry.surface import to_polydata

    poly = to_polydata(a_surface())
    if path.suffix == ".vtu":
        poly = poly.cast_to_unstructured_grid()
    poly.save(path, binary=path.name.startswith("binary"))


def _make_other_vtp(path: Path) -> None:
    """As other programs write it: appended, packed, lines and points beside triangles, data of cells."""
    import pyvista
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    from surfora.geometry.surface import to_polydata

    mesh = to_polydata(a_surface()).append_polydata(pyvista.Line())
    mesh.cell_data["patch"] = np.arange(mesh.n_cells)
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(mesh)
    writer.SetFileName(str(path))
    if path.name.startswith("VTP appended"):
        writer.SetDataModeToAppended()
        writer.EncodeAppendedDataOff()
        writer.SetCompressorTypeToLZMA()
    elif path.name.startswith("VTP ascii"):
        writer.SetDataModeToAscii()
        writer.SetByteOrderToBigEndian()
    else:
        writer.SetCompressorTypeToLZ4()
    writer.Write()


def _read_surface(path: Path) -> None:
    from surfora.export.tomogram_places import placed_mesh
    from surfora.geometry.files import read_facts, read_surface
    from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2

    surface = read_surface(path)
    read_facts(path)
    if isinstance(surface, SurfaceMesh):
        vertex_areas_nm2(surface.vertices, surface.faces)
        placed_mesh(path)


def _read_points(path: Path) -> None:
    from surfora.geometry.files import read_points

    read_points(path, "voxel", 1.5)
    read_points(path)


XYZ = "".join(f"{x} {x * 2} {x % 3} 0 0 1\n" for x in range(7))
POINTS_CSV = "x [nm],y [nm],z [nm],ID\n" + "".join(f"{x}.5,{x * 2},{x % 3},{x}\n" for x in range(7))
STAR = (
    "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnTomoTiltSeriesPixelSize #2\n1 2.5\n\n"
    "data_particles\n\nloop_\n_rlnTomoName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n_rlnCoordinateZ #4\n"
    "_rlnOpticsGroup #5\n" + "".join(f"ts_1 {x}.5 {x * 2} {x + 3} 1\n" for x in range(6))
)


def _make_edits(folder: Path) -> None:
    folder.mkdir()
    make_surface(folder / "m.vtp")
    session = _edited(folder)
    for number in range(3):
        session.select(np.arange(session.count) == number)
        session.flip()
    session.undo()


def _read_edits(folder: Path) -> None:
    from surfora.editor.files import apply_edits

    _edited(folder).journal.close()
    apply_edits(folder / "m.edits.jsonl", folder / "out")


def _edited(folder: Path):
    from surfora.editor.files import open_session

    return open_session([folder / "m.vtp"])


def _make_two(folder: Path) -> None:
    """Two surfaces that face each other, 2 nm apart."""
    from dataclasses import replace

    from surfora.geometry.facts import SurfaceFacts
    from surfora.geometry.files import write_surface

    folder.mkdir()
    surface = a_surface()
    for name, up in (("m_OMM", 0.0), ("m_ER", 11.0)):
        facts = SurfaceFacts(name, "medial", name[2:], source="m.mrc", provenance="1", grid=GRID)
        moved = replace(surface, vertices=surface.vertices + np.array([0, 0, up]))
        write_surface(folder / f"{name}.medial.vtp", moved, facts)


def _read_contacts(folder: Path) -> None:
    from surfora.geometry.request import StageRequest
    from surfora.reporting.contact_files import ContactRequest, contacts_to_folder

    of = StageRequest(folder / "m_OMM.medial.vtp", folder / "out")
    contacts_to_folder(ContactRequest(of, (folder / "m_ER.medial.vtp",), 4.0))


SURFACES = {
    "VTP": Format(make_surface, BYTES, _read_surface, ".vtp", 2.0),
    "VTP text": Format(make_surface, TEXT, _read_surface, ".vtp"),
    "VTP appended": Format(_make_other_vtp, BYTES, _read_surface, ".vtp", 0.5),
    "VTP ascii": Format(_make_other_vtp, TEXT, _read_surface, ".vtp", 0.5),
    "VTP by LZ4": Format(_make_other_vtp, BYTES, _read_surface, ".vtp", 0.2),
    "PLY": Format(_make_by_vtk, TEXT, _read_surface, ".ply", 0.4),
    "PLY binary": Format(make_surface, BYTES, _read_surface, ".ply", 0.6),
    "OBJ": Format(make_surface, TEXT, _read_surface, ".obj", 0.4),
    "STL": Format(make_surface, BYTES, _read_surface, ".stl", 0.3),
    "VTK legacy": Format(_make_by_vtk, TEXT, _read_surface, ".vtk", 0.4),
    "VTU": Format(_make_by_vtk, TEXT, _read_surface, ".vtu", 0.3),
    "points xyz": Format(text(XYZ), TEXT, _read_points, ".xyz"),
    "points csv": Format(text(POINTS_CSV), TEXT, _read_points, ".csv"),
    "points star": Format(text(STAR), TEXT, _read_points, ".star"),
    "edits": Format(_make_edits, mutations.damaged_lines, _read_edits, "", 1.0, "*.jsonl"),
    "meshes of contacts": Format(_make_two, BYTES, _read_contacts, "", 0.15, "*.vtp"),
}
