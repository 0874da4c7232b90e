"""How the grids of two files lie to each other: one grid, placed by their headers, or nobody knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomocore.volumes.volume import Volume

SAME_VOXEL_SIZE = 1e-3  # relative: headers hold edges as 32-bit lengths of the whole volume
SAME_PLACE = 0.1  # voxels


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


def _same_edge(a: Grid, b: Grid) -> bool:
    return abs(a.voxel_size_nm - b.voxel_size_nm) <= SAME_VOXEL_SIZE * a.voxel_size_nm


def _same_place(a: Grid, b: Grid) -> bool:
    apart = np.abs(np.subtract(a.origin_nm, b.origin_nm)).max()
    return bool(apart <= SAME_PLACE * max(a.voxel_size_nm, b.voxel_size_nm))
