"""Reads damaged files one after the other and says what came of each; a process that may die of it.

Asked by lines of "format, seed" on its standard input, it answers with a line of JSON for each: "refused" by
an InputError, "read", or "fault" with what it was. The file of a fault stays in the folder of failures.
"""

import contextlib
import io
import json
import logging
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from fuzz.format import damaged
from fuzz.formats import FORMATS

from tomocore.contract import InputError

MOST_BYTES = 3 * 2**30
"""Address space beyond what the process has when all is loaded."""
MOST_GROWTH_BYTES = 2**29
"""Memory that reading one of these files of some kB may take at its peak."""
MOST_SECONDS = 5.0
LONGEST_MESSAGE = 1500


def outcome_of(name: str, seed: int, sounds: Path, kept: Path) -> dict[str, str]:
    """Make the damaged file of a format and seed, read it, and say what came of it."""
    form = FORMATS[name]
    sound = sounds / f"{name}{form.ending}"
    if not sound.exists():
        form.make(sound)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"a{seed}{form.ending}"
        damaged(form, sound, target, random.Random(f"{name} {seed}"))
        place = kept / f"{name} {seed}{form.ending}".replace(" ", "_")
        _keep(target, place)  # until it is known to be harmless: the process may die
        told = _read(form.read, target)
        if told["outcome"] != "fault":
            _take_away(place)
    return {"format": name, "seed": str(seed), **told}


def _keep(target: Path, place: Path) -> None:
    kept_folder = place.parent
    kept_folder.mkdir(parents=True, exist_ok=True)
    _take_away(place)
    if target.is_dir():
        _copy_tree(target, place)
    elif target.is_file():
        shutil.copy(target, place)
    else:
        place.write_text("no file, but a pipe or a link that leads nowhere")


def _copy_tree(folder: Path, place: Path) -> None:
    """The files of a folder; of pipes and links that lead nowhere only that they were there."""
    for path in sorted(folder.rglob("*")):
        target = place / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copy(path, target)
        elif not path.is_dir():
            target.write_text("no file, but a pipe or a link that leads nowhere")


def _take_away(place: Path) -> None:
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


def _read(read, target: Path) -> dict[str, str]:
    before, start = _peak_bytes(), time.process_time()
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(target)
        told = {"outcome": "read"}
    except InputError as error:
        told = {"outcome": "refused", "why": str(error)[:300]}
        if len(str(error)) > LONGEST_MESSAGE or str(target.parent) not in str(error):
            told = {"outcome": "fault", "why": f"a message too long or without the file: {str(error)[:300]}"}
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = next((f for f in reversed(where) if "/src/" in f.filename), where[-1])
        place = f"{Path(ours.filename).name}:{ours.lineno}"
        told = {"outcome": "fault", "why": f"{type(error).__name__} at {place}: {str(error)[:200]}"}
    seconds, growth = time.process_time() - start, _peak_bytes() - before
    if seconds > MOST_SECONDS:
        told = {"outcome": "fault", "why": f"took {seconds:.1f} s of the processor"}
    elif growth > MOST_GROWTH_BYTES:
        told = {"outcome": "fault", "why": f"took {growth / 2**20:.0f} MiB at its peak"}
    return told


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(sounds: Path, kept: Path) -> None:
    logging.disable(logging.CRITICAL)
    warm_up(sounds)
    with open("/proc/self/statm") as statm:
        taken = int(statm.read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES, hard))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries written in C may print past Python
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        name, seed = json.loads(line)
        print(json.dumps(outcome_of(name, seed, sounds, kept)), file=answers, flush=True)


def warm_up(sounds: Path) -> None:
    """Make and read the sound file of every format, so that what libraries take counts for none of them."""
    for name, form in FORMATS.items():
        sound = sounds / f"{name}{form.ending}"
        if not sound.exists():
            form.make(sound)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"a{form.ending}"
            shutil.copytree(sound, target) if sound.is_dir() else shutil.copy(sound, target)
            with contextlib.redirect_stdout(io.StringIO()):
                form.read(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
