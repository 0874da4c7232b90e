"""The pages of a project: failures first, a page a tomogram, methods, numbers, all of it traceable."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from browser import OpenPage, opened_browser
from command_line import run_command
from measured_project import HOSTILE, write_measured_project
from PIL import Image
from two_vesicles import GAP_NM, two_vesicles

import tomosurf.report
from tomocore.page import Picture
from tomocore.provenance import recorded_run
from tomocore.roiset import read_rois, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomosurf.pages.methods import REFERENCES, methods_section
from tomosurf.pages.overview import write_overview
from tomosurf.pages.pictures import FOUND, MEMBRANE, tomogram_picture
from tomosurf.pages.runs import cautions_of_runs, runs_of
from tomosurf.project import read_project
from tomosurf.report import write_project_report
from tomosurf.statistics.report_section import ComparedProject

LARGEST_PAGE = 10 * 2**20


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A project with its report, after a run in which one tomogram failed."""
    folder = write_measured_project(tmp_path_factory.mktemp("A&B <i>x"))
    with recorded_run("tomosurf run", read_project(folder).settings) as record:
        pass
    record.failures = {"t 2#": f"t 2#: no such label {HOSTILE}; name another"}
    record.write(folder / "results" / "run.json")
    write_report(folder)
    return folder


def write_report(folder, only=None):
    """Write the report but for its figures and statistics, which take long and have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tomosurf.report, "curvature_picture", lambda *_: Picture(("",)))
        patch.setattr(tomosurf.report, "compared_project", lambda *_: ComparedProject())
        patch.setattr(tomosurf.report, "contact_sections", lambda *_: [])
        write_project_report(read_project(folder, only))


class Seen(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.links, self.texts, self.tags = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs).get("href"))

    def handle_data(self, data):
        self.texts.append(data)


def seen(path):
    return Seen(path.read_text(encoding="utf-8"))


def test_failures_come_first_and_every_tomogram_has_its_page(reported):
    results = reported / "results"
    html = (results / "report.html").read_text(encoding="utf-8")
    assert html.index("1 failure<") < html.index("warning") < html.index('class="tile')
    page = seen(results / "report.html")
    assert f"t 2#: no such label {HOSTILE}; name another" in page.texts
    assert sorted(path.name for path in (results / "tomograms").iterdir()) == ["t 2#.html", "t1.html"]
    for link in filter(None, page.links):
        path = unquote(urlsplit(link).path)
        assert not path or (results / path).exists(), link
    assert "tomograms/t%202%23.html#contact=1" in page.links
    assert page.tags.count("script") == 1


def test_pages_lead_back_and_to_all_pictures(reported):
    for path in (reported / "results" / "tomograms").iterdir():
        links = seen(path).links
        assert links[:2] == ["../report.html", "../overview.html"]
        assert (path.parent / unquote(links[2])).read_text() == "made by the run"
        assert path.stat().st_size < LARGEST_PAGE


def test_a_failed_tomogram_says_so_on_its_own_page(reported):
    texts = seen(reported / "results" / "tomograms" / "t 2#.html").texts
    assert f"t 2#: no such label {HOSTILE}; name another" in texts
    assert any(f"a warning of {HOSTILE}" in text for text in texts)
    assert not any("no such label" in text for text in seen(reported / "results/tomograms/t1.html").texts)


def test_numbers_of_the_report_are_one_json(reported):
    numbers = json.loads((reported / "results" / "report.json").read_text())
    assert numbers["counts"] == {
        "tomograms": 2, "rois": 2, "surfaces": 4, "distances": 4, "contacts": 2,
        "contact_curve": numbers["counts"]["contact_curve"],
    }  # fmt: skip
    assert numbers["failures"] == [f"t 2#: no such label {HOSTILE}; name another"]
    assert [c["gap_min_nm"] for c in numbers["contacts"]] == pytest.approx([GAP_NM] * 2, abs=0.2)
    tomograms = {one["name"]: one for one in numbers["tomograms"]}
    (source,) = tomograms["t1"]["surfaces_run"]["inputs"]
    assert source["path"].endswith("t1__membranes.mrc")
    assert re.fullmatch("[0-9a-f]{64}", source["sha256"])
    assert {name: one["left_out"] for name, one in tomograms.items()} == {"t1": "", "t 2#": "", "t3": "ice"}
    assert "NaN" not in (reported / "results" / "report.json").read_text()


def test_methods_have_the_parameters_of_the_runs_and_their_references(reported):
    project = read_project(reported)
    runs = runs_of(project)
    (first, *rest) = methods_section(project, runs, ["medial"]).pasted
    assert "in 2 tomograms, voxel edge 2 nm" in first
    text = " ".join([first, *rest])
    assert "nearer to the other membrane than 30 nm" in text
    runs.surfaces["t1"]["settings"]["distance"]["contact_distance_nm"] = 17.5
    runs.surfaces["t 2#"]["settings"]["distance"]["contact_distance_nm"] = 17.5
    assert "than 17.5 nm" in " ".join(methods_section(project, runs, ["medial"]).pasted)
    cited = re.findall(r"\(([A-Z][^()]* (?:19|20)\d\d)\)", text.split("References")[0])
    assert {"Cazals & Pouget 2005", "Bernardini et al. 1999", "Ericson 2005"} <= set(cited)
    assert all(REFERENCES[words] in text for words in cited)


def test_every_work_that_methods_can_cite_is_known():
    assert all(re.search(r"(19|20)\d\d", words) or words.startswith("ISO") for words in REFERENCES)
    assert all(words.split()[0].rstrip(",") in work for words, work in REFERENCES.items())


def test_results_of_other_settings_are_told(reported):
    project = read_project(reported)
    runs = runs_of(project)
    assert cautions_of_runs(runs, project) == []
    runs.surfaces["t1"]["settings"]["curvature"]["largest_radius_nm"] = 12.0
    (line,) = cautions_of_runs(runs, project)
    assert line.startswith("t1: measured with other settings")
    assert "curvature.largest_radius_nm: 12.0 then, 24.0 now" in line


def test_truth_has_the_voxel_size_that_the_table_gives_and_damage_to_it_costs_scores_alone(tmp_path):
    folder = write_measured_project(tmp_path, 'truth = "truth"\n')
    (folder / "truth").mkdir()
    edge = read_rois(folder / "results" / "rois" / "t1__rois.npz").voxel_size_nm
    for stem, factor in (("t1", 1), ("t 2#", 3)):
        path = folder / "results" / "rois" / f"{stem}__rois.npz"
        rois = replace(read_rois(path), voxel_size_nm=factor * edge)
        write_rois_archive(path, rois)
        write_rois_archive(folder / "truth" / f"{stem}__truth.npz", replace(rois, voxel_size_nm=2 * edge))
    (folder / "tomograms.csv").write_text(f"name,voxel_size_nm\nt1,{edge}\nt 2#,{3 * edge}\nt3,\n")
    write_report(folder)
    metrics = json.loads((folder / "results" / "metrics.json").read_text())
    assert metrics["scores"]["dice_pooled"]["value"] == 1
    (folder / "truth" / "t1__truth.npz").write_bytes(b"damaged")
    write_report(folder)
    (line,) = json.loads((folder / "results" / "report.json").read_text())["failures"]
    assert line.startswith("ROIs are not scored: ")
    assert "t1__truth.npz" in line
    assert not (folder / "results" / "metrics.json").exists()


def test_a_page_that_is_made_of_the_same_is_kept(reported):
    pages = {path: path.stat().st_mtime_ns for path in (reported / "results" / "tomograms").iterdir()}
    write_report(reported)
    assert pages == {path: path.stat().st_mtime_ns for path in pages}
    rois = reported / "results" / "rois" / "t1__rois.npz"
    rois.touch()
    write_report(reported)
    changed = [path.stem for path, before in pages.items() if path.stat().st_mtime_ns != before]
    assert changed == ["t1"]


def test_a_report_of_some_tomograms_lies_beside_that_of_all(reported):
    before = (reported / "results" / "report.html").read_bytes()
    (reported / "good ones.txt").write_text("t1\n")
    write_report(reported, reported / "good ones.txt")
    place = reported / "results" / "reports" / "good ones"
    page = seen(place / "report.html")
    for link in filter(None, page.links):
        path = unquote(urlsplit(link).path)
        assert not path or (place / path).exists(), link
    assert "../../tomograms/t1.html#contact=1" in page.links
    assert not any("t 2#" in text for text in page.texts)
    assert any("1 of 3 tomograms, those in good ones.txt" in text for text in page.texts)
    assert json.loads((place / "report.json").read_text())["counts"]["contacts"] == 1
    assert (reported / "results" / "report.html").read_bytes() == before


def test_the_overview_needs_no_results(tmp_path):
    folder = write_measured_project(tmp_path)
    (folder / "tomograms" / "t4.mrc").write_bytes(b"no volume")
    (folder / "results").rename(tmp_path / "elsewhere")
    said = run_command("tomosurf", "overview", folder)
    assert "t4 has no picture" in said.stderr
    page = seen(folder / "results" / "overview.html")
    assert page.tags.count("img") == 3
    assert any("left out: ice" in text for text in page.texts)
    assert any(HOSTILE in text for text in page.texts)


def test_the_picture_is_the_slice_of_the_rois(tmp_path):
    folder = write_measured_project(tmp_path)
    project = read_project(folder)
    plan = next(plan for plan in project.plans if plan.stem == "t1")
    picture = tomogram_picture(plan, project)
    assert picture.slice_number == two_vesicles(1)[2].data.sum(axis=(1, 2)).argmax()
    assert picture.width_nm == 112
    pixels = pixels_of(picture)
    for colour in (FOUND, MEMBRANE):
        near = np.abs(pixels - np.array(colour)).sum(axis=2) < 150
        assert 10 < near.sum() < 1000
    write_volume(plan.membranes, Volume(np.zeros((40, 56, 56), np.int8), 2.0))
    (folder / "results" / "rois" / "t1__rois.npz").unlink()
    assert tomogram_picture(plan, project).slice_number == 20  # the middle one


def pixels_of(picture):
    data = base64.b64decode(picture.address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int64)


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as found:
        yield found


def test_a_contact_of_the_report_is_seen_in_its_tomogram(browser, reported):
    report = OpenPage(browser, reported / "results" / "report.html")
    report.page.click("a[href='tomograms/t%202%23.html#contact=1']")
    report.page.wait_for_url("**/t%202%23.html#contact=1")
    tomogram = report.when_drawn()
    assert tomogram.page.locator("tr.picked").count() == 1
    assert f"smallest gap\t{GAP_NM:.0f}" in tomogram.text("#told")
    assert tomogram.text("#slice-place").startswith("slice at z = ")
    coloured = np.ptp(tomogram.pixels("#turning"), axis=2) > 25
    assert 0.02 < coloured.mean() < 0.9
    assert not tomogram.errors
    assert all(url.startswith(("file:", "data:", "about:")) for url in tomogram.asked)


def test_pictures_are_searched_by_words(browser, tmp_path):
    folder = write_measured_project(tmp_path)
    first = folder / "tomograms" / "t1.mrc"
    for k in range(4, 11):
        (folder / "tomograms" / f"t{k}.mrc").write_bytes(first.read_bytes())
    page = OpenPage(browser, write_overview(read_project(folder)).path)
    page.page.fill(".tiled > input", "wt left")
    assert page.page.locator(".tile:visible b").all_inner_texts() == ["t3"]
    assert page.text(".found") == "1 of 10"
