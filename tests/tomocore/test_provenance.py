"""The run record keeps inputs, settings, times and each warning once."""

import json
import logging

import pytest
from pydantic import Field

from tomocore.contract import InputError
from tomocore.provenance import file_hash, read_record, recorded_run
from tomocore.settings import Settings


class Some(Settings):
    radius_nm: float = Field(2.0, description="radius (nm)")


def test_record_of_a_run(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("abc")
    log = logging.getLogger("surfora.somewhere")
    with recorded_run("surfora run", Some()) as record:
        record.add_input(source, voxel_size_nm=1.5)
        with record.stage("medial", of="x") as counts:
            counts["points"] = 7
        log.warning("odd %d", 1)
        log.warning("odd %d", 1)
        log.info("not a warning")
    log.warning("after the run")
    record.write(tmp_path / "run.json")
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["warnings"] == ["odd 1"]
    assert written["settings"] == {"radius_nm": 2.0}
    assert written["stages"][0]["points"] == 7
    assert written["inputs"][0]["sha256"].startswith("ba7816bf")  # of "abc", from FIPS 180-2
    assert written["inputs"][0]["voxel_size_nm"] == 1.5
    assert "numpy" in written["versions"]


def test_a_failing_stage_is_still_timed():
    def fail(record):
        with record.stage("mesh"):
            raise RuntimeError

    with recorded_run("surfora run") as record, pytest.raises(RuntimeError):
        fail(record)
    assert record.stages[0]["stage"] == "mesh"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        '{"id": "a", "started": "2026-01-01T00:00:00+00:00", "seconds": ' + "9" * 5000 + "}",
        '{"id": "a", "started": "2026-01-01T00:00:00+00:00", "warnings": 3}',
        '{"id": "a", "started": "2026-01-01T00:00:00+00:00", "inputs": [3]}',
        '{"id": "a", "started": "yesterday"}',
        '{"started": "2026-01-01T00:00:00+00:00"}',
    ],
    ids=["cut", "deep", "digits", "warnings", "inputs", "started", "id"],
)
def test_a_damaged_record_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json: ") as refusal:
        read_record(tmp_path / "run.json")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_a_missing_record_is_none(tmp_path):
    assert read_record(tmp_path / "missing.json") is None


def test_a_folders_hash_depends_on_its_files(tmp_path):
    (tmp_path / "a").write_text("1")
    before = file_hash(tmp_path)
    (tmp_path / "a").write_text("2")
    assert file_hash(tmp_path) != before
