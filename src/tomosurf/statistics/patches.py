"""Contacts against random patches of the same membranes: is curvature or thickness different there?

A value at contacts alone says nothing: membranes are curved everywhere. So of each contact as many patches of
the same area are drawn on the same surface, geodesic discs about random points, from what is left of it when
all contacts are cut out. What the contact and its patches differ in is one value; tomograms, not patches, are
then tested. Discs are rounder than most contacts, which matters where a measure changes along the membrane
within a contact's length.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2, vertex_normals
from surfora.measures.contacts.contacts_of_pair import ID
from surfora.measures.distance_pairs import MeasuredSurface, read_measured
from surfora.measures.geodesics import ball, new_front, triangle_fans
from surfora.measures.statistics import weighted_mean
from tomocore.contract import FAILURES, Progress, no_progress, one_line
from tomosurf.statistics.hierarchy import GRID, TOMOGRAM

log = logging.getLogger(__name__)

ARRAYS = ("mean_curvature_per_nm", "bilayer_thickness_nm", "roughness_nm")
KNOWN_SHARE = 0.5
"""Least share of a patch's area that needs a value, else it has none."""
TRIES = 5
"""So many times the patches wanted are tried, before a contact has too few."""
FEWEST = 20
"""Of fewer patches than this a contact has no value to be compared with."""


@dataclass(frozen=True)
class Remainder:
    """What is left of a surface without its contacts, ready to draw patches from."""

    mesh: SurfaceMesh
    normals: Floats
    areas: Floats
    fans: tuple[Any, ...]
    front: Any


def remainder_of(mesh: SurfaceMesh, ids: Ints) -> Remainder | None:
    """The triangles whose three corners lie in no contact (``ids`` 0); None where nothing is left."""
    outside = (ids[mesh.faces] == 0).all(axis=1)
    if not outside.any():
        return None
    rest = mesh.with_faces(mesh.faces[outside])
    normals = rest.normals if rest.normals is not None else vertex_normals(rest.vertices, rest.faces)
    areas = vertex_areas_nm2(rest.vertices, rest.faces)
    fans = triangle_fans(rest.vertices, rest.faces).arrays
    return Remainder(rest, normals, areas, fans, new_front(len(rest.vertices)))


def patch_about(rest: Remainder, source: int, area_nm2: float) -> tuple[Ints, Floats] | None:
    """The vertices (k,) nearest along the surface whose area is as given, and the area of each (k,) in nm².

    The farthest counts with what is still missing. None where the piece of surface is too small.
    """
    reach = 1.3 * np.sqrt(area_nm2 / np.pi)
    known = -1
    while True:
        count = ball(rest.front, source, reach, rest.mesh.vertices, rest.normals, *rest.fans)
        members, distances = rest.front[1][:count], rest.front[2][:count]
        order = np.argsort(distances, kind="stable")
        members = members[order].astype(np.int64)
        sums = np.cumsum(rest.areas[members])
        if sums[-1] >= area_nm2:
            break
        if count == known:
            return None
        known, reach = count, 1.5 * reach
    last = int(np.searchsorted(sums, area_nm2))
    weights = rest.areas[members[: last + 1]].copy()
    weights[-1] -= sums[last] - area_nm2
    return members[: last + 1], weights


def random_patches(
    rest: Remainder, area_nm2: float, count: int, rng: np.random.Generator
) -> Iterator[tuple[Ints, Floats]]:
    """Up to ``count`` patches of an area about points that are as likely anywhere on the surface."""
    found = 0
    shares = np.cumsum(rest.areas) / rest.areas.sum()
    for _ in range(TRIES * count):
        source = int(np.searchsorted(shares, rng.random()))
        patch = patch_about(rest, min(source, len(shares) - 1), area_nm2)
        if patch is not None:
            found += 1
            yield patch
        if found == count:
            return


