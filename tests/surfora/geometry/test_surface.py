"""Areas, volumes, borders and files of meshes whose answers are known."""

import numpy as np
import pytest
import pyvista as pv

from surfora.geometry.pieces import component_count
from surfora.geometry.surface import (
    SurfaceMesh,
    boundary_edges,
    boundary_vertices,
    enclosed_volume_nm3,
    face_areas_nm2,
    vertex_areas_nm2,
    vertex_normals,
)

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


def test_area_and_volume_of_a_box(box):
    assert face_areas_nm2(box.vertices, box.faces).sum() == pytest.approx(2 * (6 + 10 + 15))
    assert vertex_areas_nm2(box.vertices, box.faces).sum() == pytest.approx(62)
    assert enclosed_volume_nm3(box.vertices, box.faces) == pytest.approx(30)
    assert enclosed_volume_nm3(box.vertices, box.faces[:, ::-1]) == pytest.approx(-30)
    assert box.is_closed


def test_normals_of_an_outward_box_point_away_from_its_middle(box):
    normals = vertex_normals(box.vertices, box.faces)
    outward = box.vertices - box.vertices.mean(axis=0)
    assert (np.einsum("ij,ij->i", normals, outward) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_border_of_an_open_square(square):
    assert not square.is_closed
    assert len(boundary_edges(square.faces)) == 4
    assert boundary_vertices(square.faces, 4).all()
    np.testing.assert_allclose(vertex_normals(square.vertices, square.faces), [[0, 0, 1]] * 4)


def test_components_count_pieces_of_triangles(square):
    assert component_count(square.faces, 4) == 1
    assert component_count(np.concatenate([square.faces, square.faces + 4]), 8) == 2
    assert component_count(square.faces, 9) == 1  # vertices without triangles are no pieces


def test_dropping_faces_drops_their_vertices_and_data(square):
    mesh = square.with_data(height_nm=np.arange(4.0)).with_faces(square.faces[:1])
    np.testing.assert_array_equal(mesh.data["height_nm"], [0, 1, 2])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2]])
