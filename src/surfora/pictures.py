"""Pictures of surfaces, rendered without a screen, and the figures of a report."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
import pyvista as pv
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from surfora.statistics import weighted_histogram
from surfora.surface import SurfaceMesh, to_polydata

Floats = NDArray[np.float64]

VIEW_SIZE = (620, 520)
NO_VALUE = "#c9ced4"
DISTANCE_COLOURS = "viridis_r"
CURVATURE_COLOURS = "RdBu_r"
ACCENT = "#0b6e78"


def surface_png(
    mesh: SurfaceMesh, values: Floats, title: str, colours: str, limits: tuple[float, float]
) -> bytes:
    """PNG of a mesh seen along z and from the side that shows most of it, coloured by vertex values."""
    views = [_view(mesh, values, title, colours, limits, direction) for direction in _directions(mesh)]
    strip = np.concatenate(views, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def symmetric_limits(values: Floats) -> tuple[float, float]:
    """Colour limits around zero that cover 95 % of the finite values."""
    finite = np.abs(values[np.isfinite(values)])
    top = float(np.quantile(finite, 0.95)) if finite.size else 1.0
    return (-top, top) if top > 0 else (-1.0, 1.0)


def low_limits(values: Floats) -> tuple[float, float]:
    """Colour limits from the smallest finite value to the 90th percentile."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(np.quantile(finite, 0.9))
    return low, high if high > low else low + 1.0


def _directions(mesh: SurfaceMesh) -> Sequence[tuple[Floats, Floats]]:
    """View direction and up vector of two views: along z, and across the surface's thinnest extent."""
    centred = mesh.vertices - mesh.vertices.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    thin, longest = axes[:, 0], axes[:, 2]
    if abs(thin[2]) > 0.8:  # along z is the first view already
        thin = np.array([0.75, -0.6, 0.35])
        longest = np.array([0.0, 0.0, 1.0])
    return [(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])), (thin, longest)]


def _view(
    mesh: SurfaceMesh,
    values: Floats,
    title: str,
    colours: str,
    limits: tuple[float, float],
    view: tuple[Floats, Floats],
) -> NDArray[np.uint8]:
    poly = to_polydata(SurfaceMesh(mesh.vertices, mesh.faces, mesh.normals))
    poly.point_data[title] = values
    plotter = pv.Plotter(off_screen=True, window_size=list(VIEW_SIZE))
    try:
        plotter.set_background("white")
        plotter.add_mesh(
            poly,
            scalars=title,
            cmap=colours,
            clim=limits,
            nan_color=NO_VALUE,
            smooth_shading=True,
            split_sharp_edges=False,
            specular=0.15,
            scalar_bar_args={
                "title": title,
                "color": "black",
                "n_labels": 5,
                "fmt": "%.3g",
                "vertical": False,
            },
        )
        direction, up = view
        plotter.view_vector(tuple(direction), tuple(up))
        plotter.camera.zoom(1.15)
        plotter.enable_anti_aliasing("ssaa")
        return np.asarray(plotter.screenshot(return_img=True))
    finally:
        plotter.close()


def histogram_figure(
    series: Sequence[tuple[str, Floats, Floats]], axis_title: str, limits: tuple[float, float]
) -> Figure:
    """Area-weighted histograms of named values: share of the area against the value."""
    figure = _figure(5.4, 3.0)
    axes = figure.subplots()
    bins = np.linspace(*limits, 61)
    for name, values, areas in series:
        axes.stairs(weighted_histogram(values, areas, bins) * 100, bins, label=name, linewidth=1.6)
    axes.set_xlabel(axis_title)
    axes.set_ylabel("share of the area (%)")
    axes.set_xlim(*limits)
    axes.set_ylim(bottom=0)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)
    _plain_frame(axes)
    return figure


def contact_rank_figure(contacts: pd.DataFrame) -> Figure:
    """Contacts ranked by mean distance, each with its band of one standard deviation."""
    ranked = contacts.sort_values("mean_nm").reset_index(drop=True)
    figure = _figure(max(5.0, min(11.0, 3.0 + 0.22 * len(ranked))), 3.4)
    axes = figure.subplots()
    place = np.arange(1, len(ranked) + 1)
    mean, spread = ranked["mean_nm"].to_numpy(float), ranked["sd_nm"].to_numpy(float)
    if len(ranked) > 12:
        axes.fill_between(place, mean - spread, mean + spread, color=ACCENT, alpha=0.22, linewidth=0)
        axes.plot(place, mean, color=ACCENT, linewidth=1.8)
    else:
        axes.errorbar(
            place, mean, yerr=spread, fmt="o", color=ACCENT, ecolor="#8fc1c5", elinewidth=6, capsize=0
        )
        names = [f"{row['name']} → {row['target']}" for _, row in ranked.iterrows()]
        axes.set_xticks(place, names, rotation=25, ha="right", fontsize=7)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("contacts, closest first")
    axes.set_ylabel("mean distance ± 1 SD (nm)")
    _plain_frame(axes)
    return figure


def _figure(width: float, height: float) -> Figure:
    matplotlib.rcParams["font.size"] = 9
    return Figure(figsize=(width, height), layout="constrained")


def _plain_frame(axes: matplotlib.axes.Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
