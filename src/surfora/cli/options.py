"""What the stages of `surfora` share: their inputs, their options, and the sections of the settings file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from cyclopts import Parameter

from surfora.geometry.request import StageRequest
from surfora.settings import SurforaSettings
from tomocore.contract import Batch
from tomocore.settings import Settings, load_section
from tomocore.terminal.console import status_of
from tomocore.terminal.options import Output, Overwrite, Resample, SettingsFile, VoxelSize, next_hint

SECTIONS = tuple(SurforaSettings.model_fields)
"""Sections of the settings file."""

S = TypeVar("S", bound=Settings)

MaskFile = Annotated[
    Path, Parameter(help="mask: MRC (also .gz), OME-Zarr or TIFF; voxels other than 0 are membrane")
]
MeshFile = Annotated[
    Path,
    Parameter(help="mesh: .vtp, .ply, .stl, .vtk, .vtu in nm, .obj and .glb in Å, unless --unit says else"),
]
PointsFile = Annotated[
    Path,
    Parameter(
        help="points: .vtp, .ply, .vtk, .xyz, .csv, .txt or .star, in nm unless they or --unit say else"
    ),
]
Unit = Annotated[
    Literal["nm", "angstrom", "um", "voxel"] | None,
    Parameter(help="unit of the lengths in files of other programs; voxel needs --voxel-size"),
]
VoxelOfUnit = Annotated[
    float | None, Parameter(name="--voxel-size", help="voxel edge in nm, for --unit voxel")
]


@dataclass
class _StageOptions:
    """Where a stage writes, what settings it takes, and whether it replaces what is there."""

    output: Output
    settings: SettingsFile = None
    overwrite: Overwrite = False

    def section(self, kind: type[S], name: str) -> S:
        """The stage's section of the settings file, or its defaults."""
        return load_section(kind, name, SECTIONS, self.settings)


@Parameter(name="*")
@dataclass
class OfMask(_StageOptions):
    """Options of a stage that reads a mask."""

    voxel_size: VoxelSize = None
    resample: Resample = False

    def of(self, mask: Path) -> StageRequest:
        """What the stage is asked for."""
        return StageRequest(mask, self.output, None, self.voxel_size, self.resample, self.overwrite)


@Parameter(name="*")
@dataclass
class OfSurface(_StageOptions):
    """Options of a stage that reads points or meshes."""

    unit: Unit = None
    voxel_size: VoxelOfUnit = None

    def of(self, surface: Path) -> StageRequest:
        """What the stage is asked for."""
        return StageRequest(surface, self.output, self.unit, self.voxel_size, overwrite=self.overwrite)


@Parameter(name="*")
@dataclass
class OfMesh(_StageOptions):
    """Options of a stage that reads a mesh and must know the voxels that it came from."""

    unit: Unit = None

    def of(self, mesh: Path, voxel_size_nm: float) -> StageRequest:
        """What the stage is asked for."""
        return StageRequest(mesh, self.output, self.unit, voxel_size_nm, overwrite=self.overwrite)


@Parameter(name="*")
@dataclass
class OfBoth(OfMask):
    """Options of a stage that reads points or meshes, and the mask that they came from."""

    unit: Unit = None

    def of(self, surface: Path) -> StageRequest:
        """What the stage is asked for."""
        return StageRequest(surface, self.output, self.unit, self.voxel_size, self.resample, self.overwrite)


def ended(batch: Batch, hint: str = "") -> int:
    """Say which command usually follows; the exit status."""
    next_hint(hint)
    return status_of(batch)
