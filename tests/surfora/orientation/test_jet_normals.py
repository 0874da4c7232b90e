"""Jet normals against closed forms, against a plain least-squares twin, and where no plane exists."""

import numpy as np
import pytest
import shapes

from surfora.orientation.jet_normals import _tilt_by_jet, jet_normals, nearest_neighbours
from tomocore.contract import InputError


def angles_deg(found, true):
    """Angle (n,) between lines, whatever their sign."""
    return np.degrees(np.arccos(np.clip(np.abs(np.einsum("ij,ij->i", found, true)), 0, 1)))


@pytest.mark.parametrize(
    ("shape", "limit_deg"),
    [
        (shapes.sphere(12.0), 0.3),
        (shapes.torus(25.0, 11.0), 1.5),
        (shapes.catenoid(), 3.0),
        (shapes.wavy_sheet(), 2.5),
        (shapes.open_cylinder(15.0), 1.0),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_normals_of_smooth_shapes(shape, limit_deg):
    points, true = shape.sample(spacing_nm=1.2)
    normals = jet_normals(points, 24)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1)
    assert np.percentile(angles_deg(normals, true), 99) < limit_deg


def test_slope_correction_beats_the_plain_plane_at_a_rim():
    shape = shapes.open_sphere(12.0, 50.0)
    points, true = shape.sample(spacing_nm=1.2)
    rim = shape.rim_distance(points) < 0.5
    _, neighbours = nearest_neighbours(points, 24)
    offsets = points[neighbours] - points[neighbours].mean(axis=1, keepdims=True)
    planes = np.linalg.svd(offsets)[2][:, 2]
    assert np.median(angles_deg(planes, true)[rim]) > 3
    assert np.median(angles_deg(jet_normals(points, 24), true)[rim]) < 0.5


def test_noise_is_averaged():
    points, true = shapes.sphere(25.0).sample(spacing_nm=1.5)
    noisy = points + np.random.default_rng(0).normal(0, 0.3, points.shape)
    error = angles_deg(jet_normals(noisy), true)
    assert np.median(error) < 2.0
    assert np.percentile(error, 99) < 5.0


def test_two_sheets_close_by_do_not_mix():
    points, true = shapes.apposed_sheets(separation_nm=3.0).sample(spacing_nm=1.5)
    noisy = points + np.random.default_rng(0).normal(0, 0.15, points.shape)
    assert np.percentile(angles_deg(jet_normals(noisy), true), 99) < 25


def test_jet_equals_plain_least_squares():
    random = np.random.default_rng(3)
    offsets = random.normal(0, 1, (20, 3)) * [2, 2, 0.3]
    normal = np.array([0.1, -0.2, 1.0]) / np.linalg.norm([0.1, -0.2, 1.0])
    found = normal.copy()
    _tilt_by_jet(offsets, 0.7, np.empty((7, 6)), np.empty(6), found)
    assert np.allclose(found, plain_jet(offsets, 0.7, normal), atol=1e-9)
    assert not np.allclose(found, normal, atol=1e-3)


def plain_jet(offsets, reach, normal):
    """Slow twin: the same weighted fit by numpy's least squares, in any tangent frame."""
    u, v = np.linalg.svd(normal[None])[2][1:]
    local = np.vstack([np.zeros(3), offsets])
    x, y, z = local @ u, local @ v, local @ normal
    root = np.sqrt(1 / (1 + (z / reach) ** 4))
    rows = np.column_stack([x, y, np.ones_like(x), x * x / 2, x * y, y * y / 2])
    d, e = np.linalg.lstsq(rows * root[:, None], z * root, rcond=None)[0][:2]
    tilted = normal - d * u - e * v
    return tilted / np.linalg.norm(tilted)


def test_no_plane_gives_nan_and_a_plane_beside_it_does_not():
    line = np.outer(np.linspace(0, 20, 30), [1, 2, 3])
    sheet = shapes.flat_sheet(seed=None).sample(spacing_nm=2.0)[0] + 300
    normals = jet_normals(np.concatenate([line, sheet]), 12)
    assert np.isnan(normals[:30]).all()
    assert np.allclose(np.abs(normals[30:, 2]), 1)


def test_duplicates_are_not_their_own_neighbours():
    points = np.repeat(np.random.default_rng(0).normal(size=(10, 3)), 3, axis=0)
    _, neighbours = nearest_neighbours(points, 4)
    assert (neighbours != np.arange(30)[:, None]).all()


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 3)), np.zeros((9, 2)), np.full((9, 3), np.nan)], ids=["few", "flat", "nan"]
)
def test_unusable_points_are_refused(bad):
    with pytest.raises(InputError):
        jet_normals(bad)
