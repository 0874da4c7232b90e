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
JUDGED = ((128, 256, 256), (256, 512, 512), LARGE)
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
        start, used = time.perf_counter(), time.process_time()
        work()
        self.clock.append(time.perf_counter() - start)
        self.processor.append(time.process_time() - used)

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

    QApplication.processEvents()
    canvas = viewer.window._qt_viewer.canvas.native
    canvas.repaint()
    canvas.makeCurrent()
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


PARTS: dict[str, Callable[[], None]] = {
    "napari": napari_alone,
    "mrc": lambda: open_large("mrc"),
    "zarr": lambda: open_large("zarr"),
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
