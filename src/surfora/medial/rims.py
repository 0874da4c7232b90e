"""Ends of a membrane within the volume: their walls are kept out of the fits, from the inside outward.

Where a mask ends, at right angles or slanted as the missing wedge leaves it, its end wall passes for a face
and bends the patches near it. So the patches whose sheet goes on all round are taken first; the others get
their quadric from these, band by band toward the end, and what no patch explains is taken for wall. Lengths
are in voxels and points are x, y, z, as in projection.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.frames import tangents
from surfora.geometry.occupancy import occupancy
from surfora.medial.projection import BLOCK, Lattice, Patches, chosen_patches, on_patches, project_points

BEYOND = 0.6  # thicknesses beyond the radius of its fit that a sound patch must see its sheet go on
LEVELS = (-0.6, 0.0, 0.6)  # half thicknesses at which the sheet is looked for
FULL = 0.85  # of the thickness round about: what a patch misled by an end wall falls short of
BANDS = 8
SOURCES = 12
SAME_SHEET = 1.5  # voxels between the places to which two patches would carry a third
WALL_COSINE = float(np.cos(np.deg2rad(25)))  # slanted ends lean 30° and more against the faces
FACE_COSINE = 0.6  # between a crossing's axis and the normal of the face that it is taken for beside a wall
GUARD = 1.6  # voxels about a crossing in which walls count against it, and over which its face is averaged
GUARD_SHARE = 0.35
CLUSTER = 0.5  # share of unexplained crossings above which they are a wall, not noise
OUTWARD = np.concatenate([np.eye(3), -np.eye(3), np.zeros((1, 3))])


def without_end_walls(
    sheet: Mask, lattice: Lattice, patches: Patches, thickness: float, spacing: float, hold: float
) -> tuple[Patches, Mask]:
    """The patches mended where end walls misled them, those beyond an end dropped; which crossings are walls.

    Beside each wall crossings of the faces are counted as wall, too: see `with_faces_at_rims`.

    sheet: bool [z, y, x]. thickness, spacing: of the membrane and of its patches. hold: see `refit`.
    """
    reach = float(patches.radius.max(initial=0.0)) + thickness
    about = about_crossings(lattice)
    misled = misled_patches(sheet, lattice, about, patches, thickness)
    settled, alive = ~misled, np.ones(len(misled), dtype=bool)
    wall = np.zeros(len(lattice.out), dtype=bool)
    if settled.all() or misled.all():
        return patches, wall
    for turn in range(BANDS + 1):
        band = np.flatnonzero(misled & alive)
        if turn < BANDS:
            inside, waiting = np.flatnonzero(settled & alive), np.flatnonzero(~settled)
            away = cKDTree(patches.points[inside]).query(patches.points[waiting])[0]
            band = waiting[away <= (1.3 * spacing if turn < BANDS - 1 else 2 * reach)]
            if len(band) == 0:
                continue
            carry(patches, inside, band)
            settled[band] = True
        zone = _zone(lattice, patches.points[band], reach)
        alien = _aliens(lattice, about.faces, chosen_patches(patches, settled & alive), zone)
        wall[zone] = _shares(lattice, about, alien)[zone] > GUARD_SHARE
        wall[alien] = True
        project_points(without(lattice, wall), patches, band, 2, 0, hold)
        alive[band] = np.isfinite(patches.error[band]) & (occupancy(sheet, patches.points[band]) >= 0.35)
    return chosen_patches(patches, alive), wall


def with_faces_at_rims(lattice: Lattice, wall: Mask, patches: Patches) -> Lattice:
    """The lattice without its walls (m,), yet with what lies on a face of the patch nearest to it.

    While the sheet is sought, whatever is near a wall is left out, 1.5 voxels along the rim, and quadrics are
    carried over them. Once it is found, a crossing whose own axis leaves the sheet there belongs to a face.
    """
    doubtful, outward = np.flatnonzero(wall), OUTWARD[lattice.out]
    near = cKDTree(patches.points).query(lattice.place[doubtful], k=[1])[1]
    still = wall.copy()
    still[doubtful] = _unexplained(
        lattice.place, outward[doubtful], outward, doubtful, near, patches, FACE_COSINE
    )
    return without(lattice, still)


class AboutCrossings(NamedTuple):
    """Which way the face about each crossing looks, unit vectors (m, 3), and how many are near it (m,)."""

    faces: Floats
    near: Floats


def about_crossings(lattice: Lattice) -> AboutCrossings:
    """What lies within `GUARD` of each crossing of a lattice, the crossing itself among it."""
    outward = np.concatenate([OUTWARD[lattice.out], np.ones((len(lattice.out), 1))], axis=1)
    sums = near_sums(lattice, outward, np.arange(len(lattice.out)), GUARD)
    faces = sums[:, :3] / sums[:, 3:]
    faces /= np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-9)
    return AboutCrossings(faces, sums[:, 3])


def _shares(lattice: Lattice, about: AboutCrossings, alien: Ints) -> Floats:
    """Share (m,) of these crossings (c,) among all within `GUARD` of each."""
    return near_sums(lattice, np.ones((len(alien), 1)), alien, GUARD)[:, 0] / about.near


def misled_patches(
    sheet: Mask, lattice: Lattice, about: AboutCrossings, patches: Patches, thickness: float
) -> Mask:
    """Mask (n,) of the patches that are thinner than those about them, or near both an end and its wall.

    Near an end: nearer than other patches close by, so that those along the middle of a narrow strip are not.

    sheet: bool [z, y, x]; lattice: its crossings; about: what lies about these; thickness: in voxels.
    """
    radius = float(patches.radius.max(initial=0.0))
    reach = _reach(sheet, patches, radius + BEYOND * thickness)
    tree, itself = cKDTree(patches.points), np.arange(len(reach))[:, None]
    near = tree.query(patches.points, k=range(1, 65), distance_upper_bound=2.5 * thickness + 4)
    there = near[0] < np.inf
    thick = np.percentile(patches.half_thickness[np.where(there, near[1], itself)], 75, axis=1)
    farthest = reach[np.where(there & (near[0] < radius), near[1], itself)].max(axis=1)
    misled = patches.half_thickness < FULL * thick
    near_end = np.flatnonzero(reach < 0.9 * farthest)
    zone = _zone(lattice, patches.points[near_end], radius + thickness)
    alien = _aliens(lattice, about.faces, patches, zone)
    walls = zone[_shares(lattice, about, alien)[zone] > CLUSTER]
    if len(walls):
        misled[near_end] |= cKDTree(lattice.place[walls]).query(patches.points[near_end])[0] <= radius
    return misled


def _reach(sheet: Mask, patches: Patches, longest: float) -> Floats:
    """How far (n,) each quadric runs on in the sheet in every direction, in thirds of the longest distance.

    The border of the array is no end.
    """
    along, across = tangents(patches.normals)
    reach = np.full(len(patches.points), longest)
    last = np.array(sheet.shape[::-1]) - 1.0
    for turn in np.arange(12) * (np.pi / 6):
        direction = np.cos(turn) * along + np.sin(turn) * across
        for far in (longest, longest * 2 / 3, longest / 3):
            points, normals = on_patches(patches, far * direction)
            left = np.zeros(len(points))
            for level in LEVELS:
                there = points + level * patches.half_thickness[:, None] * normals
                left += occupancy(sheet, np.clip(there, 0, last))
            ends = np.flatnonzero(left < 0.5 * len(LEVELS))
            reach[ends] = np.minimum(reach[ends], far)
    return reach


def carry(patches: Patches, sound: Ints, misled: Ints) -> None:
    """Put the misled patches, in place, where the sound ones nearest to them say: the median of the quadrics.

    A quadric carried three voxels from one noisy patch errs by half a voxel, the median of many by a tenth.
    """
    rows, count = np.arange(len(misled)), min(SOURCES, len(sound))
    near = sound[cKDTree(patches.points[sound]).query(patches.points[misled], k=range(1, count + 1))[1]]
    for values in (patches.half_thickness, patches.noise):
        values[misled] = np.median(values[near], axis=1)
    offset = patches.points[misled, None] - patches.points[near]
    height = np.einsum("nki,nki->nk", offset, patches.normals[near])
    across = offset - height[:, :, None] * patches.normals[near]
    places, normals = on_patches(chosen_patches(patches, near.ravel()), across.reshape(-1, 3))
    places, normals = places.reshape(offset.shape), normals.reshape(offset.shape)
    best = np.argmin(np.abs(height) + 0.3 * np.linalg.norm(offset, axis=2), axis=1)
    start, facing = places[rows, best], np.einsum("nki,ni->nk", normals, normals[rows, best])
    normals *= np.sign(facing)[:, :, None]
    rise = np.einsum("nki,nki->nk", places - start[:, None], normals)
    same = (np.abs(facing) > 0.8) & (np.abs(rise) < SAME_SHEET)
    same[rows, best] = True
    one = np.where(same, 1.0, np.nan)
    normal = np.nanmedian(normals * one[:, :, None], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    bending = patches.bending[near] * (np.sign(facing) * one)[:, :, None]
    patches.points[misled] = start + np.nanmedian(rise * one, axis=1)[:, None] * normal
    patches.normals[misled], patches.bending[misled] = normal, np.nanmedian(bending, axis=1)


def _zone(lattice: Lattice, points: Floats, reach: float) -> Ints:
    """Indices of the crossings in the blocks that lie within reach of any of the points."""
    bx, by, bz = lattice.blocks
    marked = np.zeros((bz, by, bx), dtype=bool)
    low = np.maximum((points - reach) // BLOCK, 0).astype(np.int64)
    high = ((points + reach) // BLOCK).astype(np.int64) + 1
    for (x0, y0, z0), (x1, y1, z1) in zip(low, high, strict=True):
        marked[z0:z1, y0:y1, x0:x1] = True
    return np.flatnonzero(np.repeat(marked.ravel(), np.diff(lattice.start)))


def _aliens(lattice: Lattice, faces: Floats, patches: Patches, zone: Ints) -> Ints:
    """Those crossings of a zone that none of the three nearest patches explains, as indices.

    faces (m, 3): the unit normal of the mask's surface about each crossing of the lattice. Most are explained
    by the nearest patch, so that the others are looked for only where it does not.
    """
    tree, alien = cKDTree(patches.points), zone
    for count in (1, min(3, len(patches.points))):
        near = tree.query(lattice.place[alien], k=range(1, count + 1))[1]
        outward = OUTWARD[lattice.out[alien]]
        alien = alien[_unexplained(lattice.place, outward, faces, alien, near, patches, WALL_COSINE)]
    return alien


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def _unexplained(
    place: Floats,
    outward: Floats,
    faces: Floats,
    chosen: Ints,
    near: Ints,
    patches: Patches,
    least_cosine: float,
) -> Mask:
    """Mask (c,) of the chosen crossings that lie on neither face of any near patch, or face another way.

    place: of the lattice; outward: (c, 3) of the chosen; faces: (m, 3) as of `_aliens`; near: (c, k) patches
    beside each; least_cosine: between those faces and the patches'.
    """
    alien = np.ones(len(chosen), dtype=np.bool_)
    for i in prange(len(chosen)):
        for k in range(near.shape[1]):
            if alien[i]:
                alien[i] = not _on_face(
                    place, outward, faces, chosen[i], i, patches, near[i, k], least_cosine
                )
    return alien


@njit(cache=True, nogil=True, error_model="numpy")
def _on_face(
    place: Floats,
    outward: Floats,
    faces: Floats,
    crossing: int,
    i: int,
    patches: Patches,
    j: int,
    least_cosine: float,
) -> bool:
    """Whether a crossing is as near to a face of patch j as `sum_faces` asks, and its surface as parallel.

    place, outward, faces, least_cosine: as of `_unexplained`, where it is the i-th of those chosen.
    """
    normals, bending = patches.normals, patches.bending
    x = place[crossing, 0] - patches.points[j, 0]
    y = place[crossing, 1] - patches.points[j, 1]
    z = place[crossing, 2] - patches.points[j, 2]
    n0, n1, n2 = normals[j, 0], normals[j, 1], normals[j, 2]
    height = x * n0 + y * n1 + z * n2
    x, y, z = x - height * n0, y - height * n1, z - height * n2
    s0 = bending[j, 0] * x + bending[j, 1] * y + bending[j, 2] * z
    s1 = bending[j, 1] * x + bending[j, 3] * y + bending[j, 4] * z
    s2 = bending[j, 2] * x + bending[j, 4] * y + bending[j, 5] * z
    tilt = 1 / np.sqrt(1 + (s0 * s0 + s1 * s1 + s2 * s2))
    n0, n1, n2 = n0 - s0, n1 - s1, n2 - s2
    facing = tilt * (n0 * outward[i, 0] + n1 * outward[i, 1] + n2 * outward[i, 2])
    above = height - 0.5 * (s0 * x + s1 * y + s2 * z)
    side = 1.0 if (facing if abs(facing) > 0.4 else above) > 0 else -1.0
    residual = abs(above * tilt - side * patches.half_thickness[j])
    along = n0 * faces[crossing, 0] + n1 * faces[crossing, 1] + n2 * faces[crossing, 2]
    return side * tilt * along > least_cosine and residual < 0.25 + 0.5 * abs(facing) + 2 * patches.noise[j]


@njit(cache=True, nogil=True, error_model="numpy")
def near_sums(lattice: Lattice, values: Floats, chosen: Ints, reach: float) -> Floats:
    """Sums (m, k) about each crossing of the values (c, k) of the chosen within reach, of at most a block."""
    place, _, start, blocks = lattice
    sums = np.zeros((len(place), values.shape[1]))
    for i in range(len(chosen)):
        x, y, z = place[chosen[i]]
        for bz in range(max(0, int((z - reach) // BLOCK)), min(blocks[2], int((z + reach) // BLOCK) + 1)):
            for by in range(max(0, int((y - reach) // BLOCK)), min(blocks[1], int((y + reach) // BLOCK) + 1)):
                row = (bz * blocks[1] + by) * blocks[0]
                first = row + max(0, int((x - reach) // BLOCK))
                last = row + min(blocks[0], int((x + reach) // BLOCK) + 1)
                for j in range(start[first], start[last]):
                    dx, dy, dz = place[j, 0] - x, place[j, 1] - y, place[j, 2] - z
                    if dx * dx + dy * dy + dz * dz <= reach * reach:
                        for k in range(values.shape[1]):
                            sums[j, k] += values[i, k]
    return sums


def without(lattice: Lattice, wall: Mask) -> Lattice:
    """The lattice without the crossings of a wall (m,)."""
    start = np.concatenate([[0], np.cumsum(~wall)])[lattice.start]
    return Lattice(lattice.place[~wall], lattice.out[~wall], start, lattice.blocks)
