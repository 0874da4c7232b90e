"""Fine-tune: train further on what was judged, predict again, and see what became better and worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from tomocore.contract import InputError
from tomorois.napari.steps.step import Step

if TYPE_CHECKING:
    from tomorois.napari.window import LoopWidget

HEADINGS = ("tomogram", "verdict", "kept", "rejected", "changed")
TIPS = (
    "The tomogram",
    "What the model in use does with the judged ROIs, against the one before",
    "How many of the kept ROIs are found, before and now",
    "How many of the rejected ROIs are still found, before and now",
    "ROIs that are new or other than at the last look: they come first under 5 Curate",
)


class RefineStep(Step):
    """The page of the second round."""

    def __init__(self, window: LoopWidget) -> None:
        super().__init__(window)
        self.head("One round")
        self.note(
            "Trains the model in use further on all that was painted, kept and rejected, predicts every "
            "tomogram again and makes ROIs. What you said of ROIs stays; those that changed come first."
        )
        row = self.row()
        self.go = self.button(
            "Fine-tune", lambda: self.loop.fine_tune(), "For the minutes under 3 Train", row
        )
        self.look = self.button("Look at what changed", self._look, "5 Curate, changed ROIs first", row)
        self.head("What became better and worse")
        self.table = QTableWidget(0, len(HEADINGS))
        for column, (heading, tip) in enumerate(zip(HEADINGS, TIPS, strict=True)):
            item = QTableWidgetItem(heading)
            item.setToolTip(tip)
            self.table.setHorizontalHeaderItem(column, item)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.verticalHeader().setVisible(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.column.addWidget(self.table, 1)
        self.note(
            "An ROI counts as found where half of its voxels reach the model's threshold. Kept ROIs that are "
            "found in another shape are to be judged again: they are among the changed ones."
        )

    def enter(self) -> None:
        """Show what changed."""
        self.jobs_changed()
        self.refresh()

    def jobs_changed(self) -> None:
        """Buttons as they can be pressed."""
        state = self.loop.state
        self.go.setEnabled(state is not None and state.model is not None and not self.loop.jobs.running())
        self.look.setEnabled(state is not None and state.has_rois)

    def refresh(self) -> None:
        """Fill the table, tomogram by tomogram."""
        state = self.loop.state
        if state is None or not state.has_rois:
            return
        curation = state.open_curation()
        changes = state.changes()
        self.table.setRowCount(len(changes))
        for place, change in enumerate(changes):
            changed = sum(roi.changed for roi in curation.of(change.name))
            kept = _told(change.kept_found_before, change.kept_found, change.kept)
            rejected = _told(change.rejected_found_before, change.rejected_found, change.rejected)
            for column, text in enumerate((change.name, change.verdict, kept, rejected, str(changed or "–"))):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.table.setItem(place, column, item)

    def _look(self) -> None:
        curation = self.loop.curation()
        if curation is None:
            raise InputError("there are no ROIs yet; predict first")
        first = next(iter(curation.ordered()), None)
        curation.look_at(first.key if first else None)
        self.loop.go_to_step(4)


def _told(before: int | None, after: int, total: int) -> str:
    return f"{after} of {total}" if before is None else f"{before} → {after} of {total}"
