"""Draws docs/pictures/isosurface.png: a section through a membrane's mask and three surfaces made of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from surfora.geometry.surface import SurfaceMesh, to_polydata
from surfora.isosurface.boundary import isosurface
from surfora.isosurface.settings import IsosurfaceSettings

PICTURES = Path(__file__).parents[1] / "pictures"
RADIUS_NM, THICKNESS_NM, CENTRE = 14.0, 4.0, (19.6, 20.3, 20.1)
SHOWN = {
    "marching cubes": (IsosurfaceSettings(scheme="tube", flow_steps=0), "#9aa3ad"),
    "published obstacle, 30 steps": (IsosurfaceSettings(scheme="published", flow_steps=30), "#c2410c"),
    "ours": (IsosurfaceSettings(), "#0b6e78"),
}


def shells() -> np.ndarray:
    """Two spherical membranes one voxel apart."""
    z, y, x = np.indices((41, 41, 41)) - np.reshape(CENTRE, (3, 1, 1, 1))
    radius = np.sqrt(x**2 + y**2 + z**2)
    inner = np.abs(radius - RADIUS_NM) <= THICKNESS_NM / 2
    return inner | (np.abs(radius - (RADIUS_NM - THICKNESS_NM - 1.3)) <= THICKNESS_NM / 2)


def draw_section(axes: Axes, mesh: SurfaceMesh, colour: str, name: str) -> None:
    section = to_polydata(mesh).slice(normal="z", origin=(0, 0, round(CENTRE[0])))
    lines = section.lines.reshape(-1, 3)[:, 1:]
    ends = np.asarray(section.points)[lines]
    axes.plot(
        *[np.insert(ends[:, :, i], 2, np.nan, axis=1).ravel() for i in (0, 1)], color=colour, label=name
    )


def main(folder: Path) -> None:
    mask = shells()
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 4.3), layout="constrained")
    for panel in axes:
        panel.imshow(mask[round(CENTRE[0])], cmap="Greys", vmax=4, origin="lower")
        for name, (settings, colour) in SHOWN.items():
            draw_section(panel, isosurface(mask, 1.0, settings=settings), colour, name)
        turn = np.linspace(0, 2 * np.pi, 400)
        for offset in (THICKNESS_NM / 2, -THICKNESS_NM / 2):
            for middle in (RADIUS_NM, RADIUS_NM - THICKNESS_NM - 1.3):
                ring = np.sqrt((middle + offset) ** 2 - (round(CENTRE[0]) - CENTRE[0]) ** 2)
                label = "truth" if (offset > 0 and middle == RADIUS_NM) else None
                panel.plot(
                    CENTRE[2] + ring * np.cos(turn),
                    CENTRE[1] + ring * np.sin(turn),
                    "k:",
                    lw=0.9,
                    label=label,
                )
        panel.set_axis_off()
    axes[1].set(xlim=(26.5, 37.5), ylim=(20.5, 31.5))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(folder / "isosurface.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
