"""Particles of every program with what their membrane is like, and the traps on the way."""

from dataclasses import replace

import contact_scenes
import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile
from command_line import run_command

from surfora.export import dynamo
from surfora.export.dynamo import (
    av3_list,
    av3_particles,
    dynamo_particles,
    dynamo_table,
    write_av3,
    write_dynamo,
)
from surfora.export.nearest_membrane import NamedMesh, shape_index, surface_features
from surfora.export.particles import Particles, TomogramSize
from surfora.export.poses import from_relion, z_axes
from surfora.export.star import star_particles
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_facts, read_mesh, write_surface
from surfora.geometry.surface import PointCloud, SurfaceMesh
from tomocore.contract import InputError

CENTRE, RADIUS, PIXEL = np.array([100.0, 120.0, 60.0]), 40.0, 0.5
SIZE = (400, 500, 300)  # pixels of 0.5 nm

RELION4 = """
# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnTomoTiltSeriesPixelSize #2
1 5.000000

data_particles

loop_
_rlnTomoName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnCoordinateZ #4
_rlnOriginXAngst #5
_rlnOriginYAngst #6
_rlnOriginZAngst #7
_rlnAngleRot #8
_rlnAngleTilt #9
_rlnAnglePsi #10
_rlnOpticsGroup #11
_somethingNobodyKnows #12
TS_01   300.0  240.0  120.0   0 0 0        12 90 180   1  "two words"
TS_01   200.0  240.0  300.0   0 0 0        12 0 0      1  x
TS_01   200.0  280.0  120.0   0 -100.0 0   12 90 90    1  y

data_later

_rlnSomethingElse   7
"""


@pytest.fixture
def ball(tmp_path):
    """A vesicle of 40 nm in tomogram TS_01, as `surfora run` writes it."""
    mesh = contact_scenes.ball(RADIUS, 2.0, tuple(CENTRE))
    count = len(mesh.vertices)
    mesh = mesh.with_data(
        mean_curvature_per_nm=np.full(count, 0.025),
        gaussian_curvature_per_nm2=np.full(count, 0.025**2),
        k1_per_nm=np.full(count, 0.025),
        k2_per_nm=np.full(count, 0.025),
        contact_id=(mesh.vertices[:, 0] > CENTRE[0]).astype(np.int32),
    )
    grid = "300 500 400 0.5 0 0 0"
    path = tmp_path / "TS_01_OMM.medial.vtp"
    facts = SurfaceFacts(
        "TS_01_OMM", "medial", "OMM", source="masks/TS_01.mrc", voxel_size_nm=PIXEL, grid=grid
    )
    write_surface(path, mesh, facts)
    return path


def joined(ball, particles, output, *more):
    result = run_command("surfora", "particles", ball, "--particles", particles, "-o", output, *more)
    assert result.returncode == 0, result.stderr
    return pd.read_csv(output.with_name(f"{output.stem}.features.csv"))


def test_relion4_features_and_everything_else_as_it_was(ball, tmp_path):
    source, output = tmp_path / "p.star", tmp_path / "out.star"
    source.write_text(RELION4)
    table = joined(ball, source, output, "--radius", "20", "--probe", "10")
    # the third was shifted by -100 Å in y, so that it lies 10 nm farther on than its coordinate says
    np.testing.assert_allclose(table["surforaDistanceNm"], [10, 50, 10], atol=0.05)
    np.testing.assert_allclose(table["surforaSide"], [1, 1, -1])
    np.testing.assert_allclose(table["surforaAxisAngleDeg"], [0, 0, 0], atol=2)
    np.testing.assert_allclose(table["surforaProbeDistanceNm"], [20, 60, 0], atol=0.05)
    np.testing.assert_allclose(table["surforaMeanCurvaturePerNm"], 0.025)
    np.testing.assert_allclose(table["surforaShapeIndex"], 1)
    assert table["surforaContactId"].iloc[0] == 1
    assert table["surforaAreaWithinNm2"].iloc[1] == 0
    assert (table["surforaMembrane"] == "OMM").all()
    before, after = source.read_text().splitlines(), output.read_text().splitlines()
    kept = [line for line in after if not line.startswith("_surfora")]
    assert len(kept) == len(before)
    assert all(new.startswith(old.rstrip()) for old, new in zip(before, kept, strict=True))
    blocks = starfile.read(output, always_dict=True)
    assert set(blocks) == {"optics", "particles", "later"}
    assert list(blocks["particles"]["somethingNobodyKnows"]) == ["two words", "x", "y"]
    np.testing.assert_allclose(
        blocks["particles"]["surforaDistanceNm"], table["surforaDistanceNm"], rtol=1e-5
    )
    again = run_command("surfora", "particles", ball, "--particles", output, "-o", tmp_path / "twice.star")
    assert again.returncode == 1
    assert "earlier join" in again.stderr


