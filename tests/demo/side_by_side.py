"""One video of what was sent, what was shown, its map of classes where there is one, and how far each region of it can
be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from common.codec.base import IMAGINED, RECEIVED, RECOVERED
from common.font import PITCH, plain, text_mask
from common.values import Size
from common.video import Picture, blank, from_video_frame, planes, to_video_frame
from receiver.contours.store import ShownMap
from receiver.play.osd.classes import Entry, entries
from tests.demo.maps import coloured

Colour = tuple[int, int, int]  # Y, U, V

PAPER, INK, FAINT = 22, 225, 140
TINTS: dict[int, tuple[str, Colour]] = {
    RECEIVED: ("RECEIVED", (121, 132, 58)),
    RECOVERED: ("RECOVERED", (162, 59, 183)),
    IMAGINED: ("IMAGINED", (122, 145, 205)),
}
TINT = 110  # of 256
OPTIONS = {"preset": "veryfast", "crf": "14"}
BAR, GAP = 28, 4
PANEL_HEIGHT = 384  # smaller pictures are enlarged by a whole factor up to about this


class SideBySide:
    """Writes the video; use as a context manager. All pictures have `size`."""

    def __init__(
        self,
        path: Path,
        size: Size,
        fps: float,
        caption: str,
        maps: bool = False,
        generated: bool = False,
    ) -> None:
        """`maps`: with a column for the map of classes; `generated`: one for the texture that was received, beside
        what was made of it."""
        self._size = size
        seen = ("TEXTURE", "GENERATED") if generated else ("SHOWN",)
        self._titles = ("SENT", *seen, *(("MAP",) if maps else ()), "TRUST")
        self._factor = max(1, PANEL_HEIGHT // size.height)
        self._wide, self._high = size.width * self._factor, size.height * self._factor
        panels = len(self._titles)
        self._width, self._height = panels * self._wide + (panels - 1) * GAP, self._high + 2 * BAR
        self._template = self._labelled(caption)
        self._count = 0
        self._rate = Fraction(fps).limit_denominator(1001)
        self._container = av.open(str(path), "w")
        stream: VideoStream = self._container.add_stream("libx264", rate=self._rate, options=dict(OPTIONS))
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 6, 1  # BT.601, limited
        self._stream = stream

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def add(
        self,
        sent: Picture | None,
        shown: Picture,
        trust: NDArray[np.uint8],
        found: ShownMap | None = None,
        texture: Picture | None = None,
    ) -> None:
        """One tick; `sent` None when there is no such frame; `found`: its map; `texture`: what was received, None
        where that was shown."""
        picture = self.compose(sent, shown, trust, found, texture)
        self._container.mux(self._stream.encode(to_video_frame(picture, self._count, 1 / self._rate)))
        self._count += 1

    def compose(
        self,
        sent: Picture | None,
        shown: Picture,
        trust: NDArray[np.uint8],
        found: ShownMap | None = None,
        texture: Picture | None = None,
    ) -> Picture:
        """The picture of one tick."""
        canvas = self._template.copy()
        panels = [sent if sent is not None else blank(*self._sides), shown, tinted(shown, trust)]
        if "TEXTURE" in self._titles:
            panels.insert(1, shown if texture is None else texture)
        if "MAP" in self._titles:
            panels.insert(-1, shown if found is None else coloured(shown, found))
            self._list(canvas, () if found is None else entries(found))
        for place, panel in enumerate(panels):
            left = place * (self._wide + GAP)
            for target, source, step in zip(planes(canvas), planes(panel), (1, 2, 2), strict=True):
                y, x = BAR // step, left // step
                large = source.repeat(self._factor, 0).repeat(self._factor, 1)
                target[y : y + large.shape[0], x : x + large.shape[1]] = large
        return canvas

    @property
    def _sides(self) -> tuple[int, int]:
        return self._size.width, self._size.height

    def _labelled(self, caption: str) -> Picture:
        canvas = blank(self._width, self._height, PAPER)
        for place, title in enumerate(self._titles):
            self._write(canvas, title, place * (self._wide + GAP) + 8, 7, 2, INK)
        bottom = self._high + BAR
        self._write(canvas, caption, 8, bottom + 10, 1, FAINT)
        left = (len(self._titles) - 1) * (self._wide + GAP) + 8
        for name, colour in TINTS.values():
            _fill(canvas, bottom + 8, left, 12, 12, colour)
            self._write(canvas, name, left + 18, bottom + 10, 1, INK)
            left += 18 + PITCH * (len(name) + 2)
        return canvas

    def _list(self, canvas: Picture, seen: Sequence[Entry]) -> None:
        """The classes below the map, as many as there is room for."""
        left, top = self._titles.index("MAP") * (self._wide + GAP) + 8, self._high + BAR
        end = left + self._wide - 16
        for name, colour in seen:
            need = 18 + PITCH * (len(name) + 2)
            if left + need > end:
                break
            _fill(canvas, top + 8, left, 12, 12, (FAINT, 128, 128))
            _fill(canvas, top + 10, left + 2, 8, 8, _yuv(colour))
            self._write(canvas, plain(name), left + 18, top + 10, 1, INK)
            left += need

    @staticmethod
    def _write(canvas: Picture, text: str, left: int, top: int, dot: int, luma: int) -> None:
        plane = planes(canvas)[0]
        mask = text_mask(text, dot)[:, : max(0, plane.shape[1] - left)]
        plane[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = luma


def tinted(picture: Picture, trust: NDArray[np.uint8]) -> Picture:
    """The picture with every region in the colour of its trust."""
    out = np.empty_like(picture)
    colours = np.array([TINTS[kind][1] for kind in (RECEIVED, RECOVERED, IMAGINED)], np.uint16)
    for number, (target, source) in enumerate(zip(planes(out), planes(picture), strict=True)):
        block = 16 if number == 0 else 8
        tint = colours[np.minimum(trust, IMAGINED), number].repeat(block, 0).repeat(block, 1)
        share = TINT if number == 0 else 2 * TINT
        target[...] = (source * np.uint16(256 - share) + tint * np.uint16(share)) >> 8
    return out


def _yuv(colour: tuple[int, int, int, int]) -> Colour:
    luma, blue, red = (plane[0, 0] for plane in planes(_picture(colour)))
    return int(luma), int(blue), int(red)


def _picture(colour: tuple[int, int, int, int]) -> Picture:
    pixels = np.full((2, 2, 3), colour[:3], np.uint8)
    return from_video_frame(av.VideoFrame.from_ndarray(pixels, format="rgb24"))


def _fill(canvas: Picture, top: int, left: int, height: int, width: int, colour: Colour) -> None:
    for plane, value, step in zip(planes(canvas), colour, (1, 2, 2), strict=True):
        plane[top // step : (top + height) // step, left // step : (left + width) // step] = value
