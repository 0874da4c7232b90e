"""Two conditions compared by one measure: the difference with its interval, a p, and what would show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tomosurf.statistics.design import Unit, design_of
from tomosurf.statistics.effects import (
    UNKNOWN,
    Estimate,
    cliffs_delta,
    difference,
    hedges_g,
    ratio,
    standardised_mean,
)
from tomosurf.statistics.hierarchy import TOMOGRAM, Floats, Sample
from tomosurf.statistics.permutation import Permuted, benjamini_hochberg, holm, permutation_test, sign_test
from tomosurf.statistics.power import detectable_difference, needed_pairs, needed_units
from tomosurf.statistics.resampling import RESAMPLES, interval_of_pairs, resampled_means

BETWEEN, WITHIN = "between conditions", "within tomograms"
TOO_FEW = "fewer than 2 tomograms with a value in a condition, so neither interval nor p"
NO_VALUE = "no tomogram has a value"


@dataclass(frozen=True)
class Comparison:
    """One measure in two conditions (or at two places of the same tomograms), first and second."""

    kind: str
    names: tuple[str, str]
    unit: str
    tomograms: tuple[int, int]
    units: tuple[int, int]
    places: tuple[int, int]
    means: tuple[float, float]
    deviations: tuple[float, float]
    difference: Estimate
    ratio: Estimate
    hedges_g: Estimate
    cliffs_delta: Estimate
    test: Permuted | None
    needed_80: float
    needed_90: float
    detectable: float
    cautions: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """The comparison as a row of comparisons.csv."""
        row: dict[str, Any] = {"comparison": self.kind, "unit": self.unit}
        for at, side in enumerate(("first", "second")):
            row |= {
                side: self.names[at],
                f"mean_{side}": self.means[at],
                f"sd_{side}": self.deviations[at],
                f"tomograms_{side}": self.tomograms[at],
                f"units_{side}": self.units[at],
                f"places_{side}": self.places[at],
            }
        for name in ("difference", "ratio", "hedges_g", "cliffs_delta"):
            estimate: Estimate = getattr(self, name)
            row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        test = self.test
        return row | {
            "p": test.p if test else np.nan,
            "p_smallest": test.smallest if test else np.nan,
            "assignments": test.assignments if test else np.nan,
            "p_is_exact": bool(test and test.is_exact),
            "needed_80": self.needed_80,
            "needed_90": self.needed_90,
            "detectable": self.detectable,
            "caution": "; ".join(self.cautions),
        }


def compare_samples(
    first: Sample, second: Sample, rng: np.random.Generator, unit: Unit = "auto"
) -> Comparison:
    """Two conditions by one measure; without interval and p where either has fewer than two tomograms."""
    if min(len(first.tomograms), len(second.tomograms)) < 2:
        return _too_few(first, second)
    design = design_of(first, second, unit)
    a, b = design.means
    units = design.units
    resampled = (resampled_means(units[0], RESAMPLES, rng), resampled_means(units[1], RESAMPLES, rng))
    spread = design.spread
    is_second = np.arange(len(a) + len(b)) >= len(a)
    shift = difference(a, b, resampled, spread)
    deviations = (float(a.std(ddof=1)), float(b.std(ddof=1)))
    return Comparison(
        kind=BETWEEN,
        names=(first.condition, second.condition),
        unit=design.unit,
        tomograms=(len(first.tomograms), len(second.tomograms)),
        units=(len(a), len(b)),
        places=(first.places, second.places),
        means=(float(a.mean()), float(b.mean())),
        deviations=deviations,
        difference=shift,
        ratio=ratio(a, b, resampled, spread),
        hedges_g=hedges_g(a, b),
        cliffs_delta=cliffs_delta(a, b),
        test=permutation_test(np.concatenate([a, b]), is_second, design.blocks, rng),
        needed_80=needed_units(shift.value, deviations, 0.8),
        needed_90=needed_units(shift.value, deviations, 0.9),
        detectable=detectable_difference(deviations, (len(a), len(b))),
        cautions=design.cautions,
    )


def compare_pairs(first: Sample, second: Sample, rng: np.random.Generator) -> Comparison:
    """Two places or membranes within the same tomograms, those that have both; samples named by place.

    The unit is the tomogram's difference of means. ``rng`` draws resamples and, of many tomograms, signs.
    """
    pairs = _pairs_of(first, second)
    if len(pairs) < 2:
        return _too_few(first, second, WITHIN)
    a, b = (np.array([pair[k].mean() for pair in pairs]) for k in (0, 1))
    d = b - a
    low, high = interval_of_pairs(pairs, rng)
    deviation = float(d.std(ddof=1))
    shift = Estimate(float(d.mean()), low, high)
    return Comparison(
        kind=WITHIN,
        names=(first.condition, second.condition),
        unit=TOMOGRAM,
        tomograms=(len(d), len(d)),
        units=(len(d), len(d)),
        places=(sum(len(p) for p, _ in pairs), sum(len(q) for _, q in pairs)),
        means=(float(a.mean()), float(b.mean())),
        deviations=(float(a.std(ddof=1)), float(b.std(ddof=1))),
        difference=shift,
        ratio=UNKNOWN,
        hedges_g=standardised_mean(d),
        cliffs_delta=UNKNOWN,
        test=sign_test(d, rng),
        needed_80=needed_pairs(shift.value, deviation, 0.8),
        needed_90=needed_pairs(shift.value, deviation, 0.9),
        detectable=float("nan"),
        cautions=(),
    )


def compare_conditions(
    samples: Sequence[Sample], rng: np.random.Generator, unit: Unit = "auto", reference: str | None = None
) -> list[Comparison]:
    """All pairs of conditions by one measure, or each against the ``reference``, which then comes first."""
    pairs: Iterable[tuple[Sample, Sample]] = combinations(samples, 2)
    if reference is not None:
        (first,) = (sample for sample in samples if sample.condition == reference)
        pairs = ((first, sample) for sample in samples if sample is not first)
    return [compare_samples(first, second, rng, unit) for first, second in pairs]


def comparison_table(comparisons: Sequence[tuple[dict[str, Any], Comparison]]) -> pd.DataFrame:
    """A row a comparison after what it is of, with p corrected over all tests of its kind in the table.

    Those between conditions are one family, those within tomograms another. ``p_holm`` is after Holm,
    ``p_bh`` after Benjamini and Hochberg. Tests that were not made are not counted.
    """
    table = pd.DataFrame([{**named, **comparison.row()} for named, comparison in comparisons])
    at = list(table).index("p") + 1
    families = table.groupby("comparison")["p"]
    table.insert(at, "p_holm", families.transform(lambda p: holm(p.to_numpy(np.float64))))
    table.insert(at + 1, "p_bh", families.transform(lambda p: benjamini_hochberg(p.to_numpy(np.float64))))
    return table


def _too_few(first: Sample, second: Sample, kind: str = BETWEEN) -> Comparison:
    """What can be said where no comparison can be made: counts, and means where there is a value."""
    samples = (first, second)
    counts = tuple(len(sample.tomograms) for sample in samples)
    nan = float("nan")
    return Comparison(
        kind=kind,
        names=(first.condition, second.condition),
        unit=TOMOGRAM,
        tomograms=(counts[0], counts[1]),
        units=(counts[0], counts[1]),
        places=(first.places, second.places),
        means=(_mean(first.means), _mean(second.means)),
        deviations=(nan, nan),
        difference=Estimate(_mean(second.means) - _mean(first.means), nan, nan),
        ratio=UNKNOWN,
        hedges_g=UNKNOWN,
        cliffs_delta=UNKNOWN,
        test=None,
        needed_80=nan,
        needed_90=nan,
        detectable=nan,
        cautions=(TOO_FEW if max(counts) else NO_VALUE,),
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _pairs_of(first: Sample, second: Sample) -> list[tuple[Floats, Floats]]:
    """The values of both samples in each tomogram that has both."""
    others = {tomogram.name: tomogram.values for tomogram in second.tomograms}
    return [(t.values, others[t.name]) for t in first.tomograms if t.name in others]
