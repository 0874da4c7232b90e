"""Contacts: where two membranes are within a threshold, cut along that very line and joined across the gap.

Of either membrane the area counts whose nearest point of the other is closer than the threshold. The line is
cut through the triangles by linear interpolation, so that areas do not depend on where vertices happen to
lie. Small holes are closed, connected areas are patches, and patches of both membranes that look at each
other are one contact, which so has one number on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from surfora.geometry.arrays import Faces, Floats, Ints, Mask
from surfora.geometry.cut import cut_mesh
from surfora.geometry.pieces import component_of_vertices
from surfora.geometry.surface import SurfaceMesh, boundary_vertices, face_areas_nm2
from surfora.measures.contacts.facing import Facing
from surfora.measures.contacts.settings import ContactSettings

GAP, WAY, FACING, ALONG, BEYOND, BORDER = (
    "contact: gap_nm",
    "contact: way_deg",
    "contact: facing_deg",
    "contact: along_normal_nm",
    "contact: is_beyond",
    "contact: is_border",
)
"""Vertex arrays of a patch, beside those of its membrane."""


@dataclass(frozen=True)
class Contact:
    """One contact: its patches on both membranes as meshes with arrays, and their number on either side.

    Against itself a membrane has one ``second`` that is its ``first``: both faces of the fold.
    """

    number: int
    first: SurfaceMesh
    second: SurfaceMesh
    patches: tuple[int, int]

    @property
    def is_fold(self) -> bool:
        """Whether a membrane is in contact with itself."""
        return self.first is self.second

    @property
    def area_nm2(self) -> float:
        """Mean area of both sides in nm²."""
        own = sum(float(_areas(side).sum()) for side in (self.first, self.second)) / 2
        return own / 2 if self.is_fold else own


@dataclass(frozen=True)
class Contacts:
    """The contacts of two membranes at one threshold, largest first, numbered from 1.

    ``first_ids`` (n,) and ``second_ids`` (k,) are the numbers at the vertices of both membranes, 0 outside.
    ``left_out`` counts the contacts that were too small, ``left_out_nm2`` is their area.
    """

    threshold_nm: float
    found: tuple[Contact, ...]
    first_ids: Ints
    second_ids: Ints
    left_out: int
    left_out_nm2: float


@dataclass(frozen=True)
class _Patches:
    """A membrane cut along the threshold line: which of its faces (m,) are in contact, and in which patch."""

    mesh: SurfaceMesh
    faces: Faces
    patch: Ints
    of_vertex: Ints

    @property
    def count(self) -> int:
        return int(self.patch.max(initial=-1)) + 1

    @property
    def areas_nm2(self) -> Floats:
        """Area of each patch."""
        return np.asarray(np.bincount(self.patch, face_areas_nm2(self.mesh.vertices, self.faces)), np.float64)


def contacts_between(
    first: Facing, second: Facing, threshold_nm: float, settings: ContactSettings = ContactSettings()
) -> Contacts:
    """All contacts of two membranes, or of one with itself where ``second`` is ``first``.

    first, second: how each membrane faces the other. threshold_nm: the gap below which is contact. The result
    is the same but for the sides where the two change places.
    """
    both = _grouped(first, second, threshold_nm, settings)
    if both is None:
        return _none(first, second, threshold_nm)
    one, other, groups, areas, kept = both
    number = np.zeros(len(areas) + 1, dtype=np.int64)  # the last one: no patch, no contact
    number[kept] = np.arange(1, len(kept) + 1)
    of_patch = np.append(number[groups], 0)
    second_of_patch = of_patch if one is other else np.append(of_patch[one.count : -1], 0)
    return Contacts(
        threshold_nm,
        tuple(_contact(one, other, groups == group, place) for place, group in enumerate(kept, start=1)),
        _ids(one, of_patch[[*range(one.count), -1]], len(first.mesh.vertices)),
        _ids(other, second_of_patch, len(second.mesh.vertices)),
        left_out=len(areas) - len(kept),
        left_out_nm2=float(areas.sum() - areas[kept].sum()),
    )


def contact_count(first: Facing, second: Facing, threshold_nm: float, settings: ContactSettings) -> int:
    """How many contacts `contacts_between` finds."""
    both = _grouped(first, second, threshold_nm, settings)
    return 0 if both is None else len(both.kept)


class _Groups(NamedTuple):
    """Both membranes' patches, which group each is in, the groups' areas, and those kept, largest first."""

    one: _Patches
    other: _Patches
    group: Ints
    areas_nm2: Floats
    kept: list[int]


def _grouped(first: Facing, second: Facing, threshold_nm: float, settings: ContactSettings) -> _Groups | None:
    """The patches of both membranes and the contacts that they make; None where none is near the other."""
    if min(first.gap_nm.min(), second.gap_nm.min()) >= threshold_nm:
        return None
    is_fold = second is first
    one = _patches(first, threshold_nm, settings)
    other = one if is_fold else _patches(second, threshold_nm, settings)
    groups = _joined(one, other, first, second)
    areas = np.bincount(groups, np.concatenate([one.areas_nm2, [] if is_fold else other.areas_nm2])) / 2
    order = np.argsort(-areas, kind="stable").tolist()
    return _Groups(
        one, other, groups, areas, [group for group in order if areas[group] >= settings.smallest_area_nm2]
    )


def _none(first: Facing, second: Facing, threshold_nm: float) -> Contacts:
    one, other = (np.zeros(len(facing.gap_nm), dtype=np.int64) for facing in (first, second))
    return Contacts(threshold_nm, (), one, other, left_out=0, left_out_nm2=0.0)


def _patches(facing: Facing, threshold_nm: float, settings: ContactSettings) -> _Patches:
    mesh = facing.mesh.with_data(
        **{
            GAP: np.minimum(facing.gap_nm, 2 * threshold_nm),
            WAY: facing.way_deg,
            FACING: facing.facing_deg,
            ALONG: facing.along_normal_nm,
            BEYOND: facing.is_beyond.astype(np.float64),
        }
    )
    cut, above = cut_mesh(mesh, mesh.data[GAP], threshold_nm)
    border = boundary_vertices(cut.faces, len(cut.vertices))
    within = ~above | _small_holes(cut, above, border, settings.largest_hole_nm2)
    faces = cut.faces[within]
    piece = component_of_vertices(faces, len(cut.vertices))
    is_patch = np.zeros(len(cut.vertices), dtype=bool)
    is_patch[piece[faces[:, 0]]] = True
    of_vertex = np.where(is_patch, np.cumsum(is_patch) - 1, -1)[piece]
    return _Patches(cut.with_data(**{BORDER: border}), faces, of_vertex[faces[:, 0]], of_vertex)


def _small_holes(cut: SurfaceMesh, above: Mask, border: Mask, largest_nm2: float) -> Mask:
    """Which faces (m,) lie in holes of the contact that are small and nowhere at the mesh's open border."""
    in_contact = np.zeros(len(cut.vertices), dtype=bool)
    in_contact[cut.faces[~above]] = True
    outside = cut.faces[above]
    piece = component_of_vertices(outside, len(cut.vertices))
    area = np.bincount(piece[outside[:, 0]], _face_areas(cut, outside), minlength=len(cut.vertices))
    is_hole = np.zeros(len(cut.vertices), dtype=bool)
    is_hole[piece[outside[in_contact[outside]]]] = True
    is_hole[piece[outside[border[outside]]]] = False
    holes = np.zeros(len(cut.faces), dtype=bool)
    holes[above] = (is_hole & (area < largest_nm2))[piece[outside[:, 0]]]
    return holes


