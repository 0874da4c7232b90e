"""The page of the maps: where its voxels are read, and what of them is drawn."""

import threading

import numpy as np
from napari_hand import colour_at, picture

from tomocore.volumes.formats import write_volume
from tomocore.volumes.lazy import StoredArray
from tomorois.annotation.session import is_in_memory
from tomorois.napari import layers as names
from tomorois.napari.window import ANNOTATE, PREDICT
from tomorois.network.checkpoint import ModelRecord, save_model
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet


def test_a_large_map_is_drawn_from_the_disk_then_from_memory_and_anew_when_predicted_anew(
    window, opened, qtbot, monkeypatch
):
    """Nothing of it is read in the window's thread but the slice in view."""
    monkeypatch.setattr("tomorois.napari.layers.LARGE_VOXELS", 1000)
    monkeypatch.setattr("tomorois.annotation.session.AT_ONCE_BYTES", 1000)
    state = window.state
    model = state.folder.models / "model_001.safetensors"
    model.parent.mkdir()
    save_model(model, MSDNet(MSDNetConfig(layers=2)), ModelRecord(voxel_size_nm=2.0))
    state.use_model(model)
    grid = state.session.volume
    confidence = np.zeros(grid.shape, np.float32)
    confidence[10:30, 20:40, 20:50] = 0.9
    path = state.map_path("ts_00")
    path.parent.mkdir(parents=True)
    write_volume(path, grid.with_data(confidence))
    read, read_voxels = [], StoredArray._read

    def heard(self, *places):
        if threading.current_thread() is threading.main_thread() and self.path == path:
            read.append(np.prod([len(place) for place in places]))
        return read_voxels(self, *places)

    monkeypatch.setattr(StoredArray, "_read", heard)
    window.canvas.go_to_slice(20)
    bare = picture(window)
    window.go_to_step(PREDICT)
    layer = window.canvas.layer(names.MASK)
    assert not is_in_memory(layer.data[0])
    drawn = picture(window)
    red, _, blue = colour_at(window, drawn, (20, 30, 35))
    assert red - blue > 80  # the mask is orange
    assert max(read) <= grid.shape[1] * grid.shape[2]  # a slice
    qtbot.waitUntil(lambda: window.jobs.job("reading map") is None and is_in_memory(layer.data[0]))
    qtbot.waitUntil(lambda: "1 ROIs" in window.step.count.text(), timeout=60_000)
    assert abs(picture(window) - drawn).mean() < 1
    write_volume(path, grid.with_data(np.zeros_like(confidence)))
    state.forget_maps()
    window.step.show_map()
    assert abs(picture(window) - bare).mean() < 1
    window.go_to_step(ANNOTATE)
