"""The viewer as the steps use it: our layers, slices, flights to a place, keys and wheel on the canvas."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit, QTextEdit, QWidget
from vispy.gloo import gl

from tomocore.volumes.volume import Volume
from tomorois.napari import layers as names
from tomorois.napari.colours import label_colours
from tomorois.napari.layers import (
    Coarser,
    coarser_of,
    contrast_limits,
    levels_of,
    levels_of_labels,
    place_of,
    tomogram_layer,
)

REUSED = (names.PAINT, names.CONFIDENCE, names.MASK, names.ROIS, names.FOUND)
OVERLAYS = (names.PAINT, names.CONFIDENCE, names.MASK, names.ROIS, names.FOUND)
IMAGES = (names.TOMOGRAM, names.CONFIDENCE, names.MASK)
AXES = "zyx"
STEP_WITHOUT_CARD = 2.0
"""Voxels between two samples along a ray; vispy's own is 0.8."""
TEXT_ENTRIES = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox, QComboBox)


class Canvas:
    """What the window draws in a viewer, and how it moves there."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.volume: Volume | None = None
        self._renderer: str | None = None
        self._voxels: dict[str, NDArray[Any]] = {}
        self._hidden: list[str] = []

    def show_tomogram(self, volume: Volume, name: str) -> None:
        """Show a tomogram in place of the one before; what lay over that one is hidden.

        Layers are used again where they can be: napari takes a large part of a second to take one away.
        """
        for layer in [layer for layer in self.viewer.layers if layer.metadata.get("tomorois")]:
            if layer.name == names.TOMOGRAM or (layer.name in REUSED and layer.data.shape == volume.shape):
                layer.visible = layer.name in (names.TOMOGRAM, names.PAINT)
                layer.metadata.pop("map", None)
            elif layer.name != names.PAINT:
                self.viewer.layers.remove(layer)
        self.volume = volume
        data, arguments = tomogram_layer(volume, by_worker=True)
        layer = self.layer(names.TOMOGRAM)
        if layer is not None and layer.multiscale == arguments["multiscale"]:
            layer.data = data
            self._put(layer)
            layer.contrast_limits = arguments["contrast_limits"]
        else:
            self.remove(names.TOMOGRAM)
            layer = self.viewer.add_image(data, name=names.TOMOGRAM, metadata={"tomorois": True}, **arguments)
            self.viewer.layers.move(self.viewer.layers.index(layer), 0)
        self.viewer.title = f"{name} · TomoROIS"
        self.viewer.scale_bar.visible = True
        self.viewer.dims.axis_labels = tuple(AXES)

    def whole(self) -> None:
        """The whole tomogram, at its middle slice."""
        if self.volume is not None:
            self.viewer.reset_view()
            self.go_to_slice(self.volume.shape[self.axis] // 2)

    def take_in(self, voxels: NDArray[Any], shown_by: tuple[str, ...] = (names.TOMOGRAM,)) -> None:
        """Draw a tomogram or a map from memory from now on, in the layers that show it."""
        before = self.coarser(shown_by[0])
        levels = levels_of(voxels, before.meanwhile if before else None)
        made = coarser_of(levels)
        if before is not None and made is not None:
            made.means = before.means
        for layer in (self.layer(name) for name in shown_by):
            if layer is not None:
                layer.data = levels
        if names.TOMOGRAM in shown_by and self.volume is not None:
            self.volume = self.volume.with_data(voxels)

    def coarser(self, name: str = names.TOMOGRAM) -> Coarser | None:
        """What a layer of a large tomogram or map shows in space, or None."""
        layer = self.layer(name)
        return coarser_of(layer.data) if layer is not None and layer.multiscale else None

    def unmade(self) -> tuple[Coarser, list[str]] | None:
        """What layers are to show in space and is not made yet, and their names; None where all is."""
        shown = [name for name in IMAGES if (layer := self.layer(name)) is not None and layer.visible]
        coarse = {name: made for name in shown if (made := self.coarser(name)) is not None}
        first = next((made for made in coarse.values() if made.means is None), None)
        return None if first is None else (first, [name for name in coarse if coarse[name] is first])

    def layer(self, name: str) -> Any:
        """One of our layers by its name, or None."""
        return next((x for x in self.viewer.layers if x.name == name and x.metadata.get("tomorois")), None)

    def show_labels(
        self, name: str, data: NDArray[Any], colours: dict[int, str], opacity: float = 0.5
    ) -> None:
        """Show whole numbers over the tomogram, each in its colour, in the layer of this name."""
        colormap = label_colours(colours)
        self._voxels[name] = data
        levels = levels_of_labels(data)
        layer = self._shown_again(name, levels)
        if layer is not None:
            layer.colormap = colormap
            return
        assert self.volume is not None
        layer = self.viewer.add_labels(
            levels,
            multiscale=isinstance(levels, list),
            name=name,
            colormap=colormap,
            opacity=opacity,
            metadata={"tomorois": True},
            **place_of(self.volume),
        )
        layer.mode = "pan_zoom"
        self._keep_tomogram_active()

    def labels(self, name: str) -> NDArray[Any] | None:
        """The whole numbers (z, y, x) of a layer; after a change in place, `refresh` draws them."""
        return self._voxels[name] if self.layer(name) is not None else None

    def show_image(self, name: str, levels: Any, **arguments: Any) -> Any:
        """Show values (see `levels_of`) over the tomogram, in the layer of this name, which comes back."""
        layer = self._shown_again(name, levels)
        if layer is not None:
            layer.visible = arguments.get("visible", True)
            return layer
        assert self.volume is not None
        layer = self.viewer.add_image(
            levels,
            multiscale=isinstance(levels, list),
            name=name,
            metadata={"tomorois": True},
            **place_of(self.volume),
            **arguments,
        )
        self._keep_tomogram_active()
        return layer

    def show(self, name: str, shown: bool = True) -> None:
        """Show one of our layers again, or no more, if it is there."""
        layer = self.layer(name)
        if layer is not None:
            layer.visible = shown

    def remove(self, name: str) -> None:
        """Take one of our layers away, if it is there; the slice in view stays."""
        layer, place = self.layer(name), self.viewer.dims.point
        if layer is not None:
            self.viewer.layers.remove(layer)
            if len(place) == self.viewer.dims.ndim:  # napari keeps the number of the step, whatever a step is
                self.viewer.dims.set_point(range(len(place)), place)

    def refresh(self, name: str) -> None:
        """Draw a layer again whose numbers changed."""
        layer = self.layer(name)
        if layer is not None:
            layer.refresh()

    @property
    def axis(self) -> int:
        """The axis that one looks along: 0 is z."""
        return int(self.viewer.dims.order[0])

    @property
    def is_3d(self) -> bool:
        """Whether the view shows space, not a slice."""
        return int(self.viewer.dims.ndisplay) == 3

    def slice_index(self) -> int:
        """The slice in view."""
        return round(self.voxel(self.viewer.dims.point)[self.axis])

    def voxel(self, position: Any) -> tuple[float, float, float]:
        """The voxel (z, y, x), with fractions, at a place of the viewer's world in nm."""
        assert self.volume is not None
        edge, (x, y, z) = self.volume.voxel_size_nm, self.volume.origin_nm
        at = np.asarray(position, dtype=np.float64)[-3:]
        return (at[0] - z) / edge, (at[1] - y) / edge, (at[2] - x) / edge

    def world(self, voxel: Any) -> tuple[float, float, float]:
        """The place in the viewer's world (z, y, x in nm) of a voxel (z, y, x)."""
        assert self.volume is not None
        x, y, z = self.volume.world([list(voxel)])[0]
        return float(z), float(y), float(x)

    def go_to_slice(self, index: int) -> None:
        """Show a slice, cut at the ends of the tomogram."""
        if self.volume is None:
            return
        index = min(max(index, 0), self.volume.shape[self.axis] - 1)
        place = [0.0, 0.0, 0.0]
        place[self.axis] = index
        self.viewer.dims.set_point(self.axis, self.world(place)[self.axis])
        layer = self.layer(names.TOMOGRAM)
        if layer is not None and layer.depiction == "plane":
            self._place_cut(layer)

    def ease_space(self) -> None:
        """Draw space by fewer samples along each ray where no graphics card draws it."""
        if not self.is_3d or not self._is_drawn_by_processor():
            return
        visuals = self.viewer.window._qt_viewer.canvas.layer_to_visual
        for layer in self.viewer.layers:
            node: Any = getattr(visuals.get(layer), "node", None)
            if hasattr(node, "relative_step_size"):
                node.relative_step_size = STEP_WITHOUT_CARD

    def _is_drawn_by_processor(self) -> bool:
        """Whether OpenGL is Mesa's software."""
        if self._renderer is None:
            self.canvas_widget().makeCurrent()
            self._renderer = str(gl.glGetParameter(gl.GL_RENDERER)).lower()
        return any(name in self._renderer for name in ("llvmpipe", "softpipe", "swrast"))

    def cut_in_space(self, cut: bool) -> None:
        """Show of the tomogram in space the slice in view alone, which the arrow keys move, or all of it."""
        layer = self.layer(names.TOMOGRAM)
        if layer is not None:
            layer.depiction = "plane" if cut else "volume"
            self._place_cut(layer)

    def _place_cut(self, layer: Any) -> None:
        """Bring the plane that is shown in space to the slice in view, in voxels of the level shown there."""
        assert self.volume is not None
        coarser, axis = self.coarser(), self.axis
        step = coarser.step if coarser is not None else 1
        place = [n / 2 / step for n in self.volume.shape]
        place[axis] = self.slice_index() / step
        layer.plane.normal = tuple(float(k == axis) for k in range(3))
        layer.plane.position = tuple(place)

    def step(self, by: int) -> None:
        """Go some slices on."""
        if self.volume is not None:
            self.go_to_slice(self.slice_index() + by)

    def align(self, axis: int) -> None:
        """Look along an axis, at the slice through the point in view."""
        others = [k for k in range(3) if k != axis]
        self.viewer.dims.ndisplay = 2
        self.viewer.dims.order = (axis, *others)
        self.viewer.reset_view()

    def fly_to(self, voxel: tuple[int, int, int], extent_nm: float) -> None:
        """Bring a voxel to the centre, with so many nm about it."""
        place = self.world(voxel)
        self.viewer.dims.set_point((0, 1, 2), place)
        self.viewer.camera.center = place
        if not self.is_3d:
            height = max(self.canvas_widget().height(), 100)
            self.viewer.camera.zoom = height / max(extent_nm, 1.0)

    def invert(self) -> None:
        """Bright for dark."""
        layer = self.layer(names.TOMOGRAM)
        if layer is not None:
            layer.colormap = "gray_r" if layer.colormap.name == "gray" else "gray"

    def auto_contrast(self) -> None:
        """Contrast from the slice in view."""
        layer = self.layer(names.TOMOGRAM)
        if layer is not None and self.volume is not None:
            place = [slice(None)] * 3
            place[self.axis] = slice(self.slice_index(), self.slice_index() + 1)
            plane = np.moveaxis(np.asarray(self.volume.data[tuple(place)]), self.axis, 0)
            layer.contrast_limits = contrast_limits(plane, edge=max(plane.shape))

    def toggle_overlay(self) -> None:
        """Hide all that lies over the tomogram, or show again what was hidden."""
        over = [layer for name in OVERLAYS if (layer := self.layer(name)) is not None]
        shown = [layer for layer in over if layer.visible]
        if shown:
            self._hidden = [layer.name for layer in shown]
        for layer in over:
            layer.visible = not shown and layer.name in self._hidden

    def circle_cursor(self, diameter_nm: float | None) -> None:
        """A circle of a size in nm at the pointer, or the usual pointer."""
        cursor = self.viewer.cursor
        if diameter_nm is None:
            cursor.style = "standard"
            return
        cursor.style = "circle"
        cursor.scaled = True
        cursor.size = diameter_nm

    def canvas_widget(self) -> Any:
        """The widget that is painted on."""
        return self.viewer.window._qt_viewer.canvas.native

    def focus(self) -> None:
        """Let keys go to the canvas."""
        self.canvas_widget().setFocus()

    def _shown_again(self, name: str, levels: Any) -> Any:
        """The layer of a name with other voxels, or None where there is none yet."""
        layer = self.layer(name)
        if layer is not None and layer.multiscale != isinstance(levels, list):
            self.remove(name)
            return None
        if layer is not None:
            layer.data = levels
            self._put(layer)
            layer.visible = True
        return layer

    def _put(self, layer: Any) -> None:
        """Give a layer the place of the tomogram in view."""
        assert self.volume is not None
        place = place_of(self.volume)
        for name in ("scale", "translate"):
            if tuple(getattr(layer, name)) != place[name]:
                setattr(layer, name, place[name])

    def _keep_tomogram_active(self) -> None:
        """Keep napari's own brush out of the way: a labels layer that is active paints by itself."""
        layer = self.layer(names.TOMOGRAM)
        if layer is not None:
            self.viewer.layers.selection.active = layer


