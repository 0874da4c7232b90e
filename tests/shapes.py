"""Analytic membranes with closed forms: distance, normals, curvature, area, rims, masks and meshes.

Every shape stands in general position (rotated, off-centre) unless made with ``seed=None``. Lengths are nm;
points are (n, 3) x, y, z; masks are [z, y, x]. H > 0 where the surface bends outward along its normal.

    shape = shapes.open_sphere(radius_nm=25.0)
    mask, origin_nm = shape.voxelise(voxel_size_nm=1.0, thickness_nm=4.0)
    error_nm = shape.signed_distance(points)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from shape_patches import (
    Arc,
    Catenary,
    Ellipsoid,
    Feet,
    Floats,
    Ints,
    Line,
    Mask,
    Patch,
    Revolution,
    Several,
    Sheet,
)


@dataclass(frozen=True)
class Shape:
    """A patch placed in the world, with what a test may ask of it."""

    name: str
    patch: Patch
    rotation: Floats
    centre_nm: Floats
    boundary_loops: int
    euler_characteristic: int
    components: int = 1

    @property
    def is_closed(self) -> bool:
        """Whether the surface has no rim."""
        return self.boundary_loops == 0

    @property
    def area_nm2(self) -> float:
        """Area of the mid-surface in nm²."""
        return self.patch.area_nm2

    def feet(self, points: Floats) -> Feet:
        """Closest points of the mid-surface, with normals and curvatures there."""
        foot = self.patch.feet(self._local(points))
        world = self._world(foot.points)
        normals = foot.normals @ self.rotation.T
        return Feet(world, normals, foot.mean_curvature, foot.gaussian_curvature, foot.on_rim)

    def signed_distance(self, points: Floats) -> Floats:
        """Distance (n,) to the mid-surface patch in nm, positive on the side its normals point to."""
        foot = self.feet(points)
        offset = np.asarray(points) - foot.points
        side = np.where(np.einsum("ij,ij->i", offset, foot.normals) < 0, -1.0, 1.0)
        return side * np.linalg.norm(offset, axis=1)

    def normals(self, points: Floats) -> Floats:
        """Outward unit normals (n, 3) at the closest points."""
        return self.feet(points).normals

    def mean_curvature(self, points: Floats) -> Floats:
        """H (n,) per nm at the closest points."""
        return self.feet(points).mean_curvature

    def gaussian_curvature(self, points: Floats) -> Floats:
        """K (n,) per nm² at the closest points."""
        return self.feet(points).gaussian_curvature

    def rim_distance(self, points: Floats) -> Floats:
        """Euclidean distance (n,) to the open rim in nm; infinite where the surface is closed."""
        if self.is_closed:
            return np.full(len(points), np.inf)
        return cKDTree(np.concatenate(self.patch.rims)).query(self._local(points))[0]

    def sample(
        self, count: int | None = None, spacing_nm: float | None = None, seed: int = 0
    ) -> tuple[Floats, Floats]:
        """Points and outward normals: ``count`` of them at random, or a lattice of ``spacing_nm``."""
        if spacing_nm is not None:
            points, _ = self.mesh(spacing_nm)
            return points, self.normals(points)
        assert count is not None
        foot = self.feet(self._random_points(count, np.random.default_rng(seed)))
        return foot.points, foot.normals

    def mesh(self, edge_nm: float) -> tuple[Floats, Ints]:
        """Vertices exactly on the surface about ``edge_nm`` apart, and triangles wound outward."""
        local, faces = self.patch.grid(edge_nm)
        vertices = self._world(local)
        corner = vertices[faces]
        cross = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        against = np.einsum("ij,ij->i", cross, self.normals(corner.mean(axis=1))) < 0
        faces[against] = faces[against][:, ::-1]
        return vertices, faces

    def voxelise(
        self,
        voxel_size_nm: float,
        thickness_nm: float,
        margin_nm: float | None = None,
        origin_nm: tuple[float, float, float] | None = None,
        rounded_rim: bool = False,
        slanted_rim: bool = False,
    ) -> tuple[Mask, tuple[float, float, float]]:
        """Mask [z, y, x] of the voxels whose centre is within half the thickness, and the origin (x, y, z).

        An open membrane ends at right angles at its rim, or in a half-round with ``rounded_rim``; with
        ``slanted_rim`` a surface of revolution ends along the planes of its rims, as if cut by a volume.
        """
        whole = replace(self, patch=self.patch.widened(2 * thickness_nm)) if slanted_rim else self
        margin = (3 * voxel_size_nm if margin_nm is None else margin_nm) + thickness_nm / 2
        corners, _ = whole.mesh(max(self.area_nm2**0.5 / 40, voxel_size_nm))
        low = corners.min(axis=0) - margin if origin_nm is None else np.asarray(origin_nm, dtype=float)
        nx, ny, nz = np.ceil((corners.max(axis=0) + margin - low) / voxel_size_nm).astype(int) + 1
        mask = np.zeros((nz, ny, nx), dtype=bool)
        coarse = cKDTree(corners)
        reach = thickness_nm / 2 + max(self.area_nm2**0.5 / 40, voxel_size_nm)
        yx = np.stack(np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij"), axis=-1).reshape(-1, 2)
        for z in range(nz):
            points = low + voxel_size_nm * np.column_stack([yx[:, 1], yx[:, 0], np.full(len(yx), z)])
            near = np.isfinite(coarse.query(points, distance_upper_bound=reach)[0])
            foot = whole.feet(points[near])
            inside = np.linalg.norm(points[near] - foot.points, axis=1) <= thickness_nm / 2
            kept = self.patch.between_rims(self._local(points[near])) if slanted_rim else ~foot.on_rim
            mask[z].reshape(-1)[near] = inside & (rounded_rim | kept)
        return mask, (float(low[0]), float(low[1]), float(low[2]))

    def _local(self, points: Floats) -> Floats:
        return (np.asarray(points, dtype=float) - self.centre_nm) @ self.rotation

    def _world(self, local: Floats) -> Floats:
        return local @ self.rotation.T + self.centre_nm

    def _random_points(self, count: int, random: np.random.Generator) -> Floats:
        vertices, faces = self.mesh((self.area_nm2 / 20000) ** 0.5)
        corner = vertices[faces]
        area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
        chosen = random.choice(len(faces), size=count, p=area / area.sum())
        u, v = random.random((2, count, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        a, b, c = corner[chosen].transpose(1, 0, 2)
        return a + u * (b - a) + v * (c - a)


def sphere(radius_nm: float = 25.0, seed: int | None = 1) -> Shape:
    """A closed sphere."""
    half = np.pi / 2
    return _placed("sphere", Revolution((Arc((0, 0), radius_nm, -half, half),), (False, False)), 0, 2, seed)


def open_sphere(radius_nm: float = 25.0, cap_deg: float = 40.0, caps: int = 2, seed: int | None = 2) -> Shape:
    """A sphere without one or both polar caps; ``cap_deg`` is a cap's half angle seen from the centre."""
    top = np.pi / 2 - np.deg2rad(cap_deg)
    bottom = -top if caps == 2 else -np.pi / 2
    patch = Revolution((Arc((0, 0), radius_nm, bottom, top),), (caps == 2, True))
    return _placed("open sphere", patch, caps, 2 - caps, seed)


