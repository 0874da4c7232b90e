"""`surfora export`: surfaces and tables on their way to other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from surfora.export.chimerax import write_script
from surfora.export.coloured_meshes import (
    CHIMERAX,
    Paint,
    PaintedMesh,
    painted,
    write_glb,
    write_obj,
    write_ply,
)
from surfora.export.copick import (
    Entry,
    Project,
    mesh_target,
    opened_project,
    segmentation_target,
    write_mesh,
    write_segmentation,
)
from surfora.export.imod import ImodObject, write_model
from surfora.export.surface_morphometrics import (
    inside_out,
    morphometrics_table,
    pycurv_table,
    triangle_polydata,
    triangle_values,
)
from surfora.export.tables import TABLE_ENDINGS, read_any_table, vertex_table, write_table
from surfora.export.tomogram_places import (
    PlacedMesh,
    Whereabouts,
    facts_of,
    first_voxel_nm,
    placed_mesh,
    tomogram_sizes,
    without_points_and_proxies,
)
from surfora.geometry.colours import SURFACES, floats_of
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import VTK_ENDINGS, write_polydata, write_surface
from surfora.geometry.surface import SurfaceMesh, to_polydata, vertex_normals
from tomocore.contract import FAILURES, NOBODY, Batch, InputError, Watcher
from tomocore.files import existing, require_writable_folder
from tomocore.files_of_tomograms import owner_of, safe_name, tomogram_stem
from tomocore.volumes.formats import inspect_volume, place_of_first_voxel_nm, read_volume

Format = Literal["obj", "ply", "stl", "glb", "mod", "csv", "parquet"]
Program = Literal["surface-morphometrics", "pycurv", "chimerax", "blender", "imod", "copick"]
RADIUS_HIT = 9
"""``radius_hit`` of surface_morphometrics' own configuration, which stands in the names of its files."""
THEIR_ENDINGS = (".surface.vtp", f".AVV_rh{RADIUS_HIT}.vtp", f".AVV_rh{RADIUS_HIT}.csv")
LARGEST_SIZE = 32_000  # voxels along a side


@dataclass(frozen=True)
class ExportRequest:
    """What `surfora export` is asked for: files to formats, or to what a program opens; one of both is given.

    ``tomograms`` are volumes to open beside; ``voxel_size_nm`` is instead of what they and the surfaces say.
    For copick, ``folder`` is the project's configuration file, and ``entry`` under what results are kept.
    """

    sources: tuple[Path, ...]
    folder: Path
    formats: tuple[Format, ...] = ()
    program: Program | None = None
    tomograms: tuple[Path, ...] = ()
    paint: Paint = field(default_factory=Paint)
    voxel_size_nm: float | None = None
    overwrite: bool = False
    entry: Entry = field(default_factory=Entry)


def export_files(request: ExportRequest, watcher: Watcher = NOBODY) -> Batch:
    """Write surfaces and tables as other programs read them; what became of each file.

    Raises InputError where nothing of the request can be done, else what fails is in the batch.
    """
    if bool(request.formats) == bool(request.program):
        raise InputError("say what for: either --for PROGRAM or --format FORMAT")
    batch = Batch(watcher)
    if request.program == "copick":
        project = opened_project(existing(request.folder), request.entry)
        batch.each(request.sources, lambda source: _into_copick(source, project, request, batch))
        return batch
    for source in request.sources:
        existing(source)
    request = replace(request, sources=tuple(without_points_and_proxies(request.sources, watcher)))
    _require_own_targets(request)
    require_writable_folder(request.folder)
    if request.program in ("chimerax", "imod", "blender"):
        _export_scenes(request, batch)
    else:
        batch.each(request.sources, lambda source: _exported(source, request, batch))
    return batch


def _require_own_targets(request: ExportRequest) -> None:
    """InputError where two files would be written under one name."""
    of_triangles = request.program in ("surface-morphometrics", "pycurv")
    names = [
        _their_name(facts_of(source)) if of_triangles and not _is_table(source) else _stem(source)
        for source in request.sources
    ]
    name, count = Counter(name.casefold() for name in names).most_common(1)[0]
    if count > 1:
        raise InputError(f"{count} files would be written as {name}; export them into folders of their own")


def _is_table(source: Path) -> bool:
    return source.suffix.lower() in TABLE_ENDINGS


