"""How masks are cleaned, taken apart and cut out by ROIs, as settings."""

from __future__ import annotations

from pydantic import Field

from tomocore.fused_settings import FusedSettings
from tomocore.settings import Settings


class CleanSettings(Settings):
    """Cleaning of a mask before a surface is made of it."""

    opening_nm: float = Field(
        0.0, ge=0, le=50, description="Radius in nm of the opening that removes thin spurs; 0: none."
    )
    closing_nm: float = Field(
        0.0, ge=0, le=50, description="Radius in nm of the closing that fills narrow gaps; 0: none."
    )
    min_volume_nm3: float = Field(
        500.0,
        ge=0,
        description="Connected pieces below this volume in nm³ are removed; in masks thinner than 3 nm below "
        "the volume that makes as much area: 500 nm³ are 167 nm² of membrane.",
    )
    fill_holes_nm3: float = Field(
        50.0, ge=0, description="Enclosed cavities below this volume in nm³ are filled; 0: none."
    )


class RoiSettings(Settings):
    """How a membrane is cut out by ROIs."""

    dilation_nm: float = Field(
        5.0, ge=0, description="ROIs are grown by this before they cut surfaces out (nm)."
    )
    margin_nm: float = Field(
        25.0, ge=0, description="Membrane around an ROI that helps to measure it and is then cut off (nm)."
    )
    min_membrane_nm3: float = Field(
        500.0, ge=0, description="A label with less volume inside an ROI is not measured there (nm³)."
    )


class ComponentSettings(Settings):
    """How one mask of many membranes is taken apart."""

    min_volume_nm3: float = Field(
        500.0,
        ge=0,
        description="Pieces below this volume in nm³ are dropped; of thin masks, of less area.",
    )
    fused: FusedSettings = Field(FusedSettings(), description="Membranes that touch each other in the mask.")
