"""The door of the editor: what it needs is looked for before anything is loaded, and said in a line."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from surfora.editor.request import EditRequest
from tomocore.contract import InputError

NEEDED = ("pyvistaqt", "qtpy")
PATIENCE_S = 60


def edit_in_window(request: EditRequest) -> int:
    """Open files of surfaces in the editor and wait until it is closed; 0.

    Raises InputError where there is no display, where the extra is not installed, and for files that
    cannot be read.
    """
    require_window()
    from surfora.editor.window import run_editor

    return run_editor(request)


def require_window() -> None:
    """Raise InputError, with the remedy, where no window can be opened."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED) or not _has_qt():
        raise InputError(
            "the editor needs packages that are not installed; install them with: "
            "pip install 'tomorois-surfora[editor]'"
        )
    if sys.platform == "linux":
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise InputError(
                "there is no display for a window; log in with ssh -X, use a remote desktop, or replay edits "
                "made elsewhere with `surfora apply`"
            )
        _require_qt_to_start()


def _require_qt_to_start() -> None:
    """Raise InputError where Qt cannot open the display, on which it would end the process without a word."""
    code = "from qtpy.QtWidgets import QApplication; QApplication([])"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    if tried.returncode != 0:
        said = next((line for line in tried.stderr.splitlines() if "display" in line or "lib" in line), "")
        raise InputError(
            f"no window can be opened on {os.environ.get('DISPLAY') or 'Wayland'} ({said.strip()}); check "
            "that the display is yours and running, and install what Qt needs: sudo apt-get install "
            "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libegl1"
        )


def _has_qt() -> bool:
    return any(importlib.util.find_spec(name) for name in ("PySide6", "PyQt6", "PyQt5", "PySide2"))
