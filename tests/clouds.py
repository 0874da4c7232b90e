"""Point clouds as a segmentation leaves them: thinned, noisy, with points missing, signs of normals lost."""

import numpy as np
from scipy.spatial import cKDTree


def cloud(shape, spacing, noise=0.0, dropped=0.0, seed=0):
    """Points about ``spacing`` apart and their true normals."""
    points, normals = shape.sample(count=int(10 * shape.area_nm2 / spacing**2), seed=seed)
    return spoilt(points, normals, spacing, noise, dropped, seed)


def spoilt(points, normals, spacing, noise, dropped, seed):
    """Thinned to the spacing, moved by Gaussian noise, a share dropped."""
    random = np.random.default_rng(seed)
    keep = thinned(points, spacing)
    keep = keep[random.random(len(keep)) >= dropped]
    return points[keep] + random.normal(0, noise, (len(keep), 3)), normals[keep]


def thinned(points, spacing):
    """Indices of points no two of which are nearer than the spacing, greedily in order."""
    free = np.ones(len(points), dtype=bool)
    for i, near in enumerate(cKDTree(points).query_ball_point(points, spacing)):
        if free[i]:
            free[near] = False
            free[i] = True
    return np.flatnonzero(free)


def with_lost_signs(normals, seed=5):
    """The normals, half of them turned round."""
    return normals * np.random.default_rng(seed).choice([-1.0, 1.0], (len(normals), 1))


def hairpin(width=32.0, gap=3.0, spacing=1.5, noise=0.0, dropped=0.0, wave=0.0, seed=0):
    """Two sheets ``gap`` apart joined along one edge by a half tube, wavy if wanted; normals outward."""
    random = np.random.default_rng(seed)
    count = int(10 * width**2 / spacing**2)
    rate = 3 * np.pi / width
    parts = []
    for side in (1, -1):
        x, y = random.random((2, count)) * width
        up = np.column_stack([-wave * rate * np.cos(rate * x), 0 * x, 1 + 0 * x])
        up /= np.linalg.norm(up, axis=1, keepdims=True)
        middle = np.column_stack([x, y, wave * np.sin(rate * x)])
        parts.append((middle + side * gap / 2 * up, side * up))
    turn = random.random(int(count * np.pi * gap / 2 / width)) * np.pi
    up0 = np.array([-wave * rate, 0, 1]) / np.hypot(wave * rate, 1)
    back = np.array([-up0[2], 0, up0[0]])
    around = np.sin(turn)[:, None] * back + np.cos(turn)[:, None] * up0
    parts.append((np.outer(random.random(len(turn)) * width, [0, 1, 0]) + gap / 2 * around, around))
    points, normals = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return spoilt(points, normals, spacing, noise, dropped, seed)


def share_right(found, true):
    """Share of the normals that point to the true side."""
    return float(np.mean(np.einsum("ij,ij->i", found, true) > 0))
