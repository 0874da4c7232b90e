"""Synthetic tomograms: truth against closed forms, seeds, what is and is no ROI, and their files."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tomocore.contract import InputError
from tomocore.roiset import read_rois, union_mask
from tomocore.volumes.formats import read_volume
from tomorois.phantoms.buds import Bud, BuddedVesicle
from tomorois.phantoms.phantom import (
    IGNORE,
    PhantomSettings,
    make_phantom,
    training_labels,
    write_phantoms,
)
from tomorois.phantoms.placement import draw_contacts, draw_invaginations
from tomorois.phantoms.scene import SceneSettings, begun, bent_path
from tomorois.phantoms.shapes import Cisterna, Grid, Tube, sphere
from tomorois.phantoms.truth import bud_truth, contact_truth, membrane_labels

pytestmark = pytest.mark.slow

GRID = Grid((60, 80, 100), 1.5, (10.0, -20.0, 5.0))
MIDDLE = np.array([10 + 74, -20 + 59, 5 + 44.0])
LIMIT_NM, THICKNESS_NM = 30.0, 6.0
X, _, Z = np.eye(3)
TILTED = np.array([2.0, 1.0, 1.0]) / np.sqrt(6.0)
QUICK = PhantomSettings(shape_zyx=(40, 72, 64), voxel_size_nm=3.0)


def contacts(*surfaces, grid=GRID, limit=LIMIT_NM):
    return contact_truth(surfaces, grid, limit, THICKNESS_NM)


def sphere_pair(gap, radii=(28.0, 21.0)):
    """Two spheres whose nearest places lie on both sides of the middle, facing along a tilted axis."""
    first = sphere(MIDDLE - (radii[0] + gap / 2) * TILTED, radii[0])
    return first, sphere(MIDDLE + (radii[1] + gap / 2) * TILTED, radii[1])


@pytest.mark.parametrize("gap", [10.0, 17.3, 24.0])
def test_two_spheres_have_the_gap_and_the_caps_of_the_closed_form(gap):
    rois, _ = contacts(*sphere_pair(gap))
    row = rois.table.iloc[0]
    assert len(rois) == 1
    assert row.membranes == "1:2"
    assert row.gap_min_nm == pytest.approx(gap, abs=0.02)
    assert row.gap_min_nm >= gap
    # A point of one sphere at an angle t is within the limit where r² + d² − 2 r d cos t ≤ (other + limit)²,
    # and the other's centre lies ahead of it where cos t > r / d.
    distance, areas = 28.0 + 21.0 + gap, []
    for radius, other in ((28.0, 21.0), (21.0, 28.0)):
        cosine = (radius**2 + distance**2 - (other + LIMIT_NM) ** 2) / (2 * radius * distance)
        areas.append(2 * np.pi * radius**2 * (1 - max(cosine, radius / distance)))
    assert [row.contact_area_a_nm2, row.contact_area_b_nm2] == pytest.approx(areas, rel=0.02)
    assert row.contact_area_nm2 == pytest.approx(np.mean(areas), rel=0.02)
    assert [row.axis_x, row.axis_y, row.axis_z] == pytest.approx(TILTED, abs=0.01)
    centroid = row[["centroid_x_nm", "centroid_y_nm", "centroid_z_nm"]].to_numpy(float)
    assert np.linalg.norm(np.cross(centroid - MIDDLE, TILTED)) < 0.3


def test_the_mean_gap_of_a_sphere_is_that_over_its_cap():
    gap, radius, other = 15.0, 28.0, 21.0
    rois, _ = contacts(*sphere_pair(gap))
    distance = radius + other + gap
    sides = []
    for one, two in ((radius, other), (other, radius)):
        cosine = np.linspace((one**2 + distance**2 - (two + LIMIT_NM) ** 2) / (2 * one * distance), 1, 20001)
        gaps = np.sqrt(one**2 + distance**2 - 2 * one * distance * cosine) - two
        sides.append((gaps.mean(), one**2 * (1 - cosine[0])))
    expected = np.average([s[0] for s in sides], weights=[s[1] for s in sides])
    assert rois.table.gap_mean_nm[0] == pytest.approx(expected, abs=0.05)


def test_a_sac_about_a_sphere_keeps_one_gap():
    gap, half_thickness, radius = 12.0, 10.0, 30.0
    centre = MIDDLE - 25.0 * TILTED
    sac = Cisterna(centre, TILTED, radius + gap + half_thickness, 0.7, half_thickness)
    rois, _ = contacts(sphere(centre, radius), sac, limit=gap + 1e-4)
    row = rois.table.iloc[0]
    assert row.gap_min_nm == pytest.approx(gap, abs=1e-6)
    assert row.gap_sd_nm < 0.01
    caps = [2 * np.pi * r**2 * (1 - np.cos(0.7)) for r in (radius, radius + gap)]
    assert [row.contact_area_a_nm2, row.contact_area_b_nm2] == pytest.approx(caps, rel=0.02)


def test_an_roi_is_the_space_between_and_both_bilayers():
    """Along the line through both centres it runs from the far side of one bilayer to that of the other."""
    gap = 18.0
    first = sphere(MIDDLE - (28.0 + gap / 2) * X, 28.0)
    rois, _ = contacts(first, sphere(MIDDLE + (21.0 + gap / 2) * X, 21.0))
    within = np.flatnonzero(union_mask(rois).data[29, 39])
    x = GRID.world(np.column_stack([np.full_like(within, 29), np.full_like(within, 39), within]))[:, 0]
    assert np.diff(within).max() == 1
    assert x.min() - MIDDLE[0] == pytest.approx(-gap / 2 - THICKNESS_NM / 2, abs=GRID.voxel_size_nm)
    assert x.max() - MIDDLE[0] == pytest.approx(gap / 2 + THICKNESS_NM / 2, abs=GRID.voxel_size_nm)


def test_a_near_miss_and_a_lone_tube_are_no_contacts():
    rois, small = contacts(*sphere_pair(36.0))
    assert len(rois) == 0
    assert not small.any()
    tube = Tube(bent_path(MIDDLE, Z, X, 200.0, 60.0), 9.0)
    assert len(contacts(tube)[0]) == 0


def test_shells_within_one_another_are_no_contacts():
    assert len(contacts(sphere(MIDDLE, 36.0), sphere(MIDDLE, 24.0))[0]) == 0


def test_the_far_side_of_a_thin_tube_is_no_contact():
    """Behind a tube of 6 nm radius the distances still add up to less than the limit."""
    floor = sphere(MIDDLE - 520.0 * Z, 500.0)
    tube = Tube(np.array([MIDDLE - 200.0 * X, MIDDLE + 200.0 * X]), 6.0)
    rois, _ = contacts(floor, tube)
    heights = GRID.world(np.argwhere(union_mask(rois).data))[:, 2]
    assert heights.max() < MIDDLE[2] + 1.0


def test_a_tomogram_without_rois_has_all_the_columns():
    for rois in (contacts(sphere(MIDDLE, 20.0))[0], bud_truth((sphere(MIDDLE, 20.0),), GRID, THICKNESS_NM)):
        assert len(rois) == 0
        assert {"kind", "membrane_a", "axis_x", "seen_area_share"} <= set(rois.table.columns)


def test_contacts_that_overlap_are_both_kept():
    floor = sphere(MIDDLE - 110.0 * Z, 90.0)
    left, right = (sphere(MIDDLE + x * X + 10.0 * Z, 15.0) for x in (-22.0, 22.0))
    rois, _ = contacts(floor, left, right)
    assert sorted(rois.table.membranes) == ["1:2", "1:3", "2:3"]
    alone = rois.table.volume_nm3.sum()
    together = union_mask(rois).data.sum() * GRID.voxel_size_nm**3
    assert together < 0.95 * alone


def test_two_places_of_one_pair_are_two_rois():
    low = sphere(MIDDLE - 130.0 * Z, 100.0)
    arch = np.linspace(-1.3, 1.3, 90)
    tube = Tube(MIDDLE + np.column_stack([38 * arch, 0 * arch, 36 * np.cos(2.2 * arch) + 6]), 8.0)
    rois, _ = contacts(low, tube)
    assert rois.table.membranes.tolist() == ["1:2", "1:2"]
    assert rois.table.axis_z.gt(0.7).all()


def test_what_lies_outside_the_tomogram_is_not_measured():
    """A contact that the tomogram's face cuts in two has half its area."""
    gap = 15.0
    edge = np.array([84.0, 39.0, 5.0])
    cut = sphere(edge - (28.0 + gap / 2) * X, 28.0), sphere(edge + (21.0 + gap / 2) * X, 21.0)
    whole = sphere(MIDDLE - (28.0 + gap / 2) * X, 28.0), sphere(MIDDLE + (21.0 + gap / 2) * X, 21.0)
    half_area = contacts(*cut)[0].table.contact_area_nm2[0]
    assert half_area == pytest.approx(contacts(*whole)[0].table.contact_area_nm2[0] / 2, rel=0.03)


