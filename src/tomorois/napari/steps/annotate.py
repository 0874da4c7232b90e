"""Annotate: tools, what they paint, and how far one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSpinBox,
)

from tomorois.annotation.session import advice
from tomorois.annotation.written_labels import REST_TOLD
from tomorois.napari.layers import CLASS_COLOURS
from tomorois.napari.steps.step import Step, small_button
from tomorois.napari.tools import Tool

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

TOOLS: tuple[tuple[Tool, str], ...] = (
    ("look", "Look  Esc"),
    ("sphere", "Sphere  S"),
    ("circle", "Circle  C"),
    ("tube", "Tube  G"),
    ("brush", "Brush  B"),
    ("lasso", "Lasso  L"),
    ("fill", "Fill  F"),
    ("copy", "Take over  V"),
)
COUNT_WAIT_MS = 250
KINDS = (("roi", "ROI"), ("background", "not an ROI  T"), ("ignore", "ignore  Q"), ("erase", "erase  E"))


class AnnotateStep(Step):
    """The page of the painter."""

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        self.head("Tool")
        self._build_tools()
        row = self.row()
        row.addWidget(QLabel("Radius"))
        self.radius = QDoubleSpinBox()
        self.radius.setRange(1.0, 500.0)
        self.radius.setSuffix(" nm")
        self.radius.setToolTip("Radius of sphere, tube and brush: [ and ], or Ctrl and the wheel")
        self.radius.valueChanged.connect(self._choose_radius)
        row.addWidget(self.radius)
        self.flat = QCheckBox("flat  D")
        self.flat.setToolTip("The brush paints in this slice only; else a ball")
        self.flat.toggled.connect(self._choose_flat)
        row.addWidget(self.flat)
        self.magnet = QCheckBox("magnet  W")
        self.magnet.setToolTip(
            "Paint only where membrane is: by the map beside the tomogram, else by density"
        )
        self.magnet.toggled.connect(self._choose_magnet)
        row.addWidget(self.magnet)
        self.head("Paints")
        row = self.row()
        self.kind = QComboBox()
        for name, text in KINDS:
            self.kind.addItem(text, name)
        self.kind.currentIndexChanged.connect(
            lambda: self.loop.actions_by_name.choose_kind(self.kind.currentData())
        )
        row.addWidget(self.kind, 1)
        row.addWidget(QLabel("class"))
        self.roi_class = QSpinBox()
        self.roi_class.setRange(1, 9)
        self.roi_class.setToolTip(
            "Classes 1 to 9, by their keys. Training takes them all for ROIs; touching places of two classes "
            "count as two"
        )
        self.roi_class.valueChanged.connect(self.loop.actions_by_name.choose_class)
        row.addWidget(self.roi_class)
        self.colour = QLabel("   ")
        row.addWidget(self.colour)
        row = self.row()
        self.button("Undo", lambda: self.loop.actions_by_name.of("undo")(), "Ctrl+Z", row)
        self.button("Redo", lambda: self.loop.actions_by_name.of("redo")(), "Ctrl+Shift+Z", row)
        self.button("Join slices  J", lambda: self.loop.actions_by_name.of("interpolate")(), "J", row)
        self.head("What is not painted teaches")
        self.rest = QComboBox()
        for name, text in REST_TOLD.items():
            self.rest.addItem(text, name)
        self.rest.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.rest.currentIndexChanged.connect(self._choose_rest)
        self.column.addWidget(self.rest)
        row = self.row()
        row.addWidget(QLabel("“close by” means up to"))
        self.near = QDoubleSpinBox()
        self.near.setRange(1.0, 1000.0)
        self.near.setSuffix(" nm")
        self.near.editingFinished.connect(self._choose_rest)
        row.addWidget(self.near)
        row.addStretch(1)
        self.head("So far")
        self.count = self.note()
        self.saved = self.note()
        self.column.addStretch(1)
        self._counting = QTimer(self)
        self._counting.setSingleShot(True)
        self._counting.timeout.connect(self.show_counts)

    def show_counts(self) -> None:
        """How many ROIs are painted; counted once the hand rests."""
        if self.loop.state is not None:
            rows = self.loop.state.session.overview()
            here = next(row for row in rows if row.in_view)
            self.count.setText(f"On {here.name}: ROIs {here.rois}, strokes {here.strokes}.\n{advice(rows)}")

    def shut(self) -> None:
        """Count no more."""
        self._counting.stop()

    def enter(self) -> None:
        """Show how things stand."""
        self.refresh()
        self.loop.canvas.focus()

    def tomogram_changed(self) -> None:
        """Show how things stand on this tomogram."""
        if self.loop.step is self:
            self.refresh()

    def refresh(self) -> None:
        """Show tool, radius and counts."""
        loop, actions = self.loop, self.loop.actions_by_name
        for name, button in self._buttons.items():
            button.setChecked(name == loop.hand.tool)
        widgets = (self.radius, self.flat, self.magnet, self.kind, self.roi_class, self.rest, self.near)
        for widget in widgets:
            widget.blockSignals(True)
        self.radius.setValue(loop.hand.radius_nm)
        self.flat.setChecked(loop.hand.flat)
        self.magnet.setChecked(actions.magnet)
        self.kind.setCurrentIndex(self.kind.findData(actions.kind))
        self.roi_class.setValue(actions.roi_class)
        self.colour.setStyleSheet(f"background: {CLASS_COLOURS[actions.roi_class - 1]}; border-radius: 3px;")
        if loop.state is not None:
            painting = loop.state.session.painting
            self.rest.setCurrentIndex(self.rest.findData(painting.rest))
            self.near.setValue(painting.near_nm)
            self.near.setEnabled(painting.rest == "around")
            self._counting.start(COUNT_WAIT_MS)
            where = loop.state.folder.root
            self.saved.setText(
                f"Every stroke is on the disk, in {where}; label files are written as you leave."
            )
            self.saved.setToolTip(str(where))
        for widget in widgets:
            widget.blockSignals(False)

    def _build_tools(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(3)
        self._buttons: dict[str, QPushButton] = {}
        group = QButtonGroup(self)
        for place, (tool, text) in enumerate(TOOLS):
            button = small_button(text, checkable=True)
            button.clicked.connect(lambda _, name=f"tool_{tool}": self._take(name))
            group.addButton(button)
            grid.addWidget(button, place // 4, place % 4)
            self._buttons[tool] = button
        self.column.addLayout(grid)

    def _take(self, name: str) -> None:
        self.loop.actions_by_name.of(name)()
        self.loop.canvas.focus()

    def _choose_radius(self, value: float) -> None:
        self.loop.hand.set_radius(value)

    def _choose_flat(self, flat: bool) -> None:
        self.loop.hand.flat = flat

    def _choose_magnet(self, magnet: bool) -> None:
        self.loop.actions_by_name.magnet = magnet

    def _choose_rest(self) -> None:
        state = self.loop.state
        if state is not None:
            painting = state.session.painting
            self.loop.attempt(lambda: painting.set_rest(self.rest.currentData(), self.near.value()))
            self.refresh()
