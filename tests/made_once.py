"""What takes long to make, made once in a run of the tests, whichever of its processes asks first."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

STORE = "TESTS_MADE_ONCE"
"""Names the folder in the environment, which the processes of pytest-xdist inherit."""


def open_store() -> Path | None:
    """Make the folder of this run; its path where this process is the one that takes it away again."""
    if STORE in os.environ:
        return None
    os.environ[STORE] = tempfile.mkdtemp(prefix="made-once-")
    return Path(os.environ[STORE])


def close_store(folder: Path | None) -> None:
    """Take away the folder of this run, if this process made it."""
    if folder is not None:
        os.environ.pop(STORE, None)
        shutil.rmtree(folder, ignore_errors=True)


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder that ``make`` filled, now or for another test; to be read, and copied to be changed.

    Where making fails the next one to ask tries again.
    """
    store = Path(os.environ[STORE])
    with (store / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole, partial = store / name, store / f"{name}.partial"
        if not whole.exists():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(whole)
        return whole
