"""`orient` at the level of files: points in, points with normals to one side of their surface out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from surfora.geometry.request import StageRequest
from surfora.geometry.stage import points_beside, written_stage
from surfora.geometry.surface import PointCloud
from surfora.masks.membranes import KnownSide
from surfora.orientation.oriented import oriented_cloud
from surfora.orientation.settings import OrientSettings
from tomocore.contract import NOBODY, Batch, InputError, Watcher


@dataclass(frozen=True)
class SideRule:
    """What decides which side is out: a place inside (x, y, z in nm), or a file of what lies out or in."""

    lumen_nm: tuple[float, float, float] | None = None
    toward: Path | None = None
    away_from: Path | None = None

    def __post_init__(self) -> None:
        """Raise InputError where more than one rule is given."""
        if sum(rule is not None for rule in (self.lumen_nm, self.toward, self.away_from)) > 1:
            raise InputError("--lumen, --toward and --away-from each decide the side; give one of them")


def orient_file(
    request: StageRequest,
    settings: OrientSettings = OrientSettings(),
    side: SideRule = SideRule(),
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write points with their normals turned to one side, by the ``side`` rule where one is given."""

    def stage() -> PointCloud:
        cloud = points_beside(request, request.source)
        return oriented_cloud(cloud, settings, _known(side, request))[0]

    return written_stage(request, stage, watcher, with_values=True)


def _known(side: SideRule, request: StageRequest) -> KnownSide | None:
    if side.lumen_nm is not None:
        return KnownSide("lumen", side.lumen_nm)
    if side.away_from is not None:
        return KnownSide("partner_away", partner_points=points_beside(request, side.away_from).points)
    if side.toward is not None:
        return KnownSide("partner_toward", partner_points=points_beside(request, side.toward).points)
    return None
