"""Shown pictures with maps: a shipped tabletop clip, its exact maps through the contour codec with packets lost."""

from __future__ import annotations

import random
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from common.codec.base import Budget
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.maps.base import Legend
from common.tabletop.classes import CLASSES
from common.tabletop.files import shipped
from common.video import Picture, from_planes
from receiver.contours.store import ShownMap
from receiver.play.base import Shown, SignalState

FPS = 10.0
LEGEND = Legend("tabletop", tuple(one.name for one in CLASSES), tuple(one.colour for one in CLASSES))
BUDGET = Budget(wire_bytes=400, packet_overhead=57, max_payload=150)
PERIOD = 4


def tabletop(clip: int = 0, loss: float = 0.3, seed: int = 1) -> Iterator[Shown]:
    """The clip from its begin to its end, as profile `structure` shows it: a coarse picture, maps a unit at a time."""
    video, lottery = shipped()[clip], random.Random(seed)
    encoder: ContourEncoder | None = None
    decoder = ContourDecoder()
    pictures = video.pictures()
    maps: list[npt.NDArray[np.uint8]] = []
    number = 0
    for labels in video.classes():
        maps.append(labels)
        if len(maps) < PERIOD:
            continue
        height, width = labels.shape
        if encoder is None:
            encoder = ContourEncoder(ContourSettings(len(CLASSES), repeat=True, fps=FPS), width, height)
        sent = encoder.encode(maps, number // PERIOD, BUDGET)
        decoded = decoder.decode([None if lottery.random() < loss else one for one in sent.payloads])
        for offset in range(PERIOD):
            picture = coarse(next(pictures))
            shown_map = (
                None
                if decoded is None
                else ShownMap(decoded.maps[offset], decoded.trust, LEGEND, 0.01 * offset)
            )
            yield Shown(
                number=number,
                picture=picture,
                trust=np.full((-(-height // 16), -(-width // 16)), lottery.random() < loss, np.uint8),
                unit=number // PERIOD,
                offset=offset,
                captured_at=1000.0 + number / FPS,
                shown_at=1000.5 + number / FPS,
                arrived=0.7,
                state=SignalState.LIVE,
                concealed=False,
                repeated=False,
                fps=FPS,
                map=shown_map,
            )
            number += 1
        maps = []


def coarse(rgb: npt.NDArray[np.uint8]) -> Picture:
    """As an upscaled texture of a quarter of the size looks."""
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    luma, red, blue = cv2.split(cv2.cvtColor(large, cv2.COLOR_RGB2YCrCb))
    half = [cv2.resize(plane, (width // 2, height // 2)) for plane in (blue, red)]
    return from_planes(np.asarray(luma, np.uint8), *(np.asarray(plane, np.uint8) for plane in half))
