"""Density along the normals on closed forms: thickness, middle, asymmetry, with the sign of their bias."""

from dataclasses import replace

import numpy as np
import pytest
import shapes
from density_scenes import Bilayer, mesh_off, tomogram_of

from surfora.geometry.nearest import hits_along
from surfora.measures.density import mesh_density
from surfora.measures.density.density import density_array, density_summary
from surfora.measures.density.evidence import AT_BORDER, AT_RIM, BESIDE, IN_WEDGE, NO_MEMBRANE, TOLD
from surfora.measures.density.settings import DensitySettings
from surfora.measures.settings import WedgeSettings
from surfora.measures.statistics import NoValues
from surfora.measures.wedge import wedge_angle_deg
from tomocore.contract import InputError
from tomocore.volumes.volume import Volume

WHOLE = WedgeSettings(max_tilt_deg=90.0)
FORMS = {
    "flat": shapes.flat_sheet(40.0, 34.0),
    "sphere": shapes.sphere(16.0),
    "cylinder": shapes.open_cylinder(15.0, 40.0),
}


@pytest.mark.parametrize("name", FORMS)
def test_leaflets_of_closed_forms_from_a_surface_that_lies_beside(name):
    shape = FORMS[name]
    tomogram = tomogram_of(shape, 1.2, Bilayer(outer=0.6))
    found = mesh_density(mesh_off(shape, off_nm=0.6), tomogram, wedge=WHOLE)
    data = found.mesh.data
    told = data["density_evidence"] == TOLD
    assert found.contrast == "dark"
    assert found.has_leaflets
    assert set(np.unique(data["density_evidence"])) <= {TOLD, AT_RIM}
    assert told.mean() > (0.4 if name == "flat" else 0.6)
    assert np.median(data["thickness_peak_to_peak_nm"][told]) == pytest.approx(3.2, abs=0.015)
    assert data["thickness_peak_to_peak_nm"][told].std() < 0.03
    assert np.median(data["leaflet_asymmetry"][told]) == pytest.approx(-0.25, abs=0.01)
    # the blur of voxels pulls a bent membrane inward, by its variance over the radius
    pull = {"flat": 0.0, "sphere": -0.37 / 16, "cylinder": -0.5 * 0.37 / 15}[name]
    middle = data["density_middle_offset_nm"][told] + 0.6
    assert np.median(middle) == pytest.approx(pull, abs=0.012)
    assert np.isnan(data["thickness_peak_to_peak_nm"][~told]).all()
    assert np.isfinite(data[density_array(0.0)]).all()


def test_noise_scatters_and_hardly_moves_the_means():
    shape = shapes.sphere(20.0)
    found = mesh_density(mesh_off(shape), tomogram_of(shape, 1.3, noise=1.0, seed=3), wedge=WHOLE)
    data = found.mesh.data
    assert (data["density_evidence"] == TOLD).mean() > 0.97
    assert np.nanmedian(data["thickness_peak_to_peak_nm"]) == pytest.approx(3.2, abs=0.08)
    assert np.nanstd(data["thickness_peak_to_peak_nm"]) < 0.3
    assert np.nanmedian(data["density_middle_offset_nm"]) == pytest.approx(-0.02, abs=0.05)


def test_contrast_is_found_or_stated_and_refused_where_nothing_tells():
    shape = shapes.sphere(14.0)
    bright = tomogram_of(shape, 1.4, Bilayer(bright=True))
    mesh = mesh_off(shape)
    found = mesh_density(mesh, bright, wedge=WHOLE)
    assert found.contrast == "bright"
    assert np.nanmedian(found.mesh.data["density_contrast"]) > 0.5
    dark = mesh_density(mesh, bright.with_data(-bright.data), wedge=WHOLE)
    assert dark.contrast == "dark"
    np.testing.assert_allclose(dark.mesh.data["density_contrast"], -found.mesh.data["density_contrast"])
    noise = np.random.default_rng(0).standard_normal(bright.shape, dtype=np.float32)
    with pytest.raises(InputError, match="state the contrast with --contrast"):
        mesh_density(mesh, bright.with_data(noise), wedge=WHOLE)
    with pytest.raises(InputError, match="over 0 nm² and darker over 0 nm²"):
        mesh_density(mesh, bright.with_data(np.ones_like(noise)), wedge=WHOLE)
    stated = mesh_density(mesh, bright.with_data(noise), DensitySettings(contrast="dark"), wedge=WHOLE)
    share = (stated.mesh.data["density_evidence"] == NO_MEMBRANE).mean()
    assert share > 0.5


