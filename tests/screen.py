"""An X server without a screen, one for each process of tests, for tests of windows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def virtual_screen(folder: Path, size: str = "1920x1200") -> Iterator[str]:
    """A screen in memory as the display of this process; its name. Skips the test where there is no Xvfb.

    One of its own even where a screen is: windows on a person's desktop take and lose the focus. Settings of
    programs go to ``folder``, so that a person's own neither count nor change.
    """
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("windows need an X server: sudo apt-get install xvfb")
    read_end, write_end = os.pipe()
    command = [server, "-displayfd", str(write_end), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        number = pipe.readline().strip()  # empty where the server ended before it was ready
    if not number:
        process.wait(10)
        pytest.fail(f"the X server ended with status {process.returncode} before it was ready")
    own = {
        "DISPLAY": f":{number}",
        "QT_QPA_PLATFORM": "xcb",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        try:
            yield own["DISPLAY"]
        finally:
            process.terminate()
            process.wait(10)
