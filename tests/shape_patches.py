"""Surface patches in their own frame, with exact closest points: what tests/shapes.py places in the world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import elliprg

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Feet:
    """Closest points (n, 3) of the mid-surface, unit normals (n, 3), H, K (n,), and which are on the rim."""

    points: Floats
    normals: Floats
    mean_curvature: Floats
    gaussian_curvature: Floats
    on_rim: Mask


class Patch(Protocol):
    """A surface in its own frame."""

    area_nm2: float
    rims: tuple[Floats, ...]

    def feet(self, points: Floats) -> Feet: ...

    def grid(self, edge_nm: float) -> tuple[Floats, Ints]: ...


@dataclass(frozen=True)
class Arc:
    """A circular arc of the profile in the half-plane (rho, z); side +1: normals away from its centre."""

    centre: tuple[float, float]
    radius: float
    start: float
    stop: float
    side: int = 1

    @property
    def length(self) -> float:
        return self.radius * abs(self.stop - self.start)

    @property
    def area(self) -> float:
        turn = self.centre[0] * (self.stop - self.start) + self.radius * (
            np.sin(self.stop) - np.sin(self.start)
        )
        return float(2 * np.pi * self.radius * abs(turn))

    def closest(self, rho: Floats, z: Floats) -> Floats:
        middle, half = (self.start + self.stop) / 2, abs(self.stop - self.start) / 2
        turn = np.arctan2(z - self.centre[1], rho - self.centre[0]) - middle
        turn = np.clip((turn + np.pi) % (2 * np.pi) - np.pi, -half, half)
        return (turn * np.sign(self.stop - self.start) + half) * self.radius

    def at(self, s: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        angle = self.start + np.sign(self.stop - self.start) * s / self.radius
        c, d = np.cos(angle), np.sin(angle)
        rho, z = self.centre[0] + self.radius * c, self.centre[1] + self.radius * d
        return rho, z, self.side * c, self.side * d, np.full_like(rho, self.side / self.radius)

    def widened(self, by_nm: float, end: int) -> Arc:
        more = np.sign(self.stop - self.start) * by_nm / self.radius
        return replace(self, start=self.start - more) if end == 0 else replace(self, stop=self.stop + more)


@dataclass(frozen=True)
class Line:
    """A straight piece of the profile; its normal is to the right of its direction."""

    start: tuple[float, float]
    stop: tuple[float, float]

    @property
    def length(self) -> float:
        return float(np.hypot(self.stop[0] - self.start[0], self.stop[1] - self.start[1]))

    @property
    def area(self) -> float:
        return float(np.pi * (self.start[0] + self.stop[0]) * self.length)

    def _direction(self) -> Floats:
        return (np.asarray(self.stop) - self.start) / self.length

    def closest(self, rho: Floats, z: Floats) -> Floats:
        along = self._direction()
        return np.clip((rho - self.start[0]) * along[0] + (z - self.start[1]) * along[1], 0, self.length)

    def at(self, s: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        along = self._direction()
        rho, z = self.start[0] + s * along[0], self.start[1] + s * along[1]
        one = np.ones_like(rho)
        return rho, z, along[1] * one, -along[0] * one, 0.0 * one

    def widened(self, by_nm: float, end: int) -> Line:
        shift = by_nm * self._direction()
        if end == 0:
            return replace(self, start=tuple(np.asarray(self.start) - shift))
        return replace(self, stop=tuple(np.asarray(self.stop) + shift))


@dataclass(frozen=True)
class Catenary:
    """rho = waist cosh(z / waist) for |z| ≤ half height; normals away from the axis."""

    waist: float
    half_height: float

    @property
    def length(self) -> float:
        return float(2 * self.waist * np.sinh(self.half_height / self.waist))

    @property
    def area(self) -> float:
        c, h = self.waist, self.half_height
        return float(np.pi * c * (2 * h + c * np.sinh(2 * h / c)))

    def closest(self, rho: Floats, z: Floats) -> Floats:
        c, h = self.waist, self.half_height
        table = np.linspace(-h, h, 2001)
        tree = cKDTree(np.column_stack([c * np.cosh(table / c), table]))
        t = table[tree.query(np.column_stack([rho, z]))[1]]
        for _ in range(6):
            cosh, sinh = np.cosh(t / c), np.sinh(t / c)
            slope = (c * cosh - rho) * sinh + (t - z)
            bend = sinh**2 + (c * cosh - rho) * cosh / c + 1
            t = np.clip(t - slope / np.maximum(bend, 0.05), -h, h)
        return c * (np.sinh(t / c) + np.sinh(h / c))

    def at(self, s: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        c = self.waist
        z = c * np.arcsinh(s / c - np.sinh(self.half_height / c))
        cosh = np.cosh(z / c)
        return c * cosh, z, 1 / cosh, -np.tanh(z / c), -1 / (c * cosh**2)

    def widened(self, by_nm: float, end: int) -> Catenary:
        return replace(self, half_height=self.half_height + by_nm)


@dataclass(frozen=True)
class Revolution:
    """A profile of C1 pieces turned about z. ``open_ends``: whether its start and its end are rims."""

    pieces: tuple[Arc | Line | Catenary, ...]
    open_ends: tuple[bool, bool]
    is_ring: bool = False

    @property
    def area_nm2(self) -> float:
        return sum(piece.area for piece in self.pieces)

    @property
    def rims(self) -> tuple[Floats, ...]:
        angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
        ends = [(self.pieces[0], 0.0), (self.pieces[-1], self.pieces[-1].length)]
        rims = []
        for (piece, s), is_open in zip(ends, self.open_ends, strict=True):
            if is_open:
                rho, z = (float(v[0]) for v in piece.at(np.array([s]))[:2])
                rims.append(np.column_stack([rho * np.cos(angle), rho * np.sin(angle), np.full(4000, z)]))
        return tuple(rims)

    def feet(self, points: Floats) -> Feet:
        rho, z = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
        best = np.full(len(points), np.inf)
        at_foot = np.zeros((6, len(points)))
        for i, piece in enumerate(self.pieces):
            s = piece.closest(rho, z)
            values = np.array(piece.at(s))
            distance = np.hypot(values[0] - rho, values[1] - z)
            nearer = distance < best - 1e-12
            best[nearer] = distance[nearer]
            rim = (self.open_ends[0] and i == 0) * (s <= 0) + (
                self.open_ends[1] and i == len(self.pieces) - 1
            ) * (s >= piece.length)
            at_foot[:, nearer] = np.vstack([values, rim])[:, nearer]
        return self._turned(points, rho, at_foot)

    def _turned(self, points: Floats, rho: Floats, at_foot: Floats) -> Feet:
        foot_rho, foot_z, n_rho, n_z, bend, rim = at_foot
        on_axis = rho < 1e-12
        cos = np.where(on_axis, 1.0, points[:, 0] / np.where(on_axis, 1.0, rho))
        sin = np.where(on_axis, 0.0, points[:, 1] / np.where(on_axis, 1.0, rho))
        foot = np.column_stack([foot_rho * cos, foot_rho * sin, foot_z])
        normal = np.column_stack([n_rho * cos, n_rho * sin, n_z])
        small = np.abs(foot_rho) < 1e-9  # at a pole both principal curvatures are the profile's
        around = np.where(small, bend, n_rho / np.where(small, 1.0, foot_rho))
        return Feet(foot, normal, (bend + around) / 2, bend * around, rim > 0)

    def widened(self, by_nm: float) -> Revolution:
        """The same surface carried on beyond its rims."""
        pieces = list(self.pieces)
        for end, is_open in zip((0, -1), self.open_ends, strict=True):
            if is_open:
                pieces[end] = pieces[end].widened(by_nm, end)
        return replace(self, pieces=tuple(pieces))

    def between_rims(self, points: Floats) -> Mask:
        """Which points lie between the planes of the rims."""
        low, high = (
            self.pieces[0].at(np.zeros(1))[1],
            self.pieces[-1].at(np.array([self.pieces[-1].length]))[1],
        )
        return ~((self.open_ends[0] & (points[:, 2] < low)) | (self.open_ends[1] & (points[:, 2] > high)))

    def grid(self, edge_nm: float) -> tuple[Floats, Ints]:
        rho, z = self._stations(edge_nm)
        rings, start = [], [0]
        for i, (r, h) in enumerate(zip(rho, z, strict=True)):
            count = 1 if r < 1e-9 else max(6, round(2 * np.pi * r / edge_nm))
            angle = 2 * np.pi * (np.arange(count) + 0.5 * (i % 2)) / count
            rings.append(np.column_stack([r * np.cos(angle), r * np.sin(angle), np.full(count, h)]))
            start.append(start[-1] + count)
        bands = [(i, i + 1) for i in range(len(rings) - 1)] + ([(len(rings) - 1, 0)] if self.is_ring else [])
        faces = [_zip_rings(start[i], len(rings[i]), i % 2, start[j], len(rings[j]), j % 2) for i, j in bands]
        return np.concatenate(rings), np.concatenate(faces)

    def _stations(self, edge_nm: float) -> tuple[Floats, Floats]:
        rho, z = [], []
        for piece in self.pieces:
            count = max(2, round(piece.length / (edge_nm * 0.866)))
            values = piece.at(np.linspace(0, piece.length, count + 1)[:-1])
            rho.append(values[0])
            z.append(values[1])
        if not self.is_ring:
            last = self.pieces[-1]
            values = last.at(np.array([last.length]))
            rho.append(values[0])
            z.append(values[1])
        rhos = np.concatenate(rho)
        return np.where(rhos < 1e-9, 0.0, rhos), np.concatenate(z)


def _zip_rings(first: int, n: int, odd_n: int, second: int, m: int, odd_m: int) -> Ints:
    """Triangles between two rings of n and m points, advancing on whichever ring lags in angle."""
    faces = []
    i = j = 0
    steps_n, steps_m = (0 if n == 1 else n), (0 if m == 1 else m)
    while i < steps_n or j < steps_m:
        here, there = first + i % n, second + j % m
        lag_n = (i + 1 + 0.5 * odd_n) / n if i < steps_n else np.inf
        lag_m = (j + 1 + 0.5 * odd_m) / m if j < steps_m else np.inf
        if lag_n <= lag_m:
            i += 1
            faces.append((here, first + i % n, there))
        else:
            j += 1
            faces.append((here, second + j % m, there))
    return np.array(faces, dtype=np.int64)


@dataclass(frozen=True)
class Ellipsoid:
    """Half axes a, b, c in nm."""

    axes: tuple[float, float, float]
    rims: tuple[Floats, ...] = ()

    @property
    def area_nm2(self) -> float:
        a, b, c = np.square(self.axes)
        return float(4 * np.pi * elliprg(a * b, a * c, b * c))

    def feet(self, points: Floats) -> Feet:
        a2 = np.square(self.axes)
        foot = a2 * points / (a2 + self._multiplier(np.abs(points))[:, None])
        gradient = foot / a2
        size = np.linalg.norm(gradient, axis=1)
        gauss = 1 / (np.prod(a2) * size**4)
        mean = (a2.sum() - np.sum(foot**2, axis=1)) / (2 * np.prod(a2) * size**3)
        return Feet(foot, gradient / size[:, None], mean, gauss, np.zeros(len(points), dtype=bool))

    def _multiplier(self, points: Floats) -> Floats:
        """t with Σ (aᵢ pᵢ / (t + aᵢ²))² = 1, by bisection: the foot is aᵢ² pᵢ / (t + aᵢ²)."""
        axes = np.asarray(self.axes)
        low = np.max(axes * points - axes**2, axis=1)
        high = np.linalg.norm(axes * points, axis=1) - axes.min() ** 2
        high = np.maximum(high, low)
        for _ in range(60):
            middle = (low + high) / 2
            beyond = np.sum((axes * points / (middle[:, None] + axes**2)) ** 2, axis=1) > 1
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        return (low + high) / 2

    def grid(self, edge_nm: float) -> tuple[Floats, Ints]:
        unit, faces = Revolution((Arc((0, 0), 1.0, -np.pi / 2, np.pi / 2),), (False, False)).grid(
            edge_nm / float(np.mean(self.axes))
        )
        return unit * self.axes, faces


@dataclass(frozen=True)
class Sheet:
    """z = amplitude cos(2πx / wave) cos(2πy / wave + 0.7), |x| ≤ width / 2, |y| ≤ depth / 2; normals up."""

    width: float
    depth: float
    amplitude: float = 0.0
    wave: float = 40.0

    def _height(self, x: Floats, y: Floats) -> Floats:
        """Rows h, hx, hy, hxx, hxy, hyy."""
        k = 2 * np.pi / self.wave
        cx, sx, cy, sy = np.cos(k * x), np.sin(k * x), np.cos(k * y + 0.7), np.sin(k * y + 0.7)
        rows = [cx * cy, -k * sx * cy, -k * cx * sy, -k * k * cx * cy, k * k * sx * sy, -k * k * cx * cy]
        return self.amplitude * np.array(rows)

    @property
    def area_nm2(self) -> float:
        node, weight = np.polynomial.legendre.leggauss(120)
        x, y = np.meshgrid(node * self.width / 2, node * self.depth / 2, indexing="ij")
        _, hx, hy, *_ = self._height(x, y)
        return float(
            np.sum(np.outer(weight, weight) * np.sqrt(1 + hx**2 + hy**2)) * self.width * self.depth / 4
        )

    @property
    def rims(self) -> tuple[Floats, ...]:
        t = np.linspace(-0.5, 0.5, 4000)
        sides = [(t * self.width, 0 * t + s * self.depth / 2) for s in (-1, 1)]
        sides += [(0 * t + s * self.width / 2, t * self.depth) for s in (-1, 1)]
        x, y = np.concatenate([np.array(side) for side in sides], axis=1)
        return (np.column_stack([x, y, self._height(x, y)[0]]),)

    def feet(self, points: Floats) -> Feet:
        x, y = self._closest(points)
        h, hx, hy, hxx, hxy, hyy = self._height(x, y)
        size = np.sqrt(1 + hx**2 + hy**2)
        normal = np.column_stack([-hx, -hy, np.ones_like(h)]) / size[:, None]
        mean = -((1 + hy**2) * hxx - 2 * hx * hy * hxy + (1 + hx**2) * hyy) / (2 * size**3)
        rim = (np.abs(x) >= self.width / 2) | (np.abs(y) >= self.depth / 2)
        return Feet(np.column_stack([x, y, h]), normal, mean, (hxx * hyy - hxy**2) / size**4, rim)

    def _closest(self, points: Floats) -> tuple[Floats, Floats]:
        limit_x, limit_y = self.width / 2, self.depth / 2
        if self.amplitude == 0:
            return np.clip(points[:, 0], -limit_x, limit_x), np.clip(points[:, 1], -limit_y, limit_y)
        vertices, _ = self.grid(0.5)
        x, y, _ = vertices[cKDTree(vertices).query(points)[1]].T
        for _ in range(12):
            h, hx, hy, hxx, hxy, hyy = self._height(x, y)
            rise = h - points[:, 2]
            gx, gy = x - points[:, 0] + rise * hx, y - points[:, 1] + rise * hy
            axx, ayy, axy = 1 + hx**2 + rise * hxx, 1 + hy**2 + rise * hyy, hx * hy + rise * hxy
            # On a side of the patch only the coordinate along it is free.
            held_x = (np.abs(x) >= limit_x) & (gx * x < 0)
            held_y = (np.abs(y) >= limit_y) & (gy * y < 0)
            axy = np.where(held_x | held_y, 0.0, axy)
            gx, gy = np.where(held_x, 0.0, gx), np.where(held_y, 0.0, gy)
            det = np.maximum(axx * ayy - axy**2, 0.05)
            x = np.clip(x - (ayy * gx - axy * gy) / det, -limit_x, limit_x)
            y = np.clip(y - (axx * gy - axy * gx) / det, -limit_y, limit_y)
        return x, y

    def grid(self, edge_nm: float) -> tuple[Floats, Ints]:
        nx, ny = max(2, round(self.width / edge_nm)), max(2, round(self.depth / edge_nm))
        x, y = np.meshgrid(np.linspace(-0.5, 0.5, nx + 1), np.linspace(-0.5, 0.5, ny + 1), indexing="ij")
        x, y = x.ravel() * self.width, y.ravel() * self.depth
        i, j = (v.ravel() for v in np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij"))
        a, b, c, d = (
            i * (ny + 1) + j, (i + 1) * (ny + 1) + j, (i + 1) * (ny + 1) + j + 1, i * (ny + 1) + j + 1,
        )  # fmt: skip
        even = (i + j) % 2 == 0
        one = np.where(even[:, None], np.column_stack([a, b, c]), np.column_stack([a, b, d]))
        two = np.where(even[:, None], np.column_stack([a, c, d]), np.column_stack([b, c, d]))
        return np.column_stack([x, y, self._height(x, y)[0]]), np.concatenate([one, two])


@dataclass(frozen=True)
class Several:
    """Patches side by side, each with its own rotation and shift; the nearest one answers."""

    parts: tuple[Patch, ...]
    rotations: tuple[Floats, ...]
    shifts: tuple[Floats, ...]

    @property
    def area_nm2(self) -> float:
        return sum(part.area_nm2 for part in self.parts)

    @property
    def rims(self) -> tuple[Floats, ...]:
        placed = zip(self.parts, self.rotations, self.shifts, strict=True)
        return tuple(rim @ turn.T + shift for part, turn, shift in placed for rim in part.rims)

    def feet(self, points: Floats) -> Feet:
        best = np.full(len(points), np.inf)
        columns: dict[str, NDArray[Any]] = {}
        for part, turn, shift in zip(self.parts, self.rotations, self.shifts, strict=True):
            foot = part.feet((points - shift) @ turn)
            world = {**vars(foot), "points": foot.points @ turn.T + shift, "normals": foot.normals @ turn.T}
            distance = np.linalg.norm(points - world["points"], axis=1)
            nearer = distance < best
            best = np.where(nearer, distance, best)
            for name, values in world.items():
                columns.setdefault(name, np.zeros_like(values))[nearer] = values[nearer]
        return Feet(**columns)

    def grid(self, edge_nm: float) -> tuple[Floats, Ints]:
        vertices, faces, count = [], [], 0
        for part, turn, shift in zip(self.parts, self.rotations, self.shifts, strict=True):
            local, triangles = part.grid(edge_nm)
            vertices.append(local @ turn.T + shift)
            faces.append(triangles + count)
            count += len(local)
        return np.concatenate(vertices), np.concatenate(faces)
