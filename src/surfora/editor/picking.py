"""From a loop or a click in a view to points of a session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surfora.editor.session import Session
from surfora.editor.view import NEAR_PX, Projected, View, clicked, in_front, in_loop, projected, simplified
from surfora.geometry.arrays import Floats, Mask

TOLERANCE_NM = 2.0
"""How far behind the nearest surface a point may lie and be taken for seen."""


@dataclass(frozen=True)
class Sight:
    """What can be picked in a view: where all points lie (n,), and which of them are drawn (n,).

    ``tolerance_nm`` is that of `in_front`; None takes what is hidden behind other points, too.
    """

    seen: Projected
    drawn: Mask
    tolerance_nm: float | None = TOLERANCE_NM


def sight_of(session: Session, view: View, in_clip: Mask, tolerance_nm: float | None) -> Sight:
    """The sight of a session in a view; ``in_clip`` (n,) are the points that no clip plane cuts away."""
    return Sight(projected(session.points, view), session.shown & in_clip, tolerance_nm)


def pickable(session: Session, sight: Sight) -> Mask:
    """The points (n,) that can be picked: all that are drawn, or only those that nothing hides."""
    if sight.tolerance_nm is None:
        return sight.drawn & sight.seen.in_picture
    return in_front(
        sight.seen,
        sight.drawn,
        sight.tolerance_nm,
        session.points,
        session.file_normals,
        session.spacing_nm,
    )


def points_in_loop(session: Session, sight: Sight, loop: Floats) -> Mask:
    """The points (n,) that can be picked within a loop (k, 2) of pixels."""
    inside = in_loop(sight.seen.pixels, simplified(loop))
    return inside & pickable(session, sight) if inside.any() else inside


def components_in_loop(session: Session, sight: Sight, loop: Floats) -> Mask:
    """All points (n,) of the pieces of whose points that can be picked at least half are within a loop."""
    can = pickable(session, sight)
    inside = in_loop(sight.seen.pixels, simplified(loop)) & can
    return session.components_mostly_in(inside, can)


def point_at(session: Session, sight: Sight, pixel: tuple[float, float], reach_px: float = NEAR_PX) -> Mask:
    """The point (n,) in front within ``reach_px`` of a pixel, or none."""
    found = np.zeros(session.count, dtype=bool)
    number = clicked(sight.seen, sight.drawn, pixel, reach_px)
    if number is not None:
        found[number] = True
    return found
