"""What lies beside the masks of a run: a tomogram and a valid region each, and the other membranes nearby."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from surfora.geometry.arrays import Floats
from surfora.geometry.files import read_mesh
from surfora.geometry.surface import SurfaceMesh
from surfora.masks.grids import Grid, edge_beside_nm, placed_beside
from surfora.measures.density.files import read_tomogram
from surfora.measures.distance_pairs import SurfaceFile
from surfora.measures.valid_region import ScaledRegion, ValidRegion, read_valid_region
from tomocore.provenance import RunRecord
from tomocore.volumes.volume import Volume

TOMOGRAM, REGION, CONFIDENCE = "tomogram", "valid region", "confidence"


@dataclass
class BesideMasks:
    """The tomogram, valid region and map of confidence of each mask; voxels stay on disk, one region is held.

    ``voxel_size_nm`` and ``resample`` are as for the masks; ``factor`` scales the world about its origin.
    """

    tomograms: Mapping[Path, Path] = field(default_factory=dict)
    regions: Mapping[Path, Path] = field(default_factory=dict)
    confidence: Mapping[Path, Path] = field(default_factory=dict)
    voxel_size_nm: float | None = None
    resample: bool = False
    factor: float = 1.0
    _held: tuple[Path, ValidRegion] | None = None

    def note(self, record: RunRecord) -> None:
        """Note all files as inputs of a run."""
        roles = (TOMOGRAM, self.tomograms), (REGION, self.regions), (CONFIDENCE, self.confidence)
        for role, files in roles:
            for path in files.values():
                record.add_input(path, role=role)

    def tomogram(self, mask: Path, grid: Grid | None) -> Volume | None:
        """The tomogram of a mask of a grid, None where it has none. Raises as `placed_beside` does."""
        if mask not in self.tomograms:
            return None
        path = self.tomograms[mask]
        edge_nm = edge_beside_nm(path, grid, self.voxel_size_nm) if grid else self.voxel_size_nm
        volume = placed_beside(read_tomogram(path, edge_nm, self.resample), path, grid)
        x, y, z = (place * self.factor for place in volume.origin_nm)
        return replace(volume, voxel_size_nm=volume.voxel_size_nm * self.factor, origin_nm=(x, y, z))

    def region(self, mask: Path, grid: Grid | None) -> ValidRegion | None:
        """The valid region of a mask, None where it has none; points of a model count voxels of the grid."""
        if mask not in self.regions:
            return None
        if self._held is None or self._held[0] != mask:
            edge_nm, origin_nm = (grid.voxel_size_nm, grid.origin_nm) if grid else (1.0, (0.0, 0.0, 0.0))
            found = read_valid_region(
                self.regions[mask], edge_nm, origin_nm, self.resample, grid, self.voxel_size_nm
            )
            self._held = mask, found if self.factor == 1.0 else ScaledRegion(found, self.factor)
        return self._held[1]


@dataclass
class Neighbours:
    """The middles of other membranes near one; each file is read when it is needed, as many as are near."""

    surfaces: Sequence[SurfaceFile]
    _bounds: dict[Path, tuple[Floats, Floats]] = field(default_factory=dict)

    def near(self, one: SurfaceFile, mesh: SurfaceMesh, reach_nm: float) -> Iterator[SurfaceMesh]:
        """Meshes of another label of the same mask and kind whose boxes are within reach of a surface's."""
        low, high = mesh.vertices.min(axis=0) - reach_nm, mesh.vertices.max(axis=0) + reach_nm
        for other in self.surfaces:
            if not _is_other(one, other):
                continue
            found = None
            if other.path not in self._bounds:
                found = read_mesh(other.path)
                self._bounds[other.path] = found.vertices.min(axis=0), found.vertices.max(axis=0)
            lowest, highest = self._bounds[other.path]
            if np.all(lowest <= high) and np.all(highest >= low):
                yield read_mesh(other.path) if found is None else found


def _is_other(one: SurfaceFile, other: SurfaceFile) -> bool:
    mine, its = one.facts, other.facts
    return (its.kind, its.source) == (mine.kind, mine.source) and its.label != mine.label
