"""Kills commands at random moments, again and again, and compares what they leave with undisturbed runs.

Each of `surfora run`, `tomorois train`, `tomorois predict` and `tomosurf run` works on a project of a few
seconds; so does a project of two tiny tomograms that trains its model, in one process, by jobs here and by
jobs of a Slurm of one node that is started for it, which must all leave the same. It is ended by SIGKILL,
SIGTERM or SIGINT (to its process group, as Ctrl-C does) after a random time, up to four times in one folder
(runs by jobs up to ten times), and then run to its end. Of runs by jobs a third of the kills falls on one of
their jobs' processes instead, or on Snakemake, by SIGKILL; the run must then end by itself. Then there must
be: the same files as of the undisturbed run, with the same arrays and tables but for provenance and times; no
process left; no leftover; no traceback; and the status and the one line that the signal has. Prints a row a
command, and exits with 1 where anything differed; the folders of such runs are kept.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_once import close_store, open_store
from slurm_node import slurm_node
from two_vesicles import write_project

from surfora.geometry.files import read_surface
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

OF_A_RUN = ("provenance", "source", "seconds")
"""Columns that name the run, the place of its inputs and how long it took, and so differ."""

BUT_FOR_THE_RUN = (
    *("run.json", "report.html", "report.json", "overview.html"),
    *("model.train.png", "round_001.train.png"),
)
"""Files that tell of the run; of these only that they are there is compared."""

MOST_IN_ONE_FOLDER, MOST_BY_JOBS = 4, 10
"""Kills of a command in one folder; of runs by jobs more, since each folder costs a whole one."""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
PROCESSES_END_S = 15.0
ENDS_BY_ITSELF_S = 400.0
AT_A_JOB = 1 / 3
"""Share of the kills of a run by jobs that fall on one of their processes."""


LOADED = [
    *("surfora.cli.app", "surfora.batch", "tomorois.cli.app", "tomorois.training.files"),
    *("tomorois.prediction.files", "tomosurf.cli.app", "tomosurf.run", "tomosurf.report"),
    *("tomosurf.train_round", "tomosurf.workflow.run"),
]
"""What the forks of ``--quick`` have loaded before they begin."""


@dataclass
class Subject:
    """A command to be killed: how it is run in a folder of its own, and which of that folder it makes."""

    name: str
    command: Callable[[bool], Sequence[str]]  # of whether the folder was used before
    results: str = "out"
    project: str = "project"
    like: str = ""  # another command whose results it must have, made by that where it was not yet
    by_jobs: bool = False
    quick: bool = False
    undisturbed_s: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    folders: int = 0
    problems: list[str] = field(default_factory=list)
    victims: list[str] = field(default_factory=list)


def subjects(jobs: int) -> list[Subject]:
    """The commands, with paths relative to a copy of the project."""
    mask = "membranes/t1__membranes.mrc"
    train = ["train", "--tomograms", "tomograms", "--labels", "labels", "-o", "out/model.safetensors"]
    return [
        Subject("surfora run", lambda again: ["surfora", "run", mask, "-o", "out", "-j", f"{jobs}"]),
        Subject(
            "tomorois train",
            lambda again: ["tomorois", *train, "-s", "soak.toml", *(["--resume"] if again else [])],
        ),
        Subject(
            "tomorois predict",
            lambda again: [
                *("tomorois", "predict", "model.safetensors", "tomograms", "-o", "out"),
                *("--uncertainty", "-s", "soak.toml"),
            ],
        ),
        Subject("tomosurf run", lambda again: ["tomosurf", "run", ".", "-j", f"{jobs}"], "results"),
        *(
            Subject(
                f"tomosurf {name}",
                lambda again, way=way: ["tomosurf", "run", ".", "-j", "1", *way],
                "results",
                project,
                like="tomosurf training",
                by_jobs=bool(way),
            )
            for name, project, way in (
                ("training", "tiny", ()),
                ("--workflow", "lean", ("--workflow",)),
                ("--slurm", "lean", ("--slurm",)),
            )
        ),
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


def make_tiny_project(folder: Path) -> None:
    """Two tomograms of a flat membrane, of which one has labels, and a project that learns from it."""
    shape = (12, 26, 26)
    height = np.arange(shape[0])[:, None, None] * np.ones(shape)
    membrane = (np.abs(height - 6) <= 1).astype(np.int8)
    for place in ("tomograms", "membranes", "painted"):
        (folder / place).mkdir()
    for seed, stem in enumerate(("t1", "t2")):
        grey = np.random.default_rng(seed).normal(size=shape) - 4 * membrane
        write_volume(folder / "tomograms" / f"{stem}.mrc", Volume(grey.astype(np.float32), 2.0))
        write_volume(folder / "membranes" / f"{stem}__membranes.mrc", Volume(membrane, 2.0))
    write_volume(folder / "painted" / "t1__labels.mrc", Volume(membrane.astype(np.int16), 2.0))
    (folder / "project.toml").write_text(
        'annotations = "painted"\n'
        "[train]\nbin_factor = 1\npatch_voxels = 16\nsteps = 60\ncheckpoint_seconds = 0.05\n"
        "[train.network]\nlayers = 3\ndilations = [1]\n[train.validation]\nchecks = 3\n"
        '[instances]\nsplit = "none"\nthreshold = 0.3\n[surfora.medial]\nspacing_nm = 3.0\n'
        "[cluster]\npoll_seconds = 1\nthreads = 1\nminutes = 10\n"
    )


def make_lean_project(folder: Path) -> None:
    """As `make_tiny_project` with its first tomogram alone: each step of a job takes seconds to load."""
    make_tiny_project(folder)
    (folder / "tomograms" / "t2.mrc").unlink()
    (folder / "membranes" / "t2__membranes.mrc").unlink()


def fresh_folder(project: Path, place: Path) -> Path:
    """A copy of the project without results, its inputs linked."""
    shutil.copytree(project, place, copy_function=os.link)
    (place / "out").mkdir()
    return place


def soak(
    subject: Subject, project: Path, scratch: Path, kills: int, rng: random.Random, like: Subject | None
) -> None:
    """Kill one command that many times; problems are kept in the subject.

    What its results must be like is what ``like`` leaves, where another command must leave the same, else
    its own undisturbed ones.
    """
    stem = subject.name.replace(" ", "_")
    expected = fresh_folder(project, scratch / f"{stem}_undisturbed")
    if like is not None:
        finish(like, fresh_folder(project, scratch / f"{stem}_like"), used=False)
    for _ in range(2 if like is None else 1):  # the second time all is compiled and in the cache
        shutil.rmtree(expected / subject.results, ignore_errors=True)
        (expected / "out").mkdir(exist_ok=True)
        start = time.monotonic()
        finish(subject, expected, used=False)
        subject.undisturbed_s = time.monotonic() - start
    if like is not None:
        other = scratch / f"{stem}_like"
        subject.problems += differences(other / subject.results, expected / subject.results)
    while sum(subject.kills.values()) < kills:
        place = fresh_folder(project, scratch / f"{stem}_{subject.folders}")
        before = len(subject.problems)
        used = False
        for _ in range(rng.randint(1, MOST_BY_JOBS if subject.by_jobs else MOST_IN_ONE_FOLDER)):
            left = kills - sum(subject.kills.values())
            was_killed = left > 0 and kill_once(subject, place, used, rng)
            used = used or left > 0
            if not was_killed:
                break  # it was faster than the kill
        finish(subject, place, used)
        subject.problems += differences(expected / subject.results, place / subject.results)
        subject.folders += 1
        if len(subject.problems) == before:
            shutil.rmtree(place)
        else:
            print("\n".join(subject.problems[before:]))
        print(
            f"  {subject.name}: {sum(subject.kills.values())} kills, {len(subject.problems)} problems",
            flush=True,
        )


def kill_once(subject: Subject, place: Path, used: bool, rng: random.Random) -> bool:
    """Start the command and end it after a random time; whether it was still at work."""
    number = rng.choice(SIGNALS)
    at_a_job = subject.by_jobs and rng.random() < AT_A_JOB
    earlier = hidden_files(place)  # of a run before, which SIGKILL ended
    run = start_process(subject, place, used)
    try:
        _, told = run.communicate(
            timeout=rng.uniform(0.05, 0.6 if subject.by_jobs else 1.0) * subject.undisturbed_s
        )
    except subprocess.TimeoutExpired:
        if at_a_job:
            return kill_a_job(subject, place, run, rng)
        _end(run.pid, number)
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
    subject.problems += outliving(place, run.pid, number.name)
    if number != signal.SIGKILL and not loading:
        subject.problems += leftovers(place, number.name, earlier)
    return True


def kill_a_job(
    subject: Subject, place: Path, run: subprocess.Popen[str] | ForkedCommand, rng: random.Random
) -> bool:
    """End one process of the run's jobs, or Snakemake; whether there was one. The run ends by itself."""
    there = [pid for pid in processes_about(place) if pid != run.pid]
    if there:
        victim = rng.choice(there)
        subject.victims.append(command_of(victim))
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        subject.kills["a job's"] = subject.kills.get("a job's", 0) + 1
    try:
        _, told = run.communicate(timeout=ENDS_BY_ITSELF_S)
    except subprocess.TimeoutExpired:
        subject.problems.append(f"{place}: does not end once {subject.victims[-1:]} was killed")
        _end(run.pid, signal.SIGKILL)
        return True
    if run.returncode not in (0, 1):
        subject.problems.append(f"{place}: status {run.returncode} after a job's kill: {told[-300:]}")
    if "Traceback" in told:
        subject.problems.append(f"{place}: a traceback after a job's kill: {told[-600:]}")
    subject.problems += outliving(place, run.pid, "a job's kill")
    return bool(there)


