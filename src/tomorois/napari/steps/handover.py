"""Hand over: membranes cut to the ROIs, SurfORA on them, its surfaces and numbers here."""

from __future__ import annotations

import subprocess
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHeaderView,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QTableWidgetItem,
)

from tomocore.contract import InputError
from tomocore.files_of_tomograms import volume_stem
from tomorois.instances.files import restrict_file
from tomorois.instances.restrict import RestrictSettings
from tomorois.loop.commands import handover_rois, surfaces_of, surfora_words
from tomorois.loop.measured import (
    CONTACT,
    Headings,
    MeasuredValue,
    array_headings,
    contact_of,
    measured_of,
    nearest_distance,
    nearest_hit,
    offered_arrays,
    told_headings,
)
from tomorois.napari import layers as names
from tomorois.napari.colours import contact_colours, limits_about, value_colours
from tomorois.napari.jobs import Job
from tomorois.napari.steps.step import Step

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

FAR_NM = 1e5
"""Farther than any tomogram reaches."""
STILL_PX = 4
"""A press and a release closer than this are a click."""


class HandOverStep(Step):
    """The page of the surfaces."""

    shows_paint = False  # it would hide them

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        self.head("Membranes of this tomogram")
        row = self.row()
        self.membranes = QLabel("none")
        self.membranes.setWordWrap(True)
        row.addWidget(self.membranes, 1)
        self.button("Choose…", self._ask_membranes, "A mask or labels of its membranes", row)
        row = self.row()
        row.addWidget(QLabel("options"))
        self.options = QLineEdit()
        self.options.setPlaceholderText("--labels 1=OMM,2=ER --distances OMM:ER")
        self.options.setToolTip("Further options of the command surfora run, as it is typed")
        row.addWidget(self.options, 1)
        row = self.row()
        self.cut = self.button(
            "Restrict", self.restrict, "Write the membranes within the ROIs, labelled by ROI", row
        )
        self.go = self.button(
            "Measure", lambda: self.measure(), "surfora run on this tomogram, within its ROIs", row
        )
        self.report = self.button(
            "Report", lambda: self._open_page(self._page()), "This tomogram's report, in the browser", row
        )
        self.project_report = self.button(
            "All tomograms", lambda: self._open_page(self._state().report), "The project's report", row
        )
        self.head("Surfaces")
        row = self.row()
        self.colour = QComboBox()
        self.colour.setToolTip("The number that colours the surfaces")
        self.colour.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.colour.currentIndexChanged.connect(lambda: self.loop.attempt(self.show_surfaces))
        row.addWidget(QLabel("colour by"))
        row.addWidget(self.colour, 1)
        self.list = QListWidget()
        self.list.setMaximumHeight(120)
        self.list.currentRowChanged.connect(lambda: self.loop.attempt(self._picked))
        self.column.addWidget(self.list)
        self.note("Click a surface in the view: its contact there, or else the surface, is shown below.")
        self.head("Its numbers")
        self.table = QTableWidget(0, 2)
        self.table.horizontalHeader().setVisible(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names differ at either end
        self.table.verticalHeader().setVisible(False)
        self.table.verticalHeader().setDefaultSectionSize(24)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.column.addWidget(self.table, 1)
        self._meshes: dict[str, Any] = {}
        self._headings: Headings = {}
        self._asked_for: tuple[str, ...] = ()
        self._told_for: tuple[str, ...] = ()
        self._contact = 0  # whose row is shown, where it is a contact's

    def enter(self) -> None:
        """Show what was measured on this tomogram; clicks in the view choose."""
        self.loop.viewer.mouse_drag_callbacks.append(self._on_drag)
        for name in (names.CONFIDENCE, names.MASK):
            self.loop.canvas.show(name, False)
        self.tomogram_changed()

    def leave(self) -> None:
        """Clicks are napari's own again, and slices come back into view."""
        if not self._hear_no_clicks():
            return
        canvas = self.loop.canvas
        canvas.cut_in_space(False)
        shown = [name for name in self._meshes if canvas.layer(name) is not None]
        for name in shown:
            canvas.show(name, False)
        if shown and canvas.is_3d:
            canvas.align(canvas.axis)

    def shut(self) -> None:
        """The window closes."""
        self._hear_no_clicks()

    def _hear_no_clicks(self) -> bool:
        """Leave clicks to napari; whether they were heard."""
        self.loop.hand.mark([])
        callbacks = self.loop.viewer.mouse_drag_callbacks
        if self._on_drag not in callbacks:
            return False
        callbacks.remove(self._on_drag)
        return True

    def tomogram_changed(self) -> None:
        """Another tomogram is in view."""
        state = self.loop.state
        if state is None or self.loop.step is not self:
            return
        path = state.membranes.get(state.session.tomogram)
        self.membranes.setText(path.name if path else "none: choose a mask or labels")
        self.jobs_changed()
        self._load()

    def jobs_changed(self) -> None:
        """Buttons as they can be pressed."""
        state = self.loop.state
        ready = state is not None and state.session.tomogram in state.membranes and state.has_rois
        self.cut.setEnabled(ready)
        self.go.setEnabled(ready and self.loop.jobs.job("surfora") is None)
        self.report.setEnabled(state is not None and self._page().exists())
        pages = state.report if state is not None else None
        self.project_report.setVisible(pages is not None)
        self.project_report.setEnabled(pages is not None and pages.exists())
        self._ask_headings()  # of surfaces that came into view while those of others were asked for

    def restrict(self) -> None:
        """Write the membranes within the grown ROIs, labelled by ROI."""
        state = self._state()
        membranes, rois = self._inputs()
        target = self._folder() / f"{state.session.name}__restricted.mrc"
        edge = state.session.voxel_size_nm
        job = Job(
            "Restricting",
            lambda job: restrict_file(
                membranes,
                rois,
                target,
                RestrictSettings(),
                voxel_size_nm=edge,
                overwrite=True,
                watcher=job.watcher,
            ),
        )
        self.loop.run("surfora", job, lambda _: self.loop.tell(f"Wrote {target}"))

    def measure(self, then: Any = None) -> bool:
        """Run SurfORA on this tomogram within its ROIs, in a process; whether it began."""
        state = self._state()
        membranes, rois = self._inputs()
        options = self.options.text().split()
        if state.session.voxel_size_nm:
            options += ["--voxel-size", f"{state.session.voxel_size_nm:g}"]
        words = surfora_words(membranes, rois, self._folder(), [*options, "--overwrite"])
        job = Job("SurfORA", lambda job: _run(words, job))
        return self.loop.run("surfora", job, lambda _: self._measured(then))

    def show_surfaces(self) -> None:
        """Draw the surfaces in space, coloured by the chosen number on one scale for all."""
        canvas, chosen = self.loop.canvas, self.colour.currentData()
        for name in self._meshes:
            canvas.remove(name)
        if not self._meshes or not chosen:
            return
        values = {name: _values(mesh, chosen) for name, mesh in self._meshes.items()}
        by_contact = chosen == CONTACT
        limits = limits_about(np.concatenate([v[np.isfinite(v)] for v in values.values()]))
        colormap = "PiYG" if limits[0] < 0 < limits[1] else "viridis"
        for name, mesh in self._meshes.items():
            colours = (
                contact_colours(values[name]) if by_contact else value_colours(values[name], limits, colormap)
            )
            canvas.viewer.add_surface(
                (
                    np.ascontiguousarray(np.asarray(mesh.points)[:, ::-1]),
                    _triangles(mesh)[:, ::-1],
                    np.nan_to_num(values[name]),
                ),
                name=name,
                vertex_colors=colours,
                colormap=colormap,
                contrast_limits=limits,
                metadata={"tomorois": True},
                units=("nm", "nm", "nm"),
                shading="smooth",
            )
        if not canvas.is_3d:
            canvas.viewer.dims.ndisplay = 3
            canvas.viewer.reset_view()
        canvas.cut_in_space(True)
        canvas.viewer.layers[next(iter(self._meshes))].colorbar.visible = not by_contact
        told = f"{len(self._meshes)} surfaces, {self.colour.currentText()}"
        self.loop.tell(told + ("." if by_contact else f" from {limits[0]:.3g} to {limits[1]:.3g}."))

    def _measured(self, then: Any) -> None:
        self._load()
        self.jobs_changed()
        self.loop.tell(f"Measured: {len(self._meshes)} surfaces in {self._folder()}.")
        if then is not None:
            then()

    def _load(self) -> None:
        """Read the surfaces that lie in this tomogram's folder."""
        import pyvista

        for name in self._meshes:
            self.loop.canvas.remove(name)
        files = sorted(self._folder().glob("*.medial.vtp")) or sorted(self._folder().glob("*.vtp"))
        files = [path for path in files if not path.name.endswith(".points.vtp")]
        self._meshes = {path.stem: pyvista.read(path) for path in files}
        for mesh in self._meshes.values():
            for name, values in nearest_distance(dict(mesh.point_data.items())).items():
                mesh.point_data[name] = values
        self._show_arrays()
        self.list.clear()
        for name in self._meshes:
            item = QListWidgetItem(self._short(name))
            item.setData(Qt.ItemDataRole.UserRole, name)
            self.list.addItem(item)
        self.show_surfaces()
        if self._meshes:
            self.list.setCurrentRow(0)
            self._ask_headings()

    def _show_arrays(self) -> None:
        """Offer what colours the surfaces, in words as far as they are known; what is chosen stays."""
        wanted = self.colour.currentData() or "mean_curvature_per_nm"
        self.colour.blockSignals(True)
        self.colour.clear()
        arrays = self._arrays()  # whose headings may be those of the surfaces before
        headings = self._headings if arrays == self._told_for else {}
        for name, heading in array_headings(arrays, headings).items():
            self.colour.addItem(self._short(heading), name)
        if any(CONTACT in mesh.point_data for mesh in self._meshes.values()):
            self.colour.insertItem(1, "contact", CONTACT)
        self.colour.setCurrentIndex(max(self.colour.findData(wanted), 0))
        self.colour.blockSignals(False)

    def _arrays(self) -> tuple[str, ...]:
        """The arrays of the surfaces that hold a number a point."""
        meshes = self._meshes.values()
        found = [name for mesh in meshes for name, values in mesh.point_data.items() if values.ndim == 1]
        return offered_arrays(found)

    def _picked(self) -> None:
        """The rows of the surface in view in the tables of the run."""
        self._contact = 0
        item = self.list.currentItem()
        if item is None:
            self.table.setRowCount(0)
            return
        name = str(item.data(Qt.ItemDataRole.UserRole))
        surface = name.removesuffix(".medial")
        self._show_values(measured_of(self._folder(), surface, self._headings))
        layer = self.loop.canvas.layer(name)
        if layer is not None:
            self.loop.viewer.layers.selection.active = layer

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        """A click in space, which is a press and a release without a way between, chooses what is there."""
        if event.button != 1 or event.view_direction is None or not self._meshes:
            return
        start, way = np.array(event.position)[::-1], np.array(event.view_direction)[::-1]
        pressed = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - pressed).max() <= STILL_PX:
            self.loop.attempt(lambda: self.pick(start, way))

    def pick(self, place: NDArray[np.float64], way: NDArray[np.float64]) -> None:
        """Choose what a line through a ``place`` along a ``way`` (3,) x, y, z in nm meets first.

        Of a contact its row is shown, else those of the surface.
        """
        shown = {
            name: (np.asarray(mesh.points), _triangles(mesh))
            for name, mesh in self._meshes.items()
            if (layer := self.loop.canvas.layer(name)) is not None and layer.visible
        }
        hit = nearest_hit(shown, place - FAR_NM * way, way)
        if hit is None:
            return
        name, vertex = hit
        mesh = self._meshes[name]
        self.list.setCurrentRow(list(self._meshes).index(name))
        self._picked()
        x, y, z = np.asarray(mesh.points)[vertex]
        self.loop.hand.mark([self.loop.canvas.voxel((z, y, x))])
        told = self._short(name).removesuffix(".medial")
        if self.colour.currentData() != CONTACT:
            value = _values(mesh, self.colour.currentData())[vertex]
            told += f": {self.colour.currentText()} {value:.3g} here"
        contact = int(mesh.point_data[CONTACT][vertex]) if CONTACT in mesh.point_data else 0
        if contact > 0 and self._show_contact(contact):
            told += f", in contact {contact}"
        self.loop.tell(f"{told}.")

    def _show_contact(self, contact: int) -> bool:
        """Show the row of a contact; whether it has one."""
        rows = contact_of(self._folder(), contact, self._headings)
        if rows:
            self._contact = contact
            self._show_values(rows)
        return bool(rows)

    def _show_values(self, values: list[MeasuredValue]) -> None:
        self.table.clearSpans()
        self.table.setRowCount(len(values))
        for place, one in enumerate(values):
            for column, text in enumerate((one.heading, one.value)):
                item = QTableWidgetItem(text)
                item.setToolTip(one.meaning)
                font = item.font()
                font.setBold(not one.value)
                item.setFont(font)
                self.table.setItem(place, column, item)
            if not one.value:
                self.table.setSpan(place, 0, 1, 2)

    def _ask_headings(self) -> None:
        """Learn what columns and arrays are called, beside the window, once they are others than before."""
        arrays = self._arrays()

        def told(headings: Headings) -> None:
            self._headings, self._told_for = headings, arrays
            if arrays == self._arrays():
                self._show_arrays()
                if not (self._contact and self._show_contact(self._contact)):
                    self._picked()

        if arrays and arrays != self._asked_for:
            job = Job("Headings", lambda job: told_headings(arrays), quiet=True)
            job.succeeded.connect(told)
            if self.loop.jobs.start("headings", job):
                self._asked_for = arrays

    def _inputs(self) -> tuple[Path, Path]:
        """The membranes in view, and the ROIs of them that are to be measured."""
        state = self._state()
        tomogram = state.session.tomogram
        if tomogram not in state.membranes:
            raise InputError("which membranes? Choose a mask or labels of this tomogram's")
        curation = self.loop.curation()
        if curation is None or state.session.name not in curation.stems:
            raise InputError("there are no ROIs of this tomogram yet; predict and make ROIs first")
        curation.write()
        rois = curation.curated / f"{volume_stem(tomogram)}__rois.npz"
        return state.membranes[tomogram], handover_rois(rois, self._folder())

    def _ask_membranes(self) -> None:
        state = self._state()
        name, _ = QFileDialog.getOpenFileName(self, "Membranes of this tomogram")
        if name:
            state.membranes[state.session.tomogram] = Path(name)
            self.tomogram_changed()

    def _open_page(self, page: Path) -> None:
        webbrowser.open(page.resolve().as_uri())

    def _short(self, words: str) -> str:
        """Words without the name of the tomogram, which all surfaces here have in theirs."""
        return words.replace(f"{self._state().session.name}__", "")

    def _page(self) -> Path:
        return self._folder() / "report.html"

    def _folder(self) -> Path:
        state = self._state()
        return surfaces_of(state.folder, state.session.tomogram)

    def _state(self) -> Any:
        if self.loop.state is None:
            raise InputError("no tomogram is open; open one first")
        return self.loop.state


def _run(words: list[str], job: Job) -> None:
    """A command to its end, or until it is stopped. Raises InputError with its last line where it fails."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines: list[str] = []
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip():
                    lines.append(line.strip())
                    job.said.emit(line.strip())
                job.stop_if_asked()
        except BaseException:
            process.terminate()
            raise
        if process.wait():
            wrong = [line for line in lines if line.startswith(("error", "failed"))] or lines[-1:]
            raise InputError("; ".join(wrong) or "surfora failed without a word; run it in a terminal")


def _triangles(mesh: Any) -> Any:
    return np.asarray(mesh.faces).reshape(-1, 4)[:, 1:]


def _values(mesh: Any, name: str) -> Any:
    if name in mesh.point_data:
        return np.asarray(mesh.point_data[name], dtype=np.float32)
    return np.full(mesh.n_points, np.nan, np.float32)
