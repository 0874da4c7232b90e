"""Model files: what goes in comes out, byte for byte, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from blobs import blob_tomogram
from safetensors import safe_open
from safetensors.torch import save_file

from tomocore.contract import InputError
from tomorois.network.checkpoint import (
    HEADER_KEY,
    ModelRecord,
    load_model,
    load_training_state,
    save_model,
    save_training_state,
)
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet
from tomorois.network.settings import IntensitySettings
from tomorois.training.loop import LiveTraining
from tomorois.training.settings import TrainSettings
from tomorois.training.train import train

RECORD = ModelRecord(
    voxel_size_nm=2.5,
    bin_factor=2,
    intensity=IntensitySettings(polarity="bright", clip_sd=4.0),
    threshold=0.61,
    skewness=-0.2,
    training={
        "steps": 12,
        "tomograms": [{"name": "a", "rois": 3, "held_out": False}],
        "dice": 0.1 + 0.2,
    },
)


CONFIG = MSDNetConfig(layers=5, dilations=(1, 3), input_channels=2, padding="reflect", output_prior=0.1)


@pytest.fixture
def model() -> MSDNet:
    return MSDNet(CONFIG, seed=4)


def test_a_model_comes_back_whole(tmp_path: Path, model: MSDNet) -> None:
    save_model(tmp_path / "m.safetensors", model, RECORD)
    loaded, record = load_model(tmp_path / "m.safetensors")
    assert record == RECORD
    assert loaded.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    assert not loaded.training


def test_a_model_on_slabs_comes_back_whole(tmp_path: Path) -> None:
    model = MSDNet(CONFIG.model_copy(update={"slab_planes": 5}), seed=4)
    save_model(tmp_path / "m.safetensors", model, RECORD)
    loaded, _ = load_model(tmp_path / "m.safetensors")
    assert loaded.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))


def test_a_model_file_from_before_slabs_still_loads(tmp_path: Path, model: MSDNet) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, model, RECORD)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()[HEADER_KEY])
    del header["config"]["slab_planes"]
    save_file(model.state_dict(), path, {HEADER_KEY: json.dumps(header)})
    loaded, _ = load_model(path)
    assert loaded.config == model.config
    assert torch.equal(loaded.weight, model.weight)


def test_two_saves_are_the_same_bytes_and_leave_no_other_file(tmp_path: Path, model: MSDNet) -> None:
    for name in ("a", "b"):
        save_model(tmp_path / f"{name}.safetensors", model, RECORD)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_a_training_state_keeps_every_type_bit_for_bit(tmp_path: Path) -> None:
    tensors = {
        "weights": torch.randn(3, 4).T,
        "moments": torch.randn(5, dtype=torch.float64),
        "generator": torch.get_rng_state(),
        "step": torch.tensor(7),
    }
    info = {"loss": 0.1 + 0.2, "history": [1.5, None], "name": "µ"}
    save_training_state(tmp_path / "s.safetensors", tensors, info)
    loaded, facts = load_training_state(tmp_path / "s.safetensors")
    assert facts == info
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[n], t) and loaded[n].dtype == t.dtype for n, t in tensors.items())


def test_files_that_are_no_models_are_named_as_what_they_are(tmp_path: Path, model: MSDNet) -> None:
    good = tmp_path / "good.safetensors"
    save_model(good, model, RECORD)
    (tmp_path / "short.safetensors").write_bytes(good.read_bytes()[:-7])
    (tmp_path / "text.safetensors").write_text("not a model")
    (tmp_path / "empty.safetensors").touch()
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    save_training_state(tmp_path / "state.safetensors", {"a": torch.zeros(2)}, {})
    expected = {
        "missing": "no such file",
        "short": "damaged",
        "text": "damaged",
        "empty": "damaged",
        "foreign": "not a model file",
        "state": "not a model file",
    }
    for name, problem in expected.items():
        with pytest.raises(InputError, match=f"{name}.safetensors: .*{problem}"):
            load_model(tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match="not a training state"):
        load_training_state(good)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format_version": 99}, "newer than this program"),
        ({"config": {"layers": 6}}, "do not fit"),
        ({"record": {"voxel_size_nm": -1}}, "do not fit"),
        ({"record": None}, "do not fit"),
    ],
)
def test_headers_that_do_not_fit_are_refused(
    tmp_path: Path, model: MSDNet, change: dict, problem: str
) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, model, RECORD)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()[HEADER_KEY]) | change
    save_file(model.state_dict(), path, {HEADER_KEY: json.dumps(header)})
    with pytest.raises(InputError, match=problem):
        load_model(path)


def test_a_training_on_slabs_goes_on_bit_for_bit(tmp_path: Path) -> None:
    samples = [blob_tomogram(seed) for seed in range(3)]
    network = MSDNetConfig(layers=3, dilations=(1, 2), slab_planes=3)
    settings = TrainSettings(
        bin_factor=1, patch_voxels=12, steps=6, checkpoint_seconds=0, device="cpu", network=network
    )
    whole = train(samples, [], settings, tmp_path / "whole.safetensors").model_path

    def stop(live: LiveTraining) -> None:
        if live.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(samples, [], settings, tmp_path / "m.safetensors", observer=stop)
    assert (tmp_path / "m.training.safetensors").is_file()
    resumed = train(samples, [], settings, tmp_path / "m.safetensors", resume=True).model_path
    assert resumed.read_bytes() == whole.read_bytes()
    assert load_model(resumed)[0].config == network
