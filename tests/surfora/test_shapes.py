"""The analytic shapes are what every accuracy test stands on, so they are held to independent facts."""

import numpy as np
import pytest
import shapes
from scipy.spatial import cKDTree

from surfora.geometry.surface import enclosed_volume_nm3, face_areas_nm2

SMOOTH = {
    "sphere": shapes.sphere(12.0),
    "one cap off": shapes.open_sphere(20.0, caps=1),
    "both caps off": shapes.open_sphere(),
    "torus": shapes.torus(),
    "cylinder": shapes.open_cylinder(),
    "catenoid": shapes.catenoid(),
    "wavy sheet": shapes.wavy_sheet(),
    "flat sheet": shapes.flat_sheet(),
    "ellipsoid": shapes.ellipsoid(),
    "invaginated": shapes.invaginated_vesicle(),
    "apposed sheets": shapes.apposed_sheets(),
    "apposed spheres": shapes.apposed_spheres(),
}
each_smooth = pytest.mark.parametrize("shape", SMOOTH.values(), ids=SMOOTH.keys())


@each_smooth
def test_distance_is_that_to_the_nearest_of_many_points(shape):
    surface, _ = shape.sample(40_000, seed=1)
    near = surface[::200] + np.random.default_rng(2).normal(scale=2.0, size=(200, 3))
    brute = cKDTree(surface).query(near)[0]
    exact = np.abs(shape.signed_distance(near))
    assert np.all(exact <= brute + 1e-9)
    assert np.max(brute - exact) < 0.6
    assert np.median(brute - exact) < 0.05


@each_smooth
def test_normals_are_unit_and_point_to_the_positive_side(shape):
    points, normals = shape.sample(500, seed=3)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1.0)
    step = 0.3
    away = shape.rim_distance(points) > 1.0
    assert np.allclose(shape.signed_distance(points + step * normals)[away], step, atol=1e-6)
    assert np.allclose(shape.signed_distance(points - step * normals)[away], -step, atol=1e-6)


@each_smooth
def test_mean_curvature_is_half_the_laplacian_of_the_distance(shape):
    points, _ = shape.sample(400, seed=4)
    mean = shape.mean_curvature(points)
    step = 0.02
    steps = step * np.concatenate([np.eye(3), -np.eye(3)])
    laplacian = (
        sum(shape.signed_distance(points + s) for s in steps) - 6 * shape.signed_distance(points)
    ) / step**2
    # Where two arcs meet H jumps, and near the rim the distance is to the rim.
    smooth = shape.rim_distance(points) > 1.0
    smooth &= np.ptp([shape.mean_curvature(points + 3 * s) for s in steps], axis=0) < 0.01
    assert smooth.mean() > 0.7
    assert np.allclose(laplacian[smooth] / 2, mean[smooth], atol=1e-3)


@pytest.mark.parametrize("name", ["sphere", "torus", "ellipsoid", "invaginated"])
def test_total_gaussian_curvature_is_that_of_the_topology(name):
    shape = SMOOTH[name]
    vertices, faces = shape.mesh(0.7)
    middles = vertices[faces].mean(axis=1)
    total = np.sum(shape.gaussian_curvature(middles) * face_areas_nm2(vertices, faces))
    assert total == pytest.approx(2 * np.pi * shape.euler_characteristic, abs=0.08)


@each_smooth
def test_mesh_lies_on_the_surface_with_its_area_loops_and_topology(shape):
    vertices, faces = shape.mesh(1.0)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    assert np.max(np.abs(shape.signed_distance(vertices))) < 1e-6
    assert counts.max() == 2
    assert (counts == 1).any() != shape.is_closed
    assert len(vertices) - len(unique) + len(faces) == shape.euler_characteristic
    assert face_areas_nm2(vertices, faces).sum() == pytest.approx(shape.area_nm2, rel=0.01)
    lengths = np.linalg.norm(np.diff(vertices[unique], axis=1), axis=2)
    assert 0.8 < np.median(lengths) < 1.2
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed), "neighbours wind alike"


def test_known_areas_curvatures_and_volume():
    ball = shapes.sphere(12.0)
    points, _ = ball.sample(10)
    assert ball.area_nm2 == pytest.approx(4 * np.pi * 144)
    assert np.allclose(ball.mean_curvature(points), 1 / 12)
    assert np.allclose(ball.gaussian_curvature(points), 1 / 144)
    assert enclosed_volume_nm3(*ball.mesh(0.4)) == pytest.approx(4 / 3 * np.pi * 12**3, rel=2e-3)
    assert shapes.torus(25.0, 11.0).area_nm2 == pytest.approx(4 * np.pi**2 * 25 * 11)
    tube = shapes.open_cylinder(15.0)
    assert np.allclose(tube.mean_curvature(tube.sample(10)[0]), 1 / 30)
    assert np.allclose(shapes.catenoid().mean_curvature(shapes.catenoid().sample(10)[0]), 0)


def test_the_neck_is_as_wide_as_asked():
    vertices, _ = shapes.invaginated_vesicle(neck_radius_nm=3.5, seed=None).mesh(0.5)
    above_bud = vertices[:, 2] > 13
    assert np.hypot(*vertices[above_bud, :2].T).min() == pytest.approx(3.5, abs=0.02)


@each_smooth
def test_mask_holds_the_voxels_within_half_the_thickness(shape):
    mask, origin = shape.voxelise(1.5, 6.0)
    points = np.argwhere(mask)[:, ::-1] * 1.5 + origin
    assert np.max(np.abs(shape.signed_distance(points))) <= 3.0
    assert mask.sum() * 1.5**3 == pytest.approx(shape.area_nm2 * 6.0, rel=0.04)
    for axis in range(3):
        assert not mask.take([0, -1], axis=axis).any()


def test_a_round_rim_adds_half_a_tube():
    sheet = shapes.flat_sheet(50.0, 40.0)
    flat, origin = sheet.voxelise(1.0, 4.0)
    rounded, same = sheet.voxelise(1.0, 4.0, rounded_rim=True)
    assert origin == same
    assert np.all(rounded | ~flat)
    assert rounded.sum() - flat.sum() == pytest.approx(180 * np.pi * 4 / 2, rel=0.1)


def test_rim_distance_grows_inwards_and_is_infinite_without_a_rim():
    sheet = shapes.flat_sheet(50.0, 40.0)
    assert sheet.rim_distance(sheet.centre_nm[None])[0] == pytest.approx(20.0, abs=1e-3)
    assert np.isinf(shapes.torus().rim_distance(np.zeros((2, 3)))).all()


def test_branching_mask_is_one_piece_of_three_sheets():
    branch = shapes.branching_sheets()
    mask, _ = branch.voxelise(1.0, 4.0)
    joint = (3 - np.sqrt(3)) * 36 * 4  # what the three sheets share is counted once
    assert mask.sum() == pytest.approx(branch.area_nm2 * 4 - joint, rel=0.05)


def test_noise_and_holes_change_what_they_say_and_repeat():
    mask, _ = shapes.sphere(12.0).voxelise(1.0, 4.0)
    noisy = shapes.with_noise(mask, seed=3, fraction=0.2)
    assert np.array_equal(noisy, shapes.with_noise(mask, seed=3, fraction=0.2))
    assert 0.05 < (noisy ^ mask).sum() / mask.sum() < 0.5
    holed = shapes.with_holes(mask, seed=3)
    assert holed.sum() < 0.95 * mask.sum()
    assert not np.any(holed & ~mask)
