"""Kernels of ball pivoting: neighbours within one sheet, the pivot, and the front that grows the mesh.

Half-edges a→b that a triangle uses live in one open-addressing set of integers a·n + b; an edge is open
while only one of its two half-edges is there. Nothing ever removes a half-edge or adds it twice, so no edge
gets a third triangle and neighbouring triangles always wind alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from surfora.geometry.arrays import Floats, Ints, Mask

EMPTY = -1
FAR = 1e9


class Cloud(NamedTuple):
    """Points sorted by (x, y) row and then z, their unit normals, and the spacing at each."""

    points: Floats
    normals: Floats
    spacing: Floats


class Rows(NamedTuple):
    """Where each (x, y) row of the sorted points starts; rows along x and y; lowest x, y; a row's width."""

    start: Ints
    nx: int
    ny: int
    x0: float
    y0: float
    width: float


class Limits(NamedTuple):
    """Bounds of "one sheet" (see in_one_sheet) and the least cosine of a triangle with its point normals."""

    lift: float
    turn: float
    facing: float


class Front(NamedTuple):
    """The growing mesh: triangles, the ball each was made with, and what is still open.

    ``open_at``: open half-edges at each point; ``half_edges``: the set; ``queue``: 3 face + corner to pivot.
    """

    faces: Ints
    ball: Floats
    used: Mask
    open_at: Ints
    half_edges: Ints
    queue: Ints


@njit(cache=True, nogil=True)
def in_one_sheet(cloud: Cloud, limits: Limits, i: int, j: int) -> bool:
    """Whether points i and j can be neighbours on one smooth sheet, judged by both normals.

    On a surface of constant curvature the chord d meets the two normals at opposite heights, so
    d·(nᵢ + nⱼ) = 0; on a parallel sheet at distance g it is 2 g. ``lift`` bounds it relative to the chord,
    taken as 1 to 1.5 spacings; ``turn`` bounds nᵢ·nⱼ from below.
    """
    p, m = cloud.points, cloud.normals
    sx, sy, sz = m[i, 0] + m[j, 0], m[i, 1] + m[j, 1], m[i, 2] + m[j, 2]
    sum2 = sx * sx + sy * sy + sz * sz  # = 2 + 2 nᵢ·nⱼ
    if sum2 < 2.0 + 2.0 * limits.turn:
        return False
    dx, dy, dz = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1], p[j, 2] - p[i, 2]
    height = dx * sx + dy * sy + dz * sz
    unit2 = cloud.spacing[i] * cloud.spacing[i]
    chord2 = min(max(dx * dx + dy * dy + dz * dz, unit2), 2.25 * unit2)
    return height * height <= limits.lift * limits.lift * chord2 * sum2


@njit(cache=True, nogil=True)
def visit_points(
    cloud: Cloud,
    rows: Rows,
    limits: Limits,
    asked: Mask,
    reach: float,
    start: Ints,
    found: Ints,
    first: int,
    last: int,
) -> None:
    """Neighbours within ``reach`` × spacing and in one sheet, of the points ``asked`` for from first to last.

    Where ``found`` is empty they are counted into ``start[i + 1]``, else written at ``found[start[i]:]``.
    """
    for i in range(first, last):
        if asked[i] and len(found) == 0:
            start[i + 1] = _neighbours_of(cloud, rows, limits, i, reach * cloud.spacing[i], found)
        elif start[i + 1] > start[i]:
            mine = found[start[i] : start[i + 1]]
            _neighbours_of(cloud, rows, limits, i, reach * cloud.spacing[i], mine)


