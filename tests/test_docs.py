"""The documentation says what the program does: defaults, links, commands and pictures."""

import importlib
import json
import re
import runpy
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from architecture import page_with_rooms, room_rows
from command_line import run_command
from learning_tables import page_with, read_rows, tables_of
from pydantic import BaseModel
from tutorial import run_page

from surfora.cli.app import app as surfora_app
from surfora.isosurface.settings import IsosurfaceSettings
from surfora.leaflets.settings import LeafletSettings
from surfora.masks.settings import CleanSettings, ComponentSettings
from surfora.measures.contacts.settings import ContactSettings
from surfora.measures.density.settings import DensitySettings
from surfora.measures.settings import (
    CurvatureSettings,
    DistanceSettings,
    IntervalSettings,
    RoughnessSettings,
    WedgeSettings,
)
from surfora.medial.settings import MedialSettings
from surfora.meshing.settings import MeshSettings
from surfora.orientation.settings import OrientSettings
from tomorois.cli.app import app as tomorois_app
from tomorois.cli.options import SECTIONS
from tomorois.evaluation.settings import EvaluateSettings
from tomorois.instances.settings import InstanceSettings
from tomorois.prediction.settings import PredictSettings
from tomorois.training.settings import TrainSettings
from tomosurf.cli.app import app as tomosurf_app
from tomosurf.project import ProjectSettings

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
TUTORIAL = ROOT / "docs" / "gallery" / "tutorial.py"
GALLERY = sorted(set((ROOT / "docs" / "gallery").glob("*.py")) - {TUTORIAL})
APPS = {"tomorois": tomorois_app, "surfora": surfora_app, "tomosurf": tomosurf_app}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist_with_their_options(page):
    for tool, verb, words in commands_in(page.read_text()):
        command = APPS[tool][verb]
        known = {name for argument in command.assemble_argument_collection() for name in argument.names}
        options = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", words))
        assert options <= known | {"--help"}, f"{tool} {verb} {sorted(options - known)}"


def commands_in(text):
    """Tool, verb and the rest of every command line in the code blocks of a page."""
    for block in re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"\s*\$?\s*(tomorois|surfora|tomosurf) ([a-z-]+)([^#|>]*)", line)
            if found:
                yield found.groups()


@pytest.mark.parametrize("script", GALLERY, ids=lambda script: script.stem)
@pytest.mark.slow
def test_gallery_draws_its_picture(script, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script), "--output", str(tmp_path)])
    with matplotlib.rc_context():
        runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / f"{script.stem}.png").stat().st_size > 5000
    assert (ROOT / "docs" / "pictures" / f"{script.stem}.png").exists()


@pytest.mark.slow
def test_the_tutorial_finds_and_measures_every_contact_as_it_stands(tmp_path):
    def run(tool, words, folder):
        result = run_command(tool, *words, cwd=folder)
        assert result.returncode == 0, result.stderr

    run_page((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), tmp_path, run)
    found = pd.read_csv(tmp_path / "measured" / "contacts.csv")
    assert found["roi"].nunique() == len(pd.read_csv(tmp_path / "data" / "contacts_s0_003__truth.csv"))
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text())["scores"]["recall"]["value"] == 1
    assert (tmp_path / "tutorial.png").stat().st_size > 5000


def test_the_table_of_rooms_is_that_of_the_folders():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert page_with_rooms(page) == page
    rows = list(room_rows())[2:]
    assert len(rows) == len(list((ROOT / "src").glob("*/*/__init__.py")))
    for row in rows:
        assert all(cell.strip() for cell in row.strip("|").split("|")) or "/cli`" in row, row


PARAMETERS = {
    "cleaning": CleanSettings,
    "components": ComponentSettings,
    "medial": MedialSettings,
    "isosurface": IsosurfaceSettings,
    "orientation": OrientSettings,
    "meshing": MeshSettings,
    "leaflets": LeafletSettings,
    "curvature": CurvatureSettings,
    "distances": DistanceSettings,
    "contacts": ContactSettings,
    "roughness": RoughnessSettings,
    "intervals": IntervalSettings,
    "wedge": WedgeSettings,
    "density": DensitySettings,
    "training": TrainSettings,
    "prediction": PredictSettings,
    "instances": InstanceSettings,
    "evaluation": EvaluateSettings,
}


@pytest.mark.parametrize("stem", PARAMETERS)
def test_parameters_are_all_there_with_their_defaults(stem):
    page = next(page for page in PAGES if page.stem == stem)
    stated = dict(parameter_rows(page.read_text()))
    for name, field in PARAMETERS[stem].model_fields.items():
        default = field.get_default(call_default_factory=True)
        if not isinstance(default, BaseModel):  # sections of their own
            assert stated.get(name, "not in the table") in spellings(default), name


def parameter_rows(text):
    """Name and stated default of every row of the tables whose first column is "parameter"."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0].lower() == "parameter":
            inside = True
        elif inside and (name := re.fullmatch(r"`([\w.]+)`", cells[0])):
            yield name[1].split(".")[-1], cells[1].strip("`").strip('"')


def spellings(default):
    """How a page may write a default."""
    if default is None:
        return {"unset", "none", ""}
    if isinstance(default, bool):
        return {str(default).lower()}
    if isinstance(default, (int, float)):
        return {str(default), f"{default:g}"}
    return {
        str(default),
        json.dumps(default),
        str(list(default)) if not isinstance(default, str) else default,
    }


def test_the_learning_page_shows_its_stored_results():
    page, stored = ROOT / "docs/tomorois/learning.md", ROOT / "docs/tomorois"
    tables = tables_of(*(read_rows(stored / f"learning_{name}.csv") for name in ("study", "errors")))
    text = page.read_text()
    assert all(f"<!-- {name} -->" in text for name in tables)
    assert page_with(tables, text) == text
    assert page_with({**tables, "errors": "| changed |"}, text) != text


SETTINGS = [(name, *place.split(":")) for name, place in SECTIONS.items()]
SETTINGS += [("project", ProjectSettings.__module__, ProjectSettings.__name__)]
"""Everything that `settings` prints and a new project holds; `surfora settings` is part of the project."""


@pytest.mark.parametrize(("section", "module", "kind"), SETTINGS, ids=[name for name, *_ in SETTINGS])
def test_descriptions_of_settings_are_sentences(section, module, kind):
    texts = dict(described(getattr(importlib.import_module(module), kind), section))
    assert texts
    untold = [name for name, text in texts.items() if not text]
    assert not untold
    bent = {name: text for name, text in texts.items() if text[0].islower() or not text.endswith(".")}
    assert not bent


def described(kind, place):
    """Dotted name and description of every setting and section below ``kind``."""
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield f"{place}.{name}", field.description or (inner.__doc__ or "").strip().split("\n")[0]
            yield from described(inner, f"{place}.{name}")
        else:
            yield f"{place}.{name}", field.description or ""


@pytest.mark.parametrize("tool", APPS)
def test_help_of_options_begins_small_and_has_no_stop(tool):
    bent = [text for text in helps(APPS[tool]) if not begins_small(text) or text.endswith(".")]
    assert not bent


def helps(app):
    """The texts that the commands of a tool print beside their arguments."""
    for verb in app:
        if not verb.startswith("-"):
            yield from (
                a.parameter.help for a in app[verb].assemble_argument_collection() if a.parameter.help
            )


def begins_small(text):
    """Whether a text's first word has no capital, save as an abbreviation (ROIs, CPU, X,Y,Z) or a symbol."""
    return not re.match(r"[A-Z][a-z]", text)
