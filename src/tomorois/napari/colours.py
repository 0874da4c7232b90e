"""Colours of painted values and of judgements, and a colormap of napari's that needs no compiling."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap, ensure_colormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from tomorois.annotation.strokes import BACKGROUND, IGNORE
from tomorois.napari import layers as names

STATUS_VALUES = {"predicted": 1, "kept": 2, "rejected": 3, "unsure": 4}
IN_VIEW_VALUE = 5
NO_VALUE = "#b9bfc6"
"""Grey, where a vertex has no value or no contact."""


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


def contact_colours(numbers: NDArray[Any]) -> NDArray[np.float32]:
    """A colour (n, 4) for the number of the contact at each vertex (n,); grey where there is none."""
    palette = transform_color([NO_VALUE, *names.CLASS_COLOURS[:7]])
    whole = np.nan_to_num(numbers).astype(np.int64)
    return np.asarray(palette[np.where(whole > 0, (whole - 1) % 7 + 1, 0)], np.float32)


def value_colours(values: NDArray[Any], limits: tuple[float, float], colormap: str) -> NDArray[np.float32]:
    """The colours (n, 4) of values (n,) between limits; grey where there is no value."""
    low, high = limits
    colours = ensure_colormap(colormap).map(np.clip((values - low) / (high - low), 0, 1))
    colours[~np.isfinite(values)] = transform_color([NO_VALUE])[0]
    return np.asarray(colours, np.float32)


def limits_about(values: NDArray[Any]) -> tuple[float, float]:
    """Where most of the values lie; about zero where they have both signs."""
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.quantile(values, [0.05, 0.95]))
    if low < 0 < high:
        reach = max(-low, high)
        return -reach, reach
    return (low, high) if high > low else (low, low + 1.0)
