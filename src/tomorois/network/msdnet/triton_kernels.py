"""Triton kernels of the mixed-scale dense network on the GPU; `gpu` launches them.

All channels of a batch lie in one buffer (batch, slot, z, y, x) of float32 or bfloat16; sums are float32.
A program of `convolve` computes four rows that lie a dilation apart: each row it reads serves up to three
of them, so four outputs take 54 loads a channel instead of 108. Tiles are `BLOCK_Z` planes by `BLOCK_X`
voxels, both powers of two.

What is summed over voxels is summed in parts that the shape decides, never by atomic additions: the same
bits every time. ``DEPTH`` is the number of taps along z, 3, or 1 for a network on slabs. Kernels trust their
arguments.
"""

# mypy: disable-error-code="no-untyped-def, misc"

from __future__ import annotations

import triton
import triton.language as tl

ROWS = 4  # that one program of `convolve` computes; the code below has them one by one


@triton.jit
def _mirrored(place, size, MIRROR: tl.constexpr):
    """Where to read for a place, and whether that lies in the volume."""
    if MIRROR:
        place = tl.abs(place)
        place = tl.where(place >= size, 2 * (size - 1) - place, place)
    return place, (place >= 0) & (place < size)


@triton.jit
def _finish(total, place, gate, inside, bias, GRADIENT: tl.constexpr, GATED: tl.constexpr):
    """Write sums: relu(bias + sums); or add them to a gradient, zero where the gate is not positive."""
    if GRADIENT:
        total += tl.load(place, mask=inside, other=0.0).to(tl.float32)
        if GATED:
            opening = tl.load(gate, mask=inside, other=0.0).to(tl.float32)
            total = tl.where(opening > 0, total, 0.0)
    else:
        total += bias
        total = tl.where(total < 0, 0.0, total)
    tl.store(place, total.to(place.dtype.element_ty), mask=inside)


VARYING = [
    "volume",
    "slots",
    "gate_slots",
    "target",
    "first",
    "count",
    "tap",
    "gate_slot",
    "layer",
    "dilation",
]


