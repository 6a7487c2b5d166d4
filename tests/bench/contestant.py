"""What a benchmark compares: something that turns a clip into packets, and what arrived of them into pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.video import Picture

Arrived = NDArray[np.bool_]
Shown = list[list[Picture]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A clip as packets, in units that are sent and judged together.

    `unit_packets`: packets of each unit. `wire_bytes`: all bytes on the wire, IP, UDP and our headers included."""

    unit_packets: tuple[int, ...]
    wire_bytes: int
    frames: int
    width: int
    height: int
    content: object  # the contestant's own


class Contestant(Protocol):
    """One row of the comparison: a codec with its protection. Knows nothing of the loss when it encodes."""

    @property
    def name(self) -> str:
        """For tables: codec, and code rate where there is one."""
        ...

    def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
        """The clip at a wire rate."""
        ...

    def decode(self, encoded: Encoded, arrived: list[Arrived]) -> Shown:
        """From the packets of each unit that arrived, one picture for each frame of the clip; in each of the ways
        that a player might choose, of which the one that looks best counts."""
        ...


def unit_frames() -> int:
    """Frames of one access unit and of one FEC block: everyone waits equally long before sending."""
    return 4
