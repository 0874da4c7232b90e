"""What angles mean, by examples worked out by hand, and that programs agree about one pose."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfora.export.poses import (
    along_normals,
    from_av3,
    from_dynamo,
    from_relion,
    to_av3,
    to_dynamo,
    to_relion,
    z_axes,
)


@pytest.mark.parametrize(
    ("read", "angles", "axis"),
    [
        (from_relion, (0, 0, 0), (0, 0, 1)),
        (from_relion, (0, 90, 0), (-1, 0, 0)),  # third column of Euler_angles2matrix: -cos psi sin tilt, ...
        (from_relion, (0, 90, 90), (0, 1, 0)),
        (from_relion, (77, 90, 180), (1, 0, 0)),  # rot turns about the axis and does not move it
        (from_dynamo, (0, 90, 0), (0, 1, 0)),
        (from_dynamo, (90, 90, 55), (1, 0, 0)),  # narot turns about the axis
        (from_av3, (0, 90, 0), (0, -1, 0)),
        (from_av3, (33, 90, 90), (1, 0, 0)),  # phi turns about the axis
    ],
)
def test_z_axes_worked_out_by_hand(read, angles, axis):
    np.testing.assert_allclose(z_axes(read(np.array([angles], float)))[0], axis, atol=1e-12)


def test_relion_matrix_is_that_of_its_source():
    rot, tilt, psi = np.radians((30.0, 60.0, 75.0))
    ca, sa, cb, sb, cg, sg = (f(a) for a in (rot, tilt, psi) for f in (np.cos, np.sin))
    matrix = [
        [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
        [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
        [sb * ca, sb * sa, cb],
    ]
    np.testing.assert_allclose(from_relion(np.array([[30.0, 60, 75]])).as_matrix()[0], matrix, atol=1e-12)


def test_all_programs_come_back_to_the_same_pose():
    poses = Rotation.random(200, rng=np.random.default_rng(0))
    for read, write in ((from_relion, to_relion), (from_dynamo, to_dynamo), (from_av3, to_av3)):
        back = read(write(poses))
        assert (back * poses.inv()).magnitude().max() < 1e-9
    # the known way between Dynamo tables and motive lists: tdrot = -psi, tilt = -theta, narot = -phi
    phi, theta, psi = to_av3(poses).T
    same = from_dynamo(np.column_stack([-psi, -theta, -phi]))
    assert (same * poses.inv()).magnitude().max() < 1e-9


def test_axes_follow_normals_whatever_the_angle_about_them():
    rng = np.random.default_rng(1)
    normals = np.vstack([rng.normal(size=(50, 3)), [[0, 0, 1], [0, 0, -1], [1, 0, 0]]])
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    poses = along_normals(normals, rng.uniform(-180, 180, len(normals)))
    np.testing.assert_allclose(z_axes(poses), unit, atol=1e-9)
    angles = to_relion(poses)
    tilt, psi = np.radians(angles[:, 1]), np.radians(angles[:, 2])
    by_hand = np.column_stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)])
    np.testing.assert_allclose(by_hand, unit, atol=1e-9)
    turned = (
        along_normals(normals, np.full(len(normals), 90.0))
        * along_normals(normals, np.zeros(len(normals))).inv()
    )
    np.testing.assert_allclose(turned.magnitude(), np.pi / 2, atol=1e-9)
