"""Sound for recordings and pushes: where blocks belong on the line of the pictures. Pure.

Sound and pictures meet where they were captured. Blocks come by this host's clock, the pictures of a recording by the
sender's (a tick each), so that the two drift apart by and by: a block is then left out, or heard twice.
"""

from __future__ import annotations

import math

from common.audio import RATE
from common.audio.opus import LOOKAHEAD, OpusEncoder
from receiver.audio.block import BLOCK_S, SoundBlock

KBPS = 32.0
"""Four times what came over the link, so that coding it again costs nothing that is heard."""

MAX_OFF_S = 0.030
MAX_REPEATS = 50
"""A longer gap of blocks (a second) is left as one."""

FOLLOW = 0.2
MAX_SHIFT_S = 0.1
"""Times of capture jitter: a change is taken over by and by, a large one at once."""


class SoundLine:
    """Of one file or stream. Owned by one thread."""

    def __init__(self) -> None:
        self.left_out = self.repeated = 0
        """Blocks."""
        self._shift: float | None = None  # time on the line less time of capture
        self._next: float | None = None

    def shown(self, at: float, captured_at: float) -> None:
        """A new picture has the time `at` (s) on the line and was captured at `captured_at` (s since the epoch)."""
        shift = at - captured_at
        if self._shift is None or abs(shift - self._shift) > MAX_SHIFT_S:
            self._shift = shift
        self._shift += FOLLOW * (shift - self._shift)

    def take(self, block: SoundBlock) -> list[float]:
        """Times (s) on the line at which it is to be heard: none, one or more. They rise by 20 ms."""
        if self._shift is None or math.isnan(block.captured_at):
            return []
        wanted = block.captured_at + self._shift
        if wanted < -MAX_OFF_S:
            return []  # before the first picture
        if self._next is None or wanted - self._next > MAX_REPEATS * BLOCK_S:
            self._next = max(0.0, wanted)
        if self._next - wanted > MAX_OFF_S:
            self.left_out += 1
            return []
        times = []
        while True:
            times.append(self._next)
            self._next += BLOCK_S
            if wanted + BLOCK_S - self._next <= MAX_OFF_S:
                return times
            self.repeated += 1


class SoundPackets(SoundLine):
    """Opus packets of one file."""

    def __init__(self) -> None:
        super().__init__()
        self._opus = OpusEncoder(KBPS, 20)

    def coded(self, block: SoundBlock) -> list[tuple[bytes, float]]:
        """(packet, its time in the file, s) of each packet of 20 ms to be written."""
        times = self.take(block)
        return [(self._opus.encode(block.samples), max(0.0, time - LOOKAHEAD / RATE)) for time in times]
