"""Density along the normals against truth: closed forms, the wedge, and phantoms whose masks are wrong.

    python benchmarks/density.py [--seeds 2] [--speed 100000]

Closed forms are two Gaussian leaflets about analytic shapes, on meshes of their middle. Phantoms are those of
`tomorois phantom` (proteins, ribosomes, tethers, contrast transfer, noise, missing wedge), whose true middles
are known; their masks are right, half a voxel off, too thick, or torn, and meshed as `surfora run` does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import shapes
from density_scenes import Bilayer, mesh_off, tomogram_of
from numpy.typing import NDArray

from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2
from surfora.masks.cleaning import cleaned_and_removed
from surfora.masks.membranes import membranes_in
from surfora.masks.settings import CleanSettings
from surfora.measures.density.density import mesh_density
from surfora.measures.density.evidence import TOLD
from surfora.measures.density.profiles import sampled_profiles
from surfora.measures.density.settings import DensitySettings
from surfora.measures.settings import WedgeSettings
from surfora.measures.wedge import wedge_angle_deg
from surfora.pipeline import medial_surface
from surfora.settings import SurforaSettings
from tomocore.contract import InputError
from tomocore.provenance import recorded_run
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.phantoms.phantom import Phantom, PhantomSettings, make_phantom
from tomorois.phantoms.shapes import Grid, Surface, distances_in_box, outward

Floats = NDArray[np.float64]
WHOLE = WedgeSettings(max_tilt_deg=90.0)


def closed_forms() -> Iterator[dict[str, object]]:
    """Errors of thickness, middle and asymmetry on closed forms."""
    forms = {
        "flat": shapes.flat_sheet(),
        "sphere, 20 nm": shapes.sphere(20.0),
        "cylinder, 15 nm": shapes.open_cylinder(),
    }
    for name, shape in forms.items():
        for voxel_nm, noise, outer in ((1.0, 0.0, 1.0), (1.3, 0.0, 0.7), (1.3, 0.5, 0.7), (1.3, 1.5, 0.7)):
            tomogram = tomogram_of(shape, voxel_nm, Bilayer(outer=outer), noise)
            mesh = mesh_off(shape, off_nm=0.7)
            data = mesh_density(mesh, tomogram, wedge=WHOLE).mesh.data
            middle = data["density_middle_offset_nm"] + 0.7
            thickness = data["thickness_peak_to_peak_nm"] - 3.2
            asymmetry = data["leaflet_asymmetry"] - (outer - 1) / (outer + 1)
            yield {
                "form": name,
                "voxel (nm)": voxel_nm,
                "noise": noise,
                "told (%)": 100 * float(np.mean(data["density_evidence"] == TOLD)),
                "thickness (nm)": f"{np.nanmean(thickness):+.3f} ± {np.nanstd(thickness):.3f}",
                "middle (nm)": f"{np.nanmean(middle):+.3f} ± {np.nanstd(middle):.3f}",
                "asymmetry": f"{np.nanmean(asymmetry):+.3f} ± {np.nanstd(asymmetry):.3f}",
            }


def in_the_wedge() -> Iterator[dict[str, object]]:
    """Errors on a sphere that was tilted up to 60°, by the angle of the normal to the wedge's border."""
    shape = shapes.sphere(20.0)
    tomogram = tomogram_of(shape, 1.0, noise=0.3, max_tilt_deg=60.0)
    mesh = mesh_off(shape, off_nm=0.5)
    data = mesh_density(mesh, tomogram, wedge=WHOLE).mesh.data
    angle = wedge_angle_deg(mesh.normals, WedgeSettings(max_tilt_deg=60.0))
    for low, high in ((-30, -10), (-10, 0), (0, 10), (10, 30), (30, 60.1)):
        own = (angle >= low) & (angle < high)
        thickness, middle = (
            data["thickness_peak_to_peak_nm"][own] - 3.2,
            data["density_middle_offset_nm"][own] + 0.5,
        )
        yield {
            "normal to the wedge's border (°)": f"{low} to {high:g}",
            "told (%)": 100 * float(np.mean(data["density_evidence"][own] == TOLD)),
            "thickness (nm)": f"{np.nanmean(thickness):+.3f} ± {np.nanstd(thickness):.3f}",
            "middle (nm)": f"{np.nanmean(middle):+.3f} ± {np.nanstd(middle):.3f}",
        }


