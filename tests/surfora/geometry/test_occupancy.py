"""The share of a mask at places between its voxel centres, against a slow twin."""

import numpy as np
from scipy.ndimage import map_coordinates

from surfora.geometry.occupancy import occupancy


def test_occupancy_is_trilinear_and_0_beyond():
    random = np.random.default_rng(0)
    sheet = random.random((6, 7, 8)) < 0.5
    points = random.uniform(-1.5, 8.5, (300, 3))
    slow = map_coordinates(np.pad(sheet.astype(float), 3), points[:, ::-1].T + 3, order=1)
    np.testing.assert_allclose(occupancy(sheet, points), slow, atol=1e-12)
