"""Runs the tools as a user does: commands with their words, their output and their exit status."""

import importlib
import io
import logging
import os
import subprocess
import sys
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numba

from tomocore.terminal.console import err, out

COLUMNS = "200"
PACKAGES = ("tomocore", "tomorois", "surfora", "tomosurf")


def run_command(tool, *words, cwd=None, timeout=300, own_process=False):
    """One command to its end; stdout, stderr and returncode are on the result.

    It runs in this process, which has imported what it needs, unless ``own_process``: for tests of what only
    a process has. What goes past Python's streams is not caught here.
    """
    command = [str(Path(sys.executable).parent / tool), *map(str, words)]
    if own_process:
        environment = {**os.environ, "COLUMNS": COLUMNS}
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout
        )
    main = importlib.import_module(f"{tool}.cli.app").main
    out, err = io.StringIO(), io.StringIO()
    with _as_if_alone(command, cwd), redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Cyclopts application invoked without tokens")
        status = _status_of(main)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def _status_of(main):
    """Status with which a process would end; an error that nobody caught is printed as Python does."""
    try:
        main()
    except SystemExit as leaving:
        return leaving.code or 0
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _as_if_alone(command, cwd):
    """The words, folder and width of a command; all that it changes in the process is put back."""
    loggers = [logging.getLogger(name) for name in PACKAGES]
    logged = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    argv, folder, columns = sys.argv, Path.cwd(), os.environ.get("COLUMNS")
    threads = numba.get_num_threads()
    sys.argv, os.environ["COLUMNS"] = command, COLUMNS
    widths = out._width, err._width  # that they found when they were first imported, perhaps by another test
    out._width = err._width = int(COLUMNS)
    os.chdir(cwd or folder)
    try:
        yield
    finally:
        os.chdir(folder)
        sys.argv = argv
        out._width, err._width = widths
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns
        for logger, (logger.handlers, level, logger.propagate) in zip(loggers, logged, strict=True):
            logger.setLevel(level)
        _use_threads(threads)


def _use_threads(count):
    numba.set_num_threads(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def refusal_of(result):
    """The one line with which a command refused its input; asserts that it was one, and no traceback."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith(("error", "failed"))]
    assert len(lines) == 1, result.stderr
    return lines[0]
