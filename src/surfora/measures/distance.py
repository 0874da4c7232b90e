"""Distance from a surface to another: exact, with side, line of sight, and numbers weighted by area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from surfora.geometry.facts import surface_name
from surfora.geometry.open3d_bridge import import_open3d
from surfora.geometry.surface import Floats, Ints, SurfaceMesh, vertex_areas_nm2, vertex_normals
from surfora.measures.statistics import weighted_mean, weighted_quantiles, weighted_standard_deviation
from tomocore.contract import InputError
from tomocore.settings import Settings

QUANTILES = {"q05_nm": 0.05, "q25_nm": 0.25, "median_nm": 0.5, "q75_nm": 0.75, "q95_nm": 0.95}


class DistanceSettings(Settings):
    """What counts as a contact."""

    contact_distance_nm: float = Field(
        30.0, gt=0, description="a place closer to the other surface than this is in contact (nm)"
    )


@dataclass(frozen=True)
class SurfaceDistance:
    """From each vertex (n,) of a surface to the nearest point of another.

    ``distance_nm``; ``side`` +1 where the other lies on the side that the normal points to, else −1;
    ``facing_deg`` 0–180 between the normal and the way there; ``is_seen`` where nothing of its own
    surface lies in between.
    """

    distance_nm: Floats
    side: NDArray[np.int8]
    facing_deg: Floats
    is_seen: NDArray[np.bool_]


def surface_distance(
    mesh: SurfaceMesh, target: SurfaceMesh, settings: DistanceSettings = DistanceSettings()
) -> SurfaceDistance:
    """Exact point-to-triangle distances from the vertices of a mesh to another mesh, in nm.

    Open3D's ray-casting scene finds the nearest triangle in single precision; the distance to it is
    then computed in double precision. Raises InputError where either mesh has no triangle.
    """
    for role, surface in (("the surface measured", mesh), ("the surface measured to", target)):
        if len(surface.faces) == 0:
            raise InputError(f"{role} has no triangles; make a mesh first with `surfora mesh`")
    centre = target.vertices.mean(axis=0)  # single precision is finest around the origin
    points = mesh.vertices - centre
    nearest = _nearest_triangles(points, target.vertices - centre, target.faces)
    closest = closest_points_on_triangles(points, (target.vertices - centre)[nearest])
    way = closest - points
    distance = np.linalg.norm(way, axis=1)
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    along = np.einsum("ij,ij->i", normals, way)
    cosine = np.divide(along, distance, out=np.ones_like(along), where=distance > 0)
    return SurfaceDistance(
        distance_nm=distance,
        side=np.where(along >= 0, 1, -1).astype(np.int8),
        facing_deg=np.degrees(np.arccos(np.clip(cosine, -1, 1))),
        is_seen=~_occluded(mesh, way, distance),
    )


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
    """The mesh with ``distance_to_<NAME>_nm`` for each target by its NAME, and a summary of each."""
    summaries = {}
    for name, target in targets.items():
        distances = surface_distance(mesh, target, settings)
        mesh = mesh.with_data(**{f"distance_to_{name}_nm": distances.distance_nm})
        summaries[name] = distance_summary(mesh, distances, settings)
    return mesh, summaries


def closest_points_on_triangles(points: Floats, corners: Floats) -> Floats:
    """The point (n, 3) of each triangle (n, 3 corners, 3) that is nearest to its own query point (n, 3).

    Ericson, Real-Time Collision Detection (2005), section 5.1.5: by the Voronoi region of the query.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    d1, d2 = _dots(ab, ac, points - a)
    d3, d4 = _dots(ab, ac, points - b)
    d5, d6 = _dots(ab, ac, points - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    total = va + vb + vc
    with np.errstate(divide="ignore", invalid="ignore"):
        v, w = vb / total, vc / total  # inside, unless one of the regions below has it
        regions: list[tuple[Any, Any, Any]] = [
            ((d1 <= 0) & (d2 <= 0), 0.0, 0.0),
            ((d3 >= 0) & (d4 <= d3), 1.0, 0.0),
            ((d6 >= 0) & (d5 <= d6), 0.0, 1.0),
            ((vc <= 0) & (d1 >= 0) & (d3 <= 0), d1 / (d1 - d3), 0.0),
            ((vb <= 0) & (d2 >= 0) & (d6 <= 0), 0.0, d2 / (d2 - d6)),
            (
                (va <= 0) & (d4 - d3 >= 0) & (d5 - d6 >= 0),
                (d5 - d6) / ((d4 - d3) + (d5 - d6)),
                (d4 - d3) / ((d4 - d3) + (d5 - d6)),
            ),
        ]
        conditions = [region[0] for region in regions]
        v = np.select(conditions, [region[1] for region in regions], v)
        w = np.select(conditions, [region[2] for region in regions], w)
    return a + np.nan_to_num(v)[:, None] * ab + np.nan_to_num(w)[:, None] * ac


def distance_summary(
    mesh: SurfaceMesh, distances: SurfaceDistance, settings: DistanceSettings = DistanceSettings()
) -> dict[str, Any]:
    """One row of distances.csv: the distances over the mesh's area, and over the part in contact."""
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    values = distances.distance_nm
    quantiles = weighted_quantiles(values, areas, list(QUANTILES.values()))
    contact = np.where(values <= settings.contact_distance_nm, areas, 0.0)
    touching = bool(contact.any())
    return {
        "area_measured_nm2": float(areas.sum()),
        "mean_nm": weighted_mean(values, areas),
        "sd_nm": weighted_standard_deviation(values, areas),
        "min_nm": float(values.min()),
        **dict(zip(QUANTILES, quantiles.tolist(), strict=True)),
        "max_nm": float(values.max()),
        "contact_distance_nm": settings.contact_distance_nm,
        "contact_area_nm2": float(contact.sum()),
        "contact_mean_nm": weighted_mean(values, contact) if touching else float("nan"),
        "contact_sd_nm": weighted_standard_deviation(values, contact) if touching else float("nan"),
        "seen_share": float(areas[distances.is_seen].sum() / areas.sum()),
    }


def _dots(ab: Floats, ac: Floats, way: Floats) -> tuple[Floats, Floats]:
    return np.einsum("ij,ij->i", ab, way), np.einsum("ij,ij->i", ac, way)


def _scene(vertices: Floats, faces: Ints) -> Any:
    scene = import_open3d().t.geometry.RaycastingScene()
    scene.add_triangles(vertices.astype(np.float32), faces.astype(np.uint32))
    return scene


def _nearest_triangles(points: Floats, vertices: Floats, faces: Ints) -> Ints:
    """Corners (n, 3) of the triangle nearest to each point."""
    found = _scene(vertices, faces).compute_closest_points(points.astype(np.float32))
    return faces[found["primitive_ids"].numpy().astype(np.int64)]


def _occluded(mesh: SurfaceMesh, way: Floats, distance: Floats) -> NDArray[np.bool_]:
    """Whether the mesh itself lies on the way from its vertices to where they look."""
    centre = mesh.vertices.mean(axis=0)
    vertices = mesh.vertices - centre
    edge_nm = float(np.linalg.norm(vertices[mesh.faces[:, 0]] - vertices[mesh.faces[:, 1]], axis=1).mean())
    # A ray begins half an edge away, past the triangles around its own vertex.
    start = np.divide(0.5 * edge_nm, distance, out=np.ones_like(distance), where=distance > 0.5 * edge_nm)
    begin = vertices + start[:, None] * way
    rays = np.concatenate([begin, (1 - start)[:, None] * way], axis=1).astype(np.float32)
    return np.asarray(_scene(vertices, mesh.faces).test_occlusions(rays, tnear=0.0, tfar=1.0).numpy(), bool)
