"""Runs the tools as a user does: as commands of their own."""

import os
import subprocess
import sys
from pathlib import Path


def run_command(tool, *words, cwd=None, timeout=300):
    """One command to its end; stdout, stderr and returncode are on the result."""
    script = Path(sys.executable).parent / tool
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [str(script), *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def refusal_of(result):
    """The one line with which a command refused its input; asserts that it was one, and no traceback."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith(("error", "failed"))]
    assert len(lines) == 1, result.stderr
    return lines[0]
