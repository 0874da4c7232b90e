"""The wheel holds all that the code reads beside itself; every supported Python at hand compiles it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from try_wheels import built, pythons

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"


@pytest.fixture(scope="module")
def wheel_and_sdist(tmp_path_factory):
    return built(tmp_path_factory.mktemp("dist"))


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages(wheel_and_sdist):
    wheel, sdist = wheel_and_sdist
    packed = set(zipfile.ZipFile(wheel).namelist())
    there = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.parts[-2].endswith(".egg-info")
    }
    assert there - packed == set()
    assert {f"{package}/py.typed" for package in ("tomocore", "tomorois", "surfora", "tomosurf")} <= packed
    assert sdist.stat().st_size > 100_000


@pytest.mark.slow
def test_the_wheel_works_from_a_folder_of_its_own(wheel_and_sdist, tmp_path):
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target]
    subprocess.run([*pip, wheel_and_sdist[0]], check=True)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import tomocore, tomorois.cli.app, surfora.cli.app, tomosurf.cli.app\n"
        f"assert surfora.cli.app.__file__.startswith({str(target)!r})\n"
        "from tomocore.terminal.console import say_first_use; say_first_use('surfora')\n"
        "surfora.cli.app.app(['settings'], result_action='return_value')\n"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "compiling the kernels, once for this installation" in ran.stderr
    assert "[curvature]" in ran.stdout


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_each_python_at_hand_compiles_the_code(version, tmp_path):
    program = dict(pythons()).get(version)
    if program is None:
        pytest.skip(f"no Python {version} on this machine")
    code = (
        "import pathlib, sys\n"
        "for path in pathlib.Path(sys.argv[1]).rglob('*.py'):\n"
        "    compile(path.read_text(encoding='utf-8'), str(path), 'exec')\n"
    )
    ran = subprocess.run([program, "-W", "error", "-c", code, SOURCE], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
