"""Runs the tutorial as a reader would, block by block, and keeps the figure that it ends with."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).parents[1] / "tutorial.md"
PICTURES = Path(__file__).parents[1] / "pictures"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def as_a_reader(tool: str, words: list[str], folder: Path) -> None:
    """Run a command in a process of its own; CalledProcessError where it fails."""
    command = [Path(sys.executable).parent / tool, *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def run_page(text: str, folder: Path, run: Callable[[str, list[str], Path], object] = as_a_reader) -> None:
    """Do in a folder what the blocks of a page say: write settings, run commands and Python, each checked.

    A block of settings begins with the name of its file. ``run`` takes the tool, words and folder of a
    command, and raises where it fails, as CalledProcessError is raised for Python.
    """
    for kind, block in BLOCK.findall(text):
        if kind == "toml":
            name = block.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(block, encoding="utf-8")
        elif kind == "python":
            subprocess.run([sys.executable, "-c", block], cwd=folder, check=True)
        else:
            for line in block.splitlines():
                tool, *words = shlex.split(line)
                run(tool, words, folder)


def main(output: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        run_page(PAGE.read_text(encoding="utf-8"), Path(name))
        (output / "tutorial.png").write_bytes((Path(name) / "tutorial.png").read_bytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