def relion5(shift=True):
    half = np.array(SIZE) * PIXEL / 2
    places = np.array([[150.0, 120, 60], [100, 120, 150]]) - half
    table = pd.DataFrame(places * 10, columns=[f"rlnCenteredCoordinate{a}Angst" for a in "XYZ"])
    table["rlnTomoName"] = "TS_01"
    table[["rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi"]] = [0.0, 90.0, 180.0]
    table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = [0.0, 90.0, 0.0]
    if shift:  # along the subtomogram's own z axis, which lies along x of the tomogram
        table[["rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"]] = [0.0, 0.0, -200.0]
    return table


def tomograms():
    return pd.DataFrame(
        {"rlnTomoName": ["TS_01"], "rlnTomoTiltSeriesPixelSize": [5.0]}
        | {f"rlnTomoSize{axis}": [size] for axis, size in zip("XYZ", SIZE, strict=True)}
    )


def test_relion5_needs_the_size_and_composes_the_subtomogram(ball, tmp_path):
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnTomoTiltSeriesPixelSize": [5.0]})
    starfile.write({"optics": optics, "particles": relion5()}, tmp_path / "p.star")
    starfile.write({"global": tomograms()}, tmp_path / "tomograms.star")
    words = ("particles", ball, "--particles", tmp_path / "p.star", "-o", tmp_path / "o.star")
    refused = run_command("surfora", *words)
    assert refused.returncode == 1
    assert "--tomograms" in refused.stderr
    assert not (tmp_path / "o.star").exists()
    table = joined(ball, tmp_path / "p.star", tmp_path / "o.star", "--tomograms", tmp_path / "tomograms.star")
    np.testing.assert_allclose(table["surforaDistanceNm"], [30, np.hypot(20, 90) - 40], atol=0.05)
    # the particle's z is the subtomogram's -x, which its own angles laid along the tomogram's z
    sizes = {"TS_01": TomogramSize((200.0, 250.0, 150.0))}
    found = star_particles(tmp_path / "p.star", sizes)
    np.testing.assert_allclose(found.places_nm[0], [170, 120, 60], atol=1e-6)
    outer, inner = (from_relion(np.array([angles], float)) for angles in ((0, 90, 180), (0, 90, 0)))
    by_matrix = outer.as_matrix()[0] @ inner.as_matrix()[0] @ [0, 0, 1]
    np.testing.assert_allclose(z_axes(found.poses)[0], by_matrix, atol=1e-9)
    np.testing.assert_allclose(np.abs(by_matrix), [0, 0, 1], atol=1e-9)
    alone = star_particles_without_subtomogram(tmp_path, sizes)
    assert np.abs(z_axes(alone.poses)[0] - by_matrix).max() > 0.5


def star_particles_without_subtomogram(folder, sizes):
    table = relion5().drop(columns=[f"rlnTomoSubtomogram{a}" for a in ("Rot", "Tilt", "Psi")])
    starfile.write({"particles": table}, folder / "plain.star")
    return star_particles(folder / "plain.star", sizes)


