"""From mask files to the membranes that are measured: by label, and within ROIs where these are given."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np

from surfora.geometry.arrays import Bytes, Floats, Mask
from surfora.geometry.occupancy import set_voxels
from surfora.masks.grids import Grid, differences, grid_of, lost_its_place
from surfora.masks.settings import RoiSettings
from surfora.masks.tally import Box, Tally
from surfora.masks.values import labelled_and_tallied, some_of
from tomocore.contract import InputError, whole_number
from tomocore.files_of_tomograms import safe_name, typed_name, volume_stem
from tomocore.roiset import RoiSet, box_with_margin, dilated_mask, mask_in_box, read_rois
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)

MARGIN_VOXELS = 2
UNSURE = (255, 65535)  # the latter where −1 was read as unsigned
MOST_PARTNER_POINTS = 50_000


@dataclass(frozen=True)
class KnownSide:
    """What the user knows of which side of a membrane is out, and the ``orient.side`` that it decides.

    Either ``lumen_nm`` (x, y, z), a place inside, or ``partner_points`` (n, 3) in nm of the membrane that
    lies inside or about it.
    """

    side: Literal["lumen", "partner_toward", "partner_away"]
    lumen_nm: tuple[float, float, float] | None = None
    partner_points: Floats | None = None


@dataclass(frozen=True)
class MembraneName:
    """What one membrane is called: its whole NAME, its label, its mask's file, its ROI's number and file."""

    name: str
    label: str
    source: Path
    roi: int | None = field(default=None, kw_only=True)
    rois: Path | None = field(default=None, kw_only=True)

    def answers_to(self, name: str) -> bool:
        """Whether a user's name for a membrane means this one: its label or its whole NAME."""
        return name in (self.label, self.name)


@dataclass(frozen=True)
class _Bits:
    """A mask in an eighth of its bytes."""

    bits: Bytes
    shape: tuple[int, ...]

    @classmethod
    def of(cls, mask: Mask) -> _Bits:
        return cls(np.packbits(mask), mask.shape)

    def mask(self) -> Mask:
        return np.unpackbits(self.bits, count=math.prod(self.shape)).view(bool).reshape(self.shape)


def _is_mask(value: object) -> TypeGuard[Mask]:
    return isinstance(value, np.ndarray) and value.dtype == bool


@dataclass(frozen=True)
class Membrane(MembraneName):
    """One membrane to measure: its voxels in a box of the volume, and what else lies in that box.

    ``mask`` and ``foreign`` (other labels) are bool z, y, x; ``grid`` is that of the whole volume; ``kept``
    are the voxels of the ROI that the surface is cut to in the end, ``kept_beyond_nm`` about them; or None,
    where all of it stays.
    """

    mask: Mask
    foreign: Mask | None
    voxel_size_nm: float
    origin_nm: tuple[float, float, float]
    grid: Grid
    kept: Mask | None = None
    kept_beyond_nm: float = 0.0
    known_side: KnownSide | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For its way to another process: voxels as bits."""
        return {name: _Bits.of(value) if _is_mask(value) else value for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What `__getstate__` gave."""
        vars(self).update({k: v.mask() if isinstance(v, _Bits) else v for k, v in state.items()})

    @property
    def support(self) -> Volume:
        """The mask at its place in the world."""
        return Volume(self.mask, self.voxel_size_nm, self.origin_nm)


def parsed_labels(text: str) -> dict[int, str]:
    """``{1: "OMM", 2: "IMM"}`` from ``1=OMM,2=IMM``; InputError where it reads otherwise."""
    named: dict[int, str] = {}
    for part in text.split(","):
        value, _, name = part.partition("=")
        number = whole_number(value.strip())
        if number is None or not typed_name(name):
            raise InputError(f"--labels {text}: '{part}' is not VALUE=NAME, as in 1=OMM,2=IMM")
        if number in named:
            raise InputError(f"--labels {text}: label {number} is named twice; give it one name")
        named[number] = typed_name(name)
    if len(set(named.values())) < len(named):
        raise InputError(f"--labels {text}: a name is used twice; give every label a name of its own")
    return named


