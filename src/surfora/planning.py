"""What a run will measure, known before it begins: names, sides and what is there; one mask in memory."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from surfora.geometry.arrays import Floats
from surfora.masks.border_doubt import MapsOfConfidence
from surfora.masks.membranes import (
    KnownSide,
    Membrane,
    MembraneName,
    OpenMask,
    cut_out,
    known_sides,
    name_at,
    open_mask,
    require_named,
    require_own_names,
    sampled_points,
    voxels_at,
)
from surfora.masks.perturbed import Perturbation
from surfora.masks.settings import RoiSettings
from surfora.measures.beside_masks import CONFIDENCE, REGION, TOMOGRAM, BesideMasks
from surfora.measures.distance_pairs import Pair, SurfaceFile, surface_file
from surfora.pipeline import SurfaceKind, files_there, surface_identity, voxel_digest, warn_of_other_settings
from surfora.settings import SurforaSettings
from tomocore.contract import FAILURES, Batch, InputError, about, told_before
from tomocore.files_of_tomograms import matched, require_match
from tomocore.provenance import RunRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRequest:
    """What `surfora run` is asked for; ``kind`` None: the middle of sheets, the boundary of filled bodies."""

    masks: tuple[Path, ...]
    folder: Path
    labels: dict[int, str] | None = None
    rois: tuple[Path, ...] = ()
    tomograms: tuple[Path, ...] = ()
    """What the density along normals is read from, one a mask; none where it is not to be measured."""
    valid: tuple[Path, ...] = ()
    """Valid regions, one a mask."""
    confidence: tuple[Path, ...] = ()
    """Maps that say how sure the borders of masks are, one a mask, for intervals."""
    pairs: tuple[Pair, ...] | None = None
    inside: tuple[Pair, ...] = ()
    lumens: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    kind: SurfaceKind | None = None
    voxel_size_nm: float | None = None
    resample: bool = False
    jobs: int = 1
    overwrite: bool = False
    perturbation: Perturbation | None = None
    """How borders are moved, where the run is one of those that intervals are made of."""


def beside_masks(request: RunRequest) -> BesideMasks:
    """The tomogram and the valid region of each mask of a request, matched by name.

    Raises InputError where a file is left over, or a mask has none and others have.
    """
    return BesideMasks(
        _one_each(request.masks, request.tomograms, TOMOGRAM),
        _one_each(request.masks, request.valid, REGION),
        _one_each(request.masks, request.confidence, CONFIDENCE),
        request.voxel_size_nm,
        request.resample,
        request.perturbation.voxel_factor if request.perturbation else 1.0,
    )


def confidence_maps(request: RunRequest, error: float) -> MapsOfConfidence:
    """The map of confidence of each mask of a request, matched by name; ``error`` is the SD of their values.

    Raises InputError where a mask has none and others have.
    """
    by_mask = _one_each(request.masks, request.confidence, CONFIDENCE)
    return MapsOfConfidence(by_mask, error, request.voxel_size_nm, request.resample)


def _one_each(masks: Sequence[Path], files: Sequence[Path], what: str) -> dict[Path, Path]:
    pairs = matched(masks, files, what)
    if files:
        require_match(masks, pairs, what)
    return pairs


@dataclass(frozen=True)
class PlannedMembrane(MembraneName):
    """A membrane that a run will measure or keep, without its voxels: where in its mask, and how many.

    ``kept`` are its files of an earlier run, which stay as they are, and ``digest`` is then that of its
    voxels. ``points`` are those of a partner that sides are decided by.
    """

    place: int
    voxels: int
    kept: tuple[Path, ...] = ()
    digest: Any = None
    points: Floats | None = None
    known_side: KnownSide | None = None


@dataclass(frozen=True)
class _Packed:
    """A mask whose voxels are compressed: labels take a hundredth of their room so."""

    bare: OpenMask
    shape: tuple[int, int, int]
    voxels: bytes

    @classmethod
    def of(cls, opened: OpenMask) -> _Packed:
        """The mask, compressed."""
        data = opened.volume.data
        bare = replace(opened, volume=opened.volume.with_data(np.empty((0, 0, 0), data.dtype)))
        return cls(bare, opened.volume.shape, zlib.compress(np.ascontiguousarray(data).data, level=1))

    def opened(self) -> OpenMask:
        """The mask as it was."""
        bare = self.bare.volume
        data = np.frombuffer(zlib.decompress(self.voxels), bare.data.dtype).reshape(self.shape)
        return replace(self.bare, volume=bare.with_data(data))


class MaskReader:
    """Reads masks with their ROIs and cuts membranes out of them; never holds more than the last one.

    Those that were resampled are kept compressed, since to resample one takes longer than all else of it.
    """

    def __init__(self, request: RunRequest, settings: RoiSettings) -> None:
        """Match the ROI files to the masks. Raises InputError where a mask or an ROI file is left over."""
        self.rois = _one_each(request.masks, request.rois, "ROI")
        self._request = request
        self._settings = settings
        self._held: OpenMask | None = None
        self._packed: dict[Path, _Packed] = {}

    def opened(self, path: Path) -> OpenMask:
        """A mask with its ROIs; the one held before is let go first."""
        if self._held is None or self._held.path != path:
            if self._held is not None and self._request.resample and self._held.path not in self._packed:
                self._packed[self._held.path] = _Packed.of(self._held)
            self._held = None
            self._held = self._packed[path].opened() if path in self._packed else self._read(path)
        return self._held

    def _read(self, path: Path) -> OpenMask:
        asked = self._request
        return open_mask(
            path, asked.labels, self.rois.get(path), asked.voxel_size_nm, self._settings, asked.resample
        )

    def membrane(self, planned: PlannedMembrane) -> Membrane:
        """A planned membrane with its voxels, read again where another mask was read meanwhile.

        Raises InputError where the mask is no longer what it was.
        """
        with told_before():
            opened = self.opened(planned.source)
            found = cut_out(opened, planned.place) if planned.place < len(opened.places) else None
        if found is None or found.name != planned.name:
            raise InputError(f"{planned.source}: was changed while the run went on; run again")
        return replace(found, known_side=planned.known_side)


def planned_membranes(
    request: RunRequest, masks: MaskReader, settings: SurforaSettings, record: RunRecord, outcome: Batch
) -> list[PlannedMembrane]:
    """The membranes of all masks that can be read, with what is known of their sides.

    Each mask is read and let go; those that cannot be read are told in ``outcome``, all are noted in
    ``record``. ``settings`` tell whether files that are kept were made by the same. Raises InputError where
    two membranes would have one name, and for names in ``request`` that no membrane has.
    """
    found: list[PlannedMembrane] = []
    for path in request.masks:
        try:
            found += _planned_of(path, request, masks, settings, record)
        except FAILURES as error:
            outcome.fail(str(path), error)
    require_own_names(found)
    if not found and outcome.failed:
        return []
    if not outcome.failed:  # else a name may be that of a mask which could not be read
        absent = set((request.labels or {}).values())  # of which `open_mask` has warned
        asked = {name for pair in request.pairs or () for name in pair}
        require_named(found, asked - absent, "--distances")
    return _with_sides(found, request)


def _planned_of(
    path: Path, request: RunRequest, masks: MaskReader, settings: SurforaSettings, record: RunRecord
) -> list[PlannedMembrane]:
    opened = masks.opened(path)
    planned = [_planned(opened, place, request, settings) for place in range(len(opened.places))]
    found = [one for one in planned if one is not None]
    if opened.rois is not None and not found:
        log.warning("%s: no membrane lies within the ROIs of %s", path, masks.rois[path])
    record.add_input(path, voxel_size_nm=opened.volume.voxel_size_nm)
    if path in masks.rois:
        record.add_input(masks.rois[path])
    return found


def _planned(
    opened: OpenMask, place: int, request: RunRequest, settings: SurforaSettings
) -> PlannedMembrane | None:
    """The membrane at one of a mask's places, None where there is too little; cut out only if it must be."""
    called = name_at(opened, place)
    kept = [] if request.overwrite else files_there(called.name, request.folder, request.kind)
    is_partner = any(called.answers_to(name) for pair in request.inside for name in pair)
    voxels, membrane = voxels_at(opened, place), None
    if voxels is None or kept or is_partner:
        membrane = cut_out(opened, place)
        if membrane is None:
            return None
        voxels = int(np.count_nonzero(membrane.mask))
    return PlannedMembrane(
        called.name,
        called.label,
        called.source,
        place,
        voxels,
        tuple(kept),
        voxel_digest(membrane, settings) if membrane and kept else None,
        sampled_points(membrane) if membrane and is_partner else None,
        roi=called.roi,
        rois=called.rois,
    )


