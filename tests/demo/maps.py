"""The maps of classes of a run: exact ones where the source has them, and how near those on show came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.contour.worth import mean_iou
from common.tabletop.files import PICTURES, TabletopVideo, shipped
from common.values import Size
from common.video import Picture, Resizer, cover, from_video_frame, planes, to_video_frame
from receiver.contours.figures import shares
from receiver.contours.store import ShownMap
from receiver.play.osd.classes import MapMode, paint
from receiver.play.snapshot import laid
from tests.demo.logs import LoggedMap
from tests.demo.measure import percentiles

TABLETOP = "tabletop"
THUMB = 32  # pixels of a side, by which a frame of a clip is known again
FAR = 6.0  # mean luma difference of thumbs of one frame at most
STRENGTH = 55  # per cent

Labels = NDArray[np.uint8]


class ExactMaps:
    """Of the frames of a rendered clip, at the size that is sent."""

    def __init__(self, video: TabletopVideo, size: Size) -> None:
        resizer = Resizer(size.width, size.height)
        with av.open(str(video.folder / PICTURES)) as container:
            self._thumbs = np.array([_thumb(resizer.convert(frame)) for frame in container.decode(video=0)])
        self._labels = [_fitted(labels, size) for labels in video.classes()]

    def of(self, picture: Picture) -> Labels | None:
        """The exact map of a frame that was sent; None where it is none of the clip's."""
        far = np.abs(self._thumbs - _thumb(picture)).mean(axis=(1, 2))
        nearest = int(far.argmin())
        return self._labels[nearest] if far[nearest] < FAR else None


def exact_maps(source: str | None, size: Size) -> ExactMaps | None:
    """None where the source does not know its maps."""
    name, _, number = (source or "").partition(":")
    if name != TABLETOP:
        return None
    return ExactMaps(shipped()[int(number or 0)], size)


def _thumb(picture: Picture) -> NDArray[np.float32]:
    small = cv2.resize(planes(picture)[0], (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def _fitted(labels: Labels, size: Size) -> Labels:
    """Scaled to cover and cut, as the sender does with pictures."""
    height, width = labels.shape
    wide, high, left, top = cover(width, height, size.width, size.height)
    scaled = cv2.resize(labels, (wide, high), interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(scaled[top : top + size.height, left : left + size.width], np.uint8)


class MapMeasure:
    """Counts over a run what the maps on show were like."""

    def __init__(self) -> None:
        self.ticks = 0
        self._counts: NDArray[np.int64] | None = None
        self._ages: list[float] = []
        self._shares: list[tuple[float, float]] = []

    def add(self, found: LoggedMap | None, shown: ShownMap | None, exact: Labels | None) -> None:
        """One picture, with its map and the exact one of the frame that it shows."""
        self.ticks += 1
        if found is None or shown is None:
            return
        self._ages.append(1e3 * found.age)
        self._shares.append(shares(found.trust))
        if exact is None:
            return
        classes = len(shown.legend.classes)
        counts = confusion(exact, shown.labels, classes)
        if self._counts is None or self._counts.shape != counts.shape:
            self._counts = np.zeros_like(counts)
        self._counts += counts

    def summary(self) -> dict[str, Any] | None:
        """For summary.json; None where no map was shown."""
        if not self._ages:
            return None
        held, lost = np.mean(self._shares, axis=0)
        return {
            "miou": None if self._counts is None else round(mean_iou(self._counts), 4),
            "shown": round(len(self._ages) / self.ticks, 4),
            "held_over": round(float(held), 4),
            "lost": round(float(lost), 4),
            "age_ms": percentiles(self._ages, 50, 95),
        }


def confusion(exact: Labels, shown: Labels, classes: int) -> NDArray[np.int64]:
    """Pixels by true and shown class, (classes + 1) squared; the last is for what is not known, which in `exact` counts
    for nothing."""
    if shown.shape != exact.shape:
        shown = cv2.resize(shown, exact.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    side = classes + 1
    index = np.minimum(exact, classes).astype(np.int32) * side + np.minimum(shown, classes)
    counts = np.bincount(index.ravel(), minlength=side * side).reshape(side, side)
    counts[classes] = 0
    return counts.astype(np.int64)


def coloured(picture: Picture, shown: ShownMap) -> Picture:
    """The picture with its map as a tint, held over parts hatched."""
    pixels = np.asarray(to_video_frame(picture).to_ndarray(format="rgb24"), np.uint8)
    mixed = laid(pixels, paint(shown, MapMode.TINT, STRENGTH))
    return from_video_frame(av.VideoFrame.from_ndarray(mixed, format="rgb24"))


def has_maps(lines: Sequence[LoggedMap | None]) -> bool:
    """Whether any map was shown."""
    return any(line is not None for line in lines)