def test_how_much_of_a_contact_the_tilts_see():
    seen = {}
    for name, axis in {"x": X, "z": Z}.items():
        first, second = (sphere(MIDDLE + s * 36.0 * axis, 28.0) for s in (-1, 1))
        table = contacts(first, second)[0].table
        seen[name] = table.seen_area_share[0], table.axis_tilt_deg[0]
    assert seen["x"][0] == pytest.approx(1.0)
    assert seen["z"][0] < 0.35
    assert [seen["x"][1], seen["z"][1]] == pytest.approx([0.0, 90.0], abs=0.5)


def test_membrane_labels_are_shells_of_the_bilayer():
    first, second = sphere_pair(14.0)
    labels = membrane_labels((first, second), GRID, THICKNESS_NM)
    assert labels.dtype == np.int16
    voxels = np.indices(GRID.shape).reshape(3, -1).T
    points = GRID.world(voxels)
    for label, surface in ((1, first), (2, second)):
        expected = np.abs(surface.distance_nm(points)) <= THICKNESS_NM / 2
        np.testing.assert_array_equal(labels.ravel() == label, expected)


@pytest.mark.parametrize("inward", [True, False])
def test_a_bud_has_its_radii_axis_and_curvatures_in_the_table(inward):
    bud = Bud(TILTED, bud_radius=13.0, neck_radius=6.0, neck_length=5.0, fillet_radius=7.0)
    vesicle = BuddedVesicle(MIDDLE - (0 if inward else 34.0) * TILTED, 34.0, (bud,), inward)
    rois = bud_truth((sphere(MIDDLE + 300.0, 10.0), vesicle), GRID, THICKNESS_NM)
    row = rois.table.iloc[0]
    side = -1.0 if inward else 1.0
    assert (row.kind, row.membranes, row.status) == (
        "invagination" if inward else "evagination",
        "2",
        "truth",
    )
    assert [row.neck_radius_nm, row.bud_radius_nm] == [6.0, 13.0]
    assert row.bud_mean_curvature_per_nm == pytest.approx(side / 13.0)
    assert row.neck_mean_curvature_per_nm == pytest.approx(side / 12.0)
    assert [row.axis_x, row.axis_y, row.axis_z] == pytest.approx(-side * TILTED)
    middle = row[["bud_centre_x_nm", "bud_centre_y_nm", "bud_centre_z_nm"]].to_numpy(float)
    inside = GRID.world(np.argwhere(union_mask(rois).data))
    away = np.linalg.norm(inside - middle, axis=1)
    # Bud and lumen out to the far side of the bilayer, the neck beyond.
    assert away.min() < 1.5
    assert 4 / 3 * np.pi * 16.0**3 < row.volume_nm3 < 1.7 * 4 / 3 * np.pi * 16.0**3
    far = inside[away > 17.0] - middle
    assert (far @ (-side * TILTED)).min() > 0
    assert np.linalg.norm(inside - vesicle.centre, axis=1).min() > (0 if inward else 34.0 - 3.1)


