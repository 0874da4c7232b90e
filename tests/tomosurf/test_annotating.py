"""A project in the window of TomoROIS: what is painted and judged there is what `tomosurf run` takes."""

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.roiset import rois_from_masks, write_rois
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.strokes import line_stroke
from tomorois.loop import plan
from tomorois.loop.plan import LoopPlan, plan_of_project_file, project_at
from tomosurf.annotating import loop_of_project, plan_of_project
from tomosurf.project import PROJECT_FILE, read_project
from tomosurf.rounds import is_judged

SHAPE = (20, 30, 40)


@pytest.fixture
def folder(tmp_path):
    """A project of two tomograms whose headers lie, membranes of the first, and two ROIs that were found."""
    for place in ("tomograms", "membranes"):
        (tmp_path / place).mkdir()
    grey = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for stem in ("t1", "t2"):
        write_volume(tmp_path / "tomograms" / f"{stem}.mrc", Volume(grey, 9.0))
    write_volume(tmp_path / "membranes" / "t1__membranes.mrc", Volume((grey > 2).astype(np.int8), 9.0))
    (tmp_path / "project.toml").write_text("voxel_size_nm = 2.0\n[instances]\nmin_volume_nm3 = 77.0\n")
    rois = rois_from_masks(
        [(1, 1, 1), (9, 9, 9)], [np.ones((4, 4, 4), bool)] * 2, SHAPE, 2.0, (0.0, 0.0, 0.0)
    )
    (tmp_path / "results" / "rois").mkdir(parents=True)
    write_rois(tmp_path / "results" / "rois", "t1", rois)
    return tmp_path


def test_the_loop_has_what_the_project_tells(folder):
    loop = loop_of_project(read_project(folder))
    first, second = (folder / "tomograms" / f"{stem}.mrc" for stem in ("t1", "t2"))
    assert list(loop.session.tomograms) == [first, second]
    assert loop.session.volume.voxel_size_nm == 2.0
    assert loop.instance_settings.min_volume_nm3 == 77.0
    assert loop.membranes == {first: folder / "membranes" / "t1__membranes.mrc"}
    (folder / "tomograms.csv").write_text("name,exclude\nt1,torn\nt2,\n")
    assert list(loop_of_project(read_project(folder)).session.tomograms) == [second]
    (folder / "tomograms.csv").write_text("name,exclude\nt1,torn\nt2,torn\n")
    with pytest.raises(InputError, match="all tomograms are excluded"):
        loop_of_project(read_project(folder))
    (folder / "tomograms.csv").write_text("name,voxel_size_nm\nt1,1.0\nt2,2.0\n")
    with pytest.raises(InputError, match="several voxel sizes"):
        loop_of_project(read_project(folder))


def test_a_project_file_is_opened_by_a_tool_that_does_not_know_projects(folder):
    assert plan.PROJECT_FILE == PROJECT_FILE
    assert project_at(folder) == project_at(folder / PROJECT_FILE) == folder / PROJECT_FILE
    assert project_at(folder / "tomograms") is None
    planned = plan_of_project(read_project(folder))
    assert LoopPlan.model_validate_json(planned.model_dump_json()) == planned
    (folder / PROJECT_FILE).write_text("voxel_size = 2.0\n")
    with pytest.raises(InputError, match="voxel_size"):
        plan_of_project_file(folder / PROJECT_FILE)


def test_the_page_open_opens_a_project_with_its_report(folder, screen, qtbot):
    from tomorois.napari.window import HAND_OVER, OPEN, open_window

    viewer, window = open_window()
    try:
        window.go_to_step(OPEN)
        with qtbot.waitSignal(window.jobs.changed, timeout=60_000):
            window.step.open([folder])
        qtbot.waitUntil(lambda: window.state is not None or "⚠" in window.message, timeout=60_000)
        assert [path.stem for path in window.state.session.tomograms] == ["t1", "t2"], window.message
        assert window.state.folder.root == folder / "annotations"
        assert window.state.instance_settings.min_volume_nm3 == 77.0
        window.go_to_step(HAND_OVER)
        assert window.step.project_report.isVisibleTo(window)
        assert not window.step.project_report.isEnabled()
        (folder / "results" / "report.html").write_text("<p>measured</p>")
        window.step.jobs_changed()
        assert window.step.project_report.isEnabled()
    finally:
        window.shut()
        viewer.close()


def test_in_the_window_strokes_go_to_annotations_and_judgements_where_run_looks(folder, screen, qapp):
    from tomorois.napari.window import CURATE, open_window

    project = read_project(folder)
    viewer, window = open_window(lambda: loop_of_project(project), CURATE)
    try:
        state = window.state
        curation = state.open_curation()
        assert [roi.id for roi in curation.of("t1")] == [1, 2]
        state.session.painting.paint(line_stroke(SHAPE, (10, 10, 20), 3.0, 1))
        assert not is_judged(project.plans[0])
        curation.judge("rejected")
        window.shut()
    finally:
        viewer.close()
        qapp.processEvents()
    painted = read_volume(folder / "annotations" / "t1__labels.mrc")
    assert (painted.data == 1).any()
    assert painted.voxel_size_nm == pytest.approx(2.0)
    assert is_judged(project.plans[0])
    assert not list((folder / "tomograms").glob("*labels*"))
