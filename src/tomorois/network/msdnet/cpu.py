"""The CPU engine of the mixed-scale dense network: forward, gradients, and the buffers they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from tomocore.contract import Progress
from tomorois.network.msdnet import kernels
from tomorois.network.msdnet.kernels import FOLD, MIRROR, ZERO, Channels, Schedule
from tomorois.network.msdnet.vector import FEW, LANES, MANY, TARGETS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Shape = tuple[int, int, int]
NO_TARGET = (-1, -1, -1, 0)  # of a pass: slot, gate, first tap, whether it is begun
WORTH_THREADS = 20_000_000  # multiply-adds of a run, about half a millisecond, below which threads only wait


@dataclass(frozen=True)
class Weights:
    """The network's numbers as arrays, shaped as in `network.MSDNet`, and the dilation of every layer.

    ``taps`` (pairs, 3 or 1, 3, 3), ``bias`` (layers,), ``output_taps`` (channels,), ``output_bias`` (1,);
    ``mirror``: reflect padding instead of zeros; ``slab_planes``: how often each channel of a patch is an
    input, from as many neighbouring planes.
    """

    taps: Floats
    bias: Floats
    output_taps: Floats
    output_bias: Floats
    dilations: tuple[int, ...]
    mirror: bool
    slab_planes: int = 1

    @property
    def inputs(self) -> int:
        """Channels that the first layer sees."""
        return len(self.output_taps) - len(self.dilations)

    @property
    def kernel_taps(self) -> int:
        """Taps of one kernel."""
        return self.taps[0].size


@dataclass(frozen=True)
class GradientPlan:
    """How gradients gather: where each channel's gradient lies, and from which slots it sums.

    ``slots`` of input channels, then layers, −1 where not wanted; layers of one dilation are neighbours.
    ``passes`` as in `kernels.run_passes`; ``tap_rows`` picks taps in the order the passes read.
    """

    slots: Ints
    passes: Ints
    tap_rows: Ints


def require_room(shape: Sequence[int], kernel_shape: Sequence[int], dilation: int) -> None:
    """Raise ValueError where a patch (z, y, x) is too small to be mirrored for kernels of a dilation."""
    if any(taps > 1 and dilation >= size for taps, size in zip(kernel_shape, shape, strict=True)):
        raise ValueError(f"reflect padding by {dilation} voxels needs a larger patch than {tuple(shape)}")


def empty_channels(shape: Shape, channels: int) -> Channels:
    """An unset buffer for the channels of one patch (z, y, x)."""
    layout = _layout(shape, channels)
    floats = shape[0] * layout[-1]
    raw = np.empty(floats + LANES, dtype=np.float32)
    aligned = raw[-(raw.ctypes.data // 4) % LANES :][:floats]
    return Channels(aligned, *shape, *layout)


def buffer_bytes(shape: Shape, channels: int) -> int:
    """Memory of the channels of one patch (z, y, x): input and all layers."""
    return 4 * shape[0] * _layout(shape, channels)[-1]


def _layout(shape: Shape, channels: int) -> tuple[int, int, int, int]:
    """Blocks along x; floats from block to block, row to row, plane to plane: odd numbers of vectors, so that
    neighbours in the patch do not compete for the same places in the cache."""
    blocks = -(-shape[2] // LANES)
    block_step = channels | 1
    row_step = blocks * block_step | 1
    plane_step = (shape[1] + 1) * row_step | 1
    return blocks, block_step * LANES, row_step * LANES, plane_step * LANES


@lru_cache(maxsize=64)
def schedule_of(
    layer_dilations: tuple[int, ...], size_z: int, size_y: int, kernel_taps: int = 27
) -> Schedule:
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
        kernel_taps,
    )


def _row_groups(size_y: int, dilation: int) -> Ints:
    """Rows a dilation apart in groups that a kernel sums at once: (first row, rows)."""
    groups = []
    for start in range(min(dilation, size_y)):
        rows = list(range(start, size_y, dilation))
        while rows:
            take = min(MANY, len(rows)) if len(rows) > FEW else len(rows)
            groups.append((rows[0], take))
            rows = rows[take:]
    return np.array(groups, dtype=np.int64)


@lru_cache(maxsize=64)
def forward_passes(
    layer_dilations: tuple[int, ...], inputs: int, kernel_taps: int = 27, together: int = 1
) -> Ints:
    """One pass a layer: all channels so far into it.

    Two ``together``: the next layer of the same dilation, too, sums what there is so far, and later the rest.
    """
    dilations = sorted(set(layer_dilations))
    starts = np.cumsum([0, *(kernel_taps * (inputs + i) for i in range(len(layer_dilations)))])
    second_of: dict[int, int] = {}
    for dilation in dilations if together == 2 else []:
        same = [i for i, d in enumerate(layer_dilations) if d == dilation]
        odd = len(same) % 2  # the earliest, which has the fewest channels, stays alone
        second_of |= dict(zip(same[odd::2], same[odd + 1 :: 2], strict=True))
    first_of = {second: first for first, second in second_of.items()}
    rows = []
    for i, dilation in enumerate(layer_dilations):
        known = inputs + first_of[i] if i in first_of else 0
        tap, second = starts[i] + kernel_taps * known, second_of.get(i)
        own = (inputs + i, -1, tap, i in first_of)
        other = NO_TARGET if second is None else (inputs + second, -1, starts[second], False)
        rows.append((dilations.index(dilation), known, inputs + i - known, *own, *other))
    return np.array(rows, dtype=np.int64)


@lru_cache(maxsize=64)
def gradient_plan(
    layer_dilations: tuple[int, ...], inputs: int, with_inputs: bool, kernel_taps: int = 27, together: int = 1
) -> GradientPlan:
    """Passes from the last layer to the first, then to the inputs where their gradient is wanted.

    ``layer_dilations`` holds a dilation in voxels for each layer, from the first; ``inputs`` counts the
    channels before them, which get slots of their own only ``with_inputs``. ``kernel_taps`` is 27 for kernels
    in space, 9 for those in a plane. One channel or two ``together`` gather from the layers behind both, then
    the earlier from the later.
    """
    layers = len(layer_dilations)
    dilations = sorted(set(layer_dilations))
    by_slot = sorted(range(layers), key=lambda layer: (layer_dilations[layer], layer))
    slot_of = {layer: slot for slot, layer in enumerate(by_slot)}
    slots = [layers + c if with_inputs else -1 for c in range(inputs)] + [slot_of[i] for i in range(layers)]
    block_starts = np.cumsum([0, *(inputs + i for i in range(layers))])
    passes: list[tuple[int, ...]] = []
    rows: list[int] = []
    channels = range(inputs + layers - 1, -1 if with_inputs else inputs - 1, -1)
    for targets, sources in _gradient_steps(channels, layers, inputs, together):
        for kind, dilation in enumerate(dilations):
            some = [i for i in by_slot if layer_dilations[i] == dilation and i in sources]
            if some:
                parts: list[tuple[int, ...]] = []
                for c in targets:
                    parts.append((slots[c], c if c >= inputs else -1, kernel_taps * len(rows), True))
                    rows += [block_starts[i] + c for i in some]
                own, other = (*parts, NO_TARGET)[:2]
                passes.append((kind, slot_of[some[0]], len(some), *own, *other))
    return GradientPlan(
        np.array(slots, dtype=np.int64),
        np.array(passes, dtype=np.int64).reshape(-1, 11),
        np.array(rows, dtype=np.int64),
    )


def _gradient_steps(
    channels: Sequence[int], layers: int, inputs: int, together: int
) -> Iterator[tuple[list[int], range]]:
    """Channels whose gradients are gathered together, last first, and the layers they gather from."""
    for n in range(0, len(channels), together):
        later, *earlier = channels[n : n + together]
        yield [later, *earlier], range(max(0, later + 1 - inputs), layers)
        for channel in earlier:
            yield [channel], range(max(0, channel + 1 - inputs), later + 1 - inputs)


@contextmanager
def _threads_if_worthwhile(channels: Channels, taps: int) -> Iterator[None]:
    """One thread inside where the work is small; the results are the same bits."""
    before = numba.get_num_threads()
    if taps * channels.size_z * channels.size_y * channels.size_x < WORTH_THREADS:
        numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def forward(patch: Floats, weights: Weights, progress: Progress | None = None) -> tuple[Floats, Channels]:
    """Logits (z, y, x) of a patch (channels, z, y, x), and all channels; ``progress`` counts layers.

    Raises ValueError where reflect padding meets a patch that is no larger than a dilation.
    """
    shape = patch.shape[1], patch.shape[2], patch.shape[3]
    if weights.mirror:
        require_room(shape, weights.taps.shape[1:], max(weights.dilations))
    channels = empty_channels(shape, len(weights.output_taps))
    passes = forward_passes(weights.dilations, weights.inputs, weights.kernel_taps, TARGETS)
    biases = np.concatenate([np.zeros(weights.inputs, dtype=np.float32), weights.bias])
    schedule = schedule_of(weights.dilations, shape[0], shape[1], weights.kernel_taps)
    logits = np.empty(shape, dtype=np.float32)
    with _threads_if_worthwhile(channels, weights.taps.size):
        kernels.fill_inputs(patch, weights.slab_planes, channels)
        portions = _portions(len(passes), schedule) if progress else [(slice(None), schedule)]
        for n, (some, planned) in enumerate(portions):
            args = passes[some], planned, weights.taps.ravel(), biases
            kernels.run_passes(channels, *args, MIRROR if weights.mirror else ZERO, channels, False)
            if progress:
                progress(n + 1, len(passes))
        kernels.combine_channels(channels, weights.output_taps, weights.output_bias[0], logits)
    return logits, channels


def _portions(layers: int, schedule: Schedule) -> list[tuple[slice, Schedule]]:
    """The work in as many portions as layers, to be told of between: layers, or planes where they are
    independent and all layers run on some before the next."""
    if schedule.taps == 27:
        return [(slice(n, n + 1), schedule) for n in range(layers)]
    portions = np.array_split(schedule.orders, layers, axis=1)
    return [(slice(None), schedule._replace(orders=np.ascontiguousarray(planes))) for planes in portions]


def backward(
    out: Floats, channels: Channels, gradients: Channels, weights: Weights, with_patch: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """Gradients of taps, bias, output taps and output bias for that of the logits, ``out`` (z, y, x).

    A channel's gradient is gathered from all later layers by the forward kernel with the taps reversed, so
    it is written once a dilation, not once a layer. ``gradients`` has a slot for each layer; ``with_patch``:
    then one for each input channel, for `patch_gradient` to fetch.
    """
    layers, inputs, each = len(weights.dilations), weights.inputs, weights.kernel_taps
    schedule = schedule_of(weights.dilations, channels.size_z, channels.size_y, each)
    plan = gradient_plan(weights.dilations, inputs, with_patch, each, TARGETS)
    taps = np.ascontiguousarray(weights.taps.reshape(-1, each)[plan.tap_rows, ::-1]).ravel()
    unbiased = np.zeros(len(plan.slots), dtype=np.float32)
    padding, folding = (MIRROR, FOLD) if weights.mirror else (ZERO, ZERO)
    with _threads_if_worthwhile(channels, 2 * weights.taps.size):
        outputs = kernels.spread_gradient(out, weights.output_taps, plan.slots, inputs, channels, gradients)
        kernels.run_passes(gradients, plan.passes, schedule, taps, unbiased, folding, channels, True)
        parts = kernels.weight_gradients(channels, gradients, plan.slots, schedule, padding)
    sums, output_sums = _total(parts), _total(outputs)
    return sums[:-layers].reshape(weights.taps.shape), sums[-layers:], output_sums[:-1], output_sums[-1:]


def patch_gradient(gradients: Channels, weights: Weights) -> Floats:
    """Gradient (channels, z, y, x) of the patch, after `backward` with slots for the inputs."""
    shape = gradients.size_z, gradients.size_y, gradients.size_x
    slab, found = weights.slab_planes, np.empty(shape, dtype=np.float32)
    out = np.zeros((weights.inputs // slab, *shape), dtype=np.float32)
    plan = gradient_plan(weights.dilations, weights.inputs, True, weights.kernel_taps)
    for n, slot in enumerate(plan.slots[: weights.inputs]):
        pick = np.zeros(slot + 1, dtype=np.float32)
        pick[slot] = 1
        kernels.combine_channels(gradients, pick, np.float32(0), found)
        planes = np.clip(np.arange(shape[0]) + n % slab - slab // 2, 0, shape[0] - 1)
        np.add.at(out[n // slab], planes, found)  # the last plane was read several times
    return out


def _total(parts: Floats) -> Floats:
    """Sum over parts, always in the same order and in double precision."""
    return parts.sum(axis=0, dtype=np.float64).astype(np.float32)
