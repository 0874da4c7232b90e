"""Three planes through an ROI, side by side, beside the large view."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QImage, QPainter, QPixmap
from qtpy.QtWidgets import QWidget

from tomorois.annotation.judged_roi import JudgedRoi
from tomorois.napari.layers import slice_picture

LEAST_VOXELS = 48
TITLES = ("z: x → y ↓", "y: x → z ↓", "x: y → z ↓")


class ThreePlanes(QWidget):
    """The slices along z, y and x through the middle of an ROI, with its outline; empty without one."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(130)
        self.pictures: list[np.ndarray[Any, Any]] = []

    def show_roi(self, roi: JudgedRoi | None, data: Any, limits: tuple[float, float], colour: str) -> None:
        """Draw an ROI of a tomogram (z, y, x) with grey values between limits and an outline in a colour."""
        self.pictures = [] if roi is None else pictures_of(roi, data, limits, colour)
        self.update()

    def paintEvent(self, event: Any) -> None:
        """Qt draws the widget."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        side = min((self.width() - 8) / 3, self.height() - 16)
        for k, picture in enumerate(self.pictures):
            height, width, _ = picture.shape
            image = QImage(
                np.ascontiguousarray(picture).tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888
            )
            scale = side / max(width, height)
            place = QRectF(k * (side + 4), 16, width * scale, height * scale)
            painter.drawPixmap(place, QPixmap.fromImage(image), QRectF(0, 0, width, height))
            painter.setPen(self.palette().color(self.palette().ColorRole.WindowText))
            painter.drawText(QRectF(k * (side + 4), 0, side, 15), Qt.AlignmentFlag.AlignLeft, TITLES[k])
        painter.end()


def pictures_of(
    roi: JudgedRoi, data: Any, limits: tuple[float, float], colour: str
) -> list[np.ndarray[Any, Any]]:
    """The three slices (n, m, 3) along z, y, x through an ROI's middle, with what lies about it."""
    centre = roi.centre()
    reach = max(LEAST_VOXELS // 2, int(0.75 * max(roi.mask.shape)))
    start = [max(c - reach, 0) for c in centre]
    stop = [min(c + reach, n) for c, n in zip(centre, data.shape, strict=True)]
    inside = np.zeros([b - a for a, b in zip(start, stop, strict=True)], dtype=bool)
    low = np.maximum(roi.start, start)
    high = np.minimum(np.add(roi.start, roi.mask.shape), stop)
    inside[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))] = roi.mask[
        tuple(slice(a - s, b - s) for a, b, s in zip(low, high, roi.start, strict=True))
    ]
    block = np.asarray(data[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))])
    at = [c - s for c, s in zip(centre, start, strict=True)]
    return [
        slice_picture(np.take(block, at[k], axis=k), limits, np.take(inside, at[k], axis=k), colour)
        for k in range(3)
    ]
