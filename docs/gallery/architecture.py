"""Draws docs/pictures/architecture.png from the code: the rooms of each tool, their layers, who uses whom.

Rooms and their texts are folders and their docstrings, layers are the import contracts in pyproject.toml,
arrows are imports. `room_rows` makes the table of docs/architecture.md from the same docstrings.
"""

from __future__ import annotations

import argparse
import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = {"tomorois": ("#e7f0f6", "#1f5a7a"), "surfora": ("#f7ece2", "#9c4a12")}
WIDTH, ROW, GAP = 9.0, 1.5, 0.45


def doc_of(path: Path) -> str:
    """The docstring of a module or of a folder's door."""
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def parts_of(doc: str) -> tuple[str, str, str, str]:
    """Title, what goes in, what comes out, and the file to read first, as a docstring says them."""
    text = " ".join(doc.split())
    title = text.split(". ")[0].rstrip(".")
    found = re.search(r"In: (.*?)\. Out: (.*?)\. (?:.*?)(?:[Rr]ead (`[\w.]+`(?: and `[\w.]+`)?))", text)
    return (title, *found.groups()) if found else (title, "", "", "")


def layers_of(tool: str) -> list[list[str]]:
    """The rooms of a tool, from the top layer down, as its import contract orders them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract.get("containers") == [tool]:
            return [re.split(r"\s*[|:]\s*", layer) for layer in contract["layers"]]
    raise ValueError(f"pyproject.toml: no layers of {tool}")


def room_of(module: str, rooms: set[str]) -> str:
    """The room that a module belongs to: the longest of them that begins its name."""
    return max((room for room in rooms if f"{module}.".startswith(f"{room}.")), key=len, default="")


def uses(rooms: set[str]) -> set[tuple[str, str]]:
    """Pairs of rooms of which the first imports from the second."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        own = room_of(".".join(file.relative_to(SOURCE).with_suffix("").parts), rooms)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                other = room_of(node.module, rooms)
                if own and other and own != other:
                    found.add((own, other))
    return found


def without_shortcuts(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that no longer way replaces."""
    after = {start: {b for a, b in pairs if a == start} for start, _ in pairs}

    def reached(start: str) -> set[str]:
        found, ahead = set(), [start]
        while ahead:
            new = after.get(ahead.pop(), set()) - found
            found |= new
            ahead += new
        return found

    return {(a, b) for a, b in pairs if not any(b in reached(c) for c in after[a] - {b})}


def room_rows() -> Iterator[str]:
    """The lines of the table of rooms in docs/architecture.md, in the order of the data's way."""
    yield "| room | what it is | goes in | comes out | read first |"
    yield "|---|---|---|---|---|"
    for tool in ("tomocore", "tomorois", "surfora", "tomosurf"):
        folders = [path.parent for path in sorted((SOURCE / tool).glob("*/__init__.py"))]
        if tool in COLUMNS:
            order = [name for layer in reversed(layers_of(tool)) for name in layer]
            folders.sort(key=lambda folder: order.index(folder.name))
        for folder in folders:
            title, into, out, first = parts_of(doc_of(folder))
            yield f"| `{tool}/{folder.name}` | {title} | {into} | {out} | {first} |"


def draw(axes: Axes) -> float:
    """Draw both tools as columns of rooms, their layers downward as the data goes; the height taken."""
    places: dict[str, tuple[float, float, float]] = {}
    height = max(len(layers_of(tool)) for tool in COLUMNS) * (ROW + GAP)
    for column, (tool, colours) in enumerate(COLUMNS.items()):
        left, layers = column * (WIDTH + 1.2), list(reversed(layers_of(tool)))
        axes.text(
            left,
            0.55,
            parts_of(doc_of(SOURCE / tool))[0].split(" to oriented")[0],
            fontsize=11,
            weight="bold",
        )
        for row, layer in enumerate(layers):
            wide = (WIDTH - GAP * (len(layer) - 1)) / len(layer)
            for place, name in enumerate(layer):
                x, y = left + place * (wide + GAP), -(row + 1) * (ROW + GAP) + GAP
                places[f"{tool}.{name}"] = (x + wide / 2, y, wide)
                draw_room(axes, (x, y, wide), name, parts_of(doc_of(SOURCE / tool / name))[0], colours)
    for user, used in without_shortcuts(uses(set(places))):
        (x1, y1, _), (x0, y0, _) = places[user], places[used]
        arrow = FancyArrowPatch(
            (x0, y0), (x1, y1 + ROW), arrowstyle="-|>", mutation_scale=9, color="0.55", lw=0.9, zorder=0
        )
        axes.add_patch(arrow)
    return height


def draw_room(
    axes: Axes, box: tuple[float, float, float], name: str, title: str, colours: tuple[str, str]
) -> None:
    """One room: its name, and what it is as far as its width allows."""
    x, y, wide = box
    shape = FancyBboxPatch(
        (x, y), wide, ROW, boxstyle="round,pad=0,rounding_size=0.12", fc=colours[0], ec=colours[1], lw=1.0
    )
    axes.add_patch(shape)
    axes.text(x + wide / 2, y + 1.25, name, ha="center", va="center", fontsize=9.5, color=colours[1])
    text = textwrap.fill(title.replace("`", ""), int(wide * 9.5))
    axes.text(x + wide / 2, y + 0.55, text, ha="center", va="center", fontsize=7, color="0.25")


def page_with_rooms(text: str) -> str:
    """A page with the table of rooms between its marks."""
    table = "\n".join(room_rows())
    marked = r"(<!-- rooms -->\n).*?(<!-- /rooms -->)"
    return re.sub(marked, lambda found: f"{found[1]}{table}\n{found[2]}", text, flags=re.DOTALL)


def main(folder: Path) -> None:
    figure = Figure(figsize=(13.0, 12.0))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    height = draw(axes)
    floor = ", ".join(sorted(p.stem for p in (SOURCE / "tomocore").glob("[a-z]*.py")))
    axes.text(0, -height - 0.35, f"tomocore, the floor of both: {floor}; volumes, terminal", fontsize=9)
    axes.text(
        0,
        -height - 0.8,
        "tomosurf runs both over a project. Arrows: what a room makes is used by the next.",
        fontsize=9,
    )
    axes.set(xlim=(-0.3, 2 * WIDTH + 1.6), ylim=(-height - 1.2, 1.1))
    axes.axis("off")
    figure.savefig(folder / "architecture.png", dpi=80)
    if folder == PICTURES:
        page = ROOT / "docs" / "architecture.md"
        page.write_text(page_with_rooms(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
