"""Geodesic balls as arrays, and distances by the heat method: what the marching kernel is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import potpourri3d
from numba import njit, prange
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.surface import vertex_normals
from surfora.measures.geodesics import _from_many, ball, new_front, triangle_fans

TASKS = 32


def geodesic_distance_nm(vertices: Floats, faces: Ints, sources: Ints) -> Floats:
    """Geodesic distance (n,) in nm to the nearest of the source vertices; infinite where none can be reached.

    Exact on flat meshes for one source; where the fronts of several meet, up to half an edge too long.
    """
    sources = np.unique(sources)
    return _from_many(
        sources, np.arange(len(sources)), 0, *triangle_fans(vertices, faces).arrays, len(vertices)
    )


@dataclass(frozen=True)
class GeodesicBalls:
    """Balls in compressed rows: ball i is ``vertex[start[i]:start[i + 1]]``, its centre first, in no other
    order.

    ``log_map_nm`` (k, 2) are geodesic polar coordinates as u, v in an orthonormal frame of the centre's
    tangent plane; their length is the geodesic ``distance_nm`` (k,).
    """

    start: Ints
    vertex: NDArray[np.int32]
    distance_nm: Floats
    log_map_nm: Floats


@njit(cache=True, nogil=True, parallel=True)
def _balls(
    sources: Any, reach: float, radius: float, vertices: Any, normals: Any,
    start: Any, corner: Any, shape: Any, tasks: int, ends: Any, vertex: Any, distance: Any, log_map: Any,
) -> None:  # fmt: skip
    """Count the balls' members into ``ends`` where that is empty of them, else write the members."""
    for task in prange(tasks):
        front = new_front(len(vertices))
        for at in range(task * len(sources) // tasks, (task + 1) * len(sources) // tasks):
            count = ball(front, sources[at], reach, vertices, normals, start, corner, shape)
            to = ends[at]
            for slot in range(count):
                if front[2][slot] <= radius:
                    if len(vertex) > 0:
                        vertex[to] = front[1][slot]
                        distance[to] = front[2][slot]
                        log_map[to, 0] = front[2][slot] * front[3][slot, 0]
                        log_map[to, 1] = front[2][slot] * front[3][slot, 1]
                    to += 1
            if len(vertex) == 0:
                ends[at] = to


def geodesic_balls(
    vertices: Floats,
    faces: Ints,
    radius_nm: float,
    sources: Ints | None = None,
    normals: Floats | None = None,
) -> GeodesicBalls:
    """The geodesic balls of a radius about the sources (all vertices if None).

    ``normals`` (n, 3) set the frames of the log maps; the mesh's own where None. One mean edge of margin is
    marched beyond the radius, as the last vertices inside may be reached across an edge that is partly
    outside.
    """
    fans = triangle_fans(vertices, faces)
    sources = np.arange(len(vertices)) if sources is None else np.asarray(sources)
    normals = vertex_normals(vertices, faces) if normals is None else normals
    margin = float(fans.shape[:, 0].mean()) if len(fans.shape) else 0.0
    tasks = max(1, min(TASKS, len(sources)))
    given = (sources, radius_nm + margin, radius_nm, vertices, normals, *fans.arrays, tasks)
    counts = np.zeros(len(sources), np.int64)
    none = (np.empty(0, np.int32), np.empty(0), np.empty((0, 2)))
    _balls(*given, counts, *none)
    start = np.concatenate([[0], np.cumsum(counts)])
    total = int(start[-1])
    members = (np.empty(total, np.int32), np.empty(total), np.empty((total, 2)))
    _balls(*given, start[:-1].copy(), *members)
    return GeodesicBalls(start, *members)


def heat_distance_nm(vertices: Floats, faces: Ints, sources: Ints) -> Floats:
    """Geodesic distance (n,) in nm to the nearest source by the heat method (Crane et al. 2013).

    Smooth and fast for one-to-all, but 2–3 % off near the source; here for distances across a whole surface
    and to validate the fronts. Vertices of components without a source are infinite.
    """
    sources = np.unique(sources)
    reached = np.isfinite(geodesic_distance_nm(vertices, faces, sources))
    part = faces[reached[faces].all(axis=1)]
    used, renumbered = np.unique(part, return_inverse=True)
    solver = potpourri3d.MeshHeatMethodDistanceSolver(vertices[used], renumbered.reshape(-1, 3))
    distance = np.full(len(vertices), np.inf)
    distance[used] = solver.compute_distance_multisource(np.searchsorted(used, sources))
    return distance
