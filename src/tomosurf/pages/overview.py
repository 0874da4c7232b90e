"""overview.html: every tomogram of a project in one picture, to be searched by words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomocore.contract import NOBODY, InputError, Watcher
from tomocore.files import writable_folder
from tomocore.page import Page, Section, Tile, address_of, write_page
from tomosurf.pages.pictures import LEGEND, tomogram_picture
from tomosurf.pages.tomogram_page import page_link, page_path
from tomosurf.project import Project, TomogramPlan
from tomosurf.status import TomogramStatus, status_of_project

PAGE = "overview.html"
SMALL, LARGE = 200, 360
"""Pixels of a picture's longer side where there are many, and few."""
MANY = 150


@dataclass(frozen=True)
class Overview:
    """Where the page lies, and why tomograms have no picture, by name."""

    path: Path
    without_picture: Mapping[str, str]


def write_overview(project: Project, watcher: Watcher = NOBODY) -> Overview:
    """Write overview.html of a project, whatever of it is done yet.

    Of each tomogram a few planes are read, so that a hundred take a minute or two.
    """
    tiles, without_picture = tiles_of(project, watcher)
    return write_overview_page(project, tiles, without_picture)


def write_overview_page(
    project: Project, tiles: Sequence[Tile], without_picture: Mapping[str, str]
) -> Overview:
    """Write overview.html of tiles that `tiles_of` made."""
    left_out = sum(bool(plan.row.excluded) for plan in project.plans)
    page = Page(
        f"Tomograms of {project.folder.resolve().name}",
        f"{len(project.plans)} tomograms, {left_out} left out",
        [f"{tile.title}: {tile.lines[-1]}" for tile in tiles if tile.state == "failed"],
        warnings=[f"{name} has no picture: {line}" for name, line in without_picture.items()],
        sections=[Section("All tomograms", [LEGEND], tiles=list(tiles))],
        links=report_links(project),
    )
    with writable_folder(project.report_folder):
        write_page(project.report_folder / PAGE, page)
    return Overview(project.report_folder / PAGE, without_picture)


def report_links(project: Project) -> list[tuple[str, str]]:
    """The address of the project's report, where there is one."""
    there = (project.report_folder / "report.html").exists()
    return [("report of the project", "report.html")] if there else []


def names_of(plan: TomogramPlan) -> tuple[str, ...]:
    """Condition and grid of a tomogram, as far as the project's table tells them."""
    return tuple(name for name in (plan.row.condition, plan.row.grid) if name)


def tiles_of(project: Project, watcher: Watcher = NOBODY) -> tuple[list[Tile], dict[str, str]]:
    """A tile a tomogram, in the project's order, and why some have no picture."""
    most_pixels = SMALL if len(project.plans) > MANY else LARGE
    tiles, failures = [], {}
    with watcher.progress("pictures of tomograms") as progress:
        for k, (plan, status) in enumerate(zip(project.plans, status_of_project(project), strict=True)):
            progress(k, len(project.plans))
            try:
                picture = tomogram_picture(plan, project, most_pixels)
                tiles.append(_tile(plan, project, status, picture.address, picture.words))
            except InputError as error:
                failures[plan.stem] = str(error)
                tiles.append(_tile(plan, project, status, "", ""))
    return tiles, failures


def _tile(plan: TomogramPlan, project: Project, status: TomogramStatus, picture: str, words: str) -> Tile:
    done = [step for step, when in status.done.items() if when]
    how_far = "all done" if status.is_done else f"done: {', '.join(done)}" if done else "nothing done yet"
    remark = status.remark.removeprefix(f"{plan.stem}: ")
    state = "left" if plan.row.excluded else "failed" if status.remark else ""
    return Tile(
        plan.stem,
        tuple(line for line in (" · ".join(names_of(plan)), words, remark or how_far) if line),
        picture,
        f"slice of {plan.stem}",
        address_of(page_link(project, plan)) if page_path(project, plan).exists() else "",
        state,
    )
