"""`tomosurf compare`: conditions compared by what was measured in their tomograms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tomocore.terminal.console import Terminal, out, status_of
from tomocore.terminal.options import Output, Overwrite, Several, next_hint

Tables = Annotated[
    list[Path],
    Parameter(
        help="tables (contacts.csv, surfaces.csv, distances.csv, rois.csv), or folders that hold them or "
        "whose folders do"
    ),
]
Tomograms = Annotated[
    Path | None,
    Parameter(help="CSV file with columns name and condition, and grid and exclude where there are any"),
]
By = Annotated[str, Parameter(help="the column that tells the conditions")]
Measures = Annotated[
    list[str] | None,
    Parameter(help="columns to compare; areas, gaps, curvature and the like where none are named"),
    Several,
]
Reference = Annotated[
    str | None, Parameter(help="the condition that all others are compared with; else each with each")
]
IndependentUnit = Annotated[
    Literal["auto", "tomogram", "grid"],
    Parameter(help="what counts as independent: auto takes grids where each holds one condition"),
]
AcrossMembranes = Annotated[
    bool, Parameter(negative="", help="compare named membranes within the same tomograms, too")
]
Patches = Annotated[
    int,
    Parameter(
        help="random patches for each contact, of its area and on its membrane, that it is compared with; "
        "needs the tomograms' folders with their meshes"
    ),
]
Seed = Annotated[int, Parameter(help="seed of resamples and random assignments")]


def compare(
    tables: Tables,
    /,
    *,
    output: Output,
    tomograms: Tomograms = None,
    by: By = "condition",
    measures: Measures = None,
    reference: Reference = None,
    unit: IndependentUnit = "auto",
    across_membranes: AcrossMembranes = False,
    patches: Patches = 0,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> int:
    """Compare conditions: differences with intervals, tests over tomograms, power, figures to print."""
    from tomocore.settings import load_settings
    from tomosurf.statistics.files import CompareRequest, compare_files
    from tomosurf.statistics.settings import CompareSettings

    how = {
        "by": by,
        "measures": tuple(measures or ()),
        "reference": reference,
        "unit": unit,
        "across_membranes": across_membranes,
        "patches": patches,
        "seed": seed,
    }
    request = CompareRequest(
        tuple(tables),
        output,
        tomograms,
        load_settings(CompareSettings, overrides=how),
        overwrite=overwrite,
    )
    outcome = compare_files(request, Terminal())
    for sentence in outcome.sentences:
        out.print(sentence, markup=False)
    if outcome.page is not None:
        if not outcome.sentences:
            out.print("no interval leaves out zero", markup=False)
        next_hint(f"open {outcome.page}")
    return status_of(outcome)
