"""The page of a comparison: what differs and how surely, figures, what would have shown more, the methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd

from tomocore.columns import Column
from tomocore.page import Cell, Page, Picture, Section, Table, picture_of, shown, table_of
from tomocore.provenance import RunRecord
from tomosurf.statistics.figures import STYLE, Drawn
from tomosurf.statistics.measures import PATCHES
from tomosurf.statistics.permutation import DRAWN, MOST_ENUMERATED
from tomosurf.statistics.resampling import RESAMPLES
from tomosurf.statistics.study import Study, findings

WITHIN = "within_tomograms"
ESTIMATES = ("difference", "ratio", "hedges_g", "cliffs_delta")
COMPARISON_COLUMNS = (
    Column("what", "measure", meaning="what is compared, and of which membranes"),
    Column("unit_of_measure", "unit", meaning="unit of the measure, of its means and of the difference"),
    Column("names", "compared", meaning="the second less the first"),
    Column("condition", "condition", meaning="the condition whose tomograms are compared within themselves"),
    Column("mean_first", "mean of first", meaning="mean of the units' means (tomograms', or grids')"),
    Column("mean_second", "mean of second", meaning="mean of the units' means (tomograms', or grids')"),
    Column("difference", "difference (95 %)", meaning="second less first, with its 95 % interval"),
    Column("p", "p", meaning="two-sided p of the permutation test over units, not corrected"),
    Column("p_holm", "p, Holm", meaning="p corrected for all tests of this table after Holm"),
    Column("p_bh", "p, BH", meaning="p corrected for all tests of this table after Benjamini and Hochberg"),
    Column(
        "p_smallest",
        "smallest p",
        meaning="the smallest p that so few units can give; above 0.05, no p can show anything",
        detail=True,
    ),
    Column(
        "ratio",
        "ratio (95 %)",
        meaning="second over first; none of a measure that changes its sign",
        detail=True,
    ),
    Column(
        "hedges_g",
        "Hedges' g (95 %)",
        meaning="the difference in standard deviations between units, without the bias of few",
        detail=True,
    ),
    Column(
        "cliffs_delta",
        "Cliff's delta (95 %)",
        meaning="chance that a unit of the second is larger, less the chance that it is smaller; −1 to 1",
        detail=True,
    ),
    Column("tomograms_first", "tomograms, first", meaning="tomograms with a value", detail=True),
    Column("tomograms_second", "tomograms, second", meaning="tomograms with a value", detail=True),
    Column("unit", "unit of the test", meaning="what is taken as independent", detail=True),
    Column("units_first", "units, first", meaning="independent units of the first", detail=True),
    Column("units_second", "units, second", meaning="independent units of the second", detail=True),
    Column("places_first", "rows, first", meaning="contacts, surfaces or ROIs with a value", detail=True),
    Column("places_second", "rows, second", meaning="contacts, surfaces or ROIs with a value", detail=True),
    Column("sd_first", "SD, first", meaning="standard deviation between units", detail=True),
    Column("sd_second", "SD, second", meaning="standard deviation between units", detail=True),
    Column(
        "needed_80",
        "units needed",
        meaning="units a condition that would show an effect as large as the one seen in 80 % of studies",
    ),
    Column("needed_90", "for 90 %", meaning="the same for 90 % of studies", detail=True),
    Column(
        "detectable",
        "difference to be seen",
        meaning="the smallest true difference that these units would have shown in 80 % of studies",
        detail=True,
    ),
    Column("caution", "caution", meaning="what this comparison cannot tell"),
)
"""The columns of comparisons.csv as the page shows them, an estimate and its interval in one."""


def comparison_page(study: Study, drawn: Sequence[Drawn], record: RunRecord) -> Page:
    """The page of a study with its figures, which ``record`` says the making of."""
    tables = study.tables
    counted = tables.tomograms.groupby(tables.by, sort=False).size()
    sections = [differences_section(study, drawn)]
    if study.within:
        within = study.table[len(study.between) :]
        text = "Places of the same tomograms compared, so that what the tomograms differ in drops out."
        pictures = _pictures([d for d in drawn if d.stem.endswith(WITHIN)])
        shown_within = _shown(within, [pair.name for pair, _ in study.within])
        sections.append(Section("Within tomograms", [text], pictures, [shown_within]))
    others = [d for d in drawn if d.stem not in ("effects", "power") and not d.stem.endswith(WITHIN)]
    text = "PDF, PNG and the numbers as CSV lie in figures/."
    sections.append(Section("Figures", [text], _pictures(others)))
    sections.append(_power_section(drawn))
    sections.append(Section("Methods, to paste", methods_text(study)))
    sections.append(_provenance(record))
    return Page(
        f"Comparison by {tables.by}",
        f"{len(tables.tomograms)} tomograms, {len(study.table)} comparisons",
        warnings=tables.cautions + cautions_of(study),
        cards=[(str(condition), f"{n} tomograms") for condition, n in counted.items()],
        sections=sections,
    )


def differences_section(study: Study, drawn: Sequence[Drawn]) -> Section:
    """What differs between conditions: sentences, the figure of effects among those ``drawn``, a table."""
    counted = study.tables.tomograms.groupby(study.tables.by, sort=False).size()
    numbers = " and ".join(f"{n} {condition}" for condition, n in counted.items())
    texts = [
        f"{numbers} tomograms by {study.tables.by}. The unit is the tomogram, or the grid where grids hold "
        "one condition each; contacts of one tomogram are never counted as independent.",
        *(findings(study) or ["No interval leaves out zero."]),
    ]
    table = _shown(study.table[: len(study.between)], [measure.name for measure, _ in study.between])
    return Section("Differences between conditions", texts, _pictures(drawn, ("effects",)), [table])


def patches_sections(study: Study, drawn: Sequence[Drawn]) -> list[Section]:
    """Contacts beside random patches of the same membranes: figures among those ``drawn``, and tests."""
    rows = [at for at, (pair, _) in enumerate(study.within) if pair.second.kind == PATCHES]
    if not rows:
        return []
    text = (
        "Each contact beside random discs of its area on the same membrane, outside all contacts: are "
        "curvature, thickness or roughness at contacts unlike elsewhere? A tomogram is one value."
    )
    table = study.table.iloc[[len(study.between) + at for at in rows]]
    shown_rows = _shown(table, [study.within[at][0].name for at in rows])
    pictures = _pictures([d for d in drawn if d.stem.startswith(f"{PATCHES}_")])
    return [Section("Contacts and random patches", [text], pictures, [shown_rows])]


def methods_text(study: Study) -> list[str]:
    """What was done, as a paper says it, with the references."""
    is_tested = np.isfinite(study.table["p"])
    tests = [int(n) for n in is_tested.groupby(study.table["comparison"]).sum()]
    exact = bool(study.table["p_is_exact"].any())
    drawn = bool((~study.table["p_is_exact"] & is_tested).any())
    how = " and ".join(
        [
            *(["over all assignments"] if exact else []),
            *([f"over {DRAWN:,} random assignments"] if drawn else []),
        ]
    )
    units = sorted(set(study.table["unit"]))
    return [
        "Measures were averaged within each tomogram, and tomograms were compared; the unit of the analysis "
        f"was the {' or '.join(units)}. Differences of means are given with 95 % intervals from a "
        f"hierarchical bootstrap (condition > grid > tomogram > contact; {RESAMPLES:,} resamples; Davison & "
        "Hinkley 1997; Saravanan et al. 2020) whose width was set to that of Welch's t interval of units' "
        "means, since plain percentiles are too narrow with few units (Hesterberg 2015). Standardised "
        "differences are Hedges' g (Hedges 1981) with non-central t intervals, and Cliff's delta with "
        "intervals after Newcombe (2006).",
        f"p values are of two-sided permutation tests of Welch's t {how or 'over assignments'} (all where "
        f"there were at most {MOST_ENUMERATED:,}; Chung & Romano 2013), with names exchanged within grids "
        "where grids held both conditions, and of sign-flip tests for comparisons within tomograms. All were "
        f"corrected over all {' and '.join(str(n) for n in tests)} tests after Holm (1979), and after "
        "Benjamini & Hochberg (1995), those between conditions and those within tomograms each for "
        "themselves. Numbers of units for 80 % and 90 % power are those of Welch's t test at the level that "
        "the exact test attains, 0.05 at most.",
    ]


def _shown(rows: pd.DataFrame, names: Sequence[str]) -> Table:
    """Rows of comparisons for the page: measure and place in one column, each estimate with its interval."""
    told = zip(names, rows["measure"], rows["table"], strict=True)
    frame = rows.assign(
        what=[Cell(name, hover=f"{key} of {kind}.csv") for name, key, kind in told],
        names=[f"{b} − {a}" for a, b in zip(rows["first"], rows["second"], strict=True)],
        **{name: _with_interval(rows, name) for name in ESTIMATES},
    )
    sides = {side: set(rows[side]) for side in ("first", "second")}
    columns = list(COMPARISON_COLUMNS)
    if all(len(names) == 1 for names in sides.values()):
        frame = frame.drop(columns="names")
        called = {side: str(next(iter(names))) for side, names in sides.items()}
        columns = [_called(column, called) for column in columns]
    keys = [column.key for column in columns if column.key in frame]
    return table_of(frame[keys], columns)


def _called(column: Column, names: dict[str, str]) -> Column:
    """``mean of wt`` of ``mean of first``."""
    side = next((side for side in names if column.key.endswith(f"_{side}")), "")
    return replace(column, heading=column.heading.replace(side, names[side])) if side else column


def _with_interval(rows: pd.DataFrame, name: str) -> list[Cell]:
    cells = []
    for value, low, high in rows[[name, f"{name}_low", f"{name}_high"]].to_numpy(float):
        words = shown(value).replace("-", "−")
        if np.isfinite([low, high]).all():
            words += f" ({shown(low)} to {shown(high)})".replace("-", "−")
        cells.append(Cell(words, float(value)))
    return cells


def _pictures(drawn: Sequence[Drawn], stems: Sequence[str] | None = None) -> list[Picture]:
    chosen = [d for d in drawn if stems is None or d.stem in stems]
    with matplotlib.rc_context(STYLE):
        return [
            picture_of(d.figure, d.title, f"{d.caption}. figures/{d.stem}.pdf", broad=d.is_wide)
            for d in chosen
        ]


def _power_section(drawn: Sequence[Drawn]) -> Section:
    texts = [
        "How many tomograms (or grids) a condition would show an effect as large as the one seen here. The "
        "effect seen is itself uncertain, and too large on average where it was only just found: plan with "
        "the end of its interval that is nearer to zero, or with the smallest effect that would matter.",
    ]
    return Section("How many would show it", texts, _pictures(drawn, ("power",)))


def cautions_of(study: Study) -> list[str]:
    """Each caution of the table once, with the measures that it is about."""
    about: dict[str, list[str]] = {}
    for measure, comparison in study.between:
        for caution in comparison.cautions:
            about.setdefault(caution, []).append(measure.name)
    lines = []
    for caution, names in about.items():
        whole = len(set(names)) == len(study.measures)
        lines.append(caution if whole else f"{', '.join(dict.fromkeys(names))}: {caution}")
    return lines


def _provenance(record: RunRecord) -> Section:
    inputs = "\n".join(f"{row['path']}  {row['sha256']}" for row in record.inputs)
    settings = "\n".join(f"{key} = {value}" for key, value in record.settings.items())
    versions = "\n".join(f"{name} {version}" for name, version in record.versions.items())
    details = [
        ("Inputs, with SHA-256", inputs),
        ("Settings", settings),
        ("Versions", versions),
        ("Command", record.command),
    ]
    return Section("How it was made", [f"Run {record.id}, {record.started}."], details=details, folded=True)
