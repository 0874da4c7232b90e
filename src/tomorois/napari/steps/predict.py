"""Predict and threshold: confidence over the tomogram, and where it begins to count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import Colormap
from qtpy.QtCore import QRectF, Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QSlider, QStyle, QStyleOptionSlider

from tomocore.contract import FAILURES, InputError, one_line
from tomocore.files_of_tomograms import tomogram_stem, volume_stem
from tomocore.roiset import RoiSet, labels_from_rois
from tomocore.volumes.formats import read_volume
from tomorois.annotation.session import at_hand
from tomorois.instances.find import instances_and_remarks
from tomorois.loop.folder import model_facts
from tomorois.napari import layers as names
from tomorois.napari.jobs import Job, without_options
from tomorois.napari.steps.form import SettingsForm
from tomorois.napari.steps.step import Step
from tomorois.napari.steps.train import require_torch_here

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

SLIDER_STEPS = 200
PREVIEW_WAIT_MS = 400
FORM_FIELDS = ("min_volume_nm3", "opening_nm", "closing_nm", "smoothing_nm", "split", "neck")
BLUE_TO_RED = Colormap(
    [
        [0, 0, 0.6, 0],
        [0.1, 0.35, 0.9, 0.35],
        [0.95, 0.9, 0.55, 0.6],
        [0.95, 0.5, 0.1, 0.75],
        [0.75, 0, 0.1, 0.9],
    ],
    name="TomoROIS confidence",
    controls=[0, 0.25, 0.5, 0.75, 1],
)
MASK_COLOUR = Colormap([[0, 0, 0, 0], [0.84, 0.37, 0, 0.75]], name="TomoROIS mask", controls=[0, 1])


class MarkedSlider(QSlider):
    """A slider with marks above it: places (0 to 1) and their letters."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(1, SLIDER_STEPS - 1)
        self.setMinimumHeight(40)
        self.marks: dict[str, float] = {}

    def paintEvent(self, event: Any) -> None:
        """Qt draws the widget."""
        super().paintEvent(event)
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = self.style().pixelMetric(QStyle.PixelMetric.PM_SliderLength, option, self)
        painter = QPainter(self)
        painter.setPen(QPen(QColor(self.palette().color(self.palette().ColorRole.WindowText)), 1))
        font = painter.font()
        font.setPointSizeF(max(font.pointSizeF() * 0.8, 6))
        painter.setFont(font)
        for letter, place in self.marks.items():
            x = int(handle / 2 + place * (self.width() - handle))
            painter.drawText(QRectF(x - 10, 0, 20, 12), Qt.AlignmentFlag.AlignHCenter, letter)
            painter.drawLine(x, 12, x, self.height() // 2 - 3)
        painter.end()


class PredictStep(Step):
    """The page of the maps."""

    shows_paint = False  # its colour and those of the confidence would be taken for each other

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        self._busy = False
        self._tried: tuple[str, int] | None = None  # the map whose ROIs were counted last, in vain or not
        self.head("Model")
        self.model = QComboBox()
        self.model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.model.currentIndexChanged.connect(self._choose_model)
        self.column.addWidget(self.model)
        self.learned = self.note()
        row = self.row()
        self.go = self.button(
            "Predict, this tomogram first", self.predict, "All others follow in the background", row
        )
        self.again = QCheckBox("anew")
        self.again.setToolTip("Predict again what this model has predicted")
        row.addWidget(self.again)
        self.head("Threshold")
        row = self.row()
        self.slider = MarkedSlider()
        self.slider.valueChanged.connect(lambda value: self._choose(value / SLIDER_STEPS))
        row.addWidget(self.slider, 1)
        self.number = QDoubleSpinBox()
        self.number.setRange(0.005, 0.995)
        self.number.setSingleStep(0.01)
        self.number.valueChanged.connect(self._choose)
        row.addWidget(self.number)
        row = self.row()
        self.at_model = self.button(
            "m: the model's", self._take_models, "The threshold chosen in training", row
        )
        self.at_proposal = self.button(
            "p: proposed here", self._take_proposal, "Where this map expects its best Dice", row
        )
        self.map = QCheckBox("confidence from blue to red, too")
        self.map.setToolTip(
            "The map itself beneath the mask; O hides and shows all that lies over the tomogram"
        )
        self.map.toggled.connect(lambda shown: self.loop.canvas.show(names.CONFIDENCE, shown))
        self.column.addWidget(self.map)
        self.count = self.note("Predict to see ROIs.")
        self.head("From the mask to ROIs")
        self.form: SettingsForm | None = None
        self._form_row = self.row()
        row = self.row()
        self.live = QCheckBox("live preview")
        self.live.toggled.connect(self._preview_later)
        row.addWidget(self.live)
        self.make = self.button("Make ROIs of all maps", self.find_rois, "Then: 5 Curate", row)
        self.column.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(lambda: self.loop.attempt(self.show_preview))

    def enter(self) -> None:
        """Show the map of the tomogram in view."""
        self.models_changed()
        if self.form is None and self.loop.state is not None:
            self.form = SettingsForm(self.loop.state.instance_settings, only=FORM_FIELDS)
            self.form.changed.connect(self._form_changed)
            self._form_row.addWidget(self.form)
        self.show_map()

    def leave(self) -> None:
        """The preview goes, the confidence stays for painting."""
        self.loop.canvas.show(names.FOUND, False)

    def tomogram_changed(self) -> None:
        """Show the map of the tomogram in view."""
        if self.loop.step is self:
            self.show_map()

    def models_changed(self) -> None:
        """List the models, the one in use chosen."""
        state = self.loop.state
        if state is None:
            return
        self._busy = True
        self.model.clear()
        for path in reversed(state.folder.model_files()):
            try:
                facts = model_facts(path)
                self.model.addItem(path.stem, str(path))
                self.model.setItemData(self.model.count() - 1, facts.told(), Qt.ItemDataRole.ToolTipRole)
            except FAILURES as error:
                self.loop.complain(one_line(error))
        if state.model is not None:
            self.model.setCurrentIndex(self.model.findData(str(state.model)))
        self._busy = False
        self._show_learned()
        self.jobs_changed()

    def _show_learned(self) -> None:
        """What the model in use says of itself, over as many lines as it takes."""
        facts = self._state().facts()
        self.learned.setText("" if facts is None else facts.line())

    def jobs_changed(self) -> None:
        """Buttons as they can be pressed."""
        state = self.loop.state
        self.go.setEnabled(
            state is not None and state.model is not None and self.loop.jobs.job("predict") is None
        )
        self.make.setEnabled(
            state is not None and bool(state.predicted()) and self.loop.jobs.job("rois") is None
        )
        self._count()  # of a tomogram that came into view while another's were counted

    def predict(self, then: Any = None) -> bool:
        """Predict the tomogram in view, then all others, in the background; whether it began."""
        from tomorois.prediction.files import PredictRequest, predict_files

        require_torch_here()
        state = self._state()
        if state.model is None:
            raise InputError("there is no model yet; train one first")
        session, model = state.session, state.model
        facts = model_facts(model)
        here = session.tomogram
        order = [here, *(path for path in session.tomograms if path != here)]
        missing = [volume_stem(t) for t in order if facts.sees_membranes and t not in state.membranes]
        if missing:
            raise InputError(
                f"{model.stem} sees membranes, and {missing[0]} has no <name>__membranes.mrc beside it"
            )
        request = PredictRequest(
            order,
            state.folder.maps_of(model),
            membranes=[state.membranes[t] for t in order if t in state.membranes]
            if facts.sees_membranes
            else (),
            voxel_size_nm=session.voxel_size_nm,
            overwrite=self.again.isChecked(),
        )
        settings = state.predict_settings
        if request.overwrite:
            state.forget_maps()
        job = Job("Prediction", lambda job: predict_files(model, request, settings, job.watcher))
        job.item_done.connect(self._one_predicted)
        return self.loop.run("predict", job, lambda batch: self._all_predicted(batch, then))

    def show_map(self) -> None:
        """Draw the confidence of the tomogram in view, and count its ROIs."""
        state, canvas = self.loop.state, self.loop.canvas
        if state is None or canvas.volume is None:
            return
        confidence, path = state.confidence(state.session.name), state.map_path(state.session.name)
        if confidence is None or path is None:
            for name in (names.CONFIDENCE, names.MASK, names.FOUND):
                canvas.show(name, False)
            self.count.setText("Not predicted by this model yet.")
            return
        canvas.show(names.CONFIDENCE, self.map.isChecked())
        canvas.show(names.MASK)
        if not self._is_drawn(_mark_of(path)):
            self._draw_map(at_hand(confidence), _mark_of(path))
        self._show_threshold()
        self._show_counted()
        self._count()

    def _draw_map(self, confidence: Any, mark: tuple[str, int]) -> None:
        """Draw a map and its mask; a large one from the disk until it is read into memory, as a tomogram."""
        canvas, levels = self.loop.canvas, names.levels_of(confidence, meanwhile=0.0)
        layer = canvas.show_image(
            names.CONFIDENCE,
            levels,
            colormap=BLUE_TO_RED,
            contrast_limits=(0, 1),
            visible=self.map.isChecked(),
        )
        layer.metadata["map"] = mark
        canvas.show_image(
            names.MASK, levels, colormap=MASK_COLOUR, contrast_limits=(0, 1), interpolation2d="linear"
        )
        self.loop.reading.make_space()

        def taken(voxels: Any) -> None:
            if self._is_drawn(mark):
                canvas.take_in(voxels, (names.CONFIDENCE, names.MASK))

        self.loop.reading.read("reading map", f"the map of {self._state().session.name}", confidence, taken)

    def _count(self) -> None:
        """Count the ROIs of the map in view beside the window, once, and after what is being counted."""
        state = self.loop.state
        if state is None or self.loop.step is not self or self.loop.jobs.job("count") is not None:
            return
        name = state.session.name
        path = state.map_path(name)
        if path is None or not path.exists() or state.has_preview(name) or self._tried == _mark_of(path):
            return
        self._tried = _mark_of(path)
        job = Job("Counting ROIs at all thresholds", lambda job: state.preview(name))
        self.loop.run("count", job, lambda _: self._show_counted())

    def _is_drawn(self, mark: tuple[str, int]) -> bool:
        layer = self.loop.canvas.layer(names.CONFIDENCE)
        return layer is not None and layer.metadata.get("map") == mark

    def choose(self, threshold: float) -> None:
        """Take voxels from a confidence on: the mask and the number of ROIs follow at once."""
        self._state().choose_threshold(threshold)
        self._show_threshold()
        self._preview_later()

    def show_preview(self) -> None:
        """Make the ROIs of the tomogram in view with the settings of the form, and draw them."""
        state = self._state()
        path = state.map_path(state.session.name)
        if path is None or not path.exists():
            raise InputError("nothing was predicted here yet; predict first")
        settings = self._settings().model_copy(update={"threshold": state.threshold()})
        sides = state.membranes.get(state.session.tomogram) if settings.split == "contacts" else None
        edge = state.session.voxel_size_nm

        def work(job: Job) -> tuple[RoiSet, list[str]]:
            beside = read_volume(sides, edge) if sides else None
            with job.watcher.progress("ROIs") as progress:
                return instances_and_remarks(read_volume(path, edge), settings, beside, progress)

        name = state.session.name
        self.loop.run("preview", Job("Preview", work), lambda found: self._show_found(name, *found))

    def find_rois(self, then: Any = None) -> bool:
        """Make the ROIs of all maps in the background; whether it began."""
        state = self._state()
        state.instance_settings = self._settings().model_copy(
            update={"threshold": state.instance_settings.threshold}
        )
        for step in self.loop.steps:
            step.leave()
        if state.curation is not None:
            state.curation.close()
        job = Job("ROIs", lambda job: state.find_rois(job.watcher))
        return self.loop.run("rois", job, lambda batch: self._rois_made(batch, then))

    def _rois_made(self, batch: Any, then: Any) -> None:
        curation = self.loop.curation()
        if curation is not None:
            total, maps = curation.seen()[1], len(batch.done)
            self.loop.tell(f"{total} ROIs in {maps} tomogram{'' if maps == 1 else 's'}. Next: 5 Curate.")
        if then is not None:
            then()

    def _settings(self) -> Any:
        return self.form.values() if self.form is not None else self._state().instance_settings

    def _form_changed(self) -> None:
        state, settings = self._state(), None
        try:
            settings = self._settings()
        except InputError as error:
            self.loop.complain(str(error))
            return
        if settings.min_volume_nm3 != state.instance_settings.min_volume_nm3:
            state.forget_previews()
            self._tried = None
            self._count()
        state.instance_settings = settings.model_copy(update={"threshold": state.instance_settings.threshold})
        self._preview_later()

    def _preview_later(self, *_: Any) -> None:
        if self.live.isChecked():
            self._timer.start(PREVIEW_WAIT_MS)
        else:
            self.loop.canvas.show(names.FOUND, False)

    def _show_found(self, name: str, rois: RoiSet, remarks: list[str]) -> None:
        state = self._state()
        if name != state.session.name or self.loop.step is not self:
            return
        ids = [int(n) for n in rois.ids]
        colours = {n: names.CLASS_COLOURS[(n - 1) % 7] for n in ids}
        self.loop.canvas.show_labels(names.FOUND, np.asarray(labels_from_rois(rois).data), colours, 0.65)
        told = [without_options(remark) for remark in remarks]
        lines = [f"{len(rois)} ROIs with these settings", *(line[:1].upper() + line[1:] for line in told)]
        self.loop.tell(". ".join(lines) + ".")

    def _choose_model(self) -> None:
        state = self.loop.state
        if self._busy or state is None or self.model.currentData() is None:
            return
        self.loop.attempt(lambda: state.use_model(Path(self.model.currentData())))
        self._show_learned()
        self.show_map()
        self.jobs_changed()

    def _choose(self, threshold: float) -> None:
        if not self._busy and self.loop.state is not None:
            self.loop.attempt(lambda: self.choose(threshold))

    def _take_models(self) -> None:
        facts = self._state().facts()
        if facts is not None:
            self.choose(facts.threshold)

    def _take_proposal(self) -> None:
        state = self._state()
        if state.has_preview(state.session.name):
            self.choose(state.preview(state.session.name).proposal())

    def _show_threshold(self) -> None:
        """The mask by the layer's contrast alone: nothing is computed but in the shader."""
        state = self._state()
        threshold = state.threshold()
        self._busy = True
        self.slider.setValue(round(threshold * SLIDER_STEPS))
        self.number.setValue(threshold)
        self._busy = False
        layer = self.loop.canvas.layer(names.MASK)
        if layer is not None:
            layer.contrast_limits = (threshold - 1e-3, threshold)
        name = state.session.name
        if not state.has_preview(name):
            return
        preview = state.preview(name)
        assert preview is not None
        share = preview.share[preview.level(threshold)]
        rois = preview.count(threshold)
        told = f"{rois} ROI{'' if rois == 1 else 's'}"
        self.count.setText(f"<b>{told}</b> at {threshold:.2f}, {share:.2%} of the voxels")

    def _show_counted(self) -> None:
        """Mark the thresholds of the model and of this map, where its ROIs are counted."""
        state = self._state()
        if not state.has_preview(state.session.name):
            return
        facts = state.facts()
        self.slider.marks = {} if facts is None else {"m": facts.threshold}
        self.slider.marks["p"] = state.preview(state.session.name).proposal()
        self.slider.update()
        self._show_threshold()
        self.loop.tell("Drag the threshold: m is the model's, p is proposed for this tomogram.")

    def _one_predicted(self, name: str) -> None:
        state = self._state()
        if tomogram_stem(Path(name)) == state.session.name and self.loop.step is self:
            self.show_map()
        self.jobs_changed()

    def _all_predicted(self, batch: Any, then: Any) -> None:
        self.jobs_changed()
        if batch.failed:
            self.loop.complain(next(iter(batch.failed.values())))
            return
        if self.loop.step is self:
            self.show_map()
        self.loop.tell("Predicted. Choose the threshold, then make ROIs.")
        if then is not None:
            then()

    def _state(self) -> Any:
        if self.loop.state is None:
            raise InputError("no tomogram is open; open one first")
        return self.loop.state


def _mark_of(path: Path) -> tuple[str, int]:
    """What tells a map from others and from itself before it was predicted anew."""
    return str(path), path.stat().st_mtime_ns
