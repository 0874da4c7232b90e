"""`tomosurf compare`: tables of many tomograms in, comparisons.csv, figures and a page out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from tomocore.contract import NOBODY, Batch, InputError, Watcher
from tomocore.files import written_beside
from tomocore.locks import one_run
from tomocore.page import write_page
from tomocore.provenance import RunRecord, recorded_run
from tomosurf.statistics.comparison_page import comparison_page
from tomosurf.statistics.figures import Drawn, write_figure
from tomosurf.statistics.measures import PATCHES
from tomosurf.statistics.patches import FEWEST, patch_table
from tomosurf.statistics.settings import CompareSettings
from tomosurf.statistics.study import Study, findings, study_of
from tomosurf.statistics.study_figures import study_figures
from tomosurf.statistics.tables import Tables, read_tables, table_files

PAGE, TABLE, FIGURES, RECORD = "comparison.html", "comparisons.csv", "figures", "run.json"


@dataclass(frozen=True)
class CompareRequest:
    """What `tomosurf compare` is asked for: tables (files or folders), and how to compare.

    ``tomograms`` is the table that tells conditions; of it those named in ``only`` count, all where none is.
    """

    tables: tuple[Path, ...]
    folder: Path
    tomograms: Path | None = None
    how: CompareSettings = field(default_factory=CompareSettings)
    only: tuple[str, ...] = ()
    overwrite: bool = False


class NoPatchesError(InputError):
    """No surface carries a contact that patches could be compared with."""


@dataclass
class CompareOutcome(Batch):
    """What was written; ``sentences`` say what was found, the smallest p first."""

    sentences: list[str] = field(default_factory=list)
    page: Path | None = None
    study: Study | None = None
    drawn: list[Drawn] = field(default_factory=list)


def compare_files(request: CompareRequest, watcher: Watcher = NOBODY) -> CompareOutcome:
    """Write comparisons.csv, comparison.html, run.json and figures (PDF, PNG, CSV) into a folder.

    Where the page exists it is left alone unless ``overwrite``. Raises InputError where a table cannot be
    used, there is one condition alone, or a measure or reference is not there.
    """
    outcome = CompareOutcome(watcher)
    page = request.folder / PAGE
    if page.exists() and not request.overwrite:
        outcome.skip(str(page), "it exists; pass --overwrite to replace it")
        return outcome
    files = table_files(request.tables)
    with recorded_run("tomosurf compare") as record:
        how = request.how
        tables = read_tables(request.tables, request.tomograms, how.by, request.only)
        for path in [file.path for file in files] + ([request.tomograms] if request.tomograms else []):
            record.add_input(path)
        record.settings = how.model_dump(mode="json")
        if how.patches:
            tables.rows[PATCHES] = _patches(tables, how, watcher)
            tables.cautions += _without_room(tables.rows[PATCHES])
        with watcher.progress("comparing") as progress:
            study = study_of(
                tables, how.measures, how.reference, how.unit, how.seed, how.across_membranes, progress
            )
        with one_run(request.folder):
            outcome.drawn = _written(request.folder, study, record, watcher)
    outcome.page, outcome.study = page, study
    outcome.sentences = findings(study)
    outcome.finish(str(page), f"{len(study.table)} comparisons of {len(tables.tomograms)} tomograms")
    return outcome


def _patches(tables: Tables, how: CompareSettings, watcher: Watcher) -> pd.DataFrame:
    """The contacts of the tomograms' meshes beside random patches. NoPatchesError without a contact."""
    with watcher.progress("random patches") as progress:
        found = patch_table(tables.folders, tables.tomograms, tables.by, how.patches, how.seed, progress)
    if found.empty:
        raise NoPatchesError(
            "--patches: no mesh with contacts beside the tables; give the tomograms' folders, each with its "
            "meshes (.vtp) that `surfora run` or `surfora contacts` wrote contact_id into"
        )
    return found


def _without_room(patches: pd.DataFrame) -> list[str]:
    """A caution where contacts find too little of their surface beside contacts."""
    bare = int((patches["patches"] < FEWEST).sum())
    if not bare:
        return []
    return [
        f"random patches: {bare} of {len(patches)} contacts have none, since too little of their surface "
        "lies beside contacts; surfaces within ROIs have more with a larger roi.dilation_nm"
    ]


def _written(folder: Path, study: Study, record: RunRecord, watcher: Watcher) -> list[Drawn]:
    """The figures, all written with the table and the record; last the page, the sign that all is there."""
    patches = study.tables.of(PATCHES)
    if len(patches):
        with written_beside(folder / f"{PATCHES}.csv") as beside:
            patches.to_csv(beside, index=False, float_format="%.6g")
    figures = folder / FIGURES
    figures.mkdir(exist_ok=True)
    with written_beside(folder / TABLE) as beside:
        study.table.to_csv(beside, index=False, float_format="%.6g")
    drawn: list[Drawn] = []
    with watcher.progress("drawing") as progress:
        for at, figure in enumerate(study_figures(study)):
            write_figure(figures, figure)
            drawn.append(figure)
            progress(at + 1, 0)
    record.write(folder / RECORD)
    write_page(folder / PAGE, comparison_page(study, drawn, record))
    return drawn
