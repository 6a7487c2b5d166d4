"""The profiles as contestants: real encoder, rate control, packetizer and reassembler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.codec.base import CodecError
from common.codec.registry import create_decoder, create_encoder
from common.video import Picture, picture_size
from proto.packet import Segment
from proto.packetizer import segments
from proto.reassembler import Reassembler
from proto.streams import VIDEO
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES, max_payload
from sender.rate import RateController
from tests.bench.contestant import Arrived, Channel, Encoded, Shown, unit_frames

REPORTED = 6  # units that a report tells of


@dataclass(frozen=True)
class Resilient:
    """A shipped codec on one backend."""

    backend: str = "auto"
    profile: str = "resilient"

    @property
    def name(self) -> str:
        """Of the profile."""
        return self.profile

    @property
    def code_rate(self) -> str:
        """Empty: it chooses by itself."""
        return ""

    def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
        """See Contestant.encode."""
        sender = _Sender(pictures, fps, wire_kbps, self.profile)
        for unit in range(sender.count):
            sender.send(unit)
        return sender.encoded()

    def converse(
        self, pictures: list[Picture], fps: float, wire_kbps: float, channel: Channel, rtt_ms: float
    ) -> tuple[Encoded, Shown]:
        """See Adaptive.converse. A report tells of the last REPORTED units, so that one that is lost costs little."""
        sender = _Sender(pictures, fps, wire_kbps, self.profile)
        behind = 1 + math.ceil(
            rtt_ms * fps / (1000 * unit_frames())
        )  # the unit itself takes its time on the wire
        arrived: list[Arrived] = []
        heard: list[bool] = []
        for unit in range(sender.count):
            newest = unit - behind
            if newest >= 0 and heard[newest]:
                for told in range(max(0, newest - REPORTED + 1), newest + 1):
                    sender.report(told, arrived[told])
            sender.send(unit)
            arrived.append(channel(unit, len(sender.units[unit]), sender.wire[unit]))
            heard.append(channel.report(unit))
        encoded = sender.encoded()
        return encoded, self.decode(encoded, arrived)

    def decode(self, encoded: Encoded, arrived: Sequence[Arrived]) -> Shown:
        """See Contestant.decode; before anything arrived the picture is grey."""
        units = encoded.content
        assert isinstance(units, list)
        decoder, reassembler = create_decoder(self.profile, self.backend), Reassembler()
        shown: list[Picture] = []
        grey = np.full((encoded.height * 3 // 2, encoded.width), 128, np.uint8)
        for unit, (packets, kept) in enumerate(zip(units, arrived, strict=True)):
            for packet, came in zip(packets, kept, strict=True):
                if came:
                    reassembler.push(packet, 0.0)
            received = reassembler.take(unit) if any(kept) else None
            try:
                shown += decoder.decode(received).pictures
            except CodecError:  # nothing has arrived yet
                shown += [grey] * unit_frames()
        return [shown]


class _Sender:
    """Encoder, rate control and packetizer of one clip; unit by unit."""

    def __init__(self, pictures: list[Picture], fps: float, wire_kbps: float, profile: str) -> None:
        self._pictures, self._fps, self._size = pictures, fps, picture_size(pictures[0])
        self._encoder = create_encoder(profile, *self._size, fps)
        self._frames = self._encoder.frames_per_unit
        assert self._frames == unit_frames()
        self._limit = max_payload(MAX_DATAGRAM)
        self._rate = RateController(wire_kbps, self._frames / fps, OVERHEAD_BYTES + IP_UDP_BYTES, self._limit)
        self._withheld: list[int] = []
        self.count = len(pictures) // self._frames
        self.units: list[list[Segment]] = []
        self.wire: list[int] = []

    def send(self, unit: int) -> None:
        """The next unit, as packets."""
        pictures = self._pictures[unit * self._frames : (unit + 1) * self._frames]
        payloads = self._encoder.encode(pictures, unit, self._rate.budget()).payloads
        sizes = [len(p) + OVERHEAD_BYTES + IP_UDP_BYTES for p in payloads]
        admitted = self._rate.admit(sizes)
        self._rate.spent(sum(sizes[:admitted]))
        self.wire.append(sum(sizes[:admitted]))
        self._withheld.append(len(sizes) - admitted)
        timestamp = unit * self._frames / self._fps
        self.units.append(segments(VIDEO.id, unit, timestamp, payloads, self._limit)[:admitted])

    def report(self, unit: int, arrived: Arrived) -> None:
        """What the receiver has of a unit."""
        self._encoder.report(unit, [*map(bool, arrived), *[False] * self._withheld[unit]])

    def encoded(self) -> Encoded:
        """All units that were sent."""
        packets = tuple(map(len, self.units))
        return Encoded(packets, tuple(self.wire), len(self.units) * self._frames, *self._size, self.units)
