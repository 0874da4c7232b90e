"""Builds wheel and sdist, installs the wheel under each Python at hand and measures two vesicles with it.

    python scripts/try_wheels.py            3.11, 3.12 and 3.13, as far as they are on the machine

Each gets an environment of its own; the kernels are compiled by the first run, as on a user's machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from compile_kernels import two_vesicles

from tomocore.volumes.formats import write_volume

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "demo_output")
VERSIONS = ((3, 11), (3, 12), (3, 13))


def built(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist, built from a copy of the sources into ``folder``."""
    copy = folder / "sources"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(copy)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def pythons() -> Iterator[tuple[str, Path]]:
    """Version and program of each Python at hand: on the path, or installed by pyenv."""
    for major, minor in VERSIONS:
        name = f"python{major}.{minor}"
        versions = sorted((Path.home() / ".pyenv" / "versions").glob(f"{major}.{minor}.*/bin/{name}"))
        for program in filter(None, (shutil.which(name), *map(str, versions))):
            if subprocess.run([program, "-c", ""], capture_output=True).returncode == 0:
                yield f"{major}.{minor}", Path(program)
                break


def try_wheel(program: Path, wheel: Path, folder: Path) -> str:
    """What `surfora run` of a fresh installation prints; raises CalledProcessError where a step fails."""
    environment = folder / "environment"
    subprocess.run([program, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", wheel], check=True, env=own)
    write_volume(folder / "labels.mrc", two_vesicles())
    command = [environment / "bin" / "surfora", "run", "labels.mrc", "--distances", "1:2", "-o", "measured"]
    ran = subprocess.run(command, cwd=folder, env=own, check=True, text=True, capture_output=True)
    return ran.stderr + ran.stdout


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        wheel, sdist = built(Path(name))
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {sdist.name}")
        for version, program in pythons():
            folder = Path(name) / version
            folder.mkdir()
            began = time.monotonic()
            said = try_wheel(program, wheel, folder)
            print(f"Python {version}: {time.monotonic() - began:.0f} s\n{said}")


if __name__ == "__main__":
    main()
