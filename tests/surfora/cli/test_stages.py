"""Each stage from file to file: what is there is kept, lengths are in the unit asked for, nothing printed."""

from pathlib import Path

import numpy as np
import pytest
from command_line import run_command

from surfora.cli.stages import STAGES
from surfora.geometry.files import read_mesh, write_surface
from surfora.geometry.request import StageRequest
from surfora.geometry.surface import SurfaceMesh
from surfora.masks.files import clean_file
from surfora.masks.separate_membranes import components_file
from surfora.measures.density.files import DensityRequest, density_file
from surfora.measures.files import curvature_file, distance_file
from surfora.meshing.files import smooth_file
from surfora.orientation.files import SideRule, orient_file
from tomocore.contract import InputError, Watcher

PAGES = sorted((Path(__file__).parents[3] / "docs" / "surfora").glob("*.md"))


def square(z_nm=0.0):
    places = np.array([(x, y, z_nm) for x in range(6) for y in range(6)], float)
    corners = [(6 * i + j, 6 * i + j + 1, 6 * (i + 1) + j) for i in range(5) for j in range(5)]
    others = [(b, 6 + b, c) for _, b, c in corners]
    return SurfaceMesh(places, np.array(corners + others))


class Listener(Watcher):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def test_a_name_without_an_ending_is_refused_before_anything_is_read(tmp_path):
    request = StageRequest(tmp_path / "not there.vtp", tmp_path / "out")
    for begin in (
        lambda: smooth_file(request),
        lambda: density_file(DensityRequest(request, tmp_path / "not there.mrc")),
    ):
        with pytest.raises(InputError, match="choose one of these endings"):
            begin()


@pytest.mark.parametrize("ending", [".ply", ".stl", ".obj", ".PLY", ".STL", ".OBJ"])
def test_what_is_measured_goes_into_no_file_that_would_not_keep_it(tmp_path, ending):
    write_surface(tmp_path / "a.vtp", square())
    request = StageRequest(tmp_path / "a.vtp", tmp_path / f"out{ending}")
    with pytest.raises(InputError, match="would keep places alone"):
        curvature_file(request)
    with pytest.raises(InputError, match="would keep places alone"):
        orient_file(request)
    assert smooth_file(request).done


def test_volumes_are_not_made_for_a_name_without_an_ending(tmp_path):
    nothing, out = tmp_path / "not there.mrc", tmp_path / "out"
    for begin in (
        lambda: clean_file(StageRequest(nothing, out)),
        lambda: components_file(StageRequest(nothing, out)),
    ):
        with pytest.raises(InputError, match=r"/out: volumes are written as \.mrc"):
            begin()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_every_stage_takes_the_shared_options(stage):
    said = run_command("surfora", stage.__name__, "--help").stdout
    for option in ("--output -o", "--settings -s", "--overwrite", "--voxel-size"):
        assert option in said
    assert ("--unit" in said) != ("--resample" in said and stage.__name__ not in ("mesh", "wedge"))


def test_a_stage_reads_the_unit_asked_for_and_keeps_what_is_there(tmp_path, capsys):
    write_surface(tmp_path / "a.ply", square())
    request = StageRequest(tmp_path / "a.ply", tmp_path / "new" / "b.vtp", unit="angstrom")
    assert smooth_file(request).done == [str(request.target)]
    assert np.ptp(read_mesh(request.target).vertices[:, 0]) == pytest.approx(0.5)
    before = request.target.read_bytes()
    again = smooth_file(StageRequest(request.source, request.target))
    assert list(again.skipped) == [str(request.target)]
    assert request.target.read_bytes() == before
    smooth_file(StageRequest(request.source, request.target, overwrite=True))
    assert np.ptp(read_mesh(request.target).vertices[:, 0]) == pytest.approx(5)
    assert capsys.readouterr().out == ""


def test_distances_are_heard_and_run_to_meshes_in_the_same_unit(tmp_path):
    write_surface(tmp_path / "a.ply", square())
    write_surface(tmp_path / "b.ply", square(40.0))
    request = StageRequest(tmp_path / "a.ply", tmp_path / "c.vtp", unit="angstrom")
    watcher = Listener()
    distance_file(request, [tmp_path / "b.ply"], watcher=watcher)
    np.testing.assert_allclose(read_mesh(request.target).data["distance_to_b_nm"], 4.0)
    assert "b median_nm 4" in watcher.lines


def test_a_mesh_has_no_distance_to_itself(tmp_path):
    write_surface(tmp_path / "a.vtp", square())
    with pytest.raises(InputError, match=r"is the mesh itself.*surfora contacts"):
        distance_file(StageRequest(tmp_path / "a.vtp", tmp_path / "d.vtp"), [tmp_path / "." / "a.vtp"])


def test_one_rule_decides_the_side(tmp_path):
    with pytest.raises(InputError, match="give one of them"):
        SideRule(lumen_nm=(0, 0, 0), away_from=tmp_path / "b.ply")


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_stage_that_takes_a_unit_says_so_on_its_page(stage):
    shown = [page.read_text() for page in PAGES if f"\nsurfora {stage.__name__} " in page.read_text()]
    takes_unit = "--unit" in run_command("surfora", stage.__name__, "--help").stdout
    told = [text for text in shown if "`--unit " in text]
    assert not takes_unit or told
