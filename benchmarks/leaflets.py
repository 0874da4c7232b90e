"""Leaflets from masks alone, the whole way, against closed forms; cuts that one could use instead.

    python benchmarks/leaflets.py [--quick]

Mask (1 nm voxels) → medial points → orientation → mesh → isosurface → proxy → leaflets, with the defaults.
Purity: share of a leaflet's area on its side of the true middle, more than 3 nm from the rim. Parts:
connected sheets, inner + outer, of how many. Thickness: mean ``bilayer_thickness_nm`` less the truth,
± SD. Area: of both leaflets, for open membranes as the width of the strip that they lack along their rims.
Targets: purity ≥ 99.9 %, exactly two leaflets a sheet.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import shapes
from shapes import Shape

from surfora.geometry.surface import PointCloud, SurfaceMesh, boundary_edges, face_areas_nm2, vertex_areas_nm2
from surfora.isosurface.boundary import isosurface
from surfora.leaflets.proxy import membrane_numbers, poisson_proxy
from surfora.leaflets.settings import LeafletSettings
from surfora.leaflets.split import Leaflets, split_leaflets
from surfora.medial.points import medial_points
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.smoothing import smooth_mesh
from surfora.orientation.orient import orient_normals
from tomocore.volumes.volume import Volume

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Origin = tuple[float, float, float]


class Case(NamedTuple):
    """A mask, the shape that it depicts and its thickness."""

    name: str
    shape: Shape
    thickness_nm: float
    mask: Mask
    origin_nm: Origin


def cases(quick: bool) -> list[Case]:
    """Closed, open, cut by the volume, apposed, noisy and holed membranes."""
    plain = [
        (shapes.sphere(12.0), 4.0),
        (shapes.sphere(25.0), 4.0),
        (shapes.torus(), 4.0),
        (shapes.invaginated_vesicle(neck_radius_nm=2.5), 3.0),
        (shapes.open_sphere(), 4.0),
        (shapes.open_sphere(20.0, 60.0), 3.0),
        (shapes.open_cylinder(), 4.0),
        (shapes.catenoid(), 4.0),
        (shapes.wavy_sheet(), 4.0),
        (shapes.apposed_sheets(5.0), 3.0),
        (shapes.apposed_spheres(separation_nm=6.0), 4.0),
        (shapes.apposed_spheres(separation_nm=8.0), 4.0),
    ]
    made = [Case(f"{shape.name} ({t:g})", shape, t, *shape.voxelise(1.0, t)) for shape, t in plain]
    if quick:
        return made[::4]
    cap = shapes.open_sphere()
    mask, origin = cap.voxelise(1.0, 4.0)
    slanted = cap.voxelise(1.0, 4.0, slanted_rim=True)
    ball = shapes.sphere(20.0)
    whole, corner = ball.voxelise(1.0, 4.0)
    half = whole.shape[2] // 2
    return [
        *made,
        Case("open sphere, slanted rim", cap, 4.0, *slanted),
        Case("sphere cut by the volume", ball, 4.0, whole[:, :, half:], (corner[0] + half, *corner[1:])),
        Case("open sphere, noise 20 %", cap, 4.0, shapes.with_noise(mask), origin),
        Case("open sphere, 5 holes", cap, 4.0, shapes.with_holes(mask), origin),
    ]


def reconstructed(case: Case) -> tuple[SurfaceMesh, SurfaceMesh, Leaflets, tuple[float, float]]:
    """Medial mesh, isosurface, leaflets, and the CPU-seconds of proxy and split."""
    points = medial_points(case.mask, 1.0, case.origin_nm)
    assert points.normals is not None
    normals = orient_normals(points.points, points.normals).normals
    support = Volume(case.mask, 1.0, case.origin_nm)
    medial = smooth_mesh(mesh_points(PointCloud(points.points, normals, points.data), support=support))
    surface = isosurface(case.mask, 1.0, case.origin_nm, medial=medial)
    start = time.process_time()
    proxy = poisson_proxy(medial)
    between = time.process_time()
    leaflets = split_leaflets(surface, medial, proxy)
    return medial, surface, leaflets, (between - start, time.process_time() - between)


def purity(case: Case, medial: SurfaceMesh, leaflet: SurfaceMesh, side: float) -> float:
    """Share of the area, more than 3 nm from the rim, on its side as the medial normals have it."""
    centres = leaflet.vertices[leaflet.faces].mean(axis=1)
    assert medial.normals is not None
    along = np.einsum("ij,ij->i", medial.normals, case.shape.normals(medial.vertices))
    number = membrane_numbers(medial)
    sense = np.array([np.sign(along[number == one].sum()) for one in range(number.max() + 1)])
    sense_there = sense[leaflet.data["membrane"][leaflet.faces[:, 0]]]
    right = case.shape.signed_distance(centres) * sense_there * side > 0
    area = face_areas_nm2(leaflet.vertices, leaflet.faces)
    area = area * (case.shape.rim_distance(centres) > 3.0)
    return float(area[right].sum() / area.sum())


def missing_area_nm2(case: Case, leaflets: Leaflets) -> tuple[float, float]:
    """Area of both true offset surfaces within the volume, and what of it the leaflets lack."""
    vertices, faces = case.shape.mesh(0.7)
    area, normals = vertex_areas_nm2(vertices, faces), case.shape.normals(vertices)
    mean, gaussian = case.shape.mean_curvature(vertices), case.shape.gaussian_curvature(vertices)
    far = np.array(case.origin_nm) + np.array(case.mask.shape[::-1]) - 1
    true = 0.0
    for offset in (-case.thickness_nm / 2, case.thickness_nm / 2):
        places = vertices + offset * normals
        within = ((places >= case.origin_nm) & (places <= far)).all(axis=1)
        true += float((area * (1 + 2 * mean * offset + gaussian * offset**2))[within].sum())
    found = sum(face_areas_nm2(mesh.vertices, mesh.faces).sum() for mesh in (leaflets.inner, leaflets.outer))
    return true, true - float(found)


def rim_length_nm(shape: Shape) -> float:
    """Length of the true rims."""
    vertices, faces = shape.mesh(0.7)
    ends = vertices[boundary_edges(faces)]
    return float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum())


def report(case: Case) -> str:
    medial, _, leaflets, (proxy_s, split_s) = reconstructed(case)
    both = ((leaflets.inner, -1.0), (leaflets.outer, 1.0))
    pure = [purity(case, medial, leaflet, side) for leaflet, side in both]
    parts = [membrane_numbers(leaflet).max() + 1 for leaflet, _ in both]
    through = np.concatenate([leaflet.data["bilayer_thickness_nm"] for leaflet, _ in both])
    true, missing = missing_area_nm2(case, leaflets)
    rim = rim_length_nm(case.shape)
    area = f"strip {missing / (2 * rim):+.2f} nm" if rim > 0 else f"{-100 * missing / true:+.2f} %"
    missed = " MISS" if min(pure) < 0.999 else ""
    wanted = case.shape.components
    missed_parts = " MISS" if parts != [wanted, wanted] else ""
    cells = (
        case.name,
        f"{100 * pure[0]:.2f} / {100 * pure[1]:.2f}{missed}",
        f"{parts[0]} + {parts[1]} of {wanted} + {wanted}{missed_parts}",
        f"{np.nanmean(through) - case.thickness_nm:+.3f} ± {np.nanstd(through):.3f}",
        area,
        f"{proxy_s:.1f} + {split_s:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def compare_cuts(chosen: list[Case]) -> None:
    """Our cut at the proxy against the cut at the medial mesh, and against naming faces by nearest point."""
    print("\n| shape | proxy, cut | medial mesh, cut | nearest medial point, no cut |\n|---|---|---|---|")
    for case in chosen:
        medial, surface, leaflets, _ = reconstructed(case)
        direct = split_leaflets(surface, medial, None, LeafletSettings())
        centres = surface.vertices[surface.faces].mean(axis=1)
        nearest = cKDTree(medial.vertices).query(centres)[1]
        assert medial.normals is not None
        above = np.einsum("ij,ij->i", centres - medial.vertices[nearest], medial.normals[nearest]) > 0
        number = membrane_numbers(medial)[cKDTree(medial.vertices).query(surface.vertices)[1]]
        marked = surface.with_data(membrane=number)
        named = Leaflets(marked.with_faces(surface.faces[~above]), marked.with_faces(surface.faces[above]))
        cells = []
        for found in (leaflets, direct, named):
            pure = min(purity(case, medial, found.inner, -1.0), purity(case, medial, found.outer, 1.0))
            parts = sum(membrane_numbers(mesh).max() + 1 for mesh in (found.inner, found.outer))
            cells.append(f"{100 * pure:.2f} %, {parts} parts")
        print(f"| {case.name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three shapes only")
    chosen = cases(parser.parse_args().quick)
    print(
        "| mask (thickness nm) | purity % inner / outer | parts | thickness nm | area | CPU-s proxy + split |"
    )
    print("|---|---|---|---|---|---|")
    for case in chosen:
        print(report(case), flush=True)
    compare_cuts(
        [case for case in chosen if case.shape.name in ("open sphere", "wavy sheet", "catenoid")][:3]
    )


if __name__ == "__main__":
    main()
