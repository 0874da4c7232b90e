"""The mixed-scale dense network (Pelt & Sethian, PNAS 2018, doi:10.1073/pnas.1715832114).

Every layer is one dilated 3×3×3 convolution, one channel wide, over the input and all earlier
layers; the output is a 1×1×1 convolution over everything. There is no pooling, so every layer sees
the full resolution, and the number of layers is the only size to choose.

On slabs ("2.5D") convolutions are 3×3 in the plane, and what a plane of the input and its neighbours
along z show are separate input channels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tomocore.contract import Progress
from tomorois.network.msdnet import cpu
from tomorois.network.msdnet.config import MSDNetConfig

log = logging.getLogger(__name__)

SAME_ON_GPU = 1e-4  # relative difference that orders of summation may make


def engine_for(device: str, dtype: torch.dtype, kernels_on_card: bool) -> Literal["cpu", "gpu", "torch"]:
    """What runs a network of that type on that kind of device: our kernels in float32, else plain torch."""
    if dtype != torch.float32:
        return "torch"
    if device == "cuda":
        return "gpu" if kernels_on_card else "torch"
    return "cpu" if device == "cpu" else "torch"


@lru_cache
def gpu_kernels_work(device: torch.device) -> bool:
    """Whether the kernels of `gpu` give there what those of `cpu` give; tried once, on a small network."""
    if find_spec("triton") is None:
        return False
    try:
        from tomorois.network.msdnet.gpu import difference_from_cpu

        difference = difference_from_cpu(device)
    except Exception as error:  # compilers and drivers raise what they like
        problem = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
    else:
        if difference < SAME_ON_GPU:
            return True
        problem = f"results differ by {difference:.0e}"
    log.warning("the GPU kernels do not work on this card (%s); plain PyTorch runs instead", problem)
    return False


class MSDNet(nn.Module):
    """Mixed-scale dense network on float32 patches (batch, channel, z, y, x), giving logits.

    All convolution kernels live in one parameter ``weight`` (pairs, 3, 3, 3), or (pairs, 1, 3, 3) on slabs:
    the block of layer i, ``layer_weight(i)``, has one kernel for each channel of the input (and plane of a
    slab) and each earlier layer.
    Initial values depend on ``seed`` only. On a GPU, ``channel_dtype = torch.bfloat16`` keeps channels in
    half the memory, at a relative error of about 1 %.
    """

    channel_dtype = torch.float32

    def __init__(self, config: MSDNetConfig | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config = config or MSDNetConfig()
        widths = [self.config.stacked_channels + i for i in range(self.config.layers)]
        self.block_starts = tuple(int(n) for n in np.cumsum([0, *widths]))
        self.weight = nn.Parameter(torch.empty(self.block_starts[-1], *self.config.kernel_shape))
        self.bias = nn.Parameter(torch.empty(self.config.layers))
        self.output_weight = nn.Parameter(torch.empty(self.config.channels))
        self.output_bias = nn.Parameter(torch.empty(1))
        self.initialise(seed)

    def initialise(self, seed: int) -> None:
        """Draw the weights anew: He's normal over the inputs of each layer, the output at its prior."""
        config = self.config
        draw = np.random.default_rng(seed).standard_normal(tuple(self.weight.shape))
        # Over the inputs of the whole net, as Pelt and Sethian (2018) draw, training is 4 % behind in loss.
        inputs, taps = np.diff(self.block_starts), np.prod(config.kernel_shape)
        spread = np.sqrt(2.0 / (taps * np.repeat(inputs, inputs)))[:, None, None, None]
        prior = config.output_prior
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(spread * draw))
            self.bias.zero_()
            self.output_weight.zero_()
            self.output_bias.fill_(float(np.log(prior / (1 - prior))))

    def layer_weight(self, layer: int) -> Tensor:
        """Kernels of one layer: (stacked channels + layer, 3 or 1, 3, 3)."""
        return self.weight[self.block_starts[layer] : self.block_starts[layer + 1]]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 1, Z, Y, X) of patches (B, C, Z, Y, X), differentiable in weights and patches.

        In float32 by the kernels of `cpu` or, with Triton, of `gpu`; else by torch.
        """
        if self.engine == "torch":
            return self.forward_by_torch(x)
        config = self.config
        arguments = *self.tensors, config.layer_dilations, config.padding == "reflect"
        if self.engine == "gpu":
            from tomorois.network.msdnet.gpu import GpuEngine  # Triton is not everywhere

            stacked = slabs(x, config.slab_planes or 1)
            return GpuEngine.apply(stacked, *arguments, self.channel_dtype)  # type: ignore[no-any-return]
        return _Engine.apply(x, *arguments, config.slab_planes or 1)  # type: ignore[no-any-return]

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The parameters, in the order of `cpu.Weights`."""
        return self.weight, self.bias, self.output_weight, self.output_bias

    @property
    def engine(self) -> Literal["cpu", "gpu", "torch"]:
        """What runs it where it is now."""
        device = self.weight.device
        on_card = device.type == "cuda" and gpu_kernels_work(device)
        return engine_for(device.type, self.weight.dtype, on_card)

    def forward_by_torch(self, x: Tensor) -> Tensor:
        mode = "constant" if self.config.padding == "zero" else "reflect"
        features, depth = slabs(x, self.config.slab_planes or 1), self.config.kernel_shape[0] // 2
        for layer, dilation in enumerate(self.config.layer_dilations):
            padded = F.pad(features, (*(dilation,) * 4, *(depth * dilation,) * 2), mode=mode)
            weight, bias = self.layer_weight(layer)[None], self.bias[layer : layer + 1]
            out = F.conv3d(padded, weight, bias, dilation=dilation)
            features = torch.cat([features, torch.relu(out)], dim=1)
        return F.conv3d(features, self.output_weight.view(1, -1, 1, 1, 1), self.output_bias)


