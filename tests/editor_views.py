"""A camera without a window, and points whose front side is known, for tests of the editor."""

import numpy as np
from vtkmodules.vtkRenderingCore import vtkRenderer

from surfora.editor.view import view_of


def renderer_looking(at_nm, eye_nm, size_nm, parallel=False):
    """A VTK renderer whose camera stands at ``eye_nm`` and sees a ball of ``size_nm`` around ``at_nm``."""
    renderer = vtkRenderer()
    camera = renderer.GetActiveCamera()
    camera.SetPosition(*eye_nm)
    camera.SetFocalPoint(*at_nm)
    camera.SetViewUp(0.1, 0.2, 1.0)
    camera.SetParallelProjection(parallel)
    low, high = np.subtract(at_nm, size_nm), np.add(at_nm, size_nm)
    renderer.ResetCamera(*np.column_stack([low, high]).ravel())
    return renderer


def view_at(at_nm, eye_nm, size_nm, picture=(800, 600), parallel=False):
    return view_of(renderer_looking(at_nm, eye_nm, size_nm, parallel), picture)


def sphere_points(count, radius_nm, centre_nm, seed=0):
    """Points at random on a sphere, and its outward normals."""
    ways = np.random.default_rng(seed).normal(size=(count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return radius_nm * ways + centre_nm, ways


def faces_the_eye(points, normals, view):
    """Which points of a convex surface the eye sees."""
    return np.einsum("ij,ij->i", normals, view.eye - points) > 0
