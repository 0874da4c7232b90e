"""Train: here with live curves, or elsewhere with a command to paste; which models there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QDoubleSpinBox,
    QLabel,
    QListWidget,
    QPlainTextEdit,
    QSpinBox,
    QToolButton,
)

from tomocore.contract import FAILURES, InputError, one_line
from tomocore.files import require_writable_folder, write_text
from tomocore.settings import settings_text
from tomorois.loop.commands import train_command, write_job
from tomorois.loop.folder import model_facts
from tomorois.napari.jobs import Job
from tomorois.napari.steps.curves import Curves
from tomorois.napari.steps.form import SettingsForm
from tomorois.napari.steps.step import Step
from tomorois.training.files import TrainRequest
from tomorois.training.settings import TrainSettings

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

ELSEWHERE = ("minutes", "checkpoint_seconds", "bin_factor", "intensity.polarity")
"""Settings that the form leaves out, since they stand elsewhere in the window."""
LEAST_ACROSS = 4.0
"""Voxels of the network across the smallest painted place, below which a smaller bin is advised."""
CHECKPOINT_SECONDS = 5.0
"""Between checkpoints of a training in the window, so that little is lost by Stop."""


class TrainStep(Step):
    """The page of the network."""

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        self.head("Train on all that is painted and judged")
        row = self.row()
        row.addWidget(QLabel("for"))
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(0.05, 10_000)
        self.minutes.setDecimals(2)
        self.minutes.setValue(3.0)
        self.minutes.setSuffix(" min")
        self.minutes.setToolTip(
            "Minutes of training, validation included; compiling the kernels does not count"
        )
        row.addWidget(self.minutes)
        self.membranes = QCheckBox("see membranes, too")
        self.membranes.setToolTip(
            "Give the network <name>__membranes.mrc beside each tomogram as further input"
        )
        row.addWidget(self.membranes)
        row = self.row()
        row.addWidget(QLabel("bin"))
        self.bin = QSpinBox()
        self.bin.setRange(1, 16)
        self.bin.setToolTip(TrainSettings.model_fields["bin_factor"].description or "")
        self.bin.valueChanged.connect(self._choose_bin)
        row.addWidget(self.bin)
        self.sees = QLabel()
        row.addWidget(self.sees, 1)
        self.small = self.note()
        row = self.row()
        self.new = self.button("Train anew", lambda: self.train(), "A network from scratch", row)
        self.refine = self.button(
            "Refine model", lambda: self.train(refine=True), "Train the model in use further", row
        )
        self.go_on = self.button(
            "Go on", lambda: self.train(resume=True), "Go on with a training that was stopped", row
        )
        self.curves = Curves()
        self.column.addWidget(self.curves)
        self.live = self.note()
        self._more = self._more_button("Settings", self._show_settings)
        self.form: SettingsForm | None = None
        self._form_of: Any = None
        self._form_place = self.note()
        self._form_place.setVisible(False)
        self.head("Elsewhere")
        row = self.row()
        self.button("Command", self.show_command, "The command that trains the same on a cluster", row)
        self.button("Slurm job", self.write_job, "Write a job script beside the models", row)
        self.button("Copy", self._copy, "Copy the text below", row)
        self.command = QPlainTextEdit()
        self.command.setReadOnly(True)
        self.command.setMaximumHeight(70)
        self.command.setPlaceholderText("A model file put into the models folder is noticed here by itself.")
        self.column.addWidget(self.command)
        self.head("Models")
        self.history = QListWidget()
        self.history.setMinimumHeight(70)
        self.history.setWordWrap(True)
        self.history.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # the tip has it all
        self.column.addWidget(self.history, 1)

    def enter(self) -> None:
        """Show models and buttons."""
        self._show_bin()
        self.models_changed()
        self.jobs_changed()

    def tomogram_changed(self) -> None:
        """A loop was opened, or another of its tomograms."""
        state = self.loop.state
        if state is None:
            return
        self.membranes.setEnabled(bool(state.membranes))
        if self.form is not None and self._form_of is not state:
            self.form.setParent(None)
            self.form = None
            self._more.setChecked(False)
        if self.loop.step is self:
            self._show_bin()

    def models_changed(self) -> None:
        """List the models with what each learned from."""
        self.history.clear()
        state = self.loop.state
        for path in state.folder.model_files() if state else []:
            try:
                facts = model_facts(path)
            except FAILURES as error:
                self.history.addItem(one_line(error))
                continue
            self.history.addItem(("● " if state and path == state.model else "   ") + facts.line())
            self.history.item(self.history.count() - 1).setToolTip(facts.told())

    def jobs_changed(self) -> None:
        """Buttons as they can be pressed."""
        state, busy = self.loop.state, self.loop.jobs.job("train") is not None
        self.new.setEnabled(state is not None and not busy)
        self.refine.setEnabled(state is not None and state.model is not None and not busy)
        self.go_on.setEnabled(state is not None and state.folder.stopped_training() is not None and not busy)

    def settings(self) -> Any:
        """The training's settings as the form says; checkpoints come often."""
        state = self._state()
        if self.form is not None:
            kept = state.train_settings
            chosen = self.form.values()
            intensity = chosen.intensity.model_copy(update={"polarity": kept.intensity.polarity})
            state.train_settings = chosen.model_copy(
                update={"bin_factor": kept.bin_factor, "intensity": intensity}
            )
        chosen = state.train_settings
        return chosen.model_copy(update={"checkpoint_seconds": CHECKPOINT_SECONDS})

    def train(self, refine: bool = False, resume: bool = False, then: Any = None) -> bool:
        """Train in the background, anew, further, or on from where it was stopped; whether it began."""
        from tomorois.training.files import train_on_files

        state, settings = self._state(), self.settings()
        require_torch_here()
        state.use_membranes = self.membranes.isChecked()
        minutes = None if settings.steps is not None else self.minutes.value()
        facts = state.facts() if refine else None
        self.curves.clear(facts.dice if facts else None)
        if state.has_rois:
            state.open_curation()

        def work(job: Job) -> tuple[TrainRequest, Any]:
            request = state.training_request(minutes, refine, resume)
            return request, train_on_files(request, settings, job.watcher, job.told.emit)

        job = Job("Training", work)
        job.told.connect(self._show_live)
        job.stopped.connect(
            lambda: self.live.setText("Stopped. “Go on” takes it up where it was saved last.")
        )
        return self.loop.run("train", job, lambda made: self._trained(made[0], made[1], then))

    def show_command(self) -> None:
        """Write what a training reads, and show the command that trains elsewhere."""
        self.command.setPlainText(self._elsewhere()[0])

    def write_job(self) -> None:
        """Write a Slurm job beside the models."""
        command, request = self._elsewhere()
        path = write_job(self._state().folder, command, request.model, self.minutes.value())
        self.command.setPlainText(f"sbatch {path}")

    def _elsewhere(self) -> tuple[str, TrainRequest]:
        """The command of a training, its settings written where they are not the defaults."""
        state, settings = self._state(), self.settings()
        state.use_membranes = self.membranes.isChecked()
        request = state.training_request(self.minutes.value())
        require_writable_folder(state.folder.models)
        path = state.folder.models / "train.toml"
        write_text(path, settings_text(settings, "train"))
        return train_command(request, path), request

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.command.toPlainText())
        self.loop.tell("Copied.")

    def _show_live(self, live: Any) -> None:
        self.curves.add(live.step, live.loss, live.dice)
        where = "held out" if live.is_held_out else "on what it learns from"
        dice = f"Dice {live.dice:.3f} {where}" if live.dice == live.dice else "no validation yet"
        planned = f" of {live.planned_steps}" if live.planned_steps else ""
        self.live.setText(f"step {live.step}{planned}, {live.seconds:.0f} s: loss {live.loss:.3f}, {dice}")

    def _trained(self, request: TrainRequest, result: Any, then: Any) -> None:
        state = self._state()
        if result is None:
            return
        state.new_models()
        state.use_model(Path(request.model))
        for step in self.loop.steps:
            step.models_changed()
        where = "held out" if result.validated else "on what it learned from"
        lines = [f"{request.model.stem}: Dice {result.dice:.3f} {where}, threshold {result.threshold:.2f}."]
        for score in result.scores:
            if score.dice_before is not None:
                lines.append(f"{score.name}: {score.dice_before:.2f} → {score.dice:.2f}, {score.change}")
        self.live.setText("\n".join([*lines, *(f"⚠ {line}" for line in self.loop.warned)]))
        self.loop.tell(f"{lines[0]} Next: 4 Predict.")
        if then is not None:
            then()

    def _more_button(self, text: str, act: Any) -> QToolButton:
        button = QToolButton()
        button.setText(f"▸ {text}")
        button.setCheckable(True)

        def toggled(shown: bool) -> None:
            button.setText(f"{'▾' if shown else '▸'} {text}")
            act(shown)

        button.toggled.connect(toggled)
        self.column.addWidget(button)
        return button

    def _show_settings(self, shown: bool) -> None:
        if self.form is None and shown and self.loop.state is not None:
            self.form = SettingsForm(self.loop.state.train_settings, without=ELSEWHERE)
            self._form_of = self.loop.state
            self.column.insertWidget(self.column.indexOf(self._form_place), self.form)
            self.loop.keys.watch(self.form, with_children=True)
        if self.form is not None:
            self.form.setVisible(shown)

    def _choose_bin(self, factor: int) -> None:
        state = self.loop.state
        if state is not None:
            state.train_settings = state.train_settings.model_copy(update={"bin_factor": factor})
            self._show_bin()

    def _show_bin(self) -> None:
        """How large the network's voxels are, and whether what is painted is small in them."""
        state = self.loop.state
        if state is None:
            return
        factor = state.train_settings.bin_factor
        self.bin.blockSignals(True)
        self.bin.setValue(factor)
        self.bin.blockSignals(False)
        voxel_nm = factor * state.session.volume.voxel_size_nm
        self.sees.setText(f"the network sees voxels of {voxel_nm:.3g} nm")
        smallest_nm = float(state.session.painting.roi_diameters_nm().min(initial=float("inf")))
        is_small = factor > 1 and smallest_nm < LEAST_ACROSS * voxel_nm
        self.small.setVisible(is_small)
        if is_small:
            self.small.setText(
                f"⚠ The smallest place painted is {smallest_nm:.0f} nm across, only "
                f"{smallest_nm / voxel_nm:.1f} of these voxels: take a smaller bin."
            )

    def _state(self) -> Any:
        if self.loop.state is None:
            raise InputError("no tomogram is open; open one first")
        return self.loop.state


def require_torch_here() -> None:
    """InputError where PyTorch is not installed."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "training and prediction need PyTorch; install it with: pip install 'tomorois-surfora[rois]', or "
            "take the command to a machine that has it"
        )
