"""Projection against VTK's own, loops against a slow twin, and what is hidden against spheres."""

import numpy as np
import pytest
from editor_views import faces_the_eye, renderer_looking, sphere_points, view_at
from numpy.testing import assert_allclose
from vtkmodules.vtkRenderingCore import vtkCoordinate, vtkRenderWindow

from surfora.editor.view import (
    View,
    clicked,
    in_front,
    in_loop,
    projected,
    rectangle,
    simplified,
    view_of,
)

CENTRE = np.array([120.0, -40.0, 75.0])
EYE = (370.0, 10.0, 160.0)


@pytest.mark.parametrize("parallel", [False, True])
def test_points_lie_where_vtk_puts_them(parallel):
    renderer = renderer_looking(CENTRE, EYE, 60, parallel)
    window = vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetSize(640, 480)
    window.AddRenderer(renderer)
    points = CENTRE + np.random.default_rng(1).uniform(-50, 50, (20, 3))
    seen = projected(points, view_of(renderer, (640, 480)))
    place = vtkCoordinate()
    place.SetCoordinateSystemToWorld()
    for point, pixel in zip(points, seen.pixels, strict=True):
        place.SetValue(*point)
        assert_allclose(pixel, place.GetComputedDoubleDisplayValue(renderer), atol=1e-3)
    forward = (CENTRE - renderer.GetActiveCamera().GetPosition()) / renderer.GetActiveCamera().GetDistance()
    assert_allclose(seen.depth_nm, (points - renderer.GetActiveCamera().GetPosition()) @ forward, rtol=1e-9)


@pytest.mark.parametrize("parallel", [False, True])
def test_a_pixel_is_as_wide_as_one_step_across_moves(parallel):
    view = view_at(CENTRE, EYE, 60, parallel=parallel)
    across = np.cross(view.forward, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    places = CENTRE + np.outer([0, 1], across)
    seen = projected(places, view)
    moved_px = np.linalg.norm(seen.pixels[1] - seen.pixels[0])
    assert_allclose(1 / moved_px, seen.nm_per_px[0], rtol=1e-6)


def test_what_lies_behind_the_eye_is_nowhere():
    view = view_at(CENTRE, EYE, 60)
    seen = projected(np.array([view.eye - 10 * view.forward]), view)
    assert np.isnan(seen.pixels).all()
    assert not seen.in_picture.any()
    assert not in_front(seen, np.ones(1, bool), 1.0, np.zeros((1, 3))).any()


def winds_around(pixel, loop):
    """Slow twin: the sum of the angles that the loop turns by, seen from a pixel."""
    ways = loop - pixel
    angles = np.arctan2(ways[:, 1], ways[:, 0])
    turns = np.diff(np.append(angles, angles[0]))
    return abs(np.sum((turns + np.pi) % (2 * np.pi) - np.pi)) > np.pi


def test_loops_take_what_they_wind_around():
    rng = np.random.default_rng(2)
    pixels = rng.uniform(-20, 120, (2000, 2))
    for corners in (3, 7, 40):
        loop = rng.uniform(0, 100, (corners, 2))  # crosses itself
        assert_allclose(in_loop(pixels, loop), [winds_around(pixel, loop) for pixel in pixels])


def test_a_circle_takes_its_share_of_the_area():
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    loop = 50 + 40 * np.column_stack([np.cos(turn), np.sin(turn)])
    pixels = np.random.default_rng(3).uniform(0, 100, (40_000, 2))
    assert in_loop(pixels, loop).mean() == pytest.approx(np.pi * 0.4**2, abs=0.01)
    assert in_loop(pixels, simplified(loop)).mean() == pytest.approx(np.pi * 0.4**2, abs=0.01)
    assert len(simplified(loop)) < 150


def test_a_loop_drawn_over_itself_has_no_hole():
    turn = np.linspace(0, 4 * np.pi, 100)
    twice = 50 + 40 * np.column_stack([np.cos(turn), np.sin(turn)])
    assert in_loop(np.array([[50.0, 50.0]]), twice).all()


def test_loops_of_fewer_than_three_corners_take_nothing():
    assert not in_loop(np.zeros((4, 2)), np.array([[0.0, 0.0], [1.0, 1.0]])).any()


def test_rectangles_take_the_same_whichever_corner_comes_first():
    pixels = np.random.default_rng(4).uniform(0, 100, (500, 2))
    inside = ((pixels > (10, 30)) & (pixels < (60, 80))).all(axis=1)
    for corner, opposite in (((10, 30), (60, 80)), ((60, 30), (10, 80)), ((60, 80), (10, 30))):
        assert_allclose(in_loop(pixels, rectangle(corner, opposite)), inside)


@pytest.mark.parametrize(
    ("count", "precision", "recall"), [(5_000, 0.94, 0.92), (20_000, 0.93, 0.97), (200_000, 0.97, 0.95)]
)
def test_of_a_sphere_the_near_side_is_in_front(count, precision, recall):
    points, normals = sphere_points(count, 50, CENTRE)
    view = view_at(CENTRE, EYE, 55, (1200, 900))
    truth = faces_the_eye(points, normals, view)
    spacing_nm = (4 * np.pi * 50**2 / count) ** 0.5
    front = in_front(projected(points, view), np.ones(count, bool), 2.0, points, normals, spacing_nm)
    assert (front & truth).sum() / front.sum() > precision
    assert (front & truth).sum() / truth.sum() > recall


def test_of_two_sheets_5_nm_apart_only_the_near_one_is_in_front():
    outer, way_out = sphere_points(60_000, 50, CENTRE)
    inner, way_in = sphere_points(60_000, 45, CENTRE, seed=1)
    points, normals = np.concatenate([outer, inner]), np.concatenate([way_out, way_in])
    view = view_at(CENTRE, EYE, 55, (1200, 900))
    truth = faces_the_eye(points, normals, view) & (np.arange(120_000) < 60_000)
    front = in_front(projected(points, view), np.ones(120_000, bool), 2.0, points, normals, 0.7)
    assert (front & truth).sum() / front.sum() > 0.94
    assert (front & truth).sum() / truth.sum() > 0.95
    assert front[60_000:].mean() < 0.01


def test_what_is_not_shown_hides_nothing():
    points, normals = sphere_points(20_000, 50, CENTRE)
    view = view_at(CENTRE, EYE, 55)
    far = ~faces_the_eye(points, normals, view)
    front = in_front(projected(points, view), far, 2.0, points, normals, 1.2)
    assert front[far].mean() > 0.95
    assert not front[~far].any()


def test_a_click_takes_the_near_one_of_two_points_in_line():
    view = view_at(CENTRE, EYE, 60)
    toward = view.eye - CENTRE
    points = CENTRE + np.outer([0.0, 0.1, -0.1, 0.2], toward)
    points[3] += 40 * np.cross(view.forward, [0, 0, 1.0])
    seen = projected(points, view)
    assert clicked(seen, np.ones(4, bool), tuple(seen.pixels[0])) == 1
    assert clicked(seen, np.array([True, False, True, True]), tuple(seen.pixels[0])) == 0
    assert clicked(seen, np.ones(4, bool), (1.0, 1.0)) is None


def test_nothing_shown_is_no_error():
    view = View(np.eye(4), (10, 10), np.zeros(3), np.array([0, 0, -1.0]))
    seen = projected(np.zeros((3, 3)), view)
    assert clicked(seen, np.zeros(3, bool), (5.0, 5.0)) is None
    assert not in_front(seen, np.zeros(3, bool), 1.0, np.zeros((3, 3))).any()
