"""The GPU engine of the mixed-scale dense network: the same function as `cpu`, on tensors, by Triton.

It was checked against plain PyTorch in Triton's interpreter and compiles for CUDA cards; its speed on a
card has not been measured yet (`benchmarks/msdnet_gpu.py` does).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from tomorois.network.msdnet import cpu
from tomorois.network.msdnet import triton_kernels as kernels
from tomorois.network.msdnet.cpu import forward_passes, gradient_plan

TILE = 256  # voxels of a program's tile: two a thread
WIDTH = 128  # of them along x, at most
BLOCK = 1024  # voxels of a block where channels are taken voxel by voxel
BLOCKS_A_PART = 16


@dataclass(frozen=True)
class TensorWeights:
    """The network's parameters as in `cpu.Weights`, as float32 tensors on one device."""

    taps: Tensor
    bias: Tensor
    output_taps: Tensor
    output_bias: Tensor
    dilations: tuple[int, ...]
    mirror: bool

    @property
    def inputs(self) -> int:
        """Channels of the patches, whose slabs are laid out already."""
        return len(self.output_taps) - len(self.dilations)

    @property
    def kernel_taps(self) -> int:
        """Taps of one kernel: 27, or 9 on slabs."""
        return self.taps[0].numel()

    @property
    def depth(self) -> int:
        """Taps of one kernel along z."""
        return self.taps.shape[1]


@dataclass(frozen=True)
class _Tables:
    """What gradients look up on the device: slots of channels, order of taps, (slot, channel, dilation) of
    every kernel, slots of layers."""

    slots: Tensor
    tap_rows: Tensor
    pairs: Tensor
    layer_slots: Tensor


class GpuEngine(torch.autograd.Function):
    """The kernels as one differentiable step: (x, taps, bias, output taps, output bias, dilations, mirror,
    storage) to logits; keeps all channels of the batch."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        x, *tensors, dilations, mirror, storage = arguments
        ctx.save_for_backward(*tensors)
        taps, bias, *output = (t.detach().contiguous() for t in tensors)
        ctx.weights = TensorWeights(taps, bias, output[0], output[1], dilations, mirror)
        logits, ctx.channels = forward(x.detach(), ctx.weights, storage)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        found = backward(grad.contiguous(), ctx.channels, ctx.weights, ctx.needs_input_grad[0])
        return (*found, None, None, None)


def forward(x: Tensor, weights: TensorWeights, storage: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Logits (B, 1, Z, Y, X) of patches (B, C, Z, Y, X), and all channels (B, C + layers, Z, Y, X).

    ``storage``: float32, or bfloat16 for half the memory and a relative error of about 1 %.
    Raises ValueError where reflect padding meets a patch that is no larger than a dilation.
    """
    shape = x.shape[2:]
    if weights.mirror:
        cpu.require_room(shape, weights.taps.shape[1:], max(weights.dilations))
    slots = len(weights.output_taps)
    channels = torch.empty(len(x), slots, *shape, dtype=storage, device=x.device)
    channels[:, : weights.inputs] = x
    logits = torch.empty(len(x), 1, *shape, dtype=torch.float32, device=x.device)
    volume = shape.numel()
    passes = forward_passes(weights.dilations, weights.inputs, weights.kernel_taps)
    with _on_device(x):
        for layer, (some, dilation) in enumerate(zip(passes.tolist(), weights.dilations, strict=True)):
            _convolve(channels, channels, weights.taps, weights, some, layer, dilation)
        blocks = triton.cdiv(volume, BLOCK), len(x)
        kernels.combine[blocks](
            channels, weights.output_taps, weights.output_bias, logits, slots, volume, BLOCK=BLOCK
        )
    return logits, channels


