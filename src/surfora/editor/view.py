"""Where points lie on the screen: projection by the camera's matrix, loops drawn by hand, what hides what.

Pixels count from the lower left corner of the view, as VTK's display coordinates do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from surfora.geometry.arrays import Floats, Ints, Mask, Points

CELL_PX = 8.0
"""Side of the cells whose nearest point hides those behind it."""
BANDS = 64
"""Horizontal bands of a loop, each with the sides that cross it."""
NEAR_PX = 6.0
"""How far from a point a click may be."""
SPACINGS_PER_CELL = 2.0
"""So many that no cell lacks a point of the near side; one without lets the far side through."""
STEEPEST = 4.0
"""Slope that counts at most, of 76°: beyond it a surface is seen from its edge."""
LEAST_STEP_PX = 2.0
"""Corners of a freehand loop nearer to the last one than this say nothing new."""


@dataclass(frozen=True)
class View:
    """A camera and its picture: world to clip coordinates (4, 4), width and height in pixels.

    ``eye`` (3,) and the unit vector ``forward`` (3,) are in nm of the world; depth is counted from the eye.
    """

    matrix: Floats
    size: tuple[int, int]
    eye: Floats
    forward: Floats


@dataclass(frozen=True)
class Projected:
    """Pixels (n, 2) x, y of points, their depth (n,) from the eye and the width (n,) of a pixel there in nm.

    NaN for what lies behind the eye.
    """

    pixels: Floats
    depth_nm: Floats
    nm_per_px: Floats
    view: View

    @property
    def in_picture(self) -> Mask:
        """Which points lie within the picture."""
        return np.asarray(_in_picture(self.pixels, *self.view.size))


@njit(cache=True, nogil=True)
def _in_picture(pixels: Floats, width: int, height: int) -> Mask:
    inside = np.empty(len(pixels), np.bool_)
    for n in range(len(pixels)):
        inside[n] = 0 <= pixels[n, 0] < width and 0 <= pixels[n, 1] < height
    return inside


def view_of(renderer: Any, size: tuple[int, int]) -> View:
    """The view of a VTK renderer's active camera in a picture of ``size`` (width, height) pixels."""
    camera = renderer.GetActiveCamera()
    matrix = camera.GetCompositeProjectionTransformMatrix(size[0] / size[1], -1.0, 1.0)
    rows = [[matrix.GetElement(row, column) for column in range(4)] for row in range(4)]
    forward = np.array(camera.GetDirectionOfProjection(), dtype=np.float64)
    return View(np.array(rows), size, np.array(camera.GetPosition(), dtype=np.float64), forward)


def projected(points: Points, view: View) -> Projected:
    """Where points (n, 3) in nm lie in a view, and how deep."""
    width, height = view.size
    given = np.ascontiguousarray(points, dtype=np.float64)
    return Projected(*_projected(given, view.matrix, width, height, view.eye, view.forward), view)


@njit(cache=True, nogil=True)
def _projected(
    points: Floats, matrix: Floats, width: int, height: int, eye: Floats, forward: Floats
) -> tuple[Floats, Floats, Floats]:
    pixels = np.empty((len(points), 2))
    depth = np.empty(len(points))
    nm_per_px = np.empty(len(points))
    scale = 0.5 * height * math.sqrt(matrix[1, 0] ** 2 + matrix[1, 1] ** 2 + matrix[1, 2] ** 2)
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        across = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        up = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        w = matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 2] * z + matrix[3, 3]
        depth[n] = (x - eye[0]) * forward[0] + (y - eye[1]) * forward[1] + (z - eye[2]) * forward[2]
        if w > 0:
            pixels[n, 0] = 0.5 * (across / w + 1.0) * width
            pixels[n, 1] = 0.5 * (up / w + 1.0) * height
            nm_per_px[n] = w / scale
        else:
            pixels[n, 0] = pixels[n, 1] = depth[n] = nm_per_px[n] = np.nan
    return pixels, depth, nm_per_px


