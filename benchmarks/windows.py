"""The windows by a scripted hand: how long one waits for a picture after a key, a click or a file.

    python benchmarks/windows.py [--part NAME]

Real windows on a screen in memory (xvfb-run), drawn by the processor; keys and mouse are events of Qt. Each
part runs in a process of its own. A time ends when the picture is drawn to its last pixel; it is given by
the clock and of the processor (all threads), the least and the median of several. Before and after stands
the machine's load: times by the clock mean something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (1500, 940)
LARGE = (512, 1024, 1024)
NOISE_PLANES = 16
JUDGED = {(128, 256, 256): 5, (256, 512, 512): 2, LARGE: 1}
"""Voxels of the tomograms, and how many of them."""
ROIS = 100
MAP_SHAPE = (256, 512, 512)
POINTS = 1_000_000


class Times:
    """What several runs took: by the clock, and of the processor."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.clock: list[float] = []
        self.processor: list[float] = []

    def add(self, work: Callable[[], Any]) -> None:
        """Run it once more."""
        self.start()
        work()
        self.stop()

    def start(self) -> None:
        """From here on."""
        self._started = time.perf_counter(), time.process_time()

    def stop(self, *_: Any) -> None:
        """Up to here."""
        self.clock.append(time.perf_counter() - self._started[0])
        self.processor.append(time.process_time() - self._started[1])

    def told(self) -> str:
        """A row: least and median."""
        cells = [f"{1000 * f(t):.0f}" for t in (self.clock, self.processor) for f in (min, statistics.median)]
        return f"| {self.what} | {len(self.clock)} | {' | '.join(cells)} |"


def live(milliseconds: int) -> None:
    """Let the window live for a while, without the busy waiting of Qt's tests."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def rest(window: Any) -> None:
    """Wait until no work runs beside the window."""
    live(400)
    while window.jobs._running:
        live(50)


def drawn(viewer: Any) -> None:
    """Do what is due, and draw napari's picture to its end."""
    from qtpy.QtWidgets import QApplication
    from vispy.gloo import gl

    canvas = viewer.window._qt_viewer.canvas
    painted: list[Any] = []
    canvas._scene_canvas.events.draw.connect(painted.append)
    QApplication.processEvents()
    if not painted:
        canvas.native.repaint()
    canvas._scene_canvas.events.draw.disconnect(painted.append)
    canvas.native.makeCurrent()
    gl.glFinish()


def noise(shape: tuple[int, int, int], low: float = 0.0) -> np.ndarray:
    """Voxels that are the same few planes of noise over and over: cheap to make, and no zeros."""
    planes = np.random.default_rng(0).normal(low, 1, (NOISE_PLANES, *shape[1:])).astype(np.float32)
    return planes[np.arange(shape[0]) % NOISE_PLANES]


def write_mrc(path: Path, shape: tuple[int, int, int]) -> Path:
    """A tomogram of a shape, voxels of 1 nm."""
    from tomocore.volumes.formats import write_volume
    from tomocore.volumes.volume import Volume

    write_volume(path, Volume(noise(shape), 1.0))
    return path