@pytest.mark.parametrize(
    "text",
    [
        "\ndata_\n\n_rlnTomoParticlesFile   p.star\n_rlnTomoTomogramsFile   tomograms.star\n",
        "data_optimisation_set\n\nloop_\n_rlnTomoParticlesFile #1\n_rlnTomoTomogramsFile #2\n"
        "p.star     tomograms.star\n",
    ],
    ids=["block", "loop"],
)
def test_an_optimisation_set_is_followed_and_written_again(text, ball, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    starfile.write({"particles": relion5(shift=False)}, tmp_path / "p.star")
    starfile.write({"global": tomograms()}, tmp_path / "tomograms.star")
    (tmp_path / "set.star").write_text(text)
    table = joined(ball, tmp_path / "set.star", tmp_path / "o.star")
    np.testing.assert_allclose(table["surforaDistanceNm"], [10, 50], atol=0.05)
    text = (tmp_path / "o_optimisation_set.star").read_text()
    assert str(tmp_path / "o.star") in text
    assert "tomograms.star" in text


def test_warp_names_and_pixel_sizes(ball, tmp_path):
    table = pd.DataFrame(
        {
            "rlnMicrographName": ["TS_01.tomostar", "TS_99.tomostar"],
            "rlnCoordinateX": [75.0, 1.0],
            "rlnCoordinateY": [60.0, 1.0],
            "rlnCoordinateZ": [30.0, 1.0],
            "rlnMagnification": [10000.0, 10000.0],
            "rlnDetectorPixelSize": [20.0, 20.0],  # 20 µm / 10000 = 2 nm
        }
    )
    starfile.write({"": table}, tmp_path / "p.star")
    found = joined(ball, tmp_path / "p.star", tmp_path / "o.star")
    assert found["surforaDistanceNm"].iloc[0] == pytest.approx(10, abs=0.05)
    assert np.isnan(found["surforaDistanceNm"].iloc[1])
    assert found["surforaMembrane"].iloc[1] == "none"


def some_particles():
    rng = np.random.default_rng(2)
    angles = np.column_stack(
        [rng.uniform(-180, 180, 20), rng.uniform(1, 179, 20), rng.uniform(-180, 180, 20)]
    )
    return Particles(rng.uniform(20, 150, (20, 3)), from_relion(angles), ("",) * 20)


@pytest.mark.parametrize("kind", ["tbl", "em"])
def test_dynamo_and_motive_lists_make_the_round_trip(kind, ball, tmp_path):
    particles, path = some_particles(), tmp_path / f"p.{kind}"
    (write_dynamo if kind == "tbl" else write_av3)(path, particles, PIXEL)
    back = (
        dynamo_particles(dynamo_table(path), PIXEL) if kind == "tbl" else av3_particles(av3_list(path), PIXEL)
    )
    np.testing.assert_allclose(back.places_nm, particles.places_nm, atol=2e-3)
    assert (back.poses * particles.poses.inv()).magnitude().max() < 1e-4
    table = joined(ball, path, tmp_path / f"o.{kind}", "--pixel-size", "0.5")
    away = np.linalg.norm(particles.places_nm - CENTRE, axis=1)
    np.testing.assert_allclose(table["surforaDistanceNm"], np.abs(away - RADIUS), atol=0.06)
    assert (tmp_path / f"o.{kind}").read_bytes() == path.read_bytes()
    refused = run_command("surfora", "particles", ball, "--particles", path, "-o", tmp_path / f"q.{kind}")
    assert "--pixel-size" in refused.stderr


def test_the_first_voxel_of_a_dynamo_table_is_number_one():
    table = np.zeros((1, 35))
    table[0, 23:26], table[0, 3:6] = (11, 21, 31), (0.5, 0, -1)
    np.testing.assert_allclose(dynamo_particles(table, 2.0).places_nm, [[21, 40, 58]])


@pytest.mark.parametrize(("style", "ending"), [("relion5", "star"), ("relion4", "star"), ("warp", "star"),
                                                (None, "tbl"), (None, "em")])  # fmt: skip
def test_samples_come_back_to_the_surface(style, ending, ball, tmp_path):
    volume = tmp_path / "TS_01.mrc"
    with mrcfile.new(volume) as file:
        file.set_data(np.zeros((150, 250, 200), np.int8))  # binned once
        file.voxel_size = 10.0
    output = tmp_path / f"s.{ending}"
    words = ["sample", ball, "-o", output, "--spacing", "8", "--where", "contact_id == 1"]
    words += ["--style", style, "--tomogram", volume] if style else []
    result = run_command("surfora", *words)
    assert result.returncode == 0, result.stderr
    more = ["--tomogram", volume] if style else ["--pixel-size", "0.5"]
    table = joined(ball, output, tmp_path / f"o.{ending}", *more)
    assert table["surforaDistanceNm"].max() < 0.05
    assert table["surforaAxisAngleDeg"].max() < 2
    assert (table["surforaContactId"] == 1).all()
    half = 2 * np.pi * RADIUS**2
    assert 0.5 * half / 8**2 < len(table) < 1.3 * half / 8**2
    if style == "relion5":
        assert "rlnCenteredCoordinateXAngst" in output.read_text()


def test_a_mask_that_begins_elsewhere_needs_its_tomogram(ball, tmp_path):
    from surfora.geometry.files import read_facts, read_mesh

    facts = replace(read_facts(ball), grid="300 500 400 0.5 25 0 0")
    write_surface(ball, read_mesh(ball), facts)
    (tmp_path / "p.star").write_text(RELION4)
    words = ("particles", ball, "--particles", tmp_path / "p.star", "-o", tmp_path / "o.star")
    refused = run_command("surfora", *words)
    assert refused.returncode == 1
    assert "--tomogram" in refused.stderr
    with mrcfile.new(tmp_path / "TS_01.mrc") as file:
        file.set_data(np.zeros((300, 500, 400), np.int8))
        file.voxel_size = 5.0
        file.header.origin = (250.0, 0, 0)  # Å
    table = joined(ball, tmp_path / "p.star", tmp_path / "o.star", "--tomogram", tmp_path / "TS_01.mrc")
    assert table["surforaDistanceNm"].iloc[0] == pytest.approx(35, abs=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data_x\n\nloop_\n_rlnAngleRot #1\n1\n2\n", "has no particles"),
        (RELION4.replace("_rlnTomoTiltSeriesPixelSize", "_rlnVoltage"), "--pixel-size"),
        (RELION4.replace("TS_01 ", "TS_0x "), ""),
    ],
)
def test_what_cannot_be_placed_is_refused_or_told(text, said, ball, tmp_path):
    (tmp_path / "p.star").write_text(text)
    result = run_command(
        "surfora", "particles", ball, "--particles", tmp_path / "p.star", "-o", tmp_path / "o.star"
    )
    assert "Traceback" not in result.stderr
    if said:
        assert result.returncode == 1
        assert said in result.stderr
    else:
        assert "taken to be of TS_01" in result.stdout + result.stderr


