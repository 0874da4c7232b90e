"""Boundary loops of a mesh: found fan by fan, measured, filled; vertices where loops touch are split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from surfora.geometry.arrays import Floats, Ints, Mask

RINGS_AROUND = 4  # rings of triangles about a loop that mending looks at
LONGEST_FILLED = 400  # vertices; the triangulation takes the cube of it


@dataclass(frozen=True)
class LoopMeasures:
    """Per boundary loop: vertices, length in nm, largest extent in nm, area of the flat outline in nm²."""

    vertex_count: Ints
    perimeter_nm: Floats
    diameter_nm: Floats
    area_nm2: Floats


def half_edge_twins(faces: Ints) -> Ints:
    """For each half-edge 3·face + corner (from that corner to the next) its twin, −1 on the boundary (3 m,).

    Edges of more than two triangles, or of two that wind against each other, count as boundary.
    """
    origin, tip = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    edge = np.minimum(origin, tip) * (int(faces.max(initial=0)) + 1) + np.maximum(origin, tip)
    order = np.argsort(edge)
    same = np.concatenate([[False], np.diff(edge[order]) == 0, [False]])
    pair = np.flatnonzero(same[1:-1] & ~same[:-2] & ~same[2:])
    pair = pair[origin[order[pair]] != origin[order[pair + 1]]]
    twins = np.full(len(edge), -1, dtype=np.int64)
    twins[order[pair]], twins[order[pair + 1]] = order[pair + 1], order[pair]
    return twins


def boundary_loops(faces: Ints) -> list[Ints]:
    """Every boundary loop as its vertices in order, along the half-edges of the triangles beside it.

    At a vertex where several loops touch, each loop keeps to the fan of triangles it came along.
    """
    twins = half_edge_twins(faces)
    origin = faces.ravel()
    open_edges = np.flatnonzero(twins < 0)
    follower = dict(zip(open_edges.tolist(), _next_open(open_edges, twins).tolist(), strict=True))
    loops = []
    while follower:
        first, edge = follower.popitem()
        loop = [first]
        while edge != first:
            loop.append(edge)
            edge = follower.pop(edge)
        loops.append(origin[loop])
    return loops


def _next_open(open_edges: Ints, twins: Ints) -> Ints:
    """The open half-edge that leaves the tip of each open half-edge, on the same fan."""
    edge = _next_in_face(open_edges)
    turning = twins[edge] >= 0
    while turning.any():
        edge[turning] = _next_in_face(twins[edge[turning]])
        turning = twins[edge] >= 0
    return edge


def _next_in_face(half_edge: Ints) -> Ints:
    return half_edge - half_edge % 3 + (half_edge + 1) % 3


def measure_loops(vertices: Floats, loops: list[Ints]) -> LoopMeasures:
    """Length, extent and area of each loop; the area is that of its projection along its mean normal."""
    perimeter, diameter, area = np.zeros((3, len(loops)))
    for i, loop in enumerate(loops):
        corner = vertices[loop] - vertices[loop].mean(axis=0)
        ahead = np.roll(corner, -1, axis=0)
        perimeter[i] = np.linalg.norm(ahead - corner, axis=1).sum()
        diameter[i] = _largest_extent(corner)
        area[i] = 0.5 * np.linalg.norm(np.cross(corner, ahead).sum(axis=0))
    return LoopMeasures(np.array([len(loop) for loop in loops], dtype=np.int64), perimeter, diameter, area)


def _largest_extent(points: Floats) -> float:
    """Largest distance between two of the points, to 2 %: along 100 directions over the half-sphere."""
    i = np.arange(100) + 0.5
    z, turn = 1 - i / 100, np.pi * (1 + 5**0.5) * i
    r = np.sqrt(1 - z**2)
    along = points @ np.array([r * np.cos(turn), r * np.sin(turn), z])
    return float(np.ptp(along, axis=0).max())


def fill_loops(
    vertices: Floats, normals: Floats, faces: Ints, loops: list[Ints], facing: float = 0.3
) -> tuple[Ints, Ints]:
    """Triangles (k, 3) that close the loops, wound like the mesh, and the loop each belongs to (k,).

    Among all triangulations of a loop's vertices the one with the least sum of squared edges is taken
    (dynamic programming, Klincsek 1980), in which no triangle turns from its vertices' ``normals`` by more
    than arccos(``facing``) and no edge of the mesh is used again. Loops that have none stay open.
    """
    taken = _edges_between_boundary_vertices(faces, loops)
    filled: list[Ints] = [np.empty((0, 3), np.int64)]
    owner: list[Ints] = [np.empty(0, np.int64)]
    for i, loop in enumerate(loops):
        ring = loop[::-1]
        if not 3 <= len(ring) <= LONGEST_FILLED or len(np.unique(ring)) < len(ring):
            continue
        triangles = _least_triangulation(vertices[ring], normals[ring], _allowed(ring, taken), facing)
        if len(triangles):
            filled.append(ring[triangles])
            owner.append(np.full(len(triangles), i))
            taken |= _edge_set(ring[triangles])
    return np.concatenate(filled), np.concatenate(owner)


def mend_folds(
    vertices: Floats, normals: Floats, faces: Ints, loops: list[Ints], facing: float = 0.3
) -> Ints:
    """Faces without the loops that ``fill_loops`` refused because the mesh folds over there.

    The triangles along a loop are taken away and the wider hole is triangulated; where that fails, all that
    touch the loop are, then all that touch those. A fold that hangs on a rim is cut off, so that its loop
    becomes part of the rim. Loops that stay refused are left as they were.

    vertices, normals: (n, 3); faces: (m, 3); facing: least cosine between a triangle and its point normals.
    """
    if not loops:
        return faces
    close = np.isin(faces, np.concatenate(loops)).any(axis=1)
    for _ in range(RINGS_AROUND):
        close = np.isin(faces, faces[close]).any(axis=1)
    near, left = faces[close], loops
    for width in range(3):
        tried, left = left, []
        for loop in tried:
            removed = _around(near, loop, width)
            patch = _patch_over(vertices, normals, near, np.flatnonzero(removed), loop, facing)
            if len(patch):
                near = np.concatenate([near[~removed], patch])
            else:
                left.append(loop)
    for loop in left:
        cut = near[~_around(near, loop, 1)]
        if len(boundary_loops(cut)) < len(boundary_loops(near)):
            near = cut
    unchanged = len(near) == close.sum() and len(left) == len(loops)
    return faces if unchanged else np.concatenate([faces[~close], near])


def _around(faces: Ints, loop: Ints, width: int) -> Mask:
    """The faces along a loop (width 0: an edge on it, 1: a vertex on it, 2: a vertex on one of those)."""
    shared = np.isin(faces, loop).sum(axis=1)
    chosen: Mask = shared >= (2 if width == 0 else 1)
    if width == 2:
        chosen = np.asarray(np.isin(faces, faces[chosen]).any(axis=1))
    return chosen


def _patch_over(
    vertices: Floats, normals: Floats, faces: Ints, removed: Ints, loop: Ints, facing: float
) -> Ints:
    """Triangles in place of the ``removed`` ones and the hole they surround; (0, 3) where there are none."""
    none = np.empty((0, 3), np.int64)
    around = np.flatnonzero(np.isin(faces, faces[removed]).any(axis=1))
    local, inside = faces[around], np.isin(around, removed)
    twins = half_edge_twins(local)
    edge = np.flatnonzero(np.repeat(inside, 3))
    beside = twins[edge]
    on_loop = set(zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True))
    origin, tip = local.ravel(), np.roll(local, -1, axis=1).ravel()
    open_edges = set(zip(origin[edge[beside < 0]].tolist(), tip[edge[beside < 0]].tolist(), strict=True))
    outline = edge[(beside >= 0) & ~inside[np.maximum(beside, 0) // 3]]
    ring = _single_ring(origin[outline], tip[outline])
    if not open_edges <= on_loop or not 3 <= len(ring) <= LONGEST_FILLED:
        return none
    taken = _edge_set(local[~inside])
    triangles = _least_triangulation(vertices[ring], normals[ring], _allowed(ring, taken), facing)
    return ring[triangles] if len(triangles) else none


def _single_ring(origin: Ints, tip: Ints) -> Ints:
    """The vertices of the one simple cycle that directed edges form; empty where they do not."""
    follower = dict(zip(origin.tolist(), tip.tolist(), strict=True))
    if len(follower) < len(origin) or not follower:
        return np.empty(0, np.int64)
    ring = [next(iter(follower))]
    while len(ring) <= len(follower) and follower.get(ring[-1], ring[0]) != ring[0]:
        ring.append(follower[ring[-1]])
    return np.array(ring if len(ring) == len(follower) else [], dtype=np.int64)


def _edge_set(faces: Ints) -> set[tuple[int, int]]:
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return set(map(tuple, edges.tolist()))


def _edges_between_boundary_vertices(faces: Ints, loops: list[Ints]) -> set[tuple[int, int]]:
    on_loop = np.zeros(int(faces.max(initial=0)) + 1, dtype=bool)
    for loop in loops:
        on_loop[loop] = True
    return _edge_set(faces[on_loop[faces].sum(axis=1) >= 2])


def _allowed(ring: Ints, taken: set[tuple[int, int]]) -> Mask:
    """Whether vertices i and j of the ring may be joined (k, k): neighbours on the ring, or no edge yet."""
    k = len(ring)
    allowed = np.ones((k, k), dtype=bool)
    for i in range(k):
        for j in range(i + 2, k - (i == 0)):
            edge = (ring[i], ring[j]) if ring[i] < ring[j] else (ring[j], ring[i])
            allowed[i, j] = allowed[j, i] = edge not in taken
    return allowed


def _least_triangulation(points: Floats, normals: Floats, allowed: Mask, facing: float) -> Ints:
    """Triangles (k − 2, 3) of the ring's indices; (0, 3) where no triangulation is allowed."""
    k = len(points)
    cost = np.zeros((k, k))
    split = np.zeros((k, k), dtype=np.int64)
    squared = np.sum((points[:, None] - points[None]) ** 2, axis=2)
    for span in range(2, k):
        for i in range(k - span):
            j, m = i + span, np.arange(i + 1, i + span)
            total = cost[i, m] + cost[m, j] + squared[i, m] + squared[m, j] + squared[i, j]
            total[~_may_be_face(points, normals, i, m, j, facing)] = np.inf
            best = int(np.argmin(total))
            cost[i, j] = total[best] if allowed[i, j] else np.inf
            split[i, j] = m[best]
    if not np.isfinite(cost[0, k - 1]):
        return np.empty((0, 3), np.int64)
    return _unfold(split, k)


