"""All state of an editing session: the surfaces, what is selected and edited, history, and the verbs.

Points of all surfaces stand in one row, so that a loop takes from every one that it goes around. Every verb
returns a line that says what it did. Nothing here knows of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from surfora.editor import links as surface
from surfora.editor.edited import LABEL, Surface, edited_surface, places_of, turned_arrays
from surfora.editor.edits import EditEntry, EditKind, packed_points
from surfora.editor.history import Change, History, Step
from surfora.editor.journal import Journal, now
from surfora.editor.layers import LARGEST_LABEL, Layer, labels_of, read_layer
from surfora.editor.rules import points_by_rule
from surfora.geometry.arrays import Ints, Mask, Points
from tomocore.contract import InputError

Mode = Literal["replace", "add", "take away"]

PLACES = ("x_nm", "y_nm", "z_nm")


class _Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of all surfaces by name, put together when they are asked for."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.session.values(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.session.array_names())

    def __len__(self) -> int:
        return len(self.session.array_names())


@dataclass
class Session:
    """Surfaces under edit. Arrays (n,) over all their points: kept, flipped, label, hidden, selected."""

    layers: tuple[Layer, ...]
    journal: Journal | None = None
    history: History = field(default_factory=History)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("nothing to edit; name a file of points or a mesh")
        count = self.count
        self.kept = np.ones(count, dtype=bool)
        self.flipped = np.zeros(count, dtype=bool)
        self.hidden = np.zeros(count, dtype=bool)
        self.selected = np.zeros(count, dtype=bool)
        self.label = np.zeros(count, dtype=np.int64)
        self.layer_shown = [True] * len(self.layers)
        for layer in self.layers:
            self.label[layer.rows] = labels_of(layer)
        self.first_label = self.label
        self.points = np.concatenate([places_of(layer.surface) for layer in self.layers])

    @property
    def count(self) -> int:
        """How many points all surfaces have."""
        return sum(layer.count for layer in self.layers)

    @cached_property
    def layer_of(self) -> Ints:
        """Number (n,) of the surface of each point."""
        return np.repeat(np.arange(len(self.layers)), [layer.count for layer in self.layers])

    @cached_property
    def links(self) -> csr_array:
        """Links (n, n) in nm between the neighbours of all surfaces."""
        return surface.joined_links([layer.links for layer in self.layers])

    @cached_property
    def spacing_nm(self) -> float:
        """Typical distance between neighbouring points, of a thousand of them."""
        return surface.typical_spacing_nm(self.points)

    def add_layer(self, path: Path) -> Layer:
        """Take in one more surface from a file, which no step of history takes out again; the layer.

        Raises InputError where it cannot be read.
        """
        layer = read_layer(path, self.count, self.layers[0].scale)
        self.layers = (*self.layers, layer)
        self.layer_shown.append(True)
        self.points = np.concatenate([self.points, places_of(layer.surface)])
        self.label = np.concatenate([self.label, labels_of(layer)])
        self.first_label = np.concatenate([self.first_label, labels_of(layer)])
        for name, value in (("kept", True), ("flipped", False), ("hidden", False), ("selected", False)):
            setattr(self, name, np.append(getattr(self, name), np.full(layer.count, value)))
        for name in ("layer_of", "links", "spacing_nm", "file_normals"):
            self.__dict__.pop(name, None)
        return layer

    @property
    def normals(self) -> Points:
        """Normals (n, 3) as edited; NaN where there are none."""
        normals = self.file_normals
        return np.where(self.flipped[:, None], -normals, normals)

    def normals_at(self, numbers: Ints) -> Points:
        """Normals (m, 3) of some points as edited; NaN where there are none."""
        return np.where(self.flipped[numbers, None], -1.0, 1.0) * self.file_normals[numbers]

    @cached_property
    def file_normals(self) -> Points:
        """Normals (n, 3) as in the files, whatever was flipped; NaN where there are none."""
        return np.concatenate([layer.normals for layer in self.layers])

    @property
    def shown(self) -> Mask:
        """The points (n,) that are neither deleted nor hidden, nor of a surface switched off."""
        shown = self.kept & ~self.hidden
        if not all(self.layer_shown):
            shown &= np.asarray(self.layer_shown)[self.layer_of]
        return shown

    def array_names(self) -> list[str]:
        """Names of all arrays that rules and colours can use: of the files, places, label and component."""
        of_files = {name for layer in self.layers for name, v in layer.surface.data.items() if v.ndim == 1}
        return [*sorted(of_files - {LABEL, *PLACES}), LABEL, "component", *PLACES]

    def values(self, name: str) -> NDArray[Any]:
        """An array (n,) over all points, NaN where a surface has none of that name."""
        if name == LABEL:
            return self.label
        if name in PLACES:
            return self.points[:, PLACES.index(name)]
        if name == "component":
            return self.component.astype(np.float64)
        found = np.full(self.count, np.nan)
        for layer in self.layers:
            turned = turned_arrays(layer.surface.data, None, self.flipped[layer.rows])
            if name in turned and turned[name].ndim == 1:
                found[layer.rows] = turned[name]
        if name not in self.array_names():
            raise KeyError(name)
        return found

    @property
    def component(self) -> Ints:
        """Connected piece (n,) of each point that is not deleted, −1 for those that are."""
        return surface.component_numbers(self.links, self.kept)

    # selecting

    def select(self, points: Mask, mode: Mode = "replace") -> str:
        """Select points (n,), add them to those selected, or take them away; only such as are shown."""
        points = points & self.shown
        if mode == "add":
            points = self.selected | points
        elif mode == "take away":
            points = self.selected & ~points
        self._do("select", selected=points)
        return f"{self.selected.sum():,} selected"

    def select_by_rule(self, rule: str, mode: Mode = "replace") -> str:
        """Select by a rule on the arrays (see `rules`). Raises InputError where it cannot be read."""
        return self.select(points_by_rule(rule, _Arrays(self), self.count), mode)

    def select_all(self) -> str:
        """Select every point shown."""
        return self.select(np.ones(self.count, dtype=bool))

    def select_none(self) -> str:
        """Select nothing."""
        return self.select(np.zeros(self.count, dtype=bool))

    def invert(self) -> str:
        """Select what is shown and not selected."""
        return self.select(~self.selected)

    def grow(self, by_nm: float) -> str:
        """Select what can be reached along the surface within ``by_nm``, too."""
        return self.select(surface.grown(self.links, self.selected, self.shown, by_nm))

    def shrink(self, by_nm: float) -> str:
        """Select only what is farther than ``by_nm`` along the surface from what is not selected."""
        return self.select(surface.shrunk(self.links, self.selected, self.shown, by_nm))

    def grow_to_components(self) -> str:
        """Select all of the connected pieces of which anything is selected."""
        self._require_selection()
        return self.select(surface.whole_components(self.component, self.selected))

    def components_mostly_in(self, points: Mask, seen: Mask) -> Mask:
        """All points of the pieces of whose points ``seen`` (n,) at least half are among ``points``."""
        return surface.mostly_chosen(self.component, points & self.shown, seen & self.shown)

    def select_same_label(self) -> str:
        """Select everything with a label that anything selected has."""
        self._require_selection()
        return self.select(np.isin(self.label, np.unique(self.label[self.selected])))

    # editing

    def delete(self) -> str:
        """Take the selected points out."""
        chosen = self._require_selection()
        nothing = np.zeros(self.count, dtype=bool)
        self._do("delete", "selection", kept=self.kept & ~chosen, selected=nothing)
        return f"{chosen.sum():,} points deleted"

    def flip(self, how: str = "selection") -> str:
        """Turn the normals of the selected points; of meshes those of whole pieces, with their triangles."""
        return self._flip(self._require_selection(), how)

    def flip_components(self) -> str:
        """Turn the normals of the whole pieces of which anything is selected."""
        chosen = self._require_selection()
        return self._flip(surface.whole_components(self.component, chosen), "component")

    def orient_from_seed(self) -> str:
        """Turn the normals of a selected point's piece so that they agree with that point's.

        The seed is the selected point nearest to the middle of the selection. Raises InputError for meshes,
        whose triangles always agree, and where the seed has no normal.
        """
        chosen = np.flatnonzero(self._require_selection())
        middle = self.points[chosen].mean(axis=0)
        seed = int(chosen[np.argmin(((self.points[chosen] - middle) ** 2).sum(axis=1))])
        layer = self.layers[self.layer_of[seed]]
        if layer.is_mesh:
            raise InputError("the triangles of a mesh agree already; flip the component to turn its side")
        own = np.flatnonzero(self.kept[layer.rows])
        normals = self.normals[layer.rows][own]
        at = int(np.searchsorted(own, seed - layer.start))
        if not np.isfinite(normals[at]).all():
            raise InputError(
                "the point has no normal to go by; choose another, or use `surfora orient` first"
            )
        reached, signs = surface.signs_from_seed(
            self.points[layer.rows][own], normals, layer.links[own][:, own], at
        )
        turned = np.zeros(self.count, dtype=bool)
        turned[layer.start + own[reached[signs < 0]]] = True
        if not turned.any():
            return f"all {len(reached):,} normals agree with the seed already"
        self._flip(turned, "oriented from a seed")
        return f"{turned.sum():,} of {len(reached):,} normals turned to agree with the seed"

    def set_label(self, value: int) -> str:
        """Give the selected points a class, 0 for none."""
        chosen = self._require_selection()
        if not 0 <= value <= LARGEST_LABEL:
            raise InputError(f"a label is a whole number from 0 to {LARGEST_LABEL}; got {value}")
        self._do("label", "selection", value, label=np.where(chosen, value, self.label))
        return f"{chosen.sum():,} points have label {value}"

    def merge_labels(self) -> str:
        """Give all classes of which anything is selected the smallest of their numbers."""
        numbers = np.unique(self.label[self._require_selection()])
        numbers = numbers[numbers > 0]
        if len(numbers) < 2:
            raise InputError(
                "a merge takes two labels or more; select points of each, or set labels with 1 to 9"
            )
        merged = np.where(np.isin(self.label, numbers), numbers[0], self.label)
        self._do("label", "merged", int(numbers[0]), label=merged)
        return f"labels {', '.join(map(str, numbers))} are now {numbers[0]}"

    # looking

    def hide_others(self) -> str:
        """Hide what is not selected; where nothing is, show everything again."""
        if not self.selected.any():
            return self.show_all()
        self._do("hide", hidden=self.hidden | ~self.selected)
        return f"only the selection is shown; {(self.kept & self.hidden).sum():,} points hidden"

    def show_all(self) -> str:
        """Show what was hidden."""
        self._do("show", hidden=np.zeros(self.count, dtype=bool))
        return "everything is shown"

    # history

    def undo(self) -> str:
        """Take the last step back."""
        step = self.history.back()
        if step is None:
            return "nothing to undo"
        self._put(step, before=True)
        self._note(step, "undo")
        return f"undone: {step.name}"

    def redo(self) -> str:
        """Do the step again that was undone last."""
        step = self.history.forward()
        if step is None:
            return "nothing to redo"
        self._put(step, before=False)
        self._note(step, "redo")
        return f"done again: {step.name}"

    @property
    def is_unsaved(self) -> bool:
        """Whether edits stand that no file has."""
        return self.history.is_unsaved

    def edited(self, number: int) -> Surface:
        """The surface of a layer as it is now."""
        rows = self.layers[number].rows
        return edited_surface(
            self.layers[number].surface, self.kept[rows], self.flipped[rows], self.label[rows]
        )

    def edit_layers(self, kind: EditKind, points: Mask, value: int, how: str) -> None:
        """Do one edit on given points (n,), whatever is selected: as a file of edits says.

        kind: what; value: the class of a label; how: in words.
        """
        if kind == "delete":
            self._do(kind, how, force=True, kept=self.kept & ~points, selected=self.selected & ~points)
        elif kind == "flip":
            self._do(kind, how, force=True, flipped=self.flipped ^ points)
        else:
            self._do(kind, how, value, True, label=np.where(points, value, self.label))

    def _flip(self, points: Mask, how: str) -> str:
        points = points & self.kept
        of_mesh = np.asarray([layer.is_mesh for layer in self.layers])[self.layer_of]
        if (points & of_mesh).any():
            whole = surface.whole_components(self.component, points & of_mesh)
            points = (points & ~of_mesh) | whole
        self._do("flip", how, flipped=self.flipped ^ points)
        return f"{points.sum():,} normals turned"

    def _require_selection(self) -> Mask:
        chosen = self.selected & self.kept
        if not chosen.any():
            raise InputError("nothing is selected; click a point, or draw around some with R or L")
        return chosen

    def _do(
        self, name: str, how: str = "", value: int = 0, force: bool = False, **fields: NDArray[Any]
    ) -> None:
        """Set fields as one step of history, and write it down where it is an edit."""
        changes = [
            change for key, new in fields.items() if (change := Change.of(key, getattr(self, key), new))
        ]
        if not changes and not force:
            return
        step = Step(name, tuple(changes), name in ("delete", "flip", "label"))
        self._put(step, before=False)
        self.history.add(step)
        if step.is_edit and self.journal is not None and changes:
            where = next(change.where for change in changes if change.field != "selected")
            self.journal.append(self._entry(step.name, how, value, where))

    def _entry(self, kind: Any, how: str, value: int, where: Ints) -> EditEntry:
        parts = []
        for layer in self.layers:
            own = where[(where >= layer.start) & (where < layer.start + layer.count)] - layer.start
            if len(own):
                normals = self.normals[layer.rows][own] if kind == "flip" else None
                assert self.journal is not None
                source = self.journal.source_of(layer.path, layer.count, layer.digest, layer.scale)
                parts.append(packed_points(source, own, places_of(layer.surface), normals))
        return EditEntry(kind=kind, value=value, how=how, time=now(), on=tuple(parts))

    def _put(self, step: Step, before: bool) -> None:
        for change in step.changes:
            setattr(self, change.field, change.put(getattr(self, change.field), before))

    def _note(self, step: Step, what: Literal["undo", "redo"]) -> None:
        if step.is_edit and self.journal is not None:
            self.journal.append_step(what)
