"""All settings of the surfora commands; nothing that computes is loaded with them."""

from __future__ import annotations

from surfora.isosurface.settings import IsosurfaceSettings
from surfora.leaflets.settings import LeafletSettings, ProxySettings
from surfora.masks.settings import CleanSettings, ComponentSettings, RoiSettings
from surfora.measures.contacts.settings import ContactSettings
from surfora.measures.density.settings import DensitySettings
from surfora.measures.settings import (
    CurvatureSettings,
    DistanceSettings,
    IntervalSettings,
    RoughnessSettings,
    WedgeSettings,
)
from surfora.medial.settings import MedialSettings
from surfora.meshing.settings import MeshSettings, SmoothSettings
from surfora.orientation.settings import OrientSettings
from tomocore.settings import Settings


class SurforaSettings(Settings):
    """All settings of the surfora commands, stage by stage in pipeline order."""

    roi: RoiSettings = RoiSettings()
    clean: CleanSettings = CleanSettings()
    components: ComponentSettings = ComponentSettings()
    medial: MedialSettings = MedialSettings()
    orient: OrientSettings = OrientSettings()
    mesh: MeshSettings = MeshSettings()
    smooth: SmoothSettings = SmoothSettings()
    isosurface: IsosurfaceSettings = IsosurfaceSettings()
    proxy: ProxySettings = ProxySettings()
    leaflets: LeafletSettings = LeafletSettings()
    curvature: CurvatureSettings = CurvatureSettings()
    roughness: RoughnessSettings = RoughnessSettings()
    distance: DistanceSettings = DistanceSettings()
    contacts: ContactSettings = ContactSettings()
    wedge: WedgeSettings = WedgeSettings()
    density: DensitySettings = DensitySettings()
    intervals: IntervalSettings = IntervalSettings()