def parsed_pair(text: str, option: str = "--distances") -> tuple[str, str]:
    """``("OMM", "ER")`` from ``OMM:ER``; InputError where it reads otherwise.

    Of distances, ``OMM:OMM`` means a membrane's contacts with itself.
    """
    first, _, second = (typed_name(part) for part in text.partition(":"))
    if not first or not second or (first == second and option != "--distances"):
        raise InputError(f"{option} {text}: not two different names as in OMM:ER")
    return first, second


def parsed_lumen(text: str) -> tuple[str, tuple[float, float, float]]:
    """``("ER", (10.0, 20.0, 30.0))`` from ``ER=10,20,30``; InputError where it reads otherwise."""
    name, _, place = text.rpartition("=")
    try:
        x, y, z = (float(part) for part in place.split(","))
    except ValueError:
        raise InputError(f"--lumen {text}: not NAME=X,Y,Z in nm, as in ER=120,80,45") from None
    return typed_name(name), (x, y, z)


def known_sides(
    membranes: Sequence[MembraneName],
    inside: Sequence[tuple[str, str]] = (),
    lumens: Mapping[str, tuple[float, float, float]] | None = None,
    points: Mapping[str, Floats] | None = None,
) -> dict[str, KnownSide]:
    """What is known of the sides of membranes, by their NAMEs, so that normals point outward by it.

    ``inside`` names pairs of which the first lies inside the second: normals of the inner one point toward
    the outer one, whose own point away from it; ``points`` are those of the partners (`sampled_points`), by
    NAME. ``lumens``: a place (x, y, z in nm) inside, by name; the empty name stands for every membrane.
    Raises InputError for names that no membrane answers to.
    """
    known = {name: KnownSide("lumen", place) for name, place in (lumens or {}).items()}
    require_named(membranes, filter(None, known), "--lumen")
    for pair in inside:
        inner, outer = ([m for m in membranes if m.answers_to(name)] for name in pair)
        if not any(_same_place(a, b) for a in inner for b in outer):
            raise InputError(
                f"--inside {':'.join(pair)}: no two such membranes; there are {_names(membranes)}"
            )
    found = {}
    for membrane in membranes:
        side = next((known[name] for name in known if not name or membrane.answers_to(name)), None)
        side = side or _nested_side(membrane, membranes, inside, points or {})
        if side is not None:
            found[membrane.name] = side
    return found


def require_named(membranes: Sequence[MembraneName], names: Iterable[str], option: str) -> None:
    """InputError where a user's name is that of no membrane."""
    unknown = sorted({name for name in names if not any(m.answers_to(name) for m in membranes)})
    if unknown:
        raise InputError(f"{option} {', '.join(unknown)}: no such membrane; there are {_names(membranes)}")


def require_own_names(membranes: Sequence[MembraneName]) -> None:
    """InputError where two membranes would write files of one name, also where capitals do not count."""
    first: dict[str, MembraneName] = {}
    for membrane in membranes:
        other = first.setdefault(membrane.name.casefold(), membrane)
        if other is not membrane:
            if other.source == membrane.source:
                raise InputError(
                    f"{membrane.source}: its labels {other.label!r} and {membrane.label!r} would both be "
                    f"written as {membrane.name}; give one of them another name with --labels"
                )
            raise InputError(
                f"{other.source} and {membrane.source}: both would be written as {membrane.name}; rename one "
                "or measure them apart with another -o"
            )


def _nested_side(
    membrane: MembraneName,
    membranes: Sequence[MembraneName],
    inside: Sequence[tuple[str, str]],
    points: Mapping[str, Floats],
) -> KnownSide | None:
    """Toward the membrane about this one, or away from the one inside it."""
    for inner, outer in inside:
        for own, other, is_inner in ((inner, outer, True), (outer, inner, False)):
            partner = next((m for m in membranes if m.answers_to(other) and _same_place(m, membrane)), None)
            if membrane.answers_to(own) and partner is not None:
                side: Literal["partner_toward", "partner_away"] = (
                    "partner_toward" if is_inner else "partner_away"
                )
                return KnownSide(side, partner_points=points[partner.name])
    return None


def _same_place(a: MembraneName, b: MembraneName) -> bool:
    """Whether two membranes are of one mask (for labels) and one ROI."""
    return a.roi == b.roi and (a.source == b.source or not (a.label or b.label))


