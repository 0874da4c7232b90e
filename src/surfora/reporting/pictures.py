"""Pictures of surfaces, rendered without a screen, and the figures of a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib
import matplotlib.cm
import matplotlib.colors
import numpy as np
import pandas as pd
import pyvista as pv
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath
from numpy.typing import NDArray
from PIL import Image

from surfora.geometry.arrays import Bytes, Floats
from surfora.geometry.surface import SurfaceMesh, to_polydata
from surfora.measures.statistics import weighted_histogram
from surfora.measures.wedge import EXTRAPOLATED, MEASURED, UNSUPPORTED
from surfora.reporting.contacts import contacts_of
from surfora.reporting.naming import across_places, surface_with_kind
from tomocore.page import FIGURE_DPI, mean_and_spread

WINDOW_KIND = "VTK_DEFAULT_OPENGL_WINDOW"
ON_SCREEN, WITHOUT_SCREEN = "vtkXOpenGLRenderWindow", "vtkEGLRenderWindow"
if sys.platform == "linux" and "DISPLAY" not in os.environ:
    # VTK finds out by itself that there is no screen, but complains of it first.
    os.environ.setdefault(WINDOW_KIND, WITHOUT_SCREEN)

VIEW_SIZE = (480, 360)
"""Pixels of a view, which a figure of the report shows one by one."""
FINER = 2
"""Pixels drawn for each of a view, either way: their mean takes two thirds of the time of VTK's SSAA."""
EDGE_IN, TITLE_IN, BAR_IN = 0.1, 0.25, 0.25
"""Inches around the views, above them, and below them for their scale bars."""
MOST_NAMED = 16
"""Contacts or surfaces whose names stand in a figure."""
MOST_LETTERS = 56
LETTERS_PT = 9
NO_VALUE = "#c9ced4"
DISTANCE_COLOURS = "viridis_r"
CURVATURE_COLOURS = "RdBu_r"
ACCENT = "#0b6e78"
EVIDENCE_WORDS = {
    MEASURED: "measured",
    EXTRAPOLATED: "in the missing wedge",
    UNSUPPORTED: "without voxels",
}
EVIDENCE_COLOURS = {MEASURED: "#0b6e78", EXTRAPOLATED: "#e0a136", UNSUPPORTED: "#b8433b"}


def surface_figure(
    mesh: SurfaceMesh, values: Floats, title: str, colours: str, limits: tuple[float, float]
) -> Figure:
    """A mesh seen along z and from the side that shows most of it, coloured by vertex values.

    ``values`` (n,) belong to the vertices of ``mesh``; NaN is grey. ``colours`` names a colour map of
    matplotlib, ``limits`` are the values at its two ends, and ``title`` stands beside the colour bar:
    quantity and unit.
    """
    figure = two_views(mesh, values, colours, limits, beside_in=1.05)
    shown = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(*limits), colours)
    panel = figure.axes[-1].get_position()
    place = (panel.x1 + 0.1 / figure.get_figwidth(), panel.y0, 0.13 / figure.get_figwidth(), panel.height)
    figure.colorbar(shown, cax=figure.add_axes(place), label=title)
    return figure


def two_views(
    mesh: SurfaceMesh,
    values: Floats,
    colours: str | matplotlib.colors.Colormap,
    limits: tuple[float, float],
    beside_in: float = 0.0,
) -> Figure:
    """A mesh seen along z and from the side that shows most of it, coloured by vertex ``values`` (n,).

    NaN is grey; ``limits`` are the values at the two ends of ``colours``; ``beside_in`` inches are left free
    at the right, for what explains them.
    """
    poly = to_polydata(SurfaceMesh(mesh.vertices, mesh.faces, mesh.normals))
    poly.point_data["value"] = values
    look = {"scalars": "value", "cmap": colours, "clim": limits, "nan_color": NO_VALUE}
    return _views_figure([(poly, look)], mesh.vertices, beside_in)


