"""Geodesic distances on triangle meshes: truncated balls about every vertex, and to the boundary.

A front marches over triangles unfolded into the plane (Novotni & Klein 2002, "Computing geodesic distances
on triangular meshes"): across an edge whose ends are known, the source is laid out as a point in the plane
of the next triangle, and the far corner's distance is that to this point. A corner reached before its edge
was known is corrected when the edge's second end arrives, so obtuse triangles and slivers need no
splitting; on a flat mesh of any triangulation the distances are exact. The direction in which the geodesic
left the source is carried along by interpolation where it crosses the edge; with the distance it makes
geodesic polar coordinates, a discrete log map (as Melvær & Reimers 2012, "Geodesic polar coordinates on
polygonal meshes").

The heat method (Crane, Weischedel & Wardetzky 2013) gives one-to-all distances and a check on the balls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.frames import tangent_frame
from surfora.geometry.surface import boundary_edges


@dataclass(frozen=True)
class Fans:
    """The edges about each vertex, laid flat: those of vertex v are rows ``start[v]:start[v + 1]``.

    ``corner`` (k, 3) holds the edge's other end p and the far corners of the triangles on it (-1 where
    there is none; an edge of more than two triangles takes several rows). ``shape`` (k, 5) holds the edge's
    length, then for either far corner how far along the edge from v and how high above it the corner lies,
    in nm.
    """

    start: NDArray[np.int32]
    corner: NDArray[np.int32]
    shape: Floats

    @property
    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """The three arrays, as kernels take them."""
        return self.start, self.corner, self.shape


def triangle_fans(vertices: Floats, faces: Ints) -> Fans:
    """The fans of a mesh; triangles without area are left out, as no front can cross them."""
    corners = vertices[faces]
    twice_area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1, initial=0.0)
    sound = faces[twice_area > 1e-9 * longest**2]
    start, rows = _pairs_of_triangles(np.ascontiguousarray(sound, dtype=np.int64), len(vertices))
    return Fans(start, rows[:, 1:].astype(np.int32), _shapes(vertices, rows))


@njit(cache=True, nogil=True, error_model="numpy")
def _shapes(vertices: Floats, rows: Ints) -> Floats:
    """The shape (k, 5) of `Fans` for rows v, p, q, q'; meaningless where a far corner is -1."""
    shape = np.empty((len(rows), 5))
    for k in range(len(rows)):
        v, p = vertices[rows[k, 0]], vertices[rows[k, 1]]
        x, y, z = p[0] - v[0], p[1] - v[1], p[2] - v[2]
        length = np.sqrt(x * x + y * y + z * z)
        shape[k, 0] = length
        for far in range(2):
            q = vertices[rows[k, 2 + far]]
            a, b, c = q[0] - v[0], q[1] - v[1], q[2] - v[2]
            shape[k, 1 + 2 * far] = (x * a + y * b + z * c) / length
            u, s, w = y * c - z * b, z * a - x * c, x * b - y * a
            shape[k, 2 + 2 * far] = np.sqrt(u * u + s * s + w * w) / length
    return shape


@njit(cache=True, nogil=True)
def _pairs_of_triangles(faces: Ints, count: int) -> tuple[NDArray[np.int32], Ints]:
    """Where the rows of each of ``count`` vertices begin, and rows v, p, q, q' of directed edges, sorted.

    Each triangle is seen from its three corners along both of their edges: (corner v, edge's end p, far
    corner q). Two of one edge make a row, in order of q; an odd one out has q' = -1.
    """
    first = np.zeros(count + 1, dtype=np.int64)
    for vertex in faces.ravel():
        first[vertex + 1] += 2
    first = np.cumsum(first)
    seen = np.empty((6 * len(faces), 2), dtype=np.int64)  # p and q by corner, in ascending order there
    filled = first[:-1].copy()
    for face in faces:
        for corner in range(3):
            v, one, other = face[corner], face[(corner + 1) % 3], face[(corner + 2) % 3]
            for p, q in ((one, other), (other, one)):
                k = filled[v]
                while k > first[v] and (seen[k - 1, 0] > p or (seen[k - 1, 0] == p and seen[k - 1, 1] > q)):
                    seen[k, 0], seen[k, 1] = seen[k - 1, 0], seen[k - 1, 1]
                    k -= 1
                seen[k, 0], seen[k, 1] = p, q
                filled[v] += 1
    rows = np.empty((len(seen), 4), dtype=np.int64)
    start = np.zeros(count + 1, dtype=np.int32)
    made = 0
    for v in range(count):
        k = first[v]
        while k < first[v + 1]:
            rows[made, 0], rows[made, 1], rows[made, 2], rows[made, 3] = v, seen[k, 0], seen[k, 1], -1
            if k + 1 < first[v + 1] and seen[k + 1, 0] == seen[k, 0]:
                k += 1
                rows[made, 3] = seen[k, 1]
            made += 1
            k += 1
        start[v + 1] = made
    return start, rows[:made].copy()


