"""What the columns of a table are called where people read them: words, unit and meaning of every key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NAMES = ("name", "label", "source", "target", "target_label", "tomogram", "cut_by")
"""Columns that hold names, even where these look like numbers."""


@dataclass(frozen=True)
class Column:
    """A column as a CSV file names it (``key``) and as a page shows it.

    A unit of "%" stands for a share between 0 and 1 in the file. A ``detail`` is shown on request.
    """

    key: str
    heading: str
    unit: str = ""
    meaning: str = ""
    detail: bool = False

    @property
    def explanation(self) -> str:
        """The meaning, and where the same numbers stand."""
        told = f"{self.meaning[:1].upper()}{self.meaning[1:]}. " if self.meaning else ""
        share = ", as a share of 1" if self.unit == "%" else ""
        return f"{told}In the CSV file: {self.key}{share}."


def column_of(key: str, known: Iterable[Column]) -> Column:
    """The column of a key among those known, or one whose heading is the key's words."""
    return next((column for column in known if column.key == key), Column(key, key.replace("_", " ")))


ROI_COLUMNS = (
    Column("tomogram", "tomogram", meaning="the tomogram that the region lies in"),
    Column("id", "ROI", meaning="number of the region of interest in its tomogram"),
    Column("centroid_x_nm", "centre, x", "nm", "centre of mass along x, from the volume's origin on"),
    Column("centroid_y_nm", "centre, y", "nm", "centre of mass along y, from the volume's origin on"),
    Column("centroid_z_nm", "centre, z", "nm", "centre of mass along z, from the volume's origin on"),
    Column("volume_nm3", "volume", "nm³", "volume of the region's voxels"),
    Column(
        "confidence_mean",
        "confidence, mean",
        meaning="0 to 1: how sure the network is of the region's voxels, on average",
    ),
    Column(
        "confidence_max",
        "confidence, highest",
        meaning="0 to 1: how sure the network is of the region's surest voxel",
    ),
    Column("membranes", "membranes", meaning="the labels of the membranes that meet in it"),
    Column("status", "status", meaning="predicted, or what a person decided: kept, rejected, edited"),
)
"""Every column of a table of regions of interest (`tomocore.roiset.COLUMNS`)."""
