"""The share of a sphere that a tilt series measures has a closed form."""

import numpy as np
import pytest
import shapes

from surfora.geometry.surface import SurfaceMesh
from surfora.measures.settings import WedgeSettings
from surfora.measures.statistics import NoValues
from surfora.measures.wedge import UNSUPPORTED, area_shares, mesh_evidence, wedge_angle_deg
from tomocore.volumes.volume import Volume


@pytest.mark.parametrize(
    ("normal", "axis", "angle"),
    [
        ((1, 0, 0), "y", 60),
        ((0, 1, 0), "y", 60),
        ((0, 0, 1), "y", -30),
        ((0, 0, -1), "y", -30),
        ((np.cos(np.pi / 3), 0, np.sin(np.pi / 3)), "y", 0),
        ((0, np.cos(np.pi / 4), np.sin(np.pi / 4)), "y", -30),
        ((0, np.cos(np.pi / 4), np.sin(np.pi / 4)), "x", 15),
    ],
)
def test_angle_to_the_wedge(normal, axis, angle):
    settings = WedgeSettings(max_tilt_deg=60, tilt_axis=axis)
    assert wedge_angle_deg(np.array([normal], float), settings)[0] == pytest.approx(angle, abs=1e-6)


@pytest.fixture(scope="module")
def sphere():
    shape = shapes.sphere(radius_nm=15.0)
    vertices, faces = shape.mesh(1.0)
    mask, origin_nm = shape.voxelise(1.0, 4.0)
    return SurfaceMesh(vertices, faces, shape.normals(vertices)), Volume(mask, 1.0, origin_nm)


@pytest.mark.parametrize("max_tilt_deg", [45.0, 60.0, 70.0])
def test_share_of_a_sphere_that_is_measured(sphere, max_tilt_deg):
    mesh, mask = sphere
    shares = area_shares(mesh_evidence(mesh, mask, WedgeSettings(max_tilt_deg=max_tilt_deg)))
    assert shares["measured_area_share"] == pytest.approx(max_tilt_deg / 90, abs=0.01)
    assert shares["extrapolated_area_share"] == pytest.approx(1 - max_tilt_deg / 90, abs=0.01)
    assert shares["unsupported_area_share"] == 0


def test_a_hole_in_the_mask_is_unsupported(sphere):
    mesh, mask = sphere
    centre = mesh.vertices.mean(axis=0)
    voxel_height = mask.world(np.argwhere(np.ones(mask.shape, bool)))[:, 0].reshape(mask.shape) - centre[0]
    holed = mask.with_data(mask.data & (voxel_height < 9.0))
    seen = mesh_evidence(mesh, holed)
    height = mesh.vertices[:, 0] - centre[0]
    assert (seen.data["evidence"][height > 11.5] == UNSUPPORTED).all()
    assert (seen.data["evidence"][height < 8.0] != UNSUPPORTED).all()
    # The cap begins 1.5 nm along the sphere above the cut, which lies at 9 nm less up to a voxel.
    share = area_shares(seen)["unsupported_area_share"]
    assert (1 - (9.0 + 1.5 * 0.8) / 15) / 2 < share < (1 - (8.0 + 1.5 * 0.8) / 15) / 2


def test_a_mask_from_another_place_is_refused(sphere):
    mesh, mask = sphere
    away = Volume(mask.data, 1.0, tuple(x + 500.0 for x in mask.origin_nm))
    with pytest.raises(NoValues, match="different places"):
        mesh_evidence(mesh, away)
