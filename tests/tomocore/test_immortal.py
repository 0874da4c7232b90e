"""Constants that a binding gives back too often do not end the process."""

import subprocess
import sys
import textwrap

import pytest


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 has it by itself")
def test_references_given_back_too_often_do_no_harm():
    script = textwrap.dedent(
        """
        import ctypes
        from tomocore.immortal import make_constants_immortal
        assert make_constants_immortal()
        assert not make_constants_immortal()
        take = ctypes.pythonapi.Py_DecRef
        take.argtypes, take.restype = [ctypes.py_object], None
        for _ in range(200_000):
            take(None), take(True), take(False)
        print("alive", None, True, False)
        """
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "alive None True False", result.stderr
