"""`tomosurf compare` from tables to its page: planted differences, files, figures, and what it refuses."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command
from PIL import Image
from simulated_tables import COUNT, GAP_NM, WIDER_NM, simulated_tables, write_tables

from tomosurf.statistics.figures import ONE_COLUMN_MM, TWO_COLUMNS_MM

pytestmark = pytest.mark.slow
MM_PER_POINT = 25.4 / 72


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder of a comparison of 12 simulated tomograms, and the command's result."""
    folder = write_tables(tmp_path_factory.mktemp("study"), simulated_tables())
    words = ("compare", folder, "--tomograms", folder / "tomograms.csv", "-o", folder / "out")
    return folder, run_command("tomosurf", *words)


def rows_of(folder):
    return pd.read_csv(folder / "out" / "comparisons.csv", keep_default_na=False, na_values=[""])


def test_both_planted_differences_are_found_with_intervals_that_hold_them(compared):
    folder, result = compared
    assert result.returncode == 0, result.stderr
    table = rows_of(folder)
    gap = table[(table["measure"] == "gap_mean_nm")].iloc[0]
    assert gap["difference_low"] < WIDER_NM < gap["difference_high"]
    assert gap["difference_low"] > 0
    assert gap["mean_first"] == pytest.approx(GAP_NM, abs=1.5)
    count = table[table["measure"] == "count"].iloc[0]
    assert count["difference_low"] < -COUNT / 2 < count["difference_high"] < 0
    assert count["ratio_low"] < 0.5 < count["ratio_high"]
    assert gap["p"] == pytest.approx(2 / 924)
    others = table[~table["measure"].str.contains("gap|count|inside")]
    assert (others["p_holm"] > 0.05).all()
    assert "gap, mean, ER–OMM: ko − wt: 3.5 nm" in result.stdout


def test_contacts_are_compared_with_what_lies_outside_of_them(compared):
    table = rows_of(compared[0])
    within = table[table["comparison"] == "within tomograms"]
    assert within["condition"].tolist() == ["wt", "ko"]
    assert (abs(within["difference"] - 0.004) < 0.001).all()
    assert (within["p"] == 2 / 64).all()


def test_figures_are_a_column_or_two_wide_with_text_that_can_be_edited_and_their_data(compared):
    figures = compared[0] / "out" / "figures"
    stems = {path.stem for path in figures.iterdir()}
    assert {"effects", "power", "contacts_ranked", "contact_area_by_threshold"} <= stems
    assert any(stem.endswith("histogram") for stem in stems)
    assert any(stem.endswith("within_tomograms") for stem in stems)
    for stem in stems:
        pdf = (figures / f"{stem}.pdf").read_bytes()
        width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)[1]) * MM_PER_POINT
        assert min(abs(width - ONE_COLUMN_MM), abs(width - TWO_COLUMNS_MM)) < 0.5, (stem, width)
        assert b"/FontFile2" in pdf  # TrueType: text is text
        assert b"/Type3" not in pdf
        assert len(pd.read_csv(figures / f"{stem}.csv")) > 0
        with Image.open(figures / f"{stem}.png") as picture:
            assert picture.width == pytest.approx(width / 25.4 * 300, abs=4)


def test_the_page_says_what_differs_and_how_it_was_done(compared):
    page = (compared[0] / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "6 wt and 6 ko tomograms" in page
    assert "Saravanan" in page
    assert "https://" not in page
    record = json.loads((compared[0] / "out" / "run.json").read_text())
    assert len(record["inputs"]) == 4
    assert record["settings"]["seed"] == 0


def test_a_second_run_leaves_it_alone_and_the_same_seed_writes_the_same_bytes(compared, tmp_path):
    folder, _ = compared
    words = ("compare", folder, "--tomograms", folder / "tomograms.csv", "--measures", "gap_mean_nm")
    again = run_command("tomosurf", *words, "-o", folder / "out")
    assert again.returncode == 0
    assert "skipped" in again.stdout
    for name in ("one", "two"):
        assert run_command("tomosurf", *words, "-o", tmp_path / name).returncode == 0
    for path in sorted((tmp_path / "one").rglob("*.*")):
        if path.name not in ("run.json", "comparison.html"):
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    assert set(rows_of_any(tmp_path / "one")["measure"]) == {"gap_mean_nm"}


def rows_of_any(out):
    return pd.read_csv(out / "comparisons.csv")


def test_one_tomogram_a_condition_is_told_and_has_no_p(tmp_path):
    folder = write_tables(tmp_path, simulated_tables(1))
    words = ("compare", folder, "--tomograms", folder / "tomograms.csv", "-o", folder / "out")
    result = run_command("tomosurf", *words, "--measures", "gap_mean_nm")
    assert result.returncode == 0, result.stderr
    table = rows_of(folder)
    assert table["p"].isna().all()
    assert np.isfinite(table["difference"]).all()
    assert table["caution"].str.contains("fewer than 2 tomograms").all()
    assert "fewer than 2 tomograms" in (folder / "out" / "comparison.html").read_text()


def test_a_measure_without_any_value_is_told(tmp_path):
    tables = simulated_tables(2)
    tables["contacts"]["gap_mean_nm"] = np.nan
    folder = write_tables(tmp_path, tables)
    words = ("compare", folder, "--tomograms", folder / "tomograms.csv", "-o", folder / "out")
    assert run_command("tomosurf", *words, "--measures", "gap_mean_nm").returncode == 0
    assert rows_of(folder)["caution"].tolist() == ["no tomogram has a value"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--measures", "gap"], "no table has such a measure"),
        (["--reference", "wild"], "wild: no such condition; there are wt, ko"),
        (["--by", "dose"], "no column dose"),
    ],
)
def test_refusals_are_one_line(tmp_path, words, told):
    folder = write_tables(tmp_path, simulated_tables(2))
    command = ("compare", folder, "--tomograms", folder / "tomograms.csv", "-o", folder / "out", *words)
    assert told in refusal_of(run_command("tomosurf", *command))
    assert not (folder / "out").exists()
