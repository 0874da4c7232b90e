"""Whether the compiled kernels of a package are kept from an earlier run, or its next one compiles them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path


def kernels_are_kept(package: str) -> bool:
    """Whether compiled kernels of a package lie where numba keeps them; else its next run takes minutes more.

    numba keeps them beside the code, in ``NUMBA_CACHE_DIR`` where that is set, or in the user's cache where
    the code's folder cannot be written.
    """
    return any(True for folder in _kept_in(package) for _ in folder.rglob("*.nbi"))


def _kept_in(package: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    for folder in map(Path, (spec.submodule_search_locations if spec else None) or ()):
        if chosen := os.environ.get("NUMBA_CACHE_DIR"):
            yield Path(chosen)
        else:
            yield folder
            if not os.access(folder, os.W_OK):
                yield Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "numba"
