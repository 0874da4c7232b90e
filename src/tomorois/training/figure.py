"""The curves of a training as a picture."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

KEPT, REJECTED = "#1f5a7a", "#b3541e"


def training_figure(log: pd.DataFrame) -> Figure:
    """Loss and validation Dice against the step; with rejected regions, confidence there and in ROIs too.

    ``log`` is the table that a training writes (`tomorois.training.loop.LOG_COLUMNS`).
    """
    followed = log.dropna(subset=["rejected_confidence"])
    figure = Figure(figsize=(12.0 if len(followed) else 8.4, 3.4), layout="constrained")
    panels = figure.subplots(1, 3 if len(followed) else 2)
    steps = log["step"]
    panels[0].plot(steps, log["loss"], color="#bbbbbb", lw=0.8)
    panels[0].plot(steps, log["loss"].rolling(9, center=True, min_periods=1).mean(), color="#1f5a7a")
    panels[0].set(xlabel="step", ylabel="loss", yscale="log")
    checked = log.dropna(subset=["validation_dice"])
    panels[1].plot(checked["step"], checked["validation_dice"], "o-", color="#4c8c4a", ms=4)
    panels[1].set(xlabel="step", ylabel="Dice of voxels at validation", ylim=(0, 1))
    if len(followed):
        for column, colour, name in (
            ("roi_confidence", KEPT, "ROIs"),
            ("rejected_confidence", REJECTED, "rejected regions"),
        ):
            panels[2].plot(followed["step"], followed[column], "o-", color=colour, ms=4, label=name)
        panels[2].set(xlabel="step", ylabel="mean confidence", ylim=(0, 1))
        panels[2].legend(frameon=False, fontsize=8)
    _bare(*panels)
    return figure


def _bare(*many: Any) -> None:
    for axes in many:
        axes.spines[["top", "right"]].set_visible(False)
