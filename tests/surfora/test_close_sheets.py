"""Two sheets with one empty voxel between them stay apart, from mask to medial mesh and isosurface."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfora.geometry.surface import SurfaceMesh, component_count, face_areas_nm2
from surfora.isosurface.boundary import isosurface
from surfora.masks.cleaning import clean_mask
from surfora.medial.points import medial_points
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.loops import boundary_loops
from surfora.orientation.oriented import oriented_cloud
from surfora.pipeline import SurforaSettings
from tomocore.volumes.volume import Volume

SHAPE = (40, 54, 58)
GAP = 1.0


def slabs(thickness, turned_deg=(0, 0, 0), longer=0.0, disc=False, across=False):
    """Mask of two sheets, their places' heights over the lower one's middle, and their area."""
    rotation = Rotation.from_euler("xyz", turned_deg, degrees=True).as_matrix()
    centre = np.array([28.5, 26.5, 14.0 if thickness % 2 else 14.5])
    place = (np.moveaxis(np.indices(SHAPE), 0, -1)[..., ::-1] - centre) @ rotation
    mask, area = np.zeros(SHAPE, bool), 0.0
    for number, height in enumerate((0.0, thickness + GAP)):
        half = 16.3 + longer * number
        within = np.hypot(place[..., 0], place[..., 1]) <= half
        if not disc:
            within = (np.abs(place[..., 0]) <= (99 if across else half)) & (np.abs(place[..., 1]) <= 18.2)
        mask |= within & (np.abs(place[..., 2] - height) <= thickness / 2 - 1e-9)
        area += np.pi * half**2 if disc else 2 * 18.2 * (SHAPE[2] - 1 if across else 2 * half)
    return mask, lambda points: ((points - centre) @ rotation)[:, 2], area


def surfaces(mask):
    settings = SurforaSettings()
    cleaned = clean_mask(mask, 1.0, settings.clean)
    cloud, _ = oriented_cloud(medial_points(cleaned, 1.0, settings=settings.medial), settings.orient)
    middle = mesh_points(cloud, settings.mesh, support=Volume(cleaned, 1.0))
    return middle, isosurface(cleaned, 1.0, medial=middle)


def pieces(mesh: SurfaceMesh) -> int:
    return component_count(mesh.faces, len(mesh.vertices))


def area(mesh):
    return face_areas_nm2(mesh.vertices, mesh.faces).sum()


@pytest.mark.parametrize("thickness", [1, 2, 6])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"turned_deg": (0, 0, 30)},
        {"disc": True, "longer": 3.0},
        {"across": True},
        {"turned_deg": (30, 40, 10)},
    ],
    ids=["along the axes", "turned in plane", "staggered rims", "to the border", "turned in space"],
)
def test_flat_sheets(thickness, how):
    if thickness == 1 and "turned_deg" in how and how["turned_deg"][0]:
        pytest.skip("a turned mask of one voxel has lost its rims before any gap")
    mask, height_of, true_area = slabs(thickness, **how)
    middle, boundary = surfaces(mask)
    height = height_of(middle.vertices)
    assert np.minimum(np.abs(height), np.abs(height - thickness - GAP)).max() < 0.75
    upper = (height > (thickness + GAP) / 2)[middle.faces]
    assert (upper.all(axis=1) | ~upper.any(axis=1)).all()
    assert pieces(middle) == len(boundary_loops(middle.faces)) == 2
    assert area(middle) == pytest.approx(true_area, rel=0.06 if thickness > 1 else 0.4)
    assert pieces(boundary) == 2
    between = height_of(boundary.vertices) - (thickness + GAP) / 2
    assert np.abs(between).min() > 0.2


@pytest.mark.parametrize("thickness", [2, 3])
@pytest.mark.parametrize("open_at", [None, 4.8])
def test_nested_spheres(thickness, open_at):
    centre, inner = np.array([26.7, 27.2, 26.4]), 13.0
    offset = np.moveaxis(np.indices((54, 54, 54)), 0, -1) - centre
    radius, outer = np.linalg.norm(offset, axis=-1), inner + thickness + GAP
    mask = (np.abs(radius - inner) <= thickness / 2) | (np.abs(radius - outer) <= thickness / 2)
    if open_at is not None:
        mask &= offset[..., 0] < open_at
    middle, boundary = surfaces(mask)
    away = np.linalg.norm(middle.vertices - centre[::-1], axis=1)
    assert np.minimum(np.abs(away - inner), np.abs(away - outer)).max() < 0.75
    far = (away > (inner + outer) / 2)[middle.faces]
    assert (far.all(axis=1) | ~far.any(axis=1)).all()
    assert pieces(middle) == 2
    true_area = sum(
        4 * np.pi * r**2 if open_at is None else 2 * np.pi * r * (r + open_at) for r in (inner, outer)
    )
    assert area(middle) == pytest.approx(true_area, rel=0.02)
    assert pieces(boundary) == (4 if open_at is None else 2)
