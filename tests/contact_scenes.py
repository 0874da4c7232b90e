"""Pairs of membranes whose contact has a closed form: areas and gaps of both sides at a threshold.

Meshes have their vertices on the true surfaces, irregular where they are sheets, and every scene stands in
general position: turned and moved as one. Lengths are nm.

    scene = contact_scenes.sphere_over_plane()
    contacts = scene.contacts()
    contacts.found[0].area_nm2, scene.first_area_nm2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapes
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.spatial.transform import Rotation

from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.measures.contacts.facing import facing_partner
from surfora.measures.contacts.find import Contacts, contacts_between
from surfora.measures.contacts.settings import ContactSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """Two membranes, the threshold, and the truth of each side; NaN where it has no closed form."""

    name: str
    first: SurfaceMesh
    second: SurfaceMesh
    threshold_nm: float
    first_area_nm2: float
    first_gap_nm: float
    second_area_nm2: float = np.nan
    second_gap_nm: float = np.nan
    count: int = 1

    def contacts(self, settings: ContactSettings = ContactSettings()) -> Contacts:
        """The contacts that the program finds."""
        one, other = facing_partner(self.first, self.second), facing_partner(self.second, self.first)
        return contacts_between(one, other, self.threshold_nm, settings)


def sphere_over_plane(radius=50.0, nearest=10.0, threshold=30.0, edge=2.0, seed=0) -> Scene:
    """A vesicle beside a flat membrane; gaps are uniform over the cap, by Archimedes."""
    height = threshold - nearest
    centre = radius + nearest
    reach = np.sqrt((radius + threshold) ** 2 - centre**2)
    cap = ball(radius, edge, (0, 0, centre))
    gap = (2 / reach**2) * ((radius + threshold) ** 3 - centre**3) / 3 - radius
    flat = sheet(2 * (reach + 15), 2 * (reach + 15), edge, seed)
    return placed(
        Scene(
            "sphere over plane", cap, flat, threshold,
            2 * np.pi * radius * height, nearest + height / 2, np.pi * reach**2, gap,
        ), seed,
    )  # fmt: skip


def sphere_in_sphere(inner=40.0, outer=60.0, offset=12.0, threshold=14.0, edge=2.0, seed=1) -> Scene:
    """A vesicle off the centre of a larger one."""
    low = ((outer - threshold) ** 2 - offset**2 - inner**2) / (2 * offset * inner)
    nearest_to_farthest = ((offset + inner) ** 3 - (outer - threshold) ** 3) / (3 * offset * inner)
    gap = outer - nearest_to_farthest / (1 - low)
    around = beside_sphere(outer, inner, offset, threshold)
    return placed(
        Scene(
            "sphere in sphere", ball(inner, edge, (0, 0, offset)), ball(outer, edge), threshold,
            2 * np.pi * inner**2 * (1 - low), gap, *around,
        ), seed,
    )  # fmt: skip


def two_spheres(first=45.0, second=30.0, nearest=8.0, threshold=20.0, edge=2.0, seed=2) -> Scene:
    """Two vesicles side by side."""
    apart = first + second + nearest
    return placed(
        Scene(
            "two spheres", ball(first, edge), ball(second, edge, (0, 0, apart)), threshold,
            *beside_sphere(first, second, apart, threshold), *beside_sphere(second, first, apart, threshold),
        ), seed,
    )  # fmt: skip


def tilted_plates(angle_deg=15.0, begin=30.0, threshold=25.0, edge=2.0, seed=3) -> Scene:
    """Two plates at an angle: gaps rise as the sine; the second is larger, and only the first has a truth."""
    slope, width = np.sin(np.radians(angle_deg)), 80.0
    end = threshold / slope
    first = sheet(end + 30 - begin, width, edge, seed)
    first = replace(first, vertices=first.vertices + np.array([begin + (end + 30 - begin) / 2, 0, 0]))
    second = sheet(end + 100, width + 80, edge, seed + 1)
    second = replace(second, vertices=second.vertices + np.array([(end + 100) / 2 - 20, 0, 0]))
    second = turned(second, Rotation.from_euler("y", -angle_deg, degrees=True).as_matrix())
    return placed(
        Scene(
            "tilted plates", first, second, threshold, width * (end - begin), (begin * slope + threshold) / 2
        ), seed,
    )  # fmt: skip


def cylinder_along_plane(radius=25.0, nearest=8.0, length=90.0, threshold=22.0, edge=2.0, seed=4) -> Scene:
    """A tubule along a flat membrane that is as long as it."""
    angle = np.arccos(1 - (threshold - nearest) / radius)
    centre = radius + nearest
    reach = np.sqrt((radius + threshold) ** 2 - centre**2)
    gap = quad(lambda x: np.hypot(x, centre) - radius, 0, reach)[0] / reach
    tube = mesh_of(shapes.open_cylinder(radius, length, seed=None), edge)
    tube = turned(tube, Rotation.from_euler("x", 90, degrees=True).as_matrix())
    tube = replace(tube, vertices=tube.vertices + np.array([0, 0, centre]))
    return placed(
        Scene(
            "cylinder along plane", tube, sheet(2 * reach + 40, length, edge, seed), threshold,
            2 * angle * radius * length, nearest + radius * (1 - np.sin(angle) / angle),
            2 * reach * length, gap,
        ), seed,
    )  # fmt: skip


def sinusoid(amplitude=8.0, wave=60.0, middle=20.0, threshold=18.0, edge=1.5, seed=5) -> Scene:
    """A membrane with ridges over a flat one: three troughs, so contacts; only the first has a truth."""
    width, k = 90.0, 2 * np.pi / wave
    first = sheet(3 * wave, width, edge, seed)
    height = middle + amplitude * np.cos(k * (first.vertices[:, 0] - 1.5 * wave))
    first = with_normals(replace(first, vertices=first.vertices + height[:, None] * np.array([0, 0, 1])))
    half = wave / 2 - np.arccos((threshold - middle) / amplitude) / k  # of a trough, along the plane

    def along(x: float) -> float:
        return float(np.hypot(1, amplitude * k * np.sin(k * x)))

    length = 2 * quad(along, wave / 2 - half, wave / 2)[0]
    gap = 2 * quad(lambda x: along(x) * (middle + amplitude * np.cos(k * x)), wave / 2 - half, wave / 2)[0]
    flat = sheet(3 * wave + 80, width + 80, edge, seed + 1)
    return placed(Scene("sinusoid", first, flat, threshold, 3 * length * width, gap / length, count=3), seed)


SCENES: tuple[Callable[..., Scene], ...] = (
    sphere_over_plane,
    sphere_in_sphere,
    tilted_plates,
    two_spheres,
    cylinder_along_plane,
    sinusoid,
)


def beside_sphere(own, other, apart, threshold) -> tuple[float, float]:
    """Area and mean gap on a sphere whose partner sphere has its centre ``apart`` from its own."""
    low = (own**2 + apart**2 - (other + threshold) ** 2) / (2 * own * apart)
    mean = ((other + threshold) ** 3 - abs(own - apart) ** 3) / (3 * own * apart) / (1 - low)
    return 2 * np.pi * own**2 * (1 - low), mean - other


def ball(radius, edge, centre=(0.0, 0.0, 0.0)) -> SurfaceMesh:
    """A sphere with outward normals; its poles are turned away from the z axis."""
    mesh = turned(
        mesh_of(shapes.sphere(radius, seed=None), edge), Rotation.from_rotvec([1.0, 0.4, 0]).as_matrix()
    )
    return replace(mesh, vertices=mesh.vertices + np.asarray(centre))


def sheet(width, depth, edge, seed=0) -> SurfaceMesh:
    """A flat rectangle about the origin in the plane z = 0, its inner vertices moved at random."""
    counts = max(int(np.ceil(width / edge)), 2), max(int(np.ceil(depth / edge)), 2)
    u, v = (np.linspace(-size / 2, size / 2, n + 1) for size, n in zip((width, depth), counts, strict=True))
    x, y = np.meshgrid(u, v, indexing="ij")
    moved = np.random.default_rng(seed).uniform(-0.3 * edge, 0.3 * edge, (2, *x.shape))
    moved[:, [0, -1]] = 0
    moved[:, :, [0, -1]] = 0
    points = np.stack([x + moved[0], y + moved[1], np.zeros_like(x)], axis=-1).reshape(-1, 3)
    corner = np.arange(x.size).reshape(x.shape)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    faces = np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return with_normals(SurfaceMesh(points, faces.astype(np.int64)))


def hairpin(radius, length, width, edge) -> SurfaceMesh:
    """A membrane folded back: two flat faces 2 × radius apart, and the half tube that joins them."""
    half = np.pi * radius / 2
    flat = sheet(2 * (length + half), width, edge)
    u, v = flat.vertices[:, 0], flat.vertices[:, 1]
    in_bend = np.abs(u) < half
    x = np.where(in_bend, -radius * np.cos(u / radius), np.abs(u) - half)
    z = np.where(in_bend, radius * np.sin(u / radius), np.sign(u) * radius)
    return with_normals(replace(flat, vertices=np.column_stack([x, v, z])))


def mesh_of(shape, edge) -> SurfaceMesh:
    """The mesh of an analytic shape."""
    return with_normals(SurfaceMesh(*shape.mesh(edge)))


def with_normals(mesh: SurfaceMesh) -> SurfaceMesh:
    """The mesh with the normals of its winding."""
    return replace(mesh, normals=vertex_normals(mesh.vertices, mesh.faces))


def turned(mesh: SurfaceMesh, rotation) -> SurfaceMesh:
    """The mesh rotated about the origin."""
    return replace(mesh, vertices=mesh.vertices @ rotation.T, normals=mesh.normals @ rotation.T)


def placed(scene: Scene, seed: int) -> Scene:
    """The scene turned and moved as one."""
    random = np.random.default_rng(seed)
    rotation, shift = Rotation.random(rng=random).as_matrix(), random.uniform(-300, 800, 3)
    one, other = (turned(mesh, rotation) for mesh in (scene.first, scene.second))
    return replace(
        scene,
        first=replace(one, vertices=one.vertices + shift),
        second=replace(other, vertices=other.vertices + shift),
    )
