"""The scattering mass of a scene on a grid: bilayers, lumens, proteins, tethers, gold and carbon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import gaussian_filter

from tomocore.settings import Settings
from tomorois.phantoms.scene import Carbon, Scene
from tomorois.phantoms.shapes import Floats, Grid, Surface, Tube, distances_in_box, outward
from tomorois.phantoms.truth import Side

Image = NDArray[np.float32]

PROTEIN_SIGMA_NM = 2.2
RIBOSOME_RADIUS_NM = 11.0
GOLD_DENSITY = 9.0
CARBON_DENSITY = 0.8
TETHER_DENSITY = 0.8


class SpecimenSettings(Settings):
    """What membranes and their surroundings are made of; densities in units of a leaflet's peak."""

    leaflet_spacing_nm: float = Field(
        4.0, gt=0, le=10, description="Distance in nm between the leaflets' centres."
    )
    leaflet_sigma_nm: float = Field(
        0.7, gt=0, le=5, description="Standard deviation in nm of a leaflet's density."
    )
    membrane_thickness_nm: float = Field(
        6.0, gt=0, le=20, description="Thickness in nm of a membrane in labels: leaflets and head groups."
    )
    crowding: float = Field(
        0.22, ge=0, le=2, description="Standard deviation of the protein density, a leaflet's peak being 1."
    )
    patchiness: float = Field(
        0.25, ge=0, le=1, description="Standard deviation of a leaflet's density along the membrane."
    )
    ribosomes: float = Field(8.0, ge=0, le=500, description="Mean number of ribosome-like particles.")
    tethers_per_1000_nm2: float = Field(2.5, ge=0, le=50, description="Tethers for 1000 nm² of contact area.")


def specimen_density(
    scene: Scene, tethers: Sequence[Tube], grid: Grid, settings: SpecimenSettings, rng: np.random.Generator
) -> Image:
    """Density (z, y, x) of everything but gold, above the solvent, a leaflet's peak being 1.

    ``scene`` holds the membranes and the carbon, ``tethers`` are drawn between membranes beforehand; parts
    that reach beyond ``grid`` are cut. ``settings`` give thickness and contrast, and ``rng`` draws what the
    scene does not fix: proteins, ribosomes, patches along membranes, and the carbon's grain.
    """
    crowd = protein_crowd(grid, settings.crowding, rng)
    patches = gaussian_filter(rng.standard_normal(grid.shape, dtype=np.float32), 3.0, truncate=2.5)
    patches = 1.0 + settings.patchiness * patches / patches.std()
    density = np.zeros(grid.shape, np.float32)
    for surface in scene.membranes:
        _add_membrane(density, crowd, patches, surface, grid, settings, rng)
    density += crowd
    for tether in tethers:
        _add_solid(density, tether, grid, TETHER_DENSITY)
    _add_ribosomes(density, _drawn_ribosomes(scene.membranes, grid, settings.ribosomes, rng), grid, rng)
    if scene.carbon is not None:
        _add_carbon(density, scene.carbon, grid, rng)
    return density


def bead_density(beads: Floats, grid: Grid) -> Image | None:
    """Density of the gold beads (n, 4) x, y, z, radius in nm; None where there are none."""
    if len(beads) == 0:
        return None
    density = np.zeros(grid.shape, np.float32)
    for bead in beads:
        _add_ball(density, bead[:3], float(bead[3]), grid, GOLD_DENSITY)
    return density


def bilayer_density(distance_nm: Image, spacing_nm: float, sigma_nm: float) -> Image:
    """Two leaflets of peak 1 at ± half the spacing from the mid-surface, and the lighter tails between."""
    half = 0.5 * spacing_nm
    leaflets = np.exp(-0.5 * ((np.abs(distance_nm) - half) / sigma_nm) ** 2)
    return leaflets - 0.2 * np.exp(-0.5 * (distance_nm / (0.4 * half)) ** 2)


def _add_membrane(
    density: Image,
    crowd: Image,
    patches: Image,
    surface: Surface,
    grid: Grid,
    settings: SpecimenSettings,
    rng: np.random.Generator,
) -> None:
    """Add a bilayer to ``density`` and give its lumen a density and a crowding of its own, in place."""
    reach = 0.5 * settings.leaflet_spacing_nm + 3.5 * settings.leaflet_sigma_nm + grid.voxel_size_nm
    lumen, thinning = rng.uniform(-0.05, 0.15), rng.uniform(0.2, 1.2)
    low, high = surface.bounds_nm()
    box = grid.box(low - reach, high + reach)
    if min(axis.stop - axis.start for axis in box) == 0:
        return
    distance = distances_in_box(surface, grid, box, reach)
    # A voxel averages the profile over its edge.
    sigma = float(np.hypot(settings.leaflet_sigma_nm, grid.voxel_size_nm / np.sqrt(12.0)))
    near = np.abs(distance) < reach
    density[box][near] += patches[box][near] * bilayer_density(
        distance[near], settings.leaflet_spacing_nm, sigma
    )
    inside = np.clip(-distance / settings.leaflet_spacing_nm, 0.0, 1.0)
    density[box] += np.float32(lumen) * inside
    crowd[box] *= 1.0 + np.float32(thinning - 1.0) * inside
    crowd[box][near] *= 0.3


