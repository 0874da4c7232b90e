"""Side files of any content give what their types say, or one line that names the file and the remedy."""

import time
from dataclasses import dataclass

import pytest

from tomocore.contract import InputError
from tomocore.side_files import StoredRow, read_json, read_rows, read_toml


class Place(StoredRow):
    name: str
    z: int


@dataclass(frozen=True)
class Point:
    name: str
    z: int


def refusal(read, *words):
    start = time.perf_counter()
    with pytest.raises(InputError) as refused:
        read(*words)
    assert time.perf_counter() - start < 5
    message = str(refused.value)
    assert message.startswith(str(words[0]))
    assert "\n" not in message
    assert ";" in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize(
    "text",
    [
        b"a" + b".a" * 100_000 + b" = 1",
        b"a" + b'."a"' * 100_000 + b" = 1",
        b"a = " + b"[" * 100_000,
        b"a = " + b"{b = " * 100_000,
        b"a = " + b"9" * 5000,
        b'a = "' + b"x" * 3_000_000 + b'"',
        b"a = \xff",
        b"[" * 50_000 + b"a" + b"]" * 50_000,
    ],
    ids=["dotted", "quoted", "lists", "tables", "digits", "large", "bytes", "heads"],
)
def test_toml_that_would_take_a_parser_for_ever_is_refused_at_once(tmp_path, text):
    (tmp_path / "s.toml").write_bytes(text)
    refusal(read_toml, tmp_path / "s.toml")


def test_dots_and_brackets_within_texts_and_comments_are_no_nesting(tmp_path):
    dots, brackets = ".".join("a" * 90), "[" * 90
    text = f"# {dots} {brackets}\na = \"{dots}{brackets}\"\nb = '''{dots}\n{brackets}'''\nc = '{brackets}'\n"
    (tmp_path / "s.toml").write_text(text)
    assert read_toml(tmp_path / "s.toml")["c"] == brackets


@pytest.mark.parametrize(
    "text", ["{", "[" * 100_000, '{"name": ' + "9" * 5000 + "}", '{"name": []}', "[]", ""]
)
def test_json_of_another_kind_or_none_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    refusal(read_json, tmp_path / "a.json", Place)


@pytest.mark.parametrize("kind", [Place, Point])
def test_rows_have_the_types_of_their_fields_and_other_columns_are_let_be(tmp_path, kind):
    path = tmp_path / "a.csv"
    path.write_text("z,other,name\n3,x,a\n4,y,NA\n")
    assert [(row.name, row.z) for row in read_rows(path, kind, "places", "write it again")] == [
        ("a", 3),
        ("NA", 4),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"name,z\na,b\n", "row 1: z = 'b'"),
        (b"name,z\na,1\nb\n", "row 2: z = None"),
        (b"name\na\n", "lacks the columns z"),
        (b"", "lacks the columns name, z"),
        (b"\xff\xfe\xfd,\n", "not places"),
        (b"name,z\n\xe9,1\n", "not places"),
        (b'name,z\n"' + b"x" * 200_000 + b'",1\n', "not places"),
    ],
    ids=["text", "short", "column", "empty", "bytes", "latin", "field"],
)
def test_tables_of_another_kind_are_refused_with_the_row(tmp_path, text, told):
    (tmp_path / "a.csv").write_bytes(text)
    assert told in refusal(read_rows, tmp_path / "a.csv", Place, "places", "write it again")
