"""Kernels on signed distance grids: mean-curvature flow in a narrow band, with or without an obstacle."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from surfora.geometry.arrays import Grid32

FREE, OBSTACLE, TUBE = 0, 1, 2
STABLE_STEP = 0.125  # cells²; the explicit scheme is stable below 1/6
BAND = 4.0


def curvature_flow(
    field: Grid32, reference: Grid32, steps: int, constraint: int = FREE, half_width: float = 0.75
) -> Grid32:
    """The field after steps of ∂φ/∂t = |∇φ| div(∇φ/|∇φ|), each ⅛ cell² long, where |φ₀| is below 4 cells.

    field, reference φ₀: (z, y, x) signed distances in cells, negative inside. constraint: OBSTACLE sets
    φ ← max(φ, φ₀) before and after each step, as published: the inside never grows, so a convex surface
    never stops thinning; TUBE keeps |φ − φ₀| within half_width; FREE does neither.
    """
    now = constrained(field, reference, constraint, half_width)
    then = now.copy()
    for _ in range(steps):
        _flow_step(now, reference, then, constraint, half_width)
        now, then = then, now
    return now


def constrained(field: Grid32, reference: Grid32, constraint: int, half_width: float) -> Grid32:
    """The field within what the constraint allows about the reference."""
    if constraint == OBSTACLE:
        return np.maximum(field, reference)
    if constraint == TUBE:
        return np.clip(field, reference - np.float32(half_width), reference + np.float32(half_width))
    return field.copy()


@njit(cache=True, parallel=True, nogil=True)
def _flow_step(now: Grid32, reference: Grid32, then: Grid32, constraint: int, half_width: float) -> None:
    depth, height, width = now.shape
    for z in prange(1, depth - 1):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                first = reference[z, y, x]
                if abs(first) < BAND:
                    moved = now[z, y, x] + STABLE_STEP * curvature_speed(now, z, y, x)
                    if constraint == OBSTACLE:
                        moved = max(moved, first)
                    elif constraint == TUBE:
                        moved = min(max(moved, first - half_width), first + half_width)
                    then[z, y, x] = moved


@njit(cache=True, nogil=True)
def curvature_speed(f: Grid32, z: int, y: int, x: int) -> float:
    """|∇φ| div(∇φ/|∇φ|) by central differences: the Laplacian less the second derivative along ∇φ."""
    fx = 0.5 * (f[z, y, x + 1] - f[z, y, x - 1])
    fy = 0.5 * (f[z, y + 1, x] - f[z, y - 1, x])
    fz = 0.5 * (f[z + 1, y, x] - f[z - 1, y, x])
    squared = fx * fx + fy * fy + fz * fz
    if squared < 1e-6:
        return 0.0
    twice = 2 * f[z, y, x]
    fxx = f[z, y, x + 1] - twice + f[z, y, x - 1]
    fyy = f[z, y + 1, x] - twice + f[z, y - 1, x]
    fzz = f[z + 1, y, x] - twice + f[z - 1, y, x]
    fxy = 0.25 * (f[z, y + 1, x + 1] - f[z, y + 1, x - 1] - f[z, y - 1, x + 1] + f[z, y - 1, x - 1])
    fxz = 0.25 * (f[z + 1, y, x + 1] - f[z + 1, y, x - 1] - f[z - 1, y, x + 1] + f[z - 1, y, x - 1])
    fyz = 0.25 * (f[z + 1, y + 1, x] - f[z + 1, y - 1, x] - f[z - 1, y + 1, x] + f[z - 1, y - 1, x])
    along = fx * fx * fxx + fy * fy * fyy + fz * fz * fzz
    along += 2 * (fx * fy * fxy + fx * fz * fxz + fy * fz * fyz)
    return fxx + fyy + fzz - along / squared