def processes_about(place: Path) -> list[int]:
    """The numbers of the processes that have a folder in their command."""
    return [
        int(path.name) for path in Path("/proc").glob("[0-9]*") if str(place) in command_of(int(path.name))
    ]


def command_of(pid: int) -> str:
    """The words of a process, or nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def outliving(place: Path, session: int, after: str) -> list[str]:
    """A line where processes of a session are still there a while after its leader's end."""
    until = time.monotonic() + PROCESSES_END_S
    while living := processes_of(session):
        if time.monotonic() > until:
            return [f"{place}: processes {living} outlive {after}: {[command_of(pid) for pid in living]}"]
        time.sleep(0.05)
    return []


def _end(pid: int, number: signal.Signals) -> None:
    """A signal to a process, or to its whole group where it is one that can be caught."""
    try:
        (os.kill if number == signal.SIGKILL else os.killpg)(pid, number)
    except ProcessLookupError:  # it has no group of its own yet
        os.kill(pid, number)


def hidden_files(place: Path) -> dict[Path, tuple[int, int]]:
    """The hidden files below a folder, and what tells that one was made or written since."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in place.rglob(".*")}


def leftovers(place: Path, after: str, earlier: Mapping[Path, tuple[int, int]] = {}) -> list[str]:
    """Hidden files below a folder, of which a run should leave none, but for those that it found there."""
    found = hidden_files(place)
    return [f"{path}: left after {after}" for path, mark in found.items() if earlier.get(path) != mark]


def finish(subject: Subject, place: Path, used: bool) -> None:
    """Run the command to its end."""
    run = start_process(subject, place, used)
    _, told = run.communicate()
    if run.returncode != 0:
        subject.problems.append(f"{place}: did not go on (status {run.returncode}): {told[-600:]}")
    subject.problems += leftovers(place, "the end")


def start_process(subject: Subject, place: Path, used: bool) -> subprocess.Popen[str] | ForkedCommand:
    """The command in a session of its own."""
    words = list(subject.command(used))
    if subject.quick:
        return ForkedCommand(words, place)
    return subprocess.Popen(
        [str(Path(sys.executable).parent / words[0]), *words[1:]],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


class ForkedCommand:
    """A command in a fork of a process that has loaded the tools, which saves most of a small run's time."""

    def __init__(self, words: Sequence[str], place: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        self.told = place.parent / f"{place.name}.err"
        self.process = context.Process(target=_run_here, args=(words, place, self.told))
        self.process.start()
        self.pid = self.process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Its exit status, as of `subprocess.Popen`."""
        return self.process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; nothing, and what it told on standard error."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("fork", timeout or 0.0)
        return "", self.told.read_text() if self.told.exists() else ""


def _run_here(words: Sequence[str], place: Path, told: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    os.chdir(place)
    for stream, target in ((1, Path(os.devnull)), (2, told)):
        os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    _leave_out_pictures()
    sys.argv = list(words)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    importlib.import_module(f"{words[0]}.cli.app").main()


def _leave_out_pictures() -> None:
    """Reports are written without their pictures, which take most of a small run's time."""
    import surfora.reporting.report
    import tomocore.page
    import tomosurf.report

    def page_without(folder: Path, record: Mapping[str, Any]) -> tomocore.page.Page:
        return tomocore.page.Page("run", record["id"])

    def no_picture(*_: object) -> tomocore.page.Picture:
        return tomocore.page.Picture(("",))

    surfora.reporting.report.run_page = page_without
    tomosurf.report.curvature_picture = no_picture


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
    if one.name in BUT_FOR_THE_RUN or one.parent.name in ("steps", "tomograms"):
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
    parser.add_argument(
        "--quick",
        action="store_true",
        help="in forks of a process that has loaded the tools, with one job, and reports without pictures",
    )
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    scratch = asked.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    scratch.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}, in {scratch}", flush=True)
    every = {one.name: one for one in subjects(1 if asked.quick else 2)}
    chosen = [one for one in every.values() if asked.only in (None, one.name)]
    for name, make in (("project", make_project), ("tiny", make_tiny_project), ("lean", make_lean_project)):
        if any(one.project == name for one in chosen):
            (scratch / name).mkdir()
            make(scratch / name)
    begun = time.monotonic()
    with ExitStack() as stack:
        if any(one.name == "tomosurf --slurm" for one in chosen):
            os.environ |= stack.enter_context(slurm_node(scratch / "slurm")).environment
        for subject in chosen:
            subject.quick = asked.quick
            like = every[subject.like] if subject.like not in ("", subject.name) else None
            rng = random.Random(f"{seed} {subject.name}")
            soak(subject, scratch / subject.project, scratch, asked.kills, rng, like)
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
