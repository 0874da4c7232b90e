"""Segmentations as other programs leave them, written by other libraries: read as they are, found by name."""

import mrcfile
import numpy as np
import pytest
import tifffile
from command_line import run_command

from tomocore.contract import InputError
from tomocore.files_of_tomograms import matched
from tomocore.volumes.formats import read_volume

LABELS = np.zeros((12, 20, 24), np.uint8)
LABELS[3:6, 4:12, 5:18] = 1
LABELS[7:10, 4:12, 5:18] = 2
EDGE = 1.2  # nm


def membrain(path):
    with mrcfile.new(path) as file:
        file.set_data((LABELS > 0).astype(np.int8))
        file.voxel_size = EDGE * 10


def tardis(path):
    with mrcfile.new(path) as file:
        file.set_data(LABELS.astype(np.uint16))
        file.voxel_size = EDGE * 10
        file.update_header_stats()


def napari(path):
    tifffile.imwrite(path, LABELS.astype(np.int32))


def dragonfly(path):
    tifffile.imwrite(path, LABELS.astype(np.uint16), metadata=None, photometric="minisblack")


PROGRAMS = {
    "MemBrain-seg": ("ts_1_10.00Apx_MemBrain_seg_v10_alpha.ckpt_segmented.mrc", membrain, {0, 1}, True),
    "TARDIS": ("ts_1_10.00Apx_instance.mrc", tardis, {0, 1, 2}, True),
    "napari": ("ts_1_10.00Apx-labels.tif", napari, {0, 1, 2}, False),
    "Dragonfly": ("ts_1_10.00Apx_multiroi.tiff", dragonfly, {0, 1, 2}, False),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_labels_come_in_with_their_voxels_or_a_question_for_them(program, tmp_path):
    name, write, found, tells_edge = PROGRAMS[program]
    path = tmp_path / name
    write(path)
    if not tells_edge:
        with pytest.raises(InputError, match="--voxel-size"):
            read_volume(path)
    volume = read_volume(path, None if tells_edge else EDGE)
    assert set(np.unique(volume.data)) == found
    assert volume.data.shape == LABELS.shape
    np.testing.assert_array_equal(np.asarray(volume.data) > 0, LABELS > 0)
    assert volume.voxel_size_nm == pytest.approx(EDGE, rel=1e-5)
    tomogram = tmp_path / "ts_1_10.00Apx.mrc"
    assert matched([tomogram], [path], "membranes") == {tomogram: path}


def test_info_says_what_is_in_them(tmp_path):
    path = tmp_path / "ts_1_instance.mrc"
    tardis(path)
    said = run_command("tomorois", "info", path)
    assert said.returncode == 0
    assert "12 Å" in said.stdout or "1.2 nm" in said.stdout
