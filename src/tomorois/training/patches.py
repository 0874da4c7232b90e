"""Training patches: tomograms made ready, and a sampler whose draws follow from seed and step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["roi", "penalty", "anywhere"]
SPARSE_BELOW = 0.5  # share of voxels that teach, under which patches are centred on such voxels


@dataclass(frozen=True)
class VoxelGroups:
    """Voxels (n, 3) z, y, x in groups: group ``k`` is ``voxels[starts[k]:starts[k + 1]]``."""

    voxels: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, group: int) -> NDArray[np.int32]:
        """The voxels of a group."""
        return self.voxels[self.starts[group] : self.starts[group + 1]]

    def draw(self, group: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """One voxel of a group, each as likely."""
        voxels = self.of(group)
        return voxels[rng.integers(len(voxels))]


@dataclass(frozen=True)
class TrainingVolume:
    """A tomogram as the network sees it, on the binned grid, and what its voxels teach.

    ``image`` (channels, z, y, x) is normalised; ``target`` (z, y, x) is the share of ROI in each voxel;
    ``weight`` (z, y, x) is 0 where a voxel teaches nothing, more than 1 where a user rejected an ROI.
    All three are float16, for memory. ``rois`` and ``penalties`` group the voxels of each annotated and
    each rejected region.
    """

    name: str
    image: NDArray[np.float16]
    target: NDArray[np.float16]
    weight: NDArray[np.float16]
    rois: VoxelGroups
    penalties: VoxelGroups

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along z, y, x."""
        return self.target.shape


@dataclass(frozen=True)
class PatchPlace:
    """Where a patch lies: which volume, its first voxel z, y, x, its shape, and what it was centred on."""

    volume: int
    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    kind: Kind

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The slices z, y, x."""
        z, y, x = (slice(a, a + n) for a, n in zip(self.start, self.shape, strict=True))
        return z, y, x


def group_voxels(numbered: NDArray[Any], bin_factor: int = 1) -> VoxelGroups:
    """The voxels of each number above zero, on a grid binned by a factor (each binned voxel once a group)."""
    places = np.argwhere(numbered > 0)
    numbers = numbered[tuple(places.T)].astype(np.int64)
    rows = np.unique(np.column_stack([numbers, places // bin_factor]), axis=0)
    found, starts = np.unique(rows[:, 0], return_index=True)
    return VoxelGroups(
        rows[:, 1:].astype(np.int32), np.append(starts, len(rows)).astype(np.int64)[: len(found) + 1]
    )


def patch_shape(volumes: Sequence[TrainingVolume], edge_voxels: int) -> tuple[int, int, int]:
    """The patch's edges z, y, x: as wished, or what the smallest volume has."""
    smallest = np.min([volume.shape for volume in volumes], axis=0)
    z, y, x = (int(min(edge_voxels, edge)) for edge in smallest)
    return z, y, x


class PatchSampler:
    """Draws where patches lie: on ROIs, on rejected regions, or anywhere.

    An ROI is drawn first, each as likely in whatever volume it is, and then one of its voxels, so that
    small ROIs are seen as often as large ones. Draws depend on the seed and the step alone, so that a
    resumed training needs no state of a random generator.
    """

    def __init__(
        self,
        volumes: Sequence[TrainingVolume],
        shape: tuple[int, int, int],
        roi_fraction: float = 0.5,
        penalty_fraction: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.volumes = volumes
        self.shape = shape
        self.seed = seed
        self.rois = _all_groups([volume.rois for volume in volumes])
        self.penalties = _all_groups([volume.penalties for volume in volumes])
        self.roi_fraction = roi_fraction if self.rois else 0.0
        self.penalty_fraction = penalty_fraction if self.penalties else 0.0
        counts = np.array([np.count_nonzero(volume.weight) for volume in volumes], dtype=float)
        self.chance = counts / counts.sum()
        sparse = counts < [SPARSE_BELOW * volume.weight.size for volume in volumes]
        self.taught = {k: np.flatnonzero(v.weight) for k, v in enumerate(volumes) if sparse[k]}

    def places(self, step: int, count: int) -> list[tuple[PatchPlace, np.random.Generator]]:
        """Where the patches of one step lie, each with the generator for its augmentation."""
        rngs = [np.random.default_rng([self.seed, step, index]) for index in range(count)]
        return [(self._place(rng), rng) for rng in rngs]

    def _place(self, rng: np.random.Generator) -> PatchPlace:
        chance = rng.random()
        if chance < self.penalty_fraction:
            return self._in_group(self.penalties, "penalty", rng)
        if chance < self.penalty_fraction + self.roi_fraction:
            return self._in_group(self.rois, "roi", rng)
        return self._anywhere(rng)

    def _in_group(self, groups: list[tuple[int, int]], kind: Kind, rng: np.random.Generator) -> PatchPlace:
        volume, group = groups[rng.integers(len(groups))]
        held = self.volumes[volume].rois if kind == "roi" else self.volumes[volume].penalties
        return self._about(volume, held.draw(group, rng), kind)

    def _anywhere(self, rng: np.random.Generator) -> PatchPlace:
        index = int(rng.choice(len(self.volumes), p=self.chance))
        shape = self.volumes[index].shape
        if index in self.taught:
            voxel = self.taught[index][rng.integers(len(self.taught[index]))]
            return self._about(index, np.array(np.unravel_index(voxel, shape)), "anywhere")
        room = np.array(shape) - self.shape
        z, y, x = (int(rng.integers(free + 1)) for free in room)
        return PatchPlace(index, (z, y, x), self.shape, "anywhere")

    def _about(self, volume: int, centre: NDArray[np.integer], kind: Kind) -> PatchPlace:
        """The patch centred on a voxel, moved inwards where it would reach outside the volume."""
        room = np.array(self.volumes[volume].shape) - self.shape
        z, y, x = (int(v) for v in np.clip(centre - np.array(self.shape) // 2, 0, room))
        return PatchPlace(volume, (z, y, x), self.shape, kind)


def _all_groups(groups: Sequence[VoxelGroups]) -> list[tuple[int, int]]:
    return [(volume, group) for volume, held in enumerate(groups) for group in range(len(held))]