def test_conditions_that_cannot_be_read_are_refused(ball, tmp_path):
    for where, said in (
        ("contact_id", "not conditions"),
        ("nothing < 3", "no such array"),
        ("contact_id > 5", "left"),
    ):
        result = run_command("surfora", "sample", ball, "-o", tmp_path / "s.star", "--where", where)
        assert result.returncode == 1
        assert said in result.stderr


def test_shape_index_of_a_cap_a_ridge_a_saddle_and_a_cup():
    k1, k2 = np.array([0.1, 0.1, 0.1, -0.1, 0.0]), np.array([0.1, 0.0, -0.1, -0.1, 0.0])
    np.testing.assert_allclose(shape_index(k1, k2)[:4], [1, 0.5, 0, -1])
    assert np.isnan(shape_index(k1, k2)[4])


def test_corners_that_a_place_has_no_share_of_do_not_spoil_its_values():
    corners = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [8, 8, 0.0]])
    faces = np.array([[0, 1, 2], [1, 3, 2]])
    values = {
        "boundary_distance_nm": np.full(4, np.inf),
        "mean_curvature_per_nm": np.array([0.1, 0.2, 0.3, np.nan]),
    }
    mesh = SurfaceMesh(corners, faces, data=values)
    above_corner_edge_and_face = np.array([[0, 0, 3], [4, 0, 3], [2, 2, 3.0]])
    found = surface_features(Particles(above_corner_edge_and_face, None, ("t",) * 3), [NamedMesh("m", mesh)])
    assert np.isposinf(found["surforaRimDistanceNm"]).all()
    np.testing.assert_allclose(found["surforaMeanCurvaturePerNm"], [0.1, 0.15, 0.175])


def test_garbled_files_say_so(tmp_path):
    (tmp_path / "t.tbl").write_text("one two\n")
    (tmp_path / "m.em").write_bytes(b"\x06\0\0\x05" + b"\0" * 600)
    with pytest.raises(InputError, match="no Dynamo table"):
        dynamo_table(tmp_path / "t.tbl")
    with pytest.raises(InputError, match="20 for each particle"):
        av3_list(tmp_path / "m.em")


def test_points_of_imod_are_joined_and_samples_come_back(ball, tmp_path):
    from imodmodel.models import Contour, ImodModel, Object

    model = ImodModel(
        objects=[Object(contours=[Contour(points=np.array([[300.5, 240.5, 120], [200.5, 240.5, 300]]))])]
    )
    model.to_file(tmp_path / "TS_01.mod")
    table = joined(ball, tmp_path / "TS_01.mod", tmp_path / "o.mod", "--pixel-size", "0.5")
    np.testing.assert_allclose(table["surforaDistanceNm"], [10, 50], atol=0.05)  # as in the table of RELION 4
    assert "surforaAxisAngleDeg" not in table
    words = ["sample", ball, "-o", tmp_path / "TS_01_s.mod", "--spacing", "8"]
    assert run_command("surfora", *words).returncode == 0
    points = ImodModel.from_file(tmp_path / "TS_01_s.mod").objects[0].contours[0].points
    away = np.linalg.norm((points - [0.5, 0.5, 0]) * PIXEL - CENTRE, axis=1)
    np.testing.assert_allclose(away, RADIUS, atol=0.05)
    back = joined(ball, tmp_path / "TS_01_s.mod", tmp_path / "b.mod")  # which tells its voxel itself
    assert back["surforaDistanceNm"].max() < 0.05


