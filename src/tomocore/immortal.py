"""None, True and False made immortal, as Python 3.12 does by itself, before windows are opened.

PySide6 6.12.0 gives back a reference that it never took whenever one of its calls returns None or True (to
be seen with `sys.getrefcount(None)` about ``QLabel.setText``). On Python 3.11 a window so ends after some
ten thousand calls with "deallocating None". From Python 3.12 on these objects are not counted (PEP 683).
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

MANY = 1 << 40
CLOSE = 1000  # by how much a count may differ between two looks at it


def make_constants_immortal() -> bool:
    """Raise the reference counts of None, True and False beyond what any run can take; whether it was done.

    Nothing is done from Python 3.12 on, on other interpreters than CPython, or a second time.
    """
    if sys.version_info >= (3, 12) or sys.implementation.name != "cpython":
        return False
    constants: tuple[Any, ...] = (None, True, False)
    done = False
    for constant in constants:
        count = ctypes.c_ssize_t.from_address(id(constant))
        told = sys.getrefcount(constant)
        if told < MANY // 2 and abs(count.value - told) < CLOSE:
            count.value += MANY
            done = True
    return done
