"""Edits at the level of files: a session opened where it was left, edited surfaces saved, edits replayed."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from surfora.editor.edited import edited_facts, places_of
from surfora.editor.edits import (
    TOLERANCE_NM,
    EditEntry,
    RemadeEntry,
    SavedEntry,
    SourceEntry,
    StepEntry,
    found_again,
    unpacked_normals,
)
from surfora.editor.journal import (
    AnyEntry,
    Journal,
    edited_path,
    journal_path,
    put_aside,
    read_journal,
    standing_edits,
    written_path,
)
from surfora.editor.layers import Layer, Scale, layers_of
from surfora.editor.session import Session
from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.files import write_surface
from surfora.geometry.surface import SurfaceMesh
from tomocore.contract import NOBODY, Batch, InputError, Watcher, naming
from tomocore.files import writable_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replayed:
    """One edit done again: how many points it named, and how many of them are still there."""

    edit: EditEntry
    total: int
    found: int

    @property
    def line(self) -> str:
        """In words."""
        what = f"{self.edit.kind} {self.edit.value}" if self.edit.kind == "label" else self.edit.kind
        if self.found == self.total:
            return f"{what}: {self.total:,} points"
        return f"{what}: {self.found:,} of {self.total:,} points are still there"


def open_session(
    paths: Sequence[Path], edits: Path | None = None, anew: bool = False, scale: Scale = Scale()
) -> Session:
    """A session on files of surfaces, with the edits that were made of them before.

    edits: the file of edits, else that beside the first surface; what was done there is done again, and
    surfaces made there stand in the place of those they were made of. anew: put earlier edits aside instead.
    scale: how files of other programs are read. The session's ``notes`` say what was restored and what was
    not found.
    """
    place = edits or journal_path(paths[0])
    aside = put_aside(place) if anew and place.exists() else None
    entries = read_journal(place) if place.exists() and place.stat().st_size else []
    remade = _remade_of(paths, entries, place.parent)
    session = Session(layers_of([*paths, *remade], scale))
    for made, source in remade.items():
        session.notes.append(f"{made.name} stands in the place of {source.name}, of which it was made")
        for number, layer in enumerate(session.layers):
            if layer.path.resolve() == source.resolve():
                session.layer_shown[number] = False
    if aside:
        session.notes.append(f"earlier edits were put aside as {aside.name}")
    if entries:
        with naming(place):
            _restore(session, entries, place)
    session.journal = Journal(place)
    session.journal.sources = [entry for entry in entries if isinstance(entry, SourceEntry)]
    return session


def _remade_of(paths: Sequence[Path], entries: Sequence[AnyEntry], folder: Path) -> dict[Path, Path]:
    """Files that were made here of surfaces under edit and are still there, and those that they are of."""
    known = {path.resolve() for path in paths}
    found: dict[Path, Path] = {}
    for entry in entries:
        if isinstance(entry, RemadeEntry):
            made, source = folder / entry.path, folder / entry.of
            if made.is_file() and made.resolve() not in known and source.resolve() in {*known, *found}:
                found[made.resolve()] = source
    return found


def _restore(session: Session, entries: list[AnyEntry], place: Path) -> None:
    done, undone = standing_edits(entries)
    sources = _layers_by_source(session.layers, entries, place.parent)
    results = [_replay(session, edit, sources, TOLERANCE_NM) for edit in [*done, *undone]]
    for _ in undone:
        session.undo()
    told = [entry for entry in entries if isinstance(entry, EditEntry | StepEntry | SavedEntry)]
    if told and isinstance(told[-1], SavedEntry):
        session.history.mark_saved()
    if done:
        session.notes.append(f"{len(done)} edits of before are restored from {place.name}")
    session.notes += [result.line for result in results[: len(done)] if result.found < result.total]


def _layers_by_source(
    layers: Sequence[Layer], entries: Sequence[AnyEntry], folder: Path
) -> dict[int, tuple[Layer, bool]]:
    """The layer that each source is, by path or else by name, and whether its points are the same."""
    found: dict[int, tuple[Layer, bool]] = {}
    for entry in entries:
        if not isinstance(entry, SourceEntry):
            continue
        by_path = [layer for layer in layers if written_path(layer.path, folder) == entry.path]
        by_name = [layer for layer in layers if layer.path.name == Path(entry.path).name]
        layer = next(iter([*by_path, *by_name]), None)
        if layer is not None:
            found[entry.number] = (layer, layer.digest == entry.digest)
    return found


def _replay(
    session: Session, edit: EditEntry, sources: Mapping[int, tuple[Layer, bool]], tolerance_nm: float
) -> Replayed:
    """Do one edit again on whatever of its points is still there."""
    chosen = np.zeros(session.count, dtype=bool)
    total = found = 0
    for part in edit.on:
        total += part.count
        if part.source not in sources:
            continue
        layer, is_same = sources[part.source]
        numbers = found_again(part, is_same, places_of(layer.surface), tolerance_nm)
        there = numbers >= 0
        found += int(there.sum())
        rows = layer.start + numbers[there]
        normals = unpacked_normals(part)
        if edit.kind == "flip" and normals is not None:
            chosen |= _against(session, layer, rows, normals[there])
        else:
            chosen[rows] = True
    session.edit_layers(edit.kind, chosen, edit.value, edit.how)
    return Replayed(edit, total, found)


def _against(session: Session, layer: Layer, rows: Ints, wanted: Floats) -> Mask:
    """The points (n,) of the common row to flip so that their normals lie as an edit left them.

    Of meshes whole pieces, as the most of their points say: an earlier stage may have turned them meanwhile.
    """
    along = np.einsum("ij,ij->i", np.nan_to_num(session.normals[rows]), wanted)
    against = np.zeros(session.count, dtype=bool)
    if not layer.is_mesh:
        against[rows[along < 0]] = True
        return against
    component = session.component
    for piece in np.unique(component[rows]):
        if along[component[rows] == piece].sum() < 0:
            against |= component == piece
    return against


def changed_layers(session: Session) -> list[int]:
    """Numbers of the surfaces that edits have changed."""
    changed = []
    for number, layer in enumerate(session.layers):
        rows = layer.rows
        relabelled = (session.label[rows] != session.first_label[rows]).any()
        if not session.kept[rows].all() or session.flipped[rows].any() or relabelled:
            changed.append(number)
    return changed


def save_edited(session: Session, targets: Mapping[int, Path]) -> list[Path]:
    """Write edited surfaces, by number of their layer, as VTP or PLY; the files.

    Raises InputError where nothing is left of a surface, and where a target is a file under edit, since its
    edits could not be replayed then.
    """
    sources = {layer.path.resolve() for layer in session.layers}
    for number, path in targets.items():
        if path.resolve() in sources:
            raise InputError(
                f"{path}: is the file under edit; choose another name, so that its edits can be replayed"
            )
        surface = session.edited(number)
        if isinstance(surface, SurfaceMesh) and len(surface.faces) == 0:
            raise InputError(f"{path}: no triangle is left to write; undo a deletion first")
        if len(places_of(surface)) == 0:
            raise InputError(f"{path}: no point is left to write; undo a deletion first")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_surface(path, surface, edited_facts(session.layers[number].facts))
    session.history.mark_saved()
    if session.journal is not None:
        session.journal.append(SavedEntry(paths=tuple(str(path) for path in targets.values())))
    return list(targets.values())


def apply_edits(
    edits: Path,
    output: Path | None = None,
    files: Sequence[Path] = (),
    tolerance_nm: float = TOLERANCE_NM,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Replay a file of edits on its surfaces, each as ``NAME.edited.<kind>.vtp``; what became of them.

    output: folder of the results, else beside each surface. files: surfaces to take instead of those that the
    edits name, by name, as where an earlier stage was run anew. tolerance_nm: how far a point may have moved
    since, where the surface is not the same; a warning says how many points of which edit were not found.
    Raises InputError where a surface of the edits is missing; one of which no point is found again fails.
    """
    entries = read_journal(edits)
    with naming(edits):
        done, _ = standing_edits(entries)
    if not done:
        raise InputError(f"{edits}: holds no edits that stand; nothing to apply")
    used = {part.source for edit in done for part in edit.on}
    sources = [entry for entry in entries if isinstance(entry, SourceEntry) and entry.number in used]
    paths = _files_of(sources, edits, files)
    batch = Batch(watcher)
    for path, numbers in paths.items():
        target = edited_path(path, output)
        if target.exists() and not overwrite:
            batch.skip(str(target), "it exists; pass --overwrite to replace it")
            continue
        own = [edit for edit in done if any(part.source in numbers for part in edit.on)]
        work = partial(
            _applied, target=target, numbers=numbers, edits=own, sources=sources, tolerance_nm=tolerance_nm
        )
        batch.each([path], work)
    return batch


