"""report.json: every number of a project's report, and what it was made from, as one file for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tomocore.files import write_json
from tomosurf.pages.runs import ProjectRuns
from tomosurf.project import Project
from tomosurf.status import status_of_project

FILE = "report.json"


def write_numbers(
    project: Project,
    runs: ProjectRuns,
    tables: Mapping[str, pd.DataFrame],
    notices: tuple[Sequence[str], Sequence[str]],
    found: Mapping[str, Any],
) -> Path:
    """Write report.json beside the report; its path.

    tables: the pooled ones by name. notices: failures and warnings. found: what else the report states, such
    as scores and the summary over tomograms. A number that is none (NaN) is null.
    """
    rows = {name: table.to_dict("records") for name, table in tables.items()}
    values = {
        "project": project.folder.resolve().name,
        "failures": list(notices[0]),
        "warnings": list(notices[1]),
        "counts": {"tomograms": len(project.included), **{name: len(table) for name, table in rows.items()}},
        **found,
        "tomograms": _tomograms(project, runs, tables),
        **rows,
        "settings": project.settings.model_dump(mode="json"),
        "run": runs.project,
        "settings_of_surfaces": [{"tomograms": names, **settings} for settings, names in runs.settings],
    }
    path = project.report_folder / FILE
    write_json(path, plain(values))
    return path


def _tomograms(
    project: Project, runs: ProjectRuns, tables: Mapping[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    found = []
    for plan, status in zip(project.plans, status_of_project(project), strict=True):
        record = runs.surfaces.get(plan.stem, {})
        kept = {key: record[key] for key in ("id", "started", "inputs", "versions") if key in record}
        found.append(
            {
                "name": plan.stem,
                "condition": plan.row.condition,
                "grid": plan.row.grid,
                "left_out": plan.row.excluded,
                "tomogram": str(plan.tomogram),
                "done": {step: when and when.isoformat() for step, when in status.done.items()},
                "counts": {name: _count_of(table, plan.stem) for name, table in tables.items()},
                "surfaces_run": kept,
                "confidence_map": dict(runs.maps.get(plan.stem, {})),
            }
        )
    return found


def _count_of(table: pd.DataFrame, stem: str) -> int:
    return int((table["tomogram"] == stem).sum()) if len(table) else 0


def plain(value: Any) -> Any:
    """Values as JSON has them: numbers without NaN and infinity, lists, dictionaries, texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
