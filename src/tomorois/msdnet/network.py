"""The mixed-scale dense network (Pelt & Sethian, PNAS 2018, doi:10.1073/pnas.1715832114).

Every layer is one dilated 3×3×3 convolution, one channel wide, over the input and all earlier
layers; the output is a 1×1×1 convolution over everything. There is no pooling, so every layer sees
the full resolution, and the number of layers is the only size to choose.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tomocore.console import Progress
from tomocore.settings import Settings
from tomorois.msdnet import cpu


class MSDNetConfig(Settings):
    """The shape of the network; with the weights it is the whole model."""

    layers: int = Field(default=20, ge=1, le=500, description="Number of dilated layers, one channel each.")
    dilations: tuple[int, ...] = Field(
        default=(1, 2, 4, 8), description="Dilations in voxels, cycled through by the layers."
    )
    input_channels: int = Field(
        default=1, ge=1, le=64, description="Channels of the input: the tomogram, then any extra maps."
    )
    padding: Literal["zero", "reflect"] = Field(
        default="zero", description="What layers see beyond the volume: zeros or the mirrored volume."
    )
    output_prior: float = Field(
        default=0.05, gt=0, lt=1, description="Confidence that the untrained network gives every voxel."
    )

    @field_validator("dilations")
    @classmethod
    def _at_least_one(cls, dilations: tuple[int, ...]) -> tuple[int, ...]:
        if not dilations or min(dilations) < 1:
            raise ValueError("give at least one dilation, each 1 voxel or more")
        return dilations

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every layer."""
        return tuple(self.dilations[i % len(self.dilations)] for i in range(self.layers))

    @property
    def halo(self) -> int:
        """Voxels of context that one output voxel depends on, a side: the sum of all dilations."""
        return sum(self.layer_dilations)

    @property
    def channels(self) -> int:
        """Channels that the output layer sees: the input's and one of every layer."""
        return self.input_channels + self.layers


class MSDNet(nn.Module):
    """Mixed-scale dense network on float32 patches (batch, channel, z, y, x), giving logits.

    All convolution kernels live in one parameter ``weight`` (pairs, 3, 3, 3): the block of layer i,
    ``layer_weight(i)``, has one kernel for each input channel and each earlier layer.
    Initial values depend on ``seed`` only.
    """

    def __init__(self, config: MSDNetConfig | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config = config or MSDNetConfig()
        widths = [self.config.input_channels + i for i in range(self.config.layers)]
        self.block_starts = tuple(int(n) for n in np.cumsum([0, *widths]))
        self.weight = nn.Parameter(torch.empty(self.block_starts[-1], 3, 3, 3))
        self.bias = nn.Parameter(torch.empty(self.config.layers))
        self.output_weight = nn.Parameter(torch.empty(self.config.channels))
        self.output_bias = nn.Parameter(torch.empty(1))
        self.initialise(seed)

    def initialise(self, seed: int) -> None:
        """Draw the weights anew: He's normal over the inputs of the whole net, the output at its prior."""
        config = self.config
        draw = np.random.default_rng(seed).standard_normal(tuple(self.weight.shape))
        spread = np.sqrt(2.0 / (27 * (config.input_channels + config.layers - 1) + 1))
        prior = config.output_prior
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(spread * draw))
            self.bias.zero_()
            self.output_weight.zero_()
            self.output_bias.fill_(float(np.log(prior / (1 - prior))))

    def layer_weight(self, layer: int) -> Tensor:
        """Kernels of one layer: (input channels + layer, 3, 3, 3)."""
        return self.weight[self.block_starts[layer] : self.block_starts[layer + 1]]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 1, Z, Y, X) of patches (B, C, Z, Y, X), differentiable in weights and patches.

        On the CPU by the kernels of `cpu`; elsewhere, and for gradients with reflect padding, by torch.
        """
        mirror = self.config.padding == "reflect"
        by_torch = x.device.type != "cpu" or x.dtype != torch.float32
        if by_torch or (mirror and torch.is_grad_enabled()):
            return self._forward_by_torch(x)
        weights = (self.weight, self.bias, self.output_weight, self.output_bias)
        logits: Tensor = _Engine.apply(x, *weights, self.config.layer_dilations, mirror)
        return logits

    def _forward_by_torch(self, x: Tensor) -> Tensor:
        mode = "constant" if self.config.padding == "zero" else "reflect"
        features = x
        for layer, dilation in enumerate(self.config.layer_dilations):
            padded = F.pad(features, (dilation,) * 6, mode=mode)
            weight, bias = self.layer_weight(layer)[None], self.bias[layer : layer + 1]
            out = F.conv3d(padded, weight, bias, dilation=dilation)
            features = torch.cat([features, torch.relu(out)], dim=1)
        return F.conv3d(features, self.output_weight.view(1, -1, 1, 1, 1), self.output_bias)


class _Engine(torch.autograd.Function):
    """The CPU kernels as one differentiable step; keeps one buffer of all channels for the way back."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *tensors, dilations, mirror = arguments
        x, weight, bias, output_weight, output_bias = (t.detach().contiguous().numpy() for t in tensors)
        logits, ctx.buffer, ctx.grid = cpu.forward(
            x, dilations, weight, bias, output_weight, output_bias, mirror
        )
        ctx.save_for_backward(*tensors[1:])
        ctx.inputs, ctx.dilations = x.shape[1], dilations
        return torch.from_numpy(logits)[:, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        weight, _, output_weight, _ = (w.numpy() for w in ctx.saved_tensors)
        out = grad[:, 0].contiguous().numpy()
        wanted = ctx.needs_input_grad[0]
        gradients = cpu.backward(
            out, ctx.buffer, ctx.grid, ctx.inputs, ctx.dilations, weight, output_weight, wanted
        )
        return (*(None if g is None else torch.from_numpy(g) for g in gradients), None, None)


def infer(
    model: MSDNet, array: NDArray[Any], *, logits: bool = False, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Confidences 0–1 (or logits), float32 [z, y, x], of one volume [z, y, x] or [channel, z, y, x].

    Needs `cpu.buffer_bytes` of memory, 4 bytes a voxel for every channel, and nothing for gradients.
    ``progress`` counts layers.
    """
    volume = np.ascontiguousarray(array, dtype=np.float32)
    patch = (volume[None] if volume.ndim == 3 else volume)[None]
    if model.weight.device.type == "cpu" and model.weight.dtype == torch.float32:
        tensors = (model.weight, model.bias, model.output_weight, model.output_bias)
        weight, bias, output_weight, output_bias = (t.detach().numpy() for t in tensors)
        dilations, mirror = model.config.layer_dilations, model.config.padding == "reflect"
        result = cpu.forward(patch, dilations, weight, bias, output_weight, output_bias, mirror, progress)
        out = torch.from_numpy(result[0][0])
    else:
        with torch.no_grad():
            out = model(torch.from_numpy(patch).to(model.weight))[0, 0].float().cpu()
    return out.numpy() if logits else torch.sigmoid_(out).numpy()
