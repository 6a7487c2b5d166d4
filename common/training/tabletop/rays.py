"""What rays meet: Embree's answers about a scene, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from common.training.tabletop.camera import Camera, Floats
from common.training.tabletop.shapes import Indices, Shapes

Pose = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rotation (3, 3) and position (3,)."""
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hits:
    """What rays met."""

    found: Bools
    """Of all rays, those that met something; the other arrays tell of these alone."""
    part: Indices
    uv: Floats
    normals: Floats
    flat: Floats
    """Normals of the triangles, towards the eye."""
    spots: Floats


class RayScene:
    """The objects in their places at one moment."""

    def __init__(self, shapes: Shapes, poses: list[Pose | None]) -> None:
        self._shapes, self._scene = shapes, EmbreeScene()
        self._turns: list[Floats] = []
        self._places: list[Floats] = []
        numbers, pieces = [], []
        for number, pose in enumerate(poses):
            if pose is None:
                continue
            turn, place = (array.astype(np.float32) for array in pose)
            own = np.arange(shapes.bounds[number], shapes.bounds[number + 1])
            self._places.append((shapes.corners[own] @ turn.T + place).reshape(-1, 3))
            self._turns.append(turn)
            numbers.append(np.full(len(own), number))
            pieces.append(own)
        self.empty = not pieces
        if self.empty:
            return
        # All in one mesh: a hit is then told by one number. That of a miss is -1, so the tables end with one for it.
        corners = np.concatenate(self._places)
        TriangleMesh(self._scene, corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3))
        self._triangle = np.concatenate([*pieces, [0]])
        self._id = np.concatenate([*numbers, [-1]]).astype(np.int16) + 1
        self._part = np.concatenate([shapes.part[self._triangle[:-1]], [-1]])
        self._placed = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])

    def seen(self, camera: Camera) -> Bools:
        """Pixels (S * S,) in the rectangles around the objects."""
        near = np.zeros((camera.size, camera.size), np.bool_)
        for corners in self._places:
            x, y = camera.project(corners)
            left, right = (int(np.clip(edge, 0, camera.size)) for edge in (x.min() - 1, x.max() + 2))
            top, bottom = (int(np.clip(edge, 0, camera.size)) for edge in (y.min() - 1, y.max() + 2))
            near[top:bottom, left:right] = True
        return near.ravel()

    def ids(self, eye: Floats, ways: Floats) -> NDArray[np.uint8]:
        """1 + the index of the model that each ray meets first, 0 for none."""
        if self.empty or not len(ways):
            return np.zeros(len(ways), np.uint8)
        first = self._scene.run(np.broadcast_to(eye, ways.shape).copy(), ways, query="INTERSECT")
        return np.asarray(self._id[first], np.uint8)

    def hit(self, eye: Floats, ways: Floats) -> Hits:
        """What rays from the eye meet."""
        if self.empty or not len(ways):
            none = np.zeros((0, 3), np.float32)
            found, part = np.zeros(len(ways), np.bool_), np.zeros(0, np.intp)
            return Hits(found, part, none[:, :2], none, none, none)
        result = self._scene.run(
            np.broadcast_to(eye, ways.shape).copy(), ways, query="INTERSECT", output=True
        )
        found = result["primID"] >= 0
        which, u, v = result["primID"][found], result["u"][found, None], result["v"][found, None]
        triangle, turns, shapes = self._triangle[which], np.stack(self._turns), self._shapes
        share = np.concatenate([1 - u - v, u, v], 1)
        local = np.einsum("nk,nkc->nc", share, shapes.normals[triangle])
        way = np.einsum("nij,nj->ni", turns[self._placed[which]], local)
        face = result["Ng"][found]
        face = face / np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-20)
        return Hits(
            found,
            shapes.part[triangle],
            np.einsum("nk,nkc->nc", share, shapes.uv[triangle]),
            way / np.linalg.norm(way, axis=1, keepdims=True),
            np.where(np.einsum("ij,ij->i", face, ways[found])[:, None] > 0, -face, face),
            eye + ways[found] * result["tfar"][found, None],
        )

    def parts(self, spots: Floats, ways: Floats) -> Indices:
        """The part that each ray meets first, -1 for none."""
        if self.empty:
            return np.full(len(spots), -1)
        return np.asarray(self._part[self._scene.run(spots, ways, query="INTERSECT")])

    def blocked(self, spots: Floats, ways: Floats, lengths: Floats) -> Bools:
        """Whether anything stands within `lengths` along rays."""
        if self.empty:
            return np.zeros(len(spots), np.bool_)
        return np.asarray(self._scene.run(spots, ways, lengths, query="OCCLUDED") == 0)


@lru_cache
def spread(count: int) -> Floats:
    """Points spread evenly over the unit square (the R2 sequence)."""
    n = np.arange(1, count + 1)[:, None]
    return np.asarray((0.5 + n * np.array([0.7548776662466927, 0.5698402909980532])) % 1.0, np.float32)


def across(normals: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors across each normal."""
    flip = np.abs(normals[:, 0:1]) > 0.9
    other = np.where(flip, np.array([0, 1, 0], np.float32), np.array([1, 0, 0], np.float32))
    side = np.cross(normals, other)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return side.astype(np.float32), np.cross(side, normals).astype(np.float32)
