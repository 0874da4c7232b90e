"""Whether a mask is a thin sheet or a filled body: an organelle labelled as a whole has no middle."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numba import njit
from scipy.ndimage import binary_fill_holes, find_objects

from surfora.geometry.arrays import Bytes, Ints, Mask
from surfora.geometry.occupancy import set_voxels
from surfora.masks.cleaning import mask_box, opened

THICKEST_HALF_NM = 6.5  # no single membrane is thicker than twice this
THICKEST_HALF_VOXELS = 3.5  # nor is one called filled that is coarse: up to six voxels
LEAST_HALF_VOXELS = 2.4  # bodies thinner than twice this are told by nothing
SHEETNESS = 0.65  # volume over half the surface, per thickness: 1 for sheets, 1/2 for rods, 1/3 for balls
CORE_SHARE = 0.1  # of a body; with less lumen than this it is a filled one with a hollow core
WALL_NM = 7.0  # if its wall is thicker than this
MAJORITY = 0.5
DIRECTION_WEIGHT = {1: 0.09155578, 2: 0.07396124, 3: 0.07039126}
"""Share of the sphere about each of 13 directions, by how many axes it has a part of."""


def filled_share(mask: Mask, voxel_size_nm: float) -> float:
    """The share of a mask's voxels [z, y, x] that lie in filled bodies instead of sheets, 0 to 1.

    Each connected piece is judged by itself. It is filled where balls of one radius sweep most of it: a
    radius that no membrane has room for, or one that only fits because the piece is a ball or a rod and not
    a sheet (its volume over its surface is small for its thickness). A lumen of a few percent is filled
    first, unless the wall about it is thin. Sheets up to five voxels thick are found out at once.
    """
    occupied = int(np.count_nonzero(mask))
    if occupied == 0 or not has_deep_voxels(mask):
        return 0.0
    box = mask_box(mask, 1)
    pieces = cc3d.connected_components(np.ascontiguousarray(mask[box]), connectivity=26)
    filled = 0
    for number, place in enumerate(find_objects(pieces), start=1):
        piece = np.pad(pieces[place] == number, 1)
        edges = _at_border(place, box, mask.shape)
        if has_deep_voxels(piece) and _is_filled(piece, edges, voxel_size_nm):
            filled += int(np.count_nonzero(piece))
    return filled / occupied


def _is_filled(piece: Mask, edges: list[tuple[bool, bool]], voxel_size_nm: float) -> bool:
    """Whether a piece (margin: one voxel) is a body; ``edges``: where the volume cuts it, by axis."""
    grown = np.pad(
        piece[1:-1, 1:-1, 1:-1], [(0 if low else 1, 0 if high else 1) for low, high in edges]
    )  # beyond the volume's border nothing is known: no outside there
    if _is_swept(grown, voxel_size_nm):
        return True
    body = binary_fill_holes(grown)
    lumen = np.count_nonzero(body) - np.count_nonzero(grown)
    if not 0 < lumen < CORE_SHARE * np.count_nonzero(body):
        return False
    wall_nm = np.count_nonzero(grown) / half_surface(grown) * voxel_size_nm
    return bool(wall_nm > WALL_NM) and _is_swept(body, voxel_size_nm)


def _is_swept(body: Mask, voxel_size_nm: float) -> bool:
    """Whether balls too large for a membrane, or for a sheet of this volume and surface, sweep most of it."""
    count = int(np.count_nonzero(body))
    thickest = max(THICKEST_HALF_NM / voxel_size_nm, THICKEST_HALF_VOXELS)
    of_sheet = count / (2 * half_surface(body)) / SHEETNESS
    radius = max(min(thickest, of_sheet), LEAST_HALF_VOXELS)
    swept = opened(body, radius + 0.5)  # depths reach to the nearest voxel centre outside
    return bool(np.count_nonzero(swept) > MAJORITY * count)


def half_surface(mask: Mask) -> float:
    """Half the surface of a mask in square voxels: crossings along 13 directions (Cauchy and Crofton)."""
    crossings = 0.0
    for step in [step for step in np.ndindex(3, 3, 3) if step > (1, 1, 1)]:
        way = np.subtract(step, 1)
        here = tuple(slice(max(0, -k), n - max(0, k)) for k, n in zip(way, mask.shape, strict=True))
        there = tuple(slice(max(0, k), n - max(0, -k)) for k, n in zip(way, mask.shape, strict=True))
        steps = int(np.abs(way).sum())
        crossings += DIRECTION_WEIGHT[steps] * np.count_nonzero(mask[here] != mask[there]) / np.sqrt(steps)
    return max(crossings, 1.0)


def _at_border(place: Any, box: Any, shape: tuple[int, ...]) -> list[tuple[bool, bool]]:
    """Whether a piece reaches the first and the last voxel of the volume, axis by axis."""
    return [
        (part.start + whole.start == 0, part.stop + whole.start == length)
        for part, whole, length in zip(place, box, shape, strict=True)
    ]


def has_deep_voxels(mask: Mask) -> bool:
    """Whether a voxel has three more of the mask on all six sides: never in sheets up to five thick."""
    return bool(_has_deep_voxels(np.ascontiguousarray(mask).view(np.uint8), set_voxels(mask)))


@njit(cache=True, nogil=True)
def _has_deep_voxels(mask: Bytes, occupied: Ints) -> bool:
    k = 0
    while k < len(occupied) and not _is_deep(mask, occupied[k, 0], occupied[k, 1], occupied[k, 2]):
        k += 1
    return k < len(occupied)


@njit(cache=True, nogil=True)
def _is_deep(mask: Bytes, z: int, y: int, x: int) -> bool:
    """Whether three voxels on each of six sides belong to the mask; beyond the border all do."""
    nz, ny, nx = mask.shape
    for step in (-3, 3, -2, 2, -1, 1):
        if 0 <= x + step < nx and mask[z, y, x + step] == 0:
            return False
        if 0 <= y + step < ny and mask[z, y + step, x] == 0:
            return False
        if 0 <= z + step < nz and mask[z + step, y, x] == 0:
            return False
    return True