def test_what_faces_the_wedge_is_left_out_and_the_rest_is_true():
    shape = shapes.sphere(16.0)
    tomogram = tomogram_of(shape, 1.2, noise=0.2, max_tilt_deg=60.0)
    mesh = mesh_off(shape, off_nm=0.5)
    data = mesh_density(mesh, tomogram, wedge=WedgeSettings(max_tilt_deg=60.0)).mesh.data
    inside = wedge_angle_deg(mesh.normals, WedgeSettings(max_tilt_deg=60.0)) < 0
    np.testing.assert_array_equal(data["density_evidence"] == IN_WEDGE, inside)
    assert np.isnan(data["density_middle_offset_nm"][inside]).all()
    told = data["density_evidence"] == TOLD
    # the wedge takes from either side of a vesicle what would hold its middle: it is seen too far inward
    assert -0.65 < np.median(data["density_middle_offset_nm"][told]) < -0.52
    assert np.median(data["thickness_peak_to_peak_nm"][told]) == pytest.approx(3.2, abs=0.08)


def sheets(gap_nm):
    """A flat sheet, the same one farther along its normal, and the tomogram of both."""
    one = shapes.flat_sheet(44.0, 40.0)
    normal = one.normals(one.centre_nm[None])[0]
    other = replace(one, centre_nm=one.centre_nm + gap_nm * normal)
    first = tomogram_of(one, 1.2, margin_nm=gap_nm)
    second = tomogram_of(other, 1.2, like=first)
    return mesh_off(one), mesh_off(other), first.with_data(first.data + second.data)


def half_of(mesh):
    """The triangles on one side of the mesh's middle along x."""
    x = mesh.vertices[mesh.faces].mean(axis=1)[:, 0]
    return mesh.with_faces(mesh.faces[x < np.median(x)])


@pytest.mark.parametrize(("gap_nm", "is_told"), [(7.0, False), (14.0, True)])
def test_another_membrane_within_the_profile_is_left_out(gap_nm, is_told):
    mesh, other, tomogram = sheets(gap_nm)
    if not is_told:
        with pytest.raises(NoValues, match="beside another membrane"):
            mesh_density(mesh, tomogram, wedge=WHOLE, beside=[other])
        return
    data = mesh_density(mesh, tomogram, wedge=WHOLE, beside=[other]).mesh.data
    told = data["density_evidence"] == TOLD
    assert told.mean() > 0.4
    assert np.median(data["thickness_peak_to_peak_nm"][told]) == pytest.approx(3.2, abs=0.02)
    part = half_of(other)
    near = mesh_density(mesh, tomogram, DensitySettings(clearance_nm=10.0), wedge=WHOLE, beside=[part])
    kinds = near.mesh.data["density_evidence"]
    assert (kinds == BESIDE).any()
    assert (kinds == TOLD).any()


def test_refinement_never_crosses_a_neighbour():
    mesh, other, tomogram = sheets(14.0)
    stray = replace(mesh, vertices=mesh.vertices + 11.8 * mesh.normals)  # beside the other's density
    part = half_of(other)
    near = replace(part, vertices=part.vertices - 1.0 * part.normals)
    settings = DensitySettings(half_length_nm=6.0, contrast="dark")
    free = mesh_density(stray, tomogram, settings, wedge=WHOLE, refine=True).mesh
    assert np.median(free.data["density_shift_nm"]) == pytest.approx(2.2, abs=0.02)
    moved = mesh_density(stray, tomogram, settings, wedge=WHOLE, beside=[near], refine=True).mesh
    ahead = hits_along(stray.vertices, stray.normals, near)[0]
    barred = np.isfinite(ahead)
    assert 100 < barred.sum() < len(barred) - 100
    assert moved.data["density_shift_nm"][barred].max() == pytest.approx(0.4 * 1.2, abs=0.01)
    assert moved.data["density_shift_nm"][~barred].max() > 2.0


