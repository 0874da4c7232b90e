"""Curves of a training while it runs: loss, and Dice at each validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from tomorois.napari.layers import BLUE, ORANGE

MARGIN = 34


class Curves(QWidget):
    """Draws loss (left axis, smoothed) and Dice (right axis, 0 to 1) against steps, and an earlier Dice."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(150)
        self.clear()

    def clear(self, earlier_dice: float | None = None) -> None:
        """Begin anew; a dashed line shows the Dice of an earlier model."""
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.dices: list[tuple[int, float]] = []
        self.earlier_dice = earlier_dice
        self.update()

    def add(self, step: int, loss: float, dice: float) -> None:
        """One more point; a Dice that is no number, or the same as before, is none."""
        before = self.losses[-1] if self.losses else loss
        self.steps.append(step)
        self.losses.append(0.95 * before + 0.05 * loss)
        if dice == dice and (not self.dices or self.dices[-1][1] != dice):
            self.dices.append((step, dice))
        if len(self.steps) % 5 == 0:
            self.update()

    def paintEvent(self, event: Any) -> None:
        """Qt draws the widget."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.palette().ColorRole.WindowText)
        frame = QRectF(MARGIN, 18, max(self.width() - 2 * MARGIN, 10), max(self.height() - 40, 10))
        painter.setPen(QPen(text, 0.7))
        painter.drawRect(frame)
        last = max(self.steps[-1] if self.steps else 0, 1)
        painter.drawText(
            QRectF(0, self.height() - 20, self.width(), 18),
            Qt.AlignmentFlag.AlignCenter,
            f"steps, 0 to {last}",
        )
        for k, (colour, label, align) in enumerate(
            (
                (ORANGE, "loss", Qt.AlignmentFlag.AlignLeft),
                (BLUE, "Dice", Qt.AlignmentFlag.AlignRight),
            )
        ):
            painter.setPen(QColor(_light(colour, text)))
            painter.drawText(QRectF(4, 0, self.width() - 8, 16), align, label)
            painter.drawText(
                QRectF(2, 18, self.width() - 4, 14), align, f"{self._top():.2g}" if k == 0 else "1"
            )
        if len(self.steps) > 1:
            self._curve(
                painter,
                frame,
                np.divide(self.steps, last),
                np.divide(self.losses, self._top()),
                _light(ORANGE, text),
            )
        if self.dices:
            places = np.array([(step / last, dice) for step, dice in self.dices])
            self._curve(painter, frame, places[:, 0], places[:, 1], _light(BLUE, text), dots=True)
        if self.earlier_dice is not None:
            painter.setPen(QPen(QColor(_light(BLUE, text)), 1, Qt.PenStyle.DashLine))
            height = frame.bottom() - frame.height() * self.earlier_dice
            painter.drawLine(QPointF(frame.left(), height), QPointF(frame.right(), height))
        painter.end()

    def _top(self) -> float:
        return max(self.losses, default=1.0) * 1.05 or 1.0

    def _curve(self, painter: Any, frame: Any, x: Any, y: Any, colour: str, dots: bool = False) -> None:
        places = [
            QPointF(
                frame.left() + float(a) * frame.width(),
                frame.bottom() - float(np.clip(b, 0, 1)) * frame.height(),
            )
            for a, b in zip(x, y, strict=True)
        ]
        painter.setPen(QPen(QColor(colour), 1.6))
        painter.drawPolyline(QPolygonF(places))
        if dots:
            painter.setBrush(QColor(colour))
            for place in places:
                painter.drawEllipse(place, 2.5, 2.5)
            painter.setBrush(Qt.BrushStyle.NoBrush)


def _light(colour: str, text: Any) -> str:
    """The colour, lighter on a dark theme, darker on a light one."""
    own = QColor(colour)
    return str((own.lighter(150) if text.lightness() > 127 else own.darker(130)).name())
