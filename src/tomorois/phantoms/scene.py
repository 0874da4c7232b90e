"""A scene being drawn: what may go where, and the things that are no ROIs.

Drawing is kept apart from rendering: a `Scene` holds all that was drawn, and nothing here knows voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from tomocore.settings import Settings
from tomorois.phantoms.imaging import tilt_from_x_deg
from tomorois.phantoms.shapes import Floats, Grid, Range, Surface, Tube, Vesicle, outward, two_across

PLACING_SPACING_NM = 5.0
GAP_SLACK_NM = 0.2
LOBE_ORDERS = np.array([2, 2, 3, 3, 4])
LOBE_SIGMAS = np.array([0.055, 0.055, 0.03, 0.03, 0.014])
GREATEST_LOBES = 0.18
"""Most that the lobes of a vesicle may add to its radius, as a share; it keeps closest points unique."""


class SceneSettings(Settings):
    """What is drawn: gaps, sizes and how many of each."""

    contacts: tuple[int, int] = Field((3, 6), description="Fewest and most contacts placed on purpose.")
    gap_nm: Range = Field(
        (10.0, 24.0),
        description="Least and greatest nearest gap in nm of a contact, mid-membrane to mid-membrane.",
    )
    contact_limit_nm: float = Field(
        30.0,
        gt=5,
        le=100,
        description="Gap in nm, mid-membrane to mid-membrane, up to which membranes are in contact.",
    )
    near_miss_nm: float = Field(
        36.0, gt=5, le=200, description="Least gap in nm between membranes that are not in contact."
    )
    facing_tilt_max_deg: float = Field(
        50.0,
        gt=0,
        le=90,
        description="Contacts face within this angle in degrees of x, seen along the tilt axis y; 90: any.",
    )
    neighbour_share: float = Field(
        0.55, ge=0, le=1, description="Share of contacts placed beside another one on the same membrane."
    )
    buds: tuple[int, int] = Field((3, 6), description="Fewest and most buds.")
    outward_share: float = Field(
        0.25, ge=0, le=1, description="Share of budded vesicles whose buds point outward."
    )
    bud_radius_nm: Range = Field(
        (12.0, 24.0), description="Least and greatest radius in nm of a bud's mid-membrane."
    )
    neck_radius_nm: Range = Field(
        (5.0, 10.0), description="Least and greatest radius in nm of a neck's mid-membrane."
    )
    neck_length_nm: Range = Field(
        (0.0, 18.0), description="Least and greatest straight length in nm of a neck."
    )
    fillet_radius_nm: Range = Field(
        (6.0, 12.0), description="Least and greatest radius in nm of the bends at both ends of a neck."
    )
    vesicle_radius_nm: Range = Field(
        (30.0, 52.0), description="Least and greatest radius in nm of common vesicles."
    )
    organelle_radius_nm: Range = Field(
        (90.0, 180.0),
        description="Least and greatest radius in nm of membranes that run through the whole tomogram.",
    )
    organelle_share: float = Field(
        0.3, ge=0, le=1, description="Share of membranes that are such large ones."
    )
    tubes: int = Field(1, ge=0, le=10, description="Bare tubes, the published false positive, tried for.")
    near_misses: int = Field(1, ge=0, le=10, description="Membranes just beyond contact tried for.")
    nested: int = Field(1, ge=0, le=10, description="Vesicles with shells or vesicles inside tried for.")
    gold_beads: float = Field(3.0, ge=0, le=50, description="Mean number of gold beads.")
    carbon_share: float = Field(
        0.2, ge=0, le=1, description="Share of tomograms with the edge of a carbon film."
    )

    @field_validator("near_miss_nm")
    @classmethod
    def _gaps_in_order(cls, near_miss_nm: float, known: ValidationInfo) -> float:
        gaps, limit = known.data.get("gap_nm", (0.0, 0.0)), known.data.get("contact_limit_nm", near_miss_nm)
        if not gaps[1] <= limit <= near_miss_nm:
            raise ValueError(
                f"gaps up to {gaps[1]}, the contact limit {limit} and this must rise in this order"
            )
        return near_miss_nm


@dataclass(frozen=True)
class Carbon:
    """A film that fills |z - middle| < half_thickness beyond a round hole about (x, y)."""

    hole_centre: Floats
    hole_radius: float
    middle_z: float
    half_thickness: float

    def depth_nm(self, points: Floats) -> Floats:
        """Distance (n,) inside the film's border; negative outside."""
        beyond = np.linalg.norm(points[:, :2] - self.hole_centre, axis=1) - self.hole_radius
        return np.minimum(beyond, self.half_thickness - np.abs(points[:, 2] - self.middle_z))


@dataclass(frozen=True)
class Scene:
    """Membranes (ids 1, 2, … in order), what each was drawn as, and beads (n, 4) x, y, z, radius in nm."""

    membranes: tuple[Surface, ...]
    roles: tuple[str, ...]
    beads: Floats
    carbon: Carbon | None


