"""What the angles of particles mean: rotations from a particle's own axes to those of its tomogram.

Every program stores three Euler angles, but not of the same rotation. With Rz(a) the right-handed rotation
by a about z, and P what turns the reference into the tomogram (P e_z is the particle's z axis there):

- RELION, Warp and M (rot, tilt, psi): P is the inverse of Rz(rot) Ry(tilt) Rz(psi). Its matrix is RELION's
  own ``Euler_angles2matrix``; the particle's axis is given by tilt and psi alone, and rot turns about it.
  Angles of the subtomogram come on top: P is P(subtomogram) P(particle).
- Dynamo (tdrot, tilt, narot): P is the inverse of Rz(narot) Rx(tilt) Rz(tdrot).
- AV3 and TOM motive lists (phi, theta, psi): P is Rz(psi) Rx(theta) Rz(phi).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from surfora.geometry.arrays import Floats
from tomocore.contract import InputError


def from_relion(rot_tilt_psi_deg: Floats) -> Rotation:
    """Particle to tomogram, of angles (n, 3) rot, tilt, psi in degrees."""
    return _rotation("ZYZ", rot_tilt_psi_deg).inv()


def to_relion(poses: Rotation) -> Floats:
    """Angles (n, 3) rot, tilt, psi in degrees."""
    return _angles(poses.inv(), "ZYZ")


def from_dynamo(tdrot_tilt_narot_deg: Floats) -> Rotation:
    """Particle to tomogram, of angles (n, 3) tdrot, tilt, narot in degrees."""
    return _rotation("zxz", tdrot_tilt_narot_deg).inv()


def to_dynamo(poses: Rotation) -> Floats:
    """Angles (n, 3) tdrot, tilt, narot in degrees."""
    return _angles(poses.inv(), "zxz")


def from_av3(phi_theta_psi_deg: Floats) -> Rotation:
    """Particle to tomogram, of angles (n, 3) phi, theta, psi in degrees."""
    return _rotation("zxz", phi_theta_psi_deg)


def to_av3(poses: Rotation) -> Floats:
    """Angles (n, 3) phi, theta, psi in degrees."""
    return _angles(poses, "zxz")


def along_normals(normals: Floats, in_plane_deg: Floats) -> Rotation:
    """Poses (n,) with the particle's z axis along normals (n, 3), turned about it by angles (n,)."""
    z = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    tilt, azimuth = np.arccos(np.clip(z[:, 2], -1, 1)), np.arctan2(z[:, 1], z[:, 0])
    turn = Rotation.from_euler("ZYZ", np.column_stack([azimuth, tilt, np.radians(in_plane_deg) - azimuth]))
    return turn


def z_axes(poses: Rotation) -> Floats:
    """The particles' z axes (n, 3) in the tomogram."""
    return np.asarray(poses.apply([0.0, 0.0, 1.0]), dtype=np.float64).reshape(-1, 3)


def _rotation(axes: str, angles_deg: Floats) -> Rotation:
    if not np.isfinite(angles_deg).all():
        raise InputError("some angles are no numbers; remove those particles")
    return Rotation.from_euler(axes, angles_deg, degrees=True)


def _angles(rotation: Rotation, axes: str) -> Floats:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without tilt only the sum of two angles is told: one is then 0
        return np.asarray(rotation.as_euler(axes, degrees=True), dtype=np.float64)  # type: ignore[call-overload]
