"""Files of surfaces: what is written comes back, and what cannot be used is refused in one line."""

import numpy as np
import pytest
import pyvista as pv

from surfora.geometry.facts import SurfaceFacts, facts_text
from surfora.geometry.files import read_facts, read_mesh, read_points, read_surface, write_surface
from surfora.geometry.surface import PointCloud, SurfaceMesh
from tomocore.contract import InputError

CUBE = np.add([[x, y, z] for x in (0, 2.0) for y in (0, 3.0) for z in (0, 5.0)], (7.0, -4.0, 11.0))


@pytest.fixture
def box():
    """A closed box of 2 × 3 × 5 nm away from the origin, wound outward."""
    poly = pv.Cube(x_length=2, y_length=3, z_length=5, center=(7, -4, 11)).triangulate().clean()
    return SurfaceMesh(np.asarray(poly.points, float), np.asarray(poly.regular_faces, np.int64))


@pytest.fixture
def square():
    vertices = np.array([[0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]], float)
    return SurfaceMesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]))


def test_a_vtp_keeps_everything(tmp_path, square):
    normals = np.tile([0.0, 0.0, 1.0], (4, 1))
    mesh = SurfaceMesh(square.vertices, square.faces, normals, {"height_nm": np.array([1, np.nan, 3, 4])})
    path = tmp_path / "a.medial.vtp"
    facts = SurfaceFacts("a", "medial", label="Müller Ω", roi=3, source="/dä ta/µ.mrc", provenance="abc")
    write_surface(path, mesh, facts)
    back = read_mesh(path)
    np.testing.assert_allclose(back.vertices, mesh.vertices)
    np.testing.assert_array_equal(back.faces, mesh.faces)
    np.testing.assert_allclose(back.normals, normals)
    np.testing.assert_array_equal(back.data["height_nm"], mesh.data["height_nm"])
    notes = {name: str(values[0]) for name, values in pv.read(path).field_data.items()}
    assert notes["provenance"] == "abc"
    assert notes["units"] == "nm"
    assert "H > 0" in notes["sign_convention"]
    assert facts_text(read_facts(path)) == facts_text(facts)
    assert [p.name for p in tmp_path.iterdir()] == ["a.medial.vtp"]


@pytest.mark.parametrize("ending", ["ply", "stl", "obj"])
def test_other_formats_give_the_same_place_in_nm(tmp_path, box, ending):
    path = tmp_path / f"a.{ending}"
    write_surface(path, box)
    back = read_mesh(path)
    np.testing.assert_allclose(back.vertices.min(axis=0), box.vertices.min(axis=0), rtol=1e-5)
    np.testing.assert_allclose(back.vertices.max(axis=0), box.vertices.max(axis=0), rtol=1e-5)


def test_obj_is_in_angstrom(tmp_path, box):
    write_surface(tmp_path / "a.obj", box)
    assert pv.read(tmp_path / "a.obj").bounds.x_max == pytest.approx(80, rel=1e-5)


def test_points_without_triangles(tmp_path):
    cloud = PointCloud(CUBE, None, {"rim": np.arange(8) % 2 == 0})
    write_surface(tmp_path / "a.vtp", cloud)
    back = read_points(tmp_path / "a.vtp")
    np.testing.assert_allclose(back.points, CUBE)
    assert back.data["rim"].sum() == 4
    with pytest.raises(InputError, match="no triangles"):
        read_mesh(tmp_path / "a.vtp")


def test_files_that_are_no_surface(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_surface(tmp_path / "a.vtp")
    (tmp_path / "a.vtp").write_text("hello")
    with pytest.raises(InputError, match=r"a\.vtp"):
        read_surface(tmp_path / "a.vtp")
    (tmp_path / "a.docx").write_text("hello")
    with pytest.raises(InputError, match="not a surface file"):
        read_surface(tmp_path / "a.docx")
    with pytest.raises(InputError, match="choose one"):
        write_surface(tmp_path / "a.xyz", PointCloud(CUBE))


@pytest.mark.parametrize("ending", ["vtp", "ply", "stl", "obj"])
def test_names_and_paths_in_any_script(tmp_path, box, ending):
    folder = tmp_path / "Müller αβ, zwei"
    folder.mkdir()
    array = 'distance_to_µ "ER" <1> & Ω_nm'
    write_surface(folder / f"µ Ω.{ending}", box.with_data(**{array: np.arange(8.0)}))
    back = read_mesh(folder / f"µ Ω.{ending}")
    np.testing.assert_allclose(back.vertices.max(axis=0), box.vertices.max(axis=0), rtol=1e-5)
    if ending == "vtp":
        np.testing.assert_array_equal(back.data[array], np.arange(8.0))
        write_surface(folder / "again.vtp", back)
        assert set(read_mesh(folder / "again.vtp").data) == {array}


@pytest.mark.parametrize(("ending", "taken"), [(".stl", "nm"), (".obj", "Å"), (".csv", "nm")])
def test_a_unit_that_nobody_gave_is_said(tmp_path, box, caplog, ending, taken):
    path = tmp_path / f"a{ending}"
    if ending == ".csv":
        path.write_text("x,y,z\n0,0,0\n1,0,0\n0,1,2\n")
    else:
        pv.PolyData.from_regular_faces(box.vertices, box.faces).save(path)
    read_surface(path)
    assert f"a{ending}: " in caplog.text
    assert f"lengths taken as {taken}, pass --unit where they are not" in caplog.text
    caplog.clear()
    read_surface(path, "nm")
    assert "lengths" not in caplog.text
    write_surface(tmp_path / "own.vtp", box)
    read_surface(tmp_path / "own.vtp")
    assert "lengths" not in caplog.text


def test_facts_are_read_of_a_file_whose_surface_is_damaged(tmp_path):
    facts, path = SurfaceFacts("m", "medial", "OMM", None, "m.mrc"), tmp_path / "m.medial.vtp"
    write_surface(path, PointCloud(np.eye(3), np.eye(3)), facts)
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.find(b"<Piece") + 20])
    assert facts_text(read_facts(path)) == facts_text(facts)
    with pytest.raises(InputError):
        read_surface(path)
