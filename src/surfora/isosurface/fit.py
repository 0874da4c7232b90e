"""Quadratic fits over patches of a mesh along its own surface: no shrinking, no crosstalk over gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.frames import factorise, substitute, tangent_frame
from tomocore.contract import Progress, no_progress

CHUNKS = 32
PORTION = 65_536  # vertices between two reports of progress: some tenths of a second


def adjacency(faces: Ints, vertex_count: int) -> tuple[Ints, Ints]:
    """Neighbours of every vertex as start (n + 1,) and neighbour (2 × edges,)."""
    one, other = faces[:, [0, 1, 2, 1, 2, 0]].ravel(), faces[:, [1, 2, 0, 0, 1, 2]].ravel()
    links = csr_array((np.ones(len(one), np.int8), (one, other)), shape=(vertex_count, vertex_count))
    return links.indptr.astype(np.int64), links.indices.astype(np.int64)


def neighbour_means(values: Floats, start: Ints, neighbour: Ints) -> Floats:
    """Mean (n, k) over each vertex's neighbours."""
    count = np.diff(start)
    links = csr_array((np.ones(len(neighbour)), neighbour, start), shape=(len(count), len(count)))
    return (links @ values) / np.maximum(count, 1)[:, None]


@dataclass(frozen=True)
class PatchFits:
    """What a quadric over the patch about each vertex says, (n,) each; NaN where it is not determined.

    ``height``: of the fit over the vertex along its normal. ``normals`` (n, 3): of the fit there (the
    vertex's own where not determined). ``bend``: the larger principal curvature, unsigned.
    """

    height: Floats
    normals: Floats
    bend: Floats


def fit_patches(
    vertices: Floats,
    normals: Floats,
    start: Ints,
    neighbour: Ints,
    radius: float,
    least_cosine: float,
    progress: Progress = no_progress,
) -> PatchFits:
    """Quadrics over the mesh about every vertex.

    A vertex's patch are the vertices within ``radius`` reached over edges inside it whose normals have at
    least this cosine with its own, so that none lies round an edge; weights fall as (1 − (r/radius)²)².
    Heights over the tangent plane are fitted by a full quadric, so that a surface of constant curvature has
    height 0: moving onto the fit does not shrink it.

    vertices, normals: (n, 3); start, neighbour: of `adjacency`; progress is told of vertices.
    """
    fits = PatchFits(np.full(len(vertices), np.nan), normals.copy(), np.full(len(vertices), np.nan))
    for first in range(0, len(vertices), PORTION):
        last = min(first + PORTION, len(vertices))
        _fit_patches(
            vertices, normals, start, neighbour, radius, least_cosine, first, last,
            fits.height, fits.normals, fits.bend,
        )  # fmt: skip
        progress(last, len(vertices))
    return fits


@njit(cache=True, parallel=True, nogil=True)
def _fit_patches(
    vertices: Floats,
    normals: Floats,
    start: Ints,
    neighbour: Ints,
    radius: float,
    least_cosine: float,
    first: int,
    last: int,
    height: Floats,
    tilted: Floats,
    bend: Floats,
) -> None:
    count = last - first
    for chunk in prange(CHUNKS):
        begin, end = first + chunk * count // CHUNKS, first + (chunk + 1) * count // CHUNKS
        _fit_range(
            vertices, normals, start, neighbour, radius, least_cosine, begin, end, height, tilted, bend
        )


@njit(cache=True, nogil=True)
def _fit_range(
    vertices: Floats,
    normals: Floats,
    start: Ints,
    neighbour: Ints,
    radius: float,
    least_cosine: float,
    begin: int,
    end: int,
    height: Floats,
    tilted: Floats,
    bend: Floats,
) -> None:
    seen = np.zeros(len(vertices), np.int64)  # of which only the memory that is used is ever filled
    patch = np.empty(len(vertices), np.int64)
    system, right = np.empty((7, 6)), np.empty(6)
    for i in range(begin, end):
        size = gather_patch(vertices, normals, start, neighbour, radius, least_cosine, i, seen, patch)
        fit_height(vertices, normals[i], patch[:size], radius, system, right)
        if size >= 6 and factorise(system, 6):
            substitute(system, right, 6)
            u0, u1, u2, v0, v1, v2 = tangent_frame(normals[i, 0], normals[i, 1], normals[i, 2])
            height[i] = right[0] * radius
            x = normals[i, 0] - right[1] * u0 - right[2] * v0
            y = normals[i, 1] - right[1] * u1 - right[2] * v1
            z = normals[i, 2] - right[1] * u2 - right[2] * v2
            length = math.sqrt(x * x + y * y + z * z)
            tilted[i, 0], tilted[i, 1], tilted[i, 2] = x / length, y / length, z / length
            half_sum = (right[3] + right[5]) / radius
            half_gap = math.sqrt((right[3] - right[5]) ** 2 + right[4] ** 2) / radius
            bend[i] = abs(half_sum) + half_gap