def rectangle(corner: tuple[float, float], opposite: tuple[float, float]) -> Floats:
    """The loop (4, 2) of a rectangle with sides along those of the picture."""
    (x0, y0), (x1, y1) = corner, opposite
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def simplified(loop: Floats) -> Floats:
    """A freehand loop (k, 2) without corners that are less than two pixels from the last one kept."""
    kept = [0]
    for n in range(1, len(loop)):
        if np.hypot(*(loop[n] - loop[kept[-1]])) >= LEAST_STEP_PX:
            kept.append(n)
    return np.ascontiguousarray(loop[kept], dtype=np.float64)


def in_loop(pixels: Floats, loop: Floats) -> Mask:
    """Which pixels (n, 2) a closed loop (k, 2) winds around, crossed by itself or not; none for k < 3.

    By the winding number (Sunday 2001), so that a loop drawn over itself has no holes.
    """
    if len(loop) < 3:
        return np.zeros(len(pixels), dtype=bool)
    corners = np.ascontiguousarray(loop, dtype=np.float64)
    low, high = corners[:, 1].min(), corners[:, 1].max()
    band = max((high - low) / BANDS, 1e-9)
    return np.asarray(_in_loop(pixels, corners, *_sides_of_bands(corners, low, band), low, band))


def _sides_of_bands(loop: Floats, low: float, band: float) -> tuple[Ints, Ints]:
    """Sides (s,) that cross each horizontal band of the loop, by band, and where each band starts."""
    ends = np.stack([loop[:, 1], np.roll(loop[:, 1], -1)])
    first, last = ((np.sort(ends, axis=0) - low) / band).astype(np.int64)
    crossing = [np.flatnonzero((first <= at) & (last >= at)) for at in range(BANDS + 1)]
    start = np.cumsum([0, *(len(sides) for sides in crossing)])
    return np.concatenate(crossing), start


@njit(cache=True, nogil=True)
def _in_loop(pixels: Floats, loop: Floats, sides: Ints, start: Ints, low: float, band: float) -> Mask:
    low_x, high_x, high = loop[:, 0].min(), loop[:, 0].max(), loop[:, 1].max()
    inside = np.zeros(len(pixels), np.bool_)
    for n in range(len(pixels)):
        x, y = pixels[n, 0], pixels[n, 1]
        if not (low_x <= x <= high_x and low <= y <= high):
            continue
        at = int((y - low) / band)
        winding = 0
        for s in range(start[at], start[at + 1]):
            side = sides[s]
            after = side + 1 if side + 1 < len(loop) else 0
            ax, ay, bx, by = loop[side, 0], loop[side, 1], loop[after, 0], loop[after, 1]
            if (ay <= y) != (by <= y):
                left = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
                if by > ay and left > 0:
                    winding += 1
                elif by < ay and left < 0:
                    winding -= 1
        inside[n] = winding != 0
    return inside


