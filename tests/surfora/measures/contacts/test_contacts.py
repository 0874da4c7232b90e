"""Contacts against closed forms, with the sign of the bias, and what makes them one object on both sides."""

from dataclasses import replace

import contact_scenes
import numpy as np
import pytest
from geodesic_balls import geodesic_distance_nm

from surfora.geometry.nearest import surface_distance
from surfora.geometry.surface import SurfaceMesh, face_areas_nm2, vertex_areas_nm2
from surfora.measures.contacts.curve import area_below_nm2, contact_curve, curve_thresholds
from surfora.measures.contacts.describe import contact_rows, shape
from surfora.measures.contacts.facing import facing_partner
from surfora.measures.contacts.find import GAP, contacts_between
from surfora.measures.contacts.itself import facing_itself
from surfora.measures.contacts.settings import ContactSettings
from surfora.measures.distance import distance_summary
from surfora.measures.settings import DistanceSettings
from surfora.measures.statistics import weighted_mean
from tomocore.contract import InputError


def area_of(meshes):
    return sum(face_areas_nm2(mesh.vertices, mesh.faces).sum() for mesh in meshes)


def gap_of(meshes):
    gaps = np.concatenate([mesh.data[GAP] for mesh in meshes])
    return weighted_mean(gaps, np.concatenate([vertex_areas_nm2(m.vertices, m.faces) for m in meshes]))


@pytest.mark.parametrize("make", contact_scenes.SCENES, ids=lambda make: make.__name__)
def test_area_and_gap_of_closed_forms(make):
    scene = make()
    found = scene.contacts().found
    assert len(found) == scene.count
    firsts, seconds = [c.first for c in found], [c.second for c in found]
    assert area_of(firsts) == pytest.approx(scene.first_area_nm2, rel=0.005)
    assert gap_of(firsts) == pytest.approx(scene.first_gap_nm, rel=0.005)
    if np.isfinite(scene.second_area_nm2):
        assert area_of(seconds) == pytest.approx(scene.second_area_nm2, rel=0.005)
        assert gap_of(seconds) == pytest.approx(scene.second_gap_nm, rel=0.005)


def test_signs_of_the_bias():
    """Chords lie within spheres: side by side the gap is too large and the area too small."""
    for edge in (1.5, 3.0, 6.0):
        scene = contact_scenes.two_spheres(edge=edge)
        (found,) = scene.contacts().found
        assert gap_of([found.first]) > scene.first_gap_nm
        assert area_of([found.first]) < scene.first_area_nm2
    assert area_of([found.first]) == pytest.approx(scene.first_area_nm2, rel=0.05)


def test_both_membranes_carry_the_same_numbers_whichever_is_the_first():
    scene = contact_scenes.sinusoid()
    one, other = facing_partner(scene.first, scene.second), facing_partner(scene.second, scene.first)
    there = contacts_between(one, other, scene.threshold_nm)
    back = contacts_between(other, one, scene.threshold_nm)
    np.testing.assert_array_equal(there.first_ids, back.second_ids)
    np.testing.assert_array_equal(there.second_ids, back.first_ids)
    assert set(there.first_ids) == {0, 1, 2, 3}
    facing = there.second_ids[one.partner]
    inside = there.first_ids > 0
    assert (facing[inside] == there.first_ids[inside]).mean() > 0.99
    assert (one.gap_nm[inside] < scene.threshold_nm).all()
    assert (one.gap_nm[~inside] >= scene.threshold_nm * 0.999).all()


def test_rows_of_a_sphere_over_a_plane():
    scene = contact_scenes.sphere_over_plane()
    contacts = scene.contacts()
    curved = scene.first.with_data(
        mean_curvature_per_nm=np.full(len(scene.first.vertices), 0.02),
        evidence=np.where(np.arange(len(scene.first.vertices)) % 2, 0, 1).astype(np.uint8),
    )
    contacts = replace(scene, first=curved).contacts()
    (row,) = contact_rows(contacts, curved, scene.second)
    reach = np.sqrt(80.0**2 - 60.0**2)
    assert row["gap_min_nm"] == pytest.approx(10.0, abs=0.02)
    assert row["gap_mean_nm"] == pytest.approx(
        (20 * row["contact_area_nm2"] + scene.second_gap_nm * row["target_contact_area_nm2"])
        / (row["contact_area_nm2"] + row["target_contact_area_nm2"]),
        rel=0.005,
    )
    assert row["gap_difference_nm"] == pytest.approx(20 - scene.second_gap_nm, abs=0.05)
    assert row["rim_length_nm"] == pytest.approx(2 * np.pi * 40, rel=0.01)
    assert row["target_rim_length_nm"] == pytest.approx(2 * np.pi * reach, rel=0.01)
    assert row["elongation"] == pytest.approx(1.0, abs=0.01)
    assert row["cut_by"] == ""
    assert row["border_length_nm"] == 0
    # cap: cosines uniform from 0.6 to 1; the outer side of the sphere looks at the plane's upper side
    angle = np.degrees(np.mean(np.arccos(np.linspace(0.6, 1, 1001))))
    assert row["way_deg"] == pytest.approx(angle, rel=0.01)
    assert row["facing_deg"] > 140
    assert row["mean_curvature_inside_per_nm"] == pytest.approx(0.02)
    assert row["mean_curvature_outside_per_nm"] == pytest.approx(0.02)
    assert "target_mean_curvature_inside_per_nm" not in row
    assert row["extrapolated_area_share"] == pytest.approx(0.5, abs=0.03)
    assert row["contact_area_with_evidence_nm2"] == pytest.approx(0.5 * row["contact_area_nm2"], rel=0.06)