def test_drawn_contacts_are_at_the_gaps_asked_for():
    """Of all pairs near one another only those within the drawn gaps are in contact, up to stray far ends."""
    settings = SceneSettings(facing_tilt_max_deg=40.0)
    for seed in range(3):
        scene = draw_contacts(Grid((60, 120, 120), 2.0), settings, np.random.default_rng(seed))
        rois, _ = contact_truth(scene.membranes, Grid((60, 120, 120), 2.0), LIMIT_NM, THICKNESS_NM)
        assert len(rois) >= 2
        nearest = rois.table.groupby("membranes").gap_min_nm.min()
        assert nearest.between(9.7, 27.0).all()
        lone = {
            k + 1 for k, role in enumerate(scene.roles) if role in ("tube", "near miss", "inside", "shell")
        }
        assert not lone & (set(rois.table.membrane_a) | set(rois.table.membrane_b))


def test_bud_axes_cover_the_whole_sphere():
    axes, settings = [], SceneSettings(tubes=0, nested=0, buds=(4, 5))
    for seed in range(10):
        scene = draw_invaginations(Grid((60, 120, 120), 2.0), settings, np.random.default_rng(seed))
        axes += [bud.axis for m in scene.membranes if isinstance(m, BuddedVesicle) for bud in m.buds]
    directions = np.array(axes)
    assert len(directions) >= 30
    assert len({tuple(octant) for octant in (directions > 0).tolist()}) == 8
    # Uniform over the sphere: every coordinate's size is uniform between 0 and 1.
    spread = np.sqrt(1 / 12 / len(directions))
    np.testing.assert_allclose(np.abs(directions).mean(axis=0), 0.5, atol=4 * spread)
    assert (np.abs(directions).max(axis=0) > 0.9).all()


