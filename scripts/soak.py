"""Kills commands at random moments, again and again, and compares what they leave with undisturbed runs.

Each of `surfora run`, `tomorois train`, `tomorois predict` and `tomosurf run` works on a project of a few
seconds, is ended by SIGKILL, SIGTERM or SIGINT (to its process group, as Ctrl-C does) after a random time,
up to four times in one folder, and then run to its end. Then there must be: the same files as of the
undisturbed run, with the same arrays and tables but for provenance and times; no process left; no leftover;
no traceback; and the status and the one line that the signal has. Prints a row a command, and exits with 1
where anything differed; the folders of such runs are kept.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_once import close_store, open_store
from two_vesicles import write_project

from surfora.geometry.files import read_surface

OF_A_RUN = ("provenance", "source", "seconds")
"""Columns that name the run, the place of its inputs and how long it took, and so differ."""

BUT_FOR_THE_RUN = ("run.json", "report.html", "model.train.png")
"""Files that tell of the run; of these only that they are there is compared."""

MOST_IN_ONE_FOLDER = 4
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
PROCESSES_END_S = 15.0


WITHOUT_PICTURES = """
import importlib, sys
import surfora.reporting.report as run_report
import tomocore.page
import tomosurf.report as project_report
tomocore.page._png = lambda figure: ""
run_report.run_page = lambda folder, record: tomocore.page.Page("run", record["id"])
project_report.curvature_picture = lambda *words: tomocore.page.Picture(())
importlib.import_module(sys.argv.pop(1) + ".cli.app").main()
"""
"""Starts a tool whose reports are written without their pictures, which take most of a small run's time."""


@dataclass
class Subject:
    """A command to be killed: how it is run in a folder of its own, and which of that folder it makes."""

    name: str
    command: Callable[[bool], Sequence[str | Path]]  # of whether the folder was used before
    results: str = "out"
    undisturbed_s: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    folders: int = 0
    problems: list[str] = field(default_factory=list)


def subjects(pictures: bool) -> list[Subject]:
    """The commands, with paths relative to a copy of the project."""
    tools = Path(sys.executable).parent

    def tool(name: str) -> list[str | Path]:
        return [tools / name] if pictures else [sys.executable, "-c", WITHOUT_PICTURES, name]

    mask = "membranes/t1__membranes.mrc"
    train = ["train", "--tomograms", "tomograms", "--labels", "labels", "-o", "out/model.safetensors"]
    return [
        Subject("surfora run", lambda again: [*tool("surfora"), "run", mask, "-o", "out", "-j", "2"]),
        Subject(
            "tomorois train",
            lambda again: [tools / "tomorois", *train, "-s", "soak.toml", *(["--resume"] if again else [])],
        ),
        Subject(
            "tomorois predict",
            lambda again: [
                *(tools / "tomorois", "predict", "model.safetensors", "tomograms", "-o", "out"),
                *("--uncertainty", "-s", "soak.toml"),
            ],
        ),
        Subject("tomosurf run", lambda again: [*tool("tomosurf"), "run", ".", "-j", "2"], "results"),
    ]


def make_project(folder: Path) -> None:
    """Two tomograms with their membranes and truth, a model, a project file, and settings for the soak."""
    store = open_store()
    try:
        write_project(folder)
    finally:
        close_store(store)
    (folder / "project.toml").write_text('truth = "labels"\n[instances]\nsplit = "contacts"\n')
    (folder / "soak.toml").write_text(
        "[train]\nbin_factor = 1\npatch_voxels = 24\nsteps = 150\ncheckpoint_seconds = 0.2\n"
        "[train.network]\nlayers = 6\ndilations = [1, 2]\n[predict]\norientations = 8\n"
    )


def fresh_folder(project: Path, place: Path) -> Path:
    """A copy of the project without results, its inputs linked."""
    shutil.copytree(project, place, copy_function=os.link)
    (place / "out").mkdir()
    return place


def soak(subject: Subject, project: Path, scratch: Path, kills: int, rng: random.Random) -> None:
    """Kill one command that many times; problems are kept in the subject."""
    stem = subject.name.replace(" ", "_")
    expected = fresh_folder(project, scratch / f"{stem}_undisturbed")
    for _ in range(2):  # the second time all is compiled and in the cache
        shutil.rmtree(expected / subject.results, ignore_errors=True)
        (expected / "out").mkdir(exist_ok=True)
        start = time.monotonic()
        finish(subject, expected, used=False)
        subject.undisturbed_s = time.monotonic() - start
    while sum(subject.kills.values()) < kills:
        place = fresh_folder(project, scratch / f"{stem}_{subject.folders}")
        before = len(subject.problems)
        used = False
        for _ in range(rng.randint(1, MOST_IN_ONE_FOLDER)):
            left = kills - sum(subject.kills.values())
            if left and not kill_once(subject, place, used, rng):
                break  # it was faster than the kill
            used = True
        finish(subject, place, used)
        subject.problems += differences(expected / subject.results, place / subject.results)
        subject.folders += 1
        if len(subject.problems) == before:
            shutil.rmtree(place)
        print(
            f"  {subject.name}: {sum(subject.kills.values())} kills, {len(subject.problems)} problems",
            flush=True,
        )


