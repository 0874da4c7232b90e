"""What keys, wheel and gestures do: named actions on the window, as `keys` lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt

from tomocore.contract import InputError
from tomorois.annotation.curation import Curation
from tomorois.annotation.files_of_annotation import Status
from tomorois.annotation.judged_roi import STATUS_TOLD, JudgedRoi
from tomorois.annotation.painting import painted_value
from tomorois.annotation.strokes import (
    BACKGROUND,
    Stroke,
    fill_stroke,
    interpolated_strokes,
    joined_stroke,
    mask_stroke,
    membrane_voxels,
)
from tomorois.napari import layers as names
from tomorois.napari.tools import Gestures, Tool

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

TOLD = {
    "look": "Looking: drag moves, wheel zooms.",
    "sphere": "Sphere: click. [ ] or Ctrl+wheel: radius.",
    "circle": "Circle: click the centre, then the border.",
    "tube": "Tube: click along it, Enter ends it.",
    "brush": "Brush: drag; right button: not an ROI.",
    "lasso": "Lasso: drag around it; J joins to the next painted slice.",
    "fill": "Fill: click into a closed outline.",
    "copy": "Click an ROI of the network to take it over.",
    "split": "Split: drag a line across the ROI.",
    "seeds": "Split: click in each part, Enter ends.",
    "merge": "Merge: click the other ROI.",
    "redraw": "Redraw: drag adds, right button takes away.",
    "draw": "Draw the missed one; Escape when it is done.",
}


class Actions:
    """The actions of a window by name."""

    def __init__(self, window: LoopWidget) -> None:
        self.window = window
        self.kind: str = "roi"
        self.roi_class = 1
        self.magnet = False
        self.only_in_view = False
        self._tried: list[tuple[Any, Any]] = []
        self._drawing_new = False

    def of(self, name: str) -> Callable[[], None]:
        """What a key does; anything wrong is told."""
        act = self._named(name)

        def go() -> None:
            self.window.attempt(act)

        return go

    def gestures(self) -> Gestures:
        """What the hand's gestures do."""
        attempt = self._attempted
        return Gestures(
            value=self.value,
            tried=self.try_stroke,
            paint=lambda stroke, negative: attempt(lambda: self.paint(stroke, negative)),
            fill=lambda at, negative: attempt(lambda: self.fill(at, negative)),
            pick=lambda tool, at: attempt(lambda: self.pick(tool, at)),
            cut=lambda axis, line: attempt(
                lambda: self._edited(self._curation().split_by_cut(axis, line)[0])
            ),
            seeds=lambda seeds: attempt(lambda: self._edited(self._curation().split_by_seeds(seeds)[0])),
            told=self.window.tell,
        )

    def take(self, tool: Tool) -> None:
        """Take a tool in hand."""
        window = self.window
        if tool != "look" and window.state is None:
            raise InputError("no tomogram is open; open one first")
        if tool in ("split", "seeds", "merge", "redraw") and self._curation().roi is None:
            raise InputError("no ROI is in view; choose one in the table")
        self._drawing_new = tool == "draw"
        if window.canvas.is_3d and tool != "look":
            window.canvas.align(window.canvas.axis)
        window.hand.take(tool)
        window.tell(TOLD[tool])
        self._shown()

    def value(self, negative: bool) -> int:
        """The value that is painted now; the right button paints "not an ROI"."""
        if negative and self.kind == "roi":
            return BACKGROUND
        return painted_value(self.kind, self.roi_class)  # type: ignore[arg-type]

    def choose_kind(self, kind: str) -> None:
        """Paint ROIs, background, ignored voxels, or nothing again."""
        self.kind = kind
        self._shown()

    def choose_class(self, number: int) -> None:
        """Paint ROIs of a class, 1 to 9."""
        self.kind, self.roi_class = "roi", number
        self._shown()

    def try_stroke(self, stroke: Stroke | None) -> None:
        """Show a stroke while it is drawn, or (None) take away what was shown."""
        window = self.window
        labels = self._drawn_on()
        if labels is None:
            return
        if stroke is None:
            for box, under in reversed(self._tried):
                labels[box] = under
            self._tried = []
        else:
            stroke = self._drawn_to_membrane(stroke)
            self._tried.append((stroke.box, labels[stroke.box].copy()))
            shown = stroke.value if window.where != "curate" else 5
            labels[stroke.box][stroke.mask] = shown
        window.canvas.refresh(names.ROIS if window.where == "curate" else names.PAINT)

    def paint(self, stroke: Stroke | None, negative: bool = False) -> None:
        """Paint a stroke, or in curation redraw the ROI in view with it, or draw a new one."""
        if stroke is None:
            self.window.complain("Nothing of this lies in the tomogram.")
            return
        stroke = self._drawn_to_membrane(stroke)
        if self.window.where == "curate":
            self._redraw(stroke, negative)
            return
        state = self._state()
        if state.session.painting.paint(stroke):
            self.painted()

    def painted(self) -> None:
        """Show what is painted now."""
        self.window.canvas.refresh(names.PAINT)
        self._shown()

    def fill(self, at: tuple[float, float, float], negative: bool) -> None:
        """Fill the hole about a voxel in the slice in view."""
        painting = self._state().session.painting
        stroke = fill_stroke(painting.labels, at, self.value(negative), self.window.canvas.axis)
        if stroke is None:
            raise InputError("this is open to the border of the slice; close the outline first")
        self.paint(stroke)

    def pick(self, tool: Tool, at: tuple[float, float, float]) -> None:
        """Take over, or merge with, the ROI of the network under a voxel."""
        state = self._state()
        roi = self._roi_at(at)
        if roi is None:
            raise InputError("there is no ROI of the network here")
        if tool == "merge":
            self._edited(self._curation().merge([roi.key]))
            self.take("look")
            return
        stroke = mask_stroke(roi.start, roi.mask, painted_value("roi", self.roi_class), "copy")
        if state.session.painting.paint(stroke):
            self.painted()

    def wheel(self, steps: int, modifiers: Any) -> bool:
        """Slices with a tool in hand (Shift: five), the radius with Ctrl; else napari's own zoom."""
        keys = Qt.KeyboardModifier
        hand, canvas = self.window.hand, self.window.canvas
        if modifiers & keys.ControlModifier and hand.tool != "look":
            hand.resize(steps)
            self._shown()
            return True
        if hand.tool == "look" and not modifiers & keys.ShiftModifier:
            return False
        if modifiers & keys.AltModifier:
            self.window.viewer.camera.zoom *= 1.15**steps
            return True
        canvas.step(steps * (5 if modifiers & keys.ShiftModifier else 1))
        return True

    def judge(self, status: Status) -> None:
        """Say what the ROI in view is, and fly to the next."""
        curation = self._curation()
        judged = curation.roi
        self.look_at(curation.judge(status))
        if judged is not None:
            seen, total = curation.seen()
            told = f"{judged.stem} · {judged.id}: {STATUS_TOLD[status]}."
            end = " All are seen: train on what was judged, or hand over." if seen == total else ""
            self.window.tell(told + end)

    def look_at(self, roi: JudgedRoi | None) -> None:
        """Show an ROI, in its tomogram."""
        if roi is None:
            return
        state = self._state()
        tomogram = state.tomogram_of(roi.stem)
        if tomogram is None:
            raise InputError(f"{roi.stem}: its tomogram is not open; open it, too")
        self.window.go_to_tomogram(state.session.tomograms.index(tomogram))
        self._edited(roi)

    def _named(self, name: str) -> Callable[[], Any]:
        window, canvas, hand = self.window, self.window.canvas, self.window.hand
        if name.startswith("tool_"):
            return lambda: self.take(name.removeprefix("tool_"))  # type: ignore[arg-type]
        if name.startswith("class_"):
            return lambda: self.choose_class(int(name[-1]))
        if name.startswith("align_"):
            return lambda: canvas.align("zyx".index(name[-1]))
        toggles = {"toggle_not": "background", "toggle_ignore": "ignore", "toggle_erase": "erase"}
        if name in toggles:
            kind = toggles[name]
            return lambda: self.choose_kind("roi" if self.kind == kind else kind)
        known: dict[str, Callable[[], Any]] = {
            "slice_back": lambda: canvas.step(-1),
            "slice_on": lambda: canvas.step(1),
            "slices_back": lambda: canvas.step(-5),
            "slices_on": lambda: canvas.step(5),
            "previous_tomogram": lambda: self._go(-1),
            "next_tomogram": lambda: self._go(1),
            "invert": canvas.invert,
            "auto_contrast": canvas.auto_contrast,
            "toggle_overlay": canvas.toggle_overlay,
            "centre": self._centre,
            "look": lambda: self.take("look"),
            "undo": lambda: self._back(undo=True),
            "redo": lambda: self._back(undo=False),
            "save": self._save,
            "help": window.help,
            "smaller": lambda: self._resize(-1),
            "larger": lambda: self._resize(1),
            "interpolate": self._interpolate,
            "end_tube": hand.end,
            "end_seeds": hand.end,
            "toggle_flat": self._toggle_flat,
            "toggle_magnet": self._toggle_magnet,
            "keep": lambda: self.judge("kept"),
            "reject": lambda: self.judge("rejected"),
            "unsure": lambda: self.judge("unsure"),
            "next_roi": lambda: self.look_at(self._curation().next()),
            "previous_roi": lambda: self.look_at(self._curation().previous()),
            "toggle_others": self._toggle_others,
        }
        return known[name]

    def _state(self) -> Any:
        if self.window.state is None:
            raise InputError("no tomogram is open; open one first")
        return self.window.state

    def _curation(self) -> Curation:
        curation = self.window.curation()
        if curation is None:
            raise InputError("there are no ROIs yet; predict first")
        return curation

    def _attempted(self, act: Callable[[], None]) -> None:
        self.window.attempt(act)

    def _drawn_on(self) -> Any:
        return self.window.canvas.labels(names.ROIS if self.window.where == "curate" else names.PAINT)

    def _drawn_to_membrane(self, stroke: Stroke) -> Stroke:
        """The stroke where membrane is, while the magnet is on."""
        if not self.magnet or stroke.value == 0:
            return stroke
        state = self._state()
        membranes = state.membranes_of(state.session.tomogram)
        dark = state.train_settings.intensity.polarity != "bright"
        return stroke.within(membrane_voxels(membranes, state.session.volume.data, stroke.box, dark))

    def _redraw(self, stroke: Stroke, negative: bool) -> None:
        curation = self._curation()
        if self._drawing_new and not negative:
            self._drawing_new = False
            self._edited(curation.draw(self._state().session.name, stroke))
            self.window.hand.tool = "redraw"
            return
        self._edited(curation.redraw(stroke, add=not negative))

    def _edited(self, roi: JudgedRoi | None) -> None:
        """Show an ROI that came into view or changed."""
        self._shown()
        if roi is not None:
            for step in self.window.steps:
                getattr(step, "show_roi", lambda shown: None)(roi)

    def _roi_at(self, at: tuple[float, float, float]) -> JudgedRoi | None:
        voxel = tuple(round(c) for c in at)
        for roi in self._curation().of(self._state().session.name):
            place = tuple(c - a for c, a in zip(voxel, roi.start, strict=True))
            inside = all(0 <= c < n for c, n in zip(place, roi.mask.shape, strict=True))
            if (
                inside
                and roi.mask[place]
                and (self.window.where != "curate" or roi.key != self._curation().current)
            ):
                return roi
        return None

    def _go(self, by: int) -> None:
        state = self._state()
        self.window.go_to_tomogram(state.session.index + by)

    def _centre(self) -> None:
        if self.window.where == "curate" and self._curation().roi is not None:
            self.look_at(self._curation().roi)
        else:
            self.window.viewer.reset_view()

    def _back(self, undo: bool) -> None:
        if self.window.where == "curate":
            curation = self._curation()
            self.look_at(curation.undo() if undo else curation.redo())
            return
        painting = self._state().session.painting
        stroke = painting.undo() if undo else painting.redo()
        if stroke is None:
            self.window.tell("Nothing to undo." if undo else "Nothing to redo.")
            return
        middle = stroke.box[self.window.canvas.axis]
        if not middle.start <= self.window.canvas.slice_index() < middle.stop:
            self.window.canvas.go_to_slice((middle.start + middle.stop - 1) // 2)
        self.painted()

    def _save(self) -> None:
        written = self._state().session.write_all()
        self.window.tell(f"{len(written)} label file(s) written to {self._state().folder.root}.")

    def _resize(self, steps: int) -> None:
        self.window.hand.resize(steps)
        self._shown()

    def _interpolate(self) -> None:
        canvas, painting = self.window.canvas, self._state().session.painting
        strokes = interpolated_strokes(painting.labels, canvas.axis, canvas.slice_index(), self.value(False))
        if not strokes:
            raise InputError("no other slice of this outline is painted nearby; paint one some slices on")
        painting.paint(joined_stroke(strokes))
        self.painted()
        self.window.tell(f"{len(strokes)} slices joined.")

    def _toggle_flat(self) -> None:
        self.window.hand.flat = not self.window.hand.flat
        self._shown()

    def _toggle_magnet(self) -> None:
        self.magnet = not self.magnet
        self._shown()

    def _toggle_others(self) -> None:
        self.only_in_view = not self.only_in_view
        self._edited(self._curation().roi)

    def _shown(self) -> None:
        """Let the page in view show how things stand."""
        refresh = getattr(self.window.step, "refresh", None)
        if refresh is not None:
            refresh()
