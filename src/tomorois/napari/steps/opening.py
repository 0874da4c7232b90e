"""Open: which tomograms, what their headers say, and which of them are painted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox, QFileDialog, QHeaderView, QLabel, QTableWidget, QTableWidgetItem

from tomocore.contract import FAILURES, one_line
from tomocore.files_of_tomograms import READABLE, volume_stem
from tomorois.info import inspect_file, report_lines
from tomorois.napari.steps.step import Step

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget


class OpenStep(Step):
    """The first page."""

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        self.head("Tomograms")
        row = self.row()
        self.button("Files…", self.ask_files, "Choose tomograms", row)
        self.button("Folder…", self.ask_folder, "Open all tomograms of a folder", row)
        row.addWidget(QLabel("Voxel (nm)"))
        self.edge = QDoubleSpinBox()
        self.edge.setDecimals(4)
        self.edge.setRange(0.0, 1000.0)
        self.edge.setSpecialValueText("of header")
        self.edge.setToolTip("Edge of a voxel in nm, whatever the headers say; for files opened from now on")
        row.addWidget(self.edge)
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
        """What `tomorois info` says of the tomogram in view."""
        state = self.loop.state
        assert state is not None
        try:
            report = inspect_file(state.session.tomogram)
        except FAILURES as error:
            self.facts.setText(one_line(error))
            return
        rows = [f"<tr><td>{name}&nbsp;</td><td>{text}</td></tr>" for name, text in report.facts]
        wrong = [f"<p>⚠ <b>looks wrong:</b> {problem}</p>" for problem in report.problems]
        edge = state.session.volume.voxel_size_nm
        used = f"<p>In use: {edge:.4g} nm ({10 * edge:.4g} Å) a voxel.</p>"
        title = f"<b>{volume_stem(state.session.tomogram)}</b>: {report.kind}"
        self.facts.setText(f"{title}<table>{''.join(rows)}</table>{used}{''.join(wrong)}")
        self.facts.setToolTip("\n".join(report_lines(report)))

    def ask_files(self) -> None:
        """Let a person choose files."""
        names, _ = QFileDialog.getOpenFileNames(self, f"Tomograms: {READABLE}")
        if names:
            self.open([Path(name) for name in names])

    def ask_folder(self) -> None:
        """Let a person choose a folder."""
        name = QFileDialog.getExistingDirectory(self, "Folder of tomograms")
        if name:
            self.open([Path(name)])

    def open(self, paths: list[Path]) -> None:
        """Open tomograms with the voxel size that is chosen."""
        self.loop.open_paths(paths, edge_nm=self.edge.value() or None)
