"""A page: everything escaped, nothing from outside, tables that are read, sorted and printed."""

import re
import subprocess
from html.parser import HTMLParser
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from browser import NAMES, browser_program
from matplotlib.figure import Figure

from tomocore.columns import Column
from tomocore.page import Cell, Page, Section, mean_and_spread, picture_of, shown, table_of, write_page

COLUMNS = (
    Column("name", "surface"),
    Column("q05_nm", "5 % quantile", "nm", "5th percentile over area"),
    Column("seen_share", "in sight", "%", "share of the area", detail=True),
)
HOSTILE = "<script>alert('A&B')</script>\" onload=\"x"


class Outline(HTMLParser):
    """Tags with their attributes, and the texts between them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def written(tmp_path, page):
    write_page(tmp_path / "report.html", page)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def page_of(table, **others):
    return Page("Title", "subtitle", sections=[Section("Part", tables=[table])], **others)


def test_columns_are_read_in_words_and_keep_their_keys_on_hover(tmp_path):
    frame = pd.DataFrame({"name": ["a"], "q05_nm": [14.4265], "seen_share": [0.9033]})
    html = written(tmp_path, page_of(table_of(frame, COLUMNS)))
    outline = Outline(html)
    assert "5 % quantile " in outline.texts
    assert "(nm)" in outline.texts
    assert {"14.4", "90.3"} <= set(outline.texts)
    heads = [attrs for tag, attrs in outline.tags if tag == "th" and attrs.get("scope") == "col"]
    assert heads[1]["title"] == "5th percentile over area. In the CSV file: q05_nm."
    assert "as a share of 1" in heads[2]["title"]
    assert not any("q05_nm" in text and "CSV" not in text for text in outline.texts)


def test_details_wait_for_a_switch_that_needs_no_script(tmp_path):
    frame = pd.DataFrame({"name": ["a"], "q05_nm": [1.0], "seen_share": [0.5]})
    html = written(tmp_path, page_of(table_of(frame, COLUMNS)))
    assert html.count('class="extra"') == 2  # head and cell
    assert "all 3 columns" in html
    assert ".more:not(:checked) ~ .scroll .extra { display: none; }" in html
    without = written(tmp_path, page_of(table_of(frame[["name", "q05_nm"]], COLUMNS)))
    assert '<input type="checkbox"' not in without


def test_every_name_is_escaped_wherever_it_stands(tmp_path):
    frame = pd.DataFrame({"name": [Cell(HOSTILE, hover=HOSTILE)], HOSTILE: [1.5], "at": [HOSTILE]})
    table = table_of(frame, [Column("at", "at"), Column(HOSTILE, HOSTILE, HOSTILE, HOSTILE)], HOSTILE, "at")
    picture = picture_of(Figure((1, 1)), HOSTILE, HOSTILE, HOSTILE)
    section = Section(HOSTILE, [HOSTILE], [picture], [table], [(HOSTILE, HOSTILE)])
    page = Page(HOSTILE, HOSTILE, [HOSTILE], [HOSTILE], [(HOSTILE, HOSTILE)], [section, section, section])
    outline = Outline(written(tmp_path, page))
    assert [tag for tag, _ in outline.tags].count("script") == 1  # the page's own
    assert not any("onload" in attrs for _, attrs in outline.tags)
    titles = [attrs["title"] for _, attrs in outline.tags if "title" in attrs]
    assert HOSTILE in titles


def test_a_page_loads_nothing_from_outside(tmp_path):
    html = written(tmp_path, page_of(table_of(pd.DataFrame({"name": ["a"]}))))
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "default-src 'none'" in html


def test_failures_stand_before_warnings_and_both_are_counted(tmp_path):
    html = written(tmp_path, Page("t", "s", ["one broke"], ["look", "look again"]))
    assert (
        html.index("1 failure<")
        < html.index("one broke")
        < html.index("2 warnings<")
        < html.index("look again")
    )
    assert "No warnings" not in html
    assert "No warnings" in written(tmp_path, Page("t", "s"))


def test_rows_stand_under_the_name_that_they_share(tmp_path):
    frame = pd.DataFrame({"name": ["x", "y", "z"], "tomogram": ["t1", "t1", "t2"]})
    table = table_of(frame, group="tomogram")
    assert [(group.title, [row[0].text for row in group.rows]) for group in table.groups] == [
        ("t1", ["x", "y"]),
        ("t2", ["z"]),
    ]
    html = written(tmp_path, page_of(table))
    assert html.count(">t1<") == 1
    assert html.count("<tbody>") == 2


def test_columns_without_a_value_are_left_out():
    frame = pd.DataFrame({"name": ["a"], "q05_nm": [np.nan], "note": [""], "more": [None]})
    assert [column.key for column in table_of(frame, COLUMNS).columns] == ["name"]


def test_numbers_of_a_column_have_the_same_digits_and_their_full_order():
    table = table_of(
        pd.DataFrame({"name": ["a", "b"], "q05_nm": [33.96, 22.1], "n": [3.0, 12345.0]}), COLUMNS
    )
    assert [[cell.text for cell in row] for row in table.groups[0].rows] == [
        ["a", "34.0", "3"],
        ["b", "22.1", "12,345"],
    ]
    assert table.groups[0].rows[0][1].order == 33.96


def test_two_thousand_rows_scroll_in_a_box_of_their_own(tmp_path):
    frame = pd.DataFrame({"name": [f"r{k}" for k in range(2000)], "q05_nm": np.arange(2000) / 7})
    html = written(tmp_path, page_of(table_of(frame, COLUMNS)))
    assert 'class="scroll tall"' in html
    assert html.count("<tr>") == 2001
    assert "max-height: none" in html.split("@media print")[1]


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (22.58, 5.04, "22.6 ± 5.0"),
        (3.141, 0.2, "3.14 ± 0.20"),
        (1234.5, 99.9, "1234 ± 100"),
        (0.0, 0.0, "0.00 ± 0.00"),
    ],
)
def test_a_mean_and_its_spread_have_as_many_decimals(mean, spread, text):
    cell = mean_and_spread(mean, spread)
    assert (cell.text, cell.order) == (text, mean)
    assert mean_and_spread(float("nan"), 1.0).text == ""


def test_numbers_as_people_write_them():
    assert [shown(v) for v in (1234.4, 0.02944, 5, True, None, float("nan"), float("inf"))] == [
        "1,234",
        "0.0294",
        "5",
        "yes",
        "",
        "",
        "inf",
    ]


def test_dollars_in_typed_names_are_no_formulas_in_figures():
    name = r"A $\frac{B"
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4], label=name)
    axes.set_xticks([1, 2, 3], [name, "$x_$", "^_$$"])
    axes.set_title(name)
    axes.legend()
    assert picture_of(figure).pngs[0]


def rows_shown(tmp_path, find):
    """First cells of the rows that a browser shows of a page opened with a search, and what it counts."""
    frame = pd.DataFrame(
        {
            "name": [f"contact {k}" for k in range(1, 13)],
            "q05_nm": [float(k) for k in range(12)],
            "seen_share": [k / 12 for k in range(12)],
            "place": ["t1"] * 6 + ["t2"] * 6,
        }
    )
    write_page(tmp_path / "report.html", page_of(table_of(frame, COLUMNS, group="place")))
    browser = browser_program()
    words = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'browser'}",
    ]
    address = (tmp_path / "report.html").as_uri() + "#find=" + quote(find)
    done = subprocess.run([*words, "--dump-dom", address], capture_output=True, text=True, timeout=120)
    rows = re.findall(r"<tr([^>]*)><th scope=\"row\"[^>]*>([^<]*)<", done.stdout)
    shown_rows = [name for more, name in rows if "hidden" not in more]
    return shown_rows, re.search(r'class="soft found"[^>]*>([^<]*)<', done.stdout)[1]


@pytest.mark.slow
@pytest.mark.skipif(browser_program() is None, reason=f"no browser here: none of {', '.join(NAMES)}")
@pytest.mark.parametrize(
    ("find", "names"),
    [
        ("5_%_quantile<2", ["contact 1", "contact 2"]),
        ("t2 sight>80", ["contact 11", "contact 12"]),
        ("CONTACT 12", ["contact 12"]),
        ("t1 quantile>=5", ["contact 6"]),
        ("nothing", []),
    ],
)
def test_a_search_leaves_the_rows_that_fit(tmp_path, find, names):
    found, counted = rows_shown(tmp_path, find)
    assert found == names
    assert counted == f"{len(names)} of 12 rows"


def test_only_tables_of_many_rows_are_searched(tmp_path):
    few = table_of(pd.DataFrame({"name": ["a", "b"]}), COLUMNS)
    assert 'type="search"' not in written(tmp_path, page_of(few))
    many = table_of(pd.DataFrame({"name": [str(k) for k in range(11)]}), COLUMNS)
    assert 'type="search"' in written(tmp_path, page_of(many))