@njit(cache=True, nogil=True)
def _neighbours_of(cloud: Cloud, rows: Rows, limits: Limits, i: int, reach: float, found: Ints) -> int:
    """Count i's neighbours, and write them down where ``found`` has room."""
    p = cloud.points
    x, y, z = p[i, 0], p[i, 1], p[i, 2]
    x_last = min(rows.nx - 1, int((x + reach - rows.x0) / rows.width))
    y_last = min(rows.ny - 1, int((y + reach - rows.y0) / rows.width))
    count = 0
    for row_x in range(max(0, int((x - reach - rows.x0) / rows.width)), x_last + 1):
        for row_y in range(max(0, int((y - reach - rows.y0) / rows.width)), y_last + 1):
            row = row_x * rows.ny + row_y
            for j in range(
                _first_above(p, z - reach, rows.start[row], rows.start[row + 1]), rows.start[row + 1]
            ):
                if p[j, 2] > z + reach:
                    break
                dx, dy, dz = p[j, 0] - x, p[j, 1] - y, p[j, 2] - z
                if (
                    j == i
                    or dx * dx + dy * dy + dz * dz > reach * reach
                    or not in_one_sheet(cloud, limits, i, j)
                ):
                    continue
                if len(found):
                    found[count] = j
                count += 1
    return count


@njit(cache=True, nogil=True)
def _first_above(p: Floats, z: float, first: int, last: int) -> int:
    """The first point of a row, which is sorted by z, that is not below ``z``."""
    while first < last:
        middle = (first + last) // 2
        if p[middle, 2] < z:
            first = middle + 1
        else:
            last = middle
    return first


@njit(cache=True, nogil=True)
def holds(table: Ints, half_edge: int) -> bool:
    """Whether the set holds a half-edge."""
    slot = (half_edge * 0x1E3779B97F4A7C15 >> 20) & (len(table) - 1)
    while table[slot] != EMPTY:
        if table[slot] == half_edge:
            return True
        slot = (slot + 1) & (len(table) - 1)
    return False


@njit(cache=True, nogil=True)
def put(table: Ints, half_edge: int) -> None:
    """Add a half-edge to the set."""
    slot = (half_edge * 0x1E3779B97F4A7C15 >> 20) & (len(table) - 1)
    while table[slot] != EMPTY:
        slot = (slot + 1) & (len(table) - 1)
    table[slot] = half_edge


@njit(cache=True, nogil=True)
def _cross(p: Floats, a: int, b: int, c: int) -> tuple[float, float, float]:
    """(b − a) × (c − a): along the normal of triangle a, b, c."""
    ux, uy, uz = p[b, 0] - p[a, 0], p[b, 1] - p[a, 1], p[b, 2] - p[a, 2]
    vx, vy, vz = p[c, 0] - p[a, 0], p[c, 1] - p[a, 1], p[c, 2] - p[a, 2]
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx


@njit(cache=True, nogil=True)
def ball_on(p: Floats, a: int, b: int, c: int, radius: float) -> tuple[bool, float, float, float]:
    """Whether a ball of ``radius`` touches a, b and c, and its centre on the side their winding points to."""
    nx, ny, nz = _cross(p, a, b, c)
    ux, uy, uz = p[b, 0] - p[a, 0], p[b, 1] - p[a, 1], p[b, 2] - p[a, 2]
    vx, vy, vz = p[c, 0] - p[a, 0], p[c, 1] - p[a, 1], p[c, 2] - p[a, 2]
    n2 = nx * nx + ny * ny + nz * nz
    u2, v2 = ux * ux + uy * uy + uz * uz, vx * vx + vy * vy + vz * vz
    if n2 <= 1e-6 * u2 * v2:
        return False, 0.0, 0.0, 0.0
    # circumcentre − a = (v² n × u + u² v × n) / 2 n²
    f, g = v2 / (2 * n2), u2 / (2 * n2)
    ox = f * (ny * uz - nz * uy) + g * (vy * nz - vz * ny)
    oy = f * (nz * ux - nx * uz) + g * (vz * nx - vx * nz)
    oz = f * (nx * uy - ny * ux) + g * (vx * ny - vy * nx)
    rise2 = radius * radius - (ox * ox + oy * oy + oz * oz)
    if rise2 < 0.0:
        return False, 0.0, 0.0, 0.0
    h = np.sqrt(rise2 / n2)
    return True, p[a, 0] + ox + h * nx, p[a, 1] + oy + h * ny, p[a, 2] + oz + h * nz


