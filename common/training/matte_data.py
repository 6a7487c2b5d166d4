"""Samples to train mattes on, made by compositing: the shapes of mask sequences, filled with texture of one clip, move
over another clip or over a still of it that the camera pans over; and tabletop videos with their exact maps.

A sample is a picture and two earlier ones, aligned as the sender aligns them, with what moves in it at quarter size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.maps.align import aligned
from common.models.segmenter import SITE
from common.tabletop.files import TabletopVideo, videos
from common.training.data import Frames, load_clips

Image = NDArray[np.uint8]
Moves = tuple[float, float]
Clip = tuple[str, float, Frames]

MASK_FPS = 24.0
TABLETOP_SIDE = 256
HELD_OUT = 12
"""Every so many-th clip is not trained on."""
LEFT_OUT = ("breakdance",)
"""Mask sequences of scenes that the public evaluation set shows."""
UNSURE = 14  # of 255: a residual above it in a clip's own motion may be a thing that moves


@dataclass(frozen=True, slots=True)
class Sample:
    """One example. `moving`: share of each site that moves, -1 where nobody knows."""

    picture: Image  # (H, W, 3)
    earlier: Image  # (2, H, W)
    moving: NDArray[np.float32]  # (H / 4, W / 4)


def mask_sequences(folder: Path, first: int) -> list[Image]:
    """Every second DAVIS sequence as (N, H, W) of 0 and 255; from 0 on those to train on, from 1 to evaluate on."""
    found = sorted(path for path in folder.iterdir() if path.is_dir())[first::2]
    if not found:
        raise FileNotFoundError(f"{folder}: no folders of masks")
    return [
        np.stack(
            [
                np.where(np.asarray(cv2.imread(str(file), cv2.IMREAD_UNCHANGED)) > 0, 255, 0).astype(np.uint8)
                for file in sorted(path.glob("*.png"))
            ]
        )
        for path in found
        if path.name not in LEFT_OUT
    ]


def clips_of(folder: Path, cache: Path, held_out: bool) -> list[Clip]:
    """The clips to train on, or those that are not; long enough to move in, and not too many of robots."""
    clips = [clip for clip in load_clips(folder, cache) if clip[2].shape[0] >= 24]
    robots = [clip for clip in clips if clip[0].startswith("droid")]
    passed_over = {clip[0] for number, clip in enumerate(robots) if number % 3}
    clips = [clip for clip in clips if clip[0] not in passed_over]
    return [clip for number, clip in enumerate(clips) if (number % HELD_OUT == 5) == held_out]


@lru_cache(maxsize=64)
def _tabletop(folder: Path) -> tuple[Image, Image]:
    """Pictures (N, S, S, 3) and instances (N, S, S)."""
    video, side = TabletopVideo(folder), (TABLETOP_SIDE, TABLETOP_SIDE)
    pictures = [cv2.resize(one, side, interpolation=cv2.INTER_AREA) for one in video.pictures()]
    maps = [cv2.resize(one, side, interpolation=cv2.INTER_NEAREST) for one in video.instances()]
    return np.stack(pictures).astype(np.uint8), np.stack(maps).astype(np.uint8)


class Maker:
    """Makes samples of one size; what it makes depends on `rng` and the data alone."""

    def __init__(
        self, clips: list[Clip], masks: list[Image], tabletop: Path | None, crop: tuple[int, int]
    ) -> None:
        self.clips, self.masks, self.tabletop, self.crop = clips, masks, tabletop, crop

    def batch(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """picture (B, 3, H, W) and earlier (B, 2, H, W) from 0 to 1, moving (B, 1, H / 4, W / 4)."""
        samples = [self.sample(rng) for _ in range(count)]
        pictures = np.stack([one.picture for one in samples]).transpose(0, 3, 1, 2).astype(np.float32) / 255
        earlier = np.stack([one.earlier for one in samples]).astype(np.float32) / 255
        moving = np.stack([one.moving for one in samples])[:, None]
        return torch.from_numpy(pictures), torch.from_numpy(earlier), torch.from_numpy(moving)

    def sample(self, rng: np.random.Generator) -> Sample:
        """One, of any kind."""
        scale = rng.uniform(0.7, 1.4)
        times = (0.0, -0.1 * scale, -0.3 * scale)
        if rng.random() < 0.1:
            times = (0.0, times[1], times[1])
        tabletops = videos(self.tabletop) if self.tabletop else []
        if tabletops and rng.random() < 0.2:
            video = tabletops[rng.integers(len(tabletops))]
            return self.finish(*self.table(video, rng), rng)
        kind = rng.random()
        if kind < 0.3:
            pictures, unsure = self.clip(times, rng)
        else:
            pictures, unsure = self.panned(times, rng)
        shown = np.zeros(self.crop, np.float32)
        for _ in range(rng.choice(4, p=(0.15, 0.5, 0.25, 0.1))):
            pictures, cover = self.object(pictures, times, rng)
            shown = np.maximum(shown, cover)
        return self.finish(pictures, shown, unsure & (shown < 0.5), rng)

    def view(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """A random part of a picture of this size, shown at the crop's, perhaps mirrored: crop place -> its place."""
        height, width = shape[:2]
        high, wide = self.crop
        zoom = min(height / high, width / wide) * math.exp(rng.uniform(math.log(0.55), 0.0))
        top, left = (rng.uniform(0, side - zoom * of) for side, of in ((height, high), (width, wide)))
        view = np.array([[zoom, 0, left], [0, zoom, top]])
        return (
            view if rng.random() < 0.5 else np.array([[-zoom, 0, left + zoom * (wide - 1)], [0, zoom, top]])
        )

    def clip(
        self, times: tuple[float, ...], rng: np.random.Generator
    ) -> tuple[list[Image], NDArray[np.bool_]]:
        """A clip with its own motion, and where something of it may move by itself."""
        _, rate, frames = self.clips[rng.integers(len(self.clips))]
        last = (
            int(rng.integers(int(0.45 * rate), len(frames))) if len(frames) > 0.5 * rate else len(frames) - 1
        )
        found = [_rgb(frames[max(0, last + round(time * rate))]) for time in times]
        view = self.view(found[0].shape, rng)
        pictures = [self.warp(one, view) for one in found]
        now, *before = (_luma(one) for one in pictures)
        change = np.max([cv2.absdiff(aligned(one, now), now) for one in before], axis=0)
        return pictures, cv2.dilate(cv2.blur(change, (5, 5)), np.ones((9, 9), np.uint8)) > UNSURE

    def panned(
        self, times: tuple[float, ...], rng: np.random.Generator
    ) -> tuple[list[Image], NDArray[np.bool_]]:
        """A still picture that the camera stands before, pans, turns or zooms over. Things pasted into it stand."""
        _, _, frames = self.clips[rng.integers(len(self.clips))]
        still = _rgb(frames[rng.integers(len(frames))])
        view = self.view(still.shape, rng)
        if rng.random() < 0.35:
            (still,), _ = self.object([still], (0.0,), rng)
        moves = rng.random() > 0.25
        speed = rng.normal(0, 60, 2) * moves
        zoom, turn = rng.normal(0, (0.08, 0.06)) * moves
        pictures = []
        for time in times:
            part, grown = turn * time, math.exp(zoom * time)
            path = np.eye(3)
            path[:2, :2] = grown * np.array(
                [[math.cos(part), -math.sin(part)], [math.sin(part), math.cos(part)]]
            )
            middle = np.array(self.crop[::-1]) / 2
            path[:2, 2] = middle - path[:2, :2] @ middle + speed * time
            pictures.append(self.warp(still, view @ path))
        return pictures, np.zeros(self.crop, bool)

    def object(
        self, pictures: list[Image], times: tuple[float, ...], rng: np.random.Generator
    ) -> tuple[list[Image], NDArray[np.float32]]:
        """A shape with a texture that moves over the pictures; and what it covers of the first."""
        shapes = self.masks[rng.integers(len(self.masks))]
        high, wide = pictures[0].shape[:2]
        first, pace = int(rng.integers(len(shapes))), MASK_FPS * float(rng.choice((-1.5, -1, 1, 1.5)))
        area = max(1.0, float(np.count_nonzero(shapes[first])))
        size = math.exp(rng.uniform(math.log(0.08), math.log(0.6))) * high
        grow, hand = size / math.sqrt(area), rng.choice((-1.0, 1.0))
        place = rng.uniform(0.05, 0.95, 2) * (wide, high)
        angle, speed = (
            rng.uniform(0, 2 * math.pi),
            high * math.exp(rng.uniform(math.log(0.12), math.log(1.2))),
        )
        heading = speed * np.array((math.cos(angle), math.sin(angle)))
        _, _, frames = self.clips[rng.integers(len(self.clips))]
        texture = _rgb(frames[rng.integers(len(frames))])
        weave = math.exp(rng.uniform(math.log(0.5), math.log(2.0)))
        spot = rng.uniform(0.2, 0.8, 2) * (texture.shape[1], texture.shape[0])
        gain = rng.uniform(0.6, 1.3, 3)
        soft = rng.uniform(0.4, 1.0)
        out, cover = [], np.zeros((high, wide), np.float32)
        for picture, time in zip(pictures, times, strict=True):
            shape = shapes[int(np.clip(first + round(pace * time), 0, len(shapes) - 1))]
            centre = place + heading * time
            mask = _placed(shape, _middle(shape), centre, grow, hand, (wide, high), cv2.BORDER_CONSTANT)
            alpha = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft)[..., None] / 255, np.float32)
            ink = _placed(texture, spot, centre, weave, hand, (wide, high), cv2.BORDER_REFLECT)
            mixed = picture * (1 - alpha) + np.clip(ink * gain, 0, 255) * alpha
            out.append(mixed.astype(np.uint8))
            if not len(out) > 1:
                cover = alpha[..., 0]
        return out, cover

    def table(
        self, video: TabletopVideo, rng: np.random.Generator
    ) -> tuple[list[Image], NDArray[np.float32], NDArray[np.bool_]]:
        """Three pictures of a tabletop video, and what in them moves."""
        pictures, maps = _tabletop(video.folder)
        return self.moment(pictures, maps, int(rng.integers(3, len(pictures))), rng)

    def moment(
        self, pictures: Image, maps: Image, at: int, rng: np.random.Generator
    ) -> tuple[list[Image], NDArray[np.float32], NDArray[np.bool_]]:
        """The same for one frame."""
        view = self.view(maps.shape[1:], rng)
        moving = _moving(maps, at)
        shown = np.asarray(self.warp(moving.astype(np.uint8) * 255, view) / 255, np.float32)
        return [self.warp(pictures[at - back], view) for back in (0, 1, 3)], shown, np.zeros(self.crop, bool)

    def warp(self, picture: Image, view: NDArray[np.float64]) -> Image:
        """What the view shows, at the crop's size."""
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        high, wide = self.crop
        return np.asarray(
            cv2.warpAffine(picture, view, (wide, high), flags=how, borderMode=cv2.BORDER_REFLECT), np.uint8
        )

    def finish(
        self,
        pictures: list[Image],
        shown: NDArray[np.float32],
        unsure: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Sample:
        """Light, noise and coding; the earlier pictures aligned; the answer at quarter size."""
        gain, lift = rng.uniform(0.75, 1.25) * rng.uniform(0.94, 1.06, 3), rng.uniform(-20, 20)
        sigma, quality = max(0.0, rng.normal(0, 3)), int(rng.integers(25, 95)) if rng.random() < 0.4 else 0
        made = []
        for picture in pictures:
            light = picture.astype(np.float32) * gain * rng.normal(1, 0.008) + lift
            light += rng.standard_normal(picture.shape[:2], np.float32)[..., None] * sigma
            out = np.clip(light, 0, 255).astype(np.uint8)
            if quality:
                coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
                out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
            made.append(out)
        now = _luma(made[0])
        earlier = np.stack([aligned(_luma(one), now) for one in made[1:]])
        size = self.crop[1] // SITE, self.crop[0] // SITE
        moving = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.float32)
        blind = cv2.resize(unsure.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        return Sample(made[0], earlier, np.where(blind, np.float32(-1), moving))


def tabletop_sample(folder: Path, at: int) -> Sample:
    """One frame of a tabletop video, whole and as it is; `at` is 3 or more."""
    pictures, maps = _tabletop(folder)
    now = _luma(pictures[at])
    earlier = np.stack([aligned(_luma(pictures[at - back]), now) for back in (1, 3)])
    size = TABLETOP_SIDE // SITE, TABLETOP_SIDE // SITE
    shown = _moving(maps, at).astype(np.float32)
    return Sample(
        pictures[at], earlier, np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.float32)
    )


