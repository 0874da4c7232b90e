"""Tiny tomograms of dark balls among smaller ones, for training tests."""

import numpy as np

from tomocore.volumes.volume import Volume
from tomorois.training.data import TrainingTomogram


def blob_tomogram(seed: int, shape=(18, 36, 36), balls=4, voxel_size_nm=1.0) -> TrainingTomogram:
    """Balls of radius 4 voxels are ROIs, those of radius 2, equally dark, are not."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=shape)
    labels = np.zeros(shape, np.int16)
    for label in range(1, balls + 1):
        ball = distance_to(rng.uniform(5, np.array(shape) - 5), shape) <= 4.2
        data[ball & (labels == 0)] -= 3
        labels[ball] = label
    for _ in range(balls):
        small = (distance_to(rng.uniform(3, np.array(shape) - 3), shape) <= 1.8) & (labels == 0)
        data[small] -= 3
    return TrainingTomogram(f"blobs_{seed}", Volume(data.astype(np.float32), voxel_size_nm), labels)


def distance_to(centre, shape):
    """Distance of every voxel from a place z, y, x, in voxels."""
    return np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - centre, axis=-1)
