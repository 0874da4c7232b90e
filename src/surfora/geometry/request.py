"""What every stage from file to file is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # masks are cleaned without the libraries of meshes
    from surfora.geometry.clouds import LengthUnit


@dataclass(frozen=True)
class StageRequest:
    """A stage's file in and file out, and how the first is read; what is there is kept unless ``overwrite``.

    ``unit`` is that of lengths in files of other programs, ``voxel_size_nm`` the edge of a voxel (of a mask
    whatever its header says), ``resample`` brings a mask's voxels of unequal edges to one.
    """

    source: Path
    target: Path
    unit: LengthUnit | None = None
    voxel_size_nm: float | None = None
    resample: bool = False
    overwrite: bool = False
