"""What moves in the synthetic scene: cars, walkers, a bouncing ball, a balloon, birds; and the clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.font import text_mask
from sender.capture.paint import Canvas, Colour, Layer, blank, box, ellipse, lay, rgb, shaded
from sender.capture.scenery import KERB, VERGE


@dataclass(frozen=True, slots=True)
class Actor:
    """Something that moves: its poses, the place of its top left corner (y, x) and its pose at a time.

    Places are pixels of the street's world; `parallax` tells how far the camera's pan moves it.
    """

    poses: tuple[Layer, ...]
    place: Callable[[float], tuple[float, float]]
    pose: Callable[[float], int]
    parallax: float = 1.0
    kind: str = ""
    """What it is: a class of common.maps.legends.SYNTHETIC."""


def cast(rng: np.random.Generator, height: int, width: int) -> list[Actor]:
    """Everybody, from back to front, for a world of this size."""
    lap = width * 1.3
    actors = [
        _balloon(height, width),
        *(_bird(height, width, float(rng.uniform(0, 1)), k) for k in range(3)),
    ]
    for k, (colour, speed) in enumerate((((0.75, 0.2, 0.3), 0.055), ((0.2, 0.35, 0.7), -0.045))):
        actors.append(_walker(height, lap, colour, speed * height, float(rng.uniform(0, lap)) + k * lap / 2))
    far_lane, near_lane = height * (KERB + 0.075), height * (VERGE - 0.005)
    traffic: list[tuple[Colour, float, float, float, float]] = [
        ((0.93, 0.75, 0.15), -0.24, far_lane, 0.20, 0.0),
        ((0.30, 0.55, 0.80), -0.24, far_lane, 0.21, 0.45),
        ((0.88, 0.18, 0.16), 0.33, near_lane, 0.25, 0.1),
        ((0.92, 0.92, 0.94), 0.33, near_lane, 0.38, 0.38),
        ((0.16, 0.42, 0.30), 0.33, near_lane, 0.25, 0.75),
    ]
    for colour, speed, lane, length, start in traffic:
        actors.append(_car(height, lap, colour, speed * height, lane, length * height, start * lap))
    actors.append(_ball(height, lap))
    return actors


def _across(start: float, speed: float, lap: float, margin: float) -> Callable[[float], float]:
    return lambda t: (start + speed * t) % lap - margin


def _even(value: float) -> int:
    return max(4, 2 * math.ceil(value / 2))


def _car(
    height: int, lap: float, colour: Colour, speed: float, lane: float, length: float, start: float
) -> Actor:
    van = length > 0.3 * height
    tall, wide = _even(length * (0.42 if van else 0.40)), _even(length)
    wheel = tall * 0.17
    poses = []
    for step in range(6):
        canvas = blank(tall, wide)
        shadow = ellipse(tall, wide, tall * 0.95, wide * 0.5, tall * 0.06, wide * 0.49)
        lay(canvas, shadow * np.float32(0.5), (0.05, 0.05, 0.07))
        paint = shaded(tall, wide, colour, 0.9)
        if van:
            lay(canvas, box(tall, wide, tall * 0.04, wide * 0.02, tall * 0.86, wide * 0.97, 5.0), paint)
            lay(
                canvas, box(tall, wide, tall * 0.48, wide * 0.02, tall * 0.58, wide * 0.97), (0.2, 0.45, 0.75)
            )
            panes = [(0.06, 0.20), (0.24, 0.40), (0.44, 0.60), (0.64, 0.80), (0.85, 0.96)]
        else:
            lay(
                canvas, box(tall, wide, tall * 0.08, wide * 0.22, tall * 0.6, wide * 0.80, tall * 0.22), paint
            )
            lay(
                canvas,
                box(tall, wide, tall * 0.40, wide * 0.01, tall * 0.84, wide * 0.99, tall * 0.14),
                paint,
            )
            panes = [(0.29, 0.49), (0.53, 0.74)]
        for x0, x1 in panes:
            glass = box(tall, wide, tall * 0.15, wide * x0, tall * 0.41, wide * x1, 2.0)
            lay(canvas, glass, shaded(tall, wide, (0.42, 0.55, 0.66), 1.2))
        lay(
            canvas,
            box(tall, wide, tall * 0.56, wide * 0.955, tall * 0.66, wide * 0.99, 1.0),
            (1.0, 0.95, 0.7),
        )
        lay(
            canvas, box(tall, wide, tall * 0.56, wide * 0.01, tall * 0.66, wide * 0.035, 1.0), (0.8, 0.1, 0.1)
        )
        for hub in (wide * 0.2, wide * 0.79):
            _wheel(canvas, tall * 0.82, hub, wheel, step * math.pi / 9)
        poses.append(Layer.of(canvas if speed > 0 else np.ascontiguousarray(canvas[:, ::-1])))
    turn = abs(speed) / wheel / (math.pi / 9)
    across = _across(start, speed, lap, length)
    return Actor(tuple(poses), lambda t: (lane - tall, across(t)), lambda t: int(t * turn) % 6, kind="car")


def _wheel(canvas: Canvas, cy: float, cx: float, radius: float, angle: float) -> None:
    tall, wide = canvas.shape[:2]
    lay(canvas, ellipse(tall, wide, cy, cx, radius, radius), (0.08, 0.08, 0.09))
    lay(canvas, ellipse(tall, wide, cy, cx, radius * 0.6, radius * 0.6), (0.75, 0.76, 0.78))
    for spoke in range(3):
        turned = angle + spoke * 2 * math.pi / 3
        y, x = cy + radius * 0.38 * math.sin(turned), cx + radius * 0.38 * math.cos(turned)
        lay(canvas, ellipse(tall, wide, y, x, radius * 0.16, radius * 0.16), (0.2, 0.2, 0.22))


def _walker(height: int, lap: float, colour: Colour, speed: float, start: float) -> Actor:
    tall = _even(height * 0.15)
    wide = _even(tall * 0.6)
    middle = wide / 2
    poses = []
    for step in range(8):
        canvas = blank(tall, wide)
        swing = math.sin(step * math.pi / 4)
        for sign, tone in ((-1, 0.8), (1, 1.0)):
            for part in np.linspace(0, 1, 14):
                y = tall * (0.58 + 0.38 * part)
                leg = ellipse(
                    tall, wide, y, middle + sign * swing * part * wide * 0.28, tall * 0.04, tall * 0.04
                )
                lay(canvas, leg, (0.16 * tone, 0.18 * tone, 0.30 * tone))
                arm = ellipse(
                    tall,
                    wide,
                    tall * (0.27 + 0.26 * part),
                    middle - sign * swing * part * wide * 0.24,
                    1.8,
                    1.8,
                )
                lay(canvas, arm, (colour[0] * tone * 0.9, colour[1] * tone * 0.9, colour[2] * tone * 0.9))
        body = box(
            tall, wide, tall * 0.22, middle - wide * 0.17, tall * 0.62, middle + wide * 0.17, wide * 0.12
        )
        lay(canvas, body, shaded(tall, wide, colour, 0.7))
        lay(canvas, ellipse(tall, wide, tall * 0.13, middle, tall * 0.085, tall * 0.075), (0.86, 0.66, 0.52))
        lay(canvas, ellipse(tall, wide, tall * 0.085, middle, tall * 0.05, tall * 0.08), (0.25, 0.17, 0.12))
        poses.append(Layer.of(canvas))
    foot = height * (KERB - 0.008)
    across = _across(start, speed, lap, wide)
    pace = abs(speed) / (0.16 * tall)
    return Actor(
        tuple(poses), lambda t: (foot - tall, across(t)), lambda t: int(t * pace * 2) % 8, kind="walker"
    )


def _ball(height: int, lap: float) -> Actor:
    size = _even(height * 0.085)
    radius = size / 2 - 1
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    depth = np.sqrt(np.maximum(0.0, radius**2 - y**2 - x**2))
    light = np.clip(0.35 + 0.75 * (-0.5 * x - 0.7 * y + 0.6 * depth) / radius, 0.15, 1.25)
    cover = ellipse(size, size, size / 2, size / 2, radius, radius)
    poses = []
    for step in range(12):
        angle = np.arctan2(y, x) + step * math.pi / 18
        red = (np.floor(angle / (math.pi / 3)) % 2)[..., None]
        base = red * rgb(0.92, 0.25, 0.12) + (1 - red) * rgb(0.98, 0.93, 0.85)
        canvas = blank(size, size)
        lay(canvas, cover, np.clip(base * light[..., None], 0, 1).astype(np.float32))
        poses.append(Layer.of(canvas))
    across = _across(lap * 0.4, height * 0.16, lap, size)

    def place(t: float) -> tuple[float, float]:
        phase = (t % 0.9) / 0.9
        return height * (0.975 - 0.17 * 4 * phase * (1 - phase)) - size, across(t)

    return Actor(tuple(poses), place, lambda t: int(t * 14) % 12, kind="ball")


def _balloon(height: int, width: int) -> Actor:
    tall, wide = _even(height * 0.2), _even(height * 0.15)
    canvas = blank(tall, wide)
    y, x = np.mgrid[:tall, :wide]
    cy, cx, radius = tall * 0.4, wide / 2, wide * 0.46
    across = np.clip((x + 0.5 - cx) / np.sqrt(np.maximum(1.0, radius**2 - (y - cy) ** 2)), -1, 1)
    stripe = (np.floor(np.arcsin(across) / (math.pi / 7)) % 2)[..., None]
    base = stripe * rgb(0.95, 0.72, 0.18) + (1 - stripe) * rgb(0.80, 0.20, 0.38)
    light = (1.1 - 0.5 * np.hypot(x - cx * 0.7, y - cy * 0.7) / radius)[..., None]
    basket = box(tall, wide, tall * 0.88, cx - wide * 0.09, tall * 0.98, cx + wide * 0.09, 1.0)
    for sign in (-1, 1):
        rope = box(
            tall, wide, tall * 0.68, cx + sign * wide * 0.08 - 0.6, tall * 0.9, cx + sign * wide * 0.08 + 0.6
        )
        lay(canvas, rope, (0.3, 0.25, 0.2))
    lay(canvas, basket, (0.45, 0.30, 0.18))
    cover = ellipse(tall, wide, cy, cx, tall * 0.385, radius)
    lay(canvas, cover, np.clip(base * light, 0, 1).astype(np.float32))

    def place(t: float) -> tuple[float, float]:
        y = height * (0.13 + 0.035 * math.sin(t * 0.7))
        return y, width * (0.30 + 0.12 * math.sin(t * 0.23))

    return Actor((Layer.of(canvas),), place, lambda t: 0, parallax=0.6, kind="balloon")


def _bird(height: int, width: int, start: float, number: int) -> Actor:
    tall, wide = _even(height * 0.03), _even(height * 0.06)
    poses = []
    for step in range(6):
        canvas = blank(tall, wide)
        lift = math.sin(step * math.pi / 3)
        for part in np.linspace(-1, 1, 25):
            y = tall * (0.5 - 0.36 * lift * abs(part) ** 0.8)
            lay(
                canvas,
                ellipse(tall, wide, y, wide * (0.5 + 0.45 * part), 1.5 - 0.6 * abs(part), 1.8),
                (0.1, 0.1, 0.14),
            )
        poses.append(Layer.of(canvas))
    across = _across(start * width + number * height * 0.07, height * 0.12, width, wide)

    def place(t: float) -> tuple[float, float]:
        return height * (0.17 + 0.03 * number + 0.015 * math.sin(t * 1.3 + number)), across(t)

    return Actor(tuple(poses), place, lambda t: int(t * 11 + number * 2) % 6, parallax=0.6, kind="bird")


class Clock:
    """A running clock, minutes:seconds.tenths, drawn into a luma plane in a dark box."""

    def __init__(self, width: int, height: int) -> None:
        self._dot = max(1, min(width // 80, height // 48))
        self._glyphs = {sign: self._enlarged(sign) for sign in "0123456789:."}

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Top, left, height and width of what it covers, in pixels."""
        dot, edge = self._dot, 2 * self._dot
        high, wide = 2 * edge + 7 * dot, 2 * edge + (6 * len("00:00.0") - 1) * dot
        return 2 * dot, 2 * dot, high + high % 2, wide + wide % 2

    def _enlarged(self, sign: str) -> NDArray[np.uint8]:
        dots = text_mask(sign, self._dot)[:, : 5 * self._dot]
        return np.where(dots, np.uint8(235), np.uint8(20))

    def draw(self, planes: tuple[NDArray[np.uint8], ...], seconds: float) -> None:
        """Writes the time into the top left corner of the planes Y, U, V."""
        tenths = int(seconds * 10 + 1e-6)
        text = f"{tenths // 600 % 100:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
        dot, edge = self._dot, 2 * self._dot
        top, left, high, wide = self.box
        planes[0][top : top + high, left : left + wide] = 20
        for plane in planes[1:]:
            plane[top // 2 : (top + high) // 2, left // 2 : (left + wide) // 2] = 128
        for position, glyph in enumerate(text):
            x = left + edge + position * 6 * dot
            planes[0][top + edge : top + edge + 7 * dot, x : x + 5 * dot] = self._glyphs[glyph]