@dataclass
class Draft:
    """A scene being drawn; ``points`` are samples of each membrane in and near the view.

    ``contacts`` are membranes that have one, with its direction; ``lone`` ones must not come into contact.
    """

    view: Grid
    settings: SceneSettings
    rng: np.random.Generator
    carbon: Carbon | None = None
    surfaces: list[Surface] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    points: list[Floats] = field(default_factory=list)
    lone: list[bool] = field(default_factory=list)
    contacts: list[tuple[int, Floats]] = field(default_factory=list)

    def draw(self, bounds: Range) -> float:
        return float(self.rng.uniform(*bounds))

    def place(self, margin_nm: float) -> Floats:
        """A point of the view at least a margin from its faces (a quarter of the edge at most)."""
        low, high = self.view.corners_nm()
        margin = np.minimum(margin_nm, (high - low) / 4)
        return self.rng.uniform(low + margin, high - margin)

    def in_view(self, points: Floats, margin_nm: float = 0.0) -> NDArray[np.bool_]:
        low, high = self.view.corners_nm()
        inside: NDArray[np.bool_] = (points >= low + margin_nm) & (points <= high - margin_nm)
        return np.logical_and.reduce(inside, axis=1)  # type: ignore[no-any-return]

    def add(self, surface: Surface, role: str, points: Floats | None = None, lone: bool = False) -> None:
        self.surfaces.append(surface)
        self.roles.append(role)
        self.points.append(self.visible(surface.samples(PLACING_SPACING_NM)[0] if points is None else points))
        self.lone.append(lone)

    def remove_last(self) -> None:
        for known in (self.surfaces, self.roles, self.points, self.lone):
            known.pop()  # type: ignore[attr-defined]

    def visible(self, points: Floats) -> Floats:
        return points[self.in_view(points, margin_nm=-12.0)]

    def touched(
        self, surface: Surface, points: Floats, clearance_nm: float, contacts: bool = False
    ) -> list[int] | None:
        """The membranes that a surface, by its samples, comes into contact with; None where it does not fit.

        It fits where each other membrane is ``clearance_nm`` away or, if ``contacts`` may be made, at a gap
        within the settings that faces where the tilts let it be seen.
        """
        seen = self.visible(points)
        if len(seen) == 0 or (self.carbon is not None and self.carbon.depth_nm(seen).max() > -5.0):
            return None
        low, high = surface.bounds_nm()
        touched = []
        for index, other in enumerate(self.surfaces):
            other_low, other_high = other.bounds_nm()
            if (low > other_high + clearance_nm).any() or (other_low > high + clearance_nm).any():
                continue
            may_touch = contacts and not self.lone[index]
            least = self.settings.gap_nm[0] - GAP_SLACK_NM if may_touch else clearance_nm
            # A few points tell most misfits at once.
            if _nearest(surface, seen[::24], other, self.points[index][::24])[0] < least:
                return None
            gap, facing, place = _nearest(surface, seen, other, self.points[index])
            if gap < clearance_nm:
                if not may_touch or not self._makes_contact(gap, outward(facing, place)):
                    return None
                touched.append(index)
        return touched

    def _makes_contact(self, gap_nm: float, direction: Floats) -> bool:
        """Whether a gap is one of a contact, facing within 10 degrees of where contacts are placed."""
        least, most = self.settings.gap_nm
        tilt = tilt_from_x_deg(direction)[0]
        in_range = least - GAP_SLACK_NM <= gap_nm <= most + GAP_SLACK_NM
        return bool(in_range and tilt <= self.settings.facing_tilt_max_deg + 10.0)


def drawn_vesicle(draft: Draft, centre: Floats, radius: float) -> Vesicle:
    """A vesicle with random lobes."""
    axes = np.array([unit_vector(draft.rng) for _ in LOBE_ORDERS])
    heights = draft.rng.normal(0.0, LOBE_SIGMAS)
    heights *= min(1.0, GREATEST_LOBES / np.abs(heights).sum())
    return Vesicle(centre, radius, LOBE_ORDERS, axes, heights)


def unit_vector(rng: np.random.Generator) -> Floats:
    """A direction x, y, z, uniform over the sphere."""
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def _nearest(
    one: Surface, points_of_one: Floats, other: Surface, points_of_other: Floats
) -> tuple[float, Surface, Floats]:
    """The least gap of two membranes by their samples, the membrane it was measured to, and from where."""
    from_one = other.distance_nm(points_of_one)
    nearest = from_one.argmin()
    if len(points_of_other):
        from_other = one.distance_nm(points_of_other)
        if from_other.min() < from_one[nearest]:
            return float(from_other.min()), one, points_of_other[[from_other.argmin()]]
    return float(from_one[nearest]), other, points_of_one[[nearest]]


def begun(view: Grid, settings: SceneSettings, rng: np.random.Generator) -> Draft:
    draft = Draft(view, settings, rng)
    if rng.random() < settings.carbon_share:
        draft.carbon = _drawn_carbon(view, rng)
    return draft


