"""Colours of points: by an array, through maps that colour-blind people can read, by class, by selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Bytes, Mask

PLAIN = ""
"""Name of the colouring by surface alone."""
CLASSES = ("#9aa3ad", "#0072b2", "#e69f00", "#009e73", "#8c5a2b", "#56b4e9", "#d55e00", "#f0e442", "#4b4f8f")
"""Mostly Okabe and Ito's colours, which colour-blind people tell apart; the first is that of no class."""
SURFACES = ("#5f9ea0", "#c9a227", "#8c9a52", "#c08a4a", "#6f86b9", "#a3665f")
SELECTED = "#ff2bb8"
"""Magenta, which is in neither map."""
NO_VALUE = "#b9bfc6"
SEQUENTIAL = "viridis"
DIVERGING = "PuOr_r"
"""Both are told apart by eyes that see no red or no green."""
SIGNED = ("curvature", "k1_", "k2_", "signed")
BY_NUMBER = ("label", "component", "contact_id")


@dataclass(frozen=True)
class Colouring:
    """How points are coloured: by the array ``name`` between two limits, by a colour map of matplotlib."""

    name: str = PLAIN
    limits: tuple[float, float] = (0.0, 1.0)
    map_name: str = SEQUENTIAL


def suited_colouring(name: str, values: NDArray[Any]) -> Colouring:
    """A colouring for an array: limits that leave 2 % outside, about zero for what has a sign."""
    found = values[np.isfinite(values)] if values.dtype.kind == "f" else values.astype(np.float64)
    if len(found) == 0:
        return Colouring(name)
    low, high = np.quantile(found, [0.02, 0.98])
    if any(part in name for part in SIGNED):
        reach = float(max(abs(low), abs(high))) or 1.0
        return Colouring(name, (-reach, reach), DIVERGING)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return Colouring(name, (float(low), float(high)), SEQUENTIAL)


def rgb(colour: str) -> Bytes:
    """A colour's red, green and blue (3,) from 0 to 255."""
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.uint8)


def table_of(map_name: str, count: int = 256) -> Bytes:
    """The colours (count, 3) of a map of matplotlib."""
    return np.round(255 * matplotlib.colormaps[map_name](np.linspace(0, 1, count))[:, :3]).astype(np.uint8)


def by_value(values: NDArray[Any], colouring: Colouring) -> Bytes:
    """Colours (n, 3) of values (n,); grey where there is none."""
    low, high = colouring.limits
    table = np.vstack([table_of(colouring.map_name), rgb(NO_VALUE)])
    with np.errstate(invalid="ignore"):
        at = np.clip((values.astype(np.float64) - low) / max(high - low, 1e-300) * 255, 0, 255)
    index = np.where(np.isfinite(at), at, 256).astype(np.int64)
    return np.asarray(table[index])


def by_number(numbers: NDArray[Any]) -> Bytes:
    """Colours (n, 3) of whole numbers (n,): none for 0 and below, then one after the other, over and over."""
    table = np.array([rgb(colour) for colour in CLASSES])
    whole = np.nan_to_num(numbers).astype(np.int64)
    return np.asarray(table[np.where(whole > 0, (whole - 1) % (len(CLASSES) - 1) + 1, 0)])


def with_selection(colours: Bytes, selected: Mask) -> Bytes:
    """The colours with those of selected points replaced."""
    colours[selected] = rgb(SELECTED)
    return colours


def titled(name: str) -> str:
    """An array's name as it stands at a colour bar: words, and the unit after a comma."""
    units = {"_per_nm2": "1/nm²", "_per_nm": "1/nm", "_nm2": "nm²", "_nm3": "nm³", "_nm": "nm", "_deg": "°"}
    for ending, unit in units.items():
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ')}, {unit}"
    return name.replace("_", " ")


def floats_of(colour: str) -> tuple[float, float, float]:
    """Red, green and blue from 0 to 1, as VTK takes them."""
    red, green, blue = (rgb(colour) / 255.0).tolist()
    return red, green, blue
