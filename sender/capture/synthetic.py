"""The source "synthetic": a street scene that needs no camera, the same for the same seed.

A camera pans and zooms over painted layers with parallax; cars, walkers, birds, a ball and a balloon move;
a clock runs in the corner, so that a frozen picture shows.
"""

from __future__ import annotations

import math
from typing import SupportsFloat, SupportsInt

import numpy as np
from numpy.typing import NDArray

from common.maps.legends import SYNTHETIC
from common.video import planes
from sender.capture.actors import Actor, Clock, cast
from sender.capture.paint import Layer
from sender.capture.scenery import far_layer, street_layer

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

_TALL = 1.72  # height of the world, in pictures
_LONG = 3.4  # its width
_NEAREST, _WIDEST = 1.15, 1.66  # world pixels per picture pixel, at the ends of the zoom
_FAR_PARALLAX = 0.4


class SyntheticScene:
    """Renders the picture of any index, in any order. Not safe for use by two threads at once.

    `width` and `height` are even and at least 64 pixels, `fps` is in pictures a second.
    """

    def __init__(self, width: int, height: int, fps: float, seed: int = 1) -> None:
        if min(width, height) < 64 or width % 2 or height % 2 or fps <= 0:
            raise ValueError(
                f"size: must be even and at least 64x64, fps above 0 (got {width}x{height}, {fps})"
            )
        self._width, self._height, self._fps = width, height, fps
        self._tall, self._long = _even(height * _TALL), _even(width * _LONG)
        rng = np.random.default_rng(seed)
        view = _even(width * _WIDEST)
        self._pan = self._long - view - 4
        far = far_layer(rng, self._tall, _even(view + 4 + self._pan * _FAR_PARALLAX))
        self._far = _opaque(Layer.of(far))
        self._street = Layer.of(street_layer(rng, self._tall, self._long))
        # Rows above every roof need no composition, rows below every gap are a copy.
        rest = self._street.rest[0]
        self._roofs = _down(np.argmin(rest.min(axis=1) == 256))
        self._ground = _even(self._tall - np.argmax(rest.max(axis=1)[::-1] > 0))
        self._solid = _opaque(self._street)
        self._actors = cast(rng, self._tall, self._long)
        self._clock = Clock(width, height)
        self._phase = float(rng.uniform(0, 2 * math.pi))

    def picture(self, index: int) -> NDArray[np.uint8]:
        """The I420 picture (height * 3 // 2, width) of this index; the caller owns it."""
        t = index / self._fps
        scale, left, top = self._camera(t)
        rows = min(self._tall, math.ceil(self._height * scale) + 4)
        columns = math.ceil(self._width * scale) + 4
        y, x = min(_down(top), self._tall - rows - rows % 2), _down(left)
        view = self._compose(t, y, x, rows + rows % 2, columns + columns % 2)
        picture = np.empty((self._height * 3 // 2, self._width), np.uint8)
        targets = planes(picture)
        for number, (source, target) in enumerate(zip(view, targets, strict=True)):
            step = 1 if number == 0 else 2
            _resample(source, target, (top - y) / step, (left - x) / step, scale)
        self._clock.draw(targets, t)
        return picture

    def maps(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Classes (common.maps.legends.SYNTHETIC) and instances (from 1, an actor each) of this index, (height, width).

        Any thread: it shares nothing with `picture` that changes.
        """
        t = index / self._fps
        scale, left, top = self._camera(t)
        rows = (top + (np.arange(self._height) + 0.5) * scale).astype(np.intp)
        columns = (left + (np.arange(self._width) + 0.5) * scale).astype(np.intp)
        rows, columns = np.minimum(rows, self._tall - 1), np.minimum(columns, self._long - 1)
        shown = np.zeros((self._height, self._width), np.uint16)
        for near in (False, True):
            for number, actor in enumerate(self._actors, 1):
                if (actor.parallax == 1.0) == near:
                    y, x = actor.place(t)
                    _stamp(
                        shown, actor.poses[actor.pose(t)], number, rows - round(y), columns, x, left, actor
                    )
            if not near:
                shown[self._street.rest[0][rows[:, None], columns] < 128] = 0
        above, beside, high, wide = self._clock.box
        shown[above : above + high, beside : beside + wide] = 0
        kinds = np.array([0, *(SYNTHETIC.classes.index(actor.kind) for actor in self._actors)], np.uint8)
        return kinds[shown], shown

    def _camera(self, t: float) -> tuple[float, float, float]:
        """World pixels per pixel, and the left and top of the view in the world."""
        swing = 0.5 + 0.42 * math.sin(0.21 * t + self._phase) + 0.06 * math.sin(0.67 * t)
        zoom = 0.5 + 0.5 * math.sin(0.31 * t + 0.7 + self._phase)
        scale = _NEAREST + (_WIDEST - _NEAREST) * zoom
        left = swing * self._pan + 0.5 * self._width * (_WIDEST - scale)
        tilt = 0.72 + 0.12 * math.sin(0.4 * t)
        shake = 1.2 * math.sin(2.3 * t) + 0.8 * math.sin(3.7 * t + 1.0)
        top = tilt * (self._tall - 6 - self._height * scale) + shake
        return scale, left, max(0.0, top)

    def _compose(self, t: float, y: int, x: int, rows: int, columns: int) -> Planes:
        """The world from (y, x), all even, in planes Y, U, V."""
        far_x = _down(x * _FAR_PARALLAX)
        above = max(0, min(rows, self._ground - y))  # rows that show the far layer somewhere
        world: list[NDArray[np.uint8]] = []
        for number in range(3):
            step = 1 if number == 0 else 2
            plane = np.empty((rows // step, columns // step), np.uint8)
            cut, v, h = above // step, y // step, x // step
            plane[:cut] = self._far[number][v : v + cut, far_x // step : far_x // step + columns // step]
            plane[cut:] = self._solid[number][v + cut : v + rows // step, h : h + columns // step]
            world.append(plane)
        view = (world[0], world[1], world[2])
        for actor in self._actors:
            if actor.parallax < 1.0:
                self._show(view, actor.poses[actor.pose(t)], actor.place(t), y, x * actor.parallax)
        self._compose_street(view, y, x, above)
        for actor in self._actors:
            if actor.parallax == 1.0:
                self._show(view, actor.poses[actor.pose(t)], actor.place(t), y, x)
        return view

    def _compose_street(self, view: Planes, y: int, x: int, above: int) -> None:
        first = max(0, self._roofs - y)
        for number, plane in enumerate(view):
            step = 1 if number == 0 else 2
            begin, end, columns = first // step, above // step, plane.shape[1]
            if end <= begin:
                continue
            v, h = y // step, x // step
            part = np.s_[v + begin : v + end, h : h + columns]
            mixed = plane[begin:end] * self._street.rest[min(number, 1)][part]
            mixed += self._street.ink[number][part]
            mixed >>= 8
            plane[begin:end] = mixed

    @staticmethod
    def _show(view: Planes, pose: Layer, place: tuple[float, float], y: int, x: float) -> None:
        pose.over(view, round(place[0] - y), round(place[1] - x))


def _stamp(
    shown: NDArray[np.uint16],
    pose: Layer,
    number: int,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    x: float,
    left: float,
    actor: Actor,
) -> None:
    """Writes the number where more than half of the picture is the actor's; `rows` count from its top."""
    across = columns - _down(left) - round(x - _down(left) * actor.parallax)
    v, h = (
        np.flatnonzero((at >= 0) & (at < side)) for at, side in ((rows, pose.height), (across, pose.width))
    )
    part = np.ix_(v, h)
    area = shown[part]
    area[pose.rest[0][np.ix_(rows[v], across[h])] < 128] = number
    shown[part] = area


def _resample(
    source: NDArray[np.uint8], target: NDArray[np.uint8], top: float, left: float, scale: float
) -> None:
    """Bilinear: target pixel (0, 0) is at (top, left) of the source, neighbours are `scale` apart."""
    rows, part = _taps(target.shape[0], top, scale, source.shape[0])
    mixed = source[rows] * (256 - part)[:, None]
    mixed += source[rows + 1] * part[:, None]
    mixed >>= 8
    columns, part = _taps(target.shape[1], left, scale, source.shape[1])
    wide = np.take(mixed, columns, axis=1) * (256 - part)
    wide += np.take(mixed, columns + 1, axis=1) * part
    wide >>= 8
    target[...] = wide


def _taps(count: int, start: float, scale: float, limit: int) -> tuple[NDArray[np.intp], NDArray[np.uint16]]:
    """Indices of the first of two neighbours, and the weight of the second in 1/256."""
    at = np.clip(start + (np.arange(count) + 0.5) * scale - 0.5, 0.0, limit - 1.01)
    first = at.astype(np.intp)
    return first, ((at - first) * 256).astype(np.uint16)


def _opaque(layer: Layer) -> Planes:
    y, u, v = ((plane >> 8).astype(np.uint8) for plane in layer.ink)
    return y, u, v


def _even(value: SupportsFloat) -> int:
    return 2 * math.ceil(float(value) / 2)


def _down(value: SupportsInt) -> int:
    return 2 * (int(value) // 2)
