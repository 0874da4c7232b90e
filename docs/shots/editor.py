"""Photographs the editor at work on a phantom, docs/pictures/editor*.png, and writes its keys into its page.

    python docs/shots/editor.py [--output DIR]

Its own screen in memory (Xvfb) and software rendering, so that the pictures are the same everywhere. The hand
is scripted, but its keys, clicks and lassos are real ones.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from surfora.editor.actions import key_table

PICTURES = Path(__file__).parents[1] / "pictures"
PAGE = Path(__file__).parents[1] / "surfora" / "editor.md"
PHANTOM = "[phantom]\nshape_zyx = [64, 150, 150]\nvoxel_size_nm = 1.6\n"
SIZE = (1180, 760)
ON_SCREEN = "SURFORA_EDITOR_SCREEN"


@contextmanager
def screen(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a process whose windows open on a screen in memory, without a person's settings."""
    server = shutil.which("Xvfb")
    if server is None:
        raise SystemExit("photographs need an X server in memory: sudo apt-get install xvfb")
    read_end, write_end = os.pipe()
    command = [server, "-displayfd", str(write_end), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        display = f":{pipe.readline().strip()}"
    own = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1", ON_SCREEN: "yes"}
    own |= {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_CACHE_HOME": str(folder / "cache")}
    try:
        yield {**os.environ, **own}
    finally:
        process.terminate()
        process.wait(10)


def make_surfaces(folder: Path) -> None:
    """A phantom tomogram and the measured surfaces of its membranes, by the commands a user types."""
    (folder / "s.toml").write_text(PHANTOM, encoding="utf-8")
    tools = Path(sys.executable).parent
    for command in (
        "tomorois phantom --kind contacts --count 1 --seed 4 -o cell -s s.toml",
        "surfora run cell/contacts_s4_000__membranes.mrc --surface medial --jobs 2 -o cell",
    ):
        tool, *words = command.split()
        subprocess.run([tools / tool, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def photograph(folder: Path, pictures: Path) -> None:
    """Open the editor and take a picture of each step."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from surfora.editor.files import open_session
    from surfora.editor.window import EditorWindow
    from tomocore.volumes.formats import read_volume

    app = QApplication([])
    files = sorted((folder / "cell").glob("*_[12].medial.points.vtp"))
    meshes = sorted((folder / "cell").glob("*_[3-7].medial.vtp"))
    session = open_session([files[1], files[0], *meshes])
    window = EditorWindow(session, read_volume(folder / "cell" / "contacts_s4_000.mrc", lazy=True))
    window.resize(*SIZE)
    window.show()
    window.activateWindow()
    QTest.qWaitForWindowActive(window)
    window.view.camera.azimuth = 25
    window.view.camera.elevation = -35
    window.view.reset_camera()
    window.view.camera.zoom(1.1)
    window.panel.slice_axis.setCurrentIndex(3)
    window.panel.slice_place.setValue(80)

    def shot(name: str) -> None:
        window.refresh()
        QTest.qWait(100)
        app.primaryScreen().grabWindow(window.winId()).save(str(pictures / name))

    def key(name: str, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(window, name, keys)
        QTest.qWait(50)

    shot("editor.png")

    key("L")
    corners = around(window, session.points[session.layer_of == 0])
    QTest.mousePress(window.view, Qt.MouseButton.LeftButton, pos=corners[0])
    for corner in corners[1:-8]:
        QTest.mouseMove(window.view, corner)
    shot("editor_lasso.png")
    for corner in corners[-8:]:
        QTest.mouseMove(window.view, corner)
    QTest.mouseRelease(window.view, Qt.MouseButton.LeftButton, pos=corners[-1])

    key("E")
    key("3")
    key("F")
    session.select_none()
    shot("editor_edited.png")

    key("Z", Qt.KeyboardModifier.ControlModifier)  # the deselection
    key("Z", Qt.KeyboardModifier.ControlModifier)  # the flip
    key("M", Qt.KeyboardModifier.ControlModifier)
    while window.job is not None:
        QTest.qWait(50)
    session.select_none()
    key("N")
    shot("editor_measured.png")

    session.history.mark_saved()
    window.close()


def around(window: object, points: np.ndarray) -> list:
    """A loop by hand around the left end of points, as a mouse counts."""
    from qtpy.QtCore import QPoint

    from surfora.editor.view import projected

    sight = window.sight()
    pixels = projected(points, sight.seen.view).pixels
    pixels = pixels[pixels[:, 0] < np.quantile(pixels[:, 0], 0.3)]
    middle, reach = pixels.mean(axis=0), np.ptp(pixels, axis=0) / 2
    turn = np.linspace(0.1, 2 * np.pi, 60)
    wobble = 1 + 0.05 * np.sin(5 * turn)
    x = middle[0] + 1.15 * reach[0] * wobble * np.cos(turn)
    y = middle[1] + 1.2 * reach[1] * wobble * np.sin(turn)
    return [QPoint(round(a), round(window.view.height() - 1 - b)) for a, b in zip(x, y, strict=True)]


def page_with_keys(text: str) -> str:
    """A page with the table of keys between its marks."""
    table = key_table()
    marked = r"(<!-- keys -->\n).*?(<!-- /keys -->)"
    return re.sub(marked, lambda found: f"{found[1]}{table}{found[2]}", text, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    pictures = parser.parse_args().output.resolve()
    if os.environ.get(ON_SCREEN):
        photograph(Path.cwd(), pictures)
        return
    with tempfile.TemporaryDirectory() as name, screen(Path(name)) as environment:
        make_surfaces(Path(name))
        command = [sys.executable, __file__, "--output", str(pictures)]
        subprocess.run(command, cwd=name, env=environment, check=True)
    if pictures == PICTURES:
        PAGE.write_text(page_with_keys(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
