"""Where the density of a tomogram puts a membrane and its two leaflets: arrays on the mesh of its middle.

1. Profiles along the normals, each the mean over a patch along the surface (`profiles`).
2. Whether membranes are dark or bright: the middle of the profiles against their ends.
3. Two leaflets fitted to the mean of all profiles, which gives their width; then to each profile (`bilayer`).
4. The middles found, smoothed along the surface (`shift`), and all again from the surface so moved: profiles
   that are aligned blur no leaflet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats, Mask
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2, vertex_normals
from surfora.isosurface.roi_border import CUT
from surfora.measures.density.bilayer import (
    INNER,
    MIDDLE,
    NUMBERS,
    OUTER,
    SIGMA,
    SPACING,
    fitted_leaflets,
    has_two_peaks,
)
from surfora.measures.density.evidence import (
    IN_WEDGE,
    NO_MEMBRANE,
    TOLD,
    free_lengths_nm,
    what_is_left_out,
)
from surfora.measures.density.profiles import Profiles, patch_means, sampled_profiles
from surfora.measures.density.settings import DensitySettings
from surfora.measures.density.shift import limited_shift, smooth_shift
from surfora.measures.settings import WedgeSettings
from surfora.measures.statistics import NoValues, weighted_quantiles
from surfora.measures.valid_region import DEPTH, ValidRegion
from tomocore.contract import InputError, Progress, no_progress
from tomocore.volumes.volume import Volume

Contrast: TypeAlias = Literal["dark", "bright"]
ROUNDS = 2
STEP_VOXELS, FINEST_NM, COARSEST_NM = 1 / 3, 0.2, 0.5
MEMBRANE_NM, SOLVENT_NM = 3.0, 5.0  # of a profile, what is nearer is membrane, what is farther is not
SURE_SHARE = 0.65  # of the area, which must look alike for the contrast to be found
BEGINS = [
    (middle, spacing, sigma)
    for middle in (-2, -1, 0, 1, 2)
    for spacing in (2.5, 4, 5.5)
    for sigma in (0.7, 1.2)
]
"""Middle, spacing and SD (nm) that the fit to the mean profile begins from."""
BEGIN_STEP_NM = 0.4
"""Steps, as far as the membrane is looked for, of the middles that fits to single profiles begin from."""
LEAST_SIGMA_NM, LARGEST_SIGMA_NM = 0.2, 3.0
ARRAYS = ("density_", "thickness_peak_to_peak_", "leaflet_asymmetry", DEPTH)
"""What the arrays' names begin with."""
AT_BOUND = 0.01  # of a bound, within which a fit has not ended by itself


@dataclass(frozen=True)
class Density:
    """A mesh with what the density tells of it, and what was found of the whole.

    ``contrast`` is how membranes look; ``has_leaflets`` whether the mean profile has two peaks, without which
    there is no thickness.
    """

    mesh: SurfaceMesh
    contrast: Contrast
    has_leaflets: bool


def mesh_density(
    mesh: SurfaceMesh,
    tomogram: Volume,
    settings: DensitySettings = DensitySettings(),
    *,
    wedge: WedgeSettings = WedgeSettings(),
    beside: Iterable[SurfaceMesh] = (),
    valid: ValidRegion | None = None,
    refine: bool = False,
    progress: Progress = no_progress,
) -> Density:
    """The mesh of a membrane's middle with what the density of its tomogram tells, vertex by vertex.

    Arrays: ``density_evidence`` (`evidence.DENSITY_EVIDENCE`); where that is 0, else NaN,
    ``density_middle_offset_nm`` to the middle of the density, positive along the normal;
    ``thickness_peak_to_peak_nm``; ``leaflet_asymmetry``, (outer − inner) / (outer + inner);
    ``density_contrast``, the leaflets' mean height over the background in grey values, below 0 where dark;
    ``density_quality``, 0 to 1. For all vertices ``density_at_<offset>_nm``, the patch's mean grey value.

    ``tomogram`` may lie on disk; ``wedge`` tells which normals it cannot show; ``beside`` are other
    membranes, whose density is kept out, and ``valid`` the part of the tomogram that is believed. With
    ``refine`` the vertices are moved to the middle, by ``density_shift_nm`` along their normals, and arrays
    of the surface as it was are left out. Raises InputError where mesh and tomogram lie apart or the contrast
    is not clear, and NoValues where nothing can be told anywhere.
    """
    scene = _scene(mesh, tomogram, settings, wedge, beside, valid)
    found = _aligned(scene, progress)
    evidence = np.where(~found.told & (scene.evidence == TOLD), NO_MEMBRANE, scene.evidence)
    result = _refined(mesh, scene.normals, found.shift_nm) if refine else mesh
    offset = found.middle_nm - found.shift_nm if refine else found.middle_nm
    result = result.with_data(
        density_evidence=evidence.astype(np.uint8),
        density_middle_offset_nm=np.where(found.told, offset, np.nan),
        **_arrays(found),
        **_densities(replace(scene, mesh=result)),
    )
    return Density(result, found.contrast, found.fits.has_leaflets)


