"""Numba kernels of the mixed-scale dense network on the CPU.

All channels of a patch lie in one buffer, ``[plane, row, block, channel, lane]``: a block is `LANES`
neighbouring voxels along x, so what one output needs from *all* earlier layers lies side by side.
That order is what makes a width-1 network fast: the inner loop runs over channels along a few forward
streams (seen: 30 instead of 6 GFMA/s at 256² voxels a plane, against a plane for each channel).

Results do not depend on the number of threads: whatever is summed over voxels is summed in parts that
the shape decides. Kernels trust their arguments; `cpu` checks them.

Where taps are 3×3 (a network on slabs) instead of 3×3×3, the same loops run over one plane instead of three.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from tomorois.network.msdnet.vector import (
    FEW,
    LANES,
    MANY,
    PLANES,
    TARGETS,
    ask_for_rows,
    convolve_few,
    convolve_many,
    convolve_pair,
    correlate_plane,
    correlate_planes,
    finish_row,
    shift_row,
    spread_block,
    sum_lanes,
    weighted_channels,
)

PLANES_A_TASK = 16
PLANES_A_PART = 4
BLOCKS_A_STRIPE = 64
LAYERS_AT_ONCE = 5  # of one dilation, in the gradient of the weights
MOST_PLANES = 5  # that one sum reads: three, and two more where the gradient of mirrored planes folds back

ZERO, MIRROR, FOLD = 0, 1, 2
"""Beyond the patch lie zeros, or the mirrored patch; or what lies there is folded back, which is the
gradient of mirroring."""


class Channels(NamedTuple):
    """All channels of one patch; steps in floats. After the last row of every plane lies one of zeros."""

    data: NDArray[np.float32]
    size_z: int
    size_y: int
    size_x: int
    blocks: int
    block_step: int
    row_step: int
    plane_step: int


class Schedule(NamedTuple):
    """The order of work for one network on one patch shape, whose kernels have ``taps`` taps: 27, or 9 in
    the plane only.

    ``kinds`` (layers,) index ``dilations``. ``groups`` (n, 2) lists the first of rows a dilation apart and
    their number, those of dilation ``kind`` from ``group_starts[kind]`` on; ``orders[kind]`` visits planes
    a dilation apart one after another, so that they are still in the cache.
    """

    dilations: NDArray[np.int64]
    kinds: NDArray[np.int64]
    groups: NDArray[np.int64]
    group_starts: NDArray[np.int64]
    orders: NDArray[np.int64]
    taps: int


@njit(cache=True, nogil=True)
def _mirrored(place: int, size: int) -> int:
    if place < 0:
        return -place
    return 2 * (size - 1) - place if place >= size else place


@njit(cache=True, nogil=True)
def _list_planes(z, dilation, channels, taps, padding, planes):
    """Fill in byte offsets of the planes that the sum at ``z`` reads and of their taps; return how many."""
    size, count = channels.size_z, 0
    if taps == 9:
        planes[:2] = 0
        return 1
    for n in range(MOST_PLANES):
        place, dz = z + (n - 1) * dilation, n
        if n < 3 and padding == MIRROR:
            place = _mirrored(place, size)
        elif n == 3:  # what was read at −z, d below the plane d − z
            place, dz = dilation - z if padding == FOLD and z > 0 else -1, 2
        elif n == 4:
            place, dz = 2 * (size - 1) - z - dilation if padding == FOLD and z < size - 1 else -1, 0
        if 0 <= place < size:
            planes[2 * count] = (place - z) * channels.plane_step * 4
            planes[2 * count + 1] = dz * 9 * 4
            count += 1
    return count


@njit(cache=True, nogil=True)
def _list_lines(y, rows, dilation, channels, padding, lines):
    """Fill in byte offsets of rows y − d, y, y + d, …; beyond the patch the row of zeros."""
    size = channels.size_y
    for r in range(rows + 2):
        place = y + (r - 1) * dilation
        if padding == MIRROR:
            place = _mirrored(place, size)
        lines[r] = (place if 0 <= place < size else size) * channels.row_step * 4


@njit(cache=True, nogil=True)
def _list_folded_lines(y, dilation, channels, lines):
    """Fill in rows that fold back onto row ``y``, zeros elsewhere; return whether there is any."""
    size = channels.size_y
    lines[:] = size * channels.row_step * 4
    low, high = dilation - y, 2 * (size - 1) - y - dilation
    if y > 0 and low >= 0:
        lines[2] = low * channels.row_step * 4
    if y < size - 1 and high < size:
        lines[0] = high * channels.row_step * 4
    return (y > 0 and low >= 0) or (y < size - 1 and high < size)


@njit(cache=True, nogil=True)
def _pad_sums(sums, at, dx_step, dilation, width, padding):
    """Let one row's sums for dx = −1 and 1 see the mirrored row, or fold back what they give beyond."""
    left, middle, right = at, at + dx_step, at + 2 * dx_step
    if padding == MIRROR:
        for q in range(1, dilation + 1):
            sums[left - q] = sums[left + q]
            sums[right + width - 1 + q] = sums[right + width - 1 - q]
    elif padding == FOLD:
        for q in range(1, min(dilation, width - 1) + 1):
            sums[middle + q] += sums[right + dilation - q]
            sums[middle + width - 1 - q] += sums[left + width - 1 + q - dilation]


