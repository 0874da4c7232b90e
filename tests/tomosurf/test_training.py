"""Training as a step of a project: what it learns from, when it is made; both doors give the same bytes."""

import hashlib
import json

import numpy as np
import pytest
from command_line import refusal_of, run_command

import tomosurf.maps
from tomocore.contract import InputError, Watcher
from tomocore.roiset import rois_from_masks, write_rois
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.curation import Curation
from tomorois.annotation.session import AnnotationSession
from tomorois.annotation.strokes import line_stroke
from tomorois.loop.folder import model_facts
from tomosurf.annotating import loop_of_project
from tomosurf.pages.runs import rounds_trained, training_sections
from tomosurf.project import inputs_in, read_project
from tomosurf.run import run_project, train_project
from tomosurf.step_records import read_step_record
from tomosurf.steps import StepMaker
from tomosurf.train_round import train_round
from tomosurf.training import advice_on_training, due_round, record_of_round, training_told
from tomosurf.validation import problems_of
from tomosurf.workflow.job_folder import job_folder
from tomosurf.workflow.job_process import make_step
from tomosurf.workflow.jobs import training_jobs, write_plan

SHAPE = (20, 24, 28)
PLACES = ((4, 4, 4), (10, 12, 16))
TRAIN = (
    "bin_factor = 1\npatch_voxels = 16\nsteps = 6\ncheckpoint_seconds = 0.0\n"
    "[train.network]\nlayers = 2\ndilations = [1]\n[train.validation]\nchecks = 2\n"
)
SETTINGS = f'annotations = "painted"\n[train]\n{TRAIN}'
STEMS = ("t1", "t2", "t3", "t4")


@pytest.fixture
def folder(tmp_path):
    """Four tomograms: one with labels, one to be judged, one held out, one for a test, both with labels."""
    for place in ("tomograms", "membranes", "painted"):
        (tmp_path / place).mkdir()
    for seed, stem in enumerate(STEMS):
        roi = np.zeros(SHAPE, np.int16)
        for number, (z, y, x) in enumerate(PLACES, start=1):
            roi[z : z + 5, y : y + 5, x : x + 5] = number
        grey = np.random.default_rng(seed).normal(size=SHAPE) - 3 * (roi > 0)
        write_volume(tmp_path / "tomograms" / f"{stem}.mrc", Volume(grey.astype(np.float32), 2.0))
        membranes = (np.abs(np.arange(SHAPE[0]) - 12) < 2)[:, None, None] * np.ones(SHAPE)
        write_volume(
            tmp_path / "membranes" / f"{stem}__membranes.mrc", Volume(membranes.astype(np.int8), 2.0)
        )
        if stem != "t2":
            write_volume(tmp_path / "painted" / f"{stem}__labels.mrc", Volume(roi, 2.0))
    (tmp_path / "tomograms.csv").write_text("name,split\nt1,train\nt2,\nt3,validation\nt4,Test\n")
    (tmp_path / "project.toml").write_text(SETTINGS)
    return tmp_path


