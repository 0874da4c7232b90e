"""Meshes cut along the border of an ROI: areas and rims in closed form, the cut marked."""

from pathlib import Path

import numpy as np
import pytest
import shapes
from scipy.spatial.transform import Rotation

from surfora.geometry.surface import SurfaceMesh, boundary_edges, face_areas_nm2
from surfora.isosurface.roi_border import CUT, cut_to_roi, distance_to_border
from surfora.masks.grids import Grid
from surfora.masks.membranes import Membrane
from surfora.reporting.tables import _border_columns

VOXEL_NM = 1.3
ORIGIN_NM = (40.0, -7.0, 11.0)


def membrane_within(roi, beyond_nm):
    grid = Grid(roi.shape, VOXEL_NM, ORIGIN_NM)
    return Membrane(
        "m",
        "",
        Path("m.mrc"),
        roi,
        None,
        VOXEL_NM,
        ORIGIN_NM,
        grid,
        kept=roi,
        roi=1,
        kept_beyond_nm=beyond_nm,
    )


def ball(shape, centre_zyx, radius):
    return np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - centre_zyx, axis=-1) <= radius


def plane(centre_nm, rotation, half_nm, edge_nm=1.0):
    """A flat mesh, wider than what it is cut to."""
    steps = np.arange(-half_nm, half_nm + edge_nm, edge_nm)
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    n = len(steps)
    a = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate([np.stack([a, a + n, a + n + 1], 1), np.stack([a, a + n + 1, a + 1], 1)])
    normals = np.tile(rotation[:, 2], (n * n, 1))
    return SurfaceMesh(np.stack([u, v, 0 * u], 1) @ rotation.T + centre_nm, faces, normals)


def area(mesh):
    return face_areas_nm2(mesh.vertices, mesh.faces).sum()


def border(mesh):
    return np.linalg.norm(np.diff(mesh.vertices[boundary_edges(mesh.faces)], axis=1)[:, 0], axis=1).sum()


