"""Pictures and exact instance maps by ray casting: soft shadows, light from all around and from other objects, gloss.

Embree finds what rays hit; everything else is numpy. The same scene gives the same bytes on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from common.training.tabletop.camera import Camera, Floats, Lamp, Light
from common.training.tabletop.model import Model
from common.training.tabletop.textures import Texture, linear

Pose = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rotation (3, 3) and position (3,)."""
Picture = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

_SUBSAMPLES = ((0.375, 0.125), (0.875, 0.375), (0.125, 0.625), (0.625, 0.875))  # of a pixel, x and y
_LAMP_RAYS, _ROOM_RAYS = 5, 7  # a pixel of the table; a neighbourhood of 4x4 pixels shares 16 times as many
_OBJECT_RAYS = 3  # of each kind, a subsample of an object
_TILE = 4
_OFF = 3e-4  # metres that rays start off a surface


@dataclass(frozen=True, slots=True)
class Table:
    """The top at z = 0: a texture (sRGB) over the square of `half` metres to each side."""

    texture: Texture
    half: float


class Shapes:
    """All triangles of all models one after the other, in model coordinates, with their materials."""

    def __init__(self, models: list[Model]) -> None:
        parts = [(number, part) for number, model in enumerate(models) for part in model.parts]
        count = [len(part.mesh.corners) for _, part in parts]
        self.corners = np.concatenate([part.mesh.corners for _, part in parts])
        self.normals = np.concatenate([part.mesh.normals for _, part in parts])
        self.uv = np.concatenate([part.mesh.uv for _, part in parts])
        self.part = np.repeat(np.arange(len(parts)), count)
        owner = np.repeat([number for number, _ in parts], count)
        self.bounds = np.searchsorted(owner, np.arange(len(models) + 1))
        self.gloss = np.array([part.gloss for _, part in parts], np.float32)
        self.metal = np.array([part.metal for _, part in parts])
        pictures = [linear(part.texture) for _, part in parts]
        self._texels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
        self._shape = np.array([picture.shape[:2] for picture in pictures])
        self._first = np.concatenate([[0], np.cumsum(self._shape.prod(axis=1))])[:-1]
        means = np.array([picture.mean(axis=(0, 1)) for picture in pictures], np.float32)
        self.mean = means

    def albedo(self, part: Indices, uv: Floats) -> Floats:
        """Bilinear look-up in the parts' textures."""
        rows, columns = self._shape[part].T
        return bilinear(self._texels, self._first[part], rows, columns, uv[:, 1], uv[:, 0])


def bilinear(texels: Floats, first: Indices, rows: Indices, columns: Indices, v: Floats, u: Floats) -> Floats:
    """Colours (N, 3) at (v, u) of textures that begin at `first` in the flat list `texels`; edges are held."""
    y = np.clip(v * rows - 0.5, 0, rows - 1.001).astype(np.float32)
    x = np.clip(u * columns - 0.5, 0, columns - 1.001).astype(np.float32)
    top, left = y.astype(np.intp), x.astype(np.intp)
    fy, fx = (y - top)[:, None], (x - left)[:, None]
    at = first + top * columns + left
    right, below = np.minimum(left + 1, columns - 1) - left, (np.minimum(top + 1, rows - 1) - top) * columns
    upper = texels[at] * (1 - fx) + texels[at + right] * fx
    lower = texels[at + below] * (1 - fx) + texels[at + below + right] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float32)


