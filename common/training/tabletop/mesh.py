"""Triangle meshes made from a few parameters. Lengths are in metres, z points up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles that share no vertices: each (T, 3, ...) array tells of the three corners of T triangles."""

    corners: Floats
    """(T, 3, 3) positions."""
    normals: Floats
    """(T, 3, 3) unit vectors, smooth over edges that are not sharp."""
    uv: Floats
    """(T, 3, 2) places in the texture, 0 to 1, v downwards."""

    def moved(self, offset: ArrayLike = (0.0, 0.0, 0.0), turn: NDArray[np.float64] | None = None) -> Mesh:
        """Turned by a (3, 3) rotation, then shifted."""
        r = np.eye(3) if turn is None else turn
        corners = self.corners @ r.T + np.asarray(offset)
        return Mesh(corners.astype(np.float32), (self.normals @ r.T).astype(np.float32), self.uv)


def turned(axis: str, angle: float) -> NDArray[np.float64]:
    """The rotation by `angle` radians about a coordinate axis."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    r = np.eye(3)
    r[i, i], r[i, j], r[j, i], r[j, j] = c, -s, s, c
    return r


def join(meshes: list[Mesh]) -> Mesh:
    """One mesh of several."""
    return Mesh(
        np.concatenate([mesh.corners for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


def surface(points: NDArray[np.float64], uv: NDArray[np.float64] | None = None, crease: float = 35.0) -> Mesh:
    """A grid (a, b, 3) of points as a surface whose outside is where d/da x d/db points.

    Edges sharper than `crease` degrees stay sharp. Where rows or columns meet again (a tube, a pole), the seam
    is smooth.
    """
    a, b = points.shape[:2]
    if uv is None:
        v, u = np.meshgrid(np.linspace(0, 1, a), np.linspace(0, 1, b), indexing="ij")
        uv = np.stack([u, v], -1)
    at = np.arange(a * b).reshape(a, b)
    p, q, r, s = at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]
    faces = np.concatenate([np.stack([p, q, r], -1).reshape(-1, 3), np.stack([p, r, s], -1).reshape(-1, 3)])
    return shaded(points.reshape(-1, 3)[faces], uv.reshape(-1, 2)[faces], crease)


def shaded(corners: NDArray[np.float64], uv: NDArray[np.float64], crease: float = 35.0) -> Mesh:
    """A mesh with normals from its triangles, averaged where they meet at less than `crease` degrees."""
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    keep = area > 1e-12
    corners, uv, cross, area = corners[keep], uv[keep], cross[keep], area[keep]
    flat = cross / area[:, None]
    places = np.round(corners.reshape(-1, 3) * 1e6).astype(np.int64)
    _, vertex = np.unique(places, axis=0, return_inverse=True)
    vertex = vertex.reshape(-1)
    order = np.argsort(vertex, kind="stable")
    count = np.bincount(vertex)
    first = np.cumsum(count) - count
    # All pairs (i, j) of corners at one place.
    i = np.repeat(np.arange(len(vertex)), count[vertex])
    j = order[_ranges(first[vertex], count[vertex])]
    smooth = np.einsum("ij,ij->i", flat[i // 3], flat[j // 3]) > np.cos(np.radians(crease))
    normals = np.zeros((len(vertex), 3))
    for axis in range(3):
        normals[:, axis] = np.bincount(i[smooth], cross[j[smooth] // 3, axis], len(vertex))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(
        corners.astype(np.float32), normals.reshape(-1, 3, 3).astype(np.float32), uv.astype(np.float32)
    )


def _ranges(first: NDArray[np.intp], count: NDArray[np.intp]) -> NDArray[np.intp]:
    """first[0], first[0] + 1, ... count[0] of them, then the same of the next."""
    ends = np.cumsum(count)
    return np.arange(ends[-1]) - np.repeat(ends - count, count) + np.repeat(first, count)


def lathe(profile: ArrayLike, segments: int = 48, crease: float = 35.0) -> Mesh:
    """A profile of (radius, height) pairs turned about z; going up along it, the outside is on the right.

    u runs around, v along the profile, from its last point down to its first.
    """
    line = np.asarray(profile, np.float64)
    around = np.linspace(0, 2 * np.pi, segments + 1)
    around[-1] = 0.0
    r, z = line[:, 0, None], line[:, 1, None]
    points = np.stack([r * np.cos(around), r * np.sin(around), z + 0 * around], -1)
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    v, u = np.meshgrid(1 - length / length[-1], np.linspace(0, 1, segments + 1), indexing="ij")
    # d/da is along the profile, d/db around: their cross product points inwards, so go around the other way.
    return surface(points[:, ::-1], np.stack([u, v], -1)[:, ::-1], crease)


def tube(path: ArrayLike, radii: ArrayLike, sides: int = 16, flat: float = 1.0) -> Mesh:
    """A round bar along a path (n, 3) with a radius at each point; `flat` scales its height (z). Ends are closed."""
    line = np.asarray(path, np.float64)
    r = np.broadcast_to(np.asarray(radii, np.float64), len(line))
    line = np.concatenate([line[:1], line, line[-1:]])
    r = np.concatenate([[1e-5], r, [1e-5]])
    along = np.gradient(line[1:-1], axis=0)
    along = np.concatenate([along[:1], along, along[-1:]])
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    up = np.array([0.0, 0.0, 1.0]) if np.abs(along[:, 2]).max() < 0.9 else np.array([0.0, 1.0, 0.0])
    side = np.cross(along, up)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    above = np.cross(side, along)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[None, :, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * above[:, None] * flat
    return surface(line[:, None] + r[:, None, None] * ring, crease=50.0)


def box(size: ArrayLike, bevel: float = 0.002) -> Mesh:
    """A box of three side lengths with rounded edges. Its texture holds the faces in a grid of 2 rows of 3:
    +x, +y, +z (top), -x, -y, -z."""
    half = np.asarray(size, np.float64) / 2
    bevel = min(bevel, float(half.min()) * 0.9)
    meshes = []
    for face in range(6):
        axis, sign = face % 3, 1 - 2 * (face // 3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        steps = np.linspace(0, bevel, 4)
        a = np.concatenate([-half[i] + steps, half[i] - steps[::-1]])
        b = np.concatenate([-half[j] + steps, half[j] - steps[::-1]])
        points = np.empty((len(a), len(b), 3))
        points[..., i], points[..., j] = np.meshgrid(a, b, indexing="ij")
        points[..., axis] = sign * half[axis]
        core = np.clip(points, -(half - bevel), half - bevel)
        out = points - core
        points = core + bevel * out / np.linalg.norm(out, axis=-1, keepdims=True)
        s, t = np.meshgrid((a / half[i] + 1) / 2, (b / half[j] + 1) / 2, indexing="ij")
        # Upright on the sides, where the texture's rows run down along z, and never mirrored.
        u, v = (1 - t, 1 - s) if axis == 1 else (s, 1 - t)
        u = u if sign > 0 else 1 - u
        uv = np.stack([(face % 3 + 0.01 + 0.98 * u) / 3, (face // 3 + 0.01 + 0.98 * v) / 2], -1)
        meshes.append(surface(points[::sign], uv[::sign]))
    # Normals at shared bevel edges are smooth once the faces are one mesh.
    whole = join(meshes)
    return shaded(whole.corners.astype(np.float64), whole.uv.astype(np.float64), 60.0)


def ellipsoid(radii: ArrayLike, rings: int = 24, segments: int = 40) -> Mesh:
    """An ellipsoid with poles on z."""
    a = np.linspace(-np.pi / 2, np.pi / 2, rings)
    unit = lathe(np.stack([np.maximum(np.cos(a), 0), np.sin(a)], -1), segments, 90.0)
    r = np.asarray(radii, np.float32)
    normals = unit.normals / r
    return Mesh(unit.corners * r, normals / np.linalg.norm(normals, axis=-1, keepdims=True), unit.uv)