class Listener(Watcher):
    """Keeps the lines that it is told."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line.strip())


def judge(folder, stem, *statuses):
    """Find two ROIs in a tomogram, and say what each is."""
    rois = folder / "results" / "rois"
    rois.mkdir(parents=True, exist_ok=True)
    masks = [np.ones((5, 5, 5), bool)] * 2
    write_rois(rois, stem, rois_from_masks(list(PLACES), masks, SHAPE, 2.0, (0.0, 0.0, 0.0)), overwrite=True)
    curation = Curation(rois)
    for roi, status in zip(curation.of(stem), statuses, strict=True):
        curation.look_at(roi.key)
        curation.judge(status, go_on=False)
    curation.close()


def trained(folder):
    """Train the round that is due; the bytes of its model."""
    project = read_project(folder)
    due = due_round(project, retrain=True)
    train_round(project, due)
    return project.round_model(due.number).read_bytes()


def test_both_doors_give_the_same_bytes_and_the_tests_tomogram_is_never_seen(folder):
    judge(folder, "t2", "kept", "rejected")
    by_project = trained(folder)
    facts = model_facts(read_project(folder).model)
    assert facts.path == folder / "results" / "models" / "round_001.safetensors"
    assert facts.learned == (("t1", 2), ("t2", 1))
    assert facts.held_out == ("t3",)
    assert facts.sees_membranes
    (folder / "tools.toml").write_text(f"[train]\n{TRAIN}")
    words = "train --tomograms tomograms/t1.mrc tomograms/t2.mrc --validation tomograms/t3.mrc --labels "
    words += "painted/t1__labels.mrc results/training/t2__labels.mrc painted/t3__labels.mrc --penalty "
    words += "results/training --membranes membranes -o hand.safetensors -s tools.toml -j 1"
    result = run_command("tomorois", *words.split(), cwd=folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "hand.safetensors").read_bytes() == by_project
    record = read_step_record(record_of_round(read_project(folder), 1))
    assert record.state == "done"
    assert "tomogram t4" not in record.inputs
    assert "ROIs judged of t2" in record.inputs


@pytest.fixture
def drawn(folder, monkeypatch):
    """A project whose membranes a model draws; the tomograms that these are drawn in, as they are drawn."""
    words = "train --tomograms tomograms/t1.mrc --labels painted -o drawer.safetensors -s tools.toml -j 1"
    (folder / "tools.toml").write_text(f"[train]\n{TRAIN}")
    assert run_command("tomorois", *words.split(), cwd=folder).returncode == 0
    settings = 'membrane_model = "drawer.safetensors"\n' + SETTINGS + '[instances]\nsplit = "contacts"\n'
    (folder / "project.toml").write_text(settings)
    found = []
    predict = tomosurf.maps.predict_files

    def told(model, request, *more):
        if request.what == "membranes":
            found.append(request.tomograms[0].stem)
        return predict(model, request, *more)

    monkeypatch.setattr(tomosurf.maps, "predict_files", told)
    return found


def test_membranes_are_drawn_once_for_training_and_prediction(folder, drawn, monkeypatch):
    monkeypatch.setattr(StepMaker, "_measure", lambda *_: None)
    assert problems_of(read_project(folder)) == []
    assert not run_project(read_project(folder)).failed
    assert sorted(drawn) == ["t1", "t2", "t3", "t4"]
    assert model_facts(read_project(folder).model).sees_membranes
    drawn.clear()
    assert train_project(read_project(folder), from_scratch=True).done  # the maps follow, membranes stay
    assert not run_project(read_project(folder)).failed
    assert drawn == []
    run_project(read_project(folder), overwrite=True)
    assert sorted(drawn) == ["t1", "t2", "t3", "t4"]


def test_a_training_never_sees_membranes_of_another_tomogram_or_model(folder, drawn):
    trained(folder)
    assert drawn == ["t1", "t3"]
    grey = read_volume(folder / "tomograms" / "t1.mrc")
    write_volume(folder / "tomograms" / "t1.mrc", grey.with_data(grey.data + np.float32(1.0)))
    trained(folder)
    assert drawn == ["t1", "t3", "t1"]
    model = (folder / "drawer.safetensors").read_bytes()
    words = "train --tomograms tomograms/t3.mrc --labels painted -o other.safetensors -s tools.toml -j 1"
    assert run_command("tomorois", *words.split(), cwd=folder).returncode == 0
    (folder / "other.safetensors").replace(folder / "drawer.safetensors")
    assert (folder / "drawer.safetensors").read_bytes() != model
    trained(folder)
    assert drawn[3:] == ["t1", "t3"]


def test_membranes_stay_drawn_where_the_training_after_them_is_broken_off(folder, drawn, monkeypatch):
    def broken(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tomorois.training.files.train", broken)
        with pytest.raises(KeyboardInterrupt):
            trained(folder)
    trained(folder)
    assert drawn == ["t1", "t3"]


def test_what_is_taught_is_what_the_window_teaches(folder):
    """Strokes beside judged ROIs: the labels and rejected ROIs that the window's training would write."""
    session = AnnotationSession([folder / "tomograms" / "t2.mrc"], folder / "painted")
    session.painting.paint(line_stroke(SHAPE, (16, 4, 22), 3.0, 1))
    session.close()
    judge(folder, "t2", "kept", "unsure")
    before = {path: path.read_bytes() for path in (folder / "painted").iterdir()}
    project = read_project(folder)
    train_round(project, due_round(project))
    ours = folder / "results" / "training"
    assert {path: path.read_bytes() for path in (folder / "painted").iterdir()} == before
    loop = loop_of_project(project)
    assert loop.train_settings == project.settings.train
    loop.training_request()
    loop.close()
    theirs = folder / "painted" / "training" / "t2__labels.mrc"
    taught = read_volume(ours / theirs.name).data
    np.testing.assert_array_equal(taught, read_volume(theirs).data)
    assert set(np.unique(taught)) == {0, 1, 255, 300}
    assert not list(ours.glob("*__rejected.npz"))


