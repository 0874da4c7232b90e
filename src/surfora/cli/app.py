"""The `surfora` command: parse, call one library function, write its result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from surfora.cli.editing import apply as edits_applied
from tomocore.contract import InputError
from tomocore.machine import cores
from tomocore.names import product_files
from tomocore.settings import Settings, load_section, load_settings, settings_template
from tomocore.terminal.console import Terminal, leave, out, progress_bar, status_of
from tomocore.terminal.options import (
    Jobs,
    Output,
    Overwrite,
    Resample,
    SettingsFile,
    VoxelSize,
    next_hint,
    write_unless_there,
)
from tomocore.volumes.formats import read_volume, write_volume

if TYPE_CHECKING:
    from surfora.batch import RunOutcome
    from surfora.geometry.clouds import LengthUnit
    from surfora.geometry.surface import PointCloud, SurfaceMesh
    from surfora.masks.membranes import Membrane

app = App(
    name="surfora",
    help="From voxel masks of membranes to oriented surfaces and numbers with units. "
    "`surfora run` does the whole sequence; the other commands do one stage each.",
    version="0.1.0",
)

Mask = Annotated[
    Path, Parameter(help="mask: MRC (also .gz), OME-Zarr or TIFF; voxels other than 0 are membrane")
]
MeshFile = Annotated[
    Path, Parameter(help="mesh: .vtp, .ply, .stl, .obj, .vtk or .vtu, in nm (OBJ: Å) unless --unit says else")
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


@app.command(sort_key=1)
def run(
    masks: Annotated[list[Path], Parameter(help="masks, or folders of masks")],
    /,
    *,
    output: Output,
    labels: Annotated[
        str | None, Parameter(help="labels to measure and their names: 1=OMM,2=IMM,3=ER")
    ] = None,
    rois: Annotated[
        list[Path] | None,
        Parameter(consume_multiple=True, negative="", help="ROIs (.npz or labels), one a mask, by name"),
    ] = None,
    distances: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, negative="", help="pairs of names to measure between: OMM:ER"),
    ] = None,
    inside: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="pairs INNER:OUTER; normals point outward by them: IMM:OMM",
        ),
    ] = None,
    lumen: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, negative="", help="a place inside, in nm: ER=120,80,45"),
    ] = None,
    surface: Annotated[
        Literal["medial", "isosurface", "both"] | None,
        Parameter(
            help="middle of the membrane, its two leaflets, or both; where not given, the middle, and the "
            "boundary of masks that are filled"
        ),
    ] = None,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> int:
    """Measure membranes: the whole sequence from masks to tables, surfaces and report.html."""
    from surfora.batch import RunRequest, run_masks
    from surfora.masks.membranes import parsed_labels, parsed_lumen, parsed_pair
    from surfora.pipeline import SurforaSettings

    request = RunRequest(
        masks=tuple(product_files(masks, "membranes", of_others=True)),
        folder=output,
        labels=parsed_labels(labels) if labels else None,
        rois=tuple(rois or ()),
        pairs=tuple(parsed_pair(pair) for pair in distances) if distances else None,
        inside=tuple(parsed_pair(pair, "--inside") for pair in inside or ()),
        lumens=dict(parsed_lumen(place) for place in lumen or ()),
        kind=surface,
        voxel_size_nm=voxel_size,
        resample=resample,
        jobs=cores(jobs),
        overwrite=overwrite,
    )
    outcome = run_masks(request, load_settings(SurforaSettings, settings), Terminal())
    if outcome.report:
        _say_headlines(outcome)
        out.print(f"report: {outcome.report}", markup=False)
        next_hint(f"open {outcome.report} in a browser, or the .vtp files in ParaView")
    return status_of(outcome)


def _say_headlines(outcome: RunOutcome) -> None:
    """The numbers that people look for first, a line a surface and a line a pair."""
    from tomocore.page import shown

    for row in outcome.surfaces:
        parts = [f"area {shown(row['area_nm2'])} nm²"]
        if "mean_curvature_median_per_nm" in row:
            parts.append(f"mean curvature {shown(row['mean_curvature_median_per_nm'])} per nm (median)")
        parts.append("closed" if row["is_closed"] else "open")
        out.print(f"{row['name']} {row['kind']}: {', '.join(parts)}", markup=False)
    for row in outcome.distances:
        out.print(
            f"{row['name']} {row['kind']} to {row['target']} {row['target_kind']}: "
            f"median {shown(row['median_nm'])} nm, "
            f"quartiles {shown(row['q25_nm'])} and {shown(row['q75_nm'])} nm",
            markup=False,
        )


@app.command(sort_key=2)
def clean(
    mask: Mask,
    /,
    *,
    output: Output,
    threshold: Annotated[
        float | None,
        Parameter(help="for a map of scores: membrane is where the map is this or more", negative=""),
    ] = None,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Clean a mask: opening, closing, small pieces and holes by physical size, label by label.

    A map of scores (confidence, probability) becomes a mask with --threshold first.
    """
    from surfora.masks.cleaning import CleanSettings, cleaned_volume
    from surfora.masks.values import above_threshold, labelled

    chosen = _section(CleanSettings, "clean", settings)

    def write(path: Path) -> None:
        volume = read_volume(mask, voxel_size, resample=resample)
        found = labelled(volume, mask) if threshold is None else above_threshold(volume, threshold, mask)
        write_volume(path, cleaned_volume(found, chosen))

    write_unless_there(output, overwrite, write, f"surfora medial {output}")


