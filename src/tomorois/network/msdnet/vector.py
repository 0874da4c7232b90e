"""Vector instructions inside numba: the few loops whose speed is the speed of the network.

An LLVM vector type carries the lanes, so the speed does not hang on what a loop vectoriser makes of a
loop. Each function here is called from `kernels` on flat float32 arrays; indices count floats, and
offsets that come in integer arrays count bytes. Nothing is checked.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

FEATURES = llvm.get_host_cpu_features()
LANES = 16 if FEATURES.get("avx512f") else 8 if FEATURES.get("avx") else 4
WIDE = LANES == 16  # 32 registers of 16 lanes, else as if 16
MANY, FEW = (
    (4, 2) if WIDE else (3, 1)
)  # rows that share loads: 3 sums and about 1 input a row fit the registers
TARGETS = 2 if WIDE else 1  # channels that share loads: 24 sums fit 32 registers
PLANES = 3 if WIDE else 1  # input planes of the weight gradient at once: 9 sums each

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR, LANE_NUMBERS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT32, LANES)
BYTES = 4 * LANES
ZERO, ONE = ir.Constant(VECTOR, [0.0] * LANES), ir.Constant(VECTOR, [1.0] * LANES)
FIRST_LANE = ir.Constant(LANE_NUMBERS, [0] * LANES)
I = types.int64  # noqa: E741

Generate = Callable[[Any, ir.IRBuilder, Any, Any], Any]


class Emitter:
    """Writes vector instructions; addresses are 64-bit integers."""

    def __init__(self, context: Any, builder: ir.IRBuilder) -> None:
        self.context, self.b = context, builder

    def starts(self, kinds: Any, arrays: Any) -> list[ir.Value]:
        """Addresses of the first elements of arrays."""
        pairs = zip(kinds, arrays, strict=True)
        data = [self.context.make_array(kind)(self.context, self.b, array).data for kind, array in pairs]
        return [self.b.ptrtoint(pointer, INT64) for pointer in data]

    def plus(self, address: ir.Value, elements: ir.Value | int, times: int = 1, size: int = 4) -> ir.Value:
        """The address ``elements × times`` elements of ``size`` bytes further on."""
        if isinstance(elements, int):
            return self.b.add(address, INT64(elements * times * size))
        return self.b.add(address, self.b.mul(elements, INT64(times * size)))

    def load(self, address: ir.Value, align: int = 4) -> ir.Value:
        """A vector; ``align=BYTES`` promises that the address is a multiple of it."""
        value = self.b.load(self.b.inttoptr(address, VECTOR.as_pointer()))
        value.align = align
        return value

    def store(self, value: ir.Value, address: ir.Value) -> None:
        """Write a vector."""
        self.b.store(value, self.b.inttoptr(address, VECTOR.as_pointer())).align = 4

    def integer(self, address: ir.Value) -> ir.Value:
        """A 64-bit integer from memory."""
        return self.b.load(self.b.inttoptr(address, INT64.as_pointer()))

    def spread(self, value: ir.Value, vector: ir.VectorType = VECTOR) -> ir.Value:
        """One number in every lane."""
        undefined = ir.Constant(vector, ir.Undefined)
        return self.b.shuffle_vector(self.b.insert_element(undefined, value, INT32(0)), undefined, FIRST_LANE)

    def broadcast(self, address: ir.Value) -> ir.Value:
        """One float from memory in every lane."""
        return self.spread(self.b.load(self.b.inttoptr(address, FLOAT.as_pointer())))

    def fma(self, a: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
        """``a x + y``, fused where the processor can."""
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        return self.b.call(
            cgutils.get_or_insert_function(self.b.module, kind, f"llvm.fmuladd.v{LANES}f32"), [a, x, y]
        )

    def prefetch(self, address: ir.Value) -> None:
        """Ask for a cache line early, into the second-level cache."""
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, INT32, INT32, INT32])
        ask = self.b.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        self.b.call(ask, [self.b.inttoptr(address, pointer), INT32(0), INT32(2), INT32(1)])

    def variables(self, count: int) -> list[Any]:
        """Vectors that live across loops, zero at first; they become registers."""
        places = [cgutils.alloca_once(self.b, VECTOR) for _ in range(count)]
        for place in places:
            self.b.store(ZERO, place)
        return places

    def add_to(self, variable: Any, a: ir.Value, x: ir.Value) -> None:
        """variable += a x."""
        self.b.store(self.fma(a, x, self.b.load(variable)), variable)

    def lane_sum(self, value: ir.Value) -> ir.Value:
        """Sum over lanes, halves upon halves: always in the same order."""
        width = LANES
        while width > 1:
            width //= 2
            upper = [(lane + width) % LANES for lane in range(LANES)]
            moved = self.b.shuffle_vector(value, value, ir.Constant(LANE_NUMBERS, upper))
            value = self.b.fadd(value, moved)
        return self.b.extract_element(value, INT32(0))


def _convolution(rows: int, targets: int) -> Callable[..., None]:
    @intrinsic
    def convolve_row(typingctx, buffer, taps, offsets, planes, sums, line, at, dx_step, row_step, source, tap, second, tap_step, count, depth, blocks, step, ahead):  # fmt: skip  # noqa: E501
        """Sum ``count`` neighbouring channels over planes and rows, for all blocks of ``rows`` output rows
        of one target or two, whose taps begin at ``tap`` and ``second``.

        Into ``sums`` [target, dx, row, x] go three sums a row, for dx = −1, 0, 1, all *at the input's place*:
        so no load is unaligned, and the shift by the dilation waits for `finish_row`. ``offsets`` holds
        from ``line`` on rows + 2 input rows; ``planes`` holds ``depth`` input planes and the offsets of
        their taps. ``tap_step`` floats lie between the taps of neighbouring channels, ``step`` between
        blocks; what lies ``ahead`` bytes from the source is asked for, two rows with each plane.
        """
        signature = types.void(buffer, taps, offsets, planes, sums, *[I] * 13)

        def generate(context, builder, sig, args):
            e = Emitter(context, builder)
            buffer, taps, offsets, planes, sums = e.starts(sig.args[:5], args[:5])
            line, at, dx_step, row_step, source, tap, second, tap_step, count, depth, blocks, step, ahead = (
                args[5:]
            )
            first, last, apart = e.plus(offsets, line, size=8), INT64(rows), builder.sub(second, tap)
            lines = [e.integer(e.plus(first, r, size=8)) for r in range(rows + 2)]
            totals = e.variables(3 * rows * targets)
            with cgutils.for_range(builder, blocks, intp=INT64) as block:
                here = e.plus(e.plus(buffer, source), builder.mul(block.index, step))
                for total in totals:
                    builder.store(ZERO, total)
                with cgutils.for_range(builder, depth, intp=INT64) as z:
                    entry = e.plus(planes, z.index, 2, size=8)
                    plane = builder.add(here, e.integer(entry))
                    plane_taps = builder.add(e.plus(taps, tap), e.integer(e.plus(entry, 1, size=8)))
                    row = builder.mul(z.index, INT64(2))
                    row = builder.select(builder.icmp_signed("<", row, last), row, last)
                    asked = [e.integer(e.plus(e.plus(first, row, size=8), n, size=8)) for n in range(2)]
                    early = [builder.add(builder.add(here, ahead), offset) for offset in asked]
                    with cgutils.for_range(builder, count, intp=INT64) as channel:
                        places = [e.plus(builder.add(plane, row), channel.index, LANES) for row in lines]
                        inputs = [e.load(place, BYTES) for place in places]
                        for place in early:
                            e.prefetch(e.plus(place, channel.index, LANES))
                        weights = e.plus(plane_taps, builder.mul(channel.index, tap_step))
                        for dy, t, dx in product(range(3), range(targets), range(3)):
                            weight = e.broadcast(e.plus(e.plus(weights, 3 * dy + dx), apart, t))
                            for r in range(rows):
                                e.add_to(totals[(3 * t + dx) * rows + r], weight, inputs[r + dy])
                to = e.plus(e.plus(sums, at), block.index, LANES)
                for n, r in product(range(3 * targets), range(rows)):
                    place = e.plus(e.plus(to, dx_step, n), row_step, r)
                    e.store(builder.load(totals[n * rows + r]), place)
            return context.get_dummy_value()

        return signature, generate

    return convolve_row


convolve_many, convolve_few = _convolution(MANY, 1), _convolution(FEW, 1)
convolve_pair = _convolution(MANY, 2)


@intrinsic
def ask_for_rows(typingctx, buffer, at, row_step, rows, step, blocks):
    """Ask early for one channel of some rows of blocks."""
    signature = types.void(buffer, I, I, I, I, I)

    def generate(context, builder, sig, args):
        e = Emitter(context, builder)
        (start,) = e.starts(sig.args[:1], args[:1])
        at, row_step, rows, step, blocks = args[1:]
        with cgutils.for_range(builder, rows, intp=INT64) as row:
            first = e.plus(e.plus(start, at), builder.mul(row.index, row_step))
            with cgutils.for_range(builder, blocks, intp=INT64) as block:
                e.prefetch(e.plus(first, builder.mul(block.index, step)))
        return context.get_dummy_value()

    return signature, generate


def _shifted_sum(e: Emitter, at: ir.Value, dx_step: ir.Value, dilation: ir.Value) -> ir.Value:
    """The sums for dx = −1, 0, 1 of one block, each fetched from where its tap reaches."""
    left, middle = e.load(e.plus(at, dilation, -1)), e.load(e.plus(at, dx_step))
    right = e.load(e.plus(e.plus(at, dx_step, 2), dilation))
    return e.b.fadd(e.b.fadd(left, middle), right)


@intrinsic
def finish_row(typingctx, buffer, sums, at, dx_step, dilation, bias, floor, begun, target, step, blocks, width, gate, gate_at, gate_step):  # fmt: skip  # noqa: E501
    """Write one row of a channel: bias + shifted sums, added to what is there if ``begun``; not below
    ``floor``, zero beyond ``width`` voxels and where the gate is not positive (gate_at < 0: no gate)."""
    signature = types.void(buffer, sums, I, I, I, types.float32, types.float32, *[I] * 5, gate, I, I)

    def generate(context, builder, sig, args):
        e = Emitter(context, builder)
        arrays = [0, 1, 12]
        buffer, sums, gate = e.starts([sig.args[n] for n in arrays], [args[n] for n in arrays])
        at, dx_step, dilation, bias, floor, begun, target, step, blocks, width = args[2:12]
        gate_at, gate_step = args[13:]
        bias, floor, lanes = e.spread(bias), e.spread(floor), ir.Constant(LANE_NUMBERS, list(range(LANES)))
        begun = builder.icmp_signed("!=", begun, INT64(0))
        gated = builder.icmp_signed(">=", gate_at, INT64(0))
        with cgutils.for_range(builder, blocks, intp=INT64) as block:
            here = e.plus(e.plus(sums, at), block.index, LANES)
            place = e.plus(e.plus(buffer, target), builder.mul(block.index, step))
            value = builder.fadd(bias, _shifted_sum(e, here, dx_step, dilation))
            value = builder.fadd(value, builder.select(begun, e.load(place), ZERO))
            value = builder.select(builder.fcmp_ordered("<", value, floor), floor, value)
            left = builder.trunc(builder.sub(width, builder.mul(block.index, INT64(LANES))), INT32)
            inside = builder.icmp_signed("<", lanes, e.spread(left, LANE_NUMBERS))
            gate_place = builder.add(gate_at, builder.mul(block.index, gate_step))
            opening = e.load(e.plus(gate, builder.select(gated, gate_place, INT64(0))))
            opening = builder.select(gated, opening, ONE)
            inside = builder.and_(inside, builder.fcmp_ordered(">", opening, ZERO))
            e.store(builder.select(inside, value, ZERO), place)
        return context.get_dummy_value()

    return signature, generate


def _correlation(depth: int) -> Callable[..., None]:
    @intrinsic
    def correlate(typingctx, channels, lines, planes, shifted, totals, first, plane, rows, source, step, blocks, at, dx_step, row_step, start):  # fmt: skip  # noqa: E501
        """Add gradient × input over ``rows`` rows to ``totals`` [tap, lane] from ``start`` on, for ``depth``
        input planes.

        ``lines`` holds 3 input rows for each row, those wanted from ``first`` on; ``planes`` holds, from
        entry ``plane`` on, input planes of any channels and the offsets of their totals; ``shifted``
        [dx, row, x] holds the gradient as `shift_row` lays it. What the next channel will need is asked for.
        """
        signature = types.void(channels, lines, planes, shifted, totals, *[I] * 10)

        def generate(context, builder, sig, args):
            e = Emitter(context, builder)
            channels, lines, planes, shifted, totals = e.starts(sig.args[:5], args[:5])
            first, plane, rows, source, step, blocks, at, dx_step, row_step, start = args[5:]
            entries = [e.plus(e.plus(planes, plane, 2, size=8), 2 * m, size=8) for m in range(depth)]
            columns_at = [builder.add(e.plus(channels, source), e.integer(entry)) for entry in entries]
            firsts = [builder.add(e.plus(totals, start), e.integer(e.plus(n, 1, size=8))) for n in entries]
            places = [e.plus(first, t, LANES) for first in firsts for t in range(9)]
            sums = e.variables(9 * depth)
            for variable, place in zip(sums, places, strict=True):
                builder.store(e.load(place), variable)
            with cgutils.for_range(builder, blocks, intp=INT64) as block:
                columns = [e.plus(first_block, builder.mul(block.index, step)) for first_block in columns_at]
                gradient = e.plus(e.plus(shifted, at), block.index, LANES)
                with cgutils.for_range(builder, rows, intp=INT64) as row:
                    line = e.plus(lines, builder.add(first, row.index), 3, size=8)
                    offsets = [e.integer(e.plus(line, dy, size=8)) for dy in range(3)]
                    here = e.plus(gradient, builder.mul(row.index, row_step))
                    g = [e.load(e.plus(here, dx_step, dx)) for dx in range(3)]
                    for n, (column, offset) in enumerate(product(columns, offsets)):
                        place = builder.add(column, offset)
                        value = e.load(place, BYTES)
                        if n % 3 == 2:
                            e.prefetch(e.plus(place, LANES))
                        for dx in range(3):
                            e.add_to(sums[3 * n + dx], g[dx], value)
            for variable, place in zip(sums, places, strict=True):
                e.store(builder.load(variable), place)
            return context.get_dummy_value()

        return signature, generate

    return correlate


correlate_planes, correlate_plane = _correlation(PLANES), _correlation(1)


@intrinsic
def shift_row(typingctx, source, source_at, step, target, at, dx_step, dilation, blocks, sums, sums_at):
    """Copy a row of blocks thrice, moved by dx × dilation for dx = −1, 0, 1; add it to one vector of sums."""
    signature = types.void(source, I, I, target, I, I, I, I, sums, I)

    def generate(context, builder, sig, args):
        e = Emitter(context, builder)
        source, target, sums = e.starts([sig.args[n] for n in (0, 3, 8)], [args[n] for n in (0, 3, 8)])
        source_at, step, at, dx_step, dilation, blocks, sums_at = (args[n] for n in (1, 2, 4, 5, 6, 7, 9))
        total = e.variables(1)[0]
        with cgutils.for_range(builder, blocks, intp=INT64) as block:
            value = e.load(e.plus(e.plus(source, source_at), builder.mul(block.index, step)))
            here = e.plus(e.plus(target, at), block.index, LANES)
            for dx in (-1, 0, 1):
                e.store(value, e.plus(e.plus(here, dx_step, dx + 1), dilation, dx))
            builder.store(builder.fadd(builder.load(total), value), total)
        place = e.plus(sums, sums_at)
        e.store(builder.fadd(e.load(place), builder.load(total)), place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sum_lanes(typingctx, array, at):
    """Sum of one vector."""
    signature = types.float32(array, I)

    def generate(context, builder, sig, args):
        e = Emitter(context, builder)
        (start,) = e.starts(sig.args[:1], args[:1])
        return e.lane_sum(e.load(e.plus(start, args[1])))

    return signature, generate


@intrinsic
def weighted_channels(typingctx, buffer, at, weights, count, bias, out, out_at):
    """Write bias + weights · channels of one block to one vector of ``out``."""
    signature = types.void(buffer, I, weights, I, types.float32, out, I)

    def generate(context, builder, sig, args):
        e = Emitter(context, builder)
        buffer, weights, out = e.starts((sig.args[0], sig.args[2], sig.args[5]), (args[0], args[2], args[5]))
        total = e.variables(1)[0]
        builder.store(e.spread(args[4]), total)
        with cgutils.for_range(builder, args[3], intp=INT64) as channel:
            value = e.load(e.plus(e.plus(buffer, args[1]), channel.index, LANES), BYTES)
            e.add_to(total, e.broadcast(e.plus(weights, channel.index)), value)
        e.store(builder.load(total), e.plus(out, args[6]))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def spread_block(typingctx, buffer, at, weights, slots, count, inputs, out, out_at, gradients, target, totals):  # fmt: skip  # noqa: E501
    """Start one block of every channel's gradient: weight × ``out``, where a layer's channel is positive.

    Adds channel × ``out`` to ``totals`` [channel, lane], and ``out`` itself to its last vector. Channels
    whose slot is negative get no gradient.
    """
    signature = types.void(buffer, I, weights, slots, I, I, out, I, gradients, I, totals)

    def generate(context, builder, sig, args):
        e = Emitter(context, builder)
        arrays = [0, 2, 3, 6, 8, 10]
        buffer, weights, slots, out, gradients, totals = e.starts(
            [sig.args[i] for i in arrays], [args[i] for i in arrays]
        )
        at, count, inputs, out_at, target = args[1], args[4], args[5], args[7], args[9]
        here = e.load(e.plus(out, out_at))
        last = e.plus(totals, count, LANES)
        e.store(builder.fadd(e.load(last), here), last)
        with cgutils.for_range(builder, count, intp=INT64) as channel:
            value = e.load(e.plus(e.plus(buffer, at), channel.index, LANES), BYTES)
            place = e.plus(totals, channel.index, LANES)
            e.store(e.fma(value, here, e.load(place)), place)
            slot = e.integer(e.plus(slots, channel.index, size=8))
            with builder.if_then(builder.icmp_signed(">=", slot, INT64(0))):
                gradient = builder.fmul(e.broadcast(e.plus(weights, channel.index)), here)
                gated = builder.select(builder.fcmp_ordered(">", value, ZERO), gradient, ZERO)
                is_input = builder.icmp_signed("<", channel.index, inputs)
                e.store(
                    builder.select(is_input, gradient, gated), e.plus(e.plus(gradients, target), slot, LANES)
                )
        return context.get_dummy_value()

    return signature, generate
