"""Kernels that project points onto the mid-surface of a voxel mask: local quadrics fitted to its two faces.

Lengths are in voxels and points are (x, y, z) here; medial.py converts. Around each point a cylinder along
its normal gathers the places where the mask begins or ends between two neighbouring voxels. Each such
crossing lies on one face of the membrane, half a thickness from the mid-surface, and is known to half a
voxel *along its own axis*: where the face runs nearly along that axis this pins its height closely. So the
crossings are shifted by half the thickness along the local normal and fitted by one quadric

    z = f + d x + e y + (a x² + 2 b x y + c y²) / 2

with weights that fall with the tangential distance and with each crossing's own uncertainty. A voxel of
another sheet faces the wrong way or lies at the wrong height, and is left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange

from surfora.geometry.arrays import Bytes, Floats, Ints, Mask
from surfora.geometry.frames import factorise, substitute, tangent_frame

BLOCK = 4
NOISE_BOUNDS = (0.05, 0.6)  # voxels: roughness of the faces beyond what voxels explain
FIT_POINTS = 14  # fewer crossings than this leave a quadric and a thickness undetermined
CHUNK = 64


class Lattice(NamedTuple):
    """Samples of a mask sorted into cubic blocks: places (m, 3), and which way is out (m,).

    Out is 0 to 2 for +x, +y, +z, 3 to 5 for −x, −y, −z, and 6 for voxel centres, which have none.
    """

    place: Floats
    out: Bytes
    start: Ints
    blocks: Ints


class Patches(NamedTuple):
    """The quadric patch of each point: all arrays are updated in place by `project_points`.

    ``bending`` holds the second derivatives of the height as a symmetric matrix (xx, xy, xz, yy, yz, zz);
    ``lean`` points from the centre of the support to the point, in units of the radius: long at a rim.
    """

    points: Floats
    normals: Floats
    bending: Floats
    half_thickness: Floats
    noise: Floats
    radius: Floats
    error: Floats
    lean: Floats
    crossings: Ints


def new_patches(points: Floats, normals: Floats, half_thickness: float, radius: float) -> Patches:
    """Flat patches about points (n, 3) with unit normals (n, 3)."""
    n = len(points)
    return Patches(
        points.astype(np.float64, copy=True),
        normals.astype(np.float64, copy=True),
        np.zeros((n, 6)),
        np.full(n, half_thickness),
        np.full(n, 0.5),
        np.full(n, radius),
        np.full(n, np.inf),
        np.zeros((n, 3)),
        np.zeros(n, dtype=np.int64),
    )


def face_lattice(mask: Mask, occupied: Ints) -> Lattice:
    """The crossings of a mask [z, y, x]: midway between each voxel inside (n, 3) and its neighbour outside.

    The border of the array is no face: there the volume ends, not the membrane.
    """
    places, outs = [], []
    for axis in range(3):
        for step in (-1, 1):
            beyond = occupied[:, axis] + step
            within = (beyond >= 0) & (beyond < mask.shape[axis])
            neighbour = occupied[within]
            neighbour[:, axis] = beyond[within]
            open_face = ~mask[tuple(neighbour.T)]
            place = occupied[within][open_face][:, ::-1].astype(np.float64)
            place[:, 2 - axis] += 0.5 * step
            places.append(place)
            outs.append(np.full(len(place), 2 - axis + (3 if step < 0 else 0), dtype=np.uint8))
    return _in_blocks(np.concatenate(places), np.concatenate(outs), mask.shape)


def point_lattice(points: Floats, shape: tuple[int, ...]) -> Lattice:
    """Points (n, 3) x, y, z within an array of this shape [z, y, x]."""
    return _in_blocks(points, np.full(len(points), 6, dtype=np.uint8), shape)


def _in_blocks(place: Floats, out: Bytes, shape: tuple[int, ...]) -> Lattice:
    bz, by, bx = (size // BLOCK + 1 for size in shape)
    x, y, z = np.floor(place / BLOCK).astype(np.int64).T
    key = (z * by + y) * bx + x
    order = np.argsort(key, kind="stable")
    start = np.zeros(bz * by * bx + 1, dtype=np.int64)
    np.cumsum(np.bincount(key, minlength=bz * by * bx), out=start[1:])
    return Lattice(place[order], out[order], start, np.array([bx, by, bz]))


@njit(cache=True, nogil=True, error_model="numpy")
def fill_frame(normal: Floats, frame: Floats) -> None:
    """Fill frame (3, 3) with two tangents and the normal."""
    along_and_across = tangent_frame(normal[0], normal[1], normal[2])
    for k in range(3):
        frame[0, k], frame[1, k], frame[2, k] = along_and_across[k], along_and_across[3 + k], normal[k]


@njit(cache=True, nogil=True, error_model="numpy")
def bending_in(frame: Floats, bending: Floats) -> tuple[float, float, float]:
    """Second derivatives a, b, c of the height in a frame's two tangents."""
    u, v = frame[0], frame[1]
    return _bend(bending, u, u), _bend(bending, u, v), _bend(bending, v, v)


