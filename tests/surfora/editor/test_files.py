"""Edits survive a crash, and are replayed on the same surface, on one made anew, and on the command line."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import shapes
from command_line import refusal_of, run_command
from numpy.testing import assert_array_equal

from surfora.editor.files import open_session, save_edited
from surfora.editor.journal import Journal, edited_path, journal_path, read_journal
from surfora.editor.layers import Scale
from surfora.editor.remake import support_of
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_facts, read_surface, write_surface
from surfora.geometry.surface import PointCloud, SurfaceMesh
from tomocore.contract import InputError
from tomocore.volumes.volume import Volume


@pytest.fixture
def path(tmp_path):
    """A cloud of an open sphere as a run of `surfora` writes it."""
    points, normals = shapes.open_sphere(20.0).sample(spacing_nm=2.0)
    path = tmp_path / "cell.medial.points.vtp"
    write_surface(path, PointCloud(points, normals), SurfaceFacts("cell", "medial.points", identity="x"))
    return path


def chosen(session, *numbers):
    return np.isin(np.arange(session.count), numbers)


def edit_some(session):
    """Delete 3 points, flip 4, label 5, and delete 2 more, which is undone."""
    for verb, numbers in ((session.delete, range(3)), (session.flip, range(10, 14))):
        session.select(chosen(session, *numbers))
        verb()
    session.select(chosen(session, *range(20, 25)))
    session.set_label(3)
    session.select(chosen(session, 30, 31))
    session.delete()
    session.undo()


def as_edited(session):
    return {name: getattr(session, name) for name in ("kept", "flipped", "label")}


def assert_edited_alike(one, other):
    for name, values in as_edited(one).items():
        assert_array_equal(values, getattr(other, name), err_msg=name)


def test_names_of_edited_files_keep_the_kind(tmp_path):
    assert edited_path(tmp_path / "a.medial.points.vtp").name == "a.edited.medial.points.vtp"
    assert edited_path(tmp_path / "a.ply", tmp_path / "out") == tmp_path / "out" / "a.edited.ply"
    assert edited_path(tmp_path / "a.b.xyz").name == "a.b.edited.vtp"
    assert journal_path(tmp_path / "a.medial.vtp").name == "a.medial.edits.jsonl"


def test_edits_are_there_again_when_the_file_is_opened(path):
    session = open_session([path])
    edit_some(session)
    session.journal.close()
    again = open_session([path])
    assert_edited_alike(session, again)
    assert again.is_unsaved
    assert "3 edits" in again.notes[0]
    again.redo()
    assert not again.kept[30:32].any()


def test_a_killed_process_loses_no_edit(path):
    code = (
        "import sys, os, signal, numpy as np; from pathlib import Path\n"
        "from surfora.editor.files import open_session\n"
        "session = open_session([Path(sys.argv[1])])\n"
        "for n in range(3):\n"
        "    session.select(np.arange(session.count) == 5 + n); session.delete()\n"
        "session.undo()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], env=os.environ, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    session = open_session([path])
    assert_array_equal(np.flatnonzero(~session.kept), [5, 6])


def test_a_line_cut_short_is_left_out_and_the_file_goes_on(path, caplog):
    session = open_session([path])
    edit_some(session)
    place = session.journal.path
    session.journal.close()
    with place.open("ab") as file:
        file.write(b'{"entry":"edit","kind":"del')
    again = open_session([path])
    assert "cut short" in caplog.text
    assert_edited_alike(session, again)
    again.select(chosen(again, 40))
    again.delete()
    again.journal.close()
    assert not open_session([path]).kept[40]


def test_two_windows_do_not_write_to_one_file(path):
    session = open_session([path])
    with pytest.raises(InputError, match="--edits"):
        open_session([path])
    other = open_session([path], edits=path.with_name("other.edits.jsonl"))
    for one in (session, other):
        one.journal.close()
    assert not journal_path(path).exists()  # nothing was edited


def test_earlier_edits_are_put_aside_where_one_begins_anew(path):
    session = open_session([path])
    edit_some(session)
    session.journal.close()
    anew = open_session([path], anew=True)
    assert anew.kept.all()
    assert path.with_name("cell.medial.points.1.edits.jsonl").exists()


def test_saved_files_hold_the_edits_and_the_facts(path):
    session = open_session([path])
    edit_some(session)
    target = edited_path(path)
    save_edited(session, {0: target})
    assert not session.is_unsaved
    cloud = read_surface(target)
    assert len(cloud.points) == session.count - 3
    assert (cloud.data["label"] == 3).sum() == 5
    facts = read_facts(target)
    assert (facts.name, facts.kind, facts.identity) == ("cell.edited", "medial.points", "")
    session.journal.close()
    assert not open_session([path]).is_unsaved


def test_the_file_under_edit_is_not_written_over(path):
    session = open_session([path])
    with pytest.raises(InputError, match="another name"):
        save_edited(session, {0: path})
    session.select_all()
    session.delete()
    with pytest.raises(InputError, match="no point is left"):
        save_edited(session, {0: edited_path(path)})


@pytest.fixture
def edits(path):
    session = open_session([path])
    edit_some(session)
    session.journal.close()
    return journal_path(path)


def test_apply_writes_what_the_window_had(path, edits, tmp_path):
    result = run_command("surfora", "apply", edits, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "3 edits, 12 of 12 points found again" in result.stdout
    cloud, first = read_surface(tmp_path / "out" / "cell.edited.medial.points.vtp"), read_surface(path)
    assert_array_equal(cloud.points, first.points[3:])
    turned = np.isin(np.arange(3, len(first.points)), range(10, 14))
    assert_array_equal(cloud.normals, np.where(turned, -1, 1)[:, None] * first.normals[3:])
    assert_array_equal(np.flatnonzero(cloud.data["label"]), np.arange(17, 22))
    assert "skipped" in run_command("surfora", "apply", edits, "-o", tmp_path / "out").stdout


def test_apply_finds_points_by_place_in_a_surface_made_anew(path, edits, tmp_path):
    cloud = read_surface(path)
    order = np.random.default_rng(0).permutation(len(cloud.points))
    order = order[~np.isin(order, [1, 21, 22])]  # three of the twelve are gone
    moved = cloud.points[order] + 0.02
    sides = np.where(np.arange(len(order)) % 2, 1.0, -1.0)  # and every other normal came out the other way
    (tmp_path / "new").mkdir()
    anew = PointCloud(moved, sides[:, None] * cloud.normals[order])
    write_surface(tmp_path / "new" / path.name, anew)
    result = run_command(
        "surfora", "apply", edits, "--files", tmp_path / "new" / path.name, "-o", tmp_path / "o"
    )
    assert result.returncode == 0, result.stderr
    assert "9 of 12 points found again" in result.stdout
    assert "delete: 2 of 3 points are still there" in result.stderr
    assert "label 3: 3 of 5 points are still there" in result.stderr
    made = read_surface(tmp_path / "o" / "cell.edited.medial.points.vtp")
    assert len(made.points) == len(order) - 2
    kept = ~np.isin(order, [0, 2])
    for was, normal, side in zip(order[kept], made.normals, sides[kept], strict=True):
        expected = -cloud.normals[was] if 10 <= was < 14 else side * cloud.normals[was]
        np.testing.assert_allclose(normal, expected, atol=1e-6)


def test_apply_fails_where_no_point_is_left(path, edits, tmp_path):
    other = tmp_path / "other.vtp"
    write_surface(other, PointCloud(read_surface(path).points + 500.0))
    result = run_command("surfora", "apply", edits, "--files", other)
    assert "none of the 12 points" in refusal_of(result)
    assert not edited_path(other).exists()


def test_apply_says_which_file_is_missing(path, edits):
    path.rename(path.with_name("moved.vtp"))
    refused = refusal_of(run_command("surfora", "apply", edits))
    assert "cell.medial.points.vtp: no such file" in refused
    assert "--files" in refused


def test_edits_of_a_file_with_a_name_that_no_file_can_have_are_refused(path, edits):
    edits.write_text(edits.read_text().replace(path.name, "µ" * 5000 + ".vtp"))
    assert "no such file" in refusal_of(run_command("surfora", "apply", edits))


GARBLED = {
    "no edits": b"hello\n",
    "another file": b'{"entry": "saved"}\n',
    "no text": b"\xff\xfe\x00",
    "a kind that is none": b'{"entry":"header"}\n{"entry":"edit","kind":"melt","on":[]}\n',
    "points that do not unpack": b'{"entry":"header"}\n{"entry":"source","number":0,"path":"cell.vtp"'
    b',"count":3,"digest":"x"}\n{"entry":"edit","kind":"delete","on":[{"source":0,"count":9,'
    b'"numbers":"????","places_nm":""}]}\n',
    "more undone than done": b'{"entry":"header"}\n{"entry":"undo"}\n',
    "nothing in it": b"",
}


@pytest.mark.parametrize("what", GARBLED)
def test_garbled_edits_are_refused_in_one_line(what, path, tmp_path):
    edits = tmp_path / "x.edits.jsonl"
    edits.write_bytes(GARBLED[what])
    refused = refusal_of(run_command("surfora", "apply", edits))
    assert "edit" in refused


def test_points_that_would_unfold_beyond_their_number_are_refused(path, edits):
    entries = [json.loads(line) for line in edits.read_text().splitlines()]
    entries[2]["on"][0]["count"] = 2
    edits.write_text("\n".join(map(json.dumps, entries)) + "\n")
    assert "garbled" in refusal_of(run_command("surfora", "apply", edits))


def test_a_journal_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(InputError, match="--edits"):
        Journal(tmp_path / "no" / "folder.edits.jsonl")


def test_every_line_is_one_entry(edits):
    kinds = [entry.entry for entry in read_journal(edits)]
    assert kinds == ["header", "source", "edit", "edit", "edit", "edit", "undo"]


def test_a_file_in_angstrom_is_edited_in_nm_and_replayed_so(tmp_path):
    points, _ = shapes.open_sphere(20.0).sample(spacing_nm=4.0)
    path = tmp_path / "other.xyz"
    np.savetxt(path, 10 * points)
    session = open_session([path], scale=Scale("angstrom"))
    np.testing.assert_allclose(session.points, points, atol=1e-6)
    session.select(chosen(session, *range(5)))
    session.delete()
    session.journal.close()
    ended = run_command("surfora", "apply", journal_path(path), "-o", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    written = read_surface(tmp_path / "out" / "other.edited.vtp")
    np.testing.assert_allclose(written.points, points[5:], atol=1e-5)


def test_what_was_made_in_the_window_is_there_again_with_its_edits(path):
    session = open_session([path])
    made = path.with_name("cell.edited.medial.vtp")
    write_surface(made, SurfaceMesh(*shapes.open_sphere(20.0).mesh(2.0)))
    session.journal.append_remade(made, path)
    session.add_layer(made)
    session.select(session.layer_of == 1)
    session.set_label(4)
    session.journal.close()
    again = open_session([path])
    assert [layer.path.name for layer in again.layers] == [path.name, made.name]
    assert again.layer_shown == [False, True]
    assert_array_equal(again.label, np.where(again.layer_of == 1, 4, 0))
    assert made.name in again.notes[0]
    again.journal.close()
    made.unlink()
    alone = open_session([path])
    assert len(alone.layers) == 1
    assert alone.layer_shown == [True]
    alone.journal.close()


def test_what_is_meshed_anew_stays_within_the_membrane_that_the_points_lie_in():
    data = np.zeros((20, 24, 28), np.int16)
    data[8:11], data[15:17] = 2, 5
    labels = Volume(data, 2.0, (100.0, 0.0, -10.0))
    points = labels.world(np.argwhere(data == 2)[::7] + np.array([0, 0, 0.2]))
    stray = labels.world([[15, 3, 3], [0, 0, 0]])
    support, others = support_of(np.concatenate([points, stray]), labels)
    inside = np.round(support.index(points)).astype(int)
    assert support.data[tuple(inside.T)].all()
    assert np.count_nonzero(support.data) == np.count_nonzero(data == 2)
    assert np.count_nonzero(others) == np.count_nonzero(data == 5)
    assert support_of(points, labels.with_data(data == 2))[1] is None
    with pytest.raises(InputError, match="no point lies in the mask"):
        support_of(points + 1000, labels)
    with pytest.raises(InputError, match="no point lies in the mask"):
        support_of(stray[1:], labels)
