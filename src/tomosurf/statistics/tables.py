"""The tables of many tomograms, each row with its tomogram, condition and grid."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from surfora.reporting.tables import with_numbers
from tomocore.contract import InputError
from tomocore.files_of_tomograms import owner_of, tomogram_stem
from tomocore.side_files import read_frame, some_of
from tomosurf.statistics.hierarchy import GRID, TOMOGRAM
from tomosurf.tomogram_table import NAMES_OF_NAME, NOT_EXCLUDED, read_text_rows

log = logging.getLogger(__name__)

KINDS = ("contact_curve", "contacts", "surfaces", "distances", "rois")
"""The tables that are known by the ends of their files' names; others are "measures"."""
OTHER = "measures"
NAMES = ("name", "kind", "label", "source", "target", "target_kind", "target_label", TOMOGRAM)
"""Columns that hold names, even where these look like numbers."""
SAME = {
    **dict.fromkeys(
        ("contact_curve", "contacts", "surfaces", "distances"),
        (TOMOGRAM, "name", "kind", "target", "target_kind"),
    ),
    "rois": (TOMOGRAM, "id"),
}
"""The columns of each kind of table that tell what its rows are of."""
REMEDY = "give a table of comma-separated values with a heading"


@dataclass
class Tables:
    """The rows of every kind of table, each with columns "tomogram", the condition's and "grid".

    ``tomograms`` has a row a tomogram that was measured, also where no row is of it; ``conditions`` are in
    the order in which the tomograms name them; ``cautions`` tell what was left out. ``unmeasured`` have ROIs
    and no surface though others have, as where measuring failed: how many contacts they hold is not known.
    """

    by: str
    rows: dict[str, pd.DataFrame]
    tomograms: pd.DataFrame
    conditions: list[str]
    cautions: list[str] = field(default_factory=list)
    folders: dict[str, Path] = field(default_factory=dict)
    unmeasured: frozenset[str] = frozenset()

    def of(self, kind: str) -> pd.DataFrame:
        """The rows of a kind; an empty table where none were given."""
        return self.rows.get(kind, pd.DataFrame())


@dataclass(frozen=True)
class TableFile:
    """A table, its kind, and the folder or name that tells its tomogram where no column does."""

    path: Path
    kind: str
    of: str


def read_tables(paths: Sequence[Path], tomograms: Path | None, by: str, only: Collection[str] = ()) -> Tables:
    """All tables in files and folders, with the conditions that ``tomograms`` (a CSV file) gives.

    Without it the tables have columns "tomogram" and ``by`` themselves; of it the names in ``only`` count,
    all where none is. Raises InputError where a table cannot be read, no row has a condition, or there is
    one condition alone.
    """
    listed = None if tomograms is None else read_tomograms(tomograms, by)
    if listed is not None and only:
        listed = listed[listed[TOMOGRAM].isin(only)].reset_index(drop=True)
    cautions: list[str] = []
    parts: dict[str, list[pd.DataFrame]] = {}
    seen: dict[str, Path] = {}
    told: dict[tuple[str, ...], Path] = {}
    for file in table_files(paths):
        table = _with_tomogram(file, _read(file, by), listed)
        if len(table):
            counted = table if listed is None else table[table[TOMOGRAM].isin(listed[TOMOGRAM])]
            _require_told_once(file, counted, told)
        measured = _tomogram_named(file.of, listed)
        if measured:
            seen.setdefault(measured, file.path.parent)
        if len(table):
            parts.setdefault(file.kind, []).append(table)
    rows = {kind: pd.concat(tables, ignore_index=True) for kind, tables in parts.items()}
    if listed is None:
        listed = _listed_in(rows, by)
    rows = {kind: _joined(kind, table, listed, by, cautions) for kind, table in rows.items()}
    with_rows = {name for table in rows.values() for name in table[TOMOGRAM]}
    looked_at = _looked_at(paths) - with_rows
    measured_names = with_rows | set(seen) | {name for n in looked_at if (name := _tomogram_named(n, listed))}
    if tomograms is None and looked_at:
        cautions.append(
            f"{some_of(sorted(looked_at))}: no table has a row, nor a condition; left out, also from counts: "
            "tell it with --tomograms"
        )
    known = listed[listed[TOMOGRAM].isin(measured_names)].reset_index(drop=True)
    cautions += _left_out(listed, measured_names, by, tomograms)
    known = known[(known[by] != "") & ~known["exclude"]].reset_index(drop=True)
    unmeasured = _unmeasured(rows) & set(known[TOMOGRAM])
    if unmeasured:
        cautions.append(
            f"{some_of(sorted(unmeasured))}: ROIs and no surface, as where measuring failed; left out of "
            "counts of contacts"
        )
    conditions = list(dict.fromkeys(known[by]))
    _require_two(conditions, by, tomograms)
    for caution in cautions:
        log.warning("%s", caution)
    return Tables(by, rows, known, conditions, cautions, seen, frozenset(unmeasured))


