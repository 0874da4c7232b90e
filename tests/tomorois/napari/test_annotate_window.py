"""The painter's page with a real mouse and real keys: what is painted, and what is on the canvas."""

import numpy as np
import pytest
from napari_hand import LEFT, RIGHT, click, colour_at, drag, picture, pixel_of, press, turn
from qtpy.QtCore import Qt

from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.session import is_in_memory
from tomorois.annotation.strokes import BACKGROUND, IGNORE
from tomorois.loop.state import LoopState
from tomorois.napari import layers as names
from tomorois.napari.window import ANNOTATE, OPEN, TRAIN

CTRL, SHIFT, ALT = (getattr(Qt.KeyboardModifier, f"{k}Modifier") for k in ("Control", "Shift", "Alt"))
CENTRE = (20, 32, 36)


def labels(window):
    return window.state.session.painting.labels


def painted_distance(window, centre=CENTRE, value=1):
    """The farthest voxel of a value from a voxel, and whether all within 0.8 of that are painted."""
    places = np.argwhere(labels(window) == value)
    return np.linalg.norm(places - centre, axis=1).max()


def test_the_canvas_shows_the_tomogram_and_not_a_blank(window, opened):
    shot = picture(window)
    middle = shot[shot.shape[0] // 4 : -shot.shape[0] // 4, shot.shape[1] // 4 : -shot.shape[1] // 4]
    assert middle.std() > 20
    layer = window.canvas.layer(names.TOMOGRAM)
    assert tuple(layer.scale) == (2.0, 2.0, 2.0)
    assert tuple(layer.translate) == (10.0, -40.0, 100.0)
    assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
    data = window.state.session.volume.data
    low, high = layer.contrast_limits
    assert np.quantile(data, 0.001) <= low < np.quantile(data, 0.02)
    assert np.quantile(data, 0.98) < high <= data.max()


def test_a_click_places_a_sphere_where_the_mouse_is_and_it_is_seen(window, opened):
    before = picture(window)
    press(window, "S")
    click(window, CENTRE)
    assert labels(window)[CENTRE] == 1
    assert painted_distance(window) == pytest.approx(6.0, abs=1.0)  # 12 nm at 2 nm a voxel
    after = picture(window)
    change = np.abs(after - before).mean(axis=2)
    assert change[tuple(reversed((pixel_of(window, CENTRE).x(), pixel_of(window, CENTRE).y())))] > 5
    orange, plain = colour_at(window, after, CENTRE), colour_at(window, after, (20, 8, 8))
    assert orange[0] - orange[2] > 30  # red against blue
    assert abs(plain[0] - plain[2]) < 3
    assert (change > 5).mean() < 0.2


@pytest.mark.parametrize("align", ["X", "Y", "Z"])
def test_painting_works_along_every_axis(window, opened, align):
    press(window, align)
    press(window, "S")
    axis = "ZYX".index(align)
    window.canvas.go_to_slice(CENTRE[axis])
    click(window, CENTRE)
    assert np.linalg.norm(np.argwhere(labels(window) == 1).mean(axis=0) - CENTRE) < 1.0
    press(window, "Z")


def test_a_circle_by_two_clicks_has_the_radius_between_them(window, opened):
    press(window, "C")
    click(window, CENTRE)
    assert not labels(window).any()
    click(window, (20, 32, 46))
    assert painted_distance(window) == pytest.approx(10, abs=0.8)
    assert window.hand.radius_nm == pytest.approx(20, abs=1.5)


def test_a_tube_a_brush_and_a_lasso(window, opened):
    window.hand.set_radius(6.0)
    press(window, "G")
    for voxel in ((20, 12, 12), (20, 12, 50), (20, 50, 50)):
        click(window, voxel)
    press(window, "Return")
    assert labels(window)[20, 12, 30] == labels(window)[20, 30, 50] == 1
    assert labels(window)[20, 30, 30] == 0
    press(window, "Z", modifier=CTRL)
    assert not labels(window).any()
    press(window, "B", "D")
    drag(window, [(20, 20, 20), (20, 20, 50), (20, 40, 50)])
    places = np.argwhere(labels(window))
    assert set(places[:, 0]) == {20}  # flat
    assert labels(window)[20, 20, 35] == labels(window)[20, 30, 50] == 1
    assert window.state.session.painting.strokes == 1  # one drag is one stroke
    press(window, "Z", modifier=CTRL)
    press(window, "L")
    drag(window, [(20, 20, 20), (20, 20, 50), (20, 50, 50), (20, 50, 20), (20, 21, 20)])
    assert int(labels(window)[20].sum()) == pytest.approx(900, rel=0.12)
    assert not labels(window)[19].any()


def test_slices_are_joined_and_holes_filled(window, opened):
    for at in (10, 16):
        window.canvas.go_to_slice(at)
        press(window, "L")
        drag(window, [(at, 20, 20), (at, 20, 40), (at, 40, 40), (at, 40, 20), (at, 21, 20)])
    press(window, "J")
    assert (labels(window)[10:17, 30, 30] == 1).all()
    strokes = window.state.session.painting.strokes
    press(window, "Z", modifier=CTRL)
    assert window.state.session.painting.strokes == strokes - 1 == 2
    painting = window.state.session.painting
    painting.labels[16, 25:35, 25:35] = 0
    window.canvas.go_to_slice(16)  # undo went to the slices that it took away
    press(window, "F")
    click(window, (16, 30, 30))
    assert (labels(window)[16, 25:35, 25:35] == 1).all()
    click(window, (16, 5, 5))
    assert "open to the border" in window.message


def test_the_right_button_and_t_paint_not_and_q_ignores(window, opened):
    press(window, "S")
    click(window, (20, 15, 15), RIGHT)
    assert labels(window)[20, 15, 15] == BACKGROUND
    press(window, "T")
    click(window, (20, 40, 40), LEFT)
    assert labels(window)[20, 40, 40] == BACKGROUND
    press(window, "Q")
    click(window, (20, 15, 50))
    assert labels(window)[20, 15, 50] == IGNORE
    press(window, "E")
    click(window, (20, 15, 50))
    assert labels(window)[20, 15, 50] == 0
    press(window, "3")
    click(window, (20, 50, 15))
    assert labels(window)[20, 50, 15] == 3


def test_the_magnet_paints_membrane_only(window, opened):
    press(window, "W", "S")
    window.hand.set_radius(25.0)
    click(window, opened[0])
    painted = labels(window) == 1
    membranes = window.state.membranes_of(window.state.session.tomogram)
    assert painted.any()
    assert not painted[np.asarray(membranes) == 0].any()


def test_the_wheel_turns_slices_and_radius(window, opened):
    at = window.canvas.slice_index()
    zoom = window.viewer.camera.zoom
    press(window, "B")
    turn(window, 1)
    assert window.canvas.slice_index() == at + 1
    turn(window, -1, SHIFT)
    assert window.canvas.slice_index() == at - 4
    radius = window.hand.radius_nm
    turn(window, 1, CTRL)
    assert window.hand.radius_nm > radius
    assert window.viewer.camera.zoom == zoom
    press(window, "BracketLeft")
    assert window.hand.radius_nm == pytest.approx(radius)
    turn(window, 2, ALT)
    assert window.viewer.camera.zoom != zoom or window.canvas.slice_index() != at - 4
    press(window, "Escape")
    assert window.hand.tool == "look"
    turn(window, 1)
    assert window.viewer.camera.zoom > zoom  # napari's own habit


@pytest.mark.parametrize("active", ["image", "labels", "points", "shapes", "none"])
def test_keys_hold_whatever_layer_is_active(window, opened, active):
    viewer = window.viewer
    made = None
    if active == "points":
        made = viewer.add_points([[20, 20, 20]])
    elif active == "shapes":
        made = viewer.add_shapes([[[0, 0], [0, 5], [5, 5], [5, 0]]])
    elif active == "labels":
        viewer.layers.selection.active = window.canvas.layer(names.PAINT)
    elif active == "none":
        viewer.layers.selection.clear()
    at = window.canvas.slice_index()
    press(window, "Right", "Right", "Left")
    assert window.canvas.slice_index() == at + 1
    press(window, "Right", modifier=SHIFT)
    assert window.canvas.slice_index() == at + 6
    for key, tool in (
        ("S", "sphere"),
        ("C", "circle"),
        ("G", "tube"),
        ("B", "brush"),
        ("L", "lasso"),
        ("F", "fill"),
    ):
        press(window, key)
        assert window.hand.tool == tool
    press(window, "2")
    assert window.actions_by_name.roi_class == 2
    press(window, "S")
    window.canvas.go_to_slice(20)
    click(window, CENTRE)
    assert labels(window)[CENTRE] == 2
    press(window, "Z", modifier=CTRL)
    assert not labels(window).any()
    press(window, "Z", modifier=CTRL | SHIFT)
    assert labels(window)[CENTRE] == 2
    if made is not None:
        assert len(made.data) == 1
        viewer.layers.remove(made)


def test_keys_hold_in_the_dock_but_not_in_its_text_fields(window, opened):
    step = window.step
    press(window, "B", widget=step.rest.parentWidget())
    assert window.hand.tool == "brush"
    press(window, "1", widget=step.radius)
    assert window.hand.tool == "brush"
    assert window.actions_by_name.roi_class == 1


def test_contrast_overlay_and_axes_by_key(window, opened):
    press(window, "S")
    click(window, CENTRE)
    press(window, "O")
    assert not window.canvas.layer(names.PAINT).visible
    press(window, "O")
    assert window.canvas.layer(names.PAINT).visible
    before = picture(window)
    press(window, "I")
    corner = (20, 4, 4)
    assert np.abs(colour_at(window, picture(window), corner) - colour_at(window, before, corner)).mean() > 10
    press(window, "I", "A")
    press(window, "X")
    assert window.canvas.axis == 2
    press(window, "Z")
    assert window.canvas.axis == 0


def test_tomograms_by_key_keep_what_is_painted(window, opened, qtbot):
    press(window, "S")
    click(window, CENTRE)
    press(window, "Down")
    assert window.state.session.name == "ts_01"
    assert not labels(window).any()
    click(window, (20, 20, 20))
    press(window, "Up")
    assert labels(window)[CENTRE] == 1
    assert labels(window)[20, 20, 20] == 0
    qtbot.waitUntil(lambda: window.jobs.job("labels") is None)  # label files are written beside the window
    assert (window.state.folder.root / "ts_00__labels.mrc").exists()
    again = LoopState(window.state.session.tomograms)
    assert [row.rois for row in again.session.overview()] == [1, 1]
    again.close()


def test_undo_goes_to_the_slice_where_it_was(window, opened):
    press(window, "B", "D")
    drag(window, [(20, 20, 20), (20, 20, 30)])
    window.canvas.go_to_slice(35)
    press(window, "Z", modifier=CTRL)
    assert window.canvas.slice_index() == 20
    assert not labels(window).any()


def test_three_dimensions_are_shown_and_tools_come_back_to_the_slice(window, opened):
    window.viewer.dims.ndisplay = 3
    assert picture(window).std() > 5
    assert not window.canvas.layer(names.PAINT).visible  # nothing is painted, and to draw it takes long
    press(window, "S")
    assert not window.canvas.is_3d
    assert window.canvas.layer(names.PAINT).visible
    click(window, (20, 30, 30))
    window.viewer.dims.ndisplay = 3
    assert window.canvas.layer(names.PAINT).visible
    window.viewer.dims.ndisplay = 2


def test_help_lists_the_keys(window, opened, qtbot):
    press(window, "F1")
    from qtpy.QtWidgets import QMessageBox

    boxes = window.findChildren(QMessageBox)
    assert any("sphere: one click" in box.text() for box in boxes)
    for box in boxes:
        box.close()


def test_bright_membranes_are_noticed_and_a_coarse_bin_is_warned_of(window, opened, tmp_path, qtbot):
    """A file that takes all defaults would be trained upside down, on voxels of half a vesicle."""
    rng = np.random.default_rng(3)
    grey = rng.normal(0, 1, (24, 48, 48)) + 6 * (rng.random((24, 48, 48)) > 0.97)
    write_volume(tmp_path / "bright.mrc", Volume(grey.astype(np.float32), 4.0))
    window.open(LoopState([tmp_path / "bright.mrc"], tmp_path / "loop"))
    window.go_to_step(OPEN)
    qtbot.waitUntil(lambda: window.step.polarity.currentText() == "bright")
    assert "look bright" in window.message
    assert window.state.train_settings.intensity.polarity == "bright"
    assert "looks bright" in window.step.facts.text()
    window.go_to_step(ANNOTATE)
    press(window, "S")
    click(window, (12, 24, 24))
    window.go_to_step(TRAIN)
    assert "sees voxels of 12 nm" in window.step.sees.text()
    assert window.step.small.isVisibleTo(window.step)
    assert "take a smaller bin" in window.step.small.text()
    window.step.bin.setValue(1)
    assert not window.step.small.isVisibleTo(window.step)
    assert window.step.settings().bin_factor == 1


def test_a_large_tomogram_is_read_beside_the_window_and_its_space_made_when_asked_for(
    window, opened, tmp_path, qtbot, monkeypatch
):
    monkeypatch.setattr("tomorois.napari.layers.LARGE_VOXELS", 1000)
    monkeypatch.setattr("tomorois.annotation.session.AT_ONCE_BYTES", 1000)
    grey = np.random.default_rng(7).normal(0, 1, (40, 64, 72)).astype(np.float32)
    write_volume(tmp_path / "large.mrc", Volume(grey, 2.0))
    window.open(LoopState([tmp_path / "large.mrc"], tmp_path / "loop"))
    assert not is_in_memory(window.state.session.volume.data)
    first = picture(window)
    assert first.std() > 5  # of the slice alone
    window.go_to_step(ANNOTATE)
    press(window, "S")
    click(window, (19, 32, 36))
    assert labels(window)[19, 32, 36] == 1
    assert abs(picture(window) - first).max() > 50
    press(window, "Z", modifier=CTRL)
    window.viewer.dims.ndisplay = 3
    qtbot.waitUntil(
        lambda: window.jobs.job("space") is None and is_in_memory(window.state.session.volume.data)
    )
    made = window.canvas.coarser().means
    assert made[2, 3, 4] == pytest.approx(grey[8:12, 12:16, 16:20].mean(), abs=1e-5)
    shown = picture(window)
    assert shown.std() > 5
    window.viewer.dims.ndisplay = 2
    assert abs(picture(window) - first).mean() < 1  # the same slice, now from memory
