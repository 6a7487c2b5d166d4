"""Ordinary codecs as contestants: a low-delay encoder, and an ideal erasure code over blocks of frames.

The erasure code is maximum-distance separable and costs nothing but its parity packets: a block of k data packets
sent as n = k / code rate is whole when any k arrive. When fewer do, the data packets that arrived still count. A frame
whose packets are not all there is not decoded and the last picture stands, as players do; what follows a lost frame is
either decoded onto what there is or held back until the next key frame, whichever looks better over the clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame

from common.video import Picture, picture_size
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES
from tests.bench.contestant import Arrived, Encoded, Shown, unit_frames

HEADERS = IP_UDP_BYTES + OVERHEAD_BYTES  # the same header cost as ours
SYMBOL_LIMIT = MAX_DATAGRAM - OVERHEAD_BYTES
MIN_SYMBOLS = 2  # fewer packets cost less overhead; more would be protected in finer steps
RATE_TOLERANCE = 0.01
MAX_TRIALS = 8

OPTIONS = {
    "libx265": {
        "preset": "medium",
        "tune": "zerolatency",
        "x265-params": "log-level=none:scenecut=0:bframes=0:rc-lookahead=0:pools=1:frame-threads=1"
        ":keyint={keyint}:min-keyint={keyint}",
    },
    "libx264": {
        "preset": "medium",
        "tune": "zerolatency",
        "g": "{keyint}",
        "sc_threshold": "0",
        "threads": "1",
    },
}
DECODERS = {"libx265": "hevc", "libx264": "h264"}


@dataclass(frozen=True, slots=True)
class Block:
    """Frames of one FEC block, as coded bytes, and how they are cut."""

    frames: tuple[bytes, ...]
    data: int  # k
    sent: int  # n
    symbol: int  # bytes

    @property
    def wire_bytes(self) -> int:
        """All bytes of its packets."""
        return self.sent * (self.symbol + HEADERS)

    def intact(self, arrived: Arrived) -> list[bool]:
        """Which frames can be decoded."""
        if arrived.sum() >= self.data:
            return [True] * len(self.frames)
        ends = np.cumsum([len(f) for f in self.frames])
        out = []
        for end, frame in zip(ends, self.frames, strict=True):
            first, last = (end - len(frame)) // self.symbol, (end - 1) // self.symbol
            out.append(bool(arrived[first : last + 1].all()))
        return out


@dataclass(frozen=True)
class Protected:
    """An FFmpeg encoder with an erasure code of one fixed rate and a key frame every `keyint` frames."""

    codec: str
    code_rate: Fraction
    keyint: int = 30

    @property
    def name(self) -> str:
        """For example `x265 1/4 key 30`."""
        return f"{self.codec.removeprefix('lib')} {self.code_rate} key {self.keyint}"

    def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
        """The bit rate is searched so that all bytes on the wire meet the target; a codec that cannot go so low
        is taken at its lowest, and its true wire rate stands in the result."""
        frames = len(pictures) // unit_frames() * unit_frames()
        target = wire_kbps * 125 * frames / fps
        bit_rate = wire_kbps * 1000 * float(self.code_rate) * 0.8
        trials: list[tuple[float, int, list[Block]]] = []
        for _ in range(MAX_TRIALS):
            blocks = self._blocks(self._coded(pictures[:frames], fps, bit_rate))
            wire = sum(b.wire_bytes for b in blocks)
            trials.append((abs(wire / target - 1), wire, blocks))
            if trials[-1][0] < RATE_TOLERANCE or bit_rate < 1000:
                break
            bit_rate *= min(2.0, max(0.3, (target / wire) ** 1.2))
        _, wire, blocks = min(trials, key=lambda trial: trial[0])
        return Encoded(tuple(b.sent for b in blocks), wire, frames, *picture_size(pictures[0]), blocks)

    def decode(self, encoded: Encoded, arrived: Sequence[Arrived]) -> Shown:
        """See Contestant.decode; before the first picture: grey."""
        return [self._decode(encoded, arrived, wait) for wait in (False, True)]

    def _decode(self, encoded: Encoded, arrived: Sequence[Arrived], wait: bool) -> list[Picture]:
        """`wait`: after a lost frame hold the picture until the next key frame."""
        blocks = encoded.content
        assert isinstance(blocks, list)
        decoder = av.CodecContext.create(DECODERS[self.codec], "r")
        decoder.thread_count = 1
        decoder.options = {"flags": "low_delay+output_corrupt"}
        shown: Picture = np.full((encoded.height * 3 // 2, encoded.width), 128, np.uint8)
        out: list[Picture] = []
        whole = True
        for block, kept in zip(blocks, arrived, strict=True):
            for coded, ok in zip(block.frames, block.intact(kept), strict=True):
                whole = ok and (whole or len(out) % self.keyint == 0)
                if whole or (ok and not wait):
                    shown = self._picture(decoder, coded, shown)
                out.append(shown)
        return out

    @staticmethod
    def _picture(decoder: av.CodecContext, coded: bytes, last: Picture) -> Picture:
        try:
            frames = decoder.decode(av.Packet(coded))  # type: ignore[attr-defined]
        except av.error.FFmpegError:
            return last
        return frames[-1].to_ndarray(format="yuv420p") if frames else last

    def _coded(self, pictures: list[Picture], fps: float, bit_rate: float) -> list[bytes]:
        width, height = picture_size(pictures[0])
        encoder = av.CodecContext.create(self.codec, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.framerate = Fraction(fps).limit_denominator(1000)
        encoder.time_base = 1 / encoder.framerate
        encoder.bit_rate = round(bit_rate)
        encoder.options = {k: v.format(keyint=self.keyint) for k, v in OPTIONS[self.codec].items()}
        coded = []
        for index, picture in enumerate(pictures):
            frame = VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = index
            coded += [bytes(p) for p in encoder.encode(frame)]
        coded += [bytes(p) for p in encoder.encode(None)]
        assert len(coded) == len(pictures)
        return coded

    def _blocks(self, coded: list[bytes]) -> list[Block]:
        blocks = []
        for start in range(0, len(coded), unit_frames()):
            frames = tuple(coded[start : start + unit_frames()])
            size = sum(map(len, frames))
            data = max(MIN_SYMBOLS, math.ceil(size / SYMBOL_LIMIT))
            blocks.append(Block(frames, data, math.ceil(data / self.code_rate), math.ceil(size / data)))
        return blocks
