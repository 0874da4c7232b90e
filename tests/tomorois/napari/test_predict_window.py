"""The page of the maps: where its voxels are read, and what of them is drawn."""

import threading

import numpy as np
from napari_hand import colour_at, picture

from tomocore.volumes.formats import write_volume
from tomocore.volumes.lazy import StoredArray
from tomorois.annotation.session import is_in_memory
from tomorois.loop.threshold_preview import threshold_preview
from tomorois.napari import layers as names
from tomorois.napari.window import ANNOTATE, PREDICT
from tomorois.network.checkpoint import ModelRecord, save_model
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet


def with_model(window):
    """The window's loop with a model in use that has learned nothing."""
    model = window.state.folder.models / "model_001.safetensors"
    model.parent.mkdir()
    save_model(model, MSDNet(MSDNetConfig(layers=2)), ModelRecord(voxel_size_nm=2.0))
    window.state.use_model(model)
    return window.state


def test_a_large_map_is_drawn_from_the_disk_then_from_memory_and_anew_when_predicted_anew(
    window, opened, qtbot, monkeypatch
):
    """Nothing of it is read in the window's thread but the slice in view."""
    monkeypatch.setattr("tomorois.napari.layers.LARGE_VOXELS", 1000)
    monkeypatch.setattr("tomorois.annotation.session.AT_ONCE_BYTES", 1000)
    state = with_model(window)
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
    qtbot.waitUntil(lambda: "1 ROI<" in window.step.count.text(), timeout=60_000)
    assert abs(picture(window) - drawn).mean() < 1
    write_volume(path, grid.with_data(np.zeros_like(confidence)))
    state.forget_maps()
    window.step.show_map()
    assert abs(picture(window) - bare).mean() < 1
    window.go_to_step(ANNOTATE)


def test_rois_are_counted_beside_the_hand_whatever_tomogram_comes_into_view(
    window, opened, qtbot, monkeypatch
):
    state, may_end, counted = with_model(window), threading.Event(), []
    for count, stem in ((1, "ts_00"), (2, "ts_01")):
        confidence = np.zeros(state.session.volume.shape, np.float32)
        for place in range(count):
            confidence[10:20, 20:40, 20 * place + 5 : 20 * place + 20] = 0.9
        path = state.map_path(stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, state.session.volume.with_data(confidence))

    def counting(*given):
        counted.append(threading.current_thread() is threading.main_thread())
        may_end.wait(60)
        return threshold_preview(*given)

    monkeypatch.setattr("tomorois.loop.state.threshold_preview", counting)
    window.go_to_step(PREDICT)
    qtbot.waitUntil(lambda: counted == [False])
    window.go_to_tomogram(1)  # while the first one's are counted
    may_end.set()
    qtbot.waitUntil(lambda: "2 ROIs" in window.step.count.text(), timeout=60_000)
    assert not window.warned
    window.go_to_tomogram(0)
    assert "1 ROI<" in window.step.count.text()
    assert set(window.step.slider.marks) == {"m", "p"}
    state.instance_settings = state.instance_settings.model_copy(update={"min_volume_nm3": 0.0})
    window.step._form_changed()  # other places are small now
    qtbot.waitUntil(lambda: len(counted) == 3 and window.jobs.job("count") is None)
    assert counted == [False] * 3
    window.go_to_step(ANNOTATE)
