"""HEVC (x265) and SVT-AV1 at a few kilobits a second, for the generative bench: each at its best.

Each codes the whole clip at once, with one key frame, B pictures and no limit on its delay, at several sizes and frame
rates; of each setting the finest quality whose bytes fit. Parameter sets cost them nothing, and they share packets: one
for as long as a unit of pictures of ours lasts, with our headers. What lies between coded pictures is mixed. Which
setting is shown is chosen clip by clip with the source at hand: the best by HaarPSI, and the best by PSNR."""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from common.codec.texture.encoder import unit_frames
from common.video import Picture, picture_size, to_video_frame
from tests.bench.generative_wire import OVERHEAD, PAYLOAD
from tests.bench.peers import (
    DECODERS,
    GLOBAL_HEADER,
    NAL_START,
    SMALLEST_SIDE,
    TEMPORAL_DELIMITER,
    enlarged,
    shrunk,
)
from tests.bench.texture_peers import mixed

NAMES = {"libx265": "hevc", "libsvtav1": "svtav1"}
SHRINKS = (Fraction(1), Fraction(3, 2), Fraction(2), Fraction(3), Fraction(4))
STEPS = (1, 2, 4, 8)  # every so manyth picture is coded
DENSITY = (0.02, 0.4)  # bits a coded pixel: settings beyond are not tried
FINEST = 10.0
COARSEST = {"libx265": 51.0, "libsvtav1": 63.0}
PARTS = 2  # of a level of quality
X265 = "log-level=none:info=0:pools=none:frame-threads=1:keyint=-1:scenecut=0:aq-mode=0"
SVTAV1 = "lp=1:keyint=-1:scd=0"
VERSION = 1  # of all this: what was kept of an older one is made anew


@dataclass(frozen=True, slots=True)
class Setting:
    """Sides of the clip over those that are coded; each `step`-th picture is."""

    codec: str
    shrink: Fraction
    step: int

    @property
    def label(self) -> str:
        """For the table."""
        size = "full size" if self.shrink == 1 else f"1/{float(self.shrink):g} size"
        return size + ("" if self.step == 1 else f", 1 of {self.step} pictures")


@dataclass(frozen=True, slots=True)
class Coded:
    """A clip at a setting: what is shown, and what it took."""

    setting: Setting
    quality: float
    kbps: float
    shown: list[Picture]


def settings(codec: str, pictures: Sequence[Picture], fps: float, kbps: float) -> Iterator[Setting]:
    """Those that are worth a try at a rate."""
    width, height = picture_size(pictures[0])
    for shrink in SHRINKS:
        for step in STEPS:
            pixels = width * height / float(shrink) ** 2 * fps / step
            if (
                min(width, height) / shrink >= SMALLEST_SIDE
                and DENSITY[0] <= 1000 * kbps / pixels <= DENSITY[1]
            ):
                yield Setting(codec, shrink, step)


class Peers:
    """Codes one clip; what it has coded lies in a folder and is not coded again."""

    def __init__(self, pictures: Sequence[Picture], fps: float, cache: Path) -> None:
        self._pictures, self._fps = pictures, fps
        self._cache = cache
        self._key = hashlib.sha256(np.stack(pictures).tobytes()).hexdigest()[:16]

    def best(self, setting: Setting, kbps: float) -> Coded | None:
        """The finest quality that fits; None where none does."""
        low, high = round(PARTS * FINEST), round(PARTS * COARSEST[setting.codec])
        best: tuple[float, float] | None = None
        while low <= high:
            middle = high if best is None else (low + high) // 2
            spent = self._wire(setting.codec, self._units(setting, middle / PARTS), kbps)
            if best is None and spent > kbps:
                return None
            if spent <= kbps:
                best, high = (middle / PARTS, spent), middle - 1
            else:
                low = middle + 1
        assert best is not None
        return Coded(setting, best[0], best[1], self._shown(setting, best[0]))

    def _wire(self, codec: str, units: Sequence[bytes], kbps: float) -> float:
        """kbit/s, one packet for each unit of ours and more where one is full."""
        seconds = len(self._pictures) / self._fps
        payload = _bytes(codec, units[1:])
        least = math.ceil(len(self._pictures) / unit_frames(self._fps, kbps))
        packets = max(least, math.ceil(payload / PAYLOAD))
        return (payload + OVERHEAD * packets) / 125 / seconds

    def _units(self, setting: Setting, quality: float) -> list[bytes]:
        said = f"{setting.codec}-{float(setting.shrink):g}-{setting.step}-{quality:g}"
        name = f"{VERSION}-{self._key}-{self._fps:g}-{said}"
        path = self._cache / name
        try:
            return _unpack(path.read_bytes())
        except OSError:
            units = encode(self._small(setting), setting.codec, self._fps / setting.step, quality)
            self._cache.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(b"".join(struct.pack("<I", len(unit)) + unit for unit in units))
            part.replace(path)
            return units

    def _small(self, setting: Setting) -> list[Picture]:
        return shrunk(self._pictures[setting.step // 2 :: setting.step], setting.shrink)

    def _shown(self, setting: Setting, quality: float) -> list[Picture]:
        """All pictures of the clip."""
        decoder = av.CodecContext.create(DECODERS[setting.codec], "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.thread_count = 1
        head, first, *rest = self._units(setting, quality)
        packets = [*map(av.Packet, (head + first, *rest)), None]
        decoded = [frame for packet in packets for frame in decoder.decode(packet)]
        count = len(self._pictures)
        places = list(range(setting.step // 2, count, setting.step))
        if len(decoded) != len(places):
            raise RuntimeError(f"{setting.codec}: {len(places)} pictures coded, {len(decoded)} decoded")
        size = picture_size(self._pictures[0])
        large = [
            enlarged(np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8), *size) for frame in decoded
        ]
        return large if setting.step == 1 else mixed(large, places, count)


def encode(pictures: Sequence[Picture], codec: str, fps: float, quality: float) -> list[bytes]:
    """Parameter sets, then access units in coding order."""
    os.environ.setdefault("SVT_LOG", "1")
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    (encoder.width, encoder.height), encoder.pix_fmt = picture_size(pictures[0]), "yuv420p"
    encoder.framerate = Fraction(fps).limit_denominator(1000)
    encoder.time_base = 1 / encoder.framerate
    encoder.thread_count = 1
    if codec == "libx265":
        encoder.flags |= GLOBAL_HEADER
        encoder.options = {"preset": "medium", "x265-params": f"{X265}:crf={quality:g}"}
    else:
        encoder.options = {"preset": "5", "svtav1-params": f"{SVTAV1}:crf={quality:g}"}
    frames = [to_video_frame(picture, index) for index, picture in enumerate(pictures)]
    units = [bytes(packet) for frame in [*frames, None] for packet in encoder.encode(frame)]
    if codec == "libsvtav1" and os.geteuid() == 0:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # run by root it takes real-time priority
    head = bytes(encoder.extradata or b"") if codec == "libx265" else b""
    if codec == "libsvtav1":
        units = [unit.removeprefix(TEMPORAL_DELIMITER) for unit in units]
        length = 2 + units[0][1]  # of the sequence header
        head, units[0] = units[0][:length], units[0][length:]
    return [head, *units]


def _bytes(codec: str, units: Sequence[bytes]) -> int:
    """Of all units, start codes taken for one byte of length each."""
    return sum(len(unit) - (3 * unit.count(NAL_START) if codec == "libx265" else 0) for unit in units)


def _unpack(data: bytes) -> list[bytes]:
    units, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        units.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return units
