"""Averages of curvature along the surface: exact where they can follow, tensors carried along, less noise."""

import numpy as np
import pytest
import shapes

from surfora.geometry.frames import tangents
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2, vertex_normals
from surfora.measures.averaging import _averages
from surfora.measures.curvature import mesh_curvature
from surfora.measures.geodesics import triangle_fans
from surfora.measures.settings import CurvatureSettings

REACHES = np.array([4.0, 8.0])


def averages(vertices, faces, normals, mean, half, direction, certainty=None):
    certainty = np.ones(len(vertices)) if certainty is None else certainty
    fans = triangle_fans(vertices, faces)
    every = np.arange(len(vertices))
    return _averages(
        4, every, REACHES, mean, half, direction, certainty, vertex_areas_nm2(vertices, faces), vertices,
        normals, fans.start, fans.corner,
    )  # fmt: skip


def test_quadrics_meet_a_quadratic_field_and_thinness_tells_rims():
    shape = shapes.flat_sheet(40.0, 34.0)
    vertices, faces = shape.mesh(1.2)
    normals = vertex_normals(vertices, faces)
    x, y = ((vertices - vertices.mean(axis=0)) @ axis[0] for axis in tangents(normals))
    field = 0.02 + 0.001 * x - 0.0005 * y + 3e-5 * x * y + 2e-5 * x**2
    table = averages(vertices, faces, normals, field, np.zeros(len(field)), tangents(normals)[0])
    assert np.allclose(table[:, 0, :, 0], field[:, None])
    assert np.allclose(table[:, 1:, 1, 0], field[:, None], atol=1e-12)
    inside = shape.rim_distance(vertices) > 8.5
    assert np.median(np.abs(table[inside, 2, 0, 0] - field[inside])) > 1e-4  # a constant is not met
    assert np.allclose(table[inside, 1:, :, 3], 1.0, atol=0.1)
    corner = np.argmax(np.linalg.norm(vertices - vertices.mean(axis=0), axis=1))
    assert (table[corner, 1:, :, 3] > 3.0).all()


def test_tensors_are_carried_around_a_tube_and_what_is_not_certain_has_little_say():
    shape = shapes.open_cylinder(9.0, 40.0)
    vertices, faces = shape.mesh(1.2)
    normals = shape.normals(vertices)
    around = np.cross(shape.rotation[:, 2], normals)
    mean, half = np.full(len(vertices), 1 / 18), np.full(len(vertices), 1 / 18)
    table = averages(vertices, faces, normals, mean, half, around)
    assert np.allclose(table[:, 1:, :, :3], table[:, :1, :, :3], atol=1e-9)
    doubtful = np.random.default_rng(0).random(len(vertices)) < 0.2
    off = np.where(doubtful, 5.0, mean)
    certainty = np.where(doubtful, 1e-8, 1.0)
    table = averages(vertices, faces, normals, off, half, around, certainty)
    assert np.abs(table[~doubtful, 1:, 0, 0] - 1 / 18).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "most"),
    [(shapes.open_cylinder(12.0, 40.0), 0.6), (shapes.catenoid(15.0, 36.0), 0.6), (shapes.torus(18, 8), 0.8)],
    ids=["cylinder", "catenoid", "torus"],
)
def test_averages_of_small_fits_err_less_than_the_one_best_fit(shape, most):
    vertices, faces = shape.mesh(1.8)
    random = np.random.default_rng(2)
    waves = random.normal(size=(200, 3)) / 2.0
    rough = (
        np.cos(vertices @ waves.T + random.uniform(0, 2 * np.pi, 200)).sum(axis=1) * 0.05 * np.sqrt(2 / 200)
    )
    mesh = SurfaceMesh(vertices + rough[:, None] * shape.normals(vertices), faces)
    inside = shape.rim_distance(vertices) > 6.0
    off = []
    for scale in ("averaged", "balanced"):
        found = mesh_curvature(mesh, CurvatureSettings(scale=scale)).data
        miss = np.abs(found["mean_curvature_per_nm"] - shape.mean_curvature(vertices))[inside]
        off.append(np.median(miss))
        assert np.mean(miss < 2.0 * found["curvature_error_per_nm"][inside]) > 0.75
    assert off[0] < most * off[1]
