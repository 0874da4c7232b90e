"""Holes of a mask that the medial mesh closes, closed in the mask too, so that every surface agrees."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.occupancy import set_voxels
from surfora.geometry.surface import SurfaceMesh, boundary_vertices, vertex_normals
from surfora.masks.cleaning import mask_thickness_nm
from surfora.masks.folds import THIN, far_along
from surfora.masks.sheets import place_steps, without_bridges
from tomocore.volumes.volume import world_to_index

NEXT_TO_HOLE = 1.5  # voxels about a hole in which the membrane is thinned by it, and made whole too
FILLED = 0.55  # share below which a place is a hole; voxels that touch by an edge make 0.5
LEAST_HALF = 0.75  # voxels over and under the mesh, enough to join voxels that touch by an edge
RIM = 1.2  # voxels from the mesh's rim in which nothing is filled
CELLS = 1 << 20  # more cells than any volume has along an axis
WAY_ROUND = 5  # steps along a thin sheet, beyond which what lies over a voxel is another part of it
WAY_ROUND_ASLANT = 12  # the same for what lies aslant
TOUCHING, ACROSS = 1.8, 3.0  # voxels: beyond centres that share a corner, as far as a gap of one is wide
OTHER_SHEET = 0.75  # voxels along the normal from one part to another, at least
STEEP = 0.6  # cosine between the normal and the way there, at least: the rim of a hole lies lower
USUAL_OF = 15  # places about a hole whose thickness it gets


def without_pinholes(
    mask: Mask, voxel_size_nm: float, origin_nm: tuple[float, float, float], medial: SurfaceMesh
) -> Mask:
    """The mask (z, y, x) with the membrane put in where the medial mesh runs through empty voxels.

    Only holes within the mesh are filled, as thick as the membrane is around them (vertex array
    ``thickness_nm`` where the mesh has it, else the mask's own thickness), none beyond the mesh's rim.
    """
    if len(medial.faces) == 0:
        return mask
    if "thickness_nm" not in medial.data:
        usual_nm = mask_thickness_nm(mask, voxel_size_nm)
        medial = medial.with_data(thickness_nm=np.full(len(medial.vertices), usual_nm))
    places, normals, thickness = _places(medial, voxel_size_nm)
    empty = places[_share_filled(mask, places, voxel_size_nm, origin_nm) < FILLED]
    rim = medial.vertices[boundary_vertices(medial.faces, len(medial.vertices))]
    empty = empty[~_near(empty, rim, RIM * voxel_size_nm)]
    if len(empty) == 0:
        return mask
    thinned = _near(places, empty, NEXT_TO_HOLE * voxel_size_nm)
    sound = np.flatnonzero(~thinned)
    half = np.full(int(thinned.sum()), np.median(thickness) / 2)
    if len(sound) >= USUAL_OF:
        around = cKDTree(places[sound]).query(places[thinned], k=USUAL_OF)[1]
        half = np.median(thickness[sound][around], axis=1) / 2
    index, across = world_to_index(places[thinned], voxel_size_nm, origin_nm), normals[thinned, ::-1]
    voxels, place = _columns(mask, index, across, np.maximum(half / voxel_size_nm, LEAST_HALF))
    if np.median(thickness) < THIN * voxel_size_nm:
        voxels = voxels[~_walls(mask, voxels, index[place], across[place])]
    filled = mask.copy()
    filled[tuple(voxels.T)] = True
    return without_bridges(mask, filled)


def _places(medial: SurfaceMesh, voxel_size_nm: float) -> tuple[Floats, Floats, Floats]:
    """Points all over the mesh half a voxel apart at most, with normals and thickness there."""
    normals = medial.normals
    if normals is None:
        normals = vertex_normals(medial.vertices, medial.faces)
    corner = np.column_stack([medial.vertices, normals, medial.data["thickness_nm"]])[medial.faces]
    sides = np.linalg.norm((corner - np.roll(corner, 1, axis=1))[:, :, :3], axis=2)
    steps = np.ceil(2 * sides.max(axis=1) / voxel_size_nm).astype(np.int64)
    spread = np.concatenate(
        [np.einsum("kc,mcd->mkd", _lattice(n), corner[steps == n]).reshape(-1, 7) for n in np.unique(steps)]
    )
    return spread[:, :3], spread[:, 3:6], spread[:, 6]


def _lattice(steps: int) -> Floats:
    """Weights (k, 3) of a triangle's corners at places that cut each side into ``steps``."""
    i, j = np.triu_indices(steps + 1)
    return np.column_stack([i, j - i, steps - j]) / max(steps, 1)


def _near(places: Floats, others: Floats, reach_nm: float) -> Mask:
    """Which places (n,) lie within reach of any of the others (m, 3).

    Cells as wide as the reach are looked up first: most places are far from all, which a tree takes longer
    to tell.
    """
    near = np.zeros(len(places), dtype=bool)
    if len(places) and len(others):
        low = np.minimum(places.min(axis=0), others.min(axis=0)) - reach_nm
        step = np.array([1, CELLS, CELLS**2], dtype=np.int64)
        cell, taken = (np.floor((some - low) / reach_nm).astype(np.int64) @ step for some in (places, others))
        around = ((np.array(list(np.ndindex(3, 3, 3))) - 1) @ step)[:, None]
        maybe = np.flatnonzero(np.isin(cell, np.unique(np.unique(taken) + around)))
        away = cKDTree(others).query(places[maybe], distance_upper_bound=reach_nm)[0]
        near[maybe] = np.isfinite(away)
    return near


def _share_filled(
    mask: Mask, points: Floats, voxel_size_nm: float, origin_nm: tuple[float, float, float]
) -> Floats:
    """The mask (n,) at points between voxel centres, 0 to 1, interpolated linearly."""
    index = world_to_index(points, voxel_size_nm, origin_nm)
    return map_coordinates(mask.view(np.uint8), index.T, output=np.float32, order=1, mode="nearest")


def _columns(mask: Mask, index: Floats, across: Floats, half: Floats) -> tuple[Ints, Ints]:
    """The empty voxels (k, 3) within ``half`` (n,) voxels over or under places, and the nearest place each.

    index, across: places and normals (n, 3) z, y, x; voxels count by the height of their centre.
    """
    voxels, places, heights = [], [], []
    for step in np.arange(-np.ceil(half.max()), np.ceil(half.max()) + 0.25, 0.5):
        voxel = np.rint(index + step * across).astype(np.int64)
        height = np.abs(np.einsum("ij,ij->i", voxel - index, across))
        inside = (height <= half) & ((voxel >= 0) & (voxel < mask.shape)).all(axis=1)
        inside[inside] = ~mask[tuple(voxel[inside].T)]
        voxels.append(voxel[inside])
        places.append(np.flatnonzero(inside))
        heights.append(height[inside])
    lowest = np.argsort(np.concatenate(heights), kind="stable")
    voxel, place = np.concatenate(voxels)[lowest], np.concatenate(places)[lowest]
    _, first = np.unique(np.ravel_multi_index(tuple(voxel.T), mask.shape), return_index=True)
    return voxel[first], place[first]


def _walls(mask: Mask, voxels: Ints, index: Floats, across: Floats) -> Mask:
    """Which voxels (k, 3) to fill would join parts of a thin sheet that face each other across a gap.

    Each belongs to the voxel of the mask nearest to the place (k, 3) that it is filled for, of the normal
    ``across`` (k, 3). It is a wall where what it shares a face with belongs to another one that lies over or
    under that and far from it along the sheet: so a hole, whose rim is as far round, is filled. What is
    farther yet may lie aslant, since the mesh's normals lean where a fold bends.
    """
    occupied, wide = set_voxels(mask), place_steps(mask.shape)
    own = cKDTree(occupied).query(index)[1]
    beside, here = occupied @ wide, voxels @ wide
    known, owner = np.concatenate([beside, here]), np.concatenate([np.arange(len(occupied)), own])
    order = np.argsort(known)
    ends, pairs = [], []
    for step in (*wide, *-wide):
        at = order[np.minimum(np.searchsorted(known, here + step, sorter=order), len(known) - 1)]
        there = np.flatnonzero(known[at] == here + step)
        ends.append(there)
        pairs.append(np.stack([own[there], owner[at[there]]], axis=1))
    end, pair = np.concatenate(ends), np.concatenate(pairs)
    way = occupied[pair[:, 1]] - occupied[pair[:, 0]]
    rise = np.abs(np.einsum("ij,ij->i", way, across[end]))
    length = np.linalg.norm(way, axis=1)
    over = rise > np.maximum(OTHER_SHEET, STEEP * length)
    aslant = ~over & (length > TOUCHING) & (length < ACROSS)
    walls = np.zeros(len(voxels), dtype=bool)
    for chosen, most in ((over, WAY_ROUND), (aslant, WAY_ROUND_ASLANT)):
        at = np.flatnonzero(chosen)
        walls[end[at][far_along(mask, occupied, pair[at], most)]] = True
    return walls
