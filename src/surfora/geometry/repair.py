"""Meshes and points of other programs made fit to be measured, with a sentence for whatever was changed.

A mesh that `surfora` wrote comes back as it is. Others may hold every triangle with vertices of its own,
normals of any length or none, triangles wound at random or given twice, and edges that three triangles
share; each is put right, or refused where nothing right can be made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.pieces import component_of_vertices
from surfora.geometry.surface import (
    PointCloud,
    SurfaceMesh,
    boundary_edges,
    face_cross_products,
    vertex_areas_nm2,
    vertex_normals,
)
from tomocore.contract import InputError

SAME_PLACE = 1e-5  # of the median edge: what the rounding of a file moves a point by
AGREEING = 0.75  # share of the area on which given normals must keep to one side to decide it
SLANTED, MOSTLY_UPRIGHT = 0.866, 0.9
"""Cosine below which a given normal stands too far off its triangles', and share of those that must not."""
UNIT = 1e-3  # how far from 1 the length of a unit normal may be
MOSTLY_APART = 0.9  # share of a mesh's points with a place of their own; of triangles apart it is a sixth


@dataclass
class Told:
    """Sentences on what was changed, in the order done."""

    sentences: list[str] = field(default_factory=list)

    def __call__(self, count: int, what: str) -> None:
        """Keep a sentence that begins with a number, unless it is 0."""
        if count:
            self.sentences.append(f"{count} {what}")


def repaired(surface: PointCloud | SurfaceMesh, told: Told) -> PointCloud | SurfaceMesh:
    """The mesh or the points fit to be measured; see `repaired_mesh` and `repaired_points`."""
    if isinstance(surface, SurfaceMesh):
        return repaired_mesh(surface, told)
    return repaired_points(surface, told)


def repaired_mesh(mesh: SurfaceMesh, told: Told) -> SurfaceMesh:
    """The mesh with equal points merged, sound triangles of one winding, and unit normals on their side.

    The winding of each piece is that of the given normals where they keep to one side, else outward for a
    closed piece, else as it was. Edges of three and more triangles are cut open. Raises InputError where
    no triangle is left, a used point is not finite, or a piece winds round to its own back.
    """
    mesh = _merged(mesh, told)
    faces = _sound_faces(mesh, told)
    if len(faces) == 0:
        raise InputError("all its triangles have two corners in one place; write the mesh again")
    mesh = mesh if len(faces) == len(mesh.faces) else replace(mesh, faces=faces)
    mesh = _cut_open(mesh, told)
    unused = len(mesh.vertices) - len(np.unique(mesh.faces))
    if unused:
        told(unused, "points that no triangle uses left out")
        mesh = mesh.with_faces(mesh.faces)
    if not np.isfinite(mesh.vertices).all():
        raise InputError("has points that are not numbers (NaN or infinite); write it again")
    return with_unit_normals(_wound_to_one_side(mesh, told), told)


def is_sound(mesh: SurfaceMesh) -> bool:
    """Whether a mesh has nothing to repair: a quick look for files of ours.

    A few points may lie in one place: meshing splits vertices where borders touch, and they stay apart.
    """
    if mesh.normals is None or not np.isfinite(mesh.vertices).all():
        return False
    count = len(mesh.vertices)
    starts, ends = mesh.faces.T.ravel(), np.roll(mesh.faces, -1, axis=1).T.ravel()
    sides = np.sort(starts * count + ends)  # one side twice: wound unlike, there twice, or three on an edge
    return bool(
        (starts != ends).all()
        and (np.diff(sides) > 0).all()
        and np.bincount(starts, minlength=count).all()
        and np.abs(np.linalg.norm(mesh.normals, axis=1) - 1).max(initial=0) <= UNIT
        and (np.einsum("ij,ij->i", mesh.normals, vertex_normals(mesh.vertices, mesh.faces)) > 0).all()
        and len(equal_points(mesh.vertices)[0]) >= MOSTLY_APART * count
    )


def repaired_points(cloud: PointCloud, told: Told) -> PointCloud:
    """The points with unit normals (NaN where none was usable), coincident ones once, the first of each.

    Raises InputError where a point is not finite.
    """
    if not np.isfinite(cloud.points).all():
        raise InputError("has points that are not numbers (NaN or infinite); write it again")
    first, _ = equal_points(cloud.points)
    told(len(cloud.points) - len(first), "points that lie where another does left out")
    cloud = cloud if len(first) == len(cloud.points) else cloud.at(np.sort(first))
    if cloud.normals is None:
        return cloud
    lengths = np.linalg.norm(cloud.normals, axis=1)
    usable = np.isfinite(lengths) & (lengths > 0)
    told(int((~usable).sum()), "normals of no length taken for unknown")
    if not usable.any():
        return replace(cloud, normals=None)
    if usable.all() and np.abs(lengths - 1).max() <= UNIT:
        return cloud
    lengths[~usable] = np.nan
    return replace(cloud, normals=cloud.normals / lengths[:, None])


