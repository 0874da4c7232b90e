"""Sheets one voxel thick, such as skeletons, made thicker on both sides, so that their faces can be told.

Over and under a sheet of one voxel lie different faces of the same voxels: nearer to each other than the
places over which a face is told from a wall, and with nothing between them that would be inside for sure.
One voxel more on either side leaves the middle where it is. Lengths are in voxels.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.medial.projection import point_lattice, sheet_normals

THIN = 1.6  # as `sheet_thickness` tells it: one voxel has 0.9 to 1.5, two have 1.9 and more
ADDED = 1.6  # to that thickness, by one voxel on either side along the axis that a sheet faces most
PLANE = 4.0  # radius that tells which axis that is
ALIKE = 0.7  # of the steepest: what a sheet's normal has along another axis that it is made thicker along too
CLEAR = 2  # voxels that must be empty beyond the added one, for another part of the sheet not to be touched
BESIDE = 2.0  # distance to a voxel that cannot be made thicker, in which none is


def thickened(sheet: Mask, occupied: Ints) -> tuple[Mask, Mask]:
    """The sheet with a voxel more on both sides, and which of its voxels (n,) were given them.

    sheet: bool [z, y, x]; occupied: its voxels (n, 3). Voxels are added along the axis that the sheet faces
    most, so that it does not grow beyond its rims. Where it faces another part of itself across one or two
    empty voxels, as in a fold, it stays as it is.
    """
    centres = occupied[:, ::-1].astype(np.float64)
    steepness = np.abs(sheet_normals(point_lattice(centres, sheet.shape), centres, PLANE)[:, ::-1])
    along = steepness >= ALIKE * steepness.max(axis=1, keepdims=True)
    ways = [(along[:, axis], way * step) for axis, step in enumerate(np.eye(3, dtype=int)) for way in (1, -1)]
    closed = np.zeros(len(occupied), dtype=bool)
    for chosen, way in ways:
        empty = chosen & ~_at(sheet, occupied + way)
        for beyond in range(2, 2 + CLEAR):
            closed |= empty & _at(sheet, occupied + beyond * way)
    if closed.any():
        tree = cKDTree(occupied[closed])
        closed = np.isfinite(tree.query(occupied, distance_upper_bound=BESIDE + 1e-6)[0])
    thick = sheet.copy()
    for chosen, way in ways:
        added = (occupied + way)[chosen & ~closed]
        added = added[((added >= 0) & (added < sheet.shape)).all(axis=1)]
        thick[tuple(added.T)] = True
    return thick, ~closed


def thinned_again(half_thickness: Floats, points: Floats, normals: Floats, widened: Floats) -> Floats:
    """The half thickness (n,) of points (n, 3) on a thickened sheet, less what was added there.

    widened: x, y, z (m, 3) of the voxels that were given others on both sides.
    """
    if len(widened) == 0:
        return half_thickness
    there = np.isfinite(cKDTree(widened).query(points, distance_upper_bound=1.0)[0])
    added = np.where(there, np.abs(normals).max(axis=1), 0.0)
    return np.maximum(half_thickness - added, 0.25)


def _at(sheet: Mask, voxels: Ints) -> Mask:
    """Whether each voxel (n, 3) is set; none is outside the array."""
    there: Mask = np.asarray(((voxels >= 0) & (voxels < sheet.shape)).all(axis=1))
    there[there] = sheet[tuple(voxels[there].T)]
    return there
