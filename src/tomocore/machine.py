"""What this machine has for a run: cores, threads and memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cores(jobs: int | None) -> int:
    """How many CPU cores to use: as asked, at least one, else all that this process may have."""
    if jobs is not None:
        return max(jobs, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Let compiled kernels (and PyTorch, where it is loaded) use that many threads in this process."""
    import numba

    numba.set_num_threads(min(count, int(getattr(numba.config, "NUMBA_NUM_THREADS"))))  # noqa: B009
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def available_memory_bytes() -> int:
    """Bytes of memory that can be had now, or a generous guess where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 8 * 2**30