def _stem(source: Path) -> str:
    return source.name.removesuffix(source.suffix)


def _exported(source: Path, request: ExportRequest, batch: Batch) -> str | None:
    """Write all that is asked of one file; which files these are, or None where all exist."""
    written = []
    for target in _targets(source, request):
        if target.exists() and not request.overwrite:
            batch.watcher.skipped(str(target), "it exists; pass --overwrite to replace it")
        else:
            written.append(target)
    if not written:
        batch.skip(str(source), "all of it exists; pass --overwrite to replace it")
        return None
    if _is_table(source):
        table = read_any_table(source)
        for target in written:
            write_table(target, table)
    elif request.program:
        _write_triangles(placed_mesh(source), written, request.program)
    else:
        placed = placed_mesh(source)
        for target in written:
            _write_format(target, placed, request)
    return ", ".join(target.name for target in written)


def _targets(source: Path, request: ExportRequest) -> list[Path]:
    if _is_table(source):
        wanted = [form for form in request.formats if f".{form}" in TABLE_ENDINGS]
        if not wanted:
            raise InputError(f"{source}: is a table; tables are written with --format parquet")
        return [request.folder / f"{_stem(source)}.{form}" for form in wanted]
    if not request.program:
        return [request.folder / f"{_stem(source)}.{form}" for form in request.formats]
    base = request.folder / _their_name(facts_of(source))
    return [base.with_name(base.name + ending) for ending in THEIR_ENDINGS]


def _their_name(facts: SurfaceFacts) -> str:
    """TOMOGRAM_LABEL, as surface_morphometrics puts names together; an ROI belongs to the first part."""
    roi = "" if facts.roi is None else f"_roi{facts.roi:03d}"
    return f"{facts.stem}{roi}_{safe_name(facts.label)}" if facts.label else facts.name


def _write_triangles(placed: PlacedMesh, targets: Sequence[Path], program: Program) -> None:
    """Write the surface, its triangles' values and their table for PyCurv or surface_morphometrics."""
    mesh, facts = placed.named.mesh, placed.facts
    prefix = "distance_to_"
    partners = [
        name.removeprefix(prefix).removesuffix("_nm") for name in mesh.data if name.startswith(prefix)
    ]
    values = triangle_values(mesh, {name: name.removeprefix(f"{facts.stem}_") for name in partners})
    for target in targets:
        if target.name.endswith(".surface.vtp"):
            write_polydata(target, to_polydata(SurfaceMesh(mesh.vertices, inside_out(mesh).faces)))
        elif target.suffix == ".vtp":
            write_polydata(target, triangle_polydata(mesh, values))
        elif program == "pycurv":
            write_table(target, pycurv_table(values), separator=";", index=True)
        else:
            write_table(target, morphometrics_table(values), index=True)


def _write_format(target: Path, placed: PlacedMesh, request: ExportRequest) -> None:
    mesh, form = placed.named.mesh, target.suffix.removeprefix(".")
    if form in ("csv", "parquet"):
        write_table(target, vertex_table(mesh))
    elif form == "stl":
        write_surface(target, mesh)
    elif form == "mod":
        _write_models(target, [(placed, painted(_stem(target), mesh, Paint()))], request)
    else:
        coloured = painted(_stem(target), mesh, request.paint)
        if form == "glb":
            write_glb(target, [coloured])
        else:
            {"obj": write_obj, "ply": write_ply}[form](target, coloured)


def _into_copick(source: Path, project: Project, request: ExportRequest, batch: Batch) -> str | None:
    """Write a mesh, or a mask or labels, as an entry of the project; where, or None where it exists."""
    is_mesh = source.suffix.lower() in VTK_ENDINGS
    if is_mesh:
        placed = placed_mesh(existing(source))
        run = placed.tomogram or placed.facts.stem
        target = mesh_target(project, run, placed.facts.label, source)
    else:
        volume = read_volume(source, request.voxel_size_nm)
        target = segmentation_target(project, tomogram_stem(source), volume, source)
    if target.exists() and not request.overwrite:
        batch.skip(str(source), f"{target} exists; pass --overwrite to replace it")
        return None
    if is_mesh:
        sizes = tomogram_sizes(Whereabouts(request.tomograms))
        first_nm = np.asarray(first_voxel_nm(run, [placed], sizes))
        mesh = replace(placed.named.mesh, vertices=placed.named.mesh.vertices - first_nm)
        write_mesh(target, painted(target.stem, mesh, request.paint))
    else:
        write_segmentation(target, volume)
    return str(target)


