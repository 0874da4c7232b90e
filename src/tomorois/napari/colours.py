"""Colours of painted values and of judgements, and a colormap of napari's that needs no compiling."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from tomorois.annotation.strokes import BACKGROUND, IGNORE
from tomorois.napari import layers as names

STATUS_VALUES = {"predicted": 1, "kept": 2, "rejected": 3, "unsure": 4}
IN_VIEW_VALUE = 5


class LabelColours(DirectLabelColormap):
    """Each whole number in its colour, all others transparent.

    napari compiles a kernel for each colormap's table, in every process anew: 1.4 s before the first label is
    seen. Of numbers of one or two bytes numpy looks the same table up.
    """

    def _map_without_cache(self, values: NDArray[Any]) -> NDArray[np.float32]:
        table = np.zeros((int(values.max()) + 1, 4), np.float32)
        for value, colour in self.color_dict.items():
            if value is not None and value < len(table):
                table[value] = colour
        return np.asarray(table[np.maximum(values, 0)])


def label_colours(colours: dict[int, str]) -> LabelColours:
    """The colormap of whole numbers, each in its colour."""
    painted: dict[Any, Any] = {None: "transparent", 0: "transparent", **colours}
    return LabelColours(color_dict=painted)


def paint_colours() -> dict[int, str]:
    """The colour of each painted value."""
    classes = {n: colour for n, colour in enumerate(names.CLASS_COLOURS, start=1)}
    more = {n: names.CLASS_COLOURS[(n - 1) % 7] for n in range(10, BACKGROUND)}
    return {**classes, **more, BACKGROUND: names.BLUE, IGNORE: "#bbbbbb"}


def status_colours() -> dict[int, str]:
    """The colour of each value of the layer of ROIs."""
    return {
        **{STATUS_VALUES[status]: colour for status, colour in names.STATUS_COLOURS.items()},
        IN_VIEW_VALUE: names.IN_VIEW_COLOUR,
    }
