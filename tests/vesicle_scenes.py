"""Spherical vesicles whose contacts are known: membrane labels, and the true ROI of every pair.

The true contact of two membranes is every voxel whose distances to both add up to at most a limit and
that lies in no third membrane.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

THICKNESS_NM = 5.0
LIMIT_NM = 24.0


@dataclass(frozen=True)
class VesicleScene:
    """Membrane labels (z, y, x; 1, 2, … in the order given) and true contacts by pair, "1:2" and so on."""

    labels: NDArray[np.int16]
    contacts: dict[str, NDArray[np.bool_]]
    voxel_size_nm: float

    @property
    def places(self) -> NDArray[np.bool_]:
        """All contacts in one mask."""
        return np.any(list(self.contacts.values()), axis=0)


def vesicle_scene(
    centres_xyz_nm: list[tuple[float, float, float]],
    radii_nm: list[float],
    size_xyz_nm: tuple[float, float, float],
    voxel_size_nm: float = 2.0,
    open_deg: float = 0.0,
) -> VesicleScene:
    """The scene of some spheres; radii are to the middle of the membrane.

    ``open_deg`` leaves out the caps within this angle of the z axis, as the missing wedge does. Voxels
    of several membranes get the label of the nearest.
    """
    shape = tuple(round(edge / voxel_size_nm) for edge in size_xyz_nm[::-1])
    z, y, x = np.indices(shape) * voxel_size_nm
    to_middle = np.full((len(radii_nm), *shape), np.inf)
    for row, ((cx, cy, cz), radius) in enumerate(zip(centres_xyz_nm, radii_nm, strict=True)):
        there = np.abs(z - cz) <= radius * np.cos(np.radians(open_deg)) + (
            THICKNESS_NM if open_deg == 0 else 0
        )
        away = np.abs(np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - radius)
        to_middle[row] = np.where(there, away, np.inf)
    nearest = to_middle.argmin(axis=0) + 1
    labels = np.where(to_middle.min(axis=0) <= THICKNESS_NM / 2, nearest, 0).astype(np.int16)
    distance = np.maximum(to_middle - THICKNESS_NM / 2, 0)
    contacts = {}
    for first, second in combinations(range(len(radii_nm)), 2):
        free = (labels == 0) | (labels == first + 1) | (labels == second + 1)
        mask = (distance[first] + distance[second] <= LIMIT_NM) & free
        if mask.any():
            contacts[f"{first + 1}:{second + 1}"] = mask
    return VesicleScene(labels, contacts, voxel_size_nm)


def three_around_one(voxel_size_nm: float = 2.0, gap_nm: float = 10.0) -> VesicleScene:
    """A vesicle with three others in contact, two of which nearly touch each other."""
    reach = 40 + 28 + gap_nm + THICKNESS_NM
    around = [(110 + reach * np.cos(a), 110 + reach * np.sin(a), 55.0) for a in (0.0, 0.82, 3.3)]
    return vesicle_scene([(110.0, 110.0, 55.0), *around], [40, 28, 28, 28], (225, 215, 110), voxel_size_nm)


def random_cluster(
    seed: int,
    count: int = 7,
    voxel_size_nm: float = 2.0,
    gaps_nm: tuple[float, float] = (6.0, 16.0),
    open_deg: float = 0.0,
) -> VesicleScene:
    """Vesicles packed at some gaps, so that most contacts run into others; negative gaps fuse membranes."""
    least = min(gaps_nm[0], 5.0)
    rng = np.random.default_rng(seed)
    size = np.array([220.0, 220.0, 130.0])
    centres, radii = [size / 2], [rng.uniform(30, 40)]
    for _ in range(3000):
        host = rng.integers(len(radii))
        radius, gap = rng.uniform(20, 36), rng.uniform(*gaps_nm)
        away = rng.normal(size=3) * [1, 1, 0.5]
        away /= np.linalg.norm(away)
        centre = centres[host] + away * (radii[host] + radius + gap + THICKNESS_NM)
        apart = np.linalg.norm(centre - np.array(centres), axis=1) - radius - THICKNESS_NM
        clear = (apart - radii >= least - 1e-9).all() and (centre > 5).all() and (centre < size - 5).all()
        if clear and len(radii) < count:
            centres.append(centre)
            radii.append(radius)
    return vesicle_scene([tuple(c) for c in centres], radii, tuple(size), voxel_size_nm, open_deg)
