"""The panel beside the view: surfaces, colours, what a selection takes, cut and slice. It only asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QSlider,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from surfora.editor.picking import TOLERANCE_NM
from surfora.geometry.colours import Colouring

STEPS = 1000
BY_SURFACE = "by surface"
AXES = ("x", "y", "z")


class Panel(QWidget):
    """Settings of the view and of selections; every change is a signal."""

    layer_switched = Signal(int, bool)
    coloured = Signal(str)
    limited = Signal(float, float)
    sized = Signal(float)
    ruled = Signal(str)
    clipped = Signal(object)  # (axis, place in nm, whether the upper side goes) or None
    sliced = Signal(object)  # (axis, place in nm) or None
    remade = Signal()

    def __init__(self, low_nm: list[float], high_nm: list[float], with_volume: bool) -> None:
        super().__init__()
        self._low, self._high = low_nm, high_nm
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        for group in (
            self._surfaces_group(),
            self._colour_group(),
            self._selection_group(),
            self._cut_group(),
            self._slice_group(with_volume),
        ):
            column.addWidget(group)
        self.remake = QPushButton("Mesh and measure")
        self.remake.setToolTip(
            "mesh the edited points anew, measure them, and distances to the other surfaces"
        )
        self.remake.clicked.connect(self.remade)
        column.addWidget(self.remake)
        self.results = QTextBrowser()
        self.results.setVisible(False)
        self.results.setMinimumHeight(120)
        column.addWidget(self.results, 1)
        column.addStretch(1)

    def _surfaces_group(self) -> QGroupBox:
        self.surfaces = QListWidget()
        self.surfaces.setMaximumHeight(90)
        self.surfaces.setTextElideMode(Qt.TextElideMode.ElideLeft)  # what tells files apart is at their end
        self.surfaces.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.surfaces.itemChanged.connect(
            lambda item: self.layer_switched.emit(
                self.surfaces.row(item), item.checkState() == Qt.CheckState.Checked
            )
        )
        return _group("Surfaces", self.surfaces)

    def _colour_group(self) -> QGroupBox:
        self.array = QComboBox()
        self.array.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.array.setMinimumContentsLength(12)
        self.array.currentIndexChanged.connect(lambda at: self.coloured.emit(self.array.itemData(at) or ""))
        self.low, self.high = _number(-1e9, 1e9, 0.0), _number(-1e9, 1e9, 1.0)
        for box in (self.low, self.high):
            box.setDecimals(4)
            box.editingFinished.connect(self._limit)
        self.point_size = _number(1, 20, 3, "px")
        self.point_size.valueChanged.connect(self.sized)
        return _group(
            "Colour", self.array, ("from, to", _row(self.low, self.high)), ("points", self.point_size)
        )

    def _selection_group(self) -> QGroupBox:
        self.tolerance = _number(0, 1000, TOLERANCE_NM, "nm")
        self.tolerance.setToolTip("how far behind the surface in front a point may lie and still be taken")
        self.distance = _number(0.1, 1000, 5.0, "nm")
        self.distance.setToolTip("by which + and − grow and shrink the selection along the surface")
        self.rule = QLineEdit()
        self.rule.setPlaceholderText("label == 2 & z_nm > 40")
        self.rule.setToolTip("choose by arrays: <, <=, >, >=, ==, !=, & and, | or, ~ not, brackets")
        self.rule.returnPressed.connect(lambda: self.ruled.emit(self.rule.text()))
        go = QPushButton("Select")
        go.clicked.connect(lambda: self.ruled.emit(self.rule.text()))
        return _group("Selection", self.rule, go, ("depth", self.tolerance), ("grow by", self.distance))

    def _cut_group(self) -> QGroupBox:
        self.cut = QCheckBox("cut at")
        self.cut_axis = QComboBox()
        self.cut_axis.addItems(AXES)
        self.cut_place = _slider()
        self.cut_upper = QCheckBox("other side")
        self.cut.toggled.connect(self._clip)
        self.cut_axis.currentIndexChanged.connect(self._clip)
        self.cut_place.valueChanged.connect(self._clip)
        self.cut_upper.toggled.connect(self._clip)
        return _group("Cut", _row(self.cut, self.cut_axis, self.cut_upper), self.cut_place)

    def _slice_group(self, with_volume: bool) -> QGroupBox:
        self.slice_axis = QComboBox()
        self.slice_axis.addItems(["none", *AXES])
        self.slice_place = _slider()
        self.slice_axis.currentIndexChanged.connect(self._slice)
        self.slice_place.valueChanged.connect(self._slice)
        group = _group("Slice of the volume", self.slice_axis, self.slice_place)
        group.setVisible(with_volume)
        return group

    def show_layers(self, names: list[str], shown: list[bool]) -> None:
        """List the surfaces."""
        self.surfaces.blockSignals(True)
        self.surfaces.clear()
        for name, is_shown in zip(names, shown, strict=True):
            item = QListWidgetItem(name)
            item.setToolTip(name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if is_shown else Qt.CheckState.Unchecked)
            self.surfaces.addItem(item)
        self.surfaces.blockSignals(False)

    def show_arrays(self, names: list[str], current: str) -> None:
        """Offer arrays to colour by."""
        self.array.blockSignals(True)
        self.array.clear()
        self.array.addItem(BY_SURFACE, "")
        for name in names:
            self.array.addItem(name, name)
        self.array.setCurrentIndex(max(self.array.findData(current), 0))
        self.array.blockSignals(False)

    def show_results(self, lines: Sequence[str]) -> None:
        """List what was measured."""
        self.results.setVisible(True)
        self.results.setPlainText("\n".join(lines))

    def show_limits(self, colouring: Colouring) -> None:
        """Show between which values colours run."""
        for box, value in zip((self.low, self.high), colouring.limits, strict=True):
            box.blockSignals(True)
            box.setEnabled(bool(colouring.name))
            box.setSingleStep(max(abs(colouring.limits[1] - colouring.limits[0]) / 20, 1e-4))
            box.setValue(value)
            box.blockSignals(False)

    def show_volume(self, low_nm: list[float], high_nm: list[float]) -> None:
        """Let the slice's slider run over a volume."""
        self._slice_low, self._slice_high = low_nm, high_nm

    _slice_low: list[float] | None = None
    _slice_high: list[float] | None = None

    def _limit(self) -> None:
        if self.high.value() > self.low.value():
            self.limited.emit(self.low.value(), self.high.value())

    def _clip(self, *_: Any) -> None:
        axis = self.cut_axis.currentIndex()
        place = _place(self.cut_place, self._low[axis], self._high[axis])
        self.clipped.emit((axis, place, self.cut_upper.isChecked()) if self.cut.isChecked() else None)

    def _slice(self, *_: Any) -> None:
        axis = self.slice_axis.currentIndex() - 1
        low, high = self._slice_low or self._low, self._slice_high or self._high
        self.sliced.emit(None if axis < 0 else (axis, _place(self.slice_place, low[axis], high[axis])))


def _place(slider: QSlider, low: float, high: float) -> float:
    return low + (high - low) * slider.value() / STEPS


def _slider() -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, STEPS)
    slider.setValue(STEPS // 2)
    return slider


def _number(low: float, high: float, value: float, unit: str = "") -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(f" {unit}" if unit else "")
    box.setKeyboardTracking(False)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return box


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        line.addWidget(widget)
    return row


def _group(title: str, *rows: QWidget | tuple[str, QWidget]) -> QGroupBox:
    group = QGroupBox(title)
    form = QFormLayout(group)
    form.setContentsMargins(6, 4, 6, 6)
    for row in rows:
        if isinstance(row, tuple):
            form.addRow(*row)
        else:
            form.addRow(row)
    return group
