"""Draws docs/pictures/orientation.png: two joined layers 3 nm apart, oriented by three methods."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from surfora.geometry.sampling import poisson_disc
from surfora.orientation.jet_normals import jet_normals
from surfora.orientation.orient import orient_normals
from surfora.orientation.settings import OrientSettings

PICTURES = Path(__file__).parents[1] / "pictures"
WIDTH_NM, GAP_NM, SPACING_NM = 32.0, 3.0, 1.4
METHODS = {
    "winding": "winding number (default)",
    "dipole": "dipole propagation",
    "tangent_plane": "tangent-plane tree",
}


def joined_layers(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noisy points of two layers joined along one edge by a half tube, and their true normals."""
    half, count = GAP_NM / 2, 20_000
    way = random.uniform(-WIDTH_NM - np.pi / 2 * half, WIDTH_NM + np.pi / 2 * half, count)
    turn = np.clip(way / half, -np.pi / 2, np.pi / 2)
    along = np.maximum(np.abs(way) - np.pi / 2 * half, 0)
    points = np.column_stack([along, random.uniform(0, WIDTH_NM, count), half * np.sin(turn)])
    normals = np.column_stack([-np.cos(turn), np.zeros(count), np.sin(turn)])
    points[:, 0] -= half * np.cos(turn)
    keep = poisson_disc(points, SPACING_NM)
    return points[keep] + random.normal(0, 0.2, (len(keep), 3)), normals[keep]


def main(folder: Path) -> None:
    random = np.random.default_rng(0)
    points, true = joined_layers(random)
    axes = jet_normals(points) * random.choice([-1.0, 1.0], (len(points), 1))
    figure = Figure(figsize=(8.6, 2.6), layout="constrained")
    section = (points[:, 1] > 12) & (points[:, 1] < 16)
    for panel, (method, title) in zip(figure.subplots(1, 3), METHODS.items(), strict=True):
        found = orient_normals(points, axes, OrientSettings.model_validate({"method": method})).normals
        right = np.einsum("ij,ij->i", found, true) > 0
        if right.mean() < 0.5:
            found, right = -found, ~right
        for chosen, colour in ((section & right, "#0b6e78"), (section & ~right, "#c0392b")):
            x, _, z = points[chosen].T
            panel.quiver(
                x, z, found[chosen, 0], found[chosen, 2], color=colour, scale=0.45, scale_units="xy",
                angles="xy", width=0.005,
            )  # fmt: skip
        panel.set(xlim=(-6, 20), ylim=(-7, 7), xlabel="x (nm)")
        panel.set_title(f"{title}: {100 * right.mean():.1f} %", fontsize=9)
    figure.savefig(folder / "orientation.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
