"""`surfora density`: what the tomogram itself says of a membrane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from surfora.cli.options import SECTIONS, MeshFile, OfBoth, ended
from tomocore.settings import load_section
from tomocore.terminal.console import Terminal
from tomocore.terminal.options import Several


def density(
    mesh: MeshFile,
    /,
    *,
    tomogram: Annotated[Path, Parameter(help="the tomogram that the membrane was segmented in")],
    options: OfBoth,
    beside: Annotated[
        list[Path] | None,
        Several,
        Parameter(help="meshes of other membranes nearby, whose density is kept out"),
    ] = None,
    valid: Annotated[
        Path | None,
        Parameter(help="what of the tomogram is believed: a mask, or an IMOD model of two faces (.mod)"),
    ] = None,
    contrast: Annotated[
        Literal["found", "dark", "bright"] | None, Parameter(help="how membranes look; found where not given")
    ] = None,
    refine: Annotated[
        bool, Parameter(name="--refine", negative="", help="move the mesh to the middle of the density")
    ] = False,
) -> int:
    """Profiles of the tomogram along the normals: thickness peak to peak, both leaflets, the true middle.

    With --refine the mesh is moved there; what was measured on it before is left out, as it no longer holds.
    """
    from surfora.measures.density.files import DensityRequest, density_file
    from surfora.measures.density.settings import DensitySettings
    from surfora.measures.settings import WedgeSettings

    settings = load_section(DensitySettings, "density", SECTIONS, options.settings, contrast=contrast)
    request = DensityRequest(options.of(mesh), tomogram, tuple(beside or ()), valid, refine)
    batch = density_file(request, settings, options.section(WedgeSettings, "wedge"), Terminal())
    return ended(batch, f"surfora curvature {options.output}" if refine else "")