class Renderer:
    """Renders one scene with a camera and lights that stay. Not safe for use by two threads at once."""

    def __init__(self, camera: Camera, light: Light, table: Table, models: list[Model]) -> None:
        self._camera, self._light, self._shapes, self._models = camera, light, Shapes(models), models
        side = camera.size
        y, x = (axis.ravel() for axis in np.mgrid[:side, :side].astype(np.float64))
        self._centres = camera.rays(x + 0.5, y + 0.5)
        self._tile = ((y % _TILE) * _TILE + x % _TILE).astype(np.intp)
        self._tile = np.array([0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5])[self._tile]
        self._rays = np.stack([camera.rays(x + dx, y + dy) for dx, dy in _SUBSAMPLES], 1)
        self._eye = camera.position.astype(np.float32)
        texture = linear(table.texture)
        self._table_mean = texture.mean(axis=(0, 1))
        self._albedo = self._table_albedo(texture, table.half)
        self._mean_albedo = self._albedo.mean(axis=1)
        self._ground = self._on_table(self._centres)
        self._exposure = self._expose()

    def frame(self, poses: list[Pose | None]) -> tuple[Picture, Picture]:
        """The sRGB picture (S, S, 3) and the map (S, S) of what is at each pixel's centre: 0 the table, else 1 + the
        model's index. Models whose pose is None are away."""
        side = self._camera.size
        scene = _Scene(self._shapes, poses)
        near = scene.seen(self._camera)
        ids = np.zeros(side * side, np.uint8)
        pixels = np.flatnonzero(near)
        ids[pixels] = scene.ids(self._eye, self._centres[pixels])
        hits = scene.hit(self._eye, self._rays[pixels].reshape(-1, 3))
        on_object = hits.found.reshape(-1, len(_SUBSAMPLES))
        bare = np.ones(side * side, np.bool_)
        bare[pixels] = ~on_object.all(axis=1)
        ground = self._ground_light(scene, bare & (ids == 0), bare)
        picture = self._mean_albedo * ground
        if len(pixels):
            colours = self._albedo[pixels] * ground[pixels, None]
            sub = np.flatnonzero(hits.found)
            pattern = self._tile[pixels][sub // len(_SUBSAMPLES)] * len(_SUBSAMPLES) + sub % len(_SUBSAMPLES)
            way = self._rays[pixels].reshape(-1, 3)[sub]
            colours.reshape(-1, 3)[sub] = self._object_light(scene, hits, way, pattern)
            picture[pixels] = _squash(colours * self._exposure).mean(axis=1)
        rest = ~near
        picture[rest] = _squash(picture[rest] * self._exposure)
        return _srgb(picture).reshape(side, side, 3), ids.reshape(side, side)

    def _on_table(self, ways: Floats) -> Floats:
        return np.asarray(self._eye + ways * (-self._eye[2] / ways[..., 2:3]), np.float32)

    def _table_albedo(self, texture: Floats, half: float) -> Floats:
        spots = self._on_table(self._rays.reshape(-1, 3))
        place = spots[:, :2] / (2 * half) + 0.5
        rows, columns = (np.full(len(place), side) for side in texture.shape[:2])
        flat = texture.reshape(-1, 3)
        colours = bilinear(flat, np.zeros(len(place), np.intp), rows, columns, place[:, 1], place[:, 0])
        return colours.reshape(-1, len(_SUBSAMPLES), 3)

    def _expose(self) -> float:
        empty = self._ground_light(None, np.ones(len(self._ground), np.bool_), None)
        table = float((self._mean_albedo * empty).mean())
        return 0.42 / (0.55 * table + 0.45 * 0.35 * float(empty.mean()))

    def _ground_light(self, scene: _Scene | None, clean: Bools, wanted: Bools | None) -> Floats:
        """(pixels, 3) light on the table, in units of what a white table would send back; smoothed over tiles."""
        total = np.empty_like(self._ground)
        at = np.arange(len(total)) if wanted is None else np.flatnonzero(wanted)
        spots = self._ground[at] + np.array([0, 0, _OFF], np.float32)
        up = np.broadcast_to(np.array([0, 0, 1], np.float32), spots.shape)
        tile = self._tile[at]
        if scene is None:
            total[at] = self._all_around(None, spots, up, tile, 1, 16)
            for lamp in self._light.lamps:
                total[at] += _facing(lamp, spots, up)
            return total
        weight = np.zeros(len(total), np.float32)
        weight[clean] = 1.0
        rough = np.zeros_like(total)
        rough[at] = self._all_around(scene, spots, up, tile, _ROOM_RAYS, 16)
        for lamp in self._light.lamps:
            share = _lamp_share(scene, lamp, spots, tile, _LAMP_RAYS, 16)
            rough[at] += _facing(lamp, spots, up) * share[:, None]
        side = self._camera.size
        smooth = _blur((rough * weight[:, None]).reshape(side, side, 3)).reshape(-1, 3)
        norm = _blur(weight.reshape(side, side, 1)).reshape(-1, 1)
        return np.where(norm > 0.06, smooth / np.maximum(norm, 0.06), rough)

    def _all_around(
        self, scene: _Scene | None, spots: Floats, normals: Floats, tile: Indices, rays: int, tiles: int
    ) -> Floats:
        """Light (N, 3) from the room, and from objects and table that `rays` rays around the normal hit."""
        total = np.zeros_like(spots)
        side, above = _frame(normals)
        for number in range(rays):
            p, q = _points(tiles * rays)[tile * rays + number].T
            r, angle = np.sqrt(p)[:, None], 2 * np.pi * q[:, None]
            way = r * np.cos(angle) * side + r * np.sin(angle) * above + np.sqrt(1 - p)[:, None] * normals
            total += self._arriving(scene, spots, way.astype(np.float32))
        return total / rays

    def _arriving(self, scene: _Scene | None, spots: Floats, ways: Floats) -> Floats:
        """Roughly what comes back along rays: the room's light, or that of the thing in the way."""
        light = self._light.sky(ways)
        bounce = self._light.ambient * 0.6 + sum(lamp.colour for lamp in self._light.lamps) * 0.12
        down = ways[:, 2] < -1e-3
        light[down] = self._table_mean * bounce
        if scene is not None:
            parts = scene.parts(spots, ways)
            hit = parts >= 0
            light[hit] = self._shapes.mean[parts[hit]] * bounce * 0.75
        return light

    def _object_light(self, scene: _Scene, hits: _Hits, ways: Floats, pattern: Indices) -> Floats:
        """Radiance (N, 3) from points of objects towards the eye."""
        shapes, tiles = self._shapes, 16 * len(_SUBSAMPLES)
        albedo = shapes.albedo(hits.part, hits.uv)
        gloss, metal = shapes.gloss[hits.part], shapes.metal[hits.part]
        normals = np.where(np.einsum("ij,ij->i", hits.normals, ways)[:, None] > 0, -hits.normals, hits.normals)
        spots = hits.spots + hits.flat * _OFF
        diffuse = self._all_around(scene, spots, normals, pattern, _OBJECT_RAYS, tiles)
        mirror = ways - 2 * np.einsum("ij,ij->i", ways, normals)[:, None] * normals
        shine = self._arriving(scene, spots, mirror)
        rough = (1 - gloss) ** 2 * 0.55 + 0.03
        for lamp in self._light.lamps:
            share = _lamp_share(scene, lamp, spots, pattern, _OBJECT_RAYS, tiles)[:, None]
            diffuse += _facing(lamp, spots, normals) * share
            shine += _glint(lamp, spots, mirror, rough) * share
        facing = np.clip(-np.einsum("ij,ij->i", ways, normals), 0, 1)
        fresnel = 0.04 + 0.5 * gloss * (1 - facing) ** 5
        part = np.where(metal[:, None], albedo * 0.85, (fresnel * np.minimum(1, 0.25 + gloss))[:, None])
        return np.asarray(albedo * diffuse * np.where(metal, 0.18, 1.0)[:, None] + part * shine, np.float32)


@dataclass(frozen=True, slots=True)
class _Hits:
    """What rays met."""

    found: Bools
    """Of all rays, those that met something; the other arrays tell of these alone."""
    part: Indices
    uv: Floats
    normals: Floats
    flat: Floats
    """Normals of the triangles, towards the eye."""
    spots: Floats


class _Scene:
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

    def ids(self, eye: Floats, ways: Floats) -> Picture:
        """1 + the index of the model that each ray meets first, 0 for none."""
        if self.empty or not len(ways):
            return np.zeros(len(ways), np.uint8)
        first = self._scene.run(np.broadcast_to(eye, ways.shape).copy(), ways, query="INTERSECT")
        return np.asarray(self._id[first], np.uint8)

    def hit(self, eye: Floats, ways: Floats) -> _Hits:
        """What rays from the eye meet."""
        if self.empty or not len(ways):
            none = np.zeros((0, 3), np.float32)
            found, part = np.zeros(len(ways), np.bool_), np.zeros(0, np.intp)
            return _Hits(found, part, none[:, :2], none, none, none)
        result = self._scene.run(np.broadcast_to(eye, ways.shape).copy(), ways, query="INTERSECT", output=True)
        found = result["primID"] >= 0
        which, u, v = result["primID"][found], result["u"][found, None], result["v"][found, None]
        triangle, turns, shapes = self._triangle[which], np.stack(self._turns), self._shapes
        share = np.concatenate([1 - u - v, u, v], 1)
        local = np.einsum("nk,nkc->nc", share, shapes.normals[triangle])
        way = np.einsum("nij,nj->ni", turns[self._placed[which]], local)
        face = result["Ng"][found]
        face = face / np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-20)
        return _Hits(
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
        return self._part[self._scene.run(spots, ways, query="INTERSECT")]

    def blocked(self, spots: Floats, ways: Floats, lengths: Floats) -> Bools:
        """Whether anything stands within `lengths` along rays."""
        if self.empty:
            return np.zeros(len(spots), np.bool_)
        return np.asarray(self._scene.run(spots, ways, lengths, query="OCCLUDED") == 0)


def _lamp_share(scene: _Scene, lamp: Lamp, spots: Floats, tile: Indices, rays: int, tiles: int) -> Floats:
    """How much of a lamp each spot sees, 0 to 1."""
    free = np.zeros(len(spots), np.float32)
    toward = lamp.position - spots
    side, above = _frame(toward / np.linalg.norm(toward, axis=1, keepdims=True))
    for number in range(rays):
        p, q = _points(tiles * rays)[tile * rays + number].T
        r, angle = lamp.radius * np.sqrt(p)[:, None], 2 * np.pi * q[:, None]
        way = toward + r * np.cos(angle) * side + r * np.sin(angle) * above
        length = np.linalg.norm(way, axis=1)
        free += ~scene.blocked(spots, (way / length[:, None]).astype(np.float32), length.astype(np.float32))
    return free / rays


def _facing(lamp: Lamp, spots: Floats, normals: Floats) -> Floats:
    """Light of a lamp on unshadowed spots, by angle and distance."""
    toward = lamp.position - spots
    far = np.einsum("ij,ij->i", toward, toward)
    cosine = np.einsum("ij,ij->i", toward, normals) / np.sqrt(far)
    return lamp.colour * (np.clip(cosine, 0, None) / far / np.pi)[:, None]


def _glint(lamp: Lamp, spots: Floats, mirror: Floats, rough: Floats) -> Floats:
    """The lamp's own picture in a surface, the wider and dimmer the rougher that is."""
    toward = lamp.position - spots
    far = np.einsum("ij,ij->i", toward, toward)
    cosine = np.einsum("ij,ij->i", toward, mirror) / np.sqrt(far)
    size = lamp.radius**2 / far
    width = size + rough**2
    lobe = np.exp(-2 * (1 - np.clip(cosine, -1, 1)) / width)
    return lamp.colour * (lobe / (np.pi * width) / far)[:, None]


@lru_cache
def _points(count: int) -> Floats:
    """Points spread evenly over the unit square (the R2 sequence)."""
    n = np.arange(1, count + 1)[:, None]
    return ((0.5 + n * np.array([0.7548776662466927, 0.5698402909980532])) % 1.0).astype(np.float32)


def _frame(normals: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors across each normal."""
    flip = np.abs(normals[:, 0:1]) > 0.9
    other = np.where(flip, np.array([0, 1, 0], np.float32), np.array([1, 0, 0], np.float32))
    side = np.cross(normals, other)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return side.astype(np.float32), np.cross(side, normals).astype(np.float32)


def _blur(picture: Floats) -> Floats:
    """Mean over a tile around each pixel; edges are held."""
    for axis in (0, 1):
        pad = [(0, 0)] * picture.ndim
        pad[axis] = (_TILE // 2, _TILE // 2 - 1)
        wide = np.pad(picture, pad, mode="edge")
        count = picture.shape[axis]
        picture = sum(np.take(wide, range(k, k + count), axis) for k in range(_TILE)) / np.float32(_TILE)
    return picture


def _squash(light: Floats) -> Floats:
    """Tone curve: 1 for a light of 4, straight in the dark."""
    return np.asarray(light * (1 + light / 16) / (1 + light), np.float32) * np.float32(1.35)


def _srgb(light: Floats) -> Picture:
    light = np.clip(light, 0, 1)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)
