"""A project in the window of TomoROIS: what is painted and judged there is what `tomosurf run` takes."""

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.roiset import rois_from_masks, write_rois
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.strokes import line_stroke
from tomosurf.annotating import loop_of_project
from tomosurf.project import read_project
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
