"""The mixed-scale dense network against a plain module of torch, and its promises: same bits, same start."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tomorois.network.msdnet import cpu, kernels
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet, infer

# layers, dilations, input channels, shape, batch, padding, planes of a slab
CASES = {
    "default-cycle, odd sizes": (9, (1, 2, 4, 8), 1, (9, 13, 33), 2, "zero", None),
    "one voxel": (2, (1,), 1, (1, 1, 1), 1, "zero", None),
    "published cycle, three channels": (12, tuple(range(1, 11)), 3, (20, 12, 40), 1, "zero", None),
    "dilations beyond the patch": (5, (20, 3), 1, (6, 30, 17), 1, "zero", None),
    "one layer": (1, (2,), 2, (5, 4, 16), 3, "zero", None),
    "planes of several tasks": (4, (1, 3), 1, (35, 5, 15), 1, "zero", None),
    "wide rows": (4, (5, 1), 1, (3, 4, 130), 1, "zero", None),
    "reflect": (6, (1, 2, 3), 2, (5, 7, 19), 2, "reflect", None),
    "reflect at its limit": (4, (4, 1), 1, (5, 6, 33), 1, "reflect", None),
    "slabs, odd sizes": (9, (1, 2, 4, 8), 1, (9, 13, 33), 2, "zero", 5),
    "slabs of two channels, reflect": (5, (1, 3), 2, (5, 7, 19), 2, "reflect", 3),
    "slabs thicker than the patch": (3, (1, 20), 1, (2, 21, 35), 1, "zero", 15),
    "one plane, thinner than the dilation": (4, (2, 1), 1, (1, 5, 18), 1, "reflect", 1),
    "slabs of several tasks": (4, (1, 3), 2, (35, 5, 15), 1, "zero", 7),
}


def plain(model: MSDNet, x: Tensor) -> Tensor:
    """The twin: concatenate and convolve, as on paper."""
    mode = "constant" if model.config.padding == "zero" else "reflect"
    flat = model.config.slab_planes is not None
    features = plain_slabs(x, model.config.slab_planes) if flat else [x]
    for layer, dilation in enumerate(model.config.layer_dilations):
        along_z = 0 if flat else dilation
        padding = (dilation, dilation, dilation, dilation, along_z, along_z)
        everything = F.pad(torch.cat(features, dim=1), padding, mode=mode)
        kernels = model.layer_weight(layer).unsqueeze(0)
        features.append(torch.relu(F.conv3d(everything, kernels, model.bias[[layer]], dilation=dilation)))
    everything = torch.cat(features, dim=1)
    return torch.einsum("bczyx,c->bzyx", everything, model.output_weight)[:, None] + model.output_bias


def plain_slabs(x: Tensor, planes: int) -> list[Tensor]:
    """Each channel's planes z − n, …, z + n, one copy of the patch for each; the last plane repeats."""
    last = x.shape[2] - 1
    offsets = range(-(planes // 2), planes // 2 + 1)
    moved = [[min(max(z + k, 0), last) for z in range(last + 1)] for k in offsets]
    return [x[:, c : c + 1, zs] for c in range(x.shape[1]) for zs in moved]


def random_model(
    layers: int, dilations: tuple[int, ...], channels: int, padding: str, slab: int | None = None
) -> MSDNet:
    """A network whose every weight matters."""
    config = MSDNetConfig(
        layers=layers, dilations=dilations, input_channels=channels, padding=padding, slab_planes=slab
    )
    model = MSDNet(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        model.output_weight.normal_(generator=generator)
        model.bias.normal_(0, 0.1, generator=generator)
    return model


def relative(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest value."""
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-20))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_outputs_and_all_gradients_equal_the_plain_module(case: tuple) -> None:
    layers, dilations, channels, shape, batch, padding, slab = case
    model = random_model(layers, dilations, channels, padding, slab)
    x = torch.randn(batch, channels, *shape, generator=torch.Generator().manual_seed(3), requires_grad=True)
    out = torch.randn(batch, 1, *shape, generator=torch.Generator().manual_seed(4))
    wanted = [x, *model.parameters()]
    logits, expected = model(x), plain(model, x)
    assert relative(logits, expected) < 1e-5
    gradients = torch.autograd.grad(logits, wanted, out)
    for found, right in zip(gradients, torch.autograd.grad(expected, wanted, out), strict=True):
        assert found.shape == right.shape
        assert relative(found, right) < 1e-5
    assert relative(model.forward_by_torch(x), expected) < 1e-5


def test_patches_that_are_views_and_need_no_gradient() -> None:
    model = random_model(4, (1, 2), 1, "zero")
    x = torch.randn(2, 1, 12, 10, 18).transpose(2, 4)
    loss = model(x).square().mean()
    loss.backward()
    found = model.weight.grad.clone()
    model.zero_grad()
    plain(model, x.contiguous()).square().mean().backward()
    assert relative(found, model.weight.grad) < 1e-5


@pytest.mark.parametrize(
    ("padding", "slab"), [("zero", None), ("reflect", None), ("zero", 5), ("reflect", 3)]
)
def test_inference_equals_the_plain_module(padding: str, slab: int | None) -> None:
    model = random_model(8, (1, 2, 4), 2, padding, slab)
    volume = np.random.default_rng(5).normal(size=(2, 9, 11, 37)).astype(np.float32)
    with torch.no_grad():
        expected = plain(model, torch.from_numpy(volume)[None])[0, 0]
    assert relative(torch.from_numpy(infer(model, volume, logits=True)), expected) < 1e-5
    assert relative(torch.from_numpy(infer(model, volume)), torch.sigmoid(expected)) < 1e-5


@pytest.mark.parametrize("slab", [None, 5])
def test_telling_of_progress_changes_nothing_and_counts_layers(slab: int | None) -> None:
    model, calls = random_model(8, (1, 2), 1, "zero", slab), []
    volume = np.random.default_rng(5).normal(size=(5, 11, 37)).astype(np.float32)
    told = infer(model, volume, progress=lambda *call: calls.append(call))
    np.testing.assert_array_equal(told, infer(model, volume))
    assert calls == [(n, 8) for n in range(1, 9)]


def test_nothing_is_read_that_was_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = cpu.empty_channels

    def poisoned(shape: tuple[int, int, int], channels: int) -> kernels.Channels:
        buffer = unset(shape, channels)
        buffer.data[:] = np.nan
        return buffer

    monkeypatch.setattr(cpu, "empty_channels", poisoned)
    for padding, slab in product(("zero", "reflect"), (None, 5)):
        model = random_model(5, (1, 3), 2, padding, slab)
        x = torch.randn(1, 2, 6, 9, 21, generator=torch.Generator().manual_seed(3), requires_grad=True)
        logits = model(x)
        gradients = torch.autograd.grad(logits.sum(), [x, *model.parameters()])
        assert all(torch.isfinite(t).all() for t in (logits, *gradients))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread on this machine")
@pytest.mark.parametrize("slab", [None, 5])
def test_same_bits_with_one_thread_and_with_two(slab: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "WORTH_THREADS", 0)
    model = random_model(7, (1, 2, 4, 8), 1, "zero", slab)
    x = torch.randn(2, 1, 21, 18, 33, generator=torch.Generator().manual_seed(6), requires_grad=True)

    def bits() -> list[Tensor]:
        logits = model(x)
        return [logits.detach(), *torch.autograd.grad(logits.square().sum(), [x, *model.parameters()])]

    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = bits()
        numba.set_num_threads(2)
        two = bits()
    finally:
        numba.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_untrained_network_gives_its_prior_everywhere_and_depends_on_the_seed_only() -> None:
    config = MSDNetConfig(layers=3, output_prior=0.2)
    confidence = infer(MSDNet(config), np.random.default_rng(7).normal(size=(5, 6, 7)))
    np.testing.assert_allclose(confidence, 0.2, rtol=1e-6)
    assert torch.equal(MSDNet(config, seed=3).weight, MSDNet(config, seed=3).weight)
    assert not torch.equal(MSDNet(config, seed=3).weight, MSDNet(config, seed=4).weight)


def test_dark_blobs_are_learnt_in_a_few_steps() -> None:
    rng = np.random.default_rng(8)
    truth = np.zeros((12, 24, 24), dtype=np.float32)
    truth[3:9, 5:12, 8:18] = 1
    volume = rng.normal(size=truth.shape).astype(np.float32) - 2 * truth
    model = MSDNet(MSDNetConfig(layers=6, dilations=(1, 2)))
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
    x, y = torch.from_numpy(volume)[None, None], torch.from_numpy(truth)[None, None]
    for _ in range(60):
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), y).backward()
        optimiser.step()
    overlap = (infer(model, volume) > 0.5) & (truth > 0.5)
    assert 2 * overlap.sum() / ((infer(model, volume) > 0.5).sum() + truth.sum()) > 0.8


def test_receptive_field_is_the_halo() -> None:
    model = random_model(4, (1, 3), 1, "zero")
    volume = np.random.default_rng(9).normal(size=(5, 5, 41)).astype(np.float32)
    changed = volume.copy()
    changed[2, 2, 0] += 5
    different = np.flatnonzero((infer(model, volume) != infer(model, changed)).any(axis=(0, 1)))
    assert model.config.halo_zyx == (8, 8, 8)
    assert model.config.halo == different.max() == 8


def test_a_slab_network_sees_its_planes_and_the_sum_of_dilations_within_them() -> None:
    model = random_model(4, (1, 3), 1, "zero", slab=5)
    volume = np.random.default_rng(9).normal(size=(9, 5, 41)).astype(np.float32)
    changed = volume.copy()
    changed[2, 2, 0] += 5
    z, _, x = np.nonzero(infer(model, volume) != infer(model, changed))
    assert set(z) == {0, 1, 2, 3, 4}
    assert x.max() == 8
    assert model.config.halo_zyx == (2, 8, 8)


def test_a_slab_network_counts_planes_as_channels_and_has_nine_taps() -> None:
    model = MSDNet(MSDNetConfig(layers=3, input_channels=2, slab_planes=5))
    assert model.config.channels == 2 * 5 + 3
    assert model.weight.shape == (10 + 11 + 12, 1, 3, 3)
    assert model.layer_weight(2).shape == (12, 1, 3, 3)
    assert MSDNet(MSDNetConfig(layers=3, input_channels=2)).weight.shape == (2 + 3 + 4, 3, 3, 3)
    with pytest.raises(ValueError, match="slab_planes"):
        MSDNetConfig(slab_planes=4)


def test_mirrored_along_z_a_slab_network_with_mirrored_weights_gives_the_mirrored_map() -> None:
    model = random_model(3, (1, 2), 1, "zero", slab=3)
    volume = np.random.default_rng(10).normal(size=(4, 6, 9)).astype(np.float32)
    expected = infer(model, volume, logits=True)[::-1]
    with torch.no_grad():
        for layer in range(3):
            block = model.layer_weight(layer)
            block[:3] = block[:3].flip(0)
        model.output_weight[:3] = model.output_weight[:3].flip(0)
    np.testing.assert_allclose(infer(model, volume[::-1], logits=True), expected, atol=1e-5)


def test_reflect_padding_refuses_a_patch_smaller_than_its_dilation() -> None:
    for slab, shape in [(None, (4, 9, 9)), (3, (9, 9, 4))]:
        with pytest.raises(ValueError, match="reflect padding"):
            infer(random_model(2, (4,), 1, "reflect", slab), np.zeros(shape, dtype=np.float32))


def test_row_groups_cover_every_row_once() -> None:
    for size, dilation in [(32, 8), (40, 8), (7, 1), (5, 9), (1, 1), (33, 4)]:
        schedule = cpu.schedule_of((dilation,), 3, size)
        rows = [y + k * dilation for y, count in schedule.groups for k in range(count)]
        assert sorted(rows) == list(range(size))


NARROW = """
from llvmlite import binding
binding.get_host_cpu_features = lambda: binding.FeatureMap({{"avx": {avx}}})
import numpy as np, torch, test_msdnet
from tomorois.network.msdnet import vector
assert vector.LANES == {lanes}
for case in test_msdnet.CASES.values():
    test_msdnet.test_outputs_and_all_gradients_equal_the_plain_module(case)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("avx", "lanes"), [(True, 8), (False, 4)])
def test_processors_with_narrower_vectors_compute_the_same(avx: bool, lanes: int, tmp_path: Path) -> None:
    own = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}
    environment = {**os.environ, **own, "NUMBA_OPT": "0"}  # compiles in half of the time
    code = NARROW.format(avx=avx, lanes=lanes)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=environment)


def test_the_package_imports_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import tomorois.network.msdnet, tomorois.network.intensity"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("slab", "taps"), [(None, 27), (5, 9)])
def test_initial_kernels_are_spread_by_the_inputs_of_their_layer(slab: int | None, taps: int) -> None:
    model = MSDNet(MSDNetConfig(layers=30, slab_planes=slab), seed=3)
    for layer in (9, 19, 29):
        expected = (2 / (taps * ((slab or 1) + layer))) ** 0.5
        assert float(model.layer_weight(layer).detach().std()) == pytest.approx(expected, rel=0.1)
