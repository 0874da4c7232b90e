"""What is drawn: surfaces, normals, the slice behind them, the colour bar, and the loop of a tool.

It draws a session into any plotter of PyVista and asks for nothing but that; no window, no mouse.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPlane, vtkPolyData
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkActor2D,
    vtkImageSlice,
    vtkImageSliceMapper,
    vtkPolyDataMapper,
    vtkPolyDataMapper2D,
)

from surfora.editor.edited import places_of
from surfora.editor.layers import Layer
from surfora.editor.session import Session
from surfora.geometry import colours
from surfora.geometry.arrays import Bytes, Floats, Ints, Mask
from surfora.geometry.colours import Colouring, suited_colouring
from surfora.geometry.surface import SurfaceMesh
from tomocore.volumes.volume import Volume

MOST_NORMALS = 60_000
"""Lines; of more points every so many get one."""
MOST_MOVING = 60_000
"""Points that are drawn while the view moves, where the whole takes longer than `SLOW_S`."""
SLOW_S = 0.08
NORMAL_SPACINGS = 1.6
LOOP_COLOUR = colours.SELECTED
BACKGROUNDS = {"light": "#ffffff", "dark": "#1d2227"}
INK = {"light": "#20262c", "dark": "#e6eaee"}


class _LayerActor:
    """One surface as VTK draws it: points that stay, cells and colours that change."""

    def __init__(self, layer: Layer, clip: vtkPlane | None) -> None:
        self.layer = layer
        self.data = vtkPolyData()
        points = vtkPoints()
        points.SetData(numpy_to_vtk(places_of(layer.surface).astype(np.float32), deep=True))
        self.data.SetPoints(points)
        if layer.surface.normals is not None and layer.is_mesh:
            self.data.GetPointData().SetNormals(numpy_to_vtk(layer.normals.astype(np.float32), deep=True))
        self.mapper = vtkPolyDataMapper()
        self.mapper.SetInputData(self.data)
        self.actor = vtkActor()
        self.actor.SetMapper(self.mapper)
        look = self.actor.GetProperty()
        look.SetPointSize(3.0)
        look.SetLighting(layer.is_mesh)
        look.SetAmbient(0.35)
        look.SetDiffuse(0.7)

    def set_cells(self, shown: Mask, most: int | None = None) -> None:
        """Draw the points or triangles of what is ``shown`` (n,), or only about ``most`` of them, evenly."""
        if isinstance(self.layer.surface, SurfaceMesh):
            whole: Mask = np.asarray(shown[self.layer.surface.faces].all(axis=1))
            self.data.SetPolys(_cells(self.layer.surface.faces[whole]))
        else:
            numbers = np.flatnonzero(shown)
            step = 1 if most is None else max(1, len(numbers) // most)
            self.data.SetVerts(_cells(numbers[::step, None]))
        self.data.Modified()

    def set_colours(self, values: Bytes) -> None:
        """Colour the points (n, 3)."""
        scalars = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        self.data.GetPointData().SetScalars(scalars)
        self.data.Modified()


class Scene:
    """The picture of a session in a plotter."""

    def __init__(self, plotter: Any, session: Session, volume: Volume | None = None) -> None:
        self.plotter, self.session, self.volume = plotter, session, volume
        self.colouring = Colouring()
        self.theme = "light"
        self.with_normals = True
        self.clip: tuple[int, float, bool] | None = None
        self.frame_s = 0.0
        self._moving = False
        self._plane = vtkPlane()
        self._actors = [self._added(layer) for layer in session.layers]
        self._lines = self._line_actor()
        self._loop, self._loop_data = self._loop_actor()
        self._bar: Any = None
        self._slice: vtkImageSlice | None = None
        self.set_theme("light")
        self.show_cells()
        self.show_colours()

    def add_layer(self, layer: Layer) -> None:
        """Draw one more surface."""
        self._actors.append(self._added(layer))
        self.set_clip(self.clip)
        self.show_cells()
        self.show_colours()

    # what is shown

    def show_cells(self) -> None:
        """Draw what is shown of the session now, with its normals; while the view moves a part of it."""
        shown = self.session.shown
        most = MOST_MOVING // len(self._actors) if self._moving else None
        for one in self._actors:
            one.set_cells(shown[one.layer.rows], most)
            one.actor.SetVisibility(bool(shown[one.layer.rows].any()))
        self.show_normals()

    def show_colours(self) -> None:
        """Colour everything by the chosen array, and what is selected in its own colour."""
        values = colours.with_selection(self._colours(), self.session.selected)
        for one in self._actors:
            one.set_colours(values[one.layer.rows])

    def show_normals(self) -> None:
        """Draw the normals of points as short lines, of at most `MOST_NORMALS`; of meshes none."""
        if self._moving:
            self._lines.SetVisibility(False)
            return
        starts, ends = self.normal_lines()
        self._lines.SetVisibility(len(starts) > 0)
        _set_segments(self._lines.GetMapper().GetInput(), starts, ends)

    def normal_lines(self) -> tuple[Floats, Floats]:
        """Both ends (m, 3), (m, 3) of the lines that stand for normals."""
        session = self.session
        if not self.with_normals:
            return np.empty((0, 3)), np.empty((0, 3))
        of_cloud = np.array([not layer.is_mesh for layer in session.layers])[session.layer_of]
        numbers = np.flatnonzero(session.shown & of_cloud)
        numbers = numbers[:: -(-len(numbers) // MOST_NORMALS) or 1]
        normals = session.normals_at(numbers)
        known = np.isfinite(normals).all(axis=1)
        starts = session.points[numbers[known]]
        return starts, starts + NORMAL_SPACINGS * session.spacing_nm * normals[known]

    def colour_by(self, name: str, limits: tuple[float, float] | None = None) -> Colouring:
        """Colour by an array, between its own limits where none are given; the colouring."""
        self.colouring = suited_colouring(name, self.session.values(name)) if name else Colouring()
        if limits is not None:
            self.colouring = Colouring(name, limits, self.colouring.map_name)
        self.show_colours()
        self._show_bar()
        return self.colouring

    def set_theme(self, theme: str) -> None:
        """Light or dark."""
        self.theme = theme
        self.plotter.set_background(BACKGROUNDS[theme])
        self.plotter.add_axes(line_width=2, color=INK[theme])
        self._lines.GetProperty().SetColor(*colours.floats_of(INK[theme]))
        self._show_bar()

    def set_point_size(self, pixels: float) -> None:
        """Draw points so many pixels wide."""
        for one in self._actors:
            one.actor.GetProperty().SetPointSize(pixels)

    def set_edges(self, shown: bool) -> None:
        """Draw the edges of triangles, or not."""
        for one in self._actors:
            one.actor.GetProperty().SetEdgeVisibility(shown and one.layer.is_mesh)

    # cutting

    def set_clip(self, clip: tuple[int, float, bool] | None) -> None:
        """Cut everything at a plane: axis (0 to 2), place in nm, whether the upper side goes; None: not."""
        self.clip = clip
        if clip is not None:
            axis, place, upper_goes = clip
            self._plane.SetOrigin(*(place * np.eye(3)[axis]))
            self._plane.SetNormal(*((-1.0 if upper_goes else 1.0) * np.eye(3)[axis]))
        for actor in [*(one.actor for one in self._actors), self._lines]:
            actor.GetMapper().RemoveAllClippingPlanes()
            if clip is not None:
                actor.GetMapper().AddClippingPlane(self._plane)

    def in_clip(self) -> Mask:
        """The points (n,) on the side of the clip plane that is drawn; all where nothing is cut."""
        if self.clip is None:
            return np.ones(self.session.count, dtype=bool)
        axis, place, upper_goes = self.clip
        values = self.session.points[:, axis]
        return np.asarray(values <= place if upper_goes else values >= place)

    def set_slice(self, axis: int | None, place_nm: float = 0.0) -> float | None:
        """Show the volume's slice across an axis (0 to 2: x, y, z) nearest to a place in nm; its place."""
        if self._slice is not None:
            self.plotter.renderer.RemoveViewProp(self._slice)
            self._slice = None
        if axis is None or self.volume is None:
            return None
        image, place = slice_image(self.volume, axis, place_nm)
        self._slice = _slice_actor(image, axis)
        self.plotter.renderer.AddViewProp(self._slice)
        return place

    # the loop of a tool

    def show_loop(self, corners: Floats, closed: bool) -> None:
        """Draw a loop (k, 2) of pixels over the picture; nothing for no corners."""
        self._loop.SetVisibility(len(corners) > 1)
        points = vtkPoints()
        points.SetData(numpy_to_vtk(np.column_stack([corners, np.zeros(len(corners))]), deep=True))
        order = np.arange(len(corners))
        self._loop_data.SetPoints(points)
        self._loop_data.SetLines(_cells(np.append(order, order[:1])[None] if closed else order[None]))
        self._loop_data.Modified()

    # drawing

    def render(self) -> None:
        """Draw the picture, and note how long that took where it was the whole one."""
        start = time.perf_counter()
        self.plotter.render()
        if not self._moving:
            self.frame_s = time.perf_counter() - start

    def begin_moving(self) -> None:
        """While the view moves, draw a part of the points where the whole is slow."""
        if self.frame_s > SLOW_S and not self._moving:
            self._moving = True
            self.show_cells()

    def end_moving(self) -> None:
        """Draw the whole again."""
        if self._moving:
            self._moving = False
            self.show_cells()
            self.render()

    def look_along(self, axis: int, from_below: bool = False) -> None:
        """Look along x, y or z at everything."""
        way = np.eye(3)[axis] * (-1 if from_below else 1)
        up = (0, 0, 1) if axis < 2 else (0, 1, 0)
        self.plotter.view_vector(tuple(way), up, render=False)
        self.plotter.reset_camera(render=False)
        self.plotter.camera.zoom(1.25)

    def centre_on(self, place: Floats) -> None:
        """Turn about a place from now on, seen from where the eye is but for a shift."""
        camera = self.plotter.camera
        shift = place - np.array(camera.focal_point)
        camera.position = tuple(np.array(camera.position) + shift)
        camera.focal_point = tuple(place)

    def _added(self, layer: Layer) -> _LayerActor:
        one = _LayerActor(layer, None)
        self.plotter.renderer.AddActor(one.actor)
        return one

    def _line_actor(self) -> vtkActor:
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(vtkPolyData())
        actor = vtkActor()
        actor.SetMapper(mapper)
        actor.GetProperty().SetLighting(False)
        self.plotter.renderer.AddActor(actor)
        return actor

    def _loop_actor(self) -> tuple[vtkActor2D, vtkPolyData]:
        data = vtkPolyData()
        mapper = vtkPolyDataMapper2D()
        mapper.SetInputData(data)
        actor = vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetColor(*colours.floats_of(LOOP_COLOUR))
        actor.GetProperty().SetLineWidth(2.0)
        actor.SetVisibility(False)
        self.plotter.renderer.AddViewProp(actor)
        return actor, data

    def _colours(self) -> Bytes:
        session, name = self.session, self.colouring.name
        if name in colours.BY_NUMBER:
            shift = 1 if name == "component" else 0
            return colours.by_number(session.values(name) + shift)
        if name:
            return colours.by_value(session.values(name), self.colouring)
        table = np.array([colours.rgb(colour) for colour in colours.SURFACES])
        return np.asarray(table[session.layer_of % len(table)])

    def _show_bar(self) -> None:
        if self._bar is not None:
            self.plotter.renderer.RemoveViewProp(self._bar)
            self._bar = None
        name = self.colouring.name
        if not name or name in colours.BY_NUMBER:
            return
        table = pv.LookupTable(self.colouring.map_name, scalar_range=self.colouring.limits)
        self._bar = _bar_actor(table, colours.titled(name), INK[self.theme], BACKGROUNDS[self.theme])
        self.plotter.renderer.AddViewProp(self._bar)


