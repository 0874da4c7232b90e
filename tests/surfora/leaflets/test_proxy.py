"""The Poisson proxy: near its membrane, on its side, blind to the field of view."""

import numpy as np
import pytest
import shapes

from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.leaflets.proxy import membrane_numbers, octree_depth, poisson_proxy
from surfora.leaflets.settings import ProxySettings
from tomocore.contract import InputError


def medial(shape, edge=1.3):
    vertices, faces = shape.mesh(edge)
    return SurfaceMesh(vertices, faces, shape.normals(vertices))


@pytest.mark.parametrize("shape", [shapes.open_sphere(15.0), shapes.wavy_sheet(40.0)], ids=lambda s: s.name)
def test_proxy_follows_its_membrane_and_carries_its_rim_on(shape):
    proxy = poisson_proxy(medial(shape))
    inside = shape.rim_distance(proxy.vertices) > 3.0
    inside &= ~shape.feet(proxy.vertices).on_rim
    assert np.abs(shape.signed_distance(proxy.vertices[inside])).max() < 0.3
    assert (np.einsum("ij,ij->i", proxy.normals, shape.normals(proxy.vertices))[inside] > 0.9).all()
    assert shape.feet(proxy.vertices).on_rim.any()
    assert set(proxy.data["membrane"]) == {0}


def test_each_membrane_has_its_own_proxy_wherever_the_others_are():
    near, far = medial(shapes.sphere(8.0)), medial(shapes.open_sphere(10.0))
    faces = np.concatenate([near.faces, far.faces + len(near.vertices)])
    proxies = []
    for shift in (60.0, 5000.0):
        both = SurfaceMesh(np.concatenate([near.vertices, far.vertices + shift]), faces)
        proxies.append(poisson_proxy(both))
    number = [proxy.data["membrane"] for proxy in proxies]
    small = [proxy.vertices[n == 1] for proxy, n in zip(proxies, number, strict=True)]
    assert set(number[0]) == {0, 1}
    assert np.allclose(small[0], small[1], atol=1e-3)


def test_same_mesh_same_proxy():
    mesh = medial(shapes.open_sphere(10.0))
    assert np.array_equal(poisson_proxy(mesh).vertices, poisson_proxy(mesh).vertices)


def test_turned_normals_turn_the_proxy():
    shape = shapes.sphere(8.0)
    mesh = medial(shape)
    inward = SurfaceMesh(mesh.vertices, mesh.faces[:, ::-1], -mesh.normals)
    proxy = poisson_proxy(inward)
    assert (np.einsum("ij,ij->i", proxy.normals, shape.normals(proxy.vertices)) < 0).all()


def test_depth_follows_the_sampling_not_the_place():
    points = shapes.sphere(20.0).mesh(1.0)[0]
    settings = ProxySettings()
    assert octree_depth(points, settings) == octree_depth(points + 1e4, settings) == 5
    assert octree_depth(points, ProxySettings(cell_spacings=1.0)) == 6
    assert octree_depth(points, ProxySettings(cell_spacings=0.5, deepest=5)) == 5


def test_a_piece_too_small_for_poisson_stands_for_itself():
    vertices, faces = shapes.flat_sheet(4.0, 4.0).mesh(1.5)
    proxy = poisson_proxy(SurfaceMesh(vertices, faces))
    assert np.allclose(np.sort(proxy.vertices, axis=0), np.sort(vertices, axis=0))


def test_membranes_are_numbered_by_size():
    faces = np.array([[0, 1, 2], [3, 4, 5], [4, 6, 5]])
    vertices = np.random.default_rng(0).random((8, 3))
    assert membrane_numbers(SurfaceMesh(vertices, faces)).tolist() == [1, 1, 1, 0, 0, 0, 0, -1]


def test_points_without_triangles_are_refused():
    with pytest.raises(InputError, match="no triangle"):
        poisson_proxy(SurfaceMesh(np.zeros((4, 3)), np.empty((0, 3), np.int64)))


def test_normals_are_made_from_the_winding_where_absent():
    mesh = medial(shapes.sphere(8.0))
    proxy = poisson_proxy(SurfaceMesh(mesh.vertices, mesh.faces))
    assert np.allclose(proxy.normals, vertex_normals(proxy.vertices, proxy.faces))
    assert (np.einsum("ij,ij->i", proxy.normals, shapes.sphere(8.0).normals(proxy.vertices)) > 0).all()
