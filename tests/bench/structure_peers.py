"""What label maps cost elsewhere: lossless PNG, WebP and JPEG XL; AV1 and x265 of a colour map, decoded to its classes."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.bench.structure_sets import Labels

CODECS = {
    "x265 4:4:4": ("libx265", "yuv444p", {"preset": "medium", "x265-params": "log-level=none:pools=1:frame-threads=1"}),
    "AV1 4:2:0": ("libsvtav1", "yuv420p", {"preset": "6", "svtav1-params": "lp=1"}),
}
QUALITIES = {"x265 4:4:4": (22, 28, 34, 40, 46), "AV1 4:2:0": (30, 40, 50, 58, 63)}


def palette(classes: int) -> NDArray[np.int64]:
    """Colours (classes, 3) of Y, U and V that lie far apart."""
    levels = [np.array((y, u, v)) for y in (40, 128, 216) for u in (60, 128, 196) for v in (60, 128, 196)]
    chosen = [levels[0]]
    while len(chosen) < min(classes, len(levels)):
        chosen.append(max(levels, key=lambda one: min(int(np.abs(one - other).sum()) for other in chosen)))
    extra = [np.array((16 + 7 * (i % 32), 16 + 13 * (i % 17), 16 + 11 * (i % 19))) for i in range(classes - len(chosen))]
    return np.array([*chosen, *extra], np.int64)


def lossless(name: str, maps: Sequence[Labels]) -> int | None:
    """Bytes of all maps, each on its own; None where the format is not installed."""
    options: dict[str, object] = {"png": {"optimize": True}, "webp": {"lossless": True, "method": 6, "quality": 100}}.get(
        name, {"lossless": True, "effort": 7}
    )
    if name == "jxl":
        try:
            importlib.import_module("pillow_jxl")
        except ImportError:
            return None
    size = 0
    for labels in maps:
        out = io.BytesIO()
        picture = Image.fromarray(labels)
        (picture.convert("RGB") if name == "webp" else picture).save(out, name, **options)
        size += len(out.getvalue())
    return size


def lossy(name: str, maps: Sequence[Labels], classes: int, fps: float, quality: int) -> tuple[int, list[Labels]]:
    """Bytes of the colour map's video at a CRF, and the classes whose colours are nearest to what it decodes to."""
    encoder, layout, options = CODECS[name]
    colours = palette(classes)
    height, width = maps[0].shape
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = width, height, layout
    context.framerate, context.time_base = round(fps), 1 / av.codec.context.Fraction(round(fps)) if False else None
    raise NotImplementedError(options, quality, colours)
