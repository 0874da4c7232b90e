"""One large membrane from mask to report: wall time, CPU-seconds, and where the time goes.

    python benchmarks/whole_membrane.py [--voxels 1000000] [--mask FILE --voxel-size NM] [--surface both]

Without ``--mask`` the membrane is a sphere 4 voxels thick without its caps, bent by waves and with holes, of
about so many voxels. Targets: a million voxels in 90 s, 1.4 million in 100 s of wall time on two quiet cores.
Stages are told in wall seconds, as the record of the run has them; CPU-seconds are of all processes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

VOXEL_NM, THICKNESS, CAP, WAVE, HOLES = 1.0, 4.0, 0.8, 0.06, 6  # lengths in voxels; cap and waves in radii


def large_membrane(voxels: int) -> NDArray[np.int8]:
    """A mask [z, y, x] of about so many voxels."""
    radius = np.sqrt(voxels / (4 * np.pi * THICKNESS * CAP))
    axis = np.arange(-int(1.15 * radius), int(1.15 * radius) + 1, dtype=np.float32)
    z, y, x = axis[:, None, None], axis[None, :, None], axis[None, None, :]
    from_middle = np.sqrt(x**2 + y**2 + z**2)
    bent = radius * (1 + WAVE * np.sin(6 * x / radius) * np.cos(5 * y / radius))
    mask = (np.abs(from_middle - bent) <= THICKNESS / 2) & (np.abs(z) < CAP * radius)
    for at in np.random.default_rng(0).normal(size=(HOLES, 3)):
        c, b, a = at / np.linalg.norm(at) * radius
        mask &= (x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 > (0.08 * radius) ** 2
    return mask.astype(np.int8)


def cost(mask: Path, folder: Path, voxel_nm: float | None, surface: str, jobs: int) -> tuple[float, float]:
    """Wall and CPU-seconds of `surfora run` on a mask, with its start and its report."""
    size = [] if voxel_nm is None else ["--voxel-size", f"{voxel_nm:g}"]
    words = [str(Path(sys.executable).parent / "surfora"), "run", str(mask), "-o", str(folder)]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*words, "--surface", surface, "--jobs", str(jobs), *size], capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin, spent


def stages(folder: Path) -> Counter[str]:
    """Wall seconds of each stage, of all membranes together."""
    spent: Counter[str] = Counter()
    for entry in json.loads((folder / "run.json").read_text())["stages"]:
        spent[entry["stage"]] += entry["seconds"]
    return spent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voxels", type=int, default=1_000_000, help="about how many the mask has")
    parser.add_argument("--mask", type=Path, help="a mask of one's own instead")
    parser.add_argument("--voxel-size", type=float, help="voxel edge (nm) of that mask")
    parser.add_argument("--surface", default="medial", choices=["medial", "isosurface", "both"])
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        mask, voxel_nm = asked.mask, asked.voxel_size
        if mask is None:
            made = large_membrane(asked.voxels)
            mask, voxel_nm = Path(temporary) / "membrane.mrc", None
            write_volume(mask, Volume(made, VOXEL_NM, (0.0, 0.0, 0.0)))
            print(f"{int(made.sum()):,} voxels in {' × '.join(map(str, made.shape))}")
        folder = Path(temporary) / "out"
        wall, cpu = cost(mask, folder, voxel_nm, asked.surface, asked.jobs)
        print(f"\n{wall:.0f} s, {cpu:.0f} CPU-seconds\n\n| stage | wall seconds |\n|---|---|")
        for name, seconds in stages(folder).most_common():
            print(f"| {name} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
