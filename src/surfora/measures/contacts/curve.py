"""The area in contact against the threshold that says what a contact is, and how many contacts there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from surfora.geometry.arrays import Floats
from surfora.geometry.cut import share_below
from surfora.geometry.surface import SurfaceMesh, face_areas_nm2
from surfora.measures.contacts.facing import Facing
from surfora.measures.contacts.find import contact_count
from surfora.measures.contacts.settings import ContactSettings

STEPS = 20


@dataclass(frozen=True)
class CurvePoint:
    """At one threshold: the area of either membrane nearer than it (nm²), and the number of contacts."""

    threshold_nm: float
    first_area_nm2: float
    second_area_nm2: float
    contacts: int


def curve_thresholds(
    threshold_nm: float, settings: ContactSettings, along_nm: float | None = None
) -> list[float]:
    """The thresholds of the curve in nm, rising; of a membrane against itself none past half of along_nm."""
    wanted = settings.curve_nm or np.linspace(0, 2 * threshold_nm, STEPS + 1)[1:].tolist()
    return sorted({t for t in (*wanted, threshold_nm) if along_nm is None or t <= along_nm / 2})


def contact_curve(
    first: Facing,
    second: Facing,
    thresholds_nm: Sequence[float],
    settings: ContactSettings = ContactSettings(),
) -> list[CurvePoint]:
    """Area and number of contacts at each threshold, without measuring any distance again.

    first, second: how each membrane faces the other, one and the same for a membrane and itself, whose area
    is then halved: a fold's two faces are its two sides. Areas count everything below the threshold; holes
    and contacts that ``settings`` close or leave out change the number alone.
    """
    is_fold = first is second
    one, other = _bare(first), _bare(second)
    other = one if is_fold else other
    sides = [area_below_nm2(f.mesh, f.gap_nm, thresholds_nm) / (2 if is_fold else 1) for f in (one, other)]
    return [
        CurvePoint(t, float(a), float(b), contact_count(one, other, t, settings))
        for t, a, b in zip(thresholds_nm, *sides, strict=True)
    ]


def _bare(facing: Facing) -> Facing:
    """The same without arrays, which would be cut along every threshold."""
    return replace(facing, mesh=SurfaceMesh(facing.mesh.vertices, facing.mesh.faces))


def area_below_nm2(mesh: SurfaceMesh, values: Floats, levels: Sequence[float]) -> Floats:
    """Area (k,) in nm² where vertex ``values`` (n,), linear in each triangle, lie below each level.

    Infinite values count as twice the highest level.
    """
    capped = np.minimum(values, 2 * max(levels, default=0.0))
    area = face_areas_nm2(mesh.vertices, mesh.faces)
    return np.array([float((share_below(mesh.faces, capped, level) * area).sum()) for level in levels])
