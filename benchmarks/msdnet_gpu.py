"""Speed of the mixed-scale dense network on a CUDA card: Triton kernels against eager PyTorch.

    python benchmarks/msdnet_gpu.py

Eager is `torch.cat` and `F.conv3d` on the same card, network and patch. Times are medians between
synchronised events after a warm-up; memory is the most that PyTorch's allocator held. The error is the
largest difference between the two ways' logits, over the largest logit. Without a card the script says so.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet

SHORT, PUBLISHED = (1, 2, 4, 8), tuple(range(1, 11))
CASES = (
    (False, 20, SHORT, 256, torch.float32),
    (False, 20, SHORT, 256, torch.bfloat16),
    (False, 50, PUBLISHED, 128, torch.float32),
    (False, 100, PUBLISHED, 96, torch.float32),
    (True, 20, SHORT, 48, torch.float32),
    (True, 20, SHORT, 96, torch.float32),
    (True, 20, SHORT, 96, torch.bfloat16),
    (True, 50, PUBLISHED, 64, torch.float32),
)
TARGET = 5.0
GIB = 2**30


def milliseconds(work: Callable[[], object], times: int = 15) -> tuple[float, float]:
    """Median time on the card, and the most memory in GiB."""
    torch.cuda.reset_peak_memory_stats()
    found = []
    for turn in range(times + 3):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        stop.record()
        torch.cuda.synchronize()
        if turn >= 3:
            found.append(start.elapsed_time(stop))
    return median(found), torch.cuda.max_memory_allocated() / GIB


def step(forward: Callable[[Tensor], Tensor], model: MSDNet, x: Tensor, training: bool) -> Tensor:
    """One pass forward, and backward where training."""
    if not training:
        with torch.no_grad():
            return forward(x)
    model.zero_grad()
    logits = forward(x)
    F.binary_cross_entropy_with_logits(logits, (x > 1).float()).backward()
    return logits.detach()


def row(training: bool, layers: int, dilations: tuple[int, ...], size: int, storage: torch.dtype) -> str:
    """One line of the table."""
    model = MSDNet(MSDNetConfig(layers=layers, dilations=dilations)).cuda()
    model.channel_dtype = storage
    with torch.no_grad():
        model.output_weight.fill_(0.1)
    x = torch.randn(1, 1, size, size, size, device="cuda")
    ways = {"kernels": model.forward, "eager": model.forward_by_torch}
    results = {name: step(way, model, x, training) for name, way in ways.items()}
    error = float((results["kernels"] - results["eager"]).abs().max() / results["eager"].abs().max())
    del results
    (ours, our_memory), (eager, eager_memory) = (
        milliseconds(lambda way=way: step(way, model, x, training)) for way in ways.values()
    )
    speed = (3 if training else 1) * 27 * layers * (layers + 1) / 2 * size**3 / ours / 1e9
    verdict = "" if eager / ours >= TARGET else " MISS"
    return (
        f"| {'training' if training else 'inference'} | {layers} (1…{dilations[-1]}) | {size}³ "
        f"| {str(storage).removeprefix('torch.')} | {ours:.2f} | {eager:.2f} | {eager / ours:.1f} ×{verdict} "
        f"| {speed:.2f} | {our_memory:.2f} | {eager_memory:.2f} | {error:.0e} |"
    )


def main() -> None:
    """Print the table, or that there is no card."""
    if not torch.cuda.is_available():
        print("No CUDA card here: nothing was measured. The kernels' results are tested without one.")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; target {TARGET:.0f} × eager\n")
    print("| run | layers | patch | storage | ms | eager ms | faster | TFMA/s | GiB | eager GiB | error |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        print(row(*case), flush=True)


if __name__ == "__main__":
    main()
