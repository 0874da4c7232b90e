"""Contacts against closed forms: area and gap of both sides, with the sign of the bias, edge by edge.

    python benchmarks/contacts.py

Errors in % of the truth, positive where too large; target: within 1 % at edges of 2 nm. A threshold that
lies between vertices is what makes areas wrong where whole triangles or vertices are counted: that count
stands beside ours. The fold's truth holds beside its bend but for the tenth that its surroundings are
sampled by.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import contact_scenes
from contact_scenes import Scene

from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2
from surfora.measures.contacts.facing import facing_partner
from surfora.measures.contacts.find import GAP, Contact
from surfora.measures.contacts.itself import facing_itself

TARGET = 0.01
EDGES_NM = (1.5, 2.0, 4.0)


def closed_forms(edge_nm: float) -> Iterator[str]:
    """A row a scene: errors of area and gap on both sides, of the counted area, and the time."""
    for make in contact_scenes.SCENES:
        scene = make(edge=edge_nm)
        start = time.perf_counter()
        found = scene.contacts().found
        seconds = time.perf_counter() - start
        errors = [*_errors(scene, found, "first"), *_errors(scene, found, "second")]
        counted = _counted_nm2(scene) / scene.first_area_nm2 - 1
        known = [error for error in errors if np.isfinite(error)]
        met = "met" if max(map(abs, known)) <= TARGET and len(found) == scene.count else "missed"
        cells = [f"{100 * error:+.2f}" if np.isfinite(error) else "" for error in (*errors, counted)]
        size = len(scene.first.vertices) + len(scene.second.vertices)
        told = (scene.name, f"{edge_nm:g}", *cells, len(found), size, f"{seconds:.2f}", met)
        yield f"| {' | '.join(map(str, told))} |"


def _errors(scene: Scene, found: tuple[Contact, ...], side: str) -> tuple[float, float]:
    patches: list[SurfaceMesh] = [getattr(contact, side) for contact in found]
    areas = np.concatenate([vertex_areas_nm2(patch.vertices, patch.faces) for patch in patches])
    gaps = np.concatenate([patch.data[GAP] for patch in patches])
    area, gap = getattr(scene, f"{side}_area_nm2"), getattr(scene, f"{side}_gap_nm")
    return float(areas.sum() / area - 1), float(areas @ gaps / areas.sum() / gap - 1)


def _counted_nm2(scene: Scene) -> float:
    """The area of the vertices within the threshold, as `distances.csv` counts it."""
    gaps = facing_partner(scene.first, scene.second).gap_nm
    areas = vertex_areas_nm2(scene.first.vertices, scene.first.faces)
    return float(areas[gaps <= scene.threshold_nm].sum())


def folds() -> Iterator[str]:
    """Speed of a membrane against itself, by size."""
    for edge_nm in (2.0, 1.0):
        mesh = contact_scenes.hairpin(8.0, 120.0, 100.0, edge_nm)
        facing_itself(
            contact_scenes.hairpin(8.0, 30.0, 20.0, 2.0), 60.0, 40.0
        )  # compiled before the clock runs
        start = time.perf_counter()
        facing_itself(mesh, 60.0, 40.0)
        yield f"| {len(mesh.vertices)} | {time.perf_counter() - start:.1f} |"


if __name__ == "__main__":
    contact_scenes.two_spheres().contacts()  # loads and compiles before the clock runs
    print("| scene | edge (nm) | area (%) | gap (%) | area, other side (%) | gap, other side (%) "
          "| area by counting vertices (%) | contacts | vertices | s | target |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for edge in EDGES_NM:
        for row in closed_forms(edge):
            print(row, flush=True)
    print("\n| vertices of a fold | s |\n|---|---|")
    for row in folds():
        print(row, flush=True)
