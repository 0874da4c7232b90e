"""The comparison of a project's conditions, beside its report and as a part of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomocore.contract import NOBODY, InputError, Watcher, one_line
from tomocore.page import Section
from tomosurf.statistics.comparison_page import cautions_of, differences_section, methods_text
from tomosurf.statistics.files import PAGE, CompareRequest, compare_files
from tomosurf.statistics.tables import has_conditions

FOLDER = "comparison"


@dataclass
class ComparedProject:
    """The sections that a project's report takes on, what they warn of, the methods, a row a comparison."""

    sections: list[Section] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def compared_project(
    output: Path, tomograms: Path, by: str = "condition", watcher: Watcher = NOBODY
) -> ComparedProject:
    """Compare the conditions of a project's tomograms, anew each time, in comparison/ of its results.

    ``output`` is the folder of its results, ``tomograms`` its table of tomograms. Nothing where there is no
    such table, or it tells no conditions; a warning where they cannot be compared.
    """
    # A folder a tomogram, not the pooled tables: of a tomogram where nothing was found these have no row.
    tables = tuple(output / name for name in ("surfaces", "rois") if (output / name).is_dir())
    request = CompareRequest(tables, output / FOLDER, tomograms, by, overwrite=True)
    try:
        if not has_conditions(tomograms, by):
            return ComparedProject()
        outcome = compare_files(request, watcher)
    except InputError as error:
        return ComparedProject(warnings=[f"conditions are not compared: {one_line(error)}"])
    if outcome.study is None:
        return ComparedProject()
    section = differences_section(outcome.study, outcome.drawn)
    section.texts.append(f"All figures, tests within tomograms and the methods are in {FOLDER}/{PAGE}.")
    return ComparedProject(
        [section],
        outcome.study.tables.cautions + cautions_of(outcome.study),
        methods_text(outcome.study),
        outcome.study.table.to_dict("records"),
    )