def test_area_turned_away_is_told():
    scene = contact_scenes.sphere_over_plane(radius=15.0, nearest=5.0, threshold=26.0, edge=1.0)
    (row,) = contact_rows(scene.contacts(), scene.first, scene.second)
    assert row["turned_away_share"] == pytest.approx((21 - 15) / 21, abs=0.01)  # uniform in height
    assert row["target_turned_away_share"] == 0
    inward = replace(scene.first, normals=-scene.first.normals, faces=scene.first.faces[:, ::-1])
    (same,) = contact_rows(replace(scene, first=inward).contacts(), inward, scene.second)
    assert same["turned_away_share"] == pytest.approx(row["turned_away_share"], abs=1e-9)


def test_a_contact_at_the_border_says_so():
    rows = [contact_rows(s.contacts(), s.first, s.second)[0] for s in [contact_scenes.tilted_plates()]]
    assert rows[0]["cut_by"] == "mask"
    begin, end, width = 30.0, 25.0 / np.sin(np.radians(15)), 80.0
    assert rows[0]["border_length_nm"] == pytest.approx(width + 2 * (end - begin), rel=0.01)
    assert rows[0]["rim_length_nm"] == pytest.approx(2 * width + 2 * (end - begin), rel=0.01)
    assert rows[0]["facing_deg"] == pytest.approx(15, abs=0.1)
    assert rows[0]["way_deg"] == pytest.approx(15, abs=0.1)
    assert rows[0]["target_way_deg"] > 120
    assert rows[0]["target_beyond_border_share"] > 0.3


def test_length_and_width_of_a_disc_and_a_rectangle():
    sheet = contact_scenes.sheet(120.0, 30.0, 3.0)
    found = shape([sheet])
    assert found["length_nm"] == pytest.approx(4 * 120 / np.sqrt(12), rel=1e-3)
    assert found["width_nm"] == pytest.approx(4 * 30 / np.sqrt(12), rel=1e-3)
    assert found["elongation"] == pytest.approx(4, rel=1e-3)


def bumpy(bump_nm2):
    """A plate 10 nm over another one, with a dent of this area in its middle that is out of reach."""
    lower, upper = contact_scenes.sheet(120, 120, 2.0), contact_scenes.sheet(100, 100, 2.0, 1)
    radius = np.sqrt(bump_nm2 / np.pi)
    far = np.linalg.norm(upper.vertices[:, :2], axis=1) < radius
    lifted = upper.vertices + np.array([0, 0, 10.0]) + far[:, None] * np.array([0, 0, 20.0])
    return replace(upper, vertices=lifted), lower


def test_small_holes_are_closed_and_large_ones_are_not():
    upper, lower = bumpy(120.0)
    one, other = facing_partner(upper, lower), facing_partner(lower, upper)
    (closed,) = contacts_between(one, other, 20.0, ContactSettings(largest_hole_nm2=1500.0)).found
    (open_,) = contacts_between(one, other, 20.0, ContactSettings(largest_hole_nm2=10.0)).found
    whole = face_areas_nm2(upper.vertices, upper.faces).sum()
    assert area_of([closed.first]) == pytest.approx(whole, rel=1e-6)
    assert whole - area_of([open_.first]) > 100
    wide, low = bumpy(2500.0)
    one, other = facing_partner(wide, low), facing_partner(low, wide)
    (left,) = contacts_between(one, other, 20.0, ContactSettings(largest_hole_nm2=1500.0)).found
    assert face_areas_nm2(wide.vertices, wide.faces).sum() - area_of([left.first]) > 2500


def test_small_contacts_are_left_out_and_counted():
    scene = contact_scenes.sinusoid()
    found = scene.contacts(ContactSettings(smallest_area_nm2=1e4))
    assert found.found == ()
    assert found.left_out == 3
    assert found.left_out_nm2 == pytest.approx(3 * 3330, rel=0.05)
    assert not found.first_ids.any()
    assert not found.second_ids.any()


