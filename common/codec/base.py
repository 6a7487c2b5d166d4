"""What a codec is to the daemons: units of pictures in, payloads out, and back with whatever arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.video import Picture

RECEIVED, RECOVERED, IMAGINED = 0, 1, 2  # trust of a region
COARSEST_QP = 51.0
CONCEALED_S = 0.4  # of pictures that are made at a time in place of a long unit


class CodecError(ValueError):
    """A payload that was authentic but cannot be decoded; the message says what is wrong with it."""


class ReferenceMissingError(CodecError):
    """Nothing is wrong with a payload, but it is predicted from one that is not there."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Geometry of a stream; rides in every payload, so that a receiver may join anywhere."""

    profile: str
    width: int
    height: int
    fps: float
    frames_per_unit: int
    whole: bool = False
    """A unit is one packet and may last for seconds: it comes at once or not at all."""

    @property
    def concealed(self) -> int:
        """Pictures that a decoder makes at a time where a unit is missing: all of it, but little of a long one, which
        may still come."""
        if not self.whole:
            return self.frames_per_unit
        return min(self.frames_per_unit, max(1, round(CONCEALED_S * self.fps)))

    @property
    def unit_duration(self) -> float:
        """Seconds of video in one access unit."""
        return self.frames_per_unit / self.fps


@dataclass(frozen=True, slots=True)
class Budget:
    """What one access unit may spend, as the rate control decides it."""

    wire_bytes: float  # all bytes on the wire: payloads, our overhead, IP and UDP headers
    packet_overhead: int  # bytes a packet costs beyond its payload
    max_payload: int  # largest payload of one packet


@dataclass(frozen=True, slots=True)
class EncodedUnit:
    """One access unit as payloads, one a packet; each can be parsed by itself."""

    payloads: list[bytes]
    quality: int  # quality index chosen
    wire_bytes: int  # what the payloads cost on the wire
    stages: dict[str, float]  # seconds spent: "encode"
    steps: tuple[
        int, ...
    ] = ()  # numbers of leading payloads that are of use, ascending; empty: any number is


@dataclass(frozen=True, slots=True)
class DecodedUnit:
    """The pictures of one access unit and how far each region can be trusted."""

    pictures: list[Picture]
    trust: NDArray[np.uint8]  # (H / 16, W / 16) of RECEIVED, RECOVERED, IMAGINED
    arrived: int  # 16x16 blocks that what arrived shows
    total: int  # all of them
    fps: float
    quality: int
    stages: dict[str, float]  # seconds spent: "parse", "recover", "decode"
    qp: float = COARSEST_QP  # how coarse it is, on H.265's scale; where the codec does not say, the coarsest


class Segments(Protocol):
    """What the decoder needs of proto.reassembler.ReceivedUnit."""

    @property
    def unit(self) -> int:
        """Unwrapped number of the unit."""
        ...

    @property
    def segments(self) -> tuple[bytes | None, ...]:
        """Payload of each segment, None where it was lost."""
        ...


class UnitEncoder(Protocol):
    """Encoder of one session; called by one thread."""

    @property
    def frames_per_unit(self) -> int:
        """How many pictures `encode` takes."""
        ...

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """Encode `frames_per_unit` pictures as unit number `unit` within the budget."""
        ...

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """Feedback, where there is any: which packets of a unit have arrived, empty where it did not leave whole, or
        None where the receiver refused it. Once a unit, before a later `encode`; units that are unknown, reported
        already or too old are ignored."""
        ...


class UnitDecoder(Protocol):
    """Decoder of one session; owns the recovery state; called by one thread."""

    def decode(self, received: Segments | None) -> DecodedUnit:
        """Decode what arrived of the next unit, or conceal it wholly (None). Raises CodecError on a bad payload."""
        ...
