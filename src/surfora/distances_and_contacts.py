"""Distances, contacts and table rows of finished surfaces: the meshes of one group of partners at a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from surfora.earlier_run import COLUMNS_OF, EarlierRun, Row, RunTables
from surfora.geometry.files import write_surface
from surfora.geometry.nearest import Scenes, Way
from surfora.geometry.surface import SurfaceMesh
from surfora.measures.beside_masks import BesideMasks, Neighbours
from surfora.measures.contacts.contacts_of_pair import (
    ID,
    contact_partners,
    contacts_of_pair,
    folded_surfaces,
    without_contacts,
)
from surfora.measures.density import mesh_density
from surfora.measures.density.density import without_density
from surfora.measures.density.files import NO_LEAFLETS
from surfora.measures.distance_pairs import (
    MeasuredSurface,
    Pair,
    SurfaceFile,
    measured_distances,
    paired_surfaces,
    read_measured,
    require_common_place,
    unmatched_pairs,
)
from surfora.measures.valid_region import ValidRegion, with_depths
from surfora.reporting.tables import surface_row
from surfora.settings import SurforaSettings
from tomocore.contract import FAILURES, Batch, InputError, about
from tomocore.provenance import RunRecord
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)


def measured_tables(
    surfaces: Sequence[SurfaceFile],
    pairs: Sequence[Pair] | None,
    settings: SurforaSettings,
    record: RunRecord,
    outcome: Batch,
    earlier: EarlierRun | None = None,
    beside: BesideMasks | None = None,
) -> RunTables:
    """The rows of all tables, in the order of the surfaces' files; distances and contacts go into the files.

    ``surfaces`` are all that were measured, ``pairs`` those asked for (see `paired_surfaces`). What
    ``earlier`` has measured of the same files is not measured again. ``beside`` tells the tomograms whose
    density is measured, and the valid regions. ``settings`` are those of distance, density and contacts;
    stages are noted in ``record``, failures in ``outcome``.
    """
    _tell_unmatched(surfaces, pairs or (), outcome)
    groups = partner_groups(surfaces, pairs)
    neighbours = Neighbours(surfaces)
    found: list[RunTables] = []
    for group in groups:
        number = sum(len(one.contacts) for one in found)
        kept = earlier.of_group(group, pairs) if earlier else None
        if earlier and kept:
            record.add_warnings(earlier.warnings_of(group))
        else:
            around = beside or BesideMasks()
            kept = _Group(group, pairs, settings, record, outcome, around, neighbours).measured(number)
        found.append(_numbered(kept, group, number))
    return _in_order(found, surfaces, pairs)


def partner_groups(surfaces: Sequence[SurfaceFile], pairs: Sequence[Pair] | None) -> list[list[SurfaceFile]]:
    """The surfaces by groups that share a membrane or are measured to each other, in order of the first."""
    members: dict[str, list[SurfaceFile]] = {}
    for one in surfaces:
        members.setdefault(one.name, []).append(one)
    for source, target in paired_surfaces(surfaces, pairs):
        mine, other = members[source.name], members[target.name]
        if mine is not other:
            mine += other
            members |= {one.name: mine for one in other}
    place = {one.path: k for k, one in enumerate(surfaces)}
    groups = {id(group): sorted(group, key=lambda one: place[one.path]) for group in members.values()}
    return sorted(groups.values(), key=lambda group: place[group[0].path])


@dataclass
class _Group:
    """Surfaces that are measured to each other, with all that is needed for it."""

    surfaces: Sequence[SurfaceFile]
    pairs: Sequence[Pair] | None
    settings: SurforaSettings
    record: RunRecord
    outcome: Batch
    beside: BesideMasks
    neighbours: Neighbours
    latest: dict[Path, MeasuredSurface] = field(default_factory=dict)
    changed: set[Path] = field(default_factory=set)
    ways: dict[tuple[Path, Path], Way] = field(default_factory=dict)

    def measured(self, number: int) -> RunTables:
        """The rows of the group, whose files take the arrays on; its first contact has the next number."""
        self.latest = {one.path: replace(read_measured(one.path), facts=one.facts) for one in self.surfaces}
        tables = RunTables(distances=self._distances())
        for one in self.surfaces:
            self._look_at_tomogram(one)
        tables.contacts, tables.contact_curve = self._contacts(tables.distances, number)
        for path in self.changed:
            write_surface(path, self.latest[path].mesh, self.latest[path].facts)
        tables.surfaces = [surface_row(one.mesh, one.facts) for one in self.latest.values()]
        return tables

    def _distances(self) -> list[Row]:
        """The rows of distances.csv (both ways for a pair)."""
        rows: list[Row] = []
        scenes = Scenes()
        for source, target in paired_surfaces(self.surfaces, self.pairs):
            both = " to ".join(sorted((source.name, target.name)))
            one, other = self.latest[source.path], self.latest[target.path]
            try:
                _tell_place(source, target, self.outcome)
                measured, row, way = measured_distances(
                    one, other, self.settings.distance, self.record, scenes
                )
            except FAILURES as error:
                if both not in self.outcome.failed:
                    self.outcome.fail(both, error)
                continue
            self.latest[source.path] = measured
            self.changed.add(source.path)
            self.ways[source.path, target.path] = way
            rows.append(row)
        return rows

    def _look_at_tomogram(self, one: SurfaceFile) -> None:
        """Give a surface its depths in the valid region, and a middle what the density tells of it."""
        before = self.latest[one.path].mesh
        mesh = without_density(before)
        try:
            with about(one.name):
                mesh = self._in_tomogram(one, mesh)
        except FAILURES as error:
            self.outcome.fail(f"density of {one.name}", error)
        if mesh is not before:
            self.latest[one.path] = replace(self.latest[one.path], mesh=mesh)
            self.changed.add(one.path)

    def _in_tomogram(self, one: SurfaceFile, mesh: SurfaceMesh) -> SurfaceMesh:
        mask = Path(one.facts.source)
        region = self.beside.region(mask, one.grid)
        if region is not None:
            mesh = with_depths(mesh, region)
        tomogram = self.beside.tomogram(mask, one.grid) if one.facts.kind == "medial" else None
        return mesh if tomogram is None else self._with_density(one, mesh, tomogram, region)

    def _with_density(
        self, one: SurfaceFile, mesh: SurfaceMesh, tomogram: Volume, region: ValidRegion | None
    ) -> SurfaceMesh:
        """A middle with the arrays of its density; what was found is noted, and told where it lacks."""
        density = self.settings.density
        reach_nm = density.half_length_nm + density.clearance_nm
        with self.record.stage("density", one.name) as counts:
            others = self.neighbours.near(one, mesh, reach_nm)
            found = mesh_density(
                mesh, tomogram, density, wedge=self.settings.wedge, beside=others, valid=region
            )
            counts["contrast"] = found.contrast
        if not found.has_leaflets:
            log.warning("%s", NO_LEAFLETS)
        return found.mesh

    def _contacts(self, distances: Sequence[Row], number: int) -> tuple[list[Row], list[Row]]:
        """The rows of contacts.csv and of contact_curve.csv.

        Contacts are those of all pairs that distances run between, and of membranes with themselves where
        that was asked for.
        """
        self.changed |= {path for path, one in self.latest.items() if ID in one.mesh.data}
        self.latest = {path: without_contacts(one) for path, one in self.latest.items()}
        folds = [(one, one) for one in folded_surfaces(self.surfaces, self.pairs or ())]
        rows: list[Row] = []
        curve: list[Row] = []
        for first, second in (*contact_partners(self.surfaces, distances), *folds):
            both = f"contacts of {first.name} and {second.name}"
            try:
                with (
                    self.outcome.watcher.progress(both) as progress,
                    self.record.stage("contacts", both) as counts,
                ):
                    found = contacts_of_pair(
                        self.latest[first.path],
                        self.latest[second.path],
                        self.settings.distance.contact_distance_nm,
                        self.settings.contacts,
                        begin=number + len(rows) + 1,
                        progress=progress,
                        ways=(
                            self.ways.get((first.path, second.path)),
                            self.ways.get((second.path, first.path)),
                        ),
                    )
                    counts["contacts"], counts["left out"] = len(found.rows), found.left_out
            except FAILURES as error:
                self.outcome.fail(both, error)
                continue
            self.latest |= {first.path: found.first, second.path: found.second}
            self.changed |= {first.path, second.path}
            rows += found.rows
            curve += found.curve
        return rows, curve


def _numbered(kept: RunTables, group: Sequence[SurfaceFile], number: int) -> RunTables:
    """A group's rows with its contacts numbered on from ``number``, as in a run that measures all anew.

    Where another group before it changed, its files get the new numbers, too.
    """
    shift = number + 1 - min((row["contact"] for row in kept.contacts), default=number + 1)
    if shift == 0:
        return kept
    for surface in (read_measured(one.path) for one in group):
        ids = surface.mesh.data.get(ID)
        if ids is not None:
            moved = np.where(ids > 0, ids + shift, 0).astype(np.int32)
            write_surface(surface.path, surface.mesh.with_data(**{ID: moved}), surface.facts)
    contacts: list[Row] = [{**row, "contact": row["contact"] + shift} for row in kept.contacts]
    return replace(kept, contacts=contacts, are_kept=False)


def _in_order(
    found: Sequence[RunTables], surfaces: Sequence[SurfaceFile], pairs: Sequence[Pair] | None
) -> RunTables:
    """The rows of all groups: surfaces and distances in the order asked for, contacts group by group."""
    tables = RunTables(are_kept=all(one.are_kept for one in found))
    for table in COLUMNS_OF:
        tables.rows(table).extend(row for one in found for row in one.rows(table))
    place = {(one.name, one.facts.kind): k for k, one in enumerate(surfaces)}
    way = {
        (a.name, a.facts.kind, b.name, b.facts.kind): k
        for k, (a, b) in enumerate(paired_surfaces(surfaces, pairs))
    }
    tables.surfaces.sort(key=lambda row: place[row["name"], row["kind"]])
    tables.distances.sort(key=lambda row: way[row["name"], row["kind"], row["target"], row["target_kind"]])
    return tables


def _tell_unmatched(surfaces: Sequence[SurfaceFile], pairs: Sequence[Pair], outcome: Batch) -> None:
    """A failure where pairs are asked for that no two surfaces answer to."""
    unmatched = unmatched_pairs(surfaces, pairs)
    if unmatched:
        known = sorted({str(surface.facts.label or surface.name) for surface in surfaces})
        said = (
            f"--distances {' '.join(unmatched)}: no two such surfaces of one mask and ROI; there are "
            f"{', '.join(known) or 'none'}"
        )
        outcome.fail("distances", InputError(said))


def _tell_place(source: SurfaceFile, target: SurfaceFile, outcome: Batch) -> None:
    """Tell once a pair where the grids of its masks lie if they are not one; InputError where unknown."""
    line = require_common_place(*sorted((source, target), key=lambda surface: surface.name))
    if line and source.name < target.name:
        outcome.watcher.say(line)
