"""The streams that a session multiplexes, and how each is protected against loss.

A new stream is one more line in the table; packets, sealing and reassembly treat all streams alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from proto.wire import MAX_STREAM, Reason, WireError


class DeliveryClass(Enum):
    """What the loss of a packet costs decides how a stream travels."""

    TOLERANT = "tolerant"  # no packet needs a certain other one; late ones are not sent again
    PROTECTED = "protected"  # erasure code inside the time budget
    RELIABLE = "reliable"  # repeated until acknowledged, or announced again and again on one-way links


class Direction(Enum):
    """Which way a stream's packets travel; what runs back needs the keys of a handshake."""

    FORWARD = "forward"  # sender to receiver
    BACK = "back"  # receiver to sender
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One line of the stream table."""

    id: int
    name: str
    delivery: DeliveryClass
    direction: Direction = Direction.FORWARD

    @property
    def segmented(self) -> bool:
        """Whether its packets carry segments of access units; otherwise each is a message of its own."""
        return self.direction is Direction.FORWARD

    def __post_init__(self) -> None:
        if not 0 <= self.id <= MAX_STREAM:
            raise ValueError(f"id: must be 0..{MAX_STREAM} (got {self.id})")


CONTROL = StreamSpec(0, "control", DeliveryClass.RELIABLE, Direction.BOTH)
VIDEO = StreamSpec(1, "video", DeliveryClass.TOLERANT)
REPORT = StreamSpec(2, "report", DeliveryClass.TOLERANT, Direction.BACK)
TEXT = StreamSpec(3, "text", DeliveryClass.RELIABLE, Direction.BOTH)
AUDIO = StreamSpec(4, "audio", DeliveryClass.PROTECTED)
CONTOURS = StreamSpec(5, "contours", DeliveryClass.PROTECTED)

STREAMS = MappingProxyType({spec.id: spec for spec in (CONTROL, VIDEO, REPORT, TEXT, AUDIO, CONTOURS)})


def lookup(stream: int, direction: Direction = Direction.FORWARD) -> StreamSpec:
    """The table's line for a stream id seen in a direction (FORWARD or BACK).

    Raises WireError (reason stream) for an unknown one and for one that does not run that way.
    """
    spec = STREAMS.get(stream)
    if spec is None:
        raise WireError(Reason.STREAM, f"stream {stream} is not known")
    if spec.direction not in (direction, Direction.BOTH):
        raise WireError(Reason.STREAM, f"stream {stream} ({spec.name}) does not run this way")
    return spec
