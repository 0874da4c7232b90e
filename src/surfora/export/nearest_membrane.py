"""What the membrane beside each particle is like: features of the nearest surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfora.export.particles import Particles
from surfora.export.poses import z_axes
from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.nearest import nearest_places
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2, vertex_normals
from tomocore.files_of_tomograms import safe_name

ARRAYS = {
    "surforaMeanCurvaturePerNm": "mean_curvature_per_nm",
    "surforaGaussianCurvaturePerNm2": "gaussian_curvature_per_nm2",
    "surforaK1PerNm": "k1_per_nm",
    "surforaK2PerNm": "k2_per_nm",
    "surforaThicknessNm": "bilayer_thickness_nm",
    "surforaThicknessPeakToPeakNm": "thickness_peak_to_peak_nm",
    "surforaValidRegionDepthNm": "valid_region_depth_nm",
    "surforaRoughnessNm": "roughness_nm",
    "surforaRimDistanceNm": "boundary_distance_nm",
    "surforaContactGapNm": "contact_gap_nm",
}
"""Columns of values that are interpolated at the nearest point, and the arrays that they are of."""
NUMBERS = {"surforaContactId": "contact_id", "surforaEvidence": "evidence"}
"""Columns of whole numbers, taken from the nearest corner."""


@dataclass(frozen=True)
class NamedMesh:
    """A surface and its NAME."""

    name: str
    mesh: SurfaceMesh


def surface_features(
    particles: Particles,
    meshes: Sequence[NamedMesh],
    radius_nm: float | None = None,
    probe_nm: float | None = None,
) -> dict[str, NDArray[Any]]:
    """Columns (n,) by their label, of the surface nearest to each particle.

    ``surforaDistanceNm`` to its nearest point, ``surforaSide`` +1 on the side that its normals point to (the
    outer one), else −1, ``surforaAxisAngleDeg`` 0–180 between the particle's z axis and the normal there,
    ``surforaShapeIndex`` −1 (cup) to 1 (cap), and what `ARRAYS` and `NUMBERS` name, where the surface has it.
    radius_nm: adds ``surforaAreaWithinNm2`` of all surfaces nearer than it, and as a share of a flat membrane
    through the particle. probe_nm: adds the distance from a probe so far along the particle's z axis.
    """
    count = len(particles)
    nearest = _nearest(particles.places_nm, meshes)
    columns: dict[str, NDArray[Any]] = {
        "surforaMembrane": np.array([meshes[k].name for k in nearest], dtype=object),
        "surforaDistanceNm": np.full(count, np.nan),
        "surforaSide": np.zeros(count, dtype=np.int64),
    }
    if particles.poses is not None:
        columns["surforaAxisAngleDeg"] = np.full(count, np.nan)
    for k, one in enumerate(meshes):
        own = nearest == k
        if own.any():
            for label, values in _of_mesh(particles.at(own), one.mesh).items():
                columns.setdefault(label, np.full(count, np.nan))[own] = values
    if radius_nm is not None:
        area = _area_within_nm2(particles.places_nm, meshes, radius_nm)
        columns["surforaAreaWithinNm2"] = area
        columns["surforaShareWithin"] = area / (np.pi * radius_nm**2)
    if probe_nm is not None and particles.poses is not None:
        probe = particles.places_nm + probe_nm * z_axes(particles.poses)
        columns["surforaProbeDistanceNm"] = np.min([_distances(probe, one.mesh) for one in meshes], axis=0)
    return columns


def _nearest(places: Floats, meshes: Sequence[NamedMesh]) -> Ints:
    return np.argmin([_distances(places, one.mesh) for one in meshes], axis=0)


def _distances(places: Floats, mesh: SurfaceMesh) -> Floats:
    corners, shares = nearest_places(places, mesh)
    return np.linalg.norm(np.einsum("ij,ijk->ik", shares, mesh.vertices[corners]) - places, axis=1)


def _of_mesh(particles: Particles, mesh: SurfaceMesh) -> dict[str, Floats]:
    """The features of one surface at the point nearest to each particle."""
    corners, shares = nearest_places(particles.places_nm, mesh)
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    normal = np.einsum("ij,ijk->ik", shares, normals[corners])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-300
    way = particles.places_nm - np.einsum("ij,ijk->ik", shares, mesh.vertices[corners])
    found = {
        "surforaDistanceNm": np.linalg.norm(way, axis=1),
        "surforaSide": np.where(np.einsum("ij,ij->i", way, normal) >= 0, 1.0, -1.0),
    }
    if particles.poses is not None:
        cosine = np.einsum("ij,ij->i", z_axes(particles.poses), normal)
        found["surforaAxisAngleDeg"] = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    at = np.take_along_axis(corners, shares.argmax(axis=1)[:, None], axis=1)[:, 0]
    for label, array in ARRAYS.items():
        if array in mesh.data:
            values = mesh.data[array][corners]  # a corner without share counts for nothing, also NaN and inf
            found[label] = (shares * np.where(shares > 0, values, 0.0)).sum(axis=1)
    for label, array in NUMBERS.items():
        if array in mesh.data:
            found[label] = mesh.data[array][at].astype(np.float64)
    if {"surforaK1PerNm", "surforaK2PerNm"} <= set(found):
        found["surforaShapeIndex"] = shape_index(found["surforaK1PerNm"], found["surforaK2PerNm"])
    return found


def shape_index(k1_per_nm: Floats, k2_per_nm: Floats) -> Floats:
    """Shape index (n,) of Koenderink and van Doorn (1992): −1 cup, −½ rut, 0 saddle, ½ ridge, 1 cap.

    With H > 0 where the surface bends outward, so that a sphere seen from outside is a cap. NaN where flat.
    """
    high, low = np.maximum(k1_per_nm, k2_per_nm), np.minimum(k1_per_nm, k2_per_nm)
    index = 2 / np.pi * np.arctan2(high + low, high - low)
    return np.where((high == 0) & (low == 0), np.nan, index)


def _area_within_nm2(places: Floats, meshes: Sequence[NamedMesh], radius_nm: float) -> Floats:
    """Area (n,) of all surfaces whose vertices lie within a radius of each place."""
    from scipy.spatial import cKDTree

    area = np.zeros(len(places))
    for one in meshes:
        areas = vertex_areas_nm2(one.mesh.vertices, one.mesh.faces)
        near = cKDTree(one.mesh.vertices).query_ball_point(places, radius_nm)
        area += [float(areas[some].sum()) for some in near]
    return area


def as_words(columns: Mapping[str, NDArray[Any]]) -> dict[str, list[str]]:
    """The columns as a STAR file has them: numbers to six digits, ``nan`` where there is no value."""
    return {label: [_word(value) for value in values] for label, values in columns.items()}


def _word(value: Any) -> str:
    if isinstance(value, str):
        return "_".join(safe_name(value).split()).replace("#", "_") if value.strip() else "none"
    return f"{float(value):.6g}"
