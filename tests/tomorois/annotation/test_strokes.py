"""What each gesture paints, against closed forms off-centre on a grid of unequal dimensions."""

import numpy as np
import pytest

from tomorois.annotation.strokes import (
    BACKGROUND,
    fill_stroke,
    interpolated_strokes,
    line_stroke,
    membrane_voxels,
    outline_stroke,
    stroke_of_record,
    stroke_record,
)

SHAPE = (20, 31, 42)


def painted(stroke, shape=SHAPE):
    volume = np.zeros(shape, np.uint8)
    volume[stroke.box][stroke.mask] = stroke.value
    return volume


def distance_to_segment(first, second):
    grid = np.moveaxis(np.indices(SHAPE), 0, -1).astype(float) - first
    along = np.subtract(second, first)
    share = np.clip(grid @ along / max(along @ along, 1e-9), 0, 1)
    return np.linalg.norm(grid - share[..., None] * along, axis=-1)


def test_a_ball_is_every_voxel_within_its_radius_and_is_cut_at_the_border():
    centre = (2.3, 25.0, 11.5)
    expected = distance_to_segment(centre, centre) <= 6.2
    assert (painted(line_stroke(SHAPE, centre, 6.2, 3)) == 3 * expected).all()
    assert line_stroke(SHAPE, (40, 60, 60), 3, 1) is None


def test_a_tube_joins_its_knots():
    knots = np.array([[4.0, 5, 6], [12, 20, 30], [15, 4, 38]])
    expected = (distance_to_segment(knots[0], knots[1]) <= 2.5) | (
        distance_to_segment(knots[1], knots[2]) <= 2.5
    )
    assert (painted(line_stroke(SHAPE, knots, 2.5, 1)) == expected).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flat_brush_stays_in_its_slice(axis):
    stroke = line_stroke(SHAPE, (9, 14, 22), 4, 1, plane_axis=axis)
    ball = distance_to_segment((9, 14, 22), (9, 14, 22)) <= 4
    expected = np.zeros(SHAPE, bool)
    at = [slice(None)] * 3
    at[axis] = (9, 14, 22)[axis]
    expected[tuple(at)] = ball[tuple(at)]
    assert (painted(stroke) == expected).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_outline_holds_the_voxels_whose_centres_lie_inside(axis):
    corners = np.array([(3.6, 4.4), (3.6, 12.4), (10.4, 12.4), (10.4, 4.4)])
    volume = painted(outline_stroke(SHAPE, axis, 7, corners, 2))
    assert set(np.unique(np.argwhere(volume)[:, axis])) == {7}
    others = [k for k in range(3) if k != axis]
    places = np.argwhere(volume)[:, others]
    assert (places.min(axis=0) == (4, 5)).all()
    assert (places.max(axis=0) == (10, 12)).all()
    assert len(places) == 7 * 8
    assert outline_stroke(SHAPE, axis, 7, corners[:2], 1) is None


def test_fill_closes_a_ring_and_refuses_an_open_one():
    ring = np.zeros(SHAPE, np.uint8)
    ring[8, 5:15, 5:15] = 1
    ring[8, 7:13, 7:13] = 0
    stroke = fill_stroke(ring, (8, 9, 9), 1, axis=0)
    assert painted(stroke).sum() == 36
    assert fill_stroke(ring, (8, 2, 2), 1, axis=0) is None
    assert fill_stroke(ring, (8, 9, 9), 1) is None  # in 3D the ring is open above and below


@pytest.mark.parametrize("axis", [0, 2])
def test_interpolation_lies_between_two_outlines(axis):
    labels = np.zeros((30, 30, 30), np.uint8)
    small, large = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    small[12:18, 12:18], large[8:22, 8:22] = True, True
    view = np.moveaxis(labels, axis, 0)
    view[6][small], view[14][large] = 1, 1
    strokes = interpolated_strokes(labels, axis, 6, 1)
    assert len(strokes) == 7
    for stroke in strokes:
        labels[stroke.box][stroke.mask] = stroke.value
    areas = [int((plane == 1).sum()) for plane in view[6:15]]
    assert areas == sorted(areas)
    assert abs(areas[4] - 100) <= 12  # half way the square's edge is 10
    assert not interpolated_strokes(labels, axis, 6, 1)  # there is no gap any more


def test_the_magnet_takes_dark_matter_or_the_map():
    grey = np.full(SHAPE, 100.0, np.float32)
    grey[:, 10:13] = 20
    box = (slice(5, 15), slice(4, 20), slice(5, 30))
    inside = membrane_voxels(None, grey, box)
    assert inside[:, 6:9].all()
    assert not inside[:, 10:].any()
    assert not inside[:, :4].any()
    mask = np.zeros(SHAPE, np.int8)
    mask[8] = 1
    assert (membrane_voxels(mask, grey, box) == (mask[box] == 1)).all()
    assert membrane_voxels(None, 200 - grey, box, dark=False)[:, 6:9].all()


def test_a_record_gives_the_stroke_again():
    stroke = line_stroke(SHAPE, (9.2, 14.1, 22.7), 5.3, BACKGROUND)
    again = stroke_of_record(stroke_record(stroke))
    assert (again.start, again.value, again.tool) == (stroke.start, BACKGROUND, "sphere")
    assert (again.mask == stroke.mask).all()