def in_front(
    seen: Projected,
    among: Mask,
    tolerance_nm: float,
    points: Points,
    normals: Points | None = None,
    spacing_nm: float = 0.0,
) -> Mask:
    """Which of the ``points`` (n, 3) ``among`` (n,) nothing hides: no other of them is in front of them.

    The picture of ``seen`` is parted into square cells of 8 pixels. Of a cell the nearest point is in front,
    and what lies less than ``tolerance_nm`` behind the plane across its normal, unless it is deeper than that
    surface can fall off within the cell; without ``normals`` (n, 3; NaN where unknown, either way round),
    what is less than that deeper. Cells grow to hold points that are ``spacing_nm`` apart, so that the far
    side does not show through the gaps of the near one. Points outside the picture are not in front.
    """
    shown = among & seen.in_picture
    if not shown.any():
        return shown
    width, height = seen.view.size
    nm_per_px = float(np.median(seen.nm_per_px[np.flatnonzero(shown)[:: max(1, len(shown) // 1000)]]))
    cell = max(CELL_PX, SPACINGS_PER_CELL * spacing_nm / nm_per_px)
    shape = (math.ceil(height / cell) + 1, math.ceil(width / cell) + 1)
    nearest = _nearest_in_cells(seen.pixels, seen.depth_nm, shown, cell, np.full(shape, -1))
    ways = np.full((1, 3), np.nan) if normals is None else np.ascontiguousarray(normals, dtype=np.float64)
    places = np.ascontiguousarray(points, dtype=np.float64)
    limits = (cell, cell * nm_per_px, tolerance_nm)
    return np.asarray(
        _in_front(seen.pixels, seen.depth_nm, shown, places, ways, seen.view.forward, limits, nearest)
    )


@njit(cache=True, nogil=True)
def _nearest_in_cells(pixels: Floats, depth_nm: Floats, shown: Mask, cell: float, nearest: Ints) -> Ints:
    for n in range(len(pixels)):
        if shown[n]:
            row, column = int(pixels[n, 1] / cell), int(pixels[n, 0] / cell)
            first = nearest[row, column]
            if first < 0 or depth_nm[n] < depth_nm[first]:
                nearest[row, column] = n
    return nearest


@njit(cache=True, nogil=True)
def _in_front(
    pixels: Floats,
    depth_nm: Floats,
    shown: Mask,
    points: Points,
    normals: Points,
    forward: Floats,
    limits: tuple[float, float, float],
    nearest: Ints,
) -> Mask:
    front = np.zeros(len(pixels), np.bool_)
    cell, cell_nm, tolerance_nm = limits
    has_normals = len(normals) == len(pixels)
    for n in range(len(pixels)):
        if not shown[n]:
            continue
        first = nearest[int(pixels[n, 1] / cell), int(pixels[n, 0] / cell)]
        deeper = depth_nm[n] - depth_nm[first]
        way = normals[first if has_normals else 0]
        cosine = way[0] * forward[0] + way[1] * forward[1] + way[2] * forward[2]
        if cosine != cosine:  # NaN: the normal is not known
            front[n] = deeper <= tolerance_nm
            continue
        own = normals[n]
        steep = abs(own[0] * forward[0] + own[1] * forward[1] + own[2] * forward[2])
        steep = min(steep, abs(cosine)) if steep == steep else abs(cosine)
        slope = min(math.sqrt(max(1 - steep * steep, 0.0)) / max(steep, 1e-6), STEEPEST)
        behind = 0.0
        for axis in range(3):
            behind += (points[n, axis] - points[first, axis]) * way[axis]
        behind = behind if cosine > 0 else -behind
        front[n] = behind <= tolerance_nm and deeper <= tolerance_nm + cell_nm * slope
    return front


def clicked(
    seen: Projected, among: Mask, pixel: tuple[float, float], reach_px: float = NEAR_PX
) -> int | None:
    """The frontmost of the points ``among`` (n,) within ``reach_px`` of a pixel; None where there is none.

    Of points about as deep as the frontmost, within the depth that the reach spans, the nearest to the pixel.
    """
    away = np.hypot(seen.pixels[:, 0] - pixel[0], seen.pixels[:, 1] - pixel[1])
    near = np.flatnonzero(among & (away <= reach_px))
    if len(near) == 0:
        return None
    depth = seen.depth_nm[near]
    front = near[depth <= depth.min() + _depth_slack_nm(seen, among, reach_px)]
    return int(front[np.argmin(away[front])])


def _depth_slack_nm(seen: Projected, among: Mask, reach_px: float) -> float:
    """How many nm the reach of a click spans, by the size of the points' picture and their depth."""
    own = among & np.isfinite(seen.depth_nm)
    span_px = np.ptp(seen.pixels[own], axis=0).max()
    span_nm = np.ptp(seen.depth_nm[own])
    return float(reach_px * span_nm / max(span_px, 1.0))
