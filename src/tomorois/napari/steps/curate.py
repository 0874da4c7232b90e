"""Curate: ROI by ROI, the least sure first, one key each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox, QGridLayout, QHeaderView, QLabel, QProgressBar, QTableView

from tomocore.page import shown
from tomorois.annotation.curation import Curation
from tomorois.annotation.judged_roi import STATUS_TOLD, JudgedRoi
from tomorois.napari import layers as names
from tomorois.napari.colours import IN_VIEW_VALUE, STATUS_VALUES, status_colours
from tomorois.napari.steps.planes import ThreePlanes
from tomorois.napari.steps.step import Step, small_button

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

COLUMNS = ("tomogram", "id", "status", "conf.", "nm³", "pair", "tilt °")
TIPS = (
    "The tomogram it lies in",
    "Its number there",
    "What was said of it",
    "Mean confidence of the network, 0 to 1",
    "Volume in nm³",
    "The pair of membranes between which it lies",
    "Angle between its thinnest direction and z: 0 lies flat in the slice, 90 stands on edge",
)
STATUS, PAIR = COLUMNS.index("status"), COLUMNS.index("pair")
BUTTONS = (
    ("Keep  K", "keep"),
    ("Reject  R", "reject"),
    ("Not sure  U", "unsure"),
    ("Undo  Ctrl+Z", "undo"),
    ("◂ Previous  P", "previous_roi"),
    ("Next ▸  N", "next_roi"),
    ("Split  S", "tool_split"),
    ("Seeds  G", "tool_seeds"),
    ("Merge  M", "tool_merge"),
    ("Redraw  E", "tool_redraw"),
    ("Draw missed  D", "tool_draw"),
    ("Hide others  H", "toggle_others"),
)
EXTENT_OF_ROI = 4.0
"""How many times its size is in view about an ROI."""
LEAST_EXTENT_VOXELS = 100
"""And at least so many voxels: a small place is judged by what lies about it."""


class RoiTable(QAbstractTableModel):
    """The ROIs of all tomograms as Qt's table model, in the order of the curation."""

    def __init__(self) -> None:
        super().__init__()
        self.curation: Curation | None = None
        self.rows: list[JudgedRoi] = []

    def show(self, curation: Curation | None) -> None:
        """Take the ROIs as they are now."""
        rows = curation.ordered() if curation is not None else []
        same = len(rows) == len(self.rows) and all(a is b for a, b in zip(rows, self.rows, strict=True))
        self.curation = curation
        if same:
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Any = None) -> int:
        """Qt asks for the number of rows."""
        return len(self.rows)

    def columnCount(self, parent: Any = None) -> int:
        """Qt asks for the number of columns."""
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt asks for the headings."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return TIPS[section]
        return None

    def data(self, index: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt asks for a cell."""
        roi = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(roi, index.column())
        if role == Qt.ItemDataRole.DecorationRole and index.column() == STATUS:
            return QColor(names.STATUS_COLOURS[roi.status])
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 0:
            return roi.stem
        return None

    def _text(self, roi: JudgedRoi, column: int) -> str:
        assert self.curation is not None
        if column == 0:
            return roi.stem
        if column == 1:
            return str(roi.id)
        if column == STATUS:
            return status_told(roi)
        if column == 3:
            return f"{roi.confidence:.2f}" if np.isfinite(roi.confidence) else "–"
        if column == 4:
            return shown(float(f"{roi.voxels * self.curation.voxel_size_nm(roi.stem) ** 3:.3g}"))
        if column == PAIR:
            return roi.membranes or "–"
        return f"{roi.tilt_deg:.0f}" if np.isfinite(roi.tilt_deg) else "–"


def status_told(roi: JudgedRoi) -> str:
    """What was said of an ROI, or that it is other than at the last look."""
    if roi.changed:
        return "changed" if roi.status == "predicted" else f"{STATUS_TOLD[roi.status]}, changed"
    return STATUS_TOLD[roi.status]


class CurateStep(Step):
    """The page of the judge."""

    shows_paint = False  # colours are those of judgements here

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        row = self.row()
        self.progress = QProgressBar()
        row.addWidget(self.progress, 1)
        row.addWidget(QLabel("order"))
        self.order = QComboBox()
        self.order.addItems(["least sure", "tomogram", "largest", "smallest"])
        self.order.currentTextChanged.connect(self._reorder)
        row.addWidget(self.order)
        self.planes = ThreePlanes()
        self.column.addWidget(self.planes)
        self.shown = self.note("Predict, and make ROIs; they are judged here.")
        self._build_buttons()
        self._boxes: list[Any] = []
        self.model = RoiTable()
        self.table = QTableView()
        self.table.setModel(self.model)
        self.table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().setVisible(False)
        self.table.verticalHeader().setDefaultSectionSize(22)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names differ at either end
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.clicked.connect(self._clicked)
        self.table.setMinimumHeight(140)
        self.column.addWidget(self.table, 1)
        row = self.row()
        self.button(
            "Train on what was judged",
            self._train,
            "Kept ROIs are taught, rejected ones become the penalty; then: predict and look again",
            row,
        )

    def enter(self) -> None:
        """Show the ROI in view."""
        curation = self.loop.curation()
        if curation is None:
            self.loop.tell("There are no ROIs yet: predict, then make ROIs.")
            self.refresh()
            return
        self.loop.canvas.show(names.MASK, False)
        self.refresh()
        if curation.roi is not None:
            self.loop.actions_by_name.look_at(curation.roi)
        self.loop.canvas.focus()

    def leave(self) -> None:
        """ROIs leave the view; what was judged is written."""
        if self.loop.state is not None and self.loop.state.curation is not None:
            self.loop.attempt(self.loop.state.curation.write)
        self.loop.canvas.show(names.ROIS, False)

    def tomogram_changed(self) -> None:
        """Draw the ROIs of the tomogram in view."""
        if self.loop.step is self:
            self._draw(None)

    def refresh(self) -> None:
        """Fill table and bar."""
        curation = self.loop.state.curation if self.loop.state else None
        seen, total = curation.seen() if curation else (0, 0)
        self.progress.setMaximum(max(total, 1))
        self.progress.setValue(seen)
        self.progress.setFormat(f"{seen} of {total} seen")
        self.model.show(curation)
        self.table.setColumnHidden(PAIR, not any(roi.membranes for roi in self.model.rows))
        if curation is not None and curation.current is not None:
            place = next((n for n, roi in enumerate(self.model.rows) if roi.key == curation.current), None)
            if place is not None:
                self.table.selectRow(place)

    def show_roi(self, roi: JudgedRoi) -> None:
        """Fly to an ROI, and draw it in three planes."""
        if self.loop.step is not self or self.loop.state is None or self.loop.state.curation is None:
            return
        canvas, curation = self.loop.canvas, self.loop.state.curation
        self._draw(roi)
        edge = curation.voxel_size_nm(roi.stem)
        canvas.fly_to(roi.centre(), max(EXTENT_OF_ROI * max(roi.mask.shape), LEAST_EXTENT_VOXELS) * edge)
        tomogram = canvas.layer(names.TOMOGRAM)
        limits = tuple(tomogram.contrast_limits) if tomogram is not None else (0.0, 1.0)
        if tomogram is not None and tomogram.colormap.name == "gray_r":
            limits = limits[::-1]
        colour = names.STATUS_COLOURS[roi.status]
        self.planes.show_roi(roi, self.loop.state.session.volume.data, limits, colour)
        confidence = f", confidence {roi.confidence:.2f}" if np.isfinite(roi.confidence) else ""
        pair = f", membranes {roi.membranes}" if roi.membranes else ""
        self.shown.setText(f"<b>{roi.stem} · {roi.id}</b>: {status_told(roi)}{confidence}{pair}")

    def _draw(self, roi: JudgedRoi | None) -> None:
        """The ROIs of the tomogram in view, coloured by what was said; the one in view in its own colour."""
        state, canvas = self.loop.state, self.loop.canvas
        if state is None or state.curation is None or state.session.name not in state.curation.stems:
            return
        layer = canvas.layer(names.ROIS)
        if layer is None or not layer.visible:
            empty = np.zeros(state.session.volume.shape, np.uint8)
            canvas.show_labels(names.ROIS, empty, status_colours(), 0.55)
            self._boxes = []
        values = canvas.labels(names.ROIS)
        assert values is not None
        for box in self._boxes:
            values[box] = 0
        current = roi.key if roi is not None else state.curation.current
        rois = sorted(state.curation.of(state.session.name), key=lambda one: one.key == current)
        if self.loop.actions_by_name.only_in_view:
            rois = [one for one in rois if one.key == current]
        for one in rois:
            value = IN_VIEW_VALUE if one.key == current else STATUS_VALUES[one.status]
            values[one.box][one.mask] = value
        self._boxes = [one.box for one in rois]
        canvas.refresh(names.ROIS)

    def _build_buttons(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(3)
        for place, (text, action) in enumerate(BUTTONS):
            button = small_button(text)
            button.clicked.connect(lambda _, name=action: self._act(name))
            grid.addWidget(button, place // 4, place % 4)
        self.column.addLayout(grid)

    def _act(self, name: str) -> None:
        self.loop.actions_by_name.of(name)()
        self.loop.canvas.focus()

    def _clicked(self, index: QModelIndex) -> None:
        curation = self.loop.curation()
        if curation is not None:
            roi = curation.look_at(self.model.rows[index.row()].key)
            self.loop.attempt(lambda: self.loop.actions_by_name.look_at(roi))

    def _reorder(self, order: str) -> None:
        curation = self.loop.curation()
        if curation is not None:
            curation.order_by = order  # type: ignore[assignment]
            self.refresh()

    def _train(self) -> None:
        self.loop.fine_tune()
