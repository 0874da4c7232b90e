"""How often the statistics are wrong: false positives, intervals that miss, power; on simulated tomograms.

python benchmarks/statistics_errors.py [--times 1000] [--only positives coverage grids power]

A condition is a population of tomograms: each has a mean of its own, and an unequal number of contacts about
it (1 to about 40). Skewed measures are exponentials of such values, as areas are. Where nothing differs, one
condition of `POOL` tomograms is split at random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tomosurf.statistics.design import Unit, design_of
from tomosurf.statistics.effects import cliffs_delta, difference, hedges_g, ratio
from tomosurf.statistics.hierarchy import TOMOGRAM, Floats, Sample, TomogramValues
from tomosurf.statistics.permutation import Permuted, permutation_test
from tomosurf.statistics.power import needed_units
from tomosurf.statistics.resampling import percentiles, resampled_means, scaled_interval, spread_of_mean

POOL = 60
COUNTS = ((3, 3), (4, 4), (6, 6), (12, 12), (4, 12))
RESAMPLES = 1000


@dataclass(frozen=True)
class Population:
    """Tomograms of one condition, ``share`` of the variance between them, ``grid_share`` between grids."""

    share: float
    is_skewed: bool
    grid_share: float = 0.0
    shift: float = 0.0

    @property
    def name(self) -> str:
        """As the tables call it."""
        return f"{'skewed' if self.is_skewed else 'even'}, {self.share:.0%} between tomograms"

    @property
    def mean(self) -> float:
        """The true mean."""
        return float(np.exp(self.shift + 0.5)) if self.is_skewed else self.shift

    def tomogram(
        self, name: str, rng: np.random.Generator, grid: str = "", of_grid: float = 0.0
    ) -> TomogramValues:
        """A tomogram whose number of contacts has 7 as its median."""
        count = max(1, int(rng.lognormal(np.log(7.5), 0.7)))
        own = self.shift + of_grid + rng.normal(0, np.sqrt(self.share))
        values = own + rng.normal(0, np.sqrt(1 - self.share - self.grid_share), count)
        return TomogramValues(name, np.exp(values) if self.is_skewed else values, grid)

    def sample(self, name: str, n: int, rng: np.random.Generator) -> Sample:
        """``n`` tomograms without grids."""
        return Sample(name, tuple(self.tomogram(f"{name}{k}", rng) for k in range(n)))

    def on_grids(
        self, name: str, effects: dict[str, float], grids: str, n: int, rng: np.random.Generator
    ) -> Sample:
        """``n`` tomograms on each of the grids, whose effects are drawn once."""
        tomograms = []
        for grid in grids:
            of_grid = effects.setdefault(grid, rng.normal(0, np.sqrt(self.grid_share)))
            tomograms += [self.tomogram(f"{name}{grid}{k}", rng, grid, of_grid) for k in range(n)]
        return Sample(name, tuple(tomograms))


POPULATIONS = [Population(share, is_skewed) for is_skewed in (False, True) for share in (0.1, 0.5)]


@dataclass(frozen=True)
class Compared:
    """What is judged of a comparison: the means, their resamples, the test."""

    means: tuple[Floats, Floats]
    resamples: tuple[Floats, Floats]
    interval: tuple[float, float]
    test: Permuted


def compared(a: Sample, b: Sample, rng: np.random.Generator, unit: Unit = "auto") -> Compared:
    """As `compare_samples` does it, with fewer resamples."""
    design = design_of(a, b, unit)
    means = design.means
    units = design.units
    resamples = resampled_means(units[0], RESAMPLES, rng), resampled_means(units[1], RESAMPLES, rng)
    shift = difference(*means, resamples, design.spread)
    is_second = np.arange(sum(map(len, means))) >= len(means[0])
    test = permutation_test(np.concatenate(means), is_second, design.blocks, rng)
    return Compared(means, resamples, (shift.low, shift.high), test)


def holds(interval: tuple[float, float], truth: float) -> bool:
    """Whether an interval holds the true value."""
    return interval[0] <= truth <= interval[1]


def positives(times: int) -> Iterator[str]:
    """One condition split at random: how often p ≤ 0.05, and how often 95 % intervals leave out zero."""
    yield "| tomograms | measure | smallest p | p ≤ 0.05 (%) | an exact test could (%) | interval (%) " + (
        "| plain percentiles (%) | t test of all contacts (%) |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for n, m in COUNTS:
        for population in POPULATIONS:
            rng = np.random.default_rng(n * 100 + m)
            pool = population.sample("one", POOL, rng).tomograms
            hits = np.zeros(4)
            for _ in range(times):
                chosen = [pool[k] for k in rng.permutation(POOL)[: n + m]]
                a, b = Sample("a", tuple(chosen[:n])), Sample("b", tuple(chosen[n:]))
                found = compared(a, b, rng)
                plain = percentiles(found.resamples[1] - found.resamples[0])
                hits += [
                    found.test.p <= 0.05,
                    not holds(found.interval, 0),
                    not holds(plain, 0),
                    contacts_differ(a, b),
                ]
            share = 100 * hits / times
            test = found.test
            most = 100 * int(0.05 / test.smallest + 1e-9) * test.smallest if test.is_exact else 5.0
            yield (
                f"| {n} and {m} | {population.name} | {test.smallest:.4f} | {share[0]:.1f} | {most:.1f} | "
                + (f"{share[1]:.1f} | {share[2]:.1f} | {share[3]:.1f} |")
            )


def contacts_differ(a: Sample, b: Sample) -> bool:
    """What a t test of all contacts would have called, as if they were independent."""
    first, second = (np.concatenate([t.values for t in sample.tomograms]) for sample in (a, b))
    error = np.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    return bool(abs(second.mean() - first.mean()) > 1.96 * error)


def coverage(times: int) -> Iterator[str]:
    """New tomograms each time, of conditions that differ: how often the intervals hold the truth."""
    yield "| tomograms | measure | difference (%) | plain percentiles (%) | ratio (%) | Hedges' g (%) " + (
        "| Cliff's delta (%) | mean of one (%) | plain percentiles (%) |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for n, m in COUNTS:
        for population in POPULATIONS:
            shift = 0.5 if population.is_skewed else 1.0
            other = Population(population.share, population.is_skewed, shift=shift)
            truth = true_effects(population, other)
            rng = np.random.default_rng(n * 1000 + m)
            held = sum(held_by(population, other, (n, m), truth, rng) for _ in range(times))
            shares = [f"{100 * share:.1f}" for share in held / times]
            if not population.is_skewed:
                shares[2] = "–"
            yield f"| {n} and {m} | {population.name} | " + " | ".join(shares) + " |"


def held_by(
    first: Population,
    second: Population,
    counts: tuple[int, int],
    truth: Sequence[float],
    rng: np.random.Generator,
) -> Floats:
    """Which of seven intervals (7,) of one simulated study hold their truth, 0 or 1."""
    a, b = first.sample("a", counts[0], rng), second.sample("b", counts[1], rng)
    design = design_of(a, b)
    means = design.means
    resamples = tuple(resampled_means(s.units(TOMOGRAM), RESAMPLES, rng) for s in (a, b))
    effects = [
        difference(*means, resamples, design.spread),
        ratio(*means, resamples, design.spread),
        hedges_g(*means),
        cliffs_delta(*means),
    ]
    held = [e.low <= t <= e.high for e, t in zip(effects, truth, strict=True)]
    one = scaled_interval(float(means[0].mean()), resamples[0], spread_of_mean(means[0]))
    held.insert(1, holds(percentiles(resamples[1] - resamples[0]), truth[0]))
    return np.array([*held, holds(one, first.mean), holds(percentiles(resamples[0]), first.mean)], float)


def true_effects(first: Population, second: Population, count: int = 20_000) -> tuple[float, ...]:
    """Difference, ratio, g and delta between the tomograms of two populations, from very many."""
    rng = np.random.default_rng(0)
    a, b = (population.sample("", count, rng).means for population in (first, second))
    shift = second.mean - first.mean
    above = float(np.searchsorted(np.sort(a), b).mean()) / count
    of_means = second.mean / first.mean if first.mean > 0 else np.nan
    return shift, of_means, shift / float(np.sqrt((a.var() + b.var()) / 2)), 2 * above - 1


DESIGNS = (
    ("4 grids, each with 3 tomograms of both: grids are blocks", ("1234", "1234"), 3, "auto"),
    ("the same, grids not told", ("1234", "1234"), 3, "untold"),
    ("4 grids of each, 3 tomograms a grid: grids are the units", ("1234", "5678"), 3, "auto"),
    ("the same, tomograms as units", ("1234", "5678"), 3, "tomogram"),
    ("2 grids of each, 6 tomograms a grid: grids are the units", ("12", "34"), 6, "auto"),
    ("the same, tomograms as units", ("12", "34"), 6, "tomogram"),
    ("1 grid of each, 12 tomograms: nothing can tell", ("1", "2"), 12, "auto"),
)
"""Words, the grids of either condition, tomograms on each, and how they are compared."""


def grids(times: int) -> Iterator[str]:
    """Grids that differ (30 % of the variance, tomograms 20 %) and conditions that do not."""
    yield "| grids and tomograms | smallest p | p ≤ 0.05 (%) | interval without 0 (%) |"
    yield "|---|---|---|---|"
    population = Population(0.2, False, grid_share=0.3)
    for text, (own, others), n, unit in DESIGNS:
        rng = np.random.default_rng(5)
        hits = np.zeros(2)
        for _ in range(times):
            effects: dict[str, float] = {}
            pair = [population.on_grids(c, effects, g, n, rng) for c, g in (("a", own), ("b", others))]
            if unit == "untold":
                pair = [without_grids(sample) for sample in pair]
            found = compared(*pair, rng, "tomogram" if unit == "tomogram" else "auto")
            hits += [found.test.p <= 0.05, not holds(found.interval, 0)]
        share = 100 * hits / times
        yield f"| {text} | {found.test.smallest:.4f} | {share[0]:.1f} | {share[1]:.1f} |"


def without_grids(sample: Sample) -> Sample:
    """The same tomograms, their grids unknown."""
    return Sample(sample.condition, tuple(TomogramValues(t.name, t.values) for t in sample.tomograms))


def power(times: int) -> Iterator[str]:
    """As many tomograms as were promised to show an effect in 80 % of studies: how often they do."""
    yield "| effect (SD between tomograms) | measure | tomograms a condition, promised | shown (%) |"
    yield "|---|---|---|---|"
    for population in POPULATIONS:
        spread = float(population.sample("", 20_000, np.random.default_rng(0)).means.std())
        for effect in (2.5, 1.5, 1.0):
            n = int(needed_units(effect, (1.0, 1.0)))
            rng = np.random.default_rng(7)
            shown = 0
            for _ in range(times):
                a, b = population.sample("a", n, rng).means, population.sample("b", n, rng).means
                values = np.concatenate([a, b + effect * spread])
                shown += permutation_test(values, np.arange(2 * n) >= n, [""] * (2 * n), rng).p <= 0.05
            yield f"| {effect} | {population.name} | {n} | {100 * shown / times:.1f} |"


TABLES: dict[str, Callable[[int], Iterator[str]]] = {
    "positives": positives,
    "coverage": coverage,
    "grids": grids,
    "power": power,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    options = parser.parse_args()
    for name in options.only:
        begun = time.perf_counter()
        print(f"\n{TABLES[name].__doc__} {options.times:,} times.\n")
        for line in TABLES[name](options.times):
            print(line, flush=True)
        print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