@dataclass(frozen=True)
class _Scene:
    """What does not change while the surface is aligned: normals (n, 3), offsets (m,), ways that are free
    (2, n), evidence (n,) before any profile is judged.
    """

    mesh: SurfaceMesh
    normals: Floats
    tomogram: Volume
    offsets_nm: Floats
    free_nm: Floats
    evidence: NDArray[np.uint8]
    settings: DensitySettings


def _scene(
    mesh: SurfaceMesh,
    tomogram: Volume,
    settings: DensitySettings,
    wedge: WedgeSettings,
    beside: Iterable[SurfaceMesh],
    valid: ValidRegion | None,
) -> _Scene:
    if len(mesh.faces) == 0:
        raise InputError("density: the mesh has no triangles; mesh the points first with `surfora mesh`")
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    free_nm = free_lengths_nm(mesh, normals, beside)
    offsets = _offsets_nm(tomogram.voxel_size_nm, settings.half_length_nm)
    ends = np.isnan(sampled_profiles(tomogram, mesh.vertices, normals, offsets[[0, -1]])).any(axis=1)
    ends |= _leaves(mesh, normals, settings.half_length_nm, valid)
    evidence = what_is_left_out(mesh, normals, free_nm, ends, settings, wedge)
    if not (evidence == TOLD).any():
        raise NoValues(
            "density: every point lies at a rim, in the missing wedge, beside another membrane or at the "
            "tomogram's border; lower density.patch_radius_nm or density.half_length_nm"
        )
    return _Scene(mesh, normals, tomogram, offsets, free_nm, evidence, settings)


@dataclass(frozen=True)
class _Aligned:
    """The last fits, the middles (n,) found from where the surface lies, which are told (n,), and the smooth
    shifts (n,) along the normals that follow them; all in nm.
    """

    fits: _Fits
    middle_nm: Floats
    told: Mask
    shift_nm: Floats
    contrast: Contrast


def _aligned(scene: _Scene, progress: Progress) -> _Aligned:
    """Fits to profiles of the surface as it lies, then to profiles of the surface moved to their middles."""
    shift, contrast, found = np.zeros(len(scene.normals)), scene.settings.contrast, None
    largest_nm = scene.settings.largest_shift_nm
    for done in range(ROUNDS):
        progress(done, ROUNDS)
        means, weights = _patch_profiles(scene, shift)
        known: Contrast = found_contrast(scene, means) if contrast == "found" else contrast
        fits = _fits(scene, means, weights, known)
        middle = shift + fits.numbers[:, MIDDLE]
        told = (scene.evidence == TOLD) & fits.is_good & (np.abs(middle) <= largest_nm)
        smooth = smooth_shift(scene.mesh, middle, told, scene.settings.smoothing_nm)
        shift = limited_shift(smooth, scene.free_nm, largest_nm)
        contrast, found = known, _Aligned(fits, middle, told, shift, known)
    progress(ROUNDS, ROUNDS)
    assert found is not None
    return found


def _patch_profiles(scene: _Scene, shift: Floats) -> tuple[Profiles, Profiles]:
    """Mean profiles (n, m) of the surface shifted (n,), without what lies beside, and their areas (n, m)."""
    vertices = _moved(scene.mesh, scene.normals, shift)
    profiles = sampled_profiles(scene.tomogram, vertices, scene.normals, scene.offsets_nm)
    place = shift[:, None] + scene.offsets_nm
    ahead, behind = (scene.free_nm - scene.settings.clearance_nm)[:, :, None]
    seen = np.where((place <= ahead) & (place >= -behind), profiles, np.float32(np.nan))
    counted = scene.evidence != IN_WEDGE
    return patch_means(scene.mesh, scene.normals, seen, scene.settings.patch_radius_nm, counted)


def _offsets_nm(voxel_size_nm: float, half_length_nm: float) -> Floats:
    step = np.clip(voxel_size_nm * STEP_VOXELS, FINEST_NM, COARSEST_NM)
    count = int(np.ceil(half_length_nm / step))
    return np.linspace(-half_length_nm, half_length_nm, 2 * count + 1)


