"""Geodesics against the plane, the sphere and the cylinder, where they are known; slivers included."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
from geodesic_balls import geodesic_balls, geodesic_distance_nm, heat_distance_nm
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from surfora.geometry.surface import boundary_vertices
from surfora.measures.geodesics import (
    boundary_distance_nm,
    spatial_order,
    triangle_fans,
)

TURN = Rotation.from_euler("xyz", [20, 50, -35], degrees=True).as_matrix()
CENTRE = np.array([31.0, -12.0, 55.0])


def flat_mesh(width=30.0, depth=20.0, count=900, seed=0):
    """Random points of a turned, shifted rectangle, joined by Delaunay: slivers of every kind."""
    random = np.random.default_rng(seed)
    inner = random.uniform([0, 0], [width, depth], size=(count, 2))
    along = np.linspace(0, 1, 25)
    rim = np.concatenate([np.column_stack([along * width, np.full(25, y)]) for y in (0, depth)])
    rim = np.concatenate([rim, *[np.column_stack([np.full(23, x), along[1:-1] * depth]) for x in (0, width)]])
    flat = np.concatenate([inner, rim])
    faces = Delaunay(flat).simplices.astype(np.int64)
    a, b, c = flat[faces].transpose(1, 0, 2)
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    faces, area = faces[np.abs(area) > 1e-9], area[np.abs(area) > 1e-9]
    faces[area < 0] = faces[area < 0][:, ::-1]
    return np.column_stack([flat, np.zeros(len(flat))]) @ TURN.T + CENTRE, faces, flat


def ball_of(balls, index):
    row = slice(balls.start[index], balls.start[index + 1])
    return balls.vertex[row], balls.distance_nm[row], balls.log_map_nm[row]


def test_balls_on_the_plane_are_exact_in_distance_and_direction_whatever_the_triangles():
    vertices, faces, flat = flat_mesh()
    sources = np.flatnonzero(np.abs(flat - [15, 10]).max(axis=1) < 4)[:10]
    balls = geodesic_balls(vertices, faces, 5.0, sources, normals=np.tile(TURN[:, 2], (len(flat), 1)))
    for at, source in enumerate(sources):
        member, distance, log_map = ball_of(balls, at)
        way = flat[member] - flat[source]
        true = np.linalg.norm(way, axis=1)
        assert set(member) == set(np.flatnonzero(np.linalg.norm(flat - flat[source], axis=1) <= 5.0))
        assert np.abs(distance - true).max() < 1e-10
        # the log map is the plane itself, turned within it
        fit, *_ = np.linalg.lstsq(log_map, way, rcond=None)
        assert np.abs(log_map @ fit - way).max() < 1e-9
        assert np.abs(fit @ fit.T - np.eye(2)).max() < 1e-9


def test_balls_on_a_sphere_follow_great_circles():
    shape = shapes.sphere(12.0)
    vertices, faces = shape.mesh(1.0)
    sources = np.arange(0, len(vertices), 97)
    balls = geodesic_balls(vertices, faces, 10.0, sources)
    errors = []
    for at, source in enumerate(sources):
        member, distance, _ = ball_of(balls, at)
        cosine = (vertices[member] - shape.centre_nm) @ (vertices[source] - shape.centre_nm) / 144.0
        far = distance > 2.0
        errors.append(distance[far] / (12.0 * np.arccos(np.clip(cosine[far], -1, 1))) - 1)
    error = np.concatenate(errors)
    assert np.abs(error).max() < 4e-3
    assert -2e-3 < np.median(error) < 0  # chords are shorter than arcs


def test_directions_on_a_cylinder_are_those_of_the_unrolled_plane():
    shape = shapes.open_cylinder(10.0, 40.0)
    vertices, faces = shape.mesh(1.0)
    local = (vertices - shape.centre_nm) @ shape.rotation
    source = int(np.argmin(np.abs(local[:, 2])))
    member, _, log_map = ball_of(geodesic_balls(vertices, faces, 9.0, np.array([source])), 0)
    turn = np.angle((local[member, 0] + 1j * local[member, 1]) / (local[source, 0] + 1j * local[source, 1]))
    unrolled = np.column_stack([10.0 * turn, local[member, 2] - local[source, 2]])
    fit, *_ = np.linalg.lstsq(log_map, unrolled, rcond=None)
    assert np.abs(log_map @ fit - unrolled).max() < 0.06
    assert np.linalg.norm(fit @ fit.T - np.eye(2)) < 0.02


def test_a_front_does_not_jump_between_sheets():
    shape = shapes.apposed_sheets(3.0, 20.0)
    vertices, faces = shape.mesh(1.5)
    component = geodesic_distance_nm(vertices, faces, np.array([0]))
    assert 0.3 < np.isinf(component).mean() < 0.7
    balls = geodesic_balls(vertices, faces, 6.0, np.array([0]))
    assert np.isfinite(component[balls.vertex]).all()


def test_one_to_all_distance_agrees_with_the_heat_method_and_beats_it():
    vertices, faces, flat = flat_mesh()
    source = int(np.argmin(np.linalg.norm(flat - [8, 7], axis=1)))
    true = np.linalg.norm(flat - flat[source], axis=1)
    front = geodesic_distance_nm(vertices, faces, np.array([source]))
    heat = heat_distance_nm(vertices, faces, np.array([source]))
    assert np.abs(front - true).max() < 1e-9
    assert np.median(np.abs(heat - true)) < 0.6
    assert np.corrcoef(heat, true)[0, 1] > 0.995


def test_heat_distance_leaves_other_components_infinite():
    vertices, faces = shapes.apposed_sheets(3.0, 20.0).mesh(2.0)
    distance = heat_distance_nm(vertices, faces, np.array([0]))
    assert np.isinf(distance).any()
    assert np.isfinite(distance).any()


def test_boundary_distance_of_a_rectangle_is_the_distance_to_its_sides():
    vertices, faces, flat = flat_mesh(count=1500)
    distance = boundary_distance_nm(vertices, faces)
    x, y = flat.T
    true = np.minimum(np.minimum(x, 30 - x), np.minimum(y, 20 - y))
    assert (distance[boundary_vertices(faces, len(flat))] == 0).all()
    assert np.abs(distance - true).max() < 0.5
    assert abs((distance - true).mean()) < 0.05


def test_boundary_distance_on_an_open_sphere_runs_along_meridians():
    shape = shapes.open_sphere(25.0, cap_deg=40.0, caps=1)
    vertices, faces = shape.mesh(1.5)
    distance = boundary_distance_nm(vertices, faces)
    height = ((vertices - shape.centre_nm) @ shape.rotation)[:, 2] / 25.0
    true = 25.0 * (np.arccos(np.clip(height, -1, 1)) - np.deg2rad(40.0))
    assert np.abs(distance - true).max() < 1.0  # over 60 nm, with edges of 1.5 nm
    assert np.median(np.abs(distance - true)) < 0.2


def test_closed_surfaces_have_no_boundary_to_be_distant_from():
    vertices, faces = shapes.torus().mesh(3.0)
    assert np.isinf(boundary_distance_nm(vertices, faces)).all()


def test_edges_of_three_triangles_and_degenerate_triangles_are_borne():
    vertices = np.array([[0, 0, 0], [2, 0, 0], [1, 1, 0], [1, -1, 0], [1, 0, 1.0], [3, 0, 0]], dtype=float)
    faces = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4], [0, 1, 5]])  # three on one edge, one without area
    fans = triangle_fans(vertices, faces)
    assert np.isfinite(fans.shape).all()
    distance = geodesic_distance_nm(vertices, faces, np.array([2]))
    assert distance[:5] == pytest.approx([2**0.5, 2**0.5, 0, 2, 2])
    assert np.isinf(distance[5])


def test_spatial_order_keeps_neighbours_together():
    points = np.random.default_rng(0).random((4000, 3))
    order = spatial_order(points)
    assert sorted(order) == list(range(4000))
    step = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    assert np.median(step) < 0.1 < np.median(np.linalg.norm(np.diff(points, axis=0), axis=1))
