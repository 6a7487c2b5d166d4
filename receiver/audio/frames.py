"""The frames of the audio stream on a line of their own, and the sound made of them. Pure.

Frames lie on a grid: slot k begins at `origin` + k frames on the sender's clock. A unit's time is rounded to the grid,
which in turn follows the times, so that neither the phase of a clock nor its drift tears the sound.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.audio import RATE, Samples, silence
from common.audio.opus import OpusDecoder
from common.audio.payload import AudioError, AudioPayload

MAX_FRAMES = 200
"""That wait; at most so many, however far ahead they are."""

CONCEAL_S = 0.12
"""A hole is concealed for so long; beyond it no guess helps, so that the last of it fades out."""

HISTORY_S = 0.25
"""Played sound that is kept, in case some of it has to be played again."""

FADE = 240
"""Samples over which sound begins or ends, or one stretch of it gives way to another: 5 ms."""

FOLLOW = 0.1
REALIGN = 0.25
"""The grid takes over this share of a unit's distance from it; the whole distance where that is above a quarter of a
frame (captured sound had a gap)."""


class FrameLine:
    """Owned by one thread. Positions are samples after the origin."""

    def __init__(self, frame_ms: int, origin: float) -> None:
        """`origin`: media time (s) of slot 0."""
        self.origin = origin
        self.late = 0
        """Frames that came after their time."""
        self.damaged = 0
        """Frames that did not decode."""
        self.concealed = 0
        """Samples that stand for lost ones."""
        self.muted = 0
        """Samples of silence where a hole was too long to conceal, and more came after it."""
        self.frame_ms = frame_ms
        self._decoder = OpusDecoder(frame_ms)
        self._frame = self._decoder.frame
        self._frames: dict[int, bytes] = {}
        self._newest = -1
        self._cursor: int | None = None  # the slot to be decoded next
        self._missing = 0  # slots in a row
        self._pcm = silence(0)
        self._begins = 0  # position of the first sample of it
        self._guessed: dict[int, bool] = {}  # slots with sound kept: whether nothing of them arrived

    @property
    def end(self) -> int:
        """The position after the newest frame that has arrived."""
        return (self._newest + 1) * self._frame

    def add(self, payload: AudioPayload, time: float) -> None:
        """Take in a unit that begins at media time `time` (s)."""
        length = self._frame / RATE
        slot = round((time - self.origin) / length)
        away = time - self.origin - slot * length
        self.origin += away if abs(away) > REALIGN * length else FOLLOW * away
        for number, frame in enumerate(payload.frames):
            self._put(slot + number * payload.stride, frame)

    def read(self, begins: int, ends: int) -> Samples:
        """The sound of these positions: decoded now if it has not been; silence where it is not kept any more."""
        self._reach(begins, ends)
        left, right = max(begins, self._begins), min(ends, self._begins + len(self._pcm))
        out = silence(ends - begins)
        if right > left:
            out[left - begins : right - begins] = self._pcm[left - self._begins : right - self._begins]
        return out

    def guessed(self, begins: int, ends: int) -> bool:
        """Whether some of the sound read from there stands for lost sound."""
        slots = range(begins // self._frame, -(-ends // self._frame))
        return any(self._guessed.get(slot, True) for slot in slots)

    def forget(self, before: int) -> None:
        """What lies before this position has been played."""
        keep = before - round(HISTORY_S * RATE)
        if keep - self._begins > self._frame:
            self._pcm = self._pcm[keep - self._begins :]
            self._begins = keep
            self._guessed = {s: g for s, g in self._guessed.items() if (s + 1) * self._frame > keep}

    def _put(self, slot: int, frame: bytes) -> None:
        if self._cursor is not None and slot < self._cursor:
            self.late += 1
            return
        self._frames.setdefault(slot, frame)
        self._newest = max(self._newest, slot)
        while len(self._frames) > MAX_FRAMES:
            del self._frames[min(self._frames)]

    def _reach(self, begins: int, ends: int) -> None:
        first = begins // self._frame
        if self._cursor is None or first - self._cursor > RATE // self._frame:
            self._cursor = first
            self._frames = {slot: frame for slot, frame in self._frames.items() if slot >= first}
            self._pcm, self._begins = silence(0), first * self._frame
            self._missing = round(CONCEAL_S * RATE / self._frame) + 1
        while self._cursor * self._frame < ends:
            self._pcm = np.concatenate([self._pcm, self._next(self._cursor)])
            self._cursor += 1

    def _next(self, slot: int) -> Samples:
        frame = self._frames.pop(slot, None)
        most = round(CONCEAL_S * RATE) // self._frame
        if frame is not None:
            try:
                samples = self._decoder.decode(frame)
            except AudioError:
                self.damaged += 1
            else:
                if self._missing > most:
                    samples = faded(samples, FADE, 0)
                self._missing = 0
                self._guessed[slot] = False
                return samples
        self._guessed[slot] = True
        self._missing += 1
        if self._missing > most:
            self.muted += self._frame if self._newest > slot else 0
            return silence(self._frame)
        self.concealed += self._frame
        try:
            samples = self._decoder.conceal()
        except AudioError:
            return silence(self._frame)
        return faded(samples, 0, self._frame) if self._missing == most else samples


def faded(samples: Samples, rise: int, fall: int) -> Samples:
    """The samples with so many at their beginning faded in and so many at their end faded out."""
    gain: npt.NDArray[np.float64] = np.ones(len(samples))
    if rise:
        gain[:rise] *= np.linspace(0.0, 1.0, len(gain[:rise]))
    if fall:
        gain[-fall:] *= np.linspace(1.0, 0.0, len(gain[-fall:]))
    return np.round(samples * gain).astype(np.int16)
