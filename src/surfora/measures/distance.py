"""Distances from a surface to others as arrays named after them, and their numbers weighted by area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surfora.geometry.arrays import Floats
from surfora.geometry.cut import share_below
from surfora.geometry.facts import surface_name
from surfora.geometry.nearest import SurfaceDistance, distance_along_normals, surface_distance
from surfora.geometry.surface import SurfaceMesh, face_areas_nm2, vertex_areas_nm2
from surfora.measures.settings import DistanceSettings
from surfora.measures.statistics import weighted_mean, weighted_quantiles, weighted_standard_deviation
from surfora.measures.wedge import areas_with_evidence_nm2
from tomocore.contract import InputError

QUANTILES = {"q05_nm": 0.05, "q25_nm": 0.25, "median_nm": 0.5, "q75_nm": 0.75, "q95_nm": 0.95}


def target_names(paths: Sequence[Path]) -> dict[str, Path]:
    """The files that distances run to, each by the NAME that its array is called after.

    Raises InputError where two have one NAME, since the second array would take the place of the first.
    """
    names: dict[str, Path] = {}
    for path in paths:
        name = surface_name(path)
        if names.get(name, path) != path:
            raise InputError(
                f"{names[name]} and {path}: both would be written as distance_to_{name}_nm; measure to them "
                "one at a time, into files of different names, or rename one"
            )
        names[name] = path
    return names


def with_distances(
    mesh: SurfaceMesh, targets: Mapping[str, SurfaceMesh], settings: DistanceSettings = DistanceSettings()
) -> tuple[SurfaceMesh, dict[str, dict[str, Any]]]:
    """The mesh with its distances to each target by its NAME, and a summary of each.

    They are ``distance_to_<NAME>_nm`` to the nearest point, and ``distance_along_normal_to_<NAME>_nm``
    straight along the normal, to either side, to the first hit: NaN where there is none.
    """
    summaries = {}
    for name, target in targets.items():
        distances = surface_distance(mesh, target)
        along_nm = np.abs(distance_along_normals(mesh, target))
        mesh = mesh.with_data(**distance_arrays(name, distances.distance_nm, along_nm))
        summaries[name] = distance_summary(mesh, distances, settings) | along_normal_columns(
            mesh, distances.distance_nm, along_nm, settings
        )
    return mesh, summaries


def distance_arrays(name: str, distance_nm: Floats, along_nm: Floats) -> dict[str, Floats]:
    """Arrays (n,) of the distances to the surface ``name``: to the nearest point, and along the normal."""
    return {f"distance_to_{name}_nm": distance_nm, f"distance_along_normal_to_{name}_nm": along_nm}


def along_normal_columns(
    mesh: SurfaceMesh, distance_nm: Floats, along_nm: Floats, settings: DistanceSettings = DistanceSettings()
) -> dict[str, float]:
    """Distances (n,) along the normal over the whole area and in contact, and the shares that miss.

    distance_nm: to the nearest point, which decides what is in contact; along_nm: NaN where the normal meets
    the other surface on neither side.
    """
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    contact = np.where(distance_nm < settings.contact_distance_nm, areas, 0.0)
    missed = np.isnan(along_nm)
    return {
        "along_normal_median_nm": float(weighted_quantiles(along_nm, areas, [0.5])[0]),
        "along_normal_miss_share": float(areas[missed].sum() / areas.sum()),
        "contact_along_normal_median_nm": float(weighted_quantiles(along_nm, contact, [0.5])[0]),
        "contact_along_normal_miss_share": (
            float(contact[missed].sum() / contact.sum()) if contact.any() else float("nan")
        ),
    }


def distance_summary(
    mesh: SurfaceMesh, distances: SurfaceDistance, settings: DistanceSettings = DistanceSettings()
) -> dict[str, Any]:
    """One row of distances.csv: the distances over the mesh's area, and over the part in contact.

    The area of this part is cut along the line of the contact distance.
    """
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    values = distances.distance_nm
    quantiles = weighted_quantiles(values, areas, list(QUANTILES.values()))
    contact = np.where(values < settings.contact_distance_nm, areas, 0.0)
    touching = bool(contact.any())
    return {
        "area_measured_nm2": float(areas.sum()),
        "mean_nm": weighted_mean(values, areas),
        "sd_nm": weighted_standard_deviation(values, areas),
        "min_nm": float(values.min()),
        **dict(zip(QUANTILES, quantiles.tolist(), strict=True)),
        "max_nm": float(values.max()),
        "contact_distance_nm": settings.contact_distance_nm,
        "contact_area_nm2": float(_contact_areas_nm2(mesh, values, settings.contact_distance_nm).sum()),
        "contact_mean_nm": weighted_mean(values, contact) if touching else float("nan"),
        "contact_sd_nm": weighted_standard_deviation(values, contact) if touching else float("nan"),
        "seen_share": float(areas[distances.is_seen].sum() / areas.sum()),
    }


def distance_evidence_columns(
    mesh: SurfaceMesh, distance_nm: Floats, contact_distance_nm: float
) -> dict[str, float]:
    """The distances of a surface over the part of it that was measured; nothing where that is not known."""
    if "evidence" not in mesh.data:
        return {}
    areas = areas_with_evidence_nm2(mesh)
    in_contact, is_measured = _contact_areas_nm2(mesh, distance_nm, contact_distance_nm), areas > 0
    return {
        "mean_with_evidence_nm": weighted_mean(distance_nm, areas),
        "median_with_evidence_nm": float(weighted_quantiles(distance_nm, areas, [0.5])[0]),
        "contact_area_with_evidence_nm2": float((in_contact * is_measured[mesh.faces].mean(axis=1)).sum()),
    }


def _contact_areas_nm2(mesh: SurfaceMesh, distance_nm: Floats, limit_nm: float) -> Floats:
    """Area (m,) of each face that is nearer than the limit."""
    return share_below(mesh.faces, distance_nm, limit_nm) * face_areas_nm2(mesh.vertices, mesh.faces)
