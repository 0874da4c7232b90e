"""The one place where Open3D is imported: it needs libusb, which a bare machine lacks."""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import IO, Any

from tomocore.contract import InputError
from tomocore.machine import signals_held

log = logging.getLogger(__name__)

REMEDY = "install it with `pip install open3d-cpu libusb-package` (`open3d` outside x86-64 Linux)"


@functools.cache
def import_open3d() -> ModuleType:
    """The module ``open3d``, its printing limited to errors. Raises InputError where it cannot be loaded.

    Open3D's shared library asks for ``libusb-1.0.so.0`` (for depth cameras). The copy inside
    ``libusb-package``, loaded globally first, answers that on machines without the system's. An interrupt
    waits until it is loaded: in the midst of it, Open3D makes another error of it and cannot load again.
    """
    _load_packaged_libusb()
    _leave_out_drawing()
    try:
        with signals_held():
            open3d = importlib.import_module("open3d")
    except (ImportError, OSError) as error:
        raise InputError(f"Open3D cannot be loaded ({error}); {REMEDY}") from error
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    return open3d


# What its Poisson reconstruction writes to the terminal, whatever Open3D's verbosity, at shallow octrees
# and where cells are crossed twice.
CHATTER = (
    b"PoissonRecon",
    b"getValue assumes leaf node",
    b"_getValues",
    b"          Extract\n",
    b"bad average roots",
)
_one_at_a_time = threading.Lock()


@contextmanager
def without_chatter() -> Iterator[None]:
    """Within it, lines that PoissonRecon writes past Open3D's verbosity do not reach the terminal.

    Standard output and error of the whole process are held back meanwhile; all other lines in them, of any
    thread, are passed on at the end. Where they cannot be (a process without a terminal), nothing is done.
    """
    with _one_at_a_time, ExitStack() as stack:
        for descriptor in (1, 2):
            try:
                kept = os.dup(descriptor)
            except OSError:  # closed, as under a window system
                continue
            held = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(_pass_on, held, kept, descriptor)
            _flush()
            os.dup2(held.fileno(), descriptor)
        yield


def _pass_on(held: IO[bytes], kept: int, descriptor: int) -> None:
    """Put the descriptor back where it was and write to it what was held, without the chatter."""
    _flush()
    os.dup2(kept, descriptor)
    os.close(kept)
    held.seek(0)
    lines = held.readlines()
    others = [line for line in lines if not any(part in line for part in CHATTER)]
    if len(others) < len(lines):
        log.debug("%d lines of PoissonRecon held back", len(lines) - len(others))
    while others:
        os.write(descriptor, others.pop(0))


def _flush() -> None:
    """Empty the buffers of Python and, where there is a C library to ask, of C."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


def _leave_out_drawing() -> None:
    """Have Open3D load its pictures in a browser, whose web server takes as long as the rest, when asked."""
    if "open3d" in sys.modules:
        return
    stand_in = ModuleType("open3d.visualization.draw_plotly")
    for name in ("get_plotly_fig", "draw_plotly", "draw_plotly_server"):
        setattr(stand_in, name, functools.partial(_drawn_by_open3d, stand_in, name))
    sys.modules[stand_in.__name__] = stand_in


def _drawn_by_open3d(stand_in: ModuleType, name: str, *words: Any, **named: Any) -> Any:
    """What Open3D's own function of that name returns, whose module is loaded now."""
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
    return getattr(importlib.import_module(stand_in.__name__), name)(*words, **named)


def _load_packaged_libusb() -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        path = importlib.import_module("libusb_package").get_library_path()
    except ImportError:  # the system may have its own; importing Open3D will tell
        return
    if path is not None:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
