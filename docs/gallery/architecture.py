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
COLUMNS = {
    "tomorois": ("#e7f0f6", "#1f5a7a"),
    "surfora": ("#f7ece2", "#9c4a12"),
    "tomosurf": ("#eaf3e6", "#3d6b2a"),
}
WIDTH, GAP = 5.4, 0.2  # inches
BETWEEN, MARGIN = 0.45, 0.25
NAME_PT, TEXT_PT = 9.5, 7.0
NAME, LINE = 0.25, 0.125  # heights of a room's name, and of a line of text
LETTER = 0.57  # width of a letter on average, in heights


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
    """Draw the tools as columns of rooms, their layers downward as the data goes; the height taken."""
    return max(draw_tool(axes, tool, column * (WIDTH + BETWEEN)) for column, tool in enumerate(COLUMNS))


def draw_tool(axes: Axes, tool: str, left: float) -> float:
    """Draw the rooms of a tool, and which of them uses which; the height taken."""
    title = parts_of(doc_of(SOURCE / tool))[0].split(" to oriented")[0]
    axes.text(left, 0.2, title, fontsize=11, weight="bold")
    ends: dict[str, tuple[float, float, float]] = {}
    top = 0.0
    for layer in reversed(layers_of(tool)):
        wide = (WIDTH - GAP * (len(layer) - 1)) / len(layer)
        texts = [wrapped(parts_of(doc_of(SOURCE / tool / name))[0], wide - 0.1, TEXT_PT) for name in layer]
        high = NAME + LINE * (1 + max(text.count("\n") for text in texts)) + 0.06
        for place, (name, text) in enumerate(zip(layer, texts, strict=True)):
            x = left + place * (wide + GAP)
            draw_room(axes, (x, top, wide, high), name, text, COLUMNS[tool])
            ends[f"{tool}.{name}"] = (x + wide / 2, top, top - high)
        top -= high + GAP
    for user, used in without_shortcuts(uses(set(ends))):
        (x1, y1, _), (x0, _, y0) = ends[user], ends[used]
        arrow = FancyArrowPatch(
            (x0, y0), (x1, y1), arrowstyle="-|>", mutation_scale=9, color="0.55", lw=0.9, zorder=0
        )
        axes.add_patch(arrow)
    return -top


def draw_room(
    axes: Axes, box: tuple[float, float, float, float], name: str, text: str, colours: tuple[str, str]
) -> None:
    """One room, ``box`` its left, top, width and height: its name, and what it is."""
    x, top, wide, high = box
    shape = FancyBboxPatch(
        (x, top - high), wide, high, boxstyle="round,pad=0,rounding_size=0.05", fc=colours[0], ec=colours[1]
    )
    axes.add_patch(shape)
    middle = {"ha": "center", "va": "center"}
    axes.text(x + wide / 2, top - NAME / 2, name, fontsize=NAME_PT, color=colours[1], **middle)
    axes.text(
        x + wide / 2, (top - NAME + top - high) / 2 + 0.02, text, fontsize=TEXT_PT, color="0.25", **middle
    )


def wrapped(text: str, wide: float, size_pt: float) -> str:
    """A text in lines of so many inches."""
    return textwrap.fill(text.replace("`", ""), int(wide * 72 / (LETTER * size_pt)))


def page_with_rooms(text: str) -> str:
    """A page with the table of rooms between its marks."""
    table = "\n".join(room_rows())
    marked = r"(<!-- rooms -->\n).*?(<!-- /rooms -->)"
    return re.sub(marked, lambda found: f"{found[1]}{table}\n{found[2]}", text, flags=re.DOTALL)


def main(folder: Path) -> None:
    floor = ", ".join(sorted(p.stem for p in (SOURCE / "tomocore").glob("[a-z]*.py")))
    told = (
        f"tomocore, their floor: {floor}; volumes, terminal. Arrows: what a room makes is used by the next."
    )
    across = len(COLUMNS) * (WIDTH + BETWEEN) - BETWEEN
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    height = draw(axes)
    axes.text(0, -height - 0.2, wrapped(told, across, 9), fontsize=9, va="top")
    low, high = -height - 0.75, 0.55
    axes.set(xlim=(-MARGIN, across + MARGIN), ylim=(low, high))
    axes.axis("off")
    figure.set_size_inches(across + 2 * MARGIN, high - low)
    figure.savefig(folder / "architecture.png", dpi=80)
    if folder == PICTURES:
        page = ROOT / "docs" / "architecture.md"
        page.write_text(page_with_rooms(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