@njit(cache=True, nogil=True)
def faces_along(cloud: Cloud, a: int, b: int, c: int, facing: float) -> bool:
    """Whether the triangle's normal makes a cosine of at least ``facing`` with its three point normals.

    cloud: the points and normals; a, b, c: its corners.
    """
    nx, ny, nz = _cross(cloud.points, a, b, c)
    limit = facing * np.sqrt(nx * nx + ny * ny + nz * nz)
    m = cloud.normals
    at_a = nx * m[a, 0] + ny * m[a, 1] + nz * m[a, 2]
    at_b = nx * m[b, 0] + ny * m[b, 1] + nz * m[b, 2]
    at_c = nx * m[c, 0] + ny * m[c, 1] + nz * m[c, 2]
    return min(at_a, at_b, at_c) >= limit


@njit(cache=True, nogil=True)
def empty_ball(p: Floats, a: int, b: int, c: int, radius: float, near: Ints) -> bool:
    """Whether a ball of ``radius`` lies on a, b, c with no other point of ``near`` inside it."""
    fits, x, y, z = ball_on(p, a, b, c, radius)
    if not fits:
        return False
    limit = radius * radius * (1 - 1e-9)
    for q in near:
        dx, dy, dz = p[q, 0] - x, p[q, 1] - y, p[q, 2] - z
        if q != a and q != b and q != c and dx * dx + dy * dy + dz * dz < limit:
            return False
    return True


@njit(cache=True, nogil=True)
def pivot(cloud: Cloud, limits: Limits, a: int, b: int, c: int, radius: float, near: Ints) -> int:
    """The point that the ball on triangle a, b, c touches first as it rolls over a→b; −1 where none.

    The smallest turn about the edge leaves the ball empty where it began empty (Bernardini et al. 1999).
    A touch whose triangle would face away from the normals there ends the roll: that is a rim.

    cloud: points and normals; limits: of one sheet; radius: of the ball; near: the points about the edge.
    """
    p = cloud.points
    fits, x, y, z = ball_on(p, a, b, c, radius)
    if not fits:
        return -1
    mx, my, mz = 0.5 * (p[a, 0] + p[b, 0]), 0.5 * (p[a, 1] + p[b, 1]), 0.5 * (p[a, 2] + p[b, 2])
    ex, ey, ez = p[b, 0] - p[a, 0], p[b, 1] - p[a, 1], p[b, 2] - p[a, 2]
    length = np.sqrt(ex * ex + ey * ey + ez * ez)
    ux, uy, uz = x - mx, y - my, z - mz
    # v points the way the ball rolls: off the triangle, over the edge
    vx, vy, vz = (ey * uz - ez * uy) / length, (ez * ux - ex * uz) / length, (ex * uy - ey * ux) / length
    best, least = -1, FAR
    for q in near:
        dx, dy, dz = p[q, 0] - p[b, 0], p[q, 1] - p[b, 1], p[q, 2] - p[b, 2]
        if q in (b, c) or dx * dx + dy * dy + dz * dz > 4 * radius * radius:
            continue
        fits, x, y, z = ball_on(p, b, a, q, radius)
        if not fits or not in_one_sheet(cloud, limits, b, q):
            continue
        wu = (x - mx) * ux + (y - my) * uy + (z - mz) * uz
        wv = (x - mx) * vx + (y - my) * vy + (z - mz) * vz
        cosine = wu / (abs(wu) + abs(wv))
        angle = 1 - cosine if wv >= 0 else 3 + cosine  # rises with the angle from u towards v
        if angle < least:
            best, least = q, angle
    return best if best >= 0 and faces_along(cloud, b, a, best, limits.facing) else -1