def slabs(x: Tensor, planes: int) -> Tensor:
    """Patches (B, C × planes, Z, Y, X) of patches (B, C, Z, Y, X): every channel with its neighbours along z.

    Beyond the patch its last plane repeats.
    """
    if planes == 1:
        return x
    own = torch.arange(x.shape[2], device=x.device)[:, None]
    around = torch.arange(planes, device=x.device) - planes // 2
    return x[:, :, (own + around).clamp(0, x.shape[2] - 1)].movedim(3, 2).flatten(1, 2)


class _Engine(torch.autograd.Function):
    """The CPU kernels as one differentiable step; keeps a buffer of all channels for each patch."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        x, *tensors, dilations, mirror, slab_planes = arguments
        ctx.save_for_backward(*tensors)
        ctx.weights = _as_arrays(tensors, dilations, mirror, slab_planes)
        results = [cpu.forward(patch, ctx.weights) for patch in x.detach().contiguous().numpy()]
        ctx.channels = [channels for _, channels in results]
        return torch.from_numpy(np.stack([logits for logits, _ in results]))[:, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        weights, wanted = ctx.weights, ctx.needs_input_grad[0]
        shape = grad.shape[2], grad.shape[3], grad.shape[4]
        slots = len(weights.dilations) + (weights.inputs if wanted else 0)
        gradients = cpu.empty_channels(shape, slots)
        totals: list[NDArray[np.float32]] = []
        patches = []
        for out, channels in zip(grad[:, 0].contiguous().numpy(), ctx.channels, strict=True):
            found = cpu.backward(out, channels, gradients, weights, wanted)
            totals = [a + b for a, b in zip(totals, found, strict=True)] if totals else list(found)
            patches += [cpu.patch_gradient(gradients, weights)] if wanted else []
        of_patches = torch.from_numpy(np.stack(patches)) if wanted else None
        return (of_patches, *(torch.from_numpy(total) for total in totals), None, None, None)


def _as_arrays(
    tensors: Sequence[Tensor], dilations: tuple[int, ...], mirror: bool, slab_planes: int
) -> cpu.Weights:
    taps, bias, output_taps, output_bias = (t.detach().contiguous().numpy() for t in tensors)
    return cpu.Weights(taps, bias, output_taps, output_bias, dilations, mirror, slab_planes)


def infer(
    model: MSDNet, array: NDArray[Any], *, logits: bool = False, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Confidences 0–1 (or logits), float32 [z, y, x], of one volume [z, y, x] or [channel, z, y, x].

    Needs `cpu.buffer_bytes` of memory, 4 bytes a voxel for every channel, and nothing for gradients.
    ``progress`` counts layers.
    """
    volume = np.ascontiguousarray(array, dtype=np.float32)
    patch = volume[None] if volume.ndim == 3 else volume
    config = model.config
    if model.engine == "cpu":
        mirror = config.padding == "reflect"
        weights = _as_arrays(model.tensors, config.layer_dilations, mirror, config.slab_planes or 1)
        out = torch.from_numpy(cpu.forward(patch, weights, progress)[0])
    else:
        with torch.no_grad():
            out = model(torch.from_numpy(patch[None]).to(model.weight))[0, 0].float().cpu()
    return out.numpy() if logits else torch.sigmoid_(out).numpy()
