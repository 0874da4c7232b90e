"""Local polynomial surfaces (jets) about the vertices of a mesh, at several radii in one sweep: the kernels.

About a vertex the surface is fitted as X(u, v), three polynomials by weighted least squares over its
geodesic ball. Either (u, v) are geodesic polar coordinates, in which a sphere or a cylinder is a series of
sines and cosines that an order of 4 follows over more than a radian; or they are the coordinates in the
plane of the vertex normal, which makes it the Monge patch of Cazals & Pouget (2005, "Estimating
differential quantities using polynomial fitting of osculating jets"): its series in the slope converges
slowly and ends at 90°. Geodesics come from fronts marched over the triangles, or from the normals at both
ends as circular arcs, which takes a sixth of the time and errs no more.

Balls are nested, so the sums of the largest are built ring by ring and the normal equations of every radius
and order are read from them: a product of two monomials is a monomial, so 45 sums serve the 15 × 15 matrix
of order 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats
from surfora.geometry.frames import factorise, substitute, tangent_frame
from surfora.measures.geodesics import Fans, ball, new_front

MEAN, DIFFERENCE, TWIST, MEAN_VARIANCE, DIFFERENCE_VARIANCE, HEIGHT, K1_X, K1_Y, K1_Z, COUNT, OFFSET = range(
    11
)
"""Columns of a jet table: H; half the difference of the normal curvatures along the frame's axes, and the
twist (so that k1, k2 = H ± hypot of the two); the variances of H and of the difference per unit of noise
density; height of the fitted surface over the vertex; the direction of k1; vertices in the ball; how far
the ball's centroid lies from the vertex, in radii (0 where the ball is whole, 0.42 for half a disc)."""
COLUMNS = 11
TASKS = 32
PORTION = 4096  # vertices between two reports of progress: some tenths of a second
TILE = 128