def test_the_curve_is_the_area_of_the_contacts_and_rises_as_the_closed_form():
    scene = contact_scenes.sphere_over_plane()
    one, other = facing_partner(scene.first, scene.second), facing_partner(scene.second, scene.first)
    thresholds = curve_thresholds(30.0, ContactSettings(curve_nm=(9.0, 15.0, 40.0)))
    assert thresholds == [9.0, 15.0, 30.0, 40.0]
    curve = contact_curve(one, other, thresholds)
    truth = [0.0, *(2 * np.pi * 50 * (t - 10) for t in (15, 30, 40))]
    np.testing.assert_allclose([p.first_area_nm2 for p in curve], truth, rtol=0.005)
    assert [p.contacts for p in curve] == [0, 1, 1, 1]
    (found,) = contacts_between(one, other, 30.0).found
    assert area_of([found.first]) == pytest.approx(curve[2].first_area_nm2, rel=1e-3)


def test_area_below_a_level_is_that_of_halving_triangles():
    rng = np.random.default_rng(3)
    vertices, values = rng.normal(size=(3, 3)), np.array([0.2, 1.0, 2.5])
    mesh = SurfaceMesh(vertices, np.array([[0, 1, 2]]))
    shares = rng.dirichlet(np.ones(3), 400_000)
    levels = [0.1, 0.2, 0.7, 1.0, 1.9, 2.5, 3.0]
    truth = [(shares @ values < level).mean() * face_areas_nm2(vertices, mesh.faces)[0] for level in levels]
    np.testing.assert_allclose(area_below_nm2(mesh, values, levels), truth, atol=0.01)


@pytest.mark.parametrize("apart", [30.0, 29.0])
def test_sheets_exactly_at_the_threshold_are_in_no_contact_whoever_is_asked(apart):
    sheet = contact_scenes.sheet(40.0, 40.0, 2.0)
    other = SurfaceMesh(sheet.vertices + np.array([0.0, 0.0, apart]), sheet.faces)
    facing = facing_partner(sheet, other), facing_partner(other, sheet)
    assert (facing[0].gap_nm == apart).all()
    area_nm2 = 1600.0 if apart < 30 else 0.0
    (point,) = contact_curve(*facing, [30.0])
    assert point.first_area_nm2 == pytest.approx(area_nm2)
    assert point.contacts == len(contacts_between(*facing, 30.0).found) == bool(area_nm2)
    found = distance_summary(sheet, surface_distance(sheet, other), DistanceSettings(contact_distance_nm=30))
    assert found["contact_area_nm2"] == pytest.approx(area_nm2)


def test_a_fold_is_one_contact_of_two_faces():
    radius, length, width, threshold, along = 8.0, 80.0, 60.0, 20.0, 60.0
    mesh = contact_scenes.hairpin(radius, length, width, 2.0)
    facing = facing_itself(mesh, along, 1.5 * threshold)
    contacts = contacts_between(facing, facing, threshold)
    (fold,) = contacts.found
    assert fold.is_fold
    assert fold.patches == (2, 2)
    # beside the bend only what lies obliquely across is far enough along the surface
    begin = (along - np.pi * radius - np.sqrt(threshold**2 - 4 * radius**2)) / 2
    assert fold.area_nm2 == pytest.approx(width * (length - begin), rel=0.03)
    (row,) = contact_rows(contacts, mesh, mesh)
    assert row["contact_area_nm2"] == row["target_contact_area_nm2"] == pytest.approx(fold.area_nm2)
    assert row["gap_median_nm"] == pytest.approx(16.0, abs=0.05)
    assert row["gap_min_nm"] == pytest.approx(16.0, abs=0.05)
    assert row["facing_deg"] == pytest.approx(180, abs=1)
    curve = contact_curve(facing, facing, [10.0, 20.0])
    assert curve[0].first_area_nm2 == 0
    assert curve[1].first_area_nm2 == pytest.approx(fold.area_nm2, rel=0.01)


def test_a_flat_membrane_has_no_contact_with_itself():
    flat = contact_scenes.sheet(90, 70, 2.0)
    facing = facing_itself(flat, 60.0, 30.0)
    assert np.isinf(facing.gap_nm).all()
    assert contacts_between(facing, facing, 30.0).found == ()
    with pytest.raises(InputError, match="self_along_nm"):
        facing_itself(flat, 20.0, 30.0)


def plain_nearest_far(mesh, along):
    """The slow twin: geodesics of every vertex to all others, then the nearest of the far ones."""
    gaps = []
    for vertex in range(len(mesh.vertices)):
        far = geodesic_distance_nm(mesh.vertices, mesh.faces, np.array([vertex])) > along
        gaps.append(np.linalg.norm(mesh.vertices[far] - mesh.vertices[vertex], axis=1).min(initial=np.inf))
    return np.array(gaps)


def test_gaps_of_a_fold_equal_the_slow_twin():
    mesh = contact_scenes.hairpin(6.0, 30.0, 16.0, 2.0)
    found = facing_itself(mesh, 30.0, 24.0).gap_nm
    plain = plain_nearest_far(mesh, 30.0)
    reached = plain < 22
    assert reached.sum() > 100
    # of triangles, not of vertices, so never farther; and surroundings taken or left by a tenth
    assert (found[reached] <= plain[reached] + 3.0).all()
    assert np.median(np.abs(found[reached] - plain[reached])) < 0.2
    assert np.isinf(found[plain > 24 + 3]).all()
