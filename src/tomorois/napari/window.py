"""The dock: seven steps, a line of words, a bar; and the way in for commands and for napari's menu."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QSettings, Qt, QTimer
from qtpy.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from tomocore.contract import FAILURES, one_line
from tomocore.files_of_tomograms import tomogram_files
from tomorois.annotation.curation import Curation
from tomorois.loop.folder import loop_of
from tomorois.loop.state import LoopState
from tomorois.napari import layers as names
from tomorois.napari.actions import TOLD, Actions
from tomorois.napari.canvas import Canvas, KeysAndWheel
from tomorois.napari.colours import paint_colours
from tomorois.napari.jobs import Job, Jobs, WarningsShown
from tomorois.napari.keys import Where, bound_keys, keys_html
from tomorois.napari.reading import Reading
from tomorois.napari.steps.annotate import AnnotateStep
from tomorois.napari.steps.curate import CurateStep
from tomorois.napari.steps.handover import HandOverStep
from tomorois.napari.steps.opening import OpenStep
from tomorois.napari.steps.predict import PredictStep
from tomorois.napari.steps.refine import RefineStep
from tomorois.napari.steps.step import Step, small_button
from tomorois.napari.steps.train import TrainStep
from tomorois.napari.tools import Hand

TITLES = ("Open", "Annotate", "Train", "Predict", "Curate", "Fine-tune", "Hand over")
OPEN, ANNOTATE, TRAIN, PREDICT, CURATE, REFINE, HAND_OVER = range(7)
DOCK_NAME = "TomoROIS"
MODEL_LOOK_MS = 2000
FIRST_LOOK_MS = 150
"""After a tomogram came into view: work that reads it begins once its first slice is drawn."""


class LoopWidget(QWidget):
    """The dock of the loop; it shows `LoopState` and calls what the commands call.

    It may be opened empty, from napari's menu: then the first step asks for tomograms.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.canvas = Canvas(napari_viewer)
        self.state: LoopState | None = None
        self.jobs = Jobs()
        self.reading = Reading(self)
        self.actions_by_name = Actions(self)
        self.hand = Hand(self.canvas, self.actions_by_name.gestures())
        self._memory = QSettings("TomoROIS", "window")
        radius: Any = self._memory.value("radius_nm", self.hand.radius_nm)
        self.hand.set_radius(float(radius))
        self.last_folder = str(self._memory.value("folder", ""))
        self.keys = KeysAndWheel(self.actions_by_name.wheel)
        self._warnings = WarningsShown(self.complain)
        self.is_shut = False
        self.warned: list[str] = []
        self._build()
        self.keys.watch(self.canvas.canvas_widget())
        self.keys.watch(self, with_children=True)
        self.jobs.changed.connect(self._show_jobs)
        self.viewer.dims.events.ndisplay.connect(self._space_or_slice)
        self._model_timer = QTimer(self)
        self._model_timer.timeout.connect(self._look_for_models)
        self._model_timer.start(MODEL_LOOK_MS)
        self._first_look = QTimer(self)
        self._first_look.setSingleShot(True)
        self._first_look.timeout.connect(self._look_closer)
        self.destroyed.connect(self._warnings.close)
        self.go_to_step(OPEN)

    @property
    def step(self) -> Step:
        """The step in view."""
        return self.steps[self.stack.currentIndex()]

    @property
    def where(self) -> Where:
        """Which keys hold now."""
        return (
            "annotate"
            if self.stack.currentIndex() == ANNOTATE
            else ("curate" if self.stack.currentIndex() == CURATE else "everywhere")
        )

    def go_to_step(self, index: int) -> None:
        """Show a step; what another step needs first is said, not done."""
        self.hand.take("look")
        if self.message in TOLD.values():
            self.tell("")  # of a tool that is in hand no more
        self.step.leave()
        self.stack.setCurrentIndex(index)
        self._buttons.button(index).setChecked(True)
        actions = self.actions_by_name
        self.keys.actions = {key: actions.of(name) for key, name in bound_keys(self.where).items()}
        self._show_paint()
        self.attempt(self.step.enter)
        self.keys.watch(self, with_children=True)

    def open(self, state: LoopState) -> None:
        """Take a loop into the window, in place of the one before."""
        if self.state is not None:
            self.attempt(self.state.close)
        self.state = state
        self.show_tomogram()
        count = len(state.session.tomograms)
        self.tell(f"{state.session.name} is open{f', with {count - 1} more' if count > 1 else ''}.")

    def open_paths(
        self, paths: Sequence[Path], folder: Path | None = None, edge_nm: float | None = None
    ) -> None:
        """Open tomograms, or folders of them; what is wrong is told."""
        self.attempt(lambda: self.open(LoopState(tomogram_files(paths), folder, edge_nm)))

    def show_tomogram(self) -> None:
        """Draw the tomogram that the session has in view, and what is painted on it."""
        assert self.state is not None
        session = self.state.session
        painting = session.painting
        self.canvas.show_tomogram(session.volume, session.name)
        self.canvas.show_labels(names.PAINT, painting.labels, paint_colours())
        self._show_paint()
        self.canvas.whole()
        for step in self.steps:
            step.tomogram_changed()
        self.reading.make_space()
        self._first_look.start(FIRST_LOOK_MS)

    def _show_paint(self) -> None:
        """Show paint where the page wants it; in space only where there is any: drawing it takes long."""
        is_nothing = self.state is None or self.state.session.painting.is_empty
        self.canvas.show(names.PAINT, self.step.shows_paint and not (self.canvas.is_3d and is_nothing))

    def _space_or_slice(self, _: Any = None) -> None:
        """The view went from slices to space, or back."""
        self._show_paint()
        self.reading.make_space()

    def _look_closer(self) -> None:
        """Begin what reads more of the tomogram in view than its slice."""
        first = self.steps[OPEN]
        assert isinstance(first, OpenStep)
        first.look_at_file()
        self.reading.take_in_tomogram()

    def go_to_tomogram(self, index: int) -> None:
        """Bring another tomogram into view by its place in the list."""
        if self.state is not None:
            state = self.state

            def go() -> None:
                if state.session.go_to(index):
                    self.show_tomogram()
                    self._write_left()

            self.attempt(go)

    def _write_left(self) -> None:
        """Write the label files of tomograms that were left, beside the window."""
        assert self.state is not None
        session = self.state.session
        if session.unwritten():
            job = Job("Writing labels", lambda job: session.write_left(), quiet=True)
            job.failed.connect(self.complain)
            self.jobs.start("labels", job)

    def curation(self) -> Curation | None:
        """The judgements, where there are ROIs."""
        if self.state is None or not (self.state.curation or self.state.has_rois):
            return None
        return self.state.open_curation()

    def attempt(self, work: Callable[[], Any]) -> bool:
        """Do something; where a person can mend what is wrong, it is said and False comes back."""
        try:
            work()
        except FAILURES as error:
            self.complain(one_line(error))
            return False
        return True

    def tell(self, line: str) -> None:
        """Say something in the line below."""
        self._message.setProperty("tone", "")
        self._message.setText(line)
        self._message.setToolTip(line)

    def complain(self, line: str) -> None:
        """Say what is wrong and what to do."""
        self.warned.append(line)
        self._message.setText(f"⚠ {line}")
        self._message.setToolTip(line)

    @property
    def message(self) -> str:
        """What the line below says."""
        return str(self._message.text())

    def run(self, kind: str, job: Job, then: Callable[[Any], None]) -> bool:
        """Run work of a kind beside the window; ``then`` gets its result here."""
        job.said.connect(self.tell)
        job.complained.connect(self.complain)
        job.failed.connect(self.complain)
        job.stopped.connect(lambda: self.tell(f"{job.title}: stopped."))
        job.progressed.connect(self._show_progress)
        job.succeeded.connect(lambda result: self.attempt(lambda: then(result)))
        self.warned = []
        started = self.jobs.start(kind, job)
        if started:
            self.tell(f"{job.title} …")
        else:
            self.complain(f"{job.title}: one is running already; stop it, or wait.")
        return started

    def fine_tune(self) -> None:
        """One round: train the model in use further (or anew, where there is none), predict, make ROIs."""
        train, predict = self.steps[TRAIN], self.steps[PREDICT]
        assert isinstance(train, TrainStep)
        assert isinstance(predict, PredictStep)
        refine = self.state is not None and self.state.model is not None

        def made() -> None:
            self.go_to_step(REFINE)

        def predicted() -> None:
            self.attempt(lambda: predict.find_rois(made))

        def trained() -> None:
            self.attempt(lambda: predict.predict(predicted))

        self.go_to_step(TRAIN)
        self.attempt(lambda: train.train(refine=refine, then=trained))

    def help(self) -> None:
        """Show the keys of this step."""
        box = QMessageBox(self)
        box.setWindowTitle("Keys")
        box.setTextFormat(Qt.TextFormat.RichText)
        box.setText(keys_html(self.where))
        box.setWindowModality(Qt.WindowModality.NonModal)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.show()

    def shut(self) -> None:
        """Stop all work, write everything, hear nothing more; called once, by whoever closes first."""
        if self.is_shut:
            return
        self.is_shut = True
        self._model_timer.stop()
        self._first_look.stop()
        self.viewer.dims.events.ndisplay.disconnect(self._space_or_slice)
        self.jobs.stop_all()
        self.keys.forget()
        self.hand.let_go()
        self._warnings.close()
        for step in self.steps:
            step.shut()
        if self.state is not None:
            self.attempt(self.state.close)
        self._memory.setValue("radius_nm", self.hand.radius_nm)
        self._memory.setValue("folder", self.last_folder)

    def closeEvent(self, event: Any) -> None:
        """Qt closes the widget."""
        self.shut()
        super().closeEvent(event)

    def _build(self) -> None:
        self.setMinimumWidth(380)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(self._step_bar())
        self.steps: list[Step] = [
            OpenStep(self),
            AnnotateStep(self),
            TrainStep(self),
            PredictStep(self),
            CurateStep(self),
            RefineStep(self),
            HandOverStep(self),
        ]
        self.stack = QStackedWidget()
        for step in self.steps:
            area = QScrollArea()
            area.setWidgetResizable(True)
            area.setWidget(step)
            area.setFrameShape(QScrollArea.Shape.NoFrame)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            self.stack.addWidget(area)
        layout.addWidget(self.stack, 1)
        self._message = QLabel("Open tomograms to begin.")
        self._message.setWordWrap(True)
        self._message.setMinimumHeight(34)
        layout.addWidget(self._message)
        row = QHBoxLayout()
        self.bar = QProgressBar()
        self.bar.setVisible(False)
        self.stop_button = QPushButton("Stop")
        self.stop_button.setVisible(False)
        self.stop_button.clicked.connect(self._stop)
        row.addWidget(self.bar, 1)
        row.addWidget(self.stop_button)
        layout.addLayout(row)

    def _step_bar(self) -> QGridLayout:
        bar = QGridLayout()
        bar.setSpacing(3)
        self._buttons = QButtonGroup(self)
        self._buttons.setExclusive(True)
        for index, title in enumerate(TITLES):
            button = small_button(f"{index + 1} {title}", checkable=True)
            self._buttons.addButton(button, index)
            bar.addWidget(button, index // 4, index % 4)
        help_button = small_button("? Keys", "The keys of this step: F1")
        help_button.clicked.connect(self.help)
        bar.addWidget(help_button, 1, 3)
        self._buttons.idClicked.connect(self.go_to_step)
        return bar

    def _show_jobs(self) -> None:
        running = bool(self.jobs.running())
        self.bar.setVisible(running)
        self.stop_button.setVisible(running)
        if not running:
            self.bar.reset()
        self.step.jobs_changed()

    def _show_progress(self, done: int, total: int, title: str) -> None:
        self.bar.setMaximum(max(total, 1))
        self.bar.setValue(min(done, total))
        self.bar.setFormat(f"{title} %p %")

    def _stop(self) -> None:
        for job in self.jobs.running():
            job.stop()
        self.tell("Stopping …")

    def _look_for_models(self) -> None:
        if self.state is None or self.jobs.job("train") is not None:
            return
        arrived = self.state.new_models()
        if arrived:
            for step in self.steps:
                step.models_changed()
            self.tell(f"A model has arrived: {arrived[-1].name}. Choose it under Predict.")


def open_window(
    state: Callable[[], LoopState] | None = None, step: int = OPEN, show: bool = True
) -> tuple[napari.Viewer, LoopWidget]:
    """A napari window with the dock, on a loop (None: empty), at a step; to be run with `napari.run`."""
    viewer = napari.Viewer(title="TomoROIS", show=show)
    widget = LoopWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name=DOCK_NAME, area="right")
    dock.setMinimumWidth(400)
    shut_with_window(viewer, widget)
    if state is not None:
        widget.open(state())
    widget.go_to_step(step)
    return viewer, widget


def shut_with_window(viewer: napari.Viewer, widget: LoopWidget) -> None:
    """Have a dock write and end its work before napari's window goes."""
    window: Any = viewer.window._qt_window
    close = window.closeEvent

    def close_all(event: Any) -> None:
        widget.shut()
        close(event)

    window.closeEvent = close_all


def annotate(
    tomograms: Sequence[Path], folder: Path | None = None, voxel_size_nm: float | None = None
) -> None:
    """Open tomograms in a window and stay until it is closed."""
    files = tomogram_files(tomograms)
    annotate_loop(lambda: LoopState(files, folder, voxel_size_nm))


def annotate_loop(state: Callable[[], LoopState]) -> None:
    """Open a loop in a window, to annotate in it, and stay until it is closed."""
    open_window(state, ANNOTATE)
    napari.run()


def curate(folder: Path, tomograms: Sequence[Path] = (), voxel_size_nm: float | None = None) -> None:
    """Open the ROIs in a folder in a window and stay until it is closed."""
    loop, found = loop_of(folder, tomogram_files(tomograms))

    def state() -> LoopState:
        state = LoopState(found, loop.root, voxel_size_nm, rois=loop.rois)
        state.open_curation()
        return state

    open_window(state, CURATE)
    napari.run()