def protein_crowd(grid: Grid, crowding: float, rng: np.random.Generator) -> Image:
    """Blobs of a protein's size and random mass, one in (8 nm)³: mean 0, standard deviation ``crowding``."""
    count = rng.poisson(np.prod(grid.shape) * (grid.voxel_size_nm / 8.0) ** 3)
    crowd = np.zeros(int(np.prod(grid.shape)), np.float32)
    np.add.at(crowd, rng.integers(0, len(crowd), count), rng.gamma(1.0, 1.0, count).astype(np.float32))
    crowd = gaussian_filter(crowd.reshape(grid.shape), PROTEIN_SIGMA_NM / grid.voxel_size_nm, truncate=3.0)
    crowd -= crowd.mean()
    return crowd * np.float32(crowding / max(float(crowd.std()), 1e-12))


def _drawn_ribosomes(
    surfaces: Sequence[Surface], grid: Grid, mean_count: float, rng: np.random.Generator
) -> Floats:
    """Centres (n, 3) of ribosome-like particles outside all membranes."""
    low, high = grid.corners_nm()
    centres = rng.uniform(low, high, (int(rng.poisson(mean_count)), 3))
    for surface in surfaces:
        centres = (
            centres[surface.distance_nm(centres) > RIBOSOME_RADIUS_NM + 4.0] if len(centres) else centres
        )
    return centres


def _add_ribosomes(density: Image, centres: Floats, grid: Grid, rng: np.random.Generator) -> None:
    """Add particles made of a dozen blobs within a ribosome's radius, in place."""
    for centre in centres:
        for _ in range(12):
            offset = rng.normal(size=3) * 0.45 * RIBOSOME_RADIUS_NM
            _add_ball(density, centre + offset, float(rng.uniform(2.0, 4.5)), grid, 0.5)


def drawn_tethers(other: Surface, side: Side, rate: float, rng: np.random.Generator) -> list[Tube]:
    """Rods from a contact's patch to the nearest places on ``other``, ``rate`` for 1000 nm² of the patch."""
    area = float(side.areas_nm2.sum())
    count = min(int(rng.poisson(rate * area / 1000.0)), len(side.points))
    if count == 0:
        return []
    chosen = rng.choice(len(side.points), count, replace=False, p=side.areas_nm2 / area)
    starts = side.points[chosen]
    stops = starts - side.gaps_nm[chosen, None] * outward(other, starts)
    radii = rng.uniform(1.2, 2.0, count)
    return [Tube(np.stack(ends), float(radius)) for *ends, radius in zip(starts, stops, radii, strict=True)]


def _add_solid(density: Image, surface: Surface, grid: Grid, peak: float) -> None:
    low, high = surface.bounds_nm()
    box = grid.box(low - 3.0, high + 3.0)
    corner = np.array([axis.start for axis in box])
    shape = [axis.stop - axis.start for axis in box]
    voxels = np.indices(shape).reshape(3, -1).T
    if len(voxels):
        depth = -surface.distance_nm(grid.world(voxels + corner)).reshape(shape)
        density[box] += _soft(depth, peak, grid.voxel_size_nm)


def _add_ball(density: Image, centre: Floats, radius: float, grid: Grid, peak: float) -> None:
    box = grid.box(centre - radius - 3.0, centre + radius + 3.0)
    offsets = [
        (np.arange(axis.start, axis.stop) * grid.voxel_size_nm + origin - middle) ** 2
        for axis, origin, middle in zip(box, grid.origin_nm[::-1], centre[::-1], strict=True)
    ]
    away = np.sqrt(offsets[0][:, None, None] + offsets[1][:, None] + offsets[2])
    density[box] += _soft(radius - away, peak, grid.voxel_size_nm)


def _soft(depth_nm: Floats, peak: float, voxel_size_nm: float) -> Image:
    """A body of density ``peak`` whose edge is spread over about a voxel."""
    return (peak / (1.0 + np.exp(np.clip(-4.0 * depth_nm / voxel_size_nm, -30.0, 30.0)))).astype(np.float32)


def _add_carbon(density: Image, carbon: Carbon, grid: Grid, rng: np.random.Generator) -> None:
    """Add the film, of amorphous texture, in place."""
    z, y, x = (
        np.arange(n, dtype=np.float32) * grid.voxel_size_nm + origin
        for n, origin in zip(grid.shape, grid.origin_nm[::-1], strict=True)
    )
    beyond = np.hypot(x - carbon.hole_centre[0], y[:, None] - carbon.hole_centre[1]) - carbon.hole_radius
    depth = np.minimum(beyond, (carbon.half_thickness - np.abs(z - carbon.middle_z))[:, None, None])
    film = depth > -3.0
    texture = 1.0 + 0.5 * rng.standard_normal(int(film.sum()), dtype=np.float32)
    density[film] += texture * _soft(depth[film], CARBON_DENSITY, grid.voxel_size_nm)
