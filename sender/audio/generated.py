"""A voice-like test sound with a click at each whole second of the picture's running clock. Nothing is random.

With the source `synthetic` the clock in the picture and the clicks tell whether lips are in step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from common.audio import RATE, Samples, Sound
from sender.capture.sound import SoundTap

CLICK_HZ, CLICK_S = 1000.0, 0.030
CLICK_LEVEL = 0.6
QUIET_S = 0.1
"""Nothing is said for so long before and after a click begins, so that it stands out."""

MAX_STEP_S = 1.0
"""A longer step of the clock is no step: the sound begins anew there."""

_SYLLABLE_S = 0.16
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480), (300, 870, 2240))
"""Formants (Hz) of five vowels (Peterson and Barney, "Control methods used in a study of the vowels", 1952)."""

_WIDTHS = (90.0, 110.0, 170.0)  # Hz


def clicks_and_voice(first: int, count: int) -> Samples:
    """`count` samples from sample number `first` of the line on, the same whatever pieces they are made in."""
    t = (first + np.arange(count)) / RATE
    since = np.mod(t, 1.0)  # the last click
    voice = _voice(t)
    quiet = np.minimum(since - QUIET_S, 1.0 - QUIET_S - since) / 0.02
    click = CLICK_LEVEL * np.sin(2 * np.pi * CLICK_HZ * since) * (since < CLICK_S)
    mixed = click + voice * np.clip(quiet, 0.0, 1.0)
    samples: Samples = np.round(32767 * np.clip(mixed, -1.0, 1.0)).astype(np.int16)
    return samples


def _voice(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Harmonics of a gliding pitch under the formants of a vowel that changes from syllable to syllable."""
    syllable = np.floor(t / _SYLLABLE_S).astype(np.int64)
    inside = np.mod(t, _SYLLABLE_S) / _SYLLABLE_S
    envelope = np.sin(np.pi * inside) ** 0.5
    # The phase is the integral of 120 Hz + 20 Hz sin(2 pi 0.4 t).
    phase = 2 * np.pi * 120.0 * t - 20.0 / 0.4 * np.cos(2 * np.pi * 0.4 * t)
    pitch = 120.0 + 20.0 * np.sin(2 * np.pi * 0.4 * t)
    formants = np.array(_VOWELS, np.float64)[(syllable * 7 // 3) % len(_VOWELS)]
    out = np.zeros_like(t)
    for harmonic in range(1, 26):
        hertz = harmonic * pitch
        gain = sum(1.0 / (1.0 + ((hertz - formants[:, k]) / _WIDTHS[k]) ** 2) for k in range(3))
        out += gain * np.sin(harmonic * phase) / harmonic**0.5
    return 0.12 * envelope * out


class SyntheticSound(SoundTap):
    """`--audio synthetic`. Made in the capture thread as the clock of the source goes on."""

    def __init__(self, put: Callable[[Sound], None]) -> None:
        super().__init__(put)
        self._next: int | None = None  # sample number

    def anchor(self, line: float, captured_at: float) -> None:
        """See SoundTap."""
        end = round(line * RATE)
        if self._next is not None and 0 < end - self._next <= MAX_STEP_S * RATE:
            samples = clicks_and_voice(self._next, end - self._next)
            self.put(Sound(samples, captured_at + self._next / RATE - line))
        self._next = end
