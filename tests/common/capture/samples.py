"""A capture as the tests want it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.capture.records import CLOSED, MAGIC, RECEIVED, Decoded, End, Packet, Record, Start, pack
from proto.announce import Announcement, StreamInUse
from proto.packet import Segment
from proto.streams import CONTROL, VIDEO
from proto.wire import Mode

ORIGIN = bytes(range(6))
RUN = bytes(range(8))


def started(role: int = RECEIVED, part: int = 0, clock: float = 100.0, run: bytes = RUN) -> Start:
    return Start(role, run, part, clock, 1_800_000_000.0 + clock, "semcast")


def packet(counter: int, time: float, body: bytes = b"body", stream: int = VIDEO.id) -> Packet:
    return Packet(time, ORIGIN, ORIGIN, stream, counter, False, body)


def unit_packets(number: int, time: float, arrived: Sequence[bool], counter: int) -> list[Packet]:
    """What came of a unit of so many packets, the first of which left with `counter`."""
    ticks = round(number * 250 * 4 / 15) & 0xFFFF
    return [
        packet(
            counter + i,
            time + 0.03 * i,
            bytes(Segment(VIDEO.id, number & 0xFFFF, i, len(arrived), ticks, bytes(100))),
        )
        for i, there in enumerate(arrived)
        if there
    ]


def announcement(time: float, counter: int, name: str = "mast") -> Packet:
    told = Announcement(
        ORIGIN, 0, 1.8e9, Mode.AUTO, (StreamInUse(VIDEO.id, VIDEO.delivery, "resilient"),), name
    )
    return packet(counter, time, bytes(told), CONTROL.id)


def decoded(number: int, time: float, mask: Sequence[bool]) -> Decoded:
    return Decoded(time, 0.02, 1, number, not mask, False, False, tuple(mask))


def capture(records: Iterable[Record], start: Start | None = None, closed: bool = True) -> bytes:
    """The bytes of a file."""
    end = [End(1000.0, CLOSED)] if closed else []
    return MAGIC + b"".join(map(pack, [start or started(), *records, *end]))
