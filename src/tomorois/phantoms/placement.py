"""Where membranes go: contacts at chosen gaps, some side by side, and buds on axes over the whole sphere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tomorois.phantoms.buds import Bud, BuddedVesicle, bud_centre_nm, bud_depth_nm, bud_samples, mouth_angle
from tomorois.phantoms.imaging import tilt_from_x_deg
from tomorois.phantoms.scene import (
    PLACING_SPACING_NM,
    Draft,
    Scene,
    SceneSettings,
    add_apart,
    add_nested,
    add_tubes,
    begun,
    bent_path,
    drawn_vesicle,
    finished,
    unit_vector,
)
from tomorois.phantoms.shapes import Cisterna, Floats, Grid, Surface, Tube, Vesicle, two_across

TOUCHING_SPACING_NM = 3.0
BUDDED_CLEARANCE_NM = 14.0
MOST_DRAFTS = 5
"""How often a scene is begun anew that came out with too few contacts or buds."""


def draw_contacts(view: Grid, settings: SceneSettings, rng: np.random.Generator) -> Scene:
    """A scene of membrane contacts, some side by side on one membrane, and distractors."""
    for _ in range(MOST_DRAFTS):
        draft = begun(view, settings, rng)
        add_tubes(draft, settings.near_miss_nm)
        _add_contacts(draft, int(rng.integers(settings.contacts[0], settings.contacts[1] + 1)))
        if len(draft.contacts) >= settings.contacts[0]:
            break
    for _ in range(settings.near_misses if draft.contacts else 0):
        _add_near_miss(draft)
    add_nested(draft, settings.near_miss_nm)
    return finished(draft)


def draw_invaginations(view: Grid, settings: SceneSettings, rng: np.random.Generator) -> Scene:
    """A scene of budded vesicles, axes uniform over the sphere, and distractors without a neck."""
    for _ in range(MOST_DRAFTS):
        draft = begun(view, settings, rng)
        add_tubes(draft, BUDDED_CLEARANCE_NM)
        wanted, placed = int(rng.integers(settings.buds[0], settings.buds[1] + 1)), 0
        for _ in range(20):
            if placed < wanted:
                placed += _add_budded(draft, wanted - placed)
        if placed >= settings.buds[0]:
            break
    add_nested(draft, BUDDED_CLEARANCE_NM)
    return finished(draft)


def _add_contacts(draft: Draft, wanted: int) -> None:
    for _ in range(120):
        if len(draft.contacts) >= wanted:
            return
        if draft.contacts and draft.rng.random() < draft.settings.neighbour_share:
            _add_contact_beside(draft)
        else:
            _add_new_contact(draft)


def _facing(draft: Draft) -> Floats:
    """A direction in which a contact may face."""
    while True:
        direction = unit_vector(draft.rng)
        if tilt_from_x_deg(direction)[0] <= draft.settings.facing_tilt_max_deg:
            return direction


def _add_new_contact(draft: Draft) -> None:
    """Add a new membrane through a random place and a partner of it there, or neither."""
    settings = draft.settings
    large = draft.rng.random() < settings.organelle_share
    direction, place = _facing(draft), draft.place(35.0)
    radius = draft.draw(settings.organelle_radius_nm if large else settings.vesicle_radius_nm)
    anchor = drawn_vesicle(draft, np.zeros(3), radius)
    anchor = anchor.moved(place - anchor.radii(direction[None])[0][0] * direction)
    known = len(draft.contacts)
    if not _add_touching(draft, anchor, "vesicle", direction):
        return
    if not _add_partner(draft, len(draft.surfaces) - 1, direction) and len(draft.contacts) == known:
        draft.remove_last()


def _add_contact_beside(draft: Draft) -> None:
    """Add a further partner of a membrane that has a contact, 35 to 100 nm along it."""
    index, direction = draft.contacts[int(draft.rng.integers(len(draft.contacts)))]
    anchor = draft.surfaces[index]
    if not isinstance(anchor, Vesicle):
        return
    first, second = two_across(direction)
    turn, angle = draft.rng.uniform(0, 2 * np.pi), min(draft.draw((35.0, 100.0)) / anchor.radius, 2.5)
    across = np.cos(turn) * first + np.sin(turn) * second
    beside = np.cos(angle) * direction + np.sin(angle) * across
    place = anchor.centre + anchor.radii(beside[None])[0] * beside
    if draft.in_view(place[None], 20.0)[0]:
        _add_partner(draft, index, beside)


def _add_partner(draft: Draft, index: int, direction: Floats) -> bool:
    """Add a partner of membrane ``index`` in a direction at a drawn gap, if one fits in a few tries."""
    for _ in range(3):
        kind = str(draft.rng.choice(["vesicle", "sac", "tubule"], p=[0.35, 0.35, 0.3]))
        partner = _touching(draft, index, direction, draft.draw(draft.settings.gap_nm), kind)
        if _add_touching(draft, partner, kind, -direction):
            return True
    return False


def _add_touching(draft: Draft, surface: Surface, role: str, direction: Floats) -> bool:
    """Add a membrane if it fits, and note its contacts."""
    points = surface.samples(PLACING_SPACING_NM)[0]
    touched = draft.touched(surface, points, draft.settings.near_miss_nm, contacts=True)
    if touched is None:
        return False
    draft.contacts += [(index, -direction) for index in touched]
    draft.add(surface, role, points)
    return True


def _add_near_miss(draft: Draft) -> None:
    """Add a membrane that comes close to one with a contact, but not close enough."""
    for _ in range(6):
        index, _ = draft.contacts[int(draft.rng.integers(len(draft.contacts)))]
        gap = draft.settings.near_miss_nm + draft.draw((0.5, 10.0))
        if isinstance(draft.surfaces[index], Vesicle):
            kind = str(draft.rng.choice(["vesicle", "sac"]))
            partner = _touching(draft, index, _facing(draft), gap, kind)
            if add_apart(draft, partner, "near miss", draft.settings.near_miss_nm):
                return


def _touching(draft: Draft, index: int, direction: Floats, gap_nm: float, kind: str) -> Surface:
    """A partner moved along ``direction`` until its nearest gap to membrane ``index`` is ``gap_nm``."""
    anchor = draft.surfaces[index]
    assert isinstance(anchor, Vesicle)
    place = anchor.centre + (anchor.radii(direction[None])[0] + gap_nm) * direction
    make: dict[str, Callable[..., Surface]] = {"vesicle": _near_vesicle, "sac": _sac, "tubule": _tubule}
    partner = make[kind](draft, place, direction, anchor.radius + gap_nm)
    for _ in range(3):
        nearest = anchor.distance_nm(partner.samples(TOUCHING_SPACING_NM)[0]).min()
        partner = partner.moved((gap_nm - nearest) * direction)
    return partner


def _near_vesicle(draft: Draft, place: Floats, direction: Floats, bend: float) -> Surface:
    vesicle = drawn_vesicle(draft, np.zeros(3), draft.draw((18.0, 40.0)))
    return vesicle.moved(place + vesicle.radii(-direction[None])[0] * direction)


def _sac(draft: Draft, place: Floats, direction: Floats, bend: float) -> Surface:
    """A flat sac that follows the membrane it touches, or is somewhat flatter."""
    half_thickness, half_width = draft.draw((10.0, 16.0)), draft.draw((26.0, 54.0))
    inner = bend * draft.draw((1.0, 1.6))
    cap_radius = inner + half_thickness
    centre = place - inner * direction
    return Cisterna(centre, direction, cap_radius, min(half_width / cap_radius, 1.2), half_thickness)


def _tubule(draft: Draft, place: Floats, direction: Floats, bend: float) -> Surface:
    """A tube that bends along the membrane it touches and runs straight on from there."""
    radius = draft.draw((10.0, 17.0))
    turn = draft.rng.uniform(0, 2 * np.pi)
    first, second = two_across(direction)
    along = np.cos(turn) * first + np.sin(turn) * second
    curve = (bend + radius) * draft.draw((1.1, 3.0))
    return Tube(
        bent_path(place + radius * direction, direction, along, curve, draft.draw((25.0, 60.0))), radius
    )


def _add_budded(draft: Draft, wanted: int) -> int:
    """Try to add one budded vesicle; how many buds it brought.

    The axis is drawn first and only the place is drawn again where it does not fit, so that the axes
    stay uniform over the sphere.
    """
    vesicle, several = _drawn_budded(draft, wanted)
    if vesicle is None:
        return 0
    points = vesicle.samples(PLACING_SPACING_NM)[0]
    ends = np.concatenate([bud_samples(vesicle, bud, PLACING_SPACING_NM)[0] for bud in vesicle.buds])
    middle = np.zeros(3) if several else bud_centre_nm(vesicle, vesicle.buds[0])
    for _ in range(30):
        shift = draft.place(vesicle.radius if several else vesicle.buds[0].bud_radius + 8.0) - middle
        if not draft.in_view(ends + shift, 4.0).all():
            continue
        placed = vesicle.moved(shift)
        if draft.touched(placed, points + shift, BUDDED_CLEARANCE_NM) == []:
            draft.add(placed, "budded inward" if placed.inward else "budded outward", points + shift)
            return len(placed.buds)
    return 0


def _drawn_budded(draft: Draft, wanted: int) -> tuple[BuddedVesicle | None, bool]:
    """A budded vesicle about the origin with one bud or, if it fits into the view as a whole, up to three."""
    settings, rng = draft.settings, draft.rng
    inward = bool(rng.random() >= settings.outward_share)
    large = bool(rng.random() < settings.organelle_share)
    radius = draft.draw(settings.organelle_radius_nm if large else settings.vesicle_radius_nm)
    depth = draft.view.shape[0] * draft.view.voxel_size_nm
    several = inward and not large and 2 * radius + 12.0 < depth
    buds: tuple[Bud, ...] = ()
    for _ in range(min(wanted, int(rng.integers(1, 4))) if several else 1):
        bud = _drawn_bud(draft, radius, inward)
        if bud is not None and _clear_of(bud, buds, radius, inward):
            buds = (*buds, bud)
    return (BuddedVesicle(np.zeros(3), radius, buds, inward) if buds else None), several


def _drawn_bud(draft: Draft, radius: float, inward: bool) -> Bud | None:
    """A bud with a narrow neck that the vesicle has room for; sizes are drawn again, the axis is not."""
    settings, axis = draft.settings, unit_vector(draft.rng)
    for _ in range(20):
        bud = Bud(
            axis,
            bud_radius=draft.draw(settings.bud_radius_nm),
            neck_radius=draft.draw(settings.neck_radius_nm),
            neck_length=draft.draw(settings.neck_length_nm),
            fillet_radius=draft.draw(settings.fillet_radius_nm),
        )
        narrow = bud.neck_radius <= 0.65 * bud.bud_radius
        wide = bud.neck_radius + bud.fillet_radius >= 0.6 * radius
        if narrow and not wide and (not inward or _shallow(radius, bud)):
            return bud
    return None


def _shallow(radius: float, bud: Bud) -> bool:
    """Whether an inward bud stays well clear of the far side."""
    return bud_depth_nm(BuddedVesicle(np.zeros(3), radius, (bud,), True), bud) <= 1.7 * radius


def _clear_of(bud: Bud, buds: tuple[Bud, ...], radius: float, inward: bool) -> bool:
    """Whether a bud keeps 12 nm from the others, inside the vesicle and at their mouths."""
    alone = BuddedVesicle(np.zeros(3), radius, (bud,), inward)
    for other in buds:
        pair = BuddedVesicle(np.zeros(3), radius, (other,), inward)
        mouths = mouth_angle(alone, bud) + mouth_angle(pair, other) + 12.0 / radius
        points = bud_samples(alone, bud, PLACING_SPACING_NM)[0]
        within = np.linalg.norm(points, axis=1) < radius - 8.0
        if np.arccos(np.clip(bud.axis @ other.axis, -1, 1)) < mouths:
            return False
        if within.any() and pair.distance_nm(points[within]).max() > (-8.0 if inward else 8.0):
            return False
    return True