def read_tomograms(path: Path, by: str) -> pd.DataFrame:
    """A row a tomogram: "tomogram", the condition in column ``by``, "grid" and whether to "exclude" it.

    Columns are separated by commas, semicolons or tabs; the tomogram's is called name or tomogram. Raises
    InputError where these are missing or a tomogram stands twice.
    """
    table = _text_table(path)
    name = next((column for column in NAMES_OF_NAME if column in table), None)
    if name is None or by not in table:
        missing = "name" if name is None else by
        raise InputError(
            f"{path}: no column {missing}, only {some_of(table)}; add it, or name another with --by"
        )
    listed = pd.DataFrame(
        {
            TOMOGRAM: table[name],
            by: table[by],
            GRID: table.get(GRID, ""),
            "exclude": ~table["exclude"].str.lower().isin(NOT_EXCLUDED) if "exclude" in table else False,
        }
    )
    listed = listed[listed[TOMOGRAM] != ""]
    twice = listed[TOMOGRAM][listed[TOMOGRAM].duplicated()].unique()
    if len(twice):
        raise InputError(f"{path}: {some_of(twice)} stands there twice; keep one row a tomogram")
    return listed.reset_index(drop=True)


def has_conditions(path: Path, by: str) -> bool:
    """Whether a table of tomograms is there and tells conditions. InputError where it cannot be read."""
    if not path.is_file():
        return False
    table = _text_table(path)
    return by in table and bool((table[by] != "").any())


def table_files(paths: Sequence[Path]) -> list[TableFile]:
    """The tables among files and in folders: of a folder its own, else those of its subfolders.

    Raises InputError for a path that is none and a folder without tables.
    """
    files = [file for path in paths for file in (_in_folder(path) if path.is_dir() else _named(path))]
    return list({file.path.resolve(): file for file in files}.values())


def _unmeasured(rows: Mapping[str, pd.DataFrame]) -> set[str]:
    """The tomograms that have ROIs which nobody rejected, and no surface, where there are tables of both."""
    if not {"rois", "surfaces"} <= set(rows):
        return set()
    rois = rows["rois"]
    kept = rois[rois["status"] != "rejected"] if "status" in rois else rois
    return set(kept[TOMOGRAM]) - set(rows["surfaces"][TOMOGRAM])


def _looked_at(paths: Sequence[Path]) -> set[str]:
    """The tomograms in whose maps a project looked for ROIs, of folders of results; there may have been none.

    Its pooled tables hold no row of a tomogram without any, which counts as zero all the same.
    """
    folders = [path / "rois" for path in paths if (path / "rois.csv").is_file()]
    return {tomogram_stem(file.with_suffix("")) for folder in folders for file in folder.glob("*__rois.csv")}


def _named(path: Path) -> list[TableFile]:
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; name tables, or the folders that they lie in")
    kind = next((kind for kind in KINDS if path.stem.endswith(kind)), OTHER)
    before = path.stem.removesuffix(kind).rstrip("_.")
    return [TableFile(path, kind, before or path.absolute().parent.name)]


def _in_folder(folder: Path) -> Iterator[TableFile]:
    found = False
    for kind in KINDS:
        own = folder / f"{kind}.csv"
        patterns = (
            f"*/{kind}.csv",
            f"*/*/{kind}.csv",
            *(("*__rois.csv", "*/*__rois.csv") if kind == "rois" else ()),
        )
        inside = (
            [own]
            if own.is_file()
            else [path for pattern in patterns for path in sorted(folder.glob(pattern))]
        )
        for path in inside:
            found = True
            yield from _named(path)
    if not found:
        raise InputError(
            f"{folder}: no {', '.join(f'{kind}.csv' for kind in KINDS)} in it or in its folders; "
            "name the tables themselves"
        )


def _read(file: TableFile, by: str) -> pd.DataFrame:
    """A table whose names stay text, also where they look like numbers; empty where the file is."""
    path = file.path
    if path.stat().st_size < 2:
        return pd.DataFrame()
    names = dict.fromkeys((*NAMES, by, GRID), str)
    table = read_frame(
        path, lambda file: pd.read_csv(file, dtype=names, keep_default_na=False, na_values=[""]), REMEDY
    )
    if file.kind == "surfaces" and "kind" in table and "name" not in table:
        raise InputError(f"{path}: no column name, which tells the surfaces of a membrane; add it")
    return with_numbers(path, table.fillna({name: "" for name in names if name in table}))


def _text_table(path: Path) -> pd.DataFrame:
    """All cells as text, as `read_text_rows` reads them."""
    heading, rows = read_text_rows(path)
    return pd.DataFrame(rows, columns=heading, dtype=str)


