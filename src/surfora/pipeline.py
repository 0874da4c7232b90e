"""The recommended sequence: from the mask of a membrane to measured surfaces, their files and a report."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from surfora.ballpivot import MeshSettings, mesh_points
from surfora.curvature import CurvatureSettings, mesh_curvature
from surfora.distance import DistanceSettings
from surfora.mask import CleanSettings, clean_mask, mask_thickness_nm
from surfora.medial import MedialSettings, medial_points
from surfora.membranes import Membrane, RoiSettings
from surfora.normals import jet_normals
from surfora.orient import Orientation, OrientSettings, orient_normals
from surfora.roughness import RoughnessSettings, mesh_roughness
from surfora.smoothing import SmoothSettings, smooth_mesh
from surfora.surface import PointCloud, SurfaceMesh, read_notes, write_surface
from tomocore.console import InputError, Progress, no_progress
from tomocore.provenance import RunRecord
from tomocore.settings import Settings
from tomocore.volume import Volume

log = logging.getLogger(__name__)

SurfaceKind = Literal["medial", "isosurface", "both"]


class SurforaSettings(Settings):
    """All settings of `surfora run`, stage by stage in pipeline order."""

    roi: RoiSettings = RoiSettings()
    clean: CleanSettings = CleanSettings()
    medial: MedialSettings = MedialSettings()
    orient: OrientSettings = OrientSettings()
    mesh: MeshSettings = MeshSettings()
    smooth: SmoothSettings = SmoothSettings()
    curvature: CurvatureSettings = CurvatureSettings()
    roughness: RoughnessSettings = RoughnessSettings()
    distance: DistanceSettings = DistanceSettings()


def measure_membrane(
    membrane: Membrane,
    folder: Path,
    kind: SurfaceKind,
    settings: SurforaSettings,
    record: RunRecord,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> list[Path]:
    """Reconstruct and measure one membrane; the VTP files of its surfaces, medial first.

    Surfaces whose files exist are kept as they are unless ``overwrite``. Raises InputError where the
    mask cannot carry a surface.
    """
    identity = _identity(membrane, settings)
    wanted = _files(membrane, folder, kind)
    if not overwrite and all(path.exists() for path in wanted.values()):
        _warn_of_other_settings(wanted, identity)
        return [path for which, path in wanted.items() if which not in ("points", "proxy")]
    mask = clean_mask(membrane.mask, membrane.voxel_size_nm, settings.clean)
    facts = _facts(membrane, mask, record)
    notes = {"identity": identity, "provenance": record.id, "source": str(membrane.source)}

    def write(which: str, surface: PointCloud | SurfaceMesh, **more: Any) -> None:
        described = json.dumps({**facts, "kind": which, **more})
        write_surface(wanted[which], surface, {**notes, "facts": described})

    cloud, medial, orientation = medial_surface(membrane, mask, settings, record, progress)
    if kind != "isosurface":
        write("points", cloud)
        write("medial", _measured(medial, membrane, "medial", settings, record, progress), **orientation)
    return [path for which, path in wanted.items() if which not in ("points", "proxy") and path.exists()]


def medial_surface(
    membrane: Membrane,
    mask: np.ndarray[Any, Any],
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress = no_progress,
) -> tuple[PointCloud, SurfaceMesh, dict[str, Any]]:
    """Oriented points on the middle of a cleaned mask, their mesh, and what decided the normals' side."""
    voxel_nm, origin_nm, name = membrane.voxel_size_nm, membrane.origin_nm, membrane.name
    with record.stage("medial points", name) as counts:
        points = medial_points(mask, voxel_nm, origin_nm, settings.medial, progress)
        counts["points"] = len(points.points)
    with record.stage("orientation", name):
        cloud, orientation = oriented_cloud(points, settings.orient)
    with record.stage("mesh", name) as counts:
        support = Volume(mask, voxel_nm, origin_nm)
        mesh = mesh_points(cloud, settings.mesh, support=support, foreign=membrane.foreign, progress=progress)
        counts["triangles"] = len(mesh.faces)
    with record.stage("smoothing", name):
        mesh = smooth_mesh(mesh, settings.smooth)
    rule = {
        "orientation_rule": ", ".join(sorted(set(orientation.rule))),
        "orientation_confidence": round(float(orientation.confidence[orientation.component].mean()), 3),
    }
    return cloud, mesh, rule


def oriented_cloud(cloud: PointCloud, settings: OrientSettings) -> tuple[PointCloud, Orientation]:
    """A cloud with its normals turned to one side of each component, and what decided the sides."""
    normals = jet_normals(cloud.points) if cloud.normals is None else cloud.normals
    orientation = orient_normals(cloud.points, normals, settings)
    return replace(cloud, normals=orientation.normals).with_data(component=orientation.component), orientation


def _measured(
    mesh: SurfaceMesh,
    membrane: Membrane,
    which: str,
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress,
) -> SurfaceMesh:
    """A mesh with curvature and roughness, cut to its ROI."""
    with record.stage(f"curvature {which}", membrane.name):
        mesh = mesh_curvature(mesh, settings.curvature, progress)
    with record.stage(f"roughness {which}", membrane.name):
        mesh = mesh_roughness(mesh, settings.roughness, membrane.voxel_size_nm, progress)
    trimmed = membrane.trimmed(mesh)
    if len(trimmed.faces) == 0:
        raise InputError(f"{membrane.name}: no surface is left within the ROI; enlarge roi.dilation_nm")
    return trimmed


def _files(membrane: Membrane, folder: Path, kind: SurfaceKind) -> dict[str, Path]:
    endings: dict[str, str] = {}
    if kind != "isosurface":
        endings |= {"points": "medial.points", "medial": "medial"}
    if kind != "medial":
        endings |= {which: which for which in ("isosurface", "proxy", "inner", "outer")}
    return {which: folder / f"{membrane.name}.{ending}.vtp" for which, ending in endings.items()}


def _facts(membrane: Membrane, mask: np.ndarray[Any, Any], record: RunRecord) -> dict[str, Any]:
    return {
        "name": membrane.name,
        "label": membrane.label,
        "roi": membrane.roi,
        "source": str(membrane.source),
        "thickness_nm": round(mask_thickness_nm(mask, membrane.voxel_size_nm), 3),
        "voxel_size_nm": membrane.voxel_size_nm,
        "provenance": record.id,
    }


def _identity(membrane: Membrane, settings: SurforaSettings) -> str:
    """Hash of everything that a surface depends on: voxels, grid and settings."""
    digest = sha256(settings.model_dump_json().encode())
    digest.update(repr((membrane.mask.shape, membrane.voxel_size_nm, membrane.origin_nm)).encode())
    for part in (membrane.mask, membrane.foreign, membrane.kept):
        digest.update(b"" if part is None else np.packbits(part).tobytes())
    return digest.hexdigest()[:16]


def _warn_of_other_settings(files: Mapping[str, Path], identity: str) -> None:
    for path in files.values():
        if read_notes(path).get("identity") != identity:
            log.warning(
                "%s: kept, but made with other settings or another mask; --overwrite makes it anew", path
            )
