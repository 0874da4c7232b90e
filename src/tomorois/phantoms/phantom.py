"""Synthetic tomograms with exact truth: drawn, rendered, imaged and written from one seed.

Tomogram i of a seed is the same however many are made.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import edt
import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field

from tomocore.contract import InputError, Progress, is_filled, no_progress
from tomocore.files import remove_leftovers, require_writable_folder, written_beside
from tomocore.locks import one_writer
from tomocore.machine import WorkerPool
from tomocore.roiset import Bools, RoiSet, dilated_mask, is_readable, union_mask, write_rois_archive
from tomocore.settings import Settings
from tomocore.side_files import StoredRow, read_json
from tomocore.volumes import formats
from tomocore.volumes.volume import Volume
from tomorois.phantoms.imaging import ImagingSettings, Optics, drawn_optics, normalised, take_tomogram
from tomorois.phantoms.placement import draw_contacts, draw_invaginations
from tomorois.phantoms.scene import Scene, SceneSettings
from tomorois.phantoms.shapes import Grid, Tube
from tomorois.phantoms.specimen import (
    SpecimenSettings,
    bead_density,
    drawn_tethers,
    specimen_density,
)
from tomorois.phantoms.truth import (
    BUD_COLUMNS,
    CONTACT_COLUMNS,
    bud_truth,
    contact_side,
    contact_truth,
    membrane_labels,
)

Kind = Literal["contacts", "invaginations"]
DRAWERS = {"contacts": draw_contacts, "invaginations": draw_invaginations}

log = logging.getLogger(__name__)

MARGIN_NM = 24.0
"""Specimen beyond the tomogram's faces, so that what lies outside blurs in as it would."""
IGNORE = 255
RECORD = "phantoms.json"
DIED = (
    "a process that drew phantoms was ended by the system, most likely for want of memory; use fewer --jobs"
)

FILE_ENDINGS = ("__membranes.mrc", "__labels.mrc", "__truth.npz", "__truth.csv", ".mrc")
"""The files of one tomogram in the order they are written; the last one tells that all are there."""


class PhantomSettings(Settings):
    """Size, contents and imaging of synthetic tomograms."""

    shape_zyx: tuple[int, int, int] = Field((80, 192, 192), description="Voxels along z, y and x.")
    voxel_size_nm: float = Field(1.5, gt=0.1, le=10, description="Edge of a voxel in nm.")
    ignore_border_nm: float = Field(
        0.0,
        ge=0,
        le=20,
        description="Voxels this close in nm to an ROI's border are labelled 255, to be ignored.",
    )
    scene: SceneSettings = Field(SceneSettings(), description="What is drawn.")
    specimen: SpecimenSettings = Field(SpecimenSettings(), description="What it is made of.")
    imaging: ImagingSettings = Field(ImagingSettings(), description="How it is imaged.")


@dataclass(frozen=True)
class Phantom:
    """A synthetic tomogram and its truth, all on one grid.

    ``membranes`` int16 labels, one a membrane; ``rois`` with their overlaps and the truth table;
    ``labels`` uint16 for training: 0 background, 1 ROI, 255 ignore; ``scene`` and ``optics`` as drawn.
    """

    tomogram: Volume
    membranes: Volume
    rois: RoiSet
    labels: Volume
    scene: Scene
    optics: Optics

    @property
    def table(self) -> pd.DataFrame:
        """The truth table, a row an ROI."""
        return self.rois.table


def make_phantom(
    kind: Kind, seed: int, settings: PhantomSettings = PhantomSettings(), index: int = 0
) -> Phantom:
    """Tomogram ``index`` of a seed (both from 0), with its exact truth.

    Raises InputError for a kind that is not "contacts" or "invaginations".
    """
    if kind not in DRAWERS:
        raise InputError(f"no phantoms of kind '{kind}'; choose one of: {', '.join(DRAWERS)}")
    # Separate streams: a change in how noise is drawn leaves the scene as it was.
    drawing, mass, noise = (np.random.default_rng(s) for s in np.random.SeedSequence([seed, index]).spawn(3))
    grid = Grid(settings.shape_zyx, settings.voxel_size_nm)
    scene = DRAWERS[kind](grid, settings.scene, drawing)
    optics = drawn_optics(settings.imaging, drawing)
    membranes = membrane_labels(scene.membranes, grid, settings.specimen.membrane_thickness_nm)
    rois, small = _truth(kind, scene, grid, settings)
    tethers = _tethers(kind, scene, rois, grid, settings, mass)
    return Phantom(
        tomogram=imaged(scene, tethers, grid, optics, settings.specimen, settings.imaging, (mass, noise)),
        membranes=Volume(membranes, grid.voxel_size_nm, grid.origin_nm),
        rois=rois,
        labels=training_labels(rois, small, settings.ignore_border_nm),
        scene=scene,
        optics=optics,
    )