@njit(cache=True, nogil=True, error_model="numpy")
def _bend(bending: Floats, u: Floats, v: Floats) -> float:
    return (
        bending[0] * u[0] * v[0] + bending[3] * u[1] * v[1] + bending[5] * u[2] * v[2]
        + bending[1] * (u[0] * v[1] + u[1] * v[0])
        + bending[2] * (u[0] * v[2] + u[2] * v[0])
        + bending[4] * (u[1] * v[2] + u[2] * v[1])
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def store_bending(frame: Floats, a: float, b: float, c: float, bending: Floats) -> None:
    """The inverse of `bending_in`.

    frame: (3, 3) of `fill_frame`; a, b, c: second derivatives; bending: the six numbers that are filled.
    """
    u, v = frame[0], frame[1]
    k = 0
    for i in range(3):
        for j in range(i, 3):
            bending[k] = a * u[i] * u[j] + b * (u[i] * v[j] + u[j] * v[i]) + c * v[i] * v[j]
            k += 1


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def gather(
    lattice: Lattice, point: Floats, frame: Floats, radius: float, height: float, local: Floats
) -> int:
    """Copy the samples in a cylinder about the point, in its frame, to rows of local (6, n); how many."""
    place, out, start, blocks = lattice
    low, high, axes = np.empty(3, np.int64), np.empty(3, np.int64), np.zeros((7, 3))
    for k in range(3):
        cosine = abs(frame[2, k])
        reach = radius * np.sqrt(max(0.0, 1 - cosine * cosine)) + height * cosine
        low[k] = max(0, int((point[k] - reach) // BLOCK))
        high[k] = min(blocks[k] - 1, int((point[k] + reach) // BLOCK))
        for j in range(3):
            axes[k, j], axes[k + 3, j] = frame[j, k], -frame[j, k]
    ux, uy, uz = frame[0]
    vx, vy, vz = frame[1]
    nx, ny, nz = frame[2]
    middle = (BLOCK - 0.5) / 2  # samples lie at whole and half places, so a block spans this about its middle
    slack = 1.74 * middle
    wide, r2, count, room = (radius + slack) ** 2, radius * radius, 0, local.shape[1] - 1
    for bz in range(low[2], high[2] + 1):
        for by in range(low[1], high[1] + 1):
            for bx in range(low[0], high[0] + 1):
                block = (bz * blocks[1] + by) * blocks[0] + bx
                first, last = start[block], start[block + 1]
                if first == last:
                    continue
                dx = bx * BLOCK + middle - point[0]
                dy = by * BLOCK + middle - point[1]
                dz = bz * BLOCK + middle - point[2]
                along = dx * nx + dy * ny + dz * nz
                across = dx * dx + dy * dy + dz * dz - along * along
                if abs(along) > height + slack or across > wide:
                    continue
                if count + last - first > room:
                    return count
                for i in range(first, last):
                    dx, dy, dz = place[i, 0] - point[0], place[i, 1] - point[1], place[i, 2] - point[2]
                    x = dx * ux + dy * uy + dz * uz
                    y = dx * vx + dy * vy + dz * vz
                    z = dx * nx + dy * ny + dz * nz
                    local[0, count], local[1, count], local[2, count] = x, y, z
                    o = out[i]
                    local[3, count], local[4, count], local[5, count] = axes[o, 0], axes[o, 1], axes[o, 2]
                    count += int((x * x + y * y < r2) & (abs(z) <= height))
    return count


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def sum_faces(local: Floats, count: int, model: Floats, radius: float, sums: Floats) -> None:
    """Weighted sums of the crossings, shifted to the mid-surface of the current model, for the next one.

    model: a, b, c, d, e, f, half thickness, noise. sums: 15 of x^i y^j, 6 of z x^i y^j, 6 of side x^i y^j,
    side z, weights × residual², weights × lattice variance; then unweighted by precision 1, x, y.

    local: samples (6, n) of `gather`, of which ``count`` are filled; radius: of the cylinder in voxels.
    """
    a, b, c, d, e, f, half, noise = model
    inverse, noise2 = 1.0 / radius, noise * noise
    w00 = w10 = w01 = w20 = w11 = w02 = w30 = w21 = w12 = w03 = w40 = w31 = w22 = w13 = w04 = 0.0
    z00 = z10 = z01 = z20 = z11 = z02 = 0.0
    s00 = s10 = s01 = s20 = s11 = s02 = sz = 0.0
    misfit = lattice = g00 = g10 = g01 = 0.0
    for i in range(count):
        x, y, z = local[0, i], local[1, i], local[2, i]
        gx, gy = d + a * x + b * y, e + b * x + c * y
        tilt = 1.0 / np.sqrt(1 + gx * gx + gy * gy)
        facing = (local[5, i] - gx * local[3, i] - gy * local[4, i]) * tilt
        above = z - (f + 0.5 * ((d + gx) * x + (e + gy) * y))
        # A face seen edge-on says little by its direction; its height tells which one it is.
        side = 1.0 if (facing if abs(facing) > 0.4 else above) > 0 else -1.0
        shift = side * half * tilt
        x, y, z = x + shift * gx, y + shift * gy, z - shift
        residual = (z - f - d * x - e * y - 0.5 * (a * x * x + 2 * b * x * y + c * y * y)) * tilt
        x, y = x * inverse, y * inverse
        g = 1 - x * x - y * y
        limit = 0.25 + 0.5 * abs(facing) + 2 * noise
        g = g * g if (g > 0) & (abs(residual) < limit) else 0.0
        # A crossing is uniform within its voxel edge: variance facing² / 12 along the normal. On a face
        # parallel to the voxel planes neighbours err together, in terraces, so they count for fewer.
        facing2 = facing * facing
        free = 1.1 - facing2
        w = g * free / (facing2 / 12 + noise2 * free)
        misfit += w * residual * residual
        lattice += w * facing2 / 12
        g00, g10, g01 = g00 + g, g10 + g * x, g01 + g * y
        xx, xy, yy, wz, ws = x * x, x * y, y * y, w * z, w * side
        wxx, wxy, wyy = w * xx, w * xy, w * yy
        w00, w10, w01, w20, w11, w02 = w00 + w, w10 + w * x, w01 + w * y, w20 + wxx, w11 + wxy, w02 + wyy
        w30, w21, w12, w03 = w30 + wxx * x, w21 + wxx * y, w12 + wyy * x, w03 + wyy * y
        w40, w31, w22, w13, w04 = (
            w40 + wxx * xx, w31 + wxx * xy, w22 + wxx * yy, w13 + wxy * yy, w04 + wyy * yy,
        )  # fmt: skip
        z00, z10, z01, z20, z11, z02 = (
            z00 + wz, z10 + wz * x, z01 + wz * y, z20 + wz * xx, z11 + wz * xy, z02 + wz * yy,
        )  # fmt: skip
        s00, s10, s01, s20, s11, s02 = (
            s00 + ws, s10 + ws * x, s01 + ws * y, s20 + ws * xx, s11 + ws * xy, s02 + ws * yy,
        )  # fmt: skip
        sz += ws * z
    _fill(sums, 0, (w00, w10, w01, w20, w11, w02, w30, w21, w12, w03, w40, w31, w22, w13, w04))
    _fill(sums, 15, (z00, z10, z01, z20, z11, z02))
    _fill(sums, 21, (s00, s10, s01, s20, s11, s02, sz, misfit, lattice, g00, g10, g01))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _fill(sums: Floats, first: int, values: tuple[float, ...]) -> None:
    for k, value in enumerate(values):
        sums[first + k] = value


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def sum_centres(local: Floats, count: int, model: Floats, radius: float, ball: bool, sums: Floats) -> None:
    """The sums of `sum_faces` for voxel centres: heights as they are, weights by cylinder or by ball.

    local, count, model, radius, sums: as of `sum_faces`; ball: whether weights fall with the distance in
    space.
    """
    a, b, c, d, e, f, half, _ = model
    inverse, limit = 1.0 / radius, half + 1.0
    for k in range(len(sums)):
        sums[k] = 0.0
    for i in range(count):
        x, y, z = local[0, i], local[1, i], local[2, i]
        residual = z - f - d * x - e * y - 0.5 * (a * x * x + 2 * b * x * y + c * y * y)
        x, y = x * inverse, y * inverse
        g = 1 - x * x - y * y - (z * z * inverse * inverse if ball else 0.0)
        g = g * g if g > 0 and (ball or abs(residual) < limit) else 0.0
        powers = (1.0, x, y, x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y,
                  x * x * x * x, x * x * x * y, x * x * y * y, x * y * y * y, y * y * y * y)  # fmt: skip
        for k in range(15):
            sums[k] += g * powers[k]
        for k in range(6):
            sums[15 + k] += g * powers[k] * z
        sums[28] += g * residual * residual
    sums[30], sums[31], sums[32] = sums[0], sums[1], sums[2]


@njit(cache=True, nogil=True, error_model="numpy")
def normal_equations(sums: Floats, prior: float, matrix: Floats, right: Floats) -> None:
    """Fill the 7 × 7 matrix (lower half) and right side for 1, x, y, x², xy, y² and the side of the face."""
    total = sums[0]
    rows = ((0, 1, 2, 3, 4, 5), (1, 3, 4, 6, 7, 8), (2, 4, 5, 7, 8, 9),
            (3, 6, 7, 10, 11, 12), (4, 7, 8, 11, 12, 13), (5, 8, 9, 12, 13, 14))  # fmt: skip
    for i in range(6):
        for j in range(i + 1):
            matrix[i, j] = sums[rows[i][j]] / total
        matrix[i, i] += 1e-6
        matrix[6, i] = sums[21 + i] / total
        right[i] = sums[15 + i] / total
    matrix[6, 6] = 1 + prior
    right[6] = sums[27] / total


@njit(cache=True, nogil=True, error_model="numpy")
def refit(sums: Floats, radius: float, hold: float, model: Floats, matrix: Floats, right: Floats) -> float:
    """Replace the model by the solution for these sums; its standard error at the point, or -1.

    hold: weight of the thickness as it is, beside the crossings; above 0 the noise stays too.
    """
    normal_equations(sums, max(hold, 0.01), matrix, right)
    if sums[0] <= 0 or not factorise(matrix, 7):
        return -1.0
    substitute(matrix, right, 7)
    model[0], model[1], model[2] = (2 * right[3] / radius**2, right[4] / radius**2, 2 * right[5] / radius**2)
    model[3], model[4], model[5] = right[1] / radius, right[2] / radius, right[0]
    model[6] = max(0.4, model[6] + right[6])
    if hold == 0:
        model[7] = min(0.6, max(0.05, np.sqrt(max(0.0, (sums[28] - sums[29]) / sums[0]))))
    for k in range(len(right)):
        right[k] = 1.0 if k == 0 else 0.0
    substitute(matrix, right, 7)
    return np.sqrt(max(right[0], 0.0) / sums[0])


@njit(cache=True, nogil=True, error_model="numpy")
def fit_patch(
    lattice: Lattice,
    patches: Patches,
    i: int,
    steps: int,
    mode: int,
    hold: float,
    frame: Floats,
    local: Floats,
    sums: Floats,
    matrix: Floats,
    right: Floats,
    model: Floats,
) -> None:
    """Gather about point i, refit ``steps`` times, and move the point along the fitted normal.

    lattice: of `face_lattice`; mode, hold: as of `project_points`; frame, local, sums, matrix, right, model:
    scratch of `fit_patches`.
    """
    point, radius = patches.points[i], patches.radius[i]
    fill_frame(patches.normals[i], frame)
    a, b, c = bending_in(frame, patches.bending[i])
    _fill(model, 0, (a, b, c, 0.0, 0.0, 0.0))
    model[6], model[7] = patches.half_thickness[i], patches.noise[i]
    bend = 0.5 * abs(model[0] + model[2]) + np.hypot(0.5 * (model[0] - model[2]), model[1])
    height = model[6] + 0.75 + 2 * model[7] + min(0.5 * bend * radius**2, 0.7 * radius)
    count = gather(lattice, point, frame, radius, height, local)
    patches.crossings[i], patches.error[i] = count, np.inf
    if count < FIT_POINTS:
        return
    for _ in range(steps):
        if mode == 0:
            sum_faces(local, count, model, radius, sums)
        else:
            sum_centres(local, count, model, radius, mode == 2, sums)
        error = refit(sums, radius, hold if mode == 0 else 1.0, model, matrix, right)
        if error < 0:
            return
    patches.error[i] = error
    move(patches, i, frame, model, sums)


@njit(cache=True, nogil=True, error_model="numpy")
def move(patches: Patches, i: int, frame: Floats, model: Floats, sums: Floats) -> None:
    """Put the fitted patch in place of the old one.

    i: the patch; frame: its (3, 3); model: a, b, c, d, e, f, half thickness, noise; sums: of `sum_faces`.
    """
    a, b, c, d, e, f, half, noise = model
    scale = 1 / np.sqrt(1 + d * d + e * e)
    for k in range(3):
        patches.normals[i, k] = scale * (frame[2, k] - d * frame[0, k] - e * frame[1, k])
        lean = sums[31] * frame[0, k] + sums[32] * frame[1, k]
        patches.lean[i, k] = -lean / max(sums[30], 1e-12)
    for k in range(3):
        patches.points[i, k] += f * scale * patches.normals[i, k]
    patches.half_thickness[i], patches.noise[i] = half, noise
    store_bending(frame, a, b, c, patches.bending[i])


@njit(cache=True, nogil=True, error_model="numpy")
def fit_patches(lattice: Lattice, patches: Patches, chosen: Ints, steps: int, mode: int, hold: float) -> None:
    """`fit_patch` for each of the chosen, in turn.

    lattice, patches, chosen, steps, mode, hold: as of `project_points`.
    """
    widest = 0.0
    for i in chosen:
        widest = max(widest, patches.radius[i])
    local = np.empty((6, int(20 * (widest + 2) ** 2) + 400))
    frame, sums, model = np.empty((3, 3)), np.empty(33), np.empty(8)
    matrix, right = np.empty((8, 7)), np.empty(7)
    for i in chosen:
        fit_patch(lattice, patches, i, steps, mode, hold, frame, local, sums, matrix, right, model)


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def project_points(
    lattice: Lattice, patches: Patches, chosen: Ints, steps: int, mode: int, hold: float
) -> None:
    """Project the chosen patches once, in place, with so many refits of each.

    mode: 0 faces, 1 centres by cylinder, 2 centres by ball. hold: see `refit`.
    """
    for chunk in prange((len(chosen) + CHUNK - 1) // CHUNK):
        fit_patches(lattice, patches, chosen[chunk * CHUNK : (chunk + 1) * CHUNK], steps, mode, hold)


def sheet_normals(lattice: Lattice, points: Floats, radius: float) -> Floats:
    """Unit normals (n, 3), sign-ambiguous: the direction in which the samples within a ball spread least."""
    covariance = np.zeros((len(points), 3, 3))
    ball_covariances(lattice, points, radius, covariance)
    return np.ascontiguousarray(np.linalg.eigh(covariance)[1][:, :, 0])


@njit(cache=True, nogil=True, error_model="numpy")
def ball_covariances(lattice: Lattice, points: Floats, radius: float, covariance: Floats) -> None:
    """Fill the covariances (n, 3, 3) of the samples about each point, weighted by (1 − d² / radius²)²."""
    local, frame = np.empty((6, int(40 * (radius + 2) ** 2) + 400)), np.eye(3)
    first = np.empty(3)
    for i in range(len(points)):
        count = gather(lattice, points[i], frame, radius, radius, local)
        total = 1e-12
        for a in range(3):
            first[a] = 0.0
        for k in range(count):
            w = 1 - (local[0, k] ** 2 + local[1, k] ** 2 + local[2, k] ** 2) / radius**2
            w = w * w if w > 0 else 0.0
            total += w
            for a in range(3):
                first[a] += w * local[a, k]
                for b in range(3):
                    covariance[i, a, b] += w * local[a, k] * local[b, k]
        for a in range(3):
            for b in range(3):
                covariance[i, a, b] = covariance[i, a, b] / total - first[a] * first[b] / total**2


def chosen_patches(patches: Patches, keep: Mask | Ints) -> Patches:
    """Copies of some patches, by mask or index."""
    kept: Any = (array[keep] for array in patches)
    return Patches(*kept)


def joined_patches(one: Patches, other: Patches) -> Patches:
    """Both, one after the other."""
    return Patches(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))


def bending_matrices(patches: Patches) -> Floats:
    """The second derivatives of each patch's height as matrices (n, 3, 3)."""
    xx, xy, xz, yy, yz, zz = patches.bending.T
    return np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=-1).reshape(-1, 3, 3)


def principal_bending(patches: Patches) -> Floats:
    """The largest absolute second derivative (n,) of each patch in any direction: 1 / voxels."""
    return _largest_of_means(patches.normals, patches.bending, np.arange(len(patches.points))[:, None])


def shared_bending(patches: Patches, near: Ints) -> Floats:
    """As `principal_bending`, of the mean of the patches ``near`` (n, k) each one: noise cancels."""
    return _largest_of_means(patches.normals, patches.bending, near)


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_of_means(normals: Floats, bending: Floats, near: Ints) -> Floats:
    """The largest absolute eigenvalue (n,) of the mean second derivatives of the patches near each.

    These are seen from the side that the normal of the one in the middle points to.
    """
    largest, mean = np.empty(len(near)), np.empty(6)
    for i in range(len(near)):
        mean[:] = 0.0
        for j in near[i]:
            along = 0.0
            for k in range(3):
                along += normals[i, k] * normals[j, k]
            side = np.sign(along)
            for k in range(6):
                mean[k] += side * bending[j, k]
        for k in range(6):
            mean[k] /= near.shape[1]
        largest[i] = _largest_eigenvalue(mean)
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_eigenvalue(matrix: Floats) -> float:
    """The largest absolute eigenvalue of a symmetric matrix (xx, xy, xz, yy, yz, zz).

    By the cosine of a third of an angle (Smith 1961): to eight digits in a twentieth of LAPACK's time.
    """
    xx, xy, xz, yy, yz, zz = matrix
    middle = (xx + yy + zz) / 3
    xx, yy, zz = xx - middle, yy - middle, zz - middle
    spread = np.sqrt((xx * xx + yy * yy + zz * zz + 2 * (xy * xy + xz * xz + yz * yz)) / 6)
    if spread == 0:
        return abs(middle)
    half = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    angle = np.arccos(min(max(half / (2 * spread**3), -1.0), 1.0)) / 3
    high, low = np.cos(angle), np.cos(angle + 2 * np.pi / 3)
    return max(abs(middle + 2 * spread * high), abs(middle + 2 * spread * low))


def on_patches(patches: Patches, offsets: Floats) -> tuple[Floats, Floats]:
    """Points (n, 3) of the quadrics over tangential offsets (n, 3), and the unit normals (n, 3) there."""
    slopes = np.einsum("nij,nj->ni", bending_matrices(patches), offsets)
    heights = 0.5 * np.sum(slopes * offsets, axis=1, keepdims=True)
    normals = patches.normals - slopes
    points = patches.points + offsets + heights * patches.normals
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)
