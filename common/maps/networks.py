"""Maps that networks of ours find in the pictures: street scenes, and what moves."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.weights import MODELS, WeightsError, read_manifest, verified
from common.maps.align import Luma, aligned
from common.maps.base import LabelMap
from common.maps.legends import MATTE, STREET
from common.runtime.base import BackendError, Network, load
from common.service import ServiceError
from common.values import Size
from common.video import Frame, Picture

STEP = 16  # pixels; the networks take multiples of it
MOST_PIXELS = 480 * 368
"""Larger pictures are scaled down to about so many first, so that a frame costs no more time."""

AGES = (0.1, 0.3)
"""Seconds; how old the pictures are that the matte network compares with, about."""
YOUNGEST = 0.025  # seconds; nearer pictures show no motion
OLDEST = 1.5  # seconds, one interval of the rarest maps and some; after that long without a picture all begins anew
MOST_KEPT = 64  # pictures: 0.5 s at 120 a second
LEAST_SHARE = 1 / 2000
"""Smaller spots of what moves, as a share of the picture, are noise; so are holes of that size."""


def working_size(size: Size) -> Size:
    """What a network is given for pictures of this size."""
    shrink = min(1.0, math.sqrt(MOST_PIXELS / (size.width * size.height)))
    width, height = (max(STEP, STEP * round(side * shrink / STEP)) for side in (size.width, size.height))
    return Size(width, height)


class StreetMaps:
    """CamVid's eleven classes, each picture by itself (common.models.segmenter)."""

    def __init__(self, size: Size) -> None:
        """For frames of one size. Raises ServiceError where the model is missing or damaged."""
        self.legend = STREET
        self._size, self._work = size, working_size(size)
        self._network = _load("street", "segmenter.onnx")

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource."""
        rgb = _rgb(frame.picture, self._size, self._work)
        scores = self._network.run({"picture": _planes(rgb)})["scores"][0]
        # halfway up the classes are chosen: the rest of the way changes no edge by more than a pixel
        half = (self._work.width // 2, self._work.height // 2)
        large = cv2.resize(scores.transpose(1, 2, 0), half, interpolation=cv2.INTER_LINEAR)
        return LabelMap(_enlarged(large.argmax(2).astype(np.uint8), self._size))

    def reset(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""


class MatteMaps:
    """What moves by itself, each connected piece an instance (common.models.matting)."""

    def __init__(self, size: Size) -> None:
        """For frames of one size. Raises ServiceError where the model is missing or damaged."""
        self.legend = MATTE
        self._size, self._work = size, working_size(size)
        self._network = _load("matte", "matting.onnx")
        self._past: deque[tuple[float, Luma]] = deque(maxlen=MOST_KEPT)

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource; None until there is an earlier picture to compare with."""
        rgb = _rgb(frame.picture, self._size, self._work)
        now = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        earlier = self._earlier(now, frame.captured_at)
        if earlier is None:
            return None
        moved = np.stack([aligned(one, now) for one in earlier])[None].astype(np.float32) / np.float32(255)
        scores = self._network.run({"picture": _planes(rgb), "earlier": moved})["scores"][0, 0]
        size = self._size.width, self._size.height
        large = cv2.resize(scores, size, interpolation=cv2.INTER_LINEAR)
        labels = _cleared((large > 0).astype(np.uint8))
        _, instances = cv2.connectedComponents(labels, connectivity=4, ltype=cv2.CV_16U)
        return LabelMap(labels, np.asarray(instances, np.uint16))

    def _earlier(self, now: Luma, at: float) -> list[Luma] | None:
        """The pictures whose ages are nearest to AGES; `now` is kept for later."""
        past = self._past
        if past and not 0 < at - past[-1][0] <= OLDEST:
            past.clear()
        found = [(at - then, luma) for then, luma in past if at - then >= YOUNGEST]
        past.append((at, now))
        while at - past[0][0] > 2 * AGES[-1] and len(past) > 2:
            past.popleft()
        if not found:
            return None
        return [min(found, key=lambda one: abs(one[0] - age))[1] for age in AGES]

    def reset(self) -> None:
        """See MapSource."""
        self._past.clear()

    def close(self) -> None:
        """Nothing is held."""


def _cleared(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """0 and 1 without small spots and small holes."""
    least = max(2, round(labels.size * LEAST_SHARE))
    for value in (1, 0):
        count, pieces, facts, _ = cv2.connectedComponentsWithStats(
            (labels == value).astype(np.uint8), connectivity=4
        )
        small = facts[:, cv2.CC_STAT_AREA] < least
        small[0] = False
        if count > 1 and small.any():
            labels = np.where(small[pieces], 1 - value, labels).astype(np.uint8)
    return labels


def _load(model: str, graph: str) -> Network:
    place: Path = MODELS / model
    try:
        return load(verified(place, graph, read_manifest(place)))
    except (WeightsError, BackendError) as error:
        raise ServiceError(f"maps: {error}") from None


def _rgb(picture: Picture, size: Size, work: Size) -> NDArray[np.uint8]:
    """(h, w, 3) of the working size. Raises ValueError for a picture of another size than was told."""
    if picture.shape != (size.height * 3 // 2, size.width):
        raise ValueError(f"the picture is {picture.shape}, the maps are made for {size}")
    rgb = np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_YUV2RGB_I420), np.uint8)
    if work == size:
        return rgb
    return np.asarray(cv2.resize(rgb, (work.width, work.height), interpolation=cv2.INTER_AREA), np.uint8)


def _planes(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _enlarged(labels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    how = cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(labels, (size.width, size.height), interpolation=how), np.uint8)
