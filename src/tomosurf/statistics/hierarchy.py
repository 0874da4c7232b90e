"""Condition > grid > tomogram > contact: the values of one measure as they depend on each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Level: TypeAlias = "Floats | tuple[Level, ...]"
"""The values of one tomogram (k,), or the levels below: tomograms of a grid, grids of a condition."""

TOMOGRAM, GRID = "tomogram", "grid"
"""Names of the columns that tell them, and of the units that a comparison counts."""


@dataclass(frozen=True)
class TomogramValues:
    """One tomogram's values (k,) of a measure, a contact (or surface, ROI) each, and the grid it is of."""

    name: str
    values: Floats
    grid: str = ""

    @property
    def mean(self) -> float:
        """The tomogram's mean, the value that it stands for."""
        return float(self.values.mean())

    def shifted(self, by: float) -> TomogramValues:
        """The same tomogram with a number added to all its values."""
        return replace(self, values=self.values + by)


@dataclass(frozen=True)
class Sample:
    """The tomograms of one condition that have a value of the measure."""

    condition: str
    tomograms: tuple[TomogramValues, ...]

    @property
    def means(self) -> Floats:
        """The tomograms' means (n,)."""
        return np.array([tomogram.mean for tomogram in self.tomograms])

    @property
    def grids(self) -> tuple[str, ...]:
        """The grids of the tomograms, each once, in their order; "" where one is not known."""
        return tuple(dict.fromkeys(tomogram.grid for tomogram in self.tomograms))

    @property
    def places(self) -> int:
        """How many contacts (or surfaces, ROIs) there are in all."""
        return sum(len(tomogram.values) for tomogram in self.tomograms)

    def units(self, unit: str) -> tuple[Level, ...]:
        """The independent parts: the tomograms' values, or for ``unit`` "grid" the grids' tomograms."""
        if unit == TOMOGRAM:
            return tuple(tomogram.values for tomogram in self.tomograms)
        return tuple(tuple(t.values for t in self.tomograms if t.grid == grid) for grid in self.grids)


def mean_of(level: Level) -> float:
    """Mean of the means of what lies below, so that each tomogram counts once in its grid."""
    if isinstance(level, tuple):
        return float(np.mean([mean_of(below) for below in level]))
    return float(level.mean())


def samples_of(table: pd.DataFrame, measure: str, by: str, order: Sequence[str]) -> list[Sample]:
    """The tomograms of each condition with their values of a measure; missing values are left out.

    ``table`` has a row a contact (or surface, ROI) and columns "tomogram", ``by`` (the condition) and, where
    grids are known, "grid". ``order`` names the conditions; one without any value gives an empty sample.
    """
    known = table[np.isfinite(pd.to_numeric(table[measure], errors="coerce"))]
    samples = []
    for condition in order:
        own = known[known[by] == condition]
        samples.append(Sample(condition, tuple(_tomograms_of(own, measure))))
    return samples


def _tomograms_of(table: pd.DataFrame, measure: str) -> Iterable[TomogramValues]:
    for name, rows in table.groupby(TOMOGRAM, sort=True):
        grid = str(rows[GRID].iloc[0]) if GRID in rows and pd.notna(rows[GRID].iloc[0]) else ""
        yield TomogramValues(str(name), rows[measure].to_numpy(np.float64), grid)
