"""Vesicles with buds whose necks and radii are known: surfaces of revolution of circular arcs.

About a bud's axis, in the half plane (rho, height), the profile is: the vesicle's circle, a fillet of
radius f (circle F1), the straight neck, a fillet again (F2), the bud's circle (centre B), each tangent
to the next. Inward, F1 lies inside the vesicle and the bud hangs below it; outward, all is mirrored.
The nearest point of such a surface lies in the point's own half plane, so distances are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tomorois.phantoms.shapes import Floats, arc_points, revolved, sphere_directions

BASE, FIRST_FILLET, NECK, SECOND_FILLET, BUD = range(5)
PIECE_OF_ARC = np.array([BASE, FIRST_FILLET, SECOND_FILLET, BUD])


@dataclass(frozen=True)
class Bud:
    """A bud on a neck, radii in nm to the mid-surface; ``axis`` leaves the vesicle through the neck."""

    axis: Floats
    bud_radius: float
    neck_radius: float
    neck_length: float
    fillet_radius: float


@dataclass(frozen=True)
class Arc:
    """A circle's part: centre (rho, height), radius, middle angle and half angle in radians."""

    centre: Floats
    radius: float
    middle: float
    half: float


@dataclass(frozen=True)
class Profile:
    """The arcs of one bud in order, and the neck's straight step between the fillets' centres F1, F2."""

    base: Arc
    first: Arc
    second: Arc
    bud: Arc
    neck_radius: float
    inward: bool

    @property
    def side(self) -> int:
        """-1 where the bud points into the vesicle, +1 where out of it."""
        return -1 if self.inward else 1

    def rows(self) -> Floats:
        """Centre rho, centre height, radius, middle and half angle of base, fillets and bud (4, 5)."""
        arcs = (self.base, self.first, self.second, self.bud)
        return np.array([(a.centre[0], a.centre[1], a.radius, a.middle, a.half) for a in arcs])


@dataclass(frozen=True)
class BuddedVesicle:
    """A sphere with buds that all point inward (the lumen is outside space) or all outward."""

    centre: Floats
    radius: float
    buds: tuple[Bud, ...]
    inward: bool

    def distance_nm(self, points: Floats) -> Floats:
        """Signed distances (n,), exact while the buds keep clear of one another."""
        each = np.stack([bud_distance_nm(self, bud, points)[0] for bud in self.buds])
        return each.max(axis=0) if self.inward else each.min(axis=0)

    def samples(self, spacing_nm: float) -> tuple[Floats, Floats]:
        """Points on the sphere outside the buds' mouths, and on each bud and its neck."""
        directions = sphere_directions(4 * np.pi * self.radius**2 / spacing_nm**2)
        area = 4 * np.pi * self.radius**2 / len(directions)
        for bud in self.buds:
            directions = directions[directions @ bud.axis < np.cos(mouth_angle(self, bud))]
        parts = [bud_samples(self, bud, spacing_nm) for bud in self.buds]
        points = np.concatenate([self.centre + self.radius * directions, *(part[0] for part in parts)])
        return points, np.concatenate([np.full(len(directions), area), *(part[1] for part in parts)])

    def bounds_nm(self) -> tuple[Floats, Floats]:
        """Lowest and highest x, y, z."""
        low, high = self.centre - self.radius, self.centre + self.radius
        if not self.inward:
            for bud in self.buds:
                middle = bud_centre_nm(self, bud)
                low, high = (
                    np.minimum(low, middle - bud.bud_radius),
                    np.maximum(high, middle + bud.bud_radius),
                )
        return low, high

    def moved(self, shift_nm: Floats) -> BuddedVesicle:
        """The same vesicle elsewhere."""
        return replace(self, centre=self.centre + shift_nm)


def bud_profile(radius: float, bud: Bud, inward: bool) -> Profile:
    """The arcs of a bud on a sphere of ``radius``; centres follow from tangency."""
    return _profile(radius, bud.bud_radius, bud.neck_radius, bud.neck_length, bud.fillet_radius, inward)


