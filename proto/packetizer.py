"""Cuts an access unit into segments: one payload, one segment, one packet."""

from __future__ import annotations

from collections.abc import Sequence

from proto.packet import Segment
from proto.wire import MAX_COUNT, to_ticks


def segments(
    stream: int, unit: int, timestamp: float, payloads: Sequence[bytes], payload_limit: int
) -> list[Segment]:
    """The segments of unit number `unit` (any non-negative integer), captured at `timestamp` (s).

    Raises ValueError for no or more than 255 payloads, or a payload of more than `payload_limit` bytes.
    """
    if not 1 <= len(payloads) <= MAX_COUNT:
        raise ValueError(f"payloads: must be 1..{MAX_COUNT} (got {len(payloads)})")
    largest = max(len(payload) for payload in payloads)
    if largest > payload_limit:
        raise ValueError(f"payloads: at most {payload_limit} bytes each (got {largest})")
    ticks = to_ticks(timestamp)
    count = len(payloads)
    return [Segment(stream, unit & 0xFFFF, i, count, ticks, payload) for i, payload in enumerate(payloads)]
