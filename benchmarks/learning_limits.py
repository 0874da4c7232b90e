"""How well contacts can be found at all: what small shifts of their border or of their definition cost.

    python benchmarks/learning_limits.py [--tomograms 5]

Every line is the Dice of the exact ROIs of phantoms with the same ROIs altered. `error_shares`, by which the
learning study says where a network's errors lie, is here as well: it knows the phantom's surfaces.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tomocore.roiset import union_mask
from tomocore.volumes.volume import Volume
from tomorois.network.binning import bin_volume, unbin_to_shape
from tomorois.phantoms.imaging import tilt_from_x_deg
from tomorois.phantoms.phantom import IGNORE, Phantom, PhantomSettings, make_phantom
from tomorois.phantoms.shapes import Grid, outward
from tomorois.phantoms.truth import contact_truth

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
UNSEEN_SEED = 2
RIM_NM, FACE_NM = 6.0, 1.5
ERRORS = {
    "missed: normal within the wedge": "the nearest membrane's normal lies where no tilt reaches",
    "missed: rim": f"gap within {RIM_NM:g} nm of the limit",
    "missed: outer face": f"within {FACE_NM:g} nm of a membrane's outer face",
    "missed: core": "the rest",
    "false: rim": "between the same membranes, beyond the limit",
    "false: behind": "on the far side of a membrane",
    "false: elsewhere": "in places that touch no true ROI",
}


def altered(phantom: Phantom) -> Iterator[tuple[str, Bools]]:
    """The phantom's ROIs, altered in one way after the other."""
    true, edge = union_mask(phantom.rois).data != 0, phantom.tomogram.voxel_size_nm
    inside = edge * edt.edt(true)
    outside = edge * edt.edt(~true)
    depth = np.where(true, inside - edge / 2, edge / 2 - outside)
    wobble = gaussian_filter(np.random.default_rng(0).standard_normal(true.shape), 6.0)
    wobble /= wobble.std()
    for shift in (-1.5, 1.5):
        yield f"border moved by {shift:+g} nm everywhere", depth > -shift - 1e-3 * np.sign(shift)
    for spread in (1.0, 1.5, 2.0, 3.0):
        yield f"border moved by {spread:g} nm (SD, smooth)", depth + spread * wobble > 0
    for factor in (2, 3, 4):
        binned = bin_volume(true.astype(np.float32), factor)
        back = unbin_to_shape(binned, factor, phantom.tomogram.shape)
        yield f"binned by {factor} and interpolated back", back >= 0.5
    for factor in (2, 3, 4):
        yield f"shifted along x by a voxel of bin {factor}", np.roll(true, factor, axis=2)


def redefined(phantom: Phantom, settings: PhantomSettings) -> Iterator[tuple[str, Bools]]:
    """The ROIs as they are with another limit of the gap."""
    grid = Grid(settings.shape_zyx, settings.voxel_size_nm)
    limit = settings.scene.contact_limit_nm
    for change in (-4, -2, -1, 1, 2, 4):
        rois, _ = contact_truth(
            phantom.scene.membranes, grid, limit + change, settings.specimen.membrane_thickness_nm
        )
        yield f"gap limit {change:+d} nm", union_mask(rois).data != 0


def dice(counts: Floats) -> float:
    """From shared, called and true voxels."""
    return float(2 * counts[0] / (counts[1] + counts[2]))


def error_shares(confidence: Volume, threshold: float, phantom: Phantom) -> dict[str, float]:
    """Voxels (as many as there are) of each kind of error in ``ERRORS``, and of the truth as "true"."""
    labels = np.asarray(phantom.labels.data)
    judged, true = labels != IGNORE, (union_mask(phantom.rois).data != 0) & (labels != IGNORE)
    called = (np.asarray(confidence.data) >= threshold) & judged
    found = dict.fromkeys(ERRORS, 0.0) | {"true": float(true.sum())}
    missed = np.argwhere(true & ~called)
    in_wedge, sums, least = _about(missed, phantom)
    rim = ~in_wedge & (sums > _limit() - RIM_NM)
    face = ~in_wedge & ~rim & (least < -_half_membrane() + FACE_NM)
    found["missed: normal within the wedge"] = float(in_wedge.sum())
    found["missed: rim"], found["missed: outer face"] = float(rim.sum()), float(face.sum())
    found["missed: core"] = float((~in_wedge & ~rim & ~face).sum())
    false = called & ~true
    pieces = cc3d.connected_components(called | true, connectivity=26)
    touching = np.isin(pieces[false], np.unique(pieces[called & true]))
    found["false: elsewhere"] = float((~touching).sum())
    _, _, least = _about(np.argwhere(false)[touching], phantom)
    behind = least < -_half_membrane()
    found["false: behind"], found["false: rim"] = float(behind.sum()), float((~behind).sum())
    return found


def _limit() -> float:
    return PhantomSettings().scene.contact_limit_nm


def _half_membrane() -> float:
    return 0.5 * PhantomSettings().specimen.membrane_thickness_nm


def _about(voxels: NDArray[np.int64], phantom: Phantom) -> tuple[Bools, Floats, Floats]:
    """Of each voxel: is the nearest membrane unseen there; distances to the two nearest, summed; the less."""
    grid = Grid(phantom.tomogram.shape, phantom.tomogram.voxel_size_nm)  # type: ignore[arg-type]
    points = grid.world(voxels)
    distances = np.stack([membrane.distance_nm(points) for membrane in phantom.scene.membranes])
    nearest = np.abs(distances).argmin(axis=0)
    normals = np.zeros((len(points), 3))
    for number, membrane in enumerate(phantom.scene.membranes):
        here = nearest == number
        if here.any():
            normals[here] = outward(membrane, points[here])
    two = np.sort(np.where(distances >= -3 * _half_membrane(), distances, np.inf), axis=0)[:2]
    unseen = tilt_from_x_deg(normals) > 60.0 if len(points) else np.zeros(0, dtype=bool)
    return unseen, two.sum(axis=0), two[0]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tomograms", type=int, default=5)
    counts: dict[str, Floats] = {}
    settings = PhantomSettings()
    for index in range(parser.parse_args().tomograms):
        phantom = make_phantom("contacts", UNSEEN_SEED, settings, index)
        judged = np.asarray(phantom.labels.data) != IGNORE
        true = (union_mask(phantom.rois).data != 0) & judged
        for ways in (altered(phantom), redefined(phantom, settings)):
            for name, mask in ways:
                called = mask & judged
                sums = [np.count_nonzero(part) for part in (called & true, called, true)]
                counts[name] = counts.get(name, np.zeros(3)) + sums
    print("| the exact ROIs, but | Dice |\n|---|---|")
    for name, total in counts.items():
        print(f"| {name} | {dice(total):.3f} |")


if __name__ == "__main__":
    main()
