"""Roughness of waves of known height, the filter's closed form, what form leaves, rims, the voxels' floor."""

from __future__ import annotations

import numpy as np
import pytest
import shapes

from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.measures.roughness import (
    RADIUS_WAVELENGTHS,
    mesh_roughness,
    sampled_heights_nm,
    transfer,
    voxel_noise_floor_nm,
)
from surfora.measures.settings import RoughnessSettings
from surfora.measures.statistics import NoValues
from tomocore.contract import InputError

pytestmark = pytest.mark.slow

SHEET = shapes.flat_sheet(90.0, 80.0)


def wavy_mesh(wavelength_nm, amplitude_nm, edge_nm=1.8):
    """A flat sheet in general position with one plane wave, oblique to its sides."""
    vertices, faces = SHEET.mesh(edge_nm)
    along = (vertices - SHEET.centre_nm) @ SHEET.rotation @ [0.8, 0.6, 0.0]
    wave = amplitude_nm * np.sin(2 * np.pi * along / wavelength_nm)
    return SurfaceMesh(vertices + wave[:, None] * SHEET.rotation[:, 2], faces), wave


@pytest.mark.parametrize("wavelength_nm", [10.0, 16.0, 24.0])
def test_a_wave_s_roughness_is_its_amplitude_over_root_two_times_the_filter_s_transfer(wavelength_nm):
    mesh, _ = wavy_mesh(wavelength_nm, 0.4)
    rough = mesh_roughness(mesh).data["roughness_nm"]
    inside = SHEET.rim_distance(mesh.vertices) > 20
    expected = 0.4 / np.sqrt(2) * transfer(np.array([wavelength_nm / 20.0]))[0]
    # a slope s makes the wave longer on the surface than on the plane by s²/4: a little less, never more
    ratio = np.sqrt(np.nanmean(rough[inside] ** 2)) / expected
    assert 0.94 < ratio < 1.01


def test_heights_are_positive_on_the_normals_side_and_follow_the_wave():
    mesh, wave = wavy_mesh(10.0, 0.5)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    for side in (1, -1):
        height = sampled_heights_nm(mesh.vertices, mesh.faces, side * normals, 20.0)
        seen = np.isfinite(height)
        slope = (height[seen] @ wave[seen]) / (wave[seen] @ wave[seen])
        assert side * np.sign(normals[0] @ SHEET.rotation[:, 2]) * slope == pytest.approx(1.0, abs=0.03)


def test_transfer_is_half_at_the_cutoff_falls_with_wavelength_and_never_overshoots():
    waves = np.geomspace(0.2, 20, 200)
    share = transfer(waves)
    assert transfer(np.array([1.0]))[0] == pytest.approx(0.5, abs=1e-3)
    assert share.max() < 1.02
    assert (np.diff(share[waves > 0.75]) < 0).all()
    assert share[-1] < 1e-4
    assert RADIUS_WAVELENGTHS > 1


def test_transfer_is_that_of_the_fit_it_describes():
    """Its slow twin: fit all terms of order 4 to a plane wave on a disc; the residual at the centre."""
    x, y = np.meshgrid(np.linspace(-1, 1, 201), np.linspace(-1, 1, 201))
    disc = x**2 + y**2 <= 1
    x, y = x[disc], y[disc]
    root = np.exp(-0.5 * 4 * (x**2 + y**2))
    terms = np.column_stack([x ** (d - j) * y**j for d in range(5) for j in range(d + 1)])
    for wavelength in (0.5, 1.0, 2.0):
        wave = np.cos(2 * np.pi * RADIUS_WAVELENGTHS / wavelength * x)
        fit = np.linalg.lstsq(terms * root[:, None], wave * root, rcond=None)[0]
        assert transfer(np.array([wavelength]))[0] == pytest.approx(1 - fit[0], abs=3e-3)


def test_form_is_not_roughness():
    for shape, most_nm in ((shapes.sphere(15.0), 0.01), (shapes.open_cylinder(15.0, 80.0), 0.01)):
        rough = mesh_roughness(SurfaceMesh(*shape.mesh(1.8))).data["roughness_nm"]
        assert np.isfinite(rough).any()
        assert np.nanmedian(rough) < most_nm


def test_roughness_is_unknown_at_rims_and_never_zero_by_default():
    mesh, _ = wavy_mesh(10.0, 0.5)
    rough = mesh_roughness(mesh).data["roughness_nm"]
    assert np.isnan(rough[SHEET.rim_distance(mesh.vertices) < 1]).all()
    assert np.isfinite(rough[SHEET.rim_distance(mesh.vertices) > 15]).all()
    small = SurfaceMesh(*shapes.flat_sheet(12.0, 10.0).mesh(2.0))
    with pytest.raises(NoValues, match=r"lower roughness\.cutoff_wavelength_nm"):
        mesh_roughness(small)


