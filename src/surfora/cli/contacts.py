"""`surfora contacts`: contacts between membranes as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from surfora.cli.options import SECTIONS, MeshFile, OfSurface, ended
from tomocore.settings import load_section
from tomocore.terminal.console import Terminal, out
from tomocore.terminal.options import Several


def contacts(
    mesh: MeshFile,
    /,
    *,
    to: Annotated[list[Path], Several, Parameter(help="its partners; itself for its folds")],
    options: OfSurface,
    threshold: Annotated[
        float | None,
        Parameter(help="gap in nm below which is contact; distance.contact_distance_nm where not given"),
    ] = None,
    curve: Annotated[
        list[float] | None, Several, Parameter(help="thresholds in nm of the curve of area against threshold")
    ] = None,
) -> int:
    """Contacts as objects: a row a contact, `contact_id` on both meshes, and area against threshold.

    A contact is a connected area nearer to the partner than the threshold, with the area that faces it. The
    result is a folder.
    """
    from surfora.measures.contacts.settings import ContactSettings
    from surfora.measures.settings import DistanceSettings
    from surfora.reporting.contact_files import ContactRequest, contacts_to_folder

    path = options.settings
    chosen = load_section(ContactSettings, "contacts", SECTIONS, path, curve_nm=curve)
    distance = load_section(DistanceSettings, "distance", SECTIONS, path, contact_distance_nm=threshold)
    request = ContactRequest(options.of(mesh), tuple(to), distance.contact_distance_nm)
    outcome = contacts_to_folder(request, chosen, Terminal())
    for sentence in outcome.sentences:
        out.print(sentence, markup=False)
    return ended(outcome, f"open {outcome.page} in a browser" if outcome.page else "")