@triton.jit(do_not_specialize=[*VARYING, "size_z", "size_y"])
def convolve(
    buffer, gates, taps, biases, volume, slots, gate_slots, target, first, count, tap, gate_slot, layer,
    dilation, size_z, size_y, size_x,
    MIRROR: tl.constexpr, GRADIENT: tl.constexpr, GATED: tl.constexpr,
    DEPTH: tl.constexpr, BLOCK_Z: tl.constexpr, BLOCK_X: tl.constexpr,
):  # fmt: skip
    """Sum ``count`` slots from ``first`` on, with their taps from ``tap`` on, into the slot ``target``.

    Programs: (x blocks × row groups × z blocks, batch).
    """
    x_blocks, groups = tl.cdiv(size_x, BLOCK_X), tl.cdiv(size_y, 4 * dilation) * dilation
    n, batch = tl.program_id(0), tl.program_id(1).to(tl.int64)
    x = n % x_blocks * BLOCK_X + tl.arange(0, BLOCK_X)
    group = n // x_blocks % groups
    z = n // x_blocks // groups * BLOCK_Z + tl.arange(0, BLOCK_Z)
    y = group // dilation * 4 * dilation + group % dilation
    if y >= size_y:
        return
    y0, inside0 = _mirrored(y - dilation, size_y, MIRROR)
    y1, inside1 = _mirrored(y, size_y, MIRROR)
    y2, inside2 = _mirrored(y + dilation, size_y, MIRROR)
    y3, inside3 = _mirrored(y + 2 * dilation, size_y, MIRROR)
    y4, inside4 = _mirrored(y + 3 * dilation, size_y, MIRROR)
    y5, inside5 = _mirrored(y + 4 * dilation, size_y, MIRROR)
    y0, y1, y2, y3, y4, y5 = y0 * size_x, y1 * size_x, y2 * size_x, y3 * size_x, y4 * size_x, y5 * size_x
    total0 = tl.zeros((BLOCK_Z, BLOCK_X), tl.float32)
    total1, total2, total3 = total0, total0, total0
    for dz in range(DEPTH):
        from_z, z_inside = _mirrored(z + (dz - DEPTH // 2) * dilation, size_z, MIRROR)
        planes = (from_z * size_y * size_x)[:, None]
        for channel in range(count):
            start = buffer + (batch * slots + first + channel) * volume
            weights = taps + tap + 9 * (DEPTH * channel + dz)
            for dx in tl.static_range(3):
                from_x, x_inside = _mirrored(x + (dx - 1) * dilation, size_x, MIRROR)
                inside = z_inside[:, None] & x_inside[None, :]
                here = planes + from_x[None, :]
                row0 = tl.load(start + y0 + here, mask=inside & inside0, other=0.0).to(tl.float32)
                row1 = tl.load(start + y1 + here, mask=inside & inside1, other=0.0).to(tl.float32)
                row2 = tl.load(start + y2 + here, mask=inside & inside2, other=0.0).to(tl.float32)
                row3 = tl.load(start + y3 + here, mask=inside & inside3, other=0.0).to(tl.float32)
                row4 = tl.load(start + y4 + here, mask=inside & inside4, other=0.0).to(tl.float32)
                row5 = tl.load(start + y5 + here, mask=inside & inside5, other=0.0).to(tl.float32)
                upper, own, lower = (
                    tl.load(weights + dx),
                    tl.load(weights + 3 + dx),
                    tl.load(weights + 6 + dx),
                )
                total0 += row0 * upper
                total0 += row1 * own
                total0 += row2 * lower
                total1 += row1 * upper
                total1 += row2 * own
                total1 += row3 * lower
                total2 += row2 * upper
                total2 += row3 * own
                total2 += row4 * lower
                total3 += row3 * upper
                total3 += row4 * own
                total3 += row5 * lower
    columns = (z * size_y * size_x)[:, None] + x[None, :]
    inside = (z < size_z)[:, None] & (x < size_x)[None, :]
    place = buffer + (batch * slots + target) * volume + y * size_x + columns
    gate = gates + (batch * gate_slots + gate_slot) * volume + y * size_x + columns
    bias = tl.load(biases + layer)
    step = dilation * size_x
    _finish(total0, place, gate, inside, bias, GRADIENT, GATED)
    _finish(total1, place + step, gate + step, inside & (y + dilation < size_y), bias, GRADIENT, GATED)
    step += dilation * size_x
    _finish(total2, place + step, gate + step, inside & (y + 2 * dilation < size_y), bias, GRADIENT, GATED)
    step += dilation * size_x
    _finish(total3, place + step, gate + step, inside & (y + 3 * dilation < size_y), bias, GRADIENT, GATED)


@triton.jit
def _folded(place, item, dilation, size):
    """Which voxel a tap meets, whether there is one, and which tap: items 0 to 2 are the taps' own, 3 and 4
    what mirroring read from beyond either end."""
    found = place + (item - 1) * dilation
    found = tl.where(item == 3, tl.where(place > 0, dilation - place, -1), found)
    beyond = tl.where(place < size - 1, 2 * (size - 1) - place - dilation, -1)
    found = tl.where(item == 4, beyond, found)
    tap = tl.where(item == 3, 2, tl.where(item == 4, 0, item))
    return found, (found >= 0) & (found < size), tap


@triton.jit(do_not_specialize=[*VARYING[:-2], "dilation", "size_z", "size_y"])
def convolve_folded(
    buffer, gates, taps, volume, slots, gate_slots, target, first, count, tap, gate_slot, dilation,
    size_z, size_y, size_x, GATED: tl.constexpr, DEPTH: tl.constexpr,
    BLOCK_Z: tl.constexpr, BLOCK_X: tl.constexpr,
):  # fmt: skip
    """The gradient's `convolve` where layers see the mirrored volume: what lies beyond it is folded back.

    Programs: (x blocks × rows × z blocks, batch).
    """
    x_blocks = tl.cdiv(size_x, BLOCK_X)
    n, batch = tl.program_id(0), tl.program_id(1).to(tl.int64)
    x = n % x_blocks * BLOCK_X + tl.arange(0, BLOCK_X)
    y = n // x_blocks % size_y
    z = n // x_blocks // size_y * BLOCK_Z + tl.arange(0, BLOCK_Z)
    total = tl.zeros((BLOCK_Z, BLOCK_X), tl.float32)
    for item in range(2 * DEPTH - 1):
        from_z, z_inside, tap_z = _folded(z, item if DEPTH == 3 else 1, dilation, size_z)
        for dy in range(5):
            from_y, y_inside, tap_y = _folded(y, dy, dilation, size_y)
            if y_inside & (tl.max(z_inside.to(tl.int32), axis=0) > 0):
                rows = ((from_z * size_y + from_y) * size_x)[:, None]
                for dx in range(5):
                    from_x, x_inside, tap_x = _folded(x, dx, dilation, size_x)
                    inside = z_inside[:, None] & x_inside[None, :]
                    places = buffer + rows + from_x[None, :]
                    weights = taps + tap + 9 * (tap_z if DEPTH == 3 else 0) + 3 * tap_y + tap_x
                    for channel in range(count):
                        value = tl.load(
                            places + (batch * slots + first + channel) * volume, mask=inside, other=0.0
                        )
                        total += value.to(tl.float32) * tl.load(weights + 9 * DEPTH * channel)
    columns = (z * size_y * size_x)[:, None] + x[None, :]
    inside = (z < size_z)[:, None] & (x < size_x)[None, :]
    place = buffer + (batch * slots + target) * volume + y * size_x + columns
    gate = gates + (batch * gate_slots + gate_slot) * volume + y * size_x + columns
    _finish(total, place, gate, inside, 0.0, True, GATED)


@triton.jit(do_not_specialize=["channel_slots", "gradient_slots", "volume", "part_step", "size_z", "size_y"])
def correlate(
    channels, gradients, pairs, parts, channel_slots, gradient_slots, volume, part_step,
    size_z, size_y, size_x, MIRROR: tl.constexpr, DEPTH: tl.constexpr,
    BLOCK_Z: tl.constexpr, BLOCK_X: tl.constexpr,
):  # fmt: skip
    """One part of the gradients of nine taps: those at one dz of a layer's kernel on one channel.

    ``pairs`` has a row for each kernel: slot of the layer's gradient, channel, dilation.
    Programs: (pairs × depth, x blocks × z blocks × batch), a part for each of the latter.
    """
    pair, dz, part = tl.program_id(0) // DEPTH, tl.program_id(0) % DEPTH, tl.program_id(1)
    slot, channel = tl.load(pairs + 3 * pair), tl.load(pairs + 3 * pair + 1)
    dilation = tl.load(pairs + 3 * pair + 2)
    x_blocks, z_blocks = tl.cdiv(size_x, BLOCK_X), tl.cdiv(size_z, BLOCK_Z)
    x = part % x_blocks * BLOCK_X + tl.arange(0, BLOCK_X)
    z = part // x_blocks % z_blocks * BLOCK_Z + tl.arange(0, BLOCK_Z)
    batch = (part // x_blocks // z_blocks).to(tl.int64)
    gradient = gradients + (batch * gradient_slots + slot) * volume
    start = channels + (batch * channel_slots + channel) * volume
    own_z = (z * size_y * size_x)[:, None] + x[None, :]
    inside = (z < size_z)[:, None] & (x < size_x)[None, :]
    from_z, z_inside = _mirrored(z + (dz - DEPTH // 2) * dilation, size_z, MIRROR)
    left, left_inside = _mirrored(x - dilation, size_x, MIRROR)
    middle, middle_inside = _mirrored(x, size_x, MIRROR)
    right, right_inside = _mirrored(x + dilation, size_x, MIRROR)
    start += (from_z * size_y * size_x)[:, None]
    left_inside = left_inside[None, :] & z_inside[:, None]
    middle_inside = middle_inside[None, :] & z_inside[:, None]
    right_inside = right_inside[None, :] & z_inside[:, None]
    upper_left = tl.zeros((BLOCK_Z, BLOCK_X), tl.float32)
    upper, upper_right = upper_left, upper_left
    own_left, own, own_right = upper_left, upper_left, upper_left
    lower_left, lower, lower_right = upper_left, upper_left, upper_left
    for y in range(size_y):
        g = tl.load(gradient + own_z + y * size_x, mask=inside, other=0.0).to(tl.float32)
        row, row_inside = _mirrored(y - dilation, size_y, MIRROR)
        here = start + row * size_x
        upper_left += g * tl.load(here + left[None, :], mask=left_inside & row_inside, other=0.0)
        upper += g * tl.load(here + middle[None, :], mask=middle_inside & row_inside, other=0.0)
        upper_right += g * tl.load(here + right[None, :], mask=right_inside & row_inside, other=0.0)
        here = start + y * size_x
        own_left += g * tl.load(here + left[None, :], mask=left_inside, other=0.0)
        own += g * tl.load(here + middle[None, :], mask=middle_inside, other=0.0)
        own_right += g * tl.load(here + right[None, :], mask=right_inside, other=0.0)
        row, row_inside = _mirrored(y + dilation, size_y, MIRROR)
        here = start + row * size_x
        lower_left += g * tl.load(here + left[None, :], mask=left_inside & row_inside, other=0.0)
        lower += g * tl.load(here + middle[None, :], mask=middle_inside & row_inside, other=0.0)
        lower_right += g * tl.load(here + right[None, :], mask=right_inside & row_inside, other=0.0)
    to = parts + part.to(tl.int64) * part_step + 9 * (DEPTH * pair + dz)
    tl.store(to, tl.sum(upper_left))
    tl.store(to + 1, tl.sum(upper))
    tl.store(to + 2, tl.sum(upper_right))
    tl.store(to + 3, tl.sum(own_left))
    tl.store(to + 4, tl.sum(own))
    tl.store(to + 5, tl.sum(own_right))
    tl.store(to + 6, tl.sum(lower_left))
    tl.store(to + 7, tl.sum(lower))
    tl.store(to + 8, tl.sum(lower_right))


@triton.jit(do_not_specialize=["channel_slots", "gradient_slots", "inputs", "volume", "chunk"])
def spread(
    out, channels, gradients, weights, slots, parts, channel_slots, gradient_slots, inputs, volume, chunk,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Start a channel's gradient from that of the logits, and sum logit gradient × channel over one part.

    ``slots`` of the channels' gradients, −1 where not wanted. Programs: (channels, chunks × batch).
    """
    channel, part = tl.program_id(0), tl.program_id(1)
    chunks = tl.cdiv(volume, chunk)
    batch, first = (part // chunks).to(tl.int64), part % chunks * chunk
    weight, slot = tl.load(weights + channel), tl.load(slots + channel)
    total = tl.zeros((BLOCK,), tl.float32)
    for step in range(0, chunk, BLOCK):
        at = first + step + tl.arange(0, BLOCK)
        inside = at < volume
        g = tl.load(out + batch * volume + at, mask=inside, other=0.0)
        value = tl.load(channels + (batch * channel_slots + channel) * volume + at, mask=inside, other=0.0)
        value = value.to(tl.float32)
        total = tl.fma(g, value, total)
        gated = tl.where((value > 0) | (channel < inputs), g * weight, 0.0)
        place = gradients + (batch * gradient_slots + slot) * volume + at
        tl.store(place, gated.to(place.dtype.element_ty), mask=inside & (slot >= 0))
    tl.store(parts + part.to(tl.int64) * channel_slots + channel, tl.sum(total))


@triton.jit(do_not_specialize=["slots", "volume"])
def combine(channels, weights, bias, out, slots, volume, BLOCK: tl.constexpr):
    """The 1×1×1 layer: out = bias + weights · channels. Programs: (blocks, batch)."""
    batch = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < volume
    total = tl.zeros((BLOCK,), tl.float32) + tl.load(bias)
    for slot in range(slots):
        value = tl.load(channels + (batch * slots + slot) * volume + at, mask=inside, other=0.0)
        total = tl.fma(value.to(tl.float32), tl.load(weights + slot), total)
    tl.store(out + batch * volume + at, total, mask=inside)
