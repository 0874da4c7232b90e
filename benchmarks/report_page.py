"""Size of a tomogram's page and time until its surfaces are drawn, for many large meshes of closed forms.

    python benchmarks/report_page.py [--surfaces 12] [--vertices 200000]

Tori of other sizes beside each other, with the arrays that a run leaves on a surface and slices of noise,
which pack worst. The page is opened in Chromium without a screen and without a graphics card, several times:
by the clock, of which the fastest counts, and of the processor, for a busy machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser import OpenPage, opened_browser

from surfora.geometry.surface import SurfaceMesh
from surfora.viewer.scene import SceneSurface, live_scene
from surfora.viewer.slices import slices_of
from tomocore.page import Page, Section, write_page
from tomocore.volumes.volume import Volume

OPENINGS = 5


def torus(vertices: int, number: int, beside: int) -> SurfaceMesh:
    """A torus in a row of others, with curvature of its closed form and arrays that waves make."""
    count = round(vertices**0.5)
    around, across = np.meshgrid(*[np.arange(count) * 2 * np.pi / count] * 2, indexing="ij")
    large, small = 60.0 + 4 * number, 18.0 + number
    out = large + small * np.cos(across)
    points = np.stack([out * np.cos(around), out * np.sin(around), small * np.sin(across)], -1).reshape(-1, 3)
    place = np.arange(count * count).reshape(count, count)
    a, b = place, np.roll(place, -1, 0)
    c, d = np.roll(b, -1, 1), np.roll(place, -1, 1)
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    k1, k2 = np.full(out.shape, 1 / small), np.cos(across) / out
    noise = np.random.default_rng(number).normal(size=(4, *out.shape))
    data = {
        "mean_curvature_per_nm": (k1 + k2) / 2,
        "gaussian_curvature_per_nm2": k1 * k2,
        "k1_per_nm": k1,
        "k2_per_nm": k2,
        "curvature_radius_nm": 2 / np.abs(k1 + k2),
        "curvature_confidence": np.clip(0.9 + 0.05 * noise[0], 0, 1),
        "boundary_distance_nm": 30 + 20 * np.sin(3 * around),
        "roughness_nm": np.abs(noise[1]),
        **{f"distance_to_other{k}_nm": 20 + 10 * np.sin((k + 2) * across) + noise[2] for k in range(beside)},
    }
    moved = points + np.array([250.0 * (number % 4), 250.0 * (number // 4), 0.0])
    return SurfaceMesh(moved, faces, None, {name: values.ravel() for name, values in data.items()})


def page_of(surfaces: int, vertices: int, path: Path) -> tuple[float, float]:
    """Write the page; CPU seconds that it took, and the share of the triangles that are drawn."""
    meshes = [
        SceneSurface(f"torus{k}", f"torus {k}", f"{k}", torus(vertices, k, beside=3)) for k in range(surfaces)
    ]
    grey = np.random.default_rng(0).normal(size=(60, 400, 400)).astype(np.float32)
    start = time.process_time()
    live = live_scene(meshes, slices=slices_of(Volume(grey, 2.5, (-100.0, -100.0, -60.0)), -60.0, 60.0))
    write_page(path, Page("Tori", "closed forms", sections=[Section("Surfaces in the tomogram", live=live)]))
    return time.process_time() - start, live.data["drawn_share"]


def seconds_to_draw(path: Path) -> list[tuple[float, float]]:
    """Seconds from asking for the page until its surfaces are drawn, by the clock and of all processors."""
    found = []
    with opened_browser() as browser:
        for _ in range(OPENINGS):
            opened = OpenPage(browser, Path("/dev/null"), width=1200, height=900)
            start, used = time.perf_counter(), browser_cpu_s()
            opened.open(path)
            opened.page.wait_for_selector("#viewer[data-ready][data-drawn], #viewer[data-failed]")
            found.append((time.perf_counter() - start, browser_cpu_s() - used))
            assert not opened.errors
            opened.page.close()
    return found


def browser_cpu_s() -> float:
    """Processor seconds that the browser's processes have used so far."""
    times = (one.cpu_times() for one in psutil.Process().children(recursive=True))
    return sum(one.user + one.system for one in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--surfaces", type=int, default=12)
    parser.add_argument("--vertices", type=int, default=200_000, help="of each surface")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        cpu_s, share = page_of(asked.surfaces, asked.vertices, path)
        size = path.stat().st_size / 1e6
        print(f"{asked.surfaces} surfaces of {asked.vertices} vertices: {size:.2f} MB, {share:.1%} drawn")
        print(f"written in {cpu_s:.1f} CPU-seconds")
        times = seconds_to_draw(path)
        print("drawn after " + ", ".join(f"{clock:.2f} s ({cpu:.2f} CPU-s)" for clock, cpu in times))


if __name__ == "__main__":
    main()
