"""Contacts as pairs of membranes: one ROI a pair and connected place, overlaps kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import cKDTree

from tomocore.contract import InputError
from tomocore.fused import separate_fused
from tomocore.roiset import Bools, Box
from tomocore.volumes.volume import Volume
from tomorois.instances.settings import ContactSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Labels = NDArray[np.int32]


MEMBRANE_FROM = 0.5  # of maps from 0 to 1, as a network draws them


@dataclass(frozen=True)
class Membranes:
    """Single membranes on a grid: ``labels`` (int32, 0 for none), and the name of each label in pairs."""

    labels: Volume
    names: dict[int, str]

    def crop(self, box: Box) -> Membranes:
        """The part inside a box of slices, with the same labels and names."""
        return Membranes(self.labels.crop(box), self.names)


@dataclass(frozen=True)
class Sight:
    """One membrane as the ROI voxels see it: which rows reach it, how far it is, and where they land."""

    name: str
    label: int
    rows: Ints
    distance_nm: Floats
    landing: Ints
    voxels: Ints


def contact_pairs(
    places: Bools, membranes: Membranes, settings: ContactSettings = ContactSettings()
) -> tuple[list[tuple[Box, Bools]], list[str], float]:
    """Boxes and masks of the contacts in a mask of places, the pair of each as "1:3", the share left out.

    A contact is an unordered pair of different membranes at one connected place: each voxel sees the
    membranes within reach, keeps the pairs whose sight lines cross no third membrane, and joins the
    voxels that land on the same connected place of both. So connectivity runs along the membranes, not
    across the gap; a voxel may belong to several contacts, and contacts that ran into each other come
    apart. Voxels that see no pair are left out. A membrane's contact with itself is none.
    """
    labels, voxel_size_nm = np.asarray(membranes.labels.data), membranes.labels.voxel_size_nm
    voxels = np.argwhere(places)
    sights = _sights(voxels, labels, membranes.names, voxel_size_nm, settings.reach_nm)
    found, titles = [], []
    unpaired = np.ones(len(voxels), dtype=bool)
    for first, second in _pairs(voxels, sights, labels, settings):
        for rows in _connected_places(first, second, voxel_size_nm, settings):
            found.append(_boxed(voxels[rows]))
            titles.append(f"{first.name}:{second.name}")
            unpaired[rows] = False
    return found, titles, float(unpaired.mean()) if len(unpaired) else 0.0


def membrane_instances(membranes: Volume, settings: ContactSettings = ContactSettings()) -> Membranes:
    """The single membranes in a mask, in labels or in a map from 0 to 1 (from MEMBRANE_FROM on).

    Pieces of a class are named "1", "2" or "class.piece". Raises InputError for values of another kind.
    """
    labels = _whole_labels(np.asarray(membranes.data))
    values = np.unique(labels)
    values = values[values > 0]
    if settings.labels == "instances" or (settings.labels == "auto" and len(values) > 1):
        return Membranes(membranes.with_data(labels), {int(value): str(value) for value in values})
    single = np.zeros_like(labels)
    names: dict[int, str] = {}
    for value in values:
        pieces = separate_fused(
            labels == value, membranes.voxel_size_nm, settings.min_membrane_nm3, settings.fused
        )
        numbers = range(1, int(pieces.max()) + 1)
        shifted = len(names)
        single += np.where(pieces > 0, pieces + shifted, 0).astype(np.int32)
        names |= {shifted + k: str(k) if len(values) == 1 else f"{value}.{k}" for k in numbers}
    return Membranes(membranes.with_data(single), names)


def _whole_labels(data: NDArray[Any]) -> NDArray[np.int32]:
    """Labels (0 for what is below) of whole numbers, or 1 where a map from 0 to 1 says membrane."""
    if data.dtype.kind != "f" or (data == np.rint(data)).all():
        return np.maximum(data, 0).astype(np.int32)
    if not np.isfinite(data).all() or data.min() < 0 or data.max() > 1:
        raise InputError(
            f"the membranes are neither labels nor a map from 0 to 1 (values {data.min():.3g} to "
            f"{data.max():.3g}); give a segmentation or a confidence map"
        )
    return (data >= MEMBRANE_FROM).astype(np.int32)


def _sights(
    voxels: Ints, labels: Labels, names: dict[int, str], voxel_size_nm: float, reach_nm: float
) -> list[Sight]:
    """What each membrane within reach of any voxel looks like from there, by ascending label."""
    reach = reach_nm / voxel_size_nm
    boxes = find_objects(labels, max_label=max(names, default=0))
    sights = []
    for label, name in sorted(names.items()):
        box = boxes[label - 1]
        if box is None:  # a membrane elsewhere in the tomogram
            continue
        start = np.array([axis.start for axis in box])
        stop = np.array([axis.stop for axis in box])
        near = np.flatnonzero(((voxels >= start - reach) & (voxels < stop + reach)).all(axis=1))
        if len(near) == 0:
            continue
        membrane = np.argwhere(labels[box] == label) + start
        distance, landing = cKDTree(membrane).query(
            voxels[near], distance_upper_bound=reach + 1e-6, workers=-1
        )
        hit = np.isfinite(distance)
        if hit.any():
            sights.append(
                Sight(name, label, near[hit], distance[hit] * voxel_size_nm, landing[hit], membrane)
            )
    return sights


def _pairs(
    voxels: Ints, sights: list[Sight], labels: Labels, settings: ContactSettings
) -> Iterator[tuple[Sight, Sight]]:
    """Both sights of each pair, cut down to the rows that belong to it, in the same order."""
    nearest, second_nearest = _two_nearest(sights, len(voxels))
    limit = np.minimum(settings.reach_nm, nearest + second_nearest + settings.slack_nm)
    for first, second in combinations(sights, 2):
        rows, a, b = np.intersect1d(first.rows, second.rows, assume_unique=True, return_indices=True)
        near = first.distance_nm[a] + second.distance_nm[b] <= limit[rows] + 1e-6
        rows, a, b = rows[near], a[near], b[near]
        clear = np.ones(len(rows), dtype=bool)
        for sight, index in ((first, a), (second, b)):
            ends = sight.voxels[sight.landing[index]]
            clear &= _sees_only(voxels[rows], ends, labels, (first.label, second.label))
        if clear.any():
            yield _cut(first, a[clear]), _cut(second, b[clear])


def _two_nearest(sights: list[Sight], count: int) -> tuple[Floats, Floats]:
    nearest, second = np.full(count, np.inf), np.full(count, np.inf)
    for sight in sights:
        closer = np.minimum(nearest[sight.rows], sight.distance_nm)
        further = np.maximum(nearest[sight.rows], sight.distance_nm)
        nearest[sight.rows] = closer
        second[sight.rows] = np.minimum(second[sight.rows], further)
    return nearest, second


def _sees_only(starts: Ints, ends: Ints, labels: Labels, pair: tuple[int, int]) -> Bools:
    """Whether the straight way from each start to its end meets no membrane outside the pair."""
    clear = np.ones(len(starts), dtype=bool)
    steps = int(np.abs(ends - starts).max(initial=0))
    for step in range(steps + 1):
        at = np.rint(starts + (ends - starts) * (step / max(steps, 1))).astype(np.int64)
        met = labels[at[:, 0], at[:, 1], at[:, 2]]
        clear &= (met == 0) | (met == pair[0]) | (met == pair[1])
    return clear


def _cut(sight: Sight, index: Ints) -> Sight:
    rows, distance, landing = sight.rows[index], sight.distance_nm[index], sight.landing[index]
    return Sight(sight.name, sight.label, rows, distance, landing, sight.voxels)


def _connected_places(
    first: Sight, second: Sight, voxel_size_nm: float, settings: ContactSettings
) -> Iterator[Ints]:
    """Rows of each place of one pair: they land on one connected place of either membrane, and touch both."""
    join = settings.join_nm / voxel_size_nm
    keys = np.stack([_landing_places(first, join), _landing_places(second, join)], axis=1)
    found, group = np.unique(keys, axis=0, return_inverse=True)
    for number in range(len(found)):
        mine = group.ravel() == number
        gaps = first.distance_nm[mine].min(), second.distance_nm[mine].min()
        if max(gaps) <= settings.touch_nm:
            yield first.rows[mine]


def _landing_places(sight: Sight, join: float) -> Ints:
    """For each row, the place on the membrane (numbered from 1) on which it lands."""
    landed = sight.voxels[sight.landing]
    margin = int(np.ceil(join / 2)) + 1
    at = tuple((landed - landed.min(axis=0) + margin).T)
    free = np.ones(np.ptp(landed, axis=0) + 1 + 2 * margin, dtype=bool)
    free[at] = False
    places = cc3d.connected_components(edt.edt(free) <= join / 2 + 1e-6, connectivity=26)
    return places[at].astype(np.int64)


def _boxed(voxels: Ints) -> tuple[Box, Bools]:
    start, stop = voxels.min(axis=0), voxels.max(axis=0) + 1
    mask = np.zeros(stop - start, dtype=bool)
    mask[tuple((voxels - start).T)] = True
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)), mask  # type: ignore[return-value]
