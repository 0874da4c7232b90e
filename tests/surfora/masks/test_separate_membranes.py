"""One mask of many membranes comes apart: by size and place, touching ones with how sure the parting is."""

import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command
from vesicle_scenes import vesicle_scene

from surfora.masks.separate_membranes import COLUMNS, mask_components
from surfora.masks.settings import ComponentSettings
from tomocore.contract import InputError
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

ORIGIN_NM = (10.0, -20.0, 30.0)


def shell(shape, centre, radius, thickness):
    """A spherical shell (bool z, y, x), lengths in voxels."""
    grids = np.ogrid[tuple(slice(n) for n in shape)]
    distance = np.sqrt(sum((grid - at) ** 2 for grid, at in zip(grids, centre, strict=True)))
    return np.abs(distance - radius) <= thickness / 2


@pytest.fixture
def many():
    """Vesicles of radius 12, 8 and 6 voxels of 1.25 nm, and three specks."""
    shape = (30, 30, 90)
    mask = (
        shell(shape, (14, 14, 70), 12, 4)
        | shell(shape, (15, 14, 40), 8, 4)
        | shell(shape, (14, 15, 10), 6, 4)
    )
    for x in (24, 26, 28):
        mask[2, 2, x] = True
    return Volume(mask.astype(np.int8), 1.25, ORIGIN_NM)


def test_pieces_are_numbered_by_size_with_their_place_and_area(many):
    found = mask_components(many)
    table = found.table
    assert list(table) == list(COLUMNS)
    assert table["label"].tolist() == [1, 2, 3]
    assert table["volume_nm3"].is_monotonic_decreasing
    centres = table[["centroid_x_nm", "centroid_y_nm", "centroid_z_nm"]].to_numpy()
    expected = many.world([(14, 14, 70), (15, 14, 40), (14, 15, 10)])
    np.testing.assert_allclose(centres, expected, atol=1e-6)
    areas = 4 * np.pi * (np.array([12, 8, 6]) * 1.25) ** 2
    assert table["area_nm2"].to_numpy() == pytest.approx(areas, rel=0.2)
    assert table["certainty"].tolist() == [1, 1, 1]
    assert (found.dropped_pieces, found.labels.data.max()) == (3, 3)
    assert found.dropped_share == pytest.approx(3 / np.count_nonzero(many.data))
    kept = found.labels.data > 0
    assert np.array_equal(kept, (many.data > 0) & kept)
    assert found.labels.origin_nm == ORIGIN_NM


def test_membranes_that_touch_are_parted_and_say_how_surely():
    scene = vesicle_scene([(45, 50, 50), (112, 50, 50), (176, 50, 50)], [35, 30, 32], (220, 100, 100))
    found = mask_components(Volume((scene.labels > 0).astype(np.int8), 2.0))
    assert found.table["touches"].tolist() == ["3", "3", "1:2"]
    assert found.table["certainty"].between(0.6, 1).all()
    for row in (1, 2, 3):
        own = found.labels.data[scene.labels == row]
        assert np.bincount(own).max() / len(own) > 0.99


def test_labels_stay_apart_and_say_where_they_come_from(many):
    x = np.indices(many.shape)[2]
    labels = many.with_data(np.where(many.data > 0, np.where(x < 25, 7, 3), 0).astype(np.int16))
    assert mask_components(labels).table["of_label"].tolist() == [3, 3, 7]


def test_nothing_large_enough_is_refused(many):
    with pytest.raises(InputError, match=r"components\.min_volume_nm3"):
        mask_components(many, ComponentSettings(min_volume_nm3=1e6))


@pytest.mark.slow
def test_the_command_takes_apart_and_run_measures_all(many, tmp_path):
    write_volume(tmp_path / "all.mrc", many)
    made = run_command("surfora", "components", "all.mrc", "-o", "labels.mrc", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "3 membranes" in made.stdout
    assert "3 pieces" in made.stdout
    assert len(pd.read_csv(tmp_path / "labels.csv")) == 3
    assert read_volume(tmp_path / "labels.mrc").data.max() == 3
    again = run_command("surfora", "components", "all.mrc", "-o", "labels.mrc", cwd=tmp_path)
    assert again.returncode == 0
    assert "skipped labels.mrc" in again.stdout
    assert run_command("surfora", "run", "labels.mrc", "-o", "out", cwd=tmp_path).returncode == 0
    measured = pd.read_csv(tmp_path / "out" / "surfaces.csv").set_index("name")["area_nm2"]
    exact = 4 * np.pi * (np.array([12, 8, 6]) * 1.25) ** 2
    assert measured[["labels_1", "labels_2", "labels_3"]].to_numpy() == pytest.approx(exact, rel=0.03)
    write_volume(tmp_path / "scores.mrc", Volume(np.random.default_rng(0).normal(size=(9, 9, 9)), 1.0))
    line = refusal_of(run_command("surfora", "components", "scores.mrc", "-o", "x.mrc", cwd=tmp_path))
    assert "surfora clean" in line
    assert not (tmp_path / "x.mrc").exists()
