"""How a membrane faces itself: the nearest point among those that lie far away along the surface.

Along a fold, a crista or a narrow tubule a membrane comes near itself. Of a vertex, its surroundings are no
partner: only points farther along the surface than a stated distance count. Geodesic balls are marched from
places spread over the surface, a tenth of that distance apart, and serve all vertices around them; a partner
at the very edge of the surroundings may so be taken or left by that tenth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.nearest import closest_points_on_triangles
from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import SurfaceMesh, edges_and_counts
from surfora.measures.contacts.facing import Facing, angles_deg, normals_of
from surfora.measures.geodesics import ball, new_front, spatial_order, triangle_fans
from tomocore.contract import InputError, Progress, no_progress

CENTRES_PER_DISTANCE = 10
BLOCK = 256
TASKS = 16


def facing_itself(
    mesh: SurfaceMesh, along_nm: float, reach_nm: float, progress: Progress = no_progress
) -> Facing:
    """How a mesh faces itself, partners being farther than ``along_nm`` along the surface.

    Gaps above ``reach_nm`` are not looked for and infinite. ``progress`` is told of the geodesic balls.
    Raises InputError where along_nm is not above reach_nm: on a flat surface every point would be a partner.
    """
    if along_nm <= reach_nm:
        raise InputError(
            f"a membrane against itself: partners {along_nm:g} nm along the surface are nearer than the "
            f"largest threshold of {reach_nm:g} nm; raise contacts.self_along_nm above it"
        )
    order = spatial_order(mesh.vertices)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    vertices, faces = mesh.vertices[order], rank[mesh.faces]
    normals = normals_of(mesh)[order]
    partner = _nearest_far(vertices, faces, normals, along_nm, reach_nm, progress)
    way, there = _ways(vertices, faces, normals, partner)
    has_one = partner >= 0
    gap = np.where(has_one, np.linalg.norm(way, axis=1), np.inf)
    return Facing(
        mesh,
        gap[rank],
        np.where(has_one, order[partner], -1)[rank],
        np.where(has_one, angles_deg(normals, way), np.nan)[rank],
        np.where(has_one, angles_deg(normals, there), np.nan)[rank],
        np.full(len(rank), np.nan),
        np.zeros(len(rank), dtype=bool),
    )


def _nearest_far(
    vertices: Floats, faces: Ints, normals: Floats, along_nm: float, reach_nm: float, progress: Progress
) -> Ints:
    """The vertex (n,) nearest to each within reach and farther along the surface, −1 where there is none."""
    fans = triangle_fans(vertices, faces)
    centres, cell = _cells(vertices, faces, along_nm / CENTRES_PER_DISTANCE)
    members = np.argsort(cell, kind="stable")
    start = np.searchsorted(cell[members], np.arange(len(centres) + 1))
    radius = np.zeros(len(centres))  # of the cells: what their members may see lies in a ball larger by it
    np.maximum.at(radius, cell, np.linalg.norm(vertices - vertices[centres[cell]], axis=1))
    tree = cKDTree(vertices)
    partner = np.full(len(vertices), -1, dtype=np.int64)
    for begin in range(0, len(centres), BLOCK):
        block = slice(begin, begin + BLOCK)
        near = tree.query_ball_point(vertices[centres[block]], radius[block] + reach_nm, workers=-1)
        counts = np.array([len(some) for some in near])
        _search(
            partner, centres[block], start[begin : begin + len(near) + 1], members,
            np.concatenate([np.asarray(some, np.int64) for some in near]), np.append(0, np.cumsum(counts)),
            along_nm, reach_nm, vertices, normals, *fans.arrays,
        )  # fmt: skip
        progress(min(begin + BLOCK, len(centres)), len(centres))
    return partner


def _cells(vertices: Floats, faces: Ints, spacing_nm: float) -> tuple[Ints, Ints]:
    """Vertices (c,) spread over the surface, and for each vertex (n,) the one nearest along its edges."""
    edges, _ = edges_and_counts(faces)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    graph = csr_array((lengths, edges.T), shape=(len(vertices), len(vertices)))
    centres = poisson_disc(vertices, spacing_nm)
    far, _, source = dijkstra(
        graph, directed=False, indices=centres, min_only=True, return_predecessors=True, limit=2 * spacing_nm
    )
    # A piece without a centre of its own, since a fold beside it has one: its vertices stand for themselves.
    centres = np.concatenate([centres, np.flatnonzero(np.isinf(far))])
    place = np.full(len(vertices), -1)
    place[centres] = np.arange(len(centres))
    return centres, place[np.where(np.isinf(far), np.arange(len(vertices)), source)]


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def _search(
    partner: Any,
    centres: Any,
    start: Any,
    members: Any,
    near: Any,
    near_start: Any,
    along: float,
    reach: float,
    vertices: Any,
    normals: Any,
    fan_start: Any,
    fan_corner: Any,
    fan_shape: Any,
) -> None:
    """Fill ``partner`` for the vertices of a block of cells.

    centres: (c,) their middles; start, members: those of cell i are ``members[start[i]:start[i + 1]]``;
    near, near_start: what they may see, likewise; along, reach: in nm.
    """
    for task in prange(TASKS):
        front = new_front(len(vertices))
        stamp = np.full(len(vertices), -1, np.int32)
        far = np.empty(len(vertices), np.int64)
        for cell in range(task, len(centres), TASKS):
            count = ball(front, centres[cell], along, vertices, normals, fan_start, fan_corner, fan_shape)
            for slot in range(count):
                if front[2][slot] <= along:
                    stamp[front[1][slot]] = cell
            seen = 0
            for k in range(near_start[cell], near_start[cell + 1]):
                if stamp[near[k]] != cell:
                    far[seen] = near[k]
                    seen += 1
            for m in range(start[cell], start[cell + 1]):
                here = members[m]
                least = reach * reach
                for k in range(seen):
                    x = vertices[far[k], 0] - vertices[here, 0]
                    y = vertices[far[k], 1] - vertices[here, 1]
                    z = vertices[far[k], 2] - vertices[here, 2]
                    square = x * x + y * y + z * z
                    if square <= least:
                        least = square
                        partner[here] = far[k]


def _ways(vertices: Floats, faces: Ints, normals: Floats, partner: Ints) -> tuple[Floats, Floats]:
    """From each vertex the way (n, 3) to the nearest point of the triangles about its partner; its normal."""
    corner = np.argsort(faces.ravel(), kind="stable")
    first = np.searchsorted(faces.ravel()[corner], np.arange(len(vertices) + 1))
    has_one = np.flatnonzero(partner >= 0)
    counts = (first[1:] - first[:-1])[partner[has_one]]
    has_one, counts = has_one[counts > 0], counts[counts > 0]
    way = np.zeros_like(vertices)
    way[has_one] = vertices[partner[has_one]] - vertices[has_one]
    if len(has_one):
        begin = np.cumsum(counts) - counts
        rows = np.arange(counts.sum()) - np.repeat(begin - first[partner[has_one]], counts)
        here = np.repeat(vertices[has_one], counts, axis=0)
        ways = closest_points_on_triangles(here, vertices[faces[corner[rows] // 3]]) - here
        lengths = np.linalg.norm(ways, axis=1)
        least = np.minimum.reduceat(lengths, begin)
        best = np.flatnonzero(lengths == np.repeat(least, counts))
        owner = np.repeat(np.arange(len(has_one)), counts)[best]
        way[has_one[owner]] = ways[best]
    return way, np.where((partner >= 0)[:, None], normals[partner], 0.0)
