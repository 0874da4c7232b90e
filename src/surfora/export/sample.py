"""Particles sampled from a surface: evenly spaced, their z axis along its normal."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from surfora.export.particles import Particles
from surfora.export.poses import along_normals
from surfora.geometry.arrays import Floats, Mask
from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import SurfaceMesh, face_areas_nm2, vertex_normals
from tomocore.contract import InputError

InPlane = Literal["random", "zero"]
DENSE = 12  # random points on the area that one sampled point stands for
COMPARED = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt,
            ">": operator.gt}  # fmt: skip
CONDITION = re.compile(r"\s*([\w.:]+)\s*(<=|>=|==|!=|<|>)\s*([-+\d.eE]+)\s*")


def sampled_particles(
    mesh: SurfaceMesh, spacing_nm: float, in_plane: InPlane = "random", where: str = "", seed: int = 0
) -> Particles:
    """Points on a mesh no nearer to each other than ``spacing_nm``, nowhere farther than that from the next.

    Their z axis is the normal; the angle about it is drawn at random, or 0 with ``in_plane`` "zero": nothing
    on a surface tells it. ``where`` limits them by arrays of the mesh, as "contact_gap_nm < 25 and
    evidence == 0". Raises InputError where it cannot be read, or no point is left.
    """
    if not spacing_nm > 0:
        raise InputError(f"--spacing {spacing_nm:g}: must be a positive number of nm")
    random = np.random.default_rng(seed)
    corners, shares = _dense(mesh, spacing_nm, random)
    places = np.einsum("ij,ijk->ik", shares, mesh.vertices[corners])
    if where:
        kept = chosen_by(where, mesh.data, corners, shares)
        corners, shares, places = corners[kept], shares[kept], places[kept]
    if len(places) == 0:
        raise InputError(f"no point of the surface is left{f' where {where}' if where else ''}; loosen it")
    kept_at = poisson_disc(places, spacing_nm, seed=seed)
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    normal = np.einsum("ij,ijk->ik", shares[kept_at], normals[corners[kept_at]])
    turn = random.uniform(-180, 180, len(kept_at)) if in_plane == "random" else np.zeros(len(kept_at))
    return Particles(places[kept_at], along_normals(normal, turn), ("",) * len(kept_at))


def _dense(mesh: SurfaceMesh, spacing_nm: float, random: np.random.Generator) -> tuple[Any, Floats]:
    """Random points on the mesh, evenly over its area: corners (k, 3) and their shares (k, 3)."""
    areas = face_areas_nm2(mesh.vertices, mesh.faces)
    count = int(np.ceil(DENSE * areas.sum() / spacing_nm**2)) + 1
    face = random.choice(len(areas), count, p=areas / areas.sum())
    u, v = np.sqrt(random.random(count)), random.random(count)
    return mesh.faces[face], np.column_stack([1 - u, u * (1 - v), u * v])


def chosen_by(where: str, data: Mapping[str, NDArray[Any]], corners: Any, shares: Floats) -> Mask:
    """Which places fulfil conditions on arrays, joined by "and". Real values are interpolated.

    corners, shares: (k, 3) of the places. An array without a value there (NaN) fulfils none. Raises
    InputError for what is no such condition, and for arrays that the mesh does not have.
    """
    kept = np.ones(len(shares), dtype=bool)
    for part in re.split(r"\band\b", where):
        found = CONDITION.fullmatch(part)
        if found is None:
            raise InputError(
                f'--where "{where}": not conditions as in "contact_gap_nm < 25 and evidence == 0"'
            )
        name, sign, number = found.groups()
        if name not in data:
            raise InputError(
                f"--where {name}: no such array; the mesh has {', '.join(sorted(data)) or 'none'}"
            )
        values = data[name]
        if values.dtype.kind == "f":
            at = np.einsum("ij,ij->i", shares, values[corners])
        else:
            nearest = np.take_along_axis(corners, shares.argmax(axis=1)[:, None], axis=1)[:, 0]
            at = values[nearest]
        try:
            kept &= COMPARED[sign](at, float(number))
        except ValueError:
            raise InputError(f'--where "{part.strip()}": {number} is no number') from None
    return kept
