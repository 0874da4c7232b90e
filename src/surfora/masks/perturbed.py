"""A mask as another segmentation of the same membrane might have drawn it: its border moved at random.

A segmentation is sure of its border to about half a voxel, and its errors are alike over a few voxels: what
one face has here, it has beside, and all faces share the choice of a threshold. So a smooth random field of
each face, and one number for all, move the border along its normal; a voxel joins or leaves where the border
passes its centre. Where a map of confidence is given, it says how far (`surfora.masks.border_doubt`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from zlib import crc32

import numpy as np
from scipy.ndimage import gaussian_filter

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.masks.border_doubt import MapsOfConfidence
from surfora.masks.membranes import Membrane

TILE = 64  # voxels that a field repeats after: far more than it is alike over
SHARED = 0.5  # of the border's SD, what all faces have in common (the threshold); the rest is local
NEIGHBOURS = np.array([(0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)])
SIDE = np.array([1.0, 0.618, 0.314])  # tells one face of a sheet from the other, whichever way it lies
REACH = 2  # voxels about one that tell which way is out
BALL = np.array([step for step in product(range(-REACH, REACH + 1), repeat=3) if np.dot(step, step) <= 4])
LEAST_LEAN = (
    0.2  # voxels that the mask about a voxel on a face leans inward by; in a thin sheet's middle none
)
MOST_LAYERS = 12


@dataclass(frozen=True)
class Perturbation:
    """One way in which a mask might have come out: the seed of its border, and a factor of its voxel edge.

    ``border_voxels`` is the standard deviation of the border's place, ``correlation_voxels`` the length over
    which it is alike; with ``confidence`` the maps say the former for their masks.
    """

    seed: int
    border_voxels: float
    correlation_voxels: float
    voxel_factor: float = 1.0
    confidence: MapsOfConfidence | None = None


def perturbed(membrane: Membrane, how: Perturbation) -> Membrane:
    """The membrane with its border moved and its voxel edge scaled, in the same box.

    Voxels of other labels are never taken, and none leaves that would tear the membrane open. Where the
    volume or the ROI's box ends, the membrane goes on, and nothing moves. The same seed gives a membrane of
    the same name the same border. Raises InputError where a map of confidence lies on another grid or is
    none.
    """
    how = replace(how, seed=how.seed + crc32(membrane.name.encode()))
    foreign = None if membrane.foreign is None else np.pad(membrane.foreign, REACH, mode="edge")
    known = None if how.confidence is None else how.confidence.of(membrane)
    doubt = None if known is None else lambda voxels: known(voxels - REACH)
    moved = moved_border(np.pad(membrane.mask, REACH, mode="edge"), how, foreign, doubt)
    x, y, z = (place * how.voxel_factor for place in membrane.origin_nm)
    return replace(
        membrane,
        mask=moved[(slice(REACH, -REACH),) * 3],
        kept_beyond_nm=membrane.kept_beyond_nm * how.voxel_factor,
        voxel_size_nm=membrane.voxel_size_nm * how.voxel_factor,
        origin_nm=(x, y, z),
    )


def moved_border(
    mask: Mask,
    how: Perturbation,
    foreign: Mask | None = None,
    doubt: Callable[[Ints], Floats] | None = None,
) -> Mask:
    """A mask [z, y, x] with its border moved by about ``how.border_voxels``; the outermost two stay.

    foreign: voxels that are never taken; doubt: the standard deviation (n,) of the border's place in voxels
    at voxels (n, 3) beside it, where it is not alike everywhere.
    """
    random = np.random.default_rng(how.seed)
    shared = SHARED * random.normal()
    fields = [_field(random, how.correlation_voxels) for _ in range(2)]
    inner, outer = _border(mask)
    moved = mask.copy()
    for border, joins in ((inner, False), (outer, True)):
        voxels = np.argwhere(border)
        out, lean = _outward(voxels, mask)
        place = tuple((voxels % TILE).T)
        local = np.where(out @ SIDE > 0, fields[0][place], fields[1][place])
        border_voxels = how.border_voxels if doubt is None else doubt(voxels)
        shift = border_voxels * (shared + np.sqrt(1 - SHARED**2) * local)
        if not joins:
            shift[lean < LEAST_LEAN] = 0.0
        free = ~mask if joins else mask.copy()
        if joins and foreign is not None:
            free &= ~foreign
        # Voxels of a layer lie in depths up to the largest part of the normal: 1 along the axes, less aslant.
        _move(moved, joins, _Front(voxels, out, (shift if joins else -shift) / np.abs(out).max(axis=1)), free)
    return moved


@dataclass(frozen=True)
class _Front:
    """Voxels (n, 3) beside a border, directions (n, 3) out of it, and by how many layers (n,) it moves."""

    voxels: Ints
    out: Floats
    layers: Floats

    def at(self, chosen: Mask | Ints) -> _Front:
        """Some of them."""
        return _Front(self.voxels[chosen], self.out[chosen], self.layers[chosen])


def _move(moved: Mask, joins: bool, front: _Front, free: Mask) -> None:
    """Let voxels join or leave a mask in place, layer by layer, only those that are ``free``, each once."""
    front = front.at(free[tuple(front.voxels.T)])
    free[tuple(front.voxels.T)] = False
    for layer in range(MOST_LAYERS):
        front = front.at(front.layers > layer + 0.5)
        if not len(front.voxels):
            return
        moved[tuple(front.voxels.T)] = joins
        if not joins:  # none leaves without one behind it: a thin membrane would tear
            alone = ~moved[tuple(_behind(front).T)]
            moved[tuple(front.voxels[alone].T)] = True
            front = front.at(~alone)
        front = _next(front, free)
        free[tuple(front.voxels.T)] = False


def _behind(front: _Front) -> Ints:
    """The voxels (n, 3) next to those of a front, inward along the axis nearest to their normals."""
    axis = np.abs(front.out).argmax(axis=1)
    behind = front.voxels.copy()
    each = np.arange(len(axis))
    behind[each, axis] -= np.sign(front.out[each, axis]).astype(np.int64)
    return behind


def _next(front: _Front, free: Mask) -> _Front:
    """The free neighbours of a front, which move as it does; none within two voxels of the array's ends."""
    steps = len(NEIGHBOURS)
    voxels = (front.voxels[:, None] + NEIGHBOURS).reshape(-1, 3)
    source = np.repeat(np.arange(len(front.voxels)), steps)
    inside = np.all((voxels >= REACH) & (voxels < np.array(free.shape) - REACH), axis=1)
    inside[inside] = free[tuple(voxels[inside].T)]
    voxels, source = voxels[inside], source[inside]
    _, first = np.unique(np.ravel_multi_index(tuple(voxels.T), free.shape), return_index=True)
    return _Front(voxels[first], front.out[source[first]], front.layers[source[first]])


