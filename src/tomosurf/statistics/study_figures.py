"""All figures that a study allows."""

from __future__ import annotations

from collections.abc import Iterator

from tomosurf.statistics.contact_figures import (
    areas_by_threshold,
    histogram_figure,
    rank_figure,
    ranked_figure,
    threshold_figure,
)
from tomosurf.statistics.figures import Drawn, condition_figure, effects_figure, pairs_figure, power_figure
from tomosurf.statistics.hierarchy import Sample
from tomosurf.statistics.measures import GAP, GAP_SD, PATCHES, RANK, gaps_of
from tomosurf.statistics.study import Paired, Study, corrected, in_words

FEW_EACH = 3
"""Places a tomogram below which a histogram would show tomograms rather than places."""


def study_figures(study: Study, seed: int = 0) -> Iterator[Drawn]:
    """Effects, power, conditions, contacts ranked, area against threshold, histograms, pairs; one by one.

    ``seed`` places the dots.
    """
    tables = study.tables
    by, conditions = tables.by, tables.conditions
    yield effects_figure(study.between)
    yield power_figure(study.between)
    notes = _notes(study)
    filled = [(m, samples) for m, samples in study.measures if any(s.tomograms for s in samples)]
    for measure, samples in filled:
        yield condition_figure(measure, samples, notes.get(id(measure), ""), seed)
    gaps = gaps_of(tables)
    if len(gaps):
        yield ranked_figure(gaps, by, conditions, GAP, GAP_SD)
    curve = tables.of("contact_curve")
    if len(curve):
        yield threshold_figure(areas_by_threshold(curve, tables.tomograms, by), by, conditions)
    for measure, samples in filled:
        if measure.area and sum(s.places for s in samples) >= FEW_EACH * len(tables.tomograms):
            yield histogram_figure(measure, by, conditions)
    yield from _pair_figures(study)
    patches = tables.of(PATCHES)
    for column in [str(name) for name in patches if str(name).endswith(RANK)]:
        if patches[column].notna().any():
            yield rank_figure(patches, by, conditions, column.removesuffix(RANK))


def _notes(study: Study) -> dict[int, str]:
    """Of each measure its difference in words, where there are two conditions."""
    if len(study.tables.conditions) != 2:
        return {}
    told = zip(study.between, corrected(study), strict=True)
    words = {id(measure): in_words(measure, comparison, holm) for (measure, comparison), holm in told}
    return {measure: text.replace("), p", ")\np") for measure, text in words.items()}  # on two lines


def _pair_figures(study: Study) -> Iterator[Drawn]:
    groups: dict[tuple[str, tuple[str, str]], list[Paired]] = {}
    for pair, _ in study.within:
        groups.setdefault((pair.second.stem, pair.words), []).append(pair)
    for pairs in groups.values():
        samples = [
            (Sample(p.condition, p.samples[0].tomograms), Sample(p.condition, p.samples[1].tomograms))
            for p in pairs
        ]
        if any(one.tomograms and other.tomograms for one, other in samples):
            first = pairs[0]
            stem = "_".join([first.second.stem, *first.words]).replace(" ", "_")
            yield pairs_figure(first.name, first.second.column.unit, stem, first.words, samples)
