"""The editor as a person uses it: real keys and a real mouse on a real window, and what is on its canvas."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import shapes
from command_line import refusal_of, run_command
from numpy.testing import assert_array_equal

pytest.importorskip("pyvistaqt", reason="the extra 'editor' is not installed")

from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox, QPushButton

from surfora.editor.actions import ACTIONS
from surfora.editor.files import open_session
from surfora.editor.journal import edited_path
from surfora.editor.picking import points_in_loop
from surfora.editor.view import projected
from surfora.geometry import colours
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_mesh, read_surface, write_surface
from surfora.geometry.surface import PointCloud, SurfaceMesh, face_areas_nm2, vertex_normals
from surfora.reporting.tables import read_table
from tomocore.volumes.volume import Volume

NO, SHIFT, CTRL = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)
LEFT = Qt.MouseButton.LeftButton
SMALL = np.array([60.0, 0, 0])


@pytest.fixture
def files(tmp_path):
    """Points of a large and a small sphere beside each other, and a mesh of a sheet below them."""
    (one, ways), (two, more) = (
        shapes.sphere(radius, seed=None).sample(spacing_nm=2.0) for radius in (24.0, 14.0)
    )
    points, normals = np.concatenate([one, two + SMALL]), np.concatenate([ways, more])
    cloud = PointCloud(points, normals, {"height_nm": points[:, 2]})
    facts = SurfaceFacts("cell", "medial.points", voxel_size_nm=1.5)
    write_surface(tmp_path / "cell.medial.points.vtp", cloud, facts)
    vertices, faces = shapes.flat_sheet(90.0, 40.0, seed=None).mesh(4.0)
    vertices += (30.0, 60.0, 0.0)
    sheet = SurfaceMesh(
        vertices, faces, vertex_normals(vertices, faces), {"mean_curvature_per_nm": vertices[:, 0]}
    )
    write_surface(tmp_path / "er.medial.vtp", sheet)
    return [tmp_path / "cell.medial.points.vtp", tmp_path / "er.medial.vtp"]


def make_active(qtbot, window):
    """Have the window get what is typed: without a manager of windows nobody else gives it the keys."""
    QApplication.processEvents()
    if QApplication.activeWindow() is not window:
        window.activateWindow()
        with qtbot.waitActive(window, timeout=30_000):
            pass


@pytest.fixture
def opened(screen, qtbot, files):
    """Opens windows, and closes them without asking; they must leave no thread and no widget behind."""
    windows = []

    def open_window(volume=None, edits=None):
        from surfora.editor.window import EditorWindow

        window = EditorWindow(open_session(files, edits), volume)
        windows.append(window)
        window.memory.clear()
        window.resize(800, 600)
        window.show()
        make_active(qtbot, window)
        return window

    yield open_window
    for window in windows:
        window.session.history.mark_saved()
        window.close()
        window.deleteLater()
    QApplication.processEvents()
    left = [thread for thread in threading.enumerate() if thread.name.startswith("surfora-editor")]
    assert not left
    assert not [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]


@pytest.fixture
def window(opened):
    return opened()


def canvas(window):
    """The picture of the view, as it is on the screen."""
    QApplication.processEvents()
    return np.asarray(window.view.screenshot(return_img=True))


def pixels_of(window, colour):
    """How many pixels of the canvas have a colour, or nearly."""
    away = np.abs(canvas(window).astype(int) - colours.rgb(colour)).max(axis=2)
    return int((away < 12).sum())


def places(window, points):
    """Where points (n, 3) lie on the view, as a mouse counts: from its upper left."""
    pixels = projected(np.atleast_2d(points).astype(float), window.sight().seen.view).pixels
    return [QPoint(round(x), round(window.view.height() - 1 - y)) for x, y in pixels]


def drag(qtbot, window, corners, keys=NO):
    qtbot.mousePress(window.view, LEFT, keys, corners[0])
    for corner in corners[1:]:
        qtbot.mouseMove(window.view, corner)
    qtbot.mouseRelease(window.view, LEFT, keys, corners[-1])


def circle(window, centre, radius_nm):
    turn = np.linspace(0, 2 * np.pi, 40)
    return places(window, centre + radius_nm * np.column_stack([np.cos(turn), np.sin(turn), 0 * turn]))


def is_small(window):
    """The points of the small sphere."""
    return (window.session.points[:, 0] > 40) & (window.session.layer_of == 0)


def press(qtbot, window, key, keys=NO):
    make_active(qtbot, window)
    qtbot.keyClick(window, key, keys)
    QApplication.processEvents()


def test_surfaces_are_on_the_canvas_in_their_colours(window):
    picture = canvas(window)
    assert picture.std() > 20
    assert pixels_of(window, colours.SURFACES[0]) > 1000
    assert (np.ptp(picture.reshape(-1, 3), axis=0) > 50).all()
    assert pixels_of(window, colours.SELECTED) == 0


def test_a_lasso_takes_what_is_seen_within_it(window, qtbot):
    press(qtbot, window, "L")
    drag(qtbot, window, circle(window, SMALL, 18.0))
    session = window.session
    upper = session.points[:, 2] > 2
    assert session.selected[is_small(window) & upper].mean() > 0.95
    assert not session.selected[~is_small(window)].any()
    assert session.selected[session.points[:, 2] < -4].mean() < 0.05
    assert pixels_of(window, colours.SELECTED) > 500
    press(qtbot, window, "T")
    drag(qtbot, window, circle(window, SMALL, 18.0))
    assert_array_equal(session.selected, is_small(window))
    assert "selected" in window.message.text()


def test_what_is_drawn_is_what_is_taken(window, qtbot):
    press(qtbot, window, "L")
    corners = circle(window, np.array([10.0, 5.0, 0]), 12.0)
    drag(qtbot, window, corners)
    loop = np.array([[c.x(), window.view.height() - 1 - c.y()] for c in corners], float)
    expected = points_in_loop(window.session, window.sight(), loop)
    assert window.session.selected.sum() == pytest.approx(expected.sum(), rel=0.02)


def test_rectangles_add_and_take_away(window, qtbot):
    press(qtbot, window, "T")
    press(qtbot, window, "R")
    x = window.session.points[:, 0]
    in_first = window.session.layer_of == 0

    def across(low, high):
        return places(window, [[low, -30.0, 0], [high, 30.0, 0]])

    drag(qtbot, window, across(-20.0, 0.0))
    drag(qtbot, window, across(5.0, 20.0), SHIFT)
    drag(qtbot, window, across(-10.0, 10.0), CTRL)
    chosen = window.session.selected
    sure = np.abs(x[:, None] - [-20, -10, 10, 20]).min(axis=1) > 4
    expected = in_first & (((x > -20) & (x < -10)) | ((x > 10) & (x < 20)))
    assert_array_equal(chosen[sure], expected[sure])


def test_a_polygon_is_clicked_and_closed_with_enter(window, qtbot):
    press(qtbot, window, "T")
    press(qtbot, window, "P")
    around = SMALL + 20 * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    *corners, wrong, last = places(window, [*around[:3], [0, 0, 0], around[3]])
    for place in (*corners, wrong):
        qtbot.mouseClick(window.view, LEFT, NO, place)
    qtbot.keyClick(window.view, Qt.Key.Key_Backspace)
    qtbot.mouseClick(window.view, LEFT, NO, last)
    qtbot.keyClick(window.view, Qt.Key.Key_Return)
    assert_array_equal(window.session.selected, is_small(window))


def test_escape_drops_a_loop_and_goes_back_to_looking(window, qtbot):
    press(qtbot, window, "P")
    for place in places(window, [[0, 0, 0], [10, 0, 0]]):
        qtbot.mouseClick(window.view, LEFT, NO, place)
    assert window.tools.is_drawing
    press(qtbot, window, Qt.Key.Key_Escape)
    assert not window.tools.is_drawing
    assert window.tools.tool == "look"
    assert not window.session.selected.any()


def test_a_click_picks_the_point_in_front_and_a_double_click_its_piece(window, qtbot):
    top = int(np.argmax(np.where(is_small(window), window.session.points[:, 2], -np.inf)))
    place = places(window, window.session.points[top])[0]
    qtbot.mouseClick(window.view, LEFT, NO, place)
    assert np.flatnonzero(window.session.selected).tolist() == [top]
    assert "point at 60" in window.message.text()
    qtbot.mouseDClick(window.view, LEFT, NO, place)
    assert_array_equal(window.session.selected, is_small(window))
    qtbot.mouseClick(window.view, LEFT, NO, QPoint(3, 3))
    assert not window.session.selected.any()


def test_dragging_while_looking_turns_the_view_and_picks_nothing(window, qtbot):
    before, picture = np.array(window.view.camera.position), canvas(window)
    middle = QPoint(window.view.width() // 2, window.view.height() // 2)
    drag(qtbot, window, [middle, middle + QPoint(40, 10), middle + QPoint(90, 30)])
    assert np.linalg.norm(np.array(window.view.camera.position) - before) > 5
    assert np.abs(canvas(window).astype(int) - picture).mean() > 1
    assert not window.session.selected.any()


def test_a_lasso_of_components_takes_whole_pieces(window, qtbot):
    press(qtbot, window, "L", SHIFT)
    drag(qtbot, window, circle(window, SMALL, 13.0))  # most of it, not all
    assert_array_equal(window.session.selected, is_small(window))


def test_keys_edit_and_undo(window, qtbot):
    session = window.session
    top = int(np.argmax(np.where(is_small(window), session.points[:, 2], -np.inf)))
    qtbot.mouseClick(window.view, LEFT, NO, places(window, session.points[top])[0])
    press(qtbot, window, "E")
    assert_array_equal(session.selected, is_small(window))
    press(qtbot, window, "F")
    assert_array_equal(session.flipped, is_small(window))
    press(qtbot, window, "3")
    assert_array_equal(session.label == 3, is_small(window))
    assert window.scene.colouring.name == "label"
    press(qtbot, window, "D")
    assert_array_equal(~session.kept, is_small(window))
    for _ in range(3):
        press(qtbot, window, "Z", CTRL)
    assert session.kept.all()
    assert not session.flipped.any()
    assert not session.label.any()
    for _ in range(3):
        press(qtbot, window, "Z", CTRL | SHIFT)
    assert_array_equal(~session.kept, is_small(window))
    assert "deleted" in window.counts.text()


def test_deleted_and_hidden_points_leave_the_canvas(window, qtbot):
    teal = pixels_of(window, colours.SURFACES[0])
    window.session.select(is_small(window))
    press(qtbot, window, "H")
    alone = pixels_of(window, colours.SELECTED)
    assert pixels_of(window, colours.SURFACES[0]) < 50 < alone
    press(qtbot, window, "D")
    press(qtbot, window, "H", SHIFT)
    assert 0 < pixels_of(window, colours.SURFACES[0]) < teal
    assert pixels_of(window, colours.SELECTED) == 0


def test_labels_are_merged_by_key(window, qtbot):
    session = window.session
    session.edit_layers("label", is_small(window), 4, "")
    session.edit_layers("label", session.layer_of == 1, 2, "")
    session.select((session.layer_of == 1) | is_small(window))
    press(qtbot, window, "M")
    assert set(session.label[is_small(window)]) == {2}


@pytest.mark.parametrize(("key", "axis"), [("X", 0), ("Y", 1), ("Z", 2)])
def test_the_view_aligns_with_the_axes_from_either_side(window, qtbot, key, axis):
    window.do("align_x" if axis else "align_y")
    press(qtbot, window, key)
    first = np.array(window.view.camera.direction)
    assert abs(first[axis]) == pytest.approx(1)
    press(qtbot, window, key)
    np.testing.assert_allclose(window.view.camera.direction, -first, atol=1e-9)


def test_a_rule_is_typed_without_setting_off_keys(window, qtbot):
    window.panel.rule.setFocus()
    qtbot.keyClicks(window.panel.rule, "height_nm > 0 & x_nm < 30")
    qtbot.keyClick(window.panel.rule, Qt.Key.Key_Return)
    session = window.session
    assert_array_equal(
        session.selected, (session.points[:, 2] > 0) & (session.points[:, 0] < 30) & (session.layer_of == 0)
    )
    assert window.tools.tool == "look"
    assert session.kept.all()
    qtbot.keyClicks(window.panel.rule, " &")
    qtbot.keyClick(window.panel.rule, Qt.Key.Key_Return)
    assert "cannot be read" in window.message.text()


def test_what_cannot_be_done_is_said_with_the_remedy(window, qtbot):
    press(qtbot, window, "D")
    assert "click a point, or draw around" in window.message.text()
    assert window.session.kept.all()


def test_arrays_colour_and_have_a_bar_with_a_unit(window):
    before = canvas(window)
    window.panel.array.setCurrentIndex(window.panel.array.findData("height_nm"))
    changed = canvas(window)
    assert np.abs(changed.astype(int) - before).max(axis=2)[-60:].max() > 50  # the bar
    for colour in (colours.table_of("viridis")[5], colours.table_of("viridis")[250]):
        assert (np.abs(changed.astype(int) - colour).max(axis=2) < 25).sum() > 30
    assert window.panel.low.value() < -15 < 15 < window.panel.high.value()
    assert colours.titled("height_nm") == "height, nm"


def test_a_cut_hides_from_eye_and_hand(window, qtbot):
    full = pixels_of(window, colours.SURFACES[0])
    window.panel.cut.setChecked(True)  # across x, in the middle
    cut = window.scene.clip
    assert 0.1 * full < pixels_of(window, colours.SURFACES[0]) < 0.9 * full
    window.do("through")
    press(qtbot, window, "R")
    drag(qtbot, window, [QPoint(2, 2), QPoint(window.view.width() - 3, window.view.height() - 3)])
    assert window.session.points[window.session.selected][:, 0].min() >= cut[1]
    assert window.session.selected.any()


def test_the_slice_of_a_volume_lies_where_the_volume_is(opened):
    data = np.zeros((20, 60, 90), np.float32)
    data[:, :, 45:] = 100.0
    window = opened(Volume(data, 2.0, (-30.0, -60.0, -20.0)))
    for layer in range(2):
        window.panel.surfaces.item(layer).setCheckState(Qt.CheckState.Unchecked)
    blank = canvas(window)
    window.panel.slice_axis.setCurrentIndex(3)
    picture = canvas(window).astype(int)
    left = places(window, [0, 0, 0])[0]
    assert picture[left.y(), left.x()].max() < 40
    edge = places(window, [[55.0, -30, 0], [65.0, -30, 0]])
    assert picture[edge[0].y(), edge[0].x()].max() < 100 < 200 < picture[edge[1].y(), edge[1].x()].min()
    assert np.abs(picture - blank).mean() > 5


def test_points_of_many_are_fewer_while_the_view_moves(window):
    window.scene.frame_s = 1.0
    from surfora.editor import scene

    most, scene.MOST_MOVING = scene.MOST_MOVING, 200
    try:
        window.scene.begin_moving()
        assert window.scene._actors[0].data.GetNumberOfVerts() < 250
        window.scene.end_moving()
    finally:
        scene.MOST_MOVING = most
    assert window.scene._actors[0].data.GetNumberOfVerts() == window.session.layers[0].count


def test_an_empty_box_has_a_frame_in_both_themes(opened):
    window = opened()
    window.panel.cut.setChecked(False)
    for _ in range(2):
        grabbed = window.panel.cut.grab().toImage()
        middle, box = grabbed.height() // 2, grabbed.height()
        row = [grabbed.pixelColor(x, middle).lightness() for x in range(box)]
        ground = window.palette().window().color().lightness()
        assert max(abs(light - ground) for light in row) > 40
        window.do("dark")


def test_dark_and_light_are_remembered(opened):
    first = opened()
    light = canvas(first)[5, 5]
    first.do("dark")
    assert canvas(first)[5, 5].max() < 60 < light.min()
    assert first.memory.value("theme") == "dark"
    first.do("dark")


def answer(button, seen):
    """Press a button of the question that is about to be asked."""

    def press_it():
        boxes = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QMessageBox)]
        seen.extend(box.text() for box in boxes if box.isVisible())
        next(box for box in boxes if box.isVisible()).button(button).click()

    QTimer.singleShot(200, press_it)


def test_closing_asks_about_edits_that_no_file_has(window, files):
    window.session.select(is_small(window))
    window.do("delete")
    seen = []
    answer(QMessageBox.StandardButton.Cancel, seen)
    assert not window.close()
    assert window.isVisible()
    answer(QMessageBox.StandardButton.Save, seen)
    assert window.close()
    assert len(seen) == 2
    saved = read_surface(edited_path(files[0]))
    assert len(saved.points) == (~is_small(window)).sum() - window.session.layers[1].count


def test_nothing_stays_behind_when_a_window_closes(opened, screen):
    def at_work():
        return {thread for thread in threading.enumerate() if thread.name.startswith("surfora-editor")}

    window = opened()
    window.session.history.mark_saved()
    assert window.close()
    QApplication.processEvents()
    assert not at_work()
    assert not [w for w in QApplication.topLevelWidgets() if w.isVisible()]


def test_an_edited_surface_is_meshed_and_measured_beside_the_work(window, qtbot, files):
    window.session.select(is_small(window))
    window.do("delete")
    window.do("remake")
    qtbot.waitUntil(lambda: "area" in window.message.text(), timeout=120_000)
    mesh = read_mesh(files[0].with_name("cell.edited.medial.vtp"))
    ball = 4 * np.pi * 24.0**2
    assert np.nanmedian(mesh.data["mean_curvature_per_nm"]) == pytest.approx(1 / 24, rel=0.05)
    assert mesh.data["distance_to_er_nm"].min() == pytest.approx(60 - 20 - 24, abs=2.0)
    assert face_areas_nm2(mesh.vertices, mesh.faces).sum() == pytest.approx(ball, rel=0.03)
    contacts = read_table(files[0].with_name("cell.edited.contacts") / "contacts.csv")
    assert len(contacts) == 1
    assert contacts["gap_min_nm"].iloc[0] == pytest.approx(60 - 20 - 24, abs=2.0)
    assert set(np.unique(mesh.data["contact_id"])) == {0, 1}
    assert window.panel.surfaces.count() == 3
    assert window.scene.colouring.name == "mean_curvature_per_nm"
    assert pixels_of(window, colours.SURFACES[0]) < 50  # the points it was made of are switched off


def test_work_is_cancelled_and_leaves_nothing(window, qtbot, files):
    window.do("remake")
    job = window.job
    assert "running" in window._verb("remake")()
    with qtbot.waitSignal(job.cancelled, timeout=60_000):  # listening first: it may end at once
        window.do("cancel")
    assert "stopped" in window.message.text()
    assert not files[0].with_name("cell.edited.medial.vtp").exists()


def test_every_action_has_a_verb_a_place_and_keys_of_its_own(window):
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))
    for action in ACTIONS:
        assert action.name == "set_label" or callable(window._verb(action.name))
        assert window.actions_by_name[action.name].isEnabled()


def test_f1_shows_every_key(window, qtbot):
    press(qtbot, window, Qt.Key.Key_F1)
    from qtpy.QtWidgets import QTextBrowser

    text = window._help.findChild(QTextBrowser).toPlainText()
    assert all(action.text.rstrip("…") in text for action in ACTIONS)


def test_a_killed_window_loses_no_edit(screen, files):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from qtpy.QtCore import QTimer; from qtpy.QtTest import QTest\n"
        "from qtpy.QtWidgets import QApplication\n"
        "from surfora.editor.request import EditRequest\n"
        "from surfora.editor.window import run_editor\n"
        "def hand():\n"
        "    window = next(w for w in QApplication.topLevelWidgets() if hasattr(w, 'session'))\n"
        "    window.activateWindow(); QTest.qWaitForWindowActive(window)\n"
        "    window.session.select_by_rule('x_nm > 40 & height_nm > -1000')\n"
        "    QTest.keyClick(window, 'D')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "app = QApplication([]); QTimer.singleShot(300, hand)\n"
        "run_editor(EditRequest([Path(p) for p in sys.argv[1:]]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *files], env=os.environ, timeout=120, stderr=subprocess.PIPE
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    session = open_session(files)
    assert_array_equal(~session.kept, (session.points[:, 0] > 40) & (session.layer_of == 0))
    session.journal.close()


DENSE = """
import sys
from pathlib import Path
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from surfora.editor.files import open_session
from surfora.editor.view import projected
from surfora.editor.window import EditorWindow

