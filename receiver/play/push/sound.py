"""Sound of pushes: coded once for each codec, whatever number of servers take it. Owned by the encoder's thread."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from common.audio import RATE, Samples, silence
from common.audio.opus import LOOKAHEAD, OpusEncoder
from receiver.audio.block import SoundBlock
from receiver.audio.packets import SoundLine
from receiver.play.base import Shown
from receiver.play.push.coded import CLOCK, Packet
from receiver.play.push.muxer import SOUND

OPUS_KBPS = 32.0
AAC_KBPS = 64
AAC_FRAME = 1024
"""Samples in a packet of AAC-LC."""


class SoundCodec(StrEnum):
    """How sound is coded for a server."""

    OPUS = "opus"
    """WHIP: WebRTC knows no other."""
    AAC = "aac"
    """RTMP, RTSP and SRT: what every server and player takes."""


class Coder(Protocol):
    """Sound in, packets out."""

    def encode(self, samples: Samples, time: float) -> list[Packet]:
        """Blocks in order; `time`: of the first sample, seconds on the line of the pictures."""
        ...


class OpusCoder:
    """A packet for each block."""

    def __init__(self) -> None:
        self._codec = OpusEncoder(OPUS_KBPS, 20)

    def encode(self, samples: Samples, time: float) -> list[Packet]:
        """See Coder."""
        pts = round(max(0.0, time - LOOKAHEAD / RATE) * CLOCK)
        return [Packet(self._codec.encode(samples), pts, True, SOUND)]


class AacCoder:
    """AAC-LC, mono."""

    def __init__(self) -> None:
        self._codec: AudioCodecContext | None = None
        self._held = silence(0)
        self._next = 0  # time of the first held sample, in samples

    def encode(self, samples: Samples, time: float) -> list[Packet]:
        """See Coder. Where sound does not go on where it had ended, the codec begins anew."""
        begins = round(time * RATE)
        if self._codec is None or abs(begins - self._next - len(self._held)) > RATE // 100:
            self._codec, self._held, self._next = _aac(), silence(0), begins
        self._held = np.concatenate([self._held, samples])
        packets: list[Packet] = []
        while len(self._held) >= AAC_FRAME:
            plain = self._held[:AAC_FRAME].astype(np.float32) / 32768
            frame = av.AudioFrame.from_ndarray(plain[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._next, Fraction(1, RATE)
            self._held, self._next = self._held[AAC_FRAME:], self._next + AAC_FRAME
            for packet in self._codec.encode(frame):
                if packet.pts is not None and packet.pts >= 0:  # else before the first picture
                    packets.append(Packet(bytes(packet), packet.pts * CLOCK // RATE, True, SOUND))
        return packets


def _aac() -> AudioCodecContext:
    codec = AudioCodecContext.create("aac", "w")
    codec.sample_rate, codec.layout, codec.format = RATE, "mono", "fltp"
    codec.time_base = Fraction(1, RATE)
    codec.bit_rate = AAC_KBPS * 1000
    codec.open()
    return codec


class Sound:
    """Puts blocks where their pictures are, and codes them in whatever codecs are wanted."""

    def __init__(self) -> None:
        self._line = SoundLine()
        self._coders: dict[SoundCodec, Coder] = {}

    def shown(self, shown: Shown, at: float) -> None:
        """A picture has this time on its line (s)."""
        if not shown.repeated:
            self._line.shown(at, shown.captured_at)

    def encode(self, block: SoundBlock, wanted: Iterable[SoundCodec]) -> list[tuple[SoundCodec, Packet]]:
        """Its packets, in each codec that is wanted."""
        times = self._line.take(block)
        packets: list[tuple[SoundCodec, Packet]] = []
        for codec in wanted:
            if codec not in self._coders:
                self._coders[codec] = OpusCoder() if codec is SoundCodec.OPUS else AacCoder()
            for time in times:
                packets += [(codec, packet) for packet in self._coders[codec].encode(block.samples, time)]
        return packets
