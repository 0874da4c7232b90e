"""A mask as another segmentation of the same membrane might have drawn it: its border moved at random.

A segmentation is sure of its border to about half a voxel, and its errors are alike over a few voxels: what
one face has here, it has beside, and all faces share the choice of a threshold. So a smooth random field of
each face, and one number for all, move the border; a voxel beside it joins or leaves where they exceed half
a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from scipy.ndimage import gaussian_filter

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.masks.membranes import Membrane

TILE = 64  # voxels that a field repeats after: far more than it is alike over
SHARED = 0.5  # of the border's SD, what all faces have in common (the threshold); the rest is local
NEIGHBOURS = ((0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0))
SIDE = np.array([1.0, 0.618, 0.314])  # tells one face of a sheet from the other, whichever way it lies


@dataclass(frozen=True)
class Perturbation:
    """One way in which a mask might have come out: the seed of its border, and a factor of its voxel edge.

    ``border_voxels`` is the standard deviation of the border's place, ``correlation_voxels`` the length over
    which it is alike.
    """

    seed: int
    border_voxels: float
    correlation_voxels: float
    voxel_factor: float = 1.0


def perturbed(membrane: Membrane, how: Perturbation) -> Membrane:
    """The membrane with its border moved and its voxel edge scaled, in the same box.

    Voxels of other labels are never taken, and none leaves that would tear the membrane open. Where the
    volume or the ROI's box ends, the membrane goes on, and nothing moves. The same seed gives a membrane of
    the same name the same border.
    """
    how = replace(how, seed=how.seed + crc32(membrane.name.encode()))
    foreign = None if membrane.foreign is None else np.pad(membrane.foreign, 1, mode="edge")
    moved = moved_border(np.pad(membrane.mask, 1, mode="edge"), how, foreign)
    x, y, z = (place * how.voxel_factor for place in membrane.origin_nm)
    return replace(
        membrane,
        mask=moved[1:-1, 1:-1, 1:-1],
        kept_beyond_nm=membrane.kept_beyond_nm * how.voxel_factor,
        voxel_size_nm=membrane.voxel_size_nm * how.voxel_factor,
        origin_nm=(x, y, z),
    )


def moved_border(mask: Mask, how: Perturbation, foreign: Mask | None = None) -> Mask:
    """A mask [z, y, x] with its border moved by about ``how.border_voxels``; voxels at its edges stay out."""
    random = np.random.default_rng(how.seed)
    shared = how.border_voxels * SHARED * random.normal()
    fields = [_field(random, how.correlation_voxels) for _ in range(2)]
    local = how.border_voxels * np.sqrt(1 - SHARED**2)
    inner, outer = _border(mask)

    def shift(voxels: Ints, out: Floats) -> Floats:
        """How far (n,) in voxels the border at these voxels moves outward; ``out`` points there."""
        place = tuple((voxels % TILE).T)
        side = out @ SIDE > 0
        return shared + local * np.where(side, fields[0][place], fields[1][place])

    moved = mask.copy()
    leaving, out = _outward(inner, mask)
    gone = leaving[(shift(leaving, out) < -0.5) & (np.abs(out).sum(axis=1) > 0)]
    moved[tuple(gone.T)] = False
    moved[tuple(gone[~_touches(gone, moved)].T)] = True
    joining, out = _outward(outer, mask)
    come = joining[shift(joining, out) > 0.5]
    moved[tuple(come.T)] = True
    if foreign is not None:
        moved &= ~foreign | mask
    return moved


def _field(random: np.random.Generator, correlation_voxels: float) -> Floats:
    """Random numbers of mean 0 and variance 1, alike over a length, on a box that repeats."""
    field = gaussian_filter(random.normal(size=(TILE,) * 3), correlation_voxels, mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float64)


def _border(mask: Mask) -> tuple[Mask, Mask]:
    """The voxels on either side of the border: inside it, and outside; none at the array's own edges."""
    inner, outer = np.zeros_like(mask), np.zeros_like(mask)
    core = (slice(1, -1),) * 3
    for step in NEIGHBOURS:
        beside = mask[tuple(slice(1 + s, n - 1 + s) for s, n in zip(step, mask.shape, strict=True))]
        inner[core] |= mask[core] & ~beside
        outer[core] |= ~mask[core] & beside
    return inner, outer


def _outward(border: Mask, mask: Mask) -> tuple[Ints, Floats]:
    """The voxels (n, 3) of a border as z, y, x, and for each the direction (n, 3) out of the mask."""
    voxels = np.argwhere(border)
    out = np.zeros((len(voxels), 3))
    for step in NEIGHBOURS:
        out -= mask[tuple((voxels + step).T)][:, None] * np.array(step)
    return voxels, out


def _touches(voxels: Ints, mask: Mask) -> Mask:
    """Whether each voxel (n, 3) has a neighbour in the mask."""
    touching = np.zeros(len(voxels), dtype=bool)
    for step in NEIGHBOURS:
        touching |= mask[tuple((voxels + step).T)]
    return touching
