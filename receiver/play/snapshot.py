"""One picture as a PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from common.video import Picture, to_video_frame
from receiver.play.osd.canvas import LINE, Canvas, Rgba, text_width
from receiver.play.osd.classes import Entry, swatch

STRIP = (14, 16, 20, 255)
GAP = 20  # dots around the name of an entry


@dataclass(frozen=True, slots=True)
class Overlay:
    """What is laid over a picture, lowest first, each stretched to its size, and the legend that goes below it."""

    layers: Sequence[Rgba] = ()
    legend: Sequence[Entry] = ()


def png(picture: Picture, overlay: Overlay | None = None) -> bytes:
    """The picture as an RGB PNG of the same size; higher where there is a legend."""
    pixels = np.asarray(to_video_frame(picture).to_ndarray(format="rgb24"), np.uint8)
    for layer in overlay.layers if overlay else ():
        pixels = laid(pixels, layer)
    if overlay and overlay.legend:
        pixels = np.concatenate([pixels, _strip(overlay.legend, pixels.shape[1])])
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels, np.uint8), format="rgb24")
    codec = av.CodecContext.create("png", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "rgb24"
    return b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))


def laid(pixels: npt.NDArray[np.uint8], layer: Rgba) -> npt.NDArray[np.uint8]:
    """RGB pixels (H, W, 3) with a layer over them, stretched to their size."""
    height, width = pixels.shape[:2]
    large = cv2.resize(layer, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint16)
    alpha = large[..., 3:]
    mixed = (pixels * (255 - alpha) + large[..., :3] * alpha + 127) // 255
    return mixed.astype(np.uint8)


def _strip(legend: Sequence[Entry], width: int) -> npt.NDArray[np.uint8]:
    """The entries in as few rows as they fit into; (H, width, 3)."""
    dot = 2 if width >= 640 else 1
    room = -(-width // dot)
    places: list[tuple[int, int]] = []
    left = top = 3
    for name, _ in legend:
        need = text_width(name) + GAP
        if left + need > room and left > 3:
            left, top = 3, top + LINE
        places.append((left, top))
        left += need
    canvas = Canvas(room, top + LINE)
    canvas.box(0, 0, canvas.width, canvas.height, STRIP)
    for (x, y), (name, colour) in zip(places, legend, strict=True):
        swatch(canvas, x, y, colour)
        canvas.text(x + 12, y, name, backing=None)
    return canvas.pixels.repeat(dot, 0).repeat(dot, 1)[:, :width, :3]


def save(picture: Picture, folder: Path, at: datetime, overlay: Overlay | None = None) -> Path:
    """Write the picture to a new file in `folder`, which is made where it is missing; returns the path.

    Never overwrites: a name that is taken gets a number. Raises OSError (no permission, disk full) and leaves nothing.
    """
    data = png(picture, overlay)
    folder.mkdir(parents=True, exist_ok=True)
    stem = at.strftime("semcast-%Y%m%d-%H%M%S")
    for number in count(1):
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path
    raise AssertionError("unreachable")
