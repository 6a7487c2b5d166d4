"""What label maps cost elsewhere: lossless PNG, WebP and JPEG XL; AV1 and x265 of a colour map, decoded to classes."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import av
import numpy as np
import pillow_jxl  # noqa: F401  (makes Pillow write JPEG XL)
from numpy.typing import NDArray
from PIL import Image

from tests.bench.structure_sets import Labels

CODECS = {
    "x265 4:4:4": (
        "libx265",
        "hevc",
        "yuv444p",
        {"preset": "medium", "x265-params": "log-level=none:info=0:pools=none:frame-threads=1"},
    ),
    "AV1 4:2:0": ("libsvtav1", "libdav1d", "yuv420p", {"preset": "6", "svtav1-params": "lp=1"}),
}
QUALITIES = {"x265 4:4:4": (28, 37, 46), "AV1 4:2:0": (40, 55, 63)}


def palette(classes: int) -> NDArray[np.int64]:
    """Colours (classes, 3) of Y, U and V that lie far apart."""
    levels = [np.array((y, u, v)) for y in (40, 128, 216) for u in (60, 128, 196) for v in (60, 128, 196)]
    chosen = [levels[0]]
    while len(chosen) < min(classes, len(levels)):
        chosen.append(max(levels, key=lambda one: min(int(np.abs(one - other).sum()) for other in chosen)))
    extra = [
        np.array((16 + 7 * (i % 32), 16 + 13 * (i % 17), 16 + 11 * (i % 19)))
        for i in range(classes - len(chosen))
    ]
    return np.array([*chosen, *extra], np.int64)


def lossless(name: str, maps: Sequence[Labels]) -> int:
    """Bytes of all maps, each on its own."""
    options: dict[str, Any] = {"lossless": True, "effort": 7}
    if name == "png":
        options = {"optimize": True}
    elif name == "webp":
        options = {"lossless": True, "method": 4, "quality": 80}
    size = 0
    for labels in maps:
        out = io.BytesIO()
        picture = Image.fromarray(labels)
        (picture.convert("RGB") if name == "webp" else picture).save(out, name, **options)
        size += len(out.getvalue())
    return size


def lossy(
    name: str, maps: Sequence[Labels], classes: int, fps: float, quality: int
) -> tuple[int, list[Labels]]:
    """Bytes of the colour map's video at a CRF, and the classes whose colours are nearest to what it decodes to."""
    os.environ.setdefault("SVT_LOG", "1")  # errors alone
    encoder, decoder, layout, options = CODECS[name]
    colours = palette(classes).astype(np.uint8)
    height, width = maps[0].shape
    context = cast(Any, av.VideoCodecContext.create(encoder, "w"))
    context.width, context.height, context.pix_fmt = width, height, layout
    context.framerate, context.time_base = Fraction(round(fps)), Fraction(1, round(fps))
    context.options = {**options, "crf": str(quality)}
    packets = []
    for number, labels in enumerate(maps):
        frame = av.VideoFrame.from_ndarray(
            _planes(colours[np.minimum(labels, classes - 1)], layout), format=layout
        )
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    reader = cast(Any, av.VideoCodecContext.create(decoder, "r"))
    shown = [
        frame for packet in packets for frame in reader.decode(av.Packet(bytes(packet)))
    ] + reader.decode(None)
    return sum(packet.size for packet in packets), [
        _nearest(frame.to_ndarray(), _classes(classes), layout) for frame in shown
    ]


def _planes(picture: NDArray[np.uint8], layout: str) -> NDArray[np.uint8]:
    """Frame data as PyAV takes it, of a picture (H, W, 3)."""
    planes = picture.transpose(2, 0, 1)
    if layout == "yuv444p":
        return np.ascontiguousarray(planes)
    height, width = planes.shape[1:]
    halves = [plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)).round() for plane in planes[1:]]
    flat = np.concatenate([planes[0].reshape(-1), *(half.reshape(-1) for half in halves)])
    return flat.astype(np.uint8).reshape(height * 3 // 2, width)


def _nearest(planes: NDArray[np.uint8], table: Labels, layout: str) -> Labels:
    if layout == "yuv444p":
        picture = planes
    else:
        height = planes.shape[0] * 2 // 3
        flat, size = planes.reshape(-1), height * planes.shape[1]
        halves = flat[size:].reshape(2, height // 2, planes.shape[1] // 2)
        chroma = halves.repeat(2, axis=1).repeat(2, axis=2)
        picture = np.concatenate((flat[:size].reshape(1, height, -1), chroma))
    y, u, v = (plane >> 2 for plane in picture)
    return np.asarray(table[y, u, v])


@lru_cache(maxsize=4)
def _classes(classes: int) -> Labels:
    """The class whose colour is nearest to each of 64x64x64 colours."""
    side = np.arange(2, 256, 4)
    distances = np.full((64, 64, 64), 1024, np.int32)
    out = np.zeros_like(distances, dtype=np.uint8)
    for number, (y, u, v) in enumerate(palette(classes)):
        found = np.abs(side - y)[:, None, None] + np.abs(side - u)[:, None] + np.abs(side - v)
        out[found < distances] = number
        distances = np.minimum(distances, found)
    return out
