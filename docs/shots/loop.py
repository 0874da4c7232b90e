"""Photographs every step of the loop's window, on synthetic tomograms, for README and docs.

    python docs/shots/loop.py --output docs/pictures

The window is a real one on a screen in memory (Xvfb); what is on the pictures was painted, trained and found
by the same clicks and keys that a person uses.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = (1500, 940)
PICTURES = ("open", "annotate", "train", "predict", "curate", "refine", "handover")


@contextmanager
def screen(folder: Path) -> Iterator[None]:
    """A screen in memory as the display of this process, with settings of its own."""
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1920x1200x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        os.environ["DISPLAY"] = f":{pipe.readline().strip()}"
    os.environ |= {
        "QT_QPA_PLATFORM": "xcb",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    try:
        yield
    finally:
        server.terminate()
        server.wait(10)


def tomograms(folder: Path) -> list[Path]:
    """Synthetic tomograms with membranes, without the truth that the loop is to find."""
    from tomorois.phantoms.files import PhantomRequest, make_phantom_files
    from tomorois.phantoms.phantom import PhantomSettings

    make_phantom_files(PhantomRequest(folder, 2, 4), "contacts", PhantomSettings(shape_zyx=(72, 144, 160)))
    return sorted(path for path in folder.glob("*.mrc") if "__" not in path.name)


def places_of(tomogram: Path) -> list[Any]:
    """Voxels (z, y, x) in the middle of the true contacts, the largest first, and their radii in nm."""
    from tomocore.roiset import read_rois

    rois = read_rois(tomogram.with_name(f"{tomogram.stem}__truth.npz"))
    table = rois.table.sort_values("volume_nm3", ascending=False)
    found = []
    for row in table.index:
        box = rois.boxes[row]
        found.append(((box[0] + box[1]) / 2, 0.5 * float((box[1] - box[0]).max()) * rois.voxel_size_nm))
    return found


class Photographer:
    """Drives a window and takes its pictures."""

    def __init__(self, output: Path, folder: Path) -> None:
        from tomorois.loop.state import LoopState
        from tomorois.napari.window import ANNOTATE, open_window

        self.output = output
        paths = tomograms(folder)
        self.places = [places_of(path) for path in paths]
        self.viewer, self.window = open_window(lambda: LoopState(paths, folder / "loop"), ANNOTATE)
        self.viewer.window._qt_window.resize(*SIZE)
        self.wait(500)

    def wait(self, milliseconds: int) -> None:
        """Let the window live for a while."""
        from qtpy.QtTest import QTest

        QTest.qWait(milliseconds)

    def rest(self) -> None:
        """Wait until no work runs."""
        while self.window.jobs.running():
            self.wait(100)
        self.wait(300)

    def take(self, name: str) -> None:
        """One picture of the whole window."""
        self.wait(700)
        path = self.output / f"window_{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path, self.window.message, flush=True)

    def annotate(self) -> None:
        """Spheres on the contacts of every tomogram, then a tube and a word on the wall."""
        from tomorois.annotation.strokes import line_stroke

        window = self.window
        for index, places in enumerate(self.places):
            window.go_to_tomogram(index)
            painting = window.state.session.painting
            for centre, radius in places:
                edge = painting.tomogram.voxel_size_nm
                painting.paint(line_stroke(painting.labels.shape, centre, 0.5 * radius / edge, 1))
        window.go_to_tomogram(0)
        window.actions_by_name.painted()
        window.canvas.go_to_slice(round(self.places[0][0][0][0]))
        window.actions_by_name.take("sphere")
        window.actions_by_name.take("brush")
        self.point_at(0.62, 0.56)
        self.take("annotate")
        self.point_at(0.01, 0.01)

    def point_at(self, across: float, down: float) -> None:
        """Bring the pointer to a place of the canvas, in shares of its width and height."""
        from qtpy.QtCore import QPoint
        from qtpy.QtTest import QTest

        canvas = self.window.canvas.canvas_widget()
        QTest.mouseMove(canvas, QPoint(round(across * canvas.width()), round(down * canvas.height())))

    def go(self) -> None:
        """All seven pictures."""
        from tomorois.napari.window import CURATE, HAND_OVER, OPEN, PREDICT, REFINE, TRAIN

        window = self.window
        self.annotate()
        window.go_to_step(OPEN)
        self.take("open")
        window.go_to_step(TRAIN)
        settings = window.state.train_settings
        window.state.train_settings = settings.model_copy(update={"steps": 500, "patch_voxels": 20})
        window.step.train()
        self.wait(1000)
        while window.jobs.job("train") is not None and len(window.step.curves.dices) < 8:
            self.wait(200)
        self.take("train")
        self.rest()
        window.go_to_step(PREDICT)
        window.step.predict()
        self.rest()
        self.rest()
        self.show_roi_slice()
        window.step.map.setChecked(True)
        self.take("predict")
        window.step.find_rois()
        self.rest()
        window.go_to_step(CURATE)
        for key in ("keep", "keep", "reject"):
            window.actions_by_name.of(key)()
            self.wait(100)
        self.take("curate")
        self.judge()
        window.state.train_settings = settings.model_copy(update={"steps": 120, "patch_voxels": 20})
        window.fine_tune()
        while window.stack.currentIndex() != REFINE:
            self.wait(200)
        self.rest()
        window.go_to_tomogram(0)
        window.go_to_step(REFINE)
        self.take("refine")
        window.go_to_step(HAND_OVER)
        window.step.measure()
        self.rest()
        self.viewer.camera.angles = (30, 20, 60)
        self.take("handover")
        self.close()

    def close(self) -> None:
        """Close the window and what holds the screen, before the screen itself ends."""
        from qtpy.QtWidgets import QApplication

        self.viewer.close()
        self.wait(300)
        QApplication.instance().shutdown()

    def judge(self) -> None:
        """Keep what lies at a true contact, reject the rest."""
        import numpy as np

        curation = self.window.curation()
        for roi in list(curation.ordered()):
            curation.look_at(roi.key)
            index = next(n for n, p in enumerate(self.window.state.session.tomograms) if p.stem == roi.stem)
            near = min(np.linalg.norm(np.subtract(roi.centre(), place)) for place, _ in self.places[index])
            curation.judge("kept" if near < 25 else "rejected", go_on=False)

    def show_roi_slice(self) -> None:
        """The slice of the first tomogram's largest contact."""
        self.window.go_to_tomogram(0)
        self.rest()
        self.window.canvas.go_to_slice(round(self.places[0][0][0][0]))


def main() -> None:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description="Photographs every step of the loop's window.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "pictures")
    output = parser.parse_args().output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if shutil.which("Xvfb") is None:
        raise SystemExit("pictures of windows need an X server: sudo apt-get install xvfb")
    with tempfile.TemporaryDirectory() as name, screen(Path(name)):
        Photographer(output, Path(name)).go()


if __name__ == "__main__":
    main()