@njit(cache=True, nogil=True)
def add_face(front: Front, count: int, a: int, b: int, c: int, radius: float) -> int:
    """Write triangle a, b, c as number ``count`` and keep the open edges counted; the new count."""
    n = len(front.open_at)
    front.faces[count, 0], front.faces[count, 1], front.faces[count, 2] = a, b, c
    front.ball[count] = radius
    for x, y in ((a, b), (b, c), (c, a)):
        put(front.half_edges, x * n + y)
        step = -1 if holds(front.half_edges, y * n + x) else 1
        front.open_at[x] += step
        front.open_at[y] += step
        front.used[x] = True
    return count + 1


@njit(cache=True, nogil=True)
def roll(
    cloud: Cloud,
    limits: Limits,
    front: Front,
    start: Ints,
    found: Ints,
    factor: float,
    count: int,
    waiting: int,
) -> int:
    """Pivot over every open edge in the queue and over those that this opens; the new face count.

    cloud, limits, start, found, factor: as of `pivot_pass`; front: the open edges; count: faces so far;
    waiting: edges in the queue.
    """
    n = len(front.open_at)
    head = 0
    while head < waiting and count < len(front.faces):
        face, corner = front.queue[head] // 3, front.queue[head] % 3
        head += 1
        a, b = front.faces[face, corner], front.faces[face, (corner + 1) % 3]
        c = front.faces[face, (corner + 2) % 3]
        if holds(front.half_edges, b * n + a):
            continue
        near = found[start[a] : start[a + 1]]
        radius = factor * 0.5 * (cloud.spacing[a] + cloud.spacing[b])
        if abs(radius - front.ball[face]) > 1e-9 * radius and not empty_ball(
            cloud.points, a, b, c, radius, near
        ):
            radius = front.ball[face]
        q = pivot(cloud, limits, a, b, c, radius, near)
        if q < 0 or (front.used[q] and front.open_at[q] == 0):
            continue
        if holds(front.half_edges, a * n + q) or holds(front.half_edges, q * n + b):
            continue
        count = add_face(front, count, b, a, q, radius)
        front.queue[waiting], front.queue[waiting + 1] = 3 * count - 2, 3 * count - 1
        waiting += 2
    return count


@njit(cache=True, nogil=True)
def seed_triangle(
    cloud: Cloud, limits: Limits, used: Mask, i: int, radius: float, near: Ints
) -> tuple[int, int]:
    """Two unused neighbours that an empty ball touches together with i, in winding order; −1 where none.

    cloud, limits: as of `pivot_pass`; used: mask (n,); radius: of the ball; near: points about i.
    """
    for j in near:
        if used[j]:
            continue
        for k in near:
            if k == j or used[k] or not faces_along(cloud, i, j, k, limits.facing):
                continue
            if in_one_sheet(cloud, limits, j, k) and empty_ball(cloud.points, i, j, k, radius, near):
                return j, k
    return -1, -1


@njit(cache=True, nogil=True)
def pivot_pass(
    cloud: Cloud, limits: Limits, front: Front, start: Ints, found: Ints, factor: float, count: int
) -> int:
    """One radius: roll over every edge still open, then over fronts grown from new seeds; new face count.

    cloud: points and normals; limits: of one sheet; front: edges and faces; start, found: neighbours (CSR);
    factor: the radius in spacings; count: faces so far.
    """
    n = len(front.open_at)
    waiting = 0
    for half_edge in range(3 * count):
        face, corner = half_edge // 3, half_edge % 3
        a, b = front.faces[face, corner], front.faces[face, (corner + 1) % 3]
        if not holds(front.half_edges, b * n + a):
            front.queue[waiting] = half_edge
            waiting += 1
    count = roll(cloud, limits, front, start, found, factor, count, waiting)
    for i in range(n):
        if front.used[i] or count >= len(front.faces):
            continue
        radius = factor * cloud.spacing[i]
        j, k = seed_triangle(cloud, limits, front.used, i, radius, found[start[i] : start[i + 1]])
        if j >= 0:
            count = add_face(front, count, i, j, k, radius)
            for corner in range(3):
                front.queue[corner] = 3 * count - 3 + corner
            count = roll(cloud, limits, front, start, found, factor, count, 3)
    return count
