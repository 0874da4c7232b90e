"""`surfora contacts`: the contacts of meshes in files, as tables, arrays on both meshes, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surfora.geometry.facts import SurfaceFacts, surface_name
from surfora.geometry.files import read_facts, read_mesh, write_surface
from surfora.geometry.request import StageRequest
from surfora.measures.contacts.contacts_of_pair import contacts_of_pair, without_contacts
from surfora.measures.contacts.settings import ContactSettings
from surfora.measures.distance_pairs import MeasuredSurface, require_common_place
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.contact_objects import (
    contact_object_sections,
    contact_pictures,
    contact_sentences,
)
from surfora.reporting.tables import read_table, write_table
from tomocore.contract import NOBODY, Batch, InputError, Watcher
from tomocore.files import existing, remove_leftovers, writable_folder, written_together
from tomocore.page import Page, write_page

TABLE, CURVE, PAGE = "contacts.csv", "contact_curve.csv", "contacts.html"


@dataclass(frozen=True)
class ContactRequest:
    """What `surfora contacts` is asked for; a partner that is the mesh itself means its folds."""

    of: StageRequest
    partners: tuple[Path, ...]
    threshold_nm: float

    @property
    def folder(self) -> Path:
        """Where all files are written."""
        return self.of.target


@dataclass
class ContactOutcome(Batch):
    """What became of each pair, the sentences on them, and where the page lies (None: nothing made)."""

    sentences: list[str] = field(default_factory=list)
    page: Path | None = None


def contacts_to_folder(
    request: ContactRequest, settings: ContactSettings = ContactSettings(), watcher: Watcher = NOBODY
) -> ContactOutcome:
    """Write contacts.csv, contact_curve.csv, contacts.html and all meshes with ``contact_id`` into a folder.

    All of these come together; where the table exists, everything is skipped unless ``overwrite``. Raises
    InputError where a mesh cannot be read, two of them have one NAME, or the meshes would be overwritten in
    place without being asked.
    """
    outcome = ContactOutcome(watcher)
    table = request.folder / TABLE
    if table.exists() and not request.of.overwrite:
        outcome.skip(str(table), "it exists; pass --overwrite to replace it")
        return outcome
    paths = list(dict.fromkeys(existing(path).resolve() for path in (request.of.source, *request.partners)))
    _require_own_files(paths, request)
    surfaces = {path: _read(path, request) for path in paths}
    with writable_folder(request.folder):
        remove_leftovers(request.folder)
        rows, curve = _all_pairs(request, surfaces, settings, outcome)
        meshes = [_target(path, request) for path in surfaces]
        targets = (*meshes, request.folder / CURVE, request.folder / PAGE, table)
        with written_together(*targets) as besides:
            for surface, beside in zip(surfaces.values(), besides[: len(meshes)], strict=True):
                write_surface(beside, surface.mesh, surface.facts)
            write_table(besides[-3], curve, CURVE_COLUMNS)
            write_table(besides[-1], rows, OBJECT_COLUMNS)
            _write_page(besides[-2], (besides[-1], besides[-3]), list(surfaces.values()), outcome)
    outcome.page = request.folder / PAGE
    return outcome


def _all_pairs(
    request: ContactRequest,
    surfaces: dict[Path, MeasuredSurface],
    settings: ContactSettings,
    outcome: ContactOutcome,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of all contacts and of the curve; the surfaces take the arrays on."""
    rows: list[dict[str, Any]] = []
    curve: list[dict[str, Any]] = []
    own = request.of.source.resolve()
    for path in dict.fromkeys(path.resolve() for path in request.partners):
        first, second = surfaces[own], surfaces[path]
        place = "" if path == own else require_common_place(first, second)
        if place:
            outcome.watcher.say(place)
        with outcome.watcher.progress(f"{first.name} to {second.name}") as progress:
            found = contacts_of_pair(
                first, second, request.threshold_nm, settings, begin=len(rows) + 1, progress=progress
            )
        surfaces[own], surfaces[path] = found.first, found.second
        rows += found.rows
        curve += found.curve
        left = f"; {found.left_out} too small, left out" if found.left_out else ""
        outcome.finish(f"{first.name} to {second.name}", f"{len(found.rows)} contacts{left}")
    return rows, curve


def _read(path: Path, request: ContactRequest) -> MeasuredSurface:
    mesh = read_mesh(
        path, request.of.unit, request.of.voxel_size_nm
    )  # first, as it says what is wrong with a file
    facts = read_facts(path) or SurfaceFacts(name=surface_name(path))
    return without_contacts(MeasuredSurface(path, facts, mesh))


def _target(path: Path, request: ContactRequest) -> Path:
    return request.folder / f"{path.stem}.vtp"


def _require_own_files(paths: Sequence[Path], request: ContactRequest) -> None:
    """InputError where two meshes would be written as one file, or one over itself unasked."""
    first: dict[str, Path] = {}
    for path in paths:
        other = first.setdefault(_target(path, request).name.casefold(), path)
        if other != path:
            raise InputError(f"{other} and {path}: both would be written as {path.stem}.vtp; rename one")
        target = _target(path, request)
        if target.exists() and not request.of.overwrite:
            raise InputError(
                f"{target}: exists and would be written again with contact_id; name another folder with -o, "
                "or pass --overwrite"
            )


def _write_page(
    path: Path, tables: tuple[Path, Path], surfaces: Sequence[MeasuredSurface], outcome: ContactOutcome
) -> None:
    """Write the page on the contacts and the curve in ``tables``; the sentences on them go to the outcome."""
    contacts, curve = (read_table(table) for table in tables)
    outcome.sentences = contact_sentences(contacts, curve)
    figures = [
        picture
        for surface in surfaces
        for picture in contact_pictures(surface.mesh, _title(surface), f"{surface.path.stem}.vtp")
    ]
    write_page(
        path,
        Page(
            "Contacts of membranes",
            f"Measured by SurfORA between {' and '.join(surface.path.name for surface in surfaces)}",
            sections=contact_object_sections(contacts, curve, figures),
        ),
    )


def _title(surface: MeasuredSurface) -> str:
    return surface.facts.label or surface.name