def test_a_training_broken_off_goes_on_to_the_same_bytes(folder):
    judge(folder, "t2", "kept", "rejected")
    undisturbed = trained(folder)
    project = read_project(folder)
    project.model.unlink()
    record_of_round(project, 1).unlink()

    class Stopper(Watcher):
        def progress(self, title):
            return stopping()

    with pytest.raises(KeyboardInterrupt):
        train_round(project, due_round(project), watcher=Stopper())
    assert (folder / "results" / "models" / "round_001.training.safetensors").exists()
    assert read_step_record(record_of_round(project, 1)).state == "begun"
    assert "broken off" in training_told(project)
    assert trained(folder) == undisturbed
    assert not list((folder / "results" / "models").glob("*.training.safetensors"))
    record = record_of_round(project, 1)
    record.write_text(record.read_text().replace('"done"', '"begun"'))  # killed as it was to be written
    assert due_round(project).reason == "was not finished"
    assert trained(folder) == undisturbed
    assert due_round(project) is None


class stopping:
    """A progress that interrupts a training in its middle."""

    def __enter__(self):
        return self.told

    def __exit__(self, *_):
        return False

    def told(self, done, total):
        if done >= 3:
            raise KeyboardInterrupt


@pytest.fixture
def made(monkeypatch):
    """Steps of tomograms take no time here; which were made, by which model."""
    found = []

    def make(self, step, plan, *_):
        found.append((plan.stem, step, self.project.model.name))
        return True

    monkeypatch.setattr(StepMaker, "make", make)
    return found


def test_a_run_trains_first_and_again_only_where_it_is_asked_for(folder, made):
    """Annotations that change are told of, with what to do; no run trains for hours by itself."""
    listener = Listener()
    batch = run_project(read_project(folder), watcher=listener)
    assert batch.done == ["training", *STEMS]
    assert made[0] == ("t1", "confidence", "round_001.safetensors")
    assert listener.lines[0] == ("training: round 1 (no model yet), from scratch, on 1 tomograms, 1 held out")
    results = folder / "results"
    assert run_project(read_project(folder)).done == list(STEMS)
    judge(folder, "t2", "kept", "rejected")
    batch = run_project(read_project(folder))
    assert batch.done == list(STEMS)
    (warning,) = [w for w in json.loads((results / "run.json").read_text())["warnings"] if "changed" in w]
    assert "since round 1 was trained (" in warning
    assert "is made with ROIs judged of t2 now" in warning
    assert f"until the next is made: tomosurf train {folder}" in warning
    assert warning in run_command("tomosurf", "status", folder).stdout.replace("\n", " ")
    first = (results / "models" / "round_001.safetensors").read_bytes()
    batch = run_project(read_project(folder), retrain=True)
    assert batch.done == ["training", *STEMS]
    assert made[-1] == ("t4", "surfaces", "round_002.safetensors")
    assert (results / "models" / "round_001.safetensors").read_bytes() == first
    facts = model_facts(read_project(folder).model)
    assert facts.refined_from == f"round_001.safetensors {hashlib.sha256(first).hexdigest()[:12]}"
    assert advice_on_training(read_project(folder)) == ""
    assert train_project(read_project(folder)).skipped == {
        "training": "nothing that round 2 learned from has changed"
    }
    rows = rounds_trained(read_project(folder))
    assert [(row["model"], row["rois"], row["held_out"]) for row in rows] == [
        ("round_001.safetensors", 2, 1),
        ("round_002.safetensors", 3, 1),
    ]
    assert training_sections(rows)[0].tables
    said = run_command("tomosurf", "train", folder, "--from-scratch", "-j", "1")
    assert said.returncode == 0, said.stderr
    assert model_facts(read_project(folder).model).refined_from == ""
    assert "training: round 3, done" in run_command("tomosurf", "status", folder).stdout
    read_project(folder).model.unlink()  # the way back to the round before
    assert read_project(folder).model.name == "round_002.safetensors"
    assert advice_on_training(read_project(folder)) == ""
    curated = folder / "results" / "rois" / "curated" / "t2__rois.npz"
    curated.write_bytes(b"damaged")
    assert training_told(read_project(folder)).startswith(f"training: {curated}: not a readable ROI file")


