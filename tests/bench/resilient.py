"""The `resilient` profile as a contestant: real encoder, rate control, packetizer, interleaver and reassembler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.codec.base import Budget, CodecError
from common.codec.registry import create_decoder, create_encoder
from common.video import Picture, picture_size
from proto.packetizer import segments
from proto.reassembler import Reassembler
from proto.streams import LATENTS
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES, max_payload
from sender.rate import RateController
from tests.bench.contestant import Arrived, Encoded, Shown, unit_frames


@dataclass(frozen=True)
class Resilient:
    """The shipped codec on one backend."""

    backend: str = "auto"

    @property
    def name(self) -> str:
        """`resilient`."""
        return "resilient"

    def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
        """See Contestant.encode."""
        width, height = picture_size(pictures[0])
        encoder = create_encoder("resilient", width, height, fps, backend=self.backend)
        frames = encoder.frames_per_unit
        assert frames == unit_frames()
        limit = max_payload(MAX_DATAGRAM)
        rate = RateController(wire_kbps, frames / fps, OVERHEAD_BYTES + IP_UDP_BYTES, limit)
        units, wire = [], 0
        for unit in range(len(pictures) // frames):
            budget: Budget = rate.budget()
            encoded = encoder.encode(pictures[unit * frames : (unit + 1) * frames], unit, budget)
            sizes = [len(p) + OVERHEAD_BYTES + IP_UDP_BYTES for p in encoded.payloads]
            admitted = rate.admit(sizes)
            rate.spent(sum(sizes[:admitted]))
            wire += sum(sizes[:admitted])
            units.append(segments(LATENTS.id, unit, unit * frames / fps, encoded.payloads, limit)[:admitted])
        return Encoded(tuple(map(len, units)), wire, len(units) * frames, width, height, units)

    def decode(self, encoded: Encoded, arrived: Sequence[Arrived]) -> Shown:
        """See Contestant.decode; before anything arrived the picture is grey."""
        units = encoded.content
        assert isinstance(units, list)
        decoder, reassembler = create_decoder("resilient", self.backend), Reassembler()
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
