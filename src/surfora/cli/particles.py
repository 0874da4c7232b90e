"""`surfora particles` and `surfora sample`: the way to subtomogram averaging and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from surfora.cli.options import ended
from tomocore.terminal.console import Terminal
from tomocore.terminal.options import Output, Overwrite, Several

if TYPE_CHECKING:
    from surfora.export.tomogram_places import Whereabouts


@Parameter(name="*")
@dataclass
class OfParticles:
    """Where particles are written, and what tells where their tomograms lie."""

    output: Output
    tomogram: Annotated[
        list[Path] | None, Several, Parameter(help="tomograms, whose headers tell size and place")
    ] = None
    tomograms: Annotated[Path | None, Parameter(help="tomograms.star of RELION, which tells their sizes")] = (
        None
    )
    pixel_size: Annotated[
        float | None, Parameter(help="nm of a pixel of the coordinates, whatever the file says")
    ] = None
    overwrite: Overwrite = False

    @property
    def whereabouts(self) -> Whereabouts:
        """What tells where tomograms lie."""
        from surfora.export.tomogram_places import Whereabouts

        return Whereabouts(tuple(self.tomogram or ()), self.tomograms, self.pixel_size)


def particles(
    meshes: Annotated[list[Path], Parameter(help="meshes of `surfora run`, of any number of tomograms")],
    /,
    *,
    particles: Annotated[
        Path, Parameter(help="particles (.star, .tbl, .em, .mod, .json), or the optimisation set of RELION")
    ],
    options: OfParticles,
    catalogue: Annotated[
        Path | None, Parameter(help="table map of a Dynamo catalogue: number and path of each tomogram")
    ] = None,
    radius: Annotated[
        float | None, Parameter(help="adds the area of membrane within so many nm of each particle")
    ] = None,
    probe: Annotated[
        float | None, Parameter(help="adds the distance from a probe so many nm along the particle's z axis")
    ] = None,
) -> int:
    """Join what the nearest membrane is like onto particles: distance, side, curvature, contact, angle.

    All columns and blocks of the particles stay as they are; the same features stand in a CSV beside.
    """
    from surfora.export.particle_files import JoinRequest, join_particles

    request = JoinRequest(
        tuple(meshes),
        particles,
        options.output,
        options.whereabouts,
        catalogue,
        radius,
        probe,
        options.overwrite,
    )
    return ended(join_particles(request, Terminal()))


def sample(
    mesh: Annotated[Path, Parameter(help="mesh of a membrane, of `surfora run`")],
    /,
    *,
    options: OfParticles,
    spacing: Annotated[float, Parameter(help="distance between neighbours in nm")] = 5.0,
    where: Annotated[
        str, Parameter(help='only where arrays of the mesh fulfil this: "contact_gap_nm < 25"')
    ] = "",
    in_plane: Annotated[
        Literal["random", "zero"], Parameter(help="angle about the normal, which nothing tells")
    ] = "random",
    style: Annotated[
        Literal["relion5", "relion4", "warp"] | None,
        Parameter(help="of a STAR file; relion5 where the tomogram's size is known, else relion4"),
    ] = None,
    seed: Annotated[int, Parameter(help="seed of places and angles")] = 0,
) -> int:
    """Particles on a surface, evenly spaced, z along its normal: .star, .tbl, .em, .mod or .json (copick)."""
    from surfora.export.sample_files import SampleRequest, sample_surface

    request = SampleRequest(
        mesh,
        options.output,
        spacing,
        in_plane,
        where,
        seed,
        style,
        options.whereabouts,
        options.overwrite,
    )
    return ended(sample_surface(request, Terminal()))
