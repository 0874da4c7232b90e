"""Consistently oriented normals of a point cloud, pointing to a stated side of each membrane."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import potpourri3d
from scipy.sparse.csgraph import connected_components

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.repair import equal_points
from surfora.orientation.agreement import (
    Agreement,
    Graph,
    agreement,
    neighbour_graph,
    patches,
    plain_agreement,
    smoothed_axes,
    smoothed_normals,
    spanning_tree,
    vote,
)
from surfora.orientation.dipole import dipole_signs, point_areas, settle_patches
from surfora.orientation.jet_normals import checked_points
from surfora.orientation.settings import OrientSettings
from surfora.orientation.sides import (
    Component,
    Side,
    closed_side,
    convex_side,
    layer_side,
    lumen_side,
    partner_side,
)
from tomocore.contract import InputError

log = logging.getLogger(__name__)

TOSS_UP = 0.5  # confidence below which a component's side is warned about


@dataclass(frozen=True)
class Orientation:
    """Unit normals (n, 3); component (n,) of each point, −1 where the normal was not usable (and is NaN).

    ``confidence`` (c,) is that of each component's side, from 0, a toss-up, to 1; ``rule`` (c,) says what
    decided it.
    """

    normals: Floats
    component: Ints
    confidence: Floats
    rule: tuple[str, ...]


def orient_normals(
    points: Floats,
    normals: Floats,
    settings: OrientSettings | None = None,
    lumen_point_nm: Floats | tuple[float, float, float] | None = None,
    partner_points: Floats | None = None,
) -> Orientation:
    """Normals that agree along each surface, smoothed, and point to the side that the settings ask for.

    points, normals: (n, 3) in nm; the signs of the normals mean nothing (``jet_normals``,
    ``medial_points``). lumen_point_nm: x, y, z, needed by side "lumen". partner_points: (m, 3), needed by
    the partner sides. Raises InputError where these are missing or the arrays do not fit.
    """
    settings = settings or OrientSettings()
    points = checked_points(points, at_least=4)
    normals = np.asarray(normals, dtype=np.float64)
    if normals.shape != points.shape:
        raise InputError(f"normals come as one x, y, z a point, {points.shape}; got {normals.shape}")
    first, group = equal_points(points)
    if len(first) < len(points):
        once = orient_normals(points[first], normals[first], settings, lumen_point_nm, partner_points)
        return replace(once, normals=once.normals[group], component=once.component[group])
    lumen, partner = _side_targets(settings, lumen_point_nm, partner_points)
    usable = np.isfinite(normals).all(axis=1)
    if usable.sum() < 4:
        raise InputError(
            "fewer than 4 points have a usable normal, as where all lie on a line; a surface needs points "
            "beside each other in two directions"
        )
    axes = normals[usable] / np.linalg.norm(normals[usable], axis=1, keepdims=True)
    agreed, labels = consistent_normals(points[usable], axes, settings)
    sides = _sides(points[usable], agreed, labels, settings, lumen, partner)
    signs = np.array([side.sign for side in sides])
    oriented = np.full(points.shape, np.nan)
    oriented[usable] = agreed * signs[labels, None]
    component = np.full(len(points), -1)
    component[usable] = labels
    confidence = np.array([side.confidence for side in sides])
    _warn_of_toss_ups(component, confidence)
    return Orientation(oriented, component, confidence, tuple(side.rule for side in sides))


def consistent_normals(points: Floats, axes: Floats, settings: OrientSettings) -> tuple[Floats, Ints]:
    """Normals (n, 3) that agree within each component, whichever side they point to; components (n,)."""
    graph = neighbour_graph(points, settings.neighbours, settings.longest_link_spacings)
    seeds = np.random.default_rng(settings.seed).permutation(len(points))
    if settings.method == "tangent_plane":
        tree = spanning_tree(plain_agreement(graph, axes), seeds)
        return axes * tree.sign[:, None], tree.component
    axes = smoothed_axes(graph, axes)
    geodesic = _heat_distance(points, graph, seeds) if settings.method == "geodesic" else None
    agreed = agreement(graph, axes, geodesic)
    tree = spanning_tree(agreed, seeds)
    signs = tree.sign
    if settings.method == "dipole":
        signs = dipole_signs(points, axes, point_areas(points), tree)
    elif settings.method == "winding":
        signs = _settled(points, axes, agreed, patches(tree), tree.component, signs)
    signs = vote(agreed, signs, settings.vote_rounds, settings.seed)
    oriented = axes * signs[:, None]
    oriented = smoothed_normals(graph, oriented, settings.smoothing, settings.smoothing_rounds)
    return oriented, tree.component


def _settled(
    points: Floats, axes: Floats, agreed: Agreement, patch: Ints, component: Ints, signs: Floats
) -> Floats:
    """Signs with the patches of each component set against each other by the winding number."""
    moments = axes * (signs * point_areas(points))[:, None]
    component_of_patch = np.zeros(patch.max() + 1, dtype=np.int64)
    component_of_patch[patch] = component
    settled = np.ones(len(component_of_patch))
    for label in np.flatnonzero(np.bincount(component_of_patch) > 1):
        inside = component == label
        local = np.unique(patch[inside], return_inverse=True)
        settled[local[0]] = settle_patches(
            points[inside], moments[inside], local[1], agreed.within(inside), signs[inside]
        )
    return signs * settled[patch]


def _heat_distance(points: Floats, graph: Graph, seeds: Ints) -> Floats:
    """Geodesic distance (n,) from one seed a component, by the heat method on the cloud (Crane 2013).

    A component on which it fails (too few points, a line) gets 0 throughout, which weighs nothing.
    """
    _, component = connected_components(graph.matrix(np.ones(len(graph.first))), directed=False)
    distance = np.zeros(len(points))
    for label in np.unique(component):
        inside = np.flatnonzero(component == label)
        seed = seeds[np.argmax(component[seeds] == label)]
        try:
            solver = potpourri3d.PointCloudHeatSolver(points[inside])
            solved = solver.compute_distance(int(np.searchsorted(inside, seed)))
        except (RuntimeError, ValueError):
            continue
        if np.isfinite(solved).all():
            distance[inside] = solved
    return distance


def _side_targets(
    settings: OrientSettings,
    lumen_point_nm: Floats | tuple[float, float, float] | None,
    partner_points: Floats | None,
) -> tuple[Floats | None, Floats | None]:
    lumen = None if lumen_point_nm is None else np.asarray(lumen_point_nm, dtype=np.float64)
    if settings.side == "lumen" and (lumen is None or lumen.shape != (3,) or not np.isfinite(lumen).all()):
        raise InputError("side 'lumen' needs one point x, y, z in nm inside; give it or choose 'convex'")
    partner = None if partner_points is None else checked_points(partner_points)
    if settings.side.startswith("partner") and partner is None:
        raise InputError(f"side '{settings.side}' needs the partner's points; give them or choose 'convex'")
    return lumen, partner


def _sides(
    points: Floats,
    normals: Floats,
    labels: Ints,
    settings: OrientSettings,
    lumen: Floats | None,
    partner: Floats | None,
) -> list[Side]:
    areas = point_areas(points)
    sides = []
    for label in range(labels.max() + 1):
        own = labels == label
        part = Component(points[own], normals[own], areas[own])
        side = closed_side(part, settings.closed_share)
        if side is None and settings.side == "lumen" and lumen is not None:
            side = lumen_side(part, lumen)
        elif side is None and settings.side.startswith("partner") and partner is not None:
            side = partner_side(part, partner, toward=settings.side == "partner_toward")
        elif side is None:
            layered = layer_side(part, points[~own], settings.layer_reach_nm)
            bent = convex_side(part)
            prefers_layer = settings.side == "layers" or bent.confidence < TOSS_UP
            side = layered if layered is not None and prefers_layer else bent
        sides.append(side)
    return sides


def _warn_of_toss_ups(component: Ints, confidence: Floats) -> None:
    doubtful = np.flatnonzero(confidence < TOSS_UP)
    if len(doubtful) == 0:
        return
    share = np.isin(component, doubtful).mean()
    log.warning(
        "%d of %d components (%.0f %% of the points) are too flat to tell which side their normals should "
        "point to; name a place inside (--lumen) or what lies inside what (--inside) to decide",
        len(doubtful),
        len(confidence),
        100 * share,
    )
