"""Draws docs/pictures/phantom.png: a slice of a synthetic tomogram of each kind, and the truth beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tomorois.phantoms.phantom import Phantom, PhantomSettings, make_phantom

PICTURES = Path(__file__).parents[1] / "pictures"
SETTINGS = PhantomSettings(shape_zyx=(40, 150, 150))
SHOWN = (("contacts", 4), ("invaginations", 4))


def slices(phantom: Phantom) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tomogram, membranes and ROIs in the plane z that most of the ROIs' voxels lie in."""
    rois = phantom.labels.data == 1
    plane = int(rois.sum(axis=(1, 2)).argmax())
    return phantom.tomogram.data[plane], phantom.membranes.data[plane] > 0, rois[plane]


def main(folder: Path) -> None:
    figure = Figure(figsize=(8.0, 8.0), layout="constrained")
    for row, (kind, seed) in zip(figure.subplots(2, 2), SHOWN, strict=True):
        phantom = make_phantom(kind, seed, SETTINGS)
        image, membranes, rois = slices(phantom)
        low, high = np.quantile(image, [0.005, 0.995])
        for axes in row:
            axes.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower")
            axes.set(xticks=[], yticks=[])
        row[1].contour(membranes, [0.5], colors="#1f5a7a", linewidths=0.7)
        row[1].contour(rois, [0.5], colors="#e08a2e", linewidths=1.6)
        row[0].set_title(f"{kind}: {len(phantom.rois)} ROIs", fontsize=10)
        row[1].set_title("true membranes (blue) and ROIs (orange)", fontsize=10)
    figure.savefig(folder / "phantom.png", dpi=50)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
