"""The comparison of a project's conditions, beside its report and as a part of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tomocore.contract import NOBODY, InputError, Watcher, one_line
from tomocore.page import Section
from tomosurf.statistics.comparison_page import (
    cautions_of,
    differences_section,
    methods_text,
    patches_sections,
)
from tomosurf.statistics.files import PAGE, CompareRequest, NoPatchesError, compare_files
from tomosurf.statistics.tables import has_conditions

FOLDER = "comparison"


@dataclass
class ComparedProject:
    """The sections that a project's report takes on, what they warn of, the methods, a row a comparison."""

    sections: list[Section] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def compared_project(request: CompareRequest, watcher: Watcher = NOBODY) -> ComparedProject:
    """Compare the conditions of a project's tomograms, anew each time, in the request's folder.

    Nothing where there is no table of tomograms, or it tells no conditions; a warning where they cannot be
    compared.
    """
    warnings = []
    try:
        if request.tomograms is None or not has_conditions(request.tomograms, request.how.by):
            return ComparedProject()
        try:
            outcome = compare_files(request, watcher)
        except NoPatchesError:
            warnings.append("no random patches are drawn, since no surface has a contact")
            without = request.how.model_copy(update={"patches": 0})
            outcome = compare_files(replace(request, how=without), watcher)
    except InputError as error:
        return ComparedProject(warnings=[f"conditions are not compared: {one_line(error)}"])
    if outcome.study is None:
        return ComparedProject()
    section = differences_section(outcome.study, outcome.drawn)
    section.texts.append(
        f"All figures, tests within tomograms and the methods are in {request.folder.name}/{PAGE}."
    )
    return ComparedProject(
        [section, *patches_sections(outcome.study, outcome.drawn)],
        warnings + outcome.study.tables.cautions + cautions_of(outcome.study),
        methods_text(outcome.study),
        outcome.study.table.to_dict("records"),
    )
