"""Speed and memory of the mixed-scale dense network on the CPU against plain PyTorch, as Markdown tables.

    python benchmarks/msdnet_speed.py [--threads 2] [--quick]

With two threads or more the clock on the wall counts, so the machine should be idle; with one, processor
time, which other programs disturb little.

Plain PyTorch is `torch.cat` and `F.conv3d`, as one writes the network down; the second plain column has it
in channels_last_3d. A row compares the same network on the same patch with the same threads, in turns; a
ratio is the median over turns. Speed is multiply-adds a second, as the formula has them (27 for every pair
of a layer and a channel before it, three times that for a training step), so where zero padding lets the
engine skip planes it can exceed what its instructions do; the share is that of the peak which a loop of
fused multiply-adds on registers reaches in the same row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numba
import numpy as np
import psutil
import torch
import torch.nn.functional as F
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.cpu import buffer_bytes
from tomorois.network.msdnet.module import MSDNet, infer
from tomorois.network.msdnet.vector import INT64, LANES, Emitter

SHORT, SHORTER, PUBLISHED = (1, 2, 4, 8), (1, 2, 4), tuple(range(1, 11))
TARGETS = {False: 15, True: 20}  # times plain PyTorch: inference, training
PEAK_TARGET = 0.40
TURNS = 3
CHAINS = 12


@dataclass(frozen=True)
class Case:
    """A network on a cubic patch; ``plain`` says whether plain PyTorch is run beside it."""

    training: bool
    layers: int
    dilations: tuple[int, ...]
    size: int
    inputs: int = 1
    padding: str = "zero"
    plain: bool = True

    @property
    def network(self) -> MSDNet:
        config = MSDNetConfig(
            layers=self.layers, dilations=self.dilations, input_channels=self.inputs, padding=self.padding
        )
        model = MSDNet(config)
        with torch.no_grad():
            model.output_weight.fill_(0.1)
        return model

    @property
    def patch(self) -> Tensor:
        draw = torch.Generator().manual_seed(0)
        return torch.randn(1, self.inputs, *(self.size,) * 3, generator=draw)

    @property
    def multiply_adds(self) -> float:
        pairs = self.layers * self.inputs + self.layers * (self.layers - 1) / 2
        return (3 if self.training else 1) * 27 * pairs * self.size**3

    @property
    def words(self) -> str:
        run = "training" if self.training else "inference"
        cycle = ", ".join(map(str, self.dilations)) if len(self.dilations) < 5 else f"1…{self.dilations[-1]}"
        return f"{run} | {self.layers} | {cycle} | {self.inputs} | {self.padding} | {self.size}³"


CASES = (
    Case(False, 20, SHORT, 48),
    Case(False, 20, SHORT, 96, plain=False),
    Case(False, 20, SHORT, 48, inputs=2),
    Case(False, 20, SHORT, 48, padding="reflect"),
    Case(False, 20, SHORTER, 48),
    Case(False, 30, PUBLISHED, 48),
    Case(False, 50, PUBLISHED, 32),
    Case(False, 100, PUBLISHED, 24),
    Case(True, 20, SHORT, 32),
    Case(True, 20, SHORT, 48),
    Case(True, 20, SHORT, 32, inputs=2),
    Case(True, 20, SHORT, 32, padding="reflect"),
    Case(True, 30, PUBLISHED, 32),
    Case(True, 50, PUBLISHED, 24),
)
QUICK = (CASES[0], CASES[8])
MEMORY = (
    Case(False, 20, SHORT, 96),
    Case(False, 50, PUBLISHED, 64),
    Case(True, 20, SHORT, 64),
    Case(True, 50, PUBLISHED, 48),
)
SPEED_UP = (CASES[0], CASES[1], CASES[8], CASES[9])


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


def fastest(work: Callable[[], object], times: int, clock: Callable[[], float] | None = None) -> float:
    """Seconds of the fastest of several runs: of processor time on one thread, else by the wall's clock."""
    clock = clock or (time.process_time if numba.get_num_threads() == 1 else time.perf_counter)
    seconds = []
    for _ in range(times):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)


def plain(model: MSDNet, x: Tensor) -> Tensor:
    """The network as one writes it down."""
    mirror = model.config.padding == "reflect"
    for layer, dilation in enumerate(model.config.layer_dilations):
        weight, bias = model.layer_weight(layer)[None], model.bias[layer : layer + 1]
        padded = F.pad(x, (dilation,) * 6, mode="reflect") if mirror else x
        padding = 0 if mirror else dilation
        out = F.conv3d(padded, weight, bias, padding=padding, dilation=dilation)
        x = torch.cat([x, torch.relu(out)], dim=1)
    return F.conv3d(x, model.output_weight.view(1, -1, 1, 1, 1), model.output_bias)


def train_step(forward: Callable[[Tensor], Tensor], model: MSDNet, x: Tensor) -> None:
    """Forward, loss, backward."""
    model.zero_grad()
    F.binary_cross_entropy_with_logits(forward(x), (x[:, :1] > 1).float()).backward()


