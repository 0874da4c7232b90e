"""Files are matched to tomograms, bad samples refused by name, targets binned with the tomogram."""

from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from blobs import blob_tomogram

from tomocore.contract import InputError
from tomocore.files_of_tomograms import matched
from tomocore.roiset import rois_from_labels, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.settings import AnnotationSettings
from tomorois.network.settings import IntensitySettings
from tomorois.training.data import (
    common_voxel_size_nm,
    content_hash,
    read_training_tomograms,
    require_rois,
    training_volume,
    warn_of_polarity,
)


def made(sample, bin_factor=1, penalty_weight=4.0, **annotation):
    return training_volume(
        sample, bin_factor, penalty_weight, AnnotationSettings(**annotation), IntensitySettings()
    )


def paths(*names):
    return [Path(name) for name in names]


def test_labels_find_their_tomograms_by_name_whatever_the_order():
    tomograms = paths("a/t_1.mrc", "a/t_10.mrc", "a/t_1_b.mrc")
    labels = paths("l/t_10__labels.mrc", "l/t_1_b.mrc.gz", "l/t_1-labels.mrc")
    found = matched(tomograms, labels, "label")
    assert [found[tomogram].name for tomogram in tomograms] == [
        "t_1-labels.mrc",
        "t_10__labels.mrc",
        "t_1_b.mrc.gz",
    ]


def test_other_names_are_matched_by_order_and_that_is_said(caplog):
    found = matched(paths("x.mrc", "y.mrc"), paths("1.mrc", "2.mrc"), "label")
    assert [found[p].name for p in paths("x.mrc", "y.mrc")] == ["1.mrc", "2.mrc"]
    assert "x.mrc with 1.mrc" in caplog.text


def test_labels_that_cannot_be_matched_are_refused():
    with pytest.raises(InputError, match="1 label files for 2 tomograms"):
        matched(paths("x.mrc", "y.mrc"), paths("1.mrc"), "label")
    with pytest.raises(InputError, match=r"x_a.mrc and x_b.mrc.*x.mrc"):
        matched(paths("x.mrc", "y.mrc"), paths("x_a.mrc", "x_b.mrc"), "label")


def test_samples_are_read_with_their_penalties_and_hashes(tmp_path):
    for k in (1, 2):
        sample = blob_tomogram(k, voxel_size_nm=1.3)
        write_volume(tmp_path / f"t{k}.mrc", sample.tomogram)
        write_volume(tmp_path / f"t{k}__labels.mrc", Volume(sample.labels, 1.3))
    rois = rois_from_labels(Volume(sample.labels, 1.3))
    rois = rois.with_columns(status=["kept", "rejected", *["kept"] * (len(rois) - 2)])
    write_rois_archive(tmp_path / "t2__rois.npz", rois)
    samples = read_training_tomograms(
        [tmp_path / "t1.mrc", tmp_path / "t2.mrc"],
        [tmp_path / "t1__labels.mrc", tmp_path / "t2__labels.mrc"],
        [tmp_path / "t2__rois.npz"],
    )
    assert [s.name for s in samples] == ["t1", "t2"]
    assert samples[0].rejected is None
    assert np.array_equal(samples[1].rejected, sample.labels == rois.ids[1])
    assert samples[1].tomogram.voxel_size_nm == pytest.approx(1.3)
    name, short_hash = samples[1].files["labels"].split()
    assert name == "t2__labels.mrc"
    assert len(short_hash) == 12
    with pytest.raises(InputError, match=r"no labels for t1.mrc"):
        read_training_tomograms([tmp_path / "t1.mrc", tmp_path / "t2.mrc"], [tmp_path / "t2__labels.mrc"])


def test_membranes_become_a_channel_and_every_tomogram_needs_them(tmp_path):
    files = {kind: [tmp_path / f"t{k}{kind}.mrc" for k in (1, 2)] for kind in ("", "__labels", "__membranes")}
    for k in range(2):
        blobs = blob_tomogram(k)
        for kind, data in (
            ("", blobs.tomogram.data),
            ("__labels", blobs.labels),
            ("__membranes", blobs.labels),
        ):
            write_volume(files[kind][k], Volume(data, 1.5))
    sides = files["__membranes"]
    samples = read_training_tomograms(files[""], files["__labels"], membranes=sides)
    assert all(np.array_equal(s.membranes.data, s.labels) for s in samples)
    assert samples[1].files["membranes"].startswith("t2__membranes.mrc")
    assert made(samples[0]).image.shape[0] == 3
    with pytest.raises(InputError, match=r"no membranes for t2\.mrc"):
        read_training_tomograms(files[""], files["__labels"], membranes=sides[:1])