@lru_cache(maxsize=64)
def _profile(
    radius: float, bud_radius: float, neck_radius: float, neck_length: float, fillet: float, inward: bool
) -> Profile:
    side, rho = (-1 if inward else 1), neck_radius + fillet
    first = np.array([rho, np.sqrt((radius + side * fillet) ** 2 - rho**2)])
    second = first + np.array([0.0, side * neck_length])
    middle = np.array([0.0, second[1] + side * np.sqrt((bud_radius + fillet) ** 2 - rho**2)])
    mouth, joint = float(np.arctan2(first[1], first[0])), float(np.arctan2(*(second - middle)[::-1]))
    pole = side * np.pi / 2
    return Profile(
        base=Arc(np.zeros(2), radius, (mouth - np.pi / 2) / 2, (mouth + np.pi / 2) / 2),
        first=_short_arc(first, fillet, -side * first),
        second=_short_arc(second, fillet, middle - second),
        bud=Arc(middle, bud_radius, (joint + pole) / 2, abs(joint - pole) / 2),
        neck_radius=neck_radius,
        inward=inward,
    )


def bud_distance_nm(
    vesicle: BuddedVesicle, bud: Bud, points: Floats
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Signed distances (n,) to the vesicle with this bud alone, nearest pieces, distances to the bare sphere.

    Pieces are BASE, FIRST_FILLET, NECK, SECOND_FILLET, BUD.
    """
    profile = bud_profile(vesicle.radius, bud, vesicle.inward)
    points = np.ascontiguousarray(points, dtype=np.float64)
    return _bud_distances(points, vesicle.centre, bud.axis, profile.rows(), bud.neck_radius, profile.side)  # type: ignore[no-any-return]


def in_bud_region(
    vesicle: BuddedVesicle, bud: Bud, points: Floats, half_thickness_nm: float
) -> NDArray[np.bool_]:
    """Whether points (n, 3) belong to a bud: its bilayer and lumen, with the neck's, from the sphere on."""
    distance, piece, to_sphere = bud_distance_nm(vesicle, bud, points)
    side = -1 if vesicle.inward else 1
    lumen_side = side * distance <= half_thickness_nm
    return lumen_side & (side * to_sphere >= -half_thickness_nm) & (piece != BASE)


def bud_samples(vesicle: BuddedVesicle, bud: Bud, spacing_nm: float) -> tuple[Floats, Floats]:
    """Points and areas on one bud and its neck, from where the sphere ends."""
    profile = bud_profile(vesicle.radius, bud, vesicle.inward)
    pieces = [
        arc_points(arc.centre, arc.radius, arc.middle - arc.half, arc.middle + arc.half, spacing_nm)
        for arc in (profile.first, profile.second, profile.bud)
    ]
    if bud.neck_length > 0:
        steps = max(2, int(np.ceil(bud.neck_length / spacing_nm)))
        share = (np.arange(steps) + 0.5) / steps
        heights = profile.first.centre[1] + share * (profile.second.centre[1] - profile.first.centre[1])
        pieces.append((np.full(steps, bud.neck_radius), heights, np.full(steps, bud.neck_length / steps)))
    return revolved(pieces, vesicle.centre, bud.axis, spacing_nm)


def bud_centre_nm(vesicle: BuddedVesicle, bud: Bud) -> Floats:
    """The centre x, y, z of a bud's sphere."""
    return vesicle.centre + bud_profile(vesicle.radius, bud, vesicle.inward).bud.centre[1] * bud.axis


def mouth_angle(vesicle: BuddedVesicle, bud: Bud) -> float:
    """Angle from the axis, in radians at the vesicle's centre, at which the sphere meets the fillet."""
    first = bud_profile(vesicle.radius, bud, vesicle.inward).first.centre
    return float(np.arctan2(first[0], first[1]))


def bud_depth_nm(vesicle: BuddedVesicle, bud: Bud) -> float:
    """How far the bud's end lies from the bare sphere along the axis."""
    end = bud_profile(vesicle.radius, bud, vesicle.inward).bud.centre[1]
    side = -1 if vesicle.inward else 1
    return float(side * (end - vesicle.radius) + bud.bud_radius)


def _short_arc(centre: Floats, radius: float, towards: Floats) -> Arc:
    """A fillet: the short way from one direction to the neck's wall, which lies towards the axis."""
    start = float(np.arctan2(towards[1], towards[0]))
    turn = np.pi - start if start >= 0 else -np.pi - start
    return Arc(centre, radius, start + turn / 2, abs(turn) / 2)


@njit(cache=True, nogil=True)
def _bud_distances(points, centre, axis, arcs, neck_radius, side):  # type: ignore[no-untyped-def]
    """Signed distance, nearest piece and distance to the bare sphere of each point; arcs as rows of `Arc`."""
    n = len(points)
    distances, pieces, to_sphere = np.empty(n), np.empty(n, np.int64), np.empty(n)
    for i in range(n):
        x, y, z = points[i, 0] - centre[0], points[i, 1] - centre[1], points[i, 2] - centre[2]
        height = x * axis[0] + y * axis[1] + z * axis[2]
        rho = np.sqrt(max(x * x + y * y + z * z - height * height, 0.0))
        best, piece = _to_arc(rho, height, arcs[0]), BASE
        for k in range(1, 4):
            way = _to_arc(rho, height, arcs[k])
            if way < best:
                best, piece = way, PIECE_OF_ARC[k]
        low, high = min(arcs[1, 1], arcs[2, 1]), max(arcs[1, 1], arcs[2, 1])
        way = np.hypot(rho - neck_radius, height - min(max(height, low), high))
        if way < best:
            best, piece = way, NECK
        to_sphere[i] = np.hypot(rho, height) - arcs[0, 2]
        pocket = side * to_sphere[i] > 0 and _in_pocket(rho, height, arcs, neck_radius, side)
        inside = to_sphere[i] < 0 and not pocket if side < 0 else to_sphere[i] < 0 or pocket
        distances[i] = -best if inside else best
        pieces[i] = piece
    return distances, pieces, to_sphere


@njit(cache=True, nogil=True)
def _to_arc(rho, height, arc):  # type: ignore[no-untyped-def]
    across, up = rho - arc[0], height - arc[1]
    far = np.hypot(across, up)
    if across * np.cos(arc[3]) + up * np.sin(arc[3]) >= far * np.cos(arc[4]):
        return abs(far - arc[2])
    first, last = arc[3] - arc[4], arc[3] + arc[4]
    return min(
        np.hypot(across - arc[2] * np.cos(first), up - arc[2] * np.sin(first)),
        np.hypot(across - arc[2] * np.cos(last), up - arc[2] * np.sin(last)),
    )


@njit(cache=True, nogil=True)
def _in_pocket(rho, height, arcs, neck_radius, side):  # type: ignore[no-untyped-def]
    """Within the bud's ball, or its neck, or between the fillets and the axis."""
    if np.hypot(rho, height - arcs[3, 1]) < arcs[3, 2]:
        return True
    along = side * (height - arcs[1, 1])
    length, end = side * (arcs[2, 1] - arcs[1, 1]), side * (arcs[3, 1] - arcs[1, 1])
    if 0 < along <= length:
        return rho < neck_radius
    if along <= 0:
        between, fillet = rho * arcs[1, 1] < arcs[1, 0] * height, arcs[1]
    else:
        between, fillet = rho * (end - length) < arcs[2, 0] * (end - along), arcs[2]
    return between and np.hypot(rho - fillet[0], height - fillet[1]) >= fillet[2]
