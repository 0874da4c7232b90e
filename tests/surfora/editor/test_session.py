"""What the verbs of a session do to points and meshes, and that every step can be taken back."""

import numpy as np
import pytest
import shapes
from numpy.testing import assert_array_equal

from surfora.editor.edited import turned_arrays
from surfora.editor.layers import layers_of
from surfora.editor.session import Session
from surfora.geometry.files import write_surface
from surfora.geometry.surface import PointCloud, SurfaceMesh, enclosed_volume_nm3
from tomocore.contract import InputError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A cloud of two open spheres with labels, and a mesh of two closed ones, as VTP."""
    folder = tmp_path_factory.mktemp("surfaces")
    clouds = [
        shapes.open_sphere(radius, seed=seed).sample(spacing_nm=2.5) for radius, seed in ((20, 1), (16, 2))
    ]
    points = np.concatenate([clouds[0][0], clouds[1][0] + 60.0])
    normals = np.concatenate([clouds[0][1], clouds[1][1]])
    of_first = np.arange(len(points)) < len(clouds[0][0])
    cloud = PointCloud(points, normals, {"height_nm": points[:, 2], "label": np.where(of_first, 1, 2)})
    write_surface(folder / "cell.medial.points.vtp", cloud)
    (one, faces), (two, more) = shapes.sphere(20.0).mesh(4.0), shapes.sphere(10.0, seed=2).mesh(4.0)
    vertices = np.concatenate([one, two + 50.0])
    curved = np.where(np.arange(len(vertices)) < len(one), 1 / 20, 1 / 10)
    mesh = SurfaceMesh(
        vertices, np.concatenate([faces, more + len(one)]), None, {"mean_curvature_per_nm": curved}
    )
    write_surface(folder / "cell.medial.vtp", mesh)
    return folder


@pytest.fixture
def cloud(files):
    return Session(layers_of([files / "cell.medial.points.vtp"]))


@pytest.fixture
def both(files):
    return Session(layers_of([files / "cell.medial.points.vtp", files / "cell.medial.vtp"]))


def first(session, count):
    return np.arange(session.count) < count


def state_of(session):
    return {
        name: getattr(session, name).copy() for name in ("kept", "flipped", "label", "hidden", "selected")
    }


def assert_same(one, other):
    for name in one:
        assert_array_equal(one[name], other[name], err_msg=name)


def test_selections_are_replaced_added_and_taken_away(cloud):
    assert cloud.select(first(cloud, 10)) == "10 selected"
    cloud.select(first(cloud, 15), "add")
    assert cloud.select(first(cloud, 4), "take away") == "11 selected"
    assert_array_equal(np.flatnonzero(cloud.selected), np.arange(4, 15))
    cloud.invert()
    assert cloud.selected.sum() == cloud.count - 11


def test_rules_reach_arrays_of_all_files(both):
    both.select_by_rule("mean_curvature_per_nm > 0.06")
    assert_array_equal(both.layer_of[both.selected], 1)
    both.select_by_rule("label == 2 & z_nm > 0")
    chosen = both.points[both.selected]
    assert len(chosen)
    assert (chosen[:, 2] > 0).all()
    with pytest.raises(InputError, match="mean_curvature_per_nm"):
        both.select_by_rule("mean_curvature > 1")


def test_components_and_labels_are_taken_whole(cloud):
    cloud.select(first(cloud, 1))
    cloud.grow_to_components()
    assert_array_equal(cloud.selected, cloud.label == 1)
    cloud.select(~first(cloud, cloud.count - 1))
    cloud.select_same_label()
    assert_array_equal(cloud.selected, cloud.label == 2)


def test_every_step_is_undone_and_done_again(both):
    rng = np.random.default_rng(0)
    states = [state_of(both)]
    for turn in range(12):
        both.select(rng.random(both.count) < 0.2)
        states.append(state_of(both))
        verb = [both.delete, both.flip, lambda t=turn: both.set_label(t + 3), both.hide_others][turn % 4]
        verb()
        states.append(state_of(both))
        if turn % 4 == 3:
            both.show_all()
            states.append(state_of(both))
    for state in states[-2::-1]:
        both.undo()
        assert_same(state_of(both), state)
    assert both.undo() == "nothing to undo"
    for state in states[1:]:
        both.redo()
        assert_same(state_of(both), state)
    assert both.redo() == "nothing to redo"


def test_what_is_hidden_or_deleted_is_not_selected(cloud):
    cloud.select(first(cloud, 20))
    cloud.hide_others()
    cloud.select_all()
    assert cloud.selected.sum() == 20
    cloud.delete()
    cloud.show_all()
    cloud.select_all()
    assert cloud.selected.sum() == cloud.count - 20
    cloud.layer_shown = [False]
    cloud.select_all()
    assert not cloud.selected.any()


def test_deleted_points_are_not_in_the_edited_cloud(cloud):
    cloud.select_by_rule("label == 1")
    cloud.delete()
    left = cloud.edited(0)
    assert_array_equal(left.data["label"], 2)
    assert_array_equal(left.points, cloud.points[cloud.kept])


def test_flipped_normals_of_a_cloud_are_those_selected(cloud):
    before = cloud.layers[0].normals
    cloud.select(first(cloud, 7))
    assert cloud.flip() == "7 normals turned"
    after = cloud.edited(0).normals
    assert_array_equal(after[:7], -before[:7])
    assert_array_equal(after[7:], before[7:])


def test_a_mesh_is_flipped_by_whole_pieces_and_its_curvature_changes_sign(files):
    session = Session(layers_of([files / "cell.medial.vtp"]))
    small = session.layers[0].surface.data["mean_curvature_per_nm"] > 0.06
    session.select(np.arange(session.count) == np.flatnonzero(small)[0])
    session.flip()
    assert_array_equal(session.flipped, small)
    mesh = session.edited(0)
    assert set(np.round(mesh.data["mean_curvature_per_nm"], 6)) == {-0.1, 0.05}
    volume = enclosed_volume_nm3(session.points, session.layers[0].surface.faces)
    of_small = 4 / 3 * np.pi * 10**3
    assert volume - enclosed_volume_nm3(mesh.vertices, mesh.faces) == pytest.approx(2 * of_small, rel=0.1)
    session.flip()
    assert_array_equal(session.edited(0).faces, session.layers[0].surface.faces)


def test_triangles_go_with_their_corners(files):
    session = Session(layers_of([files / "cell.medial.vtp"]))
    session.select(first(session, 1))
    session.delete()
    faces = session.layers[0].surface.faces
    assert len(session.edited(0).faces) == (faces != 0).all(axis=1).sum()


def test_normals_are_oriented_from_the_selected_point(files):
    session = Session(layers_of([files / "cell.medial.points.vtp"]))
    true = session.layers[0].normals
    wrong = np.random.default_rng(1).random(session.count) < 0.4
    session.select(wrong)
    session.flip()
    seed = int(np.flatnonzero(session.label == 1)[5])
    session.select(np.arange(session.count) == seed)
    said = session.orient_from_seed()
    assert "turned to agree" in said
    own = session.label == 1
    assert_array_equal(session.normals[own], true[own] * (-1 if wrong[seed] else 1))
    assert_array_equal(session.flipped[~own], wrong[~own])


def test_labels_are_set_and_merged(cloud):
    cloud.select(cloud.label == 1)
    with pytest.raises(InputError, match="two labels"):
        cloud.merge_labels()
    cloud.select_all()
    assert cloud.merge_labels() == "labels 1, 2 are now 1"
    assert set(cloud.label) == {1}
    cloud.select(first(cloud, 3))
    cloud.set_label(9)
    assert_array_equal(cloud.edited(0).data["label"][:5], [9, 9, 9, 1, 1])
    with pytest.raises(InputError, match="from 0 to 30000"):
        cloud.set_label(-1)


def test_edits_of_nothing_are_refused_with_what_to_do(cloud):
    for verb in (
        cloud.delete,
        cloud.flip,
        cloud.flip_components,
        cloud.merge_labels,
        cloud.grow_to_components,
    ):
        with pytest.raises(InputError, match="click a point, or draw around"):
            verb()


def test_a_mesh_is_not_oriented_from_a_seed(files):
    session = Session(layers_of([files / "cell.medial.vtp"]))
    session.select_all()
    with pytest.raises(InputError, match="flip the component"):
        session.orient_from_seed()


def test_files_given_twice_and_none_are_refused(files):
    path = files / "cell.medial.vtp"
    with pytest.raises(InputError, match="twice"):
        layers_of([path, files / "." / "cell.medial.vtp"])
    with pytest.raises(InputError, match="nothing to edit"):
        Session(())


def test_what_the_density_tells_of_both_sides_turns_with_the_normals():
    names = (*("density_middle_offset_nm", "density_shift_nm", "leaflet_asymmetry"), "density_contrast")
    offsets = ("minus_2p5_nm", "0_nm", "2p5_nm", "7_nm")  # of the last the other side was not asked for
    data = {name: np.array([1.0, 2.0]) for name in names}
    data |= {f"density_at_{offset}": np.array([k, 10.0 + k]) for k, offset in enumerate(offsets)}
    turned = turned_arrays(data, None, np.array([True, False]))
    for name in names[:-1]:
        assert_array_equal(turned[name], [-1, 2])
    assert_array_equal(turned["density_contrast"], [1, 2])
    profiles = [turned[f"density_at_{offset}"] for offset in offsets]
    assert_array_equal(profiles, [[2, 10], [1, 11], [0, 12], [np.nan, 13]])
