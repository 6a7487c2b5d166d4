"""Opus (RFC 6716) through FFmpeg's libopus: one frame in, one packet out, and back; lost frames are concealed."""

from __future__ import annotations

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from common.audio import RATE, Samples, silence
from common.audio.payload import FRAME_MS, AudioError

MIN_KBPS, MAX_KBPS = 6.0, 64.0

LOOKAHEAD = 312
"""Samples by which what is decoded lags what was encoded (RFC 7845 section 4.2 calls it pre-skip)."""

_CODE = 0x03
"""The bits of a TOC byte that tell how many frames a packet holds; 0 is one."""


def frame_samples(frame_ms: int) -> int:
    """Samples in a frame."""
    return RATE * frame_ms // 1000


def duration_of(packet: bytes) -> int:
    """Samples in an Opus packet, by its TOC byte (RFC 6716 section 3.1). Raises AudioError."""
    if not packet:
        raise AudioError("an empty packet")
    config, code = packet[0] >> 3, packet[0] & _CODE
    if config < 12:
        one = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        one = (480, 960)[config & 1]
    else:
        one = 120 << (config & 3)
    if code == 3 and len(packet) < 2:
        raise AudioError("a packet without its number of frames")
    return one * (1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F)


class OpusEncoder:
    """Mono speech. One thread at a time.

    Opus chooses the bandwidth by the rate: 4 kHz at 6 to 8.5 kbit/s, 8 kHz from 9, 12 kHz and more from 14.
    """

    def __init__(self, kbps: float, frame_ms: int = 60) -> None:
        """Raises ValueError outside of the ranges."""
        if not MIN_KBPS <= kbps <= MAX_KBPS or frame_ms not in FRAME_MS:
            raise ValueError(
                f"kbps: {MIN_KBPS:g} to {MAX_KBPS:g} (got {kbps}); frame_ms: one of {FRAME_MS} (got {frame_ms})"
            )
        self.frame = frame_samples(frame_ms)
        self._pts = 0
        # In-band redundancy (LBRR) is left off: libopus makes none below some 10 kbit/s, and it is of the frame
        # before, which mostly travels in the same packet.
        options = {"application": "voip", "frame_duration": str(frame_ms), "vbr": "constrained"}
        self._codec = codec = AudioCodecContext.create("libopus", "w")
        codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
        codec.bit_rate = round(kbps * 1000)
        codec.options = options
        codec.open()

    def encode(self, samples: Samples) -> bytes:
        """One frame of `frame` samples as an Opus packet."""
        if len(samples) != self.frame:
            raise ValueError(f"samples: {self.frame} needed (got {len(samples)})")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._pts
        self._pts += self.frame
        packets = [bytes(packet) for packet in self._codec.encode(frame)]
        if len(packets) != 1:
            raise RuntimeError(f"libopus made {len(packets)} packets of a frame")
        return packets[0]


class OpusDecoder:
    """Frames in order, lost ones in between. One thread at a time."""

    def __init__(self, frame_ms: int) -> None:
        self.frame = frame_samples(frame_ms)
        self._toc: int | None = None
        self._codec = self._fresh()

    def decode(self, packet: bytes) -> Samples:
        """`frame` samples. Raises AudioError for what is no Opus packet of that duration; the next is then decoded as
        after a loss."""
        if duration_of(packet) != self.frame:
            raise AudioError(f"a frame of {duration_of(packet)} samples, {self.frame} expected")
        samples = self._run(packet)
        self._toc = packet[0] & ~_CODE & 0xFF
        return samples

    def conceal(self) -> Samples:
        """`frame` samples that go on from what was decoded before; silence when nothing was.

        libopus conceals for a packet of nothing but a TOC byte: it holds a frame of length 0 (RFC 6716 section 3.2.1).
        """
        if self._toc is None:
            return silence(self.frame)
        per = duration_of(bytes((self._toc,)))
        return np.concatenate([self._run(bytes((self._toc,))) for _ in range(self.frame // per)])

    def _run(self, packet: bytes) -> Samples:
        try:
            parts = [frame.to_ndarray()[0] for frame in self._codec.decode(av.Packet(packet))]
        except av.FFmpegError as error:
            self._codec, self._toc = self._fresh(), None
            raise AudioError(f"not decoded: {error.strerror}") from None
        return np.concatenate(parts).astype(np.int16) if parts else silence(0)

    @staticmethod
    def _fresh() -> AudioCodecContext:
        codec = AudioCodecContext.create("libopus", "r")
        codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
        codec.open()
        return codec
