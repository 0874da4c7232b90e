"""Rounds of a project: which models found its ROIs, what a person judged after which, and what is stale.

A round is a model that the project used. Judged ROIs (`tomorois curate`) stand in place of those that were
found in all that follows, also once another model has found others: until these are judged, they are stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tomocore.contract import InputError
from tomocore.files import write_json
from tomocore.provenance import file_hash
from tomocore.side_files import StoredRow, read_json, some_of
from tomorois.annotation.files_of_annotation import JUDGED, judged_marks
from tomorois.loop.folder import LoopFolder, model_facts
from tomorois.prediction.record import record_of_map
from tomosurf.project import Project, TomogramPlan

if TYPE_CHECKING:
    from tomocore.roiset import RoiSet

FILE = "rounds.json"
UNTOUCHED = {("predicted", "network"), ("predicted", "")}
"""Status and maker of an ROI that a person has neither judged nor changed."""


class UsedModel(StoredRow):
    """A model that found ROIs of a project, and what its file said of it then."""

    sha256: str
    name: str
    told: str = ""


class Ledger(StoredRow):
    """The models in the order of their first use; of each tomogram, which model found ROIs of which hash."""

    models: list[UsedModel] = Field(default_factory=list)
    rois: dict[str, dict[str, str]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """How many ROIs of a tomogram have which status, and the hash of the model that found them.

    It ``is_stale`` where a model has found others since, and has no counts where it ``is_damaged``.
    """

    counts: Mapping[str, int]
    model: str
    is_stale: bool
    is_damaged: bool = False

    @property
    def words(self) -> str:
        """``3 kept, 1 rejected``, and that it is stale where it is."""
        if self.is_damaged:
            return "cannot be read"
        return _told(self.counts) + (", stale" if self.is_stale else "")


@dataclass(frozen=True)
class Round:
    """A model, how many maps are its, and the tomograms that were judged after it."""

    model: UsedModel
    maps: int
    judged: Mapping[str, Judged]

    @property
    def line(self) -> str:
        """``2 tomograms: 5 kept, 1 rejected``, or a dash."""
        if not self.judged:
            return "–"
        counts = {status: 0 for one in self.judged.values() for status in one.counts}
        for one in self.judged.values():
            counts = {status: n + one.counts.get(status, 0) for status, n in counts.items()}
        return f"{len(self.judged)} tomograms: {_told(counts)}"

    @property
    def stale(self) -> list[str]:
        """Those whose ROIs another model has found again since."""
        return [stem for stem, judged in self.judged.items() if judged.is_stale]


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "no ROI"


def counted_path(plan: TomogramPlan) -> Path:
    """The ROIs that are measured and reported: the judged ones where a person judged any, else those found.

    Raises InputError where judged ones are there and cannot be read.
    """
    return plan.curated if is_judged(plan) else plan.rois


def shown_path(plan: TomogramPlan) -> Path:
    """As `counted_path`, for what is only shown: judged ROIs that cannot be read are named all the same."""
    try:
        return counted_path(plan)
    except InputError:
        return plan.curated


def is_judged(plan: TomogramPlan) -> bool:
    """Whether a person judged, mended or drew any ROI of a tomogram."""
    return bool(set(_said_of(plan)) - UNTOUCHED)


def has_judgements(plan: TomogramPlan) -> bool:
    """Whether a person kept, rejected or was not sure of any ROI of a tomogram, so that it teaches."""
    return any(status in JUDGED for status, _ in _said_of(plan))


def counted_rois(plan: TomogramPlan) -> RoiSet:
    """The ROIs of `counted_path` that nobody rejected. Raises InputError where they cannot be read."""
    from tomocore.roiset import read_rois

    return without_rejected(read_rois(counted_path(plan)))


def shown_rois(plan: TomogramPlan) -> RoiSet | None:
    """As `counted_rois`, for what is only shown: None where there are none, or none that can be read."""
    try:
        return counted_rois(plan) if plan.rois.exists() else None
    except InputError:
        return None


def without_rejected(rois: RoiSet) -> RoiSet:
    """All ROIs but those that a person rejected."""
    return rois.at((rois.table["status"] != "rejected").to_numpy())


def keep_ledger(project: Project) -> None:
    """Note which model found the ROIs that are there now; nothing is written where that is known."""
    before = read_ledger(project)
    models = {model.sha256: model for model in before.models}
    rois = {stem: dict(found) for stem, found in before.rois.items()}
    for plan in project.included:
        model = record_of_map(plan.confidence)
        sha256 = str(model.get("model_sha256", ""))
        if sha256 and plan.rois.is_file():
            models.setdefault(sha256, _used(project, sha256, Path(str(model.get("model", "")))))
            rois.setdefault(plan.stem, {})[file_hash(plan.rois)] = sha256
    ledger = Ledger(models=list(models.values()), rois=rois)
    if ledger != before:
        write_json(project.output / FILE, ledger.model_dump())


def read_ledger(project: Project) -> Ledger:
    """What `keep_ledger` wrote; empty where there is nothing readable, since it can be made again."""
    try:
        ledger: Ledger = read_json(project.output / FILE, Ledger)
    except (OSError, InputError):
        return Ledger()
    return ledger


def damaged_judgements(project: Project) -> list[str]:
    """A line for each tomogram whose judged ROIs cannot be read, and for their journal."""
    lines = []
    for plan in project.included:
        try:
            is_judged(plan)
        except InputError as error:
            lines.append(str(error))
    try:
        _marks(project)
    except InputError as error:
        lines.append(str(error))
    return lines


def _marks(project: Project) -> dict[str, str]:
    """Of which ROIs each tomogram's were judged. InputError where the journal is damaged."""
    plans = project.included
    return judged_marks(plans[0].curated.parent) if plans else {}