@njit(cache=True, nogil=True)
def new_front(vertex_count: int) -> Any:
    """Scratch of one thread's fronts, for meshes of up to so many vertices; it never needs clearing.

    slot_of finds a vertex among the members (trust it only where the member agrees); of each member: vertex,
    distance, direction (u, v) in which the geodesic left the source, place in the heap (-1 not in it, -2
    settled); the heap's members and their keys; of each member: the source it was reached from.
    """
    return (
        np.zeros(vertex_count, np.int32),
        np.empty(vertex_count, np.int32),
        np.empty(vertex_count, np.float64),
        np.empty((vertex_count, 2), np.float64),
        np.empty(vertex_count, np.int32),
        np.empty(vertex_count, np.int32),
        np.empty(vertex_count, np.float64),
        np.empty(vertex_count, np.int32),
    )


@njit(cache=True, nogil=True)
def _rise(heap: Any, key: Any, place: Any, at: int, slot: int, value: float) -> None:
    """Put a member into the heap at a place that is free, or its own, and let it rise to where its key
    belongs."""
    while at > 0:
        parent = (at - 1) >> 1
        if key[parent] <= value:
            break
        moved = heap[parent]
        heap[at] = moved
        key[at] = key[parent]
        place[moved] = at
        at = parent
    heap[at] = slot
    key[at] = value
    place[slot] = at


@njit(cache=True, nogil=True)
def _take_nearest(heap: Any, key: Any, place: Any, queued: int) -> int:
    """The nearest of the queued members, taken off the heap and settled."""
    nearest = heap[0]
    place[nearest] = -2
    last = queued - 1
    slot, value = heap[last], key[last]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= last:
            break
        if child + 1 < last and key[child + 1] < key[child]:
            child += 1
        if key[child] >= value:
            break
        moved = heap[child]
        heap[at] = moved
        key[at] = key[child]
        place[moved] = at
        at = child
    if last > 0:
        heap[at] = slot
        key[at] = value
        place[slot] = at
    return nearest


@njit(cache=True, nogil=True, error_model="numpy")
def march(  # noqa: C901
    front: Any, start: Any, corner: Any, shape: Any, reach: float, count: int, queued: int, chained: int
) -> int:
    """March from the queued members out to ``reach`` nm; returns how many vertices were touched.

    ``chained`` is 1 where sources with consecutive origins are neighbours on a curve, else 0.

    start, corner, shape: the arrays of `Fans`; count: vertices touched so far; queued: how many wait in the
    front.
    """
    slot_of, member, distance, direction, place, heap, key, origin = front
    while queued > 0:
        here = _take_nearest(heap, key, place, queued)
        queued -= 1
        v, dv = member[here], distance[here]
        for row in range(start[v], start[v + 1]):
            p, length = corner[row, 0], shape[row, 0]
            slot = slot_of[p]
            known = slot < count and member[slot] == p
            value = dv + length
            if value <= reach and (not known or value < distance[slot]):
                if not known:
                    slot = count
                    slot_of[p] = slot
                    member[slot] = p
                    place[slot] = -1
                    count += 1
                distance[slot] = value
                direction[slot, 0] = direction[here, 0]
                direction[slot, 1] = direction[here, 1]
                origin[slot] = origin[here]
                at = place[slot]
                if at < 0:
                    at = queued
                    queued += 1
                _rise(heap, key, place, at, slot, value)
            if not known or place[slot] != -2:
                continue
            # both ends are settled. From one source: lay it out in the plane, at x along and y below the
            # edge; from two neighbours in a chain of sources: a plane wave of slope (x, y); else the fronts
            # collide
            dp = distance[slot]
            one_source = origin[slot] == origin[here]
            if abs(origin[slot] - origin[here]) > chained:
                continue
            if one_source:
                x = 0.5 * (dv * dv - dp * dp + length * length) / length
                square = dv * dv - x * x
            else:
                x = (dp - dv) / length
                square = 1.0 - x * x
            if square <= 0.0:
                continue
            y = np.sqrt(square)
            for side in range(2):
                q = corner[row, 1 + side]
                along, height = shape[row, 1 + 2 * side], shape[row, 2 + 2 * side]
                if one_source:
                    span = y + height
                    crossing = x * height + along * y
                    value = np.sqrt((along - x) ** 2 + span**2)
                else:
                    span = y
                    crossing = along * y - height * x
                    value = dv + x * along + y * height
                if q < 0 or crossing < 0.0 or crossing > length * span:
                    continue
                far = slot_of[q]
                known = far < count and member[far] == q
                if value >= (distance[far] if known else reach) * (1.0 - 1e-12):
                    continue
                if not known:
                    far = count
                    slot_of[q] = far
                    member[far] = q
                    place[far] = -1
                    count += 1
                crossing /= length * span
                du = (1.0 - crossing) * dv * direction[here, 0] + crossing * dp * direction[slot, 0]
                dw = (1.0 - crossing) * dv * direction[here, 1] + crossing * dp * direction[slot, 1]
                scale = 1.0 / np.sqrt(du * du + dw * dw + 1e-300)
                distance[far] = value
                direction[far, 0] = du * scale
                direction[far, 1] = dw * scale
                origin[far] = origin[here]
                at = place[far]
                if at < 0:
                    at = queued
                    queued += 1
                _rise(heap, key, place, at, far, distance[far])
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def ball(
    front: Any, source: int, reach: float, vertices: Any, normals: Any, start: Any, corner: Any, shape: Any
) -> int:
    """March from one vertex; its neighbours start in the directions they have in the plane of its normal.

    front: of `new_front`; source: the vertex; reach: radius in nm; vertices, normals: (n, 3); start, corner,
    shape: the arrays of `Fans`.
    """
    e0, e1, e2, f0, f1, f2 = tangent_frame(normals[source, 0], normals[source, 1], normals[source, 2])
    slot_of, member, distance, direction, place, heap, key, origin = front
    slot_of[source] = 0
    member[0] = source
    distance[0] = 0.0
    direction[0, 0] = direction[0, 1] = 0.0
    place[0] = -2
    origin[0] = 0
    count = 1
    for row in range(start[source], start[source + 1]):
        p, length = corner[row, 0], shape[row, 0]
        if length > reach or (slot_of[p] < count and member[slot_of[p]] == p):
            continue
        d0 = vertices[p, 0] - vertices[source, 0]
        d1 = vertices[p, 1] - vertices[source, 1]
        d2 = vertices[p, 2] - vertices[source, 2]
        du = d0 * e0 + d1 * e1 + d2 * e2
        dv = d0 * f0 + d1 * f1 + d2 * f2
        scale = 1.0 / np.sqrt(du * du + dv * dv + 1e-300)
        slot_of[p] = count
        member[count] = p
        distance[count] = length
        direction[count, 0] = du * scale
        direction[count, 1] = dv * scale
        origin[count] = 0
        _rise(heap, key, place, count - 1, count, length)
        count += 1
    return march(front, start, corner, shape, reach, count, count - 1, 0)


