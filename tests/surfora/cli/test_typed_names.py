"""Names that people type: shown as they are, safe where they become names of files and arrays."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command

from surfora.geometry.files import read_facts, read_mesh
from surfora.masks.membranes import parsed_labels, parsed_lumen, parsed_pair
from tomocore.contract import InputError
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

HOSTILE = {
    1: "A&B <script>alert(1)</script>",
    2: "../../x\"' onload=$\\frac{é",
}


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    labels = np.zeros((20, 24, 24), np.int16)
    labels[5:8, 3:21, 3:21], labels[13:16, 3:21, 3:21] = 1, 2
    path = tmp_path_factory.mktemp("A&B <i>x") / "m&<b>.mrc"
    write_volume(path, Volume(labels, 1.5))
    return path


def test_typed_names_are_on_one_line_everywhere():
    assert parsed_labels("1= A\n\x1b[31mB\t,2=Ωμέγα") == {1: "A [31mB", 2: "Ωμέγα"}
    assert parsed_pair("A\nB:C") == ("A B", "C")
    assert parsed_lumen("A\x00B=1,2,3") == ("A B", (1.0, 2.0, 3.0))
    for text in ("1=\x01", "1= ", "²=A", "9" * 5000 + "=A"):
        with pytest.raises(InputError, match="--labels"):
            parsed_labels(text)


def test_labels_that_would_share_their_files_are_refused(plates, tmp_path):
    result = run_command("surfora", "run", plates, "--labels", "1=a/b,2=a<b", "-o", tmp_path / "out")
    assert "'a/b' and 'a<b' would both be written as m&<b>_a_b" in refusal_of(result)


@pytest.mark.slow
def test_a_run_with_hostile_names_stays_in_its_folder_and_shows_them(plates):
    before = set(plates.parent.parent.rglob("*"))
    folder = plates.parent / "out" / "deeper"
    labels = ",".join(f"{value}={name}" for value, name in HOSTILE.items())
    pair = f"{HOSTILE[1]}:{HOSTILE[2]}"
    result = run_command("surfora", "run", plates, "--labels", labels, "--distances", pair, "-o", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    made = set(plates.parent.parent.rglob("*")) - before - {folder.parent}
    assert all(path == folder or path.parent == folder for path in made)
    surfaces = pd.read_csv(folder / "surfaces.csv")
    assert sorted(surfaces["label"]) == sorted(HOSTILE.values())
    assert not any(re.search(r"[/\\<>:\"|?*]", name.removeprefix("m&<b>")) for name in surfaces["name"])
    names = dict(zip(surfaces["label"], surfaces["name"], strict=True))
    for value, other in ((1, 2), (2, 1)):
        path = folder / f"{names[HOSTILE[value]]}.medial.vtp"
        assert read_facts(path).label == HOSTILE[value]
        assert f"distance_to_{names[HOSTILE[other]]}_nm" in read_mesh(path).data
    texts, tags = seen_in((folder / "report.html").read_text(encoding="utf-8"))
    assert any(HOSTILE[1] in text for text in texts)
    assert any(HOSTILE[2] in text for text in texts)
    assert tags.count("script") == 2  # the page's own, and the surfaces that turn


def seen_in(html):
    """Texts that a browser shows (titles on hover too), and the names of all elements."""
    texts, tags = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            tags.append(tag)
            assert not any(name.startswith("on") for name, _ in attributes)
            texts.extend(value for _, value in attributes if value)

        def handle_data(self, data):
            texts.append(data)

    Reader().feed(html)
    return texts, tags