def test_a_tomogram_with_rejected_rois_alone_teaches_those_alone(tmp_path):
    rejected = np.zeros((18, 36, 36), np.int16)
    rejected[2:6, 2:6, 2:6] = 1
    for k in (1, 2):
        sample = blob_tomogram(k)
        write_volume(tmp_path / f"t{k}.mrc", sample.tomogram)
    write_volume(tmp_path / "t1__labels.mrc", sample.tomogram.with_data(sample.labels))
    write_rois_archive(tmp_path / "t2__rois.npz", rois_from_labels(sample.tomogram.with_data(rejected)))
    samples = read_training_tomograms(
        [tmp_path / "t1.mrc", tmp_path / "t2.mrc"],
        [tmp_path / "t1__labels.mrc"],
        [tmp_path / "t2__rois.npz"],
        ignore_value=-1,
    )
    assert "labels" not in samples[1].files
    taught = made(samples[1], penalty_weight=4.0, ignore_value=-1)
    assert len(taught.rois) == 0
    assert np.array_equal(taught.weight, np.where(rejected, 4.0, 0.0))


def test_binning_shares_the_roi_and_drops_what_is_mostly_ignored():
    labels = np.zeros((4, 4, 4), np.int16)
    labels[:2, :2, :2] = [[[1, 1], [1, 0]], [[0, 0], [0, 0]]]
    labels[:2, :2, 2:] = 255
    labels[0, 2, :2] = [1, 255]
    tomogram = Volume(np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32), 1.0)
    volume = made(replace(blob_tomogram(0), tomogram=tomogram, labels=labels), bin_factor=2)
    assert volume.target[0, 0, 0] == pytest.approx(3 / 8, abs=1e-3)
    assert volume.target[0, 1, 0] == pytest.approx(1 / 7, abs=1e-3)
    assert volume.weight[0, 0].tolist() == [1, 0]
    assert volume.weight.sum() == 7
    assert volume.image.shape == (1, 2, 2, 2)


def test_rois_in_slices_of_their_own_with_background_beside_are_told(caplog):
    sample = blob_tomogram(0)
    labels = np.zeros(sample.labels.shape, np.uint8)
    labels[4:-4:4, 4:16, 4:16] = 1
    made(replace(sample, labels=labels))
    assert "painted in single slices across z" in caplog.text
    caplog.clear()
    made(sample)
    is_looked_at = labels.any((1, 2), keepdims=True)
    made(replace(sample, labels=np.where(is_looked_at, labels, 255)))
    made(replace(sample, labels=np.where(is_looked_at & (labels == 0), 254, labels)), unlabelled="ignore")
    assert "single slices" not in caplog.text


def test_a_rejected_region_weighs_more_and_is_background():
    sample = blob_tomogram(1)
    rejected = np.zeros(sample.labels.shape, bool)
    rejected[:4, :6, :6] = True
    sample = replace(sample, rejected=rejected)
    volume = made(sample, penalty_weight=5.0)
    assert (volume.weight == 5).sum() == (rejected & (sample.labels == 0)).sum()
    assert len(volume.penalties) >= 1
    assert np.array_equal(volume.target > 0, sample.labels > 0)


def test_other_shapes_are_refused_with_both_shapes():
    sample = blob_tomogram(1)
    with pytest.raises(InputError, match=r"blobs_1.*\(18, 36, 36\).*labels.*\(18, 36, 35\)"):
        made(replace(sample, labels=sample.labels[..., 1:]))


def test_unequal_edges_are_resampled_on_request_tomogram_labels_and_membranes_alike(tmp_path):
    rng = np.random.default_rng(0)
    made = {
        "t.mrc": rng.normal(size=(9, 20, 22)).astype(np.float32),
        "t__labels.mrc": np.pad(np.ones((3, 8, 8), np.int8), ((3, 3), (6, 6), (7, 7))),
        "t__membranes.mrc": np.pad(np.ones((1, 20, 22), np.int8), ((4, 4), (0, 0), (0, 0))),
    }
    for name, data in made.items():
        with mrcfile.new(tmp_path / name) as file:
            file.set_data(data)
            file.voxel_size = (10, 10, 20)
    files = [[tmp_path / name] for name in made]
    with pytest.raises(InputError, match="with --resample"):
        read_training_tomograms(files[0], files[1], membranes=files[2])
    (sample,) = read_training_tomograms(files[0], files[1], membranes=files[2], resample=True)
    assert sample.tomogram.shape == sample.labels.shape == sample.membranes.shape == (18, 20, 22)
    assert sample.tomogram.voxel_size_nm == sample.membranes.voxel_size_nm == 1.0
    assert np.count_nonzero(sample.labels) == pytest.approx(6 * 8 * 8, rel=0.1)