@njit(cache=True, nogil=True, fastmath=True)
def gather_patch(
    vertices: Floats,
    normals: Floats,
    start: Ints,
    neighbour: Ints,
    radius: float,
    least_cosine: float,
    centre: int,
    seen: Ints,
    patch: Ints,
) -> int:
    """Fill ``patch`` with the vertices about ``centre``, itself first, and return how many.

    vertices, normals: (n, 3); start, neighbour: of `adjacency`; radius: in the vertices' unit; least_cosine:
    between the normals of a member and the centre; seen: scratch (n,) of 0, or as other calls have left it.
    """
    patch[0] = centre
    mark = centre + 1
    seen[centre] = mark
    size, done = 1, 0
    while done < size:
        for e in range(start[patch[done]], start[patch[done] + 1]):
            other = neighbour[e]
            if seen[other] == mark:
                continue
            seen[other] = mark
            squared = cosine = 0.0
            for axis in range(3):
                squared += (vertices[other, axis] - vertices[centre, axis]) ** 2
                cosine += normals[other, axis] * normals[centre, axis]
            if squared < radius * radius and cosine >= least_cosine:
                patch[size] = other
                size += 1
        done += 1
    return size


@njit(cache=True, nogil=True, fastmath=True)
def fit_height(
    vertices: Floats, normal: Floats, patch: Ints, radius: float, system: Floats, right: Floats
) -> None:
    """Normal equations of height = c₀ + c₁x + c₂y + c₃x² + c₄xy + c₅y², all in radii, about patch[0].

    Fills the lower triangle of ``system`` from the 15 moments up to the fourth order, and ``right`` from the
    6 with the height.
    """
    n0, n1, n2 = normal
    u0, u1, u2, v0, v1, v2 = tangent_frame(n0, n1, n2)
    c0, c1, c2 = vertices[patch[0]]
    m00 = m10 = m01 = m20 = m11 = m02 = m30 = m21 = m12 = m03 = m40 = m31 = m22 = m13 = m04 = 0.0
    h00 = h10 = h01 = h20 = h11 = h02 = 0.0
    for j in patch:
        d0 = (vertices[j, 0] - c0) / radius
        d1 = (vertices[j, 1] - c1) / radius
        d2 = (vertices[j, 2] - c2) / radius
        x = u0 * d0 + u1 * d1 + u2 * d2
        y = v0 * d0 + v1 * d1 + v2 * d2
        w = max(0.0, 1.0 - x * x - y * y) ** 2
        h = w * (n0 * d0 + n1 * d1 + n2 * d2)
        xx, xy, yy = x * x, x * y, y * y
        wxx, wxy, wyy = w * xx, w * xy, w * yy
        m00, m10, m01 = m00 + w, m10 + w * x, m01 + w * y
        m20, m11, m02 = m20 + wxx, m11 + wxy, m02 + wyy
        m30, m21, m12, m03 = m30 + wxx * x, m21 + wxx * y, m12 + wyy * x, m03 + wyy * y
        m40, m31, m22 = m40 + wxx * xx, m31 + wxx * xy, m22 + wxx * yy
        m13, m04 = m13 + wyy * xy, m04 + wyy * yy
        h00, h10, h01 = h00 + h, h10 + h * x, h01 + h * y
        h20, h11, h02 = h20 + h * xx, h11 + h * xy, h02 + h * yy
    lower = (
        (m00, 0.0, 0.0, 0.0, 0.0, 0.0),
        (m10, m20, 0.0, 0.0, 0.0, 0.0),
        (m01, m11, m02, 0.0, 0.0, 0.0),
        (m20, m30, m21, m40, 0.0, 0.0),
        (m11, m21, m12, m31, m22, 0.0),
        (m02, m12, m03, m22, m13, m04),
    )
    heights = (h00, h10, h01, h20, h11, h02)
    for row in range(6):
        right[row] = heights[row]
        for column in range(row + 1):
            system[row, column] = lower[row][column]
