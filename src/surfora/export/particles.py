"""Particles whatever their program: where they lie in their tomogram, and how they are turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from surfora.geometry.arrays import Floats, Mask
from tomocore.contract import InputError

FARTHEST_NM = 1e7
"""Beyond a centimetre no tomogram has a place."""


@dataclass(frozen=True)
class Particles:
    """Places (n, 3) x, y, z in nm from the tomogram's first voxel on, poses (n,) or None, names of tomograms.

    ``tomograms`` (n,) are as the file has them, "" where it does not say.
    """

    places_nm: Floats
    poses: Rotation | None
    tomograms: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places_nm)

    def at(self, chosen: Mask) -> Particles:
        """The particles chosen by a mask (n,)."""
        keep = np.flatnonzero(chosen)
        poses = None if self.poses is None else self.poses[keep]
        return Particles(self.places_nm[keep], poses, tuple(self.tomograms[k] for k in keep))


def believable(particles: Particles) -> Particles:
    """The particles, once there are some, at places that a tomogram can have; else InputError."""
    if len(particles) == 0:
        raise InputError("holds no particles; give a file with some")
    if not (np.abs(particles.places_nm) <= FARTHEST_NM).all():
        raise InputError(
            "some coordinates are no numbers, or lie beyond any tomogram; remove those particles"
        )
    return particles


@dataclass(frozen=True)
class TomogramSize:
    """Size (x, y, z) of a tomogram in nm, and the place of its first voxel's centre in the world."""

    size_nm: tuple[float, float, float]
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0)
