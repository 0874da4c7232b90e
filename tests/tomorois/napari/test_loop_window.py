"""The whole loop in one window: strokes, a network, its ROIs, judgements, a better network, surfaces."""

import logging
import time

import numpy as np
import pandas as pd
import pytest
import pyvista
from napari_hand import click, move, picture, press
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest

from tomocore.roiset import read_rois
from tomocore.volumes.formats import read_volume
from tomorois.napari import layers as names
from tomorois.napari.window import ANNOTATE, CURATE, HAND_OVER, OPEN, PREDICT, REFINE, TRAIN
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.training.settings import TrainSettings


def quick(steps):
    """A small network that learns for a few steps."""
    return TrainSettings(
        bin_factor=2,
        patch_voxels=16,
        steps=steps,
        batch=2,
        network=MSDNetConfig(layers=8, dilations=(1, 2, 3, 4)),
    )


def wait_for(window, qtbot, seconds=150):
    """Until no work runs and all that it told has arrived."""
    qtbot.waitUntil(lambda: not window.jobs.running(), timeout=1000 * seconds)
    qtbot.wait(50)


@pytest.mark.slow
def test_from_strokes_to_a_measured_contact(window, opened, qtbot):
    started = time.perf_counter()
    state = window.state
    state.train_settings = quick(120)
    # annotate: a sphere on each contact
    for place in opened:
        press(window, "S")
        window.hand.set_radius(13.0)
        window.canvas.go_to_slice(round(place[0]))
        click(window, place)
        press(window, "Down")
    assert [row.rois for row in state.session.overview()] == [1, 1]
    window.go_to_step(OPEN)
    qtbot.waitUntil(lambda: "voxel size" in window.step.facts.text())  # read beside the window

    # train: live curves, then a model in use
    window.go_to_step(TRAIN)
    window.step.show_command()
    command = window.step.command.toPlainText()
    assert command.startswith("tomorois train --tomograms")
    assert window.step.train()
    wait_for(window, qtbot)
    assert state.model is not None, window.message
    assert len(window.step.curves.losses) >= 100
    assert "model_001" in window.step.history.item(0).text()

    # predict and threshold
    window.go_to_step(PREDICT)
    assert window.step.predict()
    wait_for(window, qtbot)
    wait_for(window, qtbot)
    assert len(state.predicted()) == 2, window.message
    bare = picture(window)
    counts = {}
    for threshold in (0.02, 0.3, 0.9):
        begun = time.perf_counter()
        window.step.choose(threshold)
        counts[threshold] = state.preview(state.session.name).count(threshold)
        assert time.perf_counter() - begun < 0.2
    window.step.choose(0.02)
    assert np.abs(picture(window) - bare).mean() > 0.5
    window.step.choose(state.facts().threshold)
    state.instance_settings = state.instance_settings.model_copy(update={"min_volume_nm3": 300.0})
    window.step.form = None
    assert window.step.find_rois()
    wait_for(window, qtbot)
    assert state.has_rois, window.message

    # curate: near the contact is kept, all else rejected; what was missed is drawn
    window.go_to_step(CURATE)
    curation = window.curation()
    for roi in list(curation.ordered()):
        curation.look_at(roi.key)
        place = opened[state.session.tomograms.index(state.tomogram_of(roi.stem))]
        near = np.linalg.norm(np.subtract(roi.centre(), place)) < 10
        press(window, "K" if near else "R")
    for index in range(2):
        stem = state.session.tomograms[index].stem
        if not any(roi.status == "kept" for roi in curation.of(stem)):
            window.go_to_tomogram(index)
            window.canvas.go_to_slice(round(opened[index][0]))
            window.viewer.reset_view()
            press(window, "D")
            window.hand.set_radius(12.0)
            click(window, opened[index])
    seen, total = curation.seen()
    assert seen == total >= 2
    assert curation.counts()["kept"] >= 2

    # fine-tune: another model, with what changed
    window.go_to_step(TRAIN)
    window.step.form = None
    state.train_settings = quick(60)
    window.fine_tune()
    qtbot.waitUntil(lambda: window.stack.currentIndex() == REFINE, timeout=300_000)
    assert window.stack.currentIndex() == REFINE, window.message
    assert state.model.stem == "model_002"
    assert window.step.table.rowCount() == 2
    assert window.step.table.item(0, 1).text() in ("better", "worse", "the same", "better and worse")
    kept = [roi for roi in window.curation().ordered() if roi.status == "kept"]
    assert len(kept) >= 2  # what was said is not lost

    # hand over: the membranes within the kept ROIs, measured
    window.go_to_tomogram(0)
    window.go_to_step(HAND_OVER)
    window.step.options.setText("--labels 1=A,2=B --distances A:B")
    assert window.step.measure()
    wait_for(window, qtbot, seconds=400)  # a process of its own, which compiles its kernels at the first time
    folder = state.folder.surfaces / "ts_00"
    assert (folder / "report.html").exists(), window.message
    distances = pd.read_csv(folder / "distances.csv")
    gap_nm = distances["min_nm"].min()
    # spheres of 11.5 voxels of 2 nm, 25.6 voxels apart
    assert gap_nm == pytest.approx((np.hypot(9, 24) - 23) * 2.0, abs=1.5)
    assert window.step.list.count() >= 2
    assert picture(window).std() > 5
    assert window.canvas.is_3d
    window.viewer.dims.ndisplay = 2
    handed = read_rois(folder / "ts_00__rois.npz")
    assert (handed.table["status"] == "kept").all()
    seconds = time.perf_counter() - started
    print(f"the loop took {seconds:.0f} s")


