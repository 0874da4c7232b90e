"""Speed of the mixed-scale dense network on the CPU against plain PyTorch, in one table.

    python benchmarks/msdnet_speed.py [--threads 2]

With two threads or more the clock on the wall counts, so the machine should be idle; with one, processor
time, which other programs disturb little.

Plain PyTorch is `torch.cat` and `F.conv3d`; the second plain column has it in channels_last_3d. Every row
compares the same network on the same patch with the same threads, run in turns. Speed is multiply-adds a
second, as the formula has them (27 L (L + 1) / 2 a voxel, three times that for a training step), so where
zero padding lets the engine skip planes it can exceed what its instructions do; the share is that of the
peak which a loop of fused multiply-adds on registers reaches in the same run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tomorois.msdnet.network import MSDNet, MSDNetConfig, infer
from tomorois.msdnet.vector import INT64, LANES, Emitter

SHORT, PUBLISHED = (1, 2, 4, 8), tuple(range(1, 11))
INFERENCE = ((20, SHORT, 48), (20, SHORT, 96), (30, SHORT, 48), (50, PUBLISHED, 32), (100, PUBLISHED, 20))
TRAINING = ((20, SHORT, 32), (20, SHORT, 48), (30, PUBLISHED, 32))
PLAIN_SIZE = 48  # plain PyTorch is not run on larger patches
CHAINS = 12


@intrinsic
def _multiply_add_loop(typingctx, rounds, seed):  # type: ignore[no-untyped-def]
    """``rounds`` times 12 independent fused multiply-adds on registers."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        e = Emitter(context, builder)
        factor, sums = e.spread(args[1]), e.variables(CHAINS)
        with cgutils.for_range(builder, args[0], intp=INT64):
            for total in sums:
                e.add_to(total, builder.load(total), factor)
        result = builder.load(sums[0])
        for total in sums[1:]:
            result = builder.fadd(result, builder.load(total))
        return e.lane_sum(result)

    return types.float32(types.int64, types.float32), generate


@njit(parallel=True, nogil=True)
def _burn(rounds: int, threads: int, results: np.ndarray) -> None:
    for thread in prange(threads):
        results[thread] = _multiply_add_loop(rounds, results[thread])


def peak_per_second(rounds: int = 1_000_000) -> float:
    """Multiply-adds a second that the cores reach on registers."""
    threads = numba.get_num_threads()
    results = np.full(threads, 1e-3, dtype=np.float32)
    seconds = fastest(lambda: _burn(rounds, threads, results), times=6)
    return threads * rounds * CHAINS * LANES / seconds


def fastest(work: Callable[[], object], times: int) -> float:
    """Seconds of the fastest of several runs: of processor time on one thread, else by the wall's clock."""
    clock = time.process_time if numba.get_num_threads() == 1 else time.perf_counter
    seconds = []
    for _ in range(times):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)


def plain(model: MSDNet, x: Tensor) -> Tensor:
    """The network as one writes it down."""
    for layer, dilation in enumerate(model.config.layer_dilations):
        weight, bias = model.layer_weight(layer)[None], model.bias[layer : layer + 1]
        x = torch.cat([x, torch.relu(F.conv3d(x, weight, bias, padding=dilation, dilation=dilation))], dim=1)
    return F.conv3d(x, model.output_weight.view(1, -1, 1, 1, 1), model.output_bias)


def train_step(forward: Callable[[Tensor], Tensor], model: MSDNet, x: Tensor) -> None:
    """Forward, loss, backward."""
    model.zero_grad()
    F.binary_cross_entropy_with_logits(forward(x), (x > 1).float()).backward()


def ways(model: MSDNet, x: Tensor, training: bool) -> dict[str, Callable[[], object]]:
    """What is timed, by column."""
    last = x.contiguous(memory_format=torch.channels_last_3d)

    def inferred(patch: Tensor) -> Tensor:
        with torch.no_grad():
            return plain(model, patch)

    if training:
        return {
            "engine": lambda: train_step(model, model, x),
            "cat": lambda: train_step(lambda y: plain(model, y), model, x),
            "channels_last": lambda: train_step(lambda y: plain(model, y), model, last),
        }
    return {
        "engine": lambda: infer(model, x[0].numpy()),
        "cat": lambda: inferred(x),
        "channels_last": lambda: inferred(last),
    }


def timed(model: MSDNet, x: Tensor, training: bool) -> dict[str, float]:
    """Fastest seconds of every way, taken in turns."""
    columns = ways(model, x, training)
    if x.shape[-1] > PLAIN_SIZE:
        columns = {"engine": columns["engine"]}
    columns["engine"]()
    seconds = dict.fromkeys(columns, np.inf)
    for turn in range(2):
        for name, work in columns.items():
            if name == "engine" or turn == 0:
                seconds[name] = min(seconds[name], fastest(work, times=6 if name == "engine" else 1))
    return seconds


def row(training: bool, layers: int, dilations: tuple[int, ...], size: int) -> tuple[list[str], float]:
    """One line of the table, and the peak measured beside it."""
    model = MSDNet(MSDNetConfig(layers=layers, dilations=dilations))
    with torch.no_grad():
        model.output_weight.fill_(0.1)
    x = torch.randn(1, 1, size, size, size, generator=torch.Generator().manual_seed(0))
    before = peak_per_second()
    seconds = timed(model, x, training)
    peak = max(before, peak_per_second())
    speed = (3 if training else 1) * 27 * layers * (layers + 1) / 2 * size**3 / seconds["engine"]
    plain_ones = [seconds.get(name, np.nan) / seconds["engine"] for name in ("cat", "channels_last")]
    cells = ["training" if training else "inference", f"{layers} (1…{dilations[-1]})", f"{size}³"]
    cells += [f"{1e3 * seconds['engine']:.1f}", f"{speed / 1e9:.0f}", f"{100 * speed / peak:.0f} %"]
    return cells + [f"{ratio:.0f} ×" if np.isfinite(ratio) else "" for ratio in plain_ones], peak


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=min(2, numba.config.NUMBA_NUM_THREADS))
    threads = parser.parse_args().threads
    numba.set_num_threads(threads)
    torch.set_num_threads(threads)
    table = Table(
        "run", "layers", "patch", "ms", "GFMA/s", "of peak", "faster than cat", "than channels_last"
    )
    peaks = []
    for training, cases in ((False, INFERENCE), (True, TRAINING)):
        for case in cases:
            cells, peak = row(training, *case)
            table.add_row(*cells)
            peaks.append(peak)
    Console(width=110).print(table)
    low, high = min(peaks) / 1e9, max(peaks) / 1e9
    print(f"{threads} thread(s), {LANES} lanes; peak {low:.0f} to {high:.0f} GFMA/s")


if __name__ == "__main__":
    main()
