"""The records of a project's runs: from what, with which settings and versions its results were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tomocore.columns import Column
from tomocore.contract import InputError
from tomocore.page import Section, table_of
from tomocore.provenance import read_record
from tomorois.loop.folder import model_facts
from tomorois.prediction.record import record_of_map
from tomosurf.project import Project
from tomosurf.step_records import NOT_IN_THE_RESULT, read_step_record
from tomosurf.steps import foreign_rois

Record = Mapping[str, Any]

TRACE_COLUMNS = (
    Column("tomogram", "tomogram"),
    Column("run", "run", meaning="id of the run, which its surfaces and tables carry"),
    Column("started", "begun", meaning="when it began, UTC"),
    Column("version", "version", meaning="of this program"),
    Column("settings", "settings", meaning="runs with the same letter had the same settings"),
    Column("model", "model", meaning="begin of the SHA-256 of the model that found the ROIs"),
    Column("inputs", "measured from", meaning="files and the begin of their SHA-256"),
)
ROUND_COLUMNS = (
    Column("model", "model"),
    Column("tomograms", "tomograms", meaning="that it learned from"),
    Column("rois", "ROIs", meaning="that it learned from"),
    Column("held_out", "held out", meaning="tomograms that chose its weights and threshold"),
    Column("dice", "Dice", meaning="of voxels, on the tomograms held out, else on those learned from"),
    Column("refined_from", "refined from", meaning="the model that the round began with"),
)
HASH_LETTERS = 12
SOFTWARE = "tomorois-surfora"


@dataclass
class ProjectRuns:
    """The record of the project's last run, those of its tomograms and of their confidence maps, by name.

    ``predicted`` and ``found`` are the settings that maps and ROIs were made with, where these steps have
    records; ``damaged`` are the lines of records that cannot be read.
    """

    project: Record = field(default_factory=dict)
    surfaces: dict[str, Record] = field(default_factory=dict)
    maps: dict[str, Record] = field(default_factory=dict)
    predicted: dict[str, Record] = field(default_factory=dict)
    found: dict[str, Record] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    @property
    def settings(self) -> list[tuple[Record, list[str]]]:
        """The different settings that surfaces were measured with, and the tomograms of each; most first."""
        return grouped({stem: record["settings"] for stem, record in self.surfaces.items()})

    @property
    def versions(self) -> list[Record]:
        """The different sets of versions that surfaces were measured with, or else of the project's run."""
        records = list(self.surfaces.values()) or [self.project]
        found: list[Record] = []
        for versions in (record.get("versions", {}) for record in records):
            if versions and versions not in found:
                found.append(versions)
        return found


def grouped(settings: Mapping[str, Record]) -> list[tuple[Record, list[str]]]:
    """The different settings among those of tomograms, and the tomograms of each; most first."""
    found: list[tuple[Record, list[str]]] = []
    for stem, own in settings.items():
        same = next((names for others, names in found if others == own), None)
        if same is None:
            found.append((own, [stem]))
        else:
            same.append(stem)
    return sorted(found, key=lambda item: -len(item[1]))


def runs_of(project: Project) -> ProjectRuns:
    """What the records in a project's results say."""
    runs = ProjectRuns()
    runs.project = _read(project.output / "run.json", runs)
    for plan in project.included:
        record = _read(plan.surfaces / "run.json", runs)
        if record:
            runs.surfaces[plan.stem] = record
        made_by = record_of_map(plan.confidence)
        if made_by:
            runs.maps[plan.stem] = made_by
        for step, section, settings in (
            ("confidence", "predict", runs.predicted),
            ("rois", "instances", runs.found),
        ):
            record_of_step = read_step_record(plan.record_of(step))
            if record_of_step is not None and record_of_step.state == "done":
                settings[plan.stem] = record_of_step.settings[section]
    return runs


def _read(path: Any, runs: ProjectRuns) -> Record:
    try:
        return read_record(path) or {}
    except InputError as error:
        runs.damaged.append(str(error))
        return {}


