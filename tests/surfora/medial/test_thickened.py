"""Masks one voxel thick, as skeletons are: their middle, area and thickness against closed forms."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.spatial.transform import Rotation

from surfora.geometry.pieces import component_count
from surfora.geometry.surface import PointCloud, SurfaceMesh, face_areas_nm2
from surfora.medial.points import medial_points
from surfora.medial.thickened import thickened
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.smoothing import smooth_mesh
from surfora.pipeline import oriented_cloud
from surfora.settings import SurforaSettings
from tomocore.volumes.volume import Volume

HALF = {
    "skeleton": np.inf,
    "one voxel": 2.0,
    "faces": 1.0,
}  # the norm of the normal that gives half a thickness


def half_thickness(normals, kind):
    """Of the voxels whose centre a plane passes within half a voxel along its axis, normal, or by the face.

    The first touch by edges and corners at least, the last by faces.
    """
    return 0.5 * np.linalg.norm(normals, ord=HALF[kind], axis=-1)


def shell(radius, kind, seed=0):
    """A spherical shell one voxel thick at a place off the grid, and that place x, y, z."""
    size = int(np.ceil(2 * radius + 9))
    centre = size / 2 + np.random.default_rng(seed).uniform(-0.5, 0.5, 3)
    offset = np.moveaxis(np.indices((size, size + 1, size + 2)), 0, -1)[..., ::-1] - centre
    away = np.linalg.norm(offset, axis=-1)
    normals = offset / np.maximum(away, 1e-9)[..., None]
    return np.abs(away - radius) <= half_thickness(normals, kind), centre


def surface_of(mask) -> tuple[PointCloud, SurfaceMesh]:
    settings = SurforaSettings()
    cloud, _ = oriented_cloud(medial_points(mask, 1.0, settings=settings.medial), settings.orient)
    return cloud, smooth_mesh(mesh_points(cloud, settings.mesh, support=Volume(mask, 1.0)))


def area(mesh):
    return face_areas_nm2(mesh.vertices, mesh.faces).sum()


@pytest.mark.parametrize("kind", list(HALF))
@pytest.mark.parametrize(
    ("radius", "scatter", "least_percent", "most_percent"),
    [(4.0, 0.26, -2.5, 9.0), (5.0, 0.16, -2.0, 1.0), (6.0, 0.11, -1.3, 0.0), (9.0, 0.08, -1.0, 0.0),
     (20.0, 0.05, -0.6, 0.0)],
)  # fmt: skip
def test_vesicles(radius, kind, scatter, least_percent, most_percent):
    mask, centre = shell(radius, kind)
    cloud, mesh = surface_of(mask)
    off = np.linalg.norm(cloud.points - centre, axis=1) - radius
    assert off.std() < scatter
    assert abs(off.mean()) < (0.05 if radius > 4 else 0.12)
    percent = 100 * (area(mesh) / (4 * np.pi * radius**2) - 1)
    assert least_percent < percent < most_percent
    assert component_count(mesh.faces, len(mesh.vertices)) == 1
    if radius > 5:
        thickness = 2 * half_thickness(cloud.normals, kind)
        assert np.median(cloud.data["thickness_nm"] / thickness) == pytest.approx(1.0, abs=0.1)


def turned_grid(shape, centre, turned_deg):
    """Places x, y, z of voxels in a frame that is turned about a centre, and the frame."""
    frame = Rotation.from_euler("xyz", turned_deg, degrees=True).as_matrix()
    return (np.moveaxis(np.indices(shape), 0, -1)[..., ::-1] - centre) @ frame, frame


@pytest.mark.parametrize("kind", ["skeleton", "faces"])
@pytest.mark.parametrize("turned_deg", [(0, 0, 0), (15, 0, 0), (20, 30, 0), (45, 35, 0)])
def test_flat_discs_do_not_grow_beyond_their_rim(turned_deg, kind):
    place, frame = turned_grid((46, 47, 48), (23.4, 22.8, 23.3), turned_deg)
    within = np.hypot(place[..., 0], place[..., 1]) <= 16
    _, mesh = surface_of(within & (np.abs(place[..., 2]) <= half_thickness(frame[:, 2], kind)))
    assert area(mesh) == pytest.approx(np.pi * 16**2, rel=0.03)


@pytest.mark.parametrize("turned_deg", [(0, 0, 0), (20, 30, 0)])
def test_a_plate_is_flat_and_errs_by_its_rim_alone(turned_deg):
    half = np.array([14.3, 12.2])
    place, frame = turned_grid((48, 48, 48), (24.2, 23.7, 24.4), turned_deg)
    within = (np.abs(place[..., :2]) <= half).all(axis=-1)
    _, mesh = surface_of(within & (np.abs(place[..., 2]) <= half_thickness(frame[:, 2], "one voxel")))
    own = (mesh.vertices - (24.2, 23.7, 24.4)) @ frame
    flattened = face_areas_nm2(own * (1.0, 1.0, 0.0), mesh.faces).sum()
    assert area(mesh) == pytest.approx(flattened, rel=1e-3)
    assert own[:, 2].std() < 0.08
    # its edges are known to half a voxel either way
    least, most = (4 * np.prod(half + by) for by in (-0.5, 0.5))
    assert least < area(mesh) < most


@pytest.mark.parametrize("kind", ["skeleton", "faces"])
def test_a_turned_ellipsoid(kind):
    axes = np.array([15.0, 11.0, 8.0])
    place, frame = turned_grid((44, 44, 44), (21.6, 22.2, 21.7), (20, 35, 10))
    level = np.linalg.norm(place / axes, axis=-1)
    slope = place / axes**2 / np.maximum(level, 1e-9)[..., None]
    steepness = np.linalg.norm(slope, axis=-1)
    distance = (level - 1) / np.maximum(steepness, 1e-9)
    normals = slope / np.maximum(steepness, 1e-9)[..., None] @ frame.T
    _, mesh = surface_of(np.abs(distance) <= half_thickness(normals, kind))
    assert -0.015 < area(mesh) / ellipsoid_area(*axes) - 1 < 0.002


def ellipsoid_area(a, b, c):
    """By its integral over the polar angle and the azimuth."""

    def ring(polar):
        sine, cosine = np.sin(polar), np.cos(polar)

        def element(turn):
            x, y = b * c * sine * np.cos(turn), a * c * sine * np.sin(turn)
            return sine * np.sqrt(x**2 + y**2 + (a * b * cosine) ** 2)

        return quad(element, 0, 2 * np.pi)[0]

    return quad(ring, 0, np.pi)[0]


def test_a_tube_open_at_both_ends():
    place, frame = turned_grid((50, 48, 46), (22.7, 23.6, 24.3), (25, 40, 0))
    across = place[..., :2]
    away = np.linalg.norm(across, axis=-1)
    normals = across / np.maximum(away, 1e-9)[..., None] @ frame[:, :2].T
    mask = (np.abs(away - 7) <= half_thickness(normals, "skeleton")) & (np.abs(place[..., 2]) <= 15)
    _, mesh = surface_of(mask)
    assert -0.03 < area(mesh) / (2 * np.pi * 7 * 30) - 1 < 0.01


def test_nothing_is_added_where_a_sheet_faces_itself():
    mask = np.zeros((20, 30, 30), bool)
    mask[8, 5:25, 5:25] = mask[10, 5:25, 5:15] = mask[9, 5:25, 5] = True
    occupied = np.argwhere(mask)
    thick, given = thickened(mask, occupied)
    assert not thick[9, :, 6:15].any()
    alone = (occupied[:, 0] == 8) & (occupied[:, 2] > 18)
    assert given[alone].all()
    assert np.array_equal(thick[7, 5:25, 19:25], thick[9, 5:25, 19:25])
