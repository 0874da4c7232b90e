"""Draws docs/pictures/medial.png: a mask with slanted ends, our points and the published fit's."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from surfora.medial.points import medial_points
from surfora.medial.settings import MedialSettings

PICTURES = Path(__file__).parents[1] / "pictures"
RADIUS_NM, THICKNESS_NM, CUT_NM, HALF_WIDTH = 20.0, 4.0, 11.0, 26


def cut_vesicle() -> np.ndarray:
    """A spherical membrane cut by two planes, as the missing wedge cuts membranes; voxels of 1 nm."""
    axis = np.arange(-HALF_WIDTH, HALF_WIDTH + 1.0)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    off = np.abs(np.sqrt((x - 0.3) ** 2 + (y + 0.2) ** 2 + z**2) - RADIUS_NM)
    return (off <= THICKNESS_NM / 2) & (np.abs(z) < CUT_NM)


def main(folder: Path) -> None:
    mask = cut_vesicle()
    figure = Figure(figsize=(8.6, 2.9), layout="constrained")
    for panel, fit, title in zip(
        figure.subplots(1, 2), ("faces", "ball"), ("fit of both faces (default)", "as published"), strict=True
    ):
        cloud = medial_points(mask, 1.0, settings=MedialSettings.model_validate({"fit": fit}))
        x, y, z = (cloud.points - HALF_WIDTH).T
        near = (np.abs(y) < 1.2) & (x > 0)
        panel.imshow(
            ~mask[:, HALF_WIDTH], cmap="gray", vmin=-2.2, origin="lower",
            extent=[-HALF_WIDTH - 0.5, HALF_WIDTH + 0.5] * 2,
        )  # fmt: skip
        angle = np.linspace(-1, 1, 200) * np.arcsin(CUT_NM / RADIUS_NM)
        panel.plot(0.3 + RADIUS_NM * np.cos(angle), RADIUS_NM * np.sin(angle), color="#c0392b", linewidth=1)
        panel.plot(x[near], z[near], "o", color="#0b6e78", markersize=3)
        panel.set(xlim=(4, 36), ylim=(-12, 12), xlabel="x (nm)", ylabel="z (nm)")
        panel.set_title(title, fontsize=9)
    figure.savefig(folder / "medial.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
