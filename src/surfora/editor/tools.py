"""The hand on the mouse: clicks, rectangles, polygons and lassos over the view, as loops of pixels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from qtpy.QtCore import QEvent, QObject, Qt, Signal

from surfora.editor.session import Mode
from surfora.editor.view import LEAST_STEP_PX, rectangle
from surfora.geometry.arrays import Floats

ToolName = Literal["look", "rectangle", "lasso", "component_lasso", "polygon"]
STILL_PX = 4.0
"""A press and release closer than this is a click."""


class Tools(QObject):
    """Listens to the view's mouse. Pixels count from the lower left, in those of the screen."""

    clicked = Signal(object, str, bool)  # pixel, mode, whether twice
    looped = Signal(object, str)  # corners (k, 2), mode
    drawing = Signal(object, bool)  # corners so far, whether to show them closed

    def __init__(self, view: Any) -> None:
        super().__init__(view)
        self.view = view
        self.tool: ToolName = "look"
        self._corners: list[tuple[float, float]] = []
        self._pressed: tuple[float, float] | None = None
        self._mode: Mode = "replace"
        view.installEventFilter(self)

    @property
    def is_drawing(self) -> bool:
        """Whether a loop is begun and not closed."""
        return bool(self._corners)

    def choose(self, tool: ToolName) -> None:
        """Take a tool; a loop that is not closed is dropped."""
        self.drop()
        self.tool = tool
        self.view.setCursor(Qt.CursorShape.ArrowCursor if tool == "look" else Qt.CursorShape.CrossCursor)

    def drop(self) -> None:
        """Leave the loop that is being drawn."""
        self._corners.clear()
        self._pressed = None
        self.drawing.emit(np.empty((0, 2)), False)

    def close_polygon(self) -> None:
        """Close the polygon that is being clicked."""
        if self.tool == "polygon" and len(self._corners) >= 3:
            self._finish(np.array(self._corners), self._mode)

    def take_corner_back(self) -> None:
        """Take the polygon's last corner back."""
        if self.tool == "polygon" and self._corners:
            self._corners.pop()
            self.drawing.emit(np.array(self._corners).reshape(-1, 2), False)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Take the left button's events where a tool draws; clicks while looking are seen and passed on."""
        kind = event.type()
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            return self._key(event) if kind == QEvent.Type.KeyPress else True
        if kind == QEvent.Type.MouseMove:
            return self._moved(event)
        if kind not in (
            QEvent.Type.MouseButtonPress,
            QEvent.Type.MouseButtonRelease,
            QEvent.Type.MouseButtonDblClick,
        ):
            return False
        if event.button() != Qt.MouseButton.LeftButton:
            return False
        if kind == QEvent.Type.MouseButtonPress:
            return self._press(event)
        return self._release(event) if kind == QEvent.Type.MouseButtonRelease else self._twice(event)

    def _key(self, event: Any) -> bool:
        """Keys of the polygon; VTK's own keys never reach it, since they would do other things."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.close_polygon()
        elif event.key() == Qt.Key.Key_Backspace:
            self.take_corner_back()
        return True

    def _press(self, event: Any) -> bool:
        self._pressed = self._pixel(event)
        if self.tool == "look":
            return False
        self._mode = mode_of(event)
        if self.tool == "polygon":
            self._corners.append(self._pressed)
            self.drawing.emit(np.array(self._corners), True)
        else:
            self._corners = [self._pressed]
        return True

    def _moved(self, event: Any) -> bool:
        if self.tool == "look":
            return False
        here = self._pixel(event)
        if self.tool == "polygon":
            if self._corners:
                self.drawing.emit(np.array([*self._corners, here]), True)
            return True
        if not self._corners:
            return True
        if self.tool == "rectangle":
            self.drawing.emit(rectangle(self._corners[0], here), True)
        elif np.hypot(*np.subtract(here, self._corners[-1])) >= LEAST_STEP_PX:
            self._corners.append(here)
            self.drawing.emit(np.array(self._corners), True)
        return True

    def _release(self, event: Any) -> bool:
        here, start = self._pixel(event), self._pressed
        self._pressed = None
        still = STILL_PX * self.view.devicePixelRatioF()
        is_click = start is not None and np.hypot(*np.subtract(here, start)) <= still
        if self.tool == "look":
            if is_click:
                self.clicked.emit(here, mode_of(event), False)
            return False
        if self.tool == "polygon" or start is None:
            return True
        if is_click and len(self._corners) < 3:
            self.drop()
            self.clicked.emit(here, mode_of(event), False)
        elif self.tool == "rectangle":
            self._finish(rectangle(start, here), mode_of(event))
        else:
            self._finish(np.array(self._corners), mode_of(event))
        return True

    def _twice(self, event: Any) -> bool:
        if self.tool == "polygon":
            self._mode = mode_of(event)
            self.close_polygon()
            return True
        self.clicked.emit(self._pixel(event), mode_of(event), True)
        return self.tool != "look"

    def _finish(self, loop: Floats, mode: Mode) -> None:
        """Hand a loop on, and only then draw the whole again: that takes longer than the selection."""
        self._corners.clear()
        self._pressed = None
        self.looped.emit(loop, mode)
        self.drop()

    def _pixel(self, event: Any) -> tuple[float, float]:
        """Where an event is, in pixels of the screen from the view's lower left corner."""
        place = event.position() if hasattr(event, "position") else event.localPos()
        ratio = self.view.devicePixelRatioF()
        return place.x() * ratio, (self.view.height() - 1 - place.y()) * ratio


def mode_of(event: Any) -> Mode:
    """Shift adds, Ctrl takes away."""
    keys = event.modifiers()
    if keys & Qt.KeyboardModifier.ControlModifier:
        return "take away"
    return "add" if keys & Qt.KeyboardModifier.ShiftModifier else "replace"
