"""What the mouse does on the canvas with a tool in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tomorois.annotation.strokes import Stroke, line_stroke, outline_stroke
from tomorois.napari import layers as names
from tomorois.napari.canvas import Canvas

Tool = Literal[
    "look",
    "sphere",
    "circle",
    "tube",
    "brush",
    "lasso",
    "fill",
    "copy",
    "split",
    "seeds",
    "merge",
    "redraw",
    "draw",
]
ROUND: tuple[Tool, ...] = ("sphere", "tube", "brush", "redraw", "draw")
"""Tools whose reach is the radius, shown as a circle at the pointer."""
RADIUS_STEP = 1.15
SMALLEST_NM, LARGEST_NM = 1.0, 500.0


@dataclass
class Gestures:
    """What a finished gesture is handed to; ``negative`` is the right button.

    ``paint`` gets strokes of a value that ``value`` gives, ``tried`` one that is still being drawn (None: no
    more). ``fill`` and ``pick`` get voxels (z, y, x), ``cut`` the axis and a line (2, 2) in its slice,
    ``seeds`` voxels (n, 3).
    """

    value: Callable[[bool], int]
    tried: Callable[[Stroke | None], None]
    paint: Callable[[Stroke | None, bool], None]
    fill: Callable[[tuple[float, float, float], bool], None]
    pick: Callable[[Tool, tuple[float, float, float]], None]
    cut: Callable[[int, Any], None]
    seeds: Callable[[Any], None]
    told: Callable[[str], None]


class Hand:
    """The tool in hand, its radius, and the gesture that is under way."""

    def __init__(self, canvas: Canvas, gestures: Gestures) -> None:
        self.canvas = canvas
        self.gestures = gestures
        self.tool: Tool = "look"
        self.radius_nm = 15.0
        self.flat = False
        self._knots: list[tuple[float, float, float]] = []
        self._negative = False
        canvas.viewer.mouse_drag_callbacks.append(self._on_drag)
        canvas.viewer.mouse_double_click_callbacks.append(self._on_double_click)

    def let_go(self) -> None:
        """Hear the mouse no more."""
        viewer = self.canvas.viewer
        for callbacks, mine in (
            (viewer.mouse_drag_callbacks, self._on_drag),
            (viewer.mouse_double_click_callbacks, self._on_double_click),
        ):
            if mine in callbacks:
                callbacks.remove(mine)
        self.canvas.circle_cursor(None)

    def take(self, tool: Tool) -> None:
        """Take a tool; a tube or seeds that were begun are given up."""
        self.tool = tool
        self._forget()
        self._show_radius()

    def resize(self, steps: int) -> None:
        """A larger radius (or a smaller one, for negative steps)."""
        self.set_radius(self.radius_nm * RADIUS_STEP**steps)

    def set_radius(self, radius_nm: float) -> None:
        """A radius in nm."""
        self.radius_nm = float(np.clip(radius_nm, SMALLEST_NM, LARGEST_NM))
        self._show_radius()

    def end(self) -> bool:
        """End a tube or a set of seeds; whether there was one."""
        knots, negative = list(self._knots), self._negative
        self._forget()
        if self.tool == "tube" and len(knots) >= 2:
            self.gestures.paint(self._line(knots, negative), negative)
            return True
        if self.tool == "seeds" and len(knots) >= 2:
            self.gestures.seeds(knots)
            return True
        return False

    def _show_radius(self) -> None:
        self.canvas.circle_cursor(2 * self.radius_nm if self.tool in ROUND else None)

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        """napari's drag: the press now, each move at a later turn, then the release."""
        if (
            self.tool == "look"
            or self.canvas.is_3d
            or self.canvas.volume is None
            or event.button not in (1, 2)
        ):
            return
        event.handled = True
        negative = event.button == 2
        start = self._at(event)
        if self.tool in ("brush", "redraw", "draw"):
            yield from self._dragged_brush(event, start, negative)
        elif self.tool in ("lasso", "split"):
            yield from self._dragged_line(event, start, negative)
        else:
            yield
            while event.type == "mouse_move":
                event.handled = True
                yield
            event.handled = True
            self._clicked(start, negative)

    def _dragged_brush(self, event: Any, start: tuple[float, float, float], negative: bool) -> Iterator[None]:
        knots = [start]
        self.gestures.tried(self._line(knots, negative))
        yield
        while event.type == "mouse_move":
            event.handled = True
            at = self._at(event)
            if np.linalg.norm(np.subtract(at, knots[-1])) >= 0.5:
                knots.append(at)
                self.gestures.tried(self._line(knots[-2:], negative))
            yield
        event.handled = True
        self.gestures.tried(None)
        self.gestures.paint(self._line(knots, negative), negative)

    def _dragged_line(self, event: Any, start: tuple[float, float, float], negative: bool) -> Iterator[None]:
        knots = [start]
        yield
        while event.type == "mouse_move":
            event.handled = True
            at = self._at(event)
            if np.linalg.norm(np.subtract(at, knots[-1])) >= 1.0:
                knots = [start, at] if self.tool == "split" else [*knots, at]
                self.mark(knots)
            yield
        event.handled = True
        self.mark([])
        axis = self.canvas.axis
        others = [k for k in range(3) if k != axis]
        flat = np.array(knots)[:, others]
        if self.tool == "split" and len(knots) >= 2:
            self.gestures.cut(axis, flat[[0, -1]])
        elif self.tool == "lasso":
            shape = self._shape()
            value = self.gestures.value(negative)
            self.gestures.paint(outline_stroke(shape, axis, round(start[axis]), flat, value), negative)

    def _clicked(self, at: tuple[float, float, float], negative: bool) -> None:
        if self.tool == "sphere":
            self.gestures.paint(self._line([at], negative, ball=True), negative)
        elif self.tool == "fill":
            self.gestures.fill(at, negative)
        elif self.tool == "circle":
            self._clicked_circle(at, negative)
        elif self.tool in ("tube", "seeds"):
            self._negative = negative
            self._knots.append(at)
            self.mark(self._knots)
        else:
            self.gestures.pick(self.tool, at)

    def _clicked_circle(self, at: tuple[float, float, float], negative: bool) -> None:
        if not self._knots:
            self._knots = [at]
            self.mark([at])
            self.gestures.told("Now click its border.")
            return
        centre = self._knots[0]
        self._forget()
        assert self.canvas.volume is not None
        self.set_radius(float(np.linalg.norm(np.subtract(at, centre))) * self.canvas.volume.voxel_size_nm)
        self.gestures.paint(self._line([centre], negative, ball=True), negative)
        self.gestures.told(f"A ball of {self.radius_nm:.3g} nm. The next: centre, then border.")

    def _on_double_click(self, viewer: Any, event: Any) -> None:
        if self.tool in ("tube", "seeds") and not self.canvas.is_3d:
            event.handled = True
            self.end()

    def _line(self, knots: Any, negative: bool, ball: bool = False) -> Stroke | None:
        assert self.canvas.volume is not None
        radius = self.radius_nm / self.canvas.volume.voxel_size_nm
        drawn = self.tool in ("brush", "redraw", "draw")
        plane = self.canvas.axis if self.flat and drawn and not ball else None
        return line_stroke(self._shape(), knots, radius, self.gestures.value(negative), plane)

    def _shape(self) -> tuple[int, int, int]:
        assert self.canvas.volume is not None
        return self.canvas.volume.shape

    def _at(self, event: Any) -> tuple[float, float, float]:
        """The voxel under the pointer, in the slice in view."""
        at = list(self.canvas.voxel(event.position))
        at[self.canvas.axis] = round(at[self.canvas.axis])
        return at[0], at[1], at[2]

    def _forget(self) -> None:
        self._knots = []
        self.mark([])

    def mark(self, knots: Any) -> None:
        """Show voxels (z, y, x), such as those of the way drawn so far; none for no voxels."""
        viewer, drawing = self.canvas.viewer, self.canvas.layer(names.DRAWING)
        if not len(knots):
            if drawing is not None:
                drawing.data = np.empty((0, 3))
            return
        places = np.array([self.canvas.world(knot) for knot in knots])
        if drawing is None:
            drawing = viewer.add_points(
                places,
                name=names.DRAWING,
                size=4.0,
                face_color=names.PURPLE,
                border_color="white",
                metadata={"tomorois": True},
                units=names.UNITS,
            )
            self.canvas._keep_tomogram_active()
        assert self.canvas.volume is not None
        drawing.data = places
        drawing.size = 4 * self.canvas.volume.voxel_size_nm
