"""Folds of a sheet that come within a voxel or two of another part of it, for each to be fitted by itself.

A fit looks at all voxels about a point. Where a sheet comes back beside itself, as in a hairpin, a crista or
two sheets that hang together at a junction, it would take both for one. What is of the same fold is told by
the way along the sheet: steps over faces, and over edges and corners that run along it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from surfora.geometry.arrays import Ints, Mask
from surfora.masks.sheets import (
    AXES,
    DIAGONALS,
    LEVEL,
    contact_lifts,
    numbered_pieces,
    place_steps,
    stepping_pairs,
)

MOST_EMPTY = 2  # voxels between two parts of a sheet that are fitted apart
WAY_ROUND = 12  # steps along the sheet from one part to the other; fewer lead round a pit, a hole or a bend
BESIDE = 2  # steps on either side over which voxels that face another part are of one fold
FEWEST = 12  # voxels that face another part, below which they are no fold
CORE = 10  # steps about these voxels in which the fold's own fit counts
REACH = 20  # steps about them whose voxels it is made of
OVERLAP = 6  # steps by which it may be nearer to the part that it faces than to these
THIN = 1.6  # voxels: a sheet whose terraces only edges and corners join
FAR = 1 << 30


class Fold(NamedTuple):
    """Indices (n,) of the voxels that are fitted together, and (m,) of those where that fit counts."""

    voxels: Ints
    core: Ints


class Neighbours(NamedTuple):
    """The voxels beside each on its sheet: those of voxel k are ``beside[start[k] : start[k + 1]]``."""

    start: Ints
    beside: Ints


def folds_apart(mask: Mask, occupied: Ints) -> list[Fold]:
    """The folds of a sheet that face another part of it across one or two empty voxels.

    mask: bool [z, y, x] of this sheet alone; occupied: its voxels (n, 3) z, y, x, in order. A fold that faces
    itself, as a scroll does, is left out.
    """
    place = occupied @ place_steps(mask.shape)
    facing = _facing_across(mask, occupied, place)
    if len(facing) == 0:
        return []
    along = _along_sheet(mask, occupied, place)
    facing = facing[np.argsort(facing[:, 0], kind="stable")]
    facing = facing[_far_pairs(along.start, along.beside, np.ascontiguousarray(facing), WAY_ROUND)]
    if len(facing) == 0:
        return []
    ends, at = np.unique(facing, return_inverse=True)
    fold = _numbered_folds(along, ends)
    pairs = np.unique(fold[at.reshape(facing.shape)], axis=0)
    size = np.bincount(fold)
    found = []
    for number in np.flatnonzero(size >= FEWEST):
        others = np.unique(pairs[(pairs == number).any(axis=1)])
        others = others[others != number]
        if len(others):
            found.append(_fold(along, ends[fold == number], ends[np.isin(fold, others)]))
    return found


def far_along(mask: Mask, occupied: Ints, pairs: Ints, most: int) -> Mask:
    """Whether the way along the sheets between the voxels of each pair (k, 2) takes more steps than this.

    mask: bool [z, y, x]; occupied: all its voxels (n, 3), in order, of which pairs are indices.
    """
    along = _along_sheet(mask, occupied, occupied @ place_steps(mask.shape))
    order = np.argsort(pairs[:, 0], kind="stable")
    far = np.empty(len(pairs), dtype=bool)
    far[order] = _far_pairs(along.start, along.beside, np.ascontiguousarray(pairs[order]), most)
    return far


def _fold(along: Neighbours, own: Ints, others: Ints) -> Fold:
    """The fold about its voxels that face others, to the middle of the way to these and a little beyond."""
    here = _steps_from(along.start, along.beside, own, REACH)
    there = _steps_from(along.start, along.beside, others, REACH + OVERLAP)
    voxels = np.flatnonzero((here <= REACH) & (here <= there + OVERLAP))
    return Fold(voxels, np.flatnonzero((here <= CORE) & (here <= there)))


def _facing_across(mask: Mask, occupied: Ints, place: Ints) -> Ints:
    """Indices (k, 2), each pair both ways, of voxels that face each other across few empty voxels."""
    found = []
    for axis in AXES:
        step = int(np.dot(place_steps(mask.shape), axis))
        blocked = np.zeros(len(place), dtype=bool)
        for empty in range(1, MOST_EMPTY + 1):
            blocked[stepping_pairs(place, empty * step)[:, 0]] = True
            over = stepping_pairs(place, (empty + 1) * step)
            apart = occupied[over[:, 1]] - occupied[over[:, 0]]
            same_row = (apart == np.multiply(axis, empty + 1)).all(
                axis=1
            )  # and not the end of the one before
            found.append(over[same_row & ~blocked[over[:, 0]]])
    pairs = np.concatenate(found)
    return np.concatenate([pairs, pairs[:, ::-1]])


def _along_sheet(mask: Mask, occupied: Ints, place: Ints) -> Neighbours:
    """The neighbours of each voxel over faces, and over edges and corners that run along the sheet.

    The latter join the terraces of a thin and slanted sheet. Where it is thick, faces do so, and the voxels
    about a contact do not tell its plane.
    """
    wide = place_steps(mask.shape)
    faces = np.concatenate([stepping_pairs(place, int(wide @ step)) for step in AXES])
    thickness = 3 * len(place) / max(6 * len(place) - 2 * len(faces), 1)
    contacts = np.empty((0, 2), dtype=np.int64)
    if thickness < THIN:
        contacts = np.concatenate([_bare_contacts(mask, occupied, place, step) for step in DIAGONALS])
    if len(contacts):
        contacts = contacts[contact_lifts(np.ascontiguousarray(mask), occupied, contacts) <= LEVEL]
    links = np.concatenate([faces, contacts])
    links = np.concatenate([links, links[:, ::-1]])
    order = np.argsort(links[:, 0], kind="stable")
    start = np.searchsorted(links[order, 0], np.arange(len(place) + 1))
    return Neighbours(start, np.ascontiguousarray(links[order, 1]))


def _bare_contacts(mask: Mask, occupied: Ints, place: Ints, step: tuple[int, ...]) -> Ints:
    """Indices (k, 2) of voxels that touch at this edge or corner, with none between that shares faces."""
    pairs = stepping_pairs(place, int(np.dot(place_steps(mask.shape), step)))
    bare = np.ones(len(pairs), dtype=bool)
    for axis in np.flatnonzero(step):
        for end, way in ((0, step[axis]), (1, -step[axis])):
            beside = occupied[pairs[:, end]].copy()
            beside[:, axis] += way
            bare &= ~mask[tuple(beside.T)]
    return pairs[bare]


def _numbered_folds(along: Neighbours, ends: Ints) -> Ints:
    """Number (k,) of the fold of each voxel that faces another part: those a few steps apart are of one."""
    near = np.flatnonzero(_steps_from(along.start, along.beside, ends, BESIDE) <= BESIDE)
    order = np.full(len(along.start) - 1, -1)
    order[near] = np.arange(len(near))
    source = np.repeat(np.arange(len(along.start) - 1), np.diff(along.start))
    links = np.stack([order[source], order[along.beside]], axis=1)
    return numbered_pieces(len(near), [links[(links >= 0).all(axis=1)]])[order[ends]]


@njit(cache=True, nogil=True)
def _far_pairs(start: Ints, beside: Ints, pairs: Ints, most: int) -> Mask:
    """Whether the way along the sheet between the voxels of each pair (k, 2) takes more steps than this.

    start, beside: of `Neighbours`; pairs: in order of their first voxel.
    """
    far = np.ones(len(pairs), dtype=np.bool_)
    steps = np.full(len(start) - 1, -1, dtype=np.int64)
    queue = np.empty(len(start) - 1, dtype=np.int64)
    first = 0
    while first < len(pairs):
        source = pairs[first, 0]
        queue[0], steps[source] = source, 0
        count, k = 1, 0
        while k < count and steps[queue[k]] < most:
            here = queue[k]
            for j in range(start[here], start[here + 1]):
                if steps[beside[j]] < 0:
                    steps[beside[j]] = steps[here] + 1
                    queue[count] = beside[j]
                    count += 1
            k += 1
        while first < len(pairs) and pairs[first, 0] == source:
            far[first] = steps[pairs[first, 1]] < 0
            first += 1
        for k in range(count):
            steps[queue[k]] = -1
    return far


@njit(cache=True, nogil=True)
def _steps_from(start: Ints, beside: Ints, sources: Ints, most: int) -> Ints:
    """Steps (n,) along the sheet from the nearest source to each voxel, `FAR` where more than most."""
    steps = np.full(len(start) - 1, FAR, dtype=np.int64)
    queue = np.empty(len(start) - 1, dtype=np.int64)
    count, k = 0, 0
    for source in sources:
        if steps[source] == FAR:
            steps[source] = 0
            queue[count] = source
            count += 1
    while k < count and steps[queue[k]] < most:
        here = queue[k]
        for j in range(start[here], start[here + 1]):
            if steps[beside[j]] == FAR:
                steps[beside[j]] = steps[here] + 1
                queue[count] = beside[j]
                count += 1
        k += 1
    return steps
