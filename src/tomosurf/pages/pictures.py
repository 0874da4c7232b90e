"""One picture a tomogram: a slice with its ROIs and membranes, small enough for a hundred on a page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from surfora.viewer.slices import grey_levels, grey_limits, jpeg_of, shrunk
from tomocore.contract import InputError
from tomocore.roiset import RoiSet, read_rois
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume
from tomosurf.project import Project, TomogramPlan
from tomosurf.rounds import shown_path, without_rejected

Plane = NDArray[np.bool_]

FOUND, TRUTH, MEMBRANE = (255, 140, 26), (58, 160, 255), (0, 158, 115)
LEGEND = "Orange: ROIs found; blue: true ROIs, where they are known; green: membranes."
LOOKED_AT = 9
"""Planes of which the one with most membrane is pictured, where no ROI says which."""
QUALITY = 75
MEMBRANE_SHARE = 0.45
"""How green a membrane's pixels are."""


@dataclass(frozen=True)
class TomogramPicture:
    """A slice of a tomogram as a data address of a JPEG, which slice it is, and its width in nm."""

    address: str
    slice_number: int
    width_nm: float

    @property
    def words(self) -> str:
        """``slice 57, 460 nm wide``."""
        return f"slice {self.slice_number}, {self.width_nm:.0f} nm wide"


def tomogram_picture(plan: TomogramPlan, project: Project, most_pixels: int = 320) -> TomogramPicture:
    """The slice with most ROI voxels, or most membrane where there is no ROI, else the middle one.

    No side is longer than ``most_pixels``. Raises InputError where the tomogram cannot be read; ROIs, truth
    and membranes that cannot are left out, since steps and `validate` tell of them.
    """
    edge_nm, resample = plan.voxel_size_nm, project.settings.resample
    tomogram = read_volume(plan.tomogram, edge_nm, lazy=True, resample=resample)
    shape = tomogram.data.shape
    found = _rois(shown_path(plan), plan, project, shape)
    known = _rois(plan.truth, plan, project, shape) if plan.truth else None
    membranes = _membranes(plan, project, shape)
    at = _slice_to_show(found or known, membranes, shape)
    grey = shrunk(np.asarray(tomogram.data[at], np.float32), most_pixels)
    pixels = np.repeat(grey_levels(grey, grey_limits(grey))[:, :, None], 3, axis=2)
    if membranes is not None:
        inside = _shrunk_mask(np.asarray(membranes.data[at]) != 0, most_pixels)
        mixed = (1 - MEMBRANE_SHARE) * pixels[inside] + MEMBRANE_SHARE * np.array(MEMBRANE)
        pixels[inside] = mixed.astype(np.uint8)
    for rois, colour in ((known, TRUTH), (found, FOUND)):
        if rois is not None:
            outline = _outline(_shrunk_mask(_plane_of(rois, at, shape), most_pixels))
            pixels[outline] = colour
    jpeg = jpeg_of(np.ascontiguousarray(pixels[::-1]), QUALITY)  # y runs up, as in all pictures
    address = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
    return TomogramPicture(address, at, float(tomogram.size_nm[0]))


def _rois(path: Any, plan: TomogramPlan, project: Project, shape: tuple[int, ...]) -> RoiSet | None:
    try:
        rois = without_rejected(read_rois(path, plan.voxel_size_nm, resample=project.settings.resample))
    except (InputError, FileNotFoundError):
        return None
    return rois if len(rois) and tuple(rois.shape) == tuple(shape) else None


def _membranes(plan: TomogramPlan, project: Project, shape: tuple[int, ...]) -> Volume | None:
    try:
        found = read_volume(plan.membranes, plan.voxel_size_nm, lazy=True, resample=project.settings.resample)
    except (InputError, FileNotFoundError):
        return None
    return found if tuple(found.data.shape) == tuple(shape) else None


def _slice_to_show(rois: RoiSet | None, membranes: Volume | None, shape: tuple[int, ...]) -> int:
    if rois is not None:
        counts = np.zeros(shape[0], np.int64)
        for box, mask in rois.placed_masks():
            counts[box[0]] += mask.sum(axis=(1, 2))
        return int(counts.argmax())
    if membranes is not None:
        places = np.unique(np.linspace(0, shape[0] - 1, LOOKED_AT + 2)[1:-1].astype(int))
        counts = np.array([np.count_nonzero(np.asarray(membranes.data[int(z)])) for z in places])
        if counts.any():
            return int(places[counts.argmax()])
    return shape[0] // 2


def _plane_of(rois: RoiSet, at: int, shape: tuple[int, ...]) -> Plane:
    plane = np.zeros(shape[1:], bool)
    for (z, y, x), mask in rois.placed_masks():
        if z.start <= at < z.stop:
            plane[y, x] |= mask[at - z.start]
    return plane


def _shrunk_mask(plane: Plane, most_pixels: int) -> Plane:
    return np.asarray(shrunk(plane.astype(np.float32), most_pixels) >= 0.5)


def _outline(plane: Plane) -> Plane:
    """The outermost two pixels of a mask."""
    return np.asarray(plane & ~binary_erosion(plane, iterations=2, border_value=1))
