"""The sheets of a mask that lie apart, even by a single voxel, so that each is fitted for itself."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from surfora.geometry.arrays import Ints, Mask

AXES = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
DIAGONALS = tuple((z - 1, y - 1, x - 1) for z, y, x in np.ndindex(3, 3, 3) if (z, y, x) > (1, 1, 1))
FACING_SHARE = 0.25  # lines across an empty voxel for each diagonal contact, above which sheets lie apart
FRAGMENT = 50  # voxels: a smaller piece goes with the one that it touches most


def sheets_apart(occupied: Ints, shape: tuple[int, ...]) -> Ints:
    """Number (n,), from 0, of the sheet that each voxel (n, 3) z, y, x belongs to.

    occupied: all voxels of a mask of this shape, in order. Voxels that share a face are of one sheet.
    Pieces that touch by edges and corners only are two sheets where they face each other across a single
    empty voxel, as two membranes do that lie close; else one, as a thin one that steps from plane to plane.
    """
    wide = _steps_of(shape)
    place = occupied @ wide
    piece = _numbered(len(place), [_pairs(place, int(wide @ step)) for step in AXES])
    touching, contacts = _counted(piece, [_pairs(place, int(wide @ step)) for step in DIAGONALS])
    if len(touching) == 0:
        return piece
    facing, lines = _counted(piece, [_facing(place, int(wide @ step)) for step in AXES])
    at = np.minimum(np.searchsorted(facing, touching), max(len(facing) - 1, 0))
    across = np.where(facing[at] == touching, lines[at], 0) if len(facing) else np.zeros(len(touching))
    ends, size = np.stack(np.divmod(touching, len(place)), axis=1), np.bincount(piece)
    joined = (across <= FACING_SHARE * contacts) & (size[ends] >= FRAGMENT).all(axis=1)
    joined[_most_touched(ends, contacts, size)] = True
    return _numbered(len(size), [ends[joined]])[piece]


def without_bridges(mask: Mask, filled: Mask) -> Mask:
    """A mask with holes filled, less the pieces of filling that share faces with two sheets of the mask.

    mask, filled: bool [z, y, x], the second with all of the first. What is filled there is a gap, no hole.
    """
    added = np.argwhere(filled & ~mask)
    if len(added) == 0:
        return filled
    occupied = np.argwhere(mask)
    sheet = sheets_apart(occupied, mask.shape)
    if sheet.max() == 0:
        return filled
    wide = _steps_of(mask.shape)
    place, own = added @ wide, occupied @ wide
    piece = _numbered(len(place), [_pairs(place, int(wide @ step)) for step in AXES])
    touched = [np.empty((0, 2), np.int64)]
    for step in (*wide, *-wide):
        at = np.minimum(np.searchsorted(own, place + step), len(own) - 1)
        near = own[at] == place + step
        touched.append(np.stack([piece[near], sheet[at[near]]], axis=1))
    sheets_touched = np.bincount(np.unique(np.concatenate(touched), axis=0)[:, 0], minlength=len(place))
    kept = filled.copy()
    kept[tuple(added[sheets_touched[piece] > 1].T)] = False
    return kept


def _steps_of(shape: tuple[int, ...]) -> Ints:
    """What one voxel along z, y and x adds to a place: rows are padded by two, so that none wraps round."""
    return np.array([(shape[1] + 2) * (shape[2] + 2), shape[2] + 2, 1], dtype=np.int64)


def _pairs(place: Ints, step: int) -> Ints:
    """Indices (k, 2) of the voxels that have another at this step."""
    at = np.minimum(np.searchsorted(place, place + step), len(place) - 1)
    near = np.flatnonzero(place[at] == place + step)
    return np.stack([near, at[near]], axis=1)


def _facing(place: Ints, step: int) -> Ints:
    """Indices (k, 2) of the voxels that have none at this step, and another at twice that."""
    over = _pairs(place, 2 * step)
    return over[~np.isin(over[:, 0], _pairs(place, step)[:, 0], assume_unique=True)]


def _numbered(count: int, links: list[Ints]) -> Ints:
    """Number (count,) of the connected piece that each lies in."""
    ends = np.concatenate(links)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _counted(piece: Ints, pairs: list[Ints]) -> tuple[Ints, Ints]:
    """Keys, ascending, of the pairs of different pieces that pairs of voxels join, and how often."""
    ends = np.sort(piece[np.concatenate(pairs)], axis=1)
    ends = ends[ends[:, 0] != ends[:, 1]]
    return np.unique(ends[:, 0] * len(piece) + ends[:, 1], return_counts=True)


def _most_touched(ends: Ints, contacts: Ints, size: Ints) -> Ints:
    """For each fragment the row of ``ends`` (k, 2) by which it touches another piece most."""
    rows = np.tile(np.arange(len(ends)), 2)
    own = ends.T.ravel()
    small = size[own] < FRAGMENT
    rows, own = rows[small], own[small]
    order = np.lexsort((-contacts[rows], own))
    return rows[order][np.unique(own[order], return_index=True)[1]]
