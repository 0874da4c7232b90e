"""Distances between finished surfaces: which are paired, their arrays, and a row a pair."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, TypeVar

from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_facts, read_mesh
from surfora.geometry.nearest import Scenes, Way, way_to
from surfora.geometry.surface import SurfaceMesh
from surfora.masks.grids import (
    Grid,
    differences,
    grid_from,
    kept_its_corner,
    lost_its_place,
    places_are_known,
)
from surfora.measures.distance import (
    along_normal_columns,
    distance_arrays,
    distance_evidence_columns,
    distance_summary,
)
from surfora.measures.settings import DistanceSettings
from tomocore.contract import InputError
from tomocore.provenance import RunRecord

log = logging.getLogger(__name__)

Pair = tuple[str, str]

PARTNER_KIND = {"medial": "medial", "inner": "isosurface", "outer": "isosurface"}
"""What distances run to: from middle to middle, and from each leaflet to whatever face is nearest."""


@dataclass(frozen=True)
class SurfaceFile:
    """The file of a finished surface, and what is known of it without its mesh."""

    path: Path
    facts: SurfaceFacts

    @property
    def name(self) -> str:
        """NAME of the file contract, without the kind of surface."""
        return self.facts.name

    @property
    def is_filled(self) -> bool:
        """Whether it is the boundary of a filled body, its only surface."""
        return self.facts.filled

    @property
    def grid(self) -> Grid | None:
        """The grid of its mask file; None for surfaces of older runs."""
        return grid_from(self.facts.grid) if self.facts.grid else None

    def answers_to(self, name: str) -> bool:
        """Whether a user's name for a surface means this one: its label or its whole NAME."""
        return name in (self.facts.label, self.name)


@dataclass(frozen=True)
class MeasuredSurface(SurfaceFile):
    """A finished surface: its file, what is known of it, and its mesh with all arrays."""

    mesh: SurfaceMesh


S = TypeVar("S", bound=SurfaceFile)


def surface_file(path: Path) -> SurfaceFile:
    """A finished surface without its mesh. Raises InputError for one that `surfora run` did not write."""
    facts = read_facts(path)
    if facts is None:
        raise InputError(f"{path}: was not written by `surfora run`; leave it out or run again")
    return SurfaceFile(path, facts)


def read_measured(path: Path) -> MeasuredSurface:
    """A finished surface from its VTP file. Raises InputError for one that `surfora run` did not write."""
    mesh = read_mesh(path)  # first, as it says what is wrong with a file
    return MeasuredSurface(path, surface_file(path).facts, mesh)


def paired_surfaces(surfaces: Sequence[S], pairs: Sequence[Pair] | None) -> list[tuple[S, S]]:
    """Source and target of every distance, both ways: of the same mask file (for labels) and ROI.

    Without ``pairs``, all membranes that share an ROI are paired: one number of one file, since other files
    are of other tomograms. Each is measured once, however often it is asked for.
    """
    if pairs is None:
        within_rois = [surface for surface in surfaces if surface.facts.roi is not None]
        every = permutations(within_rois, 2)
        return [(a, b) for a, b in every if _of_one_file(a, b) and _together(a, b)]
    asked = [match for pair in pairs for match in _answering(surfaces, pair)]
    return list({(source.path, target.path): (source, target) for source, target in asked}.values())


def unmatched_pairs(surfaces: Sequence[SurfaceFile], pairs: Sequence[Pair]) -> list[str]:
    """The pairs, as a user writes them, whose names no two surfaces answer to."""
    lacking = [pair for pair in pairs if not any(_answering(surfaces, pair))]
    named = {pair for pair in lacking if any(surface.answers_to(pair[0]) for surface in surfaces)}
    return [":".join(pair) for pair in lacking if pair[0] != pair[1] or pair not in named]


