"""Draws docs/pictures/learning.png from the stored results of benchmarks/learning_study.py."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PICTURES = Path(__file__).parents[1] / "pictures"
STUDY = Path(__file__).parents[1] / "tomorois" / "learning_study.csv"
ERRORS = STUDY.with_name("learning_errors.csv")
LONG = "longer"
TARGET = 0.93
COLOURS = ("0.75", "tab:blue", "tab:green")
KINDS = {"contacts": "tab:blue", "invaginations": "tab:orange"}


def main(folder: Path) -> None:
    mpl.rcParams["font.size"] = 8
    study, errors = pd.read_csv(STUDY), pd.read_csv(ERRORS)
    figure = Figure(figsize=(11.0, 3.4), layout="constrained")
    by_count, by_setting, by_error = figure.subplots(1, 3, width_ratios=(1.5, 1.0, 1.4))
    draw_counts(by_count, study[study["study"] == "annotated ROIs"], study[study["study"] == LONG])
    draw_settings(by_setting, study)
    draw_errors(by_error, errors)
    figure.savefig(folder / "learning.png", dpi=110)


def draw_counts(axes: Axes, rows: pd.DataFrame, long: pd.DataFrame) -> None:
    """Dice against the number of annotated ROIs: every training a dot, their means a line."""
    spread = rows["name"].str.contains("one a tomogram")
    clean = rows[(rows["noise"] == "denoised") & ~spread]
    for kind, colour in KINDS.items():
        mine = clean[clean["kind"] == kind]
        means = mine.groupby("rois")["dice"].mean()
        axes.plot(mine["rois"], mine["dice"], "o", color=colour, alpha=0.4, markersize=4)
        axes.plot(means.index, means, "o-", color=colour, label=kind)
        longer = long[long["kind"] == kind]
        if len(longer):
            axes.plot(
                longer["rois"], longer["dice"], "*", color=colour, markersize=9, label=f"{kind}, longer"
            )
    for chosen, mark, label in ((rows["noise"] == "raw", "x", "raw noise"), (spread, "^", "one a tomogram")):
        axes.plot(rows["rois"][chosen], rows["dice"][chosen], mark, color=KINDS["contacts"], label=label)
    axes.axhline(TARGET, color="0.4", linestyle=":", linewidth=1)
    axes.text(10, TARGET + 0.005, f"target {TARGET}", color="0.4")
    axes.set(xscale="log", xlabel="annotated ROIs", ylabel="Dice on unseen phantoms", ylim=(0.5, 1))
    counts = sorted(clean["rois"].unique())
    axes.set_xticks(counts, [str(n) for n in counts], minor=False)
    axes.minorticks_off()
    axes.set_title(f"{rows['budget_s'].iloc[0]:g} CPU-seconds each")
    axes.legend(frameon=False, loc="lower right")


def draw_settings(axes: Axes, study: pd.DataFrame) -> None:
    """Dice of each setting at equal processor time, the best on top."""
    base = study[(study["study"] == "annotated ROIs") & (study["name"] == "50 contacts")]
    means = study[study["study"] == "settings"].groupby("name")["dice"].mean()
    means["defaults"] = base["dice"].mean()
    means = means.sort_values()
    colours = ["tab:blue" if name == "defaults" else "0.7" for name in means.index]
    places = np.arange(len(means))
    axes.barh(places, means, color=colours)
    axes.axvspan(base["dice"].min(), base["dice"].max(), color="tab:blue", alpha=0.15, linewidth=0)
    axes.set_yticks(places, list(means.index))
    axes.set(xlabel="Dice on unseen phantoms", xlim=(0.5, 1))
    axes.set_title("one change at a time, 50 contacts")


def draw_errors(axes: Axes, errors: pd.DataFrame) -> None:
    """Share of the true voxels in each kind of error, of the networks looked into."""
    table = errors.pivot(index="error", columns="training", values="share")
    table = table.loc[errors["error"].unique(), errors["training"].unique()]
    height = 0.8 / len(table.columns)
    for number, name in enumerate(table.columns):
        places = np.arange(len(table)) + number * height
        axes.barh(places, table[name], height, label=name, color=COLOURS[number % 3])
    axes.set_yticks(np.arange(len(table)) + 0.4 - height / 2, list(table.index))
    axes.invert_yaxis()
    axes.set(xlabel="voxels, as a share of the true ones", xlim=(0, 1.3 * table.to_numpy().max()))
    axes.set_title("where the errors lie")
    axes.legend(frameon=False, loc=(0.2, 0.45), fontsize=7)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
