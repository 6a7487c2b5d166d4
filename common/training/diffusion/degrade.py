"""What arrives of a clip: its texture, a quarter or half of its size, noisy, blurred and coarsely coded, and its map.

The degradation model of the Restoration Adapter, seeded: 4x down, blur, noise and JPEG; or our own texture codec at a
low rate, some of its packets lost. Maps go through the contour codec, some packets lost as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from common.codec.base import Budget, CodecError
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.hevc.sets import SMALLEST_SIDE
from common.codec.texture.chain import Reference
from common.codec.texture.decoder import TextureDecoder
from common.codec.texture.encoder import MOVES, TextureEncoder, change, usual_scale
from common.codec.texture.group import Groups, squared_error
from common.codec.texture.header import HEADER_BYTES
from common.codec.texture.scaling import enlarge, shrink
from common.maps.base import VOID
from common.models.diffusion import vocabulary
from common.training.diffusion.config import DegradeConfig
from common.video import Picture, from_planes, picture_size, planes

SCALE = 4
BLOCK = 16
OVERHEAD = 60  # bytes a packet costs on the wire beyond its payload
UNIT = 16  # pictures
MOST_BEFORE = 8  # units
WHOLE = 256 * 256  # samples of the picture that rates are told for: a crop has its share, without headers
LEVELS = 2.0  # trust of the codecs runs from RECEIVED, 0, to IMAGINED, 2
Pixels = NDArray[np.uint8]
Trust = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Degraded:
    """Pictures (T, H, W, 3) at the full size again, or labels (T, H, W); trust (T, H/16, W/16), 1 received .. 0 nothing
    known."""

    values: Pixels
    trust: Trust


@dataclass(frozen=True, slots=True)
class Received:
    """What a decoder is handed of a unit."""

    unit: int
    segments: tuple[bytes | None, ...]


def texture(pictures: Pixels, fps: float, rng: Generator, config: DegradeConfig) -> Degraded:
    """(T, H, W, 3) -> what is shown of it; sides are multiples of 16."""
    if rng.random() < config.coded:
        return coded(pictures, fps, rng, config)
    shown = np.stack(analytic(pictures, rng, config))
    return Degraded(shown, np.ones((len(pictures), *_blocks(pictures)), np.float32))


def analytic(pictures: Pixels, rng: Generator, config: DegradeConfig) -> list[Pixels]:
    """Blur, 4x down, noise, JPEG, and up again; one setting a clip."""
    height, width = pictures.shape[1:3]
    blur, grain = rng.uniform(0, config.blur), rng.uniform(0, config.grain)
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(3))]
    up = (cv2.INTER_LANCZOS4, cv2.INTER_CUBIC)[int(rng.integers(2))]
    quality = int(rng.integers(*config.jpeg)) if rng.random() < 0.7 else None
    shown = []
    for picture in pictures:
        smooth = cv2.GaussianBlur(picture, (0, 0), blur) if blur > 0.2 else picture
        small = np.asarray(
            cv2.resize(smooth, (width // SCALE, height // SCALE), interpolation=down), np.float32
        )
        small = np.clip(small + rng.normal(0, grain, small.shape), 0, 255)
        small = np.asarray(np.round(small), np.uint8)
        if quality is not None:
            packed = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            small = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        shown.append(np.asarray(cv2.resize(small, (width, height), interpolation=up), np.uint8))
    return shown


def coded(pictures: Pixels, fps: float, rng: Generator, config: DegradeConfig) -> Degraded:
    """Through the texture codec at a rate drawn for the size, with packets lost. Some units go before, in which the
    pictures swing to and fro: what stands still grows finer from unit to unit. Some encoders are told what arrived."""
    count, height, width = pictures.shape[:3]
    low, high = config.kbps
    kbps = math.exp(rng.uniform(math.log(low), math.log(high)))
    loss = rng.uniform(0, config.loss_max) if rng.random() < config.lossy else 0.0
    before, frames = int(rng.integers(MOST_BEFORE + 1)), UNIT
    told = rng.random() < config.told
    budget = Budget(kbps * 125 * frames / fps * width * height / WHOLE + HEADER_BYTES, 0, 1200)
    yuv = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8) for picture in pictures]
    scale = usual_scale(WHOLE, 1, fps, frames, kbps, change(yuv, fps), told)
    encoder, decoder = TextureEncoder(width, height, fps, frames, scale), TextureDecoder()
    groups = Groups(fps, adaptive=False)
    known: Reference | None = None  # of the groups that are made beside the encoder's
    shown, trust = list[Pixels](), list[Trust]()
    for unit in range(before + -(-count // frames)):
        first = (unit - before) * frames
        payloads = encoder.encode(
            [yuv[_swing(first + i, count)] for i in range(frames)], unit, budget
        ).payloads
        kept = tuple(
            None if unit and rng.random() < loss else payload for payload in payloads
        )  # the first arrives
        if told:
            encoder.report(unit, [payload is not None for payload in kept])
        decoded = [decoder.decode(Received(unit, kept))]
        while sum(len(one.pictures) for one in decoded) < frames:
            decoded.append(decoder.decode(None))  # a lost unit is concealed in parts
        found = [picture for one in decoded for picture in one.pictures][:frames]
        if kept[0] is not None and (told or change(yuv, fps) > MOVES):
            true = [yuv[_swing(first + i, count)] for i in range(frames)]
            found, known = nearer(groups, found, true, scale, budget.wire_bytes, known if told else None)
        if first >= 0:
            shown += [
                np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420), np.uint8) for picture in found
            ]
            trust += [_trusted(one.trust) for one in decoded for _ in one.pictures][:frames]
    return Degraded(np.stack(shown[:count]), np.stack(trust[:count]))


def nearer(
    groups: Groups,
    shown: list[Picture],
    true: Sequence[Picture],
    scale: int,
    room: float,
    known: Reference | None = None,
) -> tuple[list[Picture], Reference | None]:
    """What a group shows, where that is nearer than `shown`, and what the next may refer to. A crop's small pictures
    may be too small for a group: they are laid side by side then, mirrored, with as much more room. `known`: from the
    group before."""
    size = picture_size(true[0])
    width, height = (side // scale for side in size)
    times = -(-SMALLEST_SIDE // min(width, height))
    small = [_mirrored(shrink(one, width, height), times) for one in true]
    group = groups.code(small, room * times**2, reference=known)
    if group is None:
        return shown, None
    large = [enlarge(_cut(one, width, height), *size) for one in group.pictures]
    better = squared_error(large, true) < squared_error(shown, true)
    return large if better else shown, Reference(1, group.pictures[-1])


def _mirrored(picture: Picture, times: int) -> Picture:
    wide = [
        np.pad(one, [(0, (times - 1) * side) for side in one.shape], mode="symmetric")
        for one in planes(picture)
    ]
    return from_planes(*wide)


def _cut(picture: Picture, width: int, height: int) -> Picture:
    luma, *chroma = planes(picture)
    return from_planes(luma[:height, :width], *[one[: height // 2, : width // 2] for one in chroma])


def _swing(position: int, count: int) -> int:
    """Index into `count` pictures that are played forwards from 0, and to and fro before and after."""
    last = count - 1
    return abs((position + last) % (2 * last) - last) if last else 0


def labels(maps: NDArray[np.uint8], fps: float, rng: Generator, config: DegradeConfig) -> Degraded:
    """(T, H, W) through the contour codec with packets lost, now and then as they are. A map of nothing stays one."""
    whole = Degraded(maps, np.ones((len(maps), *_blocks(maps)), np.float32))
    if (maps == VOID).all() or rng.random() >= config.contours:
        return whole
    settings = ContourSettings(vocabulary.CLASSES, VOID, rng.uniform(*config.floor), repeat=True, fps=fps)
    encoder, decoder = ContourEncoder(settings, maps.shape[2], maps.shape[1]), ContourDecoder()
    loss = rng.uniform(0, config.loss_max) if rng.random() < config.lossy else 0.0
    shown, trust = list[Pixels](), list[Trust]()
    for unit, first in enumerate(range(0, len(maps), settings.period)):
        part = list(maps[first : first + settings.period])
        payloads = encoder.encode(part, unit, Budget(1e6, OVERHEAD, config.contour_packet)).payloads
        kept = [None if unit and rng.random() < loss else payload for payload in payloads]
        try:
            decoded = decoder.decode(kept)
        except CodecError:
            return whole
        if decoded is None:
            return whole
        shown += decoded.maps[: len(part)]
        trust += [_trusted(decoded.trust)] * len(part)
    return Degraded(np.stack(shown), np.stack(trust))


def _trusted(levels: NDArray[np.uint8]) -> Trust:
    return np.asarray(1 - levels / LEVELS, np.float32)


def _blocks(pictures: Pixels) -> tuple[int, int]:
    return -(-pictures.shape[1] // BLOCK), -(-pictures.shape[2] // BLOCK)
