"""Meshes cut along a level: nothing lost, shared vertices, areas and borders in closed form, no needles."""

from dataclasses import replace

import numpy as np
import pytest
import shapes

from surfora.geometry.cut import cut_mesh
from surfora.geometry.surface import (
    SurfaceMesh,
    boundary_edges,
    enclosed_volume_nm3,
    face_areas_nm2,
    face_cross_products,
    vertex_normals,
)


def mesh_of(shape, edge_nm=1.0):
    vertices, faces = shape.mesh(edge_nm)
    return SurfaceMesh(vertices, faces, shape.normals(vertices))


def kept_below(mesh, values, level=0.0):
    cut, above = cut_mesh(mesh, values, level)
    return cut.with_faces(cut.faces[~above])


def border_length(mesh):
    return np.linalg.norm(np.diff(mesh.vertices[boundary_edges(mesh.faces)], axis=1)[:, 0], axis=1).sum()


def area(mesh):
    return face_areas_nm2(mesh.vertices, mesh.faces).sum()


def test_one_triangle_with_arrays():
    mesh = SurfaceMesh(
        np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]]),
        np.array([[0, 1, 2]]),
        np.tile([0.0, 0, 1], (3, 1)),
        {
            "height": np.array([3.0, -1.0, -1.0]),
            "label": np.array([4, 5, 6]),
            "curvature": np.array([1.0, 2.0, np.nan], np.float32),
        },
    )
    cut, above = cut_mesh(mesh, mesh.data["height"])
    assert above.tolist() == [True, False, False]
    assert np.allclose(cut.vertices[3:], [[1.5, 0, 0], [0, 1.5, 0]])
    assert np.allclose(cut.data["height"][3:], 0)
    assert cut.data["label"][3:].tolist() == [4, 4]
    assert cut.data["curvature"].dtype == np.float32
    np.testing.assert_allclose(cut.data["curvature"][3:], [1.75, np.nan])
    assert face_areas_nm2(cut.vertices, cut.faces).tolist() == pytest.approx([1.125, 0.5, 0.375])
    assert (vertex_normals(cut.vertices, cut.faces)[:, 2] > 0).all()


@pytest.mark.parametrize("offset", [0.37, 0.0, 1e-5])
def test_a_closed_mesh_stays_whole_and_wound(offset):
    shape = shapes.torus(15.0, 6.0)
    mesh = mesh_of(shape)
    level = mesh.vertices[17, 0] + offset  # 0: through a vertex
    cut, above = cut_mesh(mesh, mesh.vertices[:, 0], level)
    areas = face_areas_nm2(cut.vertices, cut.faces)
    assert areas.sum() == pytest.approx(area(mesh))
    assert cut.is_closed
    assert enclosed_volume_nm3(cut.vertices, cut.faces) == pytest.approx(
        enclosed_volume_nm3(mesh.vertices, mesh.faces)
    )
    reach = 0.01 * 2.0  # a line may be moved onto a vertex by a hundredth of an edge
    assert cut.vertices[cut.faces[above]][..., 0].min() >= level - reach
    assert cut.vertices[cut.faces[~above]][..., 0].max() <= level + reach
    assert areas.min() > 3e-5 * np.median(areas)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("height", [-4.0, 2.5, 9.0])
def test_a_sphere_cut_by_a_plane_is_a_cap(seed, height):
    radius = 14.0
    shape = shapes.sphere(radius)
    mesh = mesh_of(shape, 0.5)
    direction = np.random.default_rng(seed).normal(size=3)
    direction /= np.linalg.norm(direction)
    cap = kept_below(mesh, (mesh.vertices - shape.centre_nm) @ direction, height)
    assert area(cap) == pytest.approx(2 * np.pi * radius * (radius + height), rel=1e-3)
    assert border_length(cap) == pytest.approx(2 * np.pi * np.sqrt(radius**2 - height**2), rel=1e-3)
    assert np.allclose(np.linalg.norm(cap.normals, axis=1), 1)
    outward = np.einsum(
        "ij,ij->i",
        face_cross_products(cap.vertices, cap.faces),
        cap.vertices[cap.faces[:, 0]] - shape.centre_nm,
    )
    assert (outward > 0).all()


def test_a_line_through_vertices_adds_none():
    shape = shapes.flat_sheet(20.0, 20.0, seed=None)
    mesh = mesh_of(shape)
    x = np.round(mesh.vertices[:, 0], 9)
    level = np.unique(x)[7]
    cut, above = cut_mesh(mesh, x, level)
    assert len(cut.vertices) == len(mesh.vertices)
    assert len(cut.faces) == len(mesh.faces)
    assert (x[cut.faces[above]].min(axis=1) >= level).all()
    assert (x[cut.faces[~above]].max(axis=1) <= level).all()
    near, _ = cut_mesh(mesh, x, level + 1e-5)
    assert len(near.vertices) == len(mesh.vertices)


def test_nothing_and_everything():
    mesh = mesh_of(shapes.sphere(6.0))
    assert len(kept_below(mesh, np.ones(len(mesh.vertices))).faces) == 0
    whole = kept_below(mesh, -np.ones(len(mesh.vertices)))
    assert np.array_equal(whole.faces, mesh.faces)
    bare = kept_below(replace(mesh, normals=None), mesh.vertices[:, 2], mesh.vertices[:, 2].mean())
    assert bare.normals is None
