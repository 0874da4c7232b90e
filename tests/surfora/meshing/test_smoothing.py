"""Smoothing: noise goes, size and rim stay, edges stay where asked."""

import numpy as np
import pytest
import shapes

from surfora.geometry.surface import SurfaceMesh, boundary_vertices, enclosed_volume_nm3, face_cross_products
from surfora.meshing.settings import SmoothSettings
from surfora.meshing.smoothing import smooth_mesh
from tomocore.contract import InputError


def noisy(shape, edge_nm=1.5, noise_nm=0.1, seed=0):
    vertices, faces = shape.mesh(edge_nm)
    random = np.random.default_rng(seed)
    tangent = random.normal(0, 0.08 * edge_nm, vertices.shape)
    feet = shape.feet(vertices + tangent)
    return SurfaceMesh(feet.points + feet.normals * random.normal(0, noise_nm, (len(vertices), 1)), faces)


@pytest.mark.parametrize("radius_nm", [10.0, 25.0])
@pytest.mark.parametrize("noise_nm", [0.0, 0.1])
def test_a_sphere_keeps_its_radius_to_a_thousandth(radius_nm, noise_nm):
    shape = shapes.sphere(radius_nm)
    smoothed = smooth_mesh(noisy(shape, noise_nm=noise_nm), SmoothSettings(iterations=20))
    bias = shape.signed_distance(smoothed.vertices).mean()
    assert abs(bias) < 0.001 * radius_nm
    plain = smooth_mesh(noisy(shape, noise_nm=noise_nm), SmoothSettings(method="plain", iterations=20))
    assert shape.signed_distance(plain.vertices).mean() < -0.01 * radius_nm


@pytest.mark.parametrize("method", ["damped", "bilateral"])
@pytest.mark.parametrize(
    "shape",
    [shapes.sphere(20.0), shapes.torus(), shapes.open_sphere(), shapes.wavy_sheet(), shapes.catenoid()],
)
def test_noise_is_halved_and_the_surface_stays(shape, method):
    mesh = noisy(shape)
    smoothed = smooth_mesh(mesh, SmoothSettings(method=method))
    inner = ~boundary_vertices(mesh.faces, len(mesh.vertices))
    before, after = (shape.signed_distance(m.vertices)[inner] for m in (mesh, smoothed))
    assert np.sqrt(np.mean(after**2)) < 0.5 * np.sqrt(np.mean(before**2))
    assert abs(after.mean()) < 0.01


def test_the_rim_does_not_move():
    mesh = noisy(shapes.open_sphere())
    on_rim = boundary_vertices(mesh.faces, len(mesh.vertices))
    assert on_rim.sum() > 50
    for method in ("damped", "plain", "bilateral"):
        smoothed = smooth_mesh(mesh, SmoothSettings(method=method, iterations=15))
        assert np.array_equal(smoothed.vertices[on_rim], mesh.vertices[on_rim])
        assert not np.allclose(smoothed.vertices[~on_rim], mesh.vertices[~on_rim])


def box_mesh(half_nm=10.0, steps=14):
    """A cube as a triangle mesh with sharp edges, wound outward."""
    grid = np.linspace(-half_nm, half_nm, steps + 1)
    u, v = (w.ravel() for w in np.meshgrid(grid, grid, indexing="ij"))
    index = np.arange((steps + 1) ** 2).reshape(steps + 1, steps + 1)
    a, b, c, d = (w.ravel() for w in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    square = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    sides, faces = [], []
    for axis in range(3):
        for sign in (-1, 1):
            points = np.empty((len(u), 3))
            points[:, axis], points[:, (axis + 1) % 3], points[:, (axis + 2) % 3] = sign * half_nm, u, v
            faces.append((square if sign > 0 else square[:, ::-1]) + len(u) * len(sides))
            sides.append(points)
    vertices, same = np.unique(np.round(np.concatenate(sides), 9), axis=0, return_inverse=True)
    return vertices, same.ravel()[np.concatenate(faces)]


def test_bilateral_keeps_edges_that_damped_rounds():
    vertices, faces = box_mesh()
    assert enclosed_volume_nm3(vertices, faces) == pytest.approx(20.0**3)
    random = np.random.default_rng(0)
    mesh = SurfaceMesh(vertices + random.normal(0, 0.08, vertices.shape), faces)
    on_edge = (np.abs(np.abs(vertices) - 10.0) < 1e-6).sum(axis=1) == 2
    rounding = {}
    for method in ("damped", "bilateral"):
        smoothed = smooth_mesh(mesh, SmoothSettings(method=method, iterations=10))
        rounding[method] = 10.0 - np.sort(np.abs(smoothed.vertices[on_edge]), axis=1)[:, 1:].mean()
    assert abs(rounding["bilateral"]) < 0.05
    assert rounding["damped"] > 4 * abs(rounding["bilateral"])


def test_normals_follow_the_winding_and_arrays_stay():
    shape = shapes.torus()
    mesh = noisy(shape).with_data(thickness_nm=np.arange(len(noisy(shape).vertices)))
    smoothed = smooth_mesh(mesh)
    assert np.array_equal(smoothed.faces, mesh.faces)
    assert np.array_equal(smoothed.data["thickness_nm"], mesh.data["thickness_nm"])
    assert (np.einsum("ij,ij->i", smoothed.normals, shape.normals(smoothed.vertices)) > 0.95).all()
    cross = face_cross_products(smoothed.vertices, smoothed.faces)
    assert (np.einsum("ij,ij->i", cross, smoothed.normals[smoothed.faces[:, 0]]) > 0).all()


def test_no_iteration_changes_nothing_and_the_input_is_left_alone():
    mesh = noisy(shapes.sphere(10.0))
    before = mesh.vertices.copy()
    assert np.array_equal(smooth_mesh(mesh, SmoothSettings(iterations=0)).vertices, before)
    calls = []
    smooth_mesh(mesh, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (5, 5)
    assert np.array_equal(mesh.vertices, before)


def test_a_mesh_without_triangles_is_refused():
    with pytest.raises(InputError, match="surfora mesh"):
        smooth_mesh(SurfaceMesh(np.zeros((4, 3)), np.empty((0, 3), np.int64)))