def write_zarr(path: Path, shape: tuple[int, int, int]) -> Path:
    """The same as OME-Zarr in chunks of 16 MiB; the files of the chunks are one file by many names."""
    import zarr

    chunks = (64, 256, 256)
    group = zarr.open_group(path, mode="w", zarr_format=2)
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": scale}],
        }
    ]
    array = group.create_array("0", shape=shape, chunks=chunks, dtype="f4")
    array[tuple(slice(n) for n in chunks)] = noise(chunks)
    first = next(file for file in (path / "0").rglob("*") if file.is_file() and not file.name.startswith("."))
    parts = first.relative_to(path / "0").parts
    for place in np.ndindex(*(-(-n // c) for n, c in zip(shape, chunks, strict=True))):
        names = [str(n) for n in place]
        file = path / "0" / ("/".join(names) if len(parts) == 3 else ".".join(names))
        if file != first:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.link(first, file)
    return path


# opening


def napari_alone() -> None:
    """napari's own first layers, of a few voxels: what every first picture costs."""
    import napari

    from tomorois.napari.colours import label_colours
    from tomorois.napari.layers import UNITS

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(*SIZE)
    live(1500)
    values = np.random.default_rng(0).normal(0, 1, (8, 64, 64)).astype(np.float32)
    times = Times("napari alone: an image and labels of 8 × 64 × 64 voxels, the first in a window")

    def add() -> None:
        viewer.add_image(values, units=UNITS, multiscale=False)
        viewer.add_labels(np.zeros(values.shape, np.uint8), units=UNITS, colormap=label_colours({1: "red"}))
        viewer.scale_bar.visible = True
        drawn(viewer)

    times.add(add)
    print(times.told(), flush=True)
    viewer.close()


def open_large(kind: str) -> None:
    """The first tomogram of 2 GB in a window that has just started, then it again, then slices and space."""
    from tomorois.loop.state import LoopState
    from tomorois.napari.window import ANNOTATE, open_window

    with tempfile.TemporaryDirectory() as name:
        make = {"mrc": write_mrc, "zarr": write_zarr}[kind]
        path = make(Path(name) / f"large.{kind}", LARGE)
        viewer, window = open_window()
        viewer.window._qt_window.resize(*SIZE)
        live(1500)
        window._first_look.timeout.disconnect()  # what reads all of it begins after the first picture

        def open_it(folder: str) -> None:
            window.open(LoopState([path], Path(name) / folder))
            window.go_to_step(ANNOTATE)
            drawn(viewer)

        first, again = (Times(f"2 GB {kind}, {what}") for what in ("the first in a window", "a further one"))
        first.add(lambda: open_it("first"))
        again.add(lambda: open_it("again"))
        told = [first, again, *slices(viewer, window, f"2 GB {kind}, on the disk")]
        if kind == "mrc":
            window._look_closer()
            rest(window)
            told += slices(viewer, window, "2 GB, in memory")
            window.canvas.align(0)
            space = Times("2 GB: space is asked for, and made beside the window")
            space.add(lambda: (setattr(viewer.dims, "ndisplay", 3), drawn(viewer)))
            told.append(space)
        for times in told:
            print(times.told(), flush=True)
        viewer.close()


def slices(viewer: Any, window: Any, where: str) -> list[Times]:
    """The next slice along each axis, by the key."""
    from qtpy.QtCore import Qt

    told = []
    for axis in range(3):
        window.canvas.align(axis)
        drawn(viewer)
        times = Times(f"{where}: another slice along {'zyx'[axis]}")
        for _ in range(5):
            times.add(lambda: (key(viewer, Qt.Key.Key_Right), drawn(viewer)))
        told.append(times)
    return told


def key(viewer: Any, name: Any) -> None:
    """A key on napari's canvas."""
    from qtpy.QtTest import QTest

    QTest.keyClick(viewer.window._qt_viewer.canvas.native, name)


# judging


def judge_rois() -> None:
    """ROIs judged by keys, the least sure first, so that every few keys another tomogram comes into view."""
    from qtpy.QtCore import Qt

    from tomorois.loop.state import LoopState
    from tomorois.napari.window import CURATE, open_window

    viewer, window = open_window()
    viewer.window._qt_window.resize(*SIZE)
    live(1000)
    names = (Qt.Key.Key_K, Qt.Key.Key_R, Qt.Key.Key_K, Qt.Key.Key_U)
    for shape, tomograms in JUDGED.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = [write_mrc(folder / f"ts_{n}.mrc", shape) for n in range(tomograms)]
            for number, path in enumerate(paths):
                write_balls(folder / "rois", path.stem, shape, ROIS // tomograms, number)
            window.open(LoopState(paths))
            window.go_to_step(CURATE)
            rest(window)
            size = " × ".join(map(str, shape))
            times = Times(f"{ROIS} ROIs judged in {tomograms} of {size}: a key, to the next ROI's picture")
            for number in range(ROIS):
                times.add(lambda n=number: (key(viewer, names[n % 4]), drawn(viewer)))
            print(times.told(), flush=True)
            print(
                f"all {ROIS}: {sum(times.clock):.0f} s by the clock, {sum(times.processor):.0f} of processor"
            )
            assert window.curation().seen() == (ROIS, ROIS)
    viewer.close()


def write_balls(folder: Path, stem: str, shape: tuple[int, int, int], count: int, seed: int) -> None:
    """So many round ROIs of a radius of 10 voxels, at random places and of random confidence."""
    from tomocore.roiset import rois_from_masks, write_rois

    rng = np.random.default_rng(seed)
    ball = sum(axis**2 for axis in np.ogrid[-10:11, -10:11, -10:11]) <= 100
    starts = rng.integers(0, np.subtract(shape, 21), (count, 3))
    confidence = {"confidence_mean": rng.uniform(0.3, 1, count)}
    folder.mkdir(exist_ok=True)
    write_rois(folder, stem, rois_from_masks(list(starts), [ball] * count, shape, 1.0, columns=confidence))


# threshold


def slide_threshold() -> None:
    """The slider over a confidence map: to the mask at the new threshold and the number of its ROIs."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from scipy.ndimage import gaussian_filter

    from tomocore.volumes.formats import write_volume
    from tomocore.volumes.volume import Volume
    from tomorois.loop.state import LoopState
    from tomorois.napari.window import PREDICT, open_window
    from tomorois.network.checkpoint import ModelRecord, save_model
    from tomorois.network.msdnet.config import MSDNetConfig
    from tomorois.network.msdnet.module import MSDNet

    viewer, window = open_window()
    viewer.window._qt_window.resize(*SIZE)
    live(1000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tomogram = write_mrc(folder / "ts.mrc", MAP_SHAPE)
        (folder / "models").mkdir()
        model = folder / "models" / "model_001.safetensors"
        save_model(model, MSDNet(MSDNetConfig(layers=2)), ModelRecord(voxel_size_nm=1.0))
        state = LoopState([tomogram])
        path = state.folder.map_of(tomogram, model)
        path.parent.mkdir(parents=True)
        smooth = gaussian_filter(np.random.default_rng(0).normal(0, 1, (64, 128, 128)), 3)
        smooth = np.clip(0.5 + 0.2 * smooth / smooth.std(), 0, 1).astype(np.float32)
        write_volume(path, Volume(smooth.repeat(4, 0).repeat(4, 1).repeat(4, 2), 1.0))
        window.open(state)
        rest(window)
        counted = Times("map of 256 × 512 × 512: its ROIs counted at all thresholds, beside the window")
        counted.add(lambda: (window.go_to_step(PREDICT), rest(window)))
        times = Times("threshold slider, moved: to the mask and the number")
        slider = window.step.slider
        middle = slider.height() // 2
        at = round(slider.width() * slider.value() / slider.maximum())
        QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(at, middle))
        for number in range(1, 31):
            before = slider.value()
            place = QPoint(at + 3 * number, middle)
            times.add(lambda p=place: (QTest.mouseMove(slider, p), drawn(viewer)))
            assert slider.value() != before
        QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=place)
        for one in (counted, times):
            print(one.told(), flush=True)
        print(f"the last: {window.step.count.text()}")
        viewer.close()


# the editor


def select_in_editor() -> None:
    """A rectangle and a lasso drawn over a million points, from the button's release to the picture."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from surfora.editor.layers import Layer
    from surfora.editor.session import Session
    from surfora.editor.window import EditorWindow
    from surfora.geometry.surface import PointCloud

    app = QApplication.instance() or QApplication([])
    ways = np.random.default_rng(0).normal(size=(POINTS, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    session = Session((Layer(Path("sphere.vtp"), PointCloud(200 * ways, ways), None, 0),))
    window = EditorWindow(session)
    window.resize(1200, 900)
    window.show()
    QTest.qWaitForWindowActive(window)
    window._neighbours.wait()
    view, left = window.view, Qt.MouseButton.LeftButton
    middle = np.array([view.width() / 2, view.height() / 2])
    turn = np.linspace(0, 2 * np.pi, 200)
    loops = {
        "rectangle": middle + 120 * np.array([[-1, -1], [1, 1]]),
        "lasso": middle + 150 * np.column_stack([np.cos(turn), np.sin(turn)]),
    }
    for tool, loop in loops.items():
        for through in (False, True):
            window.actions_by_name["through"].setChecked(through)
            what = f"{tool} over {POINTS:,} points, {'through' if through else 'what is seen'}"
            shown, whole = Times(f"{what}: to what is selected"), Times(f"{what}: to the whole picture")
            window.tools.looped.connect(shown.stop)  # heard after the window has drawn what it chose
            for _ in range(6):
                window.do(tool)
                corners = [QPoint(*(int(c) for c in corner)) for corner in loop]
                QTest.mousePress(view, left, pos=corners[0])
                for corner in corners[1:]:
                    QTest.mouseMove(view, corner)
                app.processEvents()
                shown.start()
                whole.add(lambda c=corners[-1]: QTest.mouseRelease(view, left, pos=c))
            window.tools.looped.disconnect(shown.stop)
            for times in (shown, whole):
                times.clock, times.processor = times.clock[1:], times.processor[1:]  # the first one compiles
                print(times.told(), flush=True)
            print(f"{window.session.selected.sum():,} points")
    session.history.mark_saved()
    window.close()


PARTS: dict[str, Callable[[], None]] = {
    "napari": napari_alone,
    "mrc": lambda: open_large("mrc"),
    "zarr": lambda: open_large("zarr"),
    "judging": judge_rois,
    "threshold": slide_threshold,
    "editor": select_in_editor,
}


def main() -> None:
    """Runs the parts, each in a process and on a screen of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one; may be given again")
    parser.add_argument("--here", action="store_true", help="in this process, on the screen there is")
    given = parser.parse_args()
    if given.here:
        for part in given.part:
            PARTS[part]()
        return
    print(f"load {os.getloadavg()[0]:.1f}; milliseconds")
    print("| what | times | by the clock: least | median | of the processor: least | median |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        own = {"XDG_CONFIG_HOME": name, "XDG_CACHE_HOME": name, "LIBGL_ALWAYS_SOFTWARE": "1"}
        for part in given.part or PARTS:
            command = ["xvfb-run", "-a", "-s", "-screen 0 1920x1200x24", sys.executable, __file__]
            subprocess.run([*command, "--here", "--part", part], env={**os.environ, **own}, check=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
