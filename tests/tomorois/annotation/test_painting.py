"""Paint on one tomogram: undo, the journal after a kill, labels of others, and what train reads."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.files_of_annotation import painting_files
from tomorois.annotation.painting import Painting, painted_value
from tomorois.annotation.session import AnnotationSession, advice
from tomorois.annotation.settings import AnnotationSettings
from tomorois.annotation.strokes import BACKGROUND, IGNORE, line_stroke
from tomorois.annotation.targets import training_targets

SHAPE = (24, 40, 52)
rng = np.random.default_rng(5)


@pytest.fixture
def tomogram(tmp_path):
    path = tmp_path / "ts_01.mrc"
    write_volume(path, Volume(rng.normal(0, 1, SHAPE).astype(np.float32), 2.0, (10.0, 0.0, -4.0)))
    return path


def opened(tomogram):
    return Painting(read_volume(tomogram, lazy=True), painting_files(tomogram, tomogram.parent))


def ball(centre, radius=4.0, value=1):
    return line_stroke(SHAPE, centre, radius, value)


def random_strokes(count):
    kinds = [1, 2, BACKGROUND, IGNORE, 0]
    return [ball(rng.uniform(0, SHAPE), rng.uniform(1, 6), kinds[k % 5]) for k in range(count)]


def test_undo_and_redo_go_through_every_state(tomogram):
    painting = opened(tomogram)
    states = [painting.labels.copy()]
    for stroke in random_strokes(40):
        if painting.paint(stroke):
            states.append(painting.labels.copy())
    for state in reversed(states[:-1]):
        painting.undo()
        assert (painting.labels == state).all()
    assert painting.undo() is None
    for state in states[1:]:
        painting.redo()
        assert (painting.labels == state).all()
    assert painting.redo() is None
    painting.journal.close()


def test_a_painting_opened_again_is_the_same_and_can_still_be_undone(tomogram):
    painting = opened(tomogram)
    for stroke in random_strokes(12):
        painting.paint(stroke)
    painting.undo()
    painting.undo()
    painting.redo()
    painting.set_rest("ignore")
    painting.journal.close()  # as a process that ends without a word
    again = opened(tomogram)
    assert (again.labels == painting.labels).all()
    assert (again.strokes, again.can_redo, again.rest) == (painting.strokes, True, "ignore")
    for _ in range(again.strokes):
        again.undo()
    assert not again.labels.any()


def test_every_stroke_survives_a_kill(tomogram):
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from tomocore.volumes.formats import read_volume
        from tomorois.annotation.files_of_annotation import painting_files
        from tomorois.annotation.painting import Painting
        from tomorois.annotation.strokes import line_stroke
        path = Path({str(tomogram)!r})
        painting = Painting(read_volume(path, lazy=True), painting_files(path, path.parent))
        for n in range(1000):
            painting.paint(line_stroke({SHAPE}, (n % 24, n % 37, n % 50), 3.0, 1 + n % 3))
            print(n, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.read().splitlines()
    assert process.returncode == -signal.SIGKILL
    painted = len([line for line in told if line.strip()])
    again = opened(tomogram)
    assert 20 <= painted <= again.strokes <= painted + 1  # one may be on the disk and not yet told of
    expected = np.zeros(SHAPE, np.uint8)
    for n in range(again.strokes):
        stroke = line_stroke(SHAPE, (n % 24, n % 37, n % 50), 3.0, 1 + n % 3)
        expected[stroke.box][stroke.mask] = stroke.value
    assert (again.labels == expected).all()


def test_a_line_cut_short_is_left_out_and_painting_goes_on(tomogram):
    painting = opened(tomogram)
    painting.paint(ball((5, 10, 10)))
    painting.paint(ball((12, 20, 30)))
    painting.journal.close()
    files = painting_files(tomogram, tomogram.parent)
    files.journal.write_bytes(files.journal.read_bytes()[:-30])
    again = opened(tomogram)
    assert again.strokes == 1
    again.paint(ball((12, 20, 30)))
    again.journal.close()
    assert (opened(tomogram).labels == painting.labels).all()


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        ('"shape":[24,40,52]', '"shape":0.5'),
        ('"shape":[24,40,52]', '"shape":["a"]'),
        ('"rest":"ignore"', '"rest":"all"'),
        ('"near_nm":12.0', '"near_nm":NaN'),
    ],
)
def test_a_damaged_journal_is_told_with_its_file(tomogram, sound, damaged):
    painting = opened(tomogram)
    painting.paint(ball((12, 20, 20), 5))
    painting.set_rest("ignore", near_nm=12.0)
    painting.journal.close()
    journal = painting.files.journal
    text = journal.read_text()
    assert sound in text
    journal.write_text(text.replace(sound, damaged))
    with pytest.raises(InputError, match=f"{journal.name}: .*move the file away"):
        opened(tomogram)


@pytest.mark.parametrize("rest", ["background", "around", "ignore"])
def test_the_label_file_teaches_what_was_painted(tomogram, rest):
    painting = opened(tomogram)
    painting.paint(ball((12, 20, 20), 5))
    painting.paint(ball((12, 20, 40), 3, BACKGROUND))
    painting.paint(ball((3, 5, 5), 3, IGNORE))
    painting.set_rest(rest, near_nm=12.0)
    labels = read_volume(painting.write())
    assert labels.voxel_size_nm == pytest.approx(2.0)
    targets = training_targets(labels.data, AnnotationSettings())
    assert (targets.roi == (painting.labels == 1)).all()
    assert targets.counted[painting.labels == BACKGROUND].all()
    assert not targets.counted[painting.labels == IGNORE].any()
    bare = painting.labels == 0
    distance = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - (12, 20, 20), axis=-1)
    assert targets.counted[bare].all() == (rest == "background")
    if rest == "around":
        assert targets.counted[bare & (distance < 10)].all()
        assert not targets.counted[bare & (distance > 13)].any()
    if rest == "ignore":
        assert not targets.counted[bare].any()
    painting.journal.close()


def test_labels_of_another_program_are_taken_over_and_kept(tomogram):
    files = painting_files(tomogram, tomogram.parent)
    theirs = np.zeros(SHAPE, np.int16)
    theirs[4:8, 4:8, 4:8], theirs[10:14, 10:14, 10:14], theirs[20:] = 700, 2, -1
    write_volume(files.labels, Volume(theirs, 2.0))
    before = files.labels.read_bytes()
    painting = opened(tomogram)
    assert painting.roi_count() == 2
    assert painting.rest == "background"
    assert (painting.labels == IGNORE).sum() == (theirs == -1).sum()
    painting.paint(ball((16, 30, 30)))
    painting.close()
    assert files.labels.with_name(files.labels.name + ".before").read_bytes() == before
    again = opened(tomogram)
    assert (again.labels == painting.labels).all()
    assert again.roi_count() == 3
    again.undo()
    assert again.roi_count() == 2
    again.journal.close()


def test_labels_changed_by_another_program_since_are_believed(tomogram):
    painting = opened(tomogram)
    painting.paint(ball((12, 20, 20)))
    painting.close()
    files = painting_files(tomogram, tomogram.parent)
    write_volume(files.labels, Volume(np.ones(SHAPE, np.int8), 2.0))
    os.utime(files.labels, ns=(1, 1))
    again = opened(tomogram)
    assert (again.labels == 1).all()
    assert list(tomogram.parent.glob("*__strokes.before.jsonl"))
    again.journal.close()


def test_a_journal_of_another_tomogram_is_refused(tomogram):
    painting = opened(tomogram)
    painting.paint(ball((12, 20, 20)))
    painting.journal.close()
    write_volume(tomogram, Volume(np.zeros((5, 6, 7), np.float32), 2.0))
    with pytest.raises(InputError, match="strokes of a tomogram of shape"):
        opened(tomogram)


def test_a_session_keeps_each_tomogram_and_counts_rois(tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"ts_{number:02d}.mrc")
        write_volume(paths[-1], Volume(np.zeros(SHAPE, np.float32), 2.0))
    session = AnnotationSession(paths)
    session.painting.paint(ball((5, 10, 10)))
    session.painting.paint(ball((15, 30, 40)))
    assert "Spread them" in advice(session.overview())
    assert session.next()
    assert session.write_left() == [tmp_path / "ts_00__labels.mrc"]
    assert session.unwritten() == []
    session.painting.paint(ball((5, 10, 10), value=painted_value("roi", 2)))
    assert session.previous()
    assert session.painting.roi_count() == 2
    assert not session.previous()
    session.close()
    again = AnnotationSession(paths)
    assert [row.rois for row in again.overview()] == [2, 1, 0]
    assert again.write_all()
    again.close()
    assert not (tmp_path / "ts_02__labels.mrc").exists()


def test_what_is_painted_while_a_label_file_is_written_counts_as_unwritten(tomogram, monkeypatch):
    painting = opened(tomogram)
    painting.paint(ball((12, 20, 20)))
    taught = painting.taught

    def taught_then_painted():
        labels = taught()
        painting.paint(ball((5, 10, 10)))  # the hand, in another thread
        return labels

    monkeypatch.setattr(painting, "taught", taught_then_painted)
    painting.write()
    monkeypatch.undo()
    assert not painting.is_written
    painting.journal.close()  # as a crash leaves it
    again = opened(tomogram)
    assert not again.is_written
    assert np.asarray(read_volume(again.write()).data)[5, 10, 10] == 1
    again.close()
    assert opened(tomogram).is_written


def test_the_size_of_painted_places_is_that_of_balls(tomogram):
    painting = opened(tomogram)
    painting.paint(ball((12, 20, 20)))
    painting.paint(ball((5, 10, 10)))
    diameters = painting.roi_diameters_nm()
    assert len(diameters) == painting.roi_count() == 2
    volume = np.count_nonzero(painting.labels == 1) * 2.0**3 / 2
    assert diameters == pytest.approx([np.cbrt(6 * volume / np.pi)] * 2, rel=0.02)
    painting.close()
