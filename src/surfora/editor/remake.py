"""An edited surface meshed and measured anew, with distances to the others, as the stages of a run do."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surfora.editor.edited import Surface, edited_facts
from surfora.editor.journal import edited_path
from surfora.editor.layers import Layer
from surfora.geometry.arrays import Mask, Points
from surfora.geometry.facts import SurfaceFacts, surface_name
from surfora.geometry.files import read_mesh, write_surface
from surfora.geometry.request import StageRequest
from surfora.geometry.surface import PointCloud, SurfaceMesh, face_areas_nm2, vertex_normals
from surfora.measures.curvature import mesh_curvature
from surfora.measures.distance import with_distances
from surfora.measures.roughness import mesh_roughness
from surfora.measures.statistics import NoValues
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.smoothing import smooth_mesh
from surfora.reporting.contact_files import ContactRequest, contacts_to_folder
from surfora.settings import SurforaSettings
from tomocore.contract import InputError, Progress, no_progress
from tomocore.page import shown
from tomocore.volumes.volume import Volume

ABOUT_VOXELS = 8
"""Of the mask about the points that decide where triangles may lie."""


@dataclass(frozen=True)
class Remade:
    """A surface meshed and measured anew: its file, and lines on what was measured."""

    path: Path
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Other:
    """A mesh that distances and contacts run to, with the file that it is from."""

    path: Path
    mesh: SurfaceMesh
    facts: SurfaceFacts | None = None


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
    others: Sequence[Other],
    settings: SurforaSettings = SurforaSettings(),
    mask: Volume | None = None,
    progress: Progress = no_progress,
) -> Remade:
    """Mesh edited points (a mesh stays as it is), measure it, and write it with all arrays to ``target``.

    mask: the mask or labels that the points came from, where no triangle is to be without a voxel of it.

    surface: as edited; facts: of its file, whose voxel size roughness needs; others: meshes that distances
    and contacts run to; settings: of the stages mesh, smooth, curvature, roughness, distance and contacts.
    ``progress`` is told of each stage in hundredths. Contacts go into a folder ``NAME.edited.contacts``
    beside the target, as `surfora contacts` writes it. Raises InputError where points have no normals, or
    make no mesh.
    """
    mesh = _meshed(surface, settings, mask, _part(progress, 0, 30))
    lines = [f"area {shown(face_areas_nm2(mesh.vertices, mesh.faces).sum())} nm²"]
    try:
        mesh = mesh_curvature(mesh, settings.curvature, _part(progress, 30, 75))
        lines.append(f"mean curvature {_median(mesh, 'mean_curvature_per_nm')} per nm (median)")
        if facts is not None and math.isfinite(facts.voxel_size_nm):
            mesh = mesh_roughness(mesh, settings.roughness, facts.voxel_size_nm, _part(progress, 75, 90))
            lines.append(f"roughness {_median(mesh, 'roughness_nm')} nm (median)")
    except NoValues as reason:
        lines.append(str(reason))
    progress(85, 100)
    targets = {surface_name(other.path): other.mesh for other in others}
    mesh, distances = with_distances(mesh, targets, settings.distance)
    lines += [f"distance to {name} {shown(row['median_nm'])} nm (median)" for name, row in distances.items()]
    progress(90, 100)
    known = edited_facts(facts) or SurfaceFacts(name=surface_name(target))
    known = replace(known, kind="medial")
    if others:
        mesh, sentences = _with_contacts(mesh, known, target, others, settings)
        lines += sentences
    progress(98, 100)
    write_surface(target, mesh, known)
    return Remade(target, tuple(lines))


def _with_contacts(
    mesh: SurfaceMesh, facts: SurfaceFacts, target: Path, others: Sequence[Other], settings: SurforaSettings
) -> tuple[SurfaceMesh, list[str]]:
    """The mesh with ``contact_id``, and sentences on its contacts; their files go beside the target."""
    folder = contacts_folder(target)
    with tempfile.TemporaryDirectory() as name:  # the surfaces as they are edited, which no file has
        source = Path(name) / target.name
        write_surface(source, mesh, facts)
        for other in others:
            write_surface(Path(name) / other.path.name, other.mesh, other.facts)
        request = ContactRequest(
            StageRequest(source, folder, overwrite=True),
            tuple(Path(name) / other.path.name for other in others),
            settings.distance.contact_distance_nm,
        )
        outcome = contacts_to_folder(request, settings.contacts)
    if outcome.failed:
        return mesh, list(outcome.failed.values())
    found = [sentence for sentence in outcome.sentences if "no contact below" not in sentence]
    none = f"no contact below {settings.distance.contact_distance_nm:g} nm"
    return read_mesh(folder / f"{target.stem}.vtp"), found or [none]


def contacts_folder(target: Path) -> Path:
    """Where the contacts of a surface meshed anew are written."""
    return target.with_name(f"{surface_name(target)}.contacts")


def other_meshes(layers: Iterable[Layer], surfaces: Iterable[Surface], but: Path) -> list[Other]:
    """The meshes among ``layers`` with their ``surfaces`` as edited, which distances from ``but`` run to.

    Not that one itself, nor what was made of it before, and of two with one NAME the first.
    """
    own = surface_name(but)
    found: dict[str, Other] = {}
    for layer, surface in zip(layers, surfaces, strict=True):
        name = surface_name(layer.path)
        if isinstance(surface, SurfaceMesh) and len(surface.faces) and name not in (own, f"{own}.edited"):
            mesh = surface if surface.normals is not None else _with_normals(surface)
            found.setdefault(name, Other(layer.path.with_suffix(".vtp"), mesh, layer.facts))
    return list(found.values())


def _with_normals(mesh: SurfaceMesh) -> SurfaceMesh:
    return replace(mesh, normals=vertex_normals(mesh.vertices, mesh.faces))


def support_of(points: Points, mask: Volume) -> tuple[Volume, Mask | None]:
    """The membrane of a mask or of labels in which most of the points (n, 3) lie, and its other membranes.

    Both bool on one grid about the points; None where there are no others. Raises InputError where no point
    lies in the mask.
    """
    places = np.round(mask.index(points)).astype(np.int64)
    inside = ((places >= 0) & (places < mask.shape)).all(axis=1)
    values = np.asarray(mask.data)[tuple(places[inside].T)]
    values = values[values > 0]
    if len(values) == 0:
        raise InputError(
            "no point lies in the mask; give with --mask the one that they came from, and its --voxel-size"
        )
    label = int(np.bincount(values.astype(np.int64)).argmax())
    low = np.maximum(places.min(axis=0) - ABOUT_VOXELS, 0)
    high = np.minimum(places.max(axis=0) + 1 + ABOUT_VOXELS, mask.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = mask.crop((z, y, x))
    data = np.asarray(part.data)
    others = (data > 0) & (data != label)
    return part.with_data(data == label), others if others.any() else None


def _meshed(
    surface: Surface, settings: SurforaSettings, mask: Volume | None, progress: Progress
) -> SurfaceMesh:
    if isinstance(surface, SurfaceMesh):
        if len(surface.faces) == 0:
            raise InputError("no triangle is left to measure; undo a deletion first")
        return surface
    if surface.normals is None:
        raise InputError("points need normals to be meshed; use `surfora orient` on the file first")
    usable = np.flatnonzero(np.isfinite(surface.normals).all(axis=1))
    cloud: PointCloud = surface.at(usable)
    support, foreign = support_of(cloud.points, mask) if mask is not None else (None, None)
    mesh = mesh_points(cloud, settings.mesh, support, foreign, progress)
    return smooth_mesh(mesh, settings.smooth)


def _median(mesh: SurfaceMesh, name: str) -> str:
    return shown(float(np.nanmedian(mesh.data[name]))) if name in mesh.data else "unknown"


def _part(progress: Progress, start: int, end: int) -> Progress:
    """Progress of one stage as a part of the whole, in hundredths."""

    def advance(done: int, total: int) -> None:
        progress(round(start + (end - start) * min(done / max(total, 1), 1.0)), 100)

    return advance
