"""`density` at the level of files: a mesh and its tomogram in, the mesh with what the density tells out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surfora.geometry.files import read_facts, surface_target, write_surface
from surfora.geometry.request import StageRequest
from surfora.geometry.stage import mesh_beside
from surfora.masks.grids import grid_from, grid_of, placed_beside
from surfora.measures.density.density import Density, density_summary, mesh_density
from surfora.measures.density.settings import DensitySettings
from surfora.measures.settings import WedgeSettings
from surfora.measures.valid_region import ValidRegion, read_valid_region, with_depths
from tomocore.contract import NOBODY, Batch, Watcher
from tomocore.files import require_writable_folder
from tomocore.page import shown
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume

NO_LEAFLETS = (
    "the mean profile has one peak, not two: leaflets are not told apart in this tomogram, so there is no "
    "thickness peak to peak; the middle is told all the same"
)


@dataclass(frozen=True)
class DensityRequest:
    """A mesh of a membrane's middle and where its result goes (``stage``), and what is read beside it.

    ``tomogram`` takes the stage's voxel size and resampling; ``beside`` are meshes of other membranes nearby,
    ``valid`` is a mask or an IMOD model of what is believed; ``refine`` moves the mesh to the middle.
    """

    stage: StageRequest
    tomogram: Path
    beside: tuple[Path, ...] = ()
    valid: Path | None = None
    refine: bool = False


def density_file(
    request: DensityRequest,
    settings: DensitySettings = DensitySettings(),
    wedge: WedgeSettings = WedgeSettings(),
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write a mesh with what the density of its tomogram tells (`mesh_density`); the watcher hears the sums.

    What the mesh knows of itself is kept. ``settings`` are those of profiles, ``wedge`` those of the tilts.
    """
    batch, stage = Batch(watcher), request.stage

    def one(path: Path) -> str:
        surface_target(path, with_values=True)
        mesh = mesh_beside(stage, stage.source)
        facts = read_facts(stage.source)
        tomogram = read_tomogram(request.tomogram, stage.voxel_size_nm, stage.resample)
        grid = grid_from(facts.grid) if facts and facts.grid else None
        tomogram = placed_beside(tomogram, request.tomogram, grid)
        region = read_region(request.valid, tomogram, stage)
        others = [mesh_beside(stage, other) for other in request.beside]
        with watcher.progress("density") as progress:
            found = mesh_density(
                mesh,
                tomogram,
                settings,
                wedge=wedge,
                beside=others,
                valid=region,
                refine=request.refine,
                progress=progress,
            )
        tell(found, settings, watcher)
        require_writable_folder(path.parent)
        result = found.mesh if region is None else with_depths(found.mesh, region)
        write_surface(path, result, facts)
        return f"wrote {path}"

    batch.make(stage.target, stage.overwrite, one)
    return batch


def read_tomogram(path: Path, voxel_size_nm: float | None = None, resample: bool = False) -> Volume:
    """A tomogram, left on disk where its format allows."""
    return read_volume(path, voxel_size_nm, lazy=True, resample=resample)


def read_region(path: Path | None, tomogram: Volume, stage: StageRequest) -> ValidRegion | None:
    """The valid region in a file, whose points, if it is a model, count the tomogram's voxels."""
    if path is None:
        return None
    edge_nm, origin_nm = tomogram.voxel_size_nm, tomogram.origin_nm
    grid = grid_of(tomogram)
    return read_valid_region(path, edge_nm, origin_nm, stage.resample, grid, stage.voxel_size_nm)


def tell(found: Density, settings: DensitySettings, watcher: Watcher) -> None:
    """Say what was found of the whole surface: its contrast, and the medians."""
    source = "found" if settings.contrast == "found" else "as stated"
    watcher.say(f"membranes are {found.contrast} ({source})")
    if not found.has_leaflets:
        watcher.say(NO_LEAFLETS)
    for name, value in density_summary(found.mesh).items():
        watcher.say(f"{name} {shown(value)}")
