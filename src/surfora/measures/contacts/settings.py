"""What is one contact, as settings."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from tomocore.settings import Settings


class ContactSettings(Settings):
    """What is one contact; the threshold itself is ``distance.contact_distance_nm``."""

    largest_hole_nm2: float = Field(
        200.0,
        ge=0,
        description="A hole in a contact of less than this area (nm²) is closed: it counts as contact.",
    )
    smallest_area_nm2: float = Field(
        100.0,
        ge=0,
        description="A contact of less than this area (nm², mean of both membranes) is left out.",
    )
    self_along_nm: float | None = Field(
        None,
        gt=0,
        description="Of a membrane against itself, places nearer along the surface than this (nm) are no "
        "partners; unset: twice the threshold.",
    )
    curve_nm: tuple[PositiveFloat, ...] = Field(
        (),
        description="Thresholds (nm) of the curve of area against threshold; unset: 20 up to twice the "
        "threshold.",
    )
