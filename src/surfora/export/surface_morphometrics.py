"""Values of triangles under the names and signs that PyCurv and surface_morphometrics read.

A vesicle of radius r has H = 1/r in both, as with us, but against the other normal: theirs point inside. So
normals and winding are turned, and curvatures stay. Both count in nm. Names follow their code
(pycurv.surface_graphs, morphometrics export_csv), to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyvista as pv
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats
from surfora.geometry.pieces import component_of_vertices
from surfora.geometry.surface import (
    SurfaceMesh,
    face_areas_nm2,
    face_cross_products,
    to_polydata,
)
from surfora.measures.curvature import shape_of
from tomocore.contract import InputError

CONVENTION = "nm; normals point inside; H > 0 where the surface bulges away from its inside, as in PyCurv"
SHAPES = (
    "Spherical cup",
    "Trough",
    "Rut",
    "Saddle rut",
    "Saddle",
    "Saddle ridge",
    "Ridge",
    "Dome",
    "Spherical cap",
)
"""PyCurv's classes of the shape index, in steps of a quarter from −1 to 1."""
PYCURV_COLUMNS = {
    "kappa1": "kappa_1",
    "kappa2": "kappa_2",
    "gauss_curvature": "gauss_curvature_VV",
    "mean_curvature": "mean_curvature_VV",
    "shape_index": "shape_index_VV",
    "curvedness": "curvedness_VV",
    "triangleAreas": "area",
}
"""Columns of PyCurv's table, and the arrays that they are of."""
OURS = (
    "roughness_nm",
    "curvature_confidence",
    "curvature_radius_nm",
    "boundary_distance_nm",
    "bilayer_thickness_nm",
)
"""Our own arrays that have no name there and keep theirs."""


DENSITY_THICKNESS = "thickness_peak_to_peak_nm"
"""Their ``thickness``: between the two leaflets' peaks of density, never that of a mask."""


def inside_out(mesh: SurfaceMesh) -> SurfaceMesh:
    """The mesh with its normals and winding turned to the other side; arrays stay."""
    normals = None if mesh.normals is None else -mesh.normals
    return SurfaceMesh(mesh.vertices, mesh.faces[:, ::-1], normals, mesh.data)


def triangle_values(mesh: SurfaceMesh, labels: Mapping[str, str] | None = None) -> dict[str, NDArray[Any]]:
    """Arrays (m,) and (m, 3) of a mesh's triangles by the names of PyCurv and surface_morphometrics.

    labels: of partners by the NAME that stands in their arrays of distances, for ``<LABEL>_dist``. The mesh
    is ours, with normals outward. NaN where a corner has no value. Raises InputError without curvature.
    """
    if not {"k1_per_nm", "k2_per_nm"} <= set(mesh.data):
        raise InputError("has no curvature, which these programs read; run `surfora curvature` on it first")
    turned = inside_out(mesh)
    cross = face_cross_products(turned.vertices, turned.faces)
    normal = _unit(cross)
    n_v = normal if turned.normals is None else _unit(_of_corners(turned, turned.normals))
    k1, k2 = (_of_corners(mesh, mesh.data[name]) for name in ("k1_per_nm", "k2_per_nm"))
    k1, k2 = np.fmax(k1, k2), np.fmin(k1, k2)
    index, curvedness = shape_of(k1, k2)
    found: dict[str, NDArray[Any]] = {
        "xyz": _of_corners(mesh, mesh.vertices),
        "area": face_areas_nm2(mesh.vertices, mesh.faces),
        "normal": normal,
        "orientation_class": np.where(np.isfinite(k1), 1, 3).astype(np.int32),
        "n_v": n_v,
        "t_v": np.zeros_like(normal),
        "kappa_1": k1,
        "kappa_2": k2,
        "gauss_curvature_VV": k1 * k2,
        "mean_curvature_VV": (k1 + k2) / 2,
        "shape_index_VV": index,
        "shape_index_cat": np.round(index * 4) / 4,
        "curvedness_VV": curvedness,
        "verticality": 90 - np.abs(np.degrees(np.arccos(np.clip(n_v[:, 2], -1, 1))) - 90),
        "component_number": _component_numbers(mesh),
    }
    if "k1_direction" in mesh.data:
        found["t_1"], found["t_2"] = _directions(mesh, n_v)
    if DENSITY_THICKNESS in mesh.data:
        found["thickness"] = _of_corners(mesh, mesh.data[DENSITY_THICKNESS])
    for name, label in (labels or {}).items():
        if f"distance_to_{name}_nm" in mesh.data:
            found[f"{label}_dist"] = _of_corners(mesh, mesh.data[f"distance_to_{name}_nm"])
    return found | {name: _of_corners(mesh, mesh.data[name]) for name in OURS if name in mesh.data}


