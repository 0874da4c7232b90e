"""Keys of the window: one table from which they are bound, shown on the screen and documented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["everywhere", "annotate", "curate"]


@dataclass(frozen=True)
class Key:
    """Keys or a gesture (as Qt writes them), what they do, in which step, and the action that does it.

    An empty ``action`` is a gesture of the mouse, told but bound elsewhere.
    """

    keys: tuple[str, ...]
    does: str
    where: Where
    action: str = ""


KEYS = (
    Key(("←", "→", "wheel"), "one slice back, on", "everywhere"),
    Key(("Shift+←", "Shift+→", "Shift+wheel"), "five slices back, on", "everywhere"),
    Key(("Left",), "one slice back", "everywhere", "slice_back"),
    Key(("Right",), "one slice on", "everywhere", "slice_on"),
    Key(("Shift+Left",), "five slices back", "everywhere", "slices_back"),
    Key(("Shift+Right",), "five slices on", "everywhere", "slices_on"),
    Key(("Up",), "the tomogram before", "everywhere", "previous_tomogram"),
    Key(("Down",), "the next tomogram", "everywhere", "next_tomogram"),
    Key(("X",), "look along x", "everywhere", "align_x"),
    Key(("Y",), "look along y", "everywhere", "align_y"),
    Key(("Z",), "look along z", "everywhere", "align_z"),
    Key(("I",), "invert the contrast", "everywhere", "invert"),
    Key(("A",), "contrast from this slice", "everywhere", "auto_contrast"),
    Key(("O",), "what lies over the tomogram on and off", "everywhere", "toggle_overlay"),
    Key(("Space",), "bring the middle, or the ROI in view, to the centre", "everywhere", "centre"),
    Key(("Escape",), "back to looking: napari's own mouse", "everywhere", "look"),
    Key(("Ctrl+Z",), "undo, without limit, in whatever slice it was", "everywhere", "undo"),
    Key(("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "everywhere", "redo"),
    Key(("Ctrl+S",), "write the label files now (strokes are on the disk already)", "everywhere", "save"),
    Key(("F1",), "these keys", "everywhere", "help"),
    Key(("Alt+wheel",), "zoom, while a tool is in hand", "everywhere"),
    Key(("[",), "smaller radius (also Ctrl+wheel)", "everywhere", "smaller"),
    Key(("]",), "larger radius (also Ctrl+wheel)", "everywhere", "larger"),
    Key(("S",), "sphere: one click", "annotate", "tool_sphere"),
    Key(("C",), "circle: click the centre, then the border", "annotate", "tool_circle"),
    Key(("G",), "tube: click along it, Enter ends it", "annotate", "tool_tube"),
    Key(("B",), "brush: drag", "annotate", "tool_brush"),
    Key(("L",), "lasso: drag around it in one slice", "annotate", "tool_lasso"),
    Key(("F",), "fill: click into a closed outline", "annotate", "tool_fill"),
    Key(("J",), "join this slice's outlines to the next painted slice", "annotate", "interpolate"),
    Key(("V",), "click an ROI of the network to take it over", "annotate", "tool_copy"),
    Key(("Enter", "Return"), "end the tube", "annotate", "end_tube"),
    Key(("D",), "brush flat in the slice, or as a ball", "annotate", "toggle_flat"),
    Key(("W",), "magnet: paint only where membrane is", "annotate", "toggle_magnet"),
    Key(("T",), "paint “not an ROI”; once more: ROI (or the right button)", "annotate", "toggle_not"),
    Key(("Q",), "paint “ignore”; once more: ROI", "annotate", "toggle_ignore"),
    Key(("E",), "erase; once more: ROI", "annotate", "toggle_erase"),
    *(Key((str(n),), f"class {n}", "annotate", f"class_{n}") for n in range(1, 10)),
    Key(("K",), "keep", "curate", "keep"),
    Key(("R",), "reject", "curate", "reject"),
    Key(("U",), "not sure", "curate", "unsure"),
    Key(("N",), "next ROI", "curate", "next_roi"),
    Key(("P",), "previous ROI", "curate", "previous_roi"),
    Key(("S",), "split: drag a line across it", "curate", "tool_split"),
    Key(("G",), "split by seeds: click in each part, Enter ends", "curate", "tool_seeds"),
    Key(("Enter", "Return"), "split at the seeds", "curate", "end_seeds"),
    Key(("M",), "merge: click the other ROI", "curate", "tool_merge"),
    Key(("E",), "redraw: brush adds, right button takes away", "curate", "tool_redraw"),
    Key(("D",), "draw one that was missed, with the brush", "curate", "tool_draw"),
    Key(("H",), "hide all other ROIs", "curate", "toggle_others"),
)


def bound_keys(where: Where) -> dict[str, str]:
    """The action of each key in a step: its own, and those that hold everywhere."""
    keys = [key for key in KEYS if key.action and key.where in ("everywhere", where)]
    return {name: key.action for key in keys for name in key.keys}


def keys_table() -> str:
    """All keys as a Markdown table for the documentation."""
    lines = ["| key | in | does |", "|---|---|---|"]
    for key in _told():
        lines.append(f"| {', '.join(f'`{name}`' for name in key.keys)} | {key.where} | {key.does} |")
    return "\n".join(lines)


def keys_html(where: Where) -> str:
    """The keys of a step as a table for a help window."""
    rows = [key for key in _told() if key.where in ("everywhere", where)]
    rows.sort(key=lambda key: key.where == "everywhere")
    cells = [
        f"<tr><td><b>{' &nbsp;'.join(key.keys)}</b>&nbsp;&nbsp;</td><td>{key.does}</td></tr>" for key in rows
    ]
    return f"<table>{''.join(cells)}</table>"


def _told() -> list[Key]:
    """The keys as a person wants them told: classes and slices on one line each."""
    singles = {"slice_back", "slice_on", "slices_back", "slices_on", *(f"class_{n}" for n in range(1, 10))}
    told = [key for key in KEYS if key.does and key.action not in singles]
    return [*told, Key(("1 … 9",), "the class that is painted", "annotate")]