def equal_points(points: Floats) -> tuple[Ints, Ints]:
    """Index (k,) of the first of each set of equal points, and the set (n,) that each point belongs to."""
    order = np.lexsort((np.arange(len(points)), *points.T))
    ordered = points[order]
    starts = np.ones(len(points), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = np.empty(len(points), dtype=np.int64)
    group[order] = np.cumsum(starts) - 1
    return order[starts], group


def _merged(mesh: SurfaceMesh, told: Told) -> SurfaceMesh:
    """The mesh with the points that lie in one place made one: normals added up, data averaged or first."""
    first, group = equal_points(mesh.vertices)
    near = _near_groups(mesh, first, group)
    first, group = first[near[0]], near[1][group]
    if len(first) == len(mesh.vertices):
        return mesh
    told(len(mesh.vertices) - len(first), "points merged with another in the same place")
    normals = None if mesh.normals is None else _summed(mesh.normals, group, len(first))
    mixed = [name for name, values in mesh.data.items() if not _same_array(values, values[first][group])]
    if mixed:
        told(len(mixed), f"arrays averaged there, since they differ ({', '.join(sorted(mixed))})")
    data = {
        name: _averaged(values, group, len(first)) if name in mixed else values[first]
        for name, values in mesh.data.items()
    }
    return SurfaceMesh(mesh.vertices[first], group[mesh.faces], normals, data)


def _near_groups(mesh: SurfaceMesh, first: Ints, group: Ints) -> tuple[Ints, Ints]:
    """Of points of different places (k,), the first of each set within rounding, and the set of each."""
    points, faces = mesh.vertices[first], group[mesh.faces]
    edges = np.linalg.norm(points[faces[:, 0]] - points[faces[:, 1]], axis=1)
    edges = edges[np.isfinite(edges) & (edges > 0)]
    open_ends = np.unique(boundary_edges(faces))  # rounding parts only what should have been joined
    open_ends = open_ends[np.isfinite(points[open_ends]).all(axis=1)]
    if len(open_ends) == 0 or len(edges) == 0:
        return np.arange(len(points)), np.arange(len(points))
    pairs = cKDTree(points[open_ends]).query_pairs(
        SAME_PLACE * float(np.median(edges)), output_type="ndarray"
    )
    pairs = open_ends[pairs]
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2)
    labels = connected_components(graph, directed=False)[1].astype(np.int64)
    return np.unique(labels, return_index=True)[1], labels


def _same_array(values: NDArray[Any], others: NDArray[Any]) -> bool:
    is_float = np.issubdtype(values.dtype, np.floating)
    return bool(np.allclose(values, others, equal_nan=True) if is_float else np.array_equal(values, others))


def _summed(values: NDArray[Any], group: Ints, count: int) -> Floats:
    """Sums over each group (count, ...), values that are not finite left out."""
    flat = np.nan_to_num(np.asarray(values, np.float64).reshape(len(values), -1), posinf=0.0, neginf=0.0)
    sums = np.column_stack([np.bincount(group, column, count) for column in flat.T])
    return np.asarray(sums.reshape(count, *values.shape[1:]), np.float64)


def _averaged(values: NDArray[Any], group: Ints, count: int) -> NDArray[Any]:
    """Means over each group for floats; of labels and the like the first, since no mean of them is one."""
    if not np.issubdtype(values.dtype, np.floating):
        return values[np.unique(group, return_index=True)[1]]
    known = _summed(np.isfinite(values).astype(np.float64), group, count)
    sums = _summed(values, group, count)
    return np.divide(sums, known, out=np.full_like(sums, np.nan), where=known > 0).astype(values.dtype)


