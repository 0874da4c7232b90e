"""Meshes cut along the line where a value passes a level: vertices inserted, no saw teeth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.surface import SurfaceMesh

SNAP = 0.01  # share of an edge within which the line is moved onto a vertex: no needles


def share_below(faces: Ints, values: Floats, level: float) -> Floats:
    """Share (m,) of each face's area where vertex ``values`` (n,), linear in it, lie below a level.

    Below is not at: a face that lies on the level itself has no share.
    """
    low, middle, high = np.sort(values[faces], axis=1).T
    share = np.where((level >= high) & (level > low), 1.0, 0.0)
    tip = (low < level) & (level <= middle) & (level < high)
    share[tip] = ((level - low) ** 2)[tip] / ((middle - low) * (high - low))[tip]
    rest = (middle < level) & (level < high)
    share[rest] = 1 - ((high - level) ** 2)[rest] / ((high - middle) * (high - low))[rest]
    return share


def cut_mesh(mesh: SurfaceMesh, values: Floats, level: float = 0.0) -> tuple[SurfaceMesh, Mask]:
    """The mesh with a vertex wherever ``values`` (n,) pass the level on an edge, and which faces are above.

    Every face lies on one side of the line, those on the level itself above it; winding is kept, and
    neighbours share the new vertices. Positions, normals and real-valued arrays are interpolated (NaN where
    either end is); other arrays take one end's value. A line within a hundredth of an edge from a vertex
    goes through it.
    """
    signs = _signs(mesh.faces, values - level)
    at_corner = signs[mesh.faces]
    a, b, c = at_corner.T  # numpy takes ten times as long along rows of three
    lowest, highest = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    is_crossed = (lowest < 0) & (highest > 0)
    crossed, signs_there = mesh.faces[is_crossed], at_corner[is_crossed]
    one = (signs_there == 0).any(axis=1)
    halves = _turned(crossed[one], signs_there[one] == 0)
    tip_signs = signs_there[~one]
    tips = _turned(crossed[~one], tip_signs == -np.sign(tip_signs.sum(axis=1, keepdims=True)))
    a, b, c = tips.T
    edges, place = _numbered(np.concatenate([halves[:, 1:], tips[:, [0, 1]], tips[:, [0, 2]]]))
    m, p, q = np.split(place + len(mesh.vertices), np.cumsum([len(halves), len(tips)]))
    cut = _with_vertices_on(mesh, edges, values - level)
    z, d, e = halves.T
    sides = np.concatenate([signs[d], signs[e], signs[a], signs[b], signs[b]]) > 0
    pieces = [
        np.stack([z, d, m], axis=1),
        np.stack([z, m, e], axis=1),
        np.stack([a, p, q], axis=1),
        *_quadrangles(cut.vertices, p, b, c, q),
    ]
    above = np.concatenate([lowest[~is_crossed] >= 0, sides])
    faces = np.concatenate([mesh.faces[~is_crossed], *pieces])
    return SurfaceMesh(cut.vertices, faces, cut.normals, cut.data), above


def _signs(faces: Ints, values: Floats) -> Ints:
    """−1, 0 or 1 for each vertex (n,); 0 also where the line passes within `SNAP` of it on an edge."""
    one, two, three = (values < 0)[faces].T
    passed = faces[(one != two) | (two != three)]
    ends = np.concatenate([passed[:, [0, 1]], passed[:, [1, 2]], passed[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    here, there = values[ends[:, 0]], values[ends[:, 1]]
    near = (here < 0) != (there < 0)
    near &= np.abs(here) < SNAP * np.abs(here - there)
    signs = np.sign(values).astype(np.int64)
    signs[ends[near, 0]] = 0
    return signs


def _turned(faces: Ints, first: Mask) -> Ints:
    """The faces (m, 3) begun at the one corner that is marked in ``first`` (m, 3)."""
    order = (np.argmax(first, axis=1)[:, None] + np.arange(3)) % 3
    return np.take_along_axis(faces, order, axis=1)


def _numbered(edges: Ints) -> tuple[Ints, Ints]:
    """The different edges (e, 2), lower vertex first, and the number of each given one among them."""
    pairs = np.sort(edges, axis=1)
    span = int(pairs.max(initial=0)) + 1
    keys, place = np.unique(pairs[:, 0] * span + pairs[:, 1], return_inverse=True)
    return np.column_stack(np.divmod(keys, span)), place.ravel()


def _quadrangles(vertices: Floats, p: Ints, b: Ints, c: Ints, q: Ints) -> tuple[Ints, Ints]:
    """Two triangles (k, 3) each for the quadrangles p b c q, along the shorter diagonal."""
    along_pc = np.linalg.norm(vertices[p] - vertices[c], axis=1) <= np.linalg.norm(
        vertices[b] - vertices[q], axis=1
    )
    first = np.where(along_pc[:, None], np.stack([p, b, c], axis=1), np.stack([p, b, q], axis=1))
    second = np.where(along_pc[:, None], np.stack([p, c, q], axis=1), np.stack([b, c, q], axis=1))
    return first, second


def _with_vertices_on(mesh: SurfaceMesh, edges: Ints, values: Floats) -> SurfaceMesh:
    """The mesh with a vertex added where the values pass zero on each of these edges (e, 2)."""
    low, high = values[edges[:, 0]], values[edges[:, 1]]
    share = low / (low - high)

    def extended(array: NDArray[Any]) -> NDArray[Any]:
        one, other = array[edges[:, 0]], array[edges[:, 1]]
        if array.dtype.kind == "f":
            part = share.reshape(-1, *[1] * (array.ndim - 1))
            one = ((1 - part) * one + part * other).astype(array.dtype)
        return np.concatenate([array, one])

    normals = None
    if mesh.normals is not None:
        normals = extended(mesh.normals)
        normals = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-300)
    data = {name: extended(array) for name, array in mesh.data.items()}
    return SurfaceMesh(extended(mesh.vertices), mesh.faces, normals, data)
