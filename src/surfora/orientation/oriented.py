"""Points with their normals turned to one side, by what is known of it."""

from __future__ import annotations

from dataclasses import replace

from surfora.geometry.surface import PointCloud
from surfora.masks.membranes import KnownSide
from surfora.orientation.jet_normals import jet_normals
from surfora.orientation.orient import Orientation, orient_normals
from surfora.orientation.settings import OrientSettings


def oriented_cloud(
    cloud: PointCloud, settings: OrientSettings, known: KnownSide | None = None
) -> tuple[PointCloud, Orientation]:
    """A cloud with its normals turned to one side of each component, and what decided the sides."""
    normals = jet_normals(cloud.points) if cloud.normals is None else cloud.normals
    if known is None:
        orientation = orient_normals(cloud.points, normals, settings)
    else:
        settings = settings.model_copy(update={"side": known.side})
        orientation = orient_normals(cloud.points, normals, settings, known.lumen_nm, known.partner_points)
    return replace(cloud, normals=orientation.normals).with_data(component=orientation.component), orientation
