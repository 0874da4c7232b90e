"""Analytic membranes: exact signed distances to their mid-surfaces, exact areas, and their voxels on a grid.

Every surface is closed; distances are in nm, negative inside, positive outside. The second half of each
surface's job, `samples`, is a quadrature of its area, so that truth never comes from voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Protocol

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator

from tomocore.volumes.volume import index_to_world, world_to_index

Floats = NDArray[np.float64]
Box = tuple[slice, slice, slice]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(
            f"the first of two bounds must not be above the second, but {bounds[0]} > {bounds[1]}"
        )
    return bounds


class _Rising(AfterValidator):
    """The rule in the words of the settings template."""

    def __repr__(self) -> str:
        return "first ≤ second"


Range = Annotated[tuple[float, float], _Rising(_rising)]
"""Least and greatest value of something that is drawn."""

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
BLOCK = 6
"""Edge in voxels of the blocks that are left out where the surface is out of reach."""
SAMPLES_AT_ONCE = 200_000
CLOSEST_POINT_STEPS = 16
CLOSEST_POINT_TOLERANCE_NM = 0.05


class Surface(Protocol):
    """A closed membrane mid-surface in nm."""

    def distance_nm(self, points: Floats) -> Floats:
        """Signed distances (n,) of points (n, 3) x, y, z: negative inside, positive outside."""

    def samples(self, spacing_nm: float) -> tuple[Floats, Floats]:
        """Points (n, 3) on the surface about ``spacing_nm`` apart, and the area in nm² each stands for."""

    def bounds_nm(self) -> tuple[Floats, Floats]:
        """Lowest and highest x, y, z that the surface reaches."""

    def moved(self, shift_nm: Floats) -> Surface:
        """The same surface elsewhere."""


@dataclass(frozen=True)
class Vesicle:
    """A sphere whose radius is r(u) = radius · (1 + Σ height · P_order(u · axis)) along each direction u.

    ``orders`` (k,), ``axes`` (k, 3) unit vectors, ``heights`` (k,): sums of such Legendre lobes are all
    the spherical harmonics of those orders. Without lobes it is a sphere.
    """

    centre: Floats
    radius: float
    orders: NDArray[np.int64]
    axes: Floats
    heights: Floats

    def distance_nm(self, points: Floats) -> Floats:
        """Signed distances (n,), exact to 1e-3 nm while the closest point is unique."""
        points = np.ascontiguousarray(points, dtype=np.float64)
        return _lobed_distances(points, self.centre, self.radius, self.orders, self.axes, self.heights)

    def samples(self, spacing_nm: float) -> tuple[Floats, Floats]:
        """Points along evenly spread directions, and their areas r² √(1 + |∇r|²/r²) dΩ."""
        directions = sphere_directions(4 * np.pi * self.radius**2 / spacing_nm**2)
        radii, slopes = self.radii(directions)
        areas = 4 * np.pi / len(directions) * radii * np.hypot(radii, slopes)
        return self.centre + radii[:, None] * directions, areas

    def radii(self, directions: Floats) -> tuple[Floats, Floats]:
        """Radius and length of its gradient (nm per radian) along unit directions (n, 3)."""
        return _lobed_radii(directions, self.radius, self.orders, self.axes, self.heights)

    def bounds_nm(self) -> tuple[Floats, Floats]:
        """Lowest and highest x, y, z, lobes at their fullest."""
        reach = self.radius * (1.0 + np.abs(self.heights).sum())
        return self.centre - reach, self.centre + reach

    def moved(self, shift_nm: Floats) -> Vesicle:
        """The same vesicle elsewhere."""
        return replace(self, centre=self.centre + shift_nm)


def sphere(centre: Floats, radius: float) -> Vesicle:
    """A vesicle without lobes."""
    return Vesicle(np.asarray(centre, float), radius, np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0))


@dataclass(frozen=True)
class Tube:
    """All points within ``radius`` of a path (m, 3) of straight steps; its ends are half spheres."""

    path: Floats
    radius: float

    def distance_nm(self, points: Floats) -> Floats:
        """Signed distances (n,), exact."""
        steps = np.diff(self.path, axis=0)
        per_length2 = 1.0 / (steps**2).sum(axis=1)
        points = np.ascontiguousarray(points, dtype=np.float64)
        return _path_distances(points, self.path, steps, per_length2) - self.radius

    def samples(self, spacing_nm: float) -> tuple[Floats, Floats]:
        """Rings about the path, less area on the inner side of its bends, and the two half spheres."""
        centres, along, bends, lengths = _resampled(self.path, spacing_nm)
        across = _transported_frames(along, two_across(along[0])[0])
        around = np.arange(max(6, round(2 * np.pi * self.radius / spacing_nm)))
        angles = 2 * np.pi * around / len(around)
        spokes = np.cos(angles)[:, None] * across[:, None, 0] + np.sin(angles)[:, None] * across[:, None, 1]
        widths = 2 * np.pi * self.radius / len(around)
        areas = widths * lengths[:, None] * (1.0 - self.radius * np.einsum("naj,nj->na", spokes, bends))
        rings = (centres[:, None] + self.radius * spokes).reshape(-1, 3)
        caps = [
            _half_sphere(self.path[0], self.path[0] - self.path[1], self.radius, spacing_nm),
            _half_sphere(self.path[-1], self.path[-1] - self.path[-2], self.radius, spacing_nm),
        ]
        points = np.concatenate([rings, *(cap[0] for cap in caps)])
        return points, np.concatenate([areas.ravel(), *(cap[1] for cap in caps)])

    def bounds_nm(self) -> tuple[Floats, Floats]:
        """Lowest and highest x, y, z."""
        return self.path.min(axis=0) - self.radius, self.path.max(axis=0) + self.radius

    def moved(self, shift_nm: Floats) -> Tube:
        """The same tube elsewhere."""
        return replace(self, path=self.path + shift_nm)


@dataclass(frozen=True)
class Cisterna:
    """A flat sac bent along a sphere: all points within ``half_thickness`` of a spherical cap.

    The cap lies at ``cap_radius`` about ``centre``, within ``half_angle`` (radians) of ``axis``. Against a
    concentric sphere its gap is the same all over.
    """

    centre: Floats
    axis: Floats
    cap_radius: float
    half_angle: float
    half_thickness: float

    def distance_nm(self, points: Floats) -> Floats:
        """Signed distances (n,), exact."""
        rho, height = axial_coordinates(points, self.centre, self.axis)
        rim = np.sin(self.half_angle) * self.cap_radius, np.cos(self.half_angle) * self.cap_radius
        over_cap = np.arctan2(rho, height) <= self.half_angle
        to_cap = np.abs(np.hypot(rho, height) - self.cap_radius)
        return np.where(over_cap, to_cap, np.hypot(rho - rim[0], height - rim[1])) - self.half_thickness

    def samples(self, spacing_nm: float) -> tuple[Floats, Floats]:
        """The two faces and the round rim, turned about the axis."""
        origin = np.zeros(2)
        rim = self.cap_radius * np.array([np.sin(self.half_angle), np.cos(self.half_angle)])
        edge = np.pi / 2 - self.half_angle
        faces = [
            arc_points(origin, self.cap_radius + side * self.half_thickness, edge, np.pi / 2, spacing_nm)
            for side in (-1, 1)
        ]
        fold = arc_points(rim, self.half_thickness, edge - np.pi, edge, spacing_nm)
        return revolved([*faces, fold], self.centre, self.axis, spacing_nm)

    def bounds_nm(self) -> tuple[Floats, Floats]:
        """Lowest and highest x, y, z of the ball about the cap."""
        middle, reach = _ball_of_cap(self.cap_radius, self.half_angle)
        centre = self.centre + middle * self.axis
        return centre - reach - self.half_thickness, centre + reach + self.half_thickness

    def moved(self, shift_nm: Floats) -> Cisterna:
        """The same sac elsewhere."""
        return replace(self, centre=self.centre + shift_nm)


@dataclass(frozen=True)
class Grid:
    """Where voxels lie: shape z, y, x, their edge in nm, and the world position of voxel (0, 0, 0)."""

    shape: tuple[int, int, int]
    voxel_size_nm: float
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def box(self, low_nm: Floats, high_nm: Floats) -> Box:
        """Slices of the voxels between two corners x, y, z, cut at the grid's edge; may be empty."""
        low, high = world_to_index(np.stack([low_nm, high_nm]), self.voxel_size_nm, self.origin_nm)
        start = np.clip(np.floor(low).astype(int), 0, self.shape)
        stop = np.clip(np.ceil(high).astype(int) + 1, start, self.shape)
        return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))  # type: ignore[return-value]

    def world(self, indices_zyx: ArrayLike) -> Floats:
        """World points (n, 3) x, y, z of voxel indices (n, 3) z, y, x."""
        return index_to_world(indices_zyx, self.voxel_size_nm, self.origin_nm)

    def corners_nm(self) -> tuple[Floats, Floats]:
        """World positions x, y, z of the first and the last voxel's centre."""
        return np.asarray(self.origin_nm, float), self.world(np.array([self.shape]) - 1)[0]

    def padded(self, voxels: int) -> Grid:
        """The grid with a margin of voxels on every side."""
        z, y, x = (n + 2 * voxels for n in self.shape)
        ox, oy, oz = (o - voxels * self.voxel_size_nm for o in self.origin_nm)
        return replace(self, shape=(z, y, x), origin_nm=(ox, oy, oz))