def torus(ring_radius_nm: float = 25.0, tube_radius_nm: float = 11.0, seed: int | None = 3) -> Shape:
    """A torus: the radius of the ring's centre line, and of the tube."""
    arc = Arc((ring_radius_nm, 0), tube_radius_nm, -np.pi, np.pi)
    return _placed("torus", Revolution((arc,), (False, False), is_ring=True), 0, 0, seed)


def open_cylinder(radius_nm: float = 15.0, length_nm: float = 45.0, seed: int | None = 4) -> Shape:
    """A cylinder without its end caps."""
    line = Line((radius_nm, -length_nm / 2), (radius_nm, length_nm / 2))
    return _placed("open cylinder", Revolution((line,), (True, True)), 2, 0, seed)


def catenoid(waist_nm: float = 15.0, height_nm: float = 36.0, seed: int | None = 5) -> Shape:
    """A catenoid of the given waist radius: H = 0 everywhere, two rims."""
    return _placed("catenoid", Revolution((Catenary(waist_nm, height_nm / 2),), (True, True)), 2, 0, seed)


def wavy_sheet(
    width_nm: float = 60.0, amplitude_nm: float = 3.0, wave_nm: float = 40.0, seed: int | None = 6
) -> Shape:
    """An open square sheet with waves along both sides."""
    return _placed("wavy sheet", Sheet(width_nm, width_nm, amplitude_nm, wave_nm), 1, 1, seed)


def flat_sheet(width_nm: float = 50.0, depth_nm: float = 40.0, seed: int | None = 7) -> Shape:
    """An open flat rectangle."""
    return _placed("flat sheet", Sheet(width_nm, depth_nm), 1, 1, seed)


def ellipsoid(axes_nm: tuple[float, float, float] = (30.0, 22.0, 16.0), seed: int | None = 8) -> Shape:
    """A closed ellipsoid with three unequal half axes."""
    return _placed("ellipsoid", Ellipsoid(axes_nm), 0, 2, seed)