def test_a_film_of_carbon_is_left_free():
    draft = begun(Grid((60, 120, 120), 2.0), SceneSettings(carbon_share=1.0), np.random.default_rng(0))
    corners = np.array([[0, 0], [0, 238.0], [238.0, 0], [238.0, 238.0]])
    heights = np.full((4, 1), draft.carbon.middle_z)
    inside = draft.carbon.depth_nm(np.hstack([corners, heights])) > 0
    assert inside.any()
    assert draft.carbon.depth_nm(np.array([[119.0, 119.0, draft.carbon.middle_z]]))[0] < 0


@pytest.fixture(scope="module")
def phantoms():
    return {kind: make_phantom(kind, 5, QUICK) for kind in ("contacts", "invaginations")}


@pytest.mark.parametrize("kind", ["contacts", "invaginations"])
def test_membranes_are_dark_and_labels_mark_the_rois(phantoms, kind):
    phantom = phantoms[kind]
    image, membranes, labels = phantom.tomogram.data, phantom.membranes.data, phantom.labels.data
    assert (image.dtype, membranes.dtype, labels.dtype) == (np.float32, np.int16, np.uint16)
    assert image.shape == membranes.shape == labels.shape == QUICK.shape_zyx
    assert image[membranes > 0].mean() < -0.5
    assert abs(image[membranes == 0].mean()) < 0.4
    np.testing.assert_array_equal(labels == 1, union_mask(phantom.rois).data == 1)
    assert len(phantom.rois) > 0
    assert (phantom.table.status == "truth").all()


def test_the_same_seed_gives_the_same_tomogram(phantoms):
    again = make_phantom("contacts", 5, QUICK)
    np.testing.assert_array_equal(again.tomogram.data, phantoms["contacts"].tomogram.data)
    pd.testing.assert_frame_equal(again.table, phantoms["contacts"].table)
    other = make_phantom("contacts", 5, QUICK, index=1)
    assert not np.array_equal(other.membranes.data, again.membranes.data)


def test_flavours_share_their_scene(phantoms):
    imaging = QUICK.imaging.model_copy(update={"flavour": "raw", "polarity": "bright"})
    raw = make_phantom("contacts", 5, QUICK.model_copy(update={"imaging": imaging}))
    np.testing.assert_array_equal(raw.membranes.data, phantoms["contacts"].membranes.data)
    shell = raw.membranes.data > 0
    assert raw.tomogram.data[shell].mean() > 0.05
    assert np.abs(raw.tomogram.data[shell].mean()) < np.abs(phantoms["contacts"].tomogram.data[shell].mean())