def sampled_points(membrane: Membrane) -> Floats:
    """Voxel centres (n, 3) in nm of a membrane, evenly left out where there are very many."""
    voxels = set_voxels(membrane.mask)
    return membrane.support.world(voxels[:: max(1, len(voxels) // MOST_PARTNER_POINTS)])


def _names(membranes: Sequence[MembraneName]) -> str:
    return ", ".join(sorted({membrane.label or membrane.name for membrane in membranes})) or "none"


@dataclass(frozen=True)
class OpenMask:
    """A mask that was read, with its ROIs, and what may be in it: a label value and a row of ROIs each."""

    path: Path
    volume: Volume
    names: Mapping[int, str]
    rois: RoiSet | None
    settings: RoiSettings
    places: tuple[tuple[int, int | None], ...]
    tally: Tally
    rois_path: Path | None = None


def membranes_in(
    path: Path,
    names: Mapping[int, str] | None = None,
    rois_path: Path | None = None,
    voxel_size_nm: float | None = None,
    settings: RoiSettings = RoiSettings(),
    resample: bool = False,
) -> list[Membrane]:
    """The membranes of one mask file, in order of ROI and label; none where no ROI has enough of any.

    ``path``, ``names``, ``rois_path`` and ``settings`` are those of `open_mask`, and so is what raises
    InputError.
    """
    opened = open_mask(path, names, rois_path, voxel_size_nm, settings, resample)
    found = [cut_out(opened, place) for place in range(len(opened.places))]
    return [membrane for membrane in found if membrane is not None]


def open_mask(
    path: Path,
    names: Mapping[int, str] | None = None,
    rois_path: Path | None = None,
    voxel_size_nm: float | None = None,
    settings: RoiSettings = RoiSettings(),
    resample: bool = False,
) -> OpenMask:
    """A mask file and its ROIs, read, with the places of its membranes, for `cut_out` to take from.

    ``names`` chooses and names the labels; without it a file with one label (whatever its value) is one
    membrane named by its file, and every label of several is one, named by its number. Raises InputError
    for a mask that is empty, a map of scores or NaN, or lacks every named label, and for ROIs of another
    tomogram.

    path: the mask; rois_path: its ROIs (.npz or labels); voxel_size_nm: overrides the header; settings: of
    ROIs; resample: bring voxels of unequal edges to one edge first.
    """
    volume, tally = labelled_and_tallied(read_volume(path, voxel_size_nm, resample=resample), path)
    chosen = _chosen_labels([value for value in tally if value != 0], path, names)
    if rois_path is None:
        whole = tuple((value, None) for value in chosen)
        return OpenMask(path, volume, chosen, None, settings, whole, tally)
    rois = read_rois(rois_path, voxel_size_nm, resample=resample)
    rois = rois.at(rois.table["status"].to_numpy() != "rejected")
    volume, rois = _on_one_grid(volume, path, rois, rois_path)
    rows = range(len(rois.ids))
    within = tuple((value, row) for row in rows for value in _labels_of(rois, row, chosen))
    return OpenMask(path, volume, chosen, rois, settings, within, tally, rois_path)


def _chosen_labels(present: list[int], path: Path, names: Mapping[int, str] | None) -> dict[int, str]:
    """Label value to name, of those present; the empty name stands for the only label of a file."""
    if names is None:
        _tell_doubted(present, path)
        return {present[0]: ""} if len(present) == 1 else {value: str(value) for value in present}
    for value in sorted(set(names) - set(present)):
        log.warning(
            "%s: label %d (%s) has no voxel; present: %s", path, value, names[value], some_of(present, 20)
        )
    chosen = {value: name for value, name in names.items() if value in present}
    if not chosen:
        raise InputError(
            f"{path}: none of the labels {dict(names)} is in it; its values are {some_of(present, 20)}, "
            "name these with --labels"
        )
    return chosen


def _tell_doubted(present: Sequence[int], path: Path) -> None:
    """Warn of a value beside labels that elsewhere means "not sure", as it does to TomoROIS."""
    for value in UNSURE:
        if value in present and len(present) > 1 and value - 1 not in present:
            log.warning(
                "%s: label %d is measured like the others; if it means 'not sure', choose with --labels",
                path,
                value,
            )


def name_at(opened: OpenMask, place: int) -> MembraneName:
    """What the membrane at one of the places of a mask is called."""
    value, row = opened.places[place]
    label = opened.names[value]
    name = _joined_name(opened.path, label)
    if opened.rois is None or row is None:
        return MembraneName(name, label, opened.path)
    roi = int(opened.rois.ids[row])
    return MembraneName(f"{name}_roi{roi:03d}", label, opened.path, roi=roi, rois=opened.rois_path)


def voxels_at(opened: OpenMask, place: int) -> int | None:
    """How many voxels the label at one of the places of a mask has; None where an ROI takes a part of it."""
    value, row = opened.places[place]
    return opened.tally[value][0] if row is None else None


def cut_out(opened: OpenMask, place: int) -> Membrane | None:
    """The membrane at one of the places of a mask; None where its ROI has too little of it."""
    value, row = opened.places[place]
    called = name_at(opened, place)
    if opened.rois is None or row is None:
        part = opened.volume.crop(_grown(opened.tally[value][1], opened.volume.shape))
        return _membrane(opened, part, value, called, bool(opened.tally.keys() - {0, value}))
    settings, rois = opened.settings, opened.rois
    roi_box, grown = dilated_mask(rois, row, settings.dilation_nm)
    box = box_with_margin(rois, row, settings.dilation_nm + settings.margin_nm)
    part = opened.volume.crop(box)
    within = np.zeros(part.shape, bool)
    within[_within(roi_box, box)] = grown
    least_voxels = settings.min_membrane_nm3 / part.voxel_size_nm**3
    if np.count_nonzero((part.data == value) & within) < max(least_voxels, 1):
        return None
    membrane = _membrane(opened, part, value, called, True)
    return replace(membrane, kept=mask_in_box(rois, row, box), kept_beyond_nm=settings.dilation_nm)


def _membrane(
    opened: OpenMask, part: Volume, value: int, called: MembraneName, has_foreign: bool
) -> Membrane:
    """The membrane of one label in a part of the volume."""
    mask = part.data == value
    foreign = None
    if has_foreign:
        foreign = part.data != 0
        foreign ^= mask
    return Membrane(
        called.name,
        called.label,
        called.source,
        mask,
        foreign,
        part.voxel_size_nm,
        part.origin_nm,
        grid_of(opened.volume),
        roi=called.roi,
        rois=called.rois,
    )


def _labels_of(rois: RoiSet, row: int, chosen: Mapping[int, str]) -> dict[int, str]:
    """The labels that an ROI names as its membranes, or all."""
    named = {whole_number(part) for part in str(rois.table["membranes"].iloc[row]).split(":")}
    own = {value: name for value, name in chosen.items() if value in named}
    return own or dict(chosen)


def _on_one_grid(volume: Volume, path: Path, rois: RoiSet, rois_path: Path) -> tuple[Volume, RoiSet]:
    """The mask and its ROIs at one place. Raises InputError where they lie on different grids.

    Segmentation programs drop a tomogram's origin: where one of the two lies at zero and their voxels are the
    same, the other's place is taken for both, and told.
    """
    theirs, ours = Grid(rois.shape, rois.voxel_size_nm, rois.origin_nm), grid_of(volume)
    if lost_its_place(theirs, ours):
        log.warning("%s and %s give different places; their voxels are taken as the same", path, rois_path)
        if any(ours.origin_nm):
            return volume, replace(rois, origin_nm=ours.origin_nm)
        return replace(volume, origin_nm=theirs.origin_nm), rois
    if found := differences(theirs, ours):
        raise InputError(
            f"{rois_path}: ROIs of {theirs}, but {path} has {ours}: another {' and '.join(found)}; give the "
            "ROIs of the same tomogram, or --voxel-size where a header is wrong"
        )
    return volume, rois


def _grown(box: Box, shape: tuple[int, int, int]) -> Box:
    z, y, x = (
        slice(max(axis.start - MARGIN_VOXELS, 0), min(axis.stop + MARGIN_VOXELS, length))
        for axis, length in zip(box, shape, strict=True)
    )
    return z, y, x


def _within(inner: Box, outer: Box) -> Box:
    z, y, x = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))
    return z, y, x


def _joined_name(path: Path, label: str) -> str:
    return f"{volume_stem(path)}_{safe_name(label)}" if label else volume_stem(path)