def test_a_training_that_fails_is_one_line_and_takes_nothing_away(folder, made):
    run_project(read_project(folder))
    kept = (folder / "results" / "models" / "round_001.safetensors").read_bytes()
    for stem in ("t1", "t3"):
        write_volume(folder / "painted" / f"{stem}__labels.mrc", Volume(np.zeros(SHAPE, np.int16), 2.0))
    made.clear()
    batch = run_project(read_project(folder), retrain=True)
    assert list(batch.failed) == ["training"]
    assert "no ROI in any of the labels (t1__labels.mrc)" in batch.failed["training"]
    assert batch.skipped == dict.fromkeys(STEMS, "waits for the model")
    assert made == []
    assert (folder / "results" / "models" / "round_001.safetensors").read_bytes() == kept
    assert read_project(folder).model.name == "round_001.safetensors"
    assert "round 2 was not trained to its end" in advice_on_training(read_project(folder))
    assert run_project(read_project(folder)).done == list(STEMS)


def test_a_job_trains_the_same_model(folder, monkeypatch):
    judge(folder, "t2", "kept", "rejected")
    here = trained(folder)
    project = read_project(folder, None)
    project.model.unlink()
    record_of_round(project, 1).unlink()
    job = training_jobs(project, due_round(project).reason)
    write_volume(folder / "tomograms" / "t4.mrc", Volume(np.zeros((9, 9, 9), np.float32), 2.0))
    assert training_jobs(project, "").memory_bytes == job.memory_bytes  # of those that teach alone
    place = job_folder(project)
    write_plan(place, project, [job], 1, overwrite=False, slurm=True)
    told = json.loads(place.plan.read_text())["jobs"][job.name]["training"]
    assert told["needs"] == []
    assert 1000 <= told["mem_mb"] < 1500
    monkeypatch.chdir(folder)
    assert make_step(place.path, job.name, "training", 1) == 0
    assert project.model.read_bytes() == here
    assert any("round 1 (no model yet)" in line for line in place.word_of(job.name, "training").said)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: [p.unlink() for p in (f / "painted").iterdir()], "no labels of a tomogram to learn from"),
        (lambda f: (f / "painted" / "t3__labels.mrc").unlink(), "t3: held out for validation, and without"),
        (
            lambda f: write_volume(
                f / "painted" / "t1__labels.mrc", Volume(np.ones((4, 5, 6), np.int16), 2.0)
            ),
            "t1__labels.mrc: labels of shape (4, 5, 6) (z, y, x), the tomogram has (20, 24, 28)",
        ),
        (
            lambda f: [
                write_volume(f / "painted" / f"{t}__labels.mrc", Volume(np.zeros(SHAPE, np.int16), 2.0))
                for t in STEMS
            ],
            "nothing to learn from yet: paint a few places",
        ),
        (
            lambda f: (f / "tomograms.csv").write_text("name,voxel_size_nm\nt1,1.9\nt3,\n"),
            "voxel sizes of their own, and a training takes one",
        ),
        (
            lambda f: (f / "project.toml").write_text(f'first_model = "m.safetensors"\n{SETTINGS}'),
            "m.safetensors: no model file of TomoROIS",
        ),
    ],
)
def test_validate_finds_what_a_training_would_trip_over(folder, change, reason):
    assert problems_of(read_project(folder)) == []
    change(folder)
    assert reason in problems_of(read_project(folder))[0]


def test_a_project_without_annotations_trains_nothing(folder):
    (folder / "project.toml").write_text('model = "m.safetensors"\nannotations = "painted"\n')
    project = read_project(folder)
    assert (project.trains, project.model, due_round(project)) == (False, folder / "m.safetensors", None)
    with pytest.raises(InputError, match="trains no model"):
        train_project(project)
    (folder / "tomograms.csv").write_text("name,split\nt1,half\n")
    assert "split of t1 is half; write train, validation, test, or nothing" in refusal_of(
        run_command("tomosurf", "status", folder)
    )


def test_new_names_the_labels_where_there_is_no_model(folder):
    assert inputs_in(folder)["annotations"] == "painted"
    (folder / "m.safetensors").write_bytes(b"weights")
    assert "annotations" not in inputs_in(folder)


def test_a_new_project_without_labels_asks_for_some(folder):
    """Until some are painted `validate` says so, and `annotate` paints where `run` will learn from."""
    for path in (folder / "painted", folder / "project.toml"):
        path.rename(folder.parent / path.name)
    said = run_command("tomosurf", "new", folder).stdout
    assert "annotations" not in said  # since none were found
    project = read_project(folder)
    assert (project.trains, project.annotations) == (True, folder / "annotations")
    (problem,) = [line for line in problems_of(project) if "no labels" in line]
    assert f"paint some: tomosurf annotate {folder}" in problem


def test_tomograms_are_never_taken_for_labels(folder):
    (folder / "project.toml").write_text('annotations = "tomograms"\n')
    assert [plan.labels for plan in read_project(folder).plans] == [None] * 4