def test_the_missing_wedge_is_nearly_empty_in_the_cut_out_tomogram(phantoms):
    image = phantoms["contacts"].tomogram.data
    window = [np.hanning(n) for n in image.shape]
    power = np.abs(np.fft.rfftn(np.einsum("zyx,z,y,x->zyx", image, *window))) ** 2
    kz, kx = np.fft.fftfreq(image.shape[0])[:, None, None], np.fft.rfftfreq(image.shape[2])
    angle = np.broadcast_to(np.degrees(np.arctan2(np.abs(kz), kx)), power.shape)
    far = np.broadcast_to(np.hypot(kz, kx) > 0.1, power.shape)
    assert power[far & (angle > 70)].mean() < 3e-3 * power[far & (angle < 50)].mean()


def test_borders_can_be_ignored(phantoms):
    rois = phantoms["contacts"].rois
    labels = training_labels(rois, np.zeros(rois.shape, bool), 4.0).data
    union = union_mask(rois).data == 1
    assert (labels[union] == 1).any()
    assert (labels[union] == IGNORE).any()
    assert (labels[~union] == IGNORE).any()
    assert (labels[~union] != 1).all()
    small = np.zeros(rois.shape, bool)
    small[0, 0, :3] = True
    assert (training_labels(rois, small, 0.0).data[0, 0, :3] == IGNORE).all()


def test_files_do_not_depend_on_how_many_are_made(tmp_path):
    settings = QUICK.model_copy(update={"shape_zyx": (24, 40, 40)})
    seen = []
    one = write_phantoms(
        tmp_path / "one", "contacts", 1, 7, settings, progress=lambda done, total: seen.append((done, total))
    )
    two = write_phantoms(tmp_path / "two", "contacts", 2, 7, settings, jobs=2)
    assert seen == [(0, 1), (1, 1)]
    assert [path.name for path in two] == ["contacts_s7_000.mrc", "contacts_s7_001.mrc"]
    for ending in ("", "__membranes", "__labels"):
        first, second = (read_volume(p.with_name(p.stem + ending + ".mrc")) for p in (one[0], two[0]))
        np.testing.assert_array_equal(first.data, second.data)
        assert first.voxel_size_nm == pytest.approx(3.0, rel=1e-6)
    truth = read_rois(two[0].with_name("contacts_s7_000__truth.npz"))
    table = pd.read_csv(two[0].with_name("contacts_s7_000__truth.csv"))
    assert len(truth) == len(table)
    assert {"gap_min_nm", "contact_area_nm2", "seen_area_share"} <= set(table.columns)


def test_what_is_there_is_skipped_and_never_mixed(tmp_path, caplog):
    settings = QUICK.model_copy(update={"shape_zyx": (24, 40, 40)})
    (path,) = write_phantoms(tmp_path, "invaginations", 1, 3, settings)
    stamp = path.stat().st_mtime_ns
    write_phantoms(tmp_path, "invaginations", 1, 3, settings)
    assert path.stat().st_mtime_ns == stamp
    changed = settings.model_copy(update={"voxel_size_nm": 2.0})
    write_phantoms(tmp_path, "invaginations", 1, 3, changed)
    assert path.stat().st_mtime_ns == stamp
    assert "kept, but were made with other settings" in caplog.text
    with pytest.raises(InputError, match="other settings"):
        write_phantoms(tmp_path, "invaginations", 2, 3, changed)
    write_phantoms(tmp_path, "invaginations", 1, 3, changed, overwrite=True)
    assert read_volume(path).voxel_size_nm == pytest.approx(2.0, rel=1e-6)
    record = json.loads((tmp_path / "phantoms.json").read_text())["invaginations_s3"]
    assert (record["seed"], record["settings"]["voxel_size_nm"], record["ignore_value"]) == (3, 2.0, IGNORE)


def test_settings_that_contradict_one_another_are_refused():
    with pytest.raises(ValueError, match="must rise"):
        SceneSettings(near_miss_nm=20.0)
    with pytest.raises(ValueError, match="must not be above"):
        SceneSettings(bud_radius_nm=(20.0, 10.0))
    with pytest.raises(InputError, match="choose one of"):
        make_phantom("cristae", 0, QUICK)
