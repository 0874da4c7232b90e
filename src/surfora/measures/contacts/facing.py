"""How a membrane faces its partner: at every vertex the gap, the angles, and where the partner lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.nearest import Way, way_to
from surfora.geometry.surface import SurfaceMesh, boundary_vertices, vertex_normals

ON_A_CORNER = 1e-4  # weight of a corner below which a nearest point lies on the opposite edge


@dataclass(frozen=True)
class Facing:
    """A membrane, and of each vertex (n,) what lies nearest on its partner.

    ``gap_nm`` to the nearest point (infinite where there is none); ``partner`` the partner's vertex beside
    that point, −1 where there is none; ``way_deg`` 0–180 from the normal to the way there; ``facing_deg``
    0–180 between the normals of both membranes; ``along_normal_nm`` straight along the normal to the first
    hit, NaN where it misses; ``is_beyond`` where the nearest point lies on the partner's open border.
    """

    mesh: SurfaceMesh
    gap_nm: Floats
    partner: Ints
    way_deg: Floats
    facing_deg: Floats
    along_normal_nm: Floats
    is_beyond: Mask


def facing_partner(mesh: SurfaceMesh, partner: SurfaceMesh, way: Way | None = None) -> Facing:
    """How a mesh faces another one. Raises InputError where either has no triangle.

    way: from the mesh to its partner, where it is known already.
    """
    way = way or way_to(mesh, partner)
    found = way.nearest
    corners = partner.faces[found.triangle]
    nearest = np.take_along_axis(corners, found.shares.argmax(axis=1)[:, None], axis=1)[:, 0]
    own, other = normals_of(mesh), normals_of(partner)
    there = np.einsum("ij,ijk->ik", found.shares, other[corners])
    on_border = boundary_vertices(partner.faces, len(partner.vertices))[corners]
    return Facing(
        mesh,
        found.distance_nm,
        nearest,
        found.facing_deg,
        angles_deg(own, there),
        way.along_nm,
        is_beyond=np.all(on_border | (found.shares < ON_A_CORNER), axis=1),
    )


def normals_of(mesh: SurfaceMesh) -> Floats:
    """The normals (n, 3) of a mesh, from its winding where it has none."""
    return vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals


def angles_deg(first: Floats, second: Floats) -> Floats:
    """Angles (n,) 0–180 in degrees between vectors (n, 3); 90 where one of them is zero."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    along = np.einsum("ij,ij->i", first, second)
    cosine = np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 0)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