def _files_of(sources: Sequence[SourceEntry], edits: Path, files: Sequence[Path]) -> dict[Path, set[int]]:
    """The file of each source, and the numbers that edits call it by. InputError where one is missing."""
    found: dict[Path, set[int]] = {}
    names = {Path(source.path).name for source in sources}
    for source in sources:
        own = edits.parent / source.path
        if files:
            fitting = [path for path in files if path.name == own.name] or list(files) * (len(names) == 1)
            if len(fitting) != 1:
                raise InputError(
                    f"{edits}: {len(fitting)} of the files given are named {own.name}; give one such file "
                    "for each surface of the edits"
                )
            own = fitting[0]
        if not os.path.exists(own):  # Path.exists raises where a name is too long for any file
            raise InputError(
                f"{own}: no such file, which {edits.name} is about; say with --files where it is"
            )
        found.setdefault(own, set()).add(source.number)
    return found


def _applied(
    path: Path,
    target: Path,
    numbers: set[int],
    edits: Sequence[EditEntry],
    sources: Sequence[SourceEntry],
    tolerance_nm: float,
) -> str:
    """Replay edits on one surface and write it; a line on what came of it."""
    scale = next(Scale(s.unit, s.voxel_size_nm) for s in sources if s.number in numbers)
    session = Session(layers_of([path], scale))
    layer = session.layers[0]
    known = {
        source.number: (layer, source.digest == layer.digest)
        for source in sources
        if source.number in numbers
    }
    total = found = 0
    for edit in edits:
        own = edit.model_copy(update={"on": tuple(part for part in edit.on if part.source in numbers)})
        result = _replay(session, own, known, tolerance_nm)
        total, found = total + result.total, found + result.found
        if result.found < result.total:
            log.warning("%s: %s", path, result.line)
    if found == 0:
        raise InputError(
            f"{path}: none of the {total:,} points of its edits is there any more; edit it anew, or allow "
            "for more with --tolerance"
        )
    with writable_folder(target.parent):
        save_edited(session, {0: target})
    return f"{target}: {len(edits)} edits, {found:,} of {total:,} points found again"
