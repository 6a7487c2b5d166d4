"""A pinhole camera above the table, and the light of the room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Camera:
    """A square picture of `size` pixels; `turn` has the camera's right, down and forward as its rows."""

    size: int
    position: NDArray[np.float64]
    turn: NDArray[np.float64]
    focal: float
    """Pixels."""

    def rays(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Floats:
        """Unit directions (N, 3) through points of the picture, in pixels from its top left corner."""
        half = self.size / 2
        local = np.stack([(x - half) / self.focal, (y - half) / self.focal, np.ones_like(x)], -1)
        way = local @ self.turn
        return np.asarray(way / np.linalg.norm(way, axis=-1, keepdims=True), np.float32)

    def project(self, points: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixel columns and rows of points (N, 3); far away from the picture for points behind the camera."""
        local = (points - self.position) @ self.turn.T
        depth = np.maximum(local[:, 2], 1e-3)
        return local[:, 0] / depth * self.focal + self.size / 2, local[
            :, 1
        ] / depth * self.focal + self.size / 2


def overhead(rng: Generator, size: int) -> Camera:
    """Looking down at the middle of the table from 0.9 to 1.2 m, tilted by up to 7 degrees, any way round."""
    height, tilt, spin = rng.uniform(0.95, 1.2), np.radians(rng.uniform(0, 7)), rng.uniform(0, 2 * np.pi)
    toward = rng.uniform(0, 2 * np.pi)
    forward = np.array([np.sin(tilt) * np.cos(toward), np.sin(tilt) * np.sin(toward), -np.cos(tilt)])
    middle = np.array([*rng.uniform(-0.02, 0.02, 2), 0.0])
    up = np.array([np.cos(spin), np.sin(spin), 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    half_width = rng.uniform(0.29, 0.34)  # metres of table from the middle to the edge of the picture
    distance = height / np.cos(tilt)
    return Camera(size, middle - forward * distance, turn, size / 2 * distance / half_width)


@dataclass(frozen=True, slots=True)
class Lamp:
    """A ball of light."""

    position: Floats
    radius: float
    colour: Floats
    """Irradiance that a surface gets at one metre, facing it."""


@dataclass(frozen=True, slots=True)
class Light:
    """Lamps and what comes from everywhere else."""

    lamps: tuple[Lamp, ...]
    ambient: Floats

    def sky(self, way: Floats) -> Floats:
        """(N, 3) radiance that comes from directions (N, 3) without the lamps: brighter above."""
        return self.ambient * (0.72 + 0.28 * way[:, 2:3])


def room(rng: Generator) -> Light:
    """One or two lamps, warm to cold, small or large, and the walls' light."""
    lamps = []
    for number in range(int(rng.integers(1, 3))):
        away, around = np.radians(rng.uniform(18, 55)), rng.uniform(0, 2 * np.pi)
        distance = rng.uniform(1.3, 2.2)
        place = distance * np.array(
            [np.sin(away) * np.cos(around), np.sin(away) * np.sin(around), np.cos(away)]
        )
        strength = (rng.uniform(2.6, 4.2) if number == 0 else rng.uniform(0.6, 1.8)) * distance**2
        lamps.append(Lamp(place.astype(np.float32), rng.uniform(0.04, 0.3), strength * _tint(rng)))
    return Light(tuple(lamps), rng.uniform(0.35, 1.0) * _tint(rng))


def _tint(rng: Generator) -> Floats:
    warm = rng.uniform(-1, 1)
    return np.array([1 + 0.14 * warm, 1.0, 1 - 0.18 * warm], np.float32)
