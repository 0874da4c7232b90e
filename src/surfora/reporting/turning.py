"""The surfaces and contacts of a run as a part of a page that turns in the browser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from surfora.measures.distance_pairs import read_measured
from surfora.reporting.contact_objects import contact_in_words, worded_contacts
from surfora.reporting.naming import across_places, full_name, surface_with_kind, with_words
from surfora.viewer.reduction import reduced_mesh
from surfora.viewer.scene import MOST_VERTICES, SceneContact, SceneSurface
from tomocore.page import address_of, mean_and_spread, shown

SHOWN_FIRST = ("medial", "isosurface")
"""The kinds that are seen before anybody asks: the first one that a membrane has."""
PLACED = ("contact", "centre_x_nm", "centre_y_nm", "centre_z_nm", "length_nm")


def run_surfaces(folder: Path, surfaces: pd.DataFrame) -> list[SceneSurface]:
    """The surfaces of a run as its page turns them, in the order of surfaces.csv; none without a file.

    Of several tomograms or masks with labels those of the first are shown before anybody asks. No more of the
    meshes is held than a page can show, since those of a whole run may not fit into memory.
    """
    found: list[SceneSurface] = []
    if surfaces.empty:
        return found
    vertices = surfaces["vertices"].sum() if "vertices" in surfaces else math.inf
    several = surfaces["kind"].nunique() > 1
    kinds = surfaces.groupby("name")["kind"].agg(set)
    rows = with_words(surfaces).to_dict("records")
    for row in rows:
        path = folder / f"{full_name(row)}.vtp"
        if path.exists():
            first = next((kind for kind in SHOWN_FIRST if kind in kinds[row["name"]]), row["kind"])
            title = surface_with_kind(across_places(row["place"], row["surface"]), row["kind"], several)
            group = across_places(row["place"], row["membrane"])
            mesh = read_measured(path).mesh
            share = len(mesh.vertices) / vertices if 0 < vertices < math.inf else 1 / len(rows)
            smaller = reduced_mesh(mesh, int(MOST_VERTICES * share))
            is_shown = row["kind"] == first and row["place"] == rows[0]["place"]
            found.append(SceneSurface(full_name(row), title, group, smaller, is_shown, len(mesh.faces)))
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
