"""Orientation of normals: share that point to the right side, ours beside Open3D's tangent-plane tree.

    python benchmarks/orientation.py            all clouds, then confidence and speed

Clouds: samplings 1.4 nm apart of analytic membranes (rotated, off-centre), clean, or with noise of 0.3 nm in
every direction and 30 % of the points dropped. All methods get the same jet normals with lost signs. Share in
%, the sign of each true sheet left open. Target: 99.9 %.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import clouds
import shapes
from shape_patches import Several
from shapes import Shape

from surfora.geometry.open3d_bridge import import_open3d
from surfora.geometry.sampling import poisson_disc
from surfora.orientation.jet_normals import jet_normals
from surfora.orientation.orient import orient_normals
from surfora.orientation.settings import OrientSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Orienter = Callable[[Floats, Floats], Floats]

SPACING_NM = 1.4
TARGET = 99.9


class Cloud(NamedTuple):
    """Points, true normals, and the true sheet that each point belongs to."""

    points: Floats
    normals: Floats
    sheet: Ints


def of_shape(shape: Shape, noise: float, dropped: float) -> Cloud:
    points, normals = clouds.cloud(shape, SPACING_NM, noise=noise, dropped=dropped)
    return Cloud(points, normals, sheets(shape, points))


def sheets(shape: Shape, points: Floats) -> Ints:
    """Which part of a shape of several each point lies nearest to."""
    if not isinstance(shape.patch, Several):
        return np.zeros(len(points), dtype=np.int64)
    local, patch = (points - shape.centre_nm) @ shape.rotation, shape.patch
    moved = [(local - shift) @ turn for turn, shift in zip(patch.rotations, patch.shifts, strict=True)]
    away = [
        np.linalg.norm(part.feet(there).points - there, axis=1)
        for part, there in zip(patch.parts, moved, strict=True)
    ]
    return np.argmin(away, axis=0)


def of_hairpin(gap: float, noise: float, dropped: float) -> Cloud:
    points, normals = clouds.hairpin(gap=gap, spacing=SPACING_NM, noise=noise, dropped=dropped, wave=2.0)
    return Cloud(points, normals, np.zeros(len(points), dtype=np.int64))


def case(shape: Shape) -> Callable[[float, float], Cloud]:
    return lambda noise, dropped: of_shape(shape, noise, dropped)


CASES: dict[str, Callable[[float, float], Cloud]] = {
    "sphere 12": case(shapes.sphere(12.0)),
    "sphere 25": case(shapes.sphere(25.0)),
    "torus": case(shapes.torus(22.0, 9.0)),
    "invaginated vesicle": case(shapes.invaginated_vesicle()),
    "open sphere": case(shapes.open_sphere(20.0)),
    "cylinder": case(shapes.open_cylinder()),
    "catenoid": case(shapes.catenoid()),
    "wavy sheet": case(shapes.wavy_sheet()),
    "two sheets, 3 apart": case(shapes.apposed_sheets(3.0)),
    "two sheets, 4 apart": case(shapes.apposed_sheets(4.0)),
    "two open spheres, 4 apart": case(shapes.apposed_spheres(separation_nm=4.0)),
    "joined layers, 3 apart": lambda noise, dropped: of_hairpin(3.0, noise, dropped),
    "joined layers, 4 apart": lambda noise, dropped: of_hairpin(4.0, noise, dropped),
    "branching sheets": case(shapes.branching_sheets()),
}


def ours(method: str) -> Orienter:
    settings = OrientSettings.model_validate({"method": method})
    return lambda points, axes: orient_normals(points, axes, settings).normals


def open3d_tree(penalty: float) -> Orienter:
    def oriented(points: Floats, axes: Floats) -> Floats:
        o3d = import_open3d()
        joggled = points + np.random.default_rng(0).normal(
            0, 1e-3, points.shape
        )  # its qhull stops at spheres
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(joggled))
        cloud.normals = o3d.utility.Vector3dVector(axes)
        cloud.orient_normals_consistent_tangent_plane(12, penalty)
        return np.asarray(cloud.normals)

    return oriented


METHODS: dict[str, Orienter] = {
    "winding (default)": ours("winding"),
    "geodesic (published)": ours("geodesic"),
    "dipole": ours("dipole"),
    "Open3D, λ 0": open3d_tree(0.0),
    "Open3D, λ 10": open3d_tree(10.0),
}


def share_right(found: Floats, cloud: Cloud) -> float:
    """Percent of the normals on the right side, where each sheet may choose its sign."""
    agree = np.einsum("ij,ij->i", found, cloud.normals) > 0
    total = np.bincount(cloud.sheet)
    right = np.bincount(cloud.sheet, agree)
    return 100 * float(np.maximum(right, total - right).sum() / len(agree))


def compare() -> None:
    print(f"| cloud | points | {' | '.join(METHODS)} |" + "\n" + "|---" * (len(METHODS) + 2) + "|")
    for name, cloud_of in CASES.items():
        for suffix, noise, dropped in (("", 0.0, 0.0), (", noisy", 0.3, 0.3)):
            cloud = cloud_of(noise, dropped)
            axes = clouds.with_lost_signs(jet_normals(cloud.points))
            cells = []
            for method, orient in METHODS.items():
                share = share_right(orient(cloud.points, axes), cloud)
                miss = share < TARGET and method in ("winding (default)", "geodesic (published)", "dipole")
                cells.append(f"{share:.2f}" + " MISS" * miss)
            print(f"| {name}{suffix} | {len(axes)} | {' | '.join(cells)} |", flush=True)


def measure_confidence() -> None:
    """Confidence of the side of a round cap 40 nm wide, from flat to bowl."""
    print("\n| sagitta of a cap 40 nm wide (nm) | confidence | right side |\n|---|---|---|")
    for half_angle in (0.5, 2.0, 5.0, 8.0, 14.0, 20.0, 30.0):
        radius = 20.0 / np.sin(np.deg2rad(half_angle))
        cap = shapes.open_sphere(radius, cap_deg=180.0 - half_angle, caps=1)
        points, true = clouds.cloud(cap, SPACING_NM, noise=0.3, dropped=0.3)
        found = orient_normals(points, clouds.with_lost_signs(jet_normals(points)))
        right = clouds.share_right(found.normals, true)
        sagitta = radius * (1 - np.cos(np.deg2rad(half_angle)))
        print(f"| {sagitta:.2f} | {found.confidence[0]:.2f} | {100 * right:.1f} % |", flush=True)


def measure_speed() -> None:
    """A torus of about 100,000 points: normals, then each method; one thread against two."""
    shape = shapes.torus(100.0, 40.0)
    points, _ = shape.sample(count=1_000_000)
    points = points[poisson_disc(points, 0.9)]
    threads = min(2, numba.config.NUMBA_NUM_THREADS)
    numba.set_num_threads(threads)
    print(f"\n| step, {len(points)} points, {threads} threads | seconds | CPU-s |\n|---|---|---|")
    axes = timed("jet normals", lambda: jet_normals(points))
    for name, orient in METHODS.items():
        timed(name, lambda orient=orient: orient(points, axes), 5.0 if name.startswith("winding") else np.inf)
    spent = []
    for count in (1, threads):
        numba.set_num_threads(count)
        start = time.perf_counter()
        jet_normals(points)
        spent.append(time.perf_counter() - start)
    print(f"jet normals: two threads {spent[0] / spent[1]:.2f} times as fast as one")


def timed(name: str, step: Callable[[], Floats], limit_s: float = np.inf) -> Floats:
    clock, cpu = time.perf_counter(), time.process_time()
    result = step()
    seconds, busy = time.perf_counter() - clock, time.process_time() - cpu
    print(f"| {name} | {seconds:.1f}{' MISS, target 5' * (seconds > limit_s)} | {busy:.1f} |", flush=True)
    return result


if __name__ == "__main__":
    logging.getLogger("surfora").setLevel(logging.ERROR)  # flat pieces are meant to be flat here
    compare()
    measure_confidence()
    measure_speed()
