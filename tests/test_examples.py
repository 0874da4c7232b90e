"""Examples name commands that are there, with their options, and read what these write.

Training and measuring are left out: what follows from them is written from the phantoms' truth.
"""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from command_line import run_command

from surfora.cli.app import app as surfora_app
from tomocore.settings import load_settings
from tomorois.cli.app import app as tomorois_app
from tomosurf.cli.app import app as tomosurf_app
from tomosurf.project import ProjectSettings

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
APPS = {"tomorois": tomorois_app, "surfora": surfora_app, "tomosurf": tomosurf_app}


def load(name):
    """An example as a module."""
    path = next(path for path in EXAMPLES if path.stem == name)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words_of(command, *more):
    """The words of a command line, which its program takes as they are; else an error of the parser."""
    tool, *words = [*command.split(), *map(str, more)]
    APPS[tool].parse_args(words, exit_on_error=False, print_error=False)
    return tool, *words


def test_all_examples_are_tried_here():
    assert [path.stem for path in EXAMPLES] == ["demo", "two_conditions"]


@pytest.fixture
def two_conditions(tmp_path, monkeypatch):
    """The example with its commands kept as they come; `compare` stands in for a run's measuring."""
    example = load("two_conditions")
    asked = []

    def run(command, *more):
        words = words_of(command, *more)
        asked.append(" ".join(words[:2]))
        if (words[1] == "phantom" and not words[-1].endswith("training")) or words[1] == "new":
            done = run_command(*words)
        elif words[1] == "run" and not (tmp_path / "results").exists():
            done = compared(tmp_path)
        else:
            return
        assert done.returncode == 0, done.stderr

    monkeypatch.setattr(example, "run", run)
    monkeypatch.setattr(
        "sys.argv", ["two_conditions.py", "--output", str(tmp_path), "--count", "2", "--slurm"]
    )
    return example, asked


def compared(folder):
    """What a run's report compares, of true contacts in place of measured ones."""
    for path in sorted((folder / "tomograms").glob("*__truth.csv")):
        stem = path.name.removesuffix("__truth.csv")
        place = folder / "results" / "surfaces" / stem
        place.mkdir(parents=True)
        contacts = pd.read_csv(path)[["gap_min_nm", "gap_mean_nm"]]
        contacts.assign(kind="medial").to_csv(place / "contacts.csv", index=False)
    words = ("--tomograms", folder / "tomograms.csv", "-o", folder / "results" / "comparison")
    measures = ("--measures", "count", "gap_min_nm", "gap_mean_nm")
    return run_command("tomosurf", "compare", folder / "results" / "surfaces", *words, *measures)


@pytest.mark.slow
def test_two_conditions_goes_its_way_and_prints_what_was_planted(two_conditions, tmp_path, capsys):
    example, asked = two_conditions
    example.main()
    assert asked == [
        *["tomorois phantom"] * 3,
        "tomorois train",
        *("tomosurf new", "tomosurf validate", "tomosurf run", "tomosurf run"),
    ]
    project = (tmp_path / "project.toml").read_text()
    assert "\npoll_seconds = 2\n" in project
    conditions = pd.read_csv(tmp_path / "tomograms.csv").set_index("name")["condition"]
    assert conditions.to_dict() == {
        "contacts_s11_000": "wt",
        "contacts_s11_001": "wt",
        "contacts_s12_000": "ko",
        "contacts_s12_001": "ko",
    }
    table = capsys.readouterr().out
    drawn = example.true_differences(tmp_path)
    assert 2 < drawn["gap_min_nm"] < 4.5
    (line,) = (line for line in table.splitlines() if line.lstrip().startswith("smallest gap (nm)"))
    measured, truth = float(line.split()[3]), float(line.split()[6])
    assert measured == pytest.approx(truth, abs=0.01) == pytest.approx(drawn["gap_min_nm"], abs=0.01)


def test_the_demo_asks_for_commands_that_are_there(tmp_path, monkeypatch):
    """Its way from beginning to end, with every command only read; `make demo` runs it."""
    example = load("demo")
    asked = []

    def run(command, *more):
        asked.append(" ".join(words_of(command, *more)[:2]))
        if asked[-1] == "tomosurf run":
            (tmp_path / "results" / "rois").mkdir(parents=True)
            (tmp_path / "results" / "rois" / "contacts_s2_000__rois.npz").touch()

    monkeypatch.setattr(example, "run", run)
    monkeypatch.setattr(example, "print_headlines", lambda folder: None)
    monkeypatch.setattr("sys.argv", ["demo.py", "--output", str(tmp_path)])
    example.main()
    assert asked == [
        *["tomorois phantom"] * 2,
        *("tomorois train", "tomorois predict", "tomorois train", "tomosurf run"),
        *("tomorois restrict", "surfora run"),
    ]
    settings = load_settings(ProjectSettings, tmp_path / "project.toml")
    assert (settings.tomograms, settings.instances.split) == (("unseen",), "contacts")
