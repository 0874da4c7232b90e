"""Reads thousands of damaged files of every kind, in processes that may die, and tells what came of them.

    python scripts/hostile_files.py [--files 10000] [--seed N] [--jobs 2] [--only "ROI npz" ...] [--kept DIR]

Each file follows from its format and a number alone. One that ended in anything but the product's own error
or a reading (another exception, a crash, more than 5 s, more than 512 MiB) is a fault; it is kept, and the
status is 1. `tests/fuzz` holds the formats, the damages and the reading process.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from queue import Empty, Queue

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from fuzz.formats import FORMATS  # noqa: E402

SECONDS = 120.0
STARTING_SECONDS = 900.0
"""Wall clock for one file, after which its process is ended: a hang, or a machine that is far too busy."""


class Reader:
    """A process that reads damaged files, started anew whenever it dies."""

    def __init__(self, sounds: Path, kept: Path) -> None:
        self.command = [sys.executable, "-m", "fuzz.worker", str(sounds), str(kept)]
        self.process: subprocess.Popen[str] | None = None

    def answer(self, name: str, seed: int) -> dict[str, str]:
        """What came of one file."""
        if self.process is None:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, env=environment,
            )  # fmt: skip
            assert self.process.stdout is not None
            if select.select([self.process.stdout], [], [], STARTING_SECONDS)[0]:
                self.process.stdout.readline()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps([name, seed]) + "\n")
            self.process.stdin.flush()
            ready = select.select([self.process.stdout], [], [], SECONDS)[0]
            line = self.process.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, line = [self.process.stdout], ""
        if line:
            return dict(json.loads(line))
        self.process.kill()
        status = self.process.wait()
        self.process = None
        died = f"the process died of {signal.Signals(-status).name if status < 0 else f'status {status}'}"
        return {
            "format": name, "seed": str(seed), "outcome": "fault",
            "why": died if ready else f"no answer within {SECONDS:.0f} s",
        }  # fmt: skip

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def plan(files: int, seed: int, only: list[str]) -> list[tuple[str, int]]:
    """Formats and numbers of all files, as many of each format as its share."""
    chosen = {name: form for name, form in FORMATS.items() if not only or name in only}
    whole = sum(form.share for form in chosen.values())
    tasks = [
        (name, seed + number)
        for name, form in chosen.items()
        for number in range(max(1, round(files * form.share / whole)))
    ]
    return sorted(tasks, key=lambda task: (hash_of(task), task))


def hash_of(task: tuple[str, int]) -> int:
    """A number that mixes the formats, so that a run that is stopped has tried all."""
    return (task[1] * 2654435761) % 2**32


def outcomes(tasks: list[tuple[str, int]], jobs: int, kept: Path) -> list[dict[str, str]]:
    """What came of every task, in some order."""
    queue: Queue[tuple[str, int]] = Queue()
    for task in tasks:
        queue.put(task)
    found: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as sounds:

        def work(number: int) -> None:
            own = Path(sounds) / str(number)
            own.mkdir()
            reader = Reader(own, kept)
            while True:
                try:
                    name, seed = queue.get_nowait()
                except Empty:
                    break
                told = reader.answer(name, seed)
                found.append(told)
                if told["outcome"] == "fault":
                    print("fault: {format} {seed}: {why}".format(**told), flush=True)
                elif len(found) % 500 == 0:
                    print(f"{len(found)} of {len(tasks)}", flush=True)
            reader.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return found


def table(found: list[dict[str, str]]) -> str:
    """A row a format: files, refused, read, faults."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        counts[one["format"]][one["outcome"]] += 1
    rows = ["| format | files | refused | read | faults |", "|---|---|---|---|---|"]
    counts["all"] = sum(counts.values(), Counter())
    for name in [*FORMATS, "all"]:
        if name in counts:
            one = counts[name]
            cells = [one.total(), one["refused"], one["read"], one["fault"]]
            rows.append(f"| {name} | {' | '.join(f'{n:,}' for n in cells)} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="first number; others give other files")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], choices=list(FORMATS))
    parser.add_argument("--kept", type=Path, default=Path("fuzz_failures"))
    asked = parser.parse_args()
    start = time.perf_counter()
    found = outcomes(plan(asked.files, asked.seed, asked.only), asked.jobs, asked.kept)
    faults = [one for one in found if one["outcome"] == "fault"]
    print(table(found))
    print(f"{len(found):,} files, {len(faults)} faults, {time.perf_counter() - start:.0f} s")
    if faults:
        print(f"files of faults are in {asked.kept}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
