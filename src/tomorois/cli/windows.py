"""Commands of `tomorois` that open windows: painting, and judging ROIs."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tomocore.contract import InputError
from tomocore.terminal.options import VoxelSize
from tomorois.cli.options import several

NEEDED = ("napari", "qtpy", "superqt")


def annotate(
    tomograms: Annotated[list[Path], Parameter(help="tomograms, or folders of them")],
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"], help="folder of the loop; that of the first tomogram where not given"
        ),
    ] = None,
    voxel_size: VoxelSize = None,
) -> None:
    """Paint ROIs in a window (napari), train, predict and judge there; every stroke is kept.

    Writes `<stem>__labels.mrc`, which `train` reads as they are, beside the tomograms or into -o.
    """
    require_window()
    from tomorois.napari.window import annotate as open_and_stay

    open_and_stay(tomograms, output, voxel_size)


def curate(
    folder: Annotated[Path, Parameter(help="ROIs of `tomorois instances`, or the folder of a loop")],
    /,
    *,
    tomograms: Annotated[
        list[Path] | None, several("their tomograms; those near the ROIs where not given")
    ] = None,
    voxel_size: VoxelSize = None,
) -> None:
    """Judge ROIs one by one in a window (napari): keep, reject, split, merge, redraw.

    Judged ROIs go to `curated/` in the same folder, for `train --penalty` and for `surfora run --rois`.
    """
    require_window()
    from tomorois.napari.window import curate as open_and_stay

    open_and_stay(folder, tomograms or [], voxel_size)


def require_window() -> None:
    """InputError where no window can be opened: without the packages, or without a display."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing or not has_qt():
        raise InputError(
            f"the window needs {', '.join(missing) or 'Qt'}, which is not installed; install it with: "
            "pip install 'tomorois-surfora[napari]'"
        )
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise InputError(
            "no display to open a window on; run this where you sit, or over ssh -X or a remote desktop"
        )


def has_qt() -> bool:
    """Whether there is a Qt binding that qtpy can use."""
    return any(importlib.util.find_spec(name) for name in ("PySide6", "PyQt6", "PyQt5"))
