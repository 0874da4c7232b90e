"""Doors of the windows: without a display or the extra, one line that says what to do."""

import importlib.util

import pytest
from command_line import refusal_of, run_command


@pytest.mark.parametrize(
    "words",
    [("tomorois", "annotate", "a.mrc"), ("tomorois", "curate", "rois"), ("tomosurf", "annotate", ".")],
)
def test_without_a_display_a_line_says_what_to_do(monkeypatch, tmp_path, words):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    line = refusal_of(run_command(*words, cwd=tmp_path))
    assert "no display" in line or "pip install" in line


@pytest.mark.parametrize("missing", ["napari", "PySide6"])
def test_without_the_extra_a_line_says_what_to_install(monkeypatch, tmp_path, missing):
    find = importlib.util.find_spec
    gone = ("PySide6", "PyQt6", "PyQt5") if missing == "PySide6" else (missing,)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in gone else find(name, *a)
    )
    monkeypatch.setenv("DISPLAY", ":99")
    line = refusal_of(run_command("tomorois", "annotate", "a.mrc", cwd=tmp_path))
    assert "pip install 'tomorois-surfora[napari]'" in line
    assert ("Qt" if missing == "PySide6" else "napari") in line


def test_a_real_process_ends_with_one_line(tmp_path, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    result = run_command("tomorois", "curate", tmp_path, own_process=True)
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
