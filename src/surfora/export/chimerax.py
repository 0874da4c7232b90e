"""A script of ChimeraX (.cxc) that opens surfaces and their tomogram where they lie, in Å."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.volumes.formats import inspect_volume, place_of_first_voxel_nm


def write_script(
    path: Path, surfaces: Sequence[Path], tomogram: Path | None, voxel_size_nm: float | None
) -> None:
    """Write a script that opens ``surfaces`` (.glb in Å) and the tomogram, its middle slice shown.

    Paths are relative to the script, as ChimeraX takes them. The edge of a voxel and the place of the first
    are set as we read them, whatever ChimeraX makes of the header; voxel_size_nm: instead of the header's.
    Raises InputError for a tomogram that tells no size.
    """
    lines = [f"# {path.stem}: surfaces by surfora, in Å; open this file in ChimeraX"]
    if tomogram is not None:
        lines += [f'open "{_from(path, tomogram)}"', *_volume_lines(tomogram, voxel_size_nm)]
    lines += [f'open "{_from(path, surface)}"' for surface in surfaces]
    lines += ["lighting soft", "set bgColor white", "view"]
    with written_beside(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _volume_lines(tomogram: Path, voxel_size_nm: float | None) -> list[str]:
    header = inspect_volume(tomogram)
    if voxel_size_nm is None and header.size_problem:
        raise InputError(f"{tomogram}: {header.size_problem}; pass --voxel-size NM")
    edges = (
        [10 * edge for edge in header.voxel_size_nm] if voxel_size_nm is None else [10 * voxel_size_nm] * 3
    )
    origin_nm = place_of_first_voxel_nm(header, voxel_size_nm) if voxel_size_nm else header.origin_nm
    place = ",".join(f"{10 * value:.8g}" for value in origin_nm)
    z, y, x = header.shape
    return [
        f"volume #1 voxelSize {','.join(f'{edge:.8g}' for edge in edges)} origin {place}",
        f"volume #1 style image region 0,0,{z // 2},{x - 1},{y - 1},{z // 2} step 1",
    ]


def _from(script: Path, file: Path) -> str:
    """A file's path as seen from the script's folder."""
    return Path(os.path.relpath(file.resolve(), script.resolve().parent)).as_posix()
