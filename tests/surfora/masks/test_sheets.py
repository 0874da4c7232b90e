"""Which voxels lie on which sheet: apart across a single empty voxel, one where a thin sheet steps."""

import cc3d
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfora.masks.sheets import sheets_apart, without_bridges

SHAPE = (44, 47, 50)


def slabs(thickness, gap, turned_deg):
    """Two sheets whose planes are turned, as [z, y, x] labels 1 and 2."""
    rotation = Rotation.from_euler("xyz", turned_deg, degrees=True).as_matrix()
    place = (np.moveaxis(np.indices(SHAPE), 0, -1)[..., ::-1] - [24.6, 23.3, 19.4]) @ rotation
    if not any(turned_deg):
        place = np.rint(place - 0.01) + (0 if thickness % 2 else 0.5)
    within = (np.abs(place[..., 0]) < 15) & (np.abs(place[..., 1]) < 13)
    labels = np.zeros(SHAPE, int)
    for label, height in ((1, 0.0), (2, thickness + gap)):
        labels[within & (np.abs(place[..., 2] - height) <= thickness / 2 - 1e-9)] = label
    return labels


@pytest.mark.parametrize(
    "turned_deg", [(0, 0, 0), (0, 0, 30), (10, 0, 0), (0, 20, 0), (45, 0, 0), (30, 40, 10)]
)
@pytest.mark.parametrize("thickness", [2, 3, 4, 6])
def test_sheets_a_voxel_apart_are_two(turned_deg, thickness):
    labels = slabs(thickness, 1, turned_deg)
    found = sheets_apart(labels > 0, np.argwhere(labels))
    truth = labels[labels > 0]
    sizes = np.bincount(found)
    assert np.sort(sizes)[-2:].sum() == len(found)
    large = np.argsort(sizes)[-2:]
    agree = (found == large[0]) == (truth == 1)
    assert min(agree.mean(), 1 - agree.mean()) == 0


@pytest.mark.parametrize("lowest", [-0.5, 0.0, 0.3])
@pytest.mark.parametrize("turned_deg", [(3, 0, 0), (10, 0, 0), (15, 0, 40), (0, 20, 0), (20, 25, 0)])
def test_skeletons_of_two_slanted_sheets_a_voxel_apart_are_two(turned_deg, lowest):
    normal = Rotation.from_euler("xyz", turned_deg, degrees=True).as_matrix()[:, 2]
    place = np.moveaxis(np.indices(SHAPE), 0, -1)[..., ::-1] - [24.6, 23.3, 19.4]
    height = place @ normal / np.abs(normal).max()  # in voxels along the axis that the sheets face most
    labels = np.select([np.floor(height - lowest) == 0, np.floor(height - lowest) == 2], [1, 2])
    labels[np.linalg.norm(place, axis=-1) > 17] = 0
    assert cc3d.connected_components(labels > 0, connectivity=26).max() == 1
    found = sheets_apart(labels > 0, np.argwhere(labels))
    assert found.max() == 1
    agree = np.mean(found == labels[labels > 0] - 1)
    assert max(agree, 1 - agree) > 0.99  # a fragment at the rim may go either way


@pytest.mark.parametrize("turned_deg", [(3, 0, 0), (0, 20, 0), (30, 40, 10), (45, 35, 0)])
def test_a_thin_sheet_that_steps_from_plane_to_plane_stays_one(turned_deg):
    thin = slabs(1, 30, turned_deg) == 1
    whole = cc3d.connected_components(thin, connectivity=26).max()
    pieces = cc3d.connected_components(thin, connectivity=6).max()
    assert whole == 1 < pieces
    assert sheets_apart(thin, np.argwhere(thin)).max() == 0


@pytest.mark.parametrize("radius", [4.0, 7.3, 15.2])
def test_the_skeleton_of_a_vesicle_stays_one(radius):
    offset = np.moveaxis(np.indices((40, 41, 42)), 0, -1) - [19.7, 20.2, 20.6]
    away = np.linalg.norm(offset, axis=-1)
    skeleton = np.abs(away - radius) <= 0.5 * np.abs(offset).max(axis=-1) / away
    assert cc3d.connected_components(skeleton, connectivity=6).max() > 10
    assert sheets_apart(skeleton, np.argwhere(skeleton)).max() == 0


def test_fragments_go_with_what_they_touch_and_lone_voxels_stay_alone():
    mask = slabs(3, 1, (0, 0, 0)) > 0
    bottom = np.argwhere(mask)[0]
    mask[tuple(bottom - 1)] = True
    mask[2, 2, 2] = True
    found = sheets_apart(mask, np.argwhere(mask))
    number = np.full(SHAPE, -1)
    number[mask] = found
    assert found.max() == 2
    assert number[tuple(bottom - 1)] == number[tuple(bottom)]
    assert (found == number[2, 2, 2]).sum() == 1


def test_rows_do_not_wrap_round():
    mask = np.zeros((3, 4, 5), bool)
    mask[:, :, 0] = mask[:, :, 4] = True
    assert sorted(np.bincount(sheets_apart(mask, np.argwhere(mask)))) == [12, 12]


def test_filling_that_would_join_two_sheets_is_taken_back():
    mask = slabs(3, 1, (0, 0, 0)) > 0
    middle = [int(part) for part in np.argwhere(mask).mean(axis=0)]
    gap = ~mask[:, middle[1], middle[2]] & (np.cumsum(mask[:, middle[1], middle[2]]) == 3)
    z = int(np.flatnonzero(gap)[0])
    holed = mask.copy()
    holed[z - 2, middle[1], middle[2]] = False  # a cavity of the lower sheet
    filled = mask.copy()
    filled[z, middle[1], middle[2]] = True
    assert np.array_equal(without_bridges(holed, filled), mask)