def finished(draft: Draft) -> Scene:
    return Scene(tuple(draft.surfaces), tuple(draft.roles), _drawn_beads(draft), draft.carbon)


def add_apart(draft: Draft, surface: Surface, role: str, clearance_nm: float) -> bool:
    """Add a membrane if it keeps clear of all others; what comes later will keep clear of it."""
    points = surface.samples(PLACING_SPACING_NM)[0]
    if draft.touched(surface, points, clearance_nm) != []:
        return False
    draft.add(surface, role, points, lone=True)
    return True


def bent_path(place: Floats, away: Floats, along: Floats, curve: float, half_length: float) -> Floats:
    """A path (n, 3) in nm through ``place``: an arc about it, then straight ends of 160 nm.

    ``along`` is the unit direction of the path at the place and ``away`` the unit vector across it that the
    arc bends from; ``curve`` is the arc's radius and ``half_length`` its length to either side, both in nm.
    """
    turn = np.linspace(-half_length / curve, half_length / curve, max(4, int(half_length)))[:, None]
    arc = place + curve * ((np.cos(turn) - 1.0) * away + np.sin(turn) * along)
    ends = [np.cos(turn[k]) * along - np.sin(turn[k]) * away for k in (0, -1)]
    far = np.array([160.0, 120.0, 80.0, 40.0])[:, None]
    return np.concatenate([arc[0] - far * ends[0], arc, arc[-1] + far[::-1] * ends[1]])


def add_tubes(draft: Draft, clearance_nm: float) -> None:
    """Add bare tubes, which the published network took for contacts."""
    for _ in range(draft.settings.tubes):
        _try_to_add(draft, _bare_tube, "tube", clearance_nm)


def add_nested(draft: Draft, clearance_nm: float) -> None:
    """Add vesicles with shells or a vesicle inside."""
    for _ in range(draft.settings.nested):
        shells = draft.rng.random() < 0.5
        host = _try_to_add(draft, _plain_vesicle, "multilamellar" if shells else "host", clearance_nm)
        if host is not None:
            _fill(draft, host, shells)


def _try_to_add(
    draft: Draft, make: Callable[[Draft], Surface], role: str, clearance_nm: float
) -> Surface | None:
    for _ in range(8):
        surface = make(draft)
        if add_apart(draft, surface, role, clearance_nm):
            return surface
    return None


def _bare_tube(draft: Draft) -> Surface:
    direction = unit_vector(draft.rng) * [1.0, 1.0, 0.5]
    along = direction / np.linalg.norm(direction)
    path = bent_path(draft.place(10.0), two_across(along)[0], along, draft.draw((80.0, 400.0)), 60.0)
    return Tube(path, draft.draw((7.0, 15.0)))


def _plain_vesicle(draft: Draft) -> Surface:
    return drawn_vesicle(draft, draft.place(20.0), draft.draw((26.0, 44.0)))


def _fill(draft: Draft, host: Surface, shells: bool) -> None:
    """Shells 10 to 15 nm apart inside a vesicle, or one small vesicle."""
    assert isinstance(host, Vesicle)
    if not shells:
        inner = drawn_vesicle(draft, host.centre, draft.draw((0.3, 0.5)) * host.radius)
        shift = unit_vector(draft.rng) * 0.6 * (host.radius - inner.radius - 10.0)
        return draft.add(inner.moved(shift), "inside")
    step = draft.draw((10.0, 15.0))
    for shell in range(1, 3):
        radius = host.radius - shell * step
        if radius > 10.0:
            draft.add(Vesicle(host.centre, radius, host.orders, host.axes, host.heights), "shell")


def _drawn_carbon(view: Grid, rng: np.random.Generator) -> Carbon:
    """A film whose hole leaves a corner of the view covered."""
    low, high = view.corners_nm()
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    turn = rng.integers(4) * np.pi / 2 + np.pi / 4 + rng.uniform(-0.4, 0.4)
    towards = np.array([np.cos(turn), np.sin(turn)])
    radius = rng.uniform(500.0, 900.0)
    edge = middle[:2] + towards * rng.uniform(0.85, 1.05) * half[:2].min()
    height = middle[2] + rng.uniform(-0.6, 0.6) * half[2]
    return Carbon(edge - radius * towards, radius, float(height), float(rng.uniform(6.0, 10.0)))


def _drawn_beads(draft: Draft) -> Floats:
    """Gold beads (n, 4) x, y, z, radius in nm that stand clear of the membranes."""
    beads = []
    for _ in range(int(draft.rng.poisson(draft.settings.gold_beads))):
        radius = float(draft.rng.choice([2.5, 5.0]))
        place = draft.place(0.0)[None]
        if all(abs(surface.distance_nm(place)[0]) > radius + 4.0 for surface in draft.surfaces):
            beads.append([*place[0], radius])
    return np.array(beads).reshape(-1, 4)
