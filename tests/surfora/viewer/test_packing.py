"""Arrays in a page: what comes out of the text is what went in, within the steps that were promised."""

import base64
import zlib

import contact_scenes
import numpy as np
import pytest

from surfora.geometry.surface import SurfaceMesh, face_areas_nm2
from surfora.viewer.measures import NEAREST, measures_of, with_nearest
from surfora.viewer.packing import NO_VALUE, packed_faces, packed_points, packed_values
from surfora.viewer.reduction import reduced_mesh
from surfora.viewer.scene import SceneContact, SceneSurface, live_scene
from surfora.viewer.slices import shrunk, slices_of
from tomocore.page import Page, Section, write_page
from tomocore.volumes.volume import Volume


def unpacked(text, kind):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)


@pytest.fixture(scope="module")
def ball():
    return contact_scenes.ball(20.0, 2.0, (30.0, -40.0, 7.0))


def test_points_come_back_within_half_a_step(ball):
    told = packed_points(ball.vertices)
    codes = np.cumsum(unpacked(told["codes"], "<u2").reshape(3, -1), axis=1, dtype=np.uint16)
    points = np.array(told["low"]) + codes.T * np.array(told["step"])
    assert np.abs(points - ball.vertices).max() <= 0.51 * max(told["step"])
    assert max(told["step"]) < 1e-3  # nm, of a vesicle of 40 nm


def test_points_in_one_plane_come_back():
    flat = np.array([[0.0, 1.0, 5.0], [2.0, 3.0, 5.0]])
    told = packed_points(flat)
    codes = np.cumsum(unpacked(told["codes"], "<u2").reshape(3, -1), axis=1, dtype=np.uint16)
    assert np.allclose(np.array(told["low"]) + codes.T * np.array(told["step"]), flat, atol=1e-3)


def test_triangles_come_back(ball):
    numbers = np.cumsum(unpacked(packed_faces(ball.faces), "<u4"), dtype=np.uint32)
    assert np.array_equal(numbers.reshape(-1, 3), ball.faces)


def test_values_end_at_the_limits_and_those_that_are_none_are_told():
    codes = unpacked(packed_values(np.array([-9.0, 1.0, 2.0, 3.0, 99.0, np.nan]), 1.0, 3.0), "u1")
    assert codes.tolist() == [0, 0, 127, 254, 254, NO_VALUE]


def test_the_nearest_partner_is_taken_where_there_are_several():
    mesh = SurfaceMesh(np.zeros((3, 3)), np.array([[0, 1, 2]]), None, {
        "distance_to_a_nm": np.array([1.0, np.nan, 3.0]), "distance_to_b_nm": np.array([5.0, np.nan, 2.0]),
    })  # fmt: skip
    assert np.array_equal(with_nearest(mesh).data[NEAREST], [1.0, np.nan, 2.0], equal_nan=True)
    keys = [measure.column.key for measure in measures_of([with_nearest(mesh)])]
    assert keys == [NEAREST, "distance_to_a_nm", "distance_to_b_nm"]


def test_signed_measures_have_zero_in_the_middle_and_constant_ones_are_left_out():
    values = np.linspace(-1.0, 3.0, 50)
    mesh = SurfaceMesh(np.zeros((50, 3)), np.zeros((0, 3), int), None, {
        "mean_curvature_per_nm": values, "thickness_nm": np.full(50, 4.0), "k1_direction": np.ones((50, 3)),
    })  # fmt: skip
    (measure,) = measures_of([mesh])
    assert measure.low == -measure.high
    assert measure.colours == "RdBu_r"


def test_fewer_triangles_keep_shape_and_arrays(ball):
    marked = ball.with_data(height=ball.vertices[:, 2])
    small = reduced_mesh(marked, len(ball.vertices) // 4)
    assert len(small.vertices) < len(ball.vertices) // 3
    assert face_areas_nm2(small.vertices, small.faces).sum() == pytest.approx(4 * np.pi * 20**2, rel=0.03)
    assert np.abs(small.data["height"] - small.vertices[:, 2]).max() < 4.0
    assert reduced_mesh(marked, 10**6) is marked


def test_far_fewer_triangles_keep_the_shape_and_rims_as_well():
    fine = contact_scenes.ball(60.0, 1.2, (30.0, -40.0, 7.0))
    open_ball = SurfaceMesh(fine.vertices, fine.faces[(fine.vertices[fine.faces, 2] > -20).all(axis=1)])
    small = reduced_mesh(open_ball, len(fine.vertices) // 20)
    assert len(small.vertices) < len(fine.vertices) // 15
    radius = np.linalg.norm(small.vertices - (30.0, -40.0, 7.0), axis=1)
    assert np.quantile(np.abs(radius - 60.0), 0.95) < 0.25
    area = face_areas_nm2(open_ball.vertices, open_ball.faces).sum()
    assert face_areas_nm2(small.vertices, small.faces).sum() == pytest.approx(area, rel=0.01)


def test_a_scene_takes_no_more_bytes_than_it_may(ball):
    surfaces = [
        SceneSurface(f"s{k}.medial", "s", "g", ball.with_data(v=ball.vertices[:, k])) for k in range(3)
    ]
    whole = live_scene(surfaces)
    half = len(whole.json) // 2
    part = live_scene(surfaces, most_bytes=half)
    assert len(part.json) - len(part.data["colours"]["viridis"]) <= half + 500
    assert whole.data["drawn_share"] == 1
    assert 0.2 < part.data["drawn_share"] < 0.8


def test_names_of_users_end_no_script(ball, tmp_path):
    hostile = "</script><script>alert('A&B')</script>"
    contact = SceneContact(1, hostile, (f"{hostile}.medial",), (0.0, 0.0, 0.0), 5.0, ((hostile, hostile),))
    live = live_scene([SceneSurface(f"{hostile}.medial", hostile, hostile, ball)], [contact])
    write_page(tmp_path / "p.html", Page(hostile, hostile, sections=[Section(hostile, live=live)]))
    html = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert html.count("<script") == html.count("</script>") == 2  # the data and the page's own
    assert "alert" in html


def test_slices_are_those_between_two_heights_in_their_place():
    data = np.zeros((100, 6, 8), np.float32)
    data[40:60] = np.arange(20)[:, None, None]
    slices = slices_of(Volume(data, 2.0, (10.0, 20.0, 30.0)), 30.0 + 2 * 40, 30.0 + 2 * 59)
    assert slices.z_nm[0] == 30 + 2 * 40
    assert slices.z_nm[-1] == 30 + 2 * 59
    assert len(slices.jpegs) == 20
    assert slices.low_nm == (9.0, 19.0)
    assert slices.high_nm == (9.0 + 16.0, 19.0 + 12.0)
    assert len(slices_of(Volume(data, 2.0), 0.0, 200.0).z_nm) == 48


def test_blocks_of_pixels_are_averaged_to_the_last_one():
    plane = np.arange(35, dtype=np.float32).reshape(5, 7)
    small = shrunk(plane, 4)
    assert small.shape == (3, 4)
    assert small[0, 0] == plane[:2, :2].mean()
    assert small[-1, -1] == plane[4, 6]
    assert shrunk(plane, 7) is plane
