"""The record of a project's run: the models, what failed and was warned of, of all its tomograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tomocore.contract import Batch, InputError
from tomocore.provenance import RunRecord, read_record
from tomosurf.project import STEPS, TRAINING, Project, step_record_path
from tomosurf.rounds import keep_ledger
from tomosurf.step_records import read_step_record


def write_run_record(project: Project, record: RunRecord, batch: Batch) -> None:
    """Write run.json: the models, and what failed, of tomograms that were not run this time last time.

    Where nothing was made, and nothing is told otherwise than it was, the record stays that of the last run.
    """
    # Also those of steps that were made earlier and are still what they were.
    paths = (step_record_path(project.output, stem, step) for stem in project.stems for step in STEPS)
    rounds = step_record_path(project.output, f"round_{project.rounds_trained:03d}", TRAINING)
    steps = (read_step_record(path) for path in (rounds, *paths))
    of_steps = [text for step in steps if step for text in step.warnings]
    record.warnings = list(dict.fromkeys([*record.warnings, *of_steps]))
    for model in filter(None, (project.model, project.membrane_model)):
        if model.is_file():  # also that of a training which failed
            record.add_input(model)
    keep_ledger(project)
    earlier = _earlier_record(project)
    others = set(project.stems) - {plan.stem for plan in project.plans}
    failures = {name: line for name, line in earlier.get("failures", {}).items() if name in others}
    record.failures = failures | batch.failed
    if batch.done or batch.failed or not _says_the_same(record, earlier):
        record.write(project.output / "run.json")


def _earlier_record(project: Project) -> dict[str, Any]:
    try:
        return read_record(project.output / "run.json") or {}
    except InputError:
        return {}


def _says_the_same(record: RunRecord, earlier: Mapping[str, Any]) -> bool:
    """Whether a record tells what an earlier one told, beside when and how it was called."""
    told = asdict(record)
    own = [{key: one[key] for key in ("path", "sha256")} for one in told.pop("inputs")]
    before = [{key: one[key] for key in ("path", "sha256")} for one in earlier.get("inputs", ())]
    same = all(told[key] == earlier.get(key) for key in ("settings", "failures", "versions"))
    return same and own == before and set(told["warnings"]) == set(earlier.get("warnings", ()))
