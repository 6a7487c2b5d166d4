"""Sound: the one in-memory form used everywhere. Opus and the payload of the audio stream are beside this file.

Sound is a one-dimensional int16 array: mono, 48 000 samples a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE = 48_000
"""Samples a second. Opus runs at it inside, whatever bandwidth it codes."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of captured sound. `captured_at`: when its first sample was, in seconds since the Unix epoch, on the
    clock of the frames' `captured_at`."""

    samples: Samples
    captured_at: float

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / RATE


def silence(samples: int) -> Samples:
    """So many samples of nothing."""
    return np.zeros(samples, np.int16)


def level(samples: Samples) -> float:
    """Root mean square, 1.0 at full scale; 0 for nothing."""
    if not len(samples):
        return 0.0
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) / 32768.0
