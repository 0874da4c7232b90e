"""Figures as papers print them: one column or two wide, editable text, the data beside them as CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from tomocore.files import written_beside
from tomosurf.statistics.compare import Comparison
from tomosurf.statistics.hierarchy import TOMOGRAM, Floats, Sample
from tomosurf.statistics.measures import Measure
from tomosurf.statistics.power import chance_to_show
from tomosurf.statistics.resampling import interval_of_mean

Arguments = ParamSpec("Arguments")

ONE_COLUMN_MM, TWO_COLUMNS_MM = 85.0, 174.0
MM_PER_INCH = 25.4
PNG_DPI = 300
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's (2008), told apart by all eyes; conditions beyond begin again."""
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}
"""Text stays text in PDF (TrueType), to be edited in any drawing program."""
MOST_DOTS = 400
"""Contacts of a condition that are drawn as dots; of more, as many by chance."""
MOST_EFFECTS = 24


@dataclass(frozen=True)
class Drawn:
    """A figure, the numbers that it shows, what its files are called, and its caption."""

    figure: Figure
    data: pd.DataFrame
    stem: str
    title: str
    caption: str
    is_wide: bool = False


def drawn_in_style(draw: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """The same drawing in the style of printed figures."""

    @wraps(draw)
    def styled(*arguments: Arguments.args, **named: Arguments.kwargs) -> Drawn:
        with matplotlib.rc_context(STYLE):
            return draw(*arguments, **named)

    return styled


def write_figure(folder: Path, drawn: Drawn) -> None:
    """Write STEM.pdf, STEM.png and STEM.csv, each whole or not at all; the same bytes from the same data."""
    with written_beside(folder / f"{drawn.stem}.csv") as beside:
        drawn.data.to_csv(beside, index=False, float_format="%.6g")
    with matplotlib.rc_context(STYLE):
        for ending, told in (("pdf", {"CreationDate": None}), ("png", {})):
            with written_beside(folder / f"{drawn.stem}.{ending}") as beside:
                drawn.figure.savefig(beside, format=ending, dpi=PNG_DPI, metadata=told)


def column_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure of a printed size."""
    return Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")


def colour_of(at: int) -> str:
    """The colour of the condition at a place in their order."""
    return COLOURS[at % len(COLOURS)]


@drawn_in_style
def condition_figure(measure: Measure, samples: Sequence[Sample], note: str = "", seed: int = 0) -> Drawn:
    """Violins of the contacts by condition, a dot a tomogram, the mean of tomograms with its 95 % interval.

    ``samples`` are the conditions' tomograms; ``note`` stands above, such as the difference and its p.
    """
    rng = np.random.default_rng(seed)
    width = min(TWO_COLUMNS_MM, max(ONE_COLUMN_MM, 22.0 * len(samples) + 20))
    figure = column_figure(width, 62)
    axes = figure.subplots()
    rows: list[dict[str, Any]] = []
    for at, sample in enumerate(samples):
        values = np.concatenate([t.values for t in sample.tomograms]) if sample.tomograms else np.empty(0)
        if len(values) > len(sample.tomograms):
            _draw_violin(axes, at, values, rng)
        low, high = interval_of_mean(sample.units(TOMOGRAM), rng)
        _draw_tomograms(axes, at, sample.means, (low, high), rng)
        for t in sample.tomograms:
            rows += [
                {"condition": sample.condition, "tomogram": t.name, "grid": t.grid, measure.key: v}
                for v in t.values
            ]
    axes.set_xticks(range(len(samples)), [_with_count(sample) for sample in samples])
    axes.set_xlim(-0.6, len(samples) - 0.4)
    axes.set_ylabel(_broken(measure.label, 44))
    if note:
        axes.set_title(note, fontsize=7, loc="left")
    small = "" if measure.places == TOMOGRAM + "s" else f"{measure.places} (violins and small dots), "
    caption = f"{small}tomograms (large dots), mean of tomograms with its 95 % interval"
    return Drawn(figure, pd.DataFrame(rows), f"{measure.stem}_by_condition", measure.name, caption)


def _with_count(sample: Sample) -> str:
    n = len(sample.tomograms)
    return f"{sample.condition}\n{n} tomogram{'' if n == 1 else 's'}"


def _broken(text: str, letters: int) -> str:
    """A long label on two lines, broken at a blank."""
    if len(text) <= letters:
        return text
    middle = text.rfind(" ", 0, max(len(text) * 2 // 3, letters // 2))
    return text if middle < 0 else f"{text[:middle]}\n{text[middle + 1 :]}"


def _draw_violin(axes: Axes, at: int, values: Floats, rng: np.random.Generator) -> None:
    if len(values) > 2 and np.ptp(values) > 0:
        heights = np.linspace(values.min(), values.max(), 200)
        widths = gaussian_kde(values)(heights)
        widths *= 0.38 / widths.max()
        axes.fill_betweenx(heights, at - widths, at + widths, color=colour_of(at), alpha=0.22, linewidth=0)
    shown = values if len(values) <= MOST_DOTS else rng.choice(values, MOST_DOTS, replace=False)
    sideways = at + rng.uniform(-0.16, 0.16, len(shown))
    axes.scatter(
        sideways, shown, s=2.5, color="#808080", alpha=0.55, linewidth=0, rasterized=len(shown) > 200
    )


def _draw_tomograms(
    axes: Axes, at: int, means: Floats, interval: tuple[float, float], rng: np.random.Generator
) -> None:
    sideways = at + (np.linspace(-0.14, 0.14, len(means)) if len(means) > 1 else np.zeros(len(means)))
    order = rng.permutation(len(means))
    axes.scatter(
        sideways, means[order], s=16, color=colour_of(at), edgecolor="white", linewidth=0.5, zorder=5
    )
    if len(means) > 1:
        axes.plot([at - 0.24, at + 0.24], [means.mean()] * 2, color="black", linewidth=1.1, zorder=4)
        axes.plot([at, at], interval, color="black", linewidth=1.1, zorder=4)
        for end in interval:
            axes.plot([at - 0.07, at + 0.07], [end] * 2, color="black", linewidth=1.1, zorder=4)


@drawn_in_style
def effects_figure(compared: Sequence[tuple[Measure, Comparison]]) -> Drawn:
    """Hedges' g of every comparison with its 95 % interval, in one unit for all measures."""
    known = [(m, c) for m, c in compared if c.hedges_g.is_known][:MOST_EFFECTS]
    several = len({c.names for _, c in known}) > 1
    figure = column_figure(TWO_COLUMNS_MM, 18 + 6.5 * max(len(known), 1))
    axes = figure.subplots()
    rows: list[dict[str, Any]] = []
    for row, (measure, comparison) in enumerate(known):
        g = comparison.hedges_g
        is_sure = g.low > 0 or g.high < 0
        colour = COLOURS[1] if is_sure else "#7f7f7f"
        axes.plot([g.low, g.high], [row, row], color=colour, linewidth=1.2)
        axes.scatter([g.value], [row], s=18, color=colour, zorder=3)
        words = " − ".join(comparison.names[::-1])
        name = f"{measure.name}: {words}" if several else measure.name
        rows.append({"comparison": name, "hedges_g": g.value, "low": g.low, "high": g.high})
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_yticks(range(len(known)), [row["comparison"] for row in rows])
    axes.set_ylim(len(known) - 0.4, -0.6)
    words = "" if several or not known else f": {known[0][1].names[1]} less {known[0][1].names[0]}"
    axes.set_xlabel(f"difference in standard deviations between tomograms (Hedges' g){words}")
    caption = "with 95 % intervals; orange where the interval leaves out zero, not corrected for many tests"
    return Drawn(figure, pd.DataFrame(rows), "effects", "Effects in one unit", caption, is_wide=True)


@drawn_in_style
def power_figure(compared: Sequence[tuple[Measure, Comparison]]) -> Drawn:
    """How likely an effect of the size seen is shown by so many tomograms a condition."""
    known = [(m, c) for m, c in compared if c.needed_80 == c.needed_80]
    known = sorted(known, key=lambda pair: pair[1].needed_80)[: len(COLOURS) - 1]
    most = max([12.0, *(1.4 * c.needed_90 for _, c in known if c.needed_90 == c.needed_90)])
    counts = np.unique(np.round(np.geomspace(3, min(most, 400), 60)))
    figure = column_figure(ONE_COLUMN_MM, 56 + 3.6 * len(known))
    axes = figure.subplots()
    rows = []
    for at, (measure, comparison) in enumerate(known):
        chances = [chance_to_show(comparison.difference.value, comparison.deviations, int(n)) for n in counts]
        name = measure.name
        axes.plot(counts, chances, color=colour_of(at), label=name)
        rows += [{"measure": name, "tomograms": n, "power": p} for n, p in zip(counts, chances, strict=True)]
    axes.axhline(0.8, color="black", linewidth=0.6, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    ticks = [n for n in (3, 5, 10, 20, 50, 100, 200, 400) if counts[0] <= n <= counts[-1]]
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    units = {c.unit for _, c in known} or {TOMOGRAM}
    axes.set_xlabel(f"{' or '.join(sorted(units))}s a condition")
    axes.set_ylabel("chance to show the effect seen")
    axes.set_ylim(0, 1.02)
    if known:
        figure.legend(loc="outside upper left", handlelength=1.4)
    caption = "by the number of units, if the true effect were the one seen"
    return Drawn(figure, pd.DataFrame(rows), "power", "Chance to show the effects seen", caption)


@drawn_in_style
def pairs_figure(
    name: str, unit: str, stem: str, words: tuple[str, str], samples: Sequence[tuple[Sample, Sample]]
) -> Drawn:
    """A line a tomogram from one place to the other, called by ``words``, by condition.

    ``name`` and ``unit`` are the measure's, ``stem`` what the files are called, ``samples`` the two samples
    of each condition.
    """
    figure = column_figure(ONE_COLUMN_MM if len(samples) < 4 else TWO_COLUMNS_MM, 62)
    axes = figure.subplots()
    rows = []
    for at, (one, other) in enumerate(samples):
        means = {t.name: t.mean for t in other.tomograms}
        both = [(t.name, t.mean, means[t.name]) for t in one.tomograms if t.name in means]
        ends = np.array([pair[1:] for pair in both]).reshape(-1, 2)
        left, right = 1.0 * at - 0.2, 1.0 * at + 0.2
        for _, a, b in both:
            axes.plot([left, right], [a, b], color=colour_of(at), alpha=0.45, linewidth=0.8)
        for place, values in zip((left, right), ends.T, strict=True):
            axes.scatter([place] * len(both), values, s=10, color=colour_of(at), zorder=3)
            if both:
                axes.plot([place - 0.09, place + 0.09], [values.mean()] * 2, color="black", zorder=4)
        rows += [
            {"condition": one.condition, TOMOGRAM: name, words[0]: a, words[1]: b} for name, a, b in both
        ]
    places = [at + shift for at in range(len(samples)) for shift in (-0.2, 0.2)]
    axes.set_xticks(places, [word.replace(" ", "\n") for word in words] * len(samples))
    axes.set_xlim(-0.5, len(samples) - 0.5)
    for at, (one, _) in enumerate(samples):
        axes.text(
            at, 1.02, one.condition, transform=axes.get_xaxis_transform(), ha="center", color=colour_of(at)
        )
    axes.set_ylabel(_broken(name + (f" ({unit})" if unit else ""), 44))
    caption = f"{words[0]} and {words[1]}, a line a tomogram, means in black"
    return Drawn(figure, pd.DataFrame(rows), f"{stem}_within_tomograms", f"{name}, within tomograms", caption)
