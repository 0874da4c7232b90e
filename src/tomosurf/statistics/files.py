"""`tomosurf compare`: tables of many tomograms in, comparisons.csv, figures and a page out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tomocore.contract import NOBODY, Batch, Watcher
from tomocore.files import written_beside
from tomocore.locks import one_run
from tomocore.page import write_page
from tomocore.provenance import RunRecord, recorded_run
from tomosurf.statistics.comparison_page import comparison_page
from tomosurf.statistics.design import Unit
from tomosurf.statistics.figures import write_figure
from tomosurf.statistics.study import Study, findings, study_of
from tomosurf.statistics.study_figures import study_figures
from tomosurf.statistics.tables import read_tables, table_files

PAGE, TABLE, FIGURES, RECORD = "comparison.html", "comparisons.csv", "figures", "run.json"
CHOICES = ("by", "measures", "reference", "unit", "across_membranes", "seed")


@dataclass(frozen=True)
class CompareRequest:
    """What `tomosurf compare` is asked for: tables (files or folders), and how to compare."""

    tables: tuple[Path, ...]
    folder: Path
    tomograms: Path | None = None
    by: str = "condition"
    measures: tuple[str, ...] = ()
    reference: str | None = None
    unit: Unit = "auto"
    across_membranes: bool = False
    seed: int = 0
    overwrite: bool = False


@dataclass
class CompareOutcome(Batch):
    """What was written; ``sentences`` say what was found, the smallest p first."""

    sentences: list[str] = field(default_factory=list)
    page: Path | None = None


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
        tables = read_tables(request.tables, request.tomograms, request.by)
        for path in [file.path for file in files] + ([request.tomograms] if request.tomograms else []):
            record.add_input(path)
        record.settings = {name: getattr(request, name) for name in CHOICES}
        with watcher.progress("comparing") as progress:
            study = study_of(
                tables,
                request.measures,
                request.reference,
                request.unit,
                request.seed,
                request.across_membranes,
                progress,
            )
        with one_run(request.folder):
            _write(request.folder, study, record, watcher)
    outcome.page = page
    outcome.sentences = findings(study)
    outcome.finish(str(page), f"{len(study.table)} comparisons of {len(tables.tomograms)} tomograms")
    return outcome


def _write(folder: Path, study: Study, record: RunRecord, watcher: Watcher) -> None:
    """The table, all figures, the record, and last the page, which is the sign that all is there."""
    figures = folder / FIGURES
    figures.mkdir(exist_ok=True)
    with written_beside(folder / TABLE) as beside:
        study.table.to_csv(beside, index=False, float_format="%.6g")
    drawn = []
    with watcher.progress("drawing") as progress:
        for at, figure in enumerate(study_figures(study)):
            write_figure(figures, figure)
            drawn.append(figure)
            progress(at + 1, 0)
    record.write(folder / RECORD)
    write_page(folder / PAGE, comparison_page(study, drawn, record))
