"""Large tomograms and maps: read into memory beside the window, and made coarser for the view in space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from qtpy.QtCore import Qt

from tomocore.machine import available_memory_bytes
from tomorois.annotation.session import AnnotationSession, in_memory, is_in_memory, voxel_bytes
from tomorois.napari.jobs import Job

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

MOST_OF_MEMORY = 0.4
"""Share of the free memory up to which a large tomogram or map is read whole, in the background."""


class Reading:
    """What is read beside a window, for it; large files are drawn from the disk meanwhile."""

    def __init__(self, window: LoopWidget) -> None:
        self.window = window

    def take_in_tomogram(self) -> None:
        """Read the tomogram in view, so that it is smooth in all directions."""
        window, state = self.window, self.window.state
        assert state is not None
        session, tomogram = state.session, state.session.tomogram

        def taken(voxels: NDArray[Any]) -> None:
            session.take_in(tomogram, voxels)
            if self._is_in_view(session, tomogram):
                window.canvas.take_in(voxels)
                window.tell(f"{session.name} is in memory now: smooth along x and y, too.")

        self.read("reading", session.name, session.volume.data, taken)

    def read(self, kind: str, what: str, data: Any, then: Callable[[NDArray[Any]], None]) -> None:
        """Read voxels on the disk for ``then``, where there is room for them.

        What is being read of the same kind is given up for them.
        """
        window = self.window
        title, earlier = f"Reading {what}", window.jobs.job(kind)
        if window.is_shut or is_in_memory(data) or (earlier is not None and earlier.title == title):
            return
        if earlier is not None:
            again = Qt.ConnectionType.QueuedConnection
            earlier.ended.connect(lambda: self.read(kind, what, data, then), again)
            earlier.stop()
            return
        if voxel_bytes(data) > MOST_OF_MEMORY * available_memory_bytes():
            return

        def read(job: Job) -> NDArray[Any]:
            with job.watcher.progress("Reading") as progress:
                return in_memory(data, progress)

        window.run(kind, Job(title, read), then)

    def make_space(self, _: Any = None) -> None:
        """Make what space shows of a large tomogram and its map, once space is asked for."""
        window = self.window
        window.canvas.ease_space()
        unmade = window.canvas.unmade() if window.canvas.is_3d else None
        if unmade is None or window.jobs.job("space"):
            return
        coarser, shown_by = unmade

        def make(job: Job) -> Any:
            with job.watcher.progress("Space") as progress:
                return coarser.make(progress)

        def made(_: Any) -> None:
            for name in shown_by:
                window.canvas.refresh(name)
            self.make_space()  # of what came into view meanwhile

        window.run("space", Job("Making the view in space", make), made)

    def _is_in_view(self, session: AnnotationSession, tomogram: Path) -> bool:
        """Whether a tomogram of a session is still in view, as the work ends."""
        state = self.window.state
        return state is not None and state.session is session and session.tomogram == tomogram