@app.command(sort_key=3)
def components(
    mask: Mask,
    /,
    *,
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="label volume of the membranes; their table beside it")
    ],
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """Take one mask of many membranes apart: a label a membrane, by falling size, and a table of them.

    Connected pieces; membranes that touch are parted along their surfaces, with how sure that is.
    """
    from surfora.masks.components import ComponentSettings, components_to_file

    batch = components_to_file(
        mask,
        output,
        _section(ComponentSettings, "components", settings),
        voxel_size_nm=voxel_size,
        resample=resample,
        overwrite=overwrite,
        watcher=Terminal(),
    )
    next_hint(f"surfora run {output} -o DIR")
    return status_of(batch)


@app.command(sort_key=4)
def medial(
    mask: Mask,
    /,
    *,
    output: Output,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Points on the middle of a membrane, with normals whose side is not yet decided."""
    from surfora.geometry.files import write_surface
    from surfora.medial.points import MedialSettings, medial_points

    chosen = _section(MedialSettings, "medial", settings)

    def write(path: Path) -> None:
        membrane = _only_membrane(mask, voxel_size, resample)
        with progress_bar("medial points") as progress:
            cloud = medial_points(membrane.mask, membrane.voxel_size_nm, membrane.origin_nm, chosen, progress)
        write_surface(path, cloud)

    write_unless_there(output, overwrite, write, f"surfora orient {output}")


@app.command(sort_key=5)
def isosurface(
    mask: Mask,
    /,
    *,
    output: Output,
    medial: Annotated[
        Path | None, Parameter(help="medial mesh of the same mask; holes that it closes are closed here too")
    ] = None,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """The boundary of a mask as a smooth mesh that neither thins it nor closes narrow gaps."""
    from surfora.geometry.files import read_mesh, write_surface
    from surfora.isosurface.boundary import IsosurfaceSettings
    from surfora.isosurface.boundary import isosurface as boundary

    chosen = _section(IsosurfaceSettings, "isosurface", settings)

    def write(path: Path) -> None:
        membrane = _only_membrane(mask, voxel_size, resample)
        middle = read_mesh(medial) if medial else None
        voxel_nm, origin_nm = membrane.voxel_size_nm, membrane.origin_nm
        with progress_bar("isosurface") as progress:
            mesh = boundary(membrane.mask, voxel_nm, origin_nm, chosen, progress, middle)
        write_surface(path, mesh)

    write_unless_there(output, overwrite, write, f"surfora curvature {output}")


@app.command(sort_key=6)
def orient(
    points: PointsFile,
    /,
    *,
    output: Output,
    lumen: Annotated[str | None, Parameter(help="X,Y,Z in nm of a place inside")] = None,
    toward: Annotated[Path | None, Parameter(help="points or mesh of a partner that lies outside")] = None,
    away_from: Annotated[Path | None, Parameter(help="points or mesh of a partner that lies inside")] = None,
    unit: Unit = None,
    voxel_size: VoxelOfUnit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn the normals of points to one side of their surface, consistently."""
    from surfora.geometry.files import read_points
    from surfora.masks.membranes import KnownSide, parsed_lumen
    from surfora.orientation.orient import OrientSettings
    from surfora.pipeline import oriented_cloud

    chosen = _section(OrientSettings, "orient", settings)
    if sum(rule is not None for rule in (lumen, toward, away_from)) > 1:
        raise InputError("--lumen, --toward and --away-from each decide the side; give one of them")
    known = KnownSide("lumen", parsed_lumen(lumen)[1]) if lumen else None
    if away_from:
        known = KnownSide("partner_away", partner_points=read_points(away_from, unit, voxel_size).points)
    elif toward:
        known = KnownSide("partner_toward", partner_points=read_points(toward, unit, voxel_size).points)

    def oriented(cloud: PointCloud) -> PointCloud:
        return oriented_cloud(cloud, chosen, known)[0]

    _point_stage(points, (unit, voxel_size), output, overwrite, oriented, f"surfora mesh {output}")


@app.command(sort_key=7)
def mesh(
    points: PointsFile,
    /,
    *,
    output: Output,
    mask: Annotated[
        Path | None, Parameter(help="the mask that the points came from; keeps triangles out of gaps")
    ] = None,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    unit: Unit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Ball-pivot a mesh over oriented points, without bridges over gaps."""
    from surfora.meshing.ballpivot import MeshSettings, mesh_points

    chosen = _section(MeshSettings, "mesh", settings)

    def meshed(cloud: PointCloud) -> SurfaceMesh:
        support = _only_membrane(mask, voxel_size, resample).support if mask else None
        with progress_bar("ball pivoting") as progress:
            return mesh_points(cloud, chosen, support=support, progress=progress)

    _point_stage(points, (unit, voxel_size), output, overwrite, meshed, f"surfora smooth {output}")


@app.command(sort_key=8)
def smooth(
    mesh: MeshFile,
    /,
    *,
    output: Output,
    unit: Unit = None,
    voxel_size: VoxelOfUnit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Smooth a mesh without shrinking it; its border stays."""
    from surfora.meshing.smoothing import SmoothSettings, smooth_mesh

    chosen = _section(SmoothSettings, "smooth", settings)
    _mesh_stage(
        mesh,
        (unit, voxel_size),
        output,
        overwrite,
        lambda m: smooth_mesh(m, chosen),
        f"surfora curvature {output}",
    )


@app.command(sort_key=9)
def proxy(
    mesh: MeshFile,
    /,
    *,
    output: Output,
    unit: Unit = None,
    voxel_size: VoxelOfUnit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """A watertight-where-supported Poisson surface that separates the leaflets; never measured."""
    from surfora.leaflets.proxy import ProxySettings, poisson_proxy

    chosen = _section(ProxySettings, "proxy", settings)
    hint = f"surfora split ISOSURFACE --proxy {output}"
    _mesh_stage(mesh, (unit, voxel_size), output, overwrite, lambda m: poisson_proxy(m, chosen), hint)


@app.command(sort_key=10)
def split(
    isosurface: MeshFile,
    /,
    *,
    medial: Annotated[Path, Parameter(help="the oriented medial mesh of the same membrane")],
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="NAME of the files NAME.inner.vtp and NAME.outer.vtp")
    ],
    proxy: Annotated[Path | None, Parameter(help="result of `surfora proxy`; made where not given")] = None,
    unit: Unit = None,
    voxel_size: VoxelOfUnit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Split an isosurface into its inner and outer leaflet, with the distance between them."""
    from surfora.geometry.files import read_mesh, write_surface
    from surfora.leaflets.proxy import ProxySettings, poisson_proxy
    from surfora.leaflets.split import LeafletSettings, split_leaflets

    chosen = _section(LeafletSettings, "leaflets", settings)
    middle = read_mesh(medial, unit, voxel_size)
    separator = (
        read_mesh(proxy, unit, voxel_size)
        if proxy
        else poisson_proxy(middle, _section(ProxySettings, "proxy", settings))
    )
    leaflets = split_leaflets(read_mesh(isosurface, unit, voxel_size), middle, separator, chosen)
    name = output.name.removesuffix(".vtp")
    for side, leaflet in (("inner", leaflets.inner), ("outer", leaflets.outer)):
        target = output.with_name(f"{name}.{side}.vtp")
        write_unless_there(target, overwrite, partial(write_surface, surface=leaflet))
    next_hint(f"surfora curvature {output.with_name(name)}.outer.vtp")


@app.command(sort_key=11)
def curvature(
    mesh: MeshFile,
    /,
    *,
    output: Output,
    unit: Unit = None,
    voxel_size: VoxelOfUnit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Signed curvatures at the scale of least expected error; H > 0 bends outward along the normal."""
    from surfora.measures.curvature import CurvatureSettings, mesh_curvature

    chosen = _section(CurvatureSettings, "curvature", settings)

    def curved(surface: SurfaceMesh) -> SurfaceMesh:
        with progress_bar("curvature") as progress:
            return mesh_curvature(surface, chosen, progress)

    _mesh_stage(mesh, (unit, voxel_size), output, overwrite, curved, f"surfora roughness {output}")


@app.command(sort_key=12)
def distance(
    mesh: MeshFile,
    /,
    *,
    to: Annotated[list[Path], Parameter(consume_multiple=True, negative="", help="meshes to measure to")],
    output: Output,
    unit: Unit = None,
    voxel_size: VoxelOfUnit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Distance from every point of a mesh to the nearest point of others, as arrays named after them."""
    from surfora.geometry.files import read_mesh
    from surfora.measures.distance import DistanceSettings, target_names, with_distances
    from tomocore.page import shown

    chosen = _section(DistanceSettings, "distance", settings)
    names = target_names(to)

    def measured(surface: SurfaceMesh) -> SurfaceMesh:
        targets = {name: read_mesh(path, unit, voxel_size) for name, path in names.items()}
        surface, summaries = with_distances(surface, targets, chosen)
        for target, summary in summaries.items():
            for name, value in summary.items():
                out.print(f"{target} {name} {shown(value)}", markup=False)
        return surface

    _mesh_stage(mesh, (unit, voxel_size), output, overwrite, measured)


@app.command(sort_key=13)
def roughness(
    mesh: MeshFile,
    /,
    *,
    output: Output,
    voxel_size: Annotated[float, Parameter(help="voxel edge of the mask in nm; sets the noise floor")],
    unit: Unit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Height left after a smooth reference is taken off, RMS, beside what voxels alone give."""
    from surfora.measures.roughness import RoughnessSettings, mesh_roughness

    chosen = _section(RoughnessSettings, "roughness", settings)

    def rough(surface: SurfaceMesh) -> SurfaceMesh:
        with progress_bar("roughness") as progress:
            return mesh_roughness(surface, chosen, voxel_size, progress)

    _mesh_stage(mesh, (unit, voxel_size), output, overwrite, rough)


@app.command(sort_key=14)
def wedge(
    mesh: MeshFile,
    /,
    *,
    mask: Mask,
    output: Output,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    unit: Unit = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Which of a surface was measured, which lies in the missing wedge, and which no voxel supports."""
    from surfora.measures.wedge import WedgeSettings, area_shares, mesh_evidence
    from tomocore.page import shown

    chosen = _section(WedgeSettings, "wedge", settings)

    def judged(surface: SurfaceMesh) -> SurfaceMesh:
        surface = mesh_evidence(surface, _only_membrane(mask, voxel_size, resample).support, chosen)
        for name, share in area_shares(surface).items():
            out.print(f"{name} {shown(share)}", markup=False)
        return surface

    _mesh_stage(mesh, (unit, voxel_size), output, overwrite, judged)


@app.command(sort_key=15)
def report(folder: Annotated[Path, Parameter(help="folder of a `surfora run`")], /) -> None:
    """Write report.html of a finished run again, from its files."""
    from surfora.reporting.report import write_run_report

    out.print(f"report: {write_run_report(folder)}", markup=False)


@app.command(sort_key=16)
def settings() -> None:
    """Print a settings file with every default, its meaning and its range, for -s."""
    from surfora.pipeline import SurforaSettings

    print(settings_template(SurforaSettings), end="")


S = TypeVar("S", bound=Settings)

SECTIONS = (
    "roi",
    "clean",
    "components",
    "medial",
    "orient",
    "mesh",
    "smooth",
    "isosurface",
    "proxy",
    "leaflets",
    "curvature",
    "roughness",
    "distance",
    "wedge",
)
"""Sections of the settings file; `SurforaSettings` has the same, but importing it loads every stage."""


def _section(kind: type[S], section: str, path: Path | None) -> S:
    return load_section(kind, section, SECTIONS, path)


def _only_membrane(mask: Path, voxel_size_nm: float | None, resample: bool) -> Membrane:
    """The one membrane of a binary mask."""
    from surfora.masks.membranes import membranes_in

    found = membranes_in(mask, None, None, voxel_size_nm, resample=resample)
    if len(found) > 1:
        raise InputError(
            f"{mask}: holds {len(found)} labels, and this stage takes one membrane; "
            "use `surfora run --labels`"
        )
    return found[0]


def _point_stage(
    source: Path,
    unit: tuple[LengthUnit | None, float | None],
    output: Path,
    overwrite: bool,
    stage: Callable[[PointCloud], PointCloud | SurfaceMesh],
    hint: str = "",
) -> None:
    from surfora.geometry.files import read_points, write_surface

    write_unless_there(
        output, overwrite, lambda path: write_surface(path, stage(read_points(source, *unit))), hint
    )


def _mesh_stage(
    source: Path,
    unit: tuple[LengthUnit | None, float | None],
    output: Path,
    overwrite: bool,
    stage: Callable[[SurfaceMesh], SurfaceMesh],
    hint: str = "",
) -> None:
    from surfora.geometry.files import read_mesh, write_surface

    write_unless_there(
        output, overwrite, lambda path: write_surface(path, stage(read_mesh(source, *unit))), hint
    )


app.command(edits_applied, name="apply", sort_key=14)


def main() -> None:
    """Entry point of the `surfora` command."""
    leave(app)