def patch_value(values: Floats, members: Ints, weights: Floats) -> float:
    """Mean over area of the values in a patch; NaN where less than half of its area has one."""
    inside = values[members]
    known = np.isfinite(inside)
    if weights[known].sum() < KNOWN_SHARE * weights.sum():
        return float("nan")
    return weighted_mean(inside, weights)


def contact_patches(
    mesh: SurfaceMesh, ids: Ints, count: int, rng: np.random.Generator, names: Sequence[str] = ARRAYS
) -> list[dict[str, Any]]:
    """A row a contact on a mesh: its value of each array, and mean, SD and rank among random patches.

    ``ids`` (n,) are the contacts' numbers, 0 outside; ``count`` patches are drawn for each; ``names`` are the
    arrays. The rank is the share of patches with a smaller value: 0.5 where the contact is like elsewhere.
    Values are NaN of a contact that finds fewer than `FEWEST` patches, such as one larger than what is left.
    """
    arrays = {name: mesh.data[name] for name in names if name in mesh.data}
    rest = remainder_of(mesh, ids)
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    rows = []
    for number in np.unique(ids[ids > 0]).tolist():
        inside = np.flatnonzero(ids == number)
        area = float(areas[inside].sum())
        if area <= 0:
            continue
        patches = [] if rest is None else list(random_patches(rest, area, count, rng))
        row: dict[str, Any] = {"contact": number, "area_nm2": area, "patches": len(patches)}
        for name, values in arrays.items():
            own = patch_value(values, inside, areas[inside])
            row |= _compared(name, own, _values_of(rest, name, patches))
        rows.append(row)
    return rows


def _values_of(rest: Remainder | None, name: str, patches: Sequence[tuple[Ints, Floats]]) -> Floats:
    if rest is None:
        return np.empty(0)
    values = np.array([patch_value(rest.mesh.data[name], *patch) for patch in patches], np.float64)
    return values[np.isfinite(values)]


def _compared(name: str, own: float, drawn: Floats) -> dict[str, float]:
    enough = len(drawn) >= FEWEST and np.isfinite(own)
    return {
        f"{name}_contact": own if enough else np.nan,
        f"{name}_random": float(drawn.mean()) if enough else np.nan,
        f"{name}_random_sd": float(drawn.std(ddof=1)) if enough else np.nan,
        f"{name}_rank": float((drawn < own).mean() + 0.5 * (drawn == own).mean()) if enough else np.nan,
    }


def patch_table(
    folders: Mapping[str, Path],
    tomograms: pd.DataFrame,
    by: str,
    count: int,
    seed: int = 0,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """A row a contact and side, over the meshes in the tomograms' ``folders`` that carry contacts.

    ``tomograms`` has columns "tomogram", ``by`` and "grid"; ``count`` patches are drawn for each contact.
    Meshes that cannot be read are told and left out. Each surface has a seed of its own, so that one more
    tomogram changes nothing of the others.
    """
    files = [
        (name, path) for name in tomograms[TOMOGRAM] if name in folders for path in _meshes(folders[name])
    ]
    rows: list[dict[str, Any]] = []
    for at, (name, path) in enumerate(files):
        surface = _with_contacts(path)
        if surface is not None:
            rng = np.random.default_rng([seed, *path.name.encode()])
            ids = np.asarray(surface.mesh.data[ID]).astype(np.int64)
            facts = surface.facts
            named = {TOMOGRAM: name, "name": facts.name, "kind": facts.kind, "label": facts.label}
            rows += [named | row for row in contact_patches(surface.mesh, ids, count, rng)]
        progress(at + 1, len(files))
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).merge(tomograms[[TOMOGRAM, by, GRID]], on=TOMOGRAM)


def _meshes(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.vtp")) if not path.name.endswith(".points.vtp")]


def _with_contacts(path: Path) -> MeasuredSurface | None:
    """The surface in a file if it carries contacts."""
    try:
        surface = read_measured(path)
    except FAILURES as error:
        log.warning("left out of the patches: %s", one_line(error))
        return None
    return surface if ID in surface.mesh.data and np.any(surface.mesh.data[ID] > 0) else None
