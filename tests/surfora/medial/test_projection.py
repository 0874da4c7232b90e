"""What the patches of the middle are told by: how strongly they bend."""

import numpy as np

from surfora.medial.projection import new_patches, principal_bending, shared_bending


def bent_patches(count):
    """Patches whose second derivatives are random, of rank one, alike in a plane, alike in all, or zero."""
    rng = np.random.default_rng(3)
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    patches = new_patches(np.zeros((count, 3)), normals, 2.0, 5.0)
    kinds = [
        np.triu(rng.normal(size=(count, 3, 3))),
        np.einsum("ni,nj->nij", normals, normals),
        np.eye(3) - np.einsum("ni,nj->nij", normals, normals),
        np.broadcast_to(0.5 * np.eye(3), (count, 3, 3)),
        np.zeros((count, 3, 3)),
    ]
    whole = np.choose(np.arange(count)[:, None, None] % 5, kinds)
    patches.bending[:] = whole[:, *np.triu_indices(3)] * 10.0 ** rng.integers(-4, 3, (count, 1))
    return patches


def largest_eigenvalues(bending):
    """By LAPACK: of matrices given as xx, xy, xz, yy, yz, zz."""
    xx, xy, xz, yy, yz, zz = bending.T
    whole = np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=-1).reshape(-1, 3, 3)
    return np.abs(np.linalg.eigvalsh(whole)).max(axis=1)


def test_a_patch_bends_as_the_eigenvalues_of_its_second_derivatives_tell():
    patches = bent_patches(500)
    np.testing.assert_allclose(principal_bending(patches), largest_eigenvalues(patches.bending), rtol=5e-8)


def test_bending_is_shared_by_the_mean_of_neighbours_seen_from_one_side():
    patches = bent_patches(60)
    near = np.random.default_rng(4).integers(0, 60, (60, 5))
    side = np.sign(np.einsum("ni,nki->nk", patches.normals, patches.normals[near]))
    mean = (side[:, :, None] * patches.bending[near]).mean(axis=1)
    np.testing.assert_allclose(shared_bending(patches, near), largest_eigenvalues(mean), rtol=5e-8)