def _of_corners(mesh: SurfaceMesh, values: NDArray[Any]) -> Floats:
    """The mean of each triangle's three corners."""
    return np.asarray(values.astype(np.float64)[mesh.faces].mean(axis=1), np.float64)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _directions(mesh: SurfaceMesh, n_v: Floats) -> tuple[Floats, Floats]:
    """Principal directions (m, 3): that of k1, whose sign means nothing, then that of k2 at right angles."""
    given = mesh.data["k1_direction"].astype(np.float64)[mesh.faces]
    alike = np.sign(np.einsum("ijk,ik->ij", given, given[:, 0]))
    first = np.einsum("ij,ijk->ik", alike, given)
    first = _unit(first - np.einsum("ij,ij->i", first, n_v)[:, None] * n_v)
    return first, np.cross(n_v, first)


def _component_numbers(mesh: SurfaceMesh) -> NDArray[np.int32]:
    """The connected piece (m,) of each triangle, from 1 on by falling number of triangles."""
    piece = component_of_vertices(mesh.faces, len(mesh.vertices))[mesh.faces[:, 0]]
    pieces, of_triangle, counts = np.unique(piece, return_inverse=True, return_counts=True)
    rank = np.empty(len(pieces), np.int32)
    rank[np.argsort(-counts, kind="stable")] = np.arange(1, len(pieces) + 1)
    return rank[of_triangle]


def triangle_polydata(mesh: SurfaceMesh, values: Mapping[str, NDArray[Any]]) -> pv.PolyData:
    """Our mesh, turned, with arrays of its triangles; those without a curvature are left out.

    PyCurv leaves triangles near the border out likewise, and what reads its files does not ask for NaN.
    """
    kept = np.isfinite(values["kappa_1"])
    turned = inside_out(mesh)
    poly = to_polydata(SurfaceMesh(mesh.vertices, turned.faces).with_faces(turned.faces[kept]))
    for name, of_triangles in values.items():
        poly.cell_data[name] = of_triangles[kept]
    poly.add_field_data([CONVENTION], "convention")
    return poly


def morphometrics_table(values: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """A row a triangle with a curvature, as in surface_morphometrics: vectors as ``_x``, ``_y``, ``_z``."""
    kept = np.isfinite(values["kappa_1"])
    scalars = {name: v[kept] for name, v in values.items() if v.ndim == 1}
    vectors = {
        f"{name}_{axis}": v[kept, k]
        for name, v in values.items()
        if v.ndim == 2
        for k, axis in enumerate("xyz")
    }
    return pd.DataFrame(scalars | vectors).rename_axis("index")


def pycurv_table(values: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """A row a triangle with a curvature under the headings of PyCurv's own table."""
    kept = np.isfinite(values["kappa_1"])
    table = pd.DataFrame({column: values[name][kept] for column, name in PYCURV_COLUMNS.items()})
    classes = np.round(values["shape_index_VV"][kept] * 4).astype(int) + 4
    table.insert(5, "shape_index_class", [SHAPES[number] for number in classes])
    return table
