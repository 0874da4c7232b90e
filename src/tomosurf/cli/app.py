"""The `tomosurf` command: both tools in sequence over a project of tomograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from tomocore.machine import cores
from tomocore.terminal.console import Terminal, leave, out, say_first_use, status_of
from tomocore.terminal.options import Jobs, Overwrite, next_hint
from tomosurf.cli.compare import compare

if TYPE_CHECKING:
    from tomosurf.rounds import Round

app = App(
    name="tomosurf",
    help="Find ROIs and measure their surfaces over a project of many tomograms.",
    version="0.1.0",
)

Only = Annotated[
    Path | None,
    Parameter(help="text file of the tomograms meant, a name a line; else all of them"),
]
Workflow = Annotated[
    bool,
    Parameter(negative="", help="run steps as jobs, side by side on this machine, by Snakemake (an extra)"),
]
Retrain = Annotated[
    bool,
    Parameter(negative="", help="train the next round first, where annotations or settings have changed"),
]
Slurm = Annotated[
    bool,
    Parameter(negative="", help="run steps as jobs of Slurm, as [cluster] in the project file says"),
]
ProjectPath = Annotated[Path, Parameter(help="project file, or the folder it lies in")]


@app.command(sort_key=1)
def new(folder: Annotated[Path, Parameter(help="folder of the new project")], /) -> None:
    """Write a project file with every setting and what lies in the folder, and a table of the tomograms.

    The table takes condition, grid and voxel size of each, and why one is left out.
    """
    from tomosurf.project import inputs_in, new_project

    path = new_project(folder)
    found = ", ".join(inputs_in(folder)) or "nothing"
    out.print(f"wrote {path}: found {found}; name what lies elsewhere in it", markup=False)
    next_hint(f"tomosurf validate {folder}")


@app.command(sort_key=2)
def validate(project: ProjectPath, /, *, only: Only = None) -> int:
    """Check the project file and every input, and say all that is wrong at once, a line each.

    First which membranes and truth belong to which tomogram, and what the list that it comes from calls it.
    """
    from tomosurf.project import read_project
    from tomosurf.validation import problems_of

    planned = read_project(project, only)
    for plan in planned.plans:
        truth = f", {plan.truth.name}" if plan.truth else ", no truth" if planned.settings.truth else ""
        left_out = f" (left out: {plan.row.excluded})" if plan.row.excluded else ""
        named = f"{plan.stem} ({plan.listed}, {plan.tomogram})" if plan.listed else plan.tomogram.name
        out.print(f"{named}: {plan.membranes.name}{truth}{left_out}", markup=False)
    problems = problems_of(planned)
    for problem in problems:
        Terminal().failed(problem)
    if problems:
        out.print(f"{len(planned.plans)} tomograms, {len(problems)} problems", markup=False)
        return 1
    out.print(f"{len(planned.plans)} tomograms, nothing wrong", markup=False)
    next_hint(f"tomosurf run {project}")
    return 0


@app.command(sort_key=3)
def annotate(project: ProjectPath, /, *, only: Only = None) -> None:
    """Open the project in the window of `tomorois annotate`: paint, train, predict, judge and measure there.

    What is painted, and models, go to the project's folder `annotations`; ROIs are those of `tomosurf run`.
    """
    from tomorois.cli.windows import require_window
    from tomosurf.project import read_project

    require_window()
    planned = read_project(project, only)
    from tomorois.napari.window import annotate_loop
    from tomosurf.annotating import loop_of_project

    annotate_loop(lambda: loop_of_project(planned))


@app.command(sort_key=4)
def train(
    project: ProjectPath,
    /,
    *,
    from_scratch: Annotated[
        bool, Parameter(negative="", help="begin with a new network, instead of refining the last model")
    ] = False,
    jobs: Jobs = None,
) -> int:
    """Train the project's next round on all that is painted and judged, where any of it has changed.

    It refines the model of the round before; `tomosurf run` trains the first one by itself.
    """
    from tomosurf.project import read_project
    from tomosurf.run import train_project

    say_first_use("tomorois")
    batch = train_project(read_project(project), from_scratch, cores(jobs), Terminal())
    next_hint(f"tomosurf run {project}")
    return status_of(batch)


@app.command(sort_key=5)
def run(
    project: ProjectPath,
    /,
    *,
    only: Only = None,
    jobs: Jobs = None,
    workflow: Workflow = False,
    slurm: Slurm = False,
    retrain: Retrain = False,
    overwrite: Overwrite = False,
) -> int:
    """Do what is not done yet: confidence, ROIs, surfaces of every tomogram, then the report of all.

    A step is done again where its inputs, its settings or its version have changed, which is told. A project
    that names annotations and no model trains one first; that is not done again unless asked for.
    """
    from tomosurf.current_report import bring_report_up_to_date
    from tomosurf.project import read_project
    from tomosurf.run import run_project

    say_first_use("surfora")
    planned = read_project(project, only)
    if workflow or slurm:
        from tomosurf.workflow.run import WorkflowRequest, run_workflow

        request = WorkflowRequest(cores(jobs), slurm, overwrite, retrain)
        batch = run_workflow(planned, request, Terminal())
    else:
        batch = run_project(planned, cores(jobs), overwrite, Terminal(), retrain)
    path, is_new = bring_report_up_to_date(read_project(project), Terminal())
    kept = "" if is_new else ", as it was: nothing that it is made from has changed"
    out.print(f"report: {path}{kept}", markup=False)
    return status_of(batch)


@app.command(sort_key=6)
def status(project: ProjectPath, /, *, only: Only = None) -> None:
    """Which steps of which tomograms are done and when, what failed last, and what is left out and why.

    Then how far the training is, and the rounds: the models that found ROIs, what was judged after which,
    what is stale, and what is next.
    """
    from tomosurf.project import STEPS, read_project
    from tomosurf.rounds import judged_of, read_ledger, rounds_of, what_is_next
    from tomosurf.status import left_over, status_of_project

    planned = read_project(project, only)
    rounds = rounds_of(planned)
    judged = judged_of(planned, read_ledger(planned))
    table = Table("tomogram", *STEPS, *(["judged"] if judged else []), "remark")
    for one in status_of_project(planned):
        times = (f"done {when:%Y-%m-%d %H:%M}" if when else "–" for when in one.done.values())
        words = [judged[one.name].words if one.name in judged else "–"] if judged else []
        table.add_row(escape(one.name), *times, *words, escape(one.remark))
    out.print(table)
    if planned.trains:
        from tomosurf.training import training_told

        out.print(training_told(planned), markup=False)
    if rounds:
        out.print(_table_of_rounds(rounds))
        out.print(what_is_next(planned, rounds), markup=False)
    for line in left_over(planned):
        out.print(line, markup=False)


def _table_of_rounds(rounds: Sequence[Round]) -> Table:
    """A row a round, first to last."""
    table = Table("round", "model", "what it is", "maps", "judged after it", "stale")
    for number, one in enumerate(rounds, start=1):
        model, stale = one.model, ", ".join(one.stale)
        told = (str(number), model.name, model.told, str(one.maps), one.line, stale)
        table.add_row(*map(escape, told))
    return table


@app.command(sort_key=7)
def report(project: ProjectPath, /, *, only: Only = None) -> None:
    """Write the project's report again, from the results that are there.

    With it come a page for each tomogram, the pooled tables, and all numbers as report.json. That of some
    tomograms lies in results/reports, in a folder named after their list.
    """
    from tomosurf.project import read_project
    from tomosurf.report import write_project_report

    out.print(f"report: {write_project_report(read_project(project, only), Terminal())}", markup=False)


@app.command(sort_key=8)
def overview(project: ProjectPath, /) -> None:
    """Write a page with one picture of each tomogram: a slice with its ROIs and membranes, searchable.

    It takes what is there, before a run as after it.
    """
    from tomosurf.pages.overview import write_overview
    from tomosurf.project import read_project

    found = write_overview(read_project(project), Terminal())
    for name, line in found.without_picture.items():
        Terminal().failed(f"{name} has no picture: {line}")
    out.print(f"overview: {found.path}", markup=False)


app.command(compare, sort_key=9)


def main() -> None:
    """Entry point of the `tomosurf` command."""
    leave(app)
