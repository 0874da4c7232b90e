"""What the editor can do, with its keys: one table for menus, the help window and the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """A verb of the window by ``name``: its text, its keys by Qt's names, its menu, and a tip."""

    name: str
    text: str
    keys: tuple[str, ...]
    menu: str
    tip: str = ""
    checkable: bool = False


ACTIONS = (
    Action("save", "Save", ("Ctrl+S",), "File", "write edited surfaces as NAME.edited.vtp"),
    Action("save_as", "Save as…", ("Ctrl+Shift+S",), "File", "write an edited surface as VTP or PLY"),
    Action("add_file", "Add a surface…", ("Ctrl+O",), "File", "show and edit one more file"),
    Action("close", "Close", ("Ctrl+Q",), "File", "edits stay in the file of edits"),
    Action("undo", "Undo", ("Ctrl+Z",), "Edit", "take the last step back, without limit"),
    Action("redo", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Edit", "do the step again that was undone"),
    Action("delete", "Delete", ("D", "Del"), "Edit", "take the selected points out"),
    Action("flip", "Flip normals", ("F",), "Edit", "of the selected points; of meshes whole pieces"),
    Action("flip_components", "Flip components", ("Shift+F",), "Edit", "of the pieces selected in part"),
    Action(
        "orient_from_seed", "Orient from here", ("O",), "Edit", "a piece's normals follow the selected point"
    ),
    Action("merge_labels", "Merge labels", ("M",), "Edit", "the selected classes become one"),
    Action("set_label", "Set label", tuple("123456789"), "Edit", "class of the selected points"),
    Action("clear_label", "Clear label", ("0",), "Edit", "no class for the selected points"),
    Action(
        "look", "Look", ("Esc",), "Select", "drag turns the view; click picks, double click takes the piece"
    ),
    Action("rectangle", "Rectangle", ("R",), "Select", "drag a rectangle"),
    Action("lasso", "Lasso", ("L",), "Select", "draw around points by hand"),
    Action(
        "component_lasso", "Lasso of components", ("Shift+L",), "Select", "takes pieces at least half inside"
    ),
    Action(
        "polygon",
        "Polygon",
        ("P",),
        "Select",
        "click corners; Enter or double click closes, Backspace undoes",
    ),
    Action("grow_to_components", "Grow to component", ("E",), "Select", "all of each piece selected in part"),
    Action("select_same_label", "Same label", ("S",), "Select", "all with a label of the selection"),
    Action("grow", "Grow", ("+", "="), "Select", "by the distance in the panel, along the surface"),
    Action("shrink", "Shrink", ("-",), "Select", "by the distance in the panel, along the surface"),
    Action("invert", "Invert", ("I",), "Select", "what is shown and not selected"),
    Action("select_all", "Everything shown", ("Ctrl+A",), "Select"),
    Action("select_none", "Nothing", ("Ctrl+Shift+A",), "Select"),
    Action(
        "through", "Through", ("T",), "Select", "take what is hidden behind other points, too", checkable=True
    ),
    Action(
        "hide_others", "Hide others", ("H",), "View", "what is not selected; with nothing selected, show all"
    ),
    Action("show_all", "Show everything", ("Shift+H",), "View"),
    Action("align_x", "Along x", ("X",), "View", "look along x; again: from the other side"),
    Action("align_y", "Along y", ("Y",), "View", "look along y; again: from the other side"),
    Action("align_z", "Along z", ("Z",), "View", "look along z; again: from the other side"),
    Action("centre", "Centre", ("Space",), "View", "turn about the selection, or everything"),
    Action("normals", "Normals", ("N",), "View", "normals of points as short lines", checkable=True),
    Action("edges", "Edges of triangles", ("W",), "View", checkable=True),
    Action("dark", "Dark", ("Ctrl+D",), "View", "dark or light", checkable=True),
    Action(
        "remake", "Mesh and measure", ("Ctrl+M",), "Measure", "anew, as edited, with distances to the others"
    ),
    Action("cancel", "Cancel", ("Ctrl+.",), "Measure", "stop what is running"),
    Action("help", "Keys", ("F1",), "Help"),
)
"""The digits set their own class; all others do one thing."""

MOUSE = (
    ("drag", "turn the view (Look), or draw (other tools)"),
    ("click", "pick the point in front"),
    ("double click", "pick its whole piece"),
    ("Shift + click or drawing", "add to the selection"),
    ("Ctrl + click or drawing", "take away from the selection"),
    ("wheel, right drag", "zoom"),
    ("middle drag", "move"),
)


def key_rows() -> Iterator[tuple[str, str, str]]:
    """Keys, what they do, and how, for the help window and the documentation; the mouse first."""
    for gesture, what in MOUSE:
        yield gesture, what, ""
    for action in ACTIONS:
        keys = "1 … 9" if action.name == "set_label" else ", ".join(action.keys)
        yield keys, action.text.rstrip("…"), action.tip


def key_table() -> str:
    """The keys as a table of Markdown."""
    rows = ["| key | does | |", "|---|---|---|"]
    rows += [f"| {keys} | {what} | {tip} |" for keys, what, tip in key_rows()]
    return "\n".join(rows) + "\n"
