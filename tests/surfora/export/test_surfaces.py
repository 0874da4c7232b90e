"""Surfaces for other programs: what they read is where and what it was with us."""

import struct

import contact_scenes
import mrcfile
import numpy as np
import pandas as pd
import pytest
import pyvista as pv
from command_line import refusal_of, run_command
from glb_files import parsed_glb
from imodmodel.models import ImodModel

from surfora.export.imod import FIRST_CENTRE, model_points
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_mesh, write_surface
from tomocore.contract import InputError

CENTRE, RADIUS, EDGE = np.array([60.0, 50.0, 40.0]), 20.0, 1.5
ORIGIN = (15.0, 0.0, -3.0)  # of the mask and its tomogram, in nm
SHAPE = (60, 70, 80)


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    """A vesicle with the arrays of `surfora run`; curvature is not known on its lowest part."""
    mesh = contact_scenes.ball(RADIUS, 3.0, tuple(CENTRE))
    count = len(mesh.vertices)
    k1 = np.where(mesh.vertices[:, 2] < CENTRE[2] - 15, np.nan, 1 / RADIUS)
    mesh = mesh.with_data(
        k1_per_nm=k1,
        k2_per_nm=k1 / 2,
        mean_curvature_per_nm=0.75 * k1,
        k1_direction=np.tile([1.0, 0.0, 0.0], (count, 1)),
        thickness_peak_to_peak_nm=np.full(count, 3.6),
        bilayer_thickness_nm=np.full(count, 5.0),
        distance_to_ts_1_ER_nm=mesh.vertices[:, 0],
        contact_id=(mesh.vertices[:, 0] > CENTRE[0]).astype(np.int32),
        height_nm=mesh.vertices[:, 2] - CENTRE[2],
    )
    path = tmp_path_factory.mktemp("ball") / "ts_1_OMM.medial.vtp"
    grid = f"{' '.join(map(str, SHAPE))} {EDGE} {' '.join(map(str, ORIGIN))}"
    facts = SurfaceFacts(
        "ts_1_OMM", "medial", "OMM", source="m/ts_1__membranes.mrc", voxel_size_nm=EDGE, grid=grid
    )
    write_surface(path, mesh, facts)
    return path


@pytest.fixture
def tomogram(tmp_path):
    with mrcfile.new(tmp_path / "ts_1.mrc") as file:
        file.set_data(np.zeros(SHAPE, np.int8))
        file.voxel_size = EDGE * 10
        file.header.origin = tuple(10 * value for value in ORIGIN)
    return tmp_path / "ts_1.mrc"