def _sound_faces(mesh: SurfaceMesh, told: Told) -> Ints:
    """The triangles with three corners in different places, each once."""
    ordered = np.sort(mesh.faces, axis=1)
    whole = (ordered[:, 0] != ordered[:, 1]) & (ordered[:, 1] != ordered[:, 2])
    told(int((~whole).sum()), "triangles without area left out")
    faces, ordered = mesh.faces[whole], ordered[whole]
    by_corner = np.lexsort((np.arange(len(faces)), *ordered.T))
    again = np.zeros(len(faces), dtype=bool)
    again[by_corner[1:]] = (ordered[by_corner[1:]] == ordered[by_corner[:-1]]).all(axis=1)
    told(int(again.sum()), "triangles that were there twice left out")
    return faces[~again]


def _half_edges(faces: Ints) -> tuple[Ints, Ints, Mask]:
    """Undirected edge (3 m,) of each side of each triangle, how many share it, and whether it runs upward.

    Sides 0→1 of all triangles come first, then 1→2, then 2→0.
    """
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    upward = ends[:, 0] < ends[:, 1]
    low, high = ends.min(axis=1), ends.max(axis=1)
    edge = np.unique(low * (int(faces.max()) + 1) + high, return_inverse=True)[1].reshape(-1)
    return edge.astype(np.int64), np.bincount(edge)[edge].astype(np.int64), upward


def _cut_open(mesh: SurfaceMesh, told: Told) -> SurfaceMesh:
    """The mesh with each vertex of an edge of three or more triangles doubled, once a sheet."""
    edge, count, _ = _half_edges(mesh.faces)
    crowded = count > 2
    if not crowded.any():
        return mesh
    told(len(np.unique(edge[crowded])), "edges shared by three or more triangles, where it was cut open")
    m = len(mesh.faces)
    starts, ends = mesh.faces.T.ravel(), np.roll(mesh.faces, -1, axis=1).T.ravel()
    touched = np.zeros(len(mesh.vertices), dtype=bool)
    touched[starts[crowded]] = touched[ends[crowded]] = True
    corner = np.arange(3 * m)  # corner k m + t is vertex k of triangle t; half-edge k m + t starts there
    following = (corner + m) % (3 * m)
    here, there = _partners(edge, count == 2)
    same = starts[here] == starts[there]  # wound alike: the two sides run one way
    joined = np.concatenate(
        [
            np.column_stack([here, np.where(same, there, following[there])]),
            np.column_stack([following[here], np.where(same, following[there], there)]),
        ]
    )
    graph = coo_array((np.ones(len(joined)), joined.T), shape=(3 * m, 3 * m))
    fan = connected_components(graph, directed=False)[1]
    place = np.where(touched[starts], len(mesh.vertices) + fan, starts)
    kept, number = np.unique(place, return_index=False, return_inverse=True)
    source = np.zeros(len(kept), dtype=np.int64)
    source[number] = starts
    normals = None if mesh.normals is None else mesh.normals[source]
    data = {name: values[source] for name, values in mesh.data.items()}
    return SurfaceMesh(mesh.vertices[source], number.reshape(3, m).T.astype(np.int64), normals, data)


def _partners(edge: Ints, shared: Mask) -> tuple[Ints, Ints]:
    """The two sides (e,), (e,) of every edge that two triangles share."""
    sides = np.flatnonzero(shared)
    sides = sides[np.argsort(edge[sides], kind="stable")]
    return sides[::2], sides[1::2]


def _wound_to_one_side(mesh: SurfaceMesh, told: Told) -> SurfaceMesh:
    """The mesh with the triangles of each piece wound alike, to the side that its normals or shape tell."""
    flipped = _against_their_piece(mesh.faces)
    faces = np.where(flipped[:, None], mesh.faces[:, ::-1], mesh.faces)
    told(int(flipped.sum()), "triangles turned over to wind like their neighbours")
    piece = component_of_vertices(faces, len(mesh.vertices))
    sign, contradicted = _given_side(mesh, faces, piece)
    told(contradicted, "pieces whose normals point to both sides: made anew from the triangles")
    turned = np.where(sign == 0, _outward(mesh.vertices, faces, piece), sign) < 0
    told(int(turned.sum()), "pieces turned over so that they wind as their normals say, or outward")
    faces = np.where(turned[piece[faces[:, 0]]][:, None], faces[:, ::-1], faces)
    normals = mesh.normals
    if normals is not None and contradicted:
        normals = np.where((sign == 0)[piece][:, None], np.nan, normals)
    return replace(mesh, faces=faces, normals=normals)