def overview_figure(surfaces: Sequence[tuple[str, Sequence[SurfaceMesh]]]) -> Figure:
    """All surfaces where they lie to each other, in one colour a name, from two sides."""
    colours: list[Any] = [matplotlib.colormaps["tab10"](k % 10) for k in range(len(surfaces))]
    parts = [
        (to_polydata(SurfaceMesh(mesh.vertices, mesh.faces, mesh.normals)), {"color": colour[:3]})
        for (_, meshes), colour in zip(surfaces, colours, strict=True)
        for mesh in meshes
    ]
    vertices = np.concatenate([mesh.vertices for _, meshes in surfaces for mesh in meshes])
    names = [plain_text(name) for name, _ in surfaces]
    if len(names) > MOST_NAMED:
        names[MOST_NAMED - 1 :] = [f"and {len(names) - MOST_NAMED + 1} more"]
        colours[MOST_NAMED - 1] = "none"
    figure = _views_figure(parts, vertices, _legend_in(names))
    _draw_legend(figure, names, colours[: len(names)])
    return figure


def _views_figure(parts: Sequence[tuple[Any, dict[str, Any]]], vertices: Floats, beside_in: float) -> Figure:
    """Meshes with their looks, seen along z and from the side that shows most of ``vertices``.

    Its layout is reckoned, not fitted to what is drawn, which takes as long as the drawing.
    """
    wide, high = (pixels / FIGURE_DPI for pixels in VIEW_SIZE)
    width, height = 2 * (wide + EDGE_IN) + EDGE_IN + beside_in, TITLE_IN + high + BAR_IN
    figure = _figure(width, height, layout=None)
    views = _rendered(parts, vertices, _directions(vertices))
    for k, ((image, nm_per_pixel), name) in enumerate(zip(views, ("along z", "from the side"), strict=True)):
        left = EDGE_IN + k * (wide + EDGE_IN)
        place = (left / width, BAR_IN / height, wide / width, high / height)
        panel = figure.add_axes(place, xticks=(), yticks=())
        panel.imshow(image)
        panel.set_title(name, fontsize=8, color="#5b6876")
        panel.set_axis_off()
        _draw_scale_bar(panel, nm_per_pixel)
    return figure


def _legend_in(names: Sequence[str]) -> float:
    """Inches that a legend of these names takes."""
    plain = [name.replace("$", "S") for name in names]  # which would begin a formula
    widest_pt = max(TextPath((0, 0), name, size=LETTERS_PT).get_extents().width for name in plain)
    return 0.6 + widest_pt / 72


def _draw_legend(figure: Figure, names: Sequence[str], colours: Sequence[Any]) -> None:
    """Names of colours at the right of the views."""
    handles = [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]
    panel = figure.axes[-1].get_position()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(panel.x1, panel.y1),
        frameon=False,
        borderaxespad=0,
        labelspacing=0.3,
    )


def _draw_scale_bar(panel: matplotlib.axes.Axes, nm_per_pixel: float) -> None:
    """A bar of a round length below the picture, at most a quarter of its width."""
    width, height = VIEW_SIZE
    most_nm = 0.25 * width * nm_per_pixel
    decade = 10.0 ** np.floor(np.log10(most_nm))
    length_nm = max(step * decade for step in (1, 2, 5) if step * decade <= most_nm)
    ends = (0, length_nm / nm_per_pixel)
    below = height + 10
    panel.plot(ends, (below, below), color="#1d2733", linewidth=2, solid_capstyle="butt", clip_on=False)
    panel.text(ends[1] + 8, below, f"{length_nm:g} nm", fontsize=7, color="#1d2733", va="center")


def evidence_figure(mesh: SurfaceMesh, evidence: NDArray[Any]) -> Figure:
    """A mesh from two sides: what was measured, what lies in the missing wedge, what no voxel supports."""
    colours = [EVIDENCE_COLOURS[kind] for kind in EVIDENCE_WORDS]
    names = list(EVIDENCE_WORDS.values())
    listed = matplotlib.colors.ListedColormap(colours)
    figure = two_views(mesh, evidence.astype(np.float64), listed, (-0.5, 2.5), _legend_in(names))
    _draw_legend(figure, names, colours)
    return figure


