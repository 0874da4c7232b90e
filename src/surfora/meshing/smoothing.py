"""Smoothing a mesh without shrinking it, its rim fixed: damped Laplacian, or bilateral on the normals."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.surface import (
    SurfaceMesh,
    edges_and_counts,
    face_areas_nm2,
    face_cross_products,
    vertex_normals,
)
from surfora.meshing.settings import SmoothSettings
from tomocore.contract import InputError, Progress, no_progress


class Ring(NamedTuple):
    """One-rings: edges (e, 2), adjacency (n, n) of ones, neighbours per vertex, which vertices may move."""

    edges: Ints
    adjacency: csr_array
    valence: Floats
    free: Mask


def smooth_mesh(
    mesh: SurfaceMesh, settings: SmoothSettings = SmoothSettings(), *, progress: Progress = no_progress
) -> SurfaceMesh:
    """The mesh with its vertices smoothed, its rim where it was, and its normals made anew.

    ``damped`` moves each vertex along its normal by λ (n·Lp − m h), where Lp leads to the mean of its
    neighbours, m is their mean squared distance, and h = Σ n·Lp / Σ m over the neighbours is the bend of the
    surface there (on a sphere n·Lp = −m / 2R exactly): what curvature asks for is given back, so a sphere
    keeps its radius. ``plain`` is p ← p + λ Lp. ``bilateral`` averages triangle normals weighted by area and
    likeness (Zheng et al. 2011) and moves vertices into the planes these give (Sun et al. 2007).
    Raises InputError where the mesh has no triangle.
    """
    if len(mesh.faces) == 0:
        raise InputError("a mesh without triangles cannot be smoothed; mesh the points with `surfora mesh`")
    vertices = np.array(mesh.vertices, dtype=np.float64)
    ring = _one_rings(mesh.faces, len(vertices))
    pairs = _touching_triangles(mesh.faces, len(vertices)) if settings.method == "bilateral" else None
    for done in range(settings.iterations):
        progress(done, settings.iterations)
        if pairs is not None:
            move = _into_smoothed_planes(vertices, mesh.faces, pairs, settings.edge_angle_deg)
        elif settings.method == "plain":
            move = _to_neighbours(vertices, ring)
        else:
            move = _to_neighbours_but_bent(vertices, mesh.faces, ring)
        vertices[ring.free] += settings.damping * move[ring.free]
    progress(settings.iterations, settings.iterations)
    return replace(mesh, vertices=vertices, normals=vertex_normals(vertices, mesh.faces))


def _one_rings(faces: Ints, count: int) -> Ring:
    edges, used = edges_and_counts(faces)
    free = np.ones(count, dtype=bool)
    free[edges[used == 1].ravel()] = False
    i, j = np.concatenate([edges, edges[:, ::-1]]).T
    adjacency = csr_array((np.ones(len(i)), (i, j)), shape=(count, count))
    valence = np.bincount(i, minlength=count).astype(np.float64)
    return Ring(edges, adjacency, valence, free & (valence > 0))


def _to_neighbours(vertices: Floats, ring: Ring) -> Floats:
    """Lp (n, 3): from each vertex to the mean of its neighbours."""
    return ring.adjacency @ vertices / np.maximum(ring.valence, 1.0)[:, None] - vertices


def _to_neighbours_but_bent(vertices: Floats, faces: Ints, ring: Ring) -> Floats:
    """Lp along the normal, less what the curvature of the neighbourhood asks for."""
    normals = vertex_normals(vertices, faces)
    rise = np.einsum("ij,ij->i", _to_neighbours(vertices, ring), normals) * ring.free
    squared = np.sum((vertices[ring.edges[:, 0]] - vertices[ring.edges[:, 1]]) ** 2, axis=1)
    around = np.bincount(ring.edges.ravel(), weights=np.repeat(squared, 2), minlength=len(vertices))
    mean_squared = around / np.maximum(ring.valence, 1.0)
    total = ring.adjacency @ (mean_squared * ring.free)  # a rim's one-sided rise says nothing of the bend
    bend = np.divide(ring.adjacency @ rise, total, out=np.zeros_like(total), where=total > 0)
    return (rise - mean_squared * bend)[:, None] * normals


def _into_smoothed_planes(
    vertices: Floats, faces: Ints, pairs: tuple[Ints, Ints], edge_angle_deg: float
) -> Floats:
    """Mean move (n, 3) of each vertex into its triangles' planes, after their normals are smoothed."""
    normals = _bilateral_normals(vertices, faces, pairs, edge_angle_deg)
    centres = vertices[faces].mean(axis=1)
    move = np.zeros_like(vertices)
    for corner in range(3):
        height = np.einsum("ij,ij->i", centres - vertices[faces[:, corner]], normals)
        for axis in range(3):
            move[:, axis] += np.bincount(
                faces[:, corner], weights=height * normals[:, axis], minlength=len(vertices)
            )
    touching = np.bincount(faces.ravel(), minlength=len(vertices))
    return move / np.maximum(touching, 1)[:, None]


def _touching_triangles(faces: Ints, vertex_count: int) -> tuple[Ints, Ints]:
    """Pairs i, j of triangles that share a vertex, each triangle with itself too."""
    triangle = np.repeat(np.arange(len(faces)), 3)
    corners = csr_array((np.ones(len(triangle)), (triangle, faces.ravel())), shape=(len(faces), vertex_count))
    i, j = (corners @ corners.T).tocoo().coords
    return i, j


def _bilateral_normals(
    vertices: Floats, faces: Ints, pairs: tuple[Ints, Ints], edge_angle_deg: float
) -> Floats:
    """Unit triangle normals (m, 3), each the mean over triangles that share a vertex with it.

    Weights: the area, times exp(−|Δn|² / 2σ²) with σ the chord of ``edge_angle_deg``.
    """
    area = face_areas_nm2(vertices, faces)
    normals = face_cross_products(vertices, faces) / np.maximum(2 * area, 1e-30)[:, None]
    i, j = pairs
    sigma = 2 * np.sin(np.deg2rad(edge_angle_deg) / 2)
    weight = area[j] * np.exp(-np.sum((normals[i] - normals[j]) ** 2, axis=1) / (2 * sigma**2))
    mean = csr_array((weight, (i, j)), shape=(len(faces), len(faces))) @ normals
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-30)
