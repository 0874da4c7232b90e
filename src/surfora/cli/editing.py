"""`surfora apply`: edits that were made by hand, again from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tomocore.terminal.console import Terminal, status_of
from tomocore.terminal.options import Overwrite, next_hint


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
