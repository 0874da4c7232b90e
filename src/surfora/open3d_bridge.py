"""The one place where Open3D is imported: it needs libusb, which a bare machine lacks."""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
from types import ModuleType

from tomocore.console import InputError

REMEDY = "install it with `pip install open3d-cpu libusb-package` (`open3d` outside x86-64 Linux)"


@functools.cache
def import_open3d() -> ModuleType:
    """The module ``open3d``, its printing limited to errors. Raises InputError where it cannot be loaded.

    Open3D's shared library asks for ``libusb-1.0.so.0`` (for depth cameras). The copy inside
    ``libusb-package``, loaded globally first, answers that on machines without the system's.
    """
    _load_packaged_libusb()
    try:
        open3d = importlib.import_module("open3d")
    except (ImportError, OSError) as error:
        raise InputError(f"Open3D cannot be loaded ({error}); {REMEDY}") from error
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    return open3d


def _load_packaged_libusb() -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        path = importlib.import_module("libusb_package").get_library_path()
    except ImportError:  # the system may have its own; importing Open3D will tell
        return
    if path is not None:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