def test_noise_adds_to_roughness_never_subtracts():
    mesh, _ = wavy_mesh(16.0, 0.3)
    random = np.random.default_rng(0)
    noisy = mesh.vertices + random.normal(scale=0.2, size=len(mesh.vertices))[:, None] * SHEET.rotation[:, 2]
    clean = mesh_roughness(mesh).data["roughness_nm"]
    rough = mesh_roughness(SurfaceMesh(noisy, mesh.faces)).data["roughness_nm"]
    inside = SHEET.rim_distance(mesh.vertices) > 20
    expected = np.sqrt(np.nanmedian(clean[inside]) ** 2 + 0.2**2)
    assert np.nanmedian(rough[inside]) == pytest.approx(expected, rel=0.15)
    assert np.nanmedian(rough[inside]) > np.nanmedian(clean[inside])


def test_the_voxels_floor_grows_with_the_voxel_and_falls_with_the_fit():
    floor = voxel_noise_floor_nm(1.0, 4.0, 4.0, 20.0)
    assert 0.02 < floor < 0.1
    assert voxel_noise_floor_nm(2.0, 8.0, 8.0, 40.0) == pytest.approx(2 * floor)
    assert voxel_noise_floor_nm(1.0, 4.0, 7.0, 20.0) < floor < voxel_noise_floor_nm(2.0, 4.0, 4.0, 20.0)


def test_the_voxels_floor_is_what_voxelised_membranes_show():
    """Sheets through voxels, their middles by quadratic fits over discs of 4 nm, as the floor assumes."""
    rms = []
    for seed in range(21, 24):
        shape = shapes.sphere(60.0, seed=seed)
        rms.append(fitted_roughness(shape, voxel_size_nm=1.0, thickness_nm=4.0, fit_radius_nm=4.0))
    measured = np.sqrt(np.mean(np.square(rms)))
    assert 0.6 < measured / voxel_noise_floor_nm(1.0, 4.0, 4.0, 20.0) < 1.7


def fitted_roughness(shape, voxel_size_nm, thickness_nm, fit_radius_nm):
    """Roughness of a cap of a voxelised sphere whose points are placed by quadratic fits to its voxels."""
    frame = shape.rotation
    lattice = np.stack(np.meshgrid(*[np.arange(-32, 32.1, 2.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    side = int(np.sqrt(len(lattice)))
    up = np.sqrt(60.0**2 - (lattice**2).sum(axis=1))
    points = shape.centre_nm + np.column_stack([lattice, up]) @ frame.T
    normals = (points - shape.centre_nm) / 60.0
    e = np.cross(normals, frame[:, 0])
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    f = np.cross(normals, e)
    reach = np.arange(-8, 9) * voxel_size_nm
    near = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    placed = points.copy()
    for i, (point, normal) in enumerate(zip(points, normals, strict=True)):
        voxels = np.round(point / voxel_size_nm) * voxel_size_nm + near
        inside = np.abs(np.linalg.norm(voxels - shape.centre_nm, axis=1) - 60.0) <= thickness_nm / 2
        way = voxels[inside] - point
        x, y = way @ e[i], way @ f[i]
        disc = x**2 + y**2 <= fit_radius_nm**2
        x, y, z = x[disc], y[disc], (way @ normal)[disc]
        terms = np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])
        placed[i] += np.linalg.lstsq(terms, z, rcond=None)[0][0] * normal
    index = np.arange(side * side).reshape(side, side)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    rough = mesh_roughness(SurfaceMesh(placed, faces)).data["roughness_nm"]
    return np.sqrt(np.nanmean(rough**2))


def test_the_floor_comes_with_the_voxel_size_only_and_settings_reach_it():
    mesh, _ = wavy_mesh(10.0, 0.5, edge_nm=3.0)
    assert "roughness_floor_nm" not in mesh_roughness(mesh).data
    thick = RoughnessSettings(membrane_thickness_nm=4.0, fit_radius_nm=4.0)
    floor = mesh_roughness(mesh, thick, 1.0).data["roughness_floor_nm"]
    assert np.unique(floor) == [voxel_noise_floor_nm(1.0, 4.0, 4.0, 20.0)]


def test_meshes_without_triangles_are_refused():
    with pytest.raises(InputError, match="no triangles"):
        mesh_roughness(SurfaceMesh(np.zeros((3, 3)), np.empty((0, 3), dtype=np.int64)))
