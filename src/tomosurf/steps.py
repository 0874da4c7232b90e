"""The steps of a tomogram, confidence, ROIs and surfaces: what each is made from, why it must be, making it.

Each step is the function at the level of files that the tools' own commands call. It is made where its record
(`step_records`) does not say that it was made from the same inputs, by the same settings and version. It
loads the libraries that it computes with when it begins: planning needs none, and a job those of its step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomocore.contract import NOBODY, InputError, Progress, Watcher, is_filled
from tomocore.provenance import RunRecord, recorded_run
from tomorois.loop.folder import model_facts
from tomorois.prediction.record import record_of_map, record_path
from tomosurf.project import STEPS, Project, TomogramPlan
from tomosurf.rounds import counted_path, counted_rois
from tomosurf.step_records import (
    DRAWN,
    NOT_IN_THE_RESULT,
    StepBasis,
    StepRecord,
    changes_since,
    is_same,
    mark_of,
    read_step_record,
    reason_to_make,
    refreshed,
    write_step_record,
)

if TYPE_CHECKING:
    from tomorois.prediction.files import Predictor

VERSIONS = {"confidence": 1, "rois": 1, "surfaces": 2}
"""Raised by one where a step computes otherwise than before from the same inputs and settings."""


class StepMaker:
    """Makes steps of a project's tomograms; models are read once, when the first step needs them."""

    def __init__(self, project: Project, jobs: int = 1) -> None:
        """Raises InputError where a model is missing or none, or the two do not fit together."""
        self.project = project
        self.jobs = jobs
        self.sees_membranes = _sees_membranes(project)

    @cached_property
    def finder(self) -> Predictor:
        """The model that finds ROIs."""
        from tomorois.prediction.files import read_predictor

        return read_predictor(self.project.model)

    @cached_property
    def drawer(self) -> Predictor:
        """The model that draws membranes for the other to see."""
        from tomorois.prediction.files import read_predictor

        assert self.project.membrane_model is not None
        return read_predictor(self.project.membrane_model)

    def basis(self, step: str, plan: TomogramPlan) -> StepBasis:
        """What a step of a tomogram is to be made from."""
        settings = self.project.settings
        common: dict[str, Any] = {"voxel_size_nm": plan.voxel_size_nm, "resample": settings.resample}
        if step == "confidence":
            own: dict[str, Any] = {"predict": settings.predict.model_dump(exclude=NOT_IN_THE_RESULT)}
            inputs = {"tomogram": plan.tomogram, "model": self.project.model}
            if self.project.membrane_model is not None:
                inputs["membrane model"] = self.project.membrane_model
            elif self.sees_membranes:
                inputs["membranes"] = plan.membranes
        elif step == "rois":
            own = {"instances": settings.instances.model_dump()}
            inputs = {
                "confidence": plan.confidence,
                "its record": record_path(plan.confidence),
                "membranes": plan.membranes,
            }
        else:
            own = {"surfora": settings.surfora.model_dump()}
            inputs = {"membranes": plan.membranes, "ROIs": counted_path(plan)}
            if settings.density:
                inputs["tomogram"] = plan.tomogram
            if settings.intervals:
                own["intervals"] = True
                sure = plan.membrane_confidence
                inputs |= {"confidence of membranes": sure} if sure else {}
        return StepBasis(VERSIONS[step], {**own, **common}, inputs, self.project.output)

    def reason(self, step: str, plan: TomogramPlan, at_a_glance: bool = False) -> str:
        """Why a step must be made, in words; empty where all that it was made from is the same."""
        record = read_step_record(plan.record_of(step))
        return reason_to_make(record, self.basis(step, plan), at_a_glance)

    def reasons(self, plan: TomogramPlan) -> dict[str, str]:
        """Why each step of a tomogram must be made, or may have to be; those left out stay as they are."""
        found: dict[str, str] = {}
        for step in STEPS:
            reason = self.reason(step, plan)
            if not reason and found:
                reason = f"follows {next(reversed(found))}"
            if reason:
                found[step] = reason
        return found

    def adopt(self, step: str, plan: TomogramPlan, watcher: Watcher = NOBODY) -> bool:
        """Keep results that have no record, where nothing speaks against them; whether there were such."""
        if read_step_record(plan.record_of(step)) is not None or not self._is_of_before(step, plan):
            return False
        if _is_before_its_input(step, plan):
            watcher.say(f"{step}: what is there was made before what it is to be made from; made again")
            return False
        watcher.say(f"{step}: kept, made before the project had a record of it")
        self._finish(step, plan, self.basis(step, plan).begun(replaces=False), None)
        return True

    def adopt_all(self, plan: TomogramPlan, watcher: Watcher = NOBODY) -> None:
        """Keep a tomogram's results without records, as far as no step before them must be made."""
        for step in STEPS:
            self.adopt(step, plan, watcher)
            if self.reason(step, plan):
                return

    def make(self, step: str, plan: TomogramPlan, overwrite: bool = False, watcher: Watcher = NOBODY) -> bool:
        """Make a step where it must be, and tell why where it was made before; whether it was made.

        Results without a record, of a run before there were records or of the tools' own commands, are kept
        where nothing speaks against them. Raises what the step raises.
        """
        if not overwrite and self.adopt(step, plan, watcher):
            return False
        path, basis = plan.record_of(step), self.basis(step, plan)
        record = read_step_record(path)
        reason = "asked for anew" if overwrite else reason_to_make(record, basis)
        if not reason:
            self._refresh(path, record, basis)
            return False
        if record is not None:
            watcher.say(f"{step}: {reason}")
        if overwrite and step == "confidence":
            plan.record_of(DRAWN).unlink(missing_ok=True)
        begun = self._begin(step, plan, record, basis, overwrite)
        work = {"confidence": self._predict, "rois": self._find_rois, "surfaces": self._measure}[step]
        with recorded_run(f"tomosurf {step}") as run:
            work(plan, begun.replaces, watcher)
        self._finish(step, plan, begun, run)
        return True

    def _begin(
        self, step: str, plan: TomogramPlan, record: StepRecord | None, basis: StepBasis, overwrite: bool
    ) -> StepRecord:
        """The record of a step that begins, written; surfaces of another making are taken away first."""
        path, there = plan.record_of(step), self._outputs(step, plan, ())
        if record is None:
            begun = basis.begun(overwrite or any(is_filled(path) for path in plan.marks_of(step)))
        elif record.state == "begun":
            begun = basis.begun(
                overwrite or record.replaces or bool(changes_since(record, basis)), record.foreign
            )
        else:
            begun = basis.begun(True, [name for name in there if name not in record.outputs])
        write_step_record(path, begun)
        if step == "surfaces" and begun.replaces and record is not None:
            for name in set(there) - set(begun.foreign):
                (self.project.output / name).unlink(missing_ok=True)
            begun = begun.model_copy(update={"replaces": False})
            write_step_record(path, begun)
        return begun

    def _refresh(self, path: Path, record: StepRecord | None, basis: StepBasis) -> None:
        newer = None if record is None else refreshed(record, basis)
        if newer is not None:
            write_step_record(path, newer)

    def _finish(self, step: str, plan: TomogramPlan, begun: StepRecord, run: RunRecord | None) -> None:
        outputs = self._outputs(step, plan, begun.foreign)
        told: dict[str, Any] = {"state": "done", "outputs": outputs, "replaces": False}
        if step == "rois":
            told["left"] = {"ROIs": mark_of(plan.rois)}
        told |= {} if run is None else {"seconds": run.seconds, "warnings": run.warnings}
        write_step_record(plan.record_of(step), begun.model_copy(update=told))

    def _outputs(self, step: str, plan: TomogramPlan, foreign: Collection[str]) -> list[str]:
        """The files of a step that are there, relative to all results."""
        if step == "surfaces":
            inside = sorted(plan.surfaces.rglob("*")) if plan.surfaces.is_dir() else []
            paths = [path for path in inside if path.is_file() and not path.name.startswith(".")]
        else:
            paths = list(plan.files_of(step))
        names = [path.relative_to(self.project.output).as_posix() for path in paths if path.exists()]
        return [name for name in names if name not in foreign]

    def _is_of_before(self, step: str, plan: TomogramPlan) -> bool:
        """Whether the results of a step are there and whole, and their own record names no other making."""
        results = plan.marks_of(step)
        if not all(is_filled(path) for path in (*results, *self.basis(step, plan).inputs.values())):
            return False
        from tomocore.roiset import is_readable
        from tomocore.volumes.formats import is_whole

        if step == "rois":
            return is_readable(plan.rois)
        if step == "surfaces":
            return True
        facts = record_of_map(plan.confidence)
        wanted = {"model_sha256": self.finder.sha256, **self.project.settings.predict.model_dump(mode="json")}
        others = [name for name in facts if name in wanted and facts[name] != wanted[name]]
        return all(is_whole(path) for path in results) and not set(others) - NOT_IN_THE_RESULT

    def _predict(self, plan: TomogramPlan, overwrite: bool, watcher: Watcher) -> None:
        """The confidence map; before it the membranes that its model sees, where another draws them."""
        from tomosurf.maps import draw_membranes, predict_map

        if plan.drawn is not None:
            draw_membranes(self.project, plan, self.drawer, watcher)
        beside = ((plan.drawn or plan.membranes),) if self.sees_membranes else ()
        predict_map(self.project, plan.confidence, plan, self.finder, beside, overwrite, watcher)

    def _find_rois(self, plan: TomogramPlan, overwrite: bool, watcher: Watcher) -> None:
        from tomorois.instances.files import find_instances_in_files

        find_instances_in_files(
            [plan.confidence],
            plan.rois.parent,
            self.project.settings.instances,
            membranes=[plan.membranes],
            voxel_size_nm=plan.voxel_size_nm,
            resample=self.project.settings.resample,
            overwrite=overwrite,
            watcher=watcher,
        ).require_done()

    def _measure(self, plan: TomogramPlan, overwrite: bool, watcher: Watcher) -> None:
        if len(counted_rois(plan)) == 0:
            watcher.say("no ROI, so no surface is measured")
            return
        from surfora.batch import RunRequest, run_masks
        from surfora.intervals_of_run import run_with_intervals

        settings, sure = self.project.settings, plan.membrane_confidence
        request = RunRequest(
            masks=(plan.membranes,),
            folder=plan.surfaces,
            rois=(counted_path(plan),),
            tomograms=(plan.tomogram,) if settings.density else (),
            confidence=(sure,) if settings.intervals and sure else (),
            voxel_size_nm=plan.voxel_size_nm,
            resample=settings.resample,
            jobs=self.jobs,
            overwrite=overwrite,
        )
        measure = run_with_intervals if settings.intervals else run_masks
        inner = measure(request, settings.surfora, watcher)
        if inner.failed:
            first = next(iter(inner.failed.values()))
            raise InputError(f"{plan.stem}: {len(inner.failed)} surfaces failed, the first: {first}")


