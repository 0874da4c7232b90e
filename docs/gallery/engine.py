"""Draws engine.png: memory of a network by its layers, and the seam that tiles leave by their overlap.

    python docs/gallery/engine.py [--output DIR]

Memory is by count: 4 bytes for every channel that is kept. The seam is the largest difference between the
confidence of a volume of noise run in one piece and in two halves that overlap.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.cpu import buffer_bytes
from tomorois.network.msdnet.module import MSDNet, infer

PICTURES = Path(__file__).parents[1] / "pictures"
NETWORK = MSDNetConfig(layers=6, dilations=(1, 2, 4))
SHAPE = (16, 32, 80)
SIDE = 64  # of the patch whose bytes are counted
CLEAR, DIM, WARN = "#1f6f8b", "#99a8b2", "#c8553d"


def draw_memory(axes: Axes) -> None:
    """Bytes a voxel: one buffer, its gradients too, and every concatenation kept for the gradient."""
    layers = np.arange(5, 101)
    shape = (SIDE, SIDE, SIDE)
    buffer = np.array([buffer_bytes(shape, n + 1) for n in layers]) / SIDE**3
    gradients = np.array([buffer_bytes(shape, n) for n in layers]) / SIDE**3
    concatenated = 4 * (layers + 1) * (layers + 2) / 2
    axes.semilogy(layers, concatenated, color=WARN, label="training by concatenation")
    axes.semilogy(layers, buffer + gradients, color=CLEAR, linestyle="--", label="training here")
    axes.semilogy(layers, buffer, color=CLEAR, label="inference here")
    axes.set(xlabel="layers", ylabel="bytes a voxel, counted", title="Memory")
    axes.legend(frameon=False)


def seam(model: MSDNet, volume: np.ndarray, whole: np.ndarray, halo: int) -> float:
    """Largest difference in confidence when the volume is cut in the middle of x."""
    middle = SHAPE[2] // 2
    left = infer(model, volume[:, :, : middle + halo])[:, :, :middle]
    right = infer(model, volume[:, :, middle - halo :])[:, :, halo:]
    return float(np.abs(np.concatenate([left, right], axis=2) - whole).max())


def draw_seams(axes: Axes) -> None:
    """The seam for every overlap up to one that is more than enough."""
    model = MSDNet(NETWORK, seed=1)
    with torch.no_grad():
        model.output_weight.normal_(generator=torch.Generator().manual_seed(2))
    volume = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    whole = infer(model, volume)
    halos = np.arange(NETWORK.halo + 3)
    seams = np.array([seam(model, volume, whole, halo) for halo in halos])
    exact = seams < 1e-5
    axes.axvline(NETWORK.halo, color=DIM, linestyle=":")
    axes.text(NETWORK.halo - 0.3, 0.3, "sum of the dilations", ha="right", color=DIM)
    axes.semilogy(halos[~exact], seams[~exact], "o-", color=WARN, label="seams")
    axes.semilogy(halos[exact], np.full(exact.sum(), 1e-7), "o", color=CLEAR, label="none (below 1e-5)")
    axes.set(xlabel="overlap a side, voxels", ylabel="largest difference in confidence", title="Tiles")
    axes.legend(frameon=False, loc="center left")


def main(folder: Path) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_memory(left)
    draw_seams(right)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "engine.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
