"""Medial points lie on the true middle of voxelised membranes, cover it, and keep close sheets apart."""

import numpy as np
import pytest
import shapes
from scipy.spatial import cKDTree

from surfora.medial.points import medial_points
from tomocore.contract import InputError

THICKNESS_NM = 4.0

SHAPES = {
    "sphere": lambda: shapes.sphere(radius_nm=20.0),
    "torus": lambda: shapes.torus(22.0, 9.0),
    "open sphere": lambda: shapes.open_sphere(radius_nm=20.0),
    "catenoid": lambda: shapes.catenoid(waist_nm=14.0, height_nm=30.0),
    "wavy sheet": shapes.wavy_sheet,
    "two sheets": lambda: shapes.apposed_sheets(separation_nm=7.0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_points_lie_on_the_middle_and_cover_it(name):
    shape = SHAPES[name]()
    mask, origin_nm = shape.voxelise(1.0, THICKNESS_NM)
    cloud = medial_points(mask, 1.0, origin_nm)
    error_nm = shape.signed_distance(cloud.points)
    inside = ~cloud.data["rim"]
    assert error_nm[inside].std() <= 0.06
    assert abs(error_nm[inside].mean()) <= 0.03
    if cloud.data["rim"].any():
        assert np.sqrt(np.mean(error_nm[~inside] ** 2)) <= 0.25
    truth, _ = shape.sample(4000)
    away = cKDTree(cloud.points).query(truth)[0]
    assert np.mean(away <= 1.5 * cloud.data["spacing_nm"].max()) >= 0.98


@pytest.mark.parametrize("name", ["sphere", "open sphere"])
def test_normals_are_right_up_to_their_sign(name):
    shape = SHAPES[name]()
    mask, origin_nm = shape.voxelise(1.0, THICKNESS_NM)
    cloud = medial_points(mask, 1.0, origin_nm)
    inside = ~cloud.data["rim"]
    cosine = np.abs(np.einsum("ij,ij->i", cloud.normals, shape.normals(cloud.points)))[inside]
    assert np.degrees(np.arccos(np.clip(cosine, 0, 1))).max() < 3


def test_the_answer_moves_with_the_origin_and_scales_with_the_voxel():
    shape = shapes.sphere(radius_nm=15.0)
    mask, origin_nm = shape.voxelise(1.0, THICKNESS_NM)
    here = medial_points(mask, 1.0, origin_nm)
    there = medial_points(mask, 2.0, tuple(2 * np.add(origin_nm, 100.0)))
    np.testing.assert_allclose(there.points, 2 * (here.points + 100.0), atol=0.05)


def test_an_empty_mask_is_refused():
    with pytest.raises(InputError, match="empty"):
        medial_points(np.zeros((20, 20, 20), bool), 1.0)


def test_progress_rises_to_its_end_over_all_sheets():
    mask, origin_nm = shapes.apposed_sheets(separation_nm=7.0).voxelise(1.0, THICKNESS_NM)
    told = []
    medial_points(mask, 1.0, origin_nm, progress=lambda done, total: told.append((done, total)))
    done = [one for one, _ in told]
    assert len({total for _, total in told}) == 1
    assert done == sorted(set(done))
    assert done[-1] == told[-1][1]
    assert len(done) >= 10
