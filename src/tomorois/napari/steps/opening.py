"""Open: which tomograms, what their headers say, and which of them are painted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
)

from tomocore.files_of_tomograms import READABLE, volume_stem
from tomorois.info import FileReport, inspect_file, report_lines
from tomorois.loop.plan import PROJECT_FILE, plan_of_project_file, project_at
from tomorois.loop.state import loop_of_plan
from tomorois.napari.jobs import Job
from tomorois.napari.steps.step import Step
from tomorois.network.settings import Polarity

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget


class OpenStep(Step):
    """The first page."""

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        self._reports: dict[Path, FileReport] = {}
        self.head("Tomograms")
        row = self.row()
        self.button("Files…", self.ask_files, "Choose tomograms", row)
        self.button("Folder…", self.ask_folder, "Open all tomograms of a folder, or the project in it", row)
        self.button("Project…", self.ask_project, "Open the tomograms of a project of tomosurf", row)
        row = self.row()
        row.addWidget(QLabel("Voxel (nm)"))
        self.edge = QDoubleSpinBox()
        self.edge.setDecimals(4)
        self.edge.setRange(0.0, 1000.0)
        self.edge.setSpecialValueText("of header")
        self.edge.setToolTip("Edge of a voxel in nm, whatever the headers say; for files opened from now on")
        row.addWidget(self.edge, 1)
        row = self.row()
        row.addWidget(QLabel("Membranes look"))
        self.polarity = QComboBox()
        self.polarity.addItems(["dark", "bright"])
        self.polarity.setToolTip("In these tomograms; training and the magnet go by it")
        self.polarity.currentTextChanged.connect(self._take_polarity)
        row.addWidget(self.polarity, 1)
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["tomogram", "ROIs painted", "map"])
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.verticalHeader().setVisible(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.cellClicked.connect(lambda place, _: self.loop.go_to_tomogram(place))
        self.column.addWidget(self.table, 1)
        self.note("↑ ↓ go to the tomogram before and the next; what is painted is kept.")
        self.facts = self.note()
        self.facts.setTextFormat(Qt.TextFormat.RichText)
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def enter(self) -> None:
        """Show how far each tomogram is."""
        self.refresh()

    def tomogram_changed(self) -> None:
        """Show the facts of the one in view."""
        self.refresh()
        self.show_facts()

    def refresh(self) -> None:
        """Fill the table."""
        state = self.loop.state
        if state is None:
            return
        self.polarity.blockSignals(True)
        self.polarity.setCurrentText(state.train_settings.intensity.polarity)
        self.polarity.blockSignals(False)
        rows = state.session.overview()
        self.table.setRowCount(len(rows))
        for place, row in enumerate(rows):
            path = state.map_path(row.name)
            has_map = "yes" if path is not None and path.exists() else "–"
            for column, text in enumerate((row.name, str(row.rois or "–"), has_map)):
                item = QTableWidgetItem(text)
                font = item.font()
                font.setBold(row.in_view)
                item.setFont(font)
                self.table.setItem(place, column, item)
        self.table.selectRow(state.session.index)

    def show_facts(self) -> None:
        """What `tomorois info` says of the tomogram in view, once it was looked at."""
        state = self.loop.state
        assert state is not None
        report = self._reports.get(state.session.tomogram)
        if report is None:
            self.facts.setText("")
        else:
            self._show_report(report)

    def look_at_file(self) -> None:
        """Read beside the window, once for each tomogram, what `tomorois info` says of the one in view."""
        state = self.loop.state
        if state is not None and state.session.tomogram not in self._reports:
            tomogram = state.session.tomogram
            job = Job("Looking at the file", lambda job: inspect_file(tomogram), quiet=True)
            job.succeeded.connect(self._show_report)
            job.failed.connect(self.facts.setText)
            self.loop.jobs.start(f"facts of {tomogram}", job)

    def _show_report(self, report: FileReport) -> None:
        self._reports[report.path] = report
        state = self.loop.state
        if state is None or report.path != state.session.tomogram:
            return
        if report.polarity is not None and not state.polarity_is_known:
            self._take_polarity(report.polarity)
            if report.polarity == "bright":
                self.loop.tell("Membranes look bright here, by the histogram; if not, say so under 1 Open.")
        rows = [f"<tr><td>{name}&nbsp;</td><td>{text}</td></tr>" for name, text in report.facts]
        wrong = [f"<p>⚠ <b>looks wrong:</b> {problem}</p>" for problem in report.problems]
        edge = state.session.volume.voxel_size_nm
        used = f"<p>In use: {edge:.4g} nm ({10 * edge:.4g} Å) a voxel.</p>"
        title = f"<b>{volume_stem(state.session.tomogram)}</b>: {report.kind}"
        self.facts.setText(f"{title}<table>{''.join(rows)}</table>{used}{''.join(wrong)}")
        self.facts.setToolTip("\n".join(report_lines(report)))

    def ask_files(self) -> None:
        """Let a person choose files."""
        names, _ = QFileDialog.getOpenFileNames(self, f"Tomograms: {READABLE}", self.loop.last_folder)
        if names:
            self.open([Path(name) for name in names])

    def ask_folder(self) -> None:
        """Let a person choose a folder."""
        name = QFileDialog.getExistingDirectory(self, "Folder of tomograms", self.loop.last_folder)
        if name:
            self.open([Path(name)])

    def ask_project(self) -> None:
        """Let a person choose a project file."""
        name, _ = QFileDialog.getOpenFileName(
            self, "Project", self.loop.last_folder, f"Projects ({PROJECT_FILE} *.toml)"
        )
        if name:
            self.open([Path(name)])

    def open(self, paths: list[Path]) -> None:
        """Open tomograms with the voxel size that is chosen, or a project with what it says."""
        self.loop.last_folder = str(paths[0].parent)
        project = project_at(paths[0]) if len(paths) == 1 else None
        if project is None:
            self.loop.open_paths(paths, edge_nm=self.edge.value() or None)
            return
        job = Job(f"Opening {project}", lambda job: plan_of_project_file(project))
        self.loop.run("opening", job, lambda plan: self.loop.open(loop_of_plan(plan)))

    def _take_polarity(self, polarity: Polarity) -> None:
        if self.loop.state is not None:
            self.loop.state.take_polarity(polarity)
            self.refresh()