def ways(case: Case) -> dict[str, Callable[[], object]]:
    """What is timed, by column."""
    model, x = case.network, case.patch
    last = x.contiguous(memory_format=torch.channels_last_3d)

    def inferred(patch: Tensor) -> Tensor:
        with torch.no_grad():
            return plain(model, patch)

    if case.training:
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


def timed(case: Case) -> tuple[float, dict[str, float], float]:
    """Fastest seconds of the engine, how many times slower the other ways are, and the share of the peak."""
    columns = ways(case)
    columns["engine"]()
    seconds, peaks = [], []
    ratios: dict[str, list[float]] = {"cat": [], "channels_last": []}
    for turn in range(TURNS):
        peaks.append(peak_per_second())
        seconds.append(fastest(columns["engine"], times=5))
        for name in ratios if case.plain else ():
            if name == "cat" or turn == 0:
                ratios[name].append(fastest(columns[name], times=1) / seconds[-1])
    share = case.multiply_adds / min(seconds) / max(peaks)
    return min(seconds), {name: median(found) for name, found in ratios.items() if found}, share


def speed_row(case: Case) -> str:
    """One line of the table of speeds."""
    seconds, ratios, share = timed(case)
    target = TARGETS[case.training]
    cat, last = ratios.get("cat"), ratios.get("channels_last")
    missed = ", ".join(
        [f"MISS {target} ×"] * (cat is not None and cat < target) + ["MISS 40 %"] * (share < PEAK_TARGET)
    )
    cells = [f"{1e3 * seconds:.1f}", f"{case.multiply_adds / seconds / 1e9:.0f}", f"{100 * share:.0f} %"]
    cells += [f"{ratio:.0f} ×" if ratio else "" for ratio in (cat, last)]
    return f"| {case.words} | {' | '.join(cells)} | {missed} |"


def grown_bytes(case: Case, way: str) -> float:
    """Memory that one run takes beyond what the process held before, in bytes a voxel (Linux only)."""
    small = replace(case, size=max(case.dilations) + 2)
    ways(small)[way]()
    work = ways(case)[way]
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = psutil.Process().memory_info().rss
    work()
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return (peak * 1024 - before) / case.size**3


def counted_bytes(case: Case) -> float:
    """Bytes a voxel by count: every channel once; in training their gradients too."""
    shape = (case.size,) * 3
    buffers = buffer_bytes(shape, case.inputs + case.layers)
    buffers += buffer_bytes(shape, case.layers) if case.training else 0
    return buffers / case.size**3


def memory_row(case: Case) -> str:
    """One line of the table of memory; every run in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        engine, cat = (pool.submit(grown_bytes, case, way).result() for way in ("engine", "cat"))
    return f"| {case.words} | {counted_bytes(case):.0f} | {engine:.0f} | {cat:.0f} |"


def speed_up_row(case: Case) -> str:
    """One line of the table of threads: milliseconds on the wall with one and with two, in turns."""
    work, ratios, best = ways(case)["engine"], [], {1: np.inf, 2: np.inf}
    for _ in range(TURNS):
        seconds = {}
        for threads in (1, 2):
            numba.set_num_threads(threads)
            seconds[threads] = fastest(work, times=4, clock=time.perf_counter)
            best[threads] = min(best[threads], seconds[threads])
        ratios.append(seconds[1] / seconds[2])
    return f"| {case.words} | {1e3 * best[1]:.1f} | {1e3 * best[2]:.1f} | {median(ratios):.2f} × |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=min(2, numba.config.NUMBA_NUM_THREADS))
    parser.add_argument("--quick", action="store_true", help="two rows of the first table only")
    arguments = parser.parse_args()
    numba.set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    network = "| run | layers | dilations | inputs | padding | patch |"
    peak = peak_per_second() / 1e9
    print(f"{arguments.threads} thread(s), {LANES} lanes, peak {peak:.0f} GFMA/s; targets: ", end="")
    print(f"inference {TARGETS[False]} ×, training {TARGETS[True]} × cat; {PEAK_TARGET:.0%} of the peak\n")
    print(f"{network} ms | GFMA/s | of peak | × cat | × channels_last | |\n|{'---|' * 12}")
    for case in QUICK if arguments.quick else CASES:
        print(speed_row(case), flush=True)
    if arguments.quick:
        return
    print(f"\nBytes a voxel\n\n{network} counted | measured | cat |\n|{'---|' * 9}")
    for case in MEMORY:
        print(memory_row(case), flush=True)
    if numba.config.NUMBA_NUM_THREADS > 1:
        print(f"\nThreads\n\n{network} 1: ms | 2: ms | faster |\n|{'---|' * 9}")
        for case in SPEED_UP:
            print(speed_up_row(case), flush=True)


if __name__ == "__main__":
    main()