def slice_image(volume: Volume, axis: int, place_nm: float) -> tuple[pv.ImageData, float]:
    """The slice of a volume across an axis (0 to 2: x, y, z) nearest to a place in nm, and where it lies.

    Grey values from 0 to 255, by the 1st and 99th of their percentiles.
    """
    shape = volume.shape[::-1]
    at = int(np.clip(round((place_nm - volume.origin_nm[axis]) / volume.voxel_size_nm), 0, shape[axis] - 1))
    index: list[Any] = [slice(None)] * 3
    index[2 - axis] = slice(at, at + 1)
    voxels = np.asarray(volume.data[tuple(index)]).astype(np.float32)
    place = volume.origin_nm[axis] + at * volume.voxel_size_nm
    origin = list(volume.origin_nm)
    origin[axis] = place
    image = pv.ImageData(dimensions=voxels.shape[::-1], spacing=(volume.voxel_size_nm,) * 3, origin=origin)
    image.point_data["grey"] = as_grey(voxels).ravel()
    return image, float(place)


def as_grey(voxels: NDArray[np.float32]) -> Bytes:
    """Grey values from 0 to 255, by the 1st and 99th of their percentiles; of a mask all of its range."""
    low, high = np.percentile(voxels, [1, 99])
    if not high > low:
        low, high = float(voxels.min()), max(float(voxels.max()), float(voxels.min()) + 1e-6)
    return np.clip((voxels - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def _slice_actor(image: pv.ImageData, axis: int) -> vtkImageSlice:
    mapper = vtkImageSliceMapper()
    mapper.SetInputData(image)
    mapper.SetOrientation(axis)
    actor = vtkImageSlice()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColorWindow(255)
    actor.GetProperty().SetColorLevel(127.5)
    actor.GetProperty().SetInterpolationTypeToLinear()
    return actor


def _bar_actor(table: pv.LookupTable, title: str, ink: str, paper: str) -> Any:
    from vtkmodules.vtkRenderingAnnotation import vtkScalarBarActor

    bar = vtkScalarBarActor()
    bar.SetLookupTable(table)
    bar.SetTitle(f"{title}\n ")  # the line below keeps it off the numbers
    bar.SetNumberOfLabels(5)
    bar.SetLabelFormat("%-#.3g")
    bar.SetOrientationToHorizontal()
    bar.SetUnconstrainedFontSize(True)
    bar.SetWidth(0.5)
    bar.SetHeight(0.085)
    bar.SetBarRatio(0.3)
    bar.SetDrawBackground(True)
    bar.GetBackgroundProperty().SetColor(*colours.floats_of(paper))
    bar.GetBackgroundProperty().SetOpacity(0.75)
    bar.GetPositionCoordinate().SetValue(0.25, 0.02)
    for text in (bar.GetTitleTextProperty(), bar.GetLabelTextProperty()):
        text.SetColor(*colours.floats_of(ink))
        text.SetFontSize(13)
        text.SetBold(False)
        text.SetItalic(False)
        text.SetShadow(False)
    return bar


def _cells(corners: Ints) -> vtkCellArray:
    """Cells (m, k) of k points each."""
    count, size = corners.shape
    cells = vtkCellArray()
    offsets = numpy_to_vtkIdTypeArray(np.arange(0, count * size + 1, max(size, 1), dtype=np.int64), deep=True)
    numbers = numpy_to_vtkIdTypeArray(np.ascontiguousarray(corners.ravel(), dtype=np.int64), deep=True)
    cells.SetData(offsets, numbers)
    return cells


def _set_segments(data: vtkPolyData, starts: Floats, ends: Floats) -> None:
    points = vtkPoints()
    both = np.stack([starts, ends], axis=1).reshape(-1, 3).astype(np.float32)
    points.SetData(numpy_to_vtk(both, deep=True))
    data.SetPoints(points)
    data.SetLines(_cells(np.arange(len(both)).reshape(-1, 2)))
    data.Modified()
