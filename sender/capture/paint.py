"""Brushes for the synthetic scene: noise, shapes with soft edges, and layers in planar YUV.

Everything is drawn once, when the scene is made. Colours are RGB in 0..1; a picture being painted is an
array (height, width, 4) of float32: red, green, blue and alpha.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.float32]
Plane = NDArray[np.float32]
Colour = tuple[float, float, float]


def rgb(red: float, green: float, blue: float) -> NDArray[np.float32]:
    """A colour as an array of 3."""
    return np.array((red, green, blue), np.float32)


def blank(height: int, width: int) -> Canvas:
    """A transparent canvas."""
    return np.zeros((height, width, 4), np.float32)


def noise(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 4) -> Plane:
    """Smooth fractal noise in 0..1, (height, width); the coarsest detail is `cell` pixels."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for _ in range(octaves):
        total += np.float32(weight) * _value_noise(rng, height, width, max(1.0, cell))
        weight *= 0.55
        cell /= 2.0
    low, high = float(total.min()), float(total.max())
    return (total - np.float32(low)) / np.float32(max(high - low, 1e-6))


def _value_noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Plane:
    grid = rng.random((int(height / cell) + 3, int(width / cell) + 3), np.float32)
    y, x = np.arange(height, dtype=np.float32) / cell, np.arange(width, dtype=np.float32) / cell
    top, left = y.astype(np.intp), x.astype(np.intp)
    fy, fx = (y - top)[:, None], (x - left)[None, :]
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    rows = grid[top] * (1 - fy) + grid[top + 1] * fy
    return np.asarray(rows[:, left] * (1 - fx) + rows[:, left + 1] * fx, np.float32)


def lay(
    canvas: Canvas, coverage: Plane, colour: Colour | NDArray[np.float32], top: int = 0, left: int = 0
) -> None:
    """Paints `colour` (one, or one a pixel) over the canvas where coverage (0..1) says so.

    The brush may stick out of the canvas on every side.
    """
    height, width = coverage.shape
    y0, x0 = max(0, -top), max(0, -left)
    y1, x1 = min(height, canvas.shape[0] - top), min(width, canvas.shape[1] - left)
    if y1 <= y0 or x1 <= x0:
        return
    part = coverage[y0:y1, x0:x1, None]
    ink = np.asarray(colour, np.float32)
    if ink.ndim == 3:
        ink = ink[y0:y1, x0:x1]
    area = canvas[top + y0 : top + y1, left + x0 : left + x1]
    under = area[..., 3:] * (1 - part)
    alpha = part + under
    area[..., :3] = (ink * part + area[..., :3] * under) / np.maximum(alpha, 1e-6)
    area[..., 3:] = alpha


def ellipse(height: int, width: int, cy: float, cx: float, ry: float, rx: float) -> Plane:
    """Coverage of an ellipse with an edge one pixel soft."""
    y, x = np.ogrid[:height, :width]
    distance = np.sqrt(((y + 0.5 - cy) / ry) ** 2 + ((x + 0.5 - cx) / rx) ** 2)
    return np.clip((1.0 - distance) * min(ry, rx) + 0.5, 0.0, 1.0).astype(np.float32)


def box(height: int, width: int, y0: float, x0: float, y1: float, x1: float, radius: float = 0.0) -> Plane:
    """Coverage of a rectangle with rounded corners and an edge one pixel soft."""
    y, x = np.ogrid[:height, :width]
    dy = np.abs(y + 0.5 - (y0 + y1) / 2) - (y1 - y0) / 2 + radius
    dx = np.abs(x + 0.5 - (x0 + x1) / 2) - (x1 - x0) / 2 + radius
    outside = np.hypot(np.maximum(dy, 0.0), np.maximum(dx, 0.0)) + np.minimum(np.maximum(dy, dx), 0.0)
    return np.clip(radius - outside + 0.5, 0.0, 1.0).astype(np.float32)


def shaded(height: int, width: int, colour: Colour, light: float = 0.35) -> NDArray[np.float32]:
    """A colour per pixel, lit from above and a little from the left."""
    y, x = np.ogrid[:height, :width]
    shade = 1.0 + light * (0.5 - y / height) + 0.4 * light * (0.5 - x / width)
    return np.clip(np.asarray(colour, np.float32) * shade[..., None].astype(np.float32), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Layer:
    """A painted picture ready to be composed: Y at full size, U and V at half, limited range.

    `ink` holds each plane times its coverage, `rest` what is left for the picture below (0..256), both
    uint16, so that a composition is (below * rest + ink) >> 8.
    """

    height: int
    width: int
    ink: tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]
    rest: tuple[NDArray[np.uint16], NDArray[np.uint16]]

    @classmethod
    def of(cls, canvas: Canvas) -> Layer:
        """Converts a canvas (even height and width) with BT.601."""
        height, width = canvas.shape[:2]
        alpha = np.clip(canvas[..., 3], 0.0, 1.0)
        red, green, blue = (np.clip(canvas[..., i], 0.0, 1.0) for i in range(3))
        luma = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
        blues = 128 - 37.797 * red - 74.203 * green + 112.0 * blue
        reds = 128 + 112.0 * red - 93.786 * green - 18.214 * blue
        half = _halved(alpha)
        ink = (
            _ink(luma * alpha),
            _ink(_halved(blues * alpha)),
            _ink(_halved(reds * alpha)),
        )
        return cls(height, width, ink, (_rest(alpha), _rest(half)))

    def over(self, planes: tuple[NDArray[np.uint8], ...], top: int, left: int) -> None:
        """Composes the layer onto the three planes at (top, left) of the luma plane; it may stick out."""
        for index, plane in enumerate(planes):
            step = 1 if index == 0 else 2
            ink, rest = self.ink[index], self.rest[min(index, 1)]
            y, x = top // step, left // step
            y0, x0 = max(0, -y), max(0, -x)
            y1, x1 = min(ink.shape[0], plane.shape[0] - y), min(ink.shape[1], plane.shape[1] - x)
            if y1 <= y0 or x1 <= x0:
                continue
            area = plane[y + y0 : y + y1, x + x0 : x + x1]
            mixed = area * rest[y0:y1, x0:x1]
            mixed += ink[y0:y1, x0:x1]
            mixed >>= 8
            area[...] = mixed


def _halved(plane: Plane) -> Plane:
    height, width = plane.shape
    return np.asarray(plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)), np.float32)


def _ink(plane: Plane) -> NDArray[np.uint16]:
    return np.round(plane * 256).astype(np.uint16)


def _rest(alpha: Plane) -> NDArray[np.uint16]:
    return np.round((1 - alpha) * 256).astype(np.uint16)