def _moving(maps: Image, at: int) -> NDArray[np.bool_]:
    return np.isin(maps[at], [one for one in np.unique(maps[at]) if one and _moves(maps, at, int(one))])


def _moves(maps: Image, at: int, one: int) -> bool:
    """Whether an instance is somewhere else than 0.3 s before."""
    now, before = maps[at] == one, maps[at - 3] == one
    return bool(np.count_nonzero(now ^ before) > 4 + 0.04 * np.count_nonzero(now))


def _placed(
    image: Image,
    middle: NDArray[np.float64],
    centre: NDArray[np.float64],
    grow: float,
    hand: float,
    size: tuple[int, int],
    border: int,
) -> Image:
    """An image with its `middle` at `centre` of a picture of this size, so much larger, mirrored with hand -1."""
    matrix = np.array([[grow * hand, 0, 0], [0, grow, 0]])
    matrix[:, 2] = centre - matrix[:, :2] @ middle
    return np.asarray(
        cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border), np.uint8
    )


def _middle(shape: Image) -> NDArray[np.float64]:
    moments = cv2.moments(shape, binaryImage=True)
    if not moments["m00"]:
        return np.array(shape.shape[::-1]) / 2
    return np.array((moments["m10"], moments["m01"])) / moments["m00"]


def _rgb(frame: Image) -> Image:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_YUV2RGB_I420), np.uint8)


def _luma(picture: Image) -> Image:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