def _against_their_piece(faces: Ints) -> Mask:
    """Mask (m,) of the triangles to turn over so that all of a piece wind alike; the fewer of each piece."""
    edge, count, upward = _half_edges(faces)
    one, other = _partners(edge, count == 2)
    m = len(faces)
    if not (upward[one] == upward[other]).any():
        return np.zeros(m, dtype=bool)
    a, b = one % m, other % m
    unlike = upward[one] == upward[other]
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(m, m)).tocsr()
    lookup = {(int(x), int(y)): bool(u) for x, y, u in zip(a, b, unlike, strict=True)}
    piece = connected_components(graph, directed=False)[1]
    flip = np.zeros(m, dtype=bool)
    for seed in np.unique(piece, return_index=True)[1]:
        order, parent = breadth_first_order(graph, seed, directed=False)
        for face in order[1:].tolist():
            above = int(parent[face])
            flip[face] = flip[above] ^ lookup.get((above, face), lookup.get((face, above), False))
    if ((flip[a] ^ flip[b]) != unlike).any():
        raise InputError(
            "winds round to its own back, as a Möbius band does, and has no two sides; cut it open"
        )
    most = np.bincount(piece, flip) > 0.5 * np.bincount(piece)
    return flip ^ most[piece]


def _given_side(mesh: SurfaceMesh, faces: Ints, piece: Ints) -> tuple[Ints, int]:
    """For each piece ±1 as its normals lie to its winding, 0 where unknown; how many are of two minds."""
    count = int(piece.max()) + 1
    if mesh.normals is None:
        return np.zeros(count, dtype=np.int64), 0
    with np.errstate(invalid="ignore"):
        along = np.sign(np.einsum("ij,ij->i", mesh.normals, vertex_normals(mesh.vertices, faces)))
    along = np.nan_to_num(along)
    areas = vertex_areas_nm2(mesh.vertices, faces)
    known = np.bincount(piece, areas * (along != 0), count)
    share = np.bincount(piece, areas * along, count) / np.maximum(known, np.finfo(float).tiny)
    decided = np.abs(share) >= 2 * AGREEING - 1
    sign = np.where(decided, np.sign(share), 0).astype(np.int64)
    return sign, int((~decided & (known > 0)).sum())


def _outward(vertices: Floats, faces: Ints, piece: Ints) -> Ints:
    """For each piece +1, or −1 where it is closed and winds inward."""
    count = int(piece.max()) + 1
    centre = np.column_stack([np.bincount(piece, vertices[:, axis], count) for axis in range(3)])
    centred = vertices - (centre / np.bincount(piece, minlength=count)[:, None])[piece]
    cross = face_cross_products(centred, faces)
    volume = np.bincount(piece[faces[:, 0]], np.einsum("ij,ij->i", centred[faces[:, 0]], cross), count)
    is_open = np.zeros(count, dtype=bool)
    is_open[piece[boundary_edges(faces).ravel()]] = True
    return np.where((volume < 0) & ~is_open, -1, 1)


def with_unit_normals(mesh: SurfaceMesh, told: Told) -> SurfaceMesh:
    """The mesh with its normals of unit length, made from the triangles where they are none or point back.

    All are made anew where many stand far off the triangles, as of a mesh that was turned without them.
    """
    if mesh.normals is None:
        return mesh
    lengths = np.linalg.norm(mesh.normals, axis=1)
    own = vertex_normals(mesh.vertices, mesh.faces)
    usable = np.isfinite(lengths) & (lengths > 0)
    with np.errstate(invalid="ignore"):
        along = np.einsum("ij,ij->i", mesh.normals, own) / lengths
        usable &= along > 0
    if usable.any() and np.mean(along[usable] > SLANTED) < MOSTLY_UPRIGHT:
        usable[:] = False
    told(int((~usable).sum()), "normals made anew from the triangles")
    if usable.all() and np.abs(lengths - 1).max() <= UNIT:
        return mesh
    lengths[~usable] = 1.0
    return replace(mesh, normals=np.where(usable[:, None], mesh.normals / lengths[:, None], own))


def vertex_data(cell_data: Mapping[str, NDArray[Any]], faces: Ints, vertex_count: int) -> dict[str, Floats]:
    """Numbers a triangle (m, ...) as numbers a vertex (n, ...): the mean over its triangles."""
    counts = np.bincount(faces.ravel(), minlength=vertex_count).astype(np.float64)
    means = {}
    for name, values in cell_data.items():
        sums = _summed(np.repeat(values, 3, axis=0), faces.ravel(), vertex_count)
        shape = (-1,) + (1,) * (sums.ndim - 1)
        means[name] = np.divide(
            sums, counts.reshape(shape), out=np.full_like(sums, np.nan), where=counts.reshape(shape) > 0
        )
    return means