@njit(cache=True, nogil=True)
def _from_many(
    sources: Any, origins: Any, chained: int, start: Any, corner: Any, shape: Any, vertex_count: int
) -> Any:
    front = new_front(vertex_count)
    slot_of, member, distance, direction, place, heap, key, origin = front
    for at in range(len(sources)):
        slot_of[sources[at]] = at
        member[at] = sources[at]
        distance[at] = key[at] = 0.0
        direction[at] = 0.0
        place[at] = heap[at] = at
        origin[at] = origins[at]
    count = march(front, start, corner, shape, np.inf, len(sources), len(sources), chained)
    nearest = np.full(vertex_count, np.inf)
    for slot in range(count):
        nearest[member[slot]] = distance[slot]
    return nearest


def boundary_distance_nm(vertices: Floats, faces: Ints, fans: Fans | None = None) -> Floats:
    """Geodesic distance (n,) in nm to the boundary's polyline: 0 on it, infinite where a component is
    closed. ``fans`` are those of the mesh where they are known."""
    sources, origins = _along_loops(boundary_edges(faces))
    fans = triangle_fans(vertices, faces) if fans is None else fans
    return _from_many(sources, origins, 1, *fans.arrays, len(vertices))


def _along_loops(edges: Ints) -> tuple[Ints, Ints]:
    """The boundary's vertices in the order of walks along it, numbered so that only neighbours are
    consecutive."""
    neighbours: dict[int, list[int]] = {}
    for a, b in edges.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    order: list[int] = []
    number: dict[int, int] = {}
    for begin in neighbours:
        here: int | None = begin
        step = len(number) and number[order[-1]] + 2
        while here is not None and here not in number:
            number[here] = step
            order.append(here)
            step += 1
            here = next((n for n in neighbours[here] if n not in number), None)
    return np.array(order, dtype=np.int64), np.array([number[v] for v in order], dtype=np.int64)


def spatial_order(points: Floats) -> Ints:
    """An order (n,) of points that keeps neighbours near each other in memory (Morton codes on a grid of
    1024³)."""
    span = np.ptp(points, axis=0).max(initial=0.0)
    cells = ((points - points.min(axis=0, initial=np.inf)) * (1023.0 / max(span, 1e-30))).astype(np.uint64)
    code = np.zeros(len(points), np.uint64)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return np.argsort(code, kind="stable")