def _require_told_once(file: TableFile, table: pd.DataFrame, told: dict[tuple[str, ...], Path]) -> None:
    """InputError where what a table tells of a tomogram was ``told`` by another: it would count twice.

    That is the same table given twice, or masks of one name in several folders, taken for one tomogram.
    """
    keys = [column for column in SAME.get(file.kind, ()) if column in table]
    if len(keys) < 2:
        return
    for row in table[keys].drop_duplicates().astype(str).itertuples(index=False, name=None):
        first = told.setdefault((file.kind, *row), file.path)
        if first != file.path:
            raise InputError(
                f"{first} and {file.path}: both tell of {row[1]} of the tomogram {row[0]}; give each once, "
                f"or name the tomograms of both in a column {TOMOGRAM}"
            )


def _with_tomogram(file: TableFile, table: pd.DataFrame, listed: pd.DataFrame | None) -> pd.DataFrame:
    """The table with each row's tomogram: by its own column, its mask or surface, else by file or folder."""
    if not len(table):
        return table
    names = [TOMOGRAM] if TOMOGRAM in table else [column for column in ("source", "name") if column in table]
    owners = pd.Series([None] * len(table), index=table.index, dtype=object)
    for column in names:
        found = {value: _tomogram_named(str(value), listed) for value in table[column].dropna().unique()}
        owners = owners.where(owners.notna(), table[column].map(found))
    if TOMOGRAM not in table:
        owners = owners.where(owners.notna(), _tomogram_named(file.of, listed))
    fallback = table[names[0]] if names else file.of
    return table.assign(**{TOMOGRAM: owners.where(owners.notna(), fallback).astype(str)})


def _tomogram_named(name: str, listed: pd.DataFrame | None) -> str | None:
    """The listed tomogram that a name belongs to; without a list, what the name's stem is."""
    if listed is None:
        return None
    if name in set(listed[TOMOGRAM]):
        return name
    return owner_of(name, listed[TOMOGRAM].tolist())


def _listed_in(rows: dict[str, pd.DataFrame], by: str) -> pd.DataFrame:
    """The tomograms and conditions that the tables themselves tell."""
    told = []
    for kind, table in rows.items():
        if by not in table:
            raise InputError(f"{kind}: no column {by}; name a table of tomograms with --tomograms")
        grid = table[GRID].fillna("") if GRID in table else ""
        condition = table[by].fillna("").astype(str)
        told.append(pd.DataFrame({TOMOGRAM: table[TOMOGRAM], by: condition, GRID: grid, "exclude": False}))
    if not told:
        raise InputError("no table has a row; name tables with rows, or a list of tomograms with --tomograms")
    listed = pd.concat(told).drop_duplicates()
    twice = listed[TOMOGRAM][listed[TOMOGRAM].duplicated()].unique()
    if len(twice):
        raise InputError(
            f"{some_of(twice)}: rows of one tomogram name several conditions or grids; mend them"
        )
    return listed.reset_index(drop=True)


def _joined(
    kind: str, table: pd.DataFrame, listed: pd.DataFrame, by: str, cautions: list[str]
) -> pd.DataFrame:
    """The rows of tomograms that have a condition, with it and the grid; says which have none."""
    plain = table.drop(columns=[column for column in (by, GRID, "exclude") if column in table])
    joined = plain.merge(listed, on=TOMOGRAM, how="left")
    unknown = joined[joined[by].isna()]
    if len(unknown):
        names = unknown[TOMOGRAM].unique()
        cautions.append(
            f"{kind}: {len(unknown)} rows of {some_of(names)} belong to no tomogram of the list; left out"
        )
    kept = joined[by].notna() & (joined[by] != "") & (joined["exclude"] != True)  # noqa: E712
    return joined[kept].drop(columns="exclude").reset_index(drop=True)


def _left_out(listed: pd.DataFrame, measured: set[str], by: str, tomograms: Path | None) -> list[str]:
    place = "" if tomograms is None else f"{tomograms}: "
    lines = []
    bare = listed[(listed[by] == "") & ~listed["exclude"]][TOMOGRAM]
    if len(bare):
        lines.append(f"{place}no {by} for {some_of(bare)}; left out")
    absent = listed[~listed[TOMOGRAM].isin(measured) & ~listed["exclude"] & (listed[by] != "")][TOMOGRAM]
    if len(absent):
        lines.append(
            f"{place}no table has a row of {some_of(absent)}; left out, also from counts: give surfaces.csv "
            "too if they were measured and hold nothing"
        )
    excluded = listed[listed["exclude"]][TOMOGRAM]
    if len(excluded):
        lines.append(f"{place}{some_of(excluded)} left out, as the table says")
    return lines


def _require_two(conditions: Sequence[str], by: str, tomograms: Path | None) -> None:
    place = "the tables" if tomograms is None else str(tomograms)
    if not conditions:
        raise InputError(f"{place}: none of the measured tomograms has a {by}; check the names of tomograms")
    if len(conditions) == 1:
        raise InputError(
            f"{place}: one {by} alone, {conditions[0]}, so there is nothing to compare; name another column "
            "with --by"
        )
