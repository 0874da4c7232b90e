"""An edited surface meshed and measured anew, with distances to the others, as the stages of a run do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surfora.editor.edited import Surface, edited_facts
from surfora.editor.journal import edited_path
from surfora.geometry.facts import SurfaceFacts, surface_name
from surfora.geometry.files import write_surface
from surfora.geometry.surface import PointCloud, SurfaceMesh, face_areas_nm2
from surfora.measures.curvature import mesh_curvature
from surfora.measures.distance import with_distances
from surfora.measures.roughness import mesh_roughness
from surfora.measures.statistics import NoValues
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.smoothing import smooth_mesh
from surfora.pipeline import SurforaSettings
from tomocore.contract import InputError, Progress, no_progress
from tomocore.page import shown


@dataclass(frozen=True)
class Remade:
    """A surface meshed and measured anew: its file, and lines on what was measured."""

    path: Path
    lines: tuple[str, ...]


def remade_path(source: Path) -> Path:
    """Where the mesh of an edited surface is written: ``NAME.edited.medial.vtp``, of points and meshes."""
    path = edited_path(source).with_suffix(".vtp")
    name = path.name.replace(".medial.points.vtp", ".medial.vtp")
    if ".medial" not in name and name.endswith(".edited.vtp"):
        name = name.replace(".edited.vtp", ".edited.medial.vtp")
    return path.with_name(name)


def remake(
    surface: Surface,
    facts: SurfaceFacts | None,
    target: Path,
    others: Mapping[str, SurfaceMesh],
    settings: SurforaSettings = SurforaSettings(),
    progress: Progress = no_progress,
) -> Remade:
    """Mesh edited points (a mesh stays as it is), measure it, and write it with all arrays to ``target``.

    surface: as edited; facts: of its file, whose voxel size roughness needs; others: meshes by NAME that
    distances run to; settings: of the stages mesh, smooth, curvature, roughness and distance. ``progress``
    is told of each stage in hundredths. Raises InputError where points have no normals, or make no mesh.
    """
    mesh = _meshed(surface, settings, _part(progress, 0, 30))
    lines = [f"area {shown(face_areas_nm2(mesh.vertices, mesh.faces).sum())} nm²"]
    try:
        mesh = mesh_curvature(mesh, settings.curvature, _part(progress, 30, 75))
        lines.append(f"mean curvature {_median(mesh, 'mean_curvature_per_nm')} per nm (median)")
        if facts is not None and math.isfinite(facts.voxel_size_nm):
            mesh = mesh_roughness(mesh, settings.roughness, facts.voxel_size_nm, _part(progress, 75, 90))
            lines.append(f"roughness {_median(mesh, 'roughness_nm')} nm (median)")
    except NoValues as reason:
        lines.append(str(reason))
    progress(90, 100)
    mesh, distances = with_distances(mesh, others, settings.distance)
    lines += [
        f"distance to {name} {shown(row['median_nm'])} nm (median); {shown(row['contact_area_nm2'])} nm² in "
        f"contact, below {shown(row['contact_distance_nm'])} nm"
        for name, row in distances.items()
    ]
    progress(95, 100)
    told = edited_facts(facts)
    write_surface(target, mesh, None if told is None else replace(told, kind="medial"))
    return Remade(target, tuple(lines))


def other_meshes(surfaces: Mapping[Path, Surface], but: Path) -> dict[str, SurfaceMesh]:
    """The meshes among surfaces by their NAME, which distances from the one ``but`` can run to."""
    own = surface_name(but)
    found = {}
    for path, surface in surfaces.items():
        name = surface_name(path)
        if isinstance(surface, SurfaceMesh) and len(surface.faces) and name not in (own, f"{own}.edited"):
            found[name] = surface
    return found


def _meshed(surface: Surface, settings: SurforaSettings, progress: Progress) -> SurfaceMesh:
    if isinstance(surface, SurfaceMesh):
        if len(surface.faces) == 0:
            raise InputError("no triangle is left to measure; undo a deletion first")
        return surface
    if surface.normals is None:
        raise InputError("points need normals to be meshed; use `surfora orient` on the file first")
    usable = np.flatnonzero(np.isfinite(surface.normals).all(axis=1))
    cloud: PointCloud = surface.at(usable)
    return smooth_mesh(mesh_points(cloud, settings.mesh, progress=progress), settings.smooth)


def _median(mesh: SurfaceMesh, name: str) -> str:
    return shown(float(np.nanmedian(mesh.data[name]))) if name in mesh.data else "unknown"


def _part(progress: Progress, start: int, end: int) -> Progress:
    """Progress of one stage as a part of the whole, in hundredths."""

    def advance(done: int, total: int) -> None:
        progress(round(start + (end - start) * min(done / max(total, 1), 1.0)), 100)

    return advance
