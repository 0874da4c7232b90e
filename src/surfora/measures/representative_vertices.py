"""Few vertices that stand for all of a dense mesh, where what is measured varies over many edges.

The isosurface of a mask has vertices nearer to each other than a voxel, but is smoothed over several voxels,
and curvature is fitted over balls of hundreds of vertices about each. A vertex within a fifth of the smallest
ball says the same as its neighbours: carriers of that spacing take over their areas, are fitted alone, and
what they tell is interpolated between them. On a mesh n times as dense that is n² times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.frames import tangents
from surfora.measures.geodesics import Fans

SOFTENED = 0.25  # of the spacing: within it the nearest carrier alone is believed
LEAST_SPREAD = 1e-3  # of the carriers' places, in squared spacings: below it they do not tell a slope
LINEAR = ("mean_curvature_per_nm", "k1_per_nm", "k2_per_nm")


@dataclass(frozen=True)
class Carriers:
    """The vertices (c,) that stand for others, which of them (n,) stands for each vertex, and their graph.

    ``fans`` has the graph's edges but no triangles; ``areas_nm2`` (c,) sums those of the vertices stood for.
    """

    vertex: Ints
    carrier: Ints
    areas_nm2: Floats
    fans: Fans


def carriers_of(vertices: Floats, areas_nm2: Floats, inner: Mask, fans: Fans, spacing_nm: float) -> Carriers:
    """Carriers at least a spacing apart along the mesh, from the inner vertices (n,) where there are any.

    vertices: (n, 3) in nm; areas_nm2: (n,); fans: of the mesh. Each vertex goes with the nearest carrier of
    those within the spacing over edges.
    """
    turn = np.concatenate([np.flatnonzero(inner), np.flatnonzero(~inner)])
    owner = _owners(vertices, turn, fans.start, fans.corner, spacing_nm)
    vertex, carrier = np.unique(owner, return_inverse=True)
    ones = np.repeat(np.arange(len(vertices)), np.diff(fans.start))
    pairs = np.stack([carrier[ones], carrier[fans.corner[:, 0]]], axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    start = np.searchsorted(pairs[:, 0], np.arange(len(vertex) + 1)).astype(np.int32)
    corner = np.full((len(pairs), 3), -1, np.int32)
    corner[:, 0] = pairs[:, 1]
    shape = np.zeros((len(pairs), 5))
    shape[:, 0] = np.linalg.norm(vertices[vertex[pairs[:, 0]]] - vertices[vertex[pairs[:, 1]]], axis=1)
    areas = np.bincount(carrier, weights=areas_nm2, minlength=len(vertex)).astype(np.float64)
    return Carriers(vertex, carrier, areas, Fans(start, corner, shape))


@njit(cache=True, nogil=True)
def _owners(vertices: Floats, turn: Ints, start: Any, corner: Any, spacing: float) -> Ints:
    """The carrier (n,) that each vertex goes with: in this turn, each that none has reached becomes one."""
    owner = np.full(len(vertices), -1, np.int64)
    away = np.full(len(vertices), np.inf)
    seen = np.full(len(vertices), -1, np.int64)
    queue = np.empty(len(vertices), np.int64)
    for centre in turn:
        if owner[centre] >= 0:
            continue
        owner[centre], away[centre] = centre, 0.0
        queue[0], seen[centre] = centre, centre
        count, at = 1, 0
        while at < count:
            here = queue[at]
            at += 1
            for row in range(start[here], start[here + 1]):
                other = corner[row, 0]
                if seen[other] == centre:
                    continue
                seen[other] = centre
                square = 0.0
                for axis in range(3):
                    square += (vertices[other, axis] - vertices[centre, axis]) ** 2
                if square >= spacing * spacing:
                    continue
                queue[count] = other
                count += 1
                if square < away[other]:
                    owner[other], away[other] = centre, square
    return owner


def interpolation(
    carriers: Carriers, vertices: Floats, normals: Floats, spacing_nm: float, known: Mask
) -> tuple[csr_array, csr_array]:
    """Weights (n, c), of sum 1, of the carriers about each vertex; no weight for those not known (c,).

    A vertex takes its own carrier and those beside it, by the inverse fourth power of their distance; the
    second weights are the same, tilted so that what varies linearly along the plane of the normals (n, 3) is
    met exactly (some may be negative). Rows are empty where none is known.
    """
    start, corner, _ = carriers.fans.arrays
    count = np.diff(start)[carriers.carrier]
    row = np.repeat(np.arange(len(vertices)), count + 1)
    first = np.cumsum(count + 1) - count - 1
    step = np.arange(len(row)) - np.repeat(first, count + 1)
    own = np.repeat(carriers.carrier, count + 1)
    beside = corner[:, 0] if len(corner) else own[:1]  # of a single carrier, which has none beside it
    column = np.where(step == 0, own, beside[np.minimum(start[own] + step - 1, len(beside) - 1)])
    way = vertices[carriers.vertex[column]] - vertices[row]
    weight = known[column] / (np.sum(way**2, axis=1) + (SOFTENED * spacing_nm) ** 2) ** 2
    kept = weight > 0
    row, column, way, weight = row[kept], column[kept], way[kept], weight[kept]
    weight = weight / np.bincount(row, weights=weight, minlength=len(vertices))[row]
    along, across = tangents(normals)
    place = [np.einsum("ni,ni->n", way, axis[row]) / spacing_nm for axis in (along, across)]
    shape = (len(vertices), len(carriers.vertex))
    plain = csr_array((weight, (row, column)), shape=shape)
    tilted = csr_array((weight * _tilts(row, weight, place, len(vertices)), (row, column)), shape=shape)
    return plain, tilted


def _tilts(row: Ints, weight: Floats, place: list[Floats], count: int) -> Floats:
    """Factors λ₀ + λ·x (m,) of weights (m,) of sum 1 in each row (m,) that centre them on the place x = 0."""
    basis = [np.ones(len(row)), *place]
    system = np.empty((count, 3, 3))
    for i, one in enumerate(basis):
        for j, other in enumerate(basis):
            system[:, i, j] = np.bincount(row, weights=weight * one * other, minlength=count)
    system += LEAST_SPREAD * np.diag([0.0, 1.0, 1.0])
    system[system[:, 0, 0] == 0] = np.eye(3)
    factor = np.linalg.solve(system, np.broadcast_to([[1.0], [0.0], [0.0]], (count, 3, 1)))[row, :, 0]
    return sum(factor[:, i] * one for i, one in enumerate(basis))


def interpolated(
    found: dict[str, NDArray],
    weights: tuple[csr_array, csr_array],
    carriers: Carriers,
    normals: Floats,
    known: Mask,
) -> dict[str, NDArray]:
    """Arrays of the carriers (c, …) at all vertices (n, …); NaN where no known carrier is near.

    Curvatures are interpolated by the second weights of `interpolation`, errors and confidence by the first.
    The direction ``k1_direction`` has no sign, and lies in the plane of the normals (n, 3); the radius
    ``curvature_radius_nm`` stays one that was scanned.
    """
    plain, tilted = weights
    there = np.diff(plain.indptr) > 0
    spread: dict[str, NDArray] = {}
    for name, values in found.items():
        if values.ndim == 1:
            how = tilted if name in LINEAR else plain
            spread[name] = np.where(there, how @ np.where(known, values, 0.0), np.nan)
    nearest = _of_most_weight(plain)
    spread["curvature_radius_nm"] = np.where(there, found["curvature_radius_nm"][nearest], np.nan)
    along = found["k1_direction"][nearest]
    along = along - np.einsum("ni,ni->n", along, normals)[:, None] * normals
    length = np.linalg.norm(along, axis=1, keepdims=True)
    spread["k1_direction"] = np.where(there[:, None], along / np.maximum(length, 1e-12), np.nan)
    return spread


def _of_most_weight(weights: csr_array) -> Ints:
    """The column (n,) of the largest weight of each row, 0 where it has none."""
    there = np.diff(weights.indptr) > 0
    row = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    largest = np.zeros(weights.shape[0])
    largest[there] = np.maximum.reduceat(weights.data, weights.indptr[:-1][there])
    of_most = np.zeros(weights.shape[0], dtype=np.int64)
    best = np.flatnonzero(weights.data == largest[row])[::-1]  # the first of equals is written last
    of_most[row[best]] = weights.indices[best]
    return of_most