def symmetric_limits(values: Floats) -> tuple[float, float]:
    """Colour limits around zero that cover 95 % of the finite values, and more where all have one sign:

    the ends of the scale are too dark to tell such values apart.
    """
    finite = values[np.isfinite(values)]
    top = float(np.quantile(np.abs(finite), 0.95)) if finite.size else 1.0
    if finite.size and np.prod(np.sign(np.quantile(finite, (0.05, 0.95)))) > 0:
        top *= 1.5
    return (-top, top) if top > 0 else (-1.0, 1.0)


def low_limits(values: Floats) -> tuple[float, float]:
    """Colour limits from the smallest finite value to the 90th percentile."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(np.quantile(finite, 0.9))
    return low, high if high > low else low + 1.0


def histogram_span(values: Floats) -> tuple[float, float]:
    """Limits of a histogram that leave out 1 % of the finite values at each end, and zero only if far."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(end) for end in np.quantile(finite, (0.01, 0.99)))
    room = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    near_zero = 0.0 <= low < 0.5 * high
    return 0.0 if near_zero else low - room, high + room


def _directions(vertices: Floats) -> Sequence[tuple[Floats, Floats]]:
    """View direction and up vector of two views: along z, and across the surface's thinnest extent."""
    centred = vertices - vertices.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    thin, longest = axes[:, 0], axes[:, 2]
    if abs(thin[2]) > 0.8:  # along z is the first view already
        thin = np.array([0.75, -0.6, 0.35])
        longest = np.array([0.0, 0.0, 1.0])
    return [(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])), (thin, longest)]


def _plotter() -> Any:
    """A plotter that draws into memory; through the screen where this process has windows on one.

    Beside them, the first picture of a plotter that was drawn past the screen comes out black.
    """
    before = os.environ.get(WINDOW_KIND)
    if sys.platform == "linux" and "qtpy" in sys.modules and os.environ.get("DISPLAY"):
        os.environ[WINDOW_KIND] = ON_SCREEN
    try:
        return pv.Plotter(off_screen=True, window_size=[FINER * pixels for pixels in VIEW_SIZE])
    finally:
        os.environ.pop(WINDOW_KIND, None)
        if before is not None:
            os.environ[WINDOW_KIND] = before


def _rendered(
    parts: Sequence[tuple[Any, dict[str, Any]]], vertices: Floats, views: Sequence[tuple[Floats, Floats]]
) -> list[tuple[Bytes, float]]:
    """A picture (h, w, 3) of the meshes from each view, and its nm per pixel."""
    plotter = _plotter()
    try:
        plotter.set_background("white")
        plotter.disable_anti_aliasing()
        plotter.enable_parallel_projection()
        for poly, look in parts:
            plotter.add_mesh(
                poly, smooth_shading=True, ambient=0.45, diffuse=0.6, show_scalar_bar=False, **look
            )
        pictures = []
        for view in views:
            _aim(plotter, vertices, view)
            plotter.render()
            image = Image.fromarray(plotter.screenshot(return_img=True)).reduce(FINER)
            pictures.append((np.asarray(image), 2 * float(plotter.camera.parallel_scale) / VIEW_SIZE[1]))
        return pictures
    finally:
        plotter.close()


