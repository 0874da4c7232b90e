"""Numba kernels of the mixed-scale dense network on the CPU.

All channels of a patch lie in one buffer, ``[plane, row, block, channel, lane]``: a block is `LANES`
neighbouring voxels along x, so what one output needs from *all* earlier layers lies side by side.
That order is what makes a width-1 network fast: the inner loop runs over channels along a few forward
streams (seen: 30 instead of 6 GFMA/s at 256² voxels a plane, against a plane for each channel).

``grid`` is a `cpu.Grid`. Results do not depend on the number of threads: whatever is summed over
voxels is summed in parts that the shape decides. Kernels trust their arguments; `cpu` checks them.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

import numpy as np
from numba import njit, prange

from tomorois.msdnet.vector import (
    FEW,
    LANES,
    MANY,
    PLANES,
    convolve_few,
    convolve_many,
    copy_row,
    correlate_plane,
    correlate_planes,
    finish_forward,
    finish_gradient,
    spread_block,
    sum_lanes,
    weighted_channels,
)

PLANES_A_TASK = 16
BLOCKS_A_STRIPE = 64


@njit(cache=True, nogil=True)
def _mirrored(place: int, size: int) -> int:
    if place < 0:
        return -place
    return 2 * (size - 1) - place if place >= size else place


@njit(cache=True, nogil=True)
def _list_planes(z, size, dilation, plane_step, unit, mirror, planes):
    """Fill in byte offsets of the planes z − d, z, z + d that exist and of their taps; return how many."""
    count = 0
    for dz in range(3):
        place = z + (dz - 1) * dilation
        if mirror:
            place = _mirrored(place, size)
        if 0 <= place < size:
            planes[2 * count] = (place - z) * plane_step * 4
            planes[2 * count + 1] = dz * unit
            count += 1
    return count


@njit(cache=True, nogil=True)
def _list_lines(y, rows, size, dilation, row_step, mirror, lines):
    """Fill in byte offsets of rows y − d, y, y + d, …; beyond the volume lies the row of zeros, the last."""
    for r in range(rows + 2):
        place = y + (r - 1) * dilation
        if mirror:
            place = _mirrored(place, size)
        lines[r] = (place if 0 <= place < size else size) * row_step * 4


@njit(cache=True, nogil=True)
def _aligned(array):
    """Index of the first element at a vector's boundary."""
    return (-(array.ctypes.data // 4)) % LANES


@njit(cache=True, nogil=True)
def _mirror_sums(sums, at, dx_step, dilation, width):
    """Beyond the row's ends, the sums for dx = −1 and 1 are those of the mirrored input."""
    right = at + 2 * dx_step + width - 1
    for q in range(1, dilation + 1):
        sums[at - q] = sums[at + q]
        sums[right + q] = sums[right - q]


@njit(cache=True, nogil=True)
def _convolve_group(buffer, grid, y, rows, planes_z, element, taps, step, dilation, mirror, bias, gate, gate_grid, gradient):  # fmt: skip  # noqa: E501
    """One group of rows, a dilation apart, on the given planes of one patch; ``step`` is a row of passes."""
    _, size_z, size_y, size_x, blocks, block_step, row_step, plane_step = grid
    target, first, count, tap, _, gate_slot = step
    reach = (dilation + LANES - 1) // LANES * LANES
    line = blocks * LANES + 2 * reach
    dx_step = MANY * line
    sums = np.zeros(3 * dx_step + LANES, np.float32)
    sums_at = _aligned(sums) + reach
    offsets, planes = np.empty(MANY + 2, np.int64), np.empty(6, np.int64)
    _list_lines(y, MANY, size_y, dilation, row_step, mirror, offsets)
    for z in planes_z:
        depth = _list_planes(z, size_z, dilation, plane_step, 36, mirror, planes)
        plane = element * size_z + z
        for block in range(blocks):
            at = sums_at + block * LANES
            source = plane * plane_step + block * block_step + first * LANES
            if rows > FEW:
                convolve_many(buffer, taps, offsets, planes, sums, at, dx_step, line, source, tap, count, depth, block_step)  # fmt: skip  # noqa: E501
            else:
                convolve_few(buffer, taps, offsets, planes, sums, at, dx_step, line, source, tap, count, depth, block_step)  # fmt: skip  # noqa: E501
        for r in range(rows):
            at, row = sums_at + r * line, y + r * dilation
            place = plane * plane_step + row * row_step + target * LANES
            if mirror:
                _mirror_sums(sums, at, dx_step, dilation, size_x)
            if gradient:
                gate_at = (
                    plane * gate_grid[7] + row * gate_grid[6] + gate_slot * LANES if gate_slot >= 0 else -1
                )
                finish_gradient(buffer, sums, at, dx_step, dilation, place, block_step, blocks, gate, gate_at, gate_grid[5])  # fmt: skip  # noqa: E501
            else:
                finish_forward(buffer, sums, at, dx_step, dilation, bias, place, block_step, blocks, size_x)


@njit(cache=True, nogil=True, parallel=True)
def _convolve(buffer, grid, groups, order, taps, step, dilation, mirror, bias, gate, gate_grid, gradient):
    segments = (grid[1] + PLANES_A_TASK - 1) // PLANES_A_TASK
    for task in prange(grid[0] * len(groups) * segments):
        element, segment = task // (len(groups) * segments), task % segments
        y, rows = groups[task // segments % len(groups)]
        planes_z = order[segment * grid[1] // segments : (segment + 1) * grid[1] // segments]
        _convolve_group(buffer, grid, y, rows, planes_z, element, taps, step, dilation, mirror, bias, gate, gate_grid, gradient)  # fmt: skip  # noqa: E501


@njit(cache=True, nogil=True)
def run_passes(buffer, grid, passes, dilations, groups, group_starts, orders, taps, biases, mirror, gate, gate_grid, gradient):  # fmt: skip  # noqa: E501
    """Carry out convolutions one after another, each row of ``passes``: target slot, first slot, number of
    channels, first tap, index of the dilation, gate's slot.

    Forward: target = relu(bias + sums). Gradient: target += sums, then zero where the gate's slot is not
    positive (slot −1: no gate). Groups and orders as in `cpu.Schedule`, ``mirror``: reflect padding.
    """
    for n in range(len(passes)):
        kind = passes[n, 4]
        rows = groups[group_starts[kind] : group_starts[kind + 1]]
        _convolve(buffer, grid, rows, orders[kind], taps, passes[n], dilations[kind], mirror, biases[n], gate, gate_grid, gradient)  # fmt: skip  # noqa: E501


@njit(cache=True, nogil=True)
def _correlate_plane(buffer, grid, gradients, gradient_grid, plane, z, slot, count, dilation, mirror, totals):
    """Add what one plane gives to one layer's totals [channel, tap, lane]; the last vector is the bias's."""
    _, size_z, size_y, _, blocks, block_step, row_step, plane_step = grid
    reach = (dilation + LANES - 1) // LANES * LANES
    line = blocks * LANES + 2 * reach
    stripe = max(1, min(size_y, BLOCKS_A_STRIPE // blocks))
    shifted = np.zeros(stripe * line + LANES, np.float32)
    at = _aligned(shifted) + reach
    lines, planes = np.empty(3 * stripe, np.int64), np.empty(6, np.int64)
    depth = _list_planes(z, size_z, dilation, plane_step, 36 * LANES, mirror, planes)
    for y in range(0, size_y, stripe):
        rows = min(stripe, size_y - y)
        for r in range(rows):
            _list_lines(y + r, 1, size_y, dilation, row_step, mirror, lines[3 * r : 3 * r + 3])
            source = plane * gradient_grid[7] + (y + r) * gradient_grid[6] + slot * LANES
            copy_row(
                gradients,
                source,
                gradient_grid[5],
                shifted,
                at + r * line,
                blocks,
                totals,
                count * 27 * LANES,
            )
        for channel in range(count):
            source, total = plane * plane_step + channel * LANES, channel * 27 * LANES
            m = 0
            while m + PLANES <= depth:
                correlate_planes(buffer, lines, planes, shifted, totals, m, rows, source, block_step, blocks, at, line, dilation, total)  # fmt: skip  # noqa: E501
                m += PLANES
            while m < depth:
                correlate_plane(buffer, lines, planes, shifted, totals, m, rows, source, block_step, blocks, at, line, dilation, total)  # fmt: skip  # noqa: E501
                m += 1


@njit(cache=True, nogil=True, parallel=True)
def weight_gradients(buffer, grid, gradients, gradient_grid, slots, dilations, kinds, orders, chunk, mirror):
    """Gradients of all taps and biases: (parts, pairs × 27 + layers), a part for each ``chunk`` planes.

    ``slots`` of the channels' gradients, inputs first; ``kinds`` of the layers.
    """
    inputs, layers, planes = len(slots) - len(kinds), len(kinds), grid[0] * grid[1]
    taps = 27 * (inputs * layers + layers * (layers - 1) // 2)
    parts = np.zeros(((planes + chunk - 1) // chunk, taps + layers), np.float32)
    for part in prange(len(parts)):
        done = 0
        for layer in range(layers):
            count, kind = inputs + layer, kinds[layer]
            totals = np.zeros((27 * count + 1) * LANES, np.float32)
            for place in range(part * chunk, min((part + 1) * chunk, planes)):
                z = orders[kind, place % grid[1]]
                plane = place - place % grid[1] + z
                _correlate_plane(buffer, grid, gradients, gradient_grid, plane, z, slots[count], count, dilations[kind], mirror, totals)  # fmt: skip  # noqa: E501
            for tap in range(27 * count):
                parts[part, done + tap] = sum_lanes(totals, tap * LANES)
            parts[part, taps + layer] = sum_lanes(totals, 27 * count * LANES)
            done += 27 * count
    return parts


@njit(cache=True, nogil=True, parallel=True)
def fill_inputs(x, buffer, grid):
    """Copy patches (elements, channels, z, y, x) to the first slots, zeros beyond x; clear the zero rows."""
    elements, size_z, size_y, size_x, blocks, block_step, row_step, plane_step = grid
    for plane in prange(elements * size_z):
        end = plane * plane_step + size_y * row_step
        buffer[end : end + row_step] = 0
        for channel in range(x.shape[1]):
            for y in range(size_y):
                row = x[plane // size_z, channel, plane % size_z, y]
                for block in range(blocks):
                    at, place = block * LANES, plane * plane_step + y * row_step + block * block_step
                    for lane in range(LANES):
                        inside = at + lane < size_x
                        buffer[place + channel * LANES + lane] = row[at + lane] if inside else np.float32(0)


@njit(cache=True, nogil=True, parallel=True)
def combine_channels(buffer, grid, weights, bias, out):
    """The 1×1×1 layer: ``out`` (elements, z, y, x) = bias + weights · channels."""
    elements, size_z, size_y, size_x, blocks, block_step, row_step, plane_step = grid
    for plane in prange(elements * size_z):
        line = np.empty(blocks * LANES, np.float32)
        for y in range(size_y):
            for block in range(blocks):
                place = plane * plane_step + y * row_step + block * block_step
                weighted_channels(buffer, place, weights, len(weights), bias, line, block * LANES)
            row = out[plane // size_z, plane % size_z, y]
            for x in range(size_x):
                row[x] = line[x]


@njit(cache=True, nogil=True, parallel=True)
def spread_gradient(out, weights, slots, inputs, buffer, grid, gradients, gradient_grid):
    """Start every channel's gradient from that of ``out`` (elements, z, y, x), and clear the rows of zeros.

    Returns, for each plane, the sums of ``out`` × channel, and of ``out`` itself last.
    """
    elements, size_z, size_y, size_x, blocks, block_step, row_step, plane_step = grid
    channels = len(weights)
    parts = np.zeros((elements * size_z, channels + 1), np.float32)
    for plane in prange(elements * size_z):
        end = plane * gradient_grid[7] + size_y * gradient_grid[6]
        gradients[end : end + gradient_grid[6]] = 0
        line = np.zeros(blocks * LANES, np.float32)
        totals = np.zeros((channels + 1) * LANES, np.float32)
        for y in range(size_y):
            row = out[plane // size_z, plane % size_z, y]
            for x in range(size_x):
                line[x] = row[x]
            for block in range(blocks):
                place = plane * plane_step + y * row_step + block * block_step
                target = plane * gradient_grid[7] + y * gradient_grid[6] + block * gradient_grid[5]
                spread_block(buffer, place, weights, slots, channels, inputs, line, block * LANES, gradients, target, totals)  # fmt: skip  # noqa: E501
            copy_row(line, 0, LANES, line, 0, blocks, totals, channels * LANES)
        for channel in range(channels + 1):
            parts[plane, channel] = sum_lanes(totals, channel * LANES)
    return parts