def kill_once(subject: Subject, place: Path, used: bool, rng: random.Random) -> bool:
    """Start the command and end it after a random time; whether it was still at work."""
    number = rng.choice(SIGNALS)
    run = start_process(subject, place, used)
    try:
        _, told = run.communicate(timeout=rng.uniform(0.05, 1.0) * subject.undisturbed_s)
    except subprocess.TimeoutExpired:
        (os.kill if number == signal.SIGKILL else os.killpg)(run.pid, number)
        _, told = run.communicate()
    else:
        return False
    if run.returncode == 0:
        return False
    subject.kills[number.name] = subject.kills.get(number.name, 0) + 1
    loading = run.returncode == -number  # before a command has begun, Python ends as any program does
    if run.returncode != STATUS[number] and not loading:
        subject.problems.append(f"{place}: status {run.returncode} after {number.name}: {told[-300:]}")
    if "Traceback" in told and not loading:
        subject.problems.append(f"{place}: a traceback after {number.name}: {told[-600:]}")
    until = time.monotonic() + PROCESSES_END_S
    while living := processes_of(run.pid):
        if time.monotonic() > until:
            subject.problems.append(f"{place}: processes {living} outlive {number.name}")
            break
        time.sleep(0.05)
    if number != signal.SIGKILL and not loading:
        subject.problems += leftovers(place, number.name)
    return True


def leftovers(place: Path, after: str) -> list[str]:
    """Hidden files below a folder, of which a run should leave none."""
    return [f"{path}: left after {after}" for path in place.rglob(".*")]


def finish(subject: Subject, place: Path, used: bool) -> None:
    """Run the command to its end."""
    run = start_process(subject, place, used)
    _, told = run.communicate()
    if run.returncode != 0:
        subject.problems.append(f"{place}: did not go on (status {run.returncode}): {told[-600:]}")
    subject.problems += leftovers(place, "the end")


def start_process(subject: Subject, place: Path, used: bool) -> subprocess.Popen[str]:
    """The command in a session of its own."""
    return subprocess.Popen(
        list(map(str, subject.command(used))),
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(session: int) -> list[int]:
    """The numbers of the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(parts[3]) == session and parts[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def differences(expected: Path, found: Path) -> list[str]:
    """What differs between two folders of results but for what tells of the run."""
    names = [sorted(str(p.relative_to(f)) for p in f.rglob("*") if p.is_file()) for f in (expected, found)]
    if names[0] != names[1]:
        return [f"{found}: other files: {sorted(set(names[0]) ^ set(names[1]))}"]
    return [f"{found / name}: differs" for name in names[0] if not same(expected / name, found / name)]


def same(one: Path, other: Path) -> bool:
    """Whether two result files hold the same."""
    if one.name in BUT_FOR_THE_RUN:
        return other.stat().st_size > 0
    if one.suffix == ".vtp":
        surfaces = [read_surface(path) for path in (one, other)]
        return surfaces[0].data.keys() == surfaces[1].data.keys() and all(
            np.array_equal(surfaces[0].data[name], surfaces[1].data[name], equal_nan=True)
            for name in surfaces[0].data
        )
    if one.suffix == ".csv":
        tables = [pd.read_csv(path).drop(columns=list(OF_A_RUN), errors="ignore") for path in (one, other)]
        return bool(tables[0].equals(tables[1]))
    if one.suffix == ".npz":
        with np.load(one) as mine, np.load(other) as theirs:
            return set(mine.files) == set(theirs.files) and all(
                np.array_equal(mine[name], theirs[name], equal_nan=mine[name].dtype.kind == "f")
                for name in mine.files
            )
    return one.read_bytes() == other.read_bytes()


def main() -> int:
    """Soak each command and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25, help="kills of each command")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments and signals")
    parser.add_argument("--only", help="one command, by its name")
    parser.add_argument("--folder", type=Path, help="where it works; a temporary folder where not given")
    parser.add_argument("--without-pictures", action="store_true", help="in reports, to save time")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    scratch = asked.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    scratch.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}, in {scratch}", flush=True)
    (scratch / "project").mkdir()
    make_project(scratch / "project")
    chosen = [one for one in subjects(not asked.without_pictures) if asked.only in (None, one.name)]
    begun = time.monotonic()
    for subject in chosen:
        soak(subject, scratch / "project", scratch, asked.kills, random.Random(f"{seed} {subject.name}"))
    print("\n| command | undisturbed | kills | by signal | folders | problems |\n|---|---|---|---|---|---|")
    for one in chosen:
        by = ", ".join(f"{name} {count}" for name, count in sorted(one.kills.items()))
        print(
            f"| `{one.name}` | {one.undisturbed_s:.1f} s | {sum(one.kills.values())} | {by} | {one.folders} "
            f"| {len(one.problems)} |"
        )
    problems = [problem for one in chosen for problem in one.problems]
    print(f"\nseed {seed}, {time.monotonic() - begun:.0f} s, {len(problems)} problems")
    print("\n".join(problems))
    if not problems and asked.folder is None:
        shutil.rmtree(scratch)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