def _joined(one: _Patches, other: _Patches, first: Facing, second: Facing) -> Ints:
    """The contact of each patch, those of ``one`` before those of ``other``, by who looks at whom."""
    if one is other:
        links, total = [_looks(one, one, first.partner, 0, 0)], one.count
    else:
        back = _looks(other, one, second.partner, one.count, 0)
        links = [_looks(one, other, first.partner, 0, one.count), back]
        total = one.count + other.count
    pairs = np.concatenate(links)
    graph = coo_array((np.ones(len(pairs), np.int8), pairs.T), shape=(total, total))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _looks(one: _Patches, other: _Patches, partner: Ints, shift: int, other_shift: int) -> Ints:
    """Pairs of patches, each numbered from its shift on, of which a vertex of the one looks at the other."""
    here, there = one.of_vertex[: len(partner)], other.of_vertex[partner]
    seen = (here >= 0) & (there >= 0) & (partner >= 0)
    pairs = np.unique(here[seen] * other.count + there[seen])  # one number a pair, sorted ten times as fast
    here, there = np.divmod(pairs, max(other.count, 1))
    return np.column_stack([here + shift, there + other_shift])


def _contact(one: _Patches, other: _Patches, chosen: Mask, number: int) -> Contact:
    """The patches chosen (those of ``one`` before those of ``other``) as one contact of this number."""
    own, across = chosen[: one.count], chosen[one.count :]
    first = one.mesh.with_faces(one.faces[own[one.patch]])
    if one is other:
        return Contact(number, first, first, (int(own.sum()), int(own.sum())))
    second = other.mesh.with_faces(other.faces[across[other.patch]])
    return Contact(number, first, second, (int(own.sum()), int(across.sum())))


def _ids(patches: _Patches, of_patch: Ints, count: int) -> Ints:
    """The contact's number at each of the first ``count`` vertices; ``of_patch`` ends with that of −1."""
    return of_patch[patches.of_vertex[:count]]


def _areas(mesh: SurfaceMesh) -> Floats:
    return face_areas_nm2(mesh.vertices, mesh.faces)


def _face_areas(mesh: SurfaceMesh, faces: Faces) -> Floats:
    return face_areas_nm2(mesh.vertices, faces)
