"""`surfora edit` and `surfora apply`: points and meshes corrected by hand, and the same again from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from surfora.cli.options import Unit
from tomocore.terminal.console import Terminal, status_of
from tomocore.terminal.options import Overwrite, SettingsFile, VoxelSize, next_hint


def edit(
    files: Annotated[list[Path], Parameter(help="points or meshes, in nm: .vtp, .ply and others")],
    /,
    *,
    volume: Annotated[
        Path | None, Parameter(help="tomogram or mask of which a slice is shown behind the surfaces")
    ] = None,
    edits: Annotated[
        Path | None,
        Parameter(help="file of edits to go on with; where not given, the one beside the first file"),
    ] = None,
    new: Annotated[
        bool,
        Parameter(name="--new", negative="", help="begin anew; earlier edits are put aside, not deleted"),
    ] = False,
    mask: Annotated[
        Path | None,
        Parameter(help="mask or labels that the points came from: what is meshed anew stays within it"),
    ] = None,
    settings: SettingsFile = None,
    unit: Unit = None,
    voxel_size: VoxelSize = None,
) -> int:
    """Correct points and meshes by hand in a window: select, delete, flip normals, label, mesh anew.

    Every edit is kept at once in NAME.edits.jsonl beside the first file; `surfora apply` replays it.
    """
    from surfora.editor.request import EditRequest
    from surfora.editor.start import edit_in_window

    return edit_in_window(EditRequest(files, volume, edits, new, mask, settings, unit, voxel_size))


def apply(
    edits: Annotated[Path, Parameter(help="file of edits, NAME.edits.jsonl, as `surfora edit` keeps them")],
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="folder of the results; beside their files where not given"),
    ] = None,
    files: Annotated[
        list[Path] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="files to edit instead of those of then, by name, as after a new run of earlier stages",
        ),
    ] = None,
    tolerance: Annotated[
        float, Parameter(help="nm that a point may have moved since and still count as the one edited")
    ] = 0.1,
    overwrite: Overwrite = False,
) -> int:
    """Replay edits made in `surfora edit`: each file becomes NAME.edited.vtp; what no longer fits is told.

    Points are found by number where the file is the same, else by place.
    """
    from surfora.editor.files import apply_edits

    batch = apply_edits(edits, output, files or (), tolerance, overwrite, Terminal())
    if batch.has_results:
        next_hint(
            "surfora mesh NAME.edited.medial.points.vtp -o NAME.edited.medial.vtp, or open it in ParaView"
        )
    return status_of(batch)
