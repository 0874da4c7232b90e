"""Intervals against truth: how often they hold it, and how wide they are beside the spread of noisy masks.

    python benchmarks/intervals.py [--cases 7] [--together] [--into cases.csv]

Pairs of membranes with known surfaces, each turned at random, as masks of 1.5 nm voxels whose faces and open
rims were moved as `border_errors.py` found those of a network to be: by half a voxel (SD), alike over two or
three voxels, each face for itself and a part of it all over. --together moves both faces of a place outward
alike instead, as they are not. That noise is made on the true distances, not with the program's own means.
Each mask is measured with intervals as `surfora run --intervals` does. Target: the truth lies within in 90 to
99 % of the cases.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import contact_scenes
import shapes
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapes import Shape

from surfora.batch import RunRequest, run_masks
from surfora.geometry.surface import vertex_areas_nm2
from surfora.intervals_of_run import intervals_of
from surfora.masks.perturbed import Perturbation
from surfora.measures.contacts.curve import area_below_nm2
from surfora.measures.contacts.facing import facing_partner
from surfora.measures.statistics import weighted_mean, weighted_quantiles
from surfora.settings import SurforaSettings
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

VOXEL_NM, THICKNESS_NM = 1.5, 5.0
BORDER_VOXELS, SHARED, ALIKE_VOXELS = 0.5, 0.5, 2.5
FLAT_PER_NM = 0.02  # errors of H on flat and wavy membranes are told as shares of that of a 25 nm tubule
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two shapes placed to each other, and the threshold of contact."""

    name: str
    first: Shape
    second: Shape
    threshold_nm: float


def pairs(seed: int) -> Iterator[Pair]:
    """The scenes, turned by a seed."""
    inner, outer = shapes.sphere(15.0, seed=seed), shapes.sphere(27.0, seed=seed)
    yield Pair("sphere in sphere", _moved(inner, (0, 0, 3.0)), outer, 12.5)
    one, other = shapes.sphere(20.0, seed=seed), shapes.sphere(16.0, seed=seed)
    yield Pair("two spheres", one, _moved(other, (0, 0, 46.0)), 16.0)
    tube, flat = shapes.open_cylinder(12.0, 44.0, seed=seed), shapes.flat_sheet(60.0, 50.0, seed=seed)
    yield Pair("cylinder beside sheet", tube, _moved(flat, (22.0, 0, 0), turn=True), 15.0)
    wavy, level = shapes.wavy_sheet(60.0, 3.0, 40.0, seed=seed), shapes.flat_sheet(76.0, 76.0, seed=seed)
    yield Pair("waves over sheet", wavy, _moved(level, (0, 0, -13.0)), 13.0)


def _moved(shape: Shape, by: tuple[float, float, float], turn: bool = False) -> Shape:
    """The shape moved within its own frame; turned so that its normal lies along x."""
    rotation = shape.rotation
    if turn:
        rotation = rotation @ np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    return replace(shape, rotation=rotation, centre_nm=shape.centre_nm + shape.rotation @ np.asarray(by))


def noisy_labels(pair: Pair, random: np.random.Generator, together: bool = False) -> Volume:
    """Both membranes as labels 1 and 2, each face moved at random with its rim, or both faces together."""
    meshes = [shape.mesh(3.0)[0] for shape in (pair.first, pair.second)]
    low = np.min([m.min(axis=0) for m in meshes], axis=0) - 8 * VOXEL_NM - random.random(3) * VOXEL_NM
    high = np.max([m.max(axis=0) for m in meshes], axis=0) + 8 * VOXEL_NM
    counts = np.ceil((high - low) / VOXEL_NM).astype(int)[::-1]
    labels = np.zeros(counts, np.int16)
    zyx = np.indices(counts).reshape(3, -1).T
    points = low + VOXEL_NM * zyx[:, ::-1]
    for label, (shape, vertices) in enumerate(zip((pair.first, pair.second), meshes, strict=True), start=1):
        near = np.isfinite(cKDTree(vertices).query(points, distance_upper_bound=8.0)[0])
        height, beyond = _height_and_beyond_rim(shape, points[near])
        fields = [_smooth(random, counts).ravel()[near] for _ in range(2)]
        local = fields[0] if together else np.where(height > 0, *fields)
        noise = BORDER_VOXELS * VOXEL_NM * (np.sqrt(1 - SHARED**2) * local + SHARED * random.normal())
        inside = (np.abs(height) <= THICKNESS_NM / 2 + noise) & (beyond <= noise)
        labels[tuple(zyx[near][inside].T)] = label
    return Volume(labels, VOXEL_NM, tuple(low))


def _smooth(random: np.random.Generator, counts: NDArray[np.int64]) -> Floats:
    field = gaussian_filter(random.normal(size=counts), ALIKE_VOXELS)
    return field / field.std()


def _height_and_beyond_rim(shape: Shape, points: Floats) -> tuple[Floats, Floats]:
    """Signed distance (n,) of points from the surface, and how far (n,) beyond its rim: below 0 inside."""
    feet = shape.feet(points)
    way = points - feet.points
    height = np.einsum("ij,ij->i", way, feet.normals)
    past = np.sqrt(np.maximum(np.einsum("ij,ij->i", way, way) - height**2, 0.0))
    return height, np.where(feet.on_rim, past, -shape.rim_distance(feet.points))


