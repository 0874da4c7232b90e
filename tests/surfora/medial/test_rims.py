"""End walls stay out of the fits: slanted, straight and none at the border of the array."""

import numpy as np
import pytest
import shapes
from scipy.spatial import cKDTree

from surfora.medial.points import medial_points
from surfora.medial.projection import face_lattice, new_patches
from surfora.medial.rims import (
    GUARD,
    OUTWARD,
    about_crossings,
    carry,
    near_sums,
    with_faces_at_rims,
    without_end_walls,
)

THICKNESS_NM = 4.0

SLANTED = {
    "open sphere": lambda: shapes.open_sphere(radius_nm=20.0),
    "catenoid": lambda: shapes.catenoid(waist_nm=14.0, height_nm=30.0),
}


@pytest.mark.parametrize("name", SLANTED)
def test_a_slanted_end_does_not_bend_the_surface(name):
    shape = SLANTED[name]()
    mask, origin_nm = shape.voxelise(1.0, THICKNESS_NM, slanted_rim=True)
    cloud = medial_points(mask, 1.0, origin_nm)
    error_nm, from_rim_nm = shape.signed_distance(cloud.points), shape.rim_distance(cloud.points)
    assert np.sqrt(np.mean(error_nm[from_rim_nm > 4] ** 2)) <= 0.05
    assert np.sqrt(np.mean(error_nm[from_rim_nm <= 4] ** 2)) <= 0.16
    facing = np.abs(np.einsum("ij,ij->i", cloud.normals, shape.normals(cloud.points)))
    assert np.percentile(np.degrees(np.arccos(np.clip(facing, 0, 1))), 99) < 10


def test_a_straight_end_does_not_turn_the_normals_near_it():
    shape = shapes.open_sphere(radius_nm=20.0)
    cloud = medial_points(*_masked(shape))
    facing = np.abs(np.einsum("ij,ij->i", cloud.normals, shape.normals(cloud.points)))
    assert np.degrees(np.arccos(facing.min())) < 8


STRAIGHT = {
    "catenoid": (shapes.catenoid, 0.06, 0.025, 8),
    "open cylinder": (shapes.open_cylinder, 0.055, 0.01, 9),
    "wavy sheet": (shapes.wavy_sheet, 0.09, 0.02, 9),
}
"""Shape, and limits of its points' heights over it (rms and mean, nm) and of their normals' angles to it."""


@pytest.mark.parametrize("name", STRAIGHT)
def test_faces_are_fitted_up_to_a_straight_end(name):
    # positive on the catenoid: a one-sided quadric does not follow a sheet that flares less and less
    shape_of, rms_nm, mean_nm, turned_deg = STRAIGHT[name]
    shape = shape_of()
    cloud = medial_points(*_masked(shape))
    foot = shape.feet(cloud.points)
    end = shape.rim_distance(cloud.points) <= 4
    height_nm = np.einsum("ij,ij->i", cloud.points - foot.points, foot.normals)[end]
    assert np.sqrt(np.mean(height_nm**2)) <= rms_nm
    assert abs(height_nm.mean()) <= mean_nm
    facing = np.abs(np.einsum("ij,ij->i", cloud.normals, foot.normals))[end]
    assert np.degrees(np.arccos(facing.min())) <= turned_deg


def test_faces_beside_a_wall_are_told_from_it():
    shape = shapes.flat_sheet(seed=None)
    mask, _ = shape.voxelise(1.0, THICKNESS_NM)
    lattice = face_lattice(mask, np.argwhere(mask))
    z = lattice.place[:, 2]
    beside = OUTWARD[lattice.out][:, 2] == 0
    flat = np.argwhere(mask)[:, ::-1] * [1.0, 1.0, 0.0] + [0.0, 0.0, (z.min() + z.max()) / 2]
    patches = new_patches(flat, np.tile([0.0, 0.0, 1.0], (len(flat), 1)), THICKNESS_NM / 2, 6.0)
    kept = with_faces_at_rims(lattice, np.ones(len(z), dtype=bool), patches)
    assert len(kept.out) == np.count_nonzero(~beside)
    assert (OUTWARD[kept.out][:, 2] != 0).all()


