"""train, predict, instances and phantom on full disks, over damaged files, beside each other, interrupted."""

import json
import os
import random

import numpy as np
import pandas as pd
import pytest
from blobs import blob_tomogram
from filling_disk import FillingDisk

from tomocore.contract import InputError, NoRoomError
from tomocore.locks import one_writer
from tomocore.roiset import read_rois
from tomocore.volumes.formats import inspect_volume, read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.instances.files import find_instances_in_files
from tomorois.instances.settings import InstanceSettings
from tomorois.network.checkpoint import ModelRecord, save_model
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet
from tomorois.phantoms.phantom import PhantomSettings, write_phantoms
from tomorois.prediction.files import PredictRequest, predict_files
from tomorois.training.files import AnnotatedFiles, TrainRequest, train_on_files
from tomorois.training.settings import TrainSettings, ValidationSettings
from tomorois.training.train import train

NETWORK = MSDNetConfig(layers=3, dilations=(1, 2))
SETTINGS = TrainSettings(
    bin_factor=1,
    patch_voxels=12,
    steps=25,
    warmup_steps=2,
    network=NETWORK,
    validation=ValidationSettings(checks=3),
    checkpoint_seconds=1e6,
    device="cpu",
)
SEED = 12
SAMPLED = {"phantom": 3}  # writes at which the disk is full, of other commands six


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two tomograms with labels, a model that was never trained, and a confidence map with an ROI."""
    folder = tmp_path_factory.mktemp("inputs")
    for seed in range(2):
        sample = blob_tomogram(seed)
        write_volume(folder / f"t{seed}.mrc", sample.tomogram)
        write_volume(folder / f"t{seed}__labels.mrc", sample.tomogram.with_data(sample.labels))
    save_model(folder / "m.safetensors", MSDNet(NETWORK, seed=0), ModelRecord(voxel_size_nm=1.0))
    confidence = np.zeros((20, 30, 30), np.float32)
    confidence[5:15, 5:12, 5:25] = confidence[5:15, 18:26, 5:25] = 0.9
    write_volume(folder / "c__confidence.mrc", Volume(confidence, 1.0))
    return folder


def predicted(inputs, folder, **more):
    request = PredictRequest([inputs / "t0.mrc"], folder, **more)
    return predict_files(inputs / "m.safetensors", request)


def found(inputs, folder):
    settings = InstanceSettings(threshold=0.5, min_volume_nm3=10.0)
    return find_instances_in_files([inputs / "c__confidence.mrc"], folder, settings)


def trained(inputs, folder, resume=True, **more):
    files = AnnotatedFiles(*([inputs / f"t{n}{end}.mrc" for n in range(2)] for end in ("", "__labels")))
    request = TrainRequest(files, folder / "m.safetensors", resume=resume, **more)
    return train_on_files(request, SETTINGS)


def drawn(inputs, folder):
    settings = PhantomSettings(shape_zyx=(24, 40, 40), voxel_size_nm=3.0)
    return write_phantoms(folder, "invaginations", 1, 3, settings)


COMMANDS = {"predict": predicted, "instances": found, "train": trained, "phantom": drawn}


def files_of(folder):
    """Bytes of all results but for the time a training took and the picture of it."""
    kept = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        if path.name.endswith(".train.csv"):
            content = pd.read_csv(path).drop(columns="seconds").to_csv()
        kept[path.name] = None if path.suffix == ".png" else content
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_full_at_some_write_it_says_so_leaves_nothing_half_and_goes_on_later(
    command, inputs, tmp_path, monkeypatch
):
    whole = tmp_path / "whole"
    whole.mkdir()
    with monkeypatch.context() as patch:
        disk = FillingDisk(whole, patch)
        COMMANDS[command](inputs, whole)
    sampled = SAMPLED.get(command, 6)
    assert disk.count >= sampled
    for room in random.Random(f"{SEED} {command}").sample(range(disk.count), sampled):
        folder = tmp_path / f"room{room}"
        folder.mkdir()
        with monkeypatch.context() as patch:
            FillingDisk(folder, patch, room)
            with pytest.raises(NoRoomError, match=rf"{folder}/\S+: (no space left|only a part).*; free some"):
                COMMANDS[command](inputs, folder)
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")], room
        COMMANDS[command](inputs, folder)
        assert files_of(folder) == files_of(whole), room


def test_an_interrupted_training_is_kept_to_its_last_step_and_goes_on_to_the_same_bits(tmp_path):
    samples = [blob_tomogram(seed) for seed in range(2)]
    (tmp_path / "whole").mkdir()
    whole = train(samples, [], SETTINGS, tmp_path / "whole" / "m.safetensors")
    path = tmp_path / "m.safetensors"

    def stop_at(step):
        def stop(live):
            if live.step == step:
                raise KeyboardInterrupt

        return stop

    for step in (7, 16):  # between rows of the log, whose losses are means since the row before
        with pytest.raises(KeyboardInterrupt) as interrupt:
            train(samples, [], SETTINGS, path, resume=True, observer=stop_at(step))
        assert interrupt.value.__notes__ == [f"go on from step {step} with the same command and --resume"]
    assert train(samples, [], SETTINGS, path, resume=True).steps == 25
    assert path.read_bytes() == whole.model_path.read_bytes()
    logs = [
        pd.read_csv(log).drop(columns="seconds") for log in (path.with_suffix(".train.csv"), whole.log_path)
    ]
    pd.testing.assert_frame_equal(*logs)


def test_a_damaged_model_and_a_damaged_checkpoint_are_made_anew(inputs, tmp_path, caplog):
    (tmp_path / "m.safetensors").write_bytes(b"half a model")
    (tmp_path / "m.training.safetensors").write_bytes(b"half a state")
    assert trained(inputs, tmp_path).steps == 25
    assert "made anew" in caplog.text
    assert "starts from the beginning" in caplog.text
    with pytest.raises(InputError, match="exists already"):
        trained(inputs, tmp_path, resume=False)


def test_a_torn_log_costs_its_last_line(tmp_path):
    samples = [blob_tomogram(0)]

    def stop(live):
        if live.step == 14:
            raise KeyboardInterrupt

    path = tmp_path / "m.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(samples, [], SETTINGS, path, observer=stop)
    with path.with_suffix(".train.csv").open("a") as file:
        file.write("15,0.3")
    train(samples, [], SETTINGS, path, resume=True)
    assert pd.read_csv(path.with_suffix(".train.csv"))["step"].tolist() == [9, 10, 17, 20, 25]


def test_a_training_into_the_model_of_another_is_refused(inputs, tmp_path):
    with (
        one_writer(tmp_path / "m.safetensors"),
        pytest.raises(InputError, match=rf"m\.safetensors: is being written by .*process {os.getpid()} "),
    ):
        trained(inputs, tmp_path)


def test_processes_share_a_folder_of_maps_but_no_map(inputs, tmp_path):
    """As jobs of a cluster do, each on a tomogram of its own."""
    tomograms = [inputs / "t0.mrc", inputs / "t1.mrc"]
    request = PredictRequest(tomograms, tmp_path)
    with one_writer(request.target(tomograms[1])):
        batch = predict_files(inputs / "m.safetensors", request)
    assert batch.done == [str(tomograms[0])]
    assert "t1__confidence.mrc: is being written by" in batch.failed[str(tomograms[1])]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t0__confidence.json", "t0__confidence.mrc"]


@pytest.mark.parametrize("file_type", ["mrc", "zarr"])
def test_a_damaged_map_is_made_anew_with_its_record(inputs, tmp_path, file_type):
    predicted(inputs, tmp_path, file_type=file_type)
    target = tmp_path / f"t0__confidence.{file_type}"
    before = read_volume(target).data
    if file_type == "mrc":
        target.write_bytes(target.read_bytes()[:5000])
    else:
        (target / "0" / ".zarray").write_text("")
    (tmp_path / "t0__confidence.json").unlink()
    assert len(predicted(inputs, tmp_path, file_type=file_type).done) == 1
    np.testing.assert_array_equal(read_volume(target).data, before)
    assert json.loads((tmp_path / "t0__confidence.json").read_text())["tomogram"] == "t0.mrc"
    assert len(predicted(inputs, tmp_path, file_type=file_type).skipped) == 1


def test_a_zarr_map_is_named_after_itself(inputs, tmp_path):
    predicted(inputs, tmp_path, file_type="zarr")
    attributes = json.loads((tmp_path / "t0__confidence.zarr" / ".zattrs").read_text())
    assert attributes["multiscales"][0]["name"] == "t0__confidence"


def test_damaged_rois_are_made_anew(inputs, tmp_path):
    found(inputs, tmp_path)
    archive = tmp_path / "c__rois.npz"
    before = len(read_rois(archive))
    archive.write_bytes(archive.read_bytes()[:200])
    assert len(found(inputs, tmp_path).done) == 1
    assert len(read_rois(archive)) == before == 1


def test_a_damaged_phantom_is_made_anew(inputs, tmp_path):
    (path,) = drawn(inputs, tmp_path)
    before = files_of(tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    drawn(inputs, tmp_path)
    assert inspect_volume(path).shape == (24, 40, 40)
    assert files_of(tmp_path) == before
