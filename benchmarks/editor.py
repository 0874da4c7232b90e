"""The editor without its window: time of a selection, what counts as seen, time of a picture.

    python benchmarks/editor.py

Spheres of Poisson-disc points, alone and with a second one 5 nm within, in a picture of 1200 x 900 pixels;
seen is what faces the eye, of the outer sphere alone. Times are the best of five, after the kernels are
compiled: by the clock, and of the processor, for a busy machine. Pictures are drawn by whatever VTK finds,
without a screen by the processor.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
from vtkmodules.vtkRenderingCore import vtkRenderer

from surfora.editor.layers import Layer
from surfora.editor.picking import Sight, pickable, points_in_loop, sight_of
from surfora.editor.scene import Scene
from surfora.editor.session import Session
from surfora.editor.view import View, view_of
from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import PointCloud

PICTURE = (1200, 900)
BETWEEN_NM = 5.0


def sphere(count: int, radius_nm: float, evenly: bool = True) -> np.ndarray:
    """About so many points of a sphere, as even as a sampling makes them or at random."""
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(count * (12 if evenly else 1), 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    points = radius_nm * ways
    return (
        points[poisson_disc(points, 0.84 * math.sqrt(4 * math.pi * radius_nm**2 / count))]
        if evenly
        else points
    )


def session_of(points: np.ndarray, normals: np.ndarray) -> Session:
    return Session((Layer(Path("sphere.vtp"), PointCloud(points, normals), None, 0),))


def view_at(radius_nm: float) -> View:
    renderer = vtkRenderer()
    camera = renderer.GetActiveCamera()
    camera.SetPosition(5 * radius_nm, radius_nm, 2 * radius_nm)
    renderer.ResetCamera(*(np.array([-1, 1] * 3) * 1.1 * radius_nm))
    return view_of(renderer, PICTURE)


def best_of(work: Callable[[], Any], times: int = 5) -> str:
    """The fastest of several runs, after one that compiles."""
    work()
    by_clock, of_processor = [], []
    for _ in range(times):
        start, used = time.perf_counter(), time.process_time()
        work()
        by_clock.append(time.perf_counter() - start)
        of_processor.append(time.process_time() - used)
    return f"{1000 * min(by_clock):.0f} ms ({1000 * min(of_processor):.0f} ms of processor)"


def time_selections() -> None:
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    loop = np.array(PICTURE) / 2 + 250 * np.column_stack([np.cos(turn), np.sin(turn)])
    for count in (100_000, 1_000_000):
        points = sphere(count, 200, evenly=False)
        session, view = session_of(points, points / 200), view_at(200)
        drawn = np.ones(count, dtype=bool)
        for name, tolerance in (("seen only", 2.0), ("through", None)):
            taken = best_of(
                lambda s=session, v=view, d=drawn, t=tolerance: s.select(
                    points_in_loop(s, sight_of(s, v, d, t), loop)
                )
            )
            print(f"lasso of 200 corners, {count:,} points, {name}: {taken}")


def measure_what_is_seen() -> None:
    print("\nradius nm, points, spacing nm, sheets, depth nm: precision, recall")
    for radius, count in ((50, 5_000), (50, 20_000), (50, 200_000), (14, 1_200)):
        outer = sphere(count, radius)
        ways = outer / radius
        for sheets in (1, 2):
            points = np.concatenate([outer, outer - BETWEEN_NM * ways][:sheets])
            session, view = session_of(points, np.concatenate([ways, ways][:sheets])), view_at(radius)
            truth = np.einsum("ij,ij->i", session.file_normals, view.eye - points) > 0
            truth[len(outer) :] = False
            sight: Sight = sight_of(session, view, np.ones(len(points), dtype=bool), 2.0)
            seen = pickable(session, sight)
            right = (seen & truth).sum()
            spacing = session.spacing_nm
            print(
                f"{radius}, {len(outer)}, {spacing:.2f}, {sheets}, 2: "
                f"{right / seen.sum():.3f}, {right / truth.sum():.3f}"
            )


def time_pictures() -> None:
    points = sphere(500_000, 200, evenly=False)
    session = session_of(points, points / 200)
    plotter = pv.Plotter(off_screen=True, window_size=list(PICTURE))
    scene = Scene(plotter, session)
    scene.look_along(0)
    plotter.render_window.SetMultiSamples(0)  # as the window has it for so many points
    plotter.show(auto_close=False, interactive=False)
    print()
    for name, with_normals in (("points", False), ("points and 60,000 normals", True)):
        scene.with_normals = with_normals
        scene.show_normals()
        print(f"picture of 500,000 {name}: {best_of(scene.render, 3)}")
    scene.frame_s = 1.0
    scene.begin_moving()
    print(f"while it moves, 60,000 of them: {best_of(scene.render, 3)}")
    scene.end_moving()
    change = best_of(lambda: (session.select_all(), scene.show_colours()), 3)
    print(f"colours of a new selection: {change}")
    plotter.close()


if __name__ == "__main__":
    time_selections()
    measure_what_is_seen()
    time_pictures()
