"""The `tomosurf` command: both tools in sequence over a project of tomograms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from tomocore.machine import cores
from tomocore.terminal.console import Terminal, leave, out, status_of
from tomocore.terminal.options import Jobs, Overwrite, next_hint
from tomosurf.cli.compare import compare

app = App(
    name="tomosurf",
    help="Find ROIs and measure their surfaces over a project of many tomograms.",
    version="0.1.0",
)

ProjectPath = Annotated[Path, Parameter(help="project file, or the folder it lies in")]


@app.command(sort_key=1)
def new(folder: Annotated[Path, Parameter(help="folder of the new project")], /) -> None:
    """Write a project file with every setting and its meaning."""
    from tomosurf.project import new_project

    path = new_project(folder)
    out.print(f"wrote {path}: name your tomograms, membranes and model in it", markup=False)
    next_hint(f"tomosurf validate {folder}")


@app.command(sort_key=2)
def validate(project: ProjectPath, /) -> int:
    """Check the project file and every input, and say all that is wrong at once, a line each."""
    from tomosurf.project import read_project
    from tomosurf.validation import problems_of

    planned = read_project(project)
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
def run(project: ProjectPath, /, *, jobs: Jobs = None, overwrite: Overwrite = False) -> int:
    """Do what is not done yet: confidence, ROIs, surfaces of every tomogram, then the report."""
    from tomosurf.project import read_project
    from tomosurf.report import write_project_report
    from tomosurf.steps import run_project

    planned = read_project(project)
    batch = run_project(planned, cores(jobs), overwrite, Terminal())
    out.print(f"report: {write_project_report(planned)}", markup=False)
    return status_of(batch)


@app.command(sort_key=4)
def status(project: ProjectPath, /) -> None:
    """Which steps of which tomograms are done."""
    from tomosurf.project import STEPS, read_project

    planned = read_project(project)
    table = Table("tomogram", *STEPS)
    for plan in planned.plans:
        table.add_row(plan.stem, *("done" if there else "–" for there in plan.done().values()))
    out.print(table)


@app.command(sort_key=5)
def report(project: ProjectPath, /) -> None:
    """Write the project's report and its pooled tables again, from the results that are there."""
    from tomosurf.project import read_project
    from tomosurf.report import write_project_report

    out.print(f"report: {write_project_report(read_project(project))}", markup=False)


app.command(compare, sort_key=6)


def main() -> None:
    """Entry point of the `tomosurf` command."""
    leave(app)
