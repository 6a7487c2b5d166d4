"""Clips: consecutive pictures of a source, what a receiver gets of them, and their latents, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Event

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from common.maps.base import VOID
from common.training.diffusion import degrade
from common.training.diffusion.config import DataConfig, DegradeConfig
from common.training.diffusion.corpus import Source
from common.training.diffusion.samples import Sampler, matte
from common.training.diffusion.store import Arrays, Store, fill

CELL = 8  # pixels of a side of a latent sample
PAN = 6.0  # most pixels a frame that a still picture is moved
ZOOM = 0.02  # most that it grows or shrinks a frame

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float16]]
"""(N, S, S, 3) -> latents (N, c, S/8, S/8)."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What a sample is. Trust as bytes, 255 received .. 0 nothing known, at the latents' size."""

    clean: NDArray[np.uint8]  # (T, S, S, 3)
    degraded: NDArray[np.uint8]  # (T, S, S, 3)
    labels: NDArray[np.uint8]  # (T, S, S), as received
    texture_trust: NDArray[np.uint8]  # (T, S/8, S/8)
    control_trust: NDArray[np.uint8]  # (T, S/8, S/8)


def window(
    source: Source, rng: Generator, frames: int, stands: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
    """`frames` whole pictures in a row, their labels, their rate; of stills, or too short a source, one under a camera
    that moves, or with the probability `stands` does not."""
    count = source.frames.shape[0]
    if source.facts.still or count < frames:
        moves = float(rng.random() >= stands)
        return *_moved(source, int(rng.integers(count)), rng, frames, moves), 10.0
    first = int(rng.integers(count - frames + 1))
    pictures = np.asarray(source.frames[first : first + frames])
    labels = _labels(source, slice(first, first + frames), pictures)
    return pictures, labels, source.facts.fps


def _labels(source: Source, rows: slice, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if source.labels is None:
        return np.full(pictures.shape[:3], VOID, np.uint8)
    return np.asarray(source.labels[rows])


def _moved(
    source: Source, row: int, rng: Generator, frames: int, moves: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A still picture under a camera that pans and zooms evenly, `moves` times as fast as it may."""
    picture = np.asarray(source.frames[row])
    drawn = _labels(source, slice(row, row + 1), picture[None])[0]
    height, width = drawn.shape
    speed, growth = moves * rng.uniform(-PAN, PAN, 2), moves * rng.uniform(-ZOOM, ZOOM)
    size, middle = (width, height), np.array([width, height]) / 2
    pictures, labels = [], []
    for step in np.arange(frames) - frames / 2:
        scale = 1.15 * (1 + growth) ** step
        shift = middle - scale * (middle + speed * step / scale)
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        pictures.append(
            cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        )
        labels.append(
            cv2.warpAffine(drawn, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
        )
    return np.stack(pictures).astype(np.uint8), np.stack(labels).astype(np.uint8)


def draw(sampler: Sampler, rng: Generator, frames: int, data: DataConfig, settings: DegradeConfig) -> Clip:
    """A clip and what is received of it: degraded whole, as a sender would, then cut."""
    pictures, labels, fps = window(sampler.sources[sampler.which(rng)], rng, frames, data.stands)
    if rng.random() < 0.5:
        pictures, labels = pictures[:, :, ::-1], labels[:, :, ::-1]
    if rng.random() < 0.3:
        pictures, labels = pictures[::-1], labels[::-1]
    if rng.random() < data.matte:
        labels = matte(labels)
    pictures, labels = np.ascontiguousarray(pictures), np.ascontiguousarray(labels)
    shown = degrade.texture(pictures, fps, rng, settings)
    drawn = degrade.labels(labels, fps, rng, settings)
    size = sampler.size
    top, left = (int(rng.integers((side - size) // CELL + 1)) * CELL for side in labels.shape[1:])
    place = (slice(None), slice(top, top + size), slice(left, left + size))
    known = np.where((labels == VOID).all(), 0, 1)
    return Clip(
        pictures[place],
        shown.values[place],
        drawn.values[place],
        _cells(shown.trust, labels.shape[1:], place),
        _cells(drawn.trust * known, labels.shape[1:], place),
    )


def _cells(
    trust: NDArray[np.float32], size: tuple[int, ...], place: tuple[slice, slice, slice]
) -> NDArray[np.uint8]:
    """Trust of blocks of 16x16 as bytes of latent samples, cut as the pictures are."""
    fine = trust.repeat(2, 1).repeat(2, 2)
    cut = fine[:, *(slice(part.start // CELL, part.stop // CELL) for part in place[1:])]
    return np.asarray(np.round(cut * 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Batch:
    """B clips of T frames."""

    clean: NDArray[np.float16]  # (B, T, c, h, w)
    degraded: NDArray[np.float16]
    labels: NDArray[np.uint8]  # (B, T, S, S)
    texture_trust: NDArray[np.uint8]  # (B, T, h, w)
    control_trust: NDArray[np.uint8]


class Latents:
    """Clips on disk; `make` fills them, `batch` draws from those that are there."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError where nothing was made yet."""
        stored = Store(folder)
        self.count, self._arrays = stored.count, stored.arrays
        self.scale = _scale(self._arrays["clean"], self.count)

    def batch(self, rng: Generator, count: int, frames: int | None = None) -> Batch:
        """`count` clips, `frames` frames in a row of each (None: all)."""
        rows = rng.integers(self.count, size=count)
        longest = self._arrays["clean"].shape[1]
        length = longest if frames is None else min(frames, longest)
        begin = rng.integers(longest - length + 1, size=count)
        return Batch(
            **{
                name: np.stack([array[row, b : b + length] for row, b in zip(rows, begin, strict=True)])
                for name, array in self._arrays.items()
            }
        )

    def clip(self, row: int) -> Batch:
        """One whole clip, as a batch."""
        return Batch(**{name: np.asarray(array[row : row + 1]) for name, array in self._arrays.items()})


def make(
    folder: Path, count: int, frames: int, key: str, one: Callable[[int], Clip], encode: Encode, stop: Event
) -> bool:
    """Fill `folder` with `count` clips, see `store.fill`. `one` draws number n; `key`: what the latents depend on."""

    def values(number: int) -> Arrays:
        clip = one(number)
        both = encode(np.concatenate((clip.clean, clip.degraded)))
        batch = Batch(both[:frames], both[frames:], clip.labels, clip.texture_trust, clip.control_trust)
        return {field.name: getattr(batch, field.name) for field in fields(Batch)}

    return fill(folder, count, key, values, stop)


def _scale(clean: NDArray[np.generic], done: int) -> float:
    """What makes the latents' deviation 1."""
    rows = np.linspace(0, done - 1, min(done, 64)).astype(int)
    return 1 / max(1e-3, float(np.std(np.asarray(clean[rows], np.float32))))