def _moved(mesh: SurfaceMesh, normals: Floats, shift_nm: Floats) -> Floats:
    return mesh.vertices + shift_nm[:, None] * normals


def _refined(mesh: SurfaceMesh, normals: Floats, shift_nm: Floats) -> SurfaceMesh:
    """The mesh moved along its normals, without what was measured where it lay before."""
    vertices = _moved(mesh, normals, shift_nm)
    kept = {name: values for name, values in mesh.data.items() if name == CUT}
    moved = replace(mesh, vertices=vertices, normals=vertex_normals(vertices, mesh.faces), data=kept)
    return moved.with_data(density_shift_nm=shift_nm)


def _leaves(mesh: SurfaceMesh, normals: Floats, half_length_nm: float, valid: ValidRegion | None) -> Mask:
    """Whether a profile (n,) leaves the valid region."""
    if valid is None:
        return np.zeros(len(normals), dtype=bool)
    ends = [mesh.vertices + way * half_length_nm * normals for way in (-1.0, 0.0, 1.0)]
    return np.asarray(np.min([valid.depth_nm(points) for points in ends], axis=0) < 0)


def found_contrast(scene: _Scene, means: Profiles) -> Contrast:
    """Whether membranes are darker or brighter than what is to either side of them, by profiles (n, m).

    Raises InputError where less than two thirds of the area say one thing.
    """
    told, distance = scene.evidence == TOLD, np.abs(scene.offsets_nm)
    above = _known_means(means[told][:, distance <= MEMBRANE_NM])
    above -= _known_means(means[told][:, distance >= SOLVENT_NM])
    areas = vertex_areas_nm2(scene.mesh.vertices, scene.mesh.faces)[told]
    bright, dark = areas[above > 0].sum(), areas[above < 0].sum()
    if not max(bright, dark) > SURE_SHARE * (bright + dark):
        raise InputError(
            f"density: the membrane is brighter than its surroundings over {bright:.0f} nm² and darker over "
            f"{dark:.0f} nm², so its contrast is not clear; check that this is the tomogram of the mesh, or "
            "state the contrast with --contrast dark or bright (density.contrast)"
        )
    return "bright" if bright > dark else "dark"


