"""Marching cubes over the boundary of a mask in tiles, of which only those that hold some are looked at."""

from __future__ import annotations

import numpy as np
from numba import njit
from skimage.measure import marching_cubes

from surfora.geometry.arrays import Floats, Grid32, Ints, Mask
from surfora.geometry.occupancy import set_voxels
from tomocore.contract import InputError

FAR = 2.0  # voxels, past all corners of a cell that the boundary runs through
NUDGE = np.float32(1e-3)  # voxels that touch by an edge or a corner only are taken as apart
TILE = 32  # cells along each edge: what belongs to one stays in the processor's cache


def marched_boundary(mask: Mask) -> tuple[Floats, Ints]:
    """The boundary halfway between voxel centres inside and outside of a mask [z, y, x] with both.

    Vertices as indices (n, 3) z, y, x, those of a tile together, and triangles (m, 3) that wind outward once
    taken to x, y, z. Tiles share the vertices on the planes between them, so that nothing stays open there.
    Raises InputError where the mask has no cell of 2 × 2 × 2 voxels.
    """
    parts, count = [], 0
    for first in _tiles_at_boundary(mask):
        found = _marched_tile(mask, first)
        if found is not None:
            parts.append((found[0], found[1] + count))
            count += len(found[0])
    if not parts:
        raise InputError("the mask's box is a single slice, and a boundary needs two; give it as a volume")
    vertices, faces = (np.concatenate(both) for both in zip(*parts, strict=True))
    return _with_shared_vertices(vertices, faces)


def near_distances(mask: Mask) -> Grid32:
    """Signed distance (z, y, x) in voxels as far as √3 of the boundary, ±2 farther off, negative inside."""
    field = np.where(mask, np.float32(-FAR), np.float32(FAR))
    _mark_neighbours(field, np.argwhere(mask))
    return field


@njit(cache=True, nogil=True)
def _mark_neighbours(field: Grid32, inside: Ints) -> None:
    """Bring the voxels inside (n, 3) and their neighbours outside to their distance from each other."""
    depth, height, width = field.shape
    for n in range(len(inside)):
        z, y, x = inside[n]
        nearest = np.float32(FAR)
        for c in range(max(z - 1, 0), min(z + 2, depth)):
            for b in range(max(y - 1, 0), min(y + 2, height)):
                for a in range(max(x - 1, 0), min(x + 2, width)):
                    if field[c, b, a] > 0:
                        away = np.float32(np.sqrt((c - z) ** 2 + (b - y) ** 2 + (a - x) ** 2))
                        field[c, b, a] = min(field[c, b, a], away)
                        nearest = min(nearest, away)
        field[z, y, x] = -nearest


def marched(field: Grid32) -> tuple[Floats, Ints]:
    """Vertices as indices (n, 3) z, y, x and triangles that wind outward once taken to x, y, z.

    field: signed distances [z, y, x], negative inside, some of either sign.
    """
    vertices, faces, _, _ = marching_cubes(field + NUDGE, 0.0)
    return vertices.astype(np.float64), faces[:, ::-1].astype(np.int64)  # zyx to xyz is a reflection


def _tiles_at_boundary(mask: Mask) -> Ints:
    """First corners (k, 3) of the tiles of cells that have a voxel of the mask at a corner."""
    voxels = set_voxels(mask)
    touched = np.zeros(np.array(mask.shape) // TILE + 1, dtype=bool)
    for before in np.ndindex(2, 2, 2):
        touched[tuple((np.maximum(voxels - before, 0) // TILE).T)] = True
    return TILE * np.argwhere(touched)


def _marched_tile(mask: Mask, first: Ints) -> tuple[Floats, Ints] | None:
    """Vertices and triangles of one tile; None where all of its corners lie inside, or all outside."""
    low = np.maximum(first - 1, 0)  # distances at its corners depend on the voxels beside these
    part = mask[tuple(slice(a, b + TILE + 2) for a, b in zip(low, first, strict=True))]
    own = tuple(slice(a, a + TILE + 1) for a in first - low)
    inside = part[own]
    if min(inside.shape) < 2 or inside.all() or not inside.any():
        return None
    vertices, faces = marched(near_distances(part)[own])
    whole = (vertices + first).astype(np.float32)  # as exact as of the whole mask in one, and the same
    return whole.astype(np.float64), faces


def _with_shared_vertices(vertices: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """The same mesh with one vertex where tiles have one each on a plane between them."""
    on_plane = np.flatnonzero((vertices % TILE == 0).any(axis=1))
    _, first, group = np.unique(vertices[on_plane], axis=0, return_index=True, return_inverse=True)
    stands_for = np.arange(len(vertices))
    stands_for[on_plane] = on_plane[first][group.ravel()]
    kept = np.flatnonzero(stands_for == np.arange(len(vertices)))
    return vertices[kept], np.searchsorted(kept, stands_for)[faces]
