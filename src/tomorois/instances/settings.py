"""How a confidence map becomes ROIs, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.fused_settings import FusedSettings
from tomocore.settings import Settings


class ContactSettings(Settings):
    """Which voxels of an ROI belong to which pair of membranes."""

    reach_nm: float = Field(
        40.0,
        gt=0,
        le=500,
        description="A voxel belongs to a pair if its distances in nm to the two add up to at most this.",
    )
    slack_nm: float = Field(
        4.0,
        ge=0,
        le=500,
        description="…and to at most this much in nm more than they do for the pair nearest to the voxel.",
    )
    join_nm: float = Field(
        6.0, ge=0, le=100, description="Places on a membrane that come this close in nm are one place."
    )
    touch_nm: float = Field(
        4.0, ge=0, le=100, description="An ROI of a pair comes at least this close in nm to both membranes."
    )
    labels: Literal["auto", "instances", "classes"] = Field(
        "auto",
        description="What membrane labels number: instances (single membranes), or classes whose connected "
        "pieces are the membranes; auto takes a single label for a class.",
    )
    min_membrane_nm3: float = Field(
        2000.0, ge=0, description="Connected pieces of a class below this volume in nm³ are no membranes."
    )
    fused: FusedSettings = Field(
        FusedSettings(), description="Membranes of one class that touch in the mask."
    )


class InstanceSettings(Settings):
    """How a confidence map becomes ROIs."""

    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Voxels of at least this confidence (0 to 1) are kept; unset: the model's own.",
    )
    min_peak: float = Field(
        0.0, ge=0, le=1, description="ROIs whose highest confidence (0 to 1) is below this are dropped."
    )
    smoothing_nm: float = Field(
        0.0, ge=0, le=50, description="Gaussian sigma in nm that smooths the confidence before the threshold."
    )
    opening_nm: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Radius in nm of the opening that removes specks and thin bridges; 0: none.",
    )
    closing_nm: float = Field(
        3.0,
        ge=0,
        le=100,
        description="Radius in nm of the closing that joins what dropouts cut apart; 0: none.",
    )
    max_hole_nm3: float = Field(
        5000.0, ge=0, description="Holes closed on all sides are filled up to this volume in nm³; 0: none."
    )
    min_volume_nm3: float = Field(2000.0, ge=0, description="ROIs below this volume in nm³ are dropped.")
    split: Split | None = Field(
        None,
        description="How fused places are told apart: by necks in their shape, by membrane pairs, or not; "
        "unset: contacts where membranes are given, else watershed.",
    )
    neck: float = Field(
        0.7,
        gt=0,
        lt=1,
        description="Watershed cuts where the width falls below this share of the narrower part's width.",
    )
    seed_distance_nm: float = Field(
        15.0, ge=0, description="Watershed parts whose centres are closer than this in nm stay together."
    )
    contacts: ContactSettings = Field(ContactSettings(), description="Contacts as pairs of membranes.")

    @property
    def least_confidence(self) -> float:
        """The threshold in force: 0.5 for a bare array, of which no model is known."""
        return 0.5 if self.threshold is None else self.threshold

    def chosen_split(self, has_membranes: bool) -> Split:
        """How fused places are told apart; membranes mean contacts where nothing else is asked for."""
        return self.split or ("contacts" if has_membranes else "watershed")


Split = Literal["watershed", "contacts", "none"]