def _known_means(profiles: NDArray[Any]) -> Floats:
    """Means (n,) of what is known; NaN where nothing is."""
    known = np.isfinite(profiles)
    count = known.sum(axis=1)
    total = np.where(known, profiles, 0.0).sum(axis=1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class _Fits:
    """The numbers (n, 7) of each profile, the share (n,) of variance explained, and what of them is good."""

    numbers: Floats
    quality: Floats
    is_good: Mask
    has_leaflets: bool


def _fits(scene: _Scene, means: Profiles, weights: Profiles, contrast: Contrast) -> _Fits:
    """Two leaflets in each mean profile (n, m), as wide as those in the mean of them all.

    One width for all halves the scatter of the thickness where noise is strong; the mean's is sure.
    """
    wanted, settings = scene.evidence == TOLD, scene.settings
    upright = means[wanted].astype(np.float64) * (1.0 if contrast == "bright" else -1.0)
    base = np.nanmedian(upright)
    height = max(float(np.nanpercentile(upright, 95) - base), 1e-12)
    upright = (upright - base) / height
    low, high = _bounds(settings)
    common = _common(scene.offsets_nm, _known_means(upright.T)[None], low, high)
    middles = np.arange(-settings.largest_shift_nm, settings.largest_shift_nm + 1e-9, BEGIN_STEP_NM)
    begins = np.repeat(common[None], len(middles), axis=0)
    begins[:, MIDDLE] = middles
    has_leaflets = has_two_peaks(common)
    free = np.ones(NUMBERS, dtype=bool)
    free[SIGMA] = False
    free[SPACING] = has_leaflets  # one peak tells its place, and not what it is made of
    numbers, quality = np.full((len(means), NUMBERS), np.nan), np.zeros(len(means))
    numbers[wanted], left = fitted_leaflets(
        scene.offsets_nm, upright, weights[wanted].astype(np.float64), begins, low, high, free
    )
    quality[wanted] = np.clip(1.0 - left, 0.0, 1.0)
    numbers[:, [INNER, OUTER]] *= height
    good = (quality >= settings.least_quality) & _has_ended(numbers, low, high, MIDDLE)
    good &= _has_ended(numbers, low, high, SPACING) | (not has_leaflets)
    return _Fits(numbers, quality, good, has_leaflets)


def _common(offsets: Floats, mean: Floats, low: Floats, high: Floats) -> Floats:
    """The seven numbers of the mean of all profiles (1, m): the best of fits that begin apart."""
    free, even = np.ones(NUMBERS, dtype=bool), np.ones_like(mean)
    ends = [
        fitted_leaflets(offsets, mean, even, np.array([(0.0, 0.0, 1.0, 1.0, *begin)]), low, high, free)
        for begin in BEGINS
    ]
    numbers, _ = min(ends, key=lambda end: float(end[1][0]))
    return np.asarray(numbers[0], np.float64)


def _has_ended(numbers: Floats, low: Floats, high: Floats, which: int) -> Mask:
    """Whether a number of each fit lies within its bounds, not at one."""
    margin = AT_BOUND * (high[which] - low[which])
    return (numbers[:, which] > low[which] + margin) & (numbers[:, which] < high[which] - margin)


def _bounds(settings: DensitySettings) -> tuple[Floats, Floats]:
    """Least and largest of the seven numbers; leaflets are upright."""
    reach = settings.largest_shift_nm
    low = (-np.inf, -np.inf, 0.0, 0.0, -reach, settings.thinnest_nm, LEAST_SIGMA_NM)
    high = (np.inf, np.inf, np.inf, np.inf, reach, settings.thickest_nm, LARGEST_SIGMA_NM)
    return np.array(low), np.array(high)


def _arrays(found: _Aligned) -> dict[str, Floats]:
    """What the fits say of each vertex (n,); NaN where nothing can be told."""
    fits, told = found.fits, found.told
    inner, outer = fits.numbers[:, INNER], fits.numbers[:, OUTER]
    both = inner + outer
    asymmetry = np.divide(outer - inner, both, out=np.full(len(both), np.nan), where=both > 0)
    apart = told & fits.has_leaflets
    sign = 1.0 if found.contrast == "bright" else -1.0
    return {
        "thickness_peak_to_peak_nm": np.where(apart, fits.numbers[:, SPACING], np.nan),
        "leaflet_asymmetry": np.where(apart, asymmetry, np.nan),
        "density_contrast": np.where(told, sign * 0.5 * both, np.nan),
        "density_quality": np.where(told, fits.quality, np.nan),
    }


def _densities(scene: _Scene) -> Mapping[str, Floats]:
    """Mean grey values (n,) of the patches at the offsets asked for, by the name of their array."""
    offsets = np.array(scene.settings.offsets_nm, dtype=np.float64)
    if len(offsets) == 0:
        return {}
    grey = sampled_profiles(scene.tomogram, scene.mesh.vertices, scene.normals, offsets)
    counted = scene.evidence != IN_WEDGE
    means, _ = patch_means(scene.mesh, scene.normals, grey, scene.settings.patch_radius_nm, counted)
    return {density_array(offset): means[:, k].astype(np.float64) for k, offset in enumerate(offsets)}


def density_array(offset_nm: float) -> str:
    """The array of the density at an offset in nm: ``density_at_minus_2p5_nm`` of −2.5."""
    number = f"{abs(offset_nm):g}".replace(".", "p")
    return f"density_at_{'minus_' if offset_nm < 0 else ''}{number}_nm"


def without_density(mesh: SurfaceMesh) -> SurfaceMesh:
    """The mesh without the arrays of an earlier density and valid region."""
    data = {name: values for name, values in mesh.data.items() if not name.startswith(ARRAYS)}
    return mesh if len(data) == len(mesh.data) else replace(mesh, data=data)


def density_summary(mesh: SurfaceMesh) -> dict[str, float]:
    """Columns of surfaces.csv that the density gives; none where it was not measured."""
    if "density_evidence" not in mesh.data:
        return {}
    areas, data = vertex_areas_nm2(mesh.vertices, mesh.faces), mesh.data
    quartiles = weighted_quantiles(data["thickness_peak_to_peak_nm"], areas, [0.25, 0.5, 0.75])

    def median(name: str) -> float:
        return float(weighted_quantiles(data[name], areas, [0.5])[0])

    return {
        "density_area_share": float(areas[data["density_evidence"] == TOLD].sum() / max(areas.sum(), 1e-300)),
        "thickness_peak_to_peak_median_nm": float(quartiles[1]),
        "thickness_peak_to_peak_q25_nm": float(quartiles[0]),
        "thickness_peak_to_peak_q75_nm": float(quartiles[2]),
        "leaflet_asymmetry_median": median("leaflet_asymmetry"),
        "density_middle_offset_median_nm": median("density_middle_offset_nm"),
        "density_contrast_median": median("density_contrast"),
    }