def _field(random: np.random.Generator, correlation_voxels: float) -> Floats:
    """Random numbers of mean 0 and variance 1, alike over a length, on a box that repeats."""
    field = gaussian_filter(random.normal(size=(TILE,) * 3), correlation_voxels, mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float64)


def _border(mask: Mask) -> tuple[Mask, Mask]:
    """The voxels on either side of the border, inside it and outside; none near the array's own ends."""
    inner, outer = np.zeros_like(mask), np.zeros_like(mask)
    core = (slice(REACH, -REACH),) * 3
    for step in NEIGHBOURS:
        beside = mask[tuple(slice(REACH + s, n - REACH + s) for s, n in zip(step, mask.shape, strict=True))]
        inner[core] |= mask[core] & ~beside
        outer[core] |= ~mask[core] & beside
    return inner, outer


def _outward(voxels: Ints, mask: Mask) -> tuple[Floats, Floats]:
    """Directions (n, 3) out of the mask at voxels (n, 3), and how far (n,) it leans inward about them.

    Both are of the middle of what lies within two voxels; where that is the voxel itself, any direction.
    """
    middle, count = np.zeros((len(voxels), 3)), np.zeros(len(voxels))
    for step in BALL:
        inside = mask[tuple((voxels + step).T)]
        middle += inside[:, None] * step
        count += inside
    lean = np.linalg.norm(middle, axis=1)
    out = np.where(lean[:, None] > 0, -middle / np.maximum(lean, 1e-9)[:, None], SIDE / np.linalg.norm(SIDE))
    return out, lean / np.maximum(count, 1)
