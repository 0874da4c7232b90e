"""What is asked of the editor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the door opens without the libraries of meshes
    from surfora.geometry.clouds import LengthUnit


@dataclass(frozen=True)
class EditRequest:
    """What is edited, and by what.

    ``volume``: tomogram or mask of which a slice is shown behind the ``files`` of surfaces; ``edits``: the
    file of edits, else the one beside the first file; ``anew``: earlier edits are put aside. ``mask``: where
    points meshed anew may have triangles, also shown where no volume is; ``settings``: of meshing and
    measuring. ``unit`` is that of lengths in files of other programs; ``voxel_size_nm`` the edge of a voxel,
    of unit "voxel" and of the volumes, whatever their headers say.
    """

    files: Sequence[Path]
    volume: Path | None = None
    edits: Path | None = None
    anew: bool = False
    mask: Path | None = None
    settings: Path | None = None
    unit: LengthUnit | None = None
    voxel_size_nm: float | None = None
