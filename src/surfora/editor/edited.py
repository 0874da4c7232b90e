"""A surface as edits leave it: points taken out, normals turned, classes set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Ints, Mask, Points
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.surface import PointCloud, SurfaceMesh

LABEL = "label"
TURNED = (
    *("mean_curvature_per_nm", "shape_index"),
    *("density_middle_offset_nm", "density_shift_nm", "leaflet_asymmetry"),
)
"""Arrays whose sign is that of the normals."""
PROFILE, BEHIND = "density_at_", "minus_"
"""How arrays of the density at an offset along the normal begin, and what follows at one against it."""
PRINCIPAL = ("k1_per_nm", "k2_per_nm")
DIRECTION = "k1_direction"

Surface = PointCloud | SurfaceMesh


def places_of(surface: Surface) -> Floats:
    """Points or vertices (n, 3) in nm."""
    return surface.vertices if isinstance(surface, SurfaceMesh) else surface.points


def edited_surface(surface: Surface, kept: Mask, flipped: Mask, label: Ints) -> Surface:
    """The surface with the points that are ``kept`` (n,), the ``flipped`` ones turned, and ``label`` (n,).

    Of a mesh the triangles stay whose corners all do, wound the other way where they are flipped. Curvatures
    change their sign with the normals. Labels become the array ``label`` where any is set.
    """
    data = turned_arrays(surface.data, surface.normals, flipped)
    if label.any() or LABEL in data:
        data[LABEL] = label.astype(np.int16)
    normals = surface.normals
    if normals is not None:
        normals = np.where(flipped[:, None], -normals, normals)
    if isinstance(surface, PointCloud):
        return PointCloud(surface.points, normals, data).at(kept)
    whole: Mask = np.asarray(kept[surface.faces].all(axis=1))
    faces = surface.faces[whole]
    of_triangles: Mask = np.asarray(flipped[faces].all(axis=1))
    faces = np.where(of_triangles[:, None], faces[:, ::-1], faces)
    return SurfaceMesh(surface.vertices, faces, normals, data).with_faces(faces)


def turned_arrays(
    data: Mapping[str, NDArray[Any]], normals: Points | None, flipped: Mask
) -> dict[str, NDArray[Any]]:
    """Arrays as they are about the other side of a surface, where ``flipped`` (n,): H and both k change sign.

    The larger principal curvature becomes the smaller one, so that its direction (``k1_direction``) turns
    about the ``normals`` (n, 3) by a right angle. Profiles of the density run the other way.
    """
    turned = dict(data)
    if not flipped.any():
        return turned
    for name in (name for name in data if name.startswith(PROFILE)):
        across = data.get(_at_other_side(name), np.full(len(flipped), np.nan))
        turned[name] = np.where(flipped, across, data[name])
    for name in TURNED:
        if name in data:
            turned[name] = np.where(flipped, -data[name], data[name])
    if all(name in data for name in PRINCIPAL):
        first, second = (data[name] for name in PRINCIPAL)
        turned["k1_per_nm"] = np.where(flipped, -second, first)
        turned["k2_per_nm"] = np.where(flipped, -first, second)
    if DIRECTION in data and normals is not None:
        across = np.cross(normals, data[DIRECTION])
        turned[DIRECTION] = np.where(flipped[:, None], across, data[DIRECTION])
    return turned


def _at_other_side(name: str) -> str:
    """The array of the density at the opposite offset; that of no offset is its own."""
    offset = name.removeprefix(PROFILE)
    if offset == "0_nm":
        return name
    return PROFILE + (offset.removeprefix(BEHIND) if offset.startswith(BEHIND) else BEHIND + offset)


def edited_facts(facts: SurfaceFacts | None) -> SurfaceFacts | None:
    """What an edited surface knows of itself: a NAME of its own, and that its side was decided by hand."""
    if facts is None:
        return None
    rule = ", ".join(part for part in (facts.orientation_rule, "edited") if part)
    return replace(facts, name=f"{facts.name}.edited", orientation_rule=rule, identity="")