class KeysAndWheel(QObject):
    """Hears keys and wheel of the canvas and of the dock before anybody else, so that no layer takes them.

    ``actions`` maps key sequences (as Qt writes them) to what they do; text fields keep their keys. ``wheel``
    is called with steps and modifiers, and says whether it took them.
    """

    def __init__(self, wheel: Callable[[int, Any], bool]) -> None:
        super().__init__()
        self.actions: dict[str, Callable[[], None]] = {}
        self._wheel = wheel
        self._watched: list[QWidget] = []
        self._turned = 0

    def watch(self, widget: QWidget, with_children: bool = False) -> None:
        """Hear a widget's keys, and those of all within it."""
        for one in [widget, *(widget.findChildren(QWidget) if with_children else [])]:
            if one not in self._watched:
                self._watched.append(one)
                one.installEventFilter(self)

    def forget(self) -> None:
        """Hear nobody any more."""
        for widget in self._watched:
            with suppress(RuntimeError):  # Qt has deleted it
                widget.removeEventFilter(self)
        self._watched.clear()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt asks before the widget gets the event; True where it is done with."""
        kind = event.type() if event is not None else None
        if kind == QEvent.Type.KeyPress or kind == QEvent.Type.ShortcutOverride:
            return self._press(watched, event, kind == QEvent.Type.ShortcutOverride)
        if kind == QEvent.Type.Wheel and watched is not None and watched is self._watched[0]:
            return self._turn(event)
        return False

    def _press(self, watched: Any, event: Any, asked_only: bool) -> bool:
        if isinstance(watched, TEXT_ENTRIES):
            return False
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        name = QKeySequence(int(event.key()) | int(modifiers.value)).toString()
        action = self.actions.get(name) or self.actions.get({"Esc": "Escape"}.get(name, name))
        if action is None:
            return False
        event.accept()
        if not asked_only:
            action()
        return True

    def _turn(self, event: Any) -> bool:
        delta = event.angleDelta()
        self._turned += delta.y() or delta.x()
        steps, self._turned = int(self._turned / 120), int(np.fmod(self._turned, 120))
        return self._wheel(steps, event.modifiers())
