"""Files that get shorter while they are read: a line, never a bus error, since nothing is mapped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks the system what is mapped")


def run(folder, *words):
    command = [sys.executable, str(Path(__file__).with_name("shortened_files.py")), str(folder), *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)


def test_files_shortened_while_they_are_read_are_refused_or_read_and_never_mapped(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 10
    assert sum(one["refused"] for one in told.values()) > 30
    for name, one in told.items():
        assert one["others"] == [], name
        assert not one["mapped"], name
        assert one["cuts"] > 0, name


def test_the_same_ends_a_process_that_maps_its_file(tmp_path):
    assert run(tmp_path, "mapped").returncode == -signal.SIGBUS