def test_refinement_finds_the_middle_and_drops_what_no_longer_holds():
    shape = shapes.sphere(20.0)
    mesh = mesh_off(shape, off_nm=0.7, waves_nm=0.5)
    tomogram = tomogram_of(shape, 1.3, noise=0.5)
    moved = mesh_density(mesh, tomogram, wedge=WHOLE, refine=True).mesh
    before, after = (shape.signed_distance(one.vertices) for one in (mesh, moved))
    assert np.sqrt(np.mean(before**2)) > 0.7
    assert np.sqrt(np.mean(after**2)) < 0.12
    assert after.mean() == pytest.approx(-0.02, abs=0.02)
    assert "mean_curvature_per_nm" not in moved.data
    way = np.einsum("ij,ij->i", moved.vertices - mesh.vertices, mesh.normals)
    np.testing.assert_allclose(way, moved.data["density_shift_nm"], atol=1e-9)
    kept = mesh_density(mesh, tomogram, wedge=WHOLE).mesh
    np.testing.assert_array_equal(kept.vertices, mesh.vertices)
    assert "mean_curvature_per_nm" in kept.data
    assert "density_shift_nm" not in kept.data


def test_leaflets_that_are_one_peak_give_a_middle_and_no_thickness():
    shape = shapes.sphere(16.0)
    tomogram = tomogram_of(shape, 1.5, Bilayer(spacing_nm=1.6))
    found = mesh_density(mesh_off(shape, off_nm=0.6), tomogram, wedge=WHOLE)
    assert not found.has_leaflets
    assert np.isnan(found.mesh.data["thickness_peak_to_peak_nm"]).all()
    assert np.nanmedian(found.mesh.data["density_middle_offset_nm"]) == pytest.approx(-0.62, abs=0.04)


def test_the_end_of_the_tomogram_is_left_out_and_another_place_refused():
    shape = shapes.sphere(16.0)
    whole = tomogram_of(shape, 1.3)
    cut = whole.crop((slice(0, whole.shape[0] // 2), slice(0, None), slice(0, None)))
    data = mesh_density(mesh_off(shape), cut, wedge=WHOLE).mesh.data
    end = cut.origin_nm[2] + (cut.shape[0] - 1) * 1.3
    vertices, normals = mesh_off(shape).vertices, mesh_off(shape).normals
    beyond = vertices[:, 2] + 7.0 * np.abs(normals[:, 2]) > end
    np.testing.assert_array_equal(data["density_evidence"] == AT_BORDER, beyond)
    elsewhere = Volume(whole.data, 1.3, (5000.0, 0.0, 0.0))
    with pytest.raises(InputError, match="check their origins"):
        mesh_density(mesh_off(shape), elsewhere, wedge=WHOLE)


def test_densities_at_offsets_are_the_leaflets_and_the_sums_are_weighted():
    shape = shapes.sphere(16.0)
    tomogram = tomogram_of(shape, 1.0)
    settings = DensitySettings(offsets_nm=(-1.6, 1.6, 6.0), patch_radius_nm=4.0)
    mesh = mesh_density(mesh_off(shape), tomogram, settings, wedge=WHOLE).mesh
    peak = 0.8 / np.hypot(0.8, 1.0 / np.sqrt(12))  # as the leaflet of the closed form is sampled
    assert np.median(mesh.data["density_at_minus_1p6_nm"]) == pytest.approx(-1.0, abs=0.15)
    assert abs(np.median(mesh.data["density_at_1p6_nm"])) < 1.0 + 0.05
    assert peak < 1
    assert np.median(mesh.data["density_at_6_nm"]) == pytest.approx(0.0, abs=0.01)
    row = density_summary(mesh)
    assert row["density_area_share"] == pytest.approx(1.0)
    assert row["thickness_peak_to_peak_q25_nm"] <= row["thickness_peak_to_peak_median_nm"]
    assert row["density_contrast_median"] < -0.5
    assert density_summary(mesh_off(shape)) == {}
