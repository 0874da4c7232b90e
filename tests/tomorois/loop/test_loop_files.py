"""What was painted and judged as the files of a training, and where everything lies."""

import shlex

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.roiset import read_rois, rois_from_masks, write_rois
from tomocore.settings import load_section, settings_text
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.judged_roi import JudgedRoi
from tomorois.annotation.settings import AnnotationSettings
from tomorois.annotation.strokes import BACKGROUND, IGNORE, line_stroke
from tomorois.annotation.targets import training_targets
from tomorois.loop.changes import change_of
from tomorois.loop.commands import handover_rois, job_script, train_command
from tomorois.loop.folder import LoopFolder, loop_of, membranes_beside, model_facts
from tomorois.loop.measured import (
    array_headings,
    contact_of,
    measured_of,
    nearest_distance,
    nearest_hit,
    offered_arrays,
    told_headings,
)
from tomorois.loop.state import LoopState
from tomorois.loop.training_set import taught_labels
from tomorois.training.penalty import rejected_mask
from tomorois.training.settings import TrainSettings

SHAPE = (24, 40, 50)
CENTRES = [(8, 10, 10), (8, 28, 12), (16, 12, 38), (16, 30, 38)]


@pytest.fixture
def loop(tmp_path):
    paths = [tmp_path / f"ts_{n}.mrc" for n in range(2)]
    for path in paths:
        write_volume(path, Volume(np.random.default_rng(1).normal(size=SHAPE).astype(np.float32), 2.0))
    state = LoopState(paths)
    strokes = [line_stroke(SHAPE, centre, 3.0, 1) for centre in CENTRES]
    rois = rois_from_masks([s.start for s in strokes], [s.mask for s in strokes], SHAPE, 2.0)
    state.folder.rois.mkdir()
    write_rois(state.folder.rois, "ts_0", rois)
    yield state
    state.close()


def judged(state, **statuses):
    curation = state.open_curation()
    for name, status in statuses.items():
        curation.look_at(("ts_0", int(name[1:])))
        curation.judge(status, go_on=False)
    return curation


def inside(centre):
    stroke = line_stroke(SHAPE, centre, 3.0, 1)
    mask = np.zeros(SHAPE, bool)
    mask[stroke.box] = stroke.mask
    return mask


def test_paint_wins_and_what_nobody_judged_is_ignored(loop):
    curation = judged(loop, r1="kept", r2="rejected", r3="unsure")
    painting = loop.session.painting
    painting.paint(line_stroke(SHAPE, (8, 10, 10), 1.0, BACKGROUND))
    painting.paint(line_stroke(SHAPE, (20, 5, 45), 2.0, IGNORE))
    labels = taught_labels(painting, curation.of("ts_0"))
    targets = training_targets(labels, AnnotationSettings())
    assert (targets.roi == (inside(CENTRES[0]) & (painting.labels == 0))).all()
    assert not targets.roi[8, 10, 10]
    assert targets.counted[inside(CENTRES[1])].all()
    assert not targets.counted[inside(CENTRES[2])].any()
    assert not targets.counted[inside(CENTRES[3])].any()
    assert not targets.counted[20, 5, 45]
    assert targets.counted[8, 10, 18]  # near the kept one: background
    assert not targets.counted[23, 39, 49]


def test_a_tomogram_judged_to_its_end_teaches_everywhere(loop):
    curation = judged(loop, r1="kept", r2="rejected", r3="kept", r4="rejected")
    labels = taught_labels(loop.session.painting, curation.of("ts_0"))
    assert (labels != IGNORE).all()
    assert ((labels > 0) == (inside(CENTRES[0]) | inside(CENTRES[2]))).all()
    assert len(np.unique(labels[labels > 0])) == 2


def test_a_training_reads_kept_and_rejected_without_a_name(loop):
    judged(loop, r1="kept", r2="rejected")
    request = loop.training_request(2.0)
    assert [path.name for path in request.files.tomograms] == ["ts_0.mrc"]
    assert request.model.name == "model_001.safetensors"
    penalty = rejected_mask(read_rois(request.files.penalties[0]))
    assert (penalty == inside(CENTRES[1])).all()
    command = shlex.split(train_command(request))
    assert command[:2] == ["tomorois", "train"]
    assert command[command.index("--penalty") + 1].endswith("ts_0__rejected.npz")
    assert command[command.index("--minutes") + 1] == "2"
    assert "--time=15" in job_script(train_command(request), "model_001", 2.0)
    sample = request.files.read(request.files.tomograms, ignore_value=255)[0][0]
    assert (sample.labels == read_volume(request.files.labels[0]).data).all()


