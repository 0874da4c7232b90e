"""The CPU engine of the mixed-scale dense network: forward, gradients, and the buffer both share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from tomocore.console import Progress
from tomorois.msdnet import kernels
from tomorois.msdnet.vector import FEW, LANES, MANY

Floats = NDArray[np.float32]
Shape = tuple[int, int, int]
PLANES_A_CHUNK = 4
WORTH_THREADS = 20_000_000  # multiply-adds of a run, about half a millisecond, below which threads only wait


class Grid(NamedTuple):
    """Where the channels of a batch lie in a buffer; steps in floats."""

    elements: int
    size_z: int
    size_y: int
    size_x: int
    blocks: int
    block_step: int
    row_step: int
    plane_step: int

    @property
    def floats(self) -> int:
        """Length of the buffer."""
        return self.elements * self.size_z * self.plane_step


@dataclass(frozen=True)
class Schedule:
    """The order of work for one network on one patch shape; arrays for the kernels.

    ``groups`` (n, 2) lists the first of rows a dilation apart and their number, the groups of
    dilation ``kind`` from ``group_starts[kind]``; ``orders[kind]`` visits planes a dilation apart
    one after another, so that they are still in the cache.
    """

    dilations: NDArray[np.int64]
    kinds: NDArray[np.int64]
    groups: NDArray[np.int64]
    group_starts: NDArray[np.int64]
    orders: NDArray[np.int64]


@dataclass(frozen=True)
class GradientPlan:
    """How gradients gather: where each channel's gradient lies, and from which slots it sums.

    ``slots`` of input channels, then layers, −1 where not wanted; layers of one dilation are neighbours.
    ``passes`` (n, 6): target slot, first slot, count, first tap, dilation kind, gate's channel.
    ``tap_rows`` picks the kernels, in the order in which the passes read them.
    """

    slots: NDArray[np.int64]
    passes: NDArray[np.int64]
    tap_rows: NDArray[np.int64]


def grid_of(elements: int, shape: Shape, channels: int) -> Grid:
    """Layout for a batch of patches (z, y, x); steps are odd numbers of vectors, which spares the cache."""
    size_z, size_y, size_x = shape
    blocks = -(-size_x // LANES)
    block_step = (channels | 1) * LANES
    row_step = (blocks * (channels | 1) | 1) * LANES
    plane_step = ((size_y + 1) * (row_step // LANES) | 1) * LANES
    return Grid(elements, size_z, size_y, size_x, blocks, block_step, row_step, plane_step)


def empty_buffer(grid: Grid) -> Floats:
    """Unset floats of a grid, starting at a vector's boundary."""
    raw = np.empty(grid.floats + LANES, dtype=np.float32)
    return raw[-(raw.ctypes.data // 4) % LANES :][: grid.floats]


@lru_cache(maxsize=64)
def schedule_of(layer_dilations: tuple[int, ...], size_z: int, size_y: int) -> Schedule:
    """The order of work for the dilations of all layers."""
    dilations = sorted(set(layer_dilations))
    groups = [_row_groups(size_y, dilation) for dilation in dilations]
    orders = [[z for start in range(min(d, size_z)) for z in range(start, size_z, d)] for d in dilations]
    return Schedule(
        np.array(dilations, dtype=np.int64),
        np.array([dilations.index(d) for d in layer_dilations], dtype=np.int64),
        np.concatenate(groups),
        np.cumsum([0, *(len(g) for g in groups)]),
        np.array(orders, dtype=np.int64),
    )


def _row_groups(size_y: int, dilation: int) -> NDArray[np.int64]:
    groups = []
    for start in range(min(dilation, size_y)):
        rows = list(range(start, size_y, dilation))
        at = 0
        while at < len(rows):
            left = len(rows) - at
            take = min(MANY, left) if left > FEW else left
            groups.append((rows[at], take))
            at += take
    return np.array(groups, dtype=np.int64)


@lru_cache(maxsize=64)
def gradient_plan(layer_dilations: tuple[int, ...], inputs: int, with_inputs: bool) -> GradientPlan:
    """Passes from the last layer to the first, then to the inputs where their gradient is wanted."""
    layers = len(layer_dilations)
    dilations = sorted(set(layer_dilations))
    by_slot = sorted(range(layers), key=lambda layer: (layer_dilations[layer], layer))
    slot_of = {layer: slot for slot, layer in enumerate(by_slot)}
    slots = [layers + c if with_inputs else -1 for c in range(inputs)] + [slot_of[i] for i in range(layers)]
    block_starts = np.cumsum([0, *(inputs + i for i in range(layers))])
    passes: list[tuple[int, ...]] = []
    rows: list[int] = []
    for channel in [*range(inputs + layers - 1, inputs - 1, -1), *range(inputs if with_inputs else 0)]:
        for kind, dilation in enumerate(dilations):
            later = [i for i in by_slot if layer_dilations[i] == dilation and inputs + i > channel]
            if later:
                gate = channel if channel >= inputs else -1
                passes.append((slots[channel], slot_of[later[0]], len(later), 27 * len(rows), kind, gate))
                rows += [block_starts[i] + channel for i in later]
    return GradientPlan(
        np.array(slots, dtype=np.int64),
        np.array(passes, dtype=np.int64).reshape(-1, 6),
        np.array(rows, dtype=np.int64),
    )


@lru_cache(maxsize=64)
def forward_passes(layer_dilations: tuple[int, ...], inputs: int) -> NDArray[np.int64]:
    """One pass a layer: all channels so far into the next."""
    dilations = sorted(set(layer_dilations))
    starts = np.cumsum([0, *(27 * (inputs + i) for i in range(len(layer_dilations)))])
    rows = [
        (inputs + i, 0, inputs + i, starts[i], dilations.index(d), -1) for i, d in enumerate(layer_dilations)
    ]
    return np.array(rows, dtype=np.int64)


@contextmanager
def _threads_if_worthwhile(grid: Grid, pairs: int) -> Iterator[None]:
    """One thread inside where the work is small; the results are the same bits."""
    before = numba.get_num_threads()
    if 27 * pairs * grid.elements * grid.size_z * grid.size_y * grid.size_x < WORTH_THREADS:
        numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def buffer_bytes(shape: Shape, channels: int) -> int:
    """Memory that a forward run on one patch (z, y, x) takes for all channels, input and layers."""
    return 4 * grid_of(1, shape, channels).floats


def forward(
    x: Floats,
    layer_dilations: tuple[int, ...],
    weight: Floats,
    bias: Floats,
    output_weight: Floats,
    output_bias: Floats,
    mirror: bool,
    progress: Progress | None = None,
) -> tuple[Floats, Floats, Grid]:
    """Logits (elements, z, y, x) of patches (elements, channels, z, y, x), all channels, their grid.

    ``weight`` (pairs, 3, 3, 3), ``bias`` (layers,), ``output_weight`` (channels,), ``output_bias`` (1,) as in
    `network.MSDNet`; ``mirror`` for reflect padding, which needs patches larger than every dilation;
    ``progress`` counts layers.
    """
    elements, inputs, *shape = x.shape
    grid = grid_of(elements, (shape[0], shape[1], shape[2]), inputs + len(layer_dilations))
    if mirror and max(layer_dilations) >= min(shape):
        raise ValueError(
            f"reflect padding needs more voxels than the dilation {max(layer_dilations)}; got {shape}"
        )
    passes = forward_passes(layer_dilations, inputs)
    plan = schedule_of(layer_dilations, grid.size_z, grid.size_y)
    order = (plan.dilations, plan.groups, plan.group_starts, plan.orders)
    buffer = empty_buffer(grid)
    slices = [slice(n, n + 1) for n in range(len(passes))]
    logits = np.empty((elements, *shape), dtype=np.float32)
    with _threads_if_worthwhile(grid, len(weight)):
        kernels.fill_inputs(x, buffer, grid)
        for some in slices if progress else [slice(None)]:
            kernels.run_passes(
                buffer, grid, passes[some], *order, weight.ravel(), bias[some], mirror, buffer, grid, False
            )
            if progress:
                progress(some.stop, len(passes))
        kernels.combine_channels(buffer, grid, output_weight, output_bias[0], logits)
    return logits, buffer, grid


def backward(
    grad: Floats,
    buffer: Floats,
    grid: Grid,
    inputs: int,
    layer_dilations: tuple[int, ...],
    weight: Floats,
    output_weight: Floats,
    with_inputs: bool,
) -> tuple[Floats | None, Floats, Floats, Floats, Floats]:
    """Gradients of the patches (where wanted), weight, bias, output weight and output bias, for zero padding.

    ``grad`` (elements, z, y, x) is that of the logits. A channel's gradient is gathered from all later layers
    by the forward kernel with the taps reversed, so it is written once a dilation, not once a layer.
    """
    layers = len(layer_dilations)
    plan = schedule_of(layer_dilations, grid.size_z, grid.size_y)
    order = (plan.dilations, plan.groups, plan.group_starts, plan.orders)
    gather = gradient_plan(layer_dilations, inputs, with_inputs)
    to = grid_of(grid.elements, (grid.size_z, grid.size_y, grid.size_x), layers + inputs * with_inputs)
    gradients = empty_buffer(to)
    taps = np.ascontiguousarray(weight.reshape(-1, 27)[gather.tap_rows, ::-1]).ravel()
    unbiased = np.zeros(len(gather.passes), dtype=np.float32)
    with _threads_if_worthwhile(grid, 2 * len(weight)):
        outputs = kernels.spread_gradient(
            grad, output_weight, gather.slots, inputs, buffer, grid, gradients, to
        )
        kernels.run_passes(gradients, to, gather.passes, *order, taps, unbiased, False, buffer, grid, True)
        parts = kernels.weight_gradients(
            buffer,
            grid,
            gradients,
            to,
            gather.slots,
            plan.dilations,
            plan.kinds,
            plan.orders,
            PLANES_A_CHUNK,
            False,
        )
    sums, output_sums = _total(parts), _total(outputs)
    from_inputs = _unpack(gradients, to, gather.slots[:inputs]) if with_inputs else None
    return (
        from_inputs,
        sums[:-layers].reshape(weight.shape),
        sums[-layers:],
        output_sums[:-1],
        output_sums[-1:],
    )


def _total(parts: Floats) -> Floats:
    """Sum over parts, always in the same order and in double precision."""
    return parts.sum(axis=0, dtype=np.float64).astype(np.float32)


def _unpack(buffer: Floats, grid: Grid, slots: NDArray[np.int64]) -> Floats:
    """The channels of some slots as (elements, slots, z, y, x)."""
    out = np.empty((len(slots), grid.elements, grid.size_z, grid.size_y, grid.size_x), dtype=np.float32)
    for channel, slot in enumerate(slots):
        pick = np.zeros(slot + 1, dtype=np.float32)
        pick[slot] = 1
        kernels.combine_channels(buffer, grid, pick, np.float32(0), out[channel])
    return np.ascontiguousarray(out.swapaxes(0, 1))