def exported(folder, *words):
    result = run_command("surfora", "export", *words, "-o", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def test_surface_morphometrics_finds_its_files_columns_and_signs(ball, tmp_path):
    exported(tmp_path, ball, "--for", "surface-morphometrics")
    # morphometrics_stats: folder + tomogram + "_" + label + ".AVV_rh9.csv", read by pandas, weighted by area
    table = pd.read_csv(f"{tmp_path}/ts_1_OMM.AVV_rh9.csv")
    for feature in ("curvedness_VV", "mean_curvature_VV", "gauss_curvature_VV", "ER_dist", "verticality"):
        assert np.isfinite(np.average(table[feature], weights=table["area"]))
    np.testing.assert_allclose(table["kappa_1"], 1 / RADIUS)
    np.testing.assert_allclose(table["kappa_2"], 0.5 / RADIUS)
    np.testing.assert_allclose(table["mean_curvature_VV"], 0.75 / RADIUS)  # convex: positive there, too
    np.testing.assert_allclose(table["gauss_curvature_VV"], 0.5 / RADIUS**2)
    np.testing.assert_allclose(table["shape_index_VV"], 2 / np.pi * np.arctan(3))
    np.testing.assert_allclose(table["thickness"], 3.6)  # theirs is fitted to density, too
    # per region, as patch_statistics does: no region 0, triangles of value 0 are dropped
    assert set(table["component_number"]) == {1}
    # export_obj and ParaView take cell data of the VTP; refine_mesh its vectors
    poly = pv.read(tmp_path / "ts_1_OMM.AVV_rh9.vtp")
    assert poly.n_cells == len(table)
    assert {"xyz", "area", "normal", "n_v", "t_1", "t_2", "kappa_1"} <= set(poly.cell_data.keys())
    np.testing.assert_allclose(poly.cell_data["xyz"], poly.cell_centers().points, atol=1e-4)
    np.testing.assert_allclose(table[["xyz_x", "xyz_y", "xyz_z"]], poly.cell_data["xyz"], rtol=1e-5)
    inward = CENTRE - poly.cell_data["xyz"]
    for name in ("normal", "n_v"):
        assert (np.einsum("ij,ij->i", poly.cell_data[name], inward) > 0.95 * RADIUS).all()
    across = np.einsum("ij,ij->i", poly.cell_data["t_1"], poly.cell_data["n_v"])
    assert np.abs(across).max() < 1e-6
    # pycurv begins with the bare surface, and takes the side of its normals from the winding
    surface = pv.read(tmp_path / "ts_1_OMM.surface.vtp")
    assert surface.n_cells == len(read_mesh(ball).faces) > len(table)
    turned = surface.compute_normals(
        auto_orient_normals=False, consistent_normals=False, split_vertices=False
    )
    assert (
        np.einsum("ij,ij->i", turned.cell_data["Normals"], CENTRE - surface.cell_centers().points) > 0
    ).all()


def test_pycurv_reads_its_table(ball, tmp_path):
    exported(tmp_path, ball, "--for", "pycurv")
    table = pd.read_csv(tmp_path / "ts_1_OMM.AVV_rh9.csv", sep=";", index_col=0)
    assert list(table) == [
        *("kappa1", "kappa2", "gauss_curvature", "mean_curvature", "shape_index", "shape_index_class"),
        *("curvedness", "triangleAreas"),
    ]
    assert set(table["shape_index_class"]) == {"Dome"}  # 0.795 lies in its class of 5/8 to 7/8
    whole = 4 * np.pi * RADIUS**2
    assert 0.7 * whole < table["triangleAreas"].sum() < 0.95 * whole


def test_a_mesh_without_curvature_is_refused_for_them(ball, tmp_path):
    mesh = read_mesh(ball)
    write_surface(tmp_path / "bare.ply", mesh)
    result = run_command("surfora", "export", tmp_path / "bare.ply", "--for", "pycurv", "-o", tmp_path)
    assert result.returncode == 1
    assert "surfora curvature" in result.stderr
    assert not list(tmp_path.glob("*.vtp"))


def test_gltf_stands_upright_with_colours_of_light(ball, tmp_path):
    exported(tmp_path, ball, "--for", "blender", "--colour-by", "height_nm", "--colours", "gray")
    mesh = read_mesh(ball)
    document, places, colours, faces = parsed_glb(tmp_path / "ts_1.glb")
    np.testing.assert_allclose(places, mesh.vertices, atol=1e-4)
    np.testing.assert_array_equal(faces, mesh.faces)
    turn = np.array(document["nodes"][0]["matrix"]).reshape(4, 4).T[:3, :3]
    np.testing.assert_allclose(
        turn @ [1, 2, 3], [1, 3, -2]
    )  # Blender makes of it (x, -z, y), so x, y, z again
    at = np.argsort(mesh.data["height_nm"])
    assert (np.diff(colours[at, 0]) >= 0).all()
    middle = np.abs(mesh.data["height_nm"]) < 0.6
    np.testing.assert_allclose(
        colours[middle, 0], 0.214, atol=0.03
    )  # half grey of a screen is a fifth of its light
    np.testing.assert_allclose(colours[:, 3], 1)


@pytest.mark.parametrize("words", [["--format", "glb"], ["--for", "blender"], ["--for", "chimerax"]])
def test_a_scene_of_ours_comes_back_in_nm_with_z_up(ball, tmp_path, words):
    """Both kinds of scene say by their nodes how they count; the vesicle is where and as large as it was."""
    exported(tmp_path / "out", ball, *words)
    (scene,) = (tmp_path / "out").glob("*.glb")
    mesh = read_mesh(scene)
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), CENTRE, atol=0.5)
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices - CENTRE, axis=1), RADIUS, rtol=1e-3)


