"""Draws the pictures of the README from a finished demo: python docs/make_pictures.py demo_output

Each is made by the functions that make the reports.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from surfora.measures.distance_pairs import read_measured
from surfora.reporting.pictures import (
    CURVATURE_COLOURS,
    DISTANCE_COLOURS,
    contact_rank_figure,
    low_limits,
    surface_figure,
    symmetric_limits,
)
from surfora.reporting.tables import read_table
from tomocore.roiset import read_rois, union_mask
from tomocore.volumes.formats import read_volume
from tomosurf.project import Project, TomogramPlan, read_project

PICTURES = Path(__file__).parent / "pictures"
sys.path.append(str(Path(__file__).parents[1] / "tests"))  # for the browser that pages are tested in


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
    photograph_contact(project)
    contact_rank_figure(read_table(project.output / "distances.csv")).savefig(
        PICTURES / "contacts.png", dpi=90
    )


def photograph_contact(project: Project) -> None:
    """The largest contact on the page of its tomogram, as Chromium shows it when it is turned a little."""
    from browser import OpenPage, opened_browser

    contacts = read_table(project.output / "contacts.csv")
    largest = contacts.sort_values("contact_area_nm2").iloc[-1]
    page = project.output / "tomograms" / f"{largest['tomogram']}.html"
    with opened_browser() as browser:
        found = OpenPage(browser, page, f"#contact={largest['contact']}", 1280, 1000).when_drawn()
        box = found.page.locator("#turning").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        found.page.mouse.move(x, y)
        found.page.mouse.down()
        found.page.mouse.move(x + 60, y + 80, steps=4)
        found.page.mouse.up()
        found.settle()
        whole = found.page.locator("#viewer").bounding_box()
        whole["height"] = box["height"]
        found.page.screenshot(path=PICTURES / "report_contact.png", clip=whole)


def slice_figure(plan: TomogramPlan, project: Project) -> Figure:
    """The tomogram's slice with most ROI voxels, with the outlines of ROIs and truth."""
    edge_nm, resample = plan.voxel_size_nm, project.settings.resample
    tomogram = read_volume(plan.tomogram, edge_nm, lazy=True, resample=resample)
    found = union_mask(read_rois(plan.rois)).data
    known = None
    if plan.truth and plan.truth.exists():
        known = union_mask(read_rois(plan.truth, edge_nm, resample=resample)).data
    counted = found if found.any() or known is None else known
    at = int(np.argmax(counted.sum(axis=(1, 2))))
    grey = np.asarray(tomogram.data[at], dtype=np.float32)
    x_nm, y_nm, _ = tomogram.size_nm
    extent = (0.0, x_nm, 0.0, y_nm)
    figure = Figure(figsize=(4.6, 4.6 * y_nm / x_nm), layout="constrained")
    axes = figure.subplots()
    low, high = np.quantile(grey, (0.01, 0.99))
    axes.imshow(grey, cmap="gray", vmin=low, vmax=high, extent=extent, origin="lower")
    for mask, colour, style in ((known, "#3aa0ff", "dashed"), (found, "#ff8c1a", "solid")):
        if mask is not None and mask[at].any():
            axes.contour(mask[at], [0.5], colors=colour, linestyles=style, linewidths=1.3, extent=extent)
    axes.set_xlabel("x (nm)")
    axes.set_ylabel("y (nm)")
    axes.set_title(f"slice {at}", fontsize=9)
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]))
