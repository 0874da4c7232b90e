"""A hand with a mouse: events of Qt at places of the tomogram, and what is on the canvas there."""

from itertools import pairwise

import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


def canvas(window):
    return window.canvas.canvas_widget()


def pixel_of(window, voxel):
    """The canvas pixel of a voxel in the slice in view."""
    camera = window.viewer.camera
    world = window.canvas.world(voxel)
    shown = window.viewer.dims.displayed
    centre = [camera.center[-2], camera.center[-1]]
    offset = [(world[axis] - c) * camera.zoom for axis, c in zip(shown, centre, strict=True)]
    widget = canvas(window)
    return QPoint(round(widget.width() / 2 + offset[1]), round(widget.height() / 2 + offset[0]))


def click(window, voxel, button=LEFT):
    QTest.mouseClick(canvas(window), button, pos=pixel_of(window, voxel))
    QTest.qWait(30)


def drag(window, voxels, button=LEFT):
    widget, pixels = canvas(window), [pixel_of(window, voxel) for voxel in voxels]
    QTest.mousePress(widget, button, pos=pixels[0])
    for first, second in pairwise(pixels):
        for share in (0.34, 0.67, 1.0):
            at = QPointF(first) + (QPointF(second) - QPointF(first)) * share
            move(widget, at, button)
    QTest.mouseRelease(widget, button, pos=pixels[-1])
    QTest.qWait(30)


def move(widget, at, button):
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QMouseEvent

    event = QMouseEvent(
        QEvent.Type.MouseMove,
        at,
        widget.mapToGlobal(at),
        Qt.MouseButton.NoButton,
        button,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)
    QTest.qWait(5)


def press(window, *keys, modifier=Qt.KeyboardModifier.NoModifier, widget=None):
    for key in keys:
        QTest.keyClick(widget or canvas(window), getattr(Qt.Key, f"Key_{key}"), modifier)
    QTest.qWait(20)


def turn(window, steps, modifier=Qt.KeyboardModifier.NoModifier):
    widget = canvas(window)
    middle = QPointF(widget.width() / 2, widget.height() / 2)
    event = QWheelEvent(
        middle,
        widget.mapToGlobal(middle),
        QPoint(0, 0),
        QPoint(0, 120 * steps),
        Qt.MouseButton.NoButton,
        modifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    QTest.qWait(20)


def picture(window):
    """What is on the canvas, as numbers (height, width, 3)."""
    QTest.qWait(60)
    shot = window.viewer.screenshot(canvas_only=True, flash=False)
    return np.asarray(shot)[..., :3].astype(float)


def colour_at(window, shot, voxel, reach=3):
    """The mean colour of a picture about a voxel."""
    at = pixel_of(window, voxel)
    ratio = shot.shape[1] / canvas(window).width()
    x, y = round(at.x() * ratio), round(at.y() * ratio)
    return shot[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].mean(axis=(0, 1))