def _aim(plotter: Any, vertices: Floats, view: tuple[Floats, Floats]) -> None:
    """Parallel projection along a view, as large as the surface allows."""
    direction = view[0] / np.linalg.norm(view[0])
    right = np.cross(view[1], direction)
    right /= np.linalg.norm(right)
    up = np.cross(direction, right)
    across, upward = vertices @ right, vertices @ up
    middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    middle = middle + right * (0.5 * (across.min() + across.max()) - middle @ right)
    middle = middle + up * (0.5 * (upward.min() + upward.max()) - middle @ up)
    half_height = max(0.5 * np.ptp(upward), 0.5 * np.ptp(across) * VIEW_SIZE[1] / VIEW_SIZE[0])
    reach = float(np.linalg.norm(np.ptp(vertices, axis=0))) + 1.0
    plotter.camera.position = tuple(middle + 2 * reach * direction)
    plotter.camera.focal_point = tuple(middle)
    plotter.camera.up = tuple(up)
    plotter.camera.parallel_scale = half_height * 1.05
    plotter.reset_camera_clipping_range()


def histogram_figure(values: Floats, areas: Floats, axis_title: str, limits: tuple[float, float]) -> Figure:
    """Area-weighted histogram of vertex ``values``: share of the ``areas`` (%) against the value."""
    figure = _figure(4.6, 3.4)
    axes = figure.subplots()
    bins = np.linspace(*limits, 61)
    axes.stairs(weighted_histogram(values, areas, bins) * 100, bins, color=ACCENT, fill=True, alpha=0.75)
    axes.set_xlabel(axis_title)
    axes.set_ylabel("share of the area (%)")
    axes.set_xlim(*limits)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=6)
    _plain_frame(axes)
    return figure


def contact_rank_figure(distances: pd.DataFrame) -> Figure:
    """Contacts ranked by their mean gap, each with its band of one standard deviation, of distances.csv.

    Up to ``MOST_NAMED`` are named, a line each; more make a curve over their ranks.
    """
    contacts = contacts_of(distances)
    if len(contacts) > MOST_NAMED:
        middles = contacts[contacts["kind"] == "medial"]
        return _rank_curve(middles if len(middles) else contacts)
    several = contacts["kind"].nunique() > 1
    names = [
        plain_text(across_places(c["place"], surface_with_kind(c["contact"], c["kind"], several)))
        for c in contacts.to_dict("records")
    ]
    figure = _figure(8.6, 0.9 + 0.3 * len(contacts))
    axes = figure.subplots()
    mean, spread = contacts["mean_nm"].to_numpy(float), contacts["sd_nm"].to_numpy(float)
    rows = np.arange(len(contacts))
    axes.errorbar(mean, rows, xerr=spread, fmt="o", color=ACCENT, ecolor="#8fc1c5", elinewidth=7)
    for row, gap, sd in zip(rows, mean, spread, strict=True):
        axes.annotate(
            mean_and_spread(gap, sd).text, (gap + sd, row), (8, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(rows, names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * float(np.nanmax(mean + spread)))
    axes.set_xlabel("gap, mean ± 1 SD (nm)")
    _plain_frame(axes, "x")
    return figure


def _rank_curve(contacts: pd.DataFrame) -> Figure:
    figure = _figure(8.6, 3.2)
    axes = figure.subplots()
    rank = np.arange(1, len(contacts) + 1)
    mean, spread = contacts["mean_nm"].to_numpy(float), contacts["sd_nm"].to_numpy(float)
    axes.fill_between(rank, mean - spread, mean + spread, color=ACCENT, alpha=0.22, linewidth=0)
    axes.plot(rank, mean, color=ACCENT, linewidth=1.8)
    axes.set_xlim(1, len(rank))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"rank of the contact, closest first (of {len(rank)})")
    axes.set_ylabel("gap, mean ± 1 SD (nm)")
    _plain_frame(axes)
    return figure


def plain_text(name: str) -> str:
    """A user's name as a figure can show it: cut in its middle where it is long, in the legend always."""
    if len(name) > MOST_LETTERS:
        half = MOST_LETTERS // 2
        name = f"{name[: half - 1]} … {name[1 - half :]}"
    return (" " if name.startswith("_") else "") + name


def _figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    matplotlib.rcParams["font.size"] = LETTERS_PT
    return Figure(figsize=(width, height), layout=layout)


def _plain_frame(axes: matplotlib.axes.Axes, grid: Literal["x", "y"] = "y") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
