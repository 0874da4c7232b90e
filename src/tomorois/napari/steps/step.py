"""What all pages of the dock have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget


CHECKED = "QPushButton { padding: 3px 2px; } QPushButton:checked { background-color: #0072b2; color: white; }"


def small_button(text: str, tip: str = "", checkable: bool = False) -> QPushButton:
    """A button that gives its row or grid as little width as it can; blue while it is checked."""
    button = QPushButton(text)
    button.setToolTip(tip or text)
    button.setCheckable(checkable)
    button.setStyleSheet(CHECKED)
    button.setMinimumWidth(40)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button


class Words(QLabel):
    """Words over as many lines as they need; within stacked pages Qt gives a label fewer, and cuts them."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setWordWrap(True)

    def setText(self, text: str) -> None:
        """Show other words."""
        super().setText(text)
        self._grow()

    def resizeEvent(self, event: Any) -> None:
        """Qt gives the label another size."""
        super().resizeEvent(event)
        self._grow()

    def event(self, event: Any) -> bool:
        """Something is done to the label; it may get its font only as it is shown."""
        done = super().event(event)
        if event.type() in (QEvent.Type.Polish, QEvent.Type.FontChange, QEvent.Type.Show):
            self._grow()
        return bool(done)

    def _grow(self) -> None:
        self.setMinimumHeight(max(self.heightForWidth(self.width()), 0))


class Step(QWidget):
    """A page of the dock. The window calls the methods below when something has changed."""

    shows_paint = True
    """Whether what is painted lies over the tomogram while the page is in view."""

    def __init__(self, window: LoopWidget) -> None:
        super().__init__()
        self.loop = window
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(2, 4, 2, 4)
        self.column.setSpacing(6)

    def enter(self) -> None:
        """The page comes into view."""

    def leave(self) -> None:
        """Another page comes into view."""

    def tomogram_changed(self) -> None:
        """Another tomogram is in view."""

    def models_changed(self) -> None:
        """A model came, or another one is in use."""

    def jobs_changed(self) -> None:
        """Work began or ended."""

    def shut(self) -> None:
        """The window closes."""

    def note(self, text: str = "") -> QLabel:
        """A line or more of words on the page."""
        label = Words(text)
        self.column.addWidget(label)
        return label

    def head(self, text: str) -> QLabel:
        """A heading on the page."""
        label = QLabel(f"<b>{text}</b>")
        self.column.addWidget(label)
        return label

    def button(
        self, text: str, act: Callable[[], Any], tip: str = "", row: QHBoxLayout | None = None
    ) -> QPushButton:
        """A button on the page, or in a row; what goes wrong in ``act`` is told with its remedy."""
        button = QPushButton(text)
        button.setToolTip(tip or text)
        button.clicked.connect(lambda: self.loop.attempt(act))
        (self.column if row is None else row).addWidget(button)
        return button

    def row(self) -> QHBoxLayout:
        """A row on the page."""
        row = QHBoxLayout()
        row.setSpacing(4)
        self.column.addLayout(row)
        return row