def _export_scenes(request: ExportRequest, batch: Batch) -> None:
    """Write a scene a tomogram of all its surfaces, for programs that open them together; others are told."""
    surfaces: dict[Path, PlacedMesh] = {}
    for source in request.sources:
        try:
            surfaces[source] = placed_mesh(source)
        except FAILURES as error:
            batch.fail(str(source), error)
    ending = {"chimerax": ".cxc", "imod": ".mod", "blender": ".glb"}[str(request.program)]
    scenes: dict[Path, dict[Path, PlacedMesh]] = {}
    for source, placed in surfaces.items():
        scene = request.folder / f"{placed.tomogram or 'surfaces'}{ending}"
        scenes.setdefault(scene, {})[source] = placed

    def one(scene: Path) -> str | None:
        if scene.exists() and not request.overwrite:
            batch.skip(str(scene), "it exists; pass --overwrite to replace it")
            return None
        return _write_scene(scene, scenes[scene], request)

    batch.each(scenes, one)


def _write_scene(path: Path, own: dict[Path, PlacedMesh], request: ExportRequest) -> str:
    parts = [
        painted(_stem(source), placed.named.mesh, request.paint, number)
        for number, (source, placed) in enumerate(own.items())
    ]
    if request.program == "blender":
        write_glb(path, parts)
    elif request.program == "imod":
        _write_models(path, list(zip(own.values(), parts, strict=True)), request)
    else:
        files = [path.with_name(f"{part.name}.chimerax.glb") for part in parts]
        for file, part in zip(files, parts, strict=True):
            write_glb(file, [part], CHIMERAX)
        write_script(path, files, _tomogram_of(path.stem, request.tomograms), request.voxel_size_nm)
    return f"{len(parts)} surface{'s' * (len(parts) != 1)}"


def _tomogram_of(name: str, volumes: Sequence[Path]) -> Path | None:
    """The volume of a tomogram by its name, or the only one."""
    by_stem = {tomogram_stem(volume): volume for volume in volumes}
    owner = owner_of(name, list(by_stem))
    if owner is None and len(volumes) == 1:
        return volumes[0]
    return by_stem[owner] if owner is not None else None


def _write_models(
    path: Path, parts: Sequence[tuple[PlacedMesh, PaintedMesh]], request: ExportRequest
) -> None:
    """Write meshes as objects of one model, in voxels of their tomogram or else of their mask."""
    first = parts[0][0]
    volume = _tomogram_of(first.tomogram, request.tomograms)
    size, edge_nm, origin_nm = _grid_of(path, first, volume, request.voxel_size_nm)
    objects = [
        ImodObject(
            part.name,
            floats_of(SURFACES[number % len(SURFACES)]),
            (part.mesh.vertices - origin_nm) / edge_nm,
            vertex_normals(part.mesh.vertices, part.mesh.faces),
            part.mesh.faces,
        )
        for number, (_, part) in enumerate(parts)
    ]
    write_model(path, objects, size, edge_nm)


def _grid_of(
    path: Path, placed: PlacedMesh, volume: Path | None, told_nm: float | None
) -> tuple[tuple[int, int, int], float, tuple[float, float, float]]:
    """Voxels x, y, z, their edge and the place of the first one that a model counts in."""
    if volume is not None:
        header = inspect_volume(volume)
        if told_nm is None and header.size_problem:
            raise InputError(f"{volume}: {header.size_problem}; pass --voxel-size NM")
        z, y, x = header.shape
        edge_nm = told_nm or header.voxel_size_nm[0]
        return (x, y, z), edge_nm, place_of_first_voxel_nm(header, edge_nm)
    edge_nm = placed.voxel_size_nm if told_nm is None else told_nm
    if not (np.isfinite(edge_nm) and edge_nm > 0):
        raise InputError(f"{path}: a model counts in voxels, whose edge nothing tells; pass --tomogram")
    reach = (placed.named.mesh.vertices.max(axis=0) - placed.origin_nm) / edge_nm
    x, y, z = (int(value) for value in np.clip(np.ceil(reach) + 1, 1, LARGEST_SIZE))
    return placed.size or (x, y, z), edge_nm, placed.origin_nm