def invaginated_vesicle(
    radius_nm: float = 28.0,
    bud_radius_nm: float = 9.0,
    neck_radius_nm: float = 3.5,
    lip_radius_nm: float = 6.0,
    seed: int | None = 9,
) -> Shape:
    """A closed vesicle with a bud pushed into it through a neck; the lip is the rounded edge of the neck.

    Three arcs that touch: the outer sphere, the lip (nearest the axis at the neck), the bud. Between the
    mid-surfaces across the neck lie 2 × ``neck_radius_nm``.
    """
    lip_rho = neck_radius_nm + lip_radius_nm
    lip_z = np.sqrt((radius_nm - lip_radius_nm) ** 2 - lip_rho**2)
    bud_z = lip_z - np.sqrt((lip_radius_nm + bud_radius_nm) ** 2 - lip_rho**2)
    onto_lip = np.arctan2(lip_z, lip_rho)
    onto_bud = np.arctan2(lip_z - bud_z, lip_rho)
    arcs = (
        Arc((0, 0), radius_nm, -np.pi / 2, onto_lip),
        Arc((lip_rho, lip_z), lip_radius_nm, onto_lip, np.pi + onto_bud),
        Arc((0, bud_z), bud_radius_nm, onto_bud, -np.pi / 2, side=-1),
    )
    return _placed("invaginated vesicle", Revolution(arcs, (False, False)), 0, 2, seed)


def apposed_sheets(separation_nm: float = 7.0, width_nm: float = 40.0, seed: int | None = 10) -> Shape:
    """Two parallel flat sheets, mid-surfaces ``separation_nm`` apart (gap = separation − thickness)."""
    part = Sheet(width_nm, width_nm)
    shift = np.array([0, 0, separation_nm / 2])
    patch = Several((part, part), (np.eye(3), np.eye(3)), (-shift, shift))
    return _placed("apposed sheets", patch, 2, 2, seed, components=2)


def apposed_spheres(
    radius_nm: float = 22.0, separation_nm: float = 7.0, cap_deg: float = 50.0, seed: int | None = 11
) -> Shape:
    """Two concentric spheres without their polar caps: two curved open sheets ``separation_nm`` apart."""
    radii = (radius_nm - separation_nm / 2, radius_nm + separation_nm / 2)
    parts = tuple(open_sphere(radius, cap_deg).patch for radius in radii)
    patch = Several(parts, (np.eye(3),) * 2, (np.zeros(3),) * 2)
    return _placed("apposed spheres", patch, 4, 0, seed, components=2)


def branching_sheets(width_nm: float = 36.0, reach_nm: float = 22.0, seed: int | None = 12) -> Shape:
    """Three flat half-sheets that meet along a line at 120°; its mesh is three unjoined sheets."""
    turns = [Rotation.from_euler("y", angle, degrees=True).as_matrix() for angle in (0, 120, 240)]
    shifts = tuple(turn @ np.array([reach_nm / 2, 0, 0]) for turn in turns)
    patch = Several((Sheet(reach_nm, width_nm),) * 3, tuple(turns), shifts)
    return _placed("branching sheets", patch, 1, 1, seed)


def with_noise(mask: Mask, seed: int = 0, fraction: float = 0.2) -> Mask:
    """The mask with this fraction of its surface voxels dropped, and of the voxels just outside added."""
    random = np.random.default_rng(seed)
    chosen = random.random(mask.shape) < fraction
    inner, outer = mask & ~binary_erosion(mask), binary_dilation(mask) & ~mask
    return (mask & ~(inner & chosen)) | (outer & chosen)


def with_holes(mask: Mask, seed: int = 0, count: int = 5, radius_voxels: float = 4.0) -> Mask:
    """The mask with ``count`` balls cut out of it, centred on voxels of the mask."""
    occupied = np.argwhere(mask)
    centres = occupied[np.random.default_rng(seed).choice(len(occupied), count, replace=False)]
    inside = cKDTree(centres).query(occupied, distance_upper_bound=radius_voxels)[0] < radius_voxels
    holed = mask.copy()
    holed[tuple(occupied[inside].T)] = False
    return holed


def _placed(name: str, patch: Patch, loops: int, euler: int, seed: int | None, components: int = 1) -> Shape:
    if seed is None:
        return Shape(name, patch, np.eye(3), np.zeros(3), loops, euler, components)
    random = np.random.default_rng(seed)
    turn = Rotation.random(rng=random).as_matrix()
    return Shape(name, patch, turn, random.uniform(-40, 90, 3), loops, euler, components)
