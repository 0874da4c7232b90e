"""What two conditions' tomograms allow: which units are independent, and where grids stand as blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomosurf.statistics.hierarchy import GRID, TOMOGRAM, Floats, Level, Sample, mean_of
from tomosurf.statistics.resampling import Spread, spread_of_difference
from tomosurf.statistics.settings import Unit


@dataclass(frozen=True)
class Design:
    """Two samples as they are compared: by tomograms or by grids, with grids as blocks or not.

    ``unit`` is what is counted as independent. Where grids hold both conditions, ``blocks`` (n,) is the grid
    of each unit, first sample first, and the samples' values are free of the grids' own effects. ``cautions``
    say what the design cannot tell.
    """

    first: Sample
    second: Sample
    unit: str
    blocks: tuple[str, ...]
    cautions: tuple[str, ...]

    @property
    def has_blocks(self) -> bool:
        """Whether names are exchanged within grids."""
        return len(set(self.blocks)) > 1

    @property
    def units(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The independent parts of either sample."""
        return self.first.units(self.unit), self.second.units(self.unit)

    @property
    def means(self) -> tuple[Floats, Floats]:
        """The units' means of either sample."""
        first, second = (np.array([mean_of(unit) for unit in units]) for units in self.units)
        return first, second

    @property
    def spread(self) -> Spread:
        """Standard error of the difference of means, and its degrees of freedom."""
        first, second = self.means
        if not self.has_blocks:
            return spread_of_difference(first, second)
        return _spread_within_blocks(first, second, self.blocks)


def design_of(first: Sample, second: Sample, unit: Unit = "auto") -> Design:
    """How two samples are compared.

    Grids that hold both conditions are blocks. Grids that hold one each are the units, if either condition
    has two at least and ``unit`` is not "tomogram"; of grids that are not all known nothing is concluded.
    """
    grids = [set(sample.grids) for sample in (first, second)]
    plain = Design(first, second, TOMOGRAM, _one_block(first, second), ())
    if grids[0] | grids[1] == {""} or len(grids[0] | grids[1]) == 1:
        return plain
    if "" in grids[0] | grids[1]:
        return _with_cautions(plain, "the grids of some tomograms are not known, so grids are not heeded")
    if grids[0] & grids[1]:
        return plain if unit == TOMOGRAM else _blocked(first, second, grids[0] & grids[1])
    fewest = min(len(of_one) for of_one in grids)
    if fewest < 2:
        caution = "a condition has one grid alone: what the grid does cannot be told from the condition"
        return _with_cautions(plain, caution)
    if unit == TOMOGRAM:
        caution = "tomograms are taken for independent though grids differ: what grids do counts as condition"
        return _with_cautions(plain, caution)
    few = "; so few grids rarely show anything" if fewest < 4 else ""
    caution = f"grids are the units, since each holds one condition{few} (--unit tomogram ignores grids)"
    return Design(first, second, GRID, ("",) * (len(grids[0]) + len(grids[1])), (caution,))


def _one_block(first: Sample, second: Sample) -> tuple[str, ...]:
    return ("",) * (len(first.tomograms) + len(second.tomograms))


def _with_cautions(design: Design, caution: str) -> Design:
    return Design(design.first, design.second, design.unit, design.blocks, (*design.cautions, caution))


def _blocked(first: Sample, second: Sample, crossing: set[str]) -> Design:
    """Both samples less the effects of their grids, which are fitted together with the condition."""
    tomograms = first.tomograms + second.tomograms
    blocks = tuple(t.grid for t in tomograms)
    is_second = np.arange(len(tomograms)) >= len(first.tomograms)
    means = np.array([t.mean for t in tomograms])
    shifts = _grid_effects(means, is_second, blocks)
    shifted = [t.shifted(-float(by)) for t, by in zip(tomograms, shifts, strict=True)]
    lone = [t.name for t in tomograms if t.grid not in crossing]
    cautions = (
        (f"{len(lone)} tomograms of grids with one condition alone tell nothing of the difference",)
        if lone
        else ()
    )
    n = len(first.tomograms)
    return Design(
        Sample(first.condition, tuple(shifted[:n])),
        Sample(second.condition, tuple(shifted[n:])),
        TOMOGRAM,
        blocks,
        cautions,
    )


def _grid_effects(means: Floats, is_second: np.ndarray, blocks: Sequence[str]) -> Floats:
    """How far each tomogram's grid (n,) lies from the mean over tomograms, by least squares beside the
    condition."""
    names = list(dict.fromkeys(blocks))
    columns = np.array([[block == name for name in names] for block in blocks], np.float64)
    fitted, *_ = np.linalg.lstsq(np.column_stack([columns, is_second]), means, rcond=None)
    effects = columns @ fitted[:-1]
    return np.asarray(effects - effects.mean(), np.float64)


def _spread_within_blocks(first: Floats, second: Floats, blocks: Sequence[str]) -> Spread:
    """Standard error of the condition's coefficient beside those of grids (ordinary least squares)."""
    values = np.concatenate([first, second])
    is_second = (np.arange(len(values)) >= len(first)).astype(np.float64)
    names = list(dict.fromkeys(blocks))
    weight = 0.0
    for name in names:
        inside = is_second[np.array([block == name for block in blocks])]
        weight += float(((inside - inside.mean()) ** 2).sum())
    residual = values - np.where(is_second > 0, second.mean(), first.mean())
    freedom = len(values) - len(names) - 1
    if freedom < 1:
        return Spread(float("nan"), 0.0)
    return Spread(float(np.sqrt((residual**2).sum() / freedom / weight)), freedom)
