"""The view of a session, its panel, menus and tools: it hands every key, click and loop to the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyvistaqt import QtInteractor
from qtpy.QtCore import QSettings, Qt
from qtpy.QtGui import QAction, QActionGroup, QKeySequence
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QMainWindow,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from surfora.editor.actions import ACTIONS
from surfora.editor.keys_window import KeysWindow
from surfora.editor.panel import Panel
from surfora.editor.picking import Sight, components_in_loop, point_at, points_in_loop, sight_of
from surfora.editor.scene import Scene
from surfora.editor.session import Mode, Session
from surfora.editor.theme import apply_theme
from surfora.editor.tools import ToolName, Tools
from surfora.editor.view import NEAR_PX, view_of
from surfora.editor.worker import Job
from surfora.geometry.arrays import Floats, Mask
from tomocore.contract import FAILURES, one_line
from tomocore.volumes.volume import Volume

CALM, WRONG = "#3a4650", "#a03018"
SMOOTH_EDGES = 100_000
"""Points up to which edges are smoothed; with more, it costs time and shows nothing."""
TOOLS = ("look", "rectangle", "lasso", "component_lasso", "polygon")
BY_NEIGHBOURS = ("flip", "flip_components", "orient_from_seed", "grow_to_components")
ON_TOOLBAR = (
    "look",
    "rectangle",
    "lasso",
    "polygon",
    "through",
    "undo",
    "redo",
    "delete",
    "flip",
    "hide_others",
)


class ViewWindow(QMainWindow):
    """A session in a window, but for files and measuring, which `window` adds."""

    def __init__(self, session: Session, volume: Volume | None = None) -> None:
        super().__init__()
        self.session = session
        self.job: Job | None = None
        self.memory = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "surfora", "editor")
        self._written: set[Path] = set()
        self._tools_group = QActionGroup(self)
        self._menus: dict[str, Any] = {}
        self._help: KeysWindow | None = None
        samples = 4 if session.count <= SMOOTH_EDGES else 0
        self.view = QtInteractor(self, auto_update=False, multi_samples=samples)
        self.scene = Scene(self.view, session, volume)
        self.tools = Tools(self.view)
        self.message = QLabel()
        self.counts = QLabel()
        self.bar = QProgressBar()
        self._build(volume)
        self._connect()
        self._remember()
        self._neighbours = Job(lambda progress: session.links.nnz, self)
        self._neighbours.start()
        self._size_points()
        self.scene.look_along(2)
        self.refresh()
        self.say("; ".join(session.notes) or "R draws a rectangle, L a lasso, F1 shows all keys")

    # building

    def _build(self, volume: Volume | None) -> None:
        self.setWindowTitle(
            f"{', '.join(layer.path.name for layer in self.session.layers)} [*] — SurfORA editor"
        )
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.message.setWordWrap(True)
        self.message.setMargin(4)
        column.addWidget(self.message)
        column.addWidget(self.view, 1)
        self.setCentralWidget(middle)
        low, high = (f(self.session.points, axis=0).tolist() for f in (np.min, np.max))
        self.panel = Panel(low, high, volume is not None)
        if volume is not None:
            ends = volume.world([[0, 0, 0], [n - 1 for n in volume.shape]])
            self.panel.show_volume(*ends.tolist())
        scroll = QScrollArea()
        scroll.setWidget(self.panel)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setMinimumWidth(self.panel.minimumSizeHint().width() + 22)
        dock = QDockWidget("Panel", self)
        dock.setObjectName("panel")
        dock.setWidget(scroll)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        self.bar.setMaximumWidth(220)
        self.bar.setVisible(False)
        self.statusBar().addWidget(self.counts, 1)
        self.statusBar().addPermanentWidget(self.bar)
        self.actions_by_name = {action.name: self._action(action) for action in ACTIONS}
        tools = self.addToolBar("Tools")
        tools.setObjectName("tools")
        for name in ON_TOOLBAR:
            tools.addAction(self.actions_by_name[name])

    def _action(self, action: Any) -> QAction:
        made = QAction(action.text, self)
        made.setCheckable(action.checkable or action.name in TOOLS)
        if action.name in TOOLS:
            self._tools_group.addAction(made)
        made.setToolTip(f"{action.text} ({action.keys[0]}){': ' + action.tip if action.tip else ''}")
        made.setIconText(f"{action.text}  {action.keys[0]}")  # on the toolbar
        keys = [] if action.name == "set_label" else list(action.keys)
        made.setShortcuts([QKeySequence(key) for key in keys])
        if action.name == "set_label":
            self._label_keys(action.keys)
            made.triggered.connect(lambda: self.say("keys 1 to 9 set the label of the selection"))
        else:
            verb = self._verb(action.name)
            made.triggered.connect(lambda checked=False: self._try(verb))
        self._menu(action.menu).addAction(made)
        return made

    def do(self, name: str) -> None:
        """Do an action of `ACTIONS` as its key does."""
        self.actions_by_name[name].trigger()

    def _verb(self, name: str) -> Callable[[], Any]:
        """What an action does: a method of this window, or else of its session."""
        own: Callable[[], Any] | None = getattr(self, name, None)
        if own is not None:
            return own
        verb: Callable[[], str] = getattr(self.session, name)
        return (lambda: self._with_neighbours(verb)) if name in BY_NEIGHBOURS else verb

    def _menu(self, name: str) -> Any:
        if name not in self._menus:
            self._menus[name] = self.menuBar().addMenu(name)
        return self._menus[name]

    def _label_keys(self, keys: Sequence[str]) -> None:
        for key in keys:
            one = QAction(self)
            one.setShortcut(QKeySequence(key))
            one.triggered.connect(lambda checked=False, k=key: self._try(lambda: self.set_label(int(k))))
            self.addAction(one)

    def _connect(self) -> None:
        self.tools.clicked.connect(self._on_click)
        self.tools.looped.connect(self._on_loop)
        self.tools.drawing.connect(self._on_drawing)
        for event, what in (("Start", self.scene.begin_moving), ("End", self.scene.end_moving)):
            self.view.iren.add_observer(f"{event}InteractionEvent", lambda *_, w=what: w())
        panel = self.panel
        panel.layer_switched.connect(self._on_layer)
        panel.coloured.connect(self._on_array)
        panel.limited.connect(self._on_limits)
        panel.sized.connect(lambda _: self._drawn(self._size_points))
        panel.ruled.connect(lambda rule: self._try(lambda: self.session.select_by_rule(rule)))
        panel.clipped.connect(lambda clip: self._drawn(lambda: self.scene.set_clip(clip)))
        panel.sliced.connect(self._on_slice)
        panel.remade.connect(lambda: self._try(self._verb("remake")))
        panel.show_layers([layer.path.name for layer in self.session.layers], self.session.layer_shown)
        panel.show_arrays(self.session.array_names(), "")
        panel.show_limits(self.scene.colouring)

    def _remember(self) -> None:
        """The size, place and looks that the window had when it was closed last."""
        self.resize(1200, 800)
        for key, restore in (("geometry", self.restoreGeometry), ("state", self.restoreState)):
            value = self.memory.value(key)
            if value is not None:
                restore(value)
        is_dark = str(self.memory.value("theme", "light")) == "dark"
        self.actions_by_name["dark"].setChecked(is_dark)
        self.actions_by_name["normals"].setChecked(True)
        self.actions_by_name["look"].setChecked(True)
        self._use_theme(is_dark)

    # what is shown

    def refresh(self, cells: bool = True) -> None:
        """Draw the session as it is now."""
        if cells:
            self.scene.show_cells()
        if self.scene.colouring.name:
            self.scene.colour_by(self.scene.colouring.name, self.scene.colouring.limits)
        else:
            self.scene.show_colours()
        session = self.session
        parts = [f"{session.kept.sum():,} points", f"{(session.selected & session.kept).sum():,} selected"]
        for count, what in (
            ((~session.kept).sum(), "deleted"),
            ((session.kept & session.hidden).sum(), "hidden"),
            (session.flipped.sum(), "turned"),
        ):
            parts += [f"{count:,} {what}"] if count else []
        self.counts.setText("   ".join(parts))
        self.setWindowModified(session.is_unsaved)
        self.scene.render()

    def say(self, line: str, wrong: bool = False) -> None:
        """Show a line above the view; what went wrong in another colour."""
        self.message.setText(line)
        self.message.setStyleSheet(f"color: white; background: {WRONG if wrong else CALM};")

    def sight(self) -> Sight:
        """What can be picked now."""
        width, height = self.view.window_size
        view = view_of(self.view.renderer, (width, height))
        tolerance = None if self.actions_by_name["through"].isChecked() else self.panel.tolerance.value()
        return sight_of(self.session, view, self.scene.in_clip(), tolerance)

    def _try(self, verb: Callable[[], str | None]) -> None:
        """Do a verb of the session and show what it says, or what went wrong and what helps."""
        try:
            said = verb()
        except FAILURES as error:
            self.say(one_line(error), wrong=True)
        else:
            if said:
                self.say(said)
            self.refresh()

    def _drawn(self, change: Callable[[], Any]) -> None:
        change()
        self.scene.render()

    # the mouse

    def _on_click(self, pixel: tuple[float, float], mode: Mode, twice: bool) -> None:
        def pick() -> str:
            points = point_at(self.session, self.sight(), pixel, NEAR_PX * self.view.devicePixelRatioF())
            if twice and points.any():
                return self._with_neighbours(lambda: self._pick_component(points, mode))
            said = self.session.select(points, mode)
            return f"{said}{self._place_of(points)}"

        self._try(pick)

    def _pick_component(self, points: Mask, mode: Mode) -> str:
        component = self.session.component
        return self.session.select(component == component[points][0], mode)

    def _place_of(self, points: Mask) -> str:
        """The place and value of a point that was clicked."""
        if not points.any():
            return ""
        at = int(np.flatnonzero(points)[0])
        x, y, z = self.session.points[at]
        name = self.scene.colouring.name
        value = f", {name} {self.session.values(name)[at]:.4g}" if name else ""
        return f": point at {x:.1f}, {y:.1f}, {z:.1f} nm{value}"

    def _on_loop(self, loop: Floats, mode: Mode) -> None:
        def take() -> str:
            if self.tools.tool == "component_lasso":
                return self._with_neighbours(
                    lambda: self.session.select(components_in_loop(self.session, self.sight(), loop), mode)
                )
            return self.session.select(points_in_loop(self.session, self.sight(), loop), mode)

        self.scene.show_loop(np.empty((0, 2)), False)
        self._try(take)

    def _on_drawing(self, corners: Floats, closed: bool) -> None:
        if len(corners):
            self.scene.begin_moving()
            self.scene.show_loop(corners, closed)
            self.scene.render()
        else:
            self.scene.show_loop(corners, closed)
            self.scene.end_moving()

    # the panel

    def _on_layer(self, number: int, shown: bool) -> None:
        self.session.layer_shown[number] = shown
        self.refresh()

    def _on_array(self, name: str) -> None:
        if name == "component":
            self._wait_for_neighbours()
        self.panel.show_limits(self.scene.colour_by(name))
        self.scene.render()

    def _size_points(self) -> None:
        """Points as wide as the panel says, in pixels of which a dense screen has several."""
        self.scene.set_point_size(self.panel.point_size.value() * self.view.devicePixelRatioF())

    def _on_limits(self, low: float, high: float) -> None:
        self._drawn(lambda: self.scene.colour_by(self.scene.colouring.name, (low, high)))

    def _on_slice(self, where: tuple[int, float] | None) -> None:
        axis, place = where if where is not None else (None, 0.0)
        self._drawn(lambda: self.scene.set_slice(axis, place))

    def _with_neighbours(self, verb: Callable[[], str]) -> str:
        self._wait_for_neighbours()
        return verb()

    def _wait_for_neighbours(self) -> None:
        """Wait until it is known which points are neighbours, as is begun when the window opens."""
        if not self._neighbours.wait(0):
            self.say("finding out which points are neighbours …")
            QApplication.processEvents()
            QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
            self._neighbours.wait()
            QApplication.restoreOverrideCursor()

    # verbs: tools

    def look(self) -> str:
        """Back to looking; a loop begun is dropped."""
        return self._choose("look", "drag to turn, click to pick, double click for the whole piece")

    def rectangle(self) -> str:
        """Draw rectangles."""
        return self._choose("rectangle", "drag a rectangle; Shift adds, Ctrl takes away, Esc ends")

    def lasso(self) -> str:
        """Draw around points."""
        return self._choose("lasso", "draw around points; Shift adds, Ctrl takes away, Esc ends")

    def component_lasso(self) -> str:
        """Draw around whole pieces."""
        return self._choose(
            "component_lasso", "draw around pieces; those at least half inside are taken whole"
        )

    def polygon(self) -> str:
        """Click the corners of a polygon."""
        return self._choose(
            "polygon", "click corners; Enter or double click closes, Backspace takes one back"
        )

    def _choose(self, tool: ToolName, said: str) -> str:
        self.tools.choose(tool)
        self.actions_by_name[tool].setChecked(True)
        return said

    def through(self) -> str:
        """Take what is hidden, too, or only what is seen."""
        is_through = self.actions_by_name["through"].isChecked()
        return "takes what lies behind, too" if is_through else "takes only what is seen"

    # verbs: looking

    def align_x(self) -> None:
        """Look along x."""
        self._align(0)

    def align_y(self) -> None:
        """Look along y."""
        self._align(1)

    def align_z(self) -> None:
        """Look along z."""
        self._align(2)

    def _align(self, axis: int) -> None:
        forward = np.array(self.view.camera.direction)
        self.scene.look_along(axis, from_below=forward[axis] < -0.999)

    def centre(self) -> None:
        """Turn about the middle of the selection, or of all that is shown."""
        chosen = self.session.selected & self.session.shown
        points = self.session.points[chosen if chosen.any() else self.session.shown]
        if len(points):
            self.scene.centre_on(points.mean(axis=0))

    def normals(self) -> None:
        """Show normals, or not."""
        self.scene.with_normals = self.actions_by_name["normals"].isChecked()

    def edges(self) -> None:
        """Show the edges of triangles, or not."""
        self.scene.set_edges(self.actions_by_name["edges"].isChecked())

    def dark(self) -> None:
        """Dark or light."""
        self._use_theme(self.actions_by_name["dark"].isChecked())

    def _use_theme(self, is_dark: bool) -> None:
        theme = "dark" if is_dark else "light"
        apply_theme(theme)
        self.scene.set_theme(theme)
        self.memory.setValue("theme", theme)

    def help(self) -> None:
        """Show all keys in a window that stays beside this one."""
        if self._help is None:
            self._help = KeysWindow(self)
        self._help.show()
        self._help.raise_()

    # verbs: the session's labels

    def set_label(self, value: int) -> str:
        """Set the class of what is selected, and colour by class."""
        said = self.session.set_label(value)
        if self.scene.colouring.name != "label":
            self.panel.array.setCurrentIndex(self.panel.array.findData("label"))
        return said

    def clear_label(self) -> str:
        """Take the class of what is selected away."""
        return self.session.set_label(0)

    def grow(self) -> str:
        """Grow the selection by the distance in the panel."""
        return self._with_neighbours(lambda: self.session.grow(self.panel.distance.value()))

    def shrink(self) -> str:
        """Shrink the selection by the distance in the panel."""
        return self._with_neighbours(lambda: self.session.shrink(self.panel.distance.value()))
