"""The editor's window: the view of a session, its files, measuring anew, and closing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from surfora.editor.files import changed_layers, open_session, save_edited
from surfora.editor.journal import edited_path
from surfora.editor.layers import Scale
from surfora.editor.request import EditRequest
from surfora.editor.session import Session
from surfora.editor.view_window import ViewWindow
from surfora.editor.worker import Job
from surfora.masks.values import labelled
from surfora.settings import SurforaSettings
from tomocore.contract import Progress
from tomocore.settings import load_settings
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume

MOST_WAIT_S = 20.0


class EditorWindow(ViewWindow):
    """A session in a window. Verbs of `ACTIONS` are its methods or its session's."""

    def __init__(
        self,
        session: Session,
        volume: Volume | None = None,
        settings: SurforaSettings | None = None,
        mask: Volume | None = None,
    ) -> None:
        """A window on a session, with a slice of a volume behind it.

        settings: of meshing and measuring, else the defaults; mask: of what is meshed anew.
        """
        super().__init__(session, volume)
        self.settings = settings or SurforaSettings()
        self.meshed_within = mask

    # verbs: files

    def save(self) -> str:
        """Write every edited surface as NAME.edited.vtp."""
        changed = changed_layers(self.session)
        if not changed:
            return "nothing is edited, so there is nothing to save"
        targets = {number: edited_path(self.session.layers[number].path) for number in changed}
        there = [path for path in targets.values() if path.exists() and path not in self._written]
        if there and not self._agreed(f"{', '.join(path.name for path in there)} exists. Write over it?"):
            return "not saved"
        return self._saved(targets)

    def save_as(self) -> str:
        """Write one surface, the first that is edited, under a name of choice."""
        number = next(iter(changed_layers(self.session)), 0)
        name, _ = QFileDialog.getSaveFileName(
            self, "Save as", str(edited_path(self.session.layers[number].path)), "Surfaces (*.vtp *.ply)"
        )
        return self._saved({number: Path(name)}) if name else "not saved"

    def _saved(self, targets: dict[int, Path]) -> str:
        written = save_edited(self.session, targets)
        self._written.update(written)
        return f"saved {', '.join(path.name for path in written)}"

    def add_file(self) -> str | None:
        """Show and edit one more surface."""
        names, _ = QFileDialog.getOpenFileNames(self, "Add surfaces", str(self.session.layers[0].path.parent))
        for name in names:
            self.add_surface(Path(name))
        return f"added {len(names)}" if names else None

    def add_surface(self, path: Path) -> None:
        """Take one more surface in."""
        self._neighbours.wait()
        layer = self.session.add_layer(path)
        self.scene.add_layer(layer)
        self._neighbours = Job(lambda progress: self.session.links.nnz, self)
        self._neighbours.start()
        self.panel.show_layers([one.path.name for one in self.session.layers], self.session.layer_shown)
        self.panel.show_arrays(self.session.array_names(), self.scene.colouring.name)

    # verbs: measuring

    def remake(self) -> str:
        """Mesh and measure the surface that is selected in part, or the first, beside the work at hand."""
        if self.job is not None:
            return "something is running; Ctrl+. stops it"
        from surfora.editor.remake import other_meshes, remade_path, remake

        session = self.session
        chosen = session.layer_of[session.selected]
        number = int(chosen[0]) if len(chosen) else 0
        layer, surface = session.layers[number], session.edited(number)
        drawn = [n for n, is_shown in enumerate(session.layer_shown) if is_shown and n != number]
        others = other_meshes(
            [session.layers[n] for n in drawn], [session.edited(n) for n in drawn], layer.path
        )
        target = remade_path(layer.path)
        is_others = target.exists() and target not in self._written
        if is_others and not self._agreed(f"{target.name} exists. Write over it?"):
            return "not measured"
        self._run(
            lambda progress: remake(
                surface, layer.facts, target, others, self.settings, self.meshed_within, progress
            ),
            lambda made: self._on_remade(made, number),
        )
        return f"meshing and measuring {layer.path.name}; Ctrl+. stops it"

    def _on_remade(self, made: Any, source: int) -> None:
        """Show what was made in the place of what it was made of."""
        self._written.add(made.path)
        for number, layer in enumerate(self.session.layers):
            if layer.path == made.path:  # of an earlier time
                self.session.layer_shown[number] = False
        self.session.layer_shown[source] = False
        if self.session.journal is not None:
            self.session.journal.append_remade(made.path, self.session.layers[source].path)
        self._try(lambda: self.add_surface(made.path))
        if "mean_curvature_per_nm" in self.session.array_names():
            self.panel.array.setCurrentIndex(self.panel.array.findData("mean_curvature_per_nm"))
        self.panel.show_results([made.path.name, *made.lines])
        self.say(f"wrote {made.path.name}: {', '.join(made.lines[:2])}")

    def cancel(self) -> str:
        """Stop what is running."""
        if self.job is None:
            return "nothing is running"
        self.job.cancel()
        return "stopping at the next step …"

    def _run(self, work: Callable[[Progress], Any], then: Callable[[Any], None]) -> None:
        self.job = Job(work, self)
        self.bar.setRange(0, 0)
        self.bar.setVisible(True)
        self.job.progressed.connect(self._on_progress)
        self.job.succeeded.connect(lambda result: self._ended(lambda: then(result)))
        self.job.failed.connect(lambda line: self._ended(lambda: self.say(line, wrong=True)))
        self.job.cancelled.connect(lambda: self._ended(lambda: self.say("stopped; nothing was written")))
        self.job.start()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _ended(self, then: Callable[[], None]) -> None:
        self.job = None
        self.bar.setVisible(False)
        then()

    # closing

    def _agreed(self, question: str) -> bool:
        """Whether a person says yes."""
        answer = QMessageBox.question(self, "SurfORA editor", question)
        return answer == QMessageBox.StandardButton.Yes

    def _may_close(self) -> bool:
        if not self.session.is_unsaved:
            return True
        box = QMessageBox(self)
        box.setWindowTitle("Edits are not saved")
        box.setText("Save the edited surfaces before closing?")
        box.setInformativeText("Closing without loses nothing: opened again, the editor restores all edits.")
        button = QMessageBox.StandardButton
        box.setStandardButtons(button.Save | button.Close | button.Cancel)
        box.setDefaultButton(button.Save)
        answer = box.exec()
        if answer == button.Save:
            self._try(self.save)
            return not self.session.is_unsaved
        return bool(answer == button.Close)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about edits that no file has; then stop what runs, and let go of the view."""
        if not self._may_close():
            event.ignore()
            return
        if self.job is not None:
            self.job.cancel()
            self.job.wait(MOST_WAIT_S)
        self._neighbours.wait(MOST_WAIT_S)
        self.memory.setValue("geometry", self.saveGeometry())
        self.memory.setValue("state", self.saveState())
        self.memory.sync()
        if self.session.journal is not None:
            self.session.journal.close()
        if self._help is not None:
            self._help.close()
        self.view.close()
        super().closeEvent(event)


def run_editor(request: EditRequest) -> int:
    """Open files in a window and wait until it is closed; the status of the application."""
    size_nm = request.voxel_size_nm
    settings = load_settings(SurforaSettings, request.settings)
    shown = read_volume(request.volume, size_nm, lazy=True) if request.volume is not None else None
    mask = labelled(read_volume(request.mask, size_nm), request.mask) if request.mask is not None else None
    scale = Scale(request.unit, size_nm)
    session = open_session(request.files, request.edits, request.anew, scale)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C in the terminal ends it; the edits are on the disk
    app = QApplication.instance() or QApplication(["surfora"])
    window = EditorWindow(session, shown if shown is not None else mask, settings, mask)
    window.show()
    return int(app.exec())
