"""From a stream of samples to units of the audio stream: frames, coded in order, several to a packet. Pure.

Interleaved, the even frames and the odd ones travel in packets of their own, which are half a packet's time apart: a
lost packet leaves holes of one frame each, which are concealed, in place of one that is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from common.audio import RATE, Sound
from common.audio.opus import LOOKAHEAD, OpusEncoder
from common.audio.payload import HEADER_BYTES, MAX_FRAMES, AudioPayload, split_time
from proto.protected import SOURCE_HEADER_BYTES
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES

MAX_STEP_S = 0.040
"""Sound whose time is further than this from where the last ended begins anew: captured sound has a gap there."""

FOLLOW = 0.05
"""Share of a smaller difference that is taken over with each piece of sound: two clocks, and jitter of capture."""


@dataclass(frozen=True, slots=True)
class AudioUnit:
    """One unit: `data` for the wire, `timestamp` (s since the Unix epoch, whole ticks), `duration` of its sound (s)."""

    data: bytes
    timestamp: float
    duration: float


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How sound is coded and cut. Raises ValueError where a packet would hold too many frames, or none."""

    kbps: float = 9.0
    frame_ms: int = 60
    packet_ms: int = 240
    interleave: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= MAX_FRAMES:
            raise ValueError(
                f"packet_ms: {self.packet_ms} holds {self.frames} frames of {self.frame_ms} ms; 1 to {MAX_FRAMES}"
            )

    @property
    def frames(self) -> int:
        """In a packet."""
        return self.packet_ms // self.frame_ms

    @property
    def stride(self) -> int:
        """From one frame of a packet to its next."""
        return 2 if self.interleave and self.frames > 1 else 1

    @property
    def latency(self) -> float:
        """Seconds from the first sample of a packet until it is sent."""
        return ((self.frames - 1) * self.stride + 1) * self.frame_ms / 1000

    @property
    def wire_kbps(self) -> float:
        """What to expect on the wire, all headers included, without parity; at most, as silence takes less."""
        headers = IP_UDP_BYTES + OVERHEAD_BYTES + SOURCE_HEADER_BYTES + HEADER_BYTES + self.frames
        return self.kbps + headers * 8 / (self.frames * self.frame_ms)


@dataclass(slots=True)
class _Packet:
    """One under construction: begins at frame `first`."""

    first: int
    begins: float
    frames: list[bytes] = field(default_factory=list)


class UnitMaker:
    """One thread at a time."""

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self.frames = 0
        """Coded so far."""
        self.gaps = 0
        """Times that captured sound did not go on where it had ended."""
        self._opus = OpusEncoder(format.kbps, format.frame_ms)
        self._held = np.zeros(0, np.int16)
        self._time = 0.0  # of the first held sample
        self._number = -1  # of the last frame since the last gap
        self._open: list[_Packet] = []

    def push(self, sound: Sound) -> list[AudioUnit]:
        """The units that it completes."""
        units: list[AudioUnit] = []
        end = self._time + len(self._held) / RATE
        error = sound.captured_at - end
        if self._number < 0 and not len(self._held):
            self._time = sound.captured_at
        elif abs(error) > MAX_STEP_S:
            units += self.flush()
            self.gaps += 1
            self._time = sound.captured_at
        else:
            self._time += FOLLOW * error
        self._held = np.concatenate([self._held, sound.samples])
        size = self._opus.frame
        while len(self._held) >= size:
            units += self._frame(self._held[:size])
            self._held = self._held[size:]
            self._time += size / RATE
        return units

    def flush(self) -> list[AudioUnit]:
        """The units begun; what makes no whole frame is left out. The next sound begins anew."""
        units = [self._unit(packet) for packet in self._open if packet.frames]
        self._open, self._number, self._held = [], -1, np.zeros(0, np.int16)
        return units

    def _frame(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> list[AudioUnit]:
        self._number += 1
        self.frames += 1
        begins = self._time - LOOKAHEAD / RATE
        stride, count = self.format.stride, self.format.frames
        packet = next((p for p in self._open if (self._number - p.first) % stride == 0), None)
        if packet is None:
            packet = _Packet(self._number, begins)
            self._open.append(packet)
        packet.frames.append(self._opus.encode(samples))
        # The first packet of odd frames is cut short, so that from then on the two kinds are sent in turn.
        full = count // 2 if stride == 2 and packet.first == 1 and count > 1 else count
        if len(packet.frames) < full:
            return []
        self._open.remove(packet)
        return [self._unit(packet)]

    def _unit(self, packet: _Packet) -> AudioUnit:
        timestamp, phase = split_time(packet.begins)
        payload = AudioPayload(self.format.frame_ms, tuple(packet.frames), self.format.stride, phase)
        return AudioUnit(bytes(payload), timestamp, len(packet.frames) * self.format.frame_ms / 1000)
