"""A project whose results are there without a run: two spheres a tomogram, with their contact."""

from __future__ import annotations

from pathlib import Path

import contact_scenes
import numpy as np
from two_vesicles import CENTRES_NM, EDGE_NM, RADIUS_NM, two_vesicles

from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import write_surface
from surfora.geometry.nearest import surface_distance
from surfora.measures.contacts.contacts_of_pair import contacts_of_pair
from surfora.measures.distance import distance_arrays, distance_summary
from surfora.measures.distance_pairs import MeasuredSurface
from surfora.measures.settings import DistanceSettings
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.tables import surface_row, write_table
from surfora.settings import SurforaSettings
from tomocore.provenance import recorded_run
from tomocore.roiset import rois_from_labels, write_rois
from tomocore.volumes.formats import write_volume

HOSTILE = "A&B <b>'\""
THRESHOLD_NM = 20.0
QUOTED = HOSTILE.replace('"', '""')
TABLE = f'name,condition,grid,exclude\nt1,wt,g1,\nt 2#,"{QUOTED}",g2,\nt3,wt,g1,ice\n'
STEMS = ("t1", "t 2#", "t3")


def write_measured_project(folder: Path, settings: str = "") -> Path:
    """A folder with three tomograms, of which the table leaves one out and the names of one are hostile."""
    (folder / "project.toml").write_text(settings)
    (folder / "tomograms.csv").write_text(TABLE)
    for place in ("tomograms", "membranes"):
        (folder / place).mkdir()
    for seed, stem in enumerate(STEMS):
        tomogram, membranes, contact = two_vesicles(seed)
        write_volume(folder / "tomograms" / f"{stem}.mrc", tomogram)
        write_volume(folder / "membranes" / f"{stem}__membranes.mrc", membranes)
        if stem != "t3":
            (folder / "results" / "rois").mkdir(parents=True, exist_ok=True)
            write_rois(folder / "results" / "rois", stem, rois_from_labels(contact))
            measure(folder / "results" / "surfaces" / stem, folder / "membranes" / f"{stem}__membranes.mrc")
    return folder


def measure(folder: Path, mask: Path) -> None:
    """Write what a run leaves of two spheres: surfaces, tables, record and page."""
    folder.mkdir(parents=True)
    surfaces = []
    for label, (z, y, x) in enumerate(CENTRES_NM, start=1):
        name = f"{mask.stem}_{label}_roi001"
        facts = SurfaceFacts(name, "medial", str(label), 1, mask.name, 5.0, EDGE_NM)
        mesh = contact_scenes.ball(RADIUS_NM, 3.0, (x, y, z))
        mesh = mesh.with_data(roughness_nm=np.abs(mesh.vertices[:, 2] - z) / 100)
        surfaces.append(MeasuredSurface(folder / f"{name}.medial.vtp", facts, mesh))
    distances = []
    for one, other in (surfaces, surfaces[::-1]):
        found = surface_distance(one.mesh, other.mesh)
        one.mesh.data.update(distance_arrays(other.name, found.distance_nm, found.distance_nm))
        names = {"name": one.name, "kind": "medial", "label": one.facts.label, "roi": 1, "target": other.name}
        names |= {"target_kind": "medial", "target_label": other.facts.label}
        distances.append(names | distance_summary(one.mesh, found, DistanceSettings()))
    pair = contacts_of_pair(*surfaces, THRESHOLD_NM)
    with recorded_run("surfora run", SurforaSettings()) as record:
        record.add_input(mask, voxel_size_nm=EDGE_NM)
        record.warnings.append(f"{surfaces[0].name}: a warning of {HOSTILE}")
    for surface in (pair.first, pair.second):
        write_surface(surface.path, surface.mesh, surface.facts)
    write_table(folder / "surfaces.csv", [surface_row(s.mesh, s.facts) for s in (pair.first, pair.second)])
    write_table(folder / "distances.csv", distances)
    write_table(folder / "contacts.csv", pair.rows, OBJECT_COLUMNS)
    write_table(folder / "contact_curve.csv", pair.curve, CURVE_COLUMNS)
    record.write(folder / "run.json")
    (folder / "report.html").write_text("made by the run")