def test_nothing_painted_is_nothing_to_learn(loop):
    with pytest.raises(InputError, match="paint a few places"):
        loop.training_request()
    with pytest.raises(InputError, match="train one first"):
        loop.training_request(refine=True)
    with pytest.raises(InputError, match="was stopped"):
        loop.training_request(resume=True)
    with pytest.raises(InputError, match="predict first"):
        loop.find_rois()


def test_a_folder_finds_its_tomograms_membranes_and_models(loop):
    root = loop.folder.root
    write_volume(root / "ts_1__membranes.mrc", Volume(np.ones(SHAPE, np.int8), 2.0))
    assert {t.name: m.name for t, m in membranes_beside(loop.session.tomograms).items()} == {
        "ts_1.mrc": "ts_1__membranes.mrc"
    }
    (root / "tomorois_session.json").unlink()
    assert [path.name for path in loop_of(root / "rois")[1]] == ["ts_0.mrc"]
    folder = LoopFolder(root)
    folder.models.mkdir()
    (folder.models / "model_003.training.safetensors").write_bytes(b"")
    assert folder.next_model().name == "model_004.safetensors"
    assert folder.stopped_training().name == "model_003.safetensors"
    assert folder.model_files() == []
    (folder.models / "model_001.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match="no model file"):
        model_facts(folder.models / "model_001.safetensors")
    with pytest.raises(InputError, match="holds no <name>"):
        loop_of(folder.models)


def test_only_what_was_kept_is_handed_over(loop):
    curation = judged(loop, r1="kept", r2="rejected")
    curation.write()
    path = handover_rois(curation.curated / "ts_0__rois.npz", loop.folder.root / "out")
    assert list(read_rois(path).ids) == [1]
    path = handover_rois(loop.folder.rois_of(loop.session.tomogram), loop.folder.root / "out")
    assert list(read_rois(path).ids) == [1, 2, 3, 4]


def test_what_became_better_and_worse():
    mask = np.ones((2, 2, 2), bool)
    rois = [
        JudgedRoi("ts", 1, (0, 0, 0), mask, "kept"),
        JudgedRoi("ts", 2, (0, 0, 4), mask, "kept"),
        JudgedRoi("ts", 3, (0, 4, 0), mask, "rejected"),
    ]
    before, after = np.zeros((2, 6, 6)), np.zeros((2, 6, 6))
    before[:, :2, :2], before[:, 4:, :2] = 0.9, 0.9
    after[:, :2, :2], after[:, :2, 4:] = 0.9, 0.6
    change = change_of("ts", rois, (after, 0.5), (before, 0.5))
    assert (change.kept_found_before, change.kept_found, change.kept) == (1, 2, 2)
    assert (change.rejected_found_before, change.rejected_found) == (1, 0)
    assert change.verdict == "better"
    assert change_of("ts", rois, (before, 0.5), (after, 0.5)).verdict == "worse"
    assert change_of("ts", rois, (after, 0.7), (before, 0.5)).verdict == "better"
    assert change_of("ts", rois, (after, 0.5)).verdict == "new"
    assert "1 → 2 of 2" in change.line()


def test_settings_written_are_read_again(tmp_path):
    settings = TrainSettings(bin_factor=2, steps=7, device="cpu")
    path = tmp_path / "train.toml"
    path.write_text(settings_text(settings, "train"), encoding="utf-8")
    assert load_section(TrainSettings, "train", ("train",), path) == settings


def test_settings_come_back_with_the_loop_and_damage_begins_anew(loop, caplog):
    tomograms = loop.session.tomograms
    assert not loop.polarity_is_known
    loop.train_settings = loop.train_settings.model_copy(update={"bin_factor": 1, "seed": 7})
    loop.take_polarity("bright")
    loop.choose_threshold(0.3)
    loop.close()
    again = LoopState(tomograms)
    assert (again.train_settings.bin_factor, again.train_settings.seed) == (1, 7)
    assert again.train_settings.intensity.polarity == "bright"
    assert again.polarity_is_known
    assert again.threshold() == 0.3
    assert LoopState(tomograms, train=TrainSettings()).train_settings == TrainSettings()
    session = loop.folder.root / "tomorois_session.json"
    for damage in (
        "",
        "[]",
        '{"tomograms": 3, "settings": []}',
        '{"settings": {"train": {"bin_factor": 0}}}',
    ):
        session.write_text(damage)
        assert loop.folder.remembered() == []
        assert LoopState(tomograms).train_settings == TrainSettings()
    assert "do not fit this version" in caplog.text


def test_what_was_measured_of_a_surface_has_headings_in_words(tmp_path):
    from surfora.reporting.tables import write_table

    rows = [{"name": f"m_{n}", "kind": "medial", "source": "m.mrc", "area_nm2": 1234.5 * n} for n in (1, 2)]
    write_table(tmp_path / "surfaces.csv", rows)
    write_table(tmp_path / "distances.csv", [{"name": "m_1", "target": "m_2", "mean_nm": 22.61}])
    values = measured_of(tmp_path, "m_2", told_headings(()))
    told = {value.heading: value.value for value in values}
    assert told["area (nm²)"] == "2,469"
    assert "mask" not in told
    assert [value.heading for value in values if not value.value] == ["Surface", "Distance"]
    assert any(value.value == "22.6" for value in values)
    assert "area of the triangles" in next(v.meaning.lower() for v in values if v.heading == "area (nm²)")


def test_a_share_of_one_is_a_hundred_percent(tmp_path):
    (tmp_path / "surfaces.csv").write_text("name,curvature_area_share,measured_area_share\nm,1,0.25\n")
    told = {value.heading: value.value for value in measured_of(tmp_path, "m", told_headings(()))}
    assert told["area with a curvature (%)"] == "100"
    assert "25" in told.values()


def test_a_contact_and_the_arrays_of_surfaces_have_their_words(tmp_path):
    from surfora.reporting.tables import write_table

    rows = [{"contact": n, "name": "a", "target": "b", "gap_mean_nm": 10.0 * n} for n in (1, 2)]
    write_table(tmp_path / "contacts.csv", rows)
    headings = told_headings(("mean_curvature_per_nm", "distance_to_b_nm", "contact_id", "odd"))
    values = contact_of(tmp_path, 2, headings)
    assert values[0].heading == "Contact 2"
    assert ("gap, mean (nm)", "20") in [(value.heading, value.value) for value in values]
    assert contact_of(tmp_path, 3, headings) == contact_of(tmp_path / "none", 1, headings) == []
    assert array_headings(("odd",), headings) == {
        "mean_curvature_per_nm": "mean curvature H (1/nm)",
        "distance_to_b_nm": "gap to b (nm)",
        "odd": "odd",
    }
    assert array_headings(("area_nm2",), {}) == {"area_nm2": "area nm2"}


def test_of_many_distances_the_nearest_is_offered():
    arrays = {f"distance_to_{n}_nm": np.array([n, np.nan, 9.0 - n]) for n in range(7)}
    near = nearest_distance(arrays)
    np.testing.assert_array_equal(near["distance_to_nearest_nm"], [0.0, np.nan, 3.0])
    assert nearest_distance({"distance_to_a_nm": near["distance_to_nearest_nm"]}) == {}
    few = ("contact_id", "area_nm2", *list(arrays)[:6], "distance_to_nearest_nm")
    assert offered_arrays(few) == few[1:]
    assert offered_arrays((*few, *arrays)) == ("area_nm2", "distance_to_nearest_nm")


def test_a_line_meets_the_nearest_surface_at_its_nearest_vertex():
    from shapes import sphere

    vertices, faces = sphere(5.0, seed=None).mesh(0.4)
    surfaces = {name: (np.add(vertices, (x, 2.0, 3.0)), faces) for name, x in (("far", 40.0), ("near", 20.0))}
    start, way = np.array([-100.0, 2.5, 3.0]), np.array([1.0, 0, 0])
    name, vertex = nearest_hit(surfaces, start, way)
    assert name == "near"
    assert np.linalg.norm(surfaces[name][0][vertex] - [15.0, 2.5, 3.0]) < 0.4
    name, vertex = nearest_hit(surfaces, start + 200 * way, -way)
    assert name == "far"
    assert np.linalg.norm(surfaces[name][0][vertex] - [45.0, 2.5, 3.0]) < 0.4
    assert nearest_hit(surfaces, start, -way) is None
    assert nearest_hit(surfaces, np.add(start, (0, 50, 0)), way) is None
