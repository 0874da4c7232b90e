"""Growing, shrinking and components on surfaces where the answer is known."""

import numpy as np
import pytest
import shapes
from numpy.testing import assert_array_equal

from surfora.editor.links import (
    component_numbers,
    grown,
    joined_links,
    mostly_chosen,
    shrunk,
    signs_from_seed,
    surface_links,
    typical_spacing_nm,
    whole_components,
)
from surfora.geometry.surface import PointCloud, SurfaceMesh


@pytest.fixture(scope="module")
def sheet():
    """A flat sheet of 41 × 31 points, 1 nm apart, as a mesh in the plane z = 3."""
    x, y = np.meshgrid(np.arange(41.0), np.arange(31.0))
    vertices = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, 3.0)])
    corner = (np.arange(30)[:, None] * 41 + np.arange(40)).ravel()
    faces = np.concatenate(
        [
            np.column_stack([corner, corner + 1, corner + 42]),
            np.column_stack([corner, corner + 42, corner + 41]),
        ]
    )
    return SurfaceMesh(vertices, faces)


ALL = np.ones(41 * 31, bool)


def test_a_selection_grows_by_so_many_nm_along_the_surface(sheet):
    links = surface_links(sheet)
    left = sheet.vertices[:, 0] < 5
    assert_array_equal(grown(links, left, ALL, 3.0), sheet.vertices[:, 0] < 8)
    assert_array_equal(grown(links, left, ALL, 0.5), left)


def test_shrinking_takes_back_what_growing_added_and_keeps_the_rim(sheet):
    links = surface_links(sheet)
    left = sheet.vertices[:, 0] < 5
    assert_array_equal(shrunk(links, grown(links, left, ALL, 3.0), ALL, 3.0), left)
    assert_array_equal(shrunk(links, ALL, ALL, 3.0), ALL)


def test_growing_stays_among_what_is_shown(sheet):
    links = surface_links(sheet)
    seed = sheet.vertices[:, 0] == 0
    shown = sheet.vertices[:, 0] != 10
    assert_array_equal(grown(links, seed, shown, 100.0), sheet.vertices[:, 0] < 10)


def test_two_sheets_closer_than_their_links_are_long_stay_apart():
    shape = shapes.flat_sheet()
    points, normals = shape.sample(spacing_nm=1.5)
    both = PointCloud(np.concatenate([points, points + 4 * normals]), np.concatenate([normals, -normals]))
    component = component_numbers(surface_links(both), np.ones(2 * len(points), bool))
    assert component.max() == 1
    assert len(np.unique(component[: len(points)])) == 1
    without = surface_links(PointCloud(both.points))
    assert component_numbers(without, np.ones(len(both.points), bool)).max() == 0


def test_components_count_only_what_is_left(sheet):
    links = surface_links(sheet)
    left = sheet.vertices[:, 0] != 20
    number = component_numbers(links, left)
    assert (number[~left] == -1).all()
    assert number.max() == 1
    chosen = np.zeros(len(number), bool)
    chosen[0] = True
    assert_array_equal(whole_components(number, chosen), sheet.vertices[:, 0] < 20)
    assert not whole_components(number, np.zeros(len(number), bool)).any()


def test_a_component_is_taken_where_half_of_what_is_seen_of_it_is(sheet):
    number = component_numbers(surface_links(sheet), sheet.vertices[:, 0] != 20)
    x, y = sheet.vertices[:, 0], sheet.vertices[:, 1]
    chosen = (x < 12) | (x > 35)  # twelve of 20 columns, five of 20
    assert_array_equal(mostly_chosen(number, chosen, ALL), x < 20)
    seen = y > 15
    assert_array_equal(mostly_chosen(number, chosen & seen, seen), x < 20)
    assert not mostly_chosen(number, chosen & seen, ALL).any()


def test_links_of_two_surfaces_do_not_meet(sheet):
    links = joined_links([surface_links(sheet), surface_links(sheet)])
    number = component_numbers(links, np.ones(2 * len(ALL), bool))
    assert_array_equal(number, np.repeat([0, 1], len(ALL)))
    assert typical_spacing_nm(sheet.vertices) == pytest.approx(1.0)
    assert typical_spacing_nm(sheet.vertices[:3]) == 1.0


def test_normals_follow_a_seed_around_a_sphere():
    shape = shapes.open_sphere(30.0)
    points, normals = shape.sample(spacing_nm=1.5)
    signs = np.random.default_rng(5).choice([-1.0, 1.0], len(points))
    mixed = signs[:, None] * normals
    links = surface_links(PointCloud(points, mixed))
    reached, turn = signs_from_seed(points, mixed, links, seed=17)
    assert len(reached) == len(points)
    assert_array_equal(turn * signs[reached], np.full(len(points), signs[17]))


def test_too_few_points_have_no_links():
    assert surface_links(PointCloud(np.zeros((3, 3)))).nnz == 0