def test_a_model_drawn_on_a_part_counts_in_the_whole(tmp_path):
    from imodmodel.models import MINX, Contour, ImodModel, Object

    from surfora.export.imod import model_points

    whole = MINX(
        oscale=(1, 1, 1),
        otrans=(0, 0, 0),
        orot=(0, 0, 0),
        cscale=(5, 5, 5),
        ctrans=(-50, 0, -5),
        crot=(0, 0, 0),
    )
    model = ImodModel(objects=[Object(contours=[Contour(points=np.array([[1.5, 2.5, 3.0]]))])], minx=whole)
    model.to_file(tmp_path / "part.mod")
    found = model_points(tmp_path / "part.mod")
    np.testing.assert_allclose(found.places, [[11, 2, 4]])
    assert found.voxel_size_nm == pytest.approx(0.5)


RELION31 = """
# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnMicrographOriginalPixelSize #3
_rlnImagePixelSize #4
1 first    2.500000  10.0
2 second   5.000000  10.0

data_particles

loop_
_rlnMicrographName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnCoordinateZ #4
_rlnAngleRot #5
_rlnAngleTilt #6
_rlnAnglePsi #7
_rlnOpticsGroup #8
_rlnOriginXAngst #9
_rlnOriginYAngst #10
_rlnOriginZAngst #11
/data/mrc/TS_01_12.23Apx.mrc   600.0  480.0  240.0  12 90 180  1  0 0 0
/data/mrc/TS_01_12.23Apx.mrc   300.0  240.0  120.0  12 90 180  2  0 0 0
/data/mrc/TS_01_12.23Apx.mrc   200.0  240.0  120.0  12 0 0     2  0 0 50
"""


def test_relion31_counts_in_pixels_of_each_optics_group(ball, tmp_path):
    (tmp_path / "p.star").write_text(RELION31)
    found = star_particles(tmp_path / "p.star")
    np.testing.assert_allclose(found.places_nm, [[150, 120, 60], [150, 120, 60], [100, 120, 55]])
    assert set(found.tomograms) == {"TS_01_12.23Apx"}
    table = joined(ball, tmp_path / "p.star", tmp_path / "o.star")  # of TS_01 by Warp's name
    np.testing.assert_allclose(table["surforaDistanceNm"], [10, 10, 35], atol=0.05)
    np.testing.assert_allclose(table["surforaAxisAngleDeg"][:2], 0, atol=2)


WARP_2D = """
data_general

_rlnTomoSubTomosAre2DStacks   1

data_optics

loop_
_rlnOpticsGroup #1
_rlnTomoTiltSeriesPixelSize #2
_rlnTomoSubtomogramBinning #3
_rlnImagePixelSize #4
  1  0.78940  12.66785  10.00000

data_particles

loop_
_rlnTomoName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnCoordinateZ #4
_rlnOpticsGroup #5
_rlnImageName #6
_rlnTomoVisibleFrames #7
  TS_01.tomostar  150.000   120.000   60.000  1  ../particleseries/TS_01_10.00A_000001.mrcs  [1,1,0]
"""


def test_warp_counts_in_pixels_of_the_images_it_exported(ball, tmp_path):
    """As public files of WarpTools do: up to 768 of 868 voxels of 4 Å, of 4400 pixels of 0.79 Å in tilts."""
    (tmp_path / "p.star").write_text(WARP_2D)
    np.testing.assert_allclose(star_particles(tmp_path / "p.star").places_nm, [[150, 120, 60]])
    joined(ball, tmp_path / "p.star", tmp_path / "o.star")
    kept = (tmp_path / "o.star").read_text()
    assert "../particleseries/TS_01_10.00A_000001.mrcs  [1,1,0] OMM 10" in kept
    from surfora.geometry.clouds import star_points

    np.testing.assert_allclose(star_points(tmp_path / "p.star")[1], 1.0)