def backward(
    out: Tensor, channels: Tensor, weights: TensorWeights, with_patch: bool
) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of patches (None unless wanted), taps, bias, output taps and output bias.

    As `cpu.backward`: a channel's gradient is gathered from all later layers, dilation by dilation, by the
    forward kernel with the taps reversed.
    """
    layers, inputs = len(weights.dilations), weights.inputs
    plan = gradient_plan(weights.dilations, inputs, with_patch, weights.kernel_taps)
    tables = _tables(weights.dilations, inputs, with_patch, out.device)
    slots = layers + (inputs if with_patch else 0)
    gradients = torch.empty(len(out), slots, *out.shape[2:], dtype=channels.dtype, device=out.device)
    taps = weights.taps.reshape(-1, weights.kernel_taps)[tables.tap_rows].flip(1).contiguous()
    dilations = sorted(set(weights.dilations))
    with _on_device(out):
        output_taps = _spread(out, channels, gradients, weights, tables)
        for some in plan.passes.tolist():
            _convolve(gradients, channels, taps, weights, some, 0, dilations[some[0]], True)
        of_taps = _correlate(channels, gradients, weights, tables)
    bias = gradients[:, :layers].sum(dim=(0, 2, 3, 4), dtype=torch.float64)[tables.layer_slots].float()
    patch = gradients[:, layers:].float() if with_patch else None
    return patch, of_taps, bias, output_taps, out.sum(dtype=torch.float64).float().reshape(1)


def difference_from_cpu(device: torch.device) -> float:
    """Largest difference from the CPU engine over the largest value: outputs and gradients of a small net."""
    rng, dilations, shape = np.random.default_rng(0), (2, 1), (3, 4, 9)
    taps = rng.normal(0, 0.2, (3, 3, 3, 3)).astype(np.float32)
    bias, output = np.zeros(2, np.float32), rng.normal(size=3).astype(np.float32)
    patch, out = rng.normal(size=(2, 1, *shape)).astype(np.float32)
    on_cpu = cpu.Weights(taps, bias, output, np.ones(1, np.float32), dilations, False)
    logits, channels = cpu.forward(patch, on_cpu)
    gradients = cpu.backward(out[0], channels, cpu.empty_channels(shape, 2), on_cpu, False)
    tensors = [torch.from_numpy(a).to(device) for a in (taps, bias, output, on_cpu.output_bias)]
    weights = TensorWeights(tensors[0], tensors[1], tensors[2], tensors[3], dilations, False)
    found, kept = forward(torch.from_numpy(patch)[None].to(device), weights)
    _, *others = backward(torch.from_numpy(out)[None].to(device), kept, weights, False)
    pairs = [(found[0, 0], logits), *zip(others, gradients, strict=True)]
    return max(float(np.abs(a.cpu().numpy() - b).max() / np.abs(b).max()) for a, b in pairs)


def _on_device(tensor: Tensor) -> AbstractContextManager[Any]:
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _tile(shape: torch.Size) -> tuple[int, int]:
    """Planes and voxels along x of a tile."""
    width = min(WIDTH, max(16, triton.next_power_of_2(shape[-1])))
    return min(TILE // width, triton.next_power_of_2(shape[-3])), width


def _convolve(
    buffer: Tensor, gates: Tensor, taps: Tensor, weights: TensorWeights, step: list[int], layer: int,
    dilation: int, gradient: bool = False,
) -> None:  # fmt: skip
    """One row of `cpu.forward_passes` (``layer`` says which bias) or of `GradientPlan.passes`."""
    mirror = weights.mirror
    _, first, count, target, gate, tap = step[:6]
    size_z, size_y, size_x = shape = buffer.shape[2:]
    depth, width = _tile(shape)
    tiles = triton.cdiv(size_x, width) * triton.cdiv(size_z, depth)
    places = (shape.numel(), buffer.shape[1], gates.shape[1], target, first, count, tap, max(gate, 0))
    blocks = {"GATED": gate >= 0, "DEPTH": weights.depth, "BLOCK_Z": depth, "BLOCK_X": width}
    if gradient and mirror:
        grid = tiles * size_y, len(buffer)
        kernels.convolve_folded[grid](buffer, gates, taps, *places, dilation, *shape, **blocks)
    else:
        groups = triton.cdiv(size_y, kernels.ROWS * dilation) * dilation
        kernels.convolve[tiles * groups, len(buffer)](
            buffer,
            gates,
            taps,
            weights.bias,
            *places,
            layer,
            dilation,
            *shape,
            MIRROR=mirror,
            GRADIENT=gradient,
            **blocks,
        )


def _spread(
    out: Tensor, channels: Tensor, gradients: Tensor, weights: TensorWeights, tables: _Tables
) -> Tensor:
    """Start all gradients; return that of the output taps."""
    volume, count = out[0].numel(), len(weights.output_taps)
    chunk = BLOCK * BLOCKS_A_PART
    parts = torch.empty(triton.cdiv(volume, chunk) * len(out), count, device=out.device)
    kernels.spread[count, len(parts)](
        out, channels, gradients, weights.output_taps, tables.slots, parts, count, gradients.shape[1],
        weights.inputs, volume, chunk, BLOCK=BLOCK,
    )  # fmt: skip
    return parts.sum(dim=0, dtype=torch.float64).float()


def _correlate(channels: Tensor, gradients: Tensor, weights: TensorWeights, tables: _Tables) -> Tensor:
    """Gradients of all taps, summed in parts and then over parts in double precision."""
    shape = channels.shape[2:]
    depth, width = _tile(shape)
    count = triton.cdiv(shape[2], width) * triton.cdiv(shape[0], depth) * len(channels)
    parts = torch.empty(count, weights.taps.numel(), device=channels.device)
    kernels.correlate[weights.depth * len(tables.pairs), count](
        channels, gradients, tables.pairs, parts, channels.shape[1], gradients.shape[1], shape.numel(),
        weights.taps.numel(), *shape, MIRROR=weights.mirror, DEPTH=weights.depth, BLOCK_Z=depth,
        BLOCK_X=width,
    )  # fmt: skip
    return parts.sum(dim=0, dtype=torch.float64).float().reshape(weights.taps.shape)


@lru_cache(maxsize=64)
def _tables(dilations: tuple[int, ...], inputs: int, with_patch: bool, device: torch.device) -> _Tables:
    plan = gradient_plan(dilations, inputs, with_patch)
    slots = plan.slots[inputs:]
    pairs = [
        (slots[layer], channel, dilation)
        for layer, dilation in enumerate(dilations)
        for channel in range(inputs + layer)
    ]
    return _Tables(
        torch.from_numpy(plan.slots.astype(np.int32)).to(device),
        torch.from_numpy(plan.tap_rows).to(device),
        torch.tensor(pairs, dtype=torch.int32, device=device),
        torch.from_numpy(slots).to(device),
    )