def _is_before_its_input(step: str, plan: TomogramPlan) -> bool:
    """Whether results without a record are older than those of the step before, and a run made these.

    Such are of another making, as ROIs that the window found by a model of its own.
    """
    if step == STEPS[0]:
        return False
    earlier = STEPS[STEPS.index(step) - 1]
    record = read_step_record(plan.record_of(earlier))
    if record is None or record.seconds == 0:  # these were kept, too: nothing is known of when
        return False
    return plan.results[step].stat().st_mtime_ns < plan.results[earlier].stat().st_mtime_ns


def foreign_rois(plan: TomogramPlan) -> str:
    """A line where the ROIs of a tomogram are not those that a run found; else empty."""
    record = read_step_record(plan.record_of("rois"))
    left = None if record is None or record.state == "begun" else record.left.get("ROIs")
    if left is None or not plan.rois.exists() or is_same(plan.rois, left):
        return ""
    return (
        f"{plan.stem}: its ROIs are not those that a run found (the window, or another program, wrote them); "
        f"they count as they are, until {plan.rois} is deleted"
    )


def _sees_membranes(project: Project) -> bool:
    """Whether the model that finds ROIs sees membranes; InputError where a model is missing or of no use."""
    if project.membrane_model is not None:
        model_facts(project.membrane_model)
    sees = model_facts(project.model).sees_membranes
    if project.membrane_model is not None and not sees:
        raise InputError(
            f"{project.model}: was trained without membranes; unset membrane_model in the project"
        )
    return sees


class OfTomogram(Watcher):
    """Tells what the steps of a tomogram made, indented below its name, which is told first.

    What is kept or fails is told once, for the whole tomogram.
    """

    def __init__(self, outer: Watcher, stem: str) -> None:
        self.outer, self.stem = outer, stem
        self._is_named = False

    def say(self, line: str) -> None:
        """Pass on a line."""
        if not self._is_named:
            self.outer.say(f"{self.stem}:")
            self._is_named = True
        self.outer.say(f"  {line}")

    def done(self, name: str, line: str) -> None:
        """Pass on what came of the step."""
        if line:
            self.say(line)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Pass on the step's progress."""
        with self.outer.progress(title) as progress:
            yield progress