def test_nan_is_filled_and_told_by_name(caplog):
    sample = blob_tomogram(1)
    data = sample.tomogram.data.copy()
    data[3, 4, 5] = np.nan
    volume = made(replace(sample, tomogram=sample.tomogram.with_data(data)))
    assert np.isfinite(volume.image).all()
    assert "blobs_1: 1 voxels" in caplog.text
    data[...] = np.nan
    with pytest.raises(InputError, match="blobs_1: all voxels are NaN"):
        made(replace(sample, tomogram=sample.tomogram.with_data(data)))


def test_labels_without_any_roi_are_refused_naming_them():
    samples = [
        replace(blob_tomogram(k), labels=np.zeros((18, 36, 36), np.int8), files={"labels": f"l{k}.mrc 0abc"})
        for k in (1, 2)
    ]
    with pytest.raises(InputError, match=r"no ROI.*l1.mrc, l2.mrc"):
        require_rois([made(sample) for sample in samples], samples)


def test_a_wholly_ignored_tomogram_is_refused():
    samples = [blob_tomogram(1), replace(blob_tomogram(2), labels=np.full((18, 36, 36), 255, np.int16))]
    with pytest.raises(InputError, match="blobs_2: every voxel is to be ignored"):
        require_rois([made(sample) for sample in samples], samples)


def test_sparse_annotation_without_any_background_is_refused():
    samples = [replace(blob_tomogram(k), files={"labels": f"l{k}.mrc 0abc"}) for k in (1, 2)]
    sparse = [made(sample, unlabelled="ignore") for sample in samples]
    with pytest.raises(InputError, match=r"no background.*l1.mrc, l2.mrc.*background_value"):
        require_rois(sparse, samples)
    painted = samples[0].labels.copy()
    painted[:3] = 254
    require_rois([made(replace(samples[0], labels=painted), unlabelled="ignore"), sparse[1]], samples)


def test_voxel_sizes_must_agree(caplog):
    same = [blob_tomogram(k, voxel_size_nm=1.3) for k in (1, 2)]
    assert common_voxel_size_nm([*same, blob_tomogram(3, voxel_size_nm=1.301)]) == 1.3
    assert not caplog.text
    common_voxel_size_nm([*same, blob_tomogram(3, voxel_size_nm=1.32)])
    assert "blobs_3: voxel size 1.32 nm" in caplog.text
    with pytest.raises(InputError, match=r"blobs_3: voxel size 2.6 nm.*1.3 nm"):
        common_voxel_size_nm([*same, blob_tomogram(3, voxel_size_nm=2.6)])


def test_the_content_hash_tells_other_data_apart():
    volumes = [made(blob_tomogram(k)) for k in (1, 2)]
    assert content_hash(volumes) == content_hash([made(blob_tomogram(k)) for k in (1, 2)])
    assert content_hash(volumes) != content_hash(volumes[::-1])
    assert content_hash(volumes[:1]) != content_hash([made(blob_tomogram(1), ignore_value=1)])


def test_inverted_contrast_is_named_beside_the_others_and_beside_a_models(caplog):
    samples = [blob_tomogram(seed) for seed in range(3)]
    turned = replace(samples[1], tomogram=samples[1].tomogram.with_data(-samples[1].tomogram.data))
    volumes = {sample.name: made(sample) for sample in samples}
    inverted = made(turned)
    warn_of_polarity(list(volumes.values()))
    assert not caplog.text
    for others in (["blobs_0"], ["blobs_0", "blobs_2"]):
        caplog.clear()
        warn_of_polarity([inverted, *(volumes[name] for name in others)])
        assert "blobs_1: contrast looks inverted" in caplog.text
        assert "blobs_0" not in caplog.text
    caplog.clear()
    warn_of_polarity([volumes["blobs_0"]], expected_skewness=0.8)
    assert "blobs_0: contrast looks inverted" in caplog.text
    assert "the model's tomograms had +0.80" in caplog.text
