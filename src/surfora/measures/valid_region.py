"""The part of a tomogram that is believed: a lamella, the ice, the slab that was reconstructed.

It is a mask, or two planes through points that were set on its faces in IMOD. Vertices have their depth in
it, below 0 outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import edt
import numpy as np
from scipy.ndimage import map_coordinates

from surfora.geometry.arrays import Floats
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2
from surfora.masks.grids import Grid, edge_beside_nm, placed_beside
from surfora.masks.imod_model import model_points
from surfora.measures.statistics import weighted_quantiles
from tomocore.contract import InputError
from tomocore.files import existing
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume

DEPTH = "valid_region_depth_nm"
MOST_VOXELS = 2**25
"""Of larger masks every second, third, … voxel is taken: their faces are smooth."""
FEWEST_POINTS = 3
Triple = tuple[float, float, float]


class ValidRegion(Protocol):
    """A region, and how deep in it points lie."""

    def depth_nm(self, points: Floats) -> Floats:
        """Distance (n,) in nm of points (n, 3) to the nearest face: positive inside, negative outside."""


@dataclass(frozen=True)
class MaskRegion:
    """The region of a mask: depths on a grid with a margin, linear between; the volume's own faces count."""

    depths: Volume

    def depth_nm(self, points: Floats) -> Floats:
        """Distance (n,) in nm of points (n, 3) to the nearest face: positive inside, negative outside."""
        at = self.depths.index(points)
        within = np.clip(at, 0, np.array(self.depths.shape) - 1)
        depth = map_coordinates(self.depths.data, within.T, order=1, output=np.float64)
        return np.asarray(depth - self.depths.voxel_size_nm * np.linalg.norm(at - within, axis=1))


@dataclass(frozen=True)
class SlabRegion:
    """What lies between two planes: a point of each and unit normals (2, 3) that point into the region."""

    points: Floats
    inward: Floats

    def depth_nm(self, points: Floats) -> Floats:
        """Distance (n,) in nm of points (n, 3) to the nearest face: positive inside, negative outside."""
        to_each = [(points - place) @ way for place, way in zip(self.points, self.inward, strict=True)]
        return np.asarray(np.min(to_each, axis=0))


@dataclass(frozen=True)
class ScaledRegion:
    """A region in a world that is larger by a factor about its origin."""

    region: ValidRegion
    factor: float

    def depth_nm(self, points: Floats) -> Floats:
        """Distance (n,) in nm of points (n, 3) to the nearest face: positive inside, negative outside."""
        return self.factor * self.region.depth_nm(points / self.factor)


def read_valid_region(
    path: Path,
    voxel_size_nm: float,
    origin_nm: Triple,
    resample: bool = False,
    grid: Grid | None = None,
    given_nm: float | None = None,
) -> ValidRegion:
    """The valid region in a mask (any value but 0), or between the faces of an IMOD model (.mod).

    ``voxel_size_nm`` and ``origin_nm`` are those of the tomogram that a model was drawn on. A mask is brought
    to the ``grid`` of what it lies beside, whose edge is ``given_nm`` whatever headers say. Raises InputError
    where the file is neither, the mask is empty or lies elsewhere (`placed_beside`), or the points of a model
    lie on no two faces.
    """
    if path.suffix.lower() in (".mod", ".imod"):
        places = model_points(existing(path)).places * voxel_size_nm + np.asarray(origin_nm)
        return slab_between(places, path)
    edge_nm = edge_beside_nm(path, grid, given_nm) if grid else None
    mask = read_volume(path, edge_nm, lazy=True, resample=resample)
    return mask_region(placed_beside(mask, path, grid), path)


def mask_region(mask: Volume, path: Path) -> MaskRegion:
    """The region of a mask. Raises InputError, naming the file, where it has no voxel."""
    step = int(np.ceil(max(1.0, np.prod(mask.shape) / MOST_VOXELS) ** (1 / 3)))
    data: Any = mask.data[::step, ::step, ::step]
    inside = np.pad(np.asarray(data) != 0, 1)
    if not inside.any():
        raise InputError(f"{path}: marks no voxel as valid; voxels other than 0 do")
    edge = mask.voxel_size_nm * step
    spacing = (edge, edge, edge)
    depth = np.maximum(edt.edt(inside, anisotropy=spacing) - 0.5 * edge, 0.0)
    depth -= np.maximum(edt.edt(~inside, anisotropy=spacing) - 0.5 * edge, 0.0)
    x, y, z = np.asarray(mask.origin_nm) - edge
    return MaskRegion(Volume(depth.astype(np.float32), edge, (float(x), float(y), float(z))))


def slab_between(points: Floats, path: Path) -> SlabRegion:
    """The slab between two planes, each through the points (n, 3) of one face, z up.

    A plane through all points parts those of the upper face from those of the lower one. Raises InputError,
    naming the file, where they do not lie on two faces.
    """
    above = _height_over(points, points) > 0
    if min(above.sum(), (~above).sum()) < FEWEST_POINTS:
        raise InputError(f"{path}: has {len(points)} points; set three or more on either face of the region")
    planes = [_plane(points[~above]), _plane(points[above])]
    if np.linalg.norm(planes[0][0] - planes[1][0]) < 1e-6:
        raise InputError(f"{path}: its points lie on one plane; set points on either face of the region")
    inward = np.array([planes[0][1], -planes[1][1]])
    return SlabRegion(np.array([planes[0][0], planes[1][0]]), inward)


def _height_over(points: Floats, of: Floats) -> Floats:
    place, normal = _plane(of)
    return np.asarray((points - place) @ normal)


def _plane(points: Floats) -> tuple[Floats, Floats]:
    """Centre of points and the unit normal, z up, of the plane z = a + b x + c y of least squares."""
    centre = points.mean(axis=0)
    slopes = np.linalg.lstsq(points[:, :2] - centre[:2], points[:, 2] - centre[2], rcond=None)[0]
    normal = np.array([-slopes[0], -slopes[1], 1.0])
    return centre, normal / np.linalg.norm(normal)


def with_depths(mesh: SurfaceMesh, region: ValidRegion) -> SurfaceMesh:
    """The mesh with ``valid_region_depth_nm``: how deep in the valid region, below 0 outside of it."""
    return mesh.with_data(**{DEPTH: region.depth_nm(mesh.vertices)})


def depth_summary(mesh: SurfaceMesh) -> dict[str, float]:
    """Columns of surfaces.csv that the valid region gives; none where there is none."""
    columns = depth_columns(mesh, vertex_areas_nm2(mesh.vertices, mesh.faces))
    return columns | ({"valid_region_depth_min_nm": float(mesh.data[DEPTH].min())} if columns else {})


def depth_columns(mesh: SurfaceMesh, areas: Floats) -> dict[str, float]:
    """The share of areas (n,) outside the valid region, and their median depth; none where there is none."""
    if DEPTH not in mesh.data:
        return {}
    depth = mesh.data[DEPTH]
    return {
        "outside_valid_area_share": float(areas[depth < 0].sum() / max(areas.sum(), 1e-300)),
        "valid_region_depth_median_nm": float(weighted_quantiles(depth, areas, [0.5])[0]),
    }