def judged_of(project: Project, ledger: Ledger) -> dict[str, Judged]:
    """What was judged, by tomogram; what is damaged `damaged_judgements` tells."""
    marks: dict[str, str] = {}
    with suppress(InputError):
        marks = _marks(project)
    found = {}
    for plan in project.included:
        try:
            if not is_judged(plan):
                continue
        except InputError:
            found[plan.stem] = Judged({}, "", is_stale=False, is_damaged=True)
            continue
        statuses = [status for status, _ in _said_of(plan)]
        counts = {status: statuses.count(status) for status in ("kept", "rejected", "unsure", "predicted")}
        counts["unseen"] = counts.pop("predicted")
        mark = marks.get(plan.stem, "")
        model = ledger.rois.get(plan.stem, {}).get(mark, "")
        is_stale = bool(marks) and plan.rois.is_file() and file_hash(plan.rois) != mark
        found[plan.stem] = Judged(counts, model, is_stale)
    return found


def rounds_of(project: Project) -> list[Round]:
    """The rounds of a project, first to last."""
    ledger = read_ledger(project)
    judged = judged_of(project, ledger)
    maps = [str(record_of_map(plan.confidence).get("model_sha256", "")) for plan in project.included]
    return [
        Round(
            model,
            maps.count(model.sha256),
            {stem: one for stem, one in judged.items() if one.model == model.sha256},
        )
        for model in ledger.models
    ]


def what_is_next(project: Project, rounds: list[Round]) -> str:
    """What a person may do now to go on with the rounds, in one line; empty where no model was used yet."""
    if not rounds:
        return ""
    if project.model.is_file() and file_hash(project.model) not in {one.model.sha256 for one in rounds}:
        return f"{project.model.name} has found no ROIs here yet: tomosurf run {project.folder}"
    newer = _models_not_used(project, rounds)
    if newer:
        return f"trained since: {newer[-1]}; to use it, set model = {str(newer[-1])!r} in the project file"
    stale = [stem for one in rounds for stem in one.stale]
    if stale:
        return (
            f"ROIs of {some_of(stale)} were found again after they were judged; those judged "
            f"are measured until these are: tomorois curate {project.output}"
        )
    if rounds[-1].judged and project.trains:
        return (
            f"judged after the last model: {some_of(rounds[-1].judged)}; to refine it by that: "
            f"tomosurf train {project.folder}"
        )
    if rounds[-1].judged:
        return (
            f"judged after the last model: {some_of(rounds[-1].judged)}; refine it in the window of "
            f"tomorois curate {project.output}, or by tomorois train --init {project.model}"
        )
    return f"nothing is judged after the last model: tomorois curate {project.output}"


def stale_line(project: Project) -> list[str]:
    """A warning where judged ROIs are measured though another model has found others since."""
    stale = [stem for stem, one in judged_of(project, read_ledger(project)).items() if one.is_stale]
    if not stale:
        return []
    told = "measured within ROIs that were judged before a model found them again; judge these, too"
    return [f"{some_of(stale)}: {told}"]


def _models_not_used(project: Project, rounds: list[Round]) -> list[Path]:
    """Models that the project's window trained after those that were used, the newest last."""
    used = {one.model.sha256 for one in rounds}
    files = LoopFolder(project.output).model_files()
    new = [path for path in files if file_hash(path) not in used]
    current = project.model.stat().st_mtime_ns if project.model.is_file() else 0
    later = [path for path in new if path.stat().st_mtime_ns > current]
    return [path.relative_to(project.folder) if project.folder in path.parents else path for path in later]


def _used(project: Project, sha256: str, model: Path) -> UsedModel:
    told = ""
    if project.model.is_file() and file_hash(project.model) == sha256:
        model = project.model
        with suppress(InputError):  # another program's: what it is was told when it was used
            told = model_facts(model).line()
    return UsedModel(sha256=sha256, name=model.name, told=told)


def _said_of(plan: TomogramPlan) -> tuple[tuple[str, str], ...]:
    """Status and maker of each judged ROI; none where there are none."""
    try:
        state = plan.curated.stat()
    except OSError:
        return ()
    return _said_in(plan.curated, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _said_in(path: Path, size: int, mtime_ns: int) -> tuple[tuple[str, str], ...]:
    from tomocore.roiset import read_rois

    table = read_rois(path).table
    makers = table["made_by"].fillna("") if "made_by" in table else [""] * len(table)
    return tuple(zip(map(str, table["status"]), map(str, makers), strict=True))
