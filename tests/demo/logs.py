"""What a run left behind, as typed lines: the sender's and the receiver's frame logs, the relay's trace."""

from __future__ import annotations

import base64
import json
import math
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.maps.base import Legend
from receiver.contours.store import ShownMap

UNIT_WRAP = 1 << 16
NEAR_S = 0.15  # between a picture that was made up and the frame that it stands for


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
    captured_at: float = math.nan
    """By the sender's clock; of a concealed picture what it stands for."""


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
                line["captured_at"],
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
    """Finds the frame that a shown picture shows: by unit and offset, one that was made up by the time it stands for,
    since a receiver cannot know the number of a unit that has not come."""

    def __init__(self, sent: Sequence[Sent]) -> None:
        self._by_time = sorted(sent, key=_captured)
        self._by_place = {(line.unit, line.offset): line for line in sent}
        self._by_wire = {(line.unit % UNIT_WRAP, line.offset): line for line in sent[-UNIT_WRAP:]}

    def shown(self, line: ShownLine) -> Sent | None:
        """None when no such frame was sent."""
        return self._near(line.captured_at) if line.concealed else self.of(line.unit, line.offset)

    def _near(self, captured_at: float) -> Sent | None:
        after = bisect_left(self._by_time, captured_at, key=_captured)
        found = min(
            self._by_time[max(0, after - 1) : after + 1],
            key=lambda sent: abs(sent.captured_at - captured_at),
            default=None,
        )
        return None if found is None or abs(found.captured_at - captured_at) > NEAR_S else found

    def of(self, unit: int, offset: int) -> Sent | None:
        """None when that frame was never sent."""
        return self._by_place.get((unit, offset)) or self._by_wire.get((unit % UNIT_WRAP, offset))


def _captured(sent: Sent) -> float:
    return sent.captured_at
