"""A whole study: every measure of all tables compared between conditions and within tomograms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tomocore.contract import InputError, Progress, no_progress
from tomocore.page import shown
from tomosurf.statistics.compare import Comparison, compare_conditions, compare_pairs, comparison_table
from tomosurf.statistics.design import Unit
from tomosurf.statistics.hierarchy import Sample, samples_of
from tomosurf.statistics.measures import Measure, measures_of, membrane_pairs, pairs_of, patch_pairs
from tomosurf.statistics.tables import Tables

OUTSIDE_AND_INSIDE = ("outside contacts", "at contacts")
RANDOM_AND_CONTACTS = ("random patches", "contacts")


@dataclass(frozen=True)
class Paired:
    """Two measures that are compared within the tomograms of one condition, and what they are called."""

    first: Measure
    second: Measure
    words: tuple[str, str]
    condition: str
    samples: tuple[Sample, Sample]

    @property
    def name(self) -> str:
        """The measure and where, in words."""
        same_place = self.first.where == self.second.where
        return self.second.column.heading.replace(" inside", "") + (
            f", {self.second.where}" if same_place and self.second.where else ""
        )

    @property
    def named(self) -> dict[str, str]:
        """The columns that name it in a table of comparisons."""
        where = self.second.where if self.first.where == self.second.where else ""
        return {**self.second.named, "where": where, "condition": self.condition}


@dataclass(frozen=True)
class Study:
    """All that came of it: measures with their samples, comparisons, and all of them as one table."""

    tables: Tables
    measures: list[tuple[Measure, list[Sample]]]
    between: list[tuple[Measure, Comparison]]
    within: list[tuple[Paired, Comparison]]
    table: pd.DataFrame


def study_of(
    tables: Tables,
    measures: Sequence[str] = (),
    reference: str | None = None,
    unit: Unit = "auto",
    seed: int = 0,
    across_membranes: bool = False,
    progress: Progress = no_progress,
) -> Study:
    """All comparisons of the ``tables``, of the ``measures`` named or of those that matter by default.

    Conditions are compared with one ``reference``, or each with each; ``unit`` is what counts as independent
    (see `tomosurf.statistics.design`). With ``across_membranes``, named membranes of the same tomograms are
    compared with each other, too. ``seed`` draws resamples and, of many tomograms, assignments. Raises
    InputError where a measure or the reference is not there.
    """
    rng = np.random.default_rng(seed)
    conditions = tables.conditions
    if reference is not None and reference not in conditions:
        raise InputError(f"{reference}: no such {tables.by}; there are {', '.join(conditions)}")
    chosen = measures_of(tables, measures)
    if not chosen:
        raise InputError("the tables hold nothing that is compared; name columns with --measures")
    samples = [(m, samples_of(m.rows, m.key, tables.by, conditions)) for m in chosen]
    pairs = list(_paired(tables, chosen, across_membranes))
    total = len(samples) + len(pairs)
    between: list[tuple[Measure, Comparison]] = []
    for at, (measure, of_measure) in enumerate(samples):
        between += [(measure, c) for c in compare_conditions(of_measure, rng, unit, reference)]
        progress(at + 1, total)
    within: list[tuple[Paired, Comparison]] = []
    for at, pair in enumerate(pairs):
        within.append((pair, compare_pairs(*pair.samples, rng)))
        progress(len(samples) + at + 1, total)
    named = [(m.named, c) for m, c in between] + [(p.named, c) for p, c in within]
    return Study(tables, samples, between, within, comparison_table(named))


def _paired(tables: Tables, measures: Sequence[Measure], across_membranes: bool) -> Iterator[Paired]:
    """Pairs within tomograms of each condition: outside and inside of contacts, one membrane and another."""
    pairs = [(a, b, OUTSIDE_AND_INSIDE) for a, b in pairs_of(tables, measures)]
    pairs += [(a, b, RANDOM_AND_CONTACTS) for a, b in patch_pairs(tables)]
    if across_membranes:
        pairs += [(a, b, (a.where, b.where)) for a, b in membrane_pairs(measures)]
    for first, second, words in pairs:
        firsts, seconds = (samples_of(m.rows, m.key, tables.by, tables.conditions) for m in (first, second))
        for one, other in zip(firsts, seconds, strict=True):
            samples = Sample(words[0], one.tomograms), Sample(words[1], other.tomograms)
            yield Paired(first, second, words, one.condition, samples)


def corrected(study: Study) -> list[float]:
    """The p of each comparison between conditions, in their order, after Holm."""
    return [float(p) for p in study.table["p_holm"][: len(study.between)]]


def findings(study: Study) -> list[str]:
    """A line a comparison between conditions whose interval leaves out zero, the smallest p first."""
    told = []
    for (measure, comparison), holm in zip(study.between, corrected(study), strict=True):
        if comparison.test and not comparison.difference.low <= 0 <= comparison.difference.high:
            told.append((comparison.test.p, f"{measure.name}: {in_words(measure, comparison, holm)}"))
    return [line for _, line in sorted(told)]


def in_words(measure: Measure, comparison: Comparison, holm: float) -> str:
    """``ko − wt 3.1 nm (95 % 1.2 to 5.0), p = 0.029, after Holm 0.11``."""
    shift = comparison.difference
    unit = f" {measure.column.unit}" if measure.column.unit else ""
    words = f"{comparison.names[1]} − {comparison.names[0]}: {_number(shift.value)}{unit}"
    if comparison.test is None:
        return words
    interval = f"95 % {_number(shift.low)} to {_number(shift.high)}"
    return f"{words} ({interval}), p = {comparison.test.p:.2g}, after Holm {holm:.2g}"


def _number(value: float) -> str:
    return shown(value).replace("-", "−")
