"""Draws docs/pictures/comparison*.png: figures of `tomosurf compare` on twelve simulated tomograms.

Gaps are 3 nm wider in "ko", contacts half as many; membranes are rougher at contacts than elsewhere.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import shapes
from simulated_tables import simulated_tables, write_tables

from surfora.geometry.surface import SurfaceMesh
from tomosurf.statistics.figures import STYLE
from tomosurf.statistics.measures import PATCHES
from tomosurf.statistics.patches import contact_patches
from tomosurf.statistics.study import study_of
from tomosurf.statistics.study_figures import study_figures
from tomosurf.statistics.tables import Tables, read_tables

PICTURES = Path(__file__).parents[1] / "pictures"
DPI = 130
NAMES = {
    "contacts_gap_mean_nm_ER_OMM_by_condition": "",
    "contacts_ranked": "_ranked",
    "contact_area_by_threshold": "_threshold",
    "contacts_gap_mean_nm_ER_OMM_histogram": "_histogram",
    "contacts_mean_curvature_inside_per_nm_ER_OMM_outside_contacts_at_contacts_within_tomograms": "_within",
    "patches_roughness_nm_ranks": "_patches",
    "effects": "_effects",
    "power": "_power",
}
"""The figures shown, by their stems, and the ends of the pictures' names."""


def with_patches(tables: Tables) -> None:
    """Two contacts on a vesicle of each tomogram, rougher by half a standard deviation between patches."""
    mesh = SurfaceMesh(*shapes.sphere(40.0).mesh(2.5))
    rng = np.random.default_rng(1)
    rows = []
    for tomogram, condition in zip(tables.tomograms["tomogram"], tables.tomograms["condition"], strict=True):
        waves = mesh.vertices @ rng.normal(size=(3, 6)) / 8.0 + rng.uniform(0, 2 * np.pi, 6)
        ids = np.zeros(len(mesh.vertices), np.int64)
        for number in (1, 2):
            centre = mesh.vertices[rng.integers(len(ids))]
            ids[np.linalg.norm(mesh.vertices - centre, axis=1) < 12.0] = number
        rough = 0.3 + 0.02 * np.sin(waves).sum(axis=1) + 0.02 * (ids > 0)
        named = {"tomogram": tomogram, "condition": condition, "grid": "", "kind": "medial", "label": "OMM"}
        found = contact_patches(mesh.with_data(roughness_nm=rough), ids, 50, rng)
        rows += [named | row for row in found]
    tables.rows[PATCHES] = type(tables.tomograms)(rows)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        given = write_tables(Path(place), simulated_tables())
        tables = read_tables([given], given / "tomograms.csv", "condition")
    with_patches(tables)
    for drawn in study_figures(study_of(tables)):
        if drawn.stem in NAMES:
            with matplotlib.rc_context(STYLE):
                drawn.figure.savefig(folder / f"comparison{NAMES[drawn.stem]}.png", dpi=DPI)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
