"""Analytic membranes against brute force, closed forms and the sign of their curvature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tomorois.phantoms.buds import Bud, BuddedVesicle, bud_centre_nm, bud_depth_nm, in_bud_region
from tomorois.phantoms.shapes import (
    Cisterna,
    Grid,
    Tube,
    Vesicle,
    distances_in_box,
    near_voxels,
    outward,
    sphere,
    sphere_directions,
)

TILTED = np.array([2.0, -1.0, 3.0]) / np.sqrt(14.0)
ACROSS = np.array([1.0, 2.0, 0.0]) / np.sqrt(5.0)
CENTRE = np.array([3.0, -5.0, 9.0])
TURN = np.linspace(0.0, 2.0, 100)


def budded(inward):
    buds = (Bud(TILTED, 16.0, 7.0, 12.0, 8.0), Bud(-ACROSS, 13.0, 6.0, 0.0, 7.0))
    return BuddedVesicle(CENTRE, 55.0, buds, inward)


SURFACES = {
    "sphere": sphere(CENTRE, 30.0),
    "lobed": Vesicle(
        CENTRE,
        42.0,
        np.array([2, 3, 4]),
        np.array([TILTED, ACROSS, [0.0, 0.0, 1.0]]),
        np.array([0.09, -0.05, 0.03]),
    ),
    "tube": Tube(np.column_stack([60 * np.cos(TURN), 60 * np.sin(TURN), 15 * TURN]) + CENTRE, 12.0),
    "sac": Cisterna(CENTRE, TILTED, 70.0, 0.6, 11.0),
    "wide sac": Cisterna(CENTRE, TILTED, 40.0, 1.9, 9.0),
    "budded inward": budded(True),
    "budded outward": budded(False),
}


@pytest.fixture(params=SURFACES, ids=lambda name: name.replace(" ", "-"))
def surface(request):
    return SURFACES[request.param]


def test_distances_are_those_to_the_nearest_of_many_samples(surface):
    samples, _ = surface.samples(0.5)
    low, high = surface.bounds_nm()
    rng = np.random.default_rng(1)
    points = rng.uniform(low - 25, high + 25, (1500, 3))
    distance = surface.distance_nm(points)
    beyond = cKDTree(samples).query(points)[0] - np.abs(distance)
    # A sample within 0.5 nm of the closest point is farther by up to 0.5² / 2 (1 / distance + curvature).
    checked = (np.abs(distance) > 2.0) & (np.abs(distance) < 25.0)
    assert beyond[checked].min() > -0.01
    assert (beyond[checked] / (1 / np.abs(distance[checked]) + 1 / 6)).max() < 0.125


def test_samples_lie_on_the_surface_within_its_bounds(surface):
    samples, areas = surface.samples(2.0)
    low, high = surface.bounds_nm()
    assert np.abs(surface.distance_nm(samples)).max() < 0.01
    assert (samples >= low - 1e-9).all()
    assert (samples <= high + 1e-9).all()
    assert areas.min() > 0


def test_the_volume_by_its_surface_is_the_volume_by_its_sign(surface):
    """The divergence theorem over samples and normals, against the share of random points inside."""
    samples, areas = surface.samples(0.7)
    by_surface = float((areas * np.einsum("nj,nj->n", samples - CENTRE, outward(surface, samples))).sum() / 3)
    low, high = surface.bounds_nm()
    points = np.random.default_rng(2).uniform(low, high, (200_000, 3))
    share = (surface.distance_nm(points) < 0).mean()
    deviation = np.prod(high - low) * np.sqrt(share * (1 - share) / len(points))
    assert by_surface == pytest.approx(np.prod(high - low) * share, abs=4 * deviation)


def test_areas_have_their_closed_forms():
    assert sphere(CENTRE, 30.0).samples(1.0)[1].sum() == pytest.approx(4 * np.pi * 900, rel=1e-9)
    path = SURFACES["tube"].path
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    tube_area = 2 * np.pi * 12.0 * length + 4 * np.pi * 144.0
    assert SURFACES["tube"].samples(0.5)[1].sum() == pytest.approx(tube_area, rel=1e-3)
    faces = 2 * np.pi * (81.0**2 + 59.0**2) * (1 - np.cos(0.6))
    rim = 2 * np.pi * (70.0 * np.sin(0.6) + 2 * 11.0 / np.pi * np.cos(0.6)) * np.pi * 11.0
    assert SURFACES["sac"].samples(0.5)[1].sum() == pytest.approx(faces + rim, rel=1e-4)


def test_lobes_leave_the_volume_that_their_radii_give():
    lobed = SURFACES["lobed"]
    radii, _ = lobed.radii(sphere_directions(200_000))
    samples, areas = lobed.samples(0.7)
    by_surface = (areas * np.einsum("nj,nj->n", samples - CENTRE, outward(lobed, samples))).sum() / 3
    assert by_surface == pytest.approx(4 * np.pi / 3 * (radii**3).mean(), rel=1e-4)


def mean_curvature_per_nm(surface, point, step=0.2):
    """Half the divergence of the outward normals, which is positive on a sphere."""
    total = 0.0
    for axis in np.eye(3):
        ahead, behind = (outward(surface, (point + s * step * axis)[None])[0] for s in (1, -1))
        total += (ahead - behind) @ axis / (2 * step)
    return 0.5 * total


@pytest.mark.parametrize("inward", [True, False])
@pytest.mark.parametrize("neck_length", [0.0, 14.0])
def test_buds_and_necks_have_the_radii_they_are_given(inward, neck_length):
    bud = Bud(TILTED, bud_radius=18.0, neck_radius=7.0, neck_length=neck_length, fillet_radius=9.0)
    vesicle = BuddedVesicle(CENTRE, 60.0, (bud,), inward)
    side = -1.0 if inward else 1.0
    middle = bud_centre_nm(vesicle, bud)
    lumen = vesicle.distance_nm(np.array([middle]))[0]
    end = middle + side * bud.bud_radius * bud.axis
    across = np.cross(TILTED, ACROSS)
    across /= np.linalg.norm(across)
    depth_at_neck = np.hypot(18.0 + 9.0, 0.0)
    in_neck = middle - side * (np.sqrt(depth_at_neck**2 - 16.0**2) + neck_length / 2) * bud.axis
    waist = in_neck + 7.0 * across
    along = 0.0 if neck_length else 1.0 / 9.0
    assert lumen == pytest.approx(-side * 18.0)
    assert vesicle.distance_nm(in_neck[None])[0] == pytest.approx(-side * 7.0)
    assert (
        np.linalg.norm(end - CENTRE - side * bud_depth_nm(vesicle, bud) * bud.axis - 60.0 * bud.axis) < 1e-9
    )
    assert mean_curvature_per_nm(vesicle, end) == pytest.approx(side / 18.0, rel=0.01)
    assert mean_curvature_per_nm(vesicle, waist) == pytest.approx(side * 0.5 * (1 / 7.0 - along), rel=0.02)


def test_a_bud_region_is_bilayer_and_lumen_but_not_the_vesicle():
    vesicle = budded(True)
    bud = vesicle.buds[0]
    middle = bud_centre_nm(vesicle, bud)
    wall = middle - bud.bud_radius * bud.axis
    mouth = CENTRE + 55.0 * bud.axis
    places = {
        "lumen": middle,
        "mouth": mouth,
        "inner half of the wall": wall - 2.9 * bud.axis,
        "inside the vesicle": wall - 3.2 * bud.axis,
        "above the mouth": mouth + 3.5 * bud.axis,
        "far side of the vesicle": CENTRE - 55.0 * bud.axis,
        "the other bud": bud_centre_nm(vesicle, vesicle.buds[1]),
    }
    within = in_bud_region(vesicle, bud, np.array(list(places.values())), 3.0)
    assert dict(zip(places, within.tolist(), strict=True)) == dict(
        zip(places, [True] * 3 + [False] * 4, strict=True)
    )


def test_no_near_voxel_is_left_out():
    grid = Grid((31, 47, 40), 2.0, (-50.0, -50.0, -20.0))
    lobed = SURFACES["lobed"]
    corner = np.array([2, 0, 3])
    box = (slice(2, 31), slice(0, 45), slice(3, 40))
    every = np.indices([29, 45, 37]).reshape(3, -1).T + corner
    distance = lobed.distance_nm(grid.world(every))
    near = {tuple(v) for v in near_voxels((lobed,), grid, box, 6.0)}
    assert {tuple(v) for v in every[np.abs(distance) <= 6.0]} <= near
    assert len(near) < 0.8 * len(every)
    on_grid = distances_in_box(lobed, grid, box, 6.0)[tuple((every - corner).T)]
    exact = np.abs(distance) <= 6.0
    np.testing.assert_allclose(on_grid[exact], distance[exact], atol=1e-4)
    assert (np.sign(on_grid) == np.sign(distance))[np.abs(distance) > 1e-3].all()
    assert np.abs(on_grid[~exact]).min() >= 6.0


def test_a_grid_knows_its_margin():
    grid = Grid((10, 20, 30), 2.0, (1.0, 2.0, 3.0))
    wide = grid.padded(4)
    assert wide.shape == (18, 28, 38)
    np.testing.assert_allclose(wide.world([[4, 4, 4]]), [[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(grid.corners_nm()[1], [1 + 58, 2 + 38, 3 + 18])
    assert grid.box(np.array([100.0, 0, 0]), np.array([110.0, 5, 5]))[2] == slice(30, 30)