def _with_sides(found: Sequence[PlannedMembrane], request: RunRequest) -> list[PlannedMembrane]:
    points = {one.name: one.points for one in found if one.points is not None}
    sides = known_sides(found, request.inside, request.lumens, points)
    return [replace(one, known_side=sides.get(one.name), points=None) for one in found]


def surface_of(planned: PlannedMembrane, path: Path) -> SurfaceFile:
    """One of the finished surfaces of a membrane, of the mask and ROIs as this run was given them.

    One that is kept may tell other paths, as of a run in another working directory; these stay where neither
    path nor voxels tell that the mask is the same. Raises InputError for a file that `surfora run` did not
    write.
    """
    found = surface_file(path)
    told, given = (
        (os.path.realpath(mask), os.path.realpath(rois or ""))
        for mask, rois in ((found.facts.source, found.facts.rois), (planned.source, planned.rois))
    )
    if told != given and found.facts.identity != surface_identity(planned.digest, planned.known_side):
        return found
    facts = replace(found.facts, source=str(planned.source), rois=str(planned.rois or ""))
    return replace(found, facts=facts)


def warn_of_kept(planned: PlannedMembrane) -> None:
    """Warn where files that are kept were made with other settings, or of another mask."""
    with about(planned.name):
        identity = surface_identity(planned.digest, planned.known_side)
        warn_of_other_settings(list(planned.kept), identity, str(planned.source))
