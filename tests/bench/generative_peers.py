"""HEVC (x265) and SVT-AV1 at a few kilobits a second, for the generative bench: each at its best.

Each codes the whole clip at once, with one key frame, B pictures and no limit on its delay, at several sizes and frame
rates; of each setting the finest quality whose bytes fit. Parameter sets cost them nothing, and they share packets: one
for as long as a unit of pictures of ours lasts, with our headers. What lies between coded pictures is mixed. Which
setting is shown is chosen clip by clip with the source at hand: the best by HaarPSI, and the best by PSNR.

Live, with our delay, they are tried at the sizes and frame rates that were best without a limit: few or no B pictures,
the key frame as fine as the rest or coarser, and as fine as both rate and delay allow."""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from common.codec.texture.encoder import unit_frames
from common.video import Picture, picture_size, to_video_frame
from tests.bench.generative_delay import lateness
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
HEAD = struct.Struct("<II")  # of a unit that is kept
X265 = "log-level=none:info=0:pools=none:frame-threads=1:keyint=-1:scenecut=0:aq-mode=0"
SVTAV1 = "lp=1:keyint=-1:scd=0"
LIVE = {
    "libx265": tuple(f"bframes={count}:ipratio={key}" for count in (0, 2) for key in ("1.4", "0.7")),
    "libsvtav1": tuple(
        f"pred-struct=1{key}" for key in ("", ":use-fixed-qindex-offsets=1:key-frame-qindex-offset=40")
    ),
}
"""Orders of coding for a short delay, with key frames as usual and coarser."""
VERSION = 2  # of all this: what was kept of an older one is made anew


@dataclass(frozen=True, slots=True)
class Setting:
    """Sides of the clip over those that are coded; each `step`-th picture is. `order`: one of LIVE, or the encoder's
    own, which knows no limit on the delay."""

    codec: str
    shrink: Fraction
    step: int
    order: str = ""

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

    @property
    def live(self) -> Iterator[Setting]:
        """The same size and frame rate in an order for a short delay."""
        return (replace(self.setting, order=order) for order in LIVE[self.setting.codec])


