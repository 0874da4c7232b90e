"""The `surfora` command: the whole sequence, its report and its settings; the stages are in `stages`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from surfora.cli.contacts import contacts
from surfora.cli.density import density
from surfora.cli.editing import apply as edits_applied
from surfora.cli.editing import edit as edits_made
from surfora.cli.export import export
from surfora.cli.particles import particles, sample
from surfora.cli.stages import STAGES
from tomocore.contract import InputError
from tomocore.files_of_tomograms import product_files, tomogram_files
from tomocore.machine import cores, keep_freed_memory
from tomocore.settings import load_settings, settings_template
from tomocore.terminal.console import Terminal, leave, out, say_first_use, status_of
from tomocore.terminal.options import (
    Jobs,
    Output,
    Overwrite,
    Resample,
    SettingsFile,
    Several,
    VoxelSize,
    next_hint,
)

if TYPE_CHECKING:
    from surfora.batch import RunOutcome

app = App(
    name="surfora",
    help="From voxel masks of membranes to oriented surfaces and numbers with units. "
    "`surfora run` does the whole sequence; the other commands do one stage each.",
    version="0.1.0",
)

for order, stage in enumerate(STAGES, start=2):
    app.command(stage, sort_key=order)
app.command(contacts, sort_key=12.5)
app.command(density, sort_key=14.5)
app.command(particles, sort_key=16)
app.command(sample, sort_key=17)
app.command(export, sort_key=18)


@app.command(sort_key=1)
def run(
    masks: Annotated[list[Path], Parameter(help="masks, or folders of masks")],
    /,
    *,
    output: Output,
    labels: Annotated[
        str | None, Parameter(help="labels to measure and their names: 1=OMM,2=IMM,3=ER")
    ] = None,
    rois: Annotated[
        list[Path] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="ROIs (.npz or labels), or folders of them: one a mask, by name",
        ),
    ] = None,
    distances: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, negative="", help="pairs of names to measure between: OMM:ER"),
    ] = None,
    inside: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="pairs INNER:OUTER; normals point outward by them: IMM:OMM",
        ),
    ] = None,
    lumen: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, negative="", help="a place inside, in nm: ER=120,80,45"),
    ] = None,
    surface: Annotated[
        Literal["medial", "isosurface", "both"] | None,
        Parameter(
            help="middle of the membrane, its two leaflets, or both; where not given, the middle, and the "
            "boundary of masks that are filled"
        ),
    ] = None,
    tomogram: Annotated[
        list[Path] | None,
        Several,
        Parameter(
            help="tomograms, or folders of them, one a mask, by name: adds what the density tells of middles"
        ),
    ] = None,
    valid: Annotated[
        list[Path] | None,
        Several,
        Parameter(
            help="valid regions, or folders of them, one a mask, by name: masks, or IMOD models (.mod)"
        ),
    ] = None,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    settings: SettingsFile = None,
    intervals: Annotated[
        bool,
        Parameter(
            name="--intervals",
            negative="",
            help="a 95 % interval for each value, by measuring again with moved borders; 7 times as long",
        ),
    ] = False,
    confidence: Annotated[
        list[Path] | None,
        Several,
        Parameter(help="for --intervals: maps of confidence, one a mask, by name, or folders of them"),
    ] = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> int:
    """Measure membranes: the whole sequence from masks to tables, surfaces and report.html."""
    from surfora.batch import RunRequest, run_masks
    from surfora.intervals_of_run import run_with_intervals
    from surfora.masks.membranes import parsed_labels, parsed_lumen, parsed_pair
    from surfora.settings import SurforaSettings

    request = RunRequest(
        masks=tuple(product_files(masks, "membranes", of_others=True)),
        folder=output,
        labels=parsed_labels(labels) if labels else None,
        # One by one, since a file may be named again for the next mask.
        rois=tuple(file for path in rois or () for file in product_files([path], "rois.npz", "rois")),
        tomograms=tuple(file for path in tomogram or () for file in tomogram_files([path])),
        valid=tuple(file for path in valid or () for file in product_files([path], "valid")),
        confidence=tuple(product_files(confidence or (), "confidence", "membranes")),
        pairs=tuple(parsed_pair(pair) for pair in distances) if distances else None,
        inside=tuple(parsed_pair(pair, "--inside") for pair in inside or ()),
        lumens=dict(parsed_lumen(place) for place in lumen or ()),
        kind=surface,
        voxel_size_nm=voxel_size,
        resample=resample,
        jobs=cores(jobs),
        overwrite=overwrite,
    )
    if confidence and not intervals:
        raise InputError("--confidence: says how wide intervals are; add --intervals")
    say_first_use("surfora")
    measure = run_with_intervals if intervals else run_masks
    outcome = measure(request, load_settings(SurforaSettings, settings), Terminal())
    if outcome.report:
        _say_headlines(outcome)
        out.print(f"report: {outcome.report}", markup=False)
        next_hint(f"open {outcome.report} in a browser, or the .vtp files in ParaView")
    return status_of(outcome)


def _say_headlines(outcome: RunOutcome) -> None:
    """The numbers that people look for first, a line a surface and a line a pair."""
    from tomocore.page import shown

    for row in outcome.surfaces:
        parts = [f"area {shown(row['area_nm2'])} nm²"]
        if row["kind"] != "isosurface" or row["filled"]:
            parts.append(f"mean curvature {shown(row['mean_curvature_median_per_nm'])} per nm (median)")
        parts.append("closed" if row["is_closed"] else "open")
        out.print(f"{row['name']} {row['kind']}: {', '.join(parts)}", markup=False)
    for row in outcome.distances:
        out.print(
            f"{row['name']} {row['kind']} to {row['target']} {row['target_kind']}: "
            f"median {shown(row['median_nm'])} nm, "
            f"quartiles {shown(row['q25_nm'])} and {shown(row['q75_nm'])} nm",
            markup=False,
        )


@app.command(sort_key=30)
def report(folder: Annotated[Path, Parameter(help="folder of a `surfora run`")], /) -> None:
    """Write report.html of a finished run again, from its files."""
    from surfora.reporting.report import write_run_report

    folder = folder.parent if folder.is_file() else folder  # its report or its record was named
    out.print(f"report: {write_run_report(folder)}", markup=False)


@app.command(sort_key=31)
def settings() -> None:
    """Print a settings file with every default, its meaning and its range, for -s."""
    from surfora.settings import SurforaSettings

    print(settings_template(SurforaSettings), end="")


app.command(edits_made, name="edit", sort_key=19)
app.command(edits_applied, name="apply", sort_key=20)


def main() -> None:
    """Entry point of the `surfora` command."""
    keep_freed_memory()
    leave(app)
