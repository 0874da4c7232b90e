"""A real window on a screen in memory, shared by the tests of a file; each test opens its own tomograms."""

import threading

import numpy as np
import pytest

from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

SHAPE = (40, 64, 72)
EDGE_NM = 2.0


def shells(seed, shape=SHAPE):
    """A noisy tomogram with two dark spherical membranes that nearly touch, and where they do."""
    rng = np.random.default_rng(seed)
    grid = np.moveaxis(np.indices(shape), 0, -1).astype(float)
    first = np.array([20, 24, 20]) + rng.uniform(-2, 2, 3)
    second = first + np.array([0, 9, 24])
    grey = rng.normal(0, 0.35, shape)
    membranes = np.zeros(shape, np.int16)
    for label, centre in enumerate((first, second), start=1):
        radius = np.linalg.norm(grid - centre, axis=-1)
        near = np.abs(radius - 11.5) <= 1.3
        grey[near] -= 3.0
        membranes[near] = label
    return grey.astype(np.float32), membranes, (first + second) / 2


def write_tomograms(folder, count=2):
    """Tomograms with their membranes in a folder; their paths and the places of contact."""
    paths, places = [], []
    for number in range(count):
        grey, membranes, place = shells(number)
        paths.append(folder / f"ts_{number:02d}.mrc")
        write_volume(paths[-1], Volume(grey, EDGE_NM, (100.0, -40.0, 10.0)))
        write_volume(
            folder / f"ts_{number:02d}__membranes.mrc", Volume(membranes, EDGE_NM, (100.0, -40.0, 10.0))
        )
        places.append(place)
    return paths, places


@pytest.fixture(scope="module")
def window(screen, qapp):
    """One window for the tests of a file; it must leave no thread and no widget behind."""
    from tomorois.napari.window import open_window

    before = set(threading.enumerate())
    viewer, widget = open_window()
    for dock in (viewer.window._qt_viewer.dockLayerControls, viewer.window._qt_viewer.dockLayerList):
        dock.hide()  # napari's, which change their width, and so the canvas, with the layers that there are
    viewer.window._qt_window.resize(700, 700)
    yield widget
    viewer.close()
    qapp.processEvents()
    left = [t for t in threading.enumerate() if t not in before and t.name.startswith("tomorois")]
    assert not left, left
    assert not [w for w in qapp.topLevelWidgets() if w.isVisible()]


@pytest.fixture
def opened(window, tmp_path, qtbot):
    """The window on two fresh tomograms, at the page of the painter; the places of their contacts."""
    from tomorois.loop.state import LoopState
    from tomorois.napari.window import ANNOTATE

    paths, places = write_tomograms(tmp_path)
    window.open(LoopState(paths))
    window.actions_by_name.choose_class(1)
    window.actions_by_name.magnet = window.hand.flat = False
    window.hand.set_radius(12.0)
    window.go_to_step(ANNOTATE)
    qtbot.wait(100)
    return places
