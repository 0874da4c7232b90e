"""Which GPU a job on this machine takes: one that no other job of the project has."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tomocore.contract import InputError
from tomocore.locks import LockedError, held
from tomosurf.cluster_settings import ClusterSettings
from tomosurf.project import TRAINING

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT_S = 60.0
"""Seconds to wait for a GPU: the scheduler has seen to it that one is free, or will be at once."""


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; else all of the machine."""
    told = os.environ.get(VISIBLE)
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    cards = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number in range(len(list(cards.iterdir())))] if cards.is_dir() else []


def require_gpus(steps: Collection[str], cluster: ClusterSettings) -> None:
    """InputError where one of the ``steps`` is to have more GPUs than this machine shows."""
    there = len(visible_gpus())
    for step, name in ((TRAINING, "training_gpus"), ("confidence", "prediction_gpus")):
        asked = getattr(cluster, name)
        if step in steps and asked > there:
            raise InputError(
                f"[cluster] {name} = {asked}, and GPUs that this machine shows: {there}; set it to {there}, "
                "or run with --slurm where the queue has them"
            )


@contextmanager
def own_gpus(count: int, folder: Path) -> Iterator[list[str]]:
    """Within it this process sees that many GPUs which no other process has that asks in the same ``folder``.

    On a cluster, where the queue has given some, and where none is asked for, nothing is changed. Raises
    InputError where they are not free within a minute.
    """
    if count == 0 or "SLURM_JOB_ID" in os.environ:
        yield []
        return
    before = os.environ.get(VISIBLE)
    with ExitStack() as stack:
        taken: list[str] = []
        until = time.monotonic() + WAIT_S
        while len(taken) < count:
            for name in visible_gpus():
                if len(taken) < count and name not in taken and _is_taken(stack, folder, name):
                    taken.append(name)
            if len(taken) < count:
                if time.monotonic() > until:
                    raise InputError(f"{count} GPUs are not free; set prediction_gpus in [cluster] to fewer")
                time.sleep(0.2)
        os.environ[VISIBLE] = ",".join(taken)
        try:
            yield taken
        finally:
            os.environ.pop(VISIBLE)
            if before is not None:
                os.environ[VISIBLE] = before


def _is_taken(stack: ExitStack, folder: Path, name: str) -> bool:
    """Whether a GPU is this process's now, until the stack is left."""
    try:
        stack.enter_context(held(folder / f"gpu-{name}.lock", f"GPU {name}"))
    except LockedError:
        return False
    return True