def cautions_of_runs(runs: ProjectRuns, project: Project) -> list[str]:
    """What makes the results of tomograms unlike: other settings than most, or than the project has now."""
    lines = []
    now = project.settings.model_dump(mode="json")
    for done, section, settings_of in (
        ("confidence predicted", "predict", grouped(runs.predicted)),
        ("ROIs found", "instances", grouped(runs.found)),
        ("measured", "surfora", runs.settings),
    ):
        for settings, names in settings_of:
            wanted = {key: now[section][key] for key in now[section] if key not in NOT_IN_THE_RESULT}
            if settings != wanted:
                which = ", ".join(_differences(settings, wanted)) or "settings that are no more"
                told = f"{', '.join(names)}: {done} with other settings than the project has now ({which})"
                lines.append(told)
    programs = {record.get("versions", {}).get(SOFTWARE) for record in runs.surfaces.values()}
    if len(programs) > 1:
        lines.append(f"surfaces were measured by several versions: {', '.join(sorted(map(str, programs)))}")
    models = {record.get("model_sha256") for record in runs.maps.values()} - {None}
    if len(models) > 1:
        lines.append(f"ROIs were found by {len(models)} different models; predict again with --overwrite")
    return lines + [line for plan in project.included if (line := foreign_rois(plan))]


def _differences(one: Record, other: Record, place: str = "") -> list[str]:
    found = []
    for key in sorted(set(one) | set(other)):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += _differences(a, b, f"{place}{key}.")
        elif a != b:
            found.append(f"{place}{key}: {a} then, {b} now")
    return found


def rounds_trained(project: Project) -> list[dict[str, Any]]:
    """A row a round of training, first to last, as the models say it; none where the project trains none."""
    found = []
    for number in range(1, project.rounds_trained + 1) if project.trains else ():
        with suppress(InputError):  # of a round whose model was taken away
            facts = model_facts(project.round_model(number))
            found.append(
                {
                    "model": facts.path.name,
                    "tomograms": len(facts.learned),
                    "rois": sum(count for _, count in facts.learned),
                    "held_out": len(facts.held_out),
                    "dice": facts.dice,
                    "refined_from": facts.refined_from,
                }
            )
    return found


def training_sections(rounds: Sequence[Record]) -> list[Section]:
    """The rounds of a project that trains its model, as `rounds_trained` gives them."""
    if not rounds:
        return []
    text = "ROIs are found by the last round's model. What is held out chose its weights and threshold."
    return [Section("Training", [text], tables=[table_of(pd.DataFrame(rounds), ROUND_COLUMNS)])]


def trace_section(runs: ProjectRuns, project: Project) -> Section:
    """Which run, settings, versions, model and input files each tomogram's numbers come from."""
    letters = {name: chr(65 + k % 26) for k, (_, names) in enumerate(runs.settings) for name in names}
    rows = []
    for stem, record in runs.surfaces.items():
        inputs = [f"{_file_name(i['path'])} {i['sha256'][:HASH_LETTERS]}" for i in record["inputs"]]
        rows.append(
            {
                "tomogram": stem,
                "run": record["id"],
                "started": record["started"].replace("T", " ")[:16],
                "version": record["versions"].get(SOFTWARE, ""),
                "settings": letters[stem],
                "model": runs.maps.get(stem, {}).get("model_sha256", "")[:HASH_LETTERS],
                "inputs": "; ".join(inputs),
            }
        )
    last = runs.project
    texts = [f"Last run {last['id']}, {last['started']}: {last['command']}"] if last else []
    texts.append(
        "Whole hashes, versions and all settings are in report.json and in each tomogram's run.json."
    )
    tables = [table_of(pd.DataFrame(rows), TRACE_COLUMNS)] if rows else []
    details = [("Versions", "\n".join(versions_text(versions) for versions in runs.versions))]
    details.append(("Settings of the project", project.settings.model_dump_json(indent=2)))
    return Section("Inputs, settings, versions", texts, tables=tables, details=details, folded=True)


def versions_text(versions: Record) -> str:
    """``numpy 2.4, scipy 1.17`` and so on."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
