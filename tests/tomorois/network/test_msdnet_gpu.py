"""The GPU kernels without a GPU: run by Triton's interpreter against plain PyTorch, and compiled for CUDA."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet, engine_for, gpu_kernels_work

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed (it is for Linux on x86-64)"
)

# layers, dilations, input channels, shape, batch, padding, storage, planes of a slab
CASES = {
    "several tiles, odd sizes": (2, (1, 3), 1, (3, 5, 19), 1, "zero", "float32", None),
    "dilations beyond patch and tile": (2, (17, 5), 1, (2, 3, 18), 1, "zero", "float32", None),
    "reflect": (1, (2,), 1, (3, 3, 17), 1, "reflect", "float32", None),
    "bfloat16, two patches of two channels": (1, (2,), 2, (2, 3, 9), 2, "zero", "bfloat16", None),
    "slabs": (2, (1, 3), 1, (3, 5, 17), 1, "zero", "float32", 3),
    "slabs, reflect": (1, (2,), 1, (2, 3, 9), 1, "reflect", "float32", 3),
}
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}

INTERPRETED = """
import json, sys, torch
from test_msdnet import plain, random_model, relative
from tomorois.network.msdnet import gpu
from tomorois.network.msdnet.module import slabs

torch.set_num_threads(1)
gpu.TILE, gpu.WIDTH = 32, 16  # small tiles, so that a small patch has several

def errors(layers, dilations, inputs, shape, batch, padding, storage, slab):
    model = random_model(layers, tuple(dilations), inputs, padding, slab)
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(batch, inputs, *shape, generator=draw, requires_grad=True)
    out = torch.randn(batch, 1, *shape, generator=draw)
    wanted = [x, *model.parameters()]
    arguments = model.config.layer_dilations, padding == "reflect", getattr(torch, storage)
    stacked = slabs(x, slab or 1)
    logits, expected = gpu.GpuEngine.apply(stacked, *model.tensors, *arguments), plain(model, x)
    pairs = zip(torch.autograd.grad(logits, wanted, out), torch.autograd.grad(expected, wanted, out))
    return [relative(logits, expected), *(relative(found, right) for found, right in pairs)]

found = {name: errors(*case) for name, case in json.loads(sys.argv[1]).items()}
print(json.dumps(found | {"own check": gpu.difference_from_cpu(torch.device("cpu"))}))
"""

COMPILED = """
import json, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from tomorois.network.msdnet import triton_kernels as kernels

TILE = {"BLOCK_Z": 2, "BLOCK_X": 128}
def compiled(kernel, channels, **constants):
    types = dict.fromkeys(kernel.arg_names, "i32")
    types |= dict.fromkeys(["taps", "biases", "weights", "bias", "parts", "out"], "*fp32")
    types |= dict.fromkeys(["buffer", "gates", "channels", "gradients"], channels)
    types |= {"pairs": "*i32", "slots": "*i32" if kernel is kernels.spread else "i32"}
    types |= dict.fromkeys(constants, "constexpr")
    types = {name: types[name] for name in kernel.arg_names}
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, types, constexprs=places)
    return triton.compile(source, target=GPUTarget("cuda", 80, 32)).asm["ptx"].count("fma.rn.f32")

print(json.dumps([
    compiled(kernels.convolve, "*fp32", MIRROR=False, GRADIENT=False, GATED=False, DEPTH=3, **TILE),
    compiled(kernels.convolve, "*bf16", MIRROR=False, GRADIENT=True, GATED=True, DEPTH=3, **TILE),
    compiled(kernels.convolve, "*fp32", MIRROR=False, GRADIENT=False, GATED=False, DEPTH=1, **TILE),
    compiled(kernels.convolve_folded, "*fp32", GATED=True, DEPTH=3, **TILE),
    compiled(kernels.convolve_folded, "*fp32", GATED=True, DEPTH=1, **TILE),
    compiled(kernels.correlate, "*fp32", MIRROR=True, DEPTH=3, **TILE),
    compiled(kernels.correlate, "*fp32", MIRROR=True, DEPTH=1, **TILE),
    compiled(kernels.spread, "*bf16", BLOCK=1024),
    compiled(kernels.combine, "*fp32", BLOCK=1024),
]))
"""


def in_another_process(code: str, *arguments: str, **variables: str) -> object:
    """What ``code`` prints as JSON; Triton chooses between card and interpreter when first imported."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), **variables}
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def errors() -> object:
    return in_another_process(INTERPRETED, json.dumps(CASES), TRITON_INTERPRET="1")


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_all_gradients_equal_the_plain_module(name: str, errors: dict[str, list[float]]) -> None:
    assert len(errors[name]) == 6
    assert max(errors[name]) < TOLERANCE[CASES[name][6]]


@needs_triton
@pytest.mark.slow
def test_the_check_before_first_use_passes_where_kernels_are_right(errors: dict[str, float]) -> None:
    assert 0 < errors["own check"] < 1e-5


@needs_triton
def test_kernels_that_cannot_run_are_left_aside_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert not gpu_kernels_work(torch.device("cpu"))  # no interpreter here, and no card
    assert "plain PyTorch runs instead" in caplog.text


@needs_triton
@pytest.mark.slow
def test_kernels_compile_for_cuda_without_a_card(tmp_path: Path) -> None:
    fused = in_another_process(COMPILED, TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    assert fused == [72, 72, 72, 10, 10, 18, 18, 8, 8]  # multiply-adds stay fused, in every kernel


def test_the_engine_follows_device_type_and_triton() -> None:
    assert engine_for("cuda", torch.float32, True) == "gpu"
    assert engine_for("cuda", torch.float32, False) == "torch"
    assert engine_for("cuda", torch.float64, True) == "torch"
    assert engine_for("cpu", torch.float32, True) == "cpu"
    assert engine_for("cpu", torch.float64, True) == "torch"
    assert engine_for("mps", torch.float32, True) == "torch"
    assert MSDNet(MSDNetConfig(layers=1)).engine == "cpu"
    assert MSDNet(MSDNetConfig(layers=1)).double().engine == "torch"