@pytest.mark.slow
def test_a_training_is_stopped_and_goes_on(window, opened, qtbot):
    state = window.state
    state.train_settings = quick(100_000)
    press(window, "S")
    click(window, opened[0])
    window.go_to_step(TRAIN)
    window.step.form = None
    assert window.step.train()
    assert not window.step.train()  # one at a time
    qtbot.waitUntil(lambda: state.folder.stopped_training() is not None, timeout=120_000)
    window.stop_button.click()
    wait_for(window, qtbot)
    assert state.model is None
    window.step.jobs_changed()
    assert window.step.go_on.isEnabled()
    window.go_to_step(ANNOTATE)


def test_a_model_that_arrives_is_noticed(window, opened, qtbot):
    state = window.state
    state.folder.models.mkdir()
    (state.folder.models / "from_cluster.safetensors").write_bytes(b"not yet a model")
    qtbot.waitUntil(lambda: "has arrived" in window.message, timeout=20_000)
    window.go_to_step(PREDICT)
    assert "no model file" in window.message
    window.go_to_step(ANNOTATE)


def test_what_is_missing_is_said_with_its_remedy(window, opened, qtbot):
    window.go_to_step(TRAIN)
    window.step.new.click()
    qtbot.waitUntil(lambda: "paint a few places" in window.message, timeout=20_000)
    window.go_to_step(PREDICT)
    window.attempt(window.step.predict)
    assert "train one first" in window.message
    window.go_to_step(CURATE)
    assert "no ROIs yet" in window.message
    window.go_to_step(HAND_OVER)
    window.attempt(window.step.measure)
    assert "predict and make ROIs first" in window.message
    window.go_to_step(ANNOTATE)
    assert window.canvas.layer(names.PAINT) is not None


def test_a_tomogram_that_cannot_be_opened_leaves_the_one_in_view(window, opened, tmp_path):
    (tmp_path / "ts_01.mrc").write_bytes(b"")
    before = window.state.session.name
    window.go_to_tomogram(1)
    assert window.state.session.name == before
    assert "empty" in window.message
    window.open_paths([tmp_path / "nothing.mrc"])
    assert "no such file" in window.message
    assert read_volume(window.state.session.tomogram).shape == (40, 64, 72)


