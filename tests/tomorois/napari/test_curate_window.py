"""The judge's page with real keys and a real mouse."""

import time

import numpy as np
import pytest
from napari_hand import RIGHT, click, colour_at, drag, picture, press
from qtpy.QtCore import Qt

from tomocore.roiset import read_rois, rois_from_masks, write_rois
from tomorois.annotation.curation import Curation
from tomorois.annotation.strokes import line_stroke
from tomorois.loop.folder import loop_of
from tomorois.loop.state import LoopState
from tomorois.napari import layers as names
from tomorois.napari.window import ANNOTATE, CURATE

SHAPE, EDGE_NM, ORIGIN = (40, 64, 72), 2.0, (100.0, -40.0, 10.0)
CENTRES = [(20, 16, 16), (20, 16, 50), (20, 46, 16), (20, 46, 50)]
CTRL = Qt.KeyboardModifier.ControlModifier


def write_set(folder, stem, centres, radius=5.0):
    strokes = [line_stroke(SHAPE, centre, radius, 1) for centre in centres]
    rois = rois_from_masks(
        [s.start for s in strokes],
        [s.mask for s in strokes],
        SHAPE,
        EDGE_NM,
        ORIGIN,
        {"confidence_mean": np.linspace(0.5, 0.9, len(centres))},
    )
    folder.mkdir(exist_ok=True)
    write_rois(folder, stem, rois, overwrite=True)


@pytest.fixture
def curated(window, opened, qtbot):
    """The window at the judge's page with six ROIs of two tomograms."""
    root = window.state.folder.root
    write_set(root / "rois", "ts_00", CENTRES)
    write_set(root / "rois", "ts_01", CENTRES[:2])
    window.go_to_step(CURATE)
    qtbot.wait(50)
    return window.curation()


def test_keys_judge_fly_and_are_saved_at_once(window, curated):
    first = curated.roi
    shot = picture(window)
    red, green, _ = colour_at(window, shot, first.centre())
    assert red - green > 10  # the one in view is purple
    assert shot.std() > 20
    planes = window.step.planes.pictures
    assert len(planes) == 3
    assert all(plane.std() > 10 for plane in planes)
    assert window.step.progress.format() == "0 of 6 seen"
    press(window, "K")
    assert curated.roi.key != first.key
    press(window, "R")
    press(window, "U")
    assert window.step.progress.format() == "3 of 6 seen"
    again = Curation(window.state.folder.rois)
    assert again.counts() == curated.counts() == {"kept": 1, "rejected": 1, "unsure": 1, "predicted": 3}
    centre = window.viewer.camera.center
    assert np.allclose(centre[-2:], window.canvas.world(curated.roi.centre())[-2:], atol=3.0)
    assert window.state.session.name == curated.roi.stem
    press(window, "P")
    press(window, "N")
    press(window, "Z", modifier=CTRL)
    assert window.step.progress.format() == "2 of 6 seen"
    window.go_to_step(ANNOTATE)
    rejected = read_rois(window.state.folder.rois / "curated" / f"{first.stem}__rois.npz")
    assert (rejected.table["status"] == "kept").sum() == 1


def test_split_merge_redraw_and_draw_with_the_mouse(window, curated):
    curated.look_at(("ts_00", 1))
    press(window, "Space")
    voxels = curated.roi.voxels
    press(window, "S")
    drag(window, [(20, 8, 16), (20, 26, 16)])
    parts = curated.of("ts_00")
    assert len(parts) == 5
    assert sum(roi.voxels for roi in parts if roi.made_by == "split") == voxels
    press(window, "M")
    other = next(roi for roi in parts if roi.made_by == "split" and roi.key != curated.current)
    click(window, other.centre())
    assert len(curated.of("ts_00")) == 4
    assert curated.roi.voxels == voxels
    window.hand.set_radius(8.0)
    press(window, "E")
    drag(window, [(20, 16, 21), (20, 16, 24)])
    assert curated.roi.voxels > voxels
    grown = curated.roi.voxels
    drag(window, [(20, 16, 24), (20, 16, 25)], RIGHT)
    assert curated.roi.voxels < grown
    press(window, "D")
    drag(window, [(20, 30, 33), (20, 33, 33)])
    drawn = curated.roi
    assert (drawn.status, drawn.made_by) == ("kept", "draw")
    press(window, "Escape", "H")
    values = np.unique(window.canvas.layer(names.ROIS).data)
    assert list(values) == [0, 5]
    press(window, "H")
    for _ in range(5):
        press(window, "Z", modifier=CTRL)
    assert curated.of("ts_00")[0].voxels == voxels
    assert len(curated.of("ts_00")) == 4


def test_the_table_is_clicked_and_sorted(window, curated):
    model = window.step.model
    assert model.rowCount() == 6
    assert [model.data(model.index(0, column)) for column in (0, 2, 3)] == ["ts_00", "not seen", "0.50"]
    window.step.table.clicked.emit(model.index(4, 0))
    assert curated.roi is model.rows[4]
    window.step.order.setCurrentText("largest")
    sizes = [roi.voxels for roi in model.rows]
    assert sizes == sorted(sizes, reverse=True)
    window.step.order.setCurrentText("least sure")


def test_an_roi_of_the_network_is_taken_over_by_the_painter(window, curated):
    window.go_to_step(ANNOTATE)
    press(window, "V")
    click(window, CENTRES[1] if window.state.session.name == "ts_00" else CENTRES[0])
    painted = window.state.session.painting.labels
    assert painted.sum() == line_stroke(SHAPE, CENTRES[1], 5.0, 1).mask.sum()


def test_a_folder_of_rois_finds_its_tomograms(window, curated):
    root = window.state.folder.root
    loop, tomograms = loop_of(root / "rois")
    assert loop.root == root
    assert sorted(path.name for path in tomograms) == ["ts_00.mrc", "ts_01.mrc"]
    again = LoopState(tomograms, loop.root, rois=loop.rois)
    assert len(again.open_curation().ordered()) == 6
    again.close()


@pytest.mark.slow
def test_a_hundred_rois_are_judged_in_less_than_five_minutes(window, opened, tmp_path, qtbot):
    places = [(z, y, x) for z in (8, 20, 32) for y in range(6, 60, 10) for x in range(6, 68, 11)][:100]
    root = window.state.folder.root
    write_set(root / "rois", "ts_00", places[:50], 3.0)
    write_set(root / "rois", "ts_01", places[50:], 3.0)
    window.go_to_step(CURATE)
    curation = window.curation()
    started = time.perf_counter()
    for number in range(100):
        press(window, "KRU"[number % 3])
        window.viewer.window._qt_viewer.canvas.native.repaint()
    seconds = time.perf_counter() - started
    print(f"100 ROIs judged in {seconds:.1f} s by a hand that does not think")
    assert curation.seen() == (100, 100)
    assert seconds < 300
