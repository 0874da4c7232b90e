"""Surfaces that turn in the report of a run: seen in a browser, within the page's room, of many a part."""

import json

import numpy as np
import pandas as pd
import pytest
from browser import OpenPage, opened_browser
from measured_project import measure
from two_vesicles import GAP_NM, two_vesicles

import surfora.reporting.report
import surfora.reporting.turning
from surfora.reporting.report import Pictures, write_run_report
from surfora.reporting.tables import read_table
from surfora.reporting.turning import run_contacts, run_surfaces
from tomocore.page import Picture
from tomocore.volumes.formats import write_volume

LARGE = 9_500_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of two spheres with a contact, without a report."""
    folder = tmp_path_factory.mktemp("run")
    mask = folder / "t1__membranes.mrc"
    write_volume(mask, two_vesicles(0)[1])
    measure(folder / "out", mask)
    return folder / "out"


@pytest.fixture
def no_pictures(monkeypatch):
    """Reports without the pictures that take long to draw."""
    monkeypatch.setattr(surfora.reporting.report, "pictures_of", lambda *_: Pictures())
    monkeypatch.setattr(surfora.reporting.report, "contact_sections", lambda distances: [])


def test_a_contact_of_the_table_is_turned_to_offline(run, no_pictures):
    path = write_run_report(run)
    with opened_browser() as browser:
        report = OpenPage(browser, path).when_drawn()
        report.page.click("a[href='#contact=1']")
        report.page.wait_for_selector("tr.picked")
        assert f"smallest gap\t{GAP_NM:.0f}" in report.text("#told")
        coloured = np.ptp(report.pixels("#turning"), axis=2) > 25
        assert 0.02 < coloured.mean() < 0.9
        assert not report.errors
        assert all(url.startswith(("file:", "data:", "about:")) for url in report.asked)


def scene_of(page):
    """What the scripts of a page draw."""
    return json.loads(page.read_text().split('<script type="application/json" id="scene">')[1].split("<")[0])


def test_where_pictures_fill_the_page_surfaces_take_what_is_promised_to_them(run, no_pictures, monkeypatch):
    pictures = Pictures(places=[Picture(("x" * LARGE,))])
    monkeypatch.setattr(surfora.reporting.report, "pictures_of", lambda *_: pictures)
    monkeypatch.setattr(surfora.reporting.report, "LEAST_TURNING_BYTES", 10_000)
    surfaces = json.dumps(scene_of(write_run_report(run))["surfaces"])
    assert 5_000 < len(surfaces) <= 10_000_000 - LARGE
    monkeypatch.setattr(surfora.reporting.report, "MOST_PAGE_BYTES", LARGE)
    surfaces = json.dumps(scene_of(write_run_report(run))["surfaces"])
    assert 5_000 < len(surfaces) <= 10_000


def test_of_many_vertices_no_more_are_held_than_a_page_shows(run, monkeypatch):
    table = read_table(run / "surfaces.csv")
    whole = run_surfaces(run, table)
    monkeypatch.setattr(surfora.reporting.turning, "MOST_VERTICES", 800)
    smaller = run_surfaces(run, table)
    assert sum(len(one.mesh.vertices) for one in whole) > 1200
    assert 400 < sum(len(one.mesh.vertices) for one in smaller) <= 850
    assert [one.of_triangles for one in smaller] == [len(one.mesh.faces) for one in whole]


def test_of_several_masks_the_first_is_shown_and_the_others_wait_to_be_asked_for(run):
    table = read_table(run / "surfaces.csv")
    other = table.assign(name=table["name"].str.replace("t1", "t2"), tomogram="t2")
    several = run_surfaces(run, table.assign(tomogram="t1"))
    assert [one.is_shown for one in several] == [True, True]
    for row in other["name"]:
        (run / f"{row}.medial.vtp").write_bytes((run / f"{row.replace('t2', 't1')}.medial.vtp").read_bytes())
    both = run_surfaces(run, pd.concat([table.assign(tomogram="t1"), other]))
    assert [one.is_shown for one in both] == [True, True, False, False]


def test_a_run_without_surfaces_has_nothing_to_turn(tmp_path, run):
    assert run_surfaces(tmp_path, read_table(run / "surfaces.csv")) == []
    assert run_surfaces(tmp_path, read_table(run / "surfaces.csv")[:0]) == []


def test_contacts_of_an_earlier_version_have_no_place_to_fly_to():
    row = {"name": "a", "kind": "medial", "label": "", "roi": np.nan, "target": "b", "target_kind": "medial"}
    row |= {"target_label": "", "contact": 1, "cut_by": "", "length_nm": 12.0, "width_nm": 8.0}
    row |= dict.fromkeys(("gap_mean_nm", "gap_sd_nm", "gap_min_nm", "contact_area_nm2"), 5.0)
    placed = {"centre_x_nm": 1.0, "centre_y_nm": 2.0, "centre_z_nm": 3.0}
    assert run_contacts(pd.DataFrame([row])) == []
    rows = [row | placed, row | {"contact": 2} | placed | {"centre_y_nm": np.nan}]
    assert [contact.number for contact in run_contacts(pd.DataFrame(rows))] == [1]
