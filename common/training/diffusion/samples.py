"""Seeded random crops of the corpus: what one sample of a stage is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from common.maps.base import VOID
from common.models.diffusion import vocabulary
from common.training.diffusion.corpus import CorpusError, Source

LONG = 96  # a source counts as its pictures do, up to so many


class Sampler:
    """Draws squares of `size` pixels; everything comes from the generator that is handed in.

    `shares`: of each kind, how often it is drawn; `caps`: name prefix -> weight of a source."""

    def __init__(
        self, sources: list[Source], shares: dict[str, float], caps: dict[str, float], size: int
    ) -> None:
        """Raises CorpusError where no source can be drawn."""
        self.sources, self.size = sources, size
        weights = np.zeros(len(sources))
        for kind, share in shares.items():
            own = np.array([self._weight(s, caps) if s.facts.kind == kind else 0.0 for s in sources])
            if own.sum():
                weights += share * own / own.sum()
        if not weights.sum():
            raise CorpusError(
                f"no source of the corpus is of a kind in {sorted(shares)}, {size} pixels or more"
            )
        self._weights = weights / weights.sum()

    def _weight(self, source: Source, caps: dict[str, float]) -> float:
        if min(source.frames.shape[1:3]) < self.size:
            return 0.0
        cap = next((weight for prefix, weight in caps.items() if source.name.startswith(prefix)), 1.0)
        return float(cap * min(source.frames.shape[0], LONG * (4 if source.facts.still else 1)))

    def which(self, rng: Generator) -> int:
        """A source."""
        return int(rng.choice(len(self.sources), p=self._weights))

    def draw(self, rng: Generator) -> NDArray[np.uint8]:
        """(S, S, 3): a square of one picture."""
        frames = self.sources[self.which(rng)].frames
        row, top, left = (
            int(rng.integers(n)) for n in (len(frames), *(s - self.size + 1 for s in frames.shape[1:3]))
        )
        return np.asarray(frames[row, top : top + self.size, left : left + self.size])


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


def varied(picture: NDArray[np.uint8], rng: Generator, zoom: float) -> NDArray[np.uint8]:
    """(S, S, 3) mirrored, lit otherwise, and scaled up from its middle by up to `zoom`."""
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    size = picture.shape[0]
    part = round(size / rng.uniform(1.0, zoom))
    edge = (size - part) // 2
    cut = np.ascontiguousarray(picture[edge : edge + part, edge : edge + part])
    if part < size:
        cut = np.asarray(cv2.resize(cut, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    lit = (cut.astype(np.float32) - 118.0) * gain + 118.0 + rng.uniform(-12, 12)
    return np.clip(lit, 0, 255).astype(np.uint8)
