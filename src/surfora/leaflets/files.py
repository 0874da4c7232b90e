"""`proxy` and `split` at the level of files: meshes of one membrane in, its leaflets out."""

from __future__ import annotations

from pathlib import Path

from surfora.geometry.files import write_surface
from surfora.geometry.request import StageRequest
from surfora.geometry.stage import mesh_beside, mesh_stage
from surfora.leaflets.proxy import poisson_proxy
from surfora.leaflets.settings import LeafletSettings, ProxySettings
from surfora.leaflets.split import Leaflets, split_leaflets
from tomocore.contract import NOBODY, Batch, Watcher
from tomocore.files import require_writable_folder


def proxy_file(
    request: StageRequest, settings: ProxySettings = ProxySettings(), watcher: Watcher = NOBODY
) -> Batch:
    """Write the Poisson surface of an oriented mesh, which parts leaflets and is never measured."""
    return mesh_stage(request, lambda mesh: poisson_proxy(mesh, settings), watcher)


def leaflet_files(target: Path) -> dict[str, Path]:
    """Where the leaflets of NAME (``target``, also with .vtp) are written, by their side."""
    name = target.name.removesuffix(".vtp")
    return {side: target.with_name(f"{name}.{side}.vtp") for side in ("inner", "outer")}


def split_file(
    request: StageRequest,
    medial: Path,
    settings: LeafletSettings = LeafletSettings(),
    *,
    proxy: Path | ProxySettings = ProxySettings(),
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write both leaflets of an isosurface (`leaflet_files` of the request's target) that are not there.

    ``medial`` is the oriented mesh of the same membrane; ``proxy`` the file of what parts the sides, or how
    it is made of the medial mesh; ``settings`` are those of the split.
    """
    batch = Batch(watcher)
    split: list[Leaflets] = []

    def leaflets() -> Leaflets:
        if not split:
            middle = mesh_beside(request, medial)
            given = mesh_beside(request, proxy) if isinstance(proxy, Path) else poisson_proxy(middle, proxy)
            split.append(split_leaflets(mesh_beside(request, request.source), middle, given, settings))
        return split[0]

    for side, target in leaflet_files(request.target).items():

        def one(path: Path, side: str = side) -> str:
            surface = leaflets().inner if side == "inner" else leaflets().outer
            require_writable_folder(path.parent)
            write_surface(path, surface)
            return f"wrote {path}"

        batch.make(target, request.overwrite, one)
    return batch
