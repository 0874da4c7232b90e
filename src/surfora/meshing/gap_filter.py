"""The gap filter: no triangle of a membrane's mesh may cross where the membrane is not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads, njit
from numpy.typing import NDArray

from surfora.geometry.arrays import Bytes, Floats, Ints, Mask
from surfora.geometry.occupancy import share_at
from tomocore.contract import InputError
from tomocore.volumes.volume import Volume, world_to_index

CHUNK = 8192  # triangles that a thread takes at a time
HALF_BOX = 0.25  # voxels are tested in halves along each axis: boxes of half a voxel, centres at ±¼
BACKED = 0.4  # of the mask, trilinear: a sheet of one voxel has 0.44 and more all over its middle, a cut ¼
OVER_OWN = 0.5  # voxels along its normal that a triangle may lie off its own mask, within another label


class GapTests(NamedTuple):
    """Which triangles meet no gap (m,), and against how many gap boxes each was tested (m,)."""

    keep: Mask
    box_tests: Ints


def gap_tests(
    vertices: Floats,
    faces: Ints,
    support: Volume,
    *,
    foreign: Mask | None = None,
    limit_voxels: float = 1.2,
) -> GapTests:
    """Which triangles (m, 3) stay clear of every gap, by exact separating-axis tests (Akenine-Möller 2001).

    Space is cut into boxes of half a voxel. A box is a gap where no voxel of ``support`` (bool, [z, y, x])
    has its centre within ``limit_voxels`` of the box's centre, or where it lies in a voxel of ``foreign``
    (same grid) and not just above or below the mask: the middle of a mask one voxel thick may leave it by
    half a voxel, whatever label lies beside. With the default of 1.2, two empty voxels between occupied
    ones hold a gap box, one does not, and a surface within half a voxel of a mask one voxel thick meets
    none. Range: 0.5 to 4.
    Raises InputError where the grids differ or the limit is out of range.
    """
    if not 0.5 <= limit_voxels <= 4.0:
        raise InputError(f"gap limit must be 0.5 to 4 voxels; got {limit_voxels}")
    if foreign is not None and foreign.shape != support.shape:
        raise InputError(f"foreign labels have shape {foreign.shape}, the mask {support.shape}; use one grid")
    own, other = _as_bytes(support.data), np.empty((0, 0, 0), np.uint8)
    if foreign is not None:
        other = _as_bytes(foreign)
        own = own & ~other
    corners = world_to_index(vertices, support.voxel_size_nm, support.origin_nm)
    tests = np.empty(len(faces), dtype=np.int64)
    keep = np.empty(len(faces), dtype=np.bool_)
    offsets, corner_of = _offsets_within(limit_voxels), np.ascontiguousarray(faces)

    def test(first: int) -> None:
        _test_faces(
            corners, corner_of, own, other, offsets, keep, tests, first, min(first + CHUNK, len(faces))
        )

    with ThreadPoolExecutor(get_num_threads()) as pool:
        list(pool.map(test, range(0, len(faces), CHUNK)))
    return GapTests(keep, tests)


def _as_bytes(mask: NDArray[Any]) -> Bytes:
    """A mask as 0 and 1, without a copy where it is bool and contiguous."""
    return np.ascontiguousarray(mask if mask.dtype == np.bool_ else mask != 0).view(np.uint8)


def _offsets_within(limit: float) -> Ints:
    """Voxels (k, 3) within ``limit`` of a box centre at +¼ on each axis, nearest first."""
    reach = int(np.ceil(limit)) + 1
    offset = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.linalg.norm(offset - HALF_BOX, axis=1)
    near = distance <= limit
    return offset[near][np.argsort(distance[near], kind="stable")].astype(np.int64)


@njit(cache=True, nogil=True)
def _lies_over_own(own: Bytes, normal: Floats, z: int, y: int, x: int) -> bool:
    """Whether the mask is within reach of half-voxel box (z, y, x) along a triangle's normal (any length).

    A sheet that another label cuts has nothing of its own above or below the cut.
    """
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    for step in range(-2, 3):
        t = 0.5 * step * OVER_OWN / max(length, 1e-30)
        at_z, at_y, at_x = 0.5 * z - HALF_BOX, 0.5 * y - HALF_BOX, 0.5 * x - HALF_BOX
        if share_at(own, at_z + t * normal[0], at_y + t * normal[1], at_x + t * normal[2]) >= BACKED:
            return True
    return False


@njit(cache=True, nogil=True)
def _is_gap(own: Bytes, other: Bytes, offsets: Ints, normal: Floats, z: int, y: int, x: int) -> bool:
    """Whether half-voxel box (z, y, x) lies in a foreign voxel, not over its own mask, or far from that."""
    vz, vy, vx = z >> 1, y >> 1, x >> 1
    sz, sy, sx = 2 * (z & 1) - 1, 2 * (y & 1) - 1, 2 * (x & 1) - 1
    nz, ny, nx = own.shape
    for k in range(len(offsets)):
        i, j, l = vz + sz * offsets[k, 0], vy + sy * offsets[k, 1], vx + sx * offsets[k, 2]  # noqa: E741
        if 0 <= i < nz and 0 <= j < ny and 0 <= l < nx:
            if k == 0 and len(other) > 0 and other[i, j, l] != 0 and not _lies_over_own(own, normal, z, y, x):
                return True
            if own[i, j, l] != 0:
                return False
    return True


@njit(cache=True, nogil=True)
def _edge_separates(corner: Floats, edge: Floats, k: int, axis: int, at: Floats) -> bool:
    """Whether the product of box axis ``axis`` and triangle edge k parts the box centred ``at`` from it.

    Only the two other coordinates of the box's centre matter.
    """
    u, v, off = (axis + 1) % 3, (axis + 2) % 3, (k + 2) % 3
    first = edge[k, u] * (corner[k, v] - at[v]) - edge[k, v] * (corner[k, u] - at[u])
    second = edge[k, u] * (corner[off, v] - at[v]) - edge[k, v] * (corner[off, u] - at[u])
    reach = HALF_BOX * (abs(edge[k, u]) + abs(edge[k, v]))
    return min(first, second) > reach or max(first, second) < -reach


@njit(cache=True, nogil=True)
def triangle_meets_box(corner: Floats, edge: Floats, normal: Floats, at: Floats) -> bool:
    """Whether a triangle (corners (3, 3), edges (3, 3), normal (3,)) meets the half-voxel box ``at``.

    Convex bodies are apart if and only if one of 13 axes parts them: the triangle's normal, the box's three,
    and the nine products of their edges.
    """
    height = reach = 0.0
    for axis in range(3):
        height += normal[axis] * (corner[0, axis] - at[axis])
        reach += HALF_BOX * abs(normal[axis])
    if abs(height) > reach:
        return False
    for axis in range(3):
        a, b, c = corner[0, axis] - at[axis], corner[1, axis] - at[axis], corner[2, axis] - at[axis]
        if min(a, b, c) > HALF_BOX or max(a, b, c) < -HALF_BOX:
            return False
    for axis in range(3):
        for k in range(3):
            if _edge_separates(corner, edge, k, axis, at):
                return False
    return True


@njit(cache=True, nogil=True)
def _meets_gap(corner: Floats, own: Bytes, other: Bytes, offsets: Ints, work: Floats) -> tuple[bool, int]:
    """Whether a triangle meets a gap box, and how many gap boxes it took to say so.

    Columns of boxes along the normal's largest axis are left out where an edge parts them from the
    triangle, and shortened to where its plane runs.
    """
    edge, normal, at = work[:3], work[3], work[4]
    for axis in range(3):
        for k in range(3):
            edge[k, axis] = corner[(k + 1) % 3, axis] - corner[k, axis]
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        normal[axis] = edge[0, u] * edge[1, v] - edge[0, v] * edge[1, u]
    w = int(np.argmax(np.abs(normal)))
    u, v = (w + 1) % 3, (w + 2) % 3
    reach = HALF_BOX * (abs(normal[0]) + abs(normal[1]) + abs(normal[2])) / max(abs(normal[w]), 1e-30)
    box, tests = np.empty(3, np.int64), 0
    u_low, u_high = _box_range(corner, u)
    v_low, v_high = _box_range(corner, v)
    w_low, w_high = _box_range(corner, w)
    for box[u] in range(u_low, u_high):
        at[u] = 0.5 * box[u] - HALF_BOX
        for box[v] in range(v_low, v_high):
            at[v] = 0.5 * box[v] - HALF_BOX
            parted = False
            for k in range(3):
                parted = parted or _edge_separates(corner, edge, k, w, at)
            if parted:
                continue
            first, last = w_low, w_high
            if reach < 1e6:
                tilt = normal[u] * (at[u] - corner[0, u]) + normal[v] * (at[v] - corner[0, v])
                level = corner[0, w] - tilt / normal[w]
                first = max(first, int(np.floor(2 * (level - reach) + 0.5)))
                last = min(last, int(np.floor(2 * (level + reach) + 0.5)) + 1)
            for box[w] in range(first, last):
                if _is_gap(own, other, offsets, normal, box[0], box[1], box[2]):
                    tests += 1
                    at[w] = 0.5 * box[w] - HALF_BOX
                    if triangle_meets_box(corner, edge, normal, at):
                        return True, tests
    return False, tests


@njit(cache=True, nogil=True)
def _box_range(corner: Floats, axis: int) -> tuple[int, int]:
    """First box and one past the last that the triangle reaches along an axis."""
    a, b, c = corner[0, axis], corner[1, axis], corner[2, axis]
    return int(np.floor(2 * min(a, b, c) + 1)), int(np.floor(2 * max(a, b, c) + 1)) + 1


@njit(cache=True, nogil=True)
def _test_faces(
    corners: Floats,
    faces: Ints,
    own: Bytes,
    other: Bytes,
    offsets: Ints,
    keep: Mask,
    tests: Ints,
    first: int,
    last: int,
) -> None:
    corner, work = np.empty((3, 3)), np.empty((5, 3))
    for face in range(first, last):
        for k in range(3):
            for axis in range(3):
                corner[k, axis] = corners[faces[face, k], axis]
        met, tests[face] = _meets_gap(corner, own, other, offsets, work)
        keep[face] = not met
