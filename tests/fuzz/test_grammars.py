"""Files of the right grammar and any content: read, or refused by the product's own error."""

import contextlib
import json
import math
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surfora.geometry.clouds import text_points
from surfora.reporting.tables import REQUIRED, read_table
from surfora.settings import SurforaSettings
from tomocore.contract import InputError
from tomocore.files_of_tomograms import LONGEST_NAME_BYTES, safe_name, typed_name
from tomocore.provenance import StoredRecord, read_record
from tomocore.settings import load_settings
from tomorois.guidance.learning_curve import CurvePoint, read_points
from tomorois.instances.crops import CropRow
from tomorois.prediction.record import model_threshold

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
ANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
numbers = st.integers() | st.floats() | st.integers(10**17, 10**400)
leaves = st.none() | st.booleans() | numbers | st.text(max_size=20)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
words = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    numbers.map(str),
    st.sampled_from(["nan", "inf", "-", "1e999", "NA", "True", '"', "a,b"]),
)


def of_keys(names):
    """Mostly the right keys, with anything below them."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))


@given(record=of_keys(StoredRecord.model_fields))
@ANY
def test_run_records(tmp_path, record):
    path = tmp_path / "run.json"
    with contextlib.suppress(OverflowError):
        path.write_text(json.dumps(record), encoding="utf-8")
    with contextlib.suppress(InputError):
        found = read_record(path)
        assert set(found) == set(StoredRecord.model_fields)


@given(record=of_keys(("threshold", "model_sha256")) | values)
@ANY
def test_sidecars_of_maps(tmp_path, record):
    (tmp_path / "m.json").write_text(json.dumps(record), encoding="utf-8")
    threshold = model_threshold(tmp_path / "m.mrc")
    assert threshold is None or 0 < threshold < 1


def table_of(names):
    """Rows of any words under the right heads, some rows too short or too long."""
    rows = st.lists(st.lists(words, min_size=len(names) - 1, max_size=len(names) + 1), max_size=4)
    return rows.map(lambda found: "\n".join(",".join(row) for row in [list(names), *found]) + "\n")


@pytest.mark.parametrize("name", list(REQUIRED))
@given(data=st.data())
@ANY
def test_tables_of_a_run(tmp_path, name, data):
    (tmp_path / name).write_text(data.draw(table_of(REQUIRED[name])), encoding="utf-8")
    with contextlib.suppress(InputError):
        read_table(tmp_path / name)


@given(text=table_of(tuple(CurvePoint.__dataclass_fields__)))
@ANY
def test_points_of_a_curve(tmp_path, text):
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    with contextlib.suppress(InputError):
        assert all(point.rois >= 1 for point in read_points(tmp_path / "c.csv"))


@given(text=table_of(("x", "y", "z", "nx", "ny", "nz")) | table_of(tuple(CropRow.model_fields)))
@ANY
def test_points_in_columns(tmp_path, text):
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with contextlib.suppress(InputError):
        cloud, _ = text_points(tmp_path / "p.csv")
        assert cloud.points.shape[1] == 3
        assert all(len(array) == len(cloud.points) for array in cloud.data.values())


def toml(value):
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{'-' * (value < 0)}inf" if math.isinf(value) else repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value) if isinstance(value, str) else str(value or 0)


sections = sorted(SurforaSettings.model_fields)
keys = {
    name: sorted(getattr(field.annotation, "model_fields", {"a": 0}))
    for name, field in SurforaSettings.model_fields.items()
}


@given(section=st.sampled_from(sections), data=st.data())
@ANY
def test_settings(tmp_path, section, data):
    key = data.draw(st.sampled_from(keys[section]) | st.text("abc_", min_size=1, max_size=5))
    text = f"[{section}]\n{key} = {toml(data.draw(values))}\n"
    (tmp_path / "s.toml").write_text(text, encoding="utf-8", errors="replace")
    with contextlib.suppress(InputError):
        load_settings(SurforaSettings, tmp_path / "s.toml")


@given(name=st.text(max_size=400))
@ANY
def test_typed_names_are_one_line_and_parts_of_file_names(name):
    shown, safe = typed_name(name), safe_name(name)
    assert shown == typed_name(shown)
    assert not set(shown) & set("\n\r\t\x00")
    assert 0 < len(safe.encode()) <= LONGEST_NAME_BYTES
    assert not set(safe) & set('/\\:*?"<>|&\n\x00')
    assert safe not in (".", "..")
    assert safe.strip(" .") == safe
    assert safe_name(safe) == safe
