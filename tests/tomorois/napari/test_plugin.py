"""The manifest, and what napari's menus do by it: read, write, sample data."""

from pathlib import Path

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.napari import plugin

npe2 = pytest.importorskip("npe2")
MANIFEST = Path(plugin.__file__).with_name("napari.yaml")


@pytest.fixture
def manifest():
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    return manifest


def test_the_manifest_is_valid_and_names_what_is_there(manifest):
    assert manifest.name == "tomorois-surfora"
    kinds = manifest.contributions
    assert len(kinds.widgets) == 1
    assert {sample.key for sample in kinds.sample_data} == {"contacts", "buds"}


def test_a_plugin_manager_finds_reader_and_widget(manifest):
    manager = npe2.PluginManager()
    manager.register(manifest)
    readers = list(manager.iter_compatible_readers(["ts_01.mrc"]))
    assert [reader.command for reader in readers] == ["tomorois-surfora.read"]
    assert [widget.command for widget in manager.iter_widgets()] == ["tomorois-surfora.loop"]


@pytest.mark.parametrize("ending", [".mrc", ".zarr"])
def test_scale_and_place_survive_reading_and_writing(tmp_path, ending):
    values = np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32)
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    write_volume(first, Volume(values, 1.37, (4.0, -5.0, 6.0)))
    data, arguments, kind = plugin.reader_of(str(first))(str(first))[0]
    assert (kind, arguments["name"]) == ("image", "a")
    assert arguments["scale"] == pytest.approx((1.37,) * 3)
    assert arguments["translate"] == pytest.approx((6.0, -5.0, 4.0))
    assert arguments["units"] == ("nm",) * 3
    assert plugin.write_image(str(second), data, arguments) == [str(second)]
    again = read_volume(second)
    assert again.voxel_size_nm == pytest.approx(1.37)
    assert again.origin_nm == pytest.approx((4.0, -5.0, 6.0))
    assert (np.asarray(again.data) == values).all()


def test_labels_are_labels_and_rois_too(tmp_path):
    labels = np.zeros((5, 6, 7), np.int16)
    labels[2, 2:4, 2:4] = 3
    write_volume(tmp_path / "a__labels.mrc", Volume(labels, 2.0))
    data, arguments, kind = plugin.read_layers(str(tmp_path / "a__labels.mrc"))[0]
    assert kind == "labels"
    plugin.write_labels(str(tmp_path / "b.mrc"), data, {**arguments, "units": ("angstrom",) * 3})
    assert read_volume(tmp_path / "b.mrc").voxel_size_nm == pytest.approx(0.2)
    with pytest.raises(InputError, match="unequal edges"):
        plugin.write_labels(str(tmp_path / "c.mrc"), data, {"scale": (1, 2, 2)})
    assert plugin.reader_of("photo.png") is None


def test_a_header_that_lies_is_told_and_shown(tmp_path, caplog):
    write_volume(tmp_path / "a.mrc", Volume(np.zeros((4, 5, 6), np.float32), 0.1))
    _, arguments, _ = plugin.read_layers(str(tmp_path / "a.mrc"))[0]
    assert arguments["scale"] == pytest.approx((0.1,) * 3)
    assert "exactly 1 Å" in caplog.text


@pytest.mark.slow
def test_sample_data_is_a_tomogram_with_its_truth():
    layers = plugin.contacts_sample()
    assert [kind for _, _, kind in layers] == ["image", "labels", "labels"]
    assert len({data.shape for data, _, _ in layers}) == 1
    assert all(np.asarray(data).any() for data, _, _ in layers)
