"""How surfaces are measured, as settings; those of density and contacts are in their folders."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tomocore.settings import Settings


class CurvatureSettings(Settings):
    """How curvature is measured."""

    smallest_radius_nm: float = Field(
        4.0,
        gt=0,
        le=1000,
        description="Smallest radius (nm) of the scale scan; at least 2.5 mean edges are taken.",
    )
    largest_radius_nm: float = Field(
        24.0,
        gt=0,
        le=1000,
        description="Largest radius (nm) of the scale scan, of which averaged fits use half and averages "
        "five sixths; at least 6 mean edges are taken.",
    )
    radii_count: int = Field(9, ge=1, le=40, description="Number of radii between them, in equal ratios.")
    radii_nm: tuple[float, ...] = Field(
        (), description="Radii (nm) to scan instead, ascending, without averages; one alone fixes the scale."
    )
    order: Literal["auto", 2, 4] = Field(
        "auto",
        description="Order of the local polynomials: 2, 4, or auto for 4 wherever the neighbours suffice.",
    )
    coordinates: Literal["arc", "geodesic", "tangent"] = Field(
        "arc",
        description="Balls and coordinates of the polynomials: arc for geodesics taken as circular arcs, "
        "geodesic for fronts marched over the triangles, tangent for the published Monge patch.",
    )
    scale: Literal["averaged", "balanced", "stable"] = Field(
        "averaged",
        description="Scale of a value: averaged for small fits that are averaged as far as they agree, "
        "balanced for the one fit of the smallest predicted error, stable for the published rule (the fit "
        "of the smallest radius at which H no longer changes).",
    )
    tau_rel: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Rule stable: largest relative change of H to the next radius (fraction).",
    )
    tau_abs_per_nm: float = Field(
        0.005, ge=0, le=10, description="Rule stable: largest change of H to the next radius (1/nm)."
    )
    epsilon_per_nm: float = Field(
        1e-3, ge=0, le=1, description="Rule stable: H (1/nm) below which relative change is not asked."
    )
    neighbours_per_term: float = Field(
        1.5,
        ge=1.1,
        le=20,
        description="Vertices that a ball must hold for each coefficient of its polynomial.",
    )

    @model_validator(mode="after")
    def _radii_ascend(self) -> CurvatureSettings:
        if self.largest_radius_nm < self.smallest_radius_nm:
            raise ValueError("largest_radius_nm is below smallest_radius_nm")
        if any(b <= a for a, b in zip((0.0, *self.radii_nm), self.radii_nm, strict=False)):
            raise ValueError("radii_nm must be positive and ascend")
        return self


class RoughnessSettings(Settings):
    """What counts as roughness, and over how large a patch."""

    cutoff_wavelength_nm: float = Field(
        20.0, gt=0, le=1000, description="Wavelength (nm) that is half roughness, half form."
    )
    patch_radius_nm: float = Field(
        10.0,
        gt=0,
        le=1000,
        description="Geodesic radius (nm) of the patch that the root mean square is over.",
    )
    membrane_thickness_nm: float = Field(
        5.0, gt=0, le=1000, description="Thickness (nm) of the membrane in the mask, for the noise floor."
    )
    fit_radius_nm: float | None = Field(
        None,
        gt=0,
        description="Radius (nm) of the fits that placed the points, for the noise floor; unset: 1.75 times "
        "the thickness.",
    )


class DistanceSettings(Settings):
    """What counts as a contact."""

    contact_distance_nm: float = Field(
        30.0, gt=0, description="A place closer to the other surface than this is in contact (nm)."
    )


class WedgeSettings(Settings):
    """How the tomogram was tilted."""

    max_tilt_deg: float = Field(60.0, gt=0, le=90, description="Highest tilt of the series (degrees).")
    tilt_axis: Literal["x", "y"] = Field(
        "y", description="Axis of the tomogram that the specimen was tilted about."
    )
    support_reach_voxels: float = Field(
        1.5,
        ge=0,
        le=10,
        description="A point further than this from every voxel of the mask is unsupported (voxels).",
    )


class IntervalSettings(Settings):
    """What is drawn anew for the intervals of `surfora run --intervals`."""

    repeats: int = Field(
        6, ge=2, le=100, description="How often everything is measured again; a run takes so much longer."
    )
    border_voxels: float = Field(
        0.5, ge=0, le=3, description="Standard deviation of the place of the mask's border (voxels)."
    )
    correlation_voxels: float = Field(
        2.5, gt=0, le=10, description="Length over which the errors of the border are alike (voxels)."
    )
    confidence_error: float = Field(
        0.14,
        gt=0,
        le=0.5,
        description="Standard deviation of a map of confidence (0 to 1) at borders, where maps are given.",
    )
    curvature_scale_share: float = Field(
        0.15, ge=0, lt=1, description="Scales of curvature are drawn within this share up and down."
    )
    threshold_share: float = Field(
        0.0, ge=0, lt=1, description="The threshold of contact is drawn within this share up and down."
    )
    voxel_size_share: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Standard deviation of the voxel edge as a share of it, where it is not sure.",
    )
    seed: int = Field(0, ge=0, description="Seed of all that is drawn.")
