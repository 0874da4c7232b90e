"""`surfora export`: surfaces and tables for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from surfora.cli.options import ended
from tomocore.terminal.console import Terminal
from tomocore.terminal.options import Output, Overwrite, Several


def export(
    files: Annotated[
        list[Path], Parameter(help="meshes of `surfora run` or of other programs, and tables (.csv)")
    ],
    /,
    *,
    output: Output,
    program: Annotated[
        Literal["surface-morphometrics", "pycurv", "chimerax", "blender", "imod", "copick"] | None,
        Parameter(name="--for", help="program that opens them; it decides formats, units, names and signs"),
    ] = None,
    form: Annotated[
        list[Literal["obj", "ply", "stl", "glb", "mod", "csv", "parquet"]] | None,
        Several,
        Parameter(name="--format", help="formats, where no program is named; tables: parquet"),
    ] = None,
    tomogram: Annotated[
        list[Path] | None, Several, Parameter(help="tomograms to open beside, or to count voxels in")
    ] = None,
    colour_by: Annotated[
        str, Parameter(name=["--colour-by", "--color-by"], help="array that vertices are coloured by")
    ] = "",
    colours: Annotated[
        str,
        Parameter(
            name=["--colours", "--colors"], help="colour map of matplotlib; one that suits where not given"
        ),
    ] = "",
    limits: Annotated[
        tuple[float, float] | None,
        Parameter(help="values at both ends of the colour map; 96 % of the values where not given"),
    ] = None,
    voxel_size: Annotated[
        float | None,
        Parameter(name="--voxel-size", help="voxel edge of the tomogram in nm, whatever its header says"),
    ] = None,
    user: Annotated[str, Parameter(help="copick: user that entries are kept under; the project's own")] = "",
    session: Annotated[str, Parameter(help="copick: session that entries are kept under; 0 for a tool")] = "",
    object: Annotated[
        str, Parameter(help="copick: object that entries are of; where not given, the label of the surface")
    ] = "",
    overwrite: Overwrite = False,
) -> int:
    """Surfaces and tables for other programs, with the units, names and signs that these read.

    --for chimerax writes a script (.cxc) that opens surfaces and tomogram in place; --format glb a coloured
    scene for Blender and browsers. The result is a folder; for copick, -o is the project's configuration,
    and masks and label volumes are taken as well as meshes.
    """
    from surfora.export.coloured_meshes import Paint
    from surfora.export.copick import Entry
    from surfora.export.mesh_files import ExportRequest, export_files

    request = ExportRequest(
        tuple(files),
        output,
        tuple(form or ()),
        program,
        tuple(tomogram or ()),
        Paint(colour_by, colours, limits),
        voxel_size,
        overwrite,
        Entry(user, session, object),
    )
    hint = f"open {output}/*.cxc in ChimeraX" if program == "chimerax" else ""
    return ended(export_files(request, Terminal()), hint)
