"""VTP files as we write them, read by VTK."""

import numpy as np
import pytest
import pyvista as pv

from surfora.geometry.vtp_writing import BLOCK_BYTES, vtp_bytes


def polydata(count):
    """A strip of triangles with arrays of all kinds, one that shrinks and some that do not."""
    rng = np.random.default_rng(4)
    faces = np.arange(count - 2)[:, None] + np.arange(3)
    poly = pv.PolyData.from_regular_faces(rng.normal(size=(count, 3)), faces)
    poly.point_data["Normals"] = rng.normal(size=(count, 3))
    poly.point_data["flag"] = rng.random(count) < 0.5
    poly.point_data["zero"] = np.zeros(count)
    poly.point_data["number"] = np.arange(count, dtype=np.int32)
    poly.point_data["single"] = rng.random(count).astype(np.float32)
    poly.cell_data["of face"] = np.arange(count - 2, dtype=np.int64)
    poly.point_data.active_normals_name = "Normals"
    poly.add_field_data(["nm & <one>", "two"], "texts")
    poly.add_field_data(np.array([1.5, 2.5]), "numbers")
    return poly


@pytest.mark.parametrize("count", [4, 50_000])
def test_vtk_reads_what_was_written(tmp_path, count):
    poly = polydata(count)
    assert count < 100 or poly.points.nbytes > BLOCK_BYTES
    path = tmp_path / "strip.vtp"
    path.write_bytes(vtp_bytes(poly))
    found = pv.read(path)
    for one, other in ((found.point_data, poly.point_data), (found.cell_data, poly.cell_data)):
        assert list(one.keys()) == list(other.keys())
        for name in other.keys():  # noqa: SIM118
            np.testing.assert_array_equal(one[name], other[name])
            assert one[name].dtype == other[name].dtype or other[name].dtype == bool
    np.testing.assert_array_equal(found.points, poly.points)
    np.testing.assert_array_equal(found.faces, poly.faces)
    assert found.point_data.active_normals_name == "Normals"
    assert list(found.field_data["texts"]) == ["nm & <one>", "two"]
    np.testing.assert_array_equal(found.field_data["numbers"], [1.5, 2.5])


def test_points_alone_and_nothing_at_all(tmp_path):
    for number, poly in enumerate((pv.PolyData(np.eye(3)), pv.PolyData())):
        path = tmp_path / f"{number}.vtp"
        path.write_bytes(vtp_bytes(poly))
        found = pv.read(path)
        np.testing.assert_array_equal(found.points, poly.points)
        assert (found.n_verts, found.n_faces_strict) == (poly.n_verts, poly.n_faces_strict)
