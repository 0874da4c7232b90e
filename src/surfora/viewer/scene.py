"""Surfaces, contacts and slices as a part of a page that turns, within a given number of bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np

from surfora.geometry.surface import SurfaceMesh
from surfora.measures.contacts.contacts_of_pair import ID
from surfora.viewer.measures import Measure, colour_table, measures_of, with_nearest
from surfora.viewer.packing import packed, packed_faces, packed_points, packed_values
from surfora.viewer.reduction import reduced_mesh
from surfora.viewer.slices import Slices
from tomocore.page import Live

SCRIPTS = ("unpack.js", "camera.js", "drawing.js", "slice.js", "viewer.js")
"""In the order in which they are read; none needs a module loader, which pages in files do not have."""
MOST_BYTES = 5_500_000
"""Of all surfaces as text; with slices and tables, a page so stays below 10 MB."""
VERTEX_BYTES, VALUE_BYTES = 13.0, 1.0
"""What a vertex with its two triangles takes as text, and a value: a guess, as what comes out is checked."""
MOST_VERTICES = int(MOST_BYTES / (VERTEX_BYTES + 10 * VALUE_BYTES))
"""More than so many, of all surfaces with ten values each, no page shows."""
TRIES = 5


@dataclass(frozen=True)
class SceneSurface:
    """A surface to turn: NAME.kind, its title, the membrane that gives it its colour, its mesh.

    ``is_shown`` tells whether it is seen before anybody asks for it, ``of_triangles`` how many triangles the
    surface has where the mesh was made smaller already.
    """

    name: str
    title: str
    group: str
    mesh: SurfaceMesh
    is_shown: bool = True
    of_triangles: int = 0


@dataclass(frozen=True)
class SceneContact:
    """A contact to fly to: its number, title, the names of its surfaces, its centre and length in nm.

    ``numbers`` are what is read of it: words and values.
    """

    number: int
    title: str
    surfaces: tuple[str, ...]
    centre_nm: tuple[float, float, float]
    length_nm: float
    numbers: tuple[tuple[str, str], ...] = ()


def live_scene(
    surfaces: Sequence[SceneSurface],
    contacts: Sequence[SceneContact] = (),
    slices: Slices | None = None,
    most_bytes: int = MOST_BYTES,
) -> Live:
    """The part of a page in which surfaces turn, are coloured by any array, and contacts are picked.

    surfaces: at least one. contacts: those that tables link to as ``#contact=NUMBER``. slices: those of the
    tomogram, if there is one. Meshes are made smaller until all take at most ``most_bytes`` of text.
    """
    prepared = [replace(one, mesh=with_nearest(one.mesh)) for one in surfaces]
    measures = measures_of([one.mesh for one in prepared])
    rows = _rows_within(prepared, measures, most_bytes)
    drawn = sum(row["triangles"] for row in rows)
    whole = sum(one.of_triangles or len(one.mesh.faces) for one in surfaces)
    data = {
        "surfaces": rows,
        "measures": [measure.row() for measure in measures],
        "colours": {name: packed(colour_table(name)) for name in {m.colours for m in measures}},
        "contacts": [_contact_row(contact, surfaces) for contact in contacts],
        "slices": slices.row() if slices else None,
        "drawn_share": drawn / max(whole, 1),
    }
    room = files("surfora.viewer")
    scripts = "\n".join(room.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    return Live("scene", room.joinpath("viewer.html").read_text(encoding="utf-8"), scripts, data)


def _rows_within(
    surfaces: Sequence[SceneSurface], measures: Sequence[Measure], most_bytes: int
) -> list[dict[str, Any]]:
    """The rows of all surfaces, with the same share of the vertices of each, so that all take few bytes."""
    counts = [len(one.mesh.vertices) for one in surfaces]
    share = min(1.0, most_bytes / (max(sum(counts), 1) * (VERTEX_BYTES + VALUE_BYTES * len(measures))))
    for _ in range(TRIES):
        # From what the try before left, since most of the time goes into the first reduction.
        surfaces = [
            replace(one, mesh=reduced_mesh(one.mesh, int(share * count)))
            for one, count in zip(surfaces, counts, strict=True)
        ]
        rows = [_surface_row(one, measures) for one in surfaces]
        taken = len(json.dumps(rows))
        if taken <= most_bytes:
            break
        share *= 0.9 * most_bytes / taken
    return rows


def _surface_row(surface: SceneSurface, measures: Sequence[Measure]) -> dict[str, Any]:
    mesh = surface.mesh
    values = {
        m.column.key: packed_values(mesh.data[m.column.key].astype(np.float64), m.low, m.high)
        for m in measures
        if m.column.key in mesh.data
    }
    return {
        "name": surface.name,
        "title": surface.title,
        "group": surface.group,
        "shown": surface.is_shown,
        "triangles": len(mesh.faces),
        "points": packed_points(mesh.vertices),
        "faces": packed_faces(mesh.faces),
        "values": values,
        "contact": packed(mesh.data[ID].astype(np.uint16)) if ID in mesh.data else None,
    }


def _contact_row(contact: SceneContact, surfaces: Sequence[SceneSurface]) -> dict[str, Any]:
    places = {one.name: k for k, one in enumerate(surfaces)}
    return {
        "number": contact.number,
        "title": contact.title,
        "surfaces": [places[name] for name in dict.fromkeys(contact.surfaces) if name in places],
        "centre": contact.centre_nm,
        "length": contact.length_nm,
        "numbers": contact.numbers,
    }
