"""The surfaces and contacts of a run as a part of a page that turns in the browser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from surfora.geometry.surface import SurfaceMesh
from surfora.measures.distance_pairs import read_measured
from surfora.reporting.contact_objects import contact_in_words, worded_contacts
from surfora.reporting.naming import across_places, full_name, surface_with_kind, with_words
from surfora.viewer.reduction import reduced_mesh
from surfora.viewer.scene import MOST_VERTICES, SceneContact, SceneSurface
from tomocore.page import address_of, mean_and_spread, shown

SHOWN_FIRST = ("medial", "isosurface")
"""The kinds that are seen before anybody asks: the first one that a membrane has."""
PLACED = ("contact", "centre_x_nm", "centre_y_nm", "centre_z_nm", "length_nm")


class SmallerMeshes:
    """The meshes of a run, by file, as small as its page can show; what was read for pictures is not again.

    No more of them is held than a page can show, since those of a whole run may not fit into memory.
    """

    def __init__(self, surfaces: pd.DataFrame) -> None:
        """``surfaces``: the table of surfaces.csv, for how many vertices there are in all."""
        vertices = surfaces["vertices"].sum() if "vertices" in surfaces else math.inf
        self._vertices, self._count = vertices, max(len(surfaces), 1)
        self._held: dict[Path, tuple[SurfaceMesh, int]] = {}

    def take(self, path: Path, mesh: SurfaceMesh) -> None:
        """Hold of a mesh that was read for something else what a page shows, as copies, and no more."""
        share = len(mesh.vertices) / self._vertices if 0 < self._vertices < math.inf else 1 / self._count
        small = reduced_mesh(mesh, int(MOST_VERTICES * share))
        data = {name: values.copy() for name, values in small.data.items()}
        copied = SurfaceMesh(small.vertices.copy(), small.faces.copy(), None, data)
        self._held[path] = copied, len(mesh.faces)

    def of(self, path: Path) -> tuple[SurfaceMesh, int]:
        """The mesh of a file made smaller, and how many triangles it had."""
        if path not in self._held:
            self.take(path, read_measured(path).mesh)
        return self._held[path]


def run_surfaces(
    folder: Path, surfaces: pd.DataFrame, smaller: SmallerMeshes | None = None
) -> list[SceneSurface]:
    """The surfaces of a run as its page turns them, in the order of surfaces.csv; none without a file.

    Of several tomograms or masks with labels those of the first are shown before anybody asks. ``smaller``
    holds the meshes that were read for pictures.
    """
    found: list[SceneSurface] = []
    if surfaces.empty:
        return found
    smaller = smaller or SmallerMeshes(surfaces)
    several = surfaces["kind"].nunique() > 1
    kinds = surfaces.groupby("name")["kind"].agg(set)
    rows = with_words(surfaces).to_dict("records")
    for row in rows:
        path = folder / f"{full_name(row)}.vtp"
        if path.exists():
            first = next((kind for kind in SHOWN_FIRST if kind in kinds[row["name"]]), row["kind"])
            title = surface_with_kind(across_places(row["place"], row["surface"]), row["kind"], several)
            group = across_places(row["place"], row["membrane"])
            mesh, triangles = smaller.of(path)
            is_shown = row["kind"] == first and row["place"] == rows[0]["place"]
            found.append(SceneSurface(full_name(row), title, group, mesh, is_shown, triangles))
    return found


def run_contacts(contacts: pd.DataFrame) -> list[SceneContact]:
    """The contacts of a run as its page flies to them: those of which its table tells where they are."""
    if not set(PLACED) <= set(contacts.columns):
        return []
    placed = contacts[np.isfinite(contacts[[*PLACED]].astype(float)).all(axis=1)]
    return [_contact(row) for row in worded_contacts(placed).to_dict("records")]


def contact_address(row: Mapping[str, Any], page: str = "") -> str:
    """Where a contact of a table is seen: in this page, or in another one whose path is given."""
    return address_of(page, contact=row["number"])


def _contact(row: Mapping[str, Any]) -> SceneContact:
    gap = mean_and_spread(row["gap_mean_nm"], row["gap_sd_nm"]).text
    numbers = [
        ("gap", f"{gap} nm"),
        ("smallest gap", f"{shown(row['gap_min_nm'])} nm"),
        ("area", f"{shown(row['contact_area_nm2'])} nm²"),
        ("length × width", f"{shown(row['length_nm'])} × {shown(row['width_nm'])} nm"),
        ("cut by", str(row["cut_by"])),
    ]
    x, y, z = (float(row[f"centre_{axis}_nm"]) for axis in "xyz")
    return SceneContact(
        int(row["number"]),
        contact_in_words(row),
        (full_name(row), f"{row['target']}.{row['target_kind']}"),
        (x, y, z),
        float(row["length_nm"]),
        tuple((words, value) for words, value in numbers if value),
    )
