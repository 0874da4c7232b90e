"""Surfaces in a real browser: drawn, turned, coloured, picked and sliced by mouse and keys, offline."""

import re

import contact_scenes
import numpy as np
import pandas as pd
import pytest
from browser import OpenPage, opened_browser

from surfora.measures.distance import distance_arrays
from surfora.viewer.scene import SceneContact, SceneSurface, live_scene
from surfora.viewer.slices import slices_of
from tomocore.page import Cell, Page, Section, address_of, table_of, write_page
from tomocore.volumes.volume import Volume

HOSTILE = "<img src=x onerror=alert(1)>"
SIDES = ("left", "right")
APART_NM = 50.0
RADIUS_NM = 20.0


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two vesicles side by side along x, with a contact, in a tomogram that gets brighter along z."""
    surfaces = []
    for k, x in enumerate((-APART_NM / 2, APART_NM / 2)):
        mesh = contact_scenes.ball(RADIUS_NM, 3.0, (x, 0.0, 0.0))
        inward = mesh.vertices[:, 0] * (1 if k == 0 else -1)
        near = inward > -APART_NM / 2 + 0.6 * RADIUS_NM
        gap = distance_arrays("partner", np.abs(mesh.vertices[:, 0]) * 2, np.abs(mesh.vertices[:, 0]) * 2)
        data = {
            **gap,
            "contact_id": near.astype(np.int64),
            "mean_curvature_per_nm": mesh.vertices[:, 1] / 100,
        }
        surfaces.append(
            SceneSurface(
                f"v{k}.medial", f"{SIDES[k]} vesicle {HOSTILE}", f"membrane {k}", mesh.with_data(**data)
            )
        )
    contact = SceneContact(
        1, "contact 1", ("v0.medial", "v1.medial"), (0.0, 0.0, 0.0), 30.0, (("gap", "10 nm"),)
    )
    grey = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32)[:, None, None], (40, 60, 80)).copy()
    grey[:, 0, 0], grey[:, 0, 1] = 0.0, 1.0
    slices = slices_of(Volume(grey, 2.0, (-80.0, -60.0, -40.0)), -40.0, 40.0)
    rows = [Cell(f"contact {n}", float(n), link=address_of("", contact=n)) for n in range(1, 13)]
    table = table_of(pd.DataFrame({"contact": rows, "gap": np.arange(12.0)}))
    sections = [
        Section("Surfaces", live=live_scene(surfaces, [contact], slices)),
        Section("Contacts", tables=[table]),
    ]
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(path, Page("Two vesicles", "", sections=sections))
    return path


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as found:
        yield found


@pytest.fixture(scope="module")
def sheet(browser, page):
    """One sheet of the browser for all tests, since a new one takes a second of work."""
    return OpenPage(browser, page)


@pytest.fixture
def opened(sheet, page):
    """The page as it is when it is opened, its slice put aside."""
    sheet.open(page)
    sheet.when_drawn()
    sheet.page.uncheck("#slice-shown")
    yield sheet
    assert not sheet.errors
    assert [url for url in sheet.asked if not url.startswith(("file:", "data:", "about:"))] == []


def is_coloured(pixels):
    """Which pixels are neither white nor grey."""
    return np.ptp(pixels, axis=2) > 25


def middle_of(opened, side):
    """A place on the screen within the first or the second vesicle, as it is seen along z."""
    mask = is_coloured(opened.pixels("#turning"))  # which brings it into sight, before its place is asked
    box = opened.page.locator("#turning").bounding_box()
    columns = np.flatnonzero(mask.any(axis=0))
    at = int(columns[0] + (0.2, 0.8)[side] * np.ptp(columns))
    return box["x"] + at, box["y"] + float(np.median(np.flatnonzero(mask[:, at])))


def choose(opened, key):
    drawn = opened.page.get_attribute("#viewer", "data-drawn")
    opened.page.select_option("#colour-by", key)
    opened.page.wait_for_function(
        "drawn => document.getElementById('viewer').dataset.drawn !== drawn", arg=drawn
    )


def test_two_vesicles_are_drawn_and_no_blank_picture(opened):
    mask = is_coloured(opened.pixels("#turning"))
    assert 0.05 < mask.mean() < 0.7
    columns = np.flatnonzero(mask.any(axis=0))
    gap = np.diff(columns).max()  # white between the vesicles: 10 of 90 nm
    assert gap / (columns[-1] - columns[0]) == pytest.approx(10 / 90, abs=0.02)
    assert opened.text("#axes").replace(" ", "").replace(" ", "") == "→x↑y"


def test_each_measure_has_its_colours_and_its_bar_with_a_unit(opened):
    seen = {}
    for key in ("membrane", "contact", "mean_curvature_per_nm", "distance_to_nearest_nm"):
        choose(opened, key)
        seen[key] = opened.pixels("#turning")
    assert opened.text("#legend-title") == "gap to the nearest other membrane measured (nm)"
    keys = list(seen)
    assert all(np.abs(seen[a] - seen[b]).max() > 60 for k, a in enumerate(keys) for b in keys[k + 1 :])
    curved = seen["mean_curvature_per_nm"]  # red above (y > 0), blue below
    rows = np.flatnonzero(is_coloured(curved).any(axis=1))
    upper, lower = np.split(curved, [int(rows.mean())])
    assert (upper[..., 0] - upper[..., 2]).max() > 60
    assert (lower[..., 2] - lower[..., 0]).max() > 60


def test_the_limits_of_the_colours_can_be_typed(opened):
    before = opened.pixels("#turning")
    opened.page.fill("#legend-high", "15")
    opened.page.keyboard.press("Tab")
    assert np.abs(opened.pixels("#turning") - before).max() > 60


def test_a_drag_turns_and_the_wheel_zooms(opened):
    opened.page.locator("#turning").scroll_into_view_if_needed()
    box = opened.page.locator("#turning").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x + 100, y, steps=3)
    opened.page.mouse.move(x + 200, y, steps=3)  # half of half a turn: along x, one behind the other
    opened.page.mouse.up()
    columns = np.flatnonzero(is_coloured(opened.pixels("#turning")).any(axis=0))
    across = columns[-1] - columns[0]
    assert np.diff(columns).max() == 1
    opened.page.mouse.move(x, y)
    opened.page.mouse.wheel(0, -300)
    columns = np.flatnonzero(is_coloured(opened.pixels("#turning")).any(axis=0))
    assert columns[-1] - columns[0] == pytest.approx(across * 1.0015**300, rel=0.03)
    opened.page.click("#view-z")
    opened.page.click("#view-all")
    columns = np.flatnonzero(is_coloured(opened.pixels("#turning")).any(axis=0))
    assert np.diff(columns).max() > 20


def test_arrows_turn_and_signs_zoom(opened):
    opened.page.focus("#turning")
    for _ in range(10):
        opened.page.keyboard.press("ArrowRight")
    columns = np.flatnonzero(is_coloured(opened.pixels("#turning")).any(axis=0))
    assert np.diff(columns).max() == 1
    opened.page.keyboard.press("+")
    wider = np.flatnonzero(is_coloured(opened.pixels("#turning")).any(axis=0))
    assert np.ptp(wider) == pytest.approx(1.25 * np.ptp(columns), rel=0.03)


def test_a_click_tells_the_place_and_its_values(opened):
    opened.page.mouse.click(*middle_of(opened, 0))
    opened.page.wait_for_selector("#told table")
    told = opened.text("#told")
    assert f"left vesicle {HOSTILE}" in told
    x, y, z = map(float, re.search(r"x, y, z\s+([-\d.]+), ([-\d.]+), ([-\d.]+) nm", told).groups())
    assert (x + APART_NM / 2) ** 2 + y**2 + z**2 == pytest.approx(RADIUS_NM**2, rel=0.05)
    assert z > 0  # of both sides, that which faces the eye
    gap = float(re.search(r"gap to the nearest other membrane measured\s+[≤≥]? ?([-\d.]+) nm", told)[1])
    assert gap == pytest.approx(2 * abs(x), abs=3.0) or "≥" in told
    assert "contact" not in told
    assert opened.page.locator("img[src=x]").count() == 0


def test_a_click_on_a_contact_picks_it_and_its_row(opened):
    choose(opened, "contact")
    picture = opened.pixels("#turning")
    rows, columns = np.nonzero(is_coloured(picture))
    box = opened.page.locator("#turning").bounding_box()
    at = np.abs(columns - np.median(columns)).argsort()[len(columns) // 8]
    opened.page.mouse.click(box["x"] + float(columns[at]), box["y"] + float(rows[at]))
    opened.page.wait_for_selector("#told table")
    assert "contact 1" in opened.text("#told")
    assert opened.page.locator("tr.picked").count() == 1
    assert opened.page.evaluate("location.hash") == "#contact=1"
    opened.page.mouse.click(box["x"] + 3, box["y"] + box["height"] - 3)  # beside everything
    assert opened.page.locator("tr.picked").count() == 0


def test_a_row_of_the_table_flies_to_its_contact(opened):
    before = opened.pixels("#turning")
    opened.page.click("text=contact 1 >> nth=0")
    assert "10 nm" in opened.text("#told")
    after = opened.pixels("#turning")
    assert np.abs(after - before).max() > 60
    middle = after[len(after) // 2 - 60 : len(after) // 2 + 60]
    assert is_coloured(middle).any()
    assert opened.page.locator("tr.picked").inner_text().startswith("contact 1")


def test_an_address_leads_to_the_contact(sheet, page):
    sheet.open(page, "#contact=1")
    sheet.when_drawn()
    assert "10 nm" in sheet.text("#told")
    assert sheet.page.locator("tr.picked").count() == 1


def test_surfaces_are_hidden_and_shown(opened):
    both = is_coloured(opened.pixels("#turning")).sum()
    opened.page.uncheck("#surfaces input >> nth=0")
    assert is_coloured(opened.pixels("#turning")).sum() == pytest.approx(both / 2, rel=0.05)
    opened.page.click("#none-shown")
    assert not is_coloured(opened.pixels("#turning")).any()
    opened.page.fill("#surface-find", "right")
    assert opened.page.locator("#surfaces label:visible").count() == 1
    opened.page.click("#all-shown")
    assert is_coloured(opened.pixels("#turning")).sum() == pytest.approx(both / 2, rel=0.05)


def test_slices_are_seen_through_and_beside_the_surfaces(opened):
    opened.page.check("#slice-shown")
    slices = opened.page.locator("#slice-at")
    greys = []
    for at in ("5", "35"):
        slices.fill(at)
        opened.page.wait_for_timeout(200)
        flat, through = opened.pixels("#slice"), opened.pixels("#turning")
        greys.append((np.median(flat), np.median(through[through.min(axis=2) < 250])))
    assert greys[1][0] - greys[0][0] > 100
    assert opened.text("#slice-place") == "slice at z = 30 nm"
    slices.fill("20")
    opened.page.wait_for_timeout(200)
    assert is_coloured(opened.pixels("#slice")).any()  # the lines along which it cuts both vesicles
    opened.page.uncheck("#slice-shown")
    opened.page.click("#view-side")
    whole = is_coloured(opened.pixels("#turning")).sum()
    opened.page.check("#slice-cut")
    assert is_coloured(opened.pixels("#turning")).sum() == pytest.approx(whole / 2, rel=0.1)


def test_rows_are_found_by_words_and_numbers(opened):
    opened.page.fill("input.find >> nth=0", "gap<3")
    assert opened.page.locator("table.sortable tbody tr:visible").count() == 3
    assert opened.text(".found >> nth=0") == "3 of 12 rows"


def test_a_browser_without_webgl_says_so_and_keeps_the_tables(browser, page):
    context = browser.new_context()
    context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    sheet = context.new_page()
    sheet.goto(page.as_uri())
    sheet.wait_for_selector("#viewer[data-failed]")
    assert "needs WebGL 2" in sheet.inner_text(".stage")
    assert sheet.locator("table.sortable tbody tr").count() == 12
    context.close()
