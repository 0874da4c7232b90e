"""Which tomograms of a project teach, and the files of what a person said of them; none of them is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tomocore.side_files import some_of
from tomorois.annotation.files_of_annotation import PaintingFiles, painting_files
from tomosurf.project import Project, TomogramPlan
from tomosurf.rounds import has_judgements


def taught_plans(project: Project) -> tuple[TomogramPlan, ...]:
    """The tomograms that a training learns from or is watched on: those with an annotation, but for test."""
    counted = [plan for plan in project.of_all if not plan.row.excluded and plan.row.split != "test"]
    return tuple(plan for plan in counted if sources_of(project, plan))


def sources_of(project: Project, plan: TomogramPlan) -> dict[str, Path]:
    """What a person said of a tomogram, as files by their role. InputError where judged ROIs are damaged."""
    files = painting_of(project, plan)
    sources = {f"labels of {plan.stem}": files.labels, f"strokes of {plan.stem}": files.journal}
    found = {role: path for role, path in sources.items() if path.exists()}
    return found | ({f"ROIs judged of {plan.stem}": plan.curated} if has_judgements(plan) else {})


def painting_of(project: Project, plan: TomogramPlan) -> PaintingFiles:
    """Where a tomogram's painting lies; its labels may be named as another program names them."""
    files = painting_files(plan.tomogram, project.annotations)
    return files if plan.labels is None else PaintingFiles(plan.labels, files.journal, files.before)


def problems_of_choice(project: Project) -> Iterator[str]:
    """What is wrong with which tomograms teach, as far as no voxel tells it."""
    plans = taught_plans(project)
    if not any(plan.row.split == "train" for plan in plans):
        yield (
            f"{project.annotations}: no labels of a tomogram to learn from, and none of its ROIs is judged; "
            f"paint some: tomosurf annotate {project.folder}"
        )
    taught = {plan.stem for plan in plans}
    held_out = [plan.stem for plan in project.of_all if plan.row.split == "validation"]
    bare = [stem for stem in held_out if stem not in taught]
    if bare:
        yield f"{project.table}: {some_of(bare)}: held out for validation, and without labels; paint some"
    if len({plan.voxel_size_nm for plan in plans}) > 1:
        yield (
            f"{project.table}: the tomograms to learn from have voxel sizes of their own, and a training "
            "takes one; give all of them the same"
        )
    if project.membrane_model is not None and not project.settings.learn_membranes:
        yield "learn_membranes is false, so that nothing sees what membrane_model draws; unset one of them"
