"""The contacts of two finished surfaces: rows of contacts.csv and of its curve, and arrays on both meshes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.files import read_mesh
from surfora.geometry.nearest import Way, nearest_places
from surfora.geometry.surface import SurfaceMesh
from surfora.measures.contacts.curve import contact_curve, curve_thresholds
from surfora.measures.contacts.describe import contact_rows
from surfora.measures.contacts.facing import Facing, facing_partner
from surfora.measures.contacts.find import contacts_between
from surfora.measures.contacts.itself import facing_itself
from surfora.measures.contacts.settings import ContactSettings
from surfora.measures.distance_pairs import MeasuredSurface, Pair, S
from tomocore.contract import Progress, no_progress

ID, GAP = "contact_id", "contact_gap_nm"
THICKNESS = "bilayer_thickness_nm"


@dataclass(frozen=True)
class PairContacts:
    """What two membranes' contacts are: both surfaces with ``contact_id`` and ``contact_gap_nm``, the rows.

    Of one membrane with itself, ``second`` is ``first``. ``left_out`` counts contacts that were too small.
    """

    first: MeasuredSurface
    second: MeasuredSurface
    rows: list[dict[str, Any]]
    curve: list[dict[str, Any]]
    left_out: int
    left_out_nm2: float


def contacts_of_pair(
    first: MeasuredSurface,
    second: MeasuredSurface,
    threshold_nm: float,
    settings: ContactSettings = ContactSettings(),
    begin: int = 1,
    progress: Progress = no_progress,
    ways: tuple[Way | None, Way | None] = (None, None),
) -> PairContacts:
    """All contacts of two surfaces, or of one with itself where both are the same one.

    first, second: with all their arrays; those of other contacts that they carry are kept where these are
    nearer. threshold_nm: the gap below which is contact. begin: the number of the largest contact; the others
    follow. progress: told of the geodesics of a surface with itself. ways: from the first to the second and
    back, where they are known already.
    """
    is_fold = second is first
    along_nm = settings.self_along_nm or 2 * threshold_nm
    thresholds = curve_thresholds(threshold_nm, settings, along_nm if is_fold else None)
    if is_fold:
        one = other = facing_itself(_with_thickness(first), along_nm, max(thresholds), progress)
    else:
        meshes = _with_thickness(first), _with_thickness(second)
        one, other = facing_partner(*meshes, ways[0]), facing_partner(*meshes[::-1], ways[1])
    contacts = contacts_between(one, other, threshold_nm, settings)
    names = _names(first, second)
    rows = contact_rows(contacts, one.mesh, other.mesh)
    for row in rows:
        row["contact"] += begin - 1
    marked = _marked(first, one, contacts.first_ids, begin)
    return PairContacts(
        marked,
        marked if is_fold else _marked(second, other, contacts.second_ids, begin),
        [names | row for row in rows],
        [names | row for row in _curve_rows(one, other, thresholds, threshold_nm, settings)],
        contacts.left_out,
        contacts.left_out_nm2,
    )


def _curve_rows(
    one: Facing, other: Facing, thresholds_nm: Sequence[float], threshold_nm: float, settings: ContactSettings
) -> list[dict[str, Any]]:
    return [
        {
            "contact_distance_nm": point.threshold_nm,
            "contact_area_nm2": point.first_area_nm2,
            "target_contact_area_nm2": point.second_area_nm2,
            "contacts": point.contacts,
            "is_chosen": point.threshold_nm == threshold_nm,
        }
        for point in contact_curve(one, other, thresholds_nm, settings)
    ]


def _names(first: MeasuredSurface, second: MeasuredSurface) -> dict[str, Any]:
    """Who the two membranes of a contact are, as in distances.csv."""
    return {
        "name": first.name,
        "kind": first.facts.kind,
        "label": first.facts.label,
        "target": second.name,
        "target_kind": second.facts.kind,
        "target_label": second.facts.label,
        "roi": first.facts.roi,
    }


def _marked(surface: MeasuredSurface, facing: Facing, ids: Ints, begin: int) -> MeasuredSurface:
    """The surface with the number and the gap of the contact at each vertex, of several the nearest."""
    count = len(surface.mesh.vertices)
    known = surface.mesh.data.get(ID, np.zeros(count, np.int32))
    gap = surface.mesh.data.get(GAP, np.full(count, np.nan))
    nearer = (ids > 0) & ~(gap <= facing.gap_nm)
    arrays: dict[str, Any] = {
        ID: np.where(nearer, ids + begin - 1, known).astype(np.int32),
        GAP: np.where(nearer, facing.gap_nm, gap),
    }
    return replace(surface, mesh=surface.mesh.with_data(**arrays))


def _with_thickness(surface: MeasuredSurface) -> SurfaceMesh:
    """The mesh with the thickness that the outer leaflet beside it has nearest to each vertex, if any.

    The middle of a membrane has no thickness of its own; it comes with `--surface both`.
    """
    mesh = surface.mesh
    leaflet = surface.path.with_name(f"{surface.name}.outer.vtp")
    if surface.facts.kind != "medial" or THICKNESS in mesh.data or not leaflet.is_file():
        return mesh
    outer = read_mesh(leaflet)
    if THICKNESS not in outer.data or len(outer.faces) == 0:
        return mesh
    corners, shares = nearest_places(mesh.vertices, outer)
    thickness: Floats = np.einsum("ij,ij->i", outer.data[THICKNESS][corners], shares)
    return mesh.with_data(**{THICKNESS: thickness})


def without_contacts(surface: MeasuredSurface) -> MeasuredSurface:
    """The surface without the contacts of a run before."""
    data = {name: values for name, values in surface.mesh.data.items() if name not in (ID, GAP)}
    return replace(surface, mesh=replace(surface.mesh, data=data))


def contact_partners(surfaces: Sequence[S], distances: Sequence[Mapping[str, Any]]) -> list[tuple[S, S]]:
    """The surfaces that contacts are found between, each two membranes once, of the rows of distances.csv.

    From middle to middle; of membranes without a middle, from the leaflet (or the boundary of a filled body)
    that is nearer to the partner on average.
    """
    by_kind = {(surface.name, surface.facts.kind): surface for surface in surfaces}
    nearest: dict[tuple[str, str], tuple[bool, float, str]] = {}
    for row in distances:
        way = (row["name"], row["target"])
        rank = (row["kind"] != "medial", row["mean_nm"], row["kind"])
        nearest[way] = min(nearest.get(way, rank), rank)
    found = []
    for (name, target), (*_, kind) in nearest.items():
        back = nearest.get((target, name))
        if back is not None and (name <= target):
            found.append((by_kind[name, kind], by_kind[target, back[-1]]))
    return found


def folded_surfaces(surfaces: Sequence[S], pairs: Sequence[Pair]) -> list[S]:
    """The surfaces that a user asked for against themselves (OMM:OMM): the middle, else the boundary."""
    named = [s for s in surfaces if any(a == b and s.answers_to(a) for a, b in pairs)]
    middles = {s.name for s in named if s.facts.kind == "medial"}
    return [
        s
        for s in named
        if s.facts.kind == "medial" or (s.facts.kind == "isosurface" and s.name not in middles)
    ]