def test_a_click_on_a_mesh_in_space_shows_its_contact(window, opened, qtbot):
    """Two balls, one before the other along the view (y); the upper half of each is in a contact."""
    state = window.state
    folder = state.folder.surfaces / "ts_00"
    folder.mkdir(parents=True)
    z, y, x = window.canvas.world((20, 32, 36))
    for name, dy in (("above", -30.0), ("below", 30.0)):
        mesh = pyvista.Sphere(radius=12.0, center=(x, y + dy, z)).clean()
        mesh.point_data["mean_curvature_per_nm"] = np.where(abs(mesh.points[:, 0] - x) < 6, 1 / 12, 0)
        mesh.point_data["contact_id"] = np.where(mesh.points[:, 2] < z, 3, 0)
        mesh.save(folder / f"{name}.medial.vtp")
    rows = pd.DataFrame({"contact": [3], "name": ["above"], "target": ["below"], "gap_mean_nm": [36.0]})
    rows.to_csv(folder / "contacts.csv", index=False)
    pd.DataFrame({"name": ["above", "below"], "area_nm2": [1.0, 2.0]}).to_csv(folder / "surfaces.csv")
    window.go_to_step(HAND_OVER)
    step = window.step
    assert [step.list.item(n).text() for n in range(2)] == ["above.medial", "below.medial"]
    qtbot.waitUntil(lambda: step.colour.currentText() == "mean curvature H (1/nm)", timeout=120_000)
    whole = "mean curvature H (1/nm)", "contact"
    assert [step.colour.itemText(n) for n in range(step.colour.count())] == list(whole)
    step.colour.setCurrentIndex(1)  # each contact in a colour of its own, the rest grey
    upper = window.canvas.layer("above.medial").data[0][:, 0] < z
    colours = window.canvas.layer("above.medial").vertex_colors
    assert len(np.unique(colours[upper], axis=0)) == len(np.unique(colours[~upper], axis=0)) == 1
    assert abs(colours[upper][0] - colours[~upper][0]).max() > 0.2
    step.colour.setCurrentIndex(0)
    tomogram = window.canvas.layer(names.TOMOGRAM)
    press(window, "Right")  # of the tomogram one slice stands among the surfaces, and arrows move it
    assert tomogram.depiction == "plane"
    assert tuple(tomogram.plane.position) == (21, 32, 36)
    window.viewer.layers[names.TOMOGRAM].visible = False
    window.viewer.camera.angles = (0, 0, 90)  # along y, z downwards
    window.viewer.camera.center, window.viewer.camera.zoom = (z, y, x), 6.0
    widget = window.canvas.canvas_widget()
    shot = picture(window)

    def told():
        return [step.table.item(n, 0).text() for n in range(step.table.rowCount())]

    seen = {}
    for up in (-5, 5):  # pixels are nm times the zoom
        at = QPoint(widget.width() // 2, widget.height() // 2 + 6 * up)
        ratio = shot.shape[1] / widget.width()
        assert shot[round(at.y() * ratio), round(at.x() * ratio)].max() > 40  # a surface is drawn there
        window.tell("")
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at)
        qtbot.waitUntil(lambda: window.message != "", timeout=20_000)
        seen[up] = (told()[0], step.list.currentItem().text(), window.message)
        if up < 0:
            step._ask_headings()  # words that come late leave the contact's row where it is
            qtbot.waitUntil(lambda: window.jobs.job("headings") is None, timeout=120_000)
            seen[up] = (told()[0], step.list.currentItem().text(), seen[up][2])
    contact, surface = seen[-5], seen[5]
    assert contact[:2] == ("Contact 3", "above.medial")  # the one in front
    assert "in contact 3" in contact[2]
    assert surface[:2] == ("Surface", "above.medial")
    assert "mean curvature H (1/nm) 0.0833 here" in surface[2]
    angles = window.viewer.camera.angles
    QTest.mousePress(widget, Qt.MouseButton.LeftButton, pos=at)
    for way in (20, 40):
        move(widget, QPointF(at) + QPointF(way, 0), Qt.MouseButton.LeftButton)
    QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, pos=at + QPoint(40, 0))
    picture(window)  # napari takes its camera's turn over as it draws
    assert window.viewer.camera.angles != angles  # a drag turns the view, and chooses nothing
    assert window.message == seen[5][2]
    window.go_to_step(OPEN)
    assert tomogram.depiction == "volume"
    assert not window.canvas.is_3d
    assert not window.canvas.layer("above.medial").visible


def test_a_warning_in_the_window_names_no_options_of_commands(window, opened, qtbot):
    logging.getLogger("tomorois.training").warning(
        "no tomogram is held out; scores are optimistic; name others with --validation"
    )
    qtbot.waitUntil(lambda: window.message == "⚠ no tomogram is held out; scores are optimistic")
