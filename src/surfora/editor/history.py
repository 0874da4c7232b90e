"""Steps that can be undone without limit: each keeps only the points that it changed, before and after."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Change:
    """What became of one array: which points (m,), and their values before and after."""

    field: str
    where: NDArray[np.int64]
    before: NDArray[Any]
    after: NDArray[Any]

    @classmethod
    def of(cls, name: str, old: NDArray[Any], new: NDArray[Any]) -> Change | None:
        """The change of an array, or None where there is none."""
        where = np.flatnonzero(old != new)
        return cls(name, where, old[where], new[where]) if len(where) else None

    def put(self, values: NDArray[Any], before: bool) -> NDArray[Any]:
        """A copy of the array as it was before, or as it is after."""
        values = values.copy()
        values[self.where] = self.before if before else self.after
        return values


@dataclass(frozen=True)
class Step:
    """One step: its name, its changes, and whether it edits the surface (else it selects or hides)."""

    name: str
    changes: tuple[Change, ...]
    is_edit: bool
    number: int = field(default_factory=itertools.count(1).__next__)


@dataclass
class History:
    """Steps done, and those undone that can be done again."""

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    saved: tuple[int, ...] = ()

    def add(self, step: Step) -> None:
        """Keep a step just done; what was undone before cannot be done again."""
        self.done.append(step)
        self.undone.clear()

    def back(self) -> Step | None:
        """The last step, moved to those undone; None where there is none."""
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self.undone[-1]

    def forward(self) -> Step | None:
        """The step undone last, moved to those done; None where there is none."""
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self.done[-1]

    def mark_saved(self) -> None:
        """Say that the edits as they stand are in files."""
        self.saved = self._edits()

    @property
    def is_unsaved(self) -> bool:
        """Whether the edits that stand are others than those saved."""
        return self._edits() != self.saved

    def _edits(self) -> tuple[int, ...]:
        return tuple(step.number for step in self.done if step.is_edit)
