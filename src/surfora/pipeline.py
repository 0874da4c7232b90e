"""The recommended sequence: from the mask of a membrane to measured surfaces, their files and a report."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from surfora.ballpivot import MeshSettings, mesh_points
from surfora.curvature import CurvatureSettings, mesh_curvature
from surfora.distance import DistanceSettings
from surfora.isosurface import IsosurfaceSettings
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


class SurforaSettings(Settings):
    """All settings of the surfora commands, stage by stage in pipeline order."""

    roi: RoiSettings = RoiSettings()
    clean: CleanSettings = CleanSettings()
    medial: MedialSettings = MedialSettings()
    orient: OrientSettings = OrientSettings()
    mesh: MeshSettings = MeshSettings()
    smooth: SmoothSettings = SmoothSettings()
    isosurface: IsosurfaceSettings = IsosurfaceSettings()
    curvature: CurvatureSettings = CurvatureSettings()
    roughness: RoughnessSettings = RoughnessSettings()
    distance: DistanceSettings = DistanceSettings()


def measure_membrane(
    membrane: Membrane,
    folder: Path,
    settings: SurforaSettings,
    record: RunRecord,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Reconstruct and measure one membrane; the VTP file of its medial surface, its points beside it.

    Files that exist are kept as they are unless ``overwrite``. Raises InputError where the mask cannot
    carry a surface.
    """
    identity = _identity(membrane, settings)
    points_path = folder / f"{membrane.name}.medial.points.vtp"
    mesh_path = folder / f"{membrane.name}.medial.vtp"
    if not overwrite and points_path.exists() and mesh_path.exists():
        _warn_of_other_settings(mesh_path, identity)
        return mesh_path
    mask = clean_mask(membrane.mask, membrane.voxel_size_nm, settings.clean)
    cloud, medial, orientation = medial_surface(membrane, mask, settings, record, progress)
    measured = _measured(medial, membrane, settings, record, progress)
    facts = json.dumps(_facts(membrane, mask, record) | {"kind": "medial"} | orientation)
    notes = {"identity": identity, "provenance": record.id, "source": str(membrane.source), "facts": facts}
    write_surface(points_path, cloud, notes)
    write_surface(mesh_path, measured, notes)
    return mesh_path


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
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress,
) -> SurfaceMesh:
    """A mesh with curvature and roughness, cut to its ROI."""
    with record.stage("curvature", membrane.name):
        mesh = mesh_curvature(mesh, settings.curvature, progress)
    with record.stage("roughness", membrane.name):
        mesh = mesh_roughness(mesh, settings.roughness, membrane.voxel_size_nm, progress)
    trimmed = membrane.trimmed(mesh)
    if len(trimmed.faces) == 0:
        raise InputError(f"{membrane.name}: no surface is left within the ROI; enlarge roi.dilation_nm")
    return trimmed


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


def _warn_of_other_settings(path: Path, identity: str) -> None:
    if read_notes(path).get("identity") != identity:
        log.warning("%s: kept, but made with other settings or another mask; --overwrite makes it anew", path)
