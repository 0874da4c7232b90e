"""Labels become targets as the settings say, and painted shapes have the volume they should."""

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.volume import Volume
from tomorois.annotation.settings import AnnotationSettings
from tomorois.annotation.targets import (
    blank_annotation,
    paint_spheres,
    paint_stroke,
    roi_components,
    training_targets,
)

LABELS = np.array([[[0, 1, 7], [255, 254, 0]]], dtype=np.uint8)


def test_all_labels_above_zero_are_rois_and_the_ignore_value_does_not_count():
    targets = training_targets(LABELS, AnnotationSettings())
    assert targets.roi.tolist() == [[[False, True, True], [False, True, False]]]
    assert targets.counted.tolist() == [[[True, True, True], [False, True, True]]]


def test_sparse_annotation_ignores_zero_and_knows_painted_background():
    targets = training_targets(LABELS, AnnotationSettings(unlabelled="ignore"))
    assert targets.roi.tolist() == [[[False, True, True], [False, False, False]]]
    assert targets.counted.tolist() == [[[False, True, True], [False, True, False]]]


def test_minus_one_is_refused_unless_the_settings_say_so():
    labels = np.array([[[-1, 0, 2]]], dtype=np.int16)
    with pytest.raises(InputError, match=r"tomo_3.*-1.*255.*ignore_value"):
        training_targets(labels, AnnotationSettings(), "tomo_3")
    targets = training_targets(labels, AnnotationSettings(ignore_value=-1))
    assert targets.counted.tolist() == [[[False, True, True]]]
    assert targets.roi.tolist() == [[[False, False, True]]]


@pytest.mark.parametrize("bad", [0.5, np.nan])
def test_fractions_are_no_labels(bad):
    with pytest.raises(InputError, match="whole numbers"):
        training_targets(np.array([[[0.0, bad]]]), AnnotationSettings())


def test_whole_floats_and_booleans_are_labels():
    as_float = training_targets(LABELS.astype(np.float32), AnnotationSettings())
    assert np.array_equal(as_float.roi, training_targets(LABELS, AnnotationSettings()).roi)
    assert training_targets(LABELS > 0, AnnotationSettings()).roi.sum() == 4


def test_touching_rois_of_different_labels_stay_apart():
    labels = np.zeros((3, 3, 6), dtype=np.int16)
    labels[1, 1] = [1, 1, 2, 2, 0, 2]
    found = roi_components(labels, labels > 0)[1, 1]
    assert len({found[0], found[2], found[5]}) == 3
    assert found[0] == found[1]
    assert found[4] == 0


def test_painted_ball_and_stroke_have_their_volumes():
    grid = Volume(np.zeros((40, 50, 60), np.uint8), 2.0, (100.0, -20.0, 4.0))
    blank = blank_annotation(grid, -1)
    assert (blank.data == -1).all()
    centre = np.array([100 + 2 * 31.3, -20 + 2 * 24.7, 4 + 2 * 19.5])
    ball = paint_spheres(blank, centre, 16.0, 1).data == 1
    assert ball.sum() == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)
    assert grid.world(np.argwhere(ball)).mean(axis=0) == pytest.approx(centre, abs=0.1)
    ends = centre + np.array([[-30.0, 0.0, 0.0], [30.0, 10.0, 0.0]])
    stroke = paint_stroke(blank, ends, 8.0, 3).data == 3
    expected = np.pi * 4**2 * np.hypot(30, 5) + 4 / 3 * np.pi * 4**3
    assert stroke.sum() == pytest.approx(expected, rel=0.03)


def test_painting_outside_is_cut_and_the_input_untouched():
    grid = Volume(np.zeros((8, 8, 8), np.int16), 1.0)
    painted = paint_spheres(grid, [[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]], 3.0, 5).data
    octant = np.linalg.norm(np.indices((8, 8, 8)), axis=0) <= 3
    assert np.array_equal(painted == 5, octant)
    assert not grid.data.any()