@njit(cache=True, nogil=True)
def _list_groups(groups, dilation, channels, padding):
    """Lines that groups of rows read, (groups, rows + 2)."""
    lines = np.empty((len(groups), MANY + 2), np.int64)
    for n in range(len(groups)):
        _list_lines(groups[n, 0], MANY, dilation, channels, padding, lines[n])
    return lines


@njit(cache=True, nogil=True)
def _convolve_groups(
    channels, groups, planes_z, taps, tap_step, step, dilation, padding, biases, gate, gradient
):
    """Some groups of rows, a dilation apart, on some planes; ``step`` is a row of passes.

    Arrays are taken out of their tuples before the loops, and no array goes to another function within:
    each time would count references by two atomic additions, which take as long as a row.
    """
    data, blocks, block_step, width = channels.data, channels.blocks, channels.block_step, channels.size_x
    first, count, targets, gates = step[1], step[2], 1 if step[7] < 0 else 2, gate.data
    y_step, gate_y_step = dilation * channels.row_step, dilation * gate.row_step
    reach = (dilation + LANES - 1) // LANES * LANES
    line = blocks * LANES + 2 * reach
    dx_step = MANY * line
    sums = np.zeros(targets * 3 * dx_step + LANES, np.float32)
    at = (-(sums.ctypes.data // 4)) % LANES + reach
    offsets, folded = _list_groups(groups, dilation, channels, padding), np.empty(MANY + 2, np.int64)
    planes = np.empty(2 * MOST_PLANES, np.int64)
    for k in range(len(planes_z)):
        z = planes_z[k]
        depth = _list_planes(z, dilation, channels, tap_step, padding, planes)
        source = z * channels.plane_step + first * LANES
        ahead = _bytes_ahead(planes_z, k, dilation, channels, tap_step)
        for n in range(len(groups)):
            y, rows, entry = groups[n, 0], groups[n, 1], n * (MANY + 2)
            row_at = z * channels.plane_step + y * channels.row_step
            gate_row_at = z * gate.plane_step + y * gate.row_step
            for t in range(targets):  # what will be written, so that it is near when it is
                slot, gate_slot = step[3 + 4 * t], max(0, step[4 + 4 * t])
                ask_for_rows(data, row_at + slot * LANES, y_step, rows, block_step, blocks)
                ask_for_rows(gates, gate_row_at + gate_slot * LANES, gate_y_step, rows if gradient else 0, gate.block_step, blocks)  # fmt: skip  # noqa: E501
            if TARGETS == 2 and targets == 2 and rows > FEW:
                convolve_pair(data, taps, offsets, planes, sums, entry, at, dx_step, line, source, step[5], step[9], tap_step, count, depth, blocks, block_step, ahead)  # fmt: skip  # noqa: E501
            for t in range(targets):
                c = 3 + 4 * t
                slot, gate_slot, tap, begun = step[c], step[c + 1], step[c + 2], step[c + 3]
                bias = np.float32(0) if begun else biases[slot]
                floor = np.float32(-np.inf if gradient or t else 0)  # a second target has no relu yet
                to = at + t * 3 * dx_step
                if rows <= FEW:
                    convolve_few(data, taps, offsets, planes, sums, entry, to, dx_step, line, source, tap, tap, tap_step, count, depth, blocks, block_step, ahead)  # fmt: skip  # noqa: E501
                elif targets == 1:
                    convolve_many(data, taps, offsets, planes, sums, entry, to, dx_step, line, source, tap, tap, tap_step, count, depth, blocks, block_step, ahead)  # fmt: skip  # noqa: E501
                for r in range(rows if padding != FOLD else 2 * rows):  # what folds back comes after all rows
                    row, here = r % rows, to + r * line
                    if r >= rows:
                        if not _list_folded_lines(y + row * dilation, dilation, channels, folded):
                            continue
                        here = to
                        convolve_few(data, taps, folded, planes, sums, 0, to, dx_step, line, source, tap, tap, tap_step, count, depth, blocks, block_step, 0)  # fmt: skip  # noqa: E501
                    if padding != ZERO:
                        _pad_sums(sums, here, dx_step, dilation, width, padding)
                    place = row_at + row * y_step + slot * LANES
                    gate_at = gate_row_at + row * gate_y_step + gate_slot * LANES if gate_slot >= 0 else -1
                    finish_row(data, sums, here, dx_step, dilation, bias, floor, begun, place, block_step, blocks, width, gates, gate_at, gate.block_step)  # fmt: skip  # noqa: E501


@njit(cache=True, nogil=True)
def _bytes_ahead(planes_z, k, dilation, channels, taps):
    """From a plane to the first that its successor needs and itself does not; 0 where there is none."""
    place = planes_z[min(k + 1, len(planes_z) - 1)] + (0 if taps == 9 else dilation)
    return (place - planes_z[k]) * channels.plane_step * 4 if place < channels.size_z else 0


@njit(cache=True, nogil=True, parallel=True)
def _convolve(channels, groups, order, taps, tap_step, step, dilation, padding, biases, gate, gradient):
    segments = (len(order) + PLANES_A_TASK - 1) // PLANES_A_TASK
    together = max(1, min(4, (262144 // (3 * channels.row_step) - 2) // MANY))
    bundles = (len(groups) + together - 1) // together
    for task in prange(bundles * segments):
        n = task // segments * together
        segment = task % segments
        planes_z = order[segment * len(order) // segments : (segment + 1) * len(order) // segments]
        _convolve_groups(channels, groups[n : n + together], planes_z, taps, tap_step, step, dilation, padding, biases, gate, gradient)  # fmt: skip  # noqa: E501


@njit(cache=True, nogil=True, parallel=True)
def _run_by_plane(channels, passes, schedule, taps, biases, padding, gate, gradient):
    """All passes on one plane after another, which stays in the cache; for kernels without taps along z."""
    together = max(1, min(PLANES_A_PART, 131072 // channels.plane_step))
    for task in prange((schedule.orders.shape[1] + together - 1) // together):
        planes_z = schedule.orders[0, task * together : (task + 1) * together]
        for n in range(len(passes)):
            kind = passes[n, 0]
            groups = schedule.groups[schedule.group_starts[kind] : schedule.group_starts[kind + 1]]
            _convolve_groups(channels, groups, planes_z, taps, schedule.taps, passes[n], schedule.dilations[kind], padding, biases, gate, gradient)  # fmt: skip  # noqa: E501


@njit(cache=True, nogil=True)
def run_passes(channels, passes, schedule, taps, biases, padding, gate, gradient):
    """Carry out convolutions one after another, each row of ``passes``: index of the dilation, first slot
    and number of the channels summed; slot of the target, of its gate (−1: none), first tap, whether the
    target is ``begun``, so that sums are added to it; the same four of a second target (slot −1: none).

    Forward: target = relu(bias + sums), but no relu yet in a second target. Gradient: target = sums, zero
    where the gate is not positive. ``biases`` are those of the slots.
    """
    if schedule.taps == 9:
        _run_by_plane(channels, passes, schedule, taps, biases, padding, gate, gradient)
        return
    for n in range(len(passes)):
        kind = passes[n, 0]
        groups = schedule.groups[schedule.group_starts[kind] : schedule.group_starts[kind + 1]]
        dilation = schedule.dilations[kind]
        _convolve(channels, groups, schedule.orders[kind], taps, schedule.taps, passes[n], dilation, padding, biases, gate, gradient)  # fmt: skip  # noqa: E501


@njit(cache=True, nogil=True)
def _fold_shifted(shifted, at, dx_step, dilation, width):
    """Where the input is mirrored, voxels near a row's end meet the gradient once more, from beyond it."""
    left, middle, right = at, at + dx_step, at + 2 * dx_step
    for x in range(1, min(dilation, width - 1) + 1):
        own = shifted[middle + x + dilation] if x + dilation < width else np.float32(0)
        shifted[left + x] = own + shifted[middle + dilation - x]
        x = width - 1 - x
        own = shifted[middle + x - dilation] if x >= dilation else np.float32(0)
        shifted[right + x] = own + shifted[middle + 2 * (width - 1) - x - dilation]


@njit(cache=True, nogil=True)
def _list_sources(z, count, dilation, channels, taps, padding, planes, sources):
    """Fill in byte offsets of all channels' planes that meet the gradient at ``z``, and of their totals;
    return how many."""
    depth = _list_planes(z, dilation, channels, taps, padding, planes)
    for channel in range(count):
        for m in range(depth):
            n = 2 * (channel * depth + m)
            sources[n] = planes[2 * m] + channel * LANES * 4
            sources[n + 1] = (planes[2 * m + 1] + channel * taps * 4) * LANES
    return count * depth


@njit(cache=True, nogil=True)
def _sum_totals(totals, own_totals, layers, inputs, schedule, part):
    """Sum over lanes what each of some ``layers`` found for its taps and its bias, into ``part``."""
    taps = schedule.taps
    for i in range(len(layers)):
        layer, start = layers[i], i * own_totals
        place = taps * (inputs * layer + layer * (layer - 1) // 2)
        for tap in range(taps * (inputs + layer)):
            part[place + tap] = sum_lanes(totals, start + tap * LANES)
        part[len(part) - len(schedule.kinds) + layer] = sum_lanes(totals, start + own_totals - LANES)


@njit(cache=True, nogil=True)
def _correlate(channels, gradients, planes_z, kind, layers, slots, schedule, padding, part):
    """What some planes give to some ``layers`` of one dilation, into a row of `weight_gradients`.

    What one layer reads of the channels before it stays in the first-level cache for the next layer.
    """
    data, grads, blocks, block_step = channels.data, gradients.data, channels.blocks, channels.block_step
    dilation, taps, inputs = schedule.dilations[kind], schedule.taps, len(slots) - len(schedule.kinds)
    reach = (dilation + LANES - 1) // LANES * LANES
    line = blocks * LANES + 2 * reach
    stripe = max(1, min(channels.size_y, BLOCKS_A_STRIPE // blocks))
    copy_step = stripe * line if padding == MIRROR else 0
    own = (3 if padding == MIRROR else 1) * stripe * line
    shifted = np.zeros(len(layers) * own + LANES, np.float32)
    at = (-(shifted.ctypes.data // 4)) % LANES + reach
    first, dx_step, shift = (at, copy_step, dilation) if padding == MIRROR else (at + dilation, -dilation, 0)
    lines, planes = np.empty((channels.size_y, 3), np.int64), np.empty(2 * MOST_PLANES, np.int64)
    sources = np.empty(2 * 3 * len(slots), np.int64)
    most = inputs + layers[-1]
    own_totals = (taps * most + 1) * LANES  # [channel, tap, lane], the bias's last
    totals = np.zeros(len(layers) * own_totals, np.float32)
    for y in range(channels.size_y):
        _list_lines(y, 1, dilation, channels, padding, lines[y])
    for k in range(len(planes_z)):
        z = planes_z[k]
        found = _list_sources(z, most, dilation, channels, taps, padding, planes, sources)
        depth, source = found // most, z * channels.plane_step
        for y in range(0, channels.size_y, stripe):
            rows = min(stripe, channels.size_y - y)
            for i in range(len(layers)):
                slot = slots[inputs + layers[i]]
                for r in range(rows):
                    row = z * gradients.plane_step + (y + r) * gradients.row_step + slot * LANES
                    to = at + i * own + r * line
                    shift_row(grads, row, gradients.block_step, shifted, to, copy_step, shift, blocks, totals, (i + 1) * own_totals - LANES)  # fmt: skip  # noqa: E501
                    if padding == MIRROR:
                        _fold_shifted(shifted, to, copy_step, dilation, channels.size_x)
            for n in range(0, found, PLANES):
                for i in range(len(layers)):
                    wanted = min(PLANES, (inputs + layers[i]) * depth - n)
                    if wanted == PLANES:
                        correlate_planes(data, lines, sources, shifted, totals, y, n, rows, source, block_step, blocks, first + i * own, dx_step, line, i * own_totals)  # fmt: skip  # noqa: E501
                    else:
                        for m in range(n, n + wanted):
                            correlate_plane(data, lines, sources, shifted, totals, y, m, rows, source, block_step, blocks, first + i * own, dx_step, line, i * own_totals)  # fmt: skip  # noqa: E501
    _sum_totals(totals, own_totals, layers, inputs, schedule, part)


@njit(cache=True, nogil=True, parallel=True)
def weight_gradients(channels, gradients, slots, schedule, padding):
    """Gradients of all taps and biases: (parts, pairs × taps + layers), a part for every few planes.

    ``slots`` of the channels' gradients, inputs first.
    """
    count, size = len(schedule.kinds), channels.size_z
    pairs = (len(slots) - count) * count + count * (count - 1) // 2
    shape = (size + PLANES_A_PART - 1) // PLANES_A_PART, schedule.taps * pairs + count
    parts = np.zeros(shape, np.float32)
    for part in prange(len(parts)):
        for kind in range(len(schedule.dilations)):  # whose layers meet the same planes in the cache
            planes_z = schedule.orders[kind, part * PLANES_A_PART : (part + 1) * PLANES_A_PART]
            layers = np.flatnonzero(schedule.kinds == kind)
            for n in range(0, len(layers), LAYERS_AT_ONCE):
                some = layers[n : n + LAYERS_AT_ONCE]
                _correlate(channels, gradients, planes_z, kind, some, slots, schedule, padding, parts[part])
    return parts


@njit(cache=True, nogil=True, parallel=True)
def fill_inputs(patch, slab_planes, channels):
    """Copy a patch (channels, z, y, x) to the first slots, zeros beyond x; clear the rows of zeros.

    Every channel comes ``slab_planes`` times, from the planes around each; beyond the patch the last repeats.
    """
    data = channels.data
    for z in prange(channels.size_z):
        end = z * channels.plane_step + channels.size_y * channels.row_step
        data[end : end + channels.row_step] = 0
        for slot in range(len(patch) * slab_planes):
            plane = z + slot % slab_planes - slab_planes // 2
            plane = min(max(plane, 0), channels.size_z - 1)
            for y in range(channels.size_y):
                row = patch[slot // slab_planes, plane, y]
                for block in range(channels.blocks):
                    place = z * channels.plane_step + y * channels.row_step + block * channels.block_step
                    for lane in range(LANES):
                        x = block * LANES + lane
                        inside = x < channels.size_x
                        data[place + slot * LANES + lane] = row[x] if inside else np.float32(0)


@njit(cache=True, nogil=True, parallel=True)
def combine_channels(channels, weights, bias, out):
    """The 1×1×1 layer: ``out`` (z, y, x) = bias + weights · channels."""
    data = channels.data
    for z in prange(channels.size_z):
        line = np.empty(channels.blocks * LANES, np.float32)
        for y in range(channels.size_y):
            for block in range(channels.blocks):
                place = z * channels.plane_step + y * channels.row_step + block * channels.block_step
                weighted_channels(data, place, weights, len(weights), bias, line, block * LANES)
            row = out[z, y]
            for x in range(channels.size_x):
                row[x] = line[x]


@njit(cache=True, nogil=True, parallel=True)
def spread_gradient(out, weights, slots, inputs, channels, gradients):
    """Start every channel's gradient from that of ``out`` (z, y, x), and clear the rows of zeros.

    ``weights`` (channels,) are those of `combine_channels`, and ``channels`` hold what was summed there. The
    gradient of channel c begins in ``gradients`` at ``slots[c]``, or nowhere where that is -1; a layer's is
    0 where its channel is, that of one of the first ``inputs`` is not. Returns, for each plane, the sums of
    ``out`` × channel, and of ``out`` itself last.
    """
    count, source, data = len(weights), channels.data, gradients.data
    parts = np.zeros((channels.size_z, count + 1), np.float32)
    for z in prange(channels.size_z):
        end = z * gradients.plane_step + gradients.size_y * gradients.row_step
        data[end : end + gradients.row_step] = 0
        line = np.zeros(channels.blocks * LANES, np.float32)
        totals = np.zeros((count + 1) * LANES, np.float32)
        for y in range(channels.size_y):
            row = out[z, y]
            for x in range(channels.size_x):
                line[x] = row[x]
            for block in range(channels.blocks):
                place = z * channels.plane_step + y * channels.row_step + block * channels.block_step
                to = z * gradients.plane_step + y * gradients.row_step + block * gradients.block_step
                spread_block(source, place, weights, slots, count, inputs, line, block * LANES, data, to, totals)  # fmt: skip  # noqa: E501
        for channel in range(count + 1):
            parts[z, channel] = sum_lanes(totals, channel * LANES)
    return parts