SPACING_NM, VOXEL_NM = 3.6, 1.2
EDGE_NM = 1.5  # of the triangles of `surfora mesh`


def phantom(seed: int, flavour: str) -> Phantom:
    settings = PhantomSettings.model_validate(
        {
            "shape_zyx": (70, 150, 150),
            "voxel_size_nm": VOXEL_NM,
            "specimen": {"leaflet_spacing_nm": SPACING_NM, "leaflet_sigma_nm": 0.6},
            "imaging": {"flavour": flavour},
        }
    )
    return make_phantom("contacts", seed, settings)


def wrong_masks(distance: Floats, random: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Masks of a membrane by the signed distances to its middle, 6 nm thick where nothing else is said."""
    half = 0.5 * VOXEL_NM
    drawn = np.abs(distance) <= 3.0
    yield "as it is", drawn
    yield "half a voxel out", np.abs(distance - half) <= 3.0
    yield "half a voxel in", np.abs(distance + half) <= 3.0
    yield "3 nm too thick", np.abs(distance) <= 4.5
    yield "2 nm too thick outside", (distance >= -3.0) & (distance <= 5.0)
    torn = drawn.copy()
    places = np.argwhere(drawn)
    grid = np.indices(drawn.shape).reshape(3, -1).T
    for centre in places[random.integers(len(places), size=max(3, len(places) // 12000))]:
        torn[(np.linalg.norm(grid - centre, axis=1) < 7.0 / VOXEL_NM).reshape(drawn.shape)] = False
    yield "torn", torn


def meshed(mask: NDArray[np.bool_], origin_nm: tuple[float, float, float]) -> SurfaceMesh:
    """The medial mesh as `surfora run` makes it."""
    with tempfile.TemporaryDirectory() as folder, recorded_run("benchmark") as record:
        path = Path(folder) / "m.mrc"
        write_volume(path, Volume(mask.astype(np.int8), VOXEL_NM, origin_nm))
        (membrane,) = membranes_in(path)
        cleaned, _ = cleaned_and_removed(membrane.mask, membrane.voxel_size_nm, CleanSettings())
        return medial_surface(membrane, cleaned, SurforaSettings(), record)[1]


def peaks_in_image_nm(made: Phantom, surface: Surface) -> float:
    """Distance of the two peaks of the tomogram's mean profile along the true normals, outside the wedge."""
    points, _ = surface.samples(1.5)
    normals = outward(surface, points)
    shown = wedge_angle_deg(normals, WedgeSettings()) > 0
    offsets = np.arange(-3.5, 3.51, 0.05)
    mean = -np.nanmean(sampled_profiles(made.tomogram, points[shown], normals[shown], offsets), axis=0)
    inner, outer = mean[offsets < 0], mean[offsets >= 0]
    return float(offsets[offsets >= 0][np.argmax(outer)] - offsets[offsets < 0][np.argmax(inner)])


def rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def on_phantoms(seeds: int, flavour: str) -> pd.DataFrame:
    """Distance of the surface from the true middle before and after, and the error of the thickness."""
    rows = []
    for seed in range(seeds):
        made = phantom(seed, flavour)
        grid = Grid(made.tomogram.shape, VOXEL_NM, made.tomogram.origin_nm)
        for number, surface in enumerate(made.scene.membranes):
            rows += list(_of_membrane(made, grid, surface, seed, number))
    return pd.DataFrame(rows)


def _of_membrane(
    made: Phantom, grid: Grid, surface: Surface, seed: int, number: int
) -> Iterator[dict[str, object]]:
    low, high = surface.bounds_nm()
    box = grid.box(low - 9.0, high + 9.0)
    if min(axis.stop - axis.start for axis in box) < 20:
        return
    distance = distances_in_box(surface, grid, box, 9.0).astype(np.float64)
    if (np.abs(distance) <= 3.0).sum() < 8000:
        return
    in_image = peaks_in_image_nm(made, surface)
    origin = tuple(float(c) for c in grid.world(np.array([[axis.start for axis in box]]))[0])
    for name, mask in wrong_masks(distance, np.random.default_rng([seed, number])):
        try:
            mesh = meshed(mask, origin)
            found = mesh_density(mesh, made.tomogram, refine=True)
        except InputError as error:
            print(f"phantom {seed}, membrane {number}, {name}: {error}", file=sys.stderr)
            continue
        told = found.mesh.data["density_evidence"] == TOLD
        before, after = surface.distance_nm(mesh.vertices), surface.distance_nm(found.mesh.vertices)
        thickness = found.mesh.data["thickness_peak_to_peak_nm"] - SPACING_NM
        yield {
            "mask": name,
            "area": vertex_areas_nm2(mesh.vertices, mesh.faces).sum(),
            "told (%)": 100 * told.mean(),
            "dark": found.contrast == "dark",
            "leaflets": found.has_leaflets,
            "before": rms(before[told]),
            "after": rms(after[told]),
            "before, bias": float(np.mean(before[told])),
            "after, bias": float(np.mean(after[told])),
            "before, not told": rms(before[~told]),
            "after, not told": rms(after[~told]),
            "thickness, bias": float(np.nanmean(thickness)) if np.isfinite(thickness).any() else np.nan,
            "thickness beside the image's peaks": float(np.nanmean(thickness)) + SPACING_NM - in_image,
            "thickness, SD": float(np.nanstd(thickness)) if np.isfinite(thickness).any() else np.nan,
        }


def speed(vertices: int) -> None:
    """CPU time of a mesh as large as asked for."""
    radius = float(np.sqrt(vertices * EDGE_NM**2 * np.sqrt(3) / 2 / (4 * np.pi)))
    shape = shapes.sphere(radius)
    tomogram = tomogram_of(shape, 1.5, noise=0.5)
    mesh = mesh_off(shape, EDGE_NM)
    mesh_density(
        mesh_off(shapes.sphere(12.0)), tomogram_of(shapes.sphere(12.0), 1.5), wedge=WHOLE
    )  # compiles
    begin, wall = time.process_time(), time.perf_counter()
    mesh_density(mesh, tomogram, DensitySettings(), refine=True)
    print(
        f"\n{len(mesh.vertices)} vertices, patches of 6 nm: {time.process_time() - begin:.1f} CPU-s, "
        f"{time.perf_counter() - wall:.1f} s"
    )


def main(seeds: int, vertices: int) -> None:
    print(pd.DataFrame(closed_forms()).to_markdown(index=False, floatfmt=".4g"), flush=True)
    print()
    print(pd.DataFrame(in_the_wedge()).to_markdown(index=False, floatfmt=".3g"), flush=True)
    for flavour in ("denoised", "raw"):
        table = on_phantoms(seeds, flavour)
        found = f"all dark: {table['dark'].all()}, all with two leaflets: {table['leaflets'].all()}"
        print(f"\n{flavour}, {len(table) // table['mask'].nunique()} membranes, {found}\n")
        means = table.drop(columns=["area", "dark", "leaflets"]).groupby("mask", sort=False).mean()
        print(means.to_markdown(floatfmt=".2f"), flush=True)
    if vertices:
        speed(vertices)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--speed", type=int, default=100_000, help="vertices of the mesh timed; 0: none")
    told = parser.parse_args()
    main(told.seeds, told.speed)