def _may_be_face(points: Floats, normals: Floats, i: int, m: Ints, j: int, facing: float) -> Mask:
    cross = np.cross(points[m] - points[i], points[j] - points[i])
    limit = facing * np.linalg.norm(cross, axis=1)
    along = np.minimum(cross @ normals[i], cross @ normals[j])
    return (limit > 0) & (np.minimum(along, np.einsum("ij,ij->i", cross, normals[m])) >= limit)


def _unfold(split: Ints, k: int) -> Ints:
    triangles, todo = [], [(0, k - 1)]
    while todo:
        i, j = todo.pop()
        if j - i >= 2:
            m = int(split[i, j])
            triangles.append((i, m, j))
            todo += [(i, m), (m, j)]
    return np.array(triangles, dtype=np.int64)


def split_bow_ties(faces: Ints, vertex_count: int) -> tuple[Ints, Ints]:
    """Faces in which each vertex has one fan of triangles, and the old vertex of each new one.

    A vertex whose triangles form several fans (loops that touch at a point) is doubled; the first
    ``vertex_count`` vertices keep their numbers.
    """
    fan = _fans(faces)
    first = np.unique(fan, return_index=True)[1]
    vertex_of_fan = faces.ravel()[first]
    order = np.argsort(vertex_of_fan, kind="stable")
    again = np.concatenate([[False], np.diff(vertex_of_fan[order]) == 0])
    number = vertex_of_fan.copy()
    number[order[again]] = vertex_count + np.arange(again.sum())
    old = np.concatenate([np.arange(vertex_count), vertex_of_fan[order[again]]])
    return number[fan].reshape(-1, 3), old


def _fans(faces: Ints) -> Ints:
    """A number (3 m,) for each corner: corners of one vertex share it if edges there join their triangles."""
    twins = half_edge_twins(faces)
    inner = np.flatnonzero(twins >= 0)
    around = _next_in_face(twins[inner])  # the half-edge that leaves the same vertex, one triangle on
    size = len(twins)
    links = coo_array((np.ones(len(inner), dtype=bool), (inner, around)), shape=(size, size))
    return connected_components(links, directed=False)[1].astype(np.int64)