def training_labels(rois: RoiSet, small: Bools, ignore_border_nm: float) -> Volume:
    """Labels (uint16): 1 in any ROI, 255 (ignore) in places too small to count and near borders, else 0."""
    union = union_mask(rois)
    labels = union.data.astype(np.uint16)
    labels[small & (labels == 0)] = IGNORE
    if ignore_border_nm > 0:
        for row in range(len(rois)):
            box, grown = dilated_mask(rois, row, ignore_border_nm)
            labels[box][grown & (labels[box] == 0)] = IGNORE
        labels[_near_background(union, ignore_border_nm)] = IGNORE
    return union.with_data(labels)


def imaged(
    scene: Scene,
    tethers: Sequence[Tube],
    grid: Grid,
    optics: Optics,
    specimen: SpecimenSettings,
    imaging: ImagingSettings,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> Volume:
    """The tomogram of a scene on a grid, cut out of a larger one; streams for the specimen and the noise."""
    margin = round(MARGIN_NM / grid.voxel_size_nm)
    wide = grid.padded(margin)
    density = specimen_density(scene, tethers, wide, specimen, streams[0])
    beads = bead_density(scene.beads, wide)
    image = take_tomogram(density, beads, wide, optics, imaging, streams[1])
    inner = slice(margin, -margin)
    return Volume(normalised(image[inner, inner, inner]), grid.voxel_size_nm, grid.origin_nm)


def phantom_paths(folder: Path, kind: Kind, count: int, seed: int) -> list[Path]:
    """Where the tomograms of a kind and seed are written."""
    return [folder / f"{kind}_s{seed}_{index:03d}.mrc" for index in range(count)]


def write_phantoms(
    folder: Path,
    kind: Kind,
    count: int,
    seed: int,
    settings: PhantomSettings = PhantomSettings(),
    overwrite: bool = False,
    jobs: int = 1,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write ``count`` tomograms with their truth; return the tomograms' paths.

    Each is ``<stem>.mrc`` with ``<stem>__membranes.mrc``, ``<stem>__labels.mrc``, ``<stem>__truth.npz``
    (overlaps kept) and ``<stem>__truth.csv``; ``phantoms.json`` says how they were made. Tomograms that
    are there already are skipped unless ``overwrite``; ``jobs`` processes share the work. Raises
    InputError where new ones would be mixed with phantoms of this kind and seed made with other settings.
    """
    name = f"{kind}_s{seed}"
    with one_writer(require_writable_folder(folder) / name):
        remove_leftovers(folder)
        try:
            return _write_set(folder, name, kind, count, seed, settings, overwrite, jobs, progress)
        finally:
            remove_leftovers(folder)  # of workers that died


def _write_set(
    folder: Path,
    name: str,
    kind: Kind,
    count: int,
    seed: int,
    settings: PhantomSettings,
    overwrite: bool,
    jobs: int,
    progress: Progress,
) -> list[Path]:
    paths = phantom_paths(folder, kind, count, seed)
    stems = [path.stem for path in paths]
    missing = [index for index, stem in enumerate(stems) if overwrite or not _complete(folder, stem)]
    others = not overwrite and _made_otherwise(folder, name, settings)
    if not missing:
        if others:
            log.warning("%s: phantoms '%s' are kept, but were made with other settings", folder, name)
        return paths
    if others:
        raise InputError(
            f"{folder}: holds phantoms '{name}' made with other settings; pass --overwrite, "
            "or choose another folder or seed"
        )
    _write_record(folder, name, kind, seed, settings, stems)
    tasks = [(folder, stems[index], kind, seed, settings, index) for index in missing]
    progress(count - len(tasks), count)
    if jobs > 1 and len(tasks) > 1:
        _write_in_parallel(tasks, jobs, count, progress)
    else:
        for done, task in enumerate(tasks, start=count - len(tasks) + 1):
            _write_one(*task)
            progress(done, count)
    return paths


def write_phantom(folder: Path, stem: str, phantom: Phantom) -> None:
    """Write the five files of one phantom; the tomogram, the sign of all, goes first and comes last."""
    (folder / f"{stem}.mrc").unlink(missing_ok=True)
    formats.write_volume(folder / f"{stem}__membranes.mrc", phantom.membranes)
    formats.write_volume(folder / f"{stem}__labels.mrc", phantom.labels)
    write_rois_archive(folder / f"{stem}__truth.npz", phantom.rois)
    with written_beside(folder / f"{stem}__truth.csv") as beside:
        phantom.table.to_csv(beside, index=False, float_format="%.6g")
    formats.write_volume(folder / f"{stem}.mrc", phantom.tomogram)


def _truth(kind: Kind, scene: Scene, grid: Grid, settings: PhantomSettings) -> tuple[RoiSet, Bools]:
    thickness, tilt = settings.specimen.membrane_thickness_nm, settings.imaging.tilt_max_deg
    if kind == "contacts":
        return contact_truth(scene.membranes, grid, settings.scene.contact_limit_nm, thickness, tilt)
    return bud_truth(scene.membranes, grid, thickness, tilt), np.zeros(grid.shape, dtype=bool)


def _tethers(
    kind: Kind, scene: Scene, rois: RoiSet, grid: Grid, settings: PhantomSettings, rng: np.random.Generator
) -> list[Tube]:
    """Rods across every contact."""
    if kind != "contacts":
        return []
    rods: list[Tube] = []
    for a, b in dict.fromkeys(zip(rois.table["membrane_a"], rois.table["membrane_b"], strict=True)):
        one, other = scene.membranes[a - 1], scene.membranes[b - 1]
        limit = settings.scene.contact_limit_nm
        side = contact_side(one, other, limit, 3.0, grid.corners_nm())
        rods += drawn_tethers(other, side, settings.specimen.tethers_per_1000_nm2, rng)
    return rods


def _near_background(union: Volume, distance_nm: float) -> Bools:
    depth = edt.edt(union.data != 0, anisotropy=(union.voxel_size_nm,) * 3)
    return (depth > 0) & (depth <= distance_nm)  # type: ignore[no-any-return]


def _complete(folder: Path, stem: str) -> bool:
    paths = [folder / f"{stem}{ending}" for ending in FILE_ENDINGS]
    if not all(path.exists() for path in paths):
        return False
    checks = {".mrc": formats.is_whole, ".npz": is_readable}
    return all(checks.get(path.suffix, is_filled)(path) for path in paths)


def _write_one(folder: Path, stem: str, kind: Kind, seed: int, settings: PhantomSettings, index: int) -> None:
    write_phantom(folder, stem, make_phantom(kind, seed, settings, index))


def _write_in_parallel(tasks: list[tuple[Any, ...]], jobs: int, count: int, progress: Progress) -> None:
    workers = min(jobs, len(tasks))
    with WorkerPool(workers, max(jobs // workers, 1), modules=(__name__,)) as pool:
        running = [pool.submit(_write_one, *task) for task in tasks]
        try:
            for done, finished in enumerate(as_completed(running), start=count - len(tasks) + 1):
                finished.result()
                progress(done, count)
        except BrokenProcessPool as error:
            raise InputError(DIED) from error


class _MadeSet(StoredRow):
    """What ``phantoms.json`` says of a set of phantoms; other facts are kept as they are."""

    model_config = ConfigDict(extra="allow")
    settings: dict[str, Any] = Field(default_factory=dict)
    tomograms: list[str] = Field(default_factory=list)


def _record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    if not path.exists():
        return {}
    found: dict[str, _MadeSet] = read_json(path, dict[str, _MadeSet], "remove it or choose another folder")
    return {name: made.model_dump() for name, made in found.items()}


def _made_otherwise(folder: Path, name: str, settings: PhantomSettings) -> bool:
    """Whether phantoms of this name were made with other settings."""
    made = _record(folder).get(name)
    return made is not None and made.get("settings") != settings.model_dump(mode="json")


def _write_record(
    folder: Path, name: str, kind: Kind, seed: int, settings: PhantomSettings, stems: list[str]
) -> None:
    """Say in ``phantoms.json`` how each set of phantoms in the folder was made."""
    with one_writer(folder / RECORD, wait_s=30.0):  # sets of several seeds may be made at a time
        record = _record(folder)
        known = record.get(name, {}).get("tomograms", [])
        record[name] = {
            "kind": kind,
            "seed": seed,
            "tomograms": max(known, stems, key=len),
            "ignore_value": IGNORE,
            "columns": CONTACT_COLUMNS if kind == "contacts" else BUD_COLUMNS,
            "settings": settings.model_dump(mode="json"),
        }
        with written_beside(folder / RECORD) as beside:
            beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
