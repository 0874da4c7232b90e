"""How far a surface is moved along its normals: to the middle found, alike along the surface."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import cg

from surfora.geometry.arrays import Faces, Floats, Mask, Points
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2

ROUNDS = 2
LEAST_SCATTER_NM = 0.1
SOLVED_TO = 1e-3  # of the whole: far below what single middles scatter
PULL = 1e-3
"""Weight, beside that of a middle found, with which the surface stays where it is."""
SHARE_OF_WAY = 0.4
"""Of the way to the next membrane; so two that move towards each other stay apart."""


def smooth_shift(mesh: SurfaceMesh, middle_nm: Floats, known: Mask, smoothing_nm: float) -> Floats:
    """Shifts (n,) in nm along the normals that follow the middles found and vary little along the surface.

    They minimise ∫ w (s − c)² + l² |∇s|² dA over the triangles, with w falling where a middle lies far off
    its surroundings (Cauchy's weights), so that single wrong ones pull at nothing. Where none is known, the
    shift goes on from around.

    middle_nm: (n,); known: (n,); smoothing_nm: l.
    """
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    if not known.any():
        return np.zeros(len(areas))
    stiff = smoothing_nm**2 * _stiffness(mesh.vertices, mesh.faces)
    middle = np.where(known, middle_nm, 0.0)
    weight, shift = known.astype(np.float64), np.zeros(len(areas))
    for _ in range(ROUNDS):
        system = csr_array(stiff + diags_array((weight + PULL) * areas + 1e-12))
        inverse = diags_array(1.0 / system.diagonal())
        shift = cg(system, weight * areas * middle, x0=shift, rtol=SOLVED_TO, M=inverse)[0]
        off = np.abs(middle - shift)
        scatter = max(LEAST_SCATTER_NM, 1.5 * float(np.median(off[known])))
        weight = known / (1.0 + (off / scatter) ** 2)
    return np.asarray(shift, np.float64)


def limited_shift(shift_nm: Floats, free_nm: Floats, largest_nm: float) -> Floats:
    """Shifts (n,) cut to what is allowed, and to a share of the way to the next membrane, free_nm (2, n)."""
    ahead, behind = np.minimum(SHARE_OF_WAY * free_nm, largest_nm)
    return np.clip(shift_nm, -behind, ahead)


def _stiffness(vertices: Points, faces: Faces) -> csr_array:
    """The matrix of ∫ |∇s|² dA for values that are linear on triangles; angles over 90° count as 90."""
    rows, columns, values = [], [], []
    for k in range(3):
        i, j, opposite = faces[:, (k + 1) % 3], faces[:, (k + 2) % 3], faces[:, k]
        u, v = vertices[i] - vertices[opposite], vertices[j] - vertices[opposite]
        twice_area = np.maximum(np.linalg.norm(np.cross(u, v), axis=1), 1e-12)
        half_cotangent = 0.5 * np.maximum(np.einsum("ij,ij->i", u, v) / twice_area, 0.0)
        rows += [i, j, i, j]
        columns += [j, i, i, j]
        values += [-half_cotangent, -half_cotangent, half_cotangent, half_cotangent]
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return csr_array(coo_array(entries, shape=(len(vertices),) * 2))