Unit = tuple[bytes, int]
"""An access unit in the order of coding, and its number in the order of display."""


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

    def best(self, setting: Setting, kbps: float, delay_s: float = math.inf) -> Coded | None:
        """The finest quality that fits, shown `delay_s` after its capture at the latest; None where none does."""
        low, high = round(PARTS * FINEST), round(PARTS * COARSEST[setting.codec])
        best: tuple[float, float] | None = None
        while low <= high:
            middle = high if best is None else (low + high) // 2
            units = self._units(setting, middle / PARTS)
            spent = self._wire(setting.codec, units, kbps)
            fits = spent <= kbps and self._late(setting, units, kbps) <= delay_s
            if best is None and not fits:
                return None
            if fits:
                best, high = (middle / PARTS, spent), middle - 1
            else:
                low = middle + 1
        assert best is not None
        return Coded(setting, best[0], best[1], self._shown(setting, best[0]))

    def _wire(self, codec: str, units: Sequence[Unit], kbps: float) -> float:
        """kbit/s, one packet for each unit of ours and more where one is full."""
        seconds = len(self._pictures) / self._fps
        payload = sum(_bytes(codec, unit) for unit, _ in units[1:])
        least = math.ceil(len(self._pictures) / unit_frames(self._fps, kbps))
        packets = max(least, math.ceil(payload / PAYLOAD))
        return (payload + OVERHEAD * packets) / 125 / seconds

    def _late(self, setting: Setting, units: Sequence[Unit], kbps: float) -> float:
        """Seconds from capture to display; each picture pays its part of the packets' headers."""
        sizes = [(_bytes(setting.codec, unit), number) for unit, number in units[1:]]
        seconds = len(self._pictures) / self._fps
        headers = self._wire(setting.codec, units, kbps) * 125 * seconds / sum(size for size, _ in sizes)
        wire = [(math.ceil(size * headers), number) for size, number in sizes]
        return lateness(wire, self._places(setting), self._fps, kbps)

    def _places(self, setting: Setting) -> range:
        """Which pictures of the clip are coded."""
        return range(setting.step // 2, len(self._pictures), setting.step)

    def _units(self, setting: Setting, quality: float) -> list[Unit]:
        """The parameter sets, then the pictures."""
        said = f"{setting.codec}-{float(setting.shrink):g}-{setting.step}-{quality:g}-{setting.order}"
        said = said.replace(":", "-")
        name = f"{VERSION}-{self._key}-{self._fps:g}-{said}"
        path = self._cache / name
        try:
            return _unpack(path.read_bytes())
        except OSError:
            units = encode(self._small(setting), setting, self._fps / setting.step, quality)
            self._cache.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{name}.{os.getpid()}")
            part.write_bytes(b"".join(HEAD.pack(len(unit), number) + unit for unit, number in units))
            part.replace(path)
            return units

    def _small(self, setting: Setting) -> list[Picture]:
        return shrunk([self._pictures[place] for place in self._places(setting)], setting.shrink)

    def _shown(self, setting: Setting, quality: float) -> list[Picture]:
        """All pictures of the clip."""
        decoder = av.CodecContext.create(DECODERS[setting.codec], "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.thread_count = 1
        head, first, *rest = (unit for unit, _ in self._units(setting, quality))
        packets = [*map(av.Packet, (head + first, *rest)), None]
        decoded = [frame for packet in packets for frame in decoder.decode(packet)]
        count, places = len(self._pictures), self._places(setting)
        if len(decoded) != len(places):
            raise RuntimeError(f"{setting.codec}: {len(places)} pictures coded, {len(decoded)} decoded")
        size = picture_size(self._pictures[0])
        large = [
            enlarged(np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8), *size) for frame in decoded
        ]
        return large if setting.step == 1 else mixed(large, places, count)


def encode(pictures: Sequence[Picture], setting: Setting, fps: float, quality: float) -> list[Unit]:
    """Parameter sets, then access units in coding order."""
    codec, order = setting.codec, f":{setting.order}" if setting.order else ""
    os.environ.setdefault("SVT_LOG", "1")
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    (encoder.width, encoder.height), encoder.pix_fmt = picture_size(pictures[0]), "yuv420p"
    encoder.framerate = Fraction(fps).limit_denominator(1000)
    encoder.time_base = 1 / encoder.framerate
    encoder.thread_count = 1
    if codec == "libx265":
        encoder.flags |= GLOBAL_HEADER
        encoder.options = {"preset": "medium", "x265-params": f"{X265}:crf={quality:g}{order}"}
    else:
        encoder.options = {"preset": "5", "svtav1-params": f"{SVTAV1}:crf={quality:g}{order}"}
    frames = [to_video_frame(picture, index) for index, picture in enumerate(pictures)]
    packets = [packet for frame in [*frames, None] for packet in encoder.encode(frame)]
    units, numbers = [bytes(packet) for packet in packets], [packet.pts or 0 for packet in packets]
    if codec == "libsvtav1" and os.geteuid() == 0:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # run by root it takes real-time priority
    head = bytes(encoder.extradata or b"") if codec == "libx265" else b""
    if codec == "libsvtav1":
        units = [unit.removeprefix(TEMPORAL_DELIMITER) for unit in units]
        length = 2 + units[0][1]  # of the sequence header
        head, units[0] = units[0][:length], units[0][length:]
    return [(head, 0), *zip(units, numbers, strict=True)]


def _bytes(codec: str, unit: bytes) -> int:
    """Start codes taken for one byte of length each."""
    return len(unit) - (3 * unit.count(NAL_START) if codec == "libx265" else 0)


def _unpack(data: bytes) -> list[Unit]:
    units, at = [], 0
    while at < len(data):
        length, number = HEAD.unpack_from(data, at)
        at += HEAD.size
        units.append((data[at : at + length], number))
        at += length
    return units