def test_sizes_of_warps_tomograms_fit_relions_centred_coordinates(tmp_path):
    from surfora.export.star import sizes_of

    table = tomograms().assign(rlnTomoName="TS_01.tomostar")
    starfile.write({"global": table}, tmp_path / "tomograms.star")
    sizes = sizes_of(tmp_path / "tomograms.star")
    starfile.write({"particles": relion5(shift=False)}, tmp_path / "p.star")
    np.testing.assert_allclose(star_particles(tmp_path / "p.star", sizes).places_nm[0], [150, 120, 60])


def test_a_tomogram_may_be_called_nan(tmp_path):
    from surfora.export.star import reconstructions, sizes_of

    columns = ("rlnTomoName", "rlnTomoTiltSeriesPixelSize", "rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
    path = tmp_path / "tomograms.star"
    path.write_text("data_global\n\nloop_\n" + "".join(f"_{name}\n" for name in columns) + "nan 15 8 9 6\n")
    assert sizes_of(path)["nan"] == TomogramSize((12.0, 13.5, 9.0))
    assert reconstructions(path) == {"nan": None}


def test_a_mesh_of_another_program_is_of_the_tomogram_that_it_is_named_after(ball, tmp_path):
    """Particles of the others get no features, which is one line."""
    mesh = read_mesh(ball)
    write_surface(tmp_path / "TS_01_membrain.ply", SurfaceMesh(mesh.vertices, mesh.faces))
    rows = "\n".join(f"TS_{name} 100 100 100 1" for name in ("01", "02", "03"))
    optics = "data_optics\n_rlnOpticsGroup 1\n_rlnTomoTiltSeriesPixelSize 5.0\n"  # a row as single values
    heads = ("rlnTomoName", *(f"rlnCoordinate{axis}" for axis in "XYZ"), "rlnOpticsGroup")
    loop = "".join(f"_{head} #{n}\n" for n, head in enumerate(heads, 1))
    (tmp_path / "p.star").write_text(f"{optics}\ndata_particles\nloop_\n{loop}{rows}\n")
    words = ("particles", tmp_path / "TS_01_membrain.ply", "--particles", tmp_path / "p.star")
    result = run_command("surfora", *words, "-o", tmp_path / "q.star")
    assert result.returncode == 0, result.stderr
    assert "skipped TS_02, TS_03: no mesh of this tomogram" in result.stdout
    table = pd.read_csv(tmp_path / "q.features.csv")
    away = abs(np.linalg.norm(CENTRE - 50.0) - RADIUS)
    np.testing.assert_allclose(table["surforaDistanceNm"], [away, np.nan, np.nan], atol=0.05)


def test_points_and_proxies_of_a_run_are_no_surfaces_of_the_membrane(ball, tmp_path):
    """A pattern over the folder of a run gives them as well; the nearest surface is the membrane's."""
    facts = read_facts(ball)
    near = contact_scenes.ball(RADIUS + 4, 2.0, tuple(CENTRE))
    write_surface(tmp_path / "TS_01_OMM.proxy.vtp", near, facts.of("proxy"))
    points = PointCloud(near.vertices, near.normals)
    write_surface(tmp_path / "TS_01_OMM.medial.points.vtp", points, facts.of("medial.points"))
    (tmp_path / "p.star").write_text(RELION4)
    files = sorted(tmp_path.glob("*.vtp"))
    words = ("particles", *files, "--particles", tmp_path / "p.star", "-o", tmp_path / "q.star")
    result = run_command("surfora", *words)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "q.features.csv")
    np.testing.assert_allclose(table["surforaDistanceNm"], [10, 50, 10], atol=0.05)
    exported = run_command("surfora", "export", *files, "--for", "blender", "-o", tmp_path / "out")
    assert exported.returncode == 0, exported.stderr
    for told in (result.stdout, exported.stdout):
        assert "TS_01_OMM.proxy.vtp: parts the leaflets" in told
        assert "TS_01_OMM.medial.points.vtp: holds the points" in told


def test_tomograms_of_a_catalogue_keep_the_dots_of_their_names(tmp_path):
    (tmp_path / "map.doc").write_text("7 /data/TS_01_10.00Apx\n8 /data/TS_02_10.00Apx.mrc\n")
    assert dynamo.catalogue(tmp_path / "map.doc") == {7: "TS_01_10.00Apx", 8: "TS_02_10.00Apx"}