app = QApplication([])
session = open_session([Path(name) for name in sys.argv[1:]])
window = EditorWindow(session)
window.resize(800, 600)
window.show()
QTest.qWaitForWindowExposed(window)
view, left = window.view, Qt.MouseButton.LeftButton
assert view.devicePixelRatioF() == 2
assert tuple(view.window_size) == (2 * view.width(), 2 * view.height())
assert view.screenshot(return_img=True).shape[:2] == (2 * view.height(), 2 * view.width())
small = (session.points[:, 0] > 40) & (session.layer_of == 0)
pixels = projected(session.points, window.sight().seen.view).pixels

def on_screen(pixel):  # as Qt counts
    return QPoint(round(pixel[0] / 2), round(view.height() - 1 - pixel[1] / 2))

low, high = pixels[small].min(axis=0) - 8, pixels[small].max(axis=0) + 8
loops = {"rectangle": [low, high], "lasso": [low, (high[0], low[1]), high, (low[0], high[1]), low]}
for tool, loop in loops.items():
    session.select_none()
    window.do(tool)
    QTest.mousePress(view, left, pos=on_screen(loop[0]))
    for corner in loop[1:]:
        QTest.mouseMove(view, on_screen(corner))
    QTest.mouseRelease(view, left, pos=on_screen(loop[-1]))
    taken = session.selected & (session.layer_of == 0)
    assert taken.sum() > 0.35 * small.sum(), (tool, taken.sum(), small.sum())
    assert not (taken & ~small).any(), tool
