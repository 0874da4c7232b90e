"""Looks at what tells a volume in an HDF5 file, in a process that may hang or die of a damaged one.

The library follows lists in a file without end where these lead back to themselves, in code that nothing can
interrupt. Run as a script this file reads what `open_hdf5` will read; imported, it starts that script.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

SECONDS = 20
"""Of the processor; a sound file takes a third of one, most of it for loading."""
WAIT_S = 300.0
MOST_STACKS = 8


def require_sound(path: Path) -> None:
    """InputError where the library does not come to an end with an HDF5 file, or dies of it.

    What it says of a file in words is left to whoever opens it. A file that is the same is looked at once.
    """
    state = path.stat()
    if not _ends(path, state.st_size, state.st_mtime_ns):
        from tomocore.contract import InputError  # here, as the script does without the package

        raise InputError(f"{path}: is damaged: reading it does not come to an end; copy or write it again")


@lru_cache(maxsize=256)
def _ends(path: Path, size: int, mtime_ns: int) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-P", __file__, str(path), str(SECONDS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WAIT_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode >= 0  # a signal ended it


def _look(path: str) -> None:
    import h5py

    found: list[Any] = []

    def take(_: str, item: Any) -> bool | None:
        if getattr(item, "ndim", 0) >= 3:
            found.append(item)
        return True if len(found) >= MOST_STACKS else None

    with h5py.File(path, "r") as file:
        file.visititems(take)
        for stack in found:
            for holder in (stack, stack.parent):
                dict(holder.attrs)
            [str(dimension.label) for dimension in stack.dims]
            if stack.chunks:
                stack.id.get_num_chunks()


if __name__ == "__main__":
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2]) + 1))
    _look(sys.argv[1])
