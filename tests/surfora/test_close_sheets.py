"""Two sheets with one empty voxel between them stay apart, from mask to medial mesh and isosurface."""

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfora.geometry.cut import cut_mesh
from surfora.geometry.pieces import component_count
from surfora.geometry.surface import SurfaceMesh, face_areas_nm2
from surfora.isosurface.boundary import isosurface
from surfora.masks.cleaning import clean_mask
from surfora.medial.points import medial_points
from surfora.meshing.ballpivot import face_components, mesh_points
from surfora.meshing.loops import boundary_loops
from surfora.orientation.oriented import oriented_cloud
from surfora.settings import SurforaSettings
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
def test_flat_sheets(thickness, how, request):
    if thickness == 1 and how.get("turned_deg") == (30, 40, 10):
        reason = "the isosurface comes within 0.16 voxel of the gap's middle, where 0.2 is asked"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
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


@cache
def labelled_apart(thickness, turned_deg):
    """Of each of two labels: its mesh, its vertices' heights over its middle, its voxels and true area."""
    mask, height_of, true_area = slabs(thickness, turned_deg)
    voxels = np.argwhere(mask)
    upper = np.zeros_like(mask)
    upper[tuple(voxels[height_of(voxels[:, ::-1]) > (thickness + GAP) / 2].T)] = True
    settings = SurforaSettings()
    found = []
    for own, height in ((upper, thickness + GAP), (mask & ~upper, 0.0)):
        cleaned = clean_mask(own, 1.0, settings.clean)
        cloud, _ = oriented_cloud(medial_points(cleaned, 1.0, settings=settings.medial), settings.orient)
        mesh = mesh_points(cloud, settings.mesh, support=Volume(cleaned, 1.0), foreign=mask & ~own)
        found.append((mesh, height_of(mesh.vertices) - height, own.sum(), true_area / 2))
    return found


TURNED = (2, (30, 40, 10))


@pytest.mark.parametrize(("thickness", "turned_deg"), [(1, (0, 0, 0)), TURNED])
def test_two_labels(thickness, turned_deg):
    for mesh, off, voxels, _ in labelled_apart(thickness, turned_deg):
        assert np.abs(off).max() < 0.75
        assert pieces(mesh) == len(boundary_loops(mesh.faces)) == 1
        assert area(mesh) == pytest.approx(voxels / thickness, rel=0.03)


ROUNDED = pytest.mark.xfail(
    strict=True, reason="3.3 % too small: in voxels the sheet itself is 2.9 % smaller"
)


@pytest.mark.parametrize(("thickness", "turned_deg"), [pytest.param(1, (0, 0, 0), marks=ROUNDED), TURNED])
def test_two_labels_have_the_area_of_the_sheets_before_voxels(thickness, turned_deg):
    for mesh, _, _, true_area in labelled_apart(thickness, turned_deg):
        assert area(mesh) == pytest.approx(true_area, rel=0.03)


FOLD_SHAPE, FOLD_CENTRE = (46, 50, 54), np.array([26.7, 24.6, 22.9])
HALF_LENGTH, HALF_WIDTH, RIM = 9.0, 15.0, 3.0


def fold(thickness, turned_deg, stem):
    """Mask of a sheet that comes back beside itself, and the function that turns points into its own frame.

    Its arms lie at ± half a thickness and half a gap from z = 0, from x = −9, where they hang together, to 9;
    with a stem, a third sheet goes on from there.
    """
    rotation = Rotation.from_euler("xyz", turned_deg, degrees=True).as_matrix()
    place = (np.moveaxis(np.indices(FOLD_SHAPE), 0, -1)[..., ::-1] - FOLD_CENTRE) @ rotation
    x, y, z = np.moveaxis(place, -1, 0)
    radius = (thickness + GAP) / 2
    beyond = np.minimum(x + HALF_LENGTH, 0)
    mask = np.abs(np.where(beyond < 0, np.hypot(beyond, z), np.abs(z)) - radius) <= thickness / 2 - 1e-9
    if stem:
        mask |= (np.abs(z) <= thickness / 2) & (beyond <= -radius)
    return mask & (np.abs(y) <= HALF_WIDTH) & (
        x <= HALF_LENGTH
    ), lambda points: (points - FOLD_CENTRE) @ rotation


def in_arms(mesh, own_frame):
    """The faces of a mesh in the arms, away from rims and bend, as numbers, and their corners' heights."""
    corners = own_frame(mesh.vertices)[mesh.faces]
    x, y, _ = corners.mean(axis=1).T
    inland = np.flatnonzero((np.abs(x) < HALF_LENGTH - RIM) & (np.abs(y) < HALF_WIDTH - RIM))
    return inland, corners[inland, :, 2]


def area_in_arms(mesh, own_frame):
    """Area of a mesh in the arms, away from rims and bend: cut along the lines where that begins."""
    for axis, end in ((0, HALF_LENGTH - RIM), (1, HALF_WIDTH - RIM)):
        kept, is_beyond = cut_mesh(mesh, np.abs(own_frame(mesh.vertices)[:, axis]) - end)
        mesh = kept.with_faces(kept.faces[~is_beyond])
    return area(mesh)


@pytest.fixture(scope="module")
def folded():
    """Middle and boundary of a fold, and its frame, each made once."""
    made = {}

    def surfaces_of(*words):
        if words not in made:
            mask, own_frame = fold(*words)
            made[words] = (*surfaces(mask), own_frame)
        return made[words]

    return surfaces_of


FOLDS = [
    (1, (0, 0, 0), False),
    (1, (20, 0, 0), False),
    (1, (0, 12, 30), False),
    (1, (0, 12, 30), True),
    (2, (0, 12, 30), False),
    (3, (20, 0, 0), True),
    (4, (0, 15, 0), False),
]
"""Thickness, turns, and whether a third sheet goes on where the two hang together."""


@pytest.mark.parametrize("words", FOLDS, ids=str)
def test_the_middle_of_a_sheet_that_comes_back_beside_itself(folded, words):
    middle, _, own_frame = folded(*words)
    thickness = words[0]
    _, height = in_arms(middle, own_frame)
    assert (np.sign(height) == np.sign(height[:, :1])).all()  # no triangle joins the arms
    off = np.abs(np.abs(height) - (thickness + GAP) / 2)
    assert np.sqrt(np.mean(off**2)) < (0.2 if thickness > 1 else 0.35)
    true_area = 2 * (2 * HALF_LENGTH - 2 * RIM) * (2 * HALF_WIDTH - 2 * RIM)
    assert area_in_arms(middle, own_frame) == pytest.approx(true_area, rel=0.002 if thickness > 1 else 0.004)


@pytest.mark.parametrize("words", [*FOLDS, (1, (10, 25, 50), False)], ids=str)
def test_the_boundary_of_a_sheet_that_comes_back_beside_itself(folded, words):
    _, boundary, own_frame = folded(*words)
    inland, height = in_arms(boundary, own_frame)
    piece = face_components(boundary.faces[inland])
    inner = np.bincount(piece, weights=np.abs(height.mean(axis=1)) < words[0] / 2 + GAP / 2)
    assert np.count_nonzero(inner > 0.2 * inner.sum()) == 2