def truths(pair: Pair) -> dict[str, float]:
    """What is true of a pair, from fine meshes on the true surfaces."""
    one, other = (contact_scenes.mesh_of(shape, 0.8) for shape in (pair.first, pair.second))
    found = {}
    for label, shape, mesh in (("1", pair.first, one), ("2", pair.second, other)):
        areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
        curvature = shape.mean_curvature(mesh.vertices)
        found[f"area {label}"] = shape.area_nm2
        found[f"H {label}"] = float(weighted_quantiles(curvature, areas, [0.5])[0])
        found[f"thickness {label}"] = THICKNESS_NM
    for label, mesh, partner in (("1", one, other), ("2", other, one)):
        gaps_nm = facing_partner(mesh, partner).gap_nm
        found[f"gap {label}"] = weighted_mean(gaps_nm, vertex_areas_nm2(mesh.vertices, mesh.faces))
        found[f"contact area {label}"] = float(area_below_nm2(mesh, gaps_nm, [pair.threshold_nm])[0])
    return found


def measured(labels: Volume, pair: Pair, settings: SurforaSettings, seed: int = 0) -> pd.DataFrame:
    """The rows of intervals.csv of one mask, whose repeats are drawn by a seed of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.mrc"
        write_volume(path, labels)
        still = Perturbation(0, 0.0, 1.0)
        request = RunRequest(
            (path,), Path(folder) / "out", {1: "A", 2: "B"}, pairs=(("A", "B"),), perturbation=still
        )
        limited = settings.model_copy(
            update={
                "distance": settings.distance.model_copy(update={"contact_distance_nm": pair.threshold_nm}),
                "contacts": settings.contacts.model_copy(update={"curve_nm": (pair.threshold_nm,)}),
                "intervals": settings.intervals.model_copy(update={"seed": seed}),
            }
        )
        outcome = run_masks(request, limited)
        return pd.DataFrame(intervals_of(outcome, request, limited))


WANTED = {
    "area": ("surfaces", "area_nm2"),
    "H": ("surfaces", "mean_curvature_median_per_nm"),
    "thickness": ("surfaces", "thickness_nm"),
    "gap": ("distances", "mean_nm"),
    "contact area": ("distances", "contact_area_nm2"),
}


def judged(pair: Pair, rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    """A row a value: truth, value and interval."""
    for name, truth in truths(pair).items():
        what, _, label = name.rpartition(" ")
        table, measure = WANTED[what]
        own = rows[
            (rows["table"] == table) & (rows["measure"] == measure) & (rows["label"] == "AB"[int(label) - 1])
        ]
        row = own.iloc[0]
        yield {
            "scene": pair.name,
            "measure": what,
            "membrane": label,
            "truth": truth,
            **{key: row[key] for key in ("value", "low", "high")},
        }


def main(cases: int, together: bool, into: Path | None) -> None:
    found = []
    start, settings = time.process_time(), SurforaSettings()
    for seed in range(cases):
        for number, pair in enumerate(pairs(100 + seed)):
            random = np.random.default_rng((seed, number))
            own = int(random.integers(2**31))
            try:
                rows = measured(noisy_labels(pair, random, together), pair, settings, own)
                found += list(judged(pair, rows))
            except (ValueError, IndexError) as error:
                print(f"{pair.name}, {seed}: {error}", file=sys.stderr)
        print(f"{seed + 1} of {cases}, {time.process_time() - start:.0f} CPU-s", file=sys.stderr, flush=True)
    table = pd.DataFrame(found)
    if into is not None:
        table.to_csv(into, index=False)
    table["held"] = (table["low"] <= table["truth"]) & (table["truth"] <= table["high"])
    scale = table["truth"].abs()
    scale = scale.where(table["measure"] != "H", scale.clip(lower=FLAT_PER_NM))
    table["width"] = (table["high"] - table["low"]) / 2 / scale
    table["error"] = (table["value"] - table["truth"]) / scale
    print("| measure | cases | interval holds the truth (%) | half width, median (%) "
          "| spread of noisy masks × 1.96 (%) | bias, median (%) | target |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for measure, own in table.groupby("measure", sort=False):
        apart = own["error"] - own.groupby(["scene", "membrane"])["error"].transform("mean")
        spread = 1.96 * float(
            np.sqrt((apart**2).sum() / max(len(own) - own.groupby(["scene", "membrane"]).ngroups, 1))
        )
        share = own["held"].mean()
        met = "met" if 0.9 <= share <= 0.99 else "missed"
        cells = (100 * share, 100 * own["width"].median(), 100 * spread, 100 * own["error"].median())
        print(f"| {measure} | {len(own)} | " + " | ".join(f"{c:.3g}" for c in cells) + f" | {met} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=7)
    parser.add_argument("--together", action="store_true", help="both faces move outward alike")
    parser.add_argument("--into", type=Path, help="CSV file of every case")
    asked = parser.parse_args()
    main(asked.cases, asked.together, asked.into)