def near_voxels(surfaces: tuple[Surface, ...], grid: Grid, box: Box, reach_nm: float) -> NDArray[np.int64]:
    """Indices (n, 3) z, y, x of the voxels in the blocks of a box that all the surfaces come near to.

    No voxel within ``reach_nm`` of all of them is missing, because distances change by at most one nm a nm.
    """
    starts, centres = _blocks(grid, box)
    half_diagonal = 0.5 * np.sqrt(3.0) * (BLOCK - 1) * grid.voxel_size_nm
    near = np.ones(len(starts), dtype=bool)
    for surface in surfaces:
        near[near] = np.abs(surface.distance_nm(centres[near])) <= reach_nm + half_diagonal
    inner = np.stack(np.meshgrid(*[np.arange(BLOCK)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    voxels = (starts[near][:, None] + inner).reshape(-1, 3)
    return voxels[(voxels < [axis.stop for axis in box]).all(axis=1)]


def distances_in_box(surface: Surface, grid: Grid, box: Box, reach_nm: float) -> NDArray[np.float32]:
    """Signed distances at the voxels of a box: exact up to ``reach_nm``, elsewhere at least that."""
    shape = tuple(axis.stop - axis.start for axis in box)
    _, centres = _blocks(grid, box)
    coarse = surface.distance_nm(centres).astype(np.float32)
    blocks = tuple(-(-n // BLOCK) for n in shape)
    distances = np.sign(coarse).reshape(blocks) * np.float32(reach_nm)
    for axis in range(3):
        distances = np.repeat(distances, BLOCK, axis=axis)
    distances = np.ascontiguousarray(distances[: shape[0], : shape[1], : shape[2]])
    voxels = near_voxels((surface,), grid, box, reach_nm)
    corner = np.array([axis.start for axis in box])
    for first in range(0, len(voxels), SAMPLES_AT_ONCE):
        part = voxels[first : first + SAMPLES_AT_ONCE]
        distances[tuple((part - corner).T)] = surface.distance_nm(grid.world(part))
    return distances


def outward(surface: Surface, points: Floats, step_nm: float = 0.01) -> Floats:
    """Unit directions (n, 3) in which the signed distance grows; on the surface, its outward normals."""
    steps = np.eye(3) * step_nm
    slopes = [surface.distance_nm(points + step) - surface.distance_nm(points - step) for step in steps]
    gradient = np.stack(slopes, axis=1)
    lengths = np.linalg.norm(gradient, axis=1, keepdims=True)
    return np.divide(gradient, lengths, out=np.zeros_like(gradient), where=lengths > 0)


def sphere_directions(count: float) -> Floats:
    """About ``count`` unit vectors spread evenly over the sphere (a Fibonacci spiral)."""
    n = max(16, round(count))
    height = 1.0 - (2.0 * np.arange(n) + 1.0) / n
    turn = GOLDEN_ANGLE * np.arange(n)
    rho = np.sqrt(1.0 - height**2)
    return np.column_stack([rho * np.cos(turn), rho * np.sin(turn), height])


def axial_coordinates(points: Floats, centre: Floats, axis: Floats) -> tuple[Floats, Floats]:
    """Distance from an axis through ``centre``, and height along it, of points (n, 3)."""
    offset = points - centre
    height = offset @ axis
    return np.linalg.norm(offset - height[:, None] * axis, axis=1), height


def two_across(axis: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors at right angles to a unit vector and to each other."""
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)


def arc_points(
    centre: Floats, radius: float, start: float, stop: float, spacing_nm: float
) -> tuple[Floats, Floats, Floats]:
    """Midpoints rho and height (n,) of equal steps along an arc between two angles, and their lengths in nm.

    ``centre`` (2,) is rho and height of the arc's centre in nm, in a half-plane through an axis; ``radius``
    is its radius in nm, and it runs from angle ``start`` to ``stop`` in radians, 0 pointing away from the
    axis and π/2 up it, either way round. Steps are at most ``spacing_nm`` long, two at least.
    """
    steps = max(2, int(np.ceil(abs(stop - start) * radius / spacing_nm)))
    angles = start + (np.arange(steps) + 0.5) / steps * (stop - start)
    length = np.full(steps, abs(stop - start) * radius / steps)
    return centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles), length


def revolved(
    pieces: list[tuple[Floats, Floats, Floats]], centre: Floats, axis: Floats, spacing_nm: float
) -> tuple[Floats, Floats]:
    """Points and areas of profile pieces (rho, height, length) turned about an axis (Pappus: 2π rho ds)."""
    rho, height, length = (np.concatenate(part) for part in zip(*pieces, strict=True))
    counts = np.maximum(6, np.ceil(2 * np.pi * rho / spacing_nm)).astype(int)
    ring = np.repeat(np.arange(len(rho)), counts)
    within = np.arange(len(ring)) - np.repeat(np.cumsum(counts) - counts, counts)
    angle = 2 * np.pi * (within / counts[ring] + ring * 0.618)
    first, second = two_across(axis)
    spokes = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    points = centre + rho[ring, None] * spokes + height[ring, None] * axis
    return points, (2 * np.pi * rho * length / counts)[ring]


def _ball_of_cap(radius: float, half_angle: float) -> tuple[float, float]:
    """Height along the axis and radius of the smallest ball about a spherical cap."""
    if half_angle >= np.pi / 2:
        return 0.0, radius
    return radius * float(np.cos(half_angle)), radius * float(np.sin(half_angle))


def _half_sphere(centre: Floats, towards: Floats, radius: float, spacing_nm: float) -> tuple[Floats, Floats]:
    axis = towards / np.linalg.norm(towards)
    arc = arc_points(np.zeros(2), radius, 0.0, np.pi / 2, spacing_nm)
    return revolved([arc], centre, axis, spacing_nm)


def _resampled(path: Floats, spacing_nm: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Centres, unit tangents, curvature vectors (1/nm) and lengths of even steps along a path."""
    marks = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    steps = max(2, int(np.ceil(marks[-1] / spacing_nm)))
    ends = np.linspace(0.0, marks[-1], steps + 1)
    at = 0.5 * (ends[1:] + ends[:-1])
    knots = 0.5 * (marks[1:] + marks[:-1])
    along = np.diff(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    centres = np.column_stack([np.interp(at, marks, path[:, k]) for k in range(3)])
    tangents = np.column_stack([np.interp(at, knots, along[:, k]) for k in range(3)])
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    bends = np.gradient(tangents, at, axis=0)
    return centres, tangents, bends, np.diff(ends)


def _blocks(grid: Grid, box: Box) -> tuple[NDArray[np.int64], Floats]:
    """First voxels (n, 3) z, y, x of the blocks that tile a box, and their centres in the world."""
    firsts = [np.arange(axis.start, axis.stop, BLOCK) for axis in box]
    starts = np.stack(np.meshgrid(*firsts, indexing="ij"), axis=-1).reshape(-1, 3)
    return starts, grid.world(starts + 0.5 * (BLOCK - 1))


@njit(cache=True, nogil=True)
def _transported_frames(tangents, first):  # type: ignore[no-untyped-def]
    """Frames (n, 2, 3) across the tangents that do not twist from one to the next."""
    frames = np.empty((len(tangents), 2, 3))
    x, y, z = first
    for k in range(len(tangents)):
        t0, t1, t2 = tangents[k]
        along = x * t0 + y * t1 + z * t2
        x, y, z = x - along * t0, y - along * t1, z - along * t2
        length = np.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
        frames[k, 0, 0], frames[k, 0, 1], frames[k, 0, 2] = x, y, z
        frames[k, 1, 0] = t1 * z - t2 * y
        frames[k, 1, 1] = t2 * x - t0 * z
        frames[k, 1, 2] = t0 * y - t1 * x
    return frames


@njit(cache=True, nogil=True)
def _lobed_radius(ux, uy, uz, radius, orders, axes, heights):  # type: ignore[no-untyped-def]
    """Radius along a unit direction, and its gradient over the unit sphere."""
    r, gx, gy, gz = radius, 0.0, 0.0, 0.0
    for k in range(len(orders)):
        ax, ay, az = axes[k, 0], axes[k, 1], axes[k, 2]
        t = ux * ax + uy * ay + uz * az
        low, value, low_slope, slope = 1.0, t, 0.0, 1.0
        for n in range(1, orders[k]):
            low, value = value, ((2 * n + 1) * t * value - n * low) / (n + 1)
            low_slope, slope = slope, low_slope + (2 * n + 1) * low
        r += radius * heights[k] * value
        weight = radius * heights[k] * slope
        gx += weight * (ax - t * ux)
        gy += weight * (ay - t * uy)
        gz += weight * (az - t * uz)
    return r, gx, gy, gz


@njit(cache=True, nogil=True)
def _lobed_radii(directions, radius, orders, axes, heights):  # type: ignore[no-untyped-def]
    radii, slopes = np.empty(len(directions)), np.empty(len(directions))
    for i in range(len(directions)):
        u = directions[i]
        r, gx, gy, gz = _lobed_radius(u[0], u[1], u[2], radius, orders, axes, heights)
        radii[i], slopes[i] = r, np.sqrt(gx * gx + gy * gy + gz * gz)
    return radii, slopes


@njit(cache=True, nogil=True)
def _lobed_distances(points, centre, radius, orders, axes, heights):  # type: ignore[no-untyped-def]
    """Slide a foot point over the surface until the way to it is along the normal there.

    A tangential step is shortened as the curvature of a sphere of this radius would have it, so that
    lobes of a tenth of the radius leave only a few steps to do.
    """
    out = np.empty(len(points))
    for i in range(len(points)):
        px, py, pz = points[i, 0] - centre[0], points[i, 1] - centre[1], points[i, 2] - centre[2]
        rho = np.sqrt(px * px + py * py + pz * pz)
        ux, uy, uz = (px / rho, py / rho, pz / rho) if rho > 1e-9 else (0.0, 0.0, 1.0)
        r, gx, gy, gz = _lobed_radius(ux, uy, uz, radius, orders, axes, heights)
        sign = 1.0 if rho > r else -1.0
        best = abs(rho - r)
        for _ in range(CLOSEST_POINT_STEPS if len(orders) > 0 else 0):
            nx, ny, nz = ux - gx / r, uy - gy / r, uz - gz / r
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            nx, ny, nz = nx / length, ny / length, nz / length
            wx, wy, wz = px - r * ux, py - r * uy, pz - r * uz
            d = wx * nx + wy * ny + wz * nz
            tx, ty, tz = wx - d * nx, wy - d * ny, wz - d * nz
            if tx * tx + ty * ty + tz * tz < CLOSEST_POINT_TOLERANCE_NM**2:
                break
            share = radius / (radius + max(d, -0.5 * radius))
            ux, uy, uz = r * ux + share * tx, r * uy + share * ty, r * uz + share * tz
            length = np.sqrt(ux * ux + uy * uy + uz * uz)
            ux, uy, uz = ux / length, uy / length, uz / length
            r, gx, gy, gz = _lobed_radius(ux, uy, uz, radius, orders, axes, heights)
            wx, wy, wz = px - r * ux, py - r * uy, pz - r * uz
            best = min(best, np.sqrt(wx * wx + wy * wy + wz * wz))
        out[i] = sign * best
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _path_distances(points, path, steps, per_length2):  # type: ignore[no-untyped-def]
    """Distance (n,) from points to the nearest place on a path of straight steps."""
    out = np.empty(len(points))
    for i in range(len(points)):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        best = np.inf
        for k in range(len(steps)):
            ex, ey, ez = steps[k, 0], steps[k, 1], steps[k, 2]
            wx, wy, wz = px - path[k, 0], py - path[k, 1], pz - path[k, 2]
            share = min(max((wx * ex + wy * ey + wz * ez) * per_length2[k], 0.0), 1.0)
            dx, dy, dz = wx - share * ex, wy - share * ey, wz - share * ez
            best = min(best, dx * dx + dy * dy + dz * dz)
        out[i] = np.sqrt(best)
    return out
