"""Draws docs/pictures/contact_pairs.png: contacts that touch, split by watershed and by membrane pairs."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tomocore.roiset import RoiSet, labels_from_rois, union_mask
from tomorois.instances.find import find_instances
from tomorois.instances.settings import InstanceSettings
from tomorois.phantoms.phantom import PhantomSettings, make_phantom

PICTURES = Path(__file__).parents[1] / "pictures"
SEED = 8
SETTINGS = PhantomSettings(shape_zyx=(48, 150, 150))


def coloured(rois: RoiSet, plane: int) -> NDArray[np.float64]:
    """The ROIs of a plane z in colours (y, x, rgba), clear where there is none."""
    labels = labels_from_rois(rois).data[plane]
    image = colormaps["tab10"](labels % 10)
    image[..., 3] = 0.75 * (labels > 0)
    return image


def main(folder: Path) -> None:
    phantom = make_phantom("contacts", SEED, SETTINGS)
    union = union_mask(phantom.rois)
    confidence = union.with_data(union.data.astype(np.float32))
    found = {
        f"truth: {len(phantom.rois)} contacts": phantom.rois,
        "watershed": find_instances(confidence, InstanceSettings(split="watershed")),
        "membrane pairs": find_instances(confidence, InstanceSettings(split="contacts"), phantom.membranes),
    }
    plane = int((union.data > 0).sum(axis=(1, 2)).argmax())
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    for axes, (name, rois) in zip(figure.subplots(1, 3), found.items(), strict=True):
        axes.imshow(phantom.tomogram.data[plane], cmap="gray", origin="lower")
        axes.contour(phantom.membranes.data[plane] > 0, [0.5], colors="#c0d4e0", linewidths=0.5)
        axes.imshow(coloured(rois, plane), origin="lower")
        axes.set(xticks=[], yticks=[])
        axes.set_title(name if "truth" in name else f"{name}: {len(rois)} ROIs", fontsize=10)
    figure.savefig(folder / "contact_pairs.png", dpi=75)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