def jet_table(
    sources: NDArray[Any],
    radii_nm: Floats,
    orders: tuple[int, ...],
    vertices: Floats,
    normals: Floats,
    areas_nm2: Floats,
    fans: Fans,
    coordinates: str = "arc",
    neighbours_per_term: float = 1.5,
    taper_nm: float = np.inf,
) -> Floats:
    """Jets of the sources at every radius and order: an array (sources, radii, orders, COLUMNS); NaN where
    none.

    ``radii_nm`` must ascend; ``orders`` are 2 or 4; vertices weigh by ``areas_nm2``. Curvatures are in 1/nm
    and refer to the side of the normals. ``neighbours_per_term`` is how many vertices each coefficient
    needs.
    """
    margin = float(fans.shape[:, 0].mean()) if len(fans.shape) else 0.0
    wanted = np.array([neighbours_per_term * (order + 1) * (order + 2) / 2 for order in orders])
    return _jet_table(
        min(TASKS, max(1, len(sources))),
        np.asarray(sources, dtype=np.int64),
        np.asarray(radii_nm, dtype=np.float64),
        np.asarray(orders, dtype=np.int64),
        wanted,
        vertices,
        normals,
        areas_nm2,
        *fans.arrays,
        margin,
        coordinates != "tangent",
        coordinates == "arc",
        taper_nm,
    )


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def _jet_table(
    tasks: int, sources: Any, radii: Any, orders: Any, wanted: Any, vertices: Any, normals: Any, areas: Any,
    start: Any, corner: Any, shape: Any, margin: float, geodesic: bool, arc: bool, taper: float,
) -> Any:  # fmt: skip
    table = np.full((len(sources), len(radii), len(orders), COLUMNS), np.nan)
    top = orders.max()
    terms = (top + 1) * (top + 2) // 2
    moments = (2 * top + 1) * (2 * top + 2) // 2
    for task in prange(tasks):
        front = new_front(len(vertices))
        inside = np.empty((6, len(vertices)))
        tile = np.empty((moments, TILE))
        sums = np.empty((len(radii), moments + 3 * terms))
        ends = np.empty(len(radii) + 1, np.int64)
        system = np.empty((terms + 1, terms))
        columns = np.empty((6, terms))
        for at in range(task * len(sources) // tasks, (task + 1) * len(sources) // tasks):
            source = sources[at]
            if arc:
                count = arc_ball(front, source, radii[-1], vertices, normals, start, corner)
            else:
                count = ball(front, source, radii[-1] + margin, vertices, normals, start, corner, shape)
            _sort_into_rings(front, count, radii, vertices, normals, areas, geodesic, taper, inside, ends)
            for ring in range(len(radii)):
                for term in range(sums.shape[1]):
                    sums[ring, term] = sums[ring - 1, term] if ring > 0 else 0.0
                _add_moments(inside, ends[ring], ends[ring + 1], top, tile, sums[ring])
                for kind in range(len(orders)):
                    if ends[ring + 1] >= wanted[kind]:
                        row = table[at, ring, kind]
                        _solve_jet(sums[ring], top, orders[kind], radii[ring] / radii[-1], system, columns)
                        _read_jet(columns, normals[source], radii[ring], row)
                        row[COUNT] = ends[ring + 1]
                        row[OFFSET] = (
                            np.hypot(sums[ring, 1], sums[ring, 2]) / sums[ring, 0] * radii[-1] / radii[ring]
                        )
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def arc_ball(
    front: Any, source: int, reach: float, vertices: Any, normals: Any, start: Any, corner: Any
) -> int:
    """Flood from one vertex over all that lie within reach, with approximate geodesic polar coordinates.

    Where the geodesic to a vertex is a circular arc that turns the normal by θ, the vertex at height h over
    the tangent plane has the coordinates of d − h g(θ) m, with d the way there, m its normal and
    g = (θ / sin θ − 1) / (1 − cos θ). That is exact on spheres and cylinders and right to third order
    everywhere, and unlike a front it needs no queue.

    front: of `new_front`, for one such flood from each source, as its first array here tells whose ball last
    looked at a vertex; source: the vertex; reach: radius in nm; vertices, normals: (n, 3); start, corner: of
    `Fans`.
    """
    seen_by, member, distance, direction = front[0], front[1], front[2], front[3]
    n0, n1, n2 = normals[source, 0], normals[source, 1], normals[source, 2]
    e0, e1, e2, f0, f1, f2 = tangent_frame(n0, n1, n2)
    s0, s1, s2 = vertices[source, 0], vertices[source, 1], vertices[source, 2]
    seen_by[source] = source + 1
    member[0] = source
    distance[0] = direction[0, 0] = direction[0, 1] = 0.0
    count = 1
    at = 0
    while at < count:
        v = member[at]
        at += 1
        for row in range(start[v], start[v + 1]):
            p = corner[row, 0]
            if seen_by[p] == source + 1:
                continue
            seen_by[p] = source + 1
            d0, d1, d2 = vertices[p, 0] - s0, vertices[p, 1] - s1, vertices[p, 2] - s2
            chord = d0 * d0 + d1 * d1 + d2 * d2
            if chord > reach * reach:
                continue
            cosine = normals[p, 0] * n0 + normals[p, 1] * n1 + normals[p, 2] * n2
            if cosine < -0.5:
                continue
            bend = (d0 * n0 + d1 * n1 + d2 * n2) * _bend_factor(1.0 - cosine)
            d0, d1, d2 = d0 - bend * normals[p, 0], d1 - bend * normals[p, 1], d2 - bend * normals[p, 2]
            x, y = d0 * e0 + d1 * e1 + d2 * e2, d0 * f0 + d1 * f1 + d2 * f2
            arc = np.sqrt(x * x + y * y)
            if not arc <= reach or arc * arc < 0.98 * chord:  # shorter than its chord: folded over
                continue
            scale = 1.0 / (arc + 1e-300)
            member[count] = p
            distance[count] = arc
            direction[count, 0] = x * scale
            direction[count, 1] = y * scale
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _bend_factor(w: float) -> float:
    """(θ / sin θ − 1) / (1 − cos θ) of w = 1 − cos θ: by its series while that is quick."""
    if w < 0.25:
        return 1 / 3 + w * (2 / 15 + w * (2 / 35 + w * (8 / 315 + w * (8 / 693 + w * (16 / 3003)))))
    return (np.arccos(1.0 - w) / np.sqrt(w * (2.0 - w)) - 1.0) / w


@njit(cache=True, nogil=True)
def _ring_of(distance: float, radii: Any) -> int:
    ring = 0
    while distance > radii[ring]:
        ring += 1
    return ring


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_into_rings(
    front: Any, count: int, radii: Any, vertices: Any, normals: Any, areas: Any, geodesic: bool,
    taper: float, inside: Any, ends: Any,
) -> None:  # fmt: skip
    """Lay a ball's members out ring by ring as rows u, v (in largest radii), weight, and position off the
    source."""
    member, distance, direction = front[1], front[2], front[3]
    source = member[0]
    e0, e1, e2, f0, f1, f2 = tangent_frame(normals[source, 0], normals[source, 1], normals[source, 2])
    largest = radii[-1]
    ends[:] = 0
    for slot in range(count):
        if distance[slot] <= largest:
            ends[_ring_of(distance[slot], radii) + 1] += 1
    for ring in range(len(radii)):
        ends[ring + 1] += ends[ring]
    for slot in range(count):
        if distance[slot] > largest:
            continue
        ring = _ring_of(distance[slot], radii)
        to = ends[ring]
        ends[ring] += 1
        vertex = member[slot]
        x = vertices[vertex, 0] - vertices[source, 0]
        y = vertices[vertex, 1] - vertices[source, 1]
        z = vertices[vertex, 2] - vertices[source, 2]
        if geodesic:
            inside[0, to] = distance[slot] / largest * direction[slot, 0]
            inside[1, to] = distance[slot] / largest * direction[slot, 1]
        else:
            inside[0, to] = (x * e0 + y * e1 + z * e2) / largest
            inside[1, to] = (x * f0 + y * f1 + z * f2) / largest
        inside[2, to] = areas[vertex] * np.exp(-((distance[slot] / taper) ** 2))
        inside[3, to] = x
        inside[4, to] = y
        inside[5, to] = z
    # filling moved every ring's start to its end
    for ring in range(len(radii), 0, -1):
        ends[ring] = ends[ring - 1]
    ends[0] = 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _add_moments(inside: Any, first: int, last: int, order: int, tile: Any, sums: Any) -> None:
    """Add a ring: sums of w u^i v^j up to twice the order, then of these times x, y and z up to the order."""
    terms = (order + 1) * (order + 2) // 2
    moments = (2 * order + 1) * (2 * order + 2) // 2
    for begin in range(first, last, TILE):
        size = min(TILE, last - begin)
        u, v, w = (
            inside[0, begin : begin + size],
            inside[1, begin : begin + size],
            inside[2, begin : begin + size],
        )
        x, y, z = (
            inside[3, begin : begin + size],
            inside[4, begin : begin + size],
            inside[5, begin : begin + size],
        )
        term = 0
        for degree in range(2 * order + 1):
            for j in range(degree + 1):
                this = tile[term]
                if degree == 0:
                    for i in range(size):
                        this[i] = w[i]
                elif j < degree:
                    parent = tile[term - degree]
                    for i in range(size):
                        this[i] = parent[i] * u[i]
                else:
                    parent = tile[term - degree - 1]
                    for i in range(size):
                        this[i] = parent[i] * v[i]
                total = 0.0
                for i in range(size):
                    total += this[i]
                sums[term] += total
                if term < terms:
                    tx, ty, tz = 0.0, 0.0, 0.0
                    for i in range(size):
                        tx += this[i] * x[i]
                        ty += this[i] * y[i]
                        tz += this[i] * z[i]
                    sums[moments + term] += tx
                    sums[moments + terms + term] += ty
                    sums[moments + 2 * terms + term] += tz
                term += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_jet(sums: Any, top: int, order: int, scale: float, system: Any, columns: Any) -> None:
    """Solve the normal equations of one radius, in units of it (``scale`` of the largest).

    Rows 0–2 of ``columns`` become the coefficients of x, y, z, rows 3–5 the columns of the inverse that
    belong to u², uv and v². Where the system is ill-conditioned everything becomes NaN.
    """
    terms = (order + 1) * (order + 2) // 2
    held = (top + 1) * (top + 2) // 2
    moments = (2 * top + 1) * (2 * top + 2) // 2
    inverse = 1.0 / scale
    row, unit = 0, 1.0
    for degree in range(order + 1):
        for j in range(degree + 1):
            column, unit_both = 0, unit
            for other in range(degree + 1):
                base = (degree + other) * (degree + other + 1) // 2 + j
                for k in range(other + 1):
                    system[row, column] = sums[base + k] * unit_both
                    column += 1
                unit_both *= inverse
            for axis in range(3):
                columns[axis, row] = sums[moments + axis * held + row] * unit
                columns[3 + axis, row] = 1.0 if row == 3 + axis else 0.0
            row += 1
        unit *= inverse
    if not factorise(system, terms):
        columns[:] = np.nan
        return
    for side in range(6):
        substitute(system, columns[side], terms)


@njit(cache=True, nogil=True, error_model="numpy")
def _read_jet(columns: Any, normal: Any, radius: float, row: Any) -> None:
    """The shape operator of a fitted surface at its origin, from both fundamental forms, into a table row.

    A fit that is turned by more than 78° against the vertex normal is no fit.
    """
    a0, a1, a2 = columns[0, 1], columns[1, 1], columns[2, 1]
    b0, b1, b2 = columns[0, 2], columns[1, 2], columns[2, 2]
    n0, n1, n2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
    length = np.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
    if not n0 * normal[0] + n1 * normal[1] + n2 * normal[2] > 0.2 * length:
        return
    n0, n1, n2 = n0 / length, n1 / length, n2 / length
    # an orthonormal frame: e along X_u, f across; X_u = a e, X_v = b e + c f
    a = np.sqrt(a0 * a0 + a1 * a1 + a2 * a2)
    e0, e1, e2 = a0 / a, a1 / a, a2 / a
    f0, f1, f2 = n1 * e2 - n2 * e1, n2 * e0 - n0 * e2, n0 * e1 - n1 * e0
    b = b0 * e0 + b1 * e1 + b2 * e2
    c = b0 * f0 + b1 * f1 + b2 * f2
    uu = -2.0 * (columns[0, 3] * n0 + columns[1, 3] * n1 + columns[2, 3] * n2)
    uv = -(columns[0, 4] * n0 + columns[1, 4] * n1 + columns[2, 4] * n2)
    vv = -2.0 * (columns[0, 5] * n0 + columns[1, 5] * n1 + columns[2, 5] * n2)
    along = uu / (a * a)
    twist = (uv / a - b * along) / c
    across = (vv - b * b * along - 2.0 * b * c * twist) / (c * c)
    angle = 0.5 * np.arctan2(2.0 * twist, along - across)
    row[MEAN] = 0.5 * (along + across)
    row[DIFFERENCE] = 0.5 * (along - across)
    row[TWIST] = twist
    uu_vv = columns[3, 5]
    row[MEAN_VARIANCE] = (columns[3, 3] + 2.0 * uu_vv + columns[5, 5]) / radius**4
    row[DIFFERENCE_VARIANCE] = 0.5 * (columns[3, 3] - 2.0 * uu_vv + columns[5, 5] + columns[4, 4]) / radius**4
    row[HEIGHT] = columns[0, 0] * n0 + columns[1, 0] * n1 + columns[2, 0] * n2
    row[K1_X] = np.cos(angle) * e0 + np.sin(angle) * f0
    row[K1_Y] = np.cos(angle) * e1 + np.sin(angle) * f1
    row[K1_Z] = np.cos(angle) * e2 + np.sin(angle) * f2