@pytest.mark.parametrize("beyond_nm", [0.0, 5.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_ball_cuts_a_tilted_plane_to_a_disc(beyond_nm, seed):
    random = np.random.default_rng(seed)
    radius = random.uniform(24, 28)
    centre = np.array([38.0, 40.0, 39.0]) + random.uniform(-0.5, 0.5, 3)
    roi = ball((77, 80, 79), centre, radius)
    rotation = Rotation.random(random_state=seed).as_matrix()
    off = 6.0 * seed
    middle = centre[::-1] * VOXEL_NM + ORIGIN_NM + off * rotation[:, 2]
    disc = cut_to_roi(plane(middle, rotation, 48.0), membrane_within(roi, beyond_nm))
    true = np.sqrt((radius * VOXEL_NM + beyond_nm) ** 2 - off**2)
    assert area(disc) == pytest.approx(np.pi * true**2, rel=2e-3)
    assert border(disc) == pytest.approx(2 * np.pi * true, rel=1e-3)
    assert np.array_equal(np.flatnonzero(disc.data[CUT]), np.unique(boundary_edges(disc.faces)))
    columns = _border_columns(disc)
    assert columns["cut_length_nm"] == pytest.approx(columns["boundary_length_nm"])


def test_discs_of_many_balls_are_right_on_average():
    errors = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        centre = 26.0 + random.uniform(-0.5, 0.5, 3)
        roi = ball((53, 53, 53), centre, 20.0)
        rotation = Rotation.random(random_state=seed).as_matrix()
        mesh = plane(centre[::-1] * VOXEL_NM + ORIGIN_NM, rotation, 33.0)
        errors.append(area(cut_to_roi(mesh, membrane_within(roi, 0.0))) / (np.pi * (20 * VOXEL_NM) ** 2) - 1)
    assert abs(np.mean(errors)) < 1e-3
    assert np.std(errors) < 2e-3


@pytest.mark.parametrize("beyond_nm", [0.0, 4.0])
def test_a_box_cuts_straight_lines(beyond_nm):
    roi = np.zeros((60, 60, 60), bool)
    roi[20:40, 15:45, 10:50] = True  # faces half a voxel beyond the outermost voxel centres
    middle = np.array([29.5, 29.5, 29.3]) * VOXEL_NM + ORIGIN_NM
    part = cut_to_roi(plane(middle, np.eye(3), 45.0, 0.5), membrane_within(roi, beyond_nm))
    a, b = 40 * VOXEL_NM, 30 * VOXEL_NM
    rounded = np.pi * beyond_nm**2
    assert area(part) == pytest.approx(a * b + 2 * beyond_nm * (a + b) + rounded, rel=1e-3)
    # where a corner lies within a triangle, the line cuts across it
    assert border(part) == pytest.approx(2 * (a + b) + 2 * np.pi * beyond_nm, rel=4e-3)


def test_a_ball_cuts_a_sphere_to_a_cap_with_its_arrays():
    centre, radius = np.array([33.2, 32.9, 33.4]), 25.0
    roi = ball((67, 67, 67), centre, radius)
    place = centre[::-1] * VOXEL_NM + ORIGIN_NM
    sphere = shapes.sphere(20.0, seed=3)
    vertices, faces = sphere.mesh(0.6)
    moved = vertices - sphere.centre_nm + place + [0.0, 0.0, 30.0]
    curvature = np.full(len(vertices), 0.05)
    curvature[np.argmin(np.linalg.norm(moved - place, axis=1))] = np.nan
    mesh = SurfaceMesh(moved, faces, sphere.normals(vertices), {"mean_curvature_per_nm": curvature})
    cap = cut_to_roi(mesh, membrane_within(roi, 2.0))
    reach = radius * VOXEL_NM + 2.0
    plane_of_cut = (30.0**2 + reach**2 - 20.0**2) / (2 * 30.0)  # from the ball's centre
    assert area(cap) == pytest.approx(2 * np.pi * 20.0 * (20.0 - 30.0 + plane_of_cut), rel=2e-3)
    assert border(cap) == pytest.approx(2 * np.pi * np.sqrt(reach**2 - plane_of_cut**2), rel=2e-3)
    assert np.isnan(cap.data["mean_curvature_per_nm"]).sum() == 1
    assert np.nanmax(np.abs(cap.data["mean_curvature_per_nm"] - 0.05)) < 1e-12
    assert np.allclose(np.linalg.norm(cap.normals, axis=1), 1)


def test_an_roi_at_the_edge_of_the_tomogram_goes_on_beyond():
    roi = np.zeros((30, 40, 40), bool)
    roi[:12, 10:30, 10:30] = True
    places = np.array([[0, 20, 20], [0, 11, 20], [-0.4, 9, 20], [0, 5.5, 20], [14.5, 20, 20]])
    np.testing.assert_allclose(distance_to_border(places, roi), [-9.5, -1.5, 0.5, 4.0, 3.0], atol=1e-9)
    roi[11, 10, 10] = False  # no box any more
    np.testing.assert_allclose(distance_to_border(places, roi), [-8.5, -1.5, 0.5, 4.0, 3.0], atol=0.05)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_small_and_flat_rois_keep_what_is_near(size):
    roi = np.zeros((40, 40, 40), bool)
    roi[20, 20, 20 : 20 + size] = True
    middle = np.array([20.0 + (size - 1) / 2, 20.0, 20.0]) * VOXEL_NM + ORIGIN_NM
    part = cut_to_roi(plane(middle, np.eye(3), 20.0), membrane_within(roi, 5.0))
    around = np.pi * 5.0**2 + 10.0 * (size - 1) * VOXEL_NM
    assert around < area(part) < around + 2 * np.pi * 5.0 * VOXEL_NM


def test_without_an_roi_all_of_it_stays():
    mesh = plane(np.zeros(3), np.eye(3), 5.0)
    grid = Grid((3, 3, 3), 1.0, (0.0, 0.0, 0.0))
    whole = Membrane("m", "", Path("m.mrc"), np.ones((3, 3, 3), bool), None, 1.0, (0.0, 0.0, 0.0), grid)
    assert cut_to_roi(mesh, whole) is mesh
