"""The sheets of a mask that lie apart, even by a single voxel, so that each is fitted for itself."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.occupancy import set_voxels

AXES = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
DIAGONALS = tuple(
    (z - 1, y - 1, x - 1)
    for z, y, x in np.ndindex(3, 3, 3)
    if (z, y, x) > (1, 1, 1) and (z, y, x).count(1) < 2
)
AROUND = 4  # voxels about a contact that tell the plane of its sheet
LEVEL = (
    1.0  # of a voxel's height along the normal: neighbours within one sheet differ by less, others by more
)
FACING_SHARE = 0.25  # lines across an empty voxel for each diagonal contact, above which sheets lie apart
FRAGMENT = 50  # voxels: a smaller piece goes with the one that it touches most


def sheets_apart(mask: Mask, occupied: Ints) -> Ints:
    """Number (n,), from 0, of the sheet that each voxel (n, 3) z, y, x belongs to.

    mask: bool [z, y, x]; occupied: all its voxels, in order. Voxels that share a face are of one sheet.
    Pieces that touch by edges and corners only are of one sheet where the contacts run along the plane of
    the voxels about them, as in a sheet of one voxel that steps from plane to plane, and of two where they
    run across it, or where the pieces face each other across a single empty voxel, as two membranes do that
    lie close.
    """
    wide = place_steps(mask.shape)
    place = occupied @ wide
    piece = numbered_pieces(len(place), [stepping_pairs(place, int(wide @ step)) for step in AXES])
    contacts = np.concatenate([stepping_pairs(place, int(wide @ step)) for step in DIAGONALS])
    contacts = contacts[piece[contacts[:, 0]] != piece[contacts[:, 1]]]
    if len(contacts) == 0:
        return piece
    facing = np.concatenate([facing_pairs(place, int(wide @ step)) for step in AXES])
    facing = facing[piece[facing[:, 0]] != piece[facing[:, 1]]]
    if len(facing) == 0:
        return numbered_pieces(int(piece.max()) + 1, [piece[contacts]])[piece]
    lift = contact_lifts(np.ascontiguousarray(mask), occupied, contacts)
    return _grouped(piece, piece[contacts], lift, piece[facing])[piece]


def without_bridges(mask: Mask, filled: Mask) -> Mask:
    """A mask with holes filled, less the pieces of filling that share faces with two sheets of the mask.

    mask, filled: bool [z, y, x], the second with all of the first. What is filled there is a gap, no hole.
    """
    added = set_voxels(filled ^ mask)
    if len(added) == 0:
        return filled
    occupied = set_voxels(mask)
    sheet = sheets_apart(mask, occupied)
    if sheet.max() == 0:
        return filled
    wide = place_steps(mask.shape)
    place, own = added @ wide, occupied @ wide
    piece = numbered_pieces(len(place), [stepping_pairs(place, int(wide @ step)) for step in AXES])
    touched = [np.empty((0, 2), np.int64)]
    for step in (*wide, *-wide):
        at = np.minimum(np.searchsorted(own, place + step), len(own) - 1)
        near = own[at] == place + step
        touched.append(np.stack([piece[near], sheet[at[near]]], axis=1))
    sheets_touched = np.bincount(np.unique(np.concatenate(touched), axis=0)[:, 0], minlength=len(place))
    bridging = sheets_touched[piece] > 1
    if not bridging.any():
        return filled
    kept = filled.copy()
    kept[tuple(added[bridging].T)] = False
    return kept


def place_steps(shape: tuple[int, ...]) -> Ints:
    """What one voxel along z, y and x adds to a place: rows are padded by two, so that none wraps round."""
    return np.array([(shape[1] + 2) * (shape[2] + 2), shape[2] + 2, 1], dtype=np.int64)


@njit(cache=True, nogil=True)
def stepping_pairs(place: Ints, step: int) -> Ints:
    """Indices (k, 2) of the voxels, in ascending order, that have another at this step."""
    found, count, there = np.empty((len(place), 2), np.int64), 0, 0
    for here in range(len(place)):
        while there < len(place) and place[there] < place[here] + step:
            there += 1
        if there < len(place) and place[there] == place[here] + step:
            found[count, 0], found[count, 1] = here, there
            count += 1
    return found[:count].copy()


def facing_pairs(place: Ints, step: int) -> Ints:
    """Indices (k, 2) of the voxels that have none at this step, and another at twice that."""
    over = stepping_pairs(place, 2 * step)
    beside = np.zeros(len(place), dtype=bool)
    beside[stepping_pairs(place, step)[:, 0]] = True
    return over[~beside[over[:, 0]]]


def numbered_pieces(count: int, links: list[Ints]) -> Ints:
    """Number (count,) of the connected piece that each lies in."""
    return _joined(count, np.concatenate(links))


@njit(cache=True, nogil=True)
def _joined(count: int, links: Ints) -> Ints:
    """Number (count,), from 0 in order, of the piece that each lies in, by links (k, 2): union-find."""
    parent = np.arange(count)
    for i in range(len(links)):
        one, other = links[i, 0], links[i, 1]
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        while parent[other] != other:
            parent[other] = parent[parent[other]]
            other = parent[other]
        parent[max(one, other)] = min(one, other)
    pieces = 0
    for i in range(count):  # a parent is never after its child
        if parent[i] == i:
            parent[i] = pieces
            pieces += 1
        else:
            parent[i] = parent[parent[i]]
    return parent


def contact_lifts(mask: Mask, occupied: Ints, contacts: Ints) -> Floats:
    """How far (k,) each contact leads across the plane of the voxels about it, in heights of a voxel there.

    In a sheet one voxel thick that is 1 − tan θ at a slope θ against the voxel planes, from one sheet to
    another across a gap of one voxel 1 + tan θ.
    """
    ends, at = np.unique(contacts, return_inverse=True)
    spread = _spreads(mask, occupied[ends])
    both = spread[at.reshape(contacts.shape)].sum(axis=1)
    normal = np.linalg.eigh(both)[1][:, :, 0]
    step = occupied[contacts[:, 1]] - occupied[contacts[:, 0]]
    return np.abs(np.einsum("ij,ij->i", step, normal)) / np.abs(normal).max(axis=1)


@njit(cache=True, nogil=True, parallel=True)
def _spreads(mask: Mask, places: Ints) -> Floats:
    """Covariances (n, 3, 3) of the voxels of the mask within a few of each place (n, 3)."""
    spread = np.zeros((len(places), 3, 3))
    size = mask.shape
    for i in prange(len(places)):
        count, first = 0, np.zeros(3)
        offset = np.zeros(3)
        for z in range(-AROUND, AROUND + 1):
            for y in range(-AROUND, AROUND + 1):
                for x in range(-AROUND, AROUND + 1):
                    at_z, at_y, at_x = places[i, 0] + z, places[i, 1] + y, places[i, 2] + x
                    if (
                        z * z + y * y + x * x > AROUND * AROUND
                        or not 0 <= at_z < size[0]
                        or not 0 <= at_y < size[1]
                        or not 0 <= at_x < size[2]
                        or not mask[at_z, at_y, at_x]
                    ):
                        continue
                    offset[0], offset[1], offset[2] = z, y, x
                    count += 1
                    for a in range(3):
                        first[a] += offset[a]
                        for b in range(3):
                            spread[i, a, b] += offset[a] * offset[b]
        for a in range(3):
            for b in range(3):
                spread[i, a, b] = spread[i, a, b] / count - first[a] * first[b] / count**2
    return spread


def _grouped(piece: Ints, touching: Ints, lift: Floats, facing: Ints) -> Ints:
    """Number of the sheet of each piece, of pieces (k, 2) that touch with this lift (k,), or face (m, 2).

    Those that touch most levelly are joined first, and none where the groups so far face each other more
    than they touch. Groups of few voxels then go with those that they touch most.
    """
    size = np.bincount(piece)
    keys, contacts, total = _counted(touching, len(size), lift)
    lines = dict(zip(*_counted(facing, len(size))[:2], strict=True))
    mean = total / contacts
    beside: list[dict[int, list[float]]] = [{} for _ in size]  # of each group: contacts and lines with others
    for key, count in [(key, (n, 0)) for key, n in zip(keys, contacts, strict=True)] + [
        (key, (0, n)) for key, n in lines.items()
    ]:
        one, other = divmod(int(key), len(size))
        for a, b in ((one, other), (other, one)):
            both = beside[a].setdefault(b, [0, 0])
            both[0] += count[0]
            both[1] += count[1]
    group, members = np.arange(len(size)), [[k] for k in range(len(size))]
    for row in np.argsort(mean, kind="stable"):
        one, other = (int(group[k]) for k in divmod(int(keys[row]), len(size)))
        if one == other or mean[row] > LEVEL:
            continue
        touch, face = beside[one][other]
        if face <= FACING_SHARE * touch:
            _merge(one, other, group, members, beside, size)
    for row in range(len(members)):
        if members[row] and size[row] < FRAGMENT and beside[row]:
            most = max(beside[row], key=lambda k: beside[row][k][0])
            if beside[row][most][0] > 0:
                _merge(most, row, group, members, beside, size)
    return np.unique(group, return_inverse=True)[1]


def _merge(
    one: int,
    other: int,
    group: Ints,
    members: list[list[int]],
    beside: list[dict[int, list[float]]],
    size: Ints,
) -> None:
    """Join the smaller of two groups to the larger, in place."""
    if len(beside[one]) < len(beside[other]):
        one, other = other, one
    group[members[other]] = one
    members[one] += members[other]
    members[other] = []
    size[one] += size[other]
    for third, both in beside[other].items():
        del beside[third][other]
        if third != one:
            mine = beside[one].setdefault(third, [0, 0])
            mine[0] += both[0]
            mine[1] += both[1]
            beside[third][one] = mine
    beside[other] = {}


def _counted(ends: Ints, count: int, weight: Floats | None = None) -> tuple[Ints, Ints, Floats]:
    """Keys, ascending, of the pairs (k, 2) of pieces, how often each occurs, and the sum of the weights."""
    ends = np.sort(ends, axis=1)
    keys, at, times = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True, return_counts=True)
    return keys, times, np.bincount(at.ravel(), weights=weight, minlength=len(keys)).astype(np.float64)
