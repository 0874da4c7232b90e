"""Membranes as network input: maps kept, labels made ones, distances in nm whatever boxes and binning."""

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.volume import Volume
from tomorois.network import membrane_input
from tomorois.network.membrane_input import FARTHEST, input_channels, membrane_channels
from tomorois.network.settings import MembraneSettings

NOW = MembraneSettings()


def sheet(z: int, shape: tuple[int, int, int] = (40, 12, 14), value: float = 1.0) -> np.ndarray:
    data = np.zeros(shape, np.float32)
    data[z] = value
    return data


def test_labels_become_ones_and_maps_stay() -> None:
    labels = np.array([[[0, 3, 1]]])
    for kind in (np.int16, np.float32):
        assert membrane_channels(Volume(labels.astype(kind), 1.0), 1, NOW)[0].tolist() == [[[0, 1, 1]]]
    soft = np.array([[[0.0, 0.25, 1.0]]], np.float32)
    assert membrane_channels(Volume(soft, 1.0), 1, NOW)[0].tolist() == soft.tolist()
    with pytest.raises(InputError, match="of t1: neither labels nor a map from 0 to 1"):
        membrane_channels(Volume(soft * 2, 1.0), 1, NOW, "of t1")


@pytest.mark.parametrize("voxel_size_nm", [0.7, 1.5])
def test_distance_of_a_sheet_is_exact_up_to_the_reach(voxel_size_nm: float) -> None:
    _, distance = membrane_channels(Volume(sheet(5), voxel_size_nm), 1, MembraneSettings(reach_nm=12.0))
    away = voxel_size_nm * np.abs(np.arange(40) - 5)
    np.testing.assert_allclose(distance[:, 3, 3], np.minimum(away / 12.0, 1.0) * FARTHEST, rtol=1e-6)


def test_distances_are_measured_before_they_are_binned() -> None:
    _, distance = membrane_channels(Volume(sheet(4), 1.5), 3, NOW)
    assert distance[1, 2, 2] * NOW.reach_nm / FARTHEST == pytest.approx(1.5 * 2 / 3)  # 1, 0 and 1 voxel
    assert distance[5, 2, 2] * NOW.reach_nm / FARTHEST == pytest.approx(1.5 * 12)


def test_boxes_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    scattered = Volume((np.random.default_rng(0).random((31, 45, 52)) < 0.002).astype(np.int8), 2.0)
    whole = membrane_channels(scattered, 2, MembraneSettings(reach_nm=15.0))
    monkeypatch.setattr(membrane_input, "BOX_VOXELS", 10)
    np.testing.assert_array_equal(membrane_channels(scattered, 2, MembraneSettings(reach_nm=15.0)), whole)


def test_a_weak_map_is_no_membrane_and_nothing_is_far_from_everything() -> None:
    weak = Volume(sheet(5, value=0.4), 1.0)
    channels = membrane_channels(weak, 1, NOW)
    assert channels[0].max() == np.float32(0.4)
    assert (channels[1] == FARTHEST).all()
    assert membrane_channels(weak, 1, MembraneSettings(threshold=0.3))[1].min() == 0


def test_channels_are_counted() -> None:
    assert input_channels(None) == 1
    assert input_channels(Volume(sheet(5), 1.0)) == 1 + len(membrane_channels(Volume(sheet(5), 1.0), 4, NOW))
