"""Tomograms of membranes with closed forms: two Gaussian leaflets along the distance to an analytic shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft
from scipy.spatial import cKDTree
from shapes import Shape

from surfora.geometry.surface import SurfaceMesh, vertex_normals
from tomocore.volumes.volume import Volume

REACH_NM = 10.0


@dataclass(frozen=True)
class Bilayer:
    """Leaflets ``spacing_nm`` apart, each of SD ``sigma_nm``; the outer one ``outer`` as high as the inner.

    The inner one's height is 1; dark unless ``bright``.
    """

    spacing_nm: float = 3.2
    sigma_nm: float = 0.8
    outer: float = 1.0
    bright: bool = False


def tomogram_of(
    shape: Shape,
    voxel_size_nm: float,
    bilayer: Bilayer = Bilayer(),
    noise: float = 0.0,
    seed: int = 0,
    max_tilt_deg: float = 90.0,
    margin_nm: float = 0.0,
    like: Volume | None = None,
) -> Volume:
    """The tomogram of one membrane; ``noise`` is its SD, leaflets being 1; tilted about y up to an angle.

    It reaches 12 nm beyond the membrane and a margin, or has the grid of another one.
    """
    low, counts = _grid(shape, voxel_size_nm, margin_nm)
    if like is not None:
        low, counts = np.array(like.origin_nm), like.shape
    points = low + voxel_size_nm * np.indices(counts).reshape(3, -1).T[:, ::-1]
    near = np.isfinite(cKDTree(shape.mesh(2.0)[0]).query(points, distance_upper_bound=REACH_NM)[0])
    distance = shape.signed_distance(points[near])
    sigma = np.hypot(bilayer.sigma_nm, voxel_size_nm / np.sqrt(12))  # a voxel averages over its edge
    density = np.zeros(len(points), np.float32)
    for side, height in ((-0.5, 1.0), (0.5, bilayer.outer)):
        density[near] += height * np.exp(-0.5 * ((distance - side * bilayer.spacing_nm) / sigma) ** 2)
    grey = (density if bilayer.bright else -density).reshape(counts)
    grey += noise * np.random.default_rng(seed).standard_normal(grey.shape, dtype=np.float32)
    return Volume(_tilted(grey, max_tilt_deg), voxel_size_nm, tuple(map(float, low)))


def _grid(shape: Shape, voxel_size_nm: float, margin_nm: float) -> tuple[np.ndarray, tuple[int, ...]]:
    vertices, _ = shape.mesh(3.0)
    low, high = (
        vertices.min(axis=0) - REACH_NM - 2 - margin_nm,
        vertices.max(axis=0) + REACH_NM + 2 + margin_nm,
    )
    return low, tuple(np.ceil((high - low) / voxel_size_nm).astype(int)[::-1])


def _tilted(grey: np.ndarray, max_tilt_deg: float) -> np.ndarray:
    """Without the Fourier components that tilts about y up to an angle do not reach."""
    if max_tilt_deg >= 90:
        return grey
    z = np.abs(fft.fftfreq(grey.shape[0]))[:, None, None]
    x = np.abs(fft.rfftfreq(grey.shape[2]))[None, None, :]
    return fft.irfftn(fft.rfftn(grey) * (z <= np.tan(np.radians(max_tilt_deg)) * x), s=grey.shape).astype(
        np.float32
    )


def mesh_off(shape: Shape, edge_nm: float = 2.0, off_nm: float = 0.0, waves_nm: float = 0.0) -> SurfaceMesh:
    """A mesh beside the shape by so much along its normals, in waves if asked for, with a stale array."""
    vertices, faces = shape.mesh(edge_nm)
    normals = shape.normals(vertices)
    shift = off_nm + waves_nm * np.sin(vertices[:, 0] / 6.0) * np.cos(vertices[:, 1] / 5.0)
    moved = vertices + shift[:, None] * normals
    mesh = SurfaceMesh(moved, faces, vertex_normals(moved, faces))
    return replace(mesh, data={"mean_curvature_per_nm": np.zeros(len(vertices))})
