"""The one tangent frame and the one symmetric solver that the kernels of all stages share."""

from __future__ import annotations

import numpy as np
from numba import njit

from surfora.geometry.arrays import Floats

LEAST_PIVOT = 1e-9  # of its diagonal, below which a system is taken for singular


@njit(cache=True, nogil=True, error_model="numpy")
def tangent_frame(n0: float, n1: float, n2: float) -> tuple[float, float, float, float, float, float]:
    """Two unit vectors e, f with e × f = n, smooth but at one pole (Duff et al. 2017, "Building an
    orthonormal basis")."""
    sign = 1.0 if n2 >= 0.0 else -1.0
    a = -1.0 / (sign + n2)
    b = n0 * n1 * a
    return 1.0 + sign * n0 * n0 * a, sign * b, -sign * n0, b, sign + n1 * n1 * a, -n1


@njit(cache=True, nogil=True, error_model="numpy")
def tangents(normals: Floats) -> tuple[Floats, Floats]:
    """The `tangent_frame` of each unit normal (n, 3): along (n, 3) and across (n, 3)."""
    along, across = np.empty_like(normals), np.empty_like(normals)
    for i in range(len(normals)):
        frame = tangent_frame(normals[i, 0], normals[i, 1], normals[i, 2])
        for axis in range(3):
            along[i, axis], across[i, axis] = frame[axis], frame[3 + axis]
    return along, across


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def factorise(system: Floats, size: int) -> bool:
    """L D Lᵀ of a symmetric system in place, from its lower triangle; False where not positive definite.

    system: at least (size + 1, size); row ``size`` is scratch.
    """
    scaled = system[size]
    for j in range(size):
        row = system[j]
        pivot = row[j]
        for k in range(j):
            scaled[k] = row[k] * system[k, k]
            pivot -= row[k] * scaled[k]
        if not pivot > LEAST_PIVOT * row[j]:
            return False
        row[j] = pivot
        inverse = 1.0 / pivot
        for i in range(j + 1, size):
            other = system[i]
            value = other[j]
            for k in range(j):
                value -= other[k] * scaled[k]
            other[j] = value * inverse
    return True


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def substitute(factor: Floats, right: Floats, size: int) -> None:
    """Solve for one right side (size,) in place, with what `factorise` made."""
    for i in range(size):
        row = factor[i]
        value = right[i]
        for k in range(i):
            value -= row[k] * right[k]
        right[i] = value
    for i in range(size):
        right[i] /= factor[i, i]
    for i in range(size - 1, -1, -1):
        row = factor[i]
        value = right[i]
        for k in range(i):
            right[k] -= row[k] * value
