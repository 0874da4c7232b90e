"""Some hundred damaged files of every kind, the same each time; `make fuzz` reads ten thousand others."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.formats import FORMATS

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "hostile_files.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and time are those of Linux")
def test_damaged_files_end_in_one_clear_line_or_are_read(tmp_path):
    command = [sys.executable, str(SCRIPT), "--files", "300", "--jobs", "1", "--kept", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"| {name} |" in done.stdout for name in FORMATS)
    assert not list(tmp_path.iterdir())
