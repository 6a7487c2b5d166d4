"""A small moving scene and a lossy hand-over, for the codec's tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.codec.base import Budget, EncodedUnit
from common.video import Picture

WIDTH, HEIGHT, FPS = 128, 96, 15.0


def budget(kbps: float = 60.0, frames: int = 4) -> Budget:
    """One unit's budget at a wire rate, scaled from 256x256 to the scene's size."""
    share = WIDTH * HEIGHT / 65536
    return Budget(kbps * 125 * frames / FPS * share + 300, packet_overhead=57, max_payload=1171)


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """A textured gradient that drifts, with a bright disc that moves faster."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    luma = 110 + 50 * np.sin((x + 2 * index) / 9) * np.cos(y / 13) + 0.3 * x
    luma[(x - 20 - 3 * index % 90) ** 2 + (y - 48) ** 2 < 200] = 220
    chroma = np.full((height // 2, width), 128, np.uint8)
    chroma[: height // 4] += 20
    return np.concatenate((np.clip(luma, 16, 235).astype(np.uint8), chroma))


def unit_pictures(unit: int, frames: int = 4) -> list[Picture]:
    """The pictures of one access unit."""
    return [picture(unit * frames + i) for i in range(frames)]


def sized_pictures(width: int, height: int, frames: int = 4) -> list[Picture]:
    """The same scene at another size."""
    return [picture(i, width, height) for i in range(frames)]


def still_pictures(index: int = 0, frames: int = 4) -> list[Picture]:
    """An access unit in which nothing moves."""
    return [picture(index)] * frames


def other_pictures(frames: int = 4) -> list[Picture]:
    """An access unit of another scene: what a cut shows."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    luma = 120 + 70 * np.sign(np.sin(x / 11) * np.sin(y / 7)) + 0.2 * y
    chroma = np.full((HEIGHT // 2, WIDTH), 110, np.uint8)
    return [np.concatenate((np.clip(luma, 16, 235).astype(np.uint8), chroma))] * frames


def noise_pictures(frames: int = 4) -> list[Picture]:
    """An access unit that is as hard to code as can be."""
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 255, (frames, HEIGHT * 3 // 2, WIDTH), dtype=np.uint8))


def changed(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    """The same with other bytes at these places."""
    out = bytearray(data)
    for place, value in changes:
        out[place] = value
    return bytes(out)


def psnr(a: Picture, b: Picture) -> float:
    """Over all samples of two I420 pictures, dB; 100 where they are the same."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float(10 * np.log10(255**2 / max(error, 255**2 * 1e-10)))


def mean_psnr(one: list[Picture], other: list[Picture]) -> float:
    """Of the pictures of a unit."""
    return float(np.mean([psnr(a, b) for a, b in zip(one, other, strict=True)]))


@dataclass(frozen=True)
class Received:
    """What of an encoded unit arrived."""

    unit: int
    segments: tuple[bytes | None, ...]


def receive(encoded: EncodedUnit, unit: int, arrived: list[bool] | None = None) -> Received:
    """All segments, or those marked."""
    keep = arrived or [True] * len(encoded.payloads)
    return Received(unit, tuple(p if ok else None for p, ok in zip(encoded.payloads, keep, strict=True)))
