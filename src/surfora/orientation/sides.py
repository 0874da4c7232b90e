"""Which side of a membrane its normals point to: a rule, its sign, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats
from surfora.orientation.dipole import winding

SAMPLES = 400
CLEARLY_BENT = 0.03  # mean winding number of a cap whose sagitta is 6 % of its half width


@dataclass(frozen=True)
class Component:
    """Points (n, 3), normals (n, 3) that agree, and the area (n,) that each point stands for."""

    points: Floats
    normals: Floats
    areas: Floats

    def winding(self, targets: Floats) -> Floats:
        """Winding number (t,) of this component at targets (t, 3)."""
        whole = np.zeros(len(self.points), dtype=np.int64)
        moments = self.normals * self.areas[:, None]
        return winding(targets, self.points, moments, whole, 0.5 * float(np.median(self.areas)) ** 0.5)[:, 0]

    def sample(self) -> Floats:
        """At most a few hundred of the points, evenly through their order."""
        return self.points[:: max(1, len(self.points) // SAMPLES)]


@dataclass(frozen=True)
class Side:
    """What to multiply a component's normals with, how sure that is (0–1), and the rule that said so."""

    sign: float
    confidence: float
    rule: str


def closed_side(part: Component, closed_share: float) -> Side | None:
    """Outward, where the component closes at least this share of a sphere; else None.

    On a surface oriented outward the winding number is ½; on a sphere with holes it is ½ × the share of
    its area that is left.
    """
    numbers = part.winding(part.sample())
    enclosed = 2 * abs(numbers.mean())
    if enclosed < closed_share:
        return None
    return Side(_sign(numbers.mean()), _unanimity(numbers), "outward: closed or nearly closed")


def convex_side(part: Component) -> Side:
    """Toward the convex side: on a bowl the winding number is positive where normals point out of it.

    Confidence falls where points contradict each other (waves) and where the whole is nearly flat.
    """
    numbers = part.winding(part.sample())
    bent = np.tanh((numbers.mean() / CLEARLY_BENT) ** 2)
    return Side(_sign(numbers.mean()), _unanimity(numbers) * float(bent), "toward the convex side")


def lumen_side(part: Component, lumen_point_nm: Floats) -> Side:
    """Away from a point inside: by the solid angle that each part of the membrane fills, seen from there."""
    step = part.points - lumen_point_nm
    distance = np.linalg.norm(step, axis=1) + 1e-9
    solid = part.areas * np.einsum("ij,ij->i", part.normals, step) / distance**3
    return Side(_sign(solid.sum()), _agreement(solid), "away from the lumen point")


def partner_side(part: Component, partner_points: Floats, toward: bool) -> Side:
    """Toward (or away from) the partner's nearest points; near ones count by the inverse square."""
    distance, nearest = cKDTree(partner_points).query(part.points, workers=-1)
    step = partner_points[nearest] - part.points
    facing = np.einsum("ij,ij->i", part.normals, step) / (distance + 1e-9) ** 3 * part.areas
    sign = _sign(facing.sum()) * (1.0 if toward else -1.0)
    return Side(sign, _agreement(facing), f"{'toward' if toward else 'away from'} the partner")


def layer_side(part: Component, other_points: Floats, reach_nm: float) -> Side | None:
    """Away from the other components that lie within reach of this one; None where none does.

    They lie behind this component where its winding number there is positive.
    """
    if len(other_points) == 0:
        return None
    near = np.isfinite(cKDTree(part.points).query(other_points, distance_upper_bound=reach_nm)[0])
    if near.sum() < 0.1 * len(part.points):
        return None
    facing = other_points[near]
    numbers = part.winding(facing[:: max(1, len(facing) // SAMPLES)])
    return Side(_sign(numbers.mean()), min(1.0, 2 * abs(numbers.mean())), "away from the layer it faces")


def _sign(value: float) -> float:
    return -1.0 if value < 0 else 1.0


def _unanimity(numbers: Floats) -> float:
    """|Mean| over root mean square: 1 where all say the same, 0 where they cancel."""
    spread = float(np.sqrt((numbers**2).mean()))
    return abs(float(numbers.mean())) / spread if spread > 0 else 0.0


def _agreement(weights: Floats) -> float:
    total = float(np.abs(weights).sum())
    return abs(float(weights.sum())) / total if total > 0 else 0.0
