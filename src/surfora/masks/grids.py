"""How the grids of two files lie to each other: one grid, placed by their headers, or nobody knows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomocore.contract import InputError
from tomocore.volumes.formats import inspect_volume
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)

SAME_VOXEL_SIZE = 1e-3  # relative: headers hold edges as 32-bit lengths of the whole volume
SAME_PLACE = 0.1  # voxels
BINNED_EDGE = 0.01  # relative: headers of binned copies are rounded


@dataclass(frozen=True)
class Grid:
    """Voxels along z, y, x, their edge in nm, and the place of voxel (0, 0, 0) as x, y, z in nm."""

    shape: tuple[int, int, int]
    voxel_size_nm: float
    origin_nm: tuple[float, float, float]

    def __str__(self) -> str:
        size = " × ".join(map(str, self.shape))
        place = ", ".join(f"{coordinate:.4g}" for coordinate in self.origin_nm)
        return f"{size} voxels of {self.voxel_size_nm:.4g} nm at ({place}) nm"

    @property
    def text(self) -> str:
        """The grid as seven numbers, for files."""
        return " ".join(map(repr, (*self.shape, *map(float, (self.voxel_size_nm, *self.origin_nm)))))


def grid_of(volume: Volume) -> Grid:
    """The grid of a volume."""
    return Grid(volume.shape, volume.voxel_size_nm, volume.origin_nm)


def grid_from(text: str) -> Grid:
    """The grid that `Grid.text` wrote."""
    z, y, x, edge_nm, *origin_nm = map(float, text.split())
    return Grid((int(z), int(y), int(x)), edge_nm, (origin_nm[0], origin_nm[1], origin_nm[2]))


def differences(a: Grid, b: Grid) -> list[str]:
    """In which of shape, voxel size and place two grids differ; none where they are one."""
    found = ["shape"] if a.shape != b.shape else []
    if not _same_edge(a, b):
        found.append("voxel size")
    if not _same_place(a, b):
        found.append("place")
    return found


def lost_its_place(a: Grid, b: Grid) -> bool:
    """Whether two grids differ in place alone, and one is at zero, where programs put what they drop."""
    return differences(a, b) == ["place"] and not (any(a.origin_nm) and any(b.origin_nm))


def places_are_known(a: Grid, b: Grid) -> bool:
    """Whether two grids can be brought together by what their headers say.

    They can where they are one grid, where a header gives one of them a place of its own, and where both
    begin at one place and are equally large, as a volume and its binned copy are. A crop that kept no
    place begins where the whole begins, and nothing tells where it belongs.
    """
    if not differences(a, b) or not _same_place(a, b):
        return True
    sizes = [np.multiply(grid.shape, grid.voxel_size_nm) for grid in (a, b)]
    return bool(np.abs(sizes[0] - sizes[1]).max() <= max(a.voxel_size_nm, b.voxel_size_nm))


def kept_its_corner(a: Grid, b: Grid) -> bool:
    """Whether one grid is the other's binned copy, and both headers give one and the same origin.

    An origin is the middle of the first voxel, which binning moves; programs that bin mostly keep the number.
    """
    factor = _binned(a.shape, b.shape)
    if factor in (None, 1.0) or not _same_place(a, b):
        return False
    return bool(abs(a.voxel_size_nm / b.voxel_size_nm - factor) <= BINNED_EDGE * factor)


def edge_beside_nm(path: Path, grid: Grid, given_nm: float | None) -> float | None:
    """The voxel edge of a volume beside a mask of a grid whose own edge was given, whatever headers say.

    It is the mask's for as many voxels, a multiple of it for a binned copy, else None: the header's own.
    """
    header = inspect_volume(path)
    if given_nm is None or header.anisotropic:
        return given_nm
    factor = _binned(header.shape, grid.shape)
    return None if factor is None else given_nm * factor


def _binned(shape: Sequence[int], of: Sequence[int]) -> float | None:
    """How many voxels of one shape lie along one of the other, its binned copy; None where it is none."""
    for fine, coarse, is_binned in ((of, shape, True), (shape, of, False)):
        factor = max(1, round(fine[0] / coarse[0]))
        if all(abs(a - factor * b) < factor for a, b in zip(fine, coarse, strict=True)):
            return float(factor) if is_binned else 1.0 / factor
    return None


def placed_beside(volume: Volume, path: Path, grid: Grid | None) -> Volume:
    """A volume beside a mask of a grid, such as its tomogram, at the place that both have in the world.

    Where one of the two lies at zero and their voxels are the same, a program has dropped its place: that of
    the mask is taken, and told. A binned copy with the same origin is laid corner to corner, and told. Raises
    InputError, naming the file, where both have as many voxels of different sizes, where nothing tells how
    they lie to each other, and where they lie apart.
    """
    if grid is None:
        return volume
    own = grid_of(volume)
    if lost_its_place(own, grid):
        log.warning("%s: %s, but its mask has another place; their voxels are taken as the same", path, own)
        return replace(volume, origin_nm=grid.origin_nm)
    if kept_its_corner(own, grid):
        log.warning("%s: %s, as the mask beside it binned; laid on it corner to corner", path, own)
        x, y, z = np.add(grid.origin_nm, (own.voxel_size_nm - grid.voxel_size_nm) / 2)
        return replace(volume, origin_nm=(float(x), float(y), float(z)))
    told = f"{path}: has {own}, the mask beside it {grid}"
    if own.shape == grid.shape and not _same_edge(own, grid):
        raise InputError(f"{told}: one header is wrong; give the true edge with --voxel-size")
    if not (any(own.origin_nm) or places_are_known(own, grid)):
        raise InputError(
            f"{told}, and no header says where the smaller one lies; crop with the origin kept, or pad it"
        )
    if not _overlap(own, grid):
        raise InputError(f"{told}: they lie apart; check their origins, voxel sizes and units")
    return volume


def _overlap(a: Grid, b: Grid) -> bool:
    """Whether the boxes of two grids have a part in common."""
    ends = [np.add(g.origin_nm, np.multiply(g.shape[::-1], g.voxel_size_nm)) for g in (a, b)]
    return bool((np.maximum(a.origin_nm, b.origin_nm) < np.minimum(*ends)).all())


def _same_edge(a: Grid, b: Grid) -> bool:
    return abs(a.voxel_size_nm - b.voxel_size_nm) <= SAME_VOXEL_SIZE * a.voxel_size_nm


def _same_place(a: Grid, b: Grid) -> bool:
    apart = np.abs(np.subtract(a.origin_nm, b.origin_nm)).max()
    return bool(apart <= SAME_PLACE * max(a.voxel_size_nm, b.voxel_size_nm))
