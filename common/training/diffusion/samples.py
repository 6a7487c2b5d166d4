"""Seeded random crops of the corpus: what one sample of a stage is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from common.maps.base import VOID
from common.models.diffusion import vocabulary
from common.training.diffusion.corpus import Source

PANS = 10.0  # most pixels a frame that a window moves over a still picture
LONG = 96  # a source counts as its pictures do, up to so many


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample is cut: pictures `rows` of a source, a square at (`top`[i], `left`[i]) each."""

    source: int
    rows: NDArray[np.int64]
    top: NDArray[np.int64]
    left: NDArray[np.int64]


class Sampler:
    """Draws places; everything comes from the generator that is handed in.

    `shares`: of each kind, how often it is drawn; `caps`: name prefix -> weight of a source."""

    def __init__(
        self, sources: list[Source], shares: dict[str, float], caps: dict[str, float], size: int
    ) -> None:
        self.sources, self.size = sources, size
        weights = np.zeros(len(sources))
        for kind, share in shares.items():
            own = np.array([self._weight(s, caps) if s.facts.kind == kind else 0.0 for s in sources])
            if own.sum():
                weights += share * own / own.sum()
        if not weights.sum():
            raise ValueError(f"no source of the corpus is of a kind in {sorted(shares)}, {size} pixels or more")
        self._weights = weights / weights.sum()

    def _weight(self, source: Source, caps: dict[str, float]) -> float:
        if min(source.frames.shape[1:3]) < self.size:
            return 0.0
        cap = next((weight for prefix, weight in caps.items() if source.name.startswith(prefix)), 1.0)
        return min(source.frames.shape[0], LONG * (4 if source.facts.still else 1)) * cap

    def draw(self, rng: Generator, length: int, step: int = 1) -> Place:
        """`length` pictures in a row, the square on a grid of `step` pixels. Over stills, and where a source is too
        short, the square moves instead."""
        which = int(rng.choice(len(self.sources), p=self._weights))
        source = self.sources[which]
        count, height, width = source.frames.shape[:3]
        room = np.array([height - self.size, width - self.size])
        still = source.facts.still or count < length
        if still:
            rows = np.full(length, rng.integers(count))
        else:
            rows = rng.integers(count - length + 1) + np.arange(length)
            if rng.random() < 0.3:
                rows = rows[::-1]
        speed = rng.uniform(-PANS, PANS, 2) if still or rng.random() < 0.1 else np.zeros(2)
        origin = rng.integers(0, room + 1)
        path = np.clip(origin + np.arange(length)[:, None] * speed, 0, room).astype(np.int64) // step * step
        return Place(which, rows, path[:, 0], path[:, 1])

    def pictures(self, place: Place) -> NDArray[np.uint8]:
        """(T, S, S, 3)."""
        frames, size = self.sources[place.source].frames, self.size
        return np.stack(
            [frames[n, y : y + size, x : x + size] for n, y, x in zip(place.rows, place.top, place.left, strict=True)]
        )

    def labels(self, place: Place) -> NDArray[np.uint8]:
        """(T, S, S) in the shared space, VOID where nothing is known."""
        drawn, size = self.sources[place.source].labels, self.size
        if drawn is None:
            return np.full((len(place.rows), size, size), VOID, np.uint8)
        return np.stack(
            [drawn[n, y : y + size, x : x + size] for n, y, x in zip(place.rows, place.top, place.left, strict=True)]
        )


def matte(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same map as a matte would show it: things before what lies behind them."""
    table = np.full(256, VOID, np.uint8)
    table[: len(vocabulary.STREET_NAMES)] = vocabulary.BACKGROUND
    for name in ("car", "pedestrian", "bicyclist"):
        table[vocabulary.STREET_NAMES.index(name)] = vocabulary.FOREGROUND
    table[vocabulary.OBJECTS : vocabulary.CLASSES] = vocabulary.FOREGROUND
    table[vocabulary.OBJECTS] = vocabulary.BACKGROUND
    table[vocabulary.BACKGROUND], table[vocabulary.FOREGROUND] = vocabulary.BACKGROUND, vocabulary.FOREGROUND
    return np.asarray(table[labels])


def varied(pictures: NDArray[np.uint8], rng: Generator, zoom: float) -> NDArray[np.uint8]:
    """(T, S, S, 3) mirrored, lit otherwise, and scaled up from its middle by up to `zoom`, all frames alike."""
    if rng.random() < 0.5:
        pictures = pictures[:, :, ::-1]
    size = pictures.shape[1]
    part = int(round(size / rng.uniform(1.0, zoom)))
    if part < size:
        edge = (size - part) // 2
        cut = pictures[:, edge : edge + part, edge : edge + part]
        pictures = np.stack([cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR) for picture in cut])
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    lit = (pictures.astype(np.float32) - 118.0) * gain + 118.0 + rng.uniform(-12, 12)
    return np.clip(lit, 0, 255).astype(np.uint8)
