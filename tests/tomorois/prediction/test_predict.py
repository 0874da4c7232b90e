"""Confidence maps: no seams, on the tomogram's own grid, within memory, clear words where nothing helps."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from tomocore.contract import InputError
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.lazy import OrderedView
from tomocore.volumes.volume import Volume
from tomorois.network.checkpoint import ModelRecord
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet, infer
from tomorois.network.settings import IntensitySettings
from tomorois.prediction.predict import (
    PredictionInput,
    network_ratio,
    predict_confidence,
    predict_on_network_grid,
    predict_to_file,
    predict_with_uncertainty,
    prediction_memory_bytes,
    tile_boxes,
)
from tomorois.prediction.settings import PredictSettings

SHAPE = (18, 40, 37)

ONCE = PredictSettings(orientations=1)


def random_model(
    layers: int = 5, dilations: tuple[int, ...] = (1, 2), channels: int = 1, **others: object
) -> MSDNet:
    config = MSDNetConfig(layers=layers, dilations=dilations, input_channels=channels, **others)
    model = MSDNet(config, seed=1)
    with torch.no_grad():
        model.output_weight.normal_(generator=torch.Generator().manual_seed(2))
    return model


def darkness_model() -> MSDNet:
    """Confidence rises with darkness of the voxel itself: 0.5 at 4.5 robust SDs below the median."""
    model = MSDNet(MSDNetConfig(layers=1, dilations=(1,)))
    with torch.no_grad():
        model.output_weight.copy_(torch.tensor([-4.0, 0.0]))
        model.output_bias.fill_(-18.0)
    return model


def tomogram(shape: tuple[int, int, int] = SHAPE, voxel_size_nm: float = 1.0, seed: int = 3) -> Volume:
    data = np.random.default_rng(seed).normal(10, 4, shape).astype(np.float32)
    return Volume(data, voxel_size_nm, (5.0, -3.0, 2.0))


def test_one_piece_equals_the_network_on_the_normalised_tomogram() -> None:
    model, volume = random_model(), tomogram()
    found = predict_confidence(model, ModelRecord(voxel_size_nm=1.0), volume, ONCE)
    median = np.median(volume.data)
    scores = (volume.data - median) / (1.4826 * np.median(np.abs(volume.data - median)))
    np.testing.assert_allclose(found.data, infer(model, np.clip(scores, -6, 6)), atol=1e-5)
    assert (found.voxel_size_nm, found.origin_nm, found.data.dtype) == (1.0, (5.0, -3.0, 2.0), np.float32)


@pytest.mark.parametrize(
    ("padding", "slab"), [("zero", None), ("reflect", None), ("zero", 5), ("reflect", 3)]
)
def test_tiles_with_the_exact_halo_leave_no_seam(padding: str, slab: int | None) -> None:
    model = random_model(4, padding=padding, slab_planes=slab)
    record, volume = ModelRecord(voxel_size_nm=1.0), tomogram((20, 90, 80))
    whole = predict_confidence(model, record, volume)
    settings = PredictSettings(
        max_memory_gib=prediction_memory_bytes(model, volume.shape, 1.0, (20, 40, 40)) / 2**30
    )
    calls: list[tuple[int, int]] = []
    tiled = predict_confidence(model, record, volume, settings, lambda *call: calls.append(call))
    assert calls[-1][0] == calls[-1][1] >= (2 if slab else 6) * 4
    np.testing.assert_allclose(tiled.data, whole.data, atol=1e-5)
    assert np.ptp(whole.data) > 0.1


def test_a_halo_that_is_too_small_shows_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model, record, volume = random_model(8, (1, 4)), ModelRecord(voxel_size_nm=1.0), tomogram((16, 90, 80))
    tight = prediction_memory_bytes(model, volume.shape, 1.0, (16, 40, 40)) / 2**30
    whole = predict_confidence(model, record, volume)
    tiled = predict_confidence(model, record, volume, PredictSettings(max_memory_gib=tight, halo_voxels=0))
    assert np.abs(tiled.data - whole.data).max() > 1e-3
    assert "seams may show" in caplog.text


def test_tile_cores_cover_every_voxel_once_and_fit_the_budget() -> None:
    covered = np.zeros((30, 70, 110), dtype=int)
    for core, wide in tile_boxes(covered.shape, 6, 7, 3_000_000):
        covered[core] += 1
        assert all(w.start <= c.start and c.stop <= w.stop for c, w in zip(core, wide, strict=True))
        assert all(
            c.start - w.start == min(7, c.start) and w.stop - c.stop == min(7, n - c.stop)
            for c, w, n in zip(core, wide, covered.shape, strict=True)
        )
    assert covered.min() == covered.max() == 1
    with pytest.raises(InputError, match="max_memory_gib"):
        tile_boxes(covered.shape, 6, 7, 1000)


def test_halos_by_axis_are_those_of_the_tiles() -> None:
    shape, halos = (30, 70, 110), (2, 7, 5)
    covered = np.zeros(shape, dtype=int)
    for core, wide in tile_boxes(shape, 6, halos, 1_000_000):
        covered[core] += 1
        for c, w, n, halo in zip(core, wide, shape, halos, strict=True):
            assert (w.start, w.stop) == (max(0, c.start - halo), min(n, c.stop + halo))
    assert covered.min() == covered.max() == 1


def test_a_slab_network_is_cut_along_z_first() -> None:
    model, shape = random_model(20, (1, 2, 4, 8), slab_planes=5), (60, 80, 90)
    budget = prediction_memory_bytes(model, shape, 1.0) // 3
    boxes = tile_boxes(shape, model.config.channels, model.config.halo_zyx, budget)
    assert len(boxes) > 1
    assert all((wide[1], wide[2]) == (slice(0, 80), slice(0, 90)) for _, wide in boxes)


@pytest.mark.parametrize(("voxel_size_nm", "bin_factor"), [(1.0, 2), (0.5, 4)])
def test_a_dark_block_is_found_where_it_is_at_any_binning(voxel_size_nm: float, bin_factor: int) -> None:
    data = np.random.default_rng(4).normal(0, 0.3, (26, 41, 54)).astype(np.float32)
    data[12:20, 16:28, 28:40] -= 9 * 0.3 / (2.0 / voxel_size_nm) ** 1.5  # 9 SDs of the binned noise
    record = ModelRecord(voxel_size_nm=2.0, bin_factor=bin_factor)
    found = predict_confidence(darkness_model(), record, Volume(data, voxel_size_nm)).data > 0.5
    centre = np.argwhere(found).mean(axis=0)
    np.testing.assert_allclose(centre, [15.5, 21.5, 33.5], atol=0.3)
    assert found.sum() == pytest.approx(8 * 12 * 12, rel=0.35)
    assert found.shape == data.shape


@pytest.mark.parametrize("voxel_size_nm", [1.5, 2.6])
def test_another_voxel_size_is_rescaled_with_a_warning(
    voxel_size_nm: float, caplog: pytest.LogCaptureFixture
) -> None:
    size = round(48 / voxel_size_nm)
    inside = slice(round(18 / voxel_size_nm), round(36 / voxel_size_nm))
    data = np.random.default_rng(5).normal(0, 0.3, (size, size + 3, size + 5)).astype(np.float32)
    data[inside, inside, inside] -= 2.5
    found = predict_confidence(darkness_model(), ModelRecord(voxel_size_nm=2.0), Volume(data, voxel_size_nm))
    centre = np.argwhere(found.data > 0.5).mean(axis=0)
    np.testing.assert_allclose(centre, (inside.start + inside.stop - 1) / 2, atol=0.35)
    assert f"{voxel_size_nm:g} nm" in caplog.text
    assert "interpolation" in caplog.text


def test_voxel_sizes_too_far_apart_are_refused_naming_both() -> None:
    record = ModelRecord(voxel_size_nm=2.0, bin_factor=2)
    assert network_ratio(record, 1.02) == 2.0
    assert network_ratio(record, 0.5) == 4.0
    for wrong in (10.0, 0.1):
        with pytest.raises(InputError, match=f"{wrong:g} nm a voxel, the network was trained at 1 nm"):
            network_ratio(record, wrong)


def test_bright_membranes_are_turned_dark() -> None:
    volume = tomogram()
    inverted = volume.with_data(20 - volume.data)
    model, record = random_model(), ModelRecord(voxel_size_nm=1.0)
    as_is = predict_confidence(model, record, volume)
    turned = predict_confidence(model, record, inverted, PredictSettings(polarity="bright"))
    np.testing.assert_allclose(turned.data, as_is.data, atol=1e-4)
    trained_bright = ModelRecord(voxel_size_nm=1.0, intensity=IntensitySettings(polarity="bright"))
    np.testing.assert_allclose(
        predict_confidence(model, trained_bright, inverted).data, as_is.data, atol=1e-4
    )


@pytest.mark.parametrize("edge_nm", [1.0, 2.0, 1.7])
@pytest.mark.parametrize("gap", [np.nan, 0.0])
def test_borders_never_measured_are_filled_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, edge_nm: float, gap: float
) -> None:
    """Zeros lie 2.5 SD below the median here: unfilled, they would be dark; streamed from a memory map."""
    model, volume = darkness_model(), tomogram((20, 48, 48))
    volume.data[...] += 30
    volume.data[8:12, 20:28, 20:28] -= 24
    record = ModelRecord(voxel_size_nm=edge_nm, bin_factor=1 if edge_nm < 2 else 2)
    whole = predict_confidence(model, record, volume, ONCE)
    volume.data[:3], volume.data[:, :, 40:] = gap, gap
    write_volume(tmp_path / "t.mrc", volume)
    lazy = read_volume(tmp_path / "t.mrc", lazy=True)
    predict_to_file(PredictionInput(model, record, lazy, settings=ONCE), tmp_path / "c.mrc")
    found = read_volume(tmp_path / "c.mrc").data
    assert np.isfinite(found).all()
    assert found[10, 24, 24] == pytest.approx(whole.data[10, 24, 24], abs=0.1)
    assert found[:3].max() < 0.2
    assert found[:, :, 40:].max() < 0.2
    assert ("3 of 20 planes wholly (z 0 to 2)" if np.isnan(gap) else "padding of the value 0") in caplog.text


@pytest.mark.parametrize("factor", [1, 2])
def test_voxels_on_disk_in_another_order_give_the_same_map(tmp_path: Path, factor: int) -> None:
    """Sections along x (mapc, mapr, maps = 3, 2, 1): an array on disk, transposed as it is read."""
    model, volume = random_model(), tomogram()
    turned = Volume(np.ascontiguousarray(volume.data.transpose()), 1.0)
    write_volume(tmp_path / "t.mrc", turned)
    with mrcfile.mmap(tmp_path / "t.mrc", "r+") as file:
        file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1
    lazy = read_volume(tmp_path / "t.mrc", lazy=True)
    assert isinstance(lazy.data, OrderedView)
    record = ModelRecord(voxel_size_nm=float(factor), bin_factor=factor)
    predict_to_file(PredictionInput(model, record, lazy, settings=ONCE), tmp_path / "c.mrc")
    whole = predict_confidence(model, record, volume, ONCE)
    np.testing.assert_allclose(read_volume(tmp_path / "c.mrc").data, whole.data, atol=1e-6)


def test_a_tomogram_of_nan_is_refused() -> None:
    volume = tomogram()
    volume.data[...] = np.nan
    with pytest.raises(InputError, match="tomogram: all voxels are NaN or infinite; check"):
        predict_confidence(random_model(), ModelRecord(voxel_size_nm=2.0, bin_factor=2), volume)


def test_an_empty_map_names_inverted_contrast(caplog: pytest.LogCaptureFixture) -> None:
    skewed = -np.random.default_rng(6).gamma(2, 2, SHAPE).astype(np.float32)
    record = ModelRecord(voxel_size_nm=1.0, threshold=0.999, skewness=-1.0)
    predict_confidence(darkness_model(), record, Volume(-skewed, 1.0))
    assert "inverted contrast" in caplog.text
    caplog.clear()
    predict_confidence(MSDNet(MSDNetConfig(layers=1)), record, Volume(skewed, 1.0))
    assert "nothing found" in caplog.text
    assert "inverted" not in caplog.text


def test_averaging_mirrored_copies_makes_the_map_mirror_and_gives_its_spread(tmp_path: Path) -> None:
    model, record, volume = random_model(), ModelRecord(voxel_size_nm=1.0), tomogram()
    eight, two = PredictSettings(orientations=8), PredictSettings(orientations=2)
    mirror = volume.with_data(volume.data[:, :, ::-1])
    averaged, spread = predict_with_uncertainty(PredictionInput(model, record, volume, settings=eight))
    flipped, _ = predict_with_uncertainty(PredictionInput(model, record, mirror, settings=eight))
    np.testing.assert_allclose(flipped.data[:, :, ::-1], averaged.data, atol=1e-5)
    prepared = predict_on_network_grid(PredictionInput(model, record, volume, settings=two))
    turned = predict_confidence(model, record, volume.with_data(volume.data[:, ::-1, ::-1]), ONCE)
    both = np.stack([predict_confidence(model, record, volume, ONCE).data, turned.data[:, ::-1, ::-1]])
    np.testing.assert_allclose(prepared.confidence, both.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(prepared.uncertainty, both.std(axis=0, ddof=1), atol=1e-4)
    assert spread.data.min() >= 0
    once = PredictionInput(model, record, volume, settings=ONCE)
    with pytest.raises(InputError, match="orientations"):
        predict_with_uncertainty(once)
    with pytest.raises(InputError, match="orientations"):
        predict_to_file(once, tmp_path / "c.mrc", uncertainty_path=tmp_path / "u.mrc")
    assert not list(tmp_path.iterdir())


def test_membranes_are_channels_and_a_model_wants_them_or_not() -> None:
    model, record, volume = random_model(channels=3), ModelRecord(voxel_size_nm=1.0), tomogram()
    membranes = volume.with_data((volume.data > 12).astype(np.int8))
    with_map = predict_confidence(model, record, volume, membranes=membranes)
    without = predict_confidence(model, record, volume, membranes=membranes.with_data(0 * membranes.data))
    assert np.abs(with_map.data - without.data).max() > 1e-3
    with pytest.raises(InputError, match="add --membranes"):
        predict_confidence(model, record, volume)
    with pytest.raises(InputError, match="membranes have shape"):
        predict_confidence(model, record, volume, membranes=tomogram((5, 5, 5)))


@pytest.mark.parametrize("ending", [".mrc", ".zarr"])
def test_a_file_is_streamed_from_disk_and_equals_the_map_in_memory(ending: str, tmp_path: Path) -> None:
    model, record = random_model(), ModelRecord(voxel_size_nm=2.0, bin_factor=2)
    write_volume(tmp_path / f"tomogram{ending}", tomogram((21, 30, 33)))
    volume = read_volume(tmp_path / f"tomogram{ending}", lazy=True)
    calls: list[tuple[int, int]] = []
    for name in ("a__confidence.mrc", "a__confidence.mrc.gz", "a__confidence.zarr"):
        predict_to_file(PredictionInput(model, record, volume), tmp_path / name, lambda *c: calls.append(c))
        written = read_volume(tmp_path / name)
        np.testing.assert_allclose(written.data, predict_confidence(model, record, volume).data, atol=1e-6)
        assert written.voxel_size_nm == pytest.approx(1.0)
        assert written.origin_nm == pytest.approx((5.0, -3.0, 2.0))
    assert calls[-1] == (20, 20)  # four orientations of five layers
    assert not list(tmp_path.glob(".*"))


def test_memory_estimate_of_a_large_tomogram_is_below_six_gib_in_one_piece() -> None:
    model = MSDNet()
    need = prediction_memory_bytes(model, (300, 1024, 1024), 2.0)
    assert 3.2 < need / 2**30 < 5.0
    assert len(tile_boxes((150, 512, 512), model.config.channels, model.config.halo, int(5e9))) == 1


@pytest.mark.parametrize("layers", [4, 20])
@pytest.mark.parametrize("max_memory_gib", [0.18, 0.25, 0.5])
def test_tiles_take_no_more_memory_than_allowed(layers: int, max_memory_gib: float) -> None:
    model, shape = MSDNet(MSDNetConfig(layers=layers, dilations=(1,))), (90, 170, 180)
    fixed = prediction_memory_bytes(model, shape, 1.0, (1, 1, 1))
    halo, budget = model.config.halo, int(max_memory_gib * 2**30 - fixed)
    for _, wide in tile_boxes(shape, model.config.channels, halo, budget):
        tile = (wide[0].stop - wide[0].start, wide[1].stop - wide[1].start, wide[2].stop - wide[2].start)
        assert prediction_memory_bytes(model, shape, 1.0, tile) <= max_memory_gib * 2**30
