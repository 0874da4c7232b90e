"""What a map of confidence says of a border: formula, thin membranes, and the maps that are none of it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from surfora.masks.border_doubt import MapsOfConfidence, slopes_per_voxel
from surfora.masks.grids import grid_of
from surfora.masks.membranes import Membrane
from surfora.masks.perturbed import Perturbation, perturbed
from tomocore.contract import InputError
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume


@pytest.mark.parametrize("normal", [(1, 0, 0), (2, 1, 0), (1, 1, 1)])
def test_slope_of_a_ramp_whichever_way_it_lies(normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    values = 0.5 + 0.08 * (np.moveaxis(np.indices((9, 9, 9)), 0, -1) - 4) @ normal
    voxels = np.array([[4, 4, 4], [3, 5, 4]])
    np.testing.assert_allclose(slopes_per_voxel(values, voxels), 0.08, rtol=1e-6)


def test_the_face_of_a_thin_membrane_counts_not_its_middle():
    values = np.zeros((9, 9, 9))
    values[4] = 0.9
    assert slopes_per_voxel(values, np.array([[4, 4, 4], [3, 4, 4]])) == pytest.approx([0.9, 0.9])


def slab(folder, sharp=1.0, blurred=6.0, **more):
    """A slab 12 voxels thick whose map falls off fast in its first half and slowly in its second."""
    z, _, x = np.indices((40, 50, 100))
    depth = 6 - np.abs(z - 19.5)
    values = expit(4 * depth / np.where(x < 50, sharp, blurred)).astype(np.float32)
    write_volume(folder / "t1__confidence.mrc", Volume(values, 1.5, **more))
    mask = Volume(depth > 0, 1.5)
    write_volume(folder / "t1__membranes.mrc", mask.with_data(mask.data.astype(np.int8)))
    maps = MapsOfConfidence({folder / "t1__membranes.mrc": folder / "t1__confidence.mrc"}, 0.14)
    box = (slice(2, 38), slice(0, 50), slice(3, 97))
    part = mask.crop(box)
    source = folder / "t1__membranes.mrc"
    return maps, Membrane("m", "", source, part.data, None, 1.5, part.origin_nm, grid_of(mask))


def test_a_border_moves_where_the_map_is_blurred_and_hardly_where_it_is_sharp(tmp_path):
    maps, membrane = slab(tmp_path)
    change = np.stack([
        perturbed(membrane, Perturbation(seed, 0.5, 2.5, confidence=maps)).mask.astype(int)
        .sum(axis=0) - membrane.mask.sum(axis=0)
        for seed in range(25)
    ])  # fmt: skip
    # A logistic falls by 1 / width per voxel at its middle, and by 0.96 and 0.99 of that half a voxel away;
    # both faces add up, with a quarter of their variance in common.
    faces = np.sqrt(2 * (1 + 0.25))
    sharp, blurred = change[:, 8:-8, 8:38].std() / faces, change[:, 8:-8, 56:-8].std() / faces
    assert sharp == pytest.approx(12**-0.5, rel=0.2)  # not 0.14: what a voxel leaves open
    assert blurred == pytest.approx(0.14 * 6, rel=0.2)


def test_maps_that_are_none_of_the_mask_are_told(tmp_path, caplog):
    maps, membrane = slab(tmp_path)
    maps.require_fit(membrane.source)
    assert not caplog.records
    path = tmp_path / "t1__confidence.mrc"
    write_volume(path, Volume(np.full((40, 50, 90), 0.5, np.float32), 1.5))
    with pytest.raises(InputError, match="another shape"):
        maps.require_fit(membrane.source)
    write_volume(path, Volume(np.full((40, 50, 100), 3.0, np.float32), 1.5))
    with pytest.raises(InputError, match="a confidence is 0 to 1"):
        maps.require_fit(membrane.source)
    write_volume(path, Volume(np.full((40, 50, 100), 0.5, np.float32), 1.5, (9.0, 0.0, 0.0)))
    maps.require_fit(membrane.source)  # a place that the mask has lost
    assert "is it another map" in caplog.text
    assert MapsOfConfidence({}, 0.14).of(membrane) is None
    assert (
        maps.of(Membrane("n", "", Path("other.mrc"), membrane.mask, None, 1.5, (0,) * 3, membrane.grid))
        is None
    )
