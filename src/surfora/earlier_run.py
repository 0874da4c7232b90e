"""What an earlier run into the same folder measured, as far as its files still are what it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surfora.measures.contacts.contacts_of_pair import contact_partners, folded_surfaces
from surfora.measures.distance_pairs import Pair, SurfaceFile, paired_surfaces
from surfora.reporting.columns import DISTANCE_COLUMNS, SURFACE_COLUMNS
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.tables import read_table, write_table
from tomocore.columns import Column
from tomocore.contract import InputError
from tomocore.provenance import RunRecord, StoredInput, file_hash, read_record

Row = Mapping[str, Any]

RECORD, REPORT = "run.json", "report.html"
COLUMNS_OF: dict[str, Sequence[Column]] = {
    "surfaces": SURFACE_COLUMNS,
    "distances": DISTANCE_COLUMNS,
    "contacts": OBJECT_COLUMNS,
    "contact_curve": CURVE_COLUMNS,
}
"""The tables of a run by the names of their files without ``.csv``, each with its columns."""


MEASURED_BY = ("distance", "contacts", "density", "wedge")
"""Sections of the settings that say how finished surfaces are measured."""


@dataclass
class RunTables:
    """The rows of a run's tables; whether all of them are those of an earlier run."""

    surfaces: list[Row] = field(default_factory=list)
    distances: list[Row] = field(default_factory=list)
    contacts: list[Row] = field(default_factory=list)
    contact_curve: list[Row] = field(default_factory=list)
    are_kept: bool = False

    def rows(self, table: str) -> list[Row]:
        """The rows of one of `COLUMNS_OF`."""
        rows: list[Row] = getattr(self, table)
        return rows

    def write(self, folder: Path) -> list[Path]:
        """Write all tables as CSV; their paths."""
        paths = []
        for table, columns in COLUMNS_OF.items():
            paths.append(folder / f"{table}.csv")
            write_table(paths[-1], self.rows(table), columns)
        return paths


@dataclass(frozen=True)
class EarlierRun:
    """The record of a finished run, its tables, and the folder that holds its files."""

    folder: Path
    record: Mapping[str, Any]
    tables: RunTables

    def of_group(self, group: Sequence[SurfaceFile], pairs: Sequence[Pair] | None) -> RunTables | None:
        """The rows of surfaces that are measured to each other; None where these must be measured anew.

        That is where a file is not byte for byte what the run left, or other pairs are asked for.
        """
        own = {(one.name, one.facts.kind): one.facts.source for one in group}
        found = RunTables(are_kept=True)
        for table in COLUMNS_OF:
            getattr(found, table)[:] = [r for r in self.tables.rows(table) if (r["name"], r["kind"]) in own]
        wanted = {(*_key(a), *_key(b)) for a, b in paired_surfaces(group, pairs)}
        if {_ways(row) for row in found.distances} != wanted or len(found.surfaces) != len(own):
            return None
        folds = [(one, one) for one in folded_surfaces(group, pairs or ())]
        touching = {(*_key(a), *_key(b)) for a, b in (*contact_partners(group, found.distances), *folds)}
        if {_ways(row) for row in found.contact_curve} != touching:
            return None
        found.surfaces = [{**row, "source": own[row["name"], row["kind"]]} for row in found.surfaces]
        return found if all(self._is_as_left(one.path) for one in group) else None

    def warnings_of(self, group: Sequence[SurfaceFile]) -> list[str]:
        """What it warned of in measuring a group whose rows are kept; not that it kept files itself."""
        own = [
            text
            for text in self.record["warnings"]
            if text.startswith(tuple(f"{one.name}: " for one in group))
        ]
        return [text for text in own if not any(f"{one.path.name}: kept" in text for one in group)]

    def says_all(self, record: RunRecord, tables: RunTables) -> bool:
        """Whether a run with this record and these tables has nothing to add to what lies in the folder."""
        inputs = [StoredInput.model_validate(one).model_dump() for one in record.inputs]
        return (
            tables.are_kept
            and all(len(tables.rows(table)) == len(self.tables.rows(table)) for table in COLUMNS_OF)
            and record.failures == self.record["failures"] == {}
            and inputs == self.record["inputs"]
            and record.settings == self.record["settings"]
            and set(record.warnings) <= set(self.record["warnings"])
        )

    def _is_as_left(self, path: Path) -> bool:
        return bool(self.record["outputs"].get(path.name) == file_hash(path))


def earlier_run(folder: Path, record: RunRecord) -> EarlierRun | None:
    """The run that a folder holds, if its tables are as it left them and it measured as ``record`` tells.

    That is with the same versions, the same settings of all that is measured on finished surfaces, and the
    same files beside the masks.
    """
    try:
        known = read_record(folder / RECORD)
        if known is None or known["versions"] != record.versions:
            return None
        if any(known["settings"].get(key) != record.settings[key] for key in MEASURED_BY):
            return None
        if _beside(known["inputs"]) != _beside(record.inputs):
            return None
        tables = RunTables()
        for table in COLUMNS_OF:
            path = folder / f"{table}.csv"
            if not path.is_file() or known["outputs"].get(path.name) != file_hash(path):
                return None
            getattr(tables, table)[:] = read_table(path).to_dict("records")
    except InputError:  # a damaged one is as none
        return None
    return EarlierRun(folder, known, tables)


def without_rows(folder: Path, surfaces: Sequence[Path]) -> list[str]:
    """The files of surfaces that an earlier run in a folder told of, that are there and not among these."""
    try:
        known = read_record(folder / RECORD)
    except InputError:
        return []
    named = [folder / name for name in (known or {"outputs": {}})["outputs"] if name.endswith(".vtp")]
    return sorted(path.name for path in named if path not in surfaces and path.is_file())


def _beside(inputs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Roles and hashes of the inputs that are no masks and no ROIs."""
    return sorted((one["role"], one["sha256"]) for one in inputs if one.get("role"))


def _key(surface: SurfaceFile) -> tuple[str, str]:
    return surface.name, surface.facts.kind


def _ways(row: Row) -> tuple[Any, ...]:
    return row["name"], row["kind"], row["target"], row["target_kind"]