def test_rim_marks_the_points_within_two_voxels_of_an_end():
    shape = shapes.open_sphere(radius_nm=20.0)
    cloud = medial_points(*_masked(shape))
    from_rim_nm, rim = shape.rim_distance(cloud.points), cloud.data["rim"]
    assert rim[from_rim_nm < 1].mean() > 0.95
    assert rim[from_rim_nm > 3.5].mean() < 0.01


def test_the_border_of_the_array_is_no_end():
    shape = shapes.sphere(radius_nm=25.0)
    mask, origin_nm = shape.voxelise(1.0, THICKNESS_NM)
    cut = 12
    cloud = medial_points(mask[cut:-cut, cut:-cut, cut:-cut].copy(), 1.0, tuple(np.add(origin_nm, cut)))
    assert np.sqrt(np.mean(shape.signed_distance(cloud.points) ** 2)) <= 0.05


def test_a_closed_membrane_is_left_alone():
    lattice, patches, sheet = _settled_sphere()
    same, wall = without_end_walls(sheet, lattice, patches, THICKNESS_NM, 2.0, 1.0)
    assert same is patches
    assert not wall.any()


def test_carried_patches_lie_on_the_surface_of_the_others():
    _, patches, sheet = _settled_sphere()
    middle = (np.array(sheet.shape[::-1]) - 1) / 2
    lost = np.arange(0, len(patches.points), 20)
    sound = np.setdiff1d(np.arange(len(patches.points)), lost)
    patches.points[lost] *= 1.02
    carry(patches, sound, lost)
    radius = np.linalg.norm(patches.points[lost] - middle, axis=1)
    assert np.abs(radius - 15.0).max() < 0.05


def test_sums_about_crossings_equal_those_of_a_tree():
    sheet = np.random.default_rng(1).random((9, 10, 11)) < 0.3
    lattice = face_lattice(sheet, np.argwhere(sheet))
    chosen = np.arange(0, len(lattice.out), 7)
    values = OUTWARD[lattice.out[chosen]]
    near = cKDTree(lattice.place[chosen]).query_ball_point(lattice.place, 1.6)
    slow = [values[others].sum(axis=0) for others in near]
    np.testing.assert_allclose(near_sums(lattice, values, chosen, 1.6), slow, atol=1e-12)


def test_what_lies_about_a_crossing_is_the_mean_of_all_within_reach():
    sheet = np.random.default_rng(2).random((9, 10, 11)) < 0.3
    lattice = face_lattice(sheet, np.argwhere(sheet))
    about = about_crossings(lattice)
    near = cKDTree(lattice.place).query_ball_point(lattice.place, GUARD)
    mean = np.array([OUTWARD[lattice.out[others]].mean(axis=0) for others in near])
    there = np.linalg.norm(mean, axis=1) > 1e-6
    np.testing.assert_array_equal(about.near, [len(others) for others in near])
    slow = mean[there] / np.linalg.norm(mean[there], axis=1, keepdims=True)
    np.testing.assert_allclose(about.faces[there], slow, atol=1e-12)


def _masked(shape):
    mask, origin_nm = shape.voxelise(1.0, THICKNESS_NM)
    return mask, 1.0, origin_nm


def _settled_sphere():
    """The crossings of a spherical shell, patches on its middle, and the mask."""
    z, y, x = np.indices((41, 41, 41)) - 20.0
    sheet = np.abs(np.sqrt(x**2 + y**2 + z**2) - 15) < THICKNESS_NM / 2
    turn = np.arange(400) * np.pi * (3 - np.sqrt(5))
    height = 1 - (2 * np.arange(400) + 1) / 400
    around = np.sqrt(1 - height**2)
    out = np.column_stack([around * np.cos(turn), around * np.sin(turn), height])
    patches = new_patches(20 + 15 * out, out, THICKNESS_NM / 2, 6.0)
    xx, xy, xz, yy, yz, zz = (
        out[:, i] * out[:, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    )
    patches.bending[:] = -np.column_stack([1 - xx, -xy, -xz, 1 - yy, -yz, 1 - zz]) / 15
    patches.error[:] = 0.05
    return face_lattice(sheet, np.argwhere(sheet)), patches, sheet