def test_obj_has_colours_a_material_and_is_in_angstrom(ball, tmp_path):
    exported(tmp_path, ball, "--format", "obj", "ply", "stl", "--colour-by", "height_nm")
    mesh = read_mesh(ball)
    lines = (tmp_path / "ts_1_OMM.medial.obj").read_text().splitlines()
    rows = {
        kind: np.array([line.split()[1:] for line in lines if line.split()[0] == kind])
        for kind in ("v", "vt", "vn")
    }
    np.testing.assert_allclose(rows["v"][:, :3].astype(float), 10 * mesh.vertices, atol=1e-3)
    assert 0 <= rows["v"][:, 3:].astype(float).min() < rows["v"][:, 3:].astype(float).max() <= 1
    assert len(rows["vt"]) == len(rows["vn"]) == len(mesh.vertices)
    material = (tmp_path / "ts_1_OMM.medial.mtl").read_text()
    assert "mtllib ts_1_OMM.medial.mtl" in lines
    assert "newmtl height_nm" in material
    assert "usemtl height_nm" in lines
    assert (tmp_path / material.split("map_Kd ")[1].strip()).is_file()
    back = read_mesh(tmp_path / "ts_1_OMM.medial.obj")
    np.testing.assert_allclose(back.vertices, mesh.vertices, atol=1e-3)
    coloured = pv.read(tmp_path / "ts_1_OMM.medial.ply")
    np.testing.assert_allclose(coloured.points, mesh.vertices, atol=1e-4)
    assert coloured.point_data["RGB"].shape == (len(mesh.vertices), 3)
    assert len(read_mesh(tmp_path / "ts_1_OMM.medial.stl").faces) == len(mesh.faces)


def test_chimerax_opens_surfaces_and_tomogram_in_place(ball, tomogram, tmp_path):
    folder = tmp_path / "cx"
    exported(folder, ball, "--for", "chimerax", "--tomogram", tomogram)
    lines = (folder / "ts_1.cxc").read_text().splitlines()
    assert lines[1] == 'open "../ts_1.mrc"'
    assert lines[2] == "volume #1 voxelSize 15,15,15 origin 150,0,-30"  # Å
    assert lines[3] == "volume #1 style image region 0,0,30,79,69,30 step 1"
    assert lines[4] == 'open "ts_1_OMM.medial.chimerax.glb"'
    document, places, _, _ = parsed_glb(folder / "ts_1_OMM.medial.chimerax.glb")
    np.testing.assert_allclose(places, 10 * read_mesh(ball).vertices, atol=1e-3)
    assert "matrix" not in document["nodes"][0]


