"""Draws docs/pictures/contacts_one_by_one.png: a ridged membrane over a flat one, and its contacts."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pyvista as pv
from matplotlib.figure import Figure
from matplotlib.image import imread

from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.measures.contacts.contacts_of_pair import contacts_of_pair
from surfora.measures.distance_pairs import MeasuredSurface
from surfora.reporting.contact_objects import contact_figure, curve_figure

PICTURES = Path(__file__).parents[1] / "pictures"
THRESHOLD_NM = 20.0


def membrane(name: str, width_nm: float, ridges_nm: float, height_nm: float) -> MeasuredSurface:
    """A sheet with ridges both ways, so that its troughs are separate contacts."""
    flat = pv.Plane(i_size=width_nm, j_size=0.8 * width_nm, i_resolution=120, j_resolution=100).triangulate()
    vertices = np.array(flat.points, dtype=np.float64)
    x, y = vertices[:, 0], vertices[:, 1]
    vertices[:, 2] = height_nm + ridges_nm * np.cos(x / 9.0) * np.cos(y / 14.0) + 0.05 * x
    faces = np.array(flat.regular_faces, dtype=np.int64)
    mesh = SurfaceMesh(vertices, faces, vertex_normals(vertices, faces))
    return MeasuredSurface(Path(f"{name}.medial.vtp"), SurfaceFacts(name, "medial", name), mesh)


def main(folder: Path) -> None:
    found = contacts_of_pair(membrane("OMM", 160, 8, 24), membrane("ER", 200, 0, 0), THRESHOLD_NM)
    curve = pd.DataFrame(found.curve)
    parts = (contact_figure(found.first.mesh), curve_figure(curve))
    pictures = []
    for k, part in enumerate(parts):
        path = folder / f".contacts_{k}.png"
        part.savefig(path, dpi=90)
        pictures.append(imread(path))
        path.unlink()
    height = sum(picture.shape[0] for picture in pictures) / 90
    figure = Figure(figsize=(pictures[0].shape[1] / 90, height))
    bottom = 1.0
    for picture in pictures:
        share = picture.shape[0] / 90 / height
        bottom -= share
        panel = figure.add_axes((0, bottom, 1, share))
        panel.imshow(picture)
        panel.set_axis_off()
    figure.savefig(folder / "contacts_one_by_one.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
