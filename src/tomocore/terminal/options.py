"""Options that mean the same in every command of every tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tomocore.terminal.console import out

Output = Annotated[Path, Parameter(name=["--output", "-o"], help="where the result is written")]
SettingsFile = Annotated[
    Path | None,
    Parameter(
        name=["--settings", "-s"], help="TOML file of settings; `settings` prints one with every default"
    ),
]
VoxelSize = Annotated[
    float | None, Parameter(name="--voxel-size", help="voxel edge in nm, whatever the files' headers say")
]
Resample = Annotated[
    bool,
    Parameter(
        name="--resample",
        negative="",
        help="bring volumes of unequal voxel edges to one edge first, the smallest",
    ),
]
Overwrite = Annotated[
    bool,
    Parameter(name="--overwrite", negative="", help="replace results that exist instead of skipping them"),
]
Jobs = Annotated[
    int | None, Parameter(name=["--jobs", "-j"], help="CPU cores to use; all of them where not given")
]
Several = Parameter(consume_multiple=True, negative="")
"""Marks an option that several values may follow."""


def next_hint(command: str) -> None:
    """Say which command usually follows."""
    if command:
        out.print(f"next: {command}", markup=False, style="dim")
