"""Training clips as raw I420 frames in memory-mapped files, and seeded random sequences cut from them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Frames = NDArray[np.uint8]  # (N, H * 3 / 2, W), I420
Planes = NDArray[np.float32]  # luma (..., H, W) or chroma (..., 2, H/2, W/2), in [-1, 1]


def decode_clip(path: Path) -> Frames:
    """All frames of a video file as I420, cropped to even sides."""
    with av.open(str(path)) as container:
        pictures = []
        for frame in container.decode(video=0):
            width, height = frame.width // 2 * 2, frame.height // 2 * 2
            if (width, height) == (frame.width, frame.height):
                pictures.append(frame.to_ndarray(format="yuv420p"))
                continue
            rgb = np.ascontiguousarray(frame.to_ndarray(format="rgb24")[:height, :width], dtype=np.uint8)
            pictures.append(av.VideoFrame.from_ndarray(rgb, format="rgb24").to_ndarray(format="yuv420p"))
    return np.stack(pictures)


def load_clips(folder: Path, cache: Path) -> list[tuple[str, float, Frames]]:
    """(name, frames per second, frames) of every clip of `folder`; decoded once into `cache`, memory-mapped after."""
    cache.mkdir(parents=True, exist_ok=True)
    clips = []
    paths = sorted(folder.glob("*.mp4"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no .mp4 clips to train on")
    for number, path in enumerate(paths):
        stored = cache / f"{path.stem}.npy"
        if not stored.exists():
            partial = stored.with_suffix(".partial.npy")
            np.save(partial, decode_clip(path))
            partial.rename(stored)
            if number % 25 == 0:
                log.info("decoded %d of %d clips", number + 1, len(paths))
        with av.open(str(path)) as container:
            rate = container.streams.video[0].average_rate
        clips.append((path.stem, float(rate or 25), np.load(stored, mmap_mode="r")))
    return clips


@dataclass(frozen=True, slots=True)
class Crop:
    """One training sequence: planes centred on 0, [-1, 1]."""

    luma: NDArray[np.float32]  # (N, S, S)
    chroma: NDArray[np.float32]  # (N, 2, S/2, S/2)


class SequenceSampler:
    """Seeded random crops of consecutive frames near a target frame rate.

    Long clips and kinds in `caps` (name prefix -> weight) count for less, so that no scene dominates."""

    def __init__(
        self, clips: list[tuple[str, float, Frames]], size: int, fps: float, caps: dict[str, float], seed: int
    ) -> None:
        self.size, self.fps = size, fps
        self.rng = np.random.default_rng(seed)
        self.clips = [c for c in clips if c[2].shape[0] >= 16 and min(_sides(c[2])) >= size]
        weights = []
        for name, _, frames in self.clips:
            cap = next((w for prefix, w in caps.items() if name.startswith(prefix)), 1.0)
            weights.append(min(frames.shape[0], 400) * cap)
        self.weights = np.array(weights) / np.sum(weights)

    def draw(self, rng: np.random.Generator, length: int) -> Crop:
        """A sequence that depends on nothing but `rng`."""
        self.rng = rng
        return self.sequence(length)

    def sequence(self, length: int) -> Crop:
        """`length` frames: cut in time and space, half-size now and then, flipped, reversed, panned now and then."""
        rng = self.rng
        _, rate, frames = self.clips[rng.choice(len(self.clips), p=self.weights)]
        height, width = _sides(frames)
        stride = max(1, round(rate / self.fps * rng.choice([0.5, 1.0, 1.0, 1.0, 2.0])))
        stride = min(stride, max(1, (frames.shape[0] - 1) // max(1, length - 1)))
        start = rng.integers(0, max(1, frames.shape[0] - stride * (length - 1)))
        index = np.minimum(start + stride * np.arange(length), frames.shape[0] - 1)
        still = rng.random() < 0.12  # a still picture under a moving window: synthetic camera motion
        if still:
            index = np.full(length, index[0])
        elif rng.random() < 0.3:
            index = index[::-1]
        halve = min(height, width) >= 2 * self.size and rng.random() < 0.5
        side = 2 * self.size if halve else self.size
        top, left = self._window(height - side, width - side, length, still)
        cut = np.stack(
            [_cut(frames[i], height, width, y, x, side) for i, y, x in zip(index, top, left, strict=True)]
        )
        luma, chroma = _planes(cut, side)
        if halve:
            luma, chroma = _halved(luma), _halved(chroma)
        if rng.random() < 0.5:
            luma, chroma = luma[..., ::-1], chroma[..., ::-1]
        gain = np.float32(rng.uniform(0.9, 1.1))
        return Crop(np.clip(luma * gain, -1, 1), chroma * gain)

    def _window(
        self, room_y: int, room_x: int, length: int, still: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rng = self.rng
        speed = (
            rng.uniform(-8, 8, 2) if still else (rng.uniform(-3, 3, 2) if rng.random() < 0.1 else np.zeros(2))
        )
        steps = np.arange(length)[:, None] * speed
        origin = rng.integers(0, [room_y + 1, room_x + 1])
        path = np.clip(origin + steps, 0, [room_y, room_x]).astype(np.int64) // 2 * 2
        return path[:, 0], path[:, 1]

    def batch(self, count: int, length: int) -> tuple[Planes, Planes]:
        """(count, length, S, S) luma and (count, length, 2, S/2, S/2) chroma."""
        crops = [self.sequence(length) for _ in range(count)]
        return np.stack([c.luma for c in crops]), np.stack([c.chroma for c in crops])


def _sides(frames: Frames) -> tuple[int, int]:
    return frames.shape[1] * 2 // 3, frames.shape[2]


def _cut(picture: NDArray[np.uint8], height: int, width: int, y: int, x: int, side: int) -> NDArray[np.uint8]:
    half = side // 2
    luma = picture[y : y + side, x : x + side]
    chroma = picture[height:].reshape(2, height // 2, width // 2)[
        :, y // 2 : y // 2 + half, x // 2 : x // 2 + half
    ]
    return np.concatenate((luma.reshape(-1), chroma.reshape(-1)))


def _planes(cut: NDArray[np.uint8], side: int) -> tuple[Planes, Planes]:
    scaled = cut.astype(np.float32) / 127.5 - 1.0
    luma = scaled[:, : side * side].reshape(-1, side, side)
    return luma, scaled[:, side * side :].reshape(-1, 2, side // 2, side // 2)


def _halved(planes: Planes) -> Planes:
    h, w = planes.shape[-2:]
    out: Planes = planes.reshape(*planes.shape[:-2], h // 2, 2, w // 2, 2).mean((-3, -1))
    return out
