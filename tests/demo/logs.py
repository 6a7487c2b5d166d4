"""What a run left behind, as typed lines: the sender's and the receiver's frame logs, the relay's trace."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.maps.base import Legend
from receiver.contours.store import ShownMap

UNIT_WRAP = 1 << 16


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame handed to the encoder; times are seconds since the epoch."""

    number: int  # place in the log and in the recording
    unit: int
    offset: int
    captured_at: float


@dataclass(frozen=True, slots=True)
class LoggedMap:
    """The map of classes of a line, packed."""

    age: float  # seconds older than the picture
    trust: NDArray[np.uint8]  # (H / 16, W / 16)
    legend: Legend
    packed: bytes
    size: tuple[int, int]  # height, width

    def shown(self) -> ShownMap:
        """Unpacked."""
        labels = np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.size)
        return ShownMap(labels, self.trust, self.legend, self.age)


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A picture on show at one tick of the receiver."""

    number: int
    unit: int
    offset: int
    shown_at: float
    arrived: float  # share of the unit's elements that arrived
    shares: tuple[float, float, float]  # received, recovered, imagined
    concealed: bool
    repeated: bool
    trust: NDArray[np.uint8]  # (H / 16, W / 16)
    classes: LoggedMap | None = None


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram as the sender emitted it and what the relay did with it."""

    at: float
    wire_bytes: int
    copies: int


def read_sent(path: Path) -> list[Sent]:
    """The sender's --frame-log."""
    return [
        Sent(number, line["unit"], line["offset"], line["captured_at"])
        for number, line in enumerate(_lines(path))
    ]


def read_shown(path: Path) -> list[ShownLine]:
    """The receiver's --frame-log."""
    result: list[ShownLine] = []
    last: LoggedMap | None = None
    for line in _lines(path):
        found = None if "classes" not in line else _classes(line["classes"], last)
        last = found or last
        result.append(
            ShownLine(
                line["number"],
                line["unit"],
                line["offset"],
                line["shown_at"],
                line["arrived"],
                (line["trust"][0], line["trust"][1], line["trust"][2]),
                line["concealed"],
                line["repeated"],
                _digits(line["map"], line["columns"]),
                found,
            )
        )
    return result


def _digits(text: str, columns: int) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8).reshape(-1, columns) - np.uint8(ord("0"))


def _classes(told: Mapping[str, Any], last: LoggedMap | None) -> LoggedMap:
    """What is not told is as it was in the map before."""
    if last is None or "legend" in told:
        legend = told["legend"]
        colours = tuple((one[0], one[1], one[2]) for one in legend["colours"])
        named = Legend(legend["name"], tuple(legend["classes"]), colours)
    else:
        named = last.legend
    if last is not None and "labels" not in told:
        return replace(last, age=told["age"], legend=named)
    trust, packed = _digits(told["trust"], told["columns"]), base64.b64decode(told["labels"])
    return LoggedMap(told["age"], trust, named, packed, (told["height"], told["width"]))


def read_packets(path: Path) -> list[Packet]:
    """The relay's --trace, of the way to the receiver alone."""
    lines = (line for line in _lines(path) if line["way"] == "forward")
    return [Packet(line["at"], line["wire_bytes"], line["copies"]) for line in lines]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Whole lines only: the last one of a process that was stopped may be cut."""
    for text in path.read_text().splitlines(keepends=True):
        if text.endswith("\n"):
            yield json.loads(text)


class SentIndex:
    """Finds the frame that a shown picture shows, by unit and offset."""

    def __init__(self, sent: Sequence[Sent]) -> None:
        self._by_place = {(line.unit, line.offset): line for line in sent}
        self._by_wire = {(line.unit % UNIT_WRAP, line.offset): line for line in sent[-UNIT_WRAP:]}

    def of(self, unit: int, offset: int) -> Sent | None:
        """None when that frame was never sent (a concealed unit ahead of the sender)."""
        return self._by_place.get((unit, offset)) or self._by_wire.get((unit % UNIT_WRAP, offset))
