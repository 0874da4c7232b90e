"""`surfora sample`: from a surface to a file of particles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from surfora.export import dynamo, star
from surfora.export.copick import write_picks
from surfora.export.imod import write_points
from surfora.export.particles import Particles, TomogramSize
from surfora.export.poses import to_relion
from surfora.export.sample import InPlane, sampled_particles
from surfora.export.tomogram_places import Whereabouts, first_voxel_nm, placed_mesh, tomogram_sizes
from tomocore.contract import NOBODY, Batch, InputError, Watcher
from tomocore.files import require_writable_folder, written_beside
from tomocore.files_of_tomograms import owner_of

StarFormat = Literal["relion5", "relion4", "warp"]


@dataclass(frozen=True)
class SampleRequest:
    """What `surfora sample` is asked for."""

    mesh: Path
    output: Path
    spacing_nm: float
    in_plane: InPlane = "random"
    where: str = ""
    seed: int = 0
    style: StarFormat | None = None
    whereabouts: Whereabouts = field(default_factory=Whereabouts)
    overwrite: bool = False


def sample_surface(request: SampleRequest, watcher: Watcher = NOBODY) -> Batch:
    """Write particles sampled from a surface as STAR, Dynamo table, motive list or IMOD model, by ending."""
    batch = Batch(watcher)
    batch.make(request.output, request.overwrite, lambda path: _sampled(path, request))
    return batch


def _sampled(path: Path, request: SampleRequest) -> str:
    placed = placed_mesh(request.mesh)
    told = request.whereabouts.pixel_size_nm
    sizes = tomogram_sizes(request.whereabouts)
    found = sampled_particles(
        placed.named.mesh, request.spacing_nm, request.in_plane, request.where, request.seed
    )
    name = placed.tomogram or (next(iter(sizes)) if len(sizes) == 1 else "tomogram")
    origin = np.asarray(first_voxel_nm(name, [placed], sizes))
    named = (name,) * len(found)
    particles = Particles(found.places_nm - origin, found.poses, named)
    pixel = placed.voxel_size_nm if told is None else told
    if not (np.isfinite(pixel) and pixel > 0):
        raise InputError(f"{request.mesh}: tells no voxel edge to count places in; pass --pixel-size NM")
    require_writable_folder(path.parent)
    kind = path.suffix.lower()
    if kind == ".tbl":
        dynamo.write_dynamo(path, particles, pixel)
    elif kind == ".em":
        dynamo.write_av3(path, particles, pixel)
    elif kind == ".mod":
        write_points(path, particles, pixel)
    elif kind == ".json":
        write_picks(path, particles, pixel)
    elif kind == ".star":
        write_star(path, particles, pixel, sizes, request.style)
    else:
        raise InputError(
            f"{path}: particles are written as .star, .tbl, .em (motive lists), .mod (IMOD) or .json (copick)"
        )
    return f"{len(particles)} particles, {request.spacing_nm:g} nm apart"


def write_star(
    path: Path,
    particles: Particles,
    pixel_nm: float,
    sizes: Mapping[str, TomogramSize],
    style: StarFormat | None = None,
) -> None:
    """Write particles as STAR: RELION 5 where the tomogram's size is known, else RELION 4; or as asked.

    pixel_nm: of the tilt series (RELION) or of the coordinates (Warp). sizes: of tomograms by name, which
    RELION 5 counts from the middle of. Raises InputError where that is asked for without a size.
    """
    import starfile  # takes a second

    owners = {name: owner_of(name, list(sizes)) for name in set(particles.tomograms)}
    known = all(owner is not None for owner in owners.values())
    style = style or ("relion5" if known else "relion4")
    if style == "relion5" and not known:
        raise InputError(f"{path}: RELION 5 counts from the tomogram's centre; pass its size with --tomogram")
    angles = np.zeros((len(particles), 3)) if particles.poses is None else to_relion(particles.poses)
    table = pd.DataFrame({"rlnTomoName": list(particles.tomograms)})
    if style == "relion5":
        half = np.array([np.asarray(sizes[str(owners[name])].size_nm) / 2 for name in particles.tomograms])
        table[list(star.CENTRED)] = (particles.places_nm - half.reshape(-1, 3)) * 10.0
    else:
        table[list(star.COORDINATES)] = particles.places_nm / pixel_nm
    if style == "warp":
        table.insert(0, "rlnMicrographName", [f"{name}.tomostar" for name in table.pop("rlnTomoName")])
        table["rlnPixelSize"] = pixel_nm * 10.0
    table[list(star.ANGLES)] = angles
    if style != "warp":
        table["rlnAngleTiltPrior"], table["rlnAnglePsiPrior"] = angles[:, 1], angles[:, 2]
        table["rlnOpticsGroup"] = 1
    optics = pd.DataFrame(
        {
            "rlnOpticsGroup": [1],
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnTomoTiltSeriesPixelSize": [pixel_nm * 10.0],
        }
    )
    blocks = {"particles": table} if style == "warp" else {"optics": optics, "particles": table}
    with written_beside(path) as beside:
        starfile.write(blocks, beside, float_format="%.6f")
