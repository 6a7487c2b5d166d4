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


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One line of the stream table."""

    id: int
    name: str
    delivery: DeliveryClass

    def __post_init__(self) -> None:
        if not 0 <= self.id <= MAX_STREAM:
            raise ValueError(f"id: must be 0..{MAX_STREAM} (got {self.id})")


LATENTS = StreamSpec(id=1, name="latents", delivery=DeliveryClass.TOLERANT)

STREAMS = MappingProxyType({spec.id: spec for spec in (LATENTS,)})


def lookup(stream: int) -> StreamSpec:
    """The table's line for a stream id. Raises WireError (reason stream) for an unknown one."""
    try:
        return STREAMS[stream]
    except KeyError:
        raise WireError(Reason.STREAM, f"stream {stream} is not known") from None
