"""Draws the pictures of the README from a finished demo: python docs/make_pictures.py demo_output

Each is made by the functions that make the reports.
"""

from __future__ import annotations

import sys
from pathlib import Path

from surfora.measures.pairs import read_measured
from surfora.reporting.pictures import (
    CURVATURE_COLOURS,
    DISTANCE_COLOURS,
    contact_rank_figure,
    low_limits,
    surface_figure,
    symmetric_limits,
)
from surfora.reporting.tables import read_table
from tomosurf.project import read_project
from tomosurf.report import slice_figure

PICTURES = Path(__file__).parent / "pictures"


def main(demo: Path) -> None:
    project = read_project(demo)
    PICTURES.mkdir(exist_ok=True)
    slice_figure(project.plans[0], project).savefig(PICTURES / "rois.png", dpi=100)
    surfaces = read_table(project.output / "surfaces.csv")
    largest = surfaces.sort_values("area_nm2").iloc[-1]
    folder = project.output / "surfaces" / largest["tomogram"]
    surface = read_measured(folder / f"{largest['name']}.medial.vtp")
    curvature = surface.mesh.data["mean_curvature_per_nm"]
    figure = surface_figure(
        surface.mesh, curvature, "mean curvature (1/nm)", CURVATURE_COLOURS, symmetric_limits(curvature)
    )
    figure.savefig(PICTURES / "curvature.png", dpi=90)
    array = next(name for name in surface.mesh.data if name.startswith("distance_to_"))
    distance = surface.mesh.data[array]
    figure = surface_figure(surface.mesh, distance, "distance (nm)", DISTANCE_COLOURS, low_limits(distance))
    figure.savefig(PICTURES / "distance.png", dpi=90)
    contact_rank_figure(read_table(project.output / "distances.csv")).savefig(
        PICTURES / "contacts.png", dpi=90
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