def test_imod_reads_meshes_in_voxels_of_the_tomogram(ball, tomogram, tmp_path):
    exported(tmp_path, ball, "--for", "imod", "--tomogram", tomogram)
    model, mesh = ImodModel.from_file(tmp_path / "ts_1.mod"), read_mesh(ball)
    assert (model.header.xmax, model.header.ymax, model.header.zmax) == SHAPE[::-1]
    assert (model.header.pixelsize, model.header.units) == (pytest.approx(EDGE), -9)
    only = model.objects[0]
    assert only.header.name.rstrip("\0") == "ts_1_OMM.medial"
    assert only.header.flags.mesh
    # a vertex at the first voxel's centre is at 0.5, 0.5, 0 in 3dmod
    np.testing.assert_allclose(
        only.meshes[0].vertices, (mesh.vertices - ORIGIN) / EDGE + FIRST_CENTRE, atol=1e-3
    )
    np.testing.assert_array_equal(only.meshes[0].indices, mesh.faces)
    outward = np.einsum("ij,ij->i", only.meshes[0].normals, mesh.vertices - CENTRE)
    assert (outward > 0.9 * RADIUS).all()
    # without the tomogram the surface's own grid tells the same
    exported(tmp_path / "own", ball, "--format", "mod")
    again = ImodModel.from_file(tmp_path / "own" / "ts_1_OMM.medial.mod")
    np.testing.assert_allclose(again.objects[0].meshes[0].vertices, only.meshes[0].vertices, atol=1e-3)
    assert again.header.xmax == SHAPE[2]


def test_a_model_that_is_cut_short_is_refused_at_any_place(tmp_path, ball):
    exported(tmp_path, ball, "--format", "mod")
    whole = (tmp_path / "ts_1_OMM.medial.mod").read_bytes()
    cut = tmp_path / "cut.mod"
    for length in (0, 3, 100, 240, 300, 420, 450, len(whole) - 4):
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"ends before|no model"):
            model_points(cut)
    cut.write_bytes(whole[:428] + struct.pack(">i", 2**31 - 1) + whole[432:])
    with pytest.raises(InputError, match="ends before"):
        model_points(cut)


def test_tables_become_parquet_with_their_names_as_text(ball, tmp_path):
    (tmp_path / "surfaces.csv").write_text("name,label,area_nm2,roi\nts_1_01,01,2.5,\nts_1_NA,NA,3,7\n")
    folder = tmp_path / "out"
    exported(folder, tmp_path / "surfaces.csv", ball, "--format", "parquet")
    table = pd.read_parquet(folder / "surfaces.parquet")
    assert list(table["label"]) == ["01", "NA"]
    np.testing.assert_allclose(table["roi"], [np.nan, 7])
    vertices, mesh = pd.read_parquet(folder / "ts_1_OMM.medial.parquet"), read_mesh(ball)
    np.testing.assert_allclose(vertices[["x_nm", "y_nm", "z_nm"]], mesh.vertices)
    np.testing.assert_allclose(vertices["k1_direction_x"], 1)
    np.testing.assert_allclose(vertices["height_nm"], mesh.data["height_nm"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--for PROGRAM or --format FORMAT"),
        (["--for", "blender", "--format", "stl"], "--for PROGRAM or --format FORMAT"),
        (["--format", "glb", "--colour-by", "nothing"], "has no array nothing to colour by"),
        (["--format", "glb", "--colour-by", "height_nm", "--colours", "nomap"], "no colour map"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(words, said, ball, tmp_path):
    result = run_command("surfora", "export", ball, "-o", tmp_path / "out", *words)
    assert said in refusal_of(result)


def test_two_surfaces_of_one_name_are_refused(ball, tmp_path):
    (tmp_path / "ts_1_OMM.isosurface.vtp").write_bytes(ball.read_bytes())
    words = ("surfora", "export", ball, tmp_path / "ts_1_OMM.isosurface.vtp", "-o", tmp_path / "out")
    assert "ts_1_omm" in refusal_of(run_command(*words, "--for", "pycurv"))
    assert run_command(*words, "--format", "stl").returncode == 0


def test_what_exists_is_kept(ball, tmp_path):
    exported(tmp_path, ball, "--format", "stl")
    first = (tmp_path / "ts_1_OMM.medial.stl").stat().st_mtime_ns
    assert "exists" in exported(tmp_path, ball, "--format", "stl").stdout
    assert (tmp_path / "ts_1_OMM.medial.stl").stat().st_mtime_ns == first
    exported(tmp_path, ball, "--format", "stl", "--overwrite")
    assert (tmp_path / "ts_1_OMM.medial.stl").stat().st_mtime_ns > first
