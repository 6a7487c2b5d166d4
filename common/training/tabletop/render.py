"""Pictures and exact instance maps by ray casting: soft shadows, light from all around and from other objects, gloss.

Embree finds what rays hit; everything else is numpy. The same scene gives the same bytes on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.training.tabletop.camera import Camera, Floats, Light
from common.training.tabletop.ground import Ground, tiles
from common.training.tabletop.lighting import facing, glint, lamp_share, room_rays
from common.training.tabletop.model import Model
from common.training.tabletop.rays import Hits, Pose, RayScene
from common.training.tabletop.shapes import Indices, Shapes, bilinear
from common.training.tabletop.textures import Texture, linear

Picture = NDArray[np.uint8]

_SUBSAMPLES = ((0.375, 0.125), (0.875, 0.375), (0.125, 0.625), (0.625, 0.875))  # of a pixel, x and y
_COUNT = len(_SUBSAMPLES)
_OBJECT_RAYS = 3  # to each lamp and around, from each subsample of an object
_PATTERNS = 16 * _COUNT  # different bundles of rays
_OFF = 3e-4  # metres that rays start off a surface


@dataclass(frozen=True, slots=True)
class Table:
    """The top at z = 0: a texture (sRGB) over the square of `half` metres to each side."""

    texture: Texture
    half: float


class Renderer:
    """Renders one scene with a camera and lights that stay. Not safe for use by two threads at once."""

    def __init__(self, camera: Camera, light: Light, table: Table, models: list[Model]) -> None:
        self._camera, self._light, self._shapes = camera, light, Shapes(models)
        side = camera.size
        y, x = (axis.ravel() for axis in np.mgrid[:side, :side].astype(np.float64))
        self._eye = camera.position.astype(np.float32)
        self._centres = camera.rays(x + 0.5, y + 0.5)
        self._rays = np.stack([camera.rays(x + dx, y + dy) for dx, dy in _SUBSAMPLES], 1)
        self._tile = tiles(side)
        texture = linear(table.texture)
        self._table_mean = texture.mean(axis=(0, 1))
        self._albedo = self._table_albedo(texture, table.half)
        self._mean_albedo = self._albedo.mean(axis=1)
        # Roughly what a white thing sends back: light from the room, and some of the lamps'.
        lamps = np.sum([lamp.colour for lamp in light.lamps], axis=0)
        self._bounce = np.asarray(light.ambient * 0.6 + lamps * 0.12, np.float32)
        self._ground = Ground(side, self._on_table(self._centres), light, self._bounce * 0.75)
        empty = self._ground.bare
        seen = 0.55 * float((self._mean_albedo * empty).mean()) + 0.45 * 0.35 * float(empty.mean())
        self._exposure = np.float32(0.42 / seen)

    def frame(self, poses: list[Pose | None]) -> tuple[Picture, Picture]:
        """The sRGB picture (S, S, 3) and the map (S, S) of what is at each pixel's centre: 0 the table, else 1 + the
        model's index. Models whose pose is None are away."""
        side = self._camera.size
        scene = RayScene(self._shapes, poses)
        near = scene.seen(self._camera)
        pixels = np.flatnonzero(near)
        ids = np.zeros(side * side, np.uint8)
        ids[pixels] = scene.ids(self._eye, self._centres[pixels])
        ways = self._rays[pixels].reshape(-1, 3)
        hits = scene.hit(self._eye, ways)
        bare = np.ones(side * side, np.bool_)
        bare[pixels] = ~hits.found.reshape(-1, _COUNT).all(axis=1)
        if scene.empty:
            ground = self._ground.bare
        else:
            ground = self._ground.light(scene, self._shapes.mean, np.flatnonzero(bare), bare & (ids == 0))
        light = _squash(self._mean_albedo * ground * self._exposure)
        colours = self._albedo[pixels] * ground[pixels, None]
        sub = np.flatnonzero(hits.found)
        pattern = self._tile[pixels][sub // _COUNT] * _COUNT + sub % _COUNT
        colours.reshape(-1, 3)[sub] = self._object_light(scene, hits, ways[sub], pattern)
        light[pixels] = _squash(colours * self._exposure).mean(axis=1)
        return _srgb(light).reshape(side, side, 3), ids.reshape(side, side)

    def _on_table(self, ways: Floats) -> Floats:
        return np.asarray(self._eye + ways * (-self._eye[2] / ways[..., 2:3]), np.float32)

    def _table_albedo(self, texture: Floats, half: float) -> Floats:
        spots = self._on_table(self._rays.reshape(-1, 3))
        place = spots[:, :2] / (2 * half) + 0.5
        rows, columns = (np.full(len(place), side) for side in texture.shape[:2])
        flat = texture.reshape(-1, 3)
        colours = bilinear(flat, np.zeros(len(place), np.intp), rows, columns, place[:, 1], place[:, 0])
        return colours.reshape(-1, _COUNT, 3)

    def _all_around(self, scene: RayScene, spots: Floats, normals: Floats, pattern: Indices) -> Floats:
        """Light (N, 3) from the room, and from objects and table that rays around the normal hit."""
        total = np.zeros_like(spots)
        for number in range(_OBJECT_RAYS):
            ways = room_rays(normals, pattern, _OBJECT_RAYS, _PATTERNS, number)
            total += self._arriving(scene, spots, ways)
        return np.asarray(total / _OBJECT_RAYS, np.float32)

    def _arriving(self, scene: RayScene, spots: Floats, ways: Floats) -> Floats:
        """Roughly what comes back along rays: the room's light, or that of the thing in the way."""
        light = self._light.sky(ways)
        light[ways[:, 2] < -1e-3] = self._table_mean * self._bounce
        parts = scene.parts(spots, ways)
        hit = parts >= 0
        light[hit] = self._shapes.mean[parts[hit]] * self._bounce * 0.75
        return light

    def _object_light(self, scene: RayScene, hits: Hits, ways: Floats, pattern: Indices) -> Floats:
        """Radiance (N, 3) from points of objects towards the eye."""
        shapes = self._shapes
        albedo = shapes.albedo(hits.part, hits.uv)
        gloss, metal = shapes.gloss[hits.part], shapes.metal[hits.part][:, None]
        away = np.einsum("ij,ij->i", hits.normals, ways)[:, None] > 0
        normals = np.where(away, -hits.normals, hits.normals)
        spots = hits.spots + hits.flat * np.float32(_OFF)
        diffuse = self._all_around(scene, spots, normals, pattern)
        facing_eye = np.einsum("ij,ij->i", ways, normals)
        mirror = ways - 2 * facing_eye[:, None] * normals
        shine = self._arriving(scene, spots, mirror)
        rough = (1 - gloss) ** 2 * 0.55 + 0.03
        for lamp in self._light.lamps:
            share = lamp_share(scene, lamp, spots, pattern, _OBJECT_RAYS, _PATTERNS)[:, None]
            diffuse += facing(lamp, spots, normals) * share
            shine += glint(lamp, spots, mirror, rough) * share
        # Schlick's approximation of Fresnel's law; rough surfaces show less of it.
        fresnel = 0.04 + 0.5 * gloss * (1 - np.clip(-facing_eye, 0, 1)) ** 5
        dull = (fresnel * np.minimum(1, 0.25 + gloss))[:, None]
        mirrored = np.where(metal, albedo * 0.85, dull)
        return np.asarray(albedo * diffuse * np.where(metal, 0.18, 1.0) + mirrored * shine, np.float32)


def _squash(light: Floats) -> Floats:
    """Tone curve (Reinhard's, with white at 4): straight in the dark, bent towards 1 in the light."""
    return np.asarray(light * (1 + light / 16) / (1 + light), np.float32) * np.float32(1.35)


def _srgb(light: Floats) -> Picture:
    light = np.clip(light, 0, 1)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curve * 255), np.uint8)