def measured_distances(
    source: MeasuredSurface,
    target: MeasuredSurface,
    settings: DistanceSettings,
    record: RunRecord,
    scenes: Scenes | None = None,
) -> tuple[MeasuredSurface, dict[str, Any], Way]:
    """The source with its distance to the target as an array, the pair's row, and the way there.

    source, target: two surfaces; settings: of the section ``distance``; record: times it; scenes: of meshes
    that more than one pair is of.
    """
    with record.stage("distance", f"{source.name} {source.facts.kind} to {target.name}"):
        way = way_to(source.mesh, target.mesh, scenes)
    distances, along_nm = way.nearest, way.along_nm
    mesh = source.mesh.with_data(**distance_arrays(target.name, distances.distance_nm, along_nm))
    names = {
        "name": source.name,
        "kind": source.facts.kind,
        "label": source.facts.label,
        "target": target.name,
        "target_kind": target.facts.kind,
        "target_label": target.facts.label,
        "roi": source.facts.roi,
    }
    summary = distance_summary(source.mesh, distances, settings)
    evidence = distance_evidence_columns(mesh, distances.distance_nm, settings.contact_distance_nm)
    along = along_normal_columns(mesh, distances.distance_nm, along_nm, settings)
    return replace(source, mesh=mesh), names | summary | along | evidence, way


def _answering(surfaces: Sequence[S], pair: Pair) -> Iterator[tuple[S, S]]:
    for source_name, target_name in (pair, pair[::-1]):
        sources = [surface for surface in surfaces if surface.answers_to(source_name)]
        targets = [surface for surface in surfaces if surface.answers_to(target_name)]
        yield from ((a, b) for a in sources for b in targets if _together(a, b))


def _of_one_file(source: SurfaceFile, target: SurfaceFile) -> bool:
    """Whether the ROIs of two surfaces are of one file, as far as is known: earlier versions did not say."""
    a, b = source.facts.rois, target.facts.rois
    return a == b or not (a and b)


def _together(source: SurfaceFile, target: SurfaceFile) -> bool:
    """Two membranes of one ROI, of kinds that belong together; labels of one mask, or without labels."""
    a, b = source.facts, target.facts
    same_mask = a.source == b.source or not (a.label or b.label)
    return source.name != target.name and same_mask and a.roi == b.roi and _fitting(source, target)


def _fitting(source: SurfaceFile, target: SurfaceFile) -> bool:
    """Whether distances run between these kinds; a filled body's boundary stands for middle and leaflet."""
    if target.is_filled:
        return source.is_filled or source.facts.kind in PARTNER_KIND
    if source.is_filled:
        return target.facts.kind in ("medial", "isosurface")
    return PARTNER_KIND.get(source.facts.kind) == target.facts.kind


def require_common_place(source: SurfaceFile, target: SurfaceFile) -> str:
    """How the grids of two surfaces' masks differ, in a line, or "" where they are one grid or in doubt.

    Of doubt a warning is given: what headers say is taken, though programs often write such ones wrongly.
    Raises InputError where nothing tells how they lie to each other.
    """
    a, b = source.grid, target.grid
    if a is None or b is None or not differences(a, b):
        return ""
    told = f"{source.name} has {a}, {target.name} {b}"
    if not places_are_known(a, b):
        raise InputError(
            f"{source.name} to {target.name}: not measured, the places of their masks are unknown: {told}, "
            "and no header says where the smaller one lies; crop with the origin kept, or pad it to one grid"
        )
    doubt = _doubt(a, b)
    if doubt:
        log.warning("%s: has %s, %s %s: placed by their headers; %s", source.name, a, target.name, b, doubt)
        return ""
    return f"{told}: placed by their headers"


def _doubt(a: Grid, b: Grid) -> str:
    """What may be wrong with the places that the headers of two grids give."""
    if kept_its_corner(a, b):
        off_nm = abs(a.voxel_size_nm - b.voxel_size_nm) / 2
        return (
            "if one was binned without moving its origin by half of what its voxels grew, it lies "
            f"{off_nm:.3g} nm off along x, y and z"
        )
    if lost_its_place(a, b):
        return (
            "if both are of one tomogram, a program dropped the origin of one, and their distances are wrong"
        )
    return ""
