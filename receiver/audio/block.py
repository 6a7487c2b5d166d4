"""What the sinks that take sound are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from common.audio import RATE, Samples

BLOCK = 960
BLOCK_S = BLOCK / RATE


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """20 ms that are due now. The samples are never written to afterwards."""

    number: int
    """Counts blocks from 0; a gap means that the receiver had stalled."""
    samples: Samples
    """960, mono, 48 kHz."""
    played_at: float
    """When the first of them is due, in seconds since the epoch, on the clock of `Shown.shown_at`."""
    captured_at: float
    """When it was captured, as `Shown.captured_at`: seconds since the epoch, by the sender's clock. Not a number while
    there are no pictures whose clock tells."""
    concealed: bool
    """Some of it stands for sound that was lost, or there is no sound."""


@runtime_checkable
class AudioSink(Protocol):
    """A sink of pictures that takes sound too."""

    def hear(self, block: SoundBlock) -> None:
        """Take a block; every 20 ms from the first sound on. Called on the event loop thread; never blocks."""
        ...