window.do("look")
middle = pixels[small].mean(axis=0)
QTest.mouseClick(view, left, pos=on_screen(middle))
assert session.selected.sum() == 1
assert abs(pixels[session.selected] - middle).max() <= 14
session.history.mark_saved()
window.close()
"""


def test_on_a_dense_screen_the_hand_takes_what_is_under_it(screen, files):
    """Two pixels of the screen for one of Qt's: the picture is sharp, and clicks and loops land in it."""
    run = subprocess.run(
        [sys.executable, "-c", DENSE, *files],
        env={**os.environ, "QT_SCALE_FACTOR": "2"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_without_a_display_one_line_says_what_to_do(files, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    refused = refusal_of(run_command("surfora", "edit", files[0]))
    assert "no display" in refused
    assert "surfora apply" in refused


def test_a_display_that_cannot_be_opened_is_said_in_one_line(files, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    assert ":4711" in refusal_of(run_command("surfora", "edit", files[0]))


def test_without_the_extra_one_line_says_what_to_install(files, monkeypatch):
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name, *rest: None if name == "pyvistaqt" else real(name, *rest)
    )
    assert "pip install 'tomorois-surfora[editor]'" in refusal_of(run_command("surfora", "edit", files[0]))


def test_buttons_do_what_the_keys_do(window, qtbot):
    window.panel.rule.setText("x_nm > 40")
    button = next(b for b in window.panel.findChildren(QPushButton) if b.text() == "Select")
    qtbot.mouseClick(button, LEFT)
    assert window.session.selected.any()
