"""The tangent frame and the symmetric solver, each against numpy."""

import numpy as np
import pytest

from surfora.geometry.frames import factorise, substitute, tangents

POLES = np.array([[0, 0, 1.0], [0, 0, -1], [1, 0, 0], [0, -1, 0], [1e-9, 0, -1], [0.6, 0, -0.8]])


def test_tangents_are_right_handed_unit_frames():
    normals = np.concatenate([POLES, np.random.default_rng(0).normal(size=(500, 3))])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    along, across = tangents(normals)
    np.testing.assert_allclose(np.cross(along, across), normals, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), 1)
    np.testing.assert_allclose(np.einsum("ij,ij->i", along, normals), 0, atol=1e-12)


@pytest.mark.parametrize("size", [1, 6, 7, 15])
def test_a_symmetric_system_is_solved_from_its_lower_triangle(size):
    random = np.random.default_rng(size)
    half = random.normal(size=(size, size))
    matrix, right = half @ half.T + np.eye(size), random.normal(size=size)
    system = np.vstack([np.tril(matrix), np.full((2, size), np.nan)])
    solution = right.copy()
    assert factorise(system, size)
    substitute(system, solution, size)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, right), rtol=1e-9)


@pytest.mark.parametrize("matrix", [np.ones((6, 6)), -np.eye(6), np.full((6, 6), np.nan), np.zeros((6, 6))])
def test_what_is_not_positive_definite_is_refused(matrix):
    assert not factorise(np.vstack([matrix, np.zeros((1, 6))]), 6)
